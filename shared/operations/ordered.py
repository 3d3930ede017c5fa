"""Lists in order of time, newest or oldest first, in pages of bounded work.

Rows whose keys are times are read backwards, in spans that grow and shrink. Alerts lie under hashes: they are read
a thousand rows at a time, and each thousand is put in order, so a list of up to a thousand rows is in order as a whole.
"""

import contextlib
import re
from collections.abc import Callable
from typing import TypeVar

from shared.errors import Unreadable
from shared.ledger import keys
from shared.operations import page
from shared.operations.page import Page, Range
from shared.table.protocol import Row, Table

_T = TypeVar("_T")
_FIRST_SPAN_SECONDS = 86_400.0
_LEAST_SPAN_SECONDS = 0.002
_STEP = 8.0
_AT_ONCE = 250
_AHEAD_SECONDS = 3_600.0
_MOST_SECONDS = 10.0**11
_LAST = keys.ALERT + "f" * 40  # beyond every alert
_PLACE = re.compile(r"(alert-[0-9a-f]*)(?:\|(alert-[0-9a-f]*|)\|([0-9.]+[0-9a-f]*))?")


def newest(
    table: Table,
    within: Range,
    pick: Callable[[Row], _T | None],
    *,
    top: int,
    continuation: str | None = None,
    rows: int = page.ROWS,
) -> Page[_T]:
    """Return up to `top` items that `pick` makes of rows whose keys are times, the newest first.

    Raise `RequestError` for a continuation of another range.
    """
    first, end = within
    prefix = first.partition("-")[0] + "-"
    at = page.position(continuation, [within]) if continuation else end
    time, span, left = _time(at, table), _FIRST_SPAN_SECONDS, rows
    items: list[_T] = []
    while at > first and left > 0:
        lower = max(first, prefix + keys.stamp(time - span)) if time > span else first
        limit = min(left, _AT_ONCE) if span > _LEAST_SPAN_SECONDS else None
        rows_read = table.query(lower, at, limit=limit + 1 if limit else None)
        if limit and len(rows_read) > limit:
            span = max(span / _STEP, _LEAST_SPAN_SECONDS)
            continue
        left -= len(rows_read)
        for row in reversed(rows_read):
            at = row.key
            items += _picked(pick, row)
            if len(items) == top:
                return Page(tuple(items), page.opaque(at))
        at, time, span = lower, time - span, span * _STEP
    return Page(tuple(items), page.opaque(at) if at > first else None)


def alerts(
    table: Table,
    pick: Callable[[Row], _T | None],
    accepted: Callable[[_T], tuple[float, str]],
    *,
    oldest: bool,
    top: int,
    continuation: str | None = None,
    rows: int = page.ROWS,
) -> Page[_T]:
    """Return up to `top` alerts in the order of their acceptance; `accepted` is an alert's time, and its id.

    Raise `RequestError` for a continuation of another list.
    """

    def rank(item: _T) -> str:
        time, name = accepted(item)
        return f"{time if oldest else _MOST_SECONDS - time:016.3f}{name}"

    start, end, last = _place(continuation) if continuation else (keys.ALERT, "", "")
    rows_read = table.query(
        start, end + "." if end else keys.ALERT_END, after=True, limit=2 * rows if end else rows
    )
    end = end or (rows_read[-1].key if len(rows_read) == rows else _LAST)
    items = sorted((item for row in rows_read for item in _picked(pick, row)), key=rank)
    items = [item for item in items if rank(item) > last]
    if len(items) > top:
        shown = tuple(items[:top])
        return Page(shown, page.opaque(f"{start}|{end}|{rank(shown[-1])}"))
    return Page(tuple(items), page.opaque(end) if end != _LAST else None)


def _picked(pick: Callable[[Row], _T | None], row: Row) -> list[_T]:
    with contextlib.suppress(Unreadable):  # a row that this app cannot have written blocks no other
        item = pick(row)
        return [] if item is None else [item]
    return []


def _time(key: str, table: Table) -> float:
    """Return the time in a key (UTC seconds), or for the end of a range a time after all keys."""
    try:
        return float(key.split("-")[1]) + _LEAST_SPAN_SECONDS / 2
    except (IndexError, ValueError):
        return table.now() + _AHEAD_SECONDS


def _place(continuation: str) -> tuple[str, str, str]:
    """Return where the thousand begins, where it ends, and the rank of the last that was shown."""
    match = _PLACE.fullmatch(page.decoded(continuation))
    if match is None:
        raise page.not_ours(continuation)
    return match[1], match[2] or "", match[3] or ""
