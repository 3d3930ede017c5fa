"""Whether a payload says that its alert is over: resolved, closed, acknowledged, deleted; or that it is a test.

The words and the names they stand under are data, `tables/states.json`. They are asked of the alert, of the objects
around it and of those directly inside that describe it (`alert.status`), never of what stands beside: a device, a port.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from shared.alerts import alert
from shared.payload import names
from shared.payload.reader import Reader
from shared.payload.values import texts as texts_of

_TOKEN = re.compile(r"[a-z]+|[A-Z]{2,}(?![a-z])|[A-Z][a-z]*|[^\W\d_A-Za-z]+|\d+")
_MAX_STATE = 60
_MAX_TEXT = 600


def closed(where: Iterable[Any], reader: Reader) -> str | None:
    """Return what says that an alert is over, `status is "resolved"`; None if nothing does."""
    for values in _objects(where, reader):
        index = reader.index(values)
        for group, is_over in (
            ("status", _is_status),
            ("good", _is_good),
            ("severity", _is_severity),
            ("message", _is_message),
        ):
            for word in _names(group).intersection(index):
                for text in _short(values[index[word]]):
                    if is_over(text, index):
                        return f"{index[word]} is {alert.shown(text)}"
        for word in _words("flags").intersection(index):
            if values[index[word]] is True:
                return f"{index[word]} is true"
        for word in _words("closing").intersection(index):
            for text in _short(values[index[word]]):
                return f"{index[word]} is {alert.shown(text)}"
    return None


def test(where: Iterable[Any], reader: Reader) -> str | None:
    """Return what says that a payload is a test message; None if nothing does."""
    for values in _objects(where, reader):
        index = reader.index(values)
        for word in _words("tests", "names").intersection(index):
            for text in _short(values[index[word]]):
                if _plain(text) in _plains("tests", "words"):
                    return f"{index[word]} is {alert.shown(text)}"
        for word in _words("tests", "texts").intersection(index):
            for text in texts_of(values[index[word]]):
                if any(
                    phrase in text[:_MAX_TEXT].lower() for phrase in names.table("states")["tests"]["phrases"]
                ):
                    return f"{index[word]} is {alert.shown(text)}"
        for word in _words("tests", "flags").intersection(index):
            if values[index[word]] is True:
                return f"{index[word]} is true"
    return None


def _objects(where: Iterable[Any], reader: Reader) -> Iterator[dict[str, Any]]:
    """Yield objects, and those directly inside that describe them; each once."""
    outer = [values for values in where if isinstance(values, dict)]
    inner = [
        values[index[word]]
        for values in outer
        for index in [reader.index(values)]
        for word in _words("inside").intersection(index)
    ]
    found = {id(values): values for values in (*outer, *inner) if isinstance(values, dict)}
    yield from found.values()


def _is_status(text: str, _: object) -> bool:
    plain = _plain(text)
    return plain in _plains("status", "words") or plain.partition(" ")[0] in _plains("status", "beginnings")


def _is_good(text: str, _: object) -> bool:
    return _plain(text) in _plains("good", "words")


def _is_severity(text: str, _: object) -> bool:
    return _plain(text) in _plains("severity", "words")


def _is_message(text: str, beside: Iterable[str]) -> bool:
    """Say whether the last word is the end of an alert: `alert.resolved`, `RECOVERY`, `Close` beside an `alert`."""
    *rest, last = _plain(text).split() or [""]
    joined = _plain(text).replace(" ", "")
    nouns = _plains("message", "nouns")
    if not all(one in nouns for one in rest) and joined not in _plains("message", "withNoun"):
        return False
    if last in _plains("message", "verbs") or joined in _plains("message", "verbs"):
        return True
    if last not in _plains("message", "withNoun") and joined not in _plains("message", "withNoun"):
        return False
    return bool(rest and joined not in _plains("message", "withNoun")) or not _words(
        "message", "beside"
    ).isdisjoint(beside)


def _short(value: Any) -> list[str]:
    return [text for text in texts_of(value) if len(text) <= _MAX_STATE]


@functools.lru_cache(maxsize=4_096)
def _plain(text: str) -> str:
    """Return the words of a text in small letters, without numbers: `7 - ResolvedFalsePositive` is three."""
    return " ".join(token.lower() for token in _TOKEN.findall(text) if not token.isdigit())


def _names(group: str) -> frozenset[str]:
    return _words(group, "names")


@functools.cache
def _words(*path: str) -> frozenset[str]:
    return frozenset(map(names.word, _list(*path)))


@functools.cache
def _plains(*path: str) -> frozenset[str]:
    return frozenset(_plain(text) for text in _list(*path))


def _list(*path: str) -> list[str]:
    found: Any = names.table("states")
    for name in path:
        found = found[name]
    return list(found)
