"""The call of an acquired slot, and its outcome, which is written in one transaction with the slot's release.

It is the same for every stage; what a stage's API is asked, and what its answer means, is in `api`.

Writing an outcome is tried until the lease ends; after that the alert is sent again. The outcome `created`
replaces any other state, even after the lease.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared import log
from shared.errors import Conflict, TableError, TableRefused, Unreadable
from shared.ledger import keys, lookup, record, rows, settlement
from shared.ledger.record import Entry
from shared.sending import pause, window
from shared.sending.api import Api, Outcome
from shared.sending.pause import Heard, Probe
from shared.table.protocol import Operation, Table, try_commit

_RETRY_SECONDS = 1.0
_CONFLICT_SECONDS = 0.05  # at first: it doubles up to a second
_TRIES = 2 * window.MOST_CALLS  # each conflict is a slot that somebody acquired, or a pause
_CLOCKS_DIFFER = 1.01  # our seconds, so that the bound of the server's time has surely come so far


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of one host and its way to let time pass, in seconds."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Sending:
    """A committed acquire: the entry as held, the ETag of its waiting row, the slot, the probe it may be.

    Its call may start at `begins` (server's UTC seconds), and soon after `start`. `missing` is what the API does not
    have, as the snapshot said.
    """

    entry: Entry
    etag: str
    slot: window.Held
    probe: Probe | None
    start: window.Start
    begins: float
    missing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of one acquire, and when its slot opens again (server's UTC seconds).

    `entry` is that of the next stage if the alert has passed on to it.
    """

    entry: Entry
    slot: str
    opens: float
    was_probe: bool


class Next(Protocol):
    """Accepts alerts in the next stage; see `shared.sending.forward.Forward`."""

    def accept(self, onward: Entry, beside: Sequence[Operation]) -> Entry:
        """Accept an alert in one transaction with what is written `beside` it; return it as it stands then.

        Raise `Conflict` or a `TableError`.
        """


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is written beside an outcome: the slot's release, and what the answer, if there is one, asks for.

    `cause` is why it pauses everyone; it came at `at` (monotonic seconds).
    """

    release: tuple[Operation, ...]
    called: bool
    cause: pause.Trouble | None
    at: float

    def cause_at(self, now: float) -> pause.Trouble | None:
        """Return the cause with the seconds that are left of it (`now`: monotonic seconds)."""
        if self.cause is None:
            return None
        return dataclasses.replace(self.cause, seconds=max(0.0, self.cause.seconds - (now - self.at)))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Makes the calls of committed acquires, and writes their outcomes. Thread-safe."""

    table: Table
    api: Api[Any]
    policy: window.Policy
    clocks: Clocks
    heard: Heard = field(default_factory=Heard)
    next: Mapping[str, Next] = field(default_factory=dict)

    def finish(self, sending: Sending, token: str) -> Finished:
        """Call the API for a committed acquire, and write the outcome. Never raise: no caller may be waiting."""
        answer = None
        try:
            if not self._may_start(sending):
                return self._settle(
                    sending, Outcome(record.put_back(sending.entry), called=False, sent=False)
                )
            answer = self.api.call(sending.entry, sending.missing, token)
            log.step("answered", entry=sending.entry, answer=answer)
            return self._settle(sending, self._outcome(sending, answer))
        except Exception as error:  # noqa: BLE001 - whatever it was, the alert must not be called for ever
            log.unforeseen(error, "outcome not written", alert=sending.entry.alert.id)
            return self._without_answer(sending, answer)

    def _outcome(self, sending: Sending, answer: log.Described) -> Outcome:
        return self.api.outcome(sending.entry, answer, self.table.now())

    def _without_answer(self, sending: Sending, answer: log.Described | None) -> Finished:
        """Write the outcome without the API's own words, if the table refuses them."""
        try:
            if answer is not None:
                return self._settle(sending, self._outcome(sending, self.api.plain(answer)))
        except Exception as error:  # noqa: BLE001 - as above
            log.unforeseen(error, "outcome lost", alert=sending.entry.alert.id)
        lease = sending.begins + self.policy.lease
        return Finished(sending.entry, sending.slot.key, lease, sending.probe is not None)

    def _may_start(self, sending: Sending) -> bool:
        """Tell whether the call may be made; wait for the slot, where it was acquired by a clock that was ahead.

        The answer to the acquire contains the server's own time, which corrects an earlier estimate. Where the table
        is too slow to say whether a pause began meanwhile, no call is made.
        """
        early = sending.begins - self.table.now()
        if 0 < early <= window.START_SECONDS:
            self.clocks.sleep(early * _CLOCKS_DIFFER)
        try:
            if window.meets_pause(self.table, sending.start, self.policy, sending.probe):
                return False
        except TableError as error:
            log.problem("pauses not read", error)
            return False
        now = self.table.now()
        return sending.begins <= now and self.heard.until <= now and sending.start.is_fresh(self.policy)

    def _settle(self, sending: Sending, outcome: Outcome) -> Finished:
        """Write an outcome and release the slot."""
        release: tuple[Operation, ...] = ()
        now = self.table.now()
        opens = now + self.policy.lease
        if not outcome.sent:
            release = (window.release_unused(sending.slot, self.policy, now),)
            opens = max(now + window.UNUSED_SECONDS, sending.slot.opens)
        elif outcome.answered:
            release = (window.release(sending.slot, self.policy),)
            opens = now + self.policy.cooldown
        if outcome.cause is not None:
            self.heard.note(now + outcome.cause.seconds, outcome.cause.reason)
        release += outcome.beside
        beside = _Beside(release, outcome.called, outcome.cause, self.clocks.monotonic())
        written = self._record(sending, outcome, beside)
        if written is not None:
            settled = outcome.after if outcome.onward else written
            age = None if settled.ended is None else round(settled.ended - settled.accepted, 1)
            log.step("settled", entry=settled, ageSeconds=age, code=(settled.error or {}).get("code"))
        return Finished(written or sending.entry, sending.slot.key, opens, sending.probe is not None)

    def _pause(self, sending: Sending, beside: _Beside) -> list[Operation]:
        """Return how this answer changes the API's pause, if it does."""
        cause, probe = beside.cause_at(self.clocks.monotonic()), sending.probe
        if cause is None:
            if probe is None:
                return []
            late = "the call did not start in time"
            return [pause.end(probe) if beside.called else pause.abandon(probe, late)]
        return [pause.renew(probe, cause)] if probe else self._lengthen(sending, cause)

    def _lengthen(self, sending: Sending, cause: pause.Trouble) -> list[Operation]:
        """Return how a failure that is no probe starts a pause, or lengthens the one there is; nothing: it need not."""
        stored = self.table.query(*self.policy.stage.slots)
        view = window.read(stored, self.table.now(), self.policy)
        return window.start_pause(view, cause, sending.slot.key)

    def _record(self, sending: Sending, outcome: Outcome, beside: _Beside) -> Entry | None:
        """Write an outcome; the table may be unavailable, the lease may be over. Return the entry as it then stands.

        None if the table was unavailable until the end of the lease: the alert is then sent again. A host that
        was frozen during the call tries once all the same, because `created` replaces any other state.
        """
        end = sending.start.at[0] + self.policy.lease
        wait = _CONFLICT_SECONDS
        while True:
            try:
                return self._write(sending, outcome, beside)
            except Conflict:  # somebody changed the alert between our read and our write: read again
                self.clocks.sleep(wait)
                wait = min(_RETRY_SECONDS, 2 * wait)
            except TableRefused as error:
                log.problem("outcome refused", error)
                if outcome.after == settlement.without_answer(outcome.after):
                    return None
                outcome = dataclasses.replace(outcome, after=settlement.without_answer(outcome.after))
            except TableError as error:
                log.problem("outcome not written yet", error)
                self.clocks.sleep(_RETRY_SECONDS)
            except Unreadable as error:
                log.problem("outcome not written", error)
                return None
            if self.clocks.monotonic() >= end:
                return None

    def _write(self, sending: Sending, outcome: Outcome, beside: _Beside) -> Entry:
        after = outcome.after
        core = rows.move(sending.entry, after, waiting=sending.etag)
        change = self._pause(sending, beside)
        try:
            return self._commit(outcome, [*core, *beside.release, *change])
        except Conflict:
            # The slot or the pause may belong to somebody else by now: that must not take the outcome along.
            if beside.release:
                try_commit(self.table, beside.release)
            if change and not try_commit(self.table, change):
                self._insist(sending, beside)
        if beside.release or change:
            with contextlib.suppress(Conflict):
                return self._commit(outcome, core)
        row = self.table.get(keys.alert_key(after.alert.id))
        current = rows.read(row) if row else after
        if row and outcome.onward and current.attempt == sending.entry.attempt and not current.has_ended:
            raise Conflict  # it is still ours: the next stage was busy
        if row is None or after.state != "created" or current.state == "created":
            return self._linked(current)  # ours landed unseen, or another attempt has it
        current = lookup.movable(self.table, current)
        self.table.commit(rows.move(current, after, alert=row.etag))  # created wins over any other state
        return after

    def _commit(self, outcome: Outcome, operations: Sequence[Operation]) -> Entry:
        """Write an outcome, and accept the alert that goes on in the next stage. Raise `Conflict` or a `TableError`."""
        if outcome.onward:
            return self.next[outcome.onward.stage.name].accept(outcome.onward, operations)
        self.table.commit(operations)
        return outcome.after

    def _linked(self, entry: Entry) -> Entry:
        """Return the alert that an entry has become in the next stage, or the entry itself."""
        row = self.table.get(keys.alert_key(entry.link)) if entry.link and entry.state == "matched" else None
        return rows.read(row) if row else entry

    def _insist(self, sending: Sending, beside: _Beside) -> None:
        """Start a pause although others acquire slots meanwhile; or lengthen one that somebody else was first to write.

        Nothing where this failure asks for no more than that.
        """
        for _ in range(_TRIES):
            cause = beside.cause_at(self.clocks.monotonic())
            longer = self._lengthen(sending, cause) if cause else []
            if not longer or try_commit(self.table, longer):
                return
