"""Other products' words for severity and category, translated into Defender's.

The words and scales are data, `tables/severity.json` and `category.json`: `words` mean the same,
`nearest` are the closest, `around` have no meaning in a tag. Case, accents, spaces and punctuation do not count.
`techniques.json` are the tactics and techniques of MITRE ATT&CK for enterprises; a technique that serves several
tactics stands under its most usual one.
"""

import functools
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any

from shared.alerts.text import visible

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
_CODE = re.compile(r"(?<![0-9a-z])(?:p|prio|priority|sev)[\W_]{0,3}[0-5](?![0-9a-z])")
_NEGATIONS = frozenset(("no", "not", "non", "none", "never", "without"))
_NOT_A_WORD = re.compile(r"[\W_]+")
_BETWEEN_WORDS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
_BETWEEN_SEGMENTS = re.compile(r"[.:/|()\[\]{}#=\"'<>\\]+|\s[-\u2013]\s")
_NO_ID = re.compile(  # an id of ATLAS, which counts differently, and the name of a host
    r"(?<![0-9a-z])aml[._]ta?\d{4}|[0-9a-z-]{1,60}-ta?\d{4}(?=\.[a-z])", re.IGNORECASE
)
_TACTIC_ID = re.compile(r"(?<![0-9a-z])ta\d{4}(?![0-9a-z])")
_TECHNIQUE_ID = re.compile(r"(?<![0-9a-z])(t\d{4})(?![0-9a-z])(?:[._/-](\d{3})(?![0-9a-z]))?")
_TACTIC, _KIND, _NAME, _VAGUE = range(4)  # how much a meaning counts: a lower one goes first
_MAX_WORD = 200
_MAX_SOURCE = 100
_MAX_TEXT = 10_000
_MAX_PARTS = 50
_MAX_TAGS = 200
_LONG_NAME = 12  # letters: names of several words, credentialaccess, so that nothing else is called so
_MAX_RUN = 4


@dataclass(frozen=True, slots=True)
class Word:
    """Defender's word. `source` is the word that was sent, if it was another; `changed`: its meaning was another."""

    text: str
    source: str | None = None
    changed: bool = False

    @property
    def note(self) -> str | None:
        """The note for the sender, or None."""
        return f"{self.source} became {self.text}" if self.source else None


def scales() -> tuple[str, ...]:
    """Return the names of the known scales of severity, the worst value last: `0-10`, `4-0`."""
    return tuple(_table("severity")["scales"])


def severity(value: str, scale: str | None = None) -> Word:
    """Return Defender's severity. `scale` is the scale of a bare number; `7/10` has its own.

    Raise `ValueError` with the reason if the value is neither a known word nor on the scale.
    """
    text = visible(value[:_MAX_TEXT])[0].strip()
    if rated := _RATED.fullmatch(text):
        of = [f"{lowest}-{rated[2] or 100}" for lowest in (1, 0) if Decimal(rated[1]) >= lowest]
        of = [scale_name for scale_name in of if scale_name in scales()]
        text, scale = (rated[1], of[0]) if of else (text, scale)
    if _NUMBER.fullmatch(text):
        return _on_scale(text, scale)
    word = _known("severity", text) or _among(text)
    if word is None:
        raise ValueError("is not a known severity")
    return word


def category(values: Sequence[str]) -> Word:
    """Return Defender's category for values such as tags: that of the first tactic, else of the first known word.

    A value may hold several, separated by commas, bars or lines. If none is known, the result is `NO_EQUAL`, `changed`.
    Raise `ValueError` if there is no word among them.
    """
    parts = [part for value in values[:_MAX_PARTS] for part in _parts(value)][:_MAX_TAGS]
    if not parts:
        raise ValueError("names no category")
    if len(parts) == 1 and (word := _known("category", parts[0])):
        return word
    meanings = [meaning for part in parts if len(part) <= _MAX_WORD and (meaning := _meaning(part))]
    _, name = min(meanings, key=itemgetter(0), default=(_VAGUE, NO_EQUAL))
    return Word(name, ", ".join(parts)[:_MAX_SOURCE], changed=True)


def is_informational(value: str) -> bool:
    """Tell whether a severity's word is that of an alert which only informs; `severity` makes it Low."""
    return _plain(value[:_MAX_WORD]) in ("informational", "information", "informative", "info")


def techniques(values: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of ATT&CK's techniques in values such as tags, each once: `T1059.001`."""
    known = (
        (match[1].upper(), match[2])
        for value in values
        for match in _TECHNIQUE_ID.finditer(_NO_ID.sub(" ", value[:_MAX_TEXT]).lower())
        if match[1] in _techniques()
    )
    return tuple(dict.fromkeys(f"{name}.{part}" if part else name for name, part in known))


def _on_scale(number: str, scale: str | None) -> Word:
    if scale is None:
        raise ValueError("is a number without a known scale")
    if Decimal(number) >= min(map(int, scale.split("-"))):
        for limit, known in _table("severity")["scales"][scale]:
            if Decimal(number) <= limit:
                return Word(known, f"{number} on the scale {scale}", changed=True)
    raise ValueError(f"is beyond the scale {scale}")


def _among(text: str) -> Word | None:
    """Return the only severity among the words of a text such as `SEVERITY_HIGH`, `3 - High` or `P1 (critical)`.

    Defender's own words are preferred to the nearest ones.
    """
    folded = _folded(text) if len(text) <= _MAX_WORD else ""
    words = [word.lower() for word in _BETWEEN_WORDS.split(folded, maxsplit=_MAX_PARTS)]
    if not _NEGATIONS.isdisjoint(words):
        return None
    words += map(_plain, _CODE.findall(folded.lower()))
    known = [_words("severity")[word] for word in words if word in _words("severity")]
    severities = {name for name, exact in known if exact} or {name for name, _ in known}
    return Word(severities.pop(), text[:_MAX_SOURCE], changed=True) if len(severities) == 1 else None


@functools.lru_cache(maxsize=1_000)  # rules repeat their tags with every alert
def _meaning(tag: str) -> tuple[int, str] | None:
    """Return the category that a tag names most exactly, and its rank, or None."""
    return min(_meanings(tag), key=itemgetter(0), default=None)


def _meanings(tag: str) -> Iterator[tuple[int, str]]:
    """Yield the categories that a tag names by ids or words, and their ranks (a lower one is preferred)."""
    tag = _NO_ID.sub(" ", _folded(tag))
    for match in _TACTIC_ID.finditer(tag.lower()):
        yield from _counted(match[0])
    for segment in dict.fromkeys((tag, *_BETWEEN_SEGMENTS.split(tag))):
        words = [word.lower() for word in _BETWEEN_WORDS.split(segment) if word]
        bare = [word for word in words if word not in _table("category")["around"]]
        yield from _counted("".join(words))
        yield from _counted("".join(bare))
        for run in _runs(words):
            if run in _long_names():
                yield from _counted(run)
        if tag == segment or len(bare) > 1:
            yield from _technique(_NAME, "".join(bare))
    for match in _TECHNIQUE_ID.finditer(tag.lower()):
        yield from _technique(_KIND, f"{match[1]}{match[2] or ''}", match[1])


def _counted(name: str) -> Iterator[tuple[int, str]]:
    known, exact = _words("category").get(name, (NO_EQUAL, False))
    if known in ("General", NO_EQUAL):
        if exact or known != NO_EQUAL:
            yield _VAGUE, known
    else:
        yield _TACTIC if exact and known in _table("techniques") else _KIND, known


def _technique(counts: int, *names: str) -> Iterator[tuple[int, str]]:
    """Yield the category of the first of these techniques, ids or names, that is known."""
    for name in names:
        tactic = _techniques().get(name)
        known = name if name in _words("category") else _plain(tactic or "")
        if meaning := next(_counted(known), None):
            yield counts, meaning[1]
            return


def _runs(words: Sequence[str]) -> Iterator[str]:
    for start in range(len(words)):
        for length in range(1, _MAX_RUN + 1):
            yield "".join(words[start : start + length])


def _known(table: str, text: str) -> Word | None:
    word = _plain(text) if len(text) <= _MAX_WORD else ""
    known, exact = _words(table).get(word, (None, False))
    if known is None:
        return None
    return Word(known, None if exact and word == known.lower() else text, changed=not exact)


def _parts(value: str) -> Iterator[str]:
    parts = [
        part.strip() for part in re.split(r"[,;|\n]", visible(value[:_MAX_TEXT])[0], maxsplit=_MAX_PARTS)
    ]
    yield from (part for part in parts if _plain(part))


def _plain(text: str) -> str:
    return _NOT_A_WORD.sub("", _folded(text).lower())


def _folded(text: str) -> str:
    """Return a text without accents, with plain letters for their variants."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


@functools.cache
def _words(table: str) -> dict[str, tuple[str, bool]]:
    """Return a table's words: for each, Defender's word and whether it means the same."""
    by_name: dict[str, tuple[str, bool]] = {}
    for part in ("words", "nearest"):
        for known, names in _table(table)[part].items():
            for name in (*names, *((known,) if part == "words" else ())):
                by_name[_plain(name)] = known, part == "words"
    return by_name


@functools.cache
def _long_names() -> frozenset[str]:
    """Return the names of tactics that consist of several words: nothing else has these names."""
    return frozenset(
        name
        for name, (known, exact) in _words("category").items()
        if exact and known in _table("techniques") and len(name) > _LONG_NAME
    )


@functools.cache
def _techniques() -> dict[str, str]:
    """Return the tactics of techniques, by id and by name."""
    tactics: dict[str, str] = {}
    for tactic, techniques in _table("techniques").items():
        for technique, name in techniques.items():
            tactics[_plain(technique)] = tactic
            tactics.setdefault(_plain(name), tactic)
    return tactics


@functools.cache
def _table(name: str) -> dict[str, Any]:
    text = (_TABLES / f"{name}.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return table
