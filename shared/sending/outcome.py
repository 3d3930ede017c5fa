"""What Defender says of a call, and how it reaches the table: in one transaction with the slot's release.

Writing an outcome is tried until the lease ends; from then on the lease itself brings the alert back. A created
wins over any other state, even after the lease.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared import log
from shared.clients.answer import Answer
from shared.errors import Conflict, TableError, TableRefused, Unreadable
from shared.ledger import keys, lookup, record, rows
from shared.ledger.record import Entry
from shared.sending import pause, window
from shared.sending.pause import Heard, Probe
from shared.table.protocol import Operation, Table, try_commit

_RETRY_SECONDS = 1.0
_CONFLICT_SECONDS = 0.05  # at first: it doubles up to a second
_TRIES = 5
_CLOCKS_DIFFER = 1.01  # our seconds, so that the bound of the server's time has surely come so far


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
    """A committed acquire: the entry as held, the ETag of its waiting row, the slot, the probe it may be.

    Its call may start at `begins` (server's UTC seconds), and soon after `start`.
    """

    entry: Entry
    etag: str
    slot: window.Held
    probe: Probe | None
    start: window.Start
    begins: float


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of one acquire, and when its slot opens again (server's UTC seconds)."""

    entry: Entry
    slot: str
    opens: float
    was_probe: bool


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Makes the calls of committed acquires, and writes down what came of them. Thread-safe."""

    table: Table
    defender: Caller
    policy: window.Policy
    rules: record.Rules
    clocks: Clocks
    heard: Heard = field(default_factory=Heard)

    def finish(self, sending: Sending, token: str) -> Finished:
        """Call Defender for a committed acquire, and write down its answer. Never raise: nobody might hear it."""
        answer = None
        try:
            if not self._may_start(sending):
                return self._settle(sending, record.put_back(sending.entry), None)
            answer = self.defender.create_alert(sending.entry.alert.body(), token)
            log.step("answered", entry=sending.entry, answer=answer)
            return self._settle(sending, self._after(sending, answer), answer)
        except Exception as error:  # noqa: BLE001 - whatever it was, the alert must not be called for ever
            log.problem("outcome not written", error, alert=sending.entry.alert.id)
            return self._without_answer(sending, answer)

    def _after(self, sending: Sending, answer: Answer) -> Entry:
        return record.settle(sending.entry, answer, now=self.table.now(), rules=self.rules)

    def _without_answer(self, sending: Sending, answer: Answer | None) -> Finished:
        """Write down the outcome alone, where something in Defender's own words cannot be written."""
        try:
            if answer is not None:
                plain = _plain(answer)
                return self._settle(sending, self._after(sending, plain), plain)
        except Exception as error:  # noqa: BLE001 - as above
            log.problem("outcome lost", error, alert=sending.entry.alert.id)
        lease = sending.begins + self.policy.lease
        return Finished(sending.entry, sending.slot.key, lease, sending.probe is not None)

    def _may_start(self, sending: Sending) -> bool:
        """Tell whether the call may be made; wait for the slot, where it was acquired by a clock that was ahead.

        The answer to the acquire has brought the server's own time, whatever was believed before.
        """
        early = sending.begins - self.table.now()
        if 0 < early <= window.START_SECONDS:
            self.clocks.sleep(early * _CLOCKS_DIFFER)
        now = self.table.now()
        return sending.begins <= now and self.heard.until <= now and sending.start.is_fresh(self.policy)

    def _settle(self, sending: Sending, after: Entry, answer: Answer | None) -> Finished:
        """Write an outcome and release the slot; `answer` is None when no call was made."""
        extras: list[Operation] = []
        now = self.table.now()
        opens = now + self.policy.lease
        if answer is None or not answer.sent:
            extras.append(window.release_unused(sending.slot, self.policy, now))
            opens = max(now, sending.slot.opens)
        elif answer.answered:
            extras.append(window.release(sending.slot, self.policy))
            opens = now + self.policy.cooldown
        change = self._pause(sending, answer)
        if change:
            extras.append(change)
        written = self._record(sending, after, extras, answer)
        if written is not None:
            age = None if written.ended is None else round(written.ended - written.accepted, 1)
            log.step("settled", entry=written, ageSeconds=age)
        return Finished(written or sending.entry, sending.slot.key, opens, sending.probe is not None)

    def _pause(self, sending: Sending, answer: Answer | None) -> Operation | None:
        """Return how this answer changes the API's pause, if it does."""
        if answer is None or answer.kind != "unavailable":
            if sending.probe is None:
                return None
            if answer is not None:
                return pause.end(sending.probe)
            return pause.abandon(sending.probe, "the call did not start in time")
        cause = pause.trouble(answer, self.policy.window)
        self.heard.note(self.table.now() + cause.seconds)
        if sending.probe:
            return pause.renew(sending.probe, cause)
        try:
            return self._lengthen(cause)
        except TableError:  # should there be a pause, writing the outcome meets it
            return pause.start(None, cause, self.table.now())

    def _lengthen(self, cause: pause.Trouble) -> Operation | None:
        """Return how a failure that is no probe starts a pause, or lengthens the one there is; None: it need not."""
        held = window.read_pause(self.table.get(pause.PAUSE_KEY), self.policy)
        return pause.start(held, cause, self.table.now())

    def _record(
        self, sending: Sending, after: Entry, extras: Sequence[Operation], answer: Answer | None
    ) -> Entry | None:
        """Write an outcome; the table may be unavailable, the lease may be over. Return the entry as it then stands.

        None when the table stayed unavailable until the lease was over: the lease brings the alert back. A host that
        stood still during the call tries once all the same: a created wins even then.
        """
        end = sending.start.at[0] + self.policy.lease
        wait = _CONFLICT_SECONDS
        while True:
            try:
                return self._write(sending, after, extras, answer)
            except Conflict:  # somebody changed the alert between our read and our write: read again
                self.clocks.sleep(wait)
                wait = min(_RETRY_SECONDS, 2 * wait)
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
                if not self._attempt([extra]) and extra.key == pause.PAUSE_KEY:
                    self._insist(answer)
        else:
            return after
        if extras and self._attempt(core):
            return after
        row = self.table.get(keys.alert_key(after.alert.id))
        current = rows.read(row) if row else after
        if row is None or after.state != "created" or current.state == "created":
            return current  # ours landed unseen, or another attempt has it
        current = lookup.movable(self.table, current)
        self.table.commit(rows.move(current, after, alert=row.etag))  # created wins over any other state
        return after

    def _insist(self, answer: Answer | None) -> None:
        """Lengthen the pause that somebody else was first to write, if this failure asks for more."""
        if answer is None or answer.kind != "unavailable":
            return
        cause = pause.trouble(answer, self.policy.window)
        asked_until = self.table.now() + cause.seconds
        for _ in range(_TRIES):
            left = dataclasses.replace(cause, seconds=max(0.0, asked_until - self.table.now()))
            longer = self._lengthen(left)
            if longer is None or self._attempt([longer]):
                return

    def _attempt(self, operations: Sequence[Operation]) -> bool:
        return try_commit(self.table, operations)


def _plain(answer: Answer) -> Answer:
    """Return an answer without Defender's own words: its kind, its status, and an id that is text."""
    made = (answer.alert or {}).get("id")
    alert = {"id": made[:200]} if isinstance(made, str) else {}
    error = None if answer.kind == "created" else {"status": answer.status}
    return dataclasses.replace(answer, alert=alert if answer.kind == "created" else None, error=error)
