"""Moments in ticks: units of 100 ns since 1970, as fine as Defender writes its times."""

import re
from datetime import UTC, datetime

SECOND = 10_000_000
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,7}))?Z")


def iso(ticks: int) -> str:
    """Return `2018-08-03T16:45:21.7115183Z` for a moment."""
    seconds, fraction = divmod(ticks, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:07}Z"


def ticks(text: str) -> int | None:
    """Return the moment that UTC as advanced hunting writes it is; None for any other text."""
    parts = _TIME.fullmatch(text)
    try:
        seconds = int(datetime.fromisoformat(f"{parts[1]}+00:00").timestamp()) if parts else None
    except ValueError:
        return None
    return seconds * SECOND + int((parts[2] or "").ljust(7, "0")) if parts and seconds is not None else None
