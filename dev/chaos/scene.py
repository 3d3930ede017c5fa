"""A stack to rehearse faults on: what can be done to it, and what there is to judge by when all has ended."""

import contextlib
import itertools
import random
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from dev import samples, token_endpoint
from dev.azurite import Azurite
from dev.chaos.senders import Senders
from dev.chaos.verdict import Case, Evidence, Verdict, direct_calls, judge
from dev.proxy import Proxy, Watch
from dev.stack import Host, Stack
from dev.virtual import unsound
from shared import ledger
from shared.settings import Settings, StorageSettings
from shared.storage import AzureTable, MemoryTable

CALLS = 15
_MOST_HOSTS = 32
_TICK_SECONDS = 1.0
_SENDERS = 24


class Scene:
    """One Azurite on disk, one Defender, and hosts that come and go. Everything is over within `limit` seconds.

    `window` and `deadline` are the rate limit's window and a call's deadline, in seconds. No host has a timer:
    dispatch runs when the scene asks for it.
    """

    def __init__(self, *, window: float, deadline: float, settings: Mapping[str, str] | None = None) -> None:
        self._window = window
        self._cleanup = contextlib.ExitStack()
        self._clients = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"host {n}")) for n in range(_MOST_HOSTS)]
        self._settings = {
            "DEFENDER_TIMEOUT_SECONDS": f"{deadline:g}",
            "INLINE_SECONDS": "3",
            "NOT_FOUND_RETRY_MINUTES": "0.02,0.05",
            **(settings or {}),
        }
        self._numbers = itertools.count(1)
        self._journals: dict[str, Path] = {}
        self._cases: list[Case] = []
        self._under_way: list[Future[None]] = []
        self._dice = random.Random(0)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.push(self._cleanup)
            folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="chaos-"))
            self.azurite = self._cleanup.enter_context(Azurite(Path(folder)))
            identities = [token_endpoint.USER_ASSIGNED_CLIENT_ID, *self._clients]
            self.stack = self._cleanup.enter_context(
                Stack(
                    hosts=0,
                    calls=CALLS,
                    window=self._window,
                    settings=self._settings,
                    azurite=self.azurite,
                    program="dev.chaos.host",
                    defender=[part for client in identities for part in ("--client-id", client)],
                )
            )
            self._senders = Senders(self.stack, _SENDERS)
            self._cleanup.callback(self._senders.close)
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.__exit__(kind, error, trace)

    # ---- what can be done

    def proxy(self, watch: Watch, *, seconds: float = 5.0) -> Proxy:
        """Put a proxy before the table, for the hosts that are told so."""
        return self._cleanup.enter_context(Proxy(self.azurite.port, watch=watch, seconds=seconds))

    def host(self, *arguments: str, through: Proxy | None = None) -> Host:
        """Start a host, with an identity of its own, so that Defender's log tells who called."""
        settings = {"AZURE_CLIENT_ID": self._clients[len(self._journals)]}
        if through:
            settings["AzureWebJobsStorage"] = through.through(self.azurite.connection_string)
        host = self.stack.start_host("--no-timers", *arguments, **settings)
        self._journals[settings["AZURE_CLIENT_ID"]] = host.process.log
        return host

    def case(self, fault: str) -> Case:
        """Begin a fault's line in the table."""
        self._cases.append(Case(fault))
        return self._cases[-1]

    def send(self, case: Case, sizes: Sequence[int], host: Host | None = None) -> None:
        """Let a sender each send a delivery of so many alerts; the first tries go to `host`, if given."""
        for size in sizes:
            sent, future = self._senders.send([self._alert(case) for _ in range(size)], host)
            case.sent.append(sent)
            self._under_way.append(future)

    def ask_again(self, case: Case) -> None:
        """Let the senders ask once more for what has ended already."""
        self._under_way += [self._senders.ask_again(sent) for sent in case.sent]

    def drain(self) -> None:
        """Let the hosts' timers tick until every delivery has ended, or its sender has given up."""
        while wait(self._under_way, _TICK_SECONDS).not_done:
            self.tick()

    def tick(self) -> None:
        """Let one host's timer tick."""
        with contextlib.suppress(requests.RequestException, LookupError):  # it may just have been killed
            self.stack.dispatch(self._dice.choice(self.stack.hosts))

    def until(self, condition: Callable[[], bool], what: str, limit: float = 60.0) -> None:
        """Wait until something is so. `TimeoutError` after `limit` seconds."""
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {limit:g} s: {what}")
            threading.Event().wait(0.05)

    # ---- what became of it

    def verdicts(self) -> list[Verdict]:
        """Judge all cases, once everything has ended."""
        log = self.stack.simulator("GET", "log")
        journals = {client: path.read_text().splitlines() for client, path in self._journals.items()}
        rows = self._rows()
        evidence = Evidence(
            log=log,
            defenders=self.stack.simulator("GET", "alerts"),
            entries={
                row.key.removeprefix(ledger.ALERT): ledger.read(row)
                for row in rows.query(ledger.ALERT, ledger.ALERT_END)
            },
            direct=direct_calls(log, journals),
            calls=CALLS,
            window=self._window,
        )
        self._cases[-1].wrong += unsound(rows)
        return [judge(case, evidence) for case in self._cases]

    def _rows(self) -> MemoryTable:
        """Return a copy of the whole table, read past all proxies."""
        found = Settings()
        table = AzureTable(
            StorageSettings(connection_string=self.azurite.connection_string),
            name=found.alerts_table,
            partition=found.rate_limit_scope,
            credential=lambda: None,
        )
        try:
            return MemoryTable(_rows={row.key: row for row in table.query("", "~")})
        finally:
            table.close()

    def _alert(self, case: Case) -> dict[str, Any]:
        number = next(self._numbers)
        return samples.eight_fields(samples.event(number), f"{case.fault}, {number}", "High")
