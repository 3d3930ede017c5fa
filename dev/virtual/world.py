"""The true time, the queue of events, and the table that all hosts share."""

import functools
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from greenlet import getcurrent, greenlet

from dev.memory_table import MemoryTable

EPOCH = 1_772_700_000.0  # 2026-03-05, the day after the events of samples.py


@dataclass
class Partition:
    """The table's server: it serves `entities` a second and turns away the rest.

    A request counts as many entities as it reads or writes. `turned_away` counts those that met 503 ServerBusy.
    """

    clock: Callable[[], float]
    entities: float = 2_000.0
    turned_away: int = 0
    _left: float = 2_000.0
    _at: float = 0.0

    def admits(self) -> bool:
        """Say whether a request is served at this moment."""
        now = self.clock()
        self._left = min(self.entities, self._left + (now - self._at) * self.entities)
        self._at = now
        self.turned_away += self._left <= 0
        return self._left > 0

    def spend(self, entities: float) -> None:
        """Count so many entities as read or written, by our requests or others."""
        self._left -= entities


class Line(greenlet):
    """A line of execution, and the host it runs on."""

    host: object = None


@dataclass(slots=True, order=True)
class Event:
    """What happens at a time; an `edge` is where lines of execution meet."""

    time: float
    order: int
    action: Callable[[], None] = field(compare=False)
    line: "Line | None" = field(compare=False)
    edge: bool = field(compare=False)
    cancelled: bool = field(default=False, compare=False)


class World:
    """The true time in UTC seconds, a queue of events, and one table.

    The oldest event is next. `tables` is the kind of the table; a stricter one can be put in its place.
    """

    tables: ClassVar[type[MemoryTable]] = MemoryTable

    def __init__(self, seed: int = 0) -> None:
        self.now = EPOCH
        self.random = random.Random(seed)
        self.table = self.tables(clock=lambda: self.now)
        self.partition = Partition(lambda: self.now)
        self._queue: list[Event] = []
        self._order = itertools.count()
        self._waiting: dict[Line, tuple[Callable[[], bool], Event]] = {}
        self._scheduler = getcurrent()

    def at(
        self, time: float, action: Callable[[], None], line: "Line | None" = None, *, edge: bool = False
    ) -> Event:
        """Let an event happen at a time; events at the same time happen in the order of their requests."""
        event = Event(max(time, self.now), next(self._order), action, line, edge)
        heapq.heappush(self._queue, event)
        return event

    def spawn(self, run: Callable[[], Any], host: object = None) -> None:
        """Start a line of execution, on a host or outside of all."""
        # When it ends it must fall back to the scheduler, not to the line that started it.
        line = Line(run, self._scheduler)
        line.host = host
        self.at(self.now, lambda: self._resume(line), line)

    def sleep(self, seconds: float, *, edge: bool = False) -> None:
        """Let time pass for the current line of execution."""
        line = cast("Line", getcurrent())
        self.at(self.now + seconds, lambda: self._resume(line), line, edge=edge)
        self._switch()

    def wait(self, ready: Callable[[], bool], seconds: float) -> None:
        """Let time pass until something is ready (`notify` is then called), at most so many seconds."""
        if ready() or seconds <= 0:
            return
        line = cast("Line", getcurrent())
        self._waiting[line] = (ready, self.at(self.now + seconds, lambda: self._resume(line), line))
        self._switch()
        self._waiting.pop(line, None)

    def notify(self) -> None:
        """Wake the lines that wait for something that is ready now."""
        for line, (ready, timeout) in list(self._waiting.items()):
            if ready():
                timeout.cancelled = True
                del self._waiting[line]
                self.at(self.now, functools.partial(self._resume, line), line)

    def run(self, seconds: float = float("inf")) -> None:
        """Let all events of so many seconds happen."""
        end = self.now + seconds
        self._scheduler = getcurrent()
        while self._queue and self._queue[0].time <= end:
            event = self._next()
            if event.cancelled:
                continue
            self.now = max(self.now, event.time)
            event.action()
        if end != float("inf"):
            self.now = end

    def _next(self) -> Event:
        """Take the next event out of the queue."""
        return heapq.heappop(self._queue)

    def _switch(self) -> None:
        if getcurrent() is self._scheduler:
            raise RuntimeError("only what the world runs may wait")
        self._scheduler.switch()

    def _resume(self, line: Line) -> None:
        """Let a line of execution go on."""
        line.switch()
