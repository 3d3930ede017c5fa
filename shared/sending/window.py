"""Slots and pauses: may Defender be called now, and if not, when.

Defender takes 15 calls in any rolling minute, for all instances together. A slot is a row that is `closed`
for so many seconds from its own server-assigned `Timestamp`; a call needs a slot. No client's clock matters.

    take                      arrives at Defender            give back
     │◄──── deadline + window at the most ────►│               │
     ├─ closed = lease ─────────────────────────────────────────────────────────────►
     │                                                         ├─ closed = window + margin ─────►
     now ≥ Timestamp + closed: the slot is open again, and the next call in it is at least a window away

    lease = deadline + window + window + margin: an answer that never comes closes the slot so long, and a
    holder that died is the same case.

A pause is one more such row: a time in which nobody calls. Once it is over, the first take closes it again for
its own lease: that call is the probe, and all others wait for what it brings.

    failure ── 5 s ── probe fails ── 10 s ── probe fails ── 20 s … 60 s ── probe answered: all go on
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from shared.clients.answer import Answer
from shared.table.protocol import Delete, Insert, Operation, Replace, Row, Value

MOST_CALLS = 15
START_SECONDS = 12.0
"""The most between take and call: what a table that is slow may take for one write."""
FIRST_PAUSE_SECONDS = 5.0
SLACK_SECONDS = 1.0
PROBE_SECONDS = 60.0
ACCESS_PAUSE_SECONDS = 60.0
_TOO_MANY_REQUESTS = 429
_NO_ACCESS = (401, 403)
FIRST_KEY = "slot-"
END_KEY = "slot."
PAUSE_KEY = "slot-pause"


@dataclass(frozen=True, slots=True)
class Policy:
    """How many calls (`calls`) Defender takes in how many seconds, and how long one call may last."""

    calls: int = 15
    window: float = 60.0
    margin: float = 0.25
    deadline: float = 30.0

    @property
    def lease(self) -> float:
        """Seconds for which a taken slot stays closed when no answer is ever written."""
        return self.deadline + 2 * self.window + self.margin

    @property
    def rest(self) -> float:
        """Seconds for which a slot stays closed after its call was answered."""
        return self.window + self.margin


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the window; opens at that server's time (UTC seconds). `etag` is None until first used."""

    key: str
    opens: float
    etag: str | None


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which nobody calls, until `ends` (server's UTC seconds; infinite: until the operator resumes).

    `beneath` is what is left should the operator resume: when the pause ends, or would have, that Defender asked for.
    """

    ends: float
    reason: str
    step: int
    etag: str
    beneath: float = -math.inf

    @property
    def by_operator(self) -> bool:
        """Whether it lasts until the operator resumes."""
        return math.isinf(self.ends)


@dataclass(frozen=True, slots=True)
class View:
    """The window as one look saw it, at `now` (a lower bound of the server's time, UTC seconds).

    `rest` is how many seconds a slot stays closed after an answer.
    """

    slots: tuple[Slot, ...]
    now: float
    rest: float
    pause: Pause | None = None

    @property
    def paused(self) -> bool:
        """Whether a pause holds now. One that is over asks the next take to be its probe."""
        return self.pause is not None and self.now < self.pause.ends

    @property
    def open(self) -> tuple[Slot, ...]:
        """The slots that may be taken; none in a pause."""
        return () if self.paused else self.resting

    @property
    def resting(self) -> tuple[Slot, ...]:
        """The slots that are not closed, pause or not."""
        return tuple(slot for slot in self.slots if self.now >= slot.opens)

    @property
    def opens(self) -> float:
        """When a slot may be taken, or since when one may be (server's UTC seconds)."""
        slot = min(slot.opens for slot in self.slots)
        return max(slot, self.pause.ends) if self.pause else slot

    @property
    def opens_in(self) -> float:
        """Seconds until a slot may be taken; 0 when one may be now, infinite in the operator's pause."""
        return max(0.0, self.opens - self.now)

    def turn_in(self, ahead: int) -> float:
        """Seconds until a slot opens for an alert with so many `ahead` of it, if all goes well."""
        rounds, place = divmod(ahead, len(self.slots))
        opens = sorted(slot.opens for slot in self.slots)[place]
        if self.pause:
            opens = max(opens, self.pause.ends)
        return max(0.0, opens - self.now) + rounds * self.rest

    def may_change(self, ours: Collection[str] = ()) -> bool:
        """Whether another host may open a slot at any moment: by ending a pause, or by giving back what it holds.

        A slot that rests opens when its row says, and no sooner. `ours` are the keys of slots that we hold.
        """
        held = (slot.opens - self.now > self.rest for slot in self.slots if slot.key not in ours)
        return self.pause is not None or any(held)


@dataclass(frozen=True, slots=True)
class Start:
    """The moment before a take was sent. Its call starts within 12 s of it, or the slot goes back unused.

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

    def is_fresh(self, policy: Policy) -> bool:
        """Tell whether the call may still start."""
        moved = max(self.monotonic() - self.at[0], self.wall() - self.at[1])
        return moved <= min(START_SECONDS, policy.window)


@dataclass(frozen=True, slots=True)
class Held:
    """A slot that a committed take holds."""

    key: str
    attempt: str
    etag: str


@dataclass(frozen=True, slots=True)
class Probe:
    """The pause's row as held by the one call that probes; `step` is the pause's step before it."""

    step: int
    etag: str


def look(rows: Sequence[Row], now: float, policy: Policy) -> View:
    """Read the window from its rows. A row that is missing is a slot that was never used."""
    known = {row.key: row for row in rows}
    slots = []
    for number in range(policy.calls):
        key = f"{FIRST_KEY}{number:02}"
        row = known.get(key)
        slots.append(Slot(key, -math.inf, None) if row is None else Slot(key, _opens(row, policy), row.etag))
    pause = known.get(PAUSE_KEY)
    return View(tuple(slots), now, policy.rest, None if pause is None else read_pause(pause, policy))


def read_pause(row: Row, policy: Policy) -> Pause:
    """Read the pause's row."""
    opens = _opens(row, policy)
    step = row.values.get("step")
    return Pause(
        ends=math.inf if row.values.get("operator") else opens,
        reason=str(row.values.get("reason", "")),
        step=step if isinstance(step, int) else 1,
        etag=row.etag,
        beneath=-math.inf if row.values.get("attempt") else opens,  # a probe is under way: it was over
    )


def take(slot: Slot, attempt: str, policy: Policy) -> Operation:
    """Return the operation that takes an open slot for one call; `attempt` is the call's random id."""
    values: dict[str, Value] = {"closed": policy.lease, "attempt": attempt}
    return Insert(slot.key, values) if slot.etag is None else Replace(slot.key, values, slot.etag)


def give_back(held: Held, policy: Policy, *, sent: bool = True) -> Operation:
    """Return the operation that gives a slot back after an answer, or at once if no byte was sent.

    No answer to a request that was sent: give nothing back, the lease stands.
    """
    return Replace(held.key, {"closed": policy.rest if sent else 0.0, "attempt": held.attempt}, held.etag)


def probe(pause: Pause, attempt: str, policy: Policy) -> Operation:
    """Return the operation by which a take becomes the probe of a pause that is over."""
    values: dict[str, Value] = {
        "closed": policy.lease,
        "reason": pause.reason,
        "step": pause.step,
        "attempt": attempt,
    }
    return Replace(PAUSE_KEY, values, pause.etag)


def end_pause(held: Probe | Pause) -> Operation:
    """Return the operation that ends a pause: its probe was answered, or the operator resumed."""
    return Delete(PAUSE_KEY, held.etag)


def resume(held: Pause, now: float) -> Operation:
    """Return the operation that ends the operator's pause; what Defender asked for before still holds."""
    if held.beneath <= now:
        return end_pause(held)
    values: dict[str, Value] = {
        "closed": held.beneath - now,
        "reason": "what held before the operator paused",
        "step": held.step,
    }
    return Replace(PAUSE_KEY, values, held.etag)


def renew_pause(held: Probe, reason: str, seconds: float) -> Operation:
    """Return the operation of a probe that failed: the next step, twice as long, up to a minute.

    `seconds` is what this failure asks for at least.
    """
    step = held.step + 1
    doublings = min(step - 1, 10)  # an outage of days has thousands of steps
    closed = max(seconds, min(PROBE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**doublings))
    return Replace(PAUSE_KEY, {"closed": closed, "reason": reason, "step": step}, held.etag)


def let_go(held: Probe, reason: str) -> Operation:
    """Return the operation of a probe that made no call: the pause is over as before, and the next take probes."""
    return Replace(PAUSE_KEY, {"closed": 0.0, "reason": reason, "step": held.step}, held.etag)


def trouble(answer: Answer, policy: Policy) -> tuple[str, float]:
    """Return why an unavailable answer pauses everyone, and for how many seconds at least."""
    error = answer.error or {}
    said = " ".join(str(part) for part in (answer.status, error.get("code"), error.get("message")) if part)
    reason = "".join(char if char.isprintable() else " " for char in said)  # nothing the table may refuse
    if answer.status == _TOO_MANY_REQUESTS:
        return reason[:300], answer.retry_after or policy.window
    if answer.status in _NO_ACCESS:
        return reason[:300], ACCESS_PAUSE_SECONDS
    return reason[:300], FIRST_PAUSE_SECONDS


def start_pause(pause: Pause | None, reason: str, seconds: float, now: float) -> Operation | None:
    """Return the operation of a failure that is no probe: it starts a pause, or may only lengthen one.

    So fifteen failures at once are one step. None where the pause lasts long enough as it is.
    """
    if pause is None:
        return Insert(PAUSE_KEY, {"closed": seconds, "reason": reason, "step": 1})
    if now + seconds <= pause.ends + SLACK_SECONDS:
        return None  # a second's difference is not worth a write each
    return Replace(PAUSE_KEY, {"closed": seconds, "reason": reason, "step": pause.step}, pause.etag)


def operator_pause(pause: Pause | None, reason: str, now: float) -> Operation:
    """Return the operation by which the operator pauses, until resumed; `closed` is what a pause had left till then."""
    values: dict[str, Value] = {"closed": 0.0, "operator": True, "reason": reason, "step": 1}
    if pause is None:
        return Insert(PAUSE_KEY, values)
    values |= {"closed": max(0.0, pause.beneath - now), "step": pause.step}
    return Replace(PAUSE_KEY, values, pause.etag)


def _opens(row: Row, policy: Policy) -> float:
    closed = row.values.get("closed")
    if isinstance(closed, int | float) and 0 <= closed < math.inf:
        return row.timestamp + closed
    return (
        row.timestamp + policy.lease
    )  # a row that none of us can have written: like one that was just taken
