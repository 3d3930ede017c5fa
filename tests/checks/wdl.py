"""Expressions of the Workflow Definition Language, which Logic Apps and Power Automate share: read and evaluated.

    value("@{length(body('Hunt')?['results'])} rows", {"body": …})     "3 rows"

From Microsoft's "Reference guide to workflow expression functions"; the functions below are known, and any other is
an error. Stricter than the platform: `if` evaluates both its branches, text is not taken for a number.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\?\[|[()\[\],]))"
)
_PIECES = re.compile(r"@\{((?:[^'}]|'(?:[^']|'')*')*)\}")  # quotes in an expression may hold braces


class ExpressionError(Exception):
    """An expression is not what the platform would accept, or it fails where the platform would."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Text, a whole number, true, false or null."""

    value: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Access:
    """`of[key]`, or `of?[key]`, which is null where `of` is null or has no such member. `text` is as written."""

    of: "Node"
    key: "Node"
    safe: bool
    text: str


Node: TypeAlias = Literal | Call | Access
Functions: TypeAlias = Mapping[str, Callable[..., Any]]


def value(template: Any, own: Functions, found: Callable[[str], None] = lambda _: None) -> Any:
    """Return a part of a definition with its expressions evaluated.

    `own` are the functions that depend on the run (`body`, `parameters`, …). `found` is told the text of every
    access that met a member that is there. Raise `ExpressionError`.
    """
    if isinstance(template, dict):
        return {value(name, own, found): value(inner, own, found) for name, inner in template.items()}
    if isinstance(template, list):
        return [value(inner, own, found) for inner in template]
    if not isinstance(template, str):
        return template
    if template.startswith("@@"):
        return template[1:]
    evaluator = _Evaluator(own, found)
    if _is_whole(template):
        return evaluator.value(parse(template[1:]))
    parts = _PIECES.split(template)
    parts[1::2] = [text(evaluator.value(parse(part))) for part in parts[1::2]]
    return "".join(parts)


def nodes(template: Any) -> Iterator[Node]:
    """Yield every node of every expression in a part of a definition; descriptions are no templates."""
    if isinstance(template, dict):
        for name, inner in template.items():
            yield from nodes(name)
            yield from nodes(inner) if name != "description" else ()
    elif isinstance(template, list):
        for inner in template:
            yield from nodes(inner)
    elif isinstance(template, str) and not template.startswith("@@"):
        for part in [template[1:]] if _is_whole(template) else _PIECES.split(template)[1::2]:
            yield from _below(parse(part))


def parse(expression: str) -> Node:
    """Read one expression, without its `@`."""
    reader = _Reader(expression)
    node = reader.node()
    reader.end()
    return node


def text(found: Any) -> str:
    """Return `string(found)`: binary content decoded, null as nothing, objects as JSON."""
    if isinstance(found, dict) and "$content" in found:
        return base64.b64decode(found["$content"]).decode()
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _is_whole(template: str) -> bool:
    return template.startswith("@") and not template.startswith("@{")


def _below(node: Node) -> Iterator[Node]:
    yield node
    children = (
        (node.of, node.key) if isinstance(node, Access) else node.arguments if isinstance(node, Call) else ()
    )
    for child in children:
        yield from _below(child)


class _Evaluator:
    def __init__(self, own: Functions, found: Callable[[str], None]) -> None:
        self._own = own
        self._found = found

    def value(self, node: Node) -> Any:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Access):
            return self._access(node)
        function = self._own.get(node.name) or FUNCTIONS.get(node.name)
        if function is None:
            raise ExpressionError(f"the function {node.name} is not known here")
        try:
            return function(*map(self.value, node.arguments))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ExpressionError(f"{node.name}: {error}") from error

    def _access(self, node: Access) -> Any:
        of, key = self.value(node.of), self.value(node.key)
        if of is None and node.safe:
            return None
        if not isinstance(of, dict if isinstance(key, str) else list):
            raise ExpressionError(f"{node.text}: {key!r} cannot be selected of {type(of).__name__}")
        if key in (of if isinstance(of, dict) else range(len(of))):
            self._found(node.text)
            return of[key]
        if not node.safe:
            raise ExpressionError(f"{node.text}: there is no {key!r}")
        return None


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, expression: str) -> None:
        self._text = expression
        self._at = 0

    def node(self) -> Node:
        kind, token, start = self._take()
        node: Node
        if kind == "string":
            node = Literal(token[1:-1].replace("''", "'"))
        elif kind == "number" or token in ("null", "true", "false"):
            node = Literal(json.loads(token))
        elif kind == "name":
            node = Call(token, tuple(self._arguments()))
        else:
            raise self._wrong()
        while self._peek() in ("[", "?["):
            safe = self._take()[1] == "?["
            key = self.node()
            self._expect("]")
            node = Access(node, key, safe, self._text[start : self._at])
        return node

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise self._wrong()

    def _arguments(self) -> Iterator[Node]:
        self._expect("(")
        while self._peek() != ")":
            yield self.node()
            if self._peek() != ")":
                self._expect(",")
        self._expect(")")

    def _peek(self) -> str:
        match = _TOKEN.match(self._text, self._at)
        return match[match.lastgroup or 0] if match else ""

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise self._wrong()
        self._take()

    def _take(self) -> tuple[str, str, int]:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            raise self._wrong()
        self._at = match.end()
        return match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)

    def _wrong(self) -> ExpressionError:
        return ExpressionError(f"{self._text!r} cannot be read at {self._text[self._at :]!r}")


def _json(found: Any) -> Any:
    if not isinstance(found, str):
        raise TypeError("expects text")
    return json.loads(found)


def _if(condition: Any, then: Any, otherwise: Any) -> Any:
    if not isinstance(condition, bool):
        raise TypeError("expects a boolean")
    return then if condition else otherwise


FUNCTIONS: Functions = {
    "coalesce": lambda *values: next((one for one in values if one is not None), None),
    "concat": lambda *values: "".join(map(text, values)),
    "encodeURIComponent": lambda found: quote(found, safe=""),
    "equals": lambda one, other: one == other,
    "first": lambda values: values[0] if values else None,
    "greater": lambda one, other: one > other,
    "if": _if,
    "join": lambda values, delimiter: delimiter.join(values),
    "json": _json,
    "length": len,
    "replace": lambda found, old, new: found.replace(old, new),
    "string": text,
    "take": lambda values, count: values[:count],
}
"""What does not depend on the run."""
