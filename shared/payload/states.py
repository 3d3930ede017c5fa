"""Whether a payload says that its alert has ended (resolved, closed, acknowledged, deleted), or that it is a test.

The words and their names are data, `tables/states.json`. They are read in the alert, in the objects around it and in
those directly inside that describe it (`alert.status`), never in objects beside it, such as a device or a port.
A word nearer to the alert that says that it is open is preferred.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from shared.alerts import alert
from shared.payload import candidates, names
from shared.payload.reader import Reader
from shared.payload.values import texts as texts_of

_TOKEN = re.compile(r"[a-z]+|[A-Z]{2,}(?![a-z])|[A-Z][a-z]*|[^\W\d_A-Za-z]+|\d+")
_MAX_STATE = 60
_MAX_TEXT = 600


class Where(NamedTuple):
    """An object to read states in. `alert`: it is the product's alert, not a row of events or a wrapper."""

    values: dict[str, Any]
    alert: bool = False


def closed(where: Sequence[Where], reader: Reader) -> str | None:
    """Return why an alert has ended, `status is "resolved"`; None if nothing says so.

    `where` are the objects from the outside in.
    """
    levels = list(_levels(where, reader))
    for subject in (subject for level in levels for subject in level):
        for name, text in _short_texts(subject.values, "message", reader):
            if _is_message(name, text, subject.values, reader):
                return f"{name} is {alert.shown(text)}"
    for level in reversed(levels):
        if over := next((over for subject in level if (over := _over(subject, reader))), None):
            return over
        if any(_is_open(subject, reader) for subject in level):
            return None
    return None


def _is_open(subject: Where, reader: Reader) -> bool:
    return subject.alert and any(
        _plain(text) in _plains("open") for _, text in _short_texts(subject.values, "status", reader)
    )


def _over(subject: Where, reader: Reader) -> str | None:
    index = reader.index(subject.values)
    of_service = any(word in index for word in _words("services"))
    for group in ("status", "good", "severity"):
        for name, text in _short_texts(subject.values, group, reader):
            if of_service and names.word(name) in _words("hosts"):
                continue
            if _is_over(group, text) and (
                subject.alert or _names_alert(name) or _plain(text) not in _plains("weak")
            ):
                return f"{name} is {alert.shown(text)}"
    for name in (index[word] for word in _words("flags") if word in index):
        if subject.values[name] is True:
            return f"{name} is true"
    for name, text in _short_texts(subject.values, "closing", reader):
        if not candidates.says_nothing(text):
            return f"{name} is {alert.shown(text)}"
    return None


def test(where: Sequence[Where], reader: Reader) -> str | None:
    """Return why a payload is a test message, by its kind or a flag; None if nothing says so."""
    for values, _ in (subject for level in _levels(where, reader) for subject in level):
        index = reader.index(values)
        real = _is_grave(values, reader)
        for name, text in _short_texts(values, "tests", reader):
            if not real and _plain(text) in _plains("tests", "words"):
                return f"{name} is {alert.shown(text)}"
        for name in (index[word] for word in _words("tests", "flags") if word in index):
            if values[name] is True:
                return f"{name} is true"
    return None


def tells_test(where: Sequence[Where], reader: Reader) -> str | None:
    """Return the sentence by which a payload says that it is a test message; None if there is none.

    Anybody can write such a sentence, also into a command line that an alert quotes.
    """
    for values, _ in (subject for level in _levels(where, reader) for subject in level):
        index = reader.index(values)
        texts = () if _is_grave(values, reader) else _words("tests", "texts")
        for name in (index[word] for word in texts if word in index):
            for text in texts_of(values[name]):
                if _phrases().search(text[:_MAX_TEXT].lower()):
                    return f"{name} is {alert.shown(text)}"
    return None


def _is_grave(values: dict[str, Any], reader: Reader) -> bool:
    """Say whether an object has a host and a high severity: `ping` or `heartbeat` is then the subject of an alert."""
    index = reader.index(values)
    grave = any(_plain(text) in ("high", "critical") for _, text in _short_texts(values, "severity", reader))
    return grave and any(word in index for word in _words("tests", "hosts"))


def _levels(where: Sequence[Where], reader: Reader) -> Iterator[list[Where]]:
    """Yield each object with the objects directly inside that describe it; no object twice."""
    outer = {id(subject.values): subject for subject in where if isinstance(subject.values, dict)}
    visited = set(outer)
    for subject in outer.values():
        level = [subject]
        index = reader.index(subject.values)
        for word in (word for word in (*_words("inside"), *_words("besides")) if word in index):
            inner = subject.values[index[word]]
            for values in (inner, inner.get("fields")) if isinstance(inner, dict) else ():
                if isinstance(values, dict) and id(values) not in visited:
                    visited.add(id(values))
                    level.append(Where(values, alert=word not in _words("besides")))
        yield level


def _short_texts(values: dict[str, Any], group: str, reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield the short texts that stand under the names of a group, with their names."""
    index = reader.index(values)
    for name in (index[word] for word in _words(group, "names") if word in index):
        value = values[name]
        if isinstance(value, dict):
            if isinstance(
                category := value.get("statusCategory"), dict
            ):  # Jira's, in English whatever the name is
                yield from ((f"{name}.statusCategory.key", text) for text in texts_of(category.get("key")))
            value = next((value[key] for key in ("name", "itemValue", "key", "label") if key in value), value)
        yield from ((name, text) for text in texts_of(value) if len(text) <= _MAX_STATE)


def _is_over(group: str, text: str) -> bool:
    if _plain(text) in _plains(group, "words"):
        return True
    tokens = [token for token in _plain(text).split() if token not in ("status", "state", "auto")]
    if group != "status" or not tokens or _plains("status", "not").intersection(tokens):
        return False
    if tokens[0] in _plains("status", "beginnings"):
        return True
    before = f" {' '.join(tokens[:-1])} "
    return tokens[-1] in _plains("status", "beginnings") and not any(
        f" {phrase} " in before for phrase in _plains("status", "before")
    )


def is_alert(values: dict[str, Any], reader: Reader) -> bool:
    """Say whether an object is an alert, not a reply around events: it has a name or the like, or no list."""
    named = any(word in reader.index(values) for word in _words("titles"))
    return named or not any(isinstance(value, list) for value in values.values())


def is_event(values: dict[str, Any], around: Sequence[Any], reader: Reader) -> bool:
    """Say whether an object is the event below an alert, so that its words concern the event.

    It has an event's columns or an event's name, and no title; an object `around` it has a title or a severity.
    """
    if any(word in reader.index(values) for word in _words("titled")):
        return False
    outer = [other for other in around if isinstance(other, dict) and other is not values]
    if not any(word in reader.index(other) for other in outer for word in _words("titles")):
        return False
    called = next((name for other in outer for name, value in other.items() if value is values), "")
    return names.word(called) in _words("events") or any(names.named_as("columns", name) for name in values)


def _names_alert(name: str) -> bool:
    return any(noun in name.lower() for noun in ("alert", "incident", "case", "offense", "finding", "issue"))


def _is_message(name: str, text: str, beside: dict[str, Any], reader: Reader) -> bool:
    """Say whether the last word means the end of an alert: `alert.resolved`, `RECOVERY`, `Close` beside an `alert`."""
    *before, last = _plain(text).split() or [""]
    joined = _plain(text).replace(" ", "")
    whole = joined in _plains("message", "withNoun")
    if not whole and not all(word in _plains("message", "nouns") for word in before):
        return False
    if last in _plains("message", "verbs") or joined in _plains("message", "verbs"):
        return (
            bool(before)
            or last not in _plains("message", "loose")
            or names.word(name) not in _words("message", "loosely")
        )
    if not whole and last not in _plains("message", "withNoun"):
        return False
    return bool(before and not whole) or _is_about_alert(beside, reader)


def _is_about_alert(values: dict[str, Any], reader: Reader) -> bool:
    """Say whether an action in an object concerns the alert, and nothing else."""
    index = reader.index(values)
    if any(word in index for word in _words("message", "objects")):
        return False
    kinds = (
        text for word in _words("message", "types") if word in index for text in texts_of(values[index[word]])
    )
    return any(_plain(text) in _plains("message", "nouns") for text in kinds) or any(
        isinstance(values[index[word]], dict) for word in _words("message", "beside") if word in index
    )


@functools.lru_cache(maxsize=4_096)
def _plain(text: str) -> str:
    """Return the words of a text in small letters, without numbers: `7 - ResolvedFalsePositive` has three."""
    return " ".join(token.lower() for token in _TOKEN.findall(text) if not token.isdigit())


@functools.cache
def _phrases() -> re.Pattern[str]:
    return re.compile(
        "|".join(
            rf"(?:^|(?<=\W)){re.escape(text)}(?=\W|$)(?! (?:account|user|host|server|machine)\b)"
            for text in _list("tests", "phrases")
        )
    )


@functools.cache
def _words(*path: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(names.word, _list(*path))))


@functools.cache
def _plains(*path: str) -> frozenset[str]:
    return frozenset(_plain(text) for text in _list(*path))


def _list(*path: str) -> list[str]:
    table: Any = names.table("states")
    for name in path:
        table = table[name]
    return list(table)
