"""From a waiting alert to its answer: take a slot, call, settle; and the loop that does so for the backlog.

    look ── take (1 transaction: slot, alert) ── call ── settle (1 transaction: outcome, slot)

Nothing is called without a committed take. Whatever comes after it reaches the table: writing the outcome is
tried until the lease ends, and from then on the lease itself brings the alert back.
"""

import dataclasses
import functools
import math
import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared import journal, ledger, window
from shared.defender import Answer
from shared.ledger import Entry, Waiting
from shared.problems import StorageOut, Unreadable
from shared.storage import Conflict, Operation, Refused, Row, Table

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")
_RETRY_SECONDS = 1.0
_CONFLICT_SECONDS = 0.05
_LOOK_SECONDS = 5.0
_TOGETHER_SECONDS = 0.15  # a slot waits so long for its neighbours, that one look serves them all
_MAX_LATER = 500
_TRIES = 5
_HEAD = 2 * window.MOST_CALLS + 1  # every slot there may ever have been, the pause, an alert for each slot


class Caller(Protocol):
    """Makes the call to Defender; see `shared.defender.Defender`."""

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Make one call; never raise for anything the network does."""


class Tokens(Protocol):
    """Has a token at hand; see `shared.identity.TokenSource`."""

    def token(self, *, timeout: float) -> str:
        """Return a token, or raise `TokenError` if none comes in `timeout` seconds."""


class Workers(Protocol):
    """Runs calls side by side."""

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Start something."""

    def wait(self, futures: Iterable["Future[_T]"], seconds: float, *, everyone: bool = False) -> None:
        """Wait until one of them (or everyone) is done, at most so many seconds."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of one host and its way to let time pass, in seconds."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Look:
    """The window and the most urgent of the backlog, as one query saw them.

    `backlog` also knows how many wait for a time, since when, and which rows cannot be read. `whole`: nothing waits
    for a slot beyond what was seen.
    """

    view: window.View
    backlog: ledger.Backlog
    whole: bool

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """What may be taken, the most urgent first."""
        return self.backlog.waiting

    def turn_in(self, due: float) -> float:
        """Seconds until the turn of an alert that is due then (UTC seconds), as far as one look can tell."""
        return self.view.turn_in(sum(waiting.entry.due < due for waiting in self.waiting))

    @property
    def takes(self) -> int:
        """How many takes it allows: one where the first is to be a pause's probe."""
        return min(len(self.view.open), len(self.waiting), 1 if self.view.pause else len(self.view.open))


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


Flights = dict["Future[Finished]", Sending]
"""Calls under way, each with its take."""


class Dispatch:
    """Sends alerts through the window. Thread-safe; everything outside is passed in."""

    def __init__(
        self,
        *,
        table: Table,
        defender: Caller,
        tokens: Tokens,
        policy: window.Policy,
        rules: ledger.Rules,
        clocks: Clocks,
        workers: Workers,
        chance: random.Random,
    ) -> None:
        self.table = table
        self.policy = policy
        self.stopped = False  # whether the operator's pause held when this host looked last
        self._defender = defender
        self._tokens = tokens
        self._rules = rules
        self._clocks = clocks
        self._workers = workers
        self._chance = chance
        self._barred_until = float(
            "-inf"
        )  # monotonic: after direct calls this host takes nothing for a window

    def token(self, seconds: float = 6.0) -> str:
        """Return a token, so that it is at hand before a take. Raise `TokenError` if none comes in time."""
        return self._tokens.token(timeout=seconds)

    def look(self, *, later: bool = False) -> Look:
        """See slots, pause and the head of the backlog in one query; with `later` also what came due again."""
        start = ledger.LATER if later else window.FIRST_KEY
        limit = _HEAD + (_MAX_LATER if later else 0)
        rows = self.table.query(start, ledger.TODO_END, limit=limit)
        whole = len(rows) < limit
        beyond = sum(row.key >= window.FIRST_KEY for row in rows)
        if not whole and beyond < _HEAD:
            # So many wait for a time that the window may be cut off, and what is cut off would look open.
            rows = rows[: limit - beyond] + self.table.query(window.FIRST_KEY, ledger.TODO_END, limit=_HEAD)
        now = self.table.now()
        slots = [row for row in rows if row.key.startswith(window.FIRST_KEY)]
        view = window.look(slots, now, self.policy)
        self.stopped = view.pause is not None and view.pause.by_operator
        return Look(view, ledger.backlog(rows, now, _HEAD), whole)

    def may_take(self) -> bool:
        """Tell whether this host may take slots: for a window after a direct call it may not."""
        return self._clocks.monotonic() >= self._barred_until

    def bar(self) -> None:
        """Take no slot for one window from now on: this host has called Defender past the shared window."""
        self._barred_until = self._clocks.monotonic() + self.policy.rest

    def choose(self, slots: Sequence[window.Slot]) -> window.Slot:
        """Pick one of the open slots at random."""
        return self._chance.choice(slots)

    def take(
        self,
        view: window.View,
        slot: window.Slot,
        entry: Entry,
        write: Callable[[Entry], Sequence[Operation]],
    ) -> Sending:
        """Commit a take of this slot for this entry, with the rows that `write` makes of the entry as held.

        Raise `Conflict` when somebody else was first, `StorageOut` when nobody knows.
        """
        attempt = secrets.token_hex(8)
        held = ledger.take(entry, attempt, now=view.now, lease=self.policy.lease)
        operations = [*write(held), window.take(slot, attempt, self.policy)]
        if view.pause:
            operations.append(window.probe(view.pause, attempt, self.policy))
        start = window.Start.now(self._clocks.monotonic, self._clocks.wall)
        etags = self.table.commit(operations)
        if held.waits not in etags or slot.key not in etags:
            raise Conflict  # it landed, its answer was lost, and by now somebody else has moved the alert
        probe = None
        if view.pause and window.PAUSE_KEY in etags:  # else the operator has paused since
            probe = window.Probe(view.pause.step, etags[window.PAUSE_KEY])
        journal.step("taken", entry=held, slot=slot.key, probe=probe is not None)
        return Sending(held, etags[held.waits], window.Held(slot.key, attempt, etags[slot.key]), probe, start)

    def finish(self, sending: Sending, token: str) -> Finished:
        """Call Defender for a committed take, and write down what it said."""
        if not sending.start.is_fresh(self.policy):
            return self._settle(sending, ledger.put_back(sending.entry), None)
        answer = self._defender.create_alert(sending.entry.alert.body(), token)
        journal.step("answered", entry=sending.entry, answer=answer)
        after = ledger.settle(sending.entry, answer, now=self.table.now(), rules=self._rules)
        return self._settle(sending, after, answer)

    def start(self, look: Look, token: str, until: float = math.inf) -> Flights:
        """Take open slots for the most urgent alerts of a look, and start their calls.

        The k slots that opened first and the k most urgent alerts are paired by rank, and the pairs are taken in
        random order: hosts that look at the same moment seldom want the same, and who wants another slot wants
        another alert as well. Whoever meets a conflict looks again. Fewer flights than `look.takes` mean such a
        conflict, or that it is `until` (monotonic seconds) already: a table may be slow.
        """
        slots = sorted(look.view.open, key=lambda slot: slot.opens)
        pairs = list(zip(slots, look.waiting[: look.takes], strict=False))
        flights: Flights = {}
        for slot, waiting in self._chance.sample(pairs, look.takes):
            if self._clocks.monotonic() >= until:
                break
            try:
                sending = self.take(look.view, slot, waiting.entry, functools.partial(_hold, waiting))
            except Conflict:
                break
            flights |= self.launch(sending, token)
        return flights

    def launch(self, sending: Sending, token: str) -> Flights:
        """Start the call of a committed take on a worker."""
        return {self._workers.submit(functools.partial(self.finish, sending, token)): sending}

    def wait(self, flights: Flights, seconds: float) -> None:
        """Wait until all these calls have ended, at most so many seconds."""
        self._workers.wait(flights, seconds, everyone=True)

    def drain(self, until: float) -> None:
        """Send the backlog until it is empty or the time is spent: `until`, in monotonic seconds. The timer's loop.

        Raise `TokenError` or `StorageOut`; calls that were started go on and end.
        """
        flights: Flights = {}
        first = later = True
        while self._clocks.monotonic() < until:
            look = self.look(later=later)
            if first:
                _log_tick(look)
            # What came due again and finds no slot is seen by the next look as well; the rest by the next tick.
            first, later = False, any(one.entry.waits.startswith(ledger.LATER) for one in look.waiting)
            started: Flights = {}
            if look.takes and self.may_take():
                started = self.start(look, self.token(), until)
                flights |= started
                if len(started) < look.takes:
                    self._clocks.sleep(self._chance.uniform(0, _CONFLICT_SECONDS))
                    continue
            if len(look.waiting) > len(started):
                self._wait_for_a_slot(look.view, flights, until)
            elif flights:  # other hosts may accept alerts meanwhile
                self.wait(
                    flights, min(until, self._clocks.monotonic() + _LOOK_SECONDS) - self._clocks.monotonic()
                )
            else:
                return
            flights = {flight: sending for flight, sending in flights.items() if not flight.done()}
        self.wait(flights, until - self._clocks.monotonic())

    def _wait_for_a_slot(self, view: window.View, flights: Flights, until: float) -> None:
        """Wait until a slot opens: by time, or by a call that ends a pause or was never sent."""
        taken = {sending.slot.key for sending in flights.values()}
        opens = [slot.opens for slot in view.slots if slot.key not in taken]
        if view.may_change(taken):
            until = min(until, self._clocks.monotonic() + _LOOK_SECONDS)
        pause = view.pause.ends if view.pause and view.paused else float("-inf")
        if not self.may_take():
            opens, pause = [], self.table.now() + self._barred_until - self._clocks.monotonic()
        flying = set(flights)
        while (left := until - self._clocks.monotonic()) > 0:
            done = {future for future in flying if future.done()}
            flying -= done
            for finished in (future.result() for future in done):
                if finished.was_probe or finished.opens <= self.table.now():
                    return
                opens.append(finished.opens)
            wait = (
                max(_together(opens, pause if math.isfinite(pause) else math.inf), pause) - self.table.now()
            )
            if wait <= 0:
                return
            wait = max(0.001, min(wait, left))
            if flying:
                self._workers.wait(flying, wait)
            else:
                self._clocks.sleep(wait)

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
            journal.step("settled", entry=written, ageSeconds=age)
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
        except StorageOut:  # should there be a pause, writing the outcome meets it
            return window.start_pause(None, *window.trouble(answer, self.policy), self.table.now())

    def _lengthen(self, answer: Answer) -> Operation | None:
        """Return how a failure that is no probe starts a pause, or lengthens the one there is; None: it need not."""
        rows = self.table.query(window.PAUSE_KEY, window.PAUSE_KEY + "\0", limit=1)
        pause = window.read_pause(rows[0], self.policy) if rows else None
        return window.start_pause(pause, *window.trouble(answer, self.policy), self.table.now())

    def _record(
        self, sending: Sending, after: Entry, extras: Sequence[Operation], answer: Answer | None
    ) -> Entry | None:
        """Write an outcome; the table may be out, the lease may be over. Return the entry as it then stands.

        None when the table stayed out until the lease was over: the lease brings the alert back. A host that stood
        still during the call tries once all the same: a created wins even then.
        """
        end = sending.start.at[0] + self.policy.lease
        while True:
            try:
                return self._write(sending, after, extras, answer)
            except Conflict:
                pass  # somebody changed the alert between our look and our write: look again
            except Refused as error:
                journal.problem("outcome refused", error)
                if after == ledger.without_answer(after):
                    return None
                after = ledger.without_answer(after)
            except StorageOut as error:
                journal.problem("outcome not written yet", error)
                self._clocks.sleep(_RETRY_SECONDS)
            except Unreadable as error:
                journal.problem("outcome not written", error)
                return None
            if self._clocks.monotonic() >= end:
                return None

    def _write(
        self, sending: Sending, after: Entry, extras: Sequence[Operation], answer: Answer | None
    ) -> Entry:
        core = ledger.move(sending.entry, after, waiting=sending.etag)
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
        row = self._row(ledger.alert_key(after.alert.id))
        current = ledger.read(row) if row else after
        if row is None or after.state != "created" or current.state == "created":
            return current  # ours landed unseen, or another attempt has it
        if current.waits and not self._row(current.waits):
            current = dataclasses.replace(current, waits="")  # removed by hand
        self.table.commit(ledger.move(current, after, alert=row.etag))  # created wins over any other state
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


def _together(opens: Sequence[float], never: float) -> float:
    """Return when the first of the slots opens, and with it those that open in the same moment: one look for all."""
    first = min(opens, default=never)
    return max((at for at in opens if at <= first + _TOGETHER_SECONDS), default=never)


def _hold(waiting: Waiting, held: Entry) -> list[Operation]:
    return ledger.move(waiting.entry, held, waiting=waiting.etag)


def _log_tick(look: Look) -> None:
    now, backlog = look.view.now, look.backlog
    for key in backlog.unreadable:
        journal.problem("row unreadable", Unreadable(key))
    journal.step(
        "tick",
        waiting=backlog.seen,
        oldestSeconds=None if backlog.oldest is None else round(now - backlog.oldest),
        open=len(look.view.resting),
        paused=look.view.paused,
    )
