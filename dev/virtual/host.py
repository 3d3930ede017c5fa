"""A function host: its clocks, table client, calls to Defender, workers, and the app on it; and Defender itself."""

import functools
import json
import math
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from dev.virtual.world import EPOCH, World
from shared import app
from shared.clients import answer as answers
from shared.clients.answer import Answer
from shared.clients.call import Response
from shared.errors import Busy, Conflict
from shared.ledger import settlement
from shared.mapping import mappings as mapping
from shared.sending import stages
from shared.sending.outcome import Clocks
from shared.settings import Settings
from shared.table.clock import ServerClock
from shared.table.patience import PatientTable
from shared.table.protocol import Delete, Operation, Row
from shared.webhook.receive import Webhook

ORIGIN = "https://app.example"
_T = TypeVar("_T")
_Row = TypeVar("_Row", Row, Row | None)
_mappings = functools.cache(mapping.load)


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
    """One function host. Its wall clock is `wall_error` seconds off.

    `chance` is what the app picks slots with, else the world's. `queries` and `commits` count requests to the table,
    `lost` those of the commits that met somebody else's.
    """

    world: World
    faults: Faults = field(default_factory=Faults)
    wall_error: float = 0.0
    arrive: Callable[[Mapping[str, str]], Answer | None] | None = None
    chance: random.Random | None = None
    queries: int = 0
    commits: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        self._boot = self.world.random.uniform(0, 1e6)
        self._clock = ServerClock(self.monotonic)
        self._chance = self.chance or self.world.random
        self.table = PatientTable(self, self.monotonic, self.world.sleep, self._chance, readers=self)
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
        request = Request(self, "query", key, key)
        return self._read(request, lambda: self.world.table.get_all([key]), seconds)[0]

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
            try:
                return self.world.table.commit(marked)
            except Conflict:
                self.lost += 1
                raise

        sent = self.monotonic()
        etags, at = self._exchange(Request(self, "commit", operations=operations), seconds, serve)
        if etags:
            self._clock.wrote(at, sent)
        return etags

    def _exchange(self, request: Request, seconds: float, serve: Callable[[], _T]) -> tuple[_T, float]:  # noqa: ARG002 - for a network with faults
        """Return the server's answer to one request, and its time; or raise the error that is its answer."""
        there, back = (self.world.random.uniform(*self.faults.table_delay) for _ in range(2))
        self.world.sleep(there, edge=True)
        if not self.world.partition.admits():
            self.world.sleep(back)
            raise Busy("503 ServerBusy")
        served, at = serve(), self.world.now
        self._returned(back, at)
        return served, at

    def _returned(self, back: float, date: float) -> None:
        """Let an answer come back to this host, whose `Date` tells it the server's time."""
        if back:
            self.world.sleep(back)
        # Taken as the real client does: whole seconds, so one second less.
        self._clock.guess(math.floor(date) - 1.0)

    # The services that alerts are sent to, for the dispatch

    def token(self, *, timeout: float) -> str:  # noqa: ARG002 - as the real one
        """Return a token."""
        return "token"

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:  # noqa: ARG002 - as the real one
        """Call Defender over a network that takes its time."""
        self.world.sleep(self.world.random.uniform(*self.faults.call_delay), edge=True)
        answer = self.arrive(body) if self.arrive else None
        if answer is None:
            raise RuntimeError("there is no such service in this world")
        self.world.sleep(self.world.random.uniform(*self.faults.answer_delay))
        return answer

    def services(self) -> app.Services:
        """Return what the app on this host calls."""
        nobody: Any = None
        return app.Services(self, self, nobody, nobody, self)

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

    # The app on this host

    def webhook(self, settings: Settings, mappings: mapping.Mappings | None = None) -> Webhook:
        """Build the real webhook with the clocks and connections of this host."""
        rules = settlement.Rules(settings.not_found_retry_minutes, settings.give_up_hours)
        clocks = Clocks(self.monotonic, self.wall, self.world.sleep)
        shared = stages.Host(self.table, clocks, self, self._chance)
        dispatcher, *others = stages.build(shared, app.parts(settings, rules, self.services()))
        return Webhook(
            settings=settings,
            mappings=mappings or _mappings(),
            dispatcher=dispatcher,
            others=tuple(others),
            clocks=clocks,
            permits=threading.BoundedSemaphore(8),
        )


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call as Defender saw it: when (true time, UTC seconds), and its body."""

    at: float
    body: Mapping[str, str]


@dataclass
class Defender:
    """Creates every alert, and records all calls."""

    world: World
    arrivals: list[Arrival] = field(default_factory=list, kw_only=True)

    def __call__(self, body: Mapping[str, str]) -> Answer | None:
        """Take one call."""
        self.arrivals.append(Arrival(self.world.now, body))
        return alert_created()


def alert_created() -> Answer:
    """Return what Defender's client makes of the answer about a new alert."""
    raw = json.dumps({"id": "da200", "status": "New"}).encode()
    return answers.read(Response(200, {}, raw, None, sent=True, seconds=0.5), {})
