"""The status of a delivery: what became of its alerts, for whoever knows its id."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.errors import NotFound, Problem
from shared.ledger import keys, lookup, rows
from shared.web import delivery
from shared.web.delivery import DeliveryAlert

if TYPE_CHECKING:
    from shared.sending.snapshot import Snapshot
    from shared.table.protocol import Table
    from shared.web.reply import Reply

BYTES = 48 * 1024
"""How long the alerts are in the answer, which anybody may ask for who knows the delivery's id."""


def answer(
    delivery_id: str, table: "Table", recent_snapshot: Callable[[], "Snapshot"], origin: str
) -> "Reply":
    """Answer 202 until all alerts of a delivery have ended, then what the POST would have said. Raise `NotFound`.

    `recent_snapshot` is asked only if something waits; `origin` is the scheme and host that `Location` begins with.
    """
    unknown = NotFound(f"No delivery has the id {delivery_id[:60]!r}; they are stored for RETENTION_DAYS.")
    if not keys.is_delivery_id(delivery_id):
        raise unknown
    row = table.get(keys.delivery_key(delivery_id))
    if row is None:
        raise unknown
    stored = rows.read_delivery(row)
    stands = lookup.find(table, stored.alerts)
    alerts = [
        DeliveryAlert(stands.entries[alert], alert in stored.duplicates, stored.notes.get(alert, ()))
        for alert in stored.alerts
        if alert in stands.entries
    ]
    for error in stands.unreadable.values() if not alerts else ():
        raise error
    if not alerts:  # duplicates of alerts whose own retention is over
        raise unknown
    lost = tuple(
        {"event": stored.alerts.index(alert), "problems": [Problem("id", error.detail).render()]}
        for alert, error in stands.unreadable.items()
    )
    stored = replace(stored, refused=(*stored.refused, *lost))
    waits = any(not alert.entry.has_ended for alert in alerts)
    snapshot = recent_snapshot() if waits else None
    return delivery.answer(stored, alerts, snapshot, now=table.now(), origin=origin, most=BYTES)
