"""The status of a delivery: what became of its alerts, for whoever knows its id."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.errors import NotFound, Problem, Unreadable
from shared.ledger import keys, lookup, record, rows
from shared.ledger.lookup import Stored
from shared.ledger.record import Delivery, Entry
from shared.web import delivery
from shared.web.delivery import DeliveryAlert
from shared.webhook.memory import Memory

if TYPE_CHECKING:
    from shared.sending.snapshot import Snapshot
    from shared.table.protocol import Table
    from shared.web.reply import Reply
    from shared.webhook.memory import Single

REQUESTS = 10
"""How many requests an answer takes at the most."""
_SINGLES = REQUESTS - lookup.RANGES - 2  # beside the delivery's row and a snapshot
BYTES = 48 * 1024
"""How long the alerts are in the answer, which anybody may ask for who knows the delivery's id."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answers for deliveries. `recent_snapshot` is asked only if something waits; `at` is now, in monotonic seconds."""

    table: "Table"
    memory: Memory
    recent_snapshot: Callable[[], "Snapshot"]
    at: float

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
        stands, unread = self._stands(stored)
        alerts = [
            DeliveryAlert.of(
                alert,
                stands.entries[alert],
                duplicate=alert in stored.duplicates,
                notes=stored.notes.get(alert, ()),
            )
            for alert in stored.alerts
            if alert in stands.entries
        ]
        for error in stands.unreadable.values() if not alerts and not unread else ():
            raise error
        if not alerts and not unread:  # duplicates of alerts whose own retention is over
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
        now = self.table.now()
        return delivery.answer(stored, alerts, snapshot, now=now, origin=origin, most=BYTES, unread=unread)

    def _stands(self, stored: Delivery) -> tuple[Stored, int]:
        """Return the alerts of a delivery, of a large one at most a few seconds old, and how many were not read."""
        if len(stored.alerts) <= record.FEW:
            return lookup.find(self.table, stored.alerts), 0
        read = functools.partial(self._many, stored)
        stands: tuple[Stored, int] = self.memory.answer(f"alerts of {stored.id}", self.at, read)
        return stands

    def _many(self, stored: Delivery) -> tuple[Stored, int]:
        """Return the alerts of a large delivery, read as copies in a few ranges, and how many were not read.

        Those without a copy here belong to small deliveries; a few of them are read one by one.
        """
        known = {alert: self.memory.created[alert] for alert in stored.alerts if alert in self.memory.created}
        if len(known) < len(stored.alerts):
            known = lookup.copied(self.table, stored) | known
        rows_of = {alert: known[alert].link if alert in known else alert for alert in stored.alerts}
        led = [alert for alert, entry in known.items() if entry.state == "matched"]
        entries = {alert: entry for alert, entry in known.items() if alert not in led}
        left = {alert: rows_of[alert] for alert in stored.alerts if alert not in entries}
        singles = self._singles(left) if left else {}
        unreadable = {alert: one for alert, one in singles.items() if isinstance(one, Unreadable)}
        entries |= {alert: one for alert, one in singles.items() if isinstance(one, Entry)}
        self.memory.learn(entries.values())
        return Stored(entries, unreadable), len(left) - len(singles)

    def _singles(self, left: Mapping[str, str]) -> "dict[str, Single]":
        """Return some of the alerts whose own rows are given, at most `_SINGLES` of them read anew, the oldest first.

        How one ended is remembered for some minutes, so that polls come to all of them.
        """
        lately = self.memory.lately(self.at)
        rows_of = {
            alert: _link(lately[row][1]) or row if row in lately else row for alert, row in left.items()
        }
        open_rows = [
            row for row in dict.fromkeys(rows_of.values()) if row not in lately or _is_open(lately[row][1])
        ]
        asked = sorted(open_rows, key=lambda row: lately[row][0] if row in lately else -math.inf)[:_SINGLES]
        stored = lookup.read(self.table, asked)
        new: dict[str, Single] = {row: stored.entries.get(row, stored.unreadable.get(row)) for row in asked}
        self.memory.read_single(new, self.at)
        stands = {row: one for row, (_, one) in lately.items() if row not in open_rows} | new
        return {
            alert: stands[row] for alert, row in rows_of.items() if row in stands and not _link(stands[row])
        }


def _link(one: "Single") -> str:
    """Return the id of the alert that a search has led to, empty for anything else."""
    return one.link if isinstance(one, Entry) and one.state == "matched" else ""


def _is_open(one: "Single") -> bool:
    return isinstance(one, Entry) and not one.has_ended
