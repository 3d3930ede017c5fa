"""Simulated time with what only tests need: requests that meet faults, and a choice among the events to come."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from greenlet import GreenletExit

from dev import virtual
from dev.virtual import EPOCH, ORIGIN, Arrival, Defender, Faults, Partition, Request, answer_with
from dev.virtual.world import Event, Line
from shared.errors import Busy, TableRefused, TokenError
from shared.web import reply
from shared.web.reply import Reply

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = [
    "AT_ONCE",
    "EPOCH",
    "ORIGIN",
    "Arrival",
    "Defender",
    "Fault",
    "Faults",
    "Host",
    "Kind",
    "Partition",
    "Request",
    "World",
    "answer_with",
]

_T = TypeVar("_T")
Kind = Literal[
    "lost", "late", "swallowed", "busy", "timed out", "denied", "unsent",
    "crash", "crashed", "freeze", "frozen", "suspended",
]  # fmt: skip
AT_ONCE = Faults(table_delay=(0, 0), call_delay=(0, 0), answer_delay=(0, 0))
"""A network that takes no time: what happens at the same moment is for `World.pick` to order."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one request.

    ```
    lost       it never arrives; nobody answers
    late       it arrives `seconds` later; nobody answers
    swallowed  it arrives; nobody answers
    busy       of the table: 503 ServerBusy, nothing is written
    timed out  of the table: 500 OperationTimedOut, and it is written all the same
    denied     of the table: 403
    unsent     of a call: not a byte left this machine
    crash      the host dies before it arrives
    crashed    the host dies as soon as it has arrived
    freeze     the host stands still for `seconds` before it arrives
    frozen     the host stands still for `seconds` before it sees the answer
    suspended  the same, and its monotonic clock stands still as well
    ```
    """

    kind: Kind
    seconds: float = 0.0


class World(virtual.World):
    """A world in which a test chooses what happens next.

    An edge is where lines of execution meet: a request arrives. `pick` chooses among the `n` edges that could be
    next: it gets `n` and whether the first of them is of the line that was at the last, and returns an index.
    Without it the oldest is next. `watch` is called after everything that happened.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        pick: Callable[[int, bool], int] | None = None,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(seed)
        self._pick = pick
        self._watch = watch
        self._ran: Line | None = None

    def run(self, seconds: float = float("inf")) -> None:
        """Let all events of so many seconds happen."""
        super().run(seconds)
        self._watch()

    def finish(self, future: "Future[_T]", seconds: float = 600.0) -> _T:
        """Let events happen until something is done, at most so many seconds, and return its result."""
        end = self.now + seconds
        while not future.done() and self._queue and self._queue[0].time <= end:
            self.run(max(0.0, self._queue[0].time - self.now))
        return future.result(0)

    def _next(self) -> Event:
        self._watch()
        event = self._chosen(self._pick) if self._pick and len(self._queue) > 1 else super()._next()
        if event.edge:
            self._ran = event.line
        return event

    def _chosen(self, pick: Callable[[int, bool], int]) -> Event:
        now = max(self.now, self._queue[0].time)
        ready: list[Event] = []
        while self._queue and self._queue[0].time <= now:
            event = heapq.heappop(self._queue)
            if event.cancelled or not event.edge:
                ready, others = [event], ready  # concerns nobody else: no choice
                break
            ready.append(event)
        else:
            others = []
        if len(ready) > 1:
            goes_on = next((event for event in ready if event.line and event.line is self._ran), None)
            if goes_on:
                ready.remove(goes_on)
                ready.insert(0, goes_on)
            ready.insert(0, ready.pop(pick(len(ready), goes_on is not None)))
        for other in (*ready[1:], *others):
            heapq.heappush(self._queue, other)
        return ready[0]


@dataclass
class Host(virtual.Host):
    """A function host whose requests meet faults.

    `script` says for every request what goes wrong with it, if anything; `tokens` whether the identity gives one.
    """

    world: World
    script: Callable[[Request], Fault | None] | None = None
    tokens: bool = True
    _suspended: float = 0.0

    def monotonic(self) -> float:
        """Return seconds since some moment; it does not move while the machine is suspended."""
        return super().monotonic() - self._suspended

    def ask(self, use_case: Callable[[], Reply]) -> "Future[Reply]":
        """Run a use case as its function does; errors become answers."""
        return self.submit(lambda: reply.guarded(use_case))

    def token(self, *, timeout: float) -> str:
        """Return a token, or wait for one that never comes."""
        if not self.tokens:
            self.world.sleep(max(0.0, timeout))
            raise TokenError("the token endpoint does not answer", late=True)
        return super().token(timeout=timeout)

    def _call(
        self, arrive: Callable[[Mapping[str, str]], _T | None] | None, body: Mapping[str, str]
    ) -> _T | bool:
        fault = self.script(Request(self, "call", body=body)) if self.script else None
        if fault is None:
            return super()._call(arrive, body)
        self._die_if(fault, "crash")
        if fault.kind == "unsent":
            return False
        delay = self.world.random.uniform(*self.faults.call_delay)
        if fault.kind == "late":
            delay = fault.seconds
        arrived = [] if fault.kind == "lost" else self._send(arrive, body, delay)
        self.world.wait(lambda: bool(arrived), self.deadline)
        self._die_if(fault, "crashed")
        if not arrived or fault.kind == "swallowed":
            return True
        self.world.sleep(self.world.random.uniform(*self.faults.answer_delay))
        self._freeze_if(fault, "frozen", "suspended")
        return arrived[0]

    def _arrive(self, request: Request, serve: Callable[[], _T], until: float) -> tuple[_T, float]:
        fault = self.script(request) if self.script else None
        kind = fault.kind if fault else ""
        self._die_if(fault, "crash")
        self._freeze_if(fault, "freeze")
        if fault and kind == "late":
            self._land(serve, fault.seconds)
        if kind in ("late", "lost"):
            self._no_answer(until)
        if kind in ("busy", "denied"):
            raise TableRefused("403 denied") if kind == "denied" else Busy("503 ServerBusy")
        try:
            answer = super()._arrive(request, serve, until)
        finally:
            if kind == "swallowed":
                self._no_answer(until)
            self._die_if(fault, "crashed")
        self._freeze_if(fault, "frozen", "suspended")
        if kind == "timed out":
            raise Busy("500 OperationTimedOut", certain=False)
        return answer

    def _die_if(self, fault: Fault | None, kind: Kind) -> None:
        if fault and fault.kind == kind:
            self.dead = True
            raise GreenletExit

    def _freeze_if(self, fault: Fault | None, *kinds: Kind) -> None:
        if fault and fault.kind in kinds:
            self.frozen_until = self.world.now + fault.seconds
            self._suspended += fault.seconds if fault.kind == "suspended" else 0.0
            self.world.sleep(0)
