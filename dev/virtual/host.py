"""A function host: its clocks, table client, calls to Defender, and workers."""

import contextlib
import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeVar, cast

from greenlet import GreenletExit, getcurrent

from dev.virtual import app
from dev.virtual.defender import nothing
from dev.virtual.faults import Fault, Faults, Kind, Request
from dev.virtual.world import EPOCH, Line, World
from shared.clients.answer import Answer
from shared.clients.graph import Result
from shared.errors import Busy, Conflict, TableRefused, TokenError, Unavailable
from shared.mapping import mappings as mapping
from shared.settings import Settings
from shared.table.clock import ServerClock
from shared.table.patience import PatientTable
from shared.table.protocol import Delete, Operation, Row
from shared.web import reply
from shared.web.reply import Reply
from shared.webhook.receive import Webhook

_T = TypeVar("_T")


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
    hunts: Callable[[Mapping[str, str]], Result | None] | None = None
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

        stored = self._read(Request(self, "query", key, key), read, seconds)
        return stored[0] if stored else None

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
            stored = read()
            self.world.partition.spend(max(1, len(stored)))
            return stored

        stored, at = self._exchange(request, seconds, serve)
        self._see_date(at)
        if stored:
            self._clock.observe(max(row.timestamp for row in stored))
        return stored

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write to the world's table, over its network."""
        self.commits += 1
        marked = [
            written
            if isinstance(written, Delete)
            else replace(written, values={**written.values, "mark": mark})
            for written in operations
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
        """Return the server's answer to one request, and its time; or raise the error of the fault that it meets."""
        until = self.world.now + seconds
        there, back = (
            self.world.random.uniform(*self.faults.table_delay) + self.world.partition.seconds / 2
            for _ in range(2)
        )
        if there >= seconds:  # nobody waits for it any more
            self._land(serve, there)
            self._no_answer(until)
        self.world.sleep(there, edge=True)
        fault = self.script(request) if self.script else None
        self._die_if(fault, "crash")
        self._freeze_if(fault, "freeze")
        kind = fault.kind if fault else ""
        if fault and kind == "late":
            self._land(serve, fault.seconds)
        if kind in ("late", "lost"):
            self._no_answer(until)
        if kind in ("busy", "denied") or not self.world.partition.admits():
            self.world.sleep(back)
            raise TableRefused("403 denied") if kind == "denied" else Busy("503 ServerBusy")
        at = self.world.now
        try:
            served = serve()
        finally:
            if kind == "swallowed" or there + back > seconds:
                self._no_answer(until)
            self._die_if(fault, "crashed")
        self._freeze_if(fault, "frozen", "suspended")
        if back:
            self.world.sleep(back)
        if kind == "timed out":
            raise Busy("500 OperationTimedOut", certain=False)
        return served, at

    def _die_if(self, fault: Fault | None, kind: Kind) -> None:
        if fault and fault.kind == kind:
            self.dead = True
            raise GreenletExit

    def _freeze_if(self, fault: Fault | None, *kinds: Kind) -> None:
        if fault and fault.kind in kinds:
            self.frozen_until = self.world.now + fault.seconds
            self._suspended += fault.seconds if fault.kind == "suspended" else 0.0
            self.world.sleep(0)

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

    def token(self, *, timeout: float) -> str:
        """Return a token, or wait for one that never comes."""
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

    # Defender's and Graph's clients, for the dispatch

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:  # noqa: ARG002 - as the real one
        """Call Defender over a network that may be slow, refuse, or swallow the answer."""
        answer = self._ask_service(self.arrive, body)
        return nothing(sent=answer) if isinstance(answer, bool) else answer

    def hunt(self, query: str, timespan: str, columns: Collection[str], token: str) -> Result:  # noqa: ARG002 - as the real one
        """Search with Graph over the same network."""
        result = self._ask_service(self.hunts, {"Query": query})
        return Result("unavailable", None, "no answer", 0.0) if isinstance(result, bool) else result

    def _ask_service(
        self, arrive: "Callable[[Mapping[str, str]], _T | None] | None", body: Mapping[str, str]
    ) -> "_T | bool":
        """Return the answer to a call; False if nothing was sent, True if no answer came."""
        if arrive is None:
            raise RuntimeError("no such service in this world")
        fault = self.script(Request(self, "call", body=body)) if self.script else None
        self._die_if(fault, "crash")
        if fault and fault.kind == "unsent":
            return False
        usual = self.world.random.uniform(*self.faults.call_delay)
        delay = fault.seconds if fault and fault.kind == "late" else usual
        arrived: list[_T] = []
        if not (fault and fault.kind == "lost"):
            self._call(arrive, body, delay, arrived)
        self.world.wait(lambda: bool(arrived), self.deadline)
        self._die_if(fault, "crashed")
        if not arrived or (fault and fault.kind == "swallowed"):
            return True
        self.world.sleep(self.world.random.uniform(*self.faults.answer_delay))
        self._freeze_if(fault, "frozen", "suspended")
        return arrived[0]

    def _call(
        self,
        arrive: "Callable[[Mapping[str, str]], _T | None]",
        body: Mapping[str, str],
        delay: float,
        arrived: "list[_T]",
    ) -> None:
        """Let a call arrive after `delay` seconds; its answer will be in `arrived`."""

        def arrival() -> None:
            answer = arrive(body)
            if answer:
                arrived.append(answer)
                self.world.notify()

        line = cast("Line", getcurrent())
        self.world.at(self.world.now + delay, arrival, line, edge=True)

    # The app on this host

    def webhook(self, settings: Settings, mappings: mapping.Mappings | None = None) -> Webhook:
        """Build the real webhook with the clocks and connections of this host."""
        return app.assemble(self, settings, mappings)

    def ask(self, use_case: Callable[[], Reply]) -> "Future[Reply]":
        """Run a use case as its function does; errors become answers."""
        return self.submit(lambda: reply.guarded(use_case))
