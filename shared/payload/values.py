"""The texts and numbers of a value, of a list, or of a typed object."""

from datetime import UTC, datetime
from typing import Any

from shared.payload import names
from shared.payload import texts as forms
from shared.payload.body import Number

_MONGO = "$date"
_PARTS = 5, 7  # of a moment, the least and the most
_YEARS = range(2000, 2100)
_SECOND = 1_000_000_000  # nanoseconds
_MAX_VALUES = 20  # of an array under a known name
_MAX_NAMED = 5  # entries of an element with a name
_MAX_TYPED = 3  # entries of a typed value: it, its type, and a link
_VALUES = (
    "label",
    "displayname",
    "displayvalue",
    "value",
    "date",
    "numberlong",
    "stringvalue",
    "intvalue",
    "text",
    "_",
    "string",
    "long",
    "s",
    "n",
)
_TYPES = (
    "value",
    "string",
    "long",
    "integer",
    "int",
    "double",
    "number",
    "text",
    "date",
    "datetime",
    "keyword",
)


def texts(value: Any) -> list[str]:
    """Return the texts and numbers of a value: itself, those of an array, or the value in a typed object."""
    if isinstance(value, str):
        if value[:1] == "[" and isinstance(inner := forms.structured(value), list):
            return texts(inner)
        text = _unquoted(value.strip())
        return [text] if text else []
    if isinstance(value, list):
        if moment := _moment(value):
            return [moment]
        items = (item if isinstance(item, str) else _named(item) for item in value[:_MAX_VALUES])
        return [text for item in items if (text := item.strip())]
    inner = scalar(value)
    return [] if inner is None else texts(inner)


def scalar(value: Any) -> Any:
    """Return the value in `{"stringValue": "x"}`, `{"integer": 1}`, `{"display_value": "x", "value": 1}`; else None."""
    if not isinstance(value, dict) or not 0 < len(value) <= 2 * _MAX_TYPED:
        return None
    if isinstance(date := value.get(_MONGO), dict) and len(value) == 1:  # {"$date": {"$numberLong": "1"}}
        value = date
    entries = {
        names.word(name).lstrip("@") or name: entry
        for name, entry in value.items()
        if entry not in (None, "", [], {})
    }
    if len(entries) > _MAX_TYPED:
        return None
    content = next((entries[name] for name in _VALUES if name in entries), None)
    if content is None and len(entries) == 1:
        [(name, inner)] = entries.items()
        content = inner if name.endswith(_TYPES) or name.isdigit() else None
    return content if isinstance(content, str | list) else None


def _moment(items: list[Any]) -> str:
    """Return the time whose parts Java's Jackson writes: `[2026, 11, 20, 9, 14, 27, 330651800]`; "" for other lists.

    The last part counts nanoseconds. Java leaves parts out that are 0 at the end, and such a time names no zone.
    """
    if not _PARTS[0] <= len(items) <= _PARTS[1] or not all(isinstance(item, Number) for item in items):
        return ""
    parts = [int(item) if item.isdecimal() else -1 for item in items]
    year, month, day, hour, minute, second, nanoseconds = (*parts, 0, 0)[: _PARTS[1]]
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except (ValueError, OverflowError):
        return ""
    if moment.year not in _YEARS or not 0 <= nanoseconds < _SECOND:
        return ""
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}"


def is_plain(value: Any) -> bool:
    """Say whether a value is a text, a number, or a list of these."""
    return not isinstance(value, dict) and not (
        isinstance(value, list) and value and isinstance(value[0], dict | list)
    )


def _unquoted(text: str) -> str:
    """Return a text without the quotation marks, or a chat's backticks, around all of it."""
    mark = text[:1]
    whole = mark in ('"', "`") and len(text) > 1 and text[-1] == mark and mark not in text[1:-1]
    return text[1:-1].strip() if whole else text


def _named(item: Any) -> str:
    """Return the text of an element that is an object: a tag with its name, a typed value."""
    if not isinstance(item, dict) or len(item) > _MAX_NAMED:
        return ""
    inner = scalar(item) or item.get("name") or item.get("Name") or item.get("id") or ""
    return inner if isinstance(inner, str) else ""
