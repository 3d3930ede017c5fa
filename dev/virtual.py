"""A small virtual world: many hosts that run the real code, in virtual time, with a network that misbehaves.

The real code blocks (on the table, on Defender, on sleep); here every such edge is a switch to a scheduler
that runs one greenlet at a time and moves the clock to the next thing that happens. So minutes of many hosts
take milliseconds, and the same seed always tells the same story.

    World     ── the one true time; the table's server and Defender live by it
    Defender  ── answers as a test says, and remembers every call
    Partition ── how busy and how slow the table's server is
    Host      ── a function host: its own wall clock (wrong), monotonic clock, table client, Defender client

What goes wrong is a matter of chance (`Faults`), or said request by request (`Host.script`). The table's server has
so many entities a second and no more (`Partition`), and may be slow. What happens next of all that could is the
oldest, or what `World.pick` says.
"""

import contextlib
import functools
import heapq
import itertools
import json
import math
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, TypeVar, cast

from greenlet import GreenletExit, getcurrent, greenlet

from dev.memory_table import MemoryTable, StrictTable
from shared.clients import answer as answers
from shared.clients.answer import Answer
from shared.clients.call import Response
from shared.errors import Busy, Conflict, TableRefused, TokenError, Unavailable
from shared.ledger import keys, record, rows
from shared.mapping import mappings as mapping
from shared.sending import pause, turns, window
from shared.sending.dispatcher import Dispatch
from shared.sending.outcome import Clocks, Outcomes
from shared.settings import Settings
from shared.table.clock import ServerClock
from shared.table.patience import PatientTable
from shared.table.protocol import Delete, Operation, Row
from shared.web import reply
from shared.web.reply import Reply
from shared.webhook.gateway import Gateway

_T = TypeVar("_T")
EPOCH = 1_772_700_000.0  # 2026-03-05, the day after the events of samples.py
ORIGIN = "https://app.example"


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, as chances from 0 to 1 a request, and how bad it gets, in seconds."""

    table_delay: tuple[float, float] = (0.005, 0.05)
    table_lost: float = 0.0  # the request never arrives
    table_late: float = 0.0  # no answer, and the write lands up to `table_late_seconds` later
    table_late_seconds: float = 120.0
    table_swallowed: float = 0.0  # the write lands at once, its answer is lost
    table_busy: float = 0.0  # 503 ServerBusy
    freeze: float = 0.0  # the host stands still for up to `freeze_seconds` before it sees an answer
    freeze_seconds: float = 300.0
    crash: float = 0.0  # the host dies while it waits
    call_delay: tuple[float, float] = (0.01, 1.0)  # on the way to Defender
    call_slow: float = 0.0  # the request arrives as late as `call_slow_seconds` after it left
    call_slow_seconds: float = 60.0
    call_unsent: float = 0.0  # connection refused
    answer_lost: float = 0.0
    answer_delay: tuple[float, float] = (0.01, 0.5)


AT_ONCE = Faults(table_delay=(0, 0), call_delay=(0, 0), answer_delay=(0, 0))
"""A network that takes no time: what happens at the same moment is for `World.pick` to order."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

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
    ```
    """

    what: Literal[
        "lost",
        "late",
        "swallowed",
        "busy",
        "timed out",
        "denied",
        "unsent",
        "crash",
        "crashed",
        "freeze",
        "frozen",
    ]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a host asks for: of the table a query of `start` to `end` or a commit, of Defender a call."""

    host: "Host"
    kind: Literal["query", "commit", "call"]
    start: str = ""
    end: str = ""
    operations: Sequence[Operation] = ()
    body: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Partition:
    """The table's server: it serves `entities` a second and turns away the rest, and takes `seconds` for a request.

    A request counts as many entities as it reads or writes. `turned_away` counts those that met 503 ServerBusy.
    """

    clock: Callable[[], float]
    entities: float = 2_000.0
    seconds: float = 0.0
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
        """Let so many entities be read or written, by our requests or somebody else's."""
        self._left -= entities


class _Line(greenlet):
    """A line of execution, and the host it runs on."""

    host: "Host | None" = None


@dataclass(slots=True, order=True)
class _Event:
    time: float
    order: int
    action: Callable[[], None] = field(compare=False)
    line: "_Line | None" = field(compare=False)
    edge: bool = field(compare=False)
    cancelled: bool = field(default=False, compare=False)


@dataclass(eq=False)
class _Waiter:
    ready: Callable[[], bool]
    resume: Callable[[], None]
    line: _Line
    woken: bool = False

    def wake(self) -> None:
        if not self.woken:
            self.woken = True
            self.resume()


class World:
    """True time in UTC seconds, a queue of what happens next, and one table.

    An edge is where lines of execution meet: a request arrives. `pick` chooses among the `n` edges that could be
    next: it gets `n` and whether the first of them is of the line that was at the last, and returns an index.
    Without it the oldest is next. `watch` is called after everything that happened. `date_error` is how many seconds
    the `Date` of the table's answers is ahead of the clock that stamps its rows.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        pick: Callable[[int, bool], int] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> None:
        self.now = EPOCH
        self.date_error = 0.0
        self.random = random.Random(seed)
        self.table = StrictTable(clock=lambda: self.now)
        self.partition = Partition(lambda: self.now)
        self._pick = pick
        self._watch = watch
        self._queue: list[_Event] = []
        self._order = itertools.count()
        self._waiters: list[_Waiter] = []
        self._scheduler = getcurrent()
        self._ran: _Line | None = None

    def at(
        self, time: float, action: Callable[[], None], line: "_Line | None" = None, *, edge: bool = False
    ) -> _Event:
        """Let something happen at a time; what is due at the same time happens in order of asking."""
        event = _Event(max(time, self.now), next(self._order), action, line, edge)
        heapq.heappush(self._queue, event)
        return event

    def spawn(self, run: Callable[[], Any], host: "Host | None" = None) -> None:
        """Start a line of execution, on a host or outside of all."""
        # When it ends it must fall back to the scheduler, not to the line that started it.
        line = _Line(run, self._scheduler)
        line.host = host
        self.at(self.now, lambda: self._resume(line), line)

    def sleep(self, seconds: float, *, edge: bool = False) -> None:
        """Let time pass for the current line of execution."""
        line = cast("_Line", getcurrent())
        self.at(self.now + seconds, lambda: self._resume(line), line, edge=edge)
        self._switch()

    def wait(self, ready: Callable[[], bool], seconds: float) -> None:
        """Let time pass until something is ready (somebody calls `notify` then), at most so many seconds."""
        if ready() or seconds <= 0:
            return
        line = cast("_Line", getcurrent())
        waiter = _Waiter(ready, lambda: self._resume(line), line)
        self._waiters.append(waiter)
        timeout = self.at(self.now + seconds, waiter.wake, line)
        self._switch()
        timeout.cancelled = True
        self._waiters.remove(waiter)

    def notify(self) -> None:
        """Wake whoever waits for something that is ready now."""
        for waiter in self._waiters:
            if waiter.ready():
                self.at(self.now, waiter.wake, waiter.line)

    def run(self, seconds: float = float("inf")) -> None:
        """Let everything happen that happens within so many seconds, and come back."""
        end = self.now + seconds
        self._scheduler = getcurrent()
        while self._queue and self._queue[0].time <= end:
            event = self._next()
            if event.cancelled:
                continue
            self.now = max(self.now, event.time)
            if event.edge:
                self._ran = event.line
            event.action()
            if self._watch:
                self._watch()
        if end != float("inf"):
            self.now = end

    def finish(self, future: "Future[_T]", seconds: float = 600.0) -> _T:
        """Let everything happen until something is done, at most so many seconds, and return its result."""
        end = self.now + seconds
        while not future.done() and self._queue and self._queue[0].time <= end:
            self.run(max(0.0, self._queue[0].time - self.now))
        return future.result(0)

    def _next(self) -> _Event:
        if self._pick is None or len(self._queue) == 1:
            return heapq.heappop(self._queue)
        now = max(self.now, self._queue[0].time)
        ready: list[_Event] = []
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
            ready.insert(0, ready.pop(self._pick(len(ready), goes_on is not None)))
        for other in (*ready[1:], *others):
            heapq.heappush(self._queue, other)
        return ready[0]

    def _switch(self) -> None:
        if getcurrent() is self._scheduler:
            raise RuntimeError("only what the world runs may wait")
        self._scheduler.switch()

    def _resume(self, line: _Line) -> None:
        host = line.host
        if host is not None and self.now < host.frozen_until:
            self.at(host.frozen_until, lambda: self._resume(line), line)
        elif host is None or not host.dead:
            line.switch()
        elif line:  # started, and its host has died since
            line.throw(GreenletExit)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call as Defender saw it: when (true time, UTC seconds), and its body."""

    at: float
    body: Mapping[str, str]


@dataclass
class Defender:
    """Answers each call with what `says` returns for it (None: never), and remembers all of them.

    `says` gets how often this alert was called before, and its body. Without it every alert is created.
    """

    world: World
    says: Callable[[int, Mapping[str, str]], Answer | None] = lambda _, __: said(200)
    arrivals: list[Arrival] = field(default_factory=list)

    def __call__(self, body: Mapping[str, str]) -> Answer | None:
        """Take one call."""
        before = len(self.calls(body["title"]))
        self.arrivals.append(Arrival(self.world.now, body))
        return self.says(before, body)

    def calls(self, title: str) -> list[Arrival]:
        """Return the calls for alerts of this title."""
        return [arrival for arrival in self.arrivals if arrival.body["title"] == title]


def said(status: int, *, retry_after: float | None = None, raw: bytes | None = None) -> Answer:
    """Return what Defender's client makes of an answer; `raw` is its body, else one in Defender's form."""
    if raw is None:
        error = {"code": f"Code{status}", "message": f"It is {status}.", "target": "43f4cb08"}
        created = {"id": f"da{status}", "status": "New"}
        raw = json.dumps(created if status < 300 else {"error": error}).encode()  # noqa: PLR2004 - HTTP's classes
    answer = answers.read(Response(status, {}, raw, None, sent=True, seconds=0.5), {})
    return replace(answer, retry_after=retry_after)


@dataclass
class Host:
    """One function host. Its wall clock is `wall_error` seconds off; `dead` hosts never go on.

    `script` says for every request what goes wrong with it, if anything; `tokens` whether the identity gives one;
    `chance` is what the app picks slots with, else the world's.
    `queries` and `commits` count requests to the table.
    """

    world: World
    faults: Faults = field(default_factory=Faults)
    wall_error: float = 0.0
    arrive: Callable[[Mapping[str, str]], Answer | None] | None = None
    dead: bool = False
    deadline: float = 30.0
    frozen_until: float = 0.0
    script: Callable[[Request], Fault | None] | None = None
    tokens: bool = True
    chance: random.Random | None = None
    queries: int = 0
    commits: int = 0
    _suspended: float = 0.0

    def __post_init__(self) -> None:
        self._boot = self.world.random.uniform(0, 1e6)
        self._clock = ServerClock(self.monotonic)
        chance = self.chance or self.world.random
        self.table = PatientTable(self, self.monotonic, self.world.sleep, chance, readers=self)
        """The table as the app on this host uses it."""

    def monotonic(self) -> float:
        """Return seconds since some moment; it does not move while the machine is suspended."""
        return self.world.now - EPOCH + self._boot - self._suspended

    def wall(self) -> float:
        """Return what this host believes the UTC time to be."""
        return self.world.now + self.wall_error

    def spawn(self, run: Callable[[], Any]) -> None:
        """Start a line of execution on this host."""
        self.world.spawn(run, self)

    # Single requests to the table

    def time(self) -> float | None:
        """Return a lower bound of the server's time; None before any answer."""
        return self._clock.now()

    def get(self, key: str, *, seconds: float) -> Row | None:
        """Read one row from the world's table, over its network."""

        def read() -> list[Row]:
            row = self.world.table.get(key)
            return [row] if row else []

        found = self._read(Request(self, "query", key, key), read, seconds)
        return found[0] if found else None

    def query(
        self,
        start: str,
        end: str,
        *,
        after: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        seconds: float,
    ) -> list[Row]:
        """Read from the world's table, over its network."""

        def read() -> list[Row]:
            return self.world.table.query(start, end, after=after, limit=limit, keys_only=keys_only)

        return self._read(Request(self, "query", start, end), read, seconds)

    def _read(self, request: Request, read: Callable[[], list[Row]], seconds: float) -> list[Row]:
        self.queries += 1

        def serve() -> list[Row]:
            found = read()
            self.world.partition.spend(max(1, len(found)))
            return found

        found, at = self._exchange(request, seconds, serve)
        self._see_date(at)
        if found:
            self._clock.observe(max(row.timestamp for row in found))
        return found

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write to the world's table, over its network."""
        self.commits += 1
        marked = [
            one if isinstance(one, Delete) else replace(one, values={**one.values, "mark": mark})
            for one in operations
        ]

        def serve() -> dict[str, str]:
            self.world.partition.spend(len(operations))
            return self.world.table.commit(marked)

        sent = self.monotonic()
        etags, at = self._exchange(Request(self, "commit", operations=operations), seconds, serve)
        self._see_date(at)
        if etags:
            self._clock.wrote(at, sent)
        return etags

    def _see_date(self, at: float) -> None:
        """Take an answer's `Date` as the real client does: whole seconds, so one second less."""
        self._clock.guess(math.floor(at + self.world.date_error) - 1.0)

    def _exchange(self, request: Request, seconds: float, serve: Callable[[], _T]) -> tuple[_T, float]:
        """Return what the server says to one request, and when it did it; or raise what comes of the fault it meets."""
        until = self.world.now + seconds
        there, back = (
            self.world.random.uniform(*self.faults.table_delay) + self.world.partition.seconds / 2
            for _ in range(2)
        )
        if there >= seconds:  # nobody waits for it any more
            self._land(serve, there)
            self._no_answer(until)
        self.world.sleep(there, edge=True)
        fault = self._table_fault(request)
        kind = fault.what if fault else ""
        if fault and kind == "late":
            self._land(serve, fault.seconds)
        if kind in ("late", "lost"):
            self._no_answer(until)
        if kind in ("busy", "denied") or not self.world.partition.admits():
            self._come_back(back)
            raise TableRefused("403 denied") if kind == "denied" else Busy("503 ServerBusy")
        at = self.world.now
        try:
            served = serve()
        finally:
            if kind == "swallowed" or there + back > seconds:
                self._no_answer(until)
            self._die_if(fault, "crashed")
        self._freeze_if(fault, "frozen")
        self._come_back(back)
        if kind == "timed out":
            raise Busy("500 OperationTimedOut", certain=False)
        return served, at

    def _land(self, serve: Callable[[], Any], seconds: float) -> None:
        """Let a request arrive so much later; nobody hears what the server says."""

        def arrive() -> None:
            if self.world.partition.admits():
                with contextlib.suppress(Conflict):  # too late: somebody else's write came first
                    serve()

        self.world.at(self.world.now + seconds, arrive, edge=True)

    # The identity's token, for the dispatch

    def token(self, *, timeout: float) -> str:
        """Return a token, at hand, or wait in vain for one."""
        if not self.tokens:
            self.world.sleep(max(0.0, timeout))
            raise TokenError("the token endpoint does not answer", late=True)
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
        fault = self._call_fault(Request(self, "call", body=body))
        self._die_if(fault, "crash")
        if fault and fault.what == "unsent":
            return _nothing(sent=False)
        delay = self.world.random.uniform(*self.faults.call_delay)
        if fault and fault.what == "late":
            delay = fault.seconds
        arrived = [] if fault and fault.what == "lost" else self._call(body, delay)
        self.world.wait(lambda: bool(arrived), self.deadline)
        self._die_if(fault, "crashed")
        if not arrived or (fault and fault.what == "swallowed"):
            return _nothing(sent=True)
        self.world.sleep(self.world.random.uniform(*self.faults.answer_delay))
        self._stand_still()
        return arrived[0]

    def _call(self, body: Mapping[str, str], delay: float) -> list[Answer]:
        """Let a call arrive after `delay` seconds; return the list that its answer will be in."""
        answers: list[Answer] = []
        arrive = self.arrive

        def arrival() -> None:
            answer = arrive(body) if arrive else None
            if answer:
                answers.append(answer)
                self.world.notify()

        line = cast("_Line", getcurrent())
        self.world.at(self.world.now + delay, arrival, line, edge=True)
        return answers

    # The app on this host

    def gateway(self, settings: Settings, mappings: mapping.Mappings | None = None) -> Gateway:
        """Put the real gateway together with the edges of this host."""
        policy = window.Policy(
            calls=settings.rate_limit_calls,
            window=settings.rate_limit_window_seconds,
            margin=settings.rate_limit_margin_seconds,
            deadline=self.deadline,
        )
        clocks = Clocks(self.monotonic, self.wall, self.world.sleep)
        outcomes = Outcomes(
            table=self.table,
            defender=self,
            policy=policy,
            rules=record.Rules(settings.not_found_retry_minutes, settings.give_up_hours),
            clocks=clocks,
        )
        dispatcher = Dispatch(
            table=self.table,
            outcomes=outcomes,
            tokens=self,
            clocks=clocks,
            workers=self,
            chance=self.chance or self.world.random,
        )
        return Gateway(
            settings=settings,
            mappings=mappings or _mappings(),
            dispatcher=dispatcher,
            clocks=clocks,
            permits=threading.BoundedSemaphore(8),
        )

    def ask(self, use_case: Callable[[], Reply]) -> "Future[Reply]":
        """Run a use case as its function does; errors become answers."""
        return self.submit(lambda: reply.guarded(use_case))

    def _table_fault(self, request: Request) -> Fault | None:
        faults = self.faults
        fault = self.script(request) if self.script else None
        if self._chance(faults.crash):
            fault = Fault("crash")
        elif self._chance(faults.table_lost):
            fault = Fault("lost")
        elif request.kind == "commit" and self._chance(faults.table_late):
            fault = Fault("late", self.world.random.uniform(0, faults.table_late_seconds))
        elif request.kind == "commit" and self._chance(faults.table_swallowed):
            fault = Fault("swallowed")
        elif self._chance(faults.table_busy):
            fault = Fault("busy")
        self._die_if(fault, "crash")
        self._freeze_if(fault, "freeze")
        return fault

    def _call_fault(self, request: Request) -> Fault | None:
        faults = self.faults
        if self.script and (fault := self.script(request)):
            return fault
        if self._chance(faults.call_unsent):
            return Fault("unsent")
        if self._chance(faults.answer_lost):
            return Fault("swallowed")
        if self._chance(faults.call_slow):
            return Fault("late", self.world.random.uniform(0, faults.call_slow_seconds))
        return None

    def _come_back(self, seconds: float) -> None:
        """Let an answer come back in so many seconds, if this host is still there."""
        if seconds:
            self.world.sleep(seconds)
            self._die_if(Fault("crash") if self._chance(self.faults.crash) else None, "crash")
            self._stand_still()

    def _die_if(self, fault: Fault | None, what: str) -> None:
        if fault and fault.what == what:
            self.dead = True
            raise GreenletExit

    def _freeze_if(self, fault: Fault | None, what: str) -> None:
        if fault and fault.what == what:
            self.frozen_until = self.world.now + fault.seconds
            self.world.sleep(0)

    def _stand_still(self) -> None:
        if self._chance(self.faults.freeze):
            seconds = self.world.random.uniform(0, self.faults.freeze_seconds)
            self.frozen_until = self.world.now + seconds
            if self._chance(0.5):  # a suspended machine: its monotonic clock stands still as well
                self._suspended += seconds
            self.world.sleep(0)

    def _no_answer(self, until: float) -> NoReturn:
        self.world.sleep(max(0.0, until - self.world.now))
        raise Unavailable("The table did not answer.")

    def _chance(self, chance: float) -> bool:
        return chance > 0 and self.world.random.random() < chance


@dataclass
class App:
    """The app on one host, and what its callers do."""

    host: Host
    gateway: Gateway

    @classmethod
    def on(
        cls, host: Host, settings: Settings | None = None, mappings: mapping.Mappings | None = None
    ) -> "App":
        """Start the app on a host."""
        return cls(host, host.gateway(settings or Settings(), mappings))

    def post(self, payload: Any, **query: str) -> "Future[Reply]":
        """Post a payload to the webhook."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.host.ask(lambda: self.gateway.receive(body, query, ORIGIN))

    def status(self, delivery: str) -> "Future[Reply]":
        """Ask what became of a delivery."""
        return self.host.ask(lambda: self.gateway.status(delivery, ORIGIN))

    def health(self) -> "Future[Reply]":
        """Ask for its health."""
        return self.host.ask(self.gateway.health)

    def tick(self) -> "Future[None]":
        """Let the timer fire once."""
        return self.host.submit(self.gateway.dispatch)

    def timer(self, every: float = 30.0) -> None:
        """Let the timer fire as the platform does: never before the last run has ended."""

        def line() -> None:
            while True:
                self.gateway.dispatch()
                self.host.world.sleep(every - (self.host.world.now - EPOCH) % every)

        self.host.spawn(line)


@functools.cache
def _mappings() -> mapping.Mappings:
    return mapping.load()


def _nothing(*, sent: bool) -> Answer:
    code = "Timeout" if sent else "NoConnection"
    return Answer(
        kind="unavailable",
        status=None,
        alert=None,
        merged=False,
        error={"status": None, "code": code, "message": "No answer from Defender.", "target": None},
        retry_after=None,
        sent=sent,
        answered=False,
        seconds=30.0 if sent else 0.0,
    )


def unsound(table: MemoryTable) -> list[str]:
    """Return what is wrong with a table's rows, if anything: the ledger's own promises, over every row.

    An alert that has not ended has exactly one waiting row, which says the same as the alert's; one that has
    ended has none. Exactly the failed have a row in the failed list. A delivery's alerts exist.
    """
    stored = {row.key: row for row in table.query("", "~")}
    entries = {key: rows.read(row) for key, row in stored.items() if key.startswith(keys.ALERT)}
    wrong = []
    expected = set(entries)
    for key, entry in entries.items():
        if key != keys.alert_key(entry.alert.id):
            wrong.append(f"{key} holds {entry.alert.id}")
        wrong += [f"{key}: {problem}" for problem in _contradictions(entry)]
        beside = [entry.waits] if entry.waits else []
        beside += [keys.failed_key(entry.ended, entry.alert.id)] if entry.state == "failed" else []
        for other in beside:
            expected.add(other)
            if other not in stored:
                wrong.append(f"{key} is {entry.state}, but there is no {other}")
            elif stored[other].values != stored[key].values:
                wrong.append(f"{other} says something else than {key}")
    for key, row in stored.items():
        if key.startswith(keys.DELIVERY):
            lost = [alert for alert in rows.read_delivery(row).alerts if keys.alert_key(alert) not in entries]
            wrong += [f"{key} names {alert}, which is not there" for alert in lost]
        elif key.startswith((window.FIRST_KEY, turns.FIRST_KEY, pause.RESUMED_KEY, keys.REFUSED, keys.ASIDE)):
            continue
        elif key not in expected:
            wrong.append(f"{key} belongs to no alert")
    return wrong


def _contradictions(entry: record.Entry) -> list[str]:
    ended = entry.state in ("created", "failed", "discarded")
    wrong = []
    if ended != entry.has_ended or ended != (entry.ended is not None):
        wrong.append(f"{entry.state}, waits for {entry.waits!r}, ended {entry.ended}")
    if entry.state == "sending" and not entry.waits.startswith(keys.LATER):
        wrong.append(f"sending, but waits as {entry.waits}")
    if entry.waits.startswith(keys.LATER) != (
        entry.state == "sending" or (entry.state == "waiting" and entry.next_attempt is not None)
    ):
        wrong.append(f"{entry.state}, next attempt {entry.next_attempt}, waits as {entry.waits}")
    if (entry.created is not None) != (entry.state == "created"):
        wrong.append(f"{entry.state} with Defender's alert {entry.created}")
    if entry.state == "failed" and not entry.error:
        wrong.append("failed without a reason")
    return wrong
