"""The meanings of the names of keys, in all products. The names are data, in `tables/`.

Case and punctuation of a name do not count: `DeviceId`, `device_id`, `device-id`; but `@timestamp` differs from
`timestamp`. The names of the three keys may also be flattened, `properties_DeviceId`, or typed, `DeviceId_s`. In the
tables `alert.name` is a `name` directly inside an `alert` (or `alerts`), also as one dotted key; `.name` is one at
the top only.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

KEYS = ("machineId", "eventTime", "reportId")
"""The three fields that together name an event: its reference."""

_TABLES = Path(__file__).parent / "tables"
_NOT_A_WORD = re.compile(r"[^0-9a-z]+")
_TYPE = re.compile(r"_[sdtgb]$")
_REMARK = re.compile(r" ?[\[(]([^\[\]()]{1,40})[\])]$")  # Timestamp [UTC]
_UNIT = re.compile(
    r" ?[\[(](?:(?:UTC|GMT)(?:[+-]00?(?::?00)?)?|Z|Zulu|ISO ?8601|m?s|[uμµn]s|(?:milli|micro|nano)?seconds|hex"
    r"|text|string|long|int|int64|bigint|datetime)[\])]$",
    re.IGNORECASE,
)
_INDEX = re.compile(r"(?<=[^ ])\[([A-Za-z_][^\[\]]*)\]")  # alert[DeviceId], of forms
_APART = frozenset(
    (
        "nested",
        "path",
        "eventLike",
        "bags",
        "others",
        "commands",
        "pasts",
        "parts",
        "devices",
        "columns",
        "lists",
    )
)  # in keys.json no field
_MAX_NAME = 100
_ATTACK = (
    "technique",
    "techniques",
    "techniqueid",
    "techniqueids",
    "tactic",
    "tactics",
    "tacticid",
    "tacticids",
)
_LONGEST_ATTACK = 30


@dataclass(frozen=True, slots=True)
class Meaning:
    """One meaning of a name: a key of an event, a text about it, or something that only looks like a key.

    `rank` is 0 for the most specific name of a field; `reason` says what a look-alike really is; `scale` is that of a
    number as severity. A label names another entry, `field`; rows are those of a table.
    """

    kind: Literal["key", "text", "lookalike", "label", "rows"]
    field: str
    rank: int = 0
    reason: str = ""
    scale: str = ""


def word(name: str) -> str:
    """Return a name without case and punctuation; "" if it is too long for a name."""
    return _word(name) if len(name) <= _MAX_NAME else ""  # nothing long is remembered


@functools.lru_cache(maxsize=16_384)
def _word(name: str) -> str:
    return name if name == "@timestamp" else _NOT_A_WORD.sub("", name.lower())


@functools.cache
def of_key(field: str) -> frozenset[str]:
    """Return the words of the known names of one of the three keys."""
    return frozenset(map(word, table("keys")[field]))


def is_anybodys(name: str) -> bool:
    """Say whether a time has the name that every product uses for its own times: timestamp in small letters."""
    last = name.rpartition(".")[2]
    return last != "Timestamp" and word(last) in ("timestamp", "eventtimestamp")


def is_defenders(name: str) -> bool:
    """Say whether a name has Defender's spelling: `ReportId`, `properties.Timestamp`, `MdeReportId`."""
    last = _UNIT.sub("", re.split(r"[./_]", name)[-1])
    return last in ("ReportId", "Timestamp", "DeviceId") or word(name).startswith(
        ("mde", "mdatp", "defender")
    )


def named_as(kind: str, name: str) -> bool:
    """Say whether a name is of a kind of keys.json: `eventLike`, `bags`, `others`, `commands`, `parts` and so on."""
    return len(name) <= _MAX_NAME and _named_as(kind, name)


@functools.lru_cache(maxsize=16_384)
def _named_as(kind: str, name: str) -> bool:
    return _singular(word(name.rpartition(".")[2])) in _kinds(kind)


@functools.cache
def _kinds(kind: str) -> frozenset[str]:
    return frozenset(_singular(word(name)) for name in table("keys")[kind])


def _singular(text: str) -> str:
    if text.endswith("ies"):
        return text[:-3] + "y"
    return text.removesuffix("s")


def meanings(parent: str, name: str, *, top: bool) -> tuple[Meaning, ...]:
    """Return the meanings of a name inside an object with the name `parent` ("" if it has none)."""
    if len(name) > _MAX_NAME:
        return ()
    return _meanings(parent if len(parent) <= _MAX_NAME else "", name, top)


@functools.lru_cache(maxsize=16_384)
def _meanings(parent: str, name: str, top: bool) -> tuple[Meaning, ...]:
    if name in ("rows", "Rows", "values", "Values", "data", "datarows", "data_array"):
        return (Meaning("rows", name),)
    known, nested = _known()
    if name[-5:].lower() == "label" and len(name) > len("label"):
        return (Meaning("label", name[:-5].rstrip("_. ")), *known.get(word(name), ()))
    outer, _, bare = _INDEX.sub(r".\1", name.replace("/", ".")).rpartition(".")
    bare = _UNIT.sub("", bare)
    remark = _REMARK.search(bare)
    bare = _REMARK.sub("", bare)
    last = word(bare)
    possible = known.get(last, ()) or _flattened(bare)
    if remark:
        possible = tuple(_another(meaning, remark[1]) for meaning in possible)
    if not possible and last.endswith(_ATTACK) and len(last) < _LONGEST_ATTACK:
        possible = (Meaning("text", "category", len(table("texts")["category"])),)
    if last in nested:
        owner = word(outer.rpartition(".")[2] or parent)
        for spelled in dict.fromkeys((owner, owner.removesuffix("s"))) if owner else ():
            possible += known.get(f"{spelled}.{last}", ())
        if top and not outer:
            possible += known.get(f".{last}", ())
    return possible


def _another(meaning: Meaning, remark: str) -> Meaning:
    """Return a look-alike for a key whose name has a suffix that makes it another key: `Timestamp [EST]`."""
    if meaning.kind != "key":
        return meaning
    own = "in UTC, Timestamp or Timestamp [UTC]" if meaning.field == "eventTime" else "without such a word"
    return Meaning("lookalike", meaning.field, reason=f"has the suffix ({remark}): the event's own is {own}")


def means(name: str) -> bool:
    """Say whether a name has a meaning by itself, without its parent."""
    return any(meaning.kind in ("key", "text") for meaning in meanings("", name, top=False))


def _flattened(name: str) -> tuple[Meaning, ...]:
    """Return the key that a name means without the type that Log Analytics adds, or the path that a SIEM adds."""
    known, _ = _known()
    parts = _TYPE.sub("", name).lower().split("_") if "_" in name and len(name) <= _MAX_NAME else []
    for at in range(len(parts)):
        keys = [meaning for meaning in known.get("".join(parts[at:]), ()) if meaning.kind == "key"]
        if keys and _path().issuperset(parts[:at]):
            return tuple(keys)
    return ()


@functools.cache
def _known() -> tuple[Mapping[str, tuple[Meaning, ...]], frozenset[str]]:
    """Return the meanings of words and of `owner.word`, and the words that need an owner."""
    by_word: dict[str, tuple[Meaning, ...]] = {}
    for name, meaning in _all():
        owner, dot, last = name.rpartition(".")
        key = f"{word(owner)}{dot}{word(last)}"
        if meaning not in by_word.get(key, ()):
            by_word[key] = (*by_word.get(key, ()), meaning)
    return by_word, frozenset(key.rpartition(".")[2] for key in by_word if "." in key)


@functools.cache
def _path() -> frozenset[str]:
    return frozenset(("", *table("keys")["path"]))


def _all() -> Iterator[tuple[str, Meaning]]:
    keys = table("keys")
    for nested, fields in enumerate((keys, keys["nested"])):
        for field, known in fields.items():
            yield from ((name, Meaning("key", field, rank=nested)) for name in known if field not in _APART)
    for field, known in table("texts").items():
        for rank, entry in enumerate(known):
            name, _, scale = entry.rpartition("@") if "@" in entry[1:] else (entry, "", "")
            yield name, Meaning("text", field, rank, scale=scale)
    for field, reasons in table("lookalikes").items():
        for reason, known in reasons.items():
            yield from ((name, Meaning("lookalike", field, reason=reason)) for name in known)


@functools.cache
def table(name: str) -> dict[str, Any]:
    """Return one of the tables of names: `keys`, `texts`, `lookalikes`, `states`, `tellers`."""
    read: dict[str, Any] = json.loads((_TABLES / f"{name}.json").read_text(encoding="utf-8"))
    return read
