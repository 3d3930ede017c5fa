"""Other products' words for severity and category, turned into Defender's.

The words and scales are data, `tables/severity.json` and `category.json`: `words` mean the same,
`nearest` come closest. Case, spaces and punctuation do not count. `techniques.json` are the tactics and techniques
of MITRE ATT&CK for enterprises; a technique that serves several tactics stands under its most usual one.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

SEVERITIES = ("Low", "Medium", "High")
CATEGORIES = (
    "General",
    "CommandAndControl",
    "Collection",
    "CredentialAccess",
    "DefenseEvasion",
    "Discovery",
    "Exfiltration",
    "Exploit",
    "Execution",
    "InitialAccess",
    "LateralMovement",
    "Malware",
    "Persistence",
    "PrivilegeEscalation",
    "Ransomware",
    "SuspiciousActivity",
)
NO_EQUAL = "SuspiciousActivity"
"""The category of what has no equal among Defender's."""

_TABLES = Path(__file__).parent / "tables"
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_RATED = re.compile(r"(\d{1,3}(?:\.\d{1,9})?) ?(?:(?:/|of|out of) ?(\d{1,3})|%)", re.ASCII)
_NOT_A_WORD = re.compile(r"[^0-9a-z]+")
_ATTACK_ID = re.compile(r"(?<![0-9a-z])(TA\d{4}|T\d{4}(?:\.\d{3})?)(?!\d)", re.IGNORECASE)
_SEPARATORS = {
    "severity": re.compile(r"[^0-9A-Za-z]+"),
    "category": re.compile(r"[.:/|()\[\]#]+|\s-\s"),
}
_MAX_WORD = 100
_MAX_PARTS = 50


@dataclass(frozen=True, slots=True)
class Word:
    """Defender's word. `source` is what came, if that was another; `changed` if it meant something else."""

    text: str
    source: str | None = None
    changed: bool = False

    @property
    def note(self) -> str | None:
        """What a reader should know, or None."""
        return f"{self.source} became {self.text}" if self.source else None


def scales() -> tuple[str, ...]:
    """Return the names of the known scales of severity, the worst value last: `0-10`, `4-0`."""
    return tuple(_table("severity")["scales"])


def severity(value: str, scale: str | None = None) -> Word:
    """Return Defender's severity. `scale` is the one a bare number stands on; `7/10` names its own.

    Raises `ValueError` with the reason if the value is neither a word we know nor on the scale.
    """
    text = value.strip()
    if rated := _RATED.fullmatch(text):
        of = {f"0-{rated[2] or 100}", f"1-{rated[2]}"}.intersection(scales())
        text, scale = (rated[1], min(of)) if of else (text, scale)
    if _NUMBER.fullmatch(text):
        if scale is None:
            raise ValueError("is a number, and nothing says on which scale")
        for limit, known in _table("severity")["scales"][scale]:
            if Decimal(text) <= limit:
                return Word(known, f"{text} on the scale {scale}", changed=True)
        raise ValueError(f"is beyond the scale {scale}")
    word = _known("severity", text) or _among("severity", text)
    if word is None:
        raise ValueError("is no severity we know")
    return word


def category(values: list[str]) -> Word:
    """Return Defender's category of the first value that has one. A value may hold several, with commas, bars or lines.

    Raises `ValueError` if there is no word among them.
    """
    parts = [part for value in values[:_MAX_PARTS] for part in _parts(value)]
    if not parts:
        raise ValueError("names no category")
    several = ", ".join(parts)[:_MAX_WORD]
    for part in parts:
        word = _known("category", part) or _technique(part) or _among("category", part)
        if word and (word.text != NO_EQUAL or not word.changed):
            return word if len(parts) == 1 else Word(word.text, several, changed=True)
    return Word(NO_EQUAL, several, changed=True)


def _technique(text: str) -> Word | None:
    """Return the category of a text that names a tactic or technique of ATT&CK by its id, or by its name."""
    found = _ATTACK_ID.search(text) if len(text) <= _MAX_WORD else None
    names = [found[1], found[1].partition(".")[0]] if found else [text]
    for name in names:
        tactic = _techniques().get(_plain(name))
        word = _known("category", name) or (_known("category", tactic) if tactic else None)
        if word:
            return Word(word.text, text, changed=True)
    return None


def _among(table: str, text: str) -> Word | None:
    """Return the only word we know among those of a text: of `SEVERITY_HIGH`, `3 - High` or `attack.execution`."""
    parts = _SEPARATORS[table].split(text, maxsplit=_MAX_PARTS) if len(text) <= _MAX_WORD else []
    found = {word.text: word for part in parts if _plain(part) and (word := _known(table, part))}
    return Word(next(iter(found)), text, changed=True) if len(found) == 1 else None


def _known(table: str, text: str) -> Word | None:
    word = _plain(text) if len(text) <= _MAX_WORD else ""
    for known, names in _names(table, "words").items():
        if word in names:
            return Word(known, None if text == known or word == known.lower() else text)
    for known, names in _names(table, "nearest").items():
        if word in names:
            return Word(known, text, changed=True)
    return None


def _parts(value: str) -> Iterator[str]:
    parts = [part.strip() for part in re.split(r"[,;|\n]", value, maxsplit=_MAX_PARTS)]
    yield from (part for part in parts if _plain(part))


def _plain(text: str) -> str:
    return _NOT_A_WORD.sub("", text.lower())


@functools.cache
def _names(table: str, part: str) -> dict[str, frozenset[str]]:
    return {
        known: frozenset(filter(None, map(_plain, (*names, *((known,) if part == "words" else ())))))
        for known, names in _table(table)[part].items()
    }


@functools.cache
def _techniques() -> dict[str, str]:
    """Return the tactics of techniques, by id and by name."""
    found: dict[str, str] = {}
    for tactic, techniques in _table("techniques").items():
        for technique, name in techniques.items():
            found[_plain(technique)] = tactic
            found.setdefault(_plain(name), tactic)
    return found


@functools.cache
def _table(name: str) -> dict[str, Any]:
    text = (_TABLES / f"{name}.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return table
