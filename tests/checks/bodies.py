"""Bodies of exactly a mebibyte (or less), composed of whatever may be expensive, as a recipe tells.

Every choice is a number of the recipe, so a body can be built again and changed a little. A part gets the space
it has and fills it; approved payloads are the soil that such parts grow in.
"""

import base64
import functools
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from bench.ground import BYTES
from tests.checks import approve

Recipe = tuple[int, ...]
"""Choices in the order in which they are made."""

_LEVELS = 5  # parts inside each other
_EVENTS = 100
_DEPTHS = (1, 2, 4, 8, 16, 30, 50, 56, 60)
_COUNTS = (2, 5, 10, 20, 50, 99, 100, 300, 1_000, 5_000)
_ENCODINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "a form": quote_plus,
    "a log line": lambda text: f"<13>Jul 18 15:02:20 h: {text} ReportId",
}
_DATA = json.loads(Path(__file__).with_suffix(".json").read_bytes())


def body(recipe: Recipe, size: int = BYTES) -> tuple[bytes, Recipe]:
    """Return the body of a recipe, padded to so many bytes, and the choices that were made for it."""
    space = size
    for _ in range(12):
        made = _Shape(recipe)
        text = _numbers(json.dumps(made.document(space), ensure_ascii=False)).encode("utf-8", "replace")
        if len(text) <= size:
            return text.ljust(size), tuple(made.choices)
        space = int(space * min(0.95, size / len(text)))
    return b"{}".ljust(size), tuple(made.choices)


def described(recipe: Recipe) -> str:
    """Return the parts of a recipe's body in words."""
    made = _Shape(recipe)
    made.document(1_000)
    return ", ".join(made.parts)


def _numbers(text: str) -> str:
    """Put in the numbers that are longer than Python prints."""
    return re.sub(r'"@@(\d+)@@"', lambda number: "1" * int(number[1]), text)


@functools.cache
def _approved() -> tuple[tuple[tuple[str, Any], ...], ...]:
    """Return the approved payloads that are JSON, with their names, by source."""
    by_source: dict[str, list[tuple[str, Any]]] = {}
    for pair in approve.pairs():
        with suppress(ValueError):
            document = json.loads(pair.payload.read_bytes())
            by_source.setdefault(pair.payload.parent.name, []).append((pair.name, document))
    return tuple(map(tuple, by_source.values()))


@functools.cache
def _names() -> tuple[str, ...]:
    """Return names that sources read: the ones above, and the keys of the approved payloads."""
    documents = [document for source in _approved() for _, document in source]
    keys = (at for around, at in _places(documents) if isinstance(around, dict))
    return tuple(dict.fromkeys((*_DATA["names"], *keys)))


def _reference(number: int) -> dict[str, Any]:
    return {
        "DeviceId": f"{number % 3:040x}",
        "ReportId": str(number),
        "Timestamp": "2026-01-01T00:00:00.1234567Z",
    }


class _Shape:
    """One body in the making: the choices made so far, and what they are called."""

    def __init__(self, recipe: Recipe) -> None:
        self._given = iter(recipe)
        self.choices: list[int] = []
        self.parts: list[str] = []

    def document(self, space: int) -> Any:
        """Return the document of a body."""
        tops = (self._inflated, self._inflated, self._common, self._events, self._part, self._inflated)
        return self._one_of(tops)(space, 0)

    def _draw(self, among: int) -> int:
        choice = next(self._given, 0) % among
        self.choices.append(choice)
        return choice

    def _one_of(self, options: Sequence[Any]) -> Any:
        return options[self._draw(len(options))]

    def _name(self) -> str:
        often = self._draw(2)
        return str(self._one_of(_names() if often else _DATA["names"]))

    def _part(self, space: int, level: int) -> Any:
        parts = _LEAVES if level >= _LEVELS else _PARTS
        part = self._one_of(parts)
        self.parts.append(part.__name__.strip("_"))
        return part(self, max(space, 1), level + 1)

    def _describe(self, detail: object) -> None:
        self.parts[-1:] = [f"{self.parts[-1] if self.parts else ''} {str(detail)[:24]!r}".strip()]

    # What holds events

    def _inflated(self, space: int, level: int) -> Any:
        """Return an approved payload with a hundred of its events, say, and parts filled up."""
        name, document = self._one_of(self._one_of(_approved()))
        self.parts.append(name)
        copy = json.loads(json.dumps(document))
        if self._draw(3):
            self._repeat(copy)
        parts = 1 + self._draw(2)
        for _ in range(parts):
            self._grow(copy, (space - len(json.dumps(copy))) // parts, level)
        return copy if self._draw(3) else [copy]

    def _repeat(self, document: Any) -> None:
        lists = [inner for around, at in _places(document) if isinstance(inner := around[at], list) and inner]
        if lists:
            events = self._one_of(lists)
            events[:] = (events * _EVENTS)[: self._one_of((_EVENTS, 99, 50, 10))]
            self._describe(f"{len(events)} times")

    def _grow(self, document: Any, space: int, level: int) -> None:
        """Put a part into an object of a document, under one name or many, or in the place of what is there."""
        places = [(around, at) for around, at in _places({"": document}) if isinstance(around[at], dict)]
        around, at = self._one_of(places or [({"": {}}, "")])
        value = around[at]
        if self._draw(4) or not value:
            names = self._one_of(((self._name(),), _DATA["names"]))
            self._describe(f"{at} + {names[0] if len(names) == 1 else 'all'}")
            value |= dict.fromkeys(names, self._part(space // len(names) - 20, level))
        else:
            name = self._one_of(tuple(value))
            self._describe(f"{at} {name}")
            value[name] = self._part(space, level)

    def _common(self, space: int, level: int) -> Any:
        """Return a big value that a hundred events share."""
        events = [_reference(number) for number in range(self._one_of((_EVENTS, 99, 10, 1)))]
        name = self._name()
        self.parts.append(f"shared {name}")
        big = {name: self._part(space - 200 * len(events), level)}
        return {
            self._one_of(_DATA["around"]): big,
            self._one_of(_DATA["lists"]): events,
            **(big if self._draw(2) else {}),
        }

    def _events(self, space: int, level: int) -> Any:
        """Return a list of events, each with a part of its own."""
        count = self._one_of((_EVENTS, 99, 10, 1, 2))
        name = self._name()
        self.parts.append(f"{count} events with {name}")
        extra = self._part(space // count - 150, level)
        events = [{**_reference(number), name: extra} for number in range(count)]
        return self._one_of((events, {self._one_of(_DATA["lists"]): events, "x": 1}))

    # Containers

    def _nested(self, space: int, level: int) -> Any:
        """Return a part within arrays or objects of one element, as deep as chosen."""
        depth, name = self._one_of(_DEPTHS), self._name() if self._draw(3) == 1 else ""
        self._describe(f"{depth} {name or 'arrays'}")
        depth = min(depth, 1 + space // 20)
        value = self._part(space - (len(name) + 6) * depth, level)
        for _ in range(depth):
            value = {name: value} if name else [value]
        return value

    def _copies(self, space: int, level: int) -> Any:
        count = min(self._one_of(_COUNTS), 1 + space // 4)
        self._describe(count)
        return [self._part(space // count - 2, level)] * count

    def _smalls(self, space: int, _: int) -> Any:
        small = self._one_of(_DATA["small"])
        self._describe(small)
        return [small] * (space // (len(json.dumps(small)) + 2))

    def _numbered(self, space: int, _: int) -> Any:
        make = self._one_of((lambda at: {"name": f"n{at}", "value": f"v{at}"}, _reference))
        return [make(at) for at in range(space // (len(json.dumps(make(0))) + 6))]

    def _keys(self, space: int, _: int) -> Any:
        key, small = self._one_of(_DATA["keys"]), self._one_of(_DATA["small"])
        self._describe(f"{key}: {small}")
        count = space // (len(json.dumps(key.replace("{}", "100000"))) + len(json.dumps(small)) + 4)
        return {key.replace("{}", str(at)): small for at in range(count)}

    def _several(self, space: int, level: int) -> Any:
        names = [self._name() for _ in range(1 + self._draw(4))]
        self._describe(" ".join(names))
        return {name: self._part(space // len(names) - len(name), level) for name in names}

    def _pairs(self, space: int, level: int) -> Any:
        count = min(self._one_of(_COUNTS), 1 + space // 50)
        names = self._one_of((("name", "value"), ("key", "values"), ("type", "content")))
        value = self._part(space // count - 40, level)
        label = self._name()
        return [{names[0]: f"n{at}" if at % 2 else label, names[1]: value} for at in range(count)]

    def _table(self, space: int, level: int) -> Any:
        width = min(self._one_of((1, 3, 10, 100, 2_000)), 1 + space // 30)
        columns = [*("DeviceId", "ReportId", "Timestamp"), *(f"c{at}" for at in range(width))][:width]
        named = self._draw(2)
        cell = self._part(20, level) if self._draw(2) else self._one_of(_DATA["small"])
        row = [cell] * width
        rows = [row] * max(1, (space - 20 * width) // (len(json.dumps(row)) + 2))
        return {
            "columns": [{"name": name, "type": "string"} for name in columns] if named else columns,
            self._one_of(("rows", "values", "data")): rows,
        }

    # Texts

    def _run(self, space: int, _: int) -> str:
        start, unit = self._one_of(_DATA["starts"]), self._one_of(_DATA["runs"])
        self._describe(start + unit)
        return str(start + unit * (space // len(json.dumps(unit, ensure_ascii=False).encode()[1:-1])))

    def _digits(self, space: int, _: int) -> str:
        return f"@@{space}@@" if self._draw(2) else "1" * space

    def _json(self, space: int, level: int) -> str:
        times = 1 + self._draw(4)
        self._describe(times)
        text = self._part(space // 2**times, level)
        for _ in range(times):
            text = json.dumps(text, ensure_ascii=False)
        return _numbers(str(text))

    def _encoded(self, space: int, level: int) -> str:
        name = self._one_of(tuple(_ENCODINGS))
        self._describe(name)
        return _ENCODINGS[name](json.dumps(self._part(space // 2, level)))

    def _printed(self, space: int, _: int) -> str:
        start, row, end = self._one_of(_DATA["printed"])
        self._describe(row)
        written = len(row) + row.count('"') + row.count("\n")
        return str(start + row * ((space - len(start) - len(end)) // written) + end)


def _places(value: Any) -> list[tuple[Any, Any]]:
    places: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, inner in items:
        places += [(value, at), *_places(inner)]
    return places


_LEAVES = (_Shape._run, _Shape._digits, _Shape._printed, _Shape._smalls, _Shape._keys, _Shape._numbered)
_PARTS = (
    *_LEAVES,
    *(_Shape._nested, _Shape._nested, _Shape._nested, _Shape._copies, _Shape._several, _Shape._pairs),
    *(_Shape._table, _Shape._json, _Shape._encoded, _Shape._encoded, _Shape._encoded),
)
