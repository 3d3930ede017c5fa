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
from shared.errors import Busy, Conflict, HalfAccepted, TableError, WriteUnknown
from shared.ledger import keys, record, rows
from shared.ledger.record import Delivery, Entry
from shared.sending import known
from shared.sending.decision import differences
from shared.sending.known import Known
from shared.table.protocol import Operation, Row
from shared.web import delivery
from shared.web.delivery import DeliveryAlert
from shared.webhook import entries, transactions
from shared.webhook.entries import Maker, Wanted
from shared.webhook.inline import TRIES, Inline, Room

if TYPE_CHECKING:
    from shared.mapping.outcome import Outcome, Refused
    from shared.sending.dispatcher import Dispatch
    from shared.sending.snapshot import Snapshot
    from shared.sending.turns import Plan
    from shared.web.reply import Reply

_LATE_SECONDS = 15.0  # before a POST's time with the table is over


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One POST being accepted. `stages` are the dispatchers of the stages that are on, that of `reference` first."""

    stages: "Sequence[Dispatch]"  # their time with the table ends with that of the POST
    inline: Inline

    @property
    def dispatcher(self) -> "Dispatch":
        """The dispatcher of the stage *reference*."""
        return self.stages[0]

    def accept(self, wanted: "Wanted", origin: str, sender: str) -> "Reply":
        """Store a delivery, send what the windows allow, and answer. Raise a `TableError` that says what is stored."""
        accepted, asked = self._delivery(wanted, sender)
        names = {entry.stage.name for entry in asked.values()}
        first, *others = [stage for stage in self.stages if stage.policy.stage.name in names]
        room = self.inline.room(first)
        alerts: list[DeliveryAlert] | None = None
        if len(asked) == 1 and room.token is not None:
            alerts = self._straight(accepted, next(iter(asked.values())), room, room.token)
        if alerts is None:
            stored, accepted = self._store(accepted, asked, room.snapshot)
            alerts = self.inline.send(room, others, stored)
        snapshot = room.now if room.name == keys.REFERENCE.name else None
        return delivery.answer(
            accepted,
            alerts,
            snapshot,
            now=self.dispatcher.table.now(),
            origin=origin,
            failure_status=wanted.outcome.refused_status,
        )

    def trial(self, outcome: "Outcome", searches: "tuple[Refused, ...]", sender: str) -> tuple[str, ...]:
        """Store the searches of a trial, in a delivery that nobody is told of; return their ids. Raise `TableError`."""
        nothing = dataclasses.replace(outcome, alerts=(), refused=())
        accepted, asked = self._delivery(Wanted(nothing, searches), sender, trial=True)
        self._store(accepted, asked, None)
        return tuple(asked)

    def _delivery(
        self, wanted: "Wanted", sender: str, *, trial: bool = False
    ) -> tuple[Delivery, dict[str, Entry]]:
        """Return the delivery of an outcome, and its entries by id: those with the same id are one."""
        outcome, now = wanted.outcome, self.dispatcher.table.now()
        maker = Maker(outcome.source or "", keys.delivery_id(now), now, sender, trial)
        search = any(stage.policy.stage == keys.SEARCH for stage in self.stages)
        asked: dict[str, Entry] = {}
        for entry in entries.of(wanted, maker, search=search):
            first = asked.setdefault(entry.alert.id, entry)
            notes = dict.fromkeys((*first.notes, *differences(entry, first)))
            asked[entry.alert.id] = dataclasses.replace(first, notes=tuple(notes))
        many = len(asked) > record.FEW
        asked = {alert: dataclasses.replace(entry, many=many) for alert, entry in asked.items()}
        accepted = Delivery(
            id=maker.delivery,
            source=outcome.source,
            accepted=now,
            alerts=tuple(asked),
            refused=delivery.refused_events(outcome.refused),
            sender=sender,
        )
        return accepted, asked

    def _straight(
        self, accepted: Delivery, entry: Entry, room: Room, token: str
    ) -> list[DeliveryAlert] | None:
        """Accept and acquire in one transaction if a slot is open and nothing more urgent waits; else return None."""
        dispatcher = room.dispatcher
        for _ in range(TRIES):
            snapshot = room.snapshot
            if snapshot is None or not snapshot.has_room(entry.due):
                return None
            try:
                sending = dispatcher.acquire(
                    snapshot.view,
                    dispatcher.choose(snapshot.view.open),
                    entry,
                    lambda held: [*rows.insert(held), rows.insert_delivery(accepted)],
                )
            except Conflict:
                stored = self._stored(keys.alert_key(entry.alert.id))
                if stored and stored.values.get("delivery") == accepted.id:
                    return [DeliveryAlert(rows.read(stored))]  # it landed, and nobody heard of it
                if stored or not self._is_early():
                    return None  # known already, or a slow table leaves time for one write more
                self.inline.look(room)
                continue
            log.step("accepted", entry=entry)
            sent = self.inline.wait(dispatcher, dispatcher.launch(sending, token))
            return [DeliveryAlert.of(entry.alert.id, sent[entry.alert.id])]
        return None

    def _store(
        self, accepted: Delivery, asked: Mapping[str, Entry], snapshot: "Snapshot | None"
    ) -> tuple[list[DeliveryAlert], Delivery]:
        """Commit a delivery and its alerts as waiting; alerts that are known already are reported with their state."""
        new = dict(asked)
        there: dict[str, Known] = {}
        done: set[str] = set()
        clashes = 0
        for _ in range(TRIES * len(asked) + 1):
            left = [entry for alert, entry in new.items() if alert not in done]
            batch, last = transactions.batch(left)
            plan = self.dispatcher.plan(batch, snapshot, write=clashes < TRIES - 1 and self._is_early())
            if last:
                accepted = _with_known(accepted, there)
            operations = transactions.operations(plan.entries, accepted, last=last)
            try:
                clashing = self._commit(operations, plan, left[len(batch) :], snapshot)
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
            if not clashing and self._stored(keys.delivery_key(accepted.id)):  # our own landed after all
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

    def _commit(
        self,
        operations: Sequence[Operation],
        plan: "Plan",
        others: Sequence[Entry],
        snapshot: "Snapshot | None",
    ) -> dict[str, Known] | None:
        """Write with the turns of a plan; return None if it succeeded, else the alerts that the table knows already.

        `others` are those that are written later: all are looked up at once.
        """
        if self.dispatcher.commit(plan, operations):
            return None
        turns = self.dispatcher.turns
        later = self.dispatcher.plan(others, snapshot, write=False)
        turns.done(later, None)
        turns.give_back(later)
        if there := self._known([*plan.entries, *later.entries]):
            turns.give_back(plan)
        elif self._is_early():
            turns.read_again(self.dispatcher.table, plan)
        return there

    def _is_early(self) -> bool:
        """Tell whether there is time enough with the table for optional requests."""
        end = self.dispatcher.table.end
        return end is None or self.inline.clocks.monotonic() < end - _LATE_SECONDS

    def _known(self, batch: Sequence[Entry]) -> dict[str, Known]:
        """Return the alerts of a batch that the table knows, by id, after a conflict, joined with the stored ones."""
        with _unsure():
            return known.join_all(self.dispatcher.table, batch)

    def _stored(self, key: str) -> Row | None:
        with _unsure():
            return self.dispatcher.table.get(key)


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


def _with_known(accepted: Delivery, there: Mapping[str, Known]) -> Delivery:
    """Return a delivery with the duplicates and notes of alerts that were known."""
    notes = {alert: known.decision.notes for alert, known in there.items()}
    duplicates = tuple(alert for alert, known in there.items() if known.decision.duplicate)
    homes = collections.Counter(
        there[alert].entry.delivery for alert in duplicates if there[alert].entry.many
    )
    others = tuple(home for home, _ in homes.most_common(2))
    return dataclasses.replace(accepted, duplicates=duplicates, notes=notes, others=others)
