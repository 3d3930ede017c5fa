"""Whether a payload says that its alert is over: resolved, closed, acknowledged, deleted; or that it is a test.

The words and the names they stand under are data, `tables/states.json`. They are asked of the alert, of the objects
around it and of those directly inside that describe it (`alert.status`), never of what stands beside: a device, a port.
What says that the alert is open, nearer to it, goes before.
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
    """An object that is asked. `alert` says that it is the product's alert, not a row of events or a wrapper."""

    values: dict[str, Any]
    alert: bool = False


def closed(where: Sequence[Where], reader: Reader) -> str | None:
    """Return what says that an alert is over, `status is "resolved"`; None if nothing does.

    `where` are the objects from the outside in.
    """
    levels = list(_levels(where, reader))
    for one in (one for level in levels for one in level):
        for name, text in _said(one.values, "message", reader):
            if _is_message(name, text, one.values, reader):
                return f"{name} is {alert.shown(text)}"
    for level in reversed(levels):
        if over := next((over for one in level if (over := _over(one, reader))), None):
            return over
        if any(_is_open(one, reader) for one in level):
            return None
    return None


def _is_open(one: Where, reader: Reader) -> bool:
    return one.alert and any(
        _plain(text) in _plains("open") for _, text in _said(one.values, "status", reader)
    )


def _over(one: Where, reader: Reader) -> str | None:
    index = reader.index(one.values)
    of_service = any(word in index for word in _words("services"))
    for group in ("status", "good", "severity"):
        for name, text in _said(one.values, group, reader):
            if of_service and names.word(name) in _words("hosts"):
                continue
            if _is_over(group, text) and (
                one.alert or _names_alert(name) or _plain(text) not in _plains("weak")
            ):
                return f"{name} is {alert.shown(text)}"
    for name in (index[word] for word in _words("flags") if word in index):
        if one.values[name] is True:
            return f"{name} is true"
    for name, text in _said(one.values, "closing", reader):
        if not candidates.says_nothing(text):
            return f"{name} is {alert.shown(text)}"
    return None


def test(where: Sequence[Where], reader: Reader) -> str | None:
    """Return what says that a payload is a test message; None if nothing does."""
    for values, _ in (one for level in _levels(where, reader) for one in level):
        index = reader.index(values)
        real = _is_grave(values, reader)
        for name, text in _said(values, "tests", reader):
            if not real and _plain(text) in _plains("tests", "words"):
                return f"{name} is {alert.shown(text)}"
        for name in (index[word] for word in _words("tests", "texts") if word in index):
            for text in texts_of(values[name]):
                if _phrases().search(text[:_MAX_TEXT].lower()):
                    return f"{name} is {alert.shown(text)}"
        for name in (index[word] for word in _words("tests", "flags") if word in index):
            if values[name] is True:
                return f"{name} is true"
    return None


def _is_grave(values: dict[str, Any], reader: Reader) -> bool:
    """Say whether an object names a host and a high severity: a `ping` or a `heartbeat` is then what was seen."""
    index = reader.index(values)
    grave = any(_plain(text) in ("high", "critical") for _, text in _said(values, "severity", reader))
    return grave and any(word in index for word in _words("tests", "hosts"))


def _levels(where: Sequence[Where], reader: Reader) -> Iterator[list[Where]]:
    """Yield each object with those directly inside that describe it; no object twice."""
    outer = {id(one.values): one for one in where if isinstance(one.values, dict)}
    seen = set(outer)
    for one in outer.values():
        level = [one]
        index = reader.index(one.values)
        for word in (word for word in (*_words("inside"), *_words("besides")) if word in index):
            inner = one.values[index[word]]
            for values in (inner, inner.get("fields")) if isinstance(inner, dict) else ():
                if isinstance(values, dict) and id(values) not in seen:
                    seen.add(id(values))
                    level.append(Where(values, alert=word not in _words("besides")))
        yield level


def _said(values: dict[str, Any], group: str, reader: Reader) -> Iterator[tuple[str, str]]:
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
    """Say whether an object is the event beneath an alert, so that its words are about what happened in it.

    It has an event's columns or is called so, and no title; one of the objects `around` it has one, or a severity.
    """
    if any(word in reader.index(values) for word in _words("titled")):
        return False
    outer = [one for one in around if isinstance(one, dict) and one is not values]
    if not any(word in reader.index(one) for one in outer for word in _words("titles")):
        return False
    called = next((name for one in outer for name, value in one.items() if value is values), "")
    return names.word(called) in _words("events") or any(names.named_as("columns", name) for name in values)


def _names_alert(name: str) -> bool:
    return any(noun in name.lower() for noun in ("alert", "incident", "case", "offense", "finding", "issue"))


def _is_message(name: str, text: str, beside: dict[str, Any], reader: Reader) -> bool:
    """Say whether the last word is the end of an alert: `alert.resolved`, `RECOVERY`, `Close` beside an `alert`."""
    *rest, last = _plain(text).split() or [""]
    joined = _plain(text).replace(" ", "")
    whole = joined in _plains("message", "withNoun")
    if not whole and not all(one in _plains("message", "nouns") for one in rest):
        return False
    if last in _plains("message", "verbs") or joined in _plains("message", "verbs"):
        return (
            bool(rest)
            or last not in _plains("message", "loose")
            or names.word(name) not in _words("message", "loosely")
        )
    if not whole and last not in _plains("message", "withNoun"):
        return False
    return bool(rest and not whole) or _is_about_alert(beside, reader)


def _is_about_alert(values: dict[str, Any], reader: Reader) -> bool:
    """Say whether an object names the alert that something was done to, and nothing else that it was done to."""
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
    """Return the words of a text in small letters, without numbers: `7 - ResolvedFalsePositive` is three."""
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
    found: Any = names.table("states")
    for name in path:
        found = found[name]
    return list(found)
