"""Sending without the table: losing an alert is worse than a call over the limit.

The same window and ledger code runs over a table in this process's memory. Each alert is tried once; created and
rejected count as ended and are remembered for an hour, anything else is unsent and the sender tries again.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared import delivery, journal, ledger
from shared.delivery import Told
from shared.ledger import Delivery, Entry
from shared.problems import StorageOut, TokenError
from shared.storage import Conflict, Delete

if TYPE_CHECKING:
    from shared.dispatch import Dispatch, Flights
    from shared.mapping.outcome import Mapped, Outcome
    from shared.reply import Reply

REMEMBERED_SECONDS = 3600.0


class Direct:
    """Sends alerts through a window of this host's own while the table is out. Thread-safe.

    `own` is a dispatch over a `MemoryTable`; `shared` is the one over the real table, which this host must not use
    for a window after a direct call.
    """

    def __init__(self, own: "Dispatch", shared: "Dispatch", monotonic: Callable[[], float]) -> None:
        self._own = own
        self._shared = shared
        self._monotonic = monotonic
        self.calls = 0  # counted apart: the shared window knows nothing of them

    def send(self, outcome: "Outcome", until: float) -> "Reply":
        """Call Defender for every alert of a delivery; answer 200 or 422 with `id: null`.

        Raise `StorageOut`, and so 503, when one of them did not reach its end, or where the operator has paused, as
        far as this host knows: the sender tries again.
        """
        if self._shared.stopped:
            raise StorageOut("The table is out, and the operator has paused all calls.", retry_after=60)
        self._forget()
        try:
            token = self._own.token(max(0.0, until - self._monotonic()))
        except TokenError as error:
            raise StorageOut(f"The table is out. {error.detail}", retry_after=10) from None
        found: dict[str, Told | None] = {}
        flights: Flights = {}
        for mapped in outcome.alerts:
            alert = mapped.alert.id
            if alert in found:
                continue  # equal alerts are one
            known = self._known(alert)
            found[alert] = Told(known, duplicate=True) if known else None
            if known is None:
                flights |= self._start(mapped, outcome, token)
        self._own.wait(flights, until - self._monotonic())
        for flight, sending in flights.items():
            entry = flight.result().entry if flight.done() else sending.entry
            found[entry.alert.id] = Told(entry)
        told = [one for one in found.values() if one and one.entry.has_ended]
        if len(told) < len(found):
            raise StorageOut(
                "The table is out, and Defender could not be reached for every alert; try again.",
                retry_after=10,
            )
        unwritten = Delivery(
            "", outcome.source, 0.0, tuple(found), refused=delivery.refusals(outcome.refused)
        )
        return delivery.answer(unwritten, told, None, now=0.0, origin="", refusal=outcome.refusal)

    def _start(self, mapped: "Mapped", outcome: "Outcome", token: str) -> "Flights":
        """Start the call for an alert, if this host's own window has an open slot."""
        look = self._own.look()
        entry = ledger.accept(
            mapped.alert, source=outcome.source or "", delivery="", now=look.view.now, notes=mapped.notes
        )
        if not look.view.open:
            return {}
        try:
            sending = self._own.take(look.view, self._own.choose(look.view.open), entry, ledger.insert)
        except Conflict:  # another thread has this slot, or this very alert
            return {}
        self.calls += 1
        self._shared.bar()
        journal.step("direct call", entry=sending.entry)
        (flight,) = flights = self._own.launch(sending, token)
        flight.add_done_callback(functools.partial(self._keep_if_ended, entry))
        return flights

    def _known(self, alert_id: str) -> Entry | None:
        key = ledger.alert_key(alert_id)
        rows = self._own.table.query(key, key + "\0")
        return ledger.read(rows[0]) if rows else None

    def _keep_if_ended(self, entry: Entry, _flight: object) -> None:
        """Forget an alert that did not end, so that its sender's next try is a new one."""
        known = self._known(entry.alert.id)
        if known and not known.has_ended:
            key = ledger.alert_key(entry.alert.id)
            self._own.table.commit([Delete(key, "*"), Delete(known.waits, "*")])

    def _forget(self) -> None:
        now = self._own.table.now()
        for row in self._own.table.query(ledger.ALERT, ledger.ALERT_END):
            entry = ledger.read(row)
            if entry.ended is not None and entry.ended < now - REMEMBERED_SECONDS:
                failed = [Delete(ledger.failed_key(entry), "*")] if entry.state == "failed" else []
                with contextlib.suppress(Conflict):  # another thread was first
                    self._own.table.commit([Delete(row.key, row.etag), *failed])
