"""Clearing away what is past its retention, in small pieces; what waits stays."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from shared import log
from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.table.protocol import MAX_OPERATIONS, Delete, Operation, Row, Table, try_commit

FIRST_SECONDS = 600.0
EVERY_SECONDS = 6 * 3600.0
PIECE = 50
PIECE_ALERTS = 200
REFUSED_ROWS = 1_000


@dataclass(slots=True)
class Schedule:
    """When this host clears away next, and from which row on.

    Not at its start, for an idle tick of the dispatcher is one query; but soon, for a host may not live for hours.
    """

    _next: float | None = None
    _start: str = keys.DELIVERY

    def run(self, table: Table, retention_days: float, monotonic: Callable[[], float]) -> None:
        """Clear one piece away if it is time, and come back at once if there may be more."""
        now = monotonic()
        if self._next is None:
            self._next = now + FIRST_SECONDS
        if now < self._next:
            return
        start = purge(table, retention_days * 86_400, self._start)
        self._start = start or keys.DELIVERY
        self._next = now + (0.0 if start else EVERY_SECONDS)


def purge(table: Table, seconds: float, start: str = keys.DELIVERY) -> str | None:
    """Delete a piece of deliveries, ended alerts and refused payloads older than `seconds`.

    `start` is the delivery's row to begin with. Return the one to go on with, or None when there is no more. A
    delivery goes, its alerts with it, when all of them ended that long ago; else it is passed over.
    """
    before = table.now() - seconds
    end = keys.delivery_key(keys.delivery_time(before))
    deliveries = table.query(start, end, after=True, limit=PIECE)
    gone = alerts = 0
    rest = deliveries[:]
    while rest and alerts < PIECE_ALERTS:
        row = rest.pop(0)
        with contextlib.suppress(Unreadable):  # it stays, for whoever corrects or removes it
            alerts += len(rows.read_delivery(row).alerts)
            gone += _delete(table, _delivery(table, row, before))
    refused = table.query(keys.REFUSED, keys.REFUSED_END, keys_only=True)
    surplus = len(refused) - REFUSED_ROWS
    old = [row for number, row in enumerate(refused) if number < surplus or row.timestamp < before]
    gone += _delete(table, [[Delete(row.key, "*") for row in old[:PIECE]]])
    if gone:
        log.step("purged", rows=gone)
    if rest or len(deliveries) == PIECE:
        return row.key
    return keys.DELIVERY if len(old) > PIECE else None


def _delivery(table: Table, row: Row, before: float) -> list[list[Operation]]:
    """Return the transactions that delete a delivery and its alerts, its own row last; none if it must stay."""
    pieces: list[list[Operation]] = [[]]
    for alert in rows.read_delivery(row).alerts:
        key = keys.alert_key(alert)
        found = table.get(key)
        if found is None:
            continue
        entry = rows.read(found)
        if entry.ended is None or entry.ended > before:
            return []
        if len(pieces[-1]) + 3 > MAX_OPERATIONS:  # an alert with its failed row, and the delivery
            pieces.append([])
        pieces[-1].append(Delete(key, found.etag))
        if entry.state == "failed":
            pieces[-1].append(Delete(keys.failed_key(entry.ended, entry.alert.id), "*"))
    pieces[-1].append(Delete(row.key, row.etag))
    return pieces


def _delete(table: Table, pieces: list[list[Operation]]) -> int:
    gone = 0
    for piece in filter(None, pieces):
        if not try_commit(table, piece):
            break  # changed meanwhile: its time comes again
        gone += len(piece)
    return gone
