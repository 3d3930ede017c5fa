"""What the name of a key may mean, whatever product wrote it. The names are data, in `tables/`.

A name counts in any case and punctuation: `DeviceId`, `device_id`, `device-id`; but `@timestamp` is another one than
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

_TABLES = Path(__file__).parent / "tables"
_NOT_A_WORD = re.compile(r"(?!^@)[^0-9a-z]+")
_TYPE = re.compile(r"_[sdtgb]$")
_APART = frozenset(("nested", "path"))  # what in keys.json is no field
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing a name may mean: a key of an event, a text about it, or what is easily taken for a key.

    `rank` is 0 for the most telling name of a field; `reason` says what a look-alike is instead. A label names another
    entry, `field`; rows are those of a table.
    """

    kind: Literal["key", "text", "lookalike", "label", "rows"]
    field: str
    rank: int = 0
    reason: str = ""


def word(name: str) -> str:
    """Return a name without its case and punctuation; "" for what is too long to be one."""
    return _word(name) if len(name) <= _MAX_NAME else ""  # nothing long is remembered


@functools.lru_cache(maxsize=4_096)
def _word(name: str) -> str:
    return _NOT_A_WORD.sub("", name.lower())


def of_key(field: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the known names of one of the three keys, best first, and their words; any other has the one name."""
    return _of_key(field) if len(field) <= _MAX_NAME else ((field,), frozenset())


@functools.lru_cache(maxsize=4_096)
def _of_key(field: str) -> tuple[tuple[str, ...], frozenset[str]]:
    names = tuple(_table("keys").get(field, (field,)))
    return names, frozenset(map(word, names))


def is_anybodys(place: str) -> bool:
    """Say whether a time stands under a name that every product uses for its own times: timestamp in small letters."""
    name = place.rpartition(".")[2]
    return name != "Timestamp" and word(name) in ("timestamp", "eventtimestamp")


def meanings(parent: str, name: str, *, top: bool) -> tuple[Meaning, ...]:
    """Return what a name may mean inside an object that is itself called `parent` ("" if it has no name)."""
    if name in ("rows", "Rows", "values", "Values", "data"):
        return (Meaning("rows", name),)
    if name[-5:].lower() == "label":
        return (Meaning("label", name[:-5].rstrip("_. ")), *_known()[0].get(word(name), ()))
    known, nested = _known()
    name = name.replace("/", ".")
    outer, _, bare = name.rpartition(".")
    last = word(bare)
    found = known.get(last, ()) or _flattened(bare)
    if last in nested:
        owner = word(outer.rpartition(".")[2] or parent).removesuffix("s")
        found += known.get(f"{owner}.{last}", ())
        if top and not outer:
            found += known.get(f".{last}", ())
    return found


def _flattened(name: str) -> tuple[Meaning, ...]:
    """Return the key that a name means without the type that Log Analytics, or the path that a SIEM, put to it."""
    known, _ = _known()
    path = _path()
    parts = _TYPE.sub("", name).lower().split("_") if "_" in name and len(name) <= _MAX_NAME else []
    for at in range(len(parts)):
        found = [meaning for meaning in known.get("".join(parts[at:]), ()) if meaning.kind == "key"]
        if found and path.issuperset(parts[:at]):
            return tuple(found)
    return ()


@functools.cache
def _known() -> tuple[Mapping[str, tuple[Meaning, ...]], frozenset[str]]:
    """Return the meanings of words and of `owner.word`, and the words that need an owner."""
    found: dict[str, tuple[Meaning, ...]] = {}
    for name, meaning in _all():
        owner, dot, last = name.rpartition(".")
        key = f"{word(owner)}{dot}{word(last)}"
        if meaning not in found.get(key, ()):
            found[key] = (*found.get(key, ()), meaning)
    return found, frozenset(key.rpartition(".")[2] for key in found if "." in key)


@functools.cache
def _path() -> frozenset[str]:
    return frozenset(("", *_table("keys")["path"]))


def _all() -> Iterator[tuple[str, Meaning]]:
    keys = _table("keys")
    for nested, fields in enumerate((keys, keys["nested"])):
        for field, known in fields.items():
            yield from ((name, Meaning("key", field, rank=nested)) for name in known if field not in _APART)
    for field, known in _table("texts").items():
        yield from ((name, Meaning("text", field, rank)) for rank, name in enumerate(known))
    for field, reasons in _table("lookalikes").items():
        for reason, known in reasons.items():
            yield from ((name, Meaning("lookalike", field, reason=reason)) for name in known)


@functools.cache
def _table(name: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((_TABLES / f"{name}.json").read_text(encoding="utf-8"))
    return table
