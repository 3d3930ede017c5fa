"""A source: its file, read and checked.

A file is one JSON object; its name is the source's name (see docs/mappings.md). All entries but `title` are optional:

    title      what it is, for people
    priority   0 to 100, 50 without; where several recognise a payload, the highest wins
    recognise  conditions on a document, one is enough; without them the source must be named
    envelope   paths: the contents of this wrapper; the file then needs no fields
    status     400 on an envelope: the HTTP status instead of 422, if its sender would repeat that
    exact      true: texts are meant for Defender; nothing is removed or added
    alerts     paths: where the product's alerts stand; without them the document is the alert
    closed     [{where, reason, reply}]: no alert is raised; `reply` is the body that the sender then expects
    refuse     [{where, field, detail}]: the event is refused
    fields     {field: [place]}: where fields, and clues of the event, stand that the scan cannot know
    not        paths that hold no key and no clue of an event here
    footer     {label: [place]}: last lines of the description
    missing    {field: text}: where this product could send the field
    remedy     text: the query or template with which it sends the three keys
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as File
from typing import Any, TypeVar

from shared.alerts import alert, vocabulary
from shared.mapping.clue_fields import READ_AS
from shared.mapping.conditions import Condition, condition
from shared.payload import names
from shared.payload.paths import Node, Path, path

_ENTRIES = (
    "title",
    "priority",
    "recognise",
    "envelope",
    "status",
    "exact",
    "alerts",
    "closed",
    "refuse",
    "fields",
    "not",
    "footer",
    "missing",
    "remedy",
    "$schema",
)
Read = TypeVar("Read")
_GAP = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value may stand: at paths, or in a text with `{path}` in it. `scale` and `words` translate a severity."""

    text: str
    paths: tuple[Path, ...]
    template: str | None = None
    scale: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    only: Condition | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions, and the text `about` a field if one of them holds. `reply` is the body that a sender expects."""

    where: tuple[Condition, ...]
    text: str
    reply: Mapping[str, Path] = field(default_factory=dict)
    about: str = "payload"

    def holds(self, document: Node, at: Node) -> bool:
        """Say whether one of the conditions holds for an alert within a document."""
        return any(condition.holds(document, at) for condition in self.where)


@dataclass(frozen=True, slots=True)
class Source:
    """One source. `ours` is false for a file of the user's own."""

    name: str
    title: str
    ours: bool = True
    priority: int = 50
    recognise: tuple[Condition, ...] = ()
    envelope: tuple[Path, ...] = ()
    status: int | None = None
    exact: bool = False
    alerts: tuple[Path, ...] = ()
    closed: tuple[Rule, ...] = ()
    refuse: tuple[Rule, ...] = ()
    fields: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    ignore: tuple[Path, ...] = ()
    footer: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""

    @property
    def is_envelope(self) -> bool:
        """Say whether it is only a wrapper around another source's payload."""
        return bool(self.envelope) or self.name == "api-reply"

    def within(self, envelopes: Iterable["Source"]) -> "Source":
        """Return the source with the hints of the envelopes around it about missing fields."""
        tables = [self.missing, *(envelope.missing for envelope in envelopes if envelope.missing)]
        if len(tables) == 1:
            return self
        names = set().union(*tables)
        missing = {name: " ".join(table[name] for table in tables if name in table) for name in names}
        return replace(self, missing=missing)


def read(file: File, *, ours: bool) -> Source:
    """Read one source file. Raise `ValueError` with line and reason, `OSError` if it cannot be opened."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: is not UTF-8, save it as that") from None
    try:
        entries = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: is not JSON: {error.msg}") from None
    try:
        return _source(entries, file.stem.lower(), ours=ours)
    except _WrongError as error:
        raise ValueError(f"line {_line(text, error.near)}: {error}") from None


class _WrongError(ValueError):
    """A mistake in a file. `near` are texts of the file that lead to it, the outermost first."""

    def __init__(self, text: str, *near: str) -> None:
        super().__init__(text)
        self.near = near


def _line(text: str, near: tuple[str, ...]) -> int:
    at = 0
    for name in near:
        position = text.find(json.dumps(name, ensure_ascii=False), at)
        at = position if position >= 0 else at
    return text.count("\n", 0, at) + 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise json.JSONDecodeError(f"the entry {twice!r} occurs twice", "", 0)
    return entries


def _source(entries: Any, name: str, *, ours: bool) -> Source:
    if not isinstance(entries, dict):
        raise _WrongError("a source file must be one object")
    _known(entries, _ENTRIES, "")
    priority = entries.get("priority", 50)
    if type(priority) is not int or not 0 <= priority <= 100:  # noqa: PLR2004  # what the docs say
        raise _WrongError("priority: must be a whole number from 0 to 100", "priority")
    if entries.get("status") not in (None, 400) or type(entries.get("exact", False)) is not bool:
        raise _WrongError("status must be 400 or absent, exact must be true or false", "status")
    return Source(
        name=name,
        title=_text(entries, "title"),
        ours=ours,
        priority=priority,
        recognise=_conditions(entries, "recognise"),
        envelope=_paths(entries, "envelope"),
        status=entries.get("status"),
        exact=entries.get("exact", False),
        alerts=_paths(entries, "alerts"),
        closed=tuple(_rules(entries, "closed", "reason")),
        refuse=tuple(_rules(entries, "refuse", "detail")),
        fields=_fields(entries),
        ignore=_paths(entries, "not"),
        footer={label: _places(label, value) for label, value in _object(entries, "footer").items()},
        missing={
            name: _text(_object(entries, "missing"), name)
            for name in _known(_object(entries, "missing"), alert.FIELDS, "missing")
        },
        remedy=_text(entries, "remedy") if "remedy" in entries else "",
    )


def _known(entries: Mapping[str, Any], known: tuple[str, ...], where: str) -> list[str]:
    """Return the names of entries. Raise for an unknown one, with the nearest known name."""
    for name in entries:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise _WrongError(
                f"{where + ': ' if where else ''}there is no entry {name!r}{hint}", where or name, name
            )
    return list(entries)


def _text(entries: Mapping[str, Any], name: str) -> str:
    """Return a text; one may be written as a list of lines."""
    value = entries.get(name)
    lines = [line for line in _list(value) if isinstance(line, str) and line]
    if not lines or len(lines) != len(_list(value)):
        raise _WrongError(f"{name}: must be a text, or a list of lines", name)
    return "\n".join(lines)


def _object(entries: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = entries.get(name, {})
    if not isinstance(value, dict):
        raise _WrongError(f"{name}: must be an object", name)
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _read(reader: Callable[[str], Read], value: Any, *near: str) -> Read:
    if not isinstance(value, str):
        raise _WrongError(f"{near[0]}: {json.dumps(value)[:60]} is not a text", *near)
    try:
        return reader(value)
    except ValueError as error:
        raise _WrongError(f"{near[0]}: {error}", *near, value) from None


def _paths(entries: Mapping[str, Any], name: str) -> tuple[Path, ...]:
    return tuple(_read(path, text, name) for text in _list(entries.get(name, [])))


def _conditions(entries: Mapping[str, Any], name: str) -> tuple[Condition, ...]:
    return tuple(_read(condition, text, name) for text in _list(entries.get(name, [])))


def _rules(entries: Mapping[str, Any], name: str, says: str) -> Iterator[Rule]:
    for rule in _list(entries.get(name, [])):
        if not isinstance(rule, dict) or "where" not in rule or says not in rule:
            raise _WrongError(f"{name}: each entry must be an object with where and {says}", name)
        _known(rule, ("where", says, *(("field",) if says == "detail" else ("reply",))), name)
        where = rule.get("field", "payload")
        if where not in (*alert.FIELDS, "payload"):
            raise _WrongError(f"{name}: there is no field {where!r}", name, str(where))
        reply = {key: _read(path, value, name) for key, value in _object(rule, "reply").items()}
        yield Rule(_conditions(rule, "where"), _text(rule, says), reply, where)


def _fields(entries: Mapping[str, Any]) -> dict[str, tuple[Place, ...]]:
    fields = _object(entries, "fields")
    _known(fields, (*alert.FIELDS, *READ_AS, "link"), "fields")
    try:
        return {name: _places(name, value) for name, value in fields.items()}
    except _WrongError as error:
        raise _WrongError(str(error), "fields", *error.near) from None


def _places(name: str, value: Any) -> tuple[Place, ...]:
    return tuple(_place(name, entry) for entry in _list(value))


def _place(name: str, value: Any) -> Place:
    if isinstance(value, str):
        gaps = _GAP.findall(value)
        if gaps:
            return Place(value, tuple(_read(path, gap, name, value) for gap in gaps), _GAP.sub("{}", value))
        return Place(value, (_read(path, value, name),))
    if not isinstance(value, dict) or "from" not in value:
        raise _WrongError(
            f"{name}: a place is a path, a text with {{path}} in it, or an object with from", name
        )
    _known(value, ("from", "scale", "words", "if", "note"), name)
    scale, words = value.get("scale"), _object(value, "words")
    if scale is not None and scale not in vocabulary.scales():
        raise _WrongError(
            f"{name}: there is no scale {scale!r}; there are {', '.join(vocabulary.scales())}",
            name,
            str(scale),
        )
    if (scale or words) and name != "severity":
        raise _WrongError(f"{name}: scale and words are allowed only for severity", name)
    if not set(words.values()) <= set(alert.SEVERITIES):
        raise _WrongError(f"{name}: words must give one of {', '.join(alert.SEVERITIES)}", name, "words")
    paths = tuple(_read(path, text, name) for text in _list(value["from"]))
    only = _read(condition, value["if"], name) if "if" in value else None
    words = {names.word(word): text for word, text in words.items()}
    note = _text(value, "note") if "note" in value else ""
    return Place(", ".join(where.text for where in paths), paths, None, scale, words, only, note)
