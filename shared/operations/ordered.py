"""Lists in order of time, newest or oldest first, in pages of bounded work.

Rows whose keys are times are read backwards, in spans that grow and shrink. Alerts lie under hashes: up to a thousand
are read whole and put in order; where there are more, they are read by their deliveries, whose keys are times.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from shared.errors import Unreadable
from shared.ledger import keys
from shared.ledger import rows as stored
from shared.ledger.record import Delivery
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
_ALERTS = 500  # read for a page at most, with a request each, many at a time; and as many deliveries
_ALL = 99_999  # more than a delivery has
_MATCHED = "matched"
_RANK = re.compile(r"[0-9]{12}\.[0-9]{3}[0-9a-f]+")
_PLACE = re.compile(r"(delivery-[0-9a-f.-]*)\|([0-9]{1,5})")
_START = f"{keys.DELIVERY}|0"
_BEYOND = "-g"  # after every id that begins so
_Named = tuple[Delivery, int, str]


def newest(
    table: Table,
    within: Range,
    pick: Callable[[Row], _T | None],
    *,
    top: int,
    continuation: str | None = None,
    rows: int = page.ROWS,
    per_second: float = 1.0,
) -> Page[_T]:
    """Return up to `top` items that `pick` makes of rows whose keys are times, the newest first.

    The times count `per_second`. Raise `RequestError` for a continuation of another range.
    """
    first, end = within
    prefix = first.partition("-")[0] + "-"
    at = page.position(continuation, [within]) if continuation else end
    least = _LEAST_SPAN_SECONDS * per_second
    time, span, left = _time(at, table, per_second), _FIRST_SPAN_SECONDS * per_second, rows
    items: list[_T] = []
    while at > first and left > 0:
        lower = min(at, max(first, prefix + keys.stamp(time - span))) if time > span else first
        limit = min(left, _AT_ONCE) if span > least else None
        rows_read = table.query(lower, at, limit=limit + 1 if limit else None)
        if limit and len(rows_read) > limit:
            span = max(span / _STEP, least)
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
    thousands: int = 1,
) -> Page[_T]:
    """Return up to `top` alerts in the order of their acceptance; `accepted` is an alert's time, and its id.

    Where there are more than so many `thousands`, the order is that of their deliveries. Raise `RequestError` for a
    continuation of another list.
    """

    def rank(item: _T) -> str:
        time, name = accepted(item)
        return f"{time if oldest else _MOST_SECONDS - time:016.3f}{name}"

    last = page.decoded(continuation) if continuation else ""
    if not continuation or _RANK.fullmatch(last):
        items = _all(table, pick, thousands + 1 if last else thousands)
        if items is not None:
            after = [item for item in sorted(items, key=rank) if rank(item) > last]
            shown = tuple(after[:top])
            return Page(shown, page.opaque(rank(shown[-1])) if len(after) > top else None)
        if last:  # many came since the page before
            time = float(last[:16]) - 0.001 if oldest else _MOST_SECONDS - float(last[:16]) + 0.001
            last = f"{keys.delivery_key(keys.delivery_time(time))}|{_ALL}"
    match = _PLACE.fullmatch(last if continuation else _START)
    if match is None:
        raise page.not_ours(continuation or "")
    return _by_delivery(table, pick, (match[1], int(match[2])), oldest=oldest, top=top)


def _all(table: Table, pick: Callable[[Row], _T | None], thousands: int) -> list[_T] | None:
    """Return what fits of all alerts, in no order; None if there are so many thousands of them, or more."""
    items: list[_T] = []
    start = keys.ALERT
    for _ in range(thousands):
        read = table.query(start, keys.ALERT_END, after=True, limit=page.ROWS)
        items += [item for row in read for item in _picked(pick, row)]
        if len(read) < page.ROWS:
            return items
        start = read[-1].key
    return None


def _by_delivery(
    table: Table, pick: Callable[[Row], _T | None], place: tuple[str, int], *, oldest: bool, top: int
) -> Page[_T]:
    """Return alerts in the order of their deliveries, from that one on of which so many alerts are done."""
    start, done = place
    if oldest:
        read = table.query(start, keys.DELIVERY_END, limit=_ALERTS)
        beyond = read[-1].key if len(read) == _ALERTS else ""
        deliveries = [delivery for row in read for delivery in _picked(stored.read_delivery, row)]
    else:
        within = (keys.DELIVERY, start + _BEYOND if done else keys.DELIVERY_END)
        listed = newest(table, within, stored.read_delivery, top=_ALERTS, per_second=1000.0)
        beyond = page.decoded(listed.continuation) if listed.continuation else ""
        deliveries = list(listed.items)
    named = [
        (delivery, number, alert)
        for delivery in deliveries
        for number, alert in enumerate(delivery.alerts, 1)
        if keys.delivery_key(delivery.id) != start or number > done
    ]
    items: list[_T] = []
    for begin in range(0, min(len(named), _ALERTS), top):
        for (delivery, number, alert), row in _rows(table, named[begin : min(begin + top, _ALERTS)]):
            start, done = keys.delivery_key(delivery.id), number
            items += _picked(pick, row) if row and _stands_here(row, delivery, alert) else []
            if len(items) == top:
                return Page(tuple(items), page.opaque(f"{start}|{done}"))
    if len(named) <= _ALERTS:
        start, done = beyond, _ALL
    return Page(tuple(items), page.opaque(f"{start}|{done}") if start else None)


def _stands_here(row: Row, delivery: Delivery, alert: str) -> bool:
    """Tell whether an alert is listed where a delivery names that alert: more than one search may have led to it."""
    own = (row.key.removeprefix(keys.ALERT), row.values.get("link"))
    places = [name for name in own if name in delivery.alerts]
    return row.values.get("delivery") == delivery.id and alert == (places or [alert])[0]


def _rows(table: Table, named: Sequence[_Named]) -> Iterator[tuple[_Named, Row | None]]:
    """Yield the rows of alerts; for a search that has led to an alert, that alert's."""
    read = table.get_all([keys.alert_key(alert) for _, _, alert in named])
    links = {
        n: str(row.values["link"])
        for n, row in enumerate(read)
        if row and row.values.get("state") == _MATCHED
    }
    linked = dict(zip(links, table.get_all([keys.alert_key(link) for link in links.values()]), strict=True))
    for number, each in enumerate(named):
        yield each, linked.get(number, read[number])


def _picked(pick: Callable[[Row], _T | None], row: Row) -> list[_T]:
    with contextlib.suppress(Unreadable):  # a row that this app cannot have written blocks no other
        item = pick(row)
        return [] if item is None else [item]
    return []


def _time(key: str, table: Table, per_second: float) -> float:
    """Return the time in a key, in its unit of UTC time, or for the end of a range a time after all keys."""
    ahead = (table.now() + _AHEAD_SECONDS) * per_second
    with contextlib.suppress(IndexError, ValueError):
        return min(float(key.split("-")[1]) + _LEAST_SPAN_SECONDS * per_second / 2, ahead)
    return ahead
