"""The scan: finds the references of events, and the texts about them, anywhere in an unknown payload.

One walk over a value, linear in its size: objects and arrays up to `MAX_LEVELS` inside each other, JSON in strings
(`MAX_STRINGS` inside each other) and in log lines, name/value lists, tables, dotted keys, key=value text, and the
packed form `DeviceId|ReportId|Timestamp`. `names.py` has the names that
count; `grouping.py` decides which findings belong to one event.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.alerts import alert
from shared.payload import candidates, foreign, grouping, names, rows, texts, written
from shared.payload.grouping import MACHINE, REPORT, TIME, Finding, Group
from shared.payload.names import Meaning
from shared.payload.pairs import Entry, joined
from shared.payload.paths import Merged, Node, Place, extended, name_of, place_in, shown
from shared.payload.reader import Reader
from shared.payload.values import texts as texts_of

MAX_LEVELS = 20
"""Objects and arrays inside each other that are looked into: eight objects, each in an array, and a few more."""
MAX_STRINGS = 4
"""Decodings of JSON in strings inside each other: two levels, each encoded twice."""

_MAX_LOOKALIKES, _MAX_SHOWN = 200, 3  # of one key
_PAIRS = re.compile(r"\s*[\w.-]{1,60} ?=")  # begins a text that is assignments as a whole, and quotes nobody
_CHECK = 24  # steps: a value is read
_ROW = 8  # steps: what it costs to make an object of a row
_AROUND = "is a time outside the event: put Timestamp beside DeviceId and ReportId"
_ALONE = (
    "is a report id without a device id beside it, so it may be another product's: send DeviceId, ReportId and"
    " Timestamp of the event in one object"
)
_ANOTHER = "is the device id of something other than the event's device"
_TEXTS_OF_OTHERS = ("severity", "category", "title", "description", "recommendedAction")


@dataclass(frozen=True, slots=True)
class Scan:
    """The findings of a value, in groups: one for each event, or one without a report id, or none.

    `lookalikes`: for each key, values that only look like it, their places, and what they really are. `around`: the
    times of wrappers, which are not the event's.
    """

    groups: list[Group]
    lookalikes: Mapping[str, Mapping[str, str]]
    around: Collection[str] = ()

    def unlike(self, field: str) -> list[str]:
        """Return the beginning of a sentence about a key's nearest look-alikes: `agent.id is the agent id of …`."""
        known = self.lookalikes.get(field, {})
        return [f"{at} {known[at]}" for at in sorted(known, key=lambda at: (len(at), at))[:_MAX_SHOWN]]


def scan(node: Node, apart: Collection[int] = (), leave: Collection[Place] = ()) -> Scan:
    """Find the events anywhere in a value, except in objects whose `id()` is in `apart` and at places to leave out."""
    walk = _Walk(node.reader, apart, leave, node.place)
    groups = walk.groups(node.value, node.place, 0, 0, others=False)
    return Scan(groups, walk.lookalikes, walk.around)


def together(scans: Sequence[Scan], reader: Reader) -> Scan:
    """Return the findings of several parts of a payload that belong to one event."""
    if len(scans) == 1:
        return scans[0]
    lookalikes: dict[str, dict[str, str]] = {}
    for part in scans:
        for field, places in part.lookalikes.items():
            lookalikes.setdefault(field, {}).update(places)
    groups = grouping.of_object(grouping.without_quoted([part.groups for part in scans]), reader.spend)
    return Scan(groups, lookalikes, [time for part in scans for time in part.around])


def completed(groups: list[Group], outer: Scan, reader: Reader) -> list[Group]:
    """Return the groups of one of several alerts with the findings around all of them: texts, and keys for an event."""
    around = [group for group in outer.groups if not group.event]
    texts_only = [Group(texts=group.texts) for group in outer.groups]
    filled = []
    for group in groups or [Group()]:
        others = around if group.event else texts_only
        filled += grouping.complete(group, others, reader.spend)
    return filled


class _Walk:
    """One walk over a value."""

    def __init__(self, reader: Reader, apart: Collection[int], leave: Collection[Place], top: Place) -> None:
        self.lookalikes: dict[str, dict[str, str]] = {}
        self.around: set[str] = set()
        self._reader = reader
        self._spend = reader.spend
        self._apart = apart
        self._leave = leave
        self._top = top
        self._inside: list[Any] = []

    def groups(self, value: Any, place: Place, level: int, strings: int, *, others: bool) -> list[Group]:
        """Return the groups of a value: one for each event, or one without a report id, or none.

        `others`: it is inside an object that is not the alert, such as its device or a vulnerability.
        """
        kind = type(value)
        if kind is str:
            return self._text(value, place, level, strings, others=others)
        if (
            not value
            or level >= MAX_LEVELS
            or (kind is not dict and kind is not list and kind is not Merged)
            or id(value) in self._apart
        ):
            return []
        if kind is not list:
            if (text := written.text(value)) is not None:
                return self._text(text, place, level, strings, others=others)
            if indexed := rows.by_index(value):
                return self._rows(indexed, place, level, strings, others=others)
            entries = [(name, inner, place_in(value, name, place)) for name, inner in value.items()]
            return self._object(entries, value, place, level, strings, others=others)
        return self._array(value, place, level, strings, others=others)

    def _object(
        self,
        entries: Iterable[tuple[str, Any, Place]],
        where: dict[str, Any],
        place: Place,
        level: int,
        strings: int,
        *,
        others: bool,
    ) -> list[Group]:
        self._spend(2 + len(where))
        own = Group()
        inner: list[list[Group]] = []
        top = level == 0 or place is self._top
        name = name_of(place)
        parent = "" if top else name
        others = others or (not top and names.named_as("others", name))
        self._inside.append(where)
        for key, value, at in entries:
            if (self._leave and at in self._leave) or value is None or names.named_as("pasts", key):
                continue
            kind = type(value)
            deeper = kind is dict or kind is list or (kind is str and not names.named_as("commands", key))
            if deeper and (below := self.groups(value, at, level + 1, strings, others=others)):
                inner.append(below)
            for meaning in names.meanings(parent, key, top=top):
                if meaning.kind == "rows":
                    inner.append(self._table(where, place, level, strings, others=others))
                else:
                    self._note(own, meaning, key, value, at, where=where)
        self._inside.pop()
        if own.keys or own.wrong or own.texts:
            about = top or any(group.event for groups in inner for group in groups)
            self._own(own, where, name, others=others, about=about)
            inner.insert(0, [own])
        inner = grouping.without_quoted(inner)
        beside = [group for groups in inner for group in groups]
        self._leave_times(own, beside)
        for finding in foreign.devices(own, beside):
            self._unlike(MACHINE, finding.place, _ANOTHER)
        joined = grouping.of_object(inner, self._spend) if inner else []
        if not top and names.named_as("others", name) and not names.named_as("devices", name):
            for group in joined:
                group.lends = False
        return joined

    def _own(self, own: Group, where: dict[str, Any], name: str, *, others: bool, about: bool) -> None:
        """Decide whether an object's report id is an event's, and to what its texts belong.

        `about`: it is the document, or stands around an event.
        """
        own.bag = names.named_as("bags", name)
        own.lends = (
            own.bag or not name or names.named_as("devices", name) or names.named_as("eventLike", name)
        )
        own.prefer_own_times()
        for finding in foreign.dotted_times(own):
            self._unlike(TIME, finding.place, _AROUND)
        if reports := own.keys.get(REPORT):
            own.row, own.around = where, tuple(self._inside)
            event_like = own.bag or names.named_as("eventLike", name)
            sure = (
                any(finding.own for finding in reports.values())
                and TIME in own.keys
                and (MACHINE in own.wrong or any(names.named_as("columns", key) for key in where))
            )
            if MACHINE not in own.keys and not event_like and not sure:
                for finding in own.keys.pop(REPORT).values():
                    self._unlike(REPORT, finding.place, _ALONE)
        elif others:
            for field in _TEXTS_OF_OTHERS:
                own.texts.pop(field, None)
        if not (about or own.event):
            candidates.leave_anybodys(own, name)

    def _array(
        self, items: list[Any], place: Place, level: int, strings: int, *, others: bool
    ) -> list[Group]:
        self._spend(1 + (len(items) >> 2))
        if (pairs := self._reader.pairs(items)) is not None:
            entries = [(name, value, extended(place, steps)) for name, value, steps in pairs]
            return self._object(entries, joined(pairs), place, level, strings, others=others)
        if (read := self._reader.rows(items)) is not None:
            items = read
        inner = (
            self.groups(item, (place, index), level + 1, strings, others=others)
            for index, item in enumerate(items)
        )
        beside = [group for groups in inner for group in groups]
        self._leave_times(None, beside)
        return grouping.of_array(beside, self._spend)

    def _table(
        self, where: dict[str, Any], place: Place, level: int, strings: int, *, others: bool
    ) -> list[Group]:
        return self._rows(rows.rows(where), place, level, strings, others=others)

    def _rows(
        self, table: Iterable[list[Entry]], place: Place, level: int, strings: int, *, others: bool
    ) -> list[Group]:
        groups: list[Group] = []
        for row in table:
            self._spend(_ROW)
            entries = [(name, value, extended(place, steps)) for name, value, steps in row]
            groups += self._object(entries, joined(row), place, level + 1, strings, others=others)
        return grouping.of_array(groups, self._spend)

    def _text(self, value: str, place: Place, level: int, strings: int, *, others: bool) -> list[Group]:
        if len(value) < texts.SHORTEST or strings >= MAX_STRINGS:
            return []
        loose = "eport" in value or "EPORT" in value
        if (inner := self._reader.inside(value, loose=loose)) is not None:
            found = self.groups(inner, place, level, strings + 1, others=others)
            for group in found:
                group.quoted = group.quoted or (
                    self._reader.inside(value) is None and not _PAIRS.match(value)
                )
            return found
        packed = texts.packed(value) if "|" in value else None
        if packed and alert.canonical(MACHINE, packed["DeviceId"]):
            entries = [(name, inner, place) for name, inner in packed.items()]
            return self._object(entries, packed, place, level, strings, others=others)
        return []

    def _leave_times(self, own: Group | None, groups: Sequence[Group]) -> None:
        for text, finding in foreign.times(own, groups):
            self._unlike(TIME, finding.place, _AROUND)
            self.around.add(text)

    def _unlike(self, field: str, place: Place, reason: str) -> None:
        places = self.lookalikes.setdefault(field, {})
        if len(places) < _MAX_LOOKALIKES:
            places.setdefault(shown(place), reason)

    def _note_labelled(
        self, group: Group, where: dict[str, Any], name: str, label: Any, place: Place
    ) -> None:
        """Note the value that another entry, its label, names: CEF's custom fields."""
        if isinstance(label, str) and (value := where.get(name)) is not None:
            for meaning in names.meanings("", label.strip(), top=False):
                self._note(
                    group,
                    meaning,
                    label.strip(),
                    value,
                    place_in(where, name, place[0] if place else None),
                    where={},
                )

    def _note(
        self, group: Group, meaning: Meaning, name: str, value: Any, place: Place, *, where: dict[str, Any]
    ) -> None:
        """Note a value under a known name."""
        self._spend(_CHECK)
        if meaning.kind == "label":
            self._note_labelled(group, where, meaning.field, value, place)
            return
        if meaning.kind == "text":
            readings = candidates.readings(meaning.field, texts_of(value), meaning.scale)
            entries = [(meaning.rank, 0, text, place) for text in readings]
            if entries:
                group.add_texts(meaning.field, entries)
            return
        for text in texts_of(value):
            if meaning.kind == "lookalike":
                self._unlike(meaning.field, place, meaning.reason)
            elif canonical := alert.canonical(meaning.field, text):
                group.add(meaning.field, {canonical: Finding(text, place, names.is_defenders(name))})
            elif not meaning.rank:
                group.reject(meaning.field, Finding(text, place))
