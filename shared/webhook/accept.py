"""Accepting a delivery: its alerts are stored, and sent at once as far as the window allows.

    snapshot ─┬─ a slot is open, nothing more urgent waits ─ commit and acquire ─ call ─ write the outcome ─ 200
              └─ else ─ commit as waiting ─ send what the window allows ─ 200 / 202

Nothing is answered 2xx before it is stored. If the table fails, the error says what is stored and what is not.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import log
from shared.errors import Busy, Conflict, HalfAccepted, TableError, TokenError, WriteUnknown
from shared.ledger import keys, lookup, record, rows
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import Operation, Row
from shared.web import delivery
from shared.web.delivery import DeliveryAlert
from shared.webhook import known, transactions
from shared.webhook.known import Known, differences
from shared.webhook.memory import Memory
from shared.webhook.permits import Permits

if TYPE_CHECKING:
    from shared.mapping.outcome import Mapped, Outcome
    from shared.sending.dispatcher import Dispatch, Flights
    from shared.sending.outcome import Clocks
    from shared.sending.snapshot import Snapshot
    from shared.sending.turns import Plan
    from shared.web.reply import Reply

_TRIES = 3
_LATE_SECONDS = 15.0  # before a POST's time with the table is over
_TOKEN_SECONDS = 5.0
_TOKEN_SECONDS_WITHOUT = 1.0  # a permit


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One POST being accepted. It waits for Defender until `inline`, in monotonic seconds."""

    dispatcher: "Dispatch"  # its time with the table ends with that of the POST
    clocks: "Clocks"
    permits: Permits
    memory: Memory
    inline: float

    def accept(self, outcome: "Outcome", origin: str, sender: str) -> "Reply":
        """Store a delivery, send what the window allows, and answer. Raise a `TableError` that says what is stored."""
        now = self.dispatcher.table.now()
        delivery_id = keys.delivery_id(now)
        asked: dict[str, Entry] = {}
        for entry in (_entry(mapped, outcome, delivery_id, now, sender) for mapped in outcome.alerts):
            first = asked.setdefault(entry.alert.id, entry)
            notes = dict.fromkeys((*first.notes, *differences(entry, first)))
            asked[entry.alert.id] = dataclasses.replace(first, notes=tuple(notes))
        many = len(asked) > record.FEW
        asked = {alert: dataclasses.replace(entry, many=many) for alert, entry in asked.items()}
        accepted = Delivery(
            id=delivery_id,
            source=outcome.source,
            accepted=now,
            alerts=tuple(asked),
            refused=delivery.refused_events(outcome.refused),
            sender=sender,
        )
        snapshot = self.memory.full(now)
        alerts: list[DeliveryAlert] | None = None
        if snapshot is None:
            try:
                token = self._token()
                snapshot = self._snapshot()
                if len(asked) == 1:
                    alerts = self._straight(accepted, next(iter(asked.values())), snapshot, token)
                if alerts is None:
                    alerts, accepted = self._store(accepted, asked)
                    if snapshot.view.open:
                        alerts, snapshot = self._send(alerts, snapshot, token)
            except TokenError as error:
                log.problem("no token", error)
        if alerts is None:
            alerts, accepted = self._store(accepted, asked)
        now = self.dispatcher.table.now()
        return delivery.answer(
            accepted, alerts, snapshot, now=now, origin=origin, failure_status=outcome.refused_status
        )

    def _snapshot(self) -> "Snapshot":
        snapshot = self.dispatcher.snapshot()
        self.memory.note(snapshot)
        return snapshot

    @contextlib.contextmanager
    def _waiting(self, without: float) -> "Iterator[float]":
        """Yield for how many seconds this POST may wait for answers: at most `without`, if it has no permit.

        Without a permit it calls all the same, and a later poll shows the outcome.
        """
        left = max(0.0, self.inline - self.clocks.monotonic())
        if not self.permits.acquire(blocking=False):
            yield min(without, left)
            return
        try:
            yield left
        finally:
            self.permits.release()

    def _token(self) -> str:
        with self._waiting(_TOKEN_SECONDS_WITHOUT) as seconds:
            return self.dispatcher.token(min(_TOKEN_SECONDS, seconds))

    def _wait(self, flights: "Flights") -> dict[str, Entry]:
        """Wait for Defender's answers while there is time; return the alerts with their outcomes, by id."""
        with self._waiting(0.0) as seconds:
            self.dispatcher.wait(flights, seconds)
        return {
            sending.entry.alert.id: flight.result().entry if flight.done() else sending.entry
            for flight, sending in flights.items()
        }

    def _straight(
        self, accepted: Delivery, entry: Entry, snapshot: "Snapshot", token: str
    ) -> list[DeliveryAlert] | None:
        """Accept and acquire in one transaction if a slot is open and nothing more urgent waits; else return None."""
        for _ in range(_TRIES):
            more_urgent = snapshot.waiting and snapshot.waiting[0].entry.due <= entry.due
            if not snapshot.view.open or more_urgent:
                return None
            try:
                sending = self.dispatcher.acquire(
                    snapshot.view,
                    self.dispatcher.choose(snapshot.view.open),
                    entry,
                    lambda held: [*rows.insert(held), rows.insert_delivery(accepted)],
                )
            except Conflict:
                stored = self._stored(entry)
                if stored and stored.values.get("delivery") == accepted.id:
                    return [DeliveryAlert(rows.read(stored))]  # it landed, and nobody heard of it
                if stored or not self._is_early():
                    return None  # known already, or a slow table leaves time for one write more
                snapshot = self._snapshot()
                continue
            log.step("accepted", entry=entry)
            return [DeliveryAlert(self._wait(self.dispatcher.launch(sending, token))[entry.alert.id])]
        return None

    def _store(self, accepted: Delivery, asked: Mapping[str, Entry]) -> tuple[list[DeliveryAlert], Delivery]:
        """Commit a delivery and its alerts as waiting; alerts that are known already are reported with their state."""
        new = dict(asked)
        there: dict[str, Known] = {}
        done: set[str] = set()
        clashes = 0
        for _ in range(_TRIES * len(asked) + 1):
            batch, last = transactions.batch([entry for alert, entry in new.items() if alert not in done])
            plan = self.dispatcher.plan(batch, write=clashes < _TRIES - 1 and self._is_early())
            if last:
                accepted = _with_known(accepted, there)
            operations = transactions.operations(plan.entries, accepted, last=last)
            try:
                clashing = self._commit(operations, plan)
            except TableError as error:
                if done:
                    raise _half(len(done), len(asked)) from error
                raise
            if clashing is None:
                new |= {entry.alert.id: entry for entry in plan.entries}
                done |= {entry.alert.id for entry in batch}
                if last:
                    break
                continue
            clashes += 1
            there |= clashing
            done |= {alert for alert, known in clashing.items() if known.decision.after}
            new = {alert: new[alert] for alert in new if alert not in clashing}
            if not clashing:  # a turn was, or our own delivery is there: an acquire of ours landed after all
                accepted = dataclasses.replace(accepted, id=keys.delivery_id(accepted.accepted))
        else:
            busy = Busy("Others keep changing these alerts at the same moment; send the same again.")
            if done:
                raise _half(len(done), len(asked)) from busy
            raise busy
        for entry in new.values():
            log.step("accepted", entry=entry)
        alerts = [
            DeliveryAlert(there[alert].entry, there[alert].decision.duplicate, there[alert].decision.notes)
            if alert in there
            else DeliveryAlert(new[alert])
            for alert in accepted.alerts
        ]
        return alerts, accepted

    def _commit(self, operations: Sequence[Operation], plan: "Plan") -> dict[str, Known] | None:
        """Write with the turns of a plan; return None if it succeeded, else the alerts that the table knows already."""
        if self.dispatcher.commit(plan, operations):
            return None
        if there := self._known(plan.entries):
            self.dispatcher.turns.give_back(plan)
        elif self._is_early():
            self.dispatcher.turns.read_again(self.dispatcher.table, plan)
        return there

    def _is_early(self) -> bool:
        """Tell whether there is time enough with the table for optional requests."""
        end = self.dispatcher.table.end
        return end is None or self.clocks.monotonic() < end - _LATE_SECONDS

    def _known(self, batch: Sequence[Entry]) -> dict[str, Known]:
        """Return the alerts of a batch that the table knows, by id, after a conflict, joined with the stored ones."""
        with _unsure():
            return known.join_all(self.dispatcher.table, batch)

    def _stored(self, entry: Entry) -> Row | None:
        with _unsure():
            return self.dispatcher.table.get(keys.alert_key(entry.alert.id))

    def _send(
        self, alerts: list[DeliveryAlert], snapshot: "Snapshot", token: str
    ) -> "tuple[list[DeliveryAlert], Snapshot]":
        """Send what the window allows, most urgent first, of all deliveries.

        Return the outcomes of this delivery's alerts, and the last snapshot.
        """
        if self.clocks.monotonic() >= self.inline:
            return alerts, snapshot
        ours = {alert.entry.alert.id for alert in alerts if not alert.entry.has_ended}
        new = {alert.entry.alert.id for alert in alerts if not alert.duplicate}
        flights: Flights = {}
        dispatched: dict[str, Entry] = {}
        try:
            for _ in range(_TRIES):
                snapshot = self._snapshot()
                if not snapshot.acquires or self.clocks.monotonic() >= self.inline:
                    break
                started = self.dispatcher.start(snapshot, token, self.inline)
                flights |= {
                    flight: sending for flight, sending in started.items() if sending.entry.alert.id in ours
                }
                if len(started) == snapshot.acquires == len(snapshot.waiting):
                    break
            if snapshot.whole and len(snapshot.waiting) < len(
                new
            ):  # what waits no more was acquired by a dispatcher
                new -= {sending.entry.alert.id for sending in flights.values()}
                waiting = {waiting.entry.alert.id for waiting in snapshot.waiting}
                dispatched = lookup.find(self.dispatcher.table, sorted(new - waiting)).entries
        except TableError as error:
            log.problem("accepted, not sent yet", error)
        sent = dispatched | self._wait(flights)
        return [
            dataclasses.replace(alert, entry=sent.get(alert.entry.alert.id, alert.entry)) for alert in alerts
        ], snapshot


@contextlib.contextmanager
def _unsure() -> Iterator[None]:
    """Return the error of a table that fails after a conflict: alerts of this POST or of another may be stored."""
    try:
        yield
    except TableError as error:
        raise WriteUnknown(
            f"{error.detail} It is not known whether these alerts are stored: send the same again."
        ) from error


def _half(done: int, asked: int) -> HalfAccepted:
    return HalfAccepted(
        f"At least {done} of {asked} alerts are stored and will be sent. Send the same again: stored alerts are"
        " not sent twice, and missing ones are added."
    )


def _entry(mapped: "Mapped", outcome: "Outcome", delivery_id: str, now: float, sender: str) -> Entry:
    return record.accept(
        mapped.alert,
        source=outcome.source or "",
        delivery=delivery_id,
        now=now,
        notes=mapped.notes,
        truncated=mapped.time_truncated,
        sender=sender,
    )


def _with_known(accepted: Delivery, there: Mapping[str, Known]) -> Delivery:
    """Return a delivery with the duplicates and notes of alerts that were known."""
    notes = {alert: known.decision.notes for alert, known in there.items()}
    duplicates = tuple(alert for alert, known in there.items() if known.decision.duplicate)
    homes = collections.Counter(
        there[alert].entry.delivery for alert in duplicates if there[alert].entry.many
    )
    others = tuple(home for home, _ in homes.most_common(2))
    return dataclasses.replace(accepted, duplicates=duplicates, notes=notes, others=others)
