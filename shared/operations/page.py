"""A long list in pages: bounded work for each, and a continuation that says where the next begins.

A continuation is the key of the last row that was read, so whatever is written or removed between two pages, a row
that stays is on exactly one of them, and the pages come to an end.
"""

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.errors import RequestError, Unreadable
from shared.ledger import keys
from shared.table.protocol import Row, Table
from shared.web import parameters

_T = TypeVar("_T")
Range = tuple[str, str]
ROWS = 1_000
"""How many rows are read for a page at most."""
WAITING: Sequence[Range] = tuple(within for stage in keys.STAGES for within in stage.waiting)
"""Where alerts wait, stage by stage."""
_KEY = re.compile(r"(?:[a-z]+-){1,2}[0-9a-f.-]*")


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """The items, in key order, and where to go on; None at the end. An empty page need not be the last."""

    items: tuple[_T, ...]
    continuation: str | None


def read(
    table: Table,
    ranges: Sequence[Range],
    pick: Callable[[Row], _T | None],
    *,
    top: int,
    continuation: str | None = None,
    rows: int = ROWS,
) -> Page[_T]:
    """Return up to `top` items that `pick` makes of the rows of these ranges, one range after the other.

    At most `rows` rows are read. Raise `RequestError` for a continuation of other ranges.
    """
    items: list[_T] = []
    start = position(continuation, ranges) if continuation else ranges[0][0]
    left = rows
    for first, end in ranges[_range_of(start, ranges) :]:
        at = start if first <= start < end else first
        while left:
            limit = min(left, max(top + 1, rows // 4))
            rows_read = table.query(at, end, after=True, limit=limit)
            left -= len(rows_read)
            for row in rows_read:
                at = row.key
                with contextlib.suppress(
                    Unreadable
                ):  # a row that this app cannot have written blocks no other
                    if (item := pick(row)) is not None:
                        items.append(item)
                if len(items) == top:
                    return Page(tuple(items), opaque(at))
            if len(rows_read) < limit:
                break
        else:
            return Page(tuple(items), opaque(at))
    return Page(tuple(items), None)


def opaque(place: str) -> str:
    """Return a place in a list as a continuation."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decoded(continuation: str) -> str:
    """Return the place that a continuation encodes, empty if it encodes none."""
    try:
        return base64.b64decode(continuation + "=" * (-len(continuation) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def not_ours(continuation: str) -> RequestError:
    """Return the error for a continuation of another list."""
    accepted = "that of the answer before, with otherwise the same parameters"
    return parameters.wrong("continuation", continuation, accepted)


def position(continuation: str, ranges: Sequence[Range]) -> str:
    """Return the key that a continuation encodes. Raise `RequestError` if it is in none of these ranges."""
    key = decoded(continuation)
    if not _KEY.fullmatch(key) or _range_of(key, ranges) == len(ranges):
        raise not_ours(continuation)
    return key


def _range_of(key: str, ranges: Sequence[Range]) -> int:
    """Return the number of the range that holds a key; one past the last if none does."""
    return next((number for number, (first, end) in enumerate(ranges) if first <= key < end), len(ranges))
