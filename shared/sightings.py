"""Where the three keys of an event stand in a payload that nobody foresaw, and what else is told of it there.

One walk over the payload, linear in its size: objects and arrays up to `MAX_LEVELS` inside each other, JSON in
strings (`MAX_STRINGS` inside each other) and in log lines, key/value lists, tables of columns and rows, dotted
keys, key=value text, and the packed form `DeviceId|ReportId|Timestamp`. Nothing is guessed:

    an event     is what stands around one report id; elements of an array that have one each are events of
                 their own, and share what stands outside of the array
    agreement    equal values are one; of a time and its truncated copy the exact one is taken
    own time     a time outside of an event that has its own is the envelope's, unless it is called Timestamp
    conflict     any other difference is told, with both places

The names that count are in `names.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared import alert, hunting, names, payload, shapes, vocabulary
from shared.names import Meaning

MAX_LEVELS = 20
"""Objects and arrays inside each other that are looked into: eight objects, each in an array, and some room."""
MAX_STRINGS = 4
"""Decodings of JSON in strings inside each other: two levels, each encoded twice."""

_MACHINE, _TIME, _REPORT = shapes.KEYS
_OWN_TIME = "Timestamp"
_MAX_VALUES = 20  # of an array under a known name
_MAX_TEXTS = 8  # of one field, told of one event
_MAX_TOLD = 3  # look-alikes of one key
_MAX_PLACE = 120
_MAX_TITLE = 300
_CHECK = 4  # steps: a value is read
_SHORTEST = len('{"a":1}')

Place = tuple[Any, str | int] | None
"""A path as a linked list, so that it costs nothing until it is told: (the place around it, key or index)."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A value under a known name. `own` if that is the name Defender itself gives it."""

    value: str
    place: Place
    own: bool


@dataclass(slots=True)
class Group:
    """What seems to belong together: valid values of the keys by their canonical form, and texts by rank."""

    keys: dict[str, dict[str, Sighting]] = field(default_factory=dict)
    wrong: dict[str, Sighting] = field(default_factory=dict)
    texts: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def event(self) -> tuple[frozenset[str], frozenset[str]] | None:
        """What names the event this is about, or None: an event is what stands around a report id."""
        reports = self.keys.get(_REPORT)
        return (frozenset(reports), frozenset(self.keys.get(_MACHINE, ()))) if reports else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a value.

    `events`: at least one, though it may lack every key. Each has the entries of its row (the object its report id
    stands in), and `found`: the values of the keys, texts by what they are (`title`, `severity`, `device`, `link`,
    …), `at` with the places of the keys, and `differ` with a sentence for each key that has several values.
    `lookalikes`: for each key, what is easily taken for it, where it stands, and what it is instead.
    """

    events: list[dict[str, Any]]
    lookalikes: Mapping[str, Sequence[str]]


def look(value: Any, spend: Callable[[int], None]) -> Seen:
    """Look for events anywhere in a value. `spend` is told the steps it costs, and may raise."""
    walk = _Walk(spend)
    groups = walk.groups(value, None, 0, 0) or [Group(row=value if isinstance(value, dict) else {})]
    return Seen(
        [_event(group) for group in groups],
        {name: [f"{at} {why}" for at, why in told.items()] for name, told in walk.lookalikes.items()},
    )


def agree(name: str, one: str, other: str) -> bool:
    """Say whether two values of a key mean the same: equal, or a time and its truncated copy."""
    here, there = (alert.canonical(name, value) for value in (one, other))
    if here is None or there is None:
        return False
    return here == there or (name == _TIME and (_is_part(here, there) or _is_part(there, here)))


class _Walk:
    """One walk over a value. `lookalikes`: for each key, the places of what is not it, and what that is."""

    def __init__(self, spend: Callable[[int], None]) -> None:
        self.lookalikes: dict[str, dict[str, str]] = {}
        self._spend = spend
        self._known: dict[tuple[str, str, bool], tuple[Meaning, ...]] = {}

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
        self._spend(1 + (len(where) >> 1))
        own = Group()
        inner: list[list[Group]] = []
        parent = _name(place)
        for name, value in _entries(where).items():
            if value is None:
                continue
            if found := self.groups(value, (place, name), level + 1, strings):
                inner.append(found)
            for meaning in self._meaning(parent, name, top=place is None):
                self._note(own, meaning, name, value, place)
        times = own.keys.get(_TIME, {})
        if any(one.own for one in times.values()):
            own.keys[_TIME] = {text: one for text, one in times.items() if one.own}
        if own.keys or own.wrong or own.texts:
            own.row = where
            inner.insert(0, [own])
        return self._beside(inner)

    def _array(self, items: list[Any], place: Place, level: int, strings: int) -> list[Group]:
        self._spend(1 + (len(items) >> 2))
        if (named := shapes.named(items)) is not None:
            return self._object(named, place, level, strings)
        inner = (self.groups(item, (place, index), level + 1, strings) for index, item in enumerate(items))
        found = [group for groups in inner for group in groups]
        return self._events(found) if found else []

    def _text(self, value: str, place: Place, level: int, strings: int) -> list[Group]:
        if len(value) < _SHORTEST or strings >= MAX_STRINGS:
            return []
        start = value[0] if value[0] > " " else value.lstrip()[:1]
        if start in ("{", "[", '"'):
            self._spend(len(value) >> 4)
            if (inner := payload.parse(value)) is not None:
                return self.groups(inner, place, level, strings + 1)
        if (
            "|" in value
            and (packed := shapes.unpack(value))
            and alert.canonical(_MACHINE, packed["DeviceId"])
        ):
            return self._object(packed, place, level, strings)
        if "eport" not in value and "EPORT" not in value:
            return []
        self._spend(len(value) >> 4)
        inner = payload.embedded(value) or ("=" in value and shapes.assigned(value))
        return self.groups(inner, place, level, strings + 1) if inner else []

    def _meaning(self, parent: str, name: str, *, top: bool) -> tuple[Meaning, ...]:
        key = (parent, name, top)
        if (found := self._known.get(key)) is None:
            found = self._known[key] = names.meanings(parent, name, top=top)
        return found

    def _note(self, group: Group, meaning: Meaning, name: str, value: Any, place: Place) -> None:
        """Note what stands under a name that means something."""
        self._spend(_CHECK)
        told = _scalars(value)
        if meaning.kind == "text":
            entries = group.texts.setdefault(meaning.field, [])
            entries += [(meaning.rank, text) for text in told if _suits(meaning.field, text)]
            return
        for text in told:
            if meaning.kind == "lookalike":
                places = self.lookalikes.setdefault(meaning.field, {})
                if len(places) < _MAX_TOLD:
                    places.setdefault(_shown((place, name)), meaning.reason)
            elif canonical := alert.canonical(meaning.field, text):
                sighting = Sighting(text, (place, name), name.rpartition(".")[2] == _OWN_TIME)
                group.keys.setdefault(meaning.field, {}).setdefault(canonical, sighting)
            elif not meaning.rank:
                group.wrong.setdefault(meaning.field, Sighting(text, (place, name), own=False))

    def _events(self, found: list[Group]) -> list[Group]:
        """Return the groups of an array: one for each event, sharing what the other elements tell."""
        events: dict[Any, Group] = {}
        rest: list[Group] = []
        for group in found:
            if group.event:
                events.setdefault((group.event, frozenset(group.keys.get(_TIME, ()))), group)
            else:
                rest.append(group)
        return self._shared(list(events.values()), rest) if events else [self._merged(rest)]

    def _beside(self, found: list[list[Group]]) -> list[Group]:
        """Return the groups of an object. Events in two of its entries must be the same, or they conflict."""
        joined: list[Group] = []
        rest: list[Group] = []
        for groups in found:
            if not groups[0].event:
                rest += groups
            elif not joined:
                joined = groups
            else:
                joined = self._matched(joined, groups)
        return self._shared(joined, rest) if joined else [self._merged(rest)] if rest else []

    def _matched(self, some: list[Group], others: list[Group]) -> list[Group]:
        if len(some) < len(others):
            some, others = others, some
        same = {group.event: group for group in others}
        if len(some) > 1 and same.keys() <= {group.event for group in some}:
            return [self._merged([one, same[one.event]]) if one.event in same else one for one in some]
        return [self._merged([*some, *others])]

    def _shared(self, found: list[Group], rest: list[Group]) -> list[Group]:
        """Return events with what stands outside of them added where they lack it, or where it differs."""
        if not rest:
            return found
        outer = self._merged(rest)
        inside = {name: set().union(*(one.keys.get(name, ()) for one in found)) for name in outer.keys}
        self._spend(len(found) * sum(map(len, outer.keys.values())))
        return [self._completed(group, outer, inside) for group in found]

    def _completed(self, group: Group, outer: Group, inside: Mapping[str, set[str]]) -> Group:
        keys = dict(group.keys)
        for name, values in outer.keys.items():
            mine = keys.get(name, {})
            keys[name] = mine | {
                text: one
                for text, one in values.items()
                if not mine or _adds(name, text, one, mine, inside[name])
            }
        texts = {
            name: (group.texts.get(name, []) + outer.texts.get(name, []))[:_MAX_TEXTS]
            for name in group.texts.keys() | outer.texts.keys()
        }
        return Group(keys, outer.wrong | group.wrong, texts, group.row)

    def _merged(self, found: Iterable[Group]) -> Group:
        groups = list(found)
        if len(groups) == 1:
            return groups[0]
        joined = Group()
        for group in groups:
            self._spend(1 + sum(map(len, group.keys.values())))
            for name, values in group.keys.items():
                mine = joined.keys.setdefault(name, {})
                for text, one in values.items():
                    mine.setdefault(text, one)
            joined.wrong = group.wrong | joined.wrong
            for name, texts in group.texts.items():
                entries = joined.texts.setdefault(name, [])
                entries += texts[: _MAX_TEXTS - len(entries)]
            if group.event and len(group.row) > len(joined.row):
                joined.row = group.row
        return joined


def _adds(name: str, text: str, one: Sighting, mine: Mapping[str, Sighting], inside: set[str]) -> bool:
    """Say whether a value outside of an event tells something of it: the exact time, or a difference."""
    if text in mine:
        return False
    if name != _TIME:
        return text not in inside
    if any(_is_part(text, other) or _is_part(other, text) for other in mine):
        return True
    return one.own and not any(_is_part(text, other) or _is_part(other, text) for other in inside)


def _is_part(time: str, of: str) -> bool:
    """Say whether a time is another one with digits cut off."""
    return of.rstrip("Z").startswith(time.rstrip("Z"))


def _event(group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {"at": {}, "differ": {}}
    for name in shapes.KEYS:
        values = dict(group.keys.get(name, {}))
        if name == _TIME:
            if not group.event and len(values) > 1:  # without a report id these are the times of anything
                values = {text: one for text, one in values.items() if one.own}
            values = {
                text: one
                for text, one in values.items()
                if not any(text != other and _is_part(text, other) for other in values)
            }
        if len(values) > 1:
            places = "; ".join(
                f"{alert.shown(one.value)} at {_shown(one.place)}" for one in [*values.values()][:_MAX_TOLD]
            )
            found["differ"][name] = f"has {len(values)} different values: {places}."
        elif one := next(iter(values.values()), group.wrong.get(name)):
            found[name], found["at"][name] = one.value, _shown(one.place)
    for name, texts in group.texts.items():
        if best := _best(name, texts):
            found[name] = best
    row = {"Table": found["table"], **group.row} if "table" in found else dict(group.row)
    return row | {"found": found}


def _best(name: str, texts: list[tuple[int, str]]) -> Any:
    """Return the text under the most telling name; of severities and categories the first that we understand."""
    ranked = [text for _, text in sorted(texts, key=lambda one: one[0])]
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
    return name not in ("title", "device") or len(text) <= _MAX_TITLE


def _entries(where: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the entries of an object, with custom fields under their labels, and a table's rows as objects."""
    more = shapes.labelled(where)
    if "rows" in where or "Rows" in where:
        more["rows"] = more["Rows"] = shapes.rows(where)
    return {**where, **more} if more else where


def _scalars(value: Any) -> list[str]:
    """Return the texts and numbers under a name: one, those of an array, or the `value` of an object."""
    if isinstance(value, str):
        if value[:1] == "[" and isinstance(inner := payload.parse(value), list):
            return _scalars(inner)
        return [value.strip()] if value.strip() else []
    if isinstance(value, list):
        return [
            text for item in value[:_MAX_VALUES] if isinstance(item, str) for text in [item.strip()] if text
        ]
    if isinstance(value, dict) and len(value) <= 2:  # noqa: PLR2004  # a value, and perhaps its type
        inner = value.get("value", value.get("Value"))
        return _scalars(inner) if isinstance(inner, str) else []
    return []


def _name(place: Place) -> str:
    """Return the key that a place is under, whatever arrays are between."""
    while place and isinstance(place[1], int):
        place = place[0]
    return str(place[1]) if place else ""


def _shown(place: Place) -> str:
    parts: list[str] = []
    while place:
        place, part = place
        parts.append(f"[{part}]" if isinstance(part, int) else f".{part[:40]}")
    text = "".join(reversed(parts)).removeprefix(".")
    return text if len(text) <= _MAX_PLACE else f"{text[:20]}…{text[-(_MAX_PLACE - 21) :]}"
