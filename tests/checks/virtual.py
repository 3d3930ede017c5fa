"""Simulated time with what only tests need.

Services answer as a test says, requests meet faults or come too late, hosts die or stand still, and a test may choose
among the events to come.
"""

import contextlib
import heapq
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, cast

from greenlet import GreenletExit, getcurrent

from dev.virtual import host, world
from dev.virtual.host import ORIGIN, Arrival, Faults, Request
from dev.virtual.world import EPOCH, Event, Line
from shared import app
from shared.clients import answer as answers
from shared.clients import create_alert as creating
from shared.clients.answer import Answer
from shared.clients.call import Failure, Response
from shared.clients.graph import Result
from shared.errors import Busy, Conflict, TableRefused, TokenError, Unavailable
from shared.mapping import mappings as mapping
from shared.settings import Settings
from shared.web import reply
from shared.web.reply import Reply
from shared.webhook.receive import Webhook

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


@dataclass
class Partition(world.Partition):
    """A table's server that takes `seconds` for a request."""

    seconds: float = 0.0


@dataclass
class Defender(host.Defender):
    """Answers each call with what `says` returns for it (None: never), and records all calls.

    `says` gets how often this alert was called before, and its body. Without it every alert is created.
    """

    says: Callable[[int, Mapping[str, str]], Answer | None] = lambda _, __: answer_with(200)

    def __call__(self, body: Mapping[str, str]) -> Answer | None:
        """Take one call."""
        before = len(self.calls(body["title"]))
        super().__call__(body)
        return self.says(before, body)

    def calls(self, title: str) -> list[Arrival]:
        """Return the calls for alerts of this title."""
        return [arrival for arrival in self.arrivals if arrival.body["title"] == title]


def answer_with(status: int, *, retry_after: float | None = None, raw: bytes | None = None) -> Answer:
    """Return the result of Defender's client for an answer; `raw` is its body, else one in Defender's form."""
    if raw is None:
        error = {"code": f"Code{status}", "message": f"It is {status}.", "target": "43f4cb08"}
        created = {"id": f"da{status}", "status": "New"}
        raw = json.dumps(created if status < 300 else {"error": error}).encode()
    answer = answers.read(Response(status, {}, raw, None, sent=True, seconds=0.5), {})
    return replace(answer, retry_after=retry_after)


def nothing(*, sent: bool) -> Answer:
    """Return the client's result without an answer; `sent` is whether the request left."""
    failure = Failure("Timeout" if sent else "NoConnection", "No answer from Defender.")
    return answers.read(Response(None, {}, None, failure, sent, 30.0 if sent else 0.0), {})


class World(world.World):
    """A world in which a test chooses what happens next.

    An edge is where lines of execution meet: a request arrives. `pick` chooses among the `n` edges that could be
    next: it gets `n` and whether the first of them is of the line that was at the last, and returns an index.
    Without it the oldest is next. `watch` is called after everything that happened. `date_error` is how many seconds
    the `Date` of the table's answers is ahead of the clock that stamps its rows.
    """

    partition: Partition

    def __init__(
        self,
        seed: int = 0,
        *,
        pick: Callable[[int, bool], int] | None = None,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(seed)
        self.partition = Partition(lambda: self.now)
        self.date_error = 0.0
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

    def _resume(self, line: Line) -> None:
        host = line.host if isinstance(line.host, Host) else None
        if host is not None and self.now < host.frozen_until:
            self.at(host.frozen_until, lambda: self._resume(line), line)
        elif host is None or not host.dead:
            super()._resume(line)
        elif line:  # started, and its host has died since
            line.throw(GreenletExit)


@dataclass
class Host(host.Host):
    """A function host whose requests meet faults; `dead` hosts never go on.

    `script` says for every request what goes wrong with it, if anything; `tokens` whether the identity gives one.
    """

    world: World
    hunts: Callable[[Mapping[str, str]], Result | None] | None = None
    creates: Callable[[Mapping[str, Any]], creating.Result | None] | None = None
    script: Callable[[Request], Fault | None] | None = None
    tokens: bool = True
    dead: bool = False
    deadline: float = 30.0
    frozen_until: float = 0.0
    _suspended: float = 0.0

    def monotonic(self) -> float:
        """Return seconds since some moment; it does not move while the machine is suspended."""
        return super().monotonic() - self._suspended

    def webhook(self, settings: Settings, mappings: mapping.Mappings | None = None) -> Webhook:
        """Build the real webhook, whose calls wait as long as the deadline of this host."""
        bounded = replace(
            settings, defender_timeout_seconds=self.deadline, find_events_timeout_seconds=self.deadline
        )
        return replace(super().webhook(bounded, mappings), settings=settings)

    def services(self) -> app.Services:
        """Return what the app on this host calls: all of it is this host."""
        return app.Services(self, self, self, self, self)

    def ask(self, use_case: Callable[[], Reply]) -> "Future[Reply]":
        """Run a use case as its function does; errors become answers."""
        return self.submit(lambda: reply.guarded(use_case))

    # The services

    def token(self, *, timeout: float) -> str:
        """Return a token, or wait for one that never comes."""
        if not self.tokens:
            self.world.sleep(max(0.0, timeout))
            raise TokenError("the token endpoint does not answer", late=True)
        return super().token(timeout=timeout)

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Call Defender over a network that may be slow."""
        assert token
        answer = self._call(self.arrive, body)
        return nothing(sent=answer) if isinstance(answer, bool) else answer

    def hunt(self, query: str, timespan: str, columns: Collection[str], token: str) -> Result:
        """Search with Graph over the same network."""
        assert timespan
        assert columns
        assert token
        result = self._call(self.hunts, {"Query": query})
        return Result("unavailable", None, "no answer", 0.0) if isinstance(result, bool) else result

    def create(self, alert_input: Mapping[str, Any], token: str) -> creating.Result:
        """Create an alert without an event over the same network."""
        assert token
        result = self._call(self.creates, alert_input)
        if not isinstance(result, bool):
            return result
        kind: creating.Kind = "unknown" if result else "unavailable"
        code = creating.UNKNOWN if result else "NoConnection"
        return creating.Result(kind, None, 0.0, sent=result, error={"code": code, "message": "no answer"})

    def _call(
        self, arrive: Callable[[Mapping[str, str]], _T | None] | None, body: Mapping[str, str]
    ) -> _T | bool:
        """Return a service's answer to a call: False if nothing was sent, True if no answer came."""
        fault = self.script(Request(self, "call", body=body)) if self.script else None
        kind = fault.kind if fault else ""
        self._die_if(fault, "crash")
        if kind == "unsent":
            return False
        delay = self.world.random.uniform(*self.faults.call_delay)
        if fault and kind == "late":
            delay = fault.seconds
        arrived = [] if kind == "lost" else self._send(arrive, body, delay)
        self.world.wait(lambda: bool(arrived), self.deadline)
        self._die_if(fault, "crashed")
        if not arrived or kind == "swallowed":
            return True
        self.world.sleep(self.world.random.uniform(*self.faults.answer_delay))
        self._freeze_if(fault, "frozen", "suspended")
        return arrived[0]

    def _send(
        self, arrive: Callable[[Mapping[str, str]], _T | None] | None, body: Mapping[str, str], delay: float
    ) -> list[_T]:
        """Let a call arrive after `delay` seconds; return the list that its answer will be in."""
        if arrive is None:
            raise RuntimeError("there is no such service in this world")
        answered: list[_T] = []

        def arrival() -> None:
            if answer := arrive(body):
                answered.append(answer)
                self.world.notify()

        line = cast("Line", getcurrent())
        self.world.at(self.world.now + delay, arrival, line, edge=True)
        return answered

    # Single requests to the table

    def _exchange(self, request: Request, seconds: float, serve: Callable[[], _T]) -> tuple[_T, float]:
        until = self.world.now + seconds
        there, back = (
            self.world.random.uniform(*self.faults.table_delay) + self.world.partition.seconds / 2
            for _ in range(2)
        )
        if there >= seconds:  # nobody waits for it any more
            self._land(serve, there)
            self._no_answer(until)
        self.world.sleep(there, edge=True)
        try:
            served, at = self._arrive(request, serve, until)
        except (Busy, TableRefused):
            self.world.sleep(back)
            raise
        finally:
            if there + back > seconds:
                self._no_answer(until)
        self._returned(back, at + self.world.date_error)
        return served, at

    def _arrive(self, request: Request, serve: Callable[[], _T], until: float) -> tuple[_T, float]:
        """Let a request be served now, whose host waits `until` some moment; return the answer and its time."""
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
            if not self.world.partition.admits():
                raise Busy("503 ServerBusy")
            served, at = serve(), self.world.now
        finally:
            if kind == "swallowed":
                self._no_answer(until)
            self._die_if(fault, "crashed")
        self._freeze_if(fault, "frozen", "suspended")
        if kind == "timed out":
            raise Busy("500 OperationTimedOut", certain=False)
        return served, at

    def _no_answer(self, until: float) -> NoReturn:
        self.world.sleep(max(0.0, until - self.world.now))
        raise Unavailable("The table did not answer.")

    def _land(self, serve: Callable[[], Any], seconds: float) -> None:
        """Let a request arrive so much later; its answer is lost."""

        def arrive() -> None:
            if self.world.partition.admits():
                with contextlib.suppress(Conflict):  # too late: somebody else's write came first
                    serve()

        self.world.at(self.world.now + seconds, arrive, edge=True)

    def _die_if(self, fault: Fault | None, kind: Kind) -> None:
        if fault and fault.kind == kind:
            self.dead = True
            raise GreenletExit

    def _freeze_if(self, fault: Fault | None, *kinds: Kind) -> None:
        if fault and fault.kind in kinds:
            self.frozen_until = self.world.now + fault.seconds
            self._suspended += fault.seconds if fault.kind == "suspended" else 0.0
            self.world.sleep(0)
