"""The rolling window's slots: whether the API may be called now, and if not, when.

Defender takes 15 calls in any rolling minute, for all instances together. A slot is a row that is `closed`
for so many seconds from its own server-assigned `Timestamp`; a call needs a slot. No client's clock matters.

    acquire                   arrives at Defender            release
     │◄──── deadline + window at the most ────►│               │
     ├─ closed = lease ─────────────────────────────────────────────────────────────►
     │                                                         ├─ closed = window + margin ─────►
     now ≥ Timestamp + closed: the slot is open again, and the next call in it is at least a window away

    lease = deadline + window + window + margin: so long the slot stays closed if no outcome is written, also
    because its holder died.

A row's column `rest` is the cooldown (window + margin) of the host that wrote it; where the reader's is longer, that
holds.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.ledger import keys
from shared.ledger.keys import Stage
from shared.sending import pause as pauses
from shared.sending.pause import Heard, Pause, Probe, Trouble
from shared.table.protocol import Insert, Operation, Replace, Row, Table, Value

MOST_CALLS = 15
UNUSED_SECONDS = 1.0
"""For so long a slot stays closed that was not used; so old is a snapshot at the most that acquires one."""
START_SECONDS = 12.0
"""The most between acquire and call: what a table that is slow may take for one write."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How many calls (`calls`) a stage's API takes in how many seconds, and how long one call may last."""

    calls: int = 15
    window: float = 60.0
    margin: float = 0.25
    deadline: float = 30.0
    stage: Stage = keys.REFERENCE

    @property
    def lease(self) -> float:
        """Seconds for which an acquired slot stays closed when no answer is ever written."""
        return self.deadline + self.window + self.cooldown

    @property
    def cooldown(self) -> float:
        """Seconds for which a slot stays closed after its call was answered."""
        return self.window + self.margin


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the window; opens at that server's time (UTC seconds). `etag` is None until first used."""

    key: str
    opens: float
    etag: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """A slot that a committed acquire holds. No call may start in it before `opens` (server's UTC seconds)."""

    key: str
    attempt: str
    etag: str
    opens: float = -math.inf


@dataclass(frozen=True, slots=True)
class View:
    """The window as one query saw it, at `now` (a lower bound of the server's time, UTC seconds).

    `cooldown`: how many seconds a slot stays closed after an answer. `asked`: the API's pause, `stop`: the operator's;
    `missing`: what the API does not have, by name, each with the time until which it is not asked for.
    """

    slots: tuple[Slot, ...]
    now: float
    cooldown: float
    asked: Pause | None = None
    stop: Pause | None = None
    stage: Stage = keys.REFERENCE
    missing: Mapping[str, float] = field(default_factory=dict)

    @property
    def pause(self) -> Pause | None:
        """The pause that counts: the operator's if there is one, else the API's."""
        return self.stop or self.asked

    @property
    def paused(self) -> bool:
        """Whether a pause holds now. One that is over asks the next acquire to be its probe."""
        return self.pause is not None and self.now < self.pause.ends

    def holds(self, probe: Probe | None) -> bool:
        """Tell whether a pause holds a call that has its slot. The API's pause does not hold its own `probe`."""
        is_its_own = probe is not None and self.asked is not None and self.asked.etag == probe.etag
        return self.paused and (self.stop is not None or not is_its_own)

    @property
    def open(self) -> tuple[Slot, ...]:
        """The slots that may be acquired; none in a pause."""
        return () if self.paused else self.free

    @property
    def free(self) -> tuple[Slot, ...]:
        """The slots that are not closed, pause or not."""
        return tuple(slot for slot in self.slots if self.now >= slot.opens)

    @property
    def opens(self) -> float:
        """When a slot may be acquired, or since when one may be (server's UTC seconds)."""
        slot = min(slot.opens for slot in self.slots)
        return max(slot, self.pause.ends) if self.pause else slot

    @property
    def opens_in(self) -> float:
        """Seconds until a slot may be acquired; 0 when one may be now, infinite in the operator's pause."""
        return max(0.0, self.opens - self.now)

    def turn_in(self, ahead: int) -> float:
        """Seconds until a slot opens for an alert with so many `ahead` of it, if all goes well."""
        rounds, place = divmod(ahead, len(self.slots))
        opens = sorted(slot.opens for slot in self.slots)[place]
        if self.pause:
            opens = max(opens, self.pause.ends)
        return max(0.0, opens - self.now) + rounds * self.cooldown

    def may_change(self, ours: Collection[str] = ()) -> bool:
        """Whether another host may open a slot at any moment: by ending a pause, or by releasing what it holds.

        A slot whose call was answered opens when its row says, and no sooner. `ours` are the keys that we hold.
        """
        held = (slot.opens - self.now > self.cooldown for slot in self.slots if slot.key not in ours)
        return self.pause is not None or any(held)

    def quiet_until(self, heard: Heard) -> "View":
        """Return the view of a host that was itself asked not to call, by answers that it `heard`."""
        if heard.until <= self.now or (self.asked and self.asked.ends >= heard.until):
            return self
        held = self.asked or Pause(heard.until, heard.reason, 1, "", key=self.stage.pause)
        return replace(self, asked=replace(held, ends=heard.until, reason=heard.reason))


@dataclass(frozen=True, slots=True)
class Start:
    """The moment before an acquire was sent. Its call starts within 12 s of it, or the slot is released unused.

    A window may be shorter than that: then within a window, so that the call arrives within deadline + window.
    A suspended machine's monotonic clock stands still, a wall clock can be set: what moved more counts.
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    at: tuple[float, float]

    @classmethod
    def now(cls, monotonic: Callable[[], float], wall: Callable[[], float]) -> "Start":
        """Remember this moment by both clocks (seconds)."""
        return cls(monotonic, wall, (monotonic(), wall()))

    @property
    def age(self) -> float:
        """The seconds since then."""
        return max(self.monotonic() - self.at[0], self.wall() - self.at[1])

    def is_fresh(self, policy: Policy) -> bool:
        """Tell whether the call may still start."""
        return self.age <= min(START_SECONDS, policy.window)


def read(rows: Sequence[Row], now: float, policy: Policy) -> View:
    """Read the window from its rows. A row that is missing is a slot that was never used."""
    known = {row.key: row for row in rows}
    slots = []
    for number in range(policy.calls):
        key = policy.stage.slot_key(number)
        row = known.get(key)
        slots.append(Slot(key, -math.inf, None) if row is None else Slot(key, _opens(row, policy), row.etag))
    stage = policy.stage
    asked, stop = (read_pause(known.get(key), policy) for key in (stage.pause, stage.stop))
    if asked and asked.by_operator:
        asked, stop = None, asked
    return View(
        tuple(slots), now, policy.cooldown, asked, stop, stage, _missing(known.get(stage.missing), now)
    )


def meets_pause(table: Table, start: Start, policy: Policy, probe: Probe | None = None) -> bool:
    """Tell whether a pause began after an acquire whose answer came late, so that its call may not start.

    An acquire that was answered at once costs no request. Raise `TableError`.
    """
    if start.age <= UNUSED_SECONDS:
        return False
    return read(table.query(*policy.stage.slots), table.now(), policy).holds(probe)


def read_pause(row: Row | None, policy: Policy) -> Pause | None:
    """Read a pause from its row, if there is one."""
    if row is None:
        return None
    closed = _seconds(row, "closed")
    lasts = closed if closed is not None and closed >= 0 else policy.lease
    return pauses.read(row, row.timestamp + lasts)


def acquire(slot: Slot, attempt: str, policy: Policy) -> Operation:
    """Return the operation that acquires an open slot for one call; `attempt` is the call's random id."""
    values: dict[str, Value] = {"closed": policy.lease, "rest": policy.cooldown, "attempt": attempt}
    return Insert(slot.key, values) if slot.etag is None else Replace(slot.key, values, slot.etag)


def release(held: Held, policy: Policy) -> Operation:
    """Return the operation that releases a slot after an answer: closed for a window and the margin.

    No answer to a request that was sent: release nothing, the lease stands.
    """
    values: dict[str, Value] = {"closed": policy.cooldown, "rest": policy.cooldown, "attempt": held.attempt}
    return Replace(held.key, values, held.etag)


def release_unused(held: Held, policy: Policy, now: float) -> Operation:
    """Return the operation that releases a slot in which nothing was sent: it opens soon, but not before it did.

    Not at once: a pause that begins leaves a slot alone that was held when it read the table.
    """
    closed = max(UNUSED_SECONDS, held.opens - now)
    values: dict[str, Value] = {"closed": closed, "rest": policy.cooldown, "attempt": held.attempt}
    return Replace(held.key, values, held.etag)


def start_pause(view: View, cause: Trouble, ours: str) -> list[Operation]:
    """Return the operations by which a failure in the slot `ours` starts the API's pause, or lengthens it."""
    held = view.stop if view.stop and view.stop.key == view.stage.pause else view.asked
    operation = pauses.start(held, cause, view.now, view.stage)
    if operation is None:
        return []
    return [operation] if held else [operation, *void(view, ours)]


def void(view: View, ours: str = "") -> list[Operation]:
    """Return the operations that give slots a new ETag, and leave them closed as they are.

    Written together with a pause that begins, they make every acquire fail whose snapshot is from before it. A slot
    that a call holds is left alone, and so is the slot `ours`.
    """
    operations: list[Operation] = []
    for slot in view.slots:
        if slot.key == ours or slot.opens - view.now > view.cooldown:
            continue
        closed = slot.opens - view.now if slot.opens > -math.inf else 0.0
        values: dict[str, Value] = {"closed": closed, "rest": view.cooldown, "attempt": ""}
        operations.append(
            Insert(slot.key, values) if slot.etag is None else Replace(slot.key, values, slot.etag)
        )
    return operations


def _missing(row: Row | None, now: float) -> dict[str, float]:
    until = {name: _seconds(row, name) for name in row.values} if row else {}
    return {name: seconds for name, seconds in until.items() if seconds is not None and seconds > now}


def _opens(row: Row, policy: Policy) -> float:
    """Return when a slot opens by the longer of its writer's rules and our own (server's UTC seconds)."""
    closed, cooldown = _seconds(row, "closed"), _seconds(row, "rest")
    if closed is not None and cooldown is not None:
        return row.timestamp + closed + max(0.0, policy.cooldown - cooldown)
    if closed is None or closed < 0:  # a row that none of us can have written: like one just acquired
        return row.timestamp + policy.lease
    if closed == 0:
        return row.timestamp
    # An older version's row does not say its cooldown: one that was answered, or one that is held.
    return row.timestamp + (policy.cooldown if closed <= policy.cooldown else max(closed, policy.lease))


def _seconds(row: Row, name: str) -> float | None:
    value = row.values.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
