"""Bodies that are a form (`application/x-www-form-urlencoded`), whatever the content type says."""

import re
from urllib.parse import parse_qsl

from shared.errors import PayloadError

_CARRIERS = ("json", "payload", "body", "data", "event")
"""Fields that hold the event as JSON. One of the first two is always read as such."""
_ALWAYS = ("json", "payload")
_NAME = r"[^\s={}\[\]\"'<&|?:][^\s={}\"<&|?]{0,199}"
# The outer repetition is not possessive: with that, Python 3.11.2 (Debian 12's) finds nothing; 3.11.7 does.
_CARRIES = re.compile(rf"\s*(?:(?!(?:{'|'.join(_CARRIERS)})=){_NAME}=[^\s&]*+&)*({'|'.join(_CARRIERS)})=")
_PAIR = re.compile(rf"{_NAME}=(?:\S*|[^=\r\n]*)")
_BEGINS = re.compile(rf"\s*{_NAME}=")
_MAX_FIELDS = 1_000


def opened(text: str) -> str | dict[str, str | list[str]] | None:
    """Return the JSON text in a form's field, or an object of its fields, or None if a text is clearly no form.

    A field that is there several times has a list of its values. Raises `PayloadError`.
    """
    carries = _CARRIES.match(text)
    flat = _is_flat(text)
    if not carries and not flat:
        return None
    fields = _fields(text)
    for name in _CARRIERS:
        for value in fields.get(name, ()):
            if name in _ALWAYS or value.lstrip()[:1] in ("{", "["):
                return value
    if flat and len(fields) > 1:
        return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
    if carries and carries[1] in _ALWAYS:
        raise PayloadError("The form's field json (or payload) is empty. Put the event there as JSON.")
    return None


def begins(text: str) -> bool:
    """Say whether a text begins as a form does: with a name and a sign of equality."""
    return _BEGINS.match(text) is not None


def _is_flat(text: str) -> bool:
    """Say whether a text consists of several pairs of name and value, joined by `&`."""
    if not begins(text) or not 0 < text.count("&") < _MAX_FIELDS:
        return False
    return all(_PAIR.fullmatch(pair) for pair in text.strip().split("&") if pair)


def _fields(text: str) -> dict[str, list[str]]:
    """Return the values of each field that are not blank."""
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text.strip(), errors="strict", max_num_fields=_MAX_FIELDS)
    except UnicodeDecodeError:
        raise PayloadError("The form is not percent-encoded UTF-8. Send it as UTF-8.") from None
    except ValueError:
        raise PayloadError(
            f"The form has more than {_MAX_FIELDS:,} fields. Send the event as JSON in one named json."
        ) from None
    for name, value in pairs:
        if value.strip():
            fields.setdefault(name, []).append(value)
    return fields
