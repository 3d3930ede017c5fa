"""Where the three keys of an event stand in a payload that nobody foresaw, and what else is told of it there.

One walk over the payload, linear in its size: objects and arrays up to `MAX_LEVELS` inside each other, JSON in
strings (`MAX_STRINGS` inside each other) and in log lines, key/value lists, tables of columns and rows, dotted
keys, key=value text, and the packed form `DeviceId|ReportId|Timestamp`. The names that count are in `names.py`;
what of it belongs to one event, says `grouping.py`.
"""

import html
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from shared.alerts import alert, vocabulary
from shared.payload import body as payload
from shared.payload import grouping, hunting, names, shapes
from shared.payload.grouping import Group, Place, Sighting
from shared.payload.names import Meaning

MAX_LEVELS = 20
"""Objects and arrays inside each other that are looked into: eight objects, each in an array, and some room."""
MAX_STRINGS = 4
"""Decodings of JSON in strings inside each other: two levels, each encoded twice."""

_OWN_TIME = "Timestamp"
_MAX_VALUES = 20  # of an array under a known name
_MAX_LOOKALIKES, _MAX_TOLD = 200, 3  # of one key
_MAX_TITLE = 300
_CHECK = 24  # steps: a value is read
_NEW_NAME = 4  # steps: a name is met for the first time
_BASE64 = frozenset(("ey", "ew", "W3", "Ww", "Wy"))  # the first letters of { and [ encoded, whatever follows
_VALUES = ("value", "Value", "$date", "$numberLong", "stringValue", "intValue", "string", "long", "S", "N")
_SHORTEST = len('{"a":1}')
_RECORD = re.compile(r'["{]|\[\s*["{\[]|[^\n]{0,300}\{"')
_PYTHON = (("'", '"'), (": None", ": null"), (": True", ": true"), (": False", ": false"))
_AROUND = "is a time of what the event came in, not beside its DeviceId and ReportId"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a value.

    `events`: at least one, though it may lack every key. Each has the entries of its row (the object its report id
    stands in), and `found`: the values of the keys, texts by what they are (`title`, `severity`, `device`, `link`,
    …), `at` with the places of the keys, and `differ` with a sentence for each key that has several values.
    `lookalikes`: for each key, what is easily taken for it, where it stands, and what it is instead. `around`: the
    times of wrappers, which are none of the event's.
    """

    events: list[dict[str, Any]]
    lookalikes: Mapping[str, Sequence[str]]
    around: Collection[str] = ()


def look(value: Any, spend: Callable[[int], None]) -> Seen:
    """Look for events anywhere in a value. `spend` is told the steps it costs, and may raise."""
    walk = _Walk(spend)
    groups = walk.groups(value, None, 0, 0) or [Group(row=value if isinstance(value, dict) else {})]
    return Seen(
        [_event(group) for group in groups],
        {
            name: [f"{at} {told[at]}" for at in sorted(told, key=lambda at: (len(at), at))[:_MAX_TOLD]]
            for name, told in walk.lookalikes.items()
        },
        walk.around,
    )


class _Walk:
    """One walk over a value. `lookalikes`: for each key, the places of what is not it, and what that is."""

    def __init__(self, spend: Callable[[int], None]) -> None:
        self.lookalikes: dict[str, dict[str, str]] = {}
        self.around: set[str] = set()
        self._spend = spend
        self._known: dict[tuple[str, bool], dict[str, tuple[Meaning, ...]]] = {}

    def groups(self, value: Any, place: Place, level: int, strings: int) -> list[Group]:
        """Return what is known in a value: one group for each event, or one without a report id, or none."""
        kind = type(value)
        if kind is str:
            return self._text(value, place, level, strings)
        if kind is dict and value and level < MAX_LEVELS:
            return self._object(value, place, level, strings)
        if kind is list and value and level < MAX_LEVELS:
            return self._array(value, place, level, strings)
        return []

    def _object(self, where: Mapping[str, Any], place: Place, level: int, strings: int) -> list[Group]:
        self._spend(2 + (len(where) >> 1))
        own = Group()
        inner: list[list[Group]] = []
        parent, top = _name(place), place is None
        known = self._known.setdefault((parent, top), {})
        for name, value in where.items():
            kind = type(value)
            if value and (kind is dict or kind is list or kind is str):
                if found := self.groups(value, (place, name), level + 1, strings):
                    inner.append(found)
            elif value is None:
                continue
            if (meant := known.get(name)) is None:
                self._spend(_NEW_NAME)
                meant = known[name] = names.meanings(parent, name, top=top)
            for meaning in meant:
                if meaning.kind == "rows":
                    inner.append(self.groups(shapes.rows(where), (place, name), level + 1, strings))
                elif meaning.kind == "label":
                    self._note_labelled(own, where, meaning.field, value, place)
                else:
                    self._note(own, meaning, name, value, place)
        if own.keys or own.wrong or own.texts:
            own.row = where
            own.prefer_own_times()
            inner.insert(0, [own])
        self._leave_times(own, [group for groups in inner for group in groups])
        return grouping.of_object(inner, self._spend) if inner else []

    def _array(self, items: list[Any], place: Place, level: int, strings: int) -> list[Group]:
        self._spend(1 + (len(items) >> 2))
        if (named := shapes.named(items)) is not None:
            return self._object(named, place, level, strings)
        inner = (self.groups(item, (place, index), level + 1, strings) for index, item in enumerate(items))
        found = [group for groups in inner for group in groups]
        self._leave_times(None, found)
        return grouping.of_array(found, self._spend)

    def _text(self, value: str, place: Place, level: int, strings: int) -> list[Group]:
        if len(value) < _SHORTEST or strings >= MAX_STRINGS:
            return []
        if (inner := self._inside(value)) is not None:
            return self.groups(inner, place, level, strings + 1)
        packed = shapes.unpack(value) if "|" in value else None
        if packed and alert.canonical(grouping.MACHINE, packed["DeviceId"]):
            return self._object(packed, place, level, strings)
        return []

    def _inside(self, text: str) -> Any:
        """Return what a text holds: JSON, also as base64 or within a log line, or assignments; else None."""
        if text[:3] in ("%7B", "%7b", "%5B", "%5b"):
            text = unquote_plus(text)
        if "&quot;" in text:
            text = html.unescape(text)
        start = text[0] if text[0] > " " else text.lstrip()[:1]
        inner: Any = None
        if start in ("{", "[", '"'):
            self._spend(len(text) >> 4)
            inner = payload.parse(text) or (payload.parse(_json(text)) if "'" in text[1:3] else None)
        elif text[:2] in _BASE64:
            inner = payload.parse(payload.from_base64(text) or "")
        if inner is None and ("eport" in text or "EPORT" in text):
            self._spend(len(text) >> 4)
            inner = payload.embedded(text) or shapes.listed(text) | shapes.assigned(text)
        return inner

    def _leave_times(self, own: Group | None, groups: Sequence[Group]) -> None:
        """Leave out the times of what is around and beside an event that has none: they are not the event's.

        Of the object around an event that lacks nothing else that is any time, otherwise those under the name that
        everybody uses for times.
        """
        timeless = [group for group in groups if group.event and grouping.TIME not in group.keys]
        whole = any(grouping.MACHINE in group.keys for group in timeless)
        for group in groups if timeless else ():
            if group.event or grouping.TIME not in group.keys:
                continue
            every = whole and group is own and grouping.MACHINE not in group.keys
            for text, one in group.keys.pop(grouping.TIME).items():
                if every or (one.place and names.is_anybodys(str(one.place[1]))):
                    self._unlike(grouping.TIME, one.place, _AROUND)
                    self.around.add(text)
                else:
                    group.add(grouping.TIME, {text: one})

    def _unlike(self, field: str, place: Place, reason: str) -> None:
        places = self.lookalikes.setdefault(field, {})
        if len(places) < _MAX_LOOKALIKES:
            places.setdefault(grouping.shown(place), reason)

    def _note_labelled(
        self, group: Group, where: Mapping[str, Any], name: str, label: Any, place: Place
    ) -> None:
        """Note the value that another entry, its label, names: CEF's custom fields."""
        if isinstance(label, str) and (value := where.get(name)) is not None:
            for meaning in names.meanings("", label.strip(), top=False):
                self._note(group, meaning, name, value, place)

    def _note(self, group: Group, meaning: Meaning, name: str, value: Any, place: Place) -> None:
        """Note what stands under a name that means something."""
        self._spend(_CHECK)
        told = _scalars(value)
        if meaning.kind == "text":
            group.tell(
                meaning.field, ((meaning.rank, 0, text) for text in told if _suits(meaning.field, text))
            )
            return
        for text in told:
            if meaning.kind == "lookalike":
                self._unlike(meaning.field, (place, name), meaning.reason)
            elif canonical := alert.canonical(meaning.field, text):
                sighting = Sighting(text, (place, name), name.rpartition(".")[2] == _OWN_TIME)
                group.add(meaning.field, {canonical: sighting})
            elif not meaning.rank:
                group.reject(meaning.field, Sighting(text, (place, name)))


def _json(text: str) -> str:
    """Return what Python prints of an object as JSON, as far as that can be told: `{'a': None}`."""
    for theirs, ours in _PYTHON:
        text = text.replace(theirs, ours)
    return text


def _event(group: Group) -> dict[str, Any]:
    found = grouping.described(group)
    for name, texts in group.texts.items():
        if best := _best(name, texts):
            found[name] = best
    row = (
        {"Table": hunting.table({"Table": found["table"]}), **group.row}
        if "table" in found
        else dict(group.row)
    )
    return row | {"found": found}


def _best(name: str, texts: list[tuple[int, int, str]]) -> Any:
    """Return the text under the most telling name; of severities and categories the first that we understand."""
    ranked = [text for _, _, text in sorted(texts)]
    for text in ranked if name in ("severity", "category") else ():
        try:
            word = vocabulary.severity(text) if name == "severity" else vocabulary.category([text])
        except ValueError:
            continue
        if word.text != vocabulary.NO_EQUAL:
            return text
    return ranked[0] if ranked else None


def _suits(name: str, text: str) -> bool:
    """Say whether a text can be what its name tells: a link is a URL, a table one of Defender's."""
    if name == "link":
        return text.startswith(("https://", "http://"))
    if name == "table":
        return hunting.table({"Table": text}) is not None
    if name == "category":
        return hunting.table({"Table": text}) is None
    if name in ("title", "description") and _RECORD.match(text):
        return False  # a record, which is read for what is in it
    if name in alert.MAX_LENGTHS and shapes.says_nothing(text):
        return False
    return name not in ("title", "device") or len(text) <= _MAX_TITLE


def _scalars(value: Any) -> list[str]:
    """Return the texts and numbers under a name: one, those of an array, or the `value` of an object."""
    if isinstance(value, str):
        if value[:1] == "[" and isinstance(inner := payload.parse(value), list):
            return _scalars(inner)
        text = value.strip().strip('"')
        return [text] if text else []
    if isinstance(value, list):
        return [
            text for item in value[:_MAX_VALUES] if isinstance(item, str) for text in [item.strip()] if text
        ]
    if isinstance(value, dict) and len(value) <= 2:  # noqa: PLR2004  # a value, and perhaps its type
        inner = next((value[name] for name in _VALUES if name in value), None)
        return _scalars(inner) if isinstance(inner, str) else []
    return []


def _name(place: Place) -> str:
    """Return the key that a place is under, whatever arrays are between."""
    while place and isinstance(place[1], int):
        place = place[0]
    return str(place[1]) if place else ""
