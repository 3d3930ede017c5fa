"""Graph's JSON and its texts, as they are read and shown."""

import json
import re
from typing import Any

_SECRET = re.compile(r"[\w.~+/=-]{80,}")  # a token or a part of one; an id of a device has 40 characters


def document(raw: bytes) -> object:
    """Return the JSON of an answer, None if it is none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def member(value: object, name: str) -> Any:
    """Return the member of an object by its name in any case; None if there is none."""
    if not isinstance(value, dict):
        return None
    return next((inner for key, inner in value.items() if key.lower() == name.lower()), None)


def text(value: object, most: int) -> str:
    """Return a text of an answer in one line of at most `most` characters, without what may be a token."""
    shown = _SECRET.sub("…", " ".join(value.split())) if isinstance(value, str) else ""
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
