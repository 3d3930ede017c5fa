"""Expressions of function calls, as ARM templates and Logic Apps write them: read, and evaluated.

    node = parse("string(parameters('Name'))", ARM)
    evaluate(node, ARM, {"parameters": {"Name": "app"}.get})            # "app"

From Microsoft's "Syntax and expressions in ARM templates", "ARM template functions" and "Reference guide to workflow
expression functions". Of the functions, those at the end are known, and any other is an error. Stricter than the
platforms: `if` evaluates both its branches, and text is not taken for a number.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, TypeAlias
from urllib.parse import quote

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/group"

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\?\[|[()\[\].,]))"
)
_PLACE = re.compile(r"\{\{|\}\}|\{(\d+)\}")


class ExpressionError(Exception):
    """An expression is not what the platform would accept, or it fails where the platform would."""


class Mark(str):
    """A value that only Azure knows; its members are marks too."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Access:
    """`of[key]` or `of.key`; `of?[key]` is null where `of` is null or has no such member. `text` is as written."""

    of: "Node"
    key: "Node"
    safe: bool
    text: str


Node: TypeAlias = str | int | Call | Access | None
Functions: TypeAlias = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Language:
    """The differences of the two languages: names of values, signs of an access, and the functions."""

    words: Mapping[str, Node]
    accesses: tuple[str, ...]
    functions: Functions


def parse(text: str, language: Language) -> Node:
    """Read one expression, without what encloses it. Raise `ExpressionError`."""
    return _Reader(text, language).whole()


def below(node: Node) -> Iterator[Node]:
    """Yield a node, and all nodes that it is made of."""
    yield node
    parts = (node.of, node.key) if isinstance(node, Access) else ()
    for part in node.arguments if isinstance(node, Call) else parts:
        yield from below(part)


def replaced(document: Any, value: Callable[[str], Any]) -> Any:
    """Return a JSON document with every string, keys included, replaced by its `value`."""
    if isinstance(document, str):
        return value(document)
    if isinstance(document, Mapping):
        return {value(key): replaced(inner, value) for key, inner in document.items()}
    return [replaced(inner, value) for inner in document] if isinstance(document, list) else document


def strings(document: Any) -> list[str]:
    """Return every string of a JSON document, keys included."""
    texts: list[str] = []
    replaced(document, texts.append)
    return texts


def evaluate(
    node: Node, language: Language, own: Functions, accessed: Callable[[str], None] = lambda _: None
) -> Any:
    """Return the value of an expression. Raise `ExpressionError`.

    `own` are functions beside those of the language. `accessed` gets the text of every access that met a member.
    """
    if isinstance(node, Access):
        of, key = (evaluate(part, language, own, accessed) for part in (node.of, node.key))
        return _member(node, of, key, accessed)
    if not isinstance(node, Call):
        return node
    if node.name == "lambda":
        *names, body = node.arguments
        return lambda *values: evaluate(
            body,
            language,
            {**own, "lambdaVariables": dict(zip(names, values, strict=True)).__getitem__},
            accessed,
        )
    function = own.get(node.name) or language.functions.get(node.name)
    if function is None:
        raise ExpressionError(f"the function {node.name} is not known here")
    arguments = [evaluate(argument, language, own, accessed) for argument in node.arguments]
    try:
        return function(*arguments)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise ExpressionError(f"{node.name}: {error}") from error


def _member(access: Access, of: Any, key: Any, accessed: Callable[[str], None]) -> Any:
    if isinstance(of, Mark):
        return Mark(f"{of}.{key}")
    if of is None and access.safe:
        return None
    if not isinstance(of, dict if isinstance(key, str) else list):
        raise ExpressionError(f"{access.text}: {key!r} cannot be selected of {type(of).__name__}")
    if key in (of if isinstance(of, dict) else range(len(of))):
        accessed(access.text)
        return of[key]
    if not access.safe:
        raise ExpressionError(f"{access.text}: there is no {key!r}")
    return None


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, text: str, language: Language) -> None:
        self._text, self._language = text, language
        self._at = 0

    def whole(self) -> Node:
        node = self._node()
        if self._text[self._at :].strip():
            raise self._wrong()
        return node

    def _node(self) -> Node:
        node: Node
        kind, token, start = self._take()
        if kind == "string":
            node = token[1:-1].replace("''", "'")
        elif kind == "number":
            node = int(token)
        elif token in self._language.words:
            node = self._language.words[token]
        elif kind == "name":
            node = Call(token, tuple(self._arguments()))
        else:
            raise self._wrong()
        while self._peek() in self._language.accesses:
            sign = self._take()[1]
            key = self._name() if sign == "." else self._node()
            if sign != ".":
                self._expect("]")
            node = Access(node, key, sign == "?[", self._text[start : self._at])
        return node

    def _arguments(self) -> Iterator[Node]:
        self._expect("(")
        if self._peek() != ")":
            yield self._node()
        while self._peek() != ")":
            self._expect(",")
            yield self._node()
        self._expect(")")

    def _name(self) -> str:
        kind, token, _ = self._take()
        if kind != "name":
            raise self._wrong()
        return token

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


def resource_id(kind: str, *names: str) -> str:
    """Return the id of a resource in the group: `A/b/c` with two names is `A/b/{first}/c/{second}`.

    The name of another group may stand before the type.
    """
    if "/" not in kind and names:
        own = resource_id(*names)
        return own.replace(GROUP, f"{SUBSCRIPTION}/resourceGroups/{kind}")
    provider, *types = kind.split("/")
    if len(types) != len(names):
        raise ExpressionError(f"{kind} needs {len(types)} names, not {len(names)}")
    path = "/".join(part for pair in zip(types, names, strict=True) for part in pair)
    return f"{GROUP}/providers/{provider}/{path}"


def text(value: Any) -> str:
    """Return `string(value)` of Logic Apps: binary content decoded, null as nothing, objects as JSON."""
    if isinstance(value, dict) and "$content" in value:
        return base64.b64decode(value["$content"]).decode()
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _if(condition: Any, then: Any, otherwise: Any) -> Any:
    if not isinstance(condition, bool):
        raise TypeError("expects a boolean")
    return then if condition else otherwise


def _try_get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = None if value is None else value.get(key)
    return value


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError("expects text")
    return json.loads(value)


def _add_minutes(timestamp: str, minutes: int) -> str:
    moved = datetime.fromisoformat(timestamp) + timedelta(minutes=minutes)
    return moved.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _format(template: str, *values: Any) -> str:
    return _PLACE.sub(lambda place: str(values[int(place[1])]) if place[1] else place[0][0], template)


def _substring(value: str, start: int) -> str:
    """Return the rest of a text. As in Azure, a start that is not in the text is an error."""
    if not 0 <= start <= len(value):
        raise ExpressionError(f"the start {start} of a substring is not in the text")
    return value[start:]


def _unique(letters: int, *seeds: str) -> Mark:
    return Mark(hashlib.sha256("\0".join(seeds).encode()).hexdigest()[:letters])


def _guid(*seeds: str) -> Mark:
    return Mark(re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", _unique(32, *seeds)))


_BOTH: Functions = {
    "equals": lambda left, right: left == right,
    "greater": lambda left, right: left > right,
    "if": _if,
}
ARM = Language(
    {},
    (".", "["),
    {
        **_BOTH,
        "add": lambda left, right: left + right,
        "and": lambda *values: all(values),
        "coalesce": lambda *values: next((value for value in values if value is not None), None),
        "cidrSubnet": lambda whole, size, at: str([*ip_network(whole).subnets(new_prefix=size)][at]),
        "concat": lambda *parts: sum(parts[1:], parts[0]) if isinstance(parts[0], list) else "".join(parts),
        "contains": lambda whole, part: part in whole,
        "createArray": lambda *values: list(values),
        "createObject": lambda *parts: dict(zip(parts[::2], parts[1::2], strict=True)),
        "empty": lambda value: not value,
        "extensionResourceId": lambda scope, kind, name: scope + resource_id(kind, name).removeprefix(GROUP),
        "filter": lambda values, holds: [value for value in values if holds(value)],
        "first": lambda values: values[0],
        "format": _format,
        "guid": _guid,
        "indexOf": lambda value, part: value.find(part),
        "length": len,
        "map": lambda values, make: [make(value) for value in values],
        "not": lambda value: not value,
        "null": lambda: None,
        "range": lambda start, count: list(range(start, start + count)),
        "replace": lambda value, old, new: value.replace(old, new),
        "split": lambda value, delimiter: value.split(delimiter),
        "tryGet": _try_get,
        "listKeys": lambda resource_id, _version: Mark(f"<keys of {resource_id}>"),
        "reference": lambda resource_id, *_version: Mark(f"<{resource_id}>"),
        "resourceGroup": lambda: {"id": GROUP, "location": "westeurope", "name": "group"},
        "resourceId": resource_id,
        "string": lambda value: (
            value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        ),
        "substring": _substring,
        "subscriptionResourceId": lambda kind, *names: (
            SUBSCRIPTION + resource_id(kind, *names).removeprefix(GROUP)
        ),
        "union": lambda *parts: {key: value for part in parts for key, value in part.items()},
        "uniqueString": lambda *seeds: _unique(13, *seeds),
    },
)
WORKFLOW = Language(
    {"null": None, "true": True, "false": False},
    ("[", "?["),
    {
        **_BOTH,
        "addMinutes": _add_minutes,
        "chunk": lambda values, size: [values[at : at + size] for at in range(0, len(values), size)],
        "coalesce": lambda *values: next((value for value in values if value is not None), None),
        "concat": lambda *values: "".join(map(text, values)),
        "encodeURIComponent": lambda value: quote(value, safe=""),
        "first": lambda values: values[0] if values else None,
        "join": lambda values, delimiter: delimiter.join(values),
        "json": _json,
        "length": len,
        "replace": lambda value, old, new: value.replace(old, new),
        "string": text,
        "sub": lambda value, less: value - less,
        "take": lambda values, count: values[:count],
    },
)
