"""Checks that the places in answers are paths in the payload that was sent, with the values that were made of them.

`of(documents)` lists every path of a delivery as text, `alerts[0].labels.DeviceId`: keys, also dotted ones, indexes,
and the contents of texts that can be opened. `wrong(outcome, documents)` reports each place that is none of these, or
that has another value than the field was made of.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from shared.alerts import alert, title, vocabulary
from shared.mapping.outcome import Mapped, Outcome, Refused
from shared.payload import names, scan, texts

Places = Mapping[str, list[Any]]
"""What stands at each place: one value, or several where two places are written alike."""

PARAMETER, DEFAULT = "the request's parameter", "the default"
_LEVELS = 40
_LONGEST, _PART = 160, 60
_DIFFERENT = re.compile(r'("(?:[^"\\]|\\.)*"…?) at (.+?)(?=; "|\.(?: Nothing says|$))')
_NOT_IT = "Found instead: "


def of(documents: list[Any]) -> Places:
    """Return the value at every place of a delivery."""
    by_text: dict[str, list[Any]] = {}
    many = len(documents) > 1
    for index, document in enumerate(documents):
        for place, value in _walk(document, f"[{index}]" if many else "", _LEVELS):
            text = place.removeprefix(".")
            if len(text) > _LONGEST:
                text = f"{text[:20]}…{text[21 - _LONGEST :]}"
            by_text.setdefault(text, []).append(value)
    return by_text


def _walk(value: Any, place: str, levels: int) -> Iterator[tuple[str, Any]]:
    yield place, value
    if levels <= 0:
        return
    for inner in _opened(value):
        yield from _walk(inner, place, levels - 1)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, f"{place}.{name[:_PART]}", levels - 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{place}[{index}]", levels - 1)


def _opened(value: Any) -> Iterator[Any]:
    """Yield the contents of a text that are read like a part of the payload around it."""
    if isinstance(value, dict) and value.get("type") == "Buffer" and isinstance(value.get("data"), list):
        value = bytes(map(int, value["data"])).decode(errors="replace")
    if isinstance(value, str) and len(value) >= texts.SHORTEST:
        for inner in (texts.structured(value), texts.loose(value)):
            if isinstance(inner, dict | list | str):
                yield inner


def wrong(outcome: Outcome, documents: list[Any]) -> list[str]:
    """Return a line for each place in an outcome at which the payload has nothing, or another value."""
    places = of(documents)
    faults: list[str] = []
    events: list[Mapped | Refused] = [*outcome.alerts, *outcome.refused]
    for event in events:
        for name, origin in event.origins.items():
            if origin not in (PARAMETER, DEFAULT):
                faults += _origin(name, origin, event, places)
    for refused in outcome.refused:
        for problem in refused.problems:
            faults += [f"{problem.field}: {line}" for line in _wrong_quotes(problem.detail, places)]
    return faults


def _origin(name: str, origin: str, event: Mapped | Refused, places: Places) -> Iterator[str]:
    """Yield what is wrong with the origin of a field: a place, or the places of a text with gaps."""
    several = [origin] if origin in places else origin.split(", ")
    for place in several:
        if place not in places:
            yield f"{name}: there is nothing at {place!r}"
    if isinstance(event, Mapped) and len(several) == 1 and origin in places:
        texts_there = [text for value in places[origin] for text in _scalars(value)]
        lines = any(
            "CEF:" in text or "LEEF:" in text for text in texts_there
        )  # a line is reported as a whole
        keys = name not in names.KEYS or any(event.alert.body()[name] in text for text in texts_there)
        made = (lines and keys) or any(
            _made_of(name, event, text) for text in (*texts_there, ", ".join(texts_there))
        )
        yield from (
            []
            if made
            else [f"{name}: {event.alert.body()[name]!r} is not made of {texts_there!r} at {origin!r}"]
        )


def _made_of(name: str, mapped: Mapped, text: str) -> bool:
    """Say whether a field's value is made of a text."""
    value = mapped.alert.body()[name]
    if name in names.KEYS:
        whole = (text, unquote_plus(text))  # Devo sends forms
        parts = (*whole, *(part.strip() for value in whole for part in value.split("|")))
        return any(alert.canonical(name, part) == value for part in parts)
    if name in ("severity", "category"):
        sentence = f"{name.capitalize()} at the source: {text}"
        became = f"{name}: {text} became {value}"
        return sentence in mapped.alert.description or became in mapped.notes or _word(name, text) == value
    start = value.removesuffix("…")
    return bool(value) and (
        start[:200] in text
        or title.tidy(text) == value
        or alert.cut(text.strip(), 200).removesuffix("…") in value
    )


def _word(name: str, text: str) -> str | None:
    try:
        return (vocabulary.severity(text) if name == "severity" else vocabulary.category([text])).text
    except ValueError:
        return None


def _scalars(value: Any) -> Iterator[str]:
    """Yield the texts and numbers in a value."""
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _scalars(item)


def _wrong_quotes(detail: str, places: Places) -> Iterator[str]:
    """Yield what is wrong with the places in a problem's text."""
    if detail.startswith("has different values: "):
        for shown, place in _DIFFERENT.findall(detail):
            if place not in places:
                yield f"there is nothing at {place!r}"
            elif not any(
                alert.shown(part.strip()) == shown
                for value in places[place]
                for text in _scalars(value)
                for part in (text, text.strip('" '), *text.split("|"))
            ):
                yield f"{shown} does not stand at {place!r}"
    for piece in detail.split(_NOT_IT)[1:]:
        reason = next((reason for reason in _reasons() if f" {reason}." in piece), None)
        if reason is None:
            yield f"{piece!r} says nothing that we know"
        elif (place := piece.partition(f" {reason}.")[0]) not in places:
            yield f"there is nothing at {place!r}"


def _reasons() -> list[str]:
    kinds = names.table("lookalikes").values()
    return [*(reason for reasons in kinds for reason in reasons), scan._AROUND, scan._ALONE]
