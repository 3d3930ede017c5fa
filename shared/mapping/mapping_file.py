"""Mapping files: how a payload of one source is read. Data only.

A file is one JSON object; its name is the source's name. Expressions are JMESPath (`expression.py`), texts
may be arrays of lines. All entries but `title` are optional:

    title      what it is, for people
    extends    the name of a mapping whose entries follow these
    priority   0 to 100, 50 without; where several recognise a payload, the highest wins
    when       expression on a document: is it ours? Without it the source must be named, or extended
    unwrap     expression: what is inside this envelope, one document or an array of them
    refusal    400 on an envelope: the status of a refusal, where its sender would repeat a 422
    exact      true: texts are the sender's own words for Defender; nothing is taken off or added
    events     expression: the events of a document; without it the document is the event
    ignore     [{when, reason, reply}] on a document: nothing is to be raised; `reply` is an expression
    skip       [{when, reason}] on an event: nothing is to be raised for it
    refuse     [{when, field, detail, found}] on an event: it cannot be raised; `found` is an expression, and what
               it gives is told before the detail
    fields     {field: [expression or {from, scale, truncated, note, at}]} on an event: the first that is not
               empty; `scale` is that of a number as severity, `truncated` says that a time lost digits here,
               `at` is an expression that says where it stood
    otherwise  the same, for what neither the payload nor the request's parameters say
    footer     [expression] on an event: last lines of the description
    missing    {field: text}: where this source could carry the field
    remedy     text: the ready query or template that makes it carry the three keys
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from shared.alerts import alert, vocabulary
from shared.mapping.expression import Expression
from shared.mapping.source import Candidate, Rule, Source
from shared.problems import Problem

_OURS = Path(__file__).parent / "sources"


def read_all(folder: Path | None) -> tuple[dict[str, Source], list[Problem]]:
    """Return our mappings by name with the user's own from `folder`, which win; and what is broken of these.

    Where a file of the user's is broken, ours of that name stays. Raises `ValueError` if one of ours
    is broken.
    """
    found = {path.stem: read(path, ours=True) for path in _files(_OURS)}
    broken: list[Problem] = []
    try:
        theirs = _files(folder) if folder else []
    except OSError as error:
        theirs = []
        broken.append(Problem("MAPPINGS_PATH", f"{folder} cannot be read: {error.strerror}"))
    for path in theirs:
        try:
            source = read(path, ours=False)
            try:
                _base(source, {**found, source.name: source})
            except ValueError as error:
                line = path.read_text(encoding="utf-8-sig").partition('"extends"')[0].count("\n") + 1
                raise ValueError(f"line {line}: {error}") from None
            found[source.name] = source
        except (OSError, ValueError, RecursionError) as error:
            broken.append(Problem(path.name, str(error)))
    return {name: _extended(source, found) for name, source in found.items()}, broken


def _files(folder: Path) -> list[Path]:
    """Return the mapping files of a folder; a copy of their schema is none."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".json" and not path.stem.lower().endswith(".schema")
    )


def read(path: Path, *, ours: bool) -> Source:
    """Return one mapping file. Raises `ValueError` with line and reason, `OSError` if it cannot be opened."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: is not UTF-8, save it as that") from None
    return _Reader(text, check=not ours).source(path.stem.lower(), ours=ours)


def _base(source: Source, sources: Mapping[str, Source]) -> Source | None:
    """Return what a source extends. Raises `ValueError` if there is no such, or if it goes in a circle."""
    seen, at = [source.name], source
    while at.extends:
        if at.extends not in sources:
            raise ValueError(f"extends: there is no mapping {alert.shown(at.extends)}")
        at = sources[at.extends]
        if at.name in seen:
            raise ValueError(f"extends: {' extends '.join([*seen, at.name])}")
        seen.append(at.name)
    return sources[source.extends] if source.extends else None


def _extended(source: Source, sources: Mapping[str, Source]) -> Source:
    base = _base(source, sources)
    if base is None:
        return source
    base = _extended(base, sources)
    return replace(
        source,
        events=source.events or base.events,
        skip=source.skip + base.skip,
        refuse=source.refuse + base.refuse,
        fields=_joined(source.fields, base.fields),
        otherwise=_joined(source.otherwise, base.otherwise),
        footer=source.footer + base.footer,
        missing={**base.missing, **source.missing},
        remedy=source.remedy or base.remedy,
        exact=source.exact or base.exact,
    )


def _joined(
    own: Mapping[str, tuple[Candidate, ...]], base: Mapping[str, tuple[Candidate, ...]]
) -> dict[str, tuple[Candidate, ...]]:
    return {name: own.get(name, ()) + base.get(name, ()) for name in alert.FIELDS}


class _Reader:
    """Reads the entries of one file. What is wrong is a `ValueError` that names the line."""

    def __init__(self, text: str, *, check: bool) -> None:
        self._text = text
        self._check = check
        try:
            self._entries = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {error.lineno}: {error.msg}") from None
        self._object(self._entries, "the file", {"$schema", *_ENTRIES}, {"title"})

    def source(self, name: str, *, ours: bool) -> Source:
        read = {
            entry: _ENTRIES[entry](self, value, entry)
            for entry, value in self._entries.items()
            if entry in _ENTRIES
        }
        return Source(name=name, ours=ours, **read)

    def _fail(self, where: str, reason: str, near: Any = None) -> NoReturn:
        spot = json.dumps(near, ensure_ascii=False) if isinstance(near, str) else ""
        at = self._text.find(spot) if spot else self._text.find(f'"{where.partition(".")[0]}"')
        line = self._text.count("\n", 0, max(at, 0)) + 1
        raise ValueError(f"line {line}: {where}: {reason}")

    def _object(self, value: Any, where: str, allowed: set[str], needed: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._fail(where, "must be an object")
        for name in value.keys() - allowed:
            self._fail(
                where, f"there is no entry {alert.shown(name)}. Known: {', '.join(sorted(allowed))}", name
            )
        for name in needed - value.keys():
            self._fail(where, f"lacks {name}")
        return value

    def _list(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            self._fail(where, "must be an array")
        return value

    def text(self, value: Any, where: str) -> str:
        lines = value if isinstance(value, list) else [value]
        if not all(isinstance(line, str) for line in lines) or not any(lines):
            self._fail(where, "must be text, or an array of lines")
        return "\n".join(lines)

    def number(self, value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100:  # noqa: PLR2004
            self._fail(where, "must be a whole number from 0 to 100")
        return value

    def status(self, value: Any, where: str) -> int:
        if value != 400:  # noqa: PLR2004  # Bad Request
            self._fail(where, "must be 400")
        return int(value)

    def flag(self, value: Any, where: str) -> bool:
        if not isinstance(value, bool):
            self._fail(where, "must be true or false")
        return value

    def expression(self, value: Any, where: str) -> Expression:
        expression = Expression(self.text(value, where))
        if self._check:
            try:
                expression.compile()
            except ValueError as error:
                self._fail(where, str(error), value[0] if isinstance(value, list) else value)
        return expression

    def expressions(self, value: Any, where: str) -> tuple[Expression, ...]:
        return tuple(self.expression(one, where) for one in self._list(value, where))

    def rules(self, value: Any, where: str) -> tuple[Rule, ...]:
        said = "detail" if where == "refuse" else "reason"
        more = {"refuse": {"field", "found"}, "ignore": {"reply"}}.get(where, set())
        return tuple(self._rule(entry, where, said, more) for entry in self._list(value, where))

    def _rule(self, entry: Any, where: str, said: str, more: set[str]) -> Rule:
        self._object(entry, where, {"when", said} | more, {"when", said})
        rule = Rule(self.expression(entry["when"], where), self.text(entry[said], where))
        if entry.get("field", alert.FIELDS[0]) not in alert.FIELDS:
            self._fail(where, f"field must be one of {', '.join(alert.FIELDS)}", entry["field"])
        rule = replace(rule, field=entry.get("field", rule.field))
        if "reply" in entry:
            return replace(rule, reply=self.expression(entry["reply"], where))
        return replace(rule, found=self.expression(entry["found"], where)) if "found" in entry else rule

    def candidates(self, value: Any, where: str) -> dict[str, tuple[Candidate, ...]]:
        entries = self._object(value, where, set(alert.FIELDS), set())
        return {
            name: tuple(
                self._candidate(place, f"{where}.{name}") for place in self._list(places, f"{where}.{name}")
            )
            for name, places in entries.items()
        }

    def _candidate(self, place: Any, where: str) -> Candidate:
        if isinstance(place, str):
            return Candidate(self.expression(place, where))
        self._object(place, where, {"from", "scale", "truncated", "note", "at"}, {"from"})
        scale = place.get("scale")
        if scale is not None and scale not in vocabulary.scales():
            self._fail(where, f"scale must be one of {', '.join(vocabulary.scales())}", scale)
        return Candidate(
            self.expression(place["from"], where),
            scale,
            self.flag(place.get("truncated", False), where),
            self.text(place["note"], where) if "note" in place else None,
            self.expression(place["at"], where) if "at" in place else None,
        )

    def texts(self, value: Any, where: str) -> dict[str, str]:
        entries = self._object(value, where, set(alert.FIELDS), set())
        return {name: self.text(text, f"{where}.{name}") for name, text in entries.items()}


_ENTRIES: Mapping[str, Any] = {
    "title": _Reader.text,
    "extends": _Reader.text,
    "priority": _Reader.number,
    "when": _Reader.expression,
    "unwrap": _Reader.expression,
    "refusal": _Reader.status,
    "exact": _Reader.flag,
    "events": _Reader.expression,
    "ignore": _Reader.rules,
    "skip": _Reader.rules,
    "refuse": _Reader.rules,
    "fields": _Reader.candidates,
    "otherwise": _Reader.candidates,
    "footer": _Reader.expressions,
    "missing": _Reader.texts,
    "remedy": _Reader.text,
}
