"""What Defender says of a call, and how it reaches the table: in one transaction with the slot's return.

Writing an outcome is tried until the lease ends; from then on the lease itself brings the alert back. A created
wins over any other state, even after the lease.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared import log
from shared.clients.answer import Answer
from shared.errors import Conflict, TableError, TableRefused, Unreadable
from shared.ledger import keys, record, rows
from shared.ledger.record import Entry
from shared.sending import window
from shared.table.protocol import Operation, Row, Table

_RETRY_SECONDS = 1.0
_TRIES = 5


class Caller(Protocol):
    """Makes the call to Defender; see `shared.clients.defender.Defender`."""

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Make one call; never raise for anything the network does."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of one host and its way to let time pass, in seconds."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Sending:
    """A committed take: the entry as held, the ETag of its waiting row, the slot, the probe it may be."""

    entry: Entry
    etag: str
    slot: window.Held
    probe: window.Probe | None
    start: window.Start


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of one take, and when its slot opens again (server's UTC seconds)."""

    entry: Entry
    slot: str
    opens: float
    was_probe: bool


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Makes the calls of committed takes, and writes down what came of them. Thread-safe."""

    table: Table
    defender: Caller
    policy: window.Policy
    rules: record.Rules
    clocks: Clocks

    def finish(self, sending: Sending, token: str) -> Finished:
        """Call Defender for a committed take, and write down what it said."""
        if not sending.start.is_fresh(self.policy):
            return self._settle(sending, record.put_back(sending.entry), None)
        answer = self.defender.create_alert(sending.entry.alert.body(), token)
        log.step("answered", entry=sending.entry, answer=answer)
        after = record.settle(sending.entry, answer, now=self.table.now(), rules=self.rules)
        return self._settle(sending, after, answer)

    def _settle(self, sending: Sending, after: Entry, answer: Answer | None) -> Finished:
        """Write an outcome and return the slot; `answer` is None when no call was made."""
        unused = answer is None or not answer.sent
        extras: list[Operation] = []
        opens = self.table.now() + self.policy.lease
        if unused or (answer and answer.answered):
            extras.append(window.give_back(sending.slot, self.policy, sent=not unused))
            opens = self.table.now() + (0.0 if unused else self.policy.rest)
        pause = self._pause(sending, answer)
        if pause:
            extras.append(pause)
        written = self._record(sending, after, extras, answer)
        if written is not None:
            age = None if written.ended is None else round(written.ended - written.accepted, 1)
            log.step("settled", entry=written, ageSeconds=age)
        return Finished(written or sending.entry, sending.slot.key, opens, sending.probe is not None)

    def _pause(self, sending: Sending, answer: Answer | None) -> Operation | None:
        if answer is None or answer.kind != "unavailable":
            if sending.probe is None:
                return None
            if answer is not None:
                return window.end_pause(sending.probe)
            return window.let_go(sending.probe, "the call did not start in time")
        if sending.probe:
            return window.renew_pause(sending.probe, *window.trouble(answer, self.policy))
        try:
            return self._lengthen(answer)
        except TableError:  # should there be a pause, writing the outcome meets it
            return window.start_pause(None, *window.trouble(answer, self.policy), self.table.now())

    def _lengthen(self, answer: Answer) -> Operation | None:
        """Return how a failure that is no probe starts a pause, or lengthens the one there is; None: it need not."""
        rows = self.table.query(window.PAUSE_KEY, window.PAUSE_KEY + "\0", limit=1)
        pause = window.read_pause(rows[0], self.policy) if rows else None
        return window.start_pause(pause, *window.trouble(answer, self.policy), self.table.now())

    def _record(
        self, sending: Sending, after: Entry, extras: Sequence[Operation], answer: Answer | None
    ) -> Entry | None:
        """Write an outcome; the table may be unavailable, the lease may be over. Return the entry as it then stands.

        None when the table stayed unavailable until the lease was over: the lease brings the alert back. A host that
        stood still during the call tries once all the same: a created wins even then.
        """
        end = sending.start.at[0] + self.policy.lease
        while True:
            try:
                return self._write(sending, after, extras, answer)
            except Conflict:
                pass  # somebody changed the alert between our look and our write: look again
            except TableRefused as error:
                log.problem("outcome refused", error)
                if after == record.without_answer(after):
                    return None
                after = record.without_answer(after)
            except TableError as error:
                log.problem("outcome not written yet", error)
                self.clocks.sleep(_RETRY_SECONDS)
            except Unreadable as error:
                log.problem("outcome not written", error)
                return None
            if self.clocks.monotonic() >= end:
                return None

    def _write(
        self, sending: Sending, after: Entry, extras: Sequence[Operation], answer: Answer | None
    ) -> Entry:
        core = rows.move(sending.entry, after, waiting=sending.etag)
        try:
            self.table.commit([*core, *extras])
        except Conflict:
            # The slot or the pause may belong to somebody else by now: that must not take the outcome along.
            for extra in extras:
                if not self._attempt([extra]) and extra.key == window.PAUSE_KEY:
                    self._insist(answer)
        else:
            return after
        if extras and self._attempt(core):
            return after
        row = self._row(keys.alert_key(after.alert.id))
        current = rows.read(row) if row else after
        if row is None or after.state != "created" or current.state == "created":
            return current  # ours landed unseen, or another attempt has it
        if current.waits and not self._row(current.waits):
            current = dataclasses.replace(current, waits="")  # removed by hand
        self.table.commit(rows.move(current, after, alert=row.etag))  # created wins over any other state
        return after

    def _insist(self, answer: Answer | None) -> None:
        """Lengthen the pause that somebody else was first to write, if this failure asks for more."""
        for _ in range(_TRIES):
            if answer is None or answer.kind != "unavailable":
                return
            longer = self._lengthen(answer)
            if longer is None or self._attempt([longer]):
                return

    def _attempt(self, operations: Sequence[Operation]) -> bool:
        try:
            self.table.commit(operations)
        except Conflict:
            return False
        return True

    def _row(self, key: str) -> Row | None:
        rows = self.table.query(key, key + "\0", limit=1)
        return rows[0] if rows else None
