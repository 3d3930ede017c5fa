"""A small virtual world: many hosts that run the real code, in virtual time, with a network that misbehaves.

The real code blocks (on the table, on Defender, on sleep); here every such edge is a switch to a scheduler
that runs one greenlet at a time and moves the clock to the next thing that happens. So minutes of many hosts
take milliseconds, and the same seed always tells the same story.

    World  ── the one true time; the table's server and Defender live by it
    Host   ── a function host: its own wall clock (wrong), monotonic clock, table client, Defender client
"""

import functools
import heapq
import itertools
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from greenlet import GreenletExit, getcurrent, greenlet

from shared import ledger, mapping, window
from shared.defender import Answer
from shared.direct import Direct
from shared.dispatch import Clocks, Dispatch
from shared.gateway import Gateway
from shared.problems import StorageOut
from shared.settings import Settings
from shared.storage import Conflict, MemoryTable, Operation, Row, ServerClock

_T = TypeVar("_T")
EPOCH = 1_790_000_000.0


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, as chances from 0 to 1 a request, and how bad it gets, in seconds."""

    table_delay: tuple[float, float] = (0.005, 0.05)
    table_lost: float = 0.0  # the request never arrives
    table_late: float = 0.0  # no answer, and the write lands up to `table_late_seconds` later
    table_late_seconds: float = 120.0
    table_swallowed: float = 0.0  # the write lands at once, its answer is lost
    freeze: float = 0.0  # the host stands still for up to `freeze_seconds` before it sees an answer
    freeze_seconds: float = 300.0
    crash: float = 0.0  # the host dies while it waits
    call_delay: tuple[float, float] = (0.01, 1.0)  # on the way to Defender
    call_slow: float = 0.0  # the request arrives as late as `call_slow_seconds` after it left
    call_slow_seconds: float = 60.0
    call_unsent: float = 0.0  # connection refused
    answer_lost: float = 0.0
    answer_delay: tuple[float, float] = (0.01, 0.5)


class _Line(greenlet):
    """A line of execution, and the host it runs on."""

    host: "Host | None" = None


@dataclass(eq=False)
class _Waiter:
    ready: Callable[[], bool]
    resume: Callable[[], None]
    woken: bool = False

    def wake(self) -> None:
        if not self.woken:
            self.woken = True
            self.resume()


class World:
    """True time in UTC seconds, a queue of what happens next, and one table."""

    def __init__(self, seed: int = 0) -> None:
        self.now = EPOCH
        self.random = random.Random(seed)
        self.table = MemoryTable(clock=lambda: self.now)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._waiters: list[_Waiter] = []
        self._scheduler = getcurrent()

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Let something happen at a time; what is due at the same time happens in order of asking."""
        heapq.heappush(self._queue, (max(time, self.now), next(self._order), action))

    def spawn(self, run: Callable[[], Any], host: "Host | None" = None) -> None:
        """Start a line of execution, on a host or outside of all."""
        # When it ends it must fall back to the scheduler, not to the line that started it.
        line = _Line(run, self._scheduler)
        line.host = host
        self.at(self.now, lambda: self._resume(line))

    def sleep(self, seconds: float) -> None:
        """Let time pass for the current line of execution."""
        line = cast("_Line", getcurrent())
        self.at(self.now + seconds, lambda: self._resume(line))
        self._switch()

    def wait(self, ready: Callable[[], bool], seconds: float) -> None:
        """Let time pass until something is ready (somebody calls `notify` then), at most so many seconds."""
        if ready() or seconds <= 0:
            return
        line = cast("_Line", getcurrent())
        waiter = _Waiter(ready, lambda: self._resume(line))
        self._waiters.append(waiter)
        self.at(self.now + seconds, waiter.wake)
        self._switch()
        self._waiters.remove(waiter)

    def notify(self) -> None:
        """Wake whoever waits for something that is ready now."""
        for waiter in self._waiters:
            if waiter.ready():
                self.at(self.now, waiter.wake)

    def run(self, seconds: float = float("inf")) -> None:
        """Let everything happen that happens within so many seconds, and come back."""
        end = self.now + seconds
        self._scheduler = getcurrent()
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        if end != float("inf"):
            self.now = end

    def _switch(self) -> None:
        if getcurrent() is self._scheduler:
            raise RuntimeError("only what the world runs may wait")
        self._scheduler.switch()

    def _resume(self, line: _Line) -> None:
        host = line.host
        if host is not None and self.now < host.frozen_until:
            self.at(host.frozen_until, lambda: self._resume(line))
        elif host is None or not host.dead:
            line.switch()
        elif line:  # started, and its host has died since
            line.throw(GreenletExit)


@dataclass
class Host:
    """One function host. Its wall clock is `wall_error` seconds off; `dead` hosts never go on."""

    world: World
    faults: Faults = field(default_factory=Faults)
    wall_error: float = 0.0
    arrive: Callable[[Mapping[str, str]], Answer] | None = None
    dead: bool = False
    deadline: float = 30.0
    frozen_until: float = 0.0
    requests: int = 0
    _suspended: float = 0.0

    def __post_init__(self) -> None:
        self._boot = self.world.random.uniform(0, 1e6)
        self._clock = ServerClock(self.monotonic)

    def monotonic(self) -> float:
        """Return seconds since some moment; it does not move while the machine is suspended."""
        return self.world.now - EPOCH + self._boot - self._suspended

    def wall(self) -> float:
        """Return what this host believes the UTC time to be."""
        return self.world.now + self.wall_error

    def spawn(self, run: Callable[[], Any]) -> None:
        """Start a line of execution on this host."""
        self.world.spawn(run, self)

    # The table's client

    def now(self) -> float:
        """Return a lower bound of the server's time."""
        now = self._clock.now()
        if now is None:
            self.query("slot-", "slot-\0")
            now = self._clock.now()
        if now is None:
            raise StorageOut("no answer yet")
        return now

    def query(self, start: str, end: str, *, limit: int | None = None, keys_only: bool = False) -> list[Row]:
        """Read from the world's table, over its network."""
        self.requests += 1
        self._travel()
        if self._chance(self.faults.table_lost):
            self._no_answer()
        rows = self.world.table.query(start, end, limit=limit, keys_only=keys_only)
        seen = max([row.timestamp for row in rows], default=self.world.now - 1.0)
        self._travel()
        self._stand_still()
        self._clock.observe(seen)
        return rows

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write to the world's table, over its network."""
        self.requests += 1
        faults = self.faults
        self._travel()
        if self._chance(faults.table_lost):
            self._no_answer()
        if self._chance(faults.table_late):
            late = self.world.random.uniform(0, faults.table_late_seconds)
            self.world.at(self.world.now + late, lambda: self._land(operations))
            self._no_answer()
        seen = self.world.now
        etags = self.world.table.commit(operations)
        if self._chance(faults.table_swallowed):
            self._no_answer()
        self._travel()
        self._stand_still()
        self._clock.observe(seen)
        return etags

    def _land(self, operations: Sequence[Operation]) -> None:
        try:
            self.world.table.commit(operations)
        except Conflict:
            return  # too late: somebody else's write came first

    # The identity's token, for the dispatch

    def token(self, *, timeout: float) -> str:  # noqa: ARG002 - as the real one
        """Return a token, at hand."""
        return "token"

    # Workers, for the dispatch

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Run something beside the current line of execution, on this host."""
        future: Future[_T] = Future()

        def line() -> None:
            try:
                future.set_result(run())
            except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)
            self.world.notify()

        self.spawn(line)
        return future

    def wait(self, futures: Iterable["Future[_T]"], seconds: float, *, everyone: bool = False) -> None:
        """Wait until one of them (or everyone) is done, at most so many seconds."""
        waited = list(futures)
        enough = all if everyone else any
        self.world.wait(lambda: enough(future.done() for future in waited) or not waited, seconds)

    # Defender's client, for the dispatch

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:  # noqa: ARG002 - as the real one
        """Call Defender over a network that may be slow, refuse, or swallow the answer."""
        if self.arrive is None:
            raise RuntimeError("no Defender in this world")
        faults = self.faults
        if self._chance(faults.call_unsent):
            return _nothing(sent=False)
        delay = self.world.random.uniform(*faults.call_delay)
        if self._chance(faults.call_slow):
            delay = self.world.random.uniform(0, faults.call_slow_seconds)
        arrived: list[Answer] = []
        arrive = self.arrive

        def arrival() -> None:
            arrived.append(arrive(body))
            self.world.notify()

        self.world.at(self.world.now + delay, arrival)
        self.world.wait(lambda: bool(arrived), self.deadline)
        if not arrived or self._chance(faults.answer_lost):
            return _nothing(sent=True)
        self.world.sleep(self.world.random.uniform(*faults.answer_delay))
        self._stand_still()
        return arrived[0]

    def gateway(self, settings: Settings) -> Gateway:
        """Put the real gateway together with the edges of this host."""
        policy = window.Policy(
            calls=settings.rate_limit_calls,
            window=settings.rate_limit_window_seconds,
            margin=settings.rate_limit_margin_seconds,
            deadline=self.deadline,
        )
        clocks = Clocks(self.monotonic, self.wall, self.world.sleep)
        make = functools.partial(
            Dispatch,
            defender=self,
            tokens=self,
            policy=policy,
            rules=ledger.Rules(settings.not_found_retry_minutes, settings.give_up_hours),
            clocks=clocks,
            workers=self,
            chance=self.world.random,
        )
        dispatcher = make(table=self)
        memory = MemoryTable(clock=lambda: EPOCH + self.monotonic())
        return Gateway(
            settings=settings,
            mappings=_mappings(),
            dispatcher=dispatcher,
            direct=Direct(make(table=memory), dispatcher, self.monotonic),
            clocks=clocks,
            permits=threading.BoundedSemaphore(8),
        )

    def _travel(self) -> None:
        self.world.sleep(self.world.random.uniform(*self.faults.table_delay))
        if self._chance(self.faults.crash):
            self.dead = True
            raise GreenletExit

    def _stand_still(self) -> None:
        if self._chance(self.faults.freeze):
            seconds = self.world.random.uniform(0, self.faults.freeze_seconds)
            self.frozen_until = self.world.now + seconds
            if self._chance(0.5):  # a suspended machine: its monotonic clock stands still as well
                self._suspended += seconds
            self.world.sleep(0)

    def _no_answer(self) -> None:
        self.world.sleep(4.0)
        raise StorageOut("no answer")

    def _chance(self, chance: float) -> bool:
        return chance > 0 and self.world.random.random() < chance


@functools.cache
def _mappings() -> mapping.Mappings:
    return mapping.load()


def _nothing(*, sent: bool) -> Answer:
    return Answer(
        kind="unavailable",
        status=None,
        alert=None,
        merged=False,
        error=None,
        retry_after=None,
        sent=sent,
        answered=False,
        seconds=0.0,
    )
