"""What a name, with its owners, means as a clue. The names are data, in `tables/clues.json`.

In the order in which they count; a nested name stands with its owner: `process.pid`. The longest known name decides.
"""

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from shared.payload import names

_OWNERS = 5  # parts of a name that are compared with the table
_TYPE = re.compile(r"_[sdtgb]\Z")  # of Log Analytics: CommandLine_s
_ZONED = re.compile(r"([^\[\]()]+?) ?[\[(](?:(?:UTC|GMT) ?([+-])(\d\d?)(?::?(\d\d))?|(CES?T))[\])]", re.ASCII)
_MAX_NAME = 100
_LABELS = ("type", "kind", "entitytype", "odatatype", "objecttype")
_TITLES = (
    "field",
    "name",
    "key",
    "algorithm",
    "type",
    "label",
    "fieldname",
    "columnname",
    "attribute",
    "k",
    "property",
)
_VALUES = ("value", "text", "v", "fieldvalue", "columnvalue", "values", "data", "content", "entityvalue")
NOTHING = "nothing"
"""The field of names that look like a clue and are none."""
TRANSPORT = "transport"
"""The field of a host that only brought the event."""


class Meaning(NamedTuple):
    """A field of clues, and how much a name of it counts: 0 is the most telling."""

    field: str
    rank: int


@functools.lru_cache(maxsize=16_384)
def meaning(trail: tuple[str, ...]) -> Meaning | None:
    """Return what the last of some nested names means, None if that is no clue."""
    words = [word for name in trail for word in _words_of(name)]
    for count in range(min(_OWNERS, len(words)), 0, -1):
        if known := _meanings().get("".join(words[-count:])):
            return known
    return None


def zoned(name: str, text: str) -> tuple[str, str]:
    """Return the name of a time without the zone that it says, and the time with that: `Timestamp [UTC+2]`."""
    match = _ZONED.fullmatch(name) if len(name) <= _MAX_NAME else None
    if not match:
        return name, text
    return match[1], f"{text} {match[5]}" if match[
        5
    ] else f"{text}{match[2]}{match[3]:0>2}:{match[4] or '00'}"


def is_apart(name: str) -> bool:
    """Say whether what stands under a name is not of the event: intelligence, an analyst, the rule."""
    beginnings = tuple(names.table("clues")["apart_beginnings"])
    return any(word in _words("apart") or word.startswith(beginnings) for word in _words_of(name))


def is_no_event(trail: tuple[str, ...]) -> bool:
    """Say whether a name's owner is what has a time of its own: a device was enrolled, a file was made."""
    words = [word for name in trail for word in _words_of(name)]
    return len(words) > 1 and words[-2] in _words("no_events")


def is_transport(name: str) -> bool:
    """Say whether what stands under a name only brought the event: a collector, a relay."""
    return not _words("transports").isdisjoint(_words_of(name))


def is_parent(name: str) -> bool:
    """Say whether what stands under a name is of the parent of a process."""
    return "parent" in name[:_MAX_NAME].lower()


def is_tags(name: str) -> bool:
    """Say whether a name has tags of a name and a value each."""
    return names.word(name) in _words("tags")


def label(values: Mapping[str, Any]) -> str:
    """Return what an object is by its type, `host` of `{"Type": "host"}`; "" if that tells nothing."""
    for name in values:
        text = values[name] if names.word(name) in _LABELS else None
        if isinstance(text, str) and len(text) <= _MAX_NAME:
            known = _types().get(names.word(text.rpartition(".")[2]))
            if known:
                return known
    return ""


def titled(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name that an object gives its value, and the key of that: `{"algorithm": "SHA-1", "value": …}`."""
    by = {names.word(name): name for name in values}
    value = next((by[word] for word in _VALUES if word in by), None)
    if value is None:
        return None
    for word in _TITLES:
        text = values.get(by.get(word, ""))
        if isinstance(text, str) and len(text) <= _MAX_NAME and meaning((text,)):
            return text, value
    return None


def beside(words: Collection[str], name: str) -> Meaning | None:
    """Return what a name means beside certain others, None if it means what it usually does."""
    for rule in _beside().get(names.word(name), ()):
        if not set(rule["with"]).isdisjoint(words):
            return Meaning(rule["field"], rule.get("rank", 0))
    return None


def has_beside(name: str) -> bool:
    """Say whether it counts what stands beside a name."""
    return names.word(name) in _beside()


def _words_of(name: str) -> tuple[str, ...]:
    """Return the words of a dotted name; none of what is too long to be one, which is not remembered."""
    return _split(name) if len(name) <= _MAX_NAME else ()


@functools.lru_cache(maxsize=16_384)
def _split(name: str) -> tuple[str, ...]:
    """Return the words of a name, without what a shipper wrote before it and a table's type behind it."""
    name = _TYPE.sub("", name)
    shippers = names.table("clues")["prefixes"]
    prefix = next((prefix for prefix in shippers if name.lower().startswith(prefix) and prefix != name), "")
    parts = name[len(prefix) :].replace("/", ".").replace(":", ".").split(".")
    return tuple(names.word(part) for part in parts if part and part not in names.table("clues")["wrappers"])


@functools.cache
def _meanings() -> Mapping[str, Meaning]:
    meanings: dict[str, Meaning] = {}
    for field, known in names.table("clues")["fields"].items():
        for rank, name in enumerate(known):
            meanings.setdefault(names.word(name), Meaning(field, rank))
    return meanings


@functools.cache
def _words(kind: str) -> frozenset[str]:
    return frozenset(map(names.word, names.table("clues")[kind]))


@functools.cache
def _types() -> Mapping[str, str]:
    return {
        names.word(text): known for known, texts in names.table("clues")["types"].items() for text in texts
    }


@functools.cache
def _beside() -> Mapping[str, list[dict[str, Any]]]:
    rules: dict[str, list[dict[str, Any]]] = {}
    for rule in names.table("clues")["beside"]:
        by_words = {**rule, "with": [names.word(name) for name in rule["with"]]}
        for name in rule["names"]:
            rules.setdefault(names.word(name), []).append(by_words)
    return rules
