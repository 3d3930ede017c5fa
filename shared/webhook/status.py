"""The status of a delivery: what became of its alerts, for whoever knows its id."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.errors import NotFound, Problem
from shared.ledger import keys, lookup, record, rows
from shared.ledger.keys import REFERENCE, Stage
from shared.ledger.lookup import Stored
from shared.ledger.record import Delivery
from shared.web import delivery
from shared.web.delivery import DeliveryAlert
from shared.webhook.memory import Memory

if TYPE_CHECKING:
    from shared.sending.snapshot import Snapshot
    from shared.table.protocol import Table
    from shared.web.reply import Reply

_FEW = 3  # alerts of a large delivery that are read one by one
BYTES = 48 * 1024
"""How long the alerts are in the answer, which anybody may ask for who knows the delivery's id."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answers for deliveries. `recent_snapshot` is asked only if something waits; `at` is now, in monotonic seconds.

    Alerts may wait in `stages`.
    """

    table: "Table"
    memory: Memory
    recent_snapshot: Callable[[], "Snapshot"]
    at: float
    stages: tuple[Stage, ...] = (REFERENCE,)

    def answer(self, delivery_id: str, origin: str) -> "Reply":
        """Answer 202 until all alerts of a delivery have ended, then as the POST would have. Raise `NotFound`.

        `origin` is the scheme and host that `Location` begins with.
        """
        unknown = NotFound(
            f"No delivery has the id {delivery_id[:60]!r}; they are stored for RETENTION_DAYS."
        )
        if not keys.is_delivery_id(delivery_id):
            raise unknown
        row = self.table.get(keys.delivery_key(delivery_id))
        if row is None:
            raise unknown
        stored = rows.read_delivery(row)
        stands = self._stands(stored)
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
            {
                "event": stored.alerts.index(alert),
                "problems": [Problem("id", error.detail).render()],
                "remedy": None,
            }
            for alert, error in stands.unreadable.items()
        )
        stored = replace(stored, refused=(*stored.refused, *lost))
        waits = any(not alert.entry.has_ended for alert in alerts)
        snapshot = self.recent_snapshot() if waits else None
        return delivery.answer(stored, alerts, snapshot, now=self.table.now(), origin=origin, most=BYTES)

    def _stands(self, stored: Delivery) -> Stored:
        """Return the alerts of a delivery: of a large one at most a few seconds old."""
        if len(stored.alerts) <= record.FEW:
            return lookup.find(self.table, stored.alerts)
        read = functools.partial(self._many, stored)
        stands: Stored = self.memory.answer(f"alerts of {stored.id}", self.at, read)
        return stands

    def _many(self, delivery: Delivery) -> Stored:
        """Return alerts with few requests: copies of ended ones, and waiting ones, are read in ranges."""
        alerts = delivery.alerts
        known = {alert: self.memory.created[alert] for alert in alerts if alert in self.memory.created}
        for read in (lookup.ended, functools.partial(lookup.waiting, stages=self.stages)):
            left = tuple(alert for alert in alerts if alert not in known)
            if len(left) > _FEW:
                known |= read(self.table, replace(delivery, alerts=left))
        stands = lookup.find(self.table, [alert for alert in alerts if alert not in known])
        self.memory.learn([*known.values(), *stands.entries.values()])
        return Stored(known | stands.entries, stands.unreadable)
