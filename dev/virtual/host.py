"""A function host: its clocks, table client, calls to Defender, and workers."""

import contextlib
import functools
import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, TypeVar, cast

from greenlet import getcurrent

from dev.virtual import app
from dev.virtual.defender import nothing
from dev.virtual.world import EPOCH, Line, World
from shared.clients import create_alert as creating
from shared.clients.answer import Answer
from shared.clients.graph import Result
from shared.errors import Busy, Conflict, TableRefused, Unavailable
from shared.mapping import mappings as mapping
from shared.settings import Settings
from shared.table.clock import ServerClock
from shared.table.patience import PatientTable
from shared.table.protocol import Delete, Operation, Row
from shared.webhook.receive import Webhook

_T = TypeVar("_T")
_Row = TypeVar("_Row", Row, Row | None)


@dataclass(frozen=True, slots=True)
class Faults:
    """How long requests take on their way: each way to the table, to Defender, and back from it; in seconds."""

    table_delay: tuple[float, float] = (0.005, 0.05)
    call_delay: tuple[float, float] = (0.01, 1.0)
    answer_delay: tuple[float, float] = (0.01, 0.5)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a host: to the table a query of `start` to `end` or a commit, to Defender a call."""

    host: "Host"
    kind: Literal["query", "commit", "call"]
    start: str = ""
    end: str = ""
    operations: Sequence[Operation] = ()
    body: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Host:
    """One function host. Its wall clock is `wall_error` seconds off; `dead` hosts never go on.

    `chance` is what the app picks slots with, else the world's. `queries` and `commits` count requests to the table.
    """

    world: World
    faults: Faults = field(default_factory=Faults)
    wall_error: float = 0.0
    arrive: Callable[[Mapping[str, str]], Answer | None] | None = None
    hunts: Callable[[Mapping[str, str]], Result | None] | None = None
    creates: Callable[[Mapping[str, Any]], creating.Result | None] | None = None
    dead: bool = False
    deadline: float = 30.0
    frozen_until: float = 0.0
    chance: random.Random | None = None
    queries: int = 0
    commits: int = 0

    def __post_init__(self) -> None:
        self._boot = self.world.random.uniform(0, 1e6)
        self._clock = ServerClock(self.monotonic)
        chance = self.chance or self.world.random
        self.table = PatientTable(self, self.monotonic, self.world.sleep, chance, readers=self)
        """The table as the app on this host uses it."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return self.world.now - EPOCH + self._boot

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
        stored = self._read(
            Request(self, "query", key, key), lambda: self.world.table.get_all([key]), seconds
        )
        return stored[0]

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
        read = functools.partial(
            self.world.table.query, start, end, after=after, limit=limit, keys_only=keys_only
        )
        return self._read(Request(self, "query", start, end), read, seconds)

    def _read(self, request: Request, read: Callable[[], list[_Row]], seconds: float) -> list[_Row]:
        self.queries += 1

        def serve() -> list[_Row]:
            stored = read()
            self.world.partition.spend(max(1, len(stored)))
            return stored

        stored, _ = self._exchange(request, seconds, serve)
        if known := [row.timestamp for row in stored if row]:
            self._clock.observe(max(known))
        return stored

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write to the world's table, over its network."""
        self.commits += 1
        marked = [
            each if isinstance(each, Delete) else replace(each, values={**each.values, "mark": mark})
            for each in operations
        ]

        def serve() -> dict[str, str]:
            self.world.partition.spend(len(operations))
            return self.world.table.commit(marked)

        sent = self.monotonic()
        etags, at = self._exchange(Request(self, "commit", operations=operations), seconds, serve)
        if etags:
            self._clock.wrote(at, sent)
        return etags

    def _exchange(self, request: Request, seconds: float, serve: Callable[[], _T]) -> tuple[_T, float]:
        """Return the server's answer to one request, and its time; or raise the error that is its answer."""
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
        if back:
            self.world.sleep(back)
        # The answer's `Date`, taken as the real client does: whole seconds, so one second less.
        self._clock.guess(math.floor(at + self.world.date_error) - 1.0)
        return served, at

    def _arrive(self, request: Request, serve: Callable[[], _T], until: float) -> tuple[_T, float]:  # noqa: ARG002 - for a host with faults
        """Let a request be served now, whose host waits `until` some moment; return the answer and its time."""
        if not self.world.partition.admits():
            raise Busy("503 ServerBusy")
        return serve(), self.world.now

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

    # The identity's token, for the dispatch

    def token(self, *, timeout: float) -> str:  # noqa: ARG002 - as the real one
        """Return a token."""
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

    # Defender's and Graph's clients, for the dispatch

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:  # noqa: ARG002 - as the real one
        """Call Defender over a network that may be slow."""
        answer = self._call(self.arrive, body)
        return nothing(sent=answer) if isinstance(answer, bool) else answer

    def hunt(self, query: str, timespan: str, columns: Collection[str], token: str) -> Result:  # noqa: ARG002 - as the real one
        """Search with Graph over the same network."""
        result = self._call(self.hunts, {"Query": query})
        return Result("unavailable", None, "no answer", 0.0) if isinstance(result, bool) else result

    def create(self, alert_input: Mapping[str, Any], token: str) -> creating.Result:  # noqa: ARG002 - as the real one
        """Create an alert without an event over the same network."""
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
        arrived = self._send(arrive, body, self.world.random.uniform(*self.faults.call_delay))
        self.world.wait(lambda: bool(arrived), self.deadline)
        if not arrived:
            return True
        self.world.sleep(self.world.random.uniform(*self.faults.answer_delay))
        return arrived[0]

    def _send(
        self, arrive: Callable[[Mapping[str, str]], _T | None] | None, body: Mapping[str, str], delay: float
    ) -> list[_T]:
        """Let a call arrive after `delay` seconds; return the list that its answer will be in."""
        if arrive is None:
            raise RuntimeError("there is no such service in this world")
        answers: list[_T] = []

        def arrival() -> None:
            if answer := arrive(body):
                answers.append(answer)
                self.world.notify()

        line = cast("Line", getcurrent())
        self.world.at(self.world.now + delay, arrival, line, edge=True)
        return answers

    # The app on this host

    def webhook(self, settings: Settings, mappings: mapping.Mappings | None = None) -> Webhook:
        """Build the real webhook with the clocks and connections of this host."""
        return app.assemble(self, settings, mappings)
