"""ARM templates on a machine without Azure: read their expressions, and evaluate them as far as a file can tell.

    template = Template(json.loads(text), {"location": "westeurope"})
    for resource in template.resources():  # those whose condition holds, every expression replaced by its value

What only Azure knows stands as a `Mark`: `reference(id).clientId` becomes `<id>.clientId`, `uniqueString(…)`
thirteen letters that no reader takes for real. The language is described in Microsoft's "Syntax and expressions
in ARM templates" and "ARM template functions"; of the functions, those below are known.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/group"
CLOUDS = {"AzureCloud": "core.windows.net", "AzureUSGovernment": "core.usgovcloudapi.net"}

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[()\[\].,]))"
)
_PLACE = re.compile(r"\{\{|\}\}|\{(\d+)\}")


class ExpressionError(ValueError):
    """An expression, or what it names, is not what Azure would accept."""


class Mark(str):
    """A value that only Azure knows; its members are marks too."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Member:
    """`of.key` or `of[key]`."""

    of: "Node"
    key: "Node"


Node: TypeAlias = str | int | Call | Member


def parse(text: str) -> Node:
    """Read one string of a template: a literal, or in brackets an expression. Raise `ExpressionError`."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    if text.startswith("[["):
        return text[1:]
    return _Reader(text[1:-1]).whole()


def calls(document: Any, name: str) -> Iterator[tuple[Node, ...]]:
    """Find every call of a function anywhere in a template, keys included, and yield its arguments."""
    for text in strings(document):
        pending = [parse(text)]
        while pending:
            node = pending.pop()
            if isinstance(node, Call):
                pending += node.arguments
                if node.name == name:
                    yield node.arguments
            elif isinstance(node, Member):
                pending += [node.of, node.key]


def strings(document: Any) -> Iterator[str]:
    """Yield every string of a JSON document, keys included."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for key, value in document.items():
            yield key
            yield from strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)


class Template:
    """A template with its parameters, in a resource group of one of `CLOUDS`."""

    def __init__(
        self,
        document: Mapping[str, Any],
        given: Mapping[str, Any] | None = None,
        *,
        cloud: str = "AzureCloud",
    ) -> None:
        self._document = document
        self._given = dict(given or {})
        self._cloud = cloud
        if unknown := self._given.keys() - document["parameters"].keys():
            raise ExpressionError(f"no such parameter: {', '.join(unknown)}")

    def value(self, json_value: Any) -> Any:
        """Return any part of the template with its expressions evaluated."""
        if isinstance(json_value, str):
            return self._evaluate(parse(json_value))
        if isinstance(json_value, Mapping):
            return {self.value(key): self.value(value) for key, value in json_value.items()}
        if isinstance(json_value, list):
            return [self.value(value) for value in json_value]
        return json_value

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources that would be deployed, each with its resource id as `id`."""
        kept = (each for each in self._document["resources"] if self.value(each.get("condition", True)))
        return [{**(found := self.value(each)), "id": _id_of(found)} for each in kept]

    def parameter(self, name: str) -> Any:
        """Return a parameter's value: as given, else its default."""
        declared = self._document["parameters"].get(name)
        if declared is None or ("defaultValue" not in declared and name not in self._given):
            raise ExpressionError(f"the parameter {name!r} is not declared, or has no value")
        found = self._given[name] if name in self._given else self.value(declared["defaultValue"])
        if found not in declared.get("allowedValues", [found]):
            raise ExpressionError(f"{found!r} is no allowed value of the parameter {name!r}")
        return found

    def variable(self, name: str) -> Any:
        """Return a variable's value."""
        if name not in self._document["variables"]:
            raise ExpressionError(f"the variable {name!r} is not defined")
        return self.value(self._document["variables"][name])

    def _evaluate(self, node: Node) -> Any:
        if isinstance(node, Member):
            of, key = self._evaluate(node.of), self._evaluate(node.key)
            if isinstance(of, Mark):
                return Mark(f"{of}.{key}")
            try:
                return of[key]
            except (KeyError, IndexError, TypeError):
                raise ExpressionError(f"{key!r} is no member of {of!r}") from None
        if not isinstance(node, Call):
            return node
        if node.name == "if":
            condition, then, otherwise = node.arguments
            return self._evaluate(then if self._evaluate(condition) else otherwise)
        function = self._own().get(node.name) or _FUNCTIONS.get(node.name)
        if function is None:
            raise ExpressionError(f"no such function: {node.name}")
        return function(*map(self._evaluate, node.arguments))

    def _own(self) -> dict[str, Callable[..., Any]]:
        return {
            "parameters": self.parameter,
            "variables": self.variable,
            "environment": lambda: {"name": self._cloud, "suffixes": {"storage": CLOUDS[self._cloud]}},
        }


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._kind, self._token = "", ""
        self._next()

    def whole(self) -> Node:
        node = self._node()
        if self._kind:
            raise self._wrong()
        return node

    def _next(self) -> str:
        token = self._token
        match = _TOKEN.match(self._text, self._at)
        if match and match.lastgroup:
            self._at, self._kind, self._token = match.end(), match.lastgroup, match[match.lastgroup]
        elif self._text[self._at :].strip():
            raise self._wrong()
        else:
            self._kind, self._token = "", ""
        return token

    def _expect(self, sign: str) -> None:
        if self._token != sign:
            raise self._wrong()
        self._next()

    def _wrong(self) -> ExpressionError:
        return ExpressionError(f"cannot be read at {self._text[: self._at]!r}: {self._text!r}")

    def _node(self) -> Node:
        node: Node
        kind, token = self._kind, self._next()
        if kind == "string":
            node = token[1:-1].replace("''", "'")
        elif kind == "number":
            node = int(token)
        elif kind == "name":
            node = Call(token, tuple(self._arguments()))
        else:
            raise self._wrong()
        while self._token in (".", "["):
            if self._next() == ".":
                if self._kind != "name":
                    raise self._wrong()
                node = Member(node, self._next())
            else:
                node = Member(node, self._node())
                self._expect("]")
        return node

    def _arguments(self) -> Iterator[Node]:
        self._expect("(")
        while self._token != ")":
            yield self._node()
            if self._token != ")":
                self._expect(",")
        self._next()


def _resource_id(kind: str, *names: str) -> str:
    """Return the id of a resource in the group: `A/b/c` with two names is `A/b/{first}/c/{second}`."""
    provider, *types = kind.split("/")
    if len(types) != len(names):
        raise ExpressionError(f"{kind} needs {len(types)} names, not {len(names)}")
    path = "/".join(part for pair in zip(types, names, strict=True) for part in pair)
    return f"{GROUP}/providers/{provider}/{path}"


def _id_of(resource: Mapping[str, Any]) -> str:
    own = _resource_id(resource["type"], *resource["name"].split("/"))
    if "scope" not in resource:
        return own
    return f"{GROUP}/providers/{resource['scope']}{own.removeprefix(GROUP)}"


def _format(text: str, *values: Any) -> str:
    return _PLACE.sub(lambda place: str(values[int(place[1])]) if place[1] else place[0][0], text)


def _unique(letters: int, *seeds: str) -> Mark:
    return Mark(hashlib.sha256("\0".join(seeds).encode()).hexdigest()[:letters])


def _guid(*seeds: str) -> Mark:
    return Mark(re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", _unique(32, *seeds)))


def _union(*parts: Any) -> Any:
    return {key: value for part in parts for key, value in part.items()}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "createArray": lambda *values: list(values),
    "createObject": lambda *parts: dict(zip(parts[::2], parts[1::2], strict=True)),
    "empty": lambda value: not value,
    "equals": lambda one, other: one == other,
    "extensionResourceId": lambda scope, kind, name: scope + _resource_id(kind, name).removeprefix(GROUP),
    "format": _format,
    "greater": lambda one, other: one > other,
    "guid": _guid,
    "not": lambda value: not value,
    "reference": lambda resource_id: Mark(f"<{resource_id}>"),
    "resourceGroup": lambda: {"id": GROUP, "location": "westeurope", "name": "group"},
    "resourceId": _resource_id,
    "string": _string,
    "subscriptionResourceId": lambda kind, name: SUBSCRIPTION + _resource_id(kind, name).removeprefix(GROUP),
    "union": _union,
    "uniqueString": lambda *seeds: _unique(13, *seeds),
}
