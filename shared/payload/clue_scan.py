"""Reads the clues of an event out of a payload, under the names that products use, each with its place.

One walk, linear in the payload, gathers readings: objects, arrays, tables, lists of names and values, entities of a
type, and JSON or assignments in texts are entered. Which readings are the clues, says `clue_choice.py`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from shared.payload import clue_choice, clue_names, clue_values, names, rows
from shared.payload.clue_choice import ClueScan
from shared.payload.clue_names import Meaning
from shared.payload.clue_readings import Reading
from shared.payload.paths import Node, Place, extended, place_in
from shared.payload.values import texts

_MAX_LEVELS = 20
_MAX_TEXT = 32_768
_MAX_READINGS = 100  # different ones of a field
_TRAIL = 5  # names above a value that may say what it is
_LOOSE = 500  # how much less counts what only a text for people says
_DEVICES = (
    "device_id",
    "end_id",
    "entra_id",
    "host",
    "source",
    "destination",
    "agent",
    "reporter",
    "transport",
)
_WEAK = ("agent", "reporter", "transport")  # a device that only brought the event
_ACCOUNTS = (
    "account",
    "account_domain",
    "account_sid",
    "subject_account",
    "subject_domain",
    "subject_sid",
    "account_upn",
)
_LINKS = ("$id", "$ref")  # of entities
_PROGRAMS = ("process_name", "process_path", "file_name", "file_path", "actor_name", "actor_path")
_NAMED = -1  # the rank of what a source's file names
_TIMES = ("time", "date", "from_time", "to_time")
_STEP, _ENTRY = 2, 3  # steps: a value is entered, an entry's name is looked up


class _Around(NamedTuple):
    """The names above a value, and whether they are of what transports, of a parent, or in a text for people."""

    trail: tuple[str, ...] = ()
    transport: bool = False
    parent: bool = False
    loose: bool = False
    level: int = 0

    def under(self, name: str) -> "_Around":
        """Return what is known of what stands under a name."""
        return self._replace(
            trail=(*self.trail, name)[-_TRAIL:],
            transport=self.transport or clue_names.is_transport(name),
            parent=self.parent or clue_names.is_parent(name),
        )


class _Entry(NamedTuple):
    name: str
    value: Any
    place: Place


def read(
    node: Node,
    leave: Collection[Place] = (),
    named: Mapping[str, Sequence[tuple[str, Place]]] = MappingProxyType({}),
    *,
    several: bool = False,
) -> ClueScan:
    """Return the clues in a value, a payload or one alert of it, without those at places to leave or inside them.

    `named` are texts with their places, by the fields of `tables/clues.json`; they count more than what is read.
    `several`: the value tells of several events, so that only devices and times are clues.
    """
    readings = {
        field: {(_NAMED, text): Reading(_NAMED, text, place) for text, place in at_place}
        for field, at_place in named.items()
    }
    for field, reading in _walk(node, _Around()):
        known = readings.setdefault(field, {})
        if len(known) < _MAX_READINGS and not (leave and _is_in(reading.place, leave)):
            known.setdefault((reading.rank, reading.text), reading)
    by_field = {field: list(known.values()) for field, known in readings.items()}
    for fields in (_DEVICES, _ACCOUNTS):
        _keep_told(by_field, fields)
    return clue_choice.choose(by_field, several=several)


def _keep_told(by_field: dict[str, list[Reading]], fields: Sequence[str]) -> None:
    """Leave out what only a text for people says of a device or an account, where the payload itself names one.

    Such a text may quote a command line, and so name whatever somebody wanted.
    """
    stated = {field: [each for each in by_field.get(field, ()) if each.rank < _LOOSE] for field in fields}
    if any(_is_name(field, each.text) for field, readings in stated.items() for each in readings):
        by_field.update({field: readings for field, readings in stated.items() if field in by_field})


def _is_name(field: str, text: str) -> bool:
    if field in _ACCOUNTS:
        return bool(clue_values.sid(text) if field.endswith("sid") else any(clue_values.account(text)))
    host = clue_values.device(text) or clue_values.entra(text) or clue_values.host(text)
    return field not in _WEAK and host is not None and host.identity != "address"


def _is_in(place: Place, around: Collection[Place]) -> bool:
    """Say whether a place is one of some places, or further in."""
    while place:
        if place in around:
            return True
        place = place[0]
    return False


def _walk(node: Node, around: _Around) -> Iterator[tuple[str, Reading]]:
    """Yield every reading of a clue in a value, with its field."""
    value = node.value
    node.reader.spend(_STEP)
    if around.level >= _MAX_LEVELS:
        return
    deeper = around._replace(level=around.level + 1)
    if isinstance(value, str):
        if len(value) <= _MAX_TEXT:
            yield from _text(node, deeper)
    elif isinstance(value, list):
        pairs = node.reader.pairs(value)
        if pairs is not None:
            yield from _entries(
                node, [_Entry(*pair[:2], extended(node.place, pair[2])) for pair in pairs], deeper
            )
            return
        roles = _roles(value)
        for index, item in enumerate(value):
            role = roles.get(str(item.get("$id"))) if roles and isinstance(item, dict) else None
            yield from _walk(node.inside(item, index), deeper.under(role) if role else deeper)
    elif isinstance(value, dict):
        yield from _object(node, deeper)


def _text(node: Node, around: _Around) -> Iterator[tuple[str, Reading]]:
    """Yield the readings in what a text holds."""
    inner = node.reader.inside(node.value)
    if inner is None:
        inner = node.reader.inside(node.value, loose=True)
        around = around._replace(loose=True)
    if isinstance(inner, dict | list):
        yield from _walk(Node(inner, node.place, node.reader), around)


def _object(node: Node, around: _Around) -> Iterator[tuple[str, Reading]]:
    """Yield the readings in an object: of a table's rows, of the value it names, and of its entries."""
    value: dict[str, Any] = node.value
    label = clue_names.label(value)
    around = around.under(label) if label else around
    left: set[str] = set()
    for row in rows.rows(value):
        left.add(str(row[0][2][0]) if row else "")
        yield from _entries(
            node, [_Entry(name, cell, extended(node.place, steps)) for name, cell, steps in row], around
        )
    if not label and (titled := clue_names.titled(value)):
        title, key = titled
        left |= {key, *(name for name, text in value.items() if text == title)}
        yield from _entries(node, [_Entry(title, value[key], place_in(value, key, node.place))], around)
    entries = [
        _Entry(name, item, place_in(value, name, node.place))
        for name, item in value.items()
        if name not in left
    ]
    yield from _entries(node, entries, around)


def _roles(items: Iterable[Any]) -> Mapping[str, str]:
    """Return as what the elements of a list of entities are referred to: `{"4": "ImageFile"}`."""
    return {
        str(inner["$ref"]): name
        for item in items
        if isinstance(item, dict) and "$id" in item
        for name, inner in item.items()
        if isinstance(inner, dict) and isinstance(inner.get("$ref"), str)
    }


def _entries(node: Node, entries: Iterable[_Entry], around: _Around) -> Iterator[tuple[str, Reading]]:
    """Yield the readings of the entries of one object."""
    entries = _labelled([entry for entry in entries if entry.value is not None])
    words = (
        frozenset(names.word(entry.name) for entry in entries)
        if any(clue_names.has_beside(entry.name) for entry in entries)
        else frozenset()
    )
    for name, value, place in entries:
        node.reader.spend(_ENTRY)
        if isinstance(value, str) and name.endswith((")", "]")):
            name, value = clue_names.zoned(name, value)  # noqa: PLW2901
        above = around.parent and clue_names.is_parent(name)  # a parent's parent
        if name in _LINKS or above or names.named_as("pasts", name) or clue_names.is_apart(name):
            continue
        yield from _entry(Node(value, place, node.reader), around.under(name), clue_names.beside(words, name))


def _labelled(entries: list[_Entry]) -> list[_Entry]:
    """Return entries under the names that others give them: CEF's `cs1Label` names `cs1`."""
    labels = {
        entry.name.removesuffix("Label"): entry.value
        for entry in entries
        if entry.name.endswith("Label") and isinstance(entry.value, str)
    }
    return (
        [entry._replace(name=labels.get(entry.name, entry.name)) for entry in entries] if labels else entries
    )


def _entry(node: Node, around: _Around, beside: Meaning | None) -> Iterator[tuple[str, Reading]]:
    """Yield what stands under a name: its own meaning, and what is in it."""
    value, name = node.value, around.trail[-1]
    meaning = beside or clue_names.meaning(around.trail)
    flat = isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )
    if meaning and flat:
        if field := _field(meaning.field, around):
            rank = meaning.rank + (_LOOSE if around.loose else 0)
            for text in texts(value):
                yield field, Reading(rank, text, node.place)
        return
    if isinstance(value, list) and flat and clue_names.is_tags(name):
        for index, text in enumerate(value):
            title, _, content = text.partition(":")
            yield from _entry(Node(content, (node.place, index), node.reader), around.under(title), None)
    elif isinstance(value, dict | list) or (isinstance(value, str) and not names.named_as("commands", name)):
        yield from _walk(node, around)


def _field(field: str, around: _Around) -> str:
    """Return the field that a reading is of where it stands, "" for none."""
    if field == clue_names.NOTHING:
        return ""
    if around.parent:
        return "parent_name" if field == "parent_name" or field in _PROGRAMS else ""
    if field in _TIMES and clue_names.is_no_event(around.trail):
        return ""
    if around.transport:
        return clue_names.TRANSPORT if field in ("host", "agent", "reporter", "transport") else ""
    return field
