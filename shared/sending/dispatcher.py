"""From a waiting alert to its answer: acquire a slot, call, write the outcome; and the backlog's loop.

    snapshot ── acquire (1 transaction: slot, alert) ── call ── write the outcome (1 transaction: outcome, slot)

No call is made without a committed acquire. `outcome` makes the call and writes its outcome.
"""

import contextlib
import dataclasses
import functools
import math
import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared import log
from shared.errors import Conflict
from shared.ledger import aside, backlog, keys, record, rows, settlement
from shared.ledger.keys import Stage
from shared.ledger.record import Entry, Waiting
from shared.sending import pause, window
from shared.sending.crowd import Crowd
from shared.sending.outcome import Clocks, Finished, Outcomes, Sending
from shared.sending.snapshot import Snapshot
from shared.sending.turns import Plan, Turns
from shared.table.patience import PatientTable
from shared.table.protocol import Operation

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")
_CONFLICT_SECONDS = 0.05
_AGAIN_SECONDS = 5.0
_TOGETHER_SECONDS = 0.15  # a slot waits so long for its neighbours, that one snapshot serves them all
_SNAPSHOT_SECONDS = 1.0  # a snapshot is used for so long
_HEAD = 2 * window.MOST_CALLS + 1  # every slot there may ever have been, the pause, an alert for each slot


class Tokens(Protocol):
    """A source of tokens; see `shared.identity.TokenSource`."""

    def token(self, *, timeout: float) -> str:
        """Return a token, or raise `TokenError` if none comes in `timeout` seconds."""


class Workers(Protocol):
    """Runs calls side by side."""

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Start something."""

    def wait(self, futures: Iterable["Future[_T]"], seconds: float, *, everyone: bool = False) -> None:
        """Wait until one of them (or everyone) is done, at most so many seconds."""


Flights = dict["Future[Finished]", Sending]
"""Calls under way, each with its acquire."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Sends the alerts of one stage through its window. Thread-safe; everything outside is passed in.

    `others` are the policies of other stages, by name; all stages of a host share their `turns`.
    """

    table: PatientTable
    outcomes: Outcomes
    tokens: Tokens
    clocks: Clocks
    workers: Workers
    chance: random.Random
    turns: Turns = field(default_factory=Turns)
    crowd: Crowd = field(default_factory=Crowd)
    others: Mapping[str, window.Policy] = field(default_factory=dict)

    @property
    def policy(self) -> window.Policy:
        """The window's rules: how many calls in how many seconds."""
        return self.outcomes.policy

    def plan(self, entries: Iterable[Entry], snapshot: Snapshot | None = None, *, write: bool = True) -> Plan:
        """Give turns to alerts that have to wait, in whichever stage; `snapshot` shows how far sending is behind.

        Each is due a call's share of its stage's window after the one before it.
        """
        return self.turns.plan(entries, self._step, snapshot, write=write)

    def _step(self, stage: Stage) -> float:
        policy = self.others.get(stage.name, self.policy)
        return policy.window / policy.calls

    def commit(self, plan: Plan, operations: Sequence[Operation]) -> bool:
        """Write operations together with the turns of a plan; return False, and write nothing, on a conflict."""
        etags: dict[str, str] | None = None
        try:
            with contextlib.suppress(Conflict):
                etags = self.table.commit([*plan.operations, *operations])
        finally:
            self.turns.done(plan, etags)
        return etags is not None

    def until(self, end: float) -> "Dispatch":
        """Return the same for a caller whose time with the table ends at `end`, in monotonic seconds.

        Outcomes of calls have their own time: they are written even if the sender has left.
        """
        return dataclasses.replace(self, table=self.table.until(end))

    def token(self, seconds: float = 6.0) -> str:
        """Return a token, to have it before an acquire. Raise `TokenError` if none comes in time."""
        return self.tokens.token(timeout=seconds)

    def snapshot(self, *, later: bool = False) -> Snapshot:
        """Read slots, pauses and the head of the backlog in one query; with `later` also what came due again.

        That is a second query; neither reads more than 31 rows.
        """
        stage = self.policy.stage
        head = self.table.query(*stage.span(keys.LATER if later else keys.SLOT, keys.TODO_END), limit=_HEAD)
        whole = len(head) < _HEAD
        if later and not whole:  # what is cut off would look open
            again = [row for row in head if stage.is_later(row.key)]
            head = [*again, *self.table.query(*stage.span(keys.SLOT, keys.TODO_END), limit=_HEAD)]
        now = self.table.now()
        view = window.read(head, now, self.policy).quiet_until(self.outcomes.heard)
        on = frozenset({stage.name, *self.others})
        return Snapshot(view, backlog.read(head, now, _HEAD, stage), on, whole)

    def choose(self, slots: Sequence[window.Slot]) -> window.Slot:
        """Pick one of the open slots at random."""
        return self.chance.choice(slots)

    def acquire(
        self,
        view: window.View,
        slot: window.Slot,
        entry: Entry,
        write: Callable[[Entry], Sequence[Operation]],
    ) -> Sending:
        """Commit an acquire of this slot for this entry, with the rows that `write` makes of the entry as held.

        Raise `Conflict` if another host was first, `TableError` if the result is unknown.
        """
        attempt = secrets.token_hex(8)
        held = record.hold(entry, attempt, now=view.now, lease=self.policy.lease)
        operations = [*write(held), window.acquire(slot, attempt, self.policy)]
        if view.asked:
            operations.append(pause.probe(view.asked, attempt, self.policy.lease))
        start = window.Start.now(self.clocks.monotonic, self.clocks.wall)
        etags = self.table.commit(operations)
        if held.waits not in etags or slot.key not in etags:
            raise Conflict  # it landed, its answer was lost, and by now somebody else has moved the alert
        probe = None
        if view.asked and view.asked.key in etags:  # else somebody has lengthened it since
            probe = pause.Probe(view.asked.step, etags[view.asked.key], view.asked.key)
        self.crowd.acquired = start.at[0]
        log.step("taken", entry=held, slot=slot.key, probe=probe is not None)
        return Sending(
            entry=held,
            etag=etags[held.waits],
            slot=window.Held(slot.key, attempt, etags[slot.key], slot.opens),
            probe=probe,
            start=start,
            begins=max(slot.opens, view.asked.ends if view.asked else -math.inf),
            missing=view.missing,
        )

    def start(self, snapshot: Snapshot, token: str, until: float = math.inf) -> Flights:
        """Acquire open slots for the most urgent alerts of a snapshot, and start their calls.

        The k slots that opened first and the k most urgent alerts are paired by rank, and slots are acquired in
        random order: hosts with the same snapshot rarely choose the same pair, and other slots mean other alerts.
        After a conflict a new snapshot is needed. Fewer flights than `snapshot.acquires` mean a conflict, a snapshot
        that is too old (a pause may have begun since, or the clock was ahead when it was made), or that `until`
        (monotonic seconds) has come.
        """
        slots = sorted(snapshot.view.open, key=lambda slot: slot.opens)
        pairs = list(zip(slots, snapshot.waiting[: snapshot.acquires], strict=False))
        flights: Flights = {}
        for slot, waiting in self.chance.sample(pairs, snapshot.acquires):
            age = self.table.now() - snapshot.view.now
            if self.clocks.monotonic() >= until or not 0 <= age <= _SNAPSHOT_SECONDS:
                break
            try:
                if self._needs_no_call(waiting):
                    continue
                sending = self.acquire(snapshot.view, slot, waiting.entry, functools.partial(_hold, waiting))
            except Conflict:
                break
            flights |= self.launch(sending, token)
        return flights

    def _needs_no_call(self, waiting: Waiting) -> bool:
        """End an alert whose calls end without a written outcome again and again, or move one to its own stage.

        An older version, which knows no stages, replays every alert among the references.
        """
        entry, is_ours = waiting.entry, waiting.entry.stage == self.policy.stage
        after = settlement.give_up_lost(entry, now=self.table.now()) if is_ours else record.wait(entry)
        if after:
            self.table.commit(rows.move(entry, after, waiting=waiting.etag))
            log.step("settled", entry=after, code=(after.error or {}).get("code"))
        return after is not None

    def launch(self, sending: Sending, token: str) -> Flights:
        """Start the call of a committed acquire on a worker."""
        return {self.workers.submit(functools.partial(self.outcomes.finish, sending, token)): sending}

    def wait(self, flights: Flights, seconds: float) -> None:
        """Wait until all these calls have ended, at most so many seconds."""
        self.workers.wait(flights, seconds, everyone=True)

    def drain(self, until: float) -> None:
        """Send the backlog until it is empty or `until` (monotonic seconds) has come. This is the timer's loop.

        Raise `TokenError` or `TableError`; calls that were started go on and end.
        """
        flights: Flights = {}
        first = later = True
        while self.clocks.monotonic() < until:
            snapshot = self.snapshot(later=later)
            if snapshot.backlog.unreadable and aside.move(self.table, snapshot.backlog.unreadable):
                continue
            if first:
                _log_tick(snapshot)
            first = False
            # What is due again and gets no slot is in the next snapshot as well; the others in that of the next tick.
            later = any(self.policy.stage.is_later(waiting.entry.waits) for waiting in snapshot.waiting)
            started: Flights = {}
            if snapshot.acquires:
                started = self.start(snapshot, self.token(), until)
                flights |= started
                if len(started) < snapshot.acquires:
                    self.clocks.sleep(self.chance.uniform(0, _CONFLICT_SECONDS))
                    continue
            if len(snapshot.waiting) > len(started):
                self._wait_for_a_slot(snapshot.view, flights, until)
                if snapshot.view.pause is None:
                    self.crowd.keep_apart(self.clocks, self.chance, self.policy.lease, until)
            elif flights:  # other hosts may accept alerts meanwhile
                self.wait(
                    flights, min(until, self.clocks.monotonic() + _AGAIN_SECONDS) - self.clocks.monotonic()
                )
            else:
                return
            flights = {flight: sending for flight, sending in flights.items() if not flight.done()}
        self.wait(flights, until - self.clocks.monotonic())

    def _wait_for_a_slot(self, view: window.View, flights: Flights, until: float) -> None:
        """Wait until a slot opens: with time, or because a call ends a pause or was not sent."""
        ours = {sending.slot.key for sending in flights.values()}
        opens = [slot.opens for slot in view.slots if slot.key not in ours]
        if view.may_change(ours):
            until = min(until, self.clocks.monotonic() + _AGAIN_SECONDS)
        paused = view.pause.ends if view.pause and view.paused else -math.inf
        flying = set(flights)
        while (left := until - self.clocks.monotonic()) > 0:
            done = {future for future in flying if future.done()}
            flying -= done
            for finished in (future.result() for future in done):
                if finished.was_probe or finished.opens <= self.table.now():
                    return
                opens.append(finished.opens)
            wait = (
                max(_together(opens, paused if math.isfinite(paused) else math.inf), paused)
                - self.table.now()
            )
            if wait <= 0:
                return
            wait = max(0.001, min(wait, left))
            if flying:
                self.workers.wait(flying, wait)
            else:
                self.clocks.sleep(wait)


def _together(opens: Sequence[float], never: float) -> float:
    """Return when the first of the slots opens, and with it those that open in the same moment."""
    first = min(opens, default=never)
    return max((at for at in opens if at <= first + _TOGETHER_SECONDS), default=never)


def _hold(waiting: Waiting, held: Entry) -> list[Operation]:
    return rows.move(waiting.entry, held, waiting=waiting.etag)


def _log_tick(snapshot: Snapshot) -> None:
    now, backlog = snapshot.view.now, snapshot.backlog
    log.step(
        "tick",
        waiting=backlog.count,
        oldestSeconds=None if backlog.oldest is None else round(now - backlog.oldest),
        open=len(snapshot.view.free),
        paused=snapshot.view.paused,
    )
