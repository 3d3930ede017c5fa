"""Clearing away what is past its retention, in small pieces; what waits stays."""

from collections.abc import Callable
from dataclasses import dataclass

from shared import journal, ledger
from shared.storage import MAX_OPERATIONS, Conflict, Delete, Operation, Row, Table

EVERY_SECONDS = 6 * 3600.0
PIECE = 50


@dataclass(slots=True)
class Schedule:
    """When this host cleared away last. Not at its start: an idle tick of the dispatcher stays one query."""

    _next: float | None = None

    def run(self, table: Table, retention_days: float, monotonic: Callable[[], float]) -> None:
        """Clear one piece away if it is time, and come back soon if there may be more."""
        now = monotonic()
        if self._next is None:
            self._next = now + EVERY_SECONDS
        if now < self._next:
            return
        more = purge(table, retention_days * 86_400)
        self._next = now + (0.0 if more else EVERY_SECONDS)


def purge(table: Table, seconds: float) -> bool:
    """Delete up to a piece of deliveries, ended alerts and refused payloads older than `seconds`.

    Return whether there may be more. A delivery goes, and its alerts with it, when all of them ended that long ago.
    """
    before = table.now() - seconds
    deliveries = table.query(ledger.DELIVERY, ledger.delivery_key(ledger.delivery_time(before)), limit=PIECE)
    gone = sum(_delete(table, _delivery(table, row, before)) for row in deliveries)
    refused = table.query(ledger.REFUSED, ledger.REFUSED_END, keys_only=True)
    surplus = len(refused) - ledger.REFUSED_ROWS
    old = [row for number, row in enumerate(refused) if number < surplus or row.timestamp < before]
    gone += _delete(table, [Delete(row.key, "*") for row in old[:PIECE]])
    if gone:
        journal.step("purged", rows=gone)
    return len(deliveries) == PIECE or len(old) > PIECE


def _delivery(table: Table, row: Row, before: float) -> list[Operation]:
    operations: list[Operation] = [Delete(row.key, row.etag)]
    for alert in ledger.read_delivery(row).alerts:
        key = ledger.alert_key(alert)
        for found in table.query(key, key + "\0", limit=1):
            entry = ledger.read(found)
            if entry.ended is None or entry.ended > before:
                return []
            operations.append(Delete(key, found.etag))
            if entry.state == "failed":
                operations.append(Delete(ledger.failed_key(entry), "*"))
    return operations


def _delete(table: Table, operations: list[Operation]) -> int:
    gone = 0
    for start in range(0, len(operations), MAX_OPERATIONS):
        piece = operations[start : start + MAX_OPERATIONS]
        try:
            table.commit(piece)
        except Conflict:
            continue  # changed meanwhile: its time comes again
        gone += len(piece)
    return gone
