"""Paths, which find values, and places, which say where a value stands in the sender's payload.

A path is names with dots: `event.SeverityName`. It matches nested names and dotted keys alike; lists are walked
through; JSON in a string, `key=value` texts and name/value lists are entered as objects; case and punctuation do not
count. `/` begins at the document, otherwise a path begins at the alert. Backticks quote a name: it must match exactly,
and may contain special characters.

A place is a path in the payload as its sender wrote it: `alerts[0].labels.DeviceId`. It enters texts that hold JSON,
and is a linked list, so that it costs nothing until it is shown.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from shared.payload import names
from shared.payload.reader import Reader, is_empty

Place = tuple[Any, str | int] | None
"""The place around, and the key or index in it; None is the payload itself."""

_PIECE = re.compile(r"`([^`]*)`|([^.`]+)|(\.)")
_MAX_NODES = 200  # values of one path
_MAX_LEVELS = 64
_STEP = 4  # steps: a value is walked over on a path
_MAX_PLACE = 160
_MAX_PART = 60


class Merged(dict[str, Any]):
    """An object put together from several parts of a payload, which remembers the place of each entry."""

    __slots__ = ("places",)

    def __init__(self, values: Mapping[str, Any], places: Mapping[str, Place]) -> None:
        super().__init__(values)
        self.places = places


class Node(NamedTuple):
    """A value, its place, and the reader that opens texts and lists in it."""

    value: Any
    place: Place
    reader: Reader

    def find(self, *where: str) -> list["Node"]:
        """Return the nodes at the first of these paths that finds anything, from this node on."""
        return next((nodes for text in where if (nodes := find(path(text), self))), [])

    def first(self, *where: str) -> "Node | None":
        """Return the first node at these paths, None if there is none."""
        return next(iter(self.find(*where)), None)

    def inside(self, value: Any, *steps: str | int) -> "Node":
        """Return a value some steps further in."""
        return Node(value, extended(self.place, steps), self.reader)

    def along(self, place: "Place", *, loose: bool = True) -> "list[Node]":
        """Return the objects on the way from here to a place further in, also in texts: only JSON if not `loose`."""
        steps: list[str | int] = []
        while place and place is not self.place:
            place, step = place
            steps.append(step)
        objects, node = [], self
        for step in reversed(steps):
            value = node.value
            if isinstance(value, str):
                value = self.reader.inside(value, loose=loose)
            if isinstance(value, dict) and step in value:
                objects.append(Node(value, node.place, self.reader))
                node = node.inside(value[step], step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                node = node.inside(value[step], step)
            else:
                break
        return objects

    def elements(self) -> "list[Node]":
        """Return the elements of a list, also nested or in a string; for other values, the node itself."""
        value = self.value
        if isinstance(value, str) and isinstance(inner := self.reader.inside(value), list):
            value = inner
        if not isinstance(value, list) or self.reader.pairs(value) is not None:
            return [self]
        self.reader.spend(1 + len(value))
        return [each for index, item in enumerate(value) for each in self.inside(item, index).elements()]


@dataclass(frozen=True)
class Path:
    """A path. `names` are its parts as written; `absolute`: it begins at the document."""

    text: str
    names: tuple[str, ...]
    absolute: bool = False
    exact: frozenset[str] = frozenset()
    """The names that were quoted: only a key of exactly this spelling is one."""

    @cached_property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """For each part, the joined words of one or more parts from there on, as dotted keys have them."""
        return tuple(
            tuple(
                names.word("".join(self.names[start:end]))
                for end in range(start + 1, len(self.names) + 1)
                if self.exact.isdisjoint(self.names[start:end])
            )
            for start in range(len(self.names))
        )


@functools.lru_cache(maxsize=4_096)
def path(text: str) -> Path:
    """Read a path. Raises `ValueError` with what is wrong."""
    stripped = text.strip()
    absolute = stripped.startswith("/")
    parts: list[str] = []
    exact: list[str] = []
    after_dot = True
    for quoted, bare, dot in _PIECE.findall(stripped.removeprefix("/")):
        if bool(dot) == after_dot:
            raise ValueError(f"{text!r} is not a path: put single dots between names")
        after_dot = bool(dot)
        if not dot:
            parts.append(quoted or bare.strip())
        if quoted:
            exact.append(quoted)
    if not parts and absolute and stripped == "/":
        return Path(text, (), absolute=True)
    if (
        after_dot
        or not all(names.word(part) for part in parts if part not in exact)
        or stripped.count("`") % 2
    ):
        raise ValueError(
            f"{text!r} is not a path: separate names with dots, and quote a name with other characters in backticks"
        )
    return Path(text, tuple(parts), absolute, frozenset(exact))


def find(where: Path, node: Node) -> list[Node]:
    """Return the values at a path, from a node on, without empty ones. A list at its end is one value."""
    if not where.names:
        return [] if is_empty(node.value) else [node]
    nodes: list[Node] = []
    if isinstance(node.value, dict):
        if len(where.names) == 1:
            return _entry(where, node.value, node)
        if _leads_nowhere(where, node.value, node.reader):
            node.reader.spend(_STEP)
            return nodes
    _step(where, 0, node, nodes, _MAX_LEVELS)
    return nodes


def _entry(where: Path, value: dict[str, Any], node: Node) -> list[Node]:
    """Return an object's entry at a path of one part: what `_step` would find, without its detours."""
    node.reader.spend(_STEP)
    name: str | None = where.names[0]
    if name not in value or is_empty(value[name]):
        words = where.words[0]
        name = node.reader.index(value).get(words[0]) if words else None
    return [] if name is None else [Node(value[name], place_in(value, name, node.place), node.reader)]


def _leads_nowhere(where: Path, value: dict[str, Any], reader: Reader) -> bool:
    """Say quickly of an object that it has no key that begins a path: so it is with most paths and payloads."""
    return where.names[0] not in value and reader.index(value).keys().isdisjoint(where.words[0])


def _step(where: Path, at: int, node: Node, nodes: list[Node], levels: int) -> None:
    if at == len(where.names):
        if not is_empty(node.value) and len(nodes) < _MAX_NODES:
            nodes.append(node)
        return
    node.reader.spend(_STEP)
    for ways in _ways(where, at, node) if levels > 0 else ():
        before = len(nodes)
        for further, inner in ways:
            if len(nodes) >= _MAX_NODES:
                return
            _step(where, further, inner, nodes, levels - 1)
        if len(nodes) > before:
            return


def _ways(where: Path, at: int, node: Node) -> Iterator[Iterable[tuple[int, Node]]]:
    """Yield the possible steps into a value, best first: how many parts of the path each uses, and the next node."""
    value, _, reader = node
    if isinstance(value, str):
        if (inner := reader.inside(value, loose=True)) is not None:
            yield [(at, Node(inner, node.place, reader))]
    elif isinstance(value, dict):
        for further, name in _keys(where, at, value, reader):
            yield [(further, Node(value[name], place_in(value, name, node.place), reader))]
    elif isinstance(value, list):
        named = reader.named(value)
        for further, word in enumerate(where.words[at], at + 1):
            yield ((further, node.inside(content, *steps)) for _, content, steps in named.get(word, ()))
        yield (
            (at, node.inside(item, index))
            for index, item in enumerate(value)
            if isinstance(item, dict | list | str)
        )


def _keys(where: Path, at: int, value: dict[str, Any], reader: Reader) -> Iterator[tuple[int, str]]:
    """Yield the keys of an object that match the next parts of a path, exact ones first, and the number of parts."""
    exact = where.names[at]
    if exact in value and not is_empty(value[exact]):
        yield at + 1, exact
    words = where.words[at]
    index = reader.index(value) if words else {}
    for further, word in enumerate(words, at + 1):
        name = index.get(word)
        if name is not None and not (further == at + 1 and name == exact):
            yield further, name


def place_in(value: dict[str, Any], name: str, place: Place) -> Place:
    """Return the place of an object's entry."""
    return value.places[name] if isinstance(value, Merged) and name in value.places else (place, name)


def extended(place: Place, steps: tuple[str | int, ...]) -> Place:
    """Return the place some steps further in."""
    for step in steps:
        place = (place, step)
    return place


def shown(place: Place) -> str:
    """Return a place as text: `alerts[0].host.id`; a long one is cut in the middle."""
    parts: list[str] = []
    while place:
        place, part = place
        parts.append(f"[{part}]" if isinstance(part, int) else f".{part[:_MAX_PART]}")
    text = "".join(reversed(parts)).removeprefix(".")
    return text if len(text) <= _MAX_PLACE else f"{text[:20]}…{text[21 - _MAX_PLACE :]}"


def name_of(place: Place) -> str:
    """Return the key that a place is under, even with arrays in between; "" for the payload itself."""
    while place and isinstance(place[1], int):
        place = place[0]
    return str(place[1]) if place else ""
