"""The whole stack on this machine: Azurite, the Defender simulator with its token endpoint, local hosts.

    with Stack(hosts=2, window=5) as stack:
        answer = stack.post({"machineId": "…"}, query={"source": "defender"})
        arrivals = stack.simulator("GET", "log")

Every port is a free one, nothing of the shell's environment reaches the hosts, and in whatever way the block is
left, every process ends.
"""

import contextlib
import itertools
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter

from dev import setup
from dev.stack import token_endpoint
from dev.stack.azurite import Azurite
from dev.stack.child import Child, python
from dev.stack.host import MASTER_KEY

_ANSWER_SECONDS = 120
_SENDERS = 64  # that may post to a host at once and keep their connection


@dataclass(frozen=True, slots=True)
class Host:
    """One instance of the function app: its address (`http://127.0.0.1:port`) and its process."""

    url: str
    process: Child


class Stack:
    """The app on `hosts` hosts, with a table and a Defender of its own.

    `calls` in `window` seconds bind both the app and the simulator's judge. `settings` are added to the
    app's; `keys` are function keys by name (default: `default` alone), beside the master key. `azurite` is
    used if given (and left running), else a new Azurite with its data in memory. `known_events` is `all` or
    `registered`: whether Defender knows every event, or those made known to the simulator (`POST events`).
    `root` is the folder of the app, `program` the module that a host runs, `defender` are further arguments
    of the simulator.
    """

    def __init__(
        self,
        *,
        hosts: int = 1,
        calls: int = 15,
        window: float = 60.0,
        settings: Mapping[str, str] | None = None,
        keys: Mapping[str, str] | None = None,
        azurite: Azurite | None = None,
        known_events: str = "all",
        root: Path = setup.ROOT,
        program: str = "dev.stack.host",
        defender: Sequence[str] = (),
    ) -> None:
        self.azurite = azurite or Azurite()
        self.hosts: list[Host] = []
        self.keys = dict(keys or {"default": secrets.token_urlsafe(24)})
        self.keys.setdefault(MASTER_KEY, secrets.token_urlsafe(24))
        self.settings: dict[str, str] = {}
        self.simulator_url = ""
        self.logs = Path()
        self._first_hosts = hosts
        self._own_azurite = azurite is None
        limit = {"RATE_LIMIT_CALLS": str(calls), "RATE_LIMIT_WINDOW_SECONDS": f"{window:g}"}
        self._added = limit | dict(settings or {})
        self._app = python(program, "--root", str(root))
        how = ("--calls", str(calls), "--window", f"{window:g}", "--known-events", known_events)
        self._defender = python("dev.simulator", *how, *defender)
        self._numbers = itertools.count(1)
        self._wire = requests.Session()
        self._wire.trust_env = False  # a proxy of the shell has no business on loopback
        self._wire.mount("http://", HTTPAdapter(pool_maxsize=_SENDERS))
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start everything and wait until every host reports that it is healthy."""
        with contextlib.ExitStack() as undo:
            undo.push(self._cleanup)
            self._start()
            undo.pop_all()  # all is up: from here on it is __exit__ that cleans up
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop hosts, Azurite and simulator, in this order. After an error the logs stay."""
        self._cleanup.__exit__(kind, error, trace)

    def start_host(self, *arguments: str, **settings: str) -> Host:
        """Start one more host, with further arguments and settings of its own, and wait until it is healthy."""
        return self._await_host(self._launch_host(settings, arguments))

    def kill(self, host: Host) -> None:
        """End a host as a crash would: at once, in whatever it was doing."""
        host.process.kill()
        self.hosts.remove(host)

    def watch(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stay until a host ends that nobody ended: then raise `ChildError` with the end of its log.

        `meanwhile` is called every second.
        """
        while True:
            for host in self.hosts:
                host.process.check()
            meanwhile()
            time.sleep(1)

    def post(
        self,
        payload: Any,
        *,
        query: Mapping[str, str] | None = None,
        host: Host | None = None,
        key: str | None = None,
    ) -> requests.Response:
        """Post a payload (bytes as they are, else as JSON) to the webhook of `host`, or of the first host.

        `key` names one of `keys` (default: the first).
        """
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        key = self.keys[key or next(iter(self.keys))]
        headers = {"content-type": "application/json", "x-functions-key": key}
        return self._ask("POST", "/api/alerts", host, data=body, params=query, headers=headers)

    def get(self, path: str, *, host: Host | None = None) -> requests.Response:
        """Get an absolute URL, or a path of `host` (default: the first), without a key."""
        return self._ask("GET", path, host)

    def operate(self, method: str, path: str, *, host: Host | None = None) -> requests.Response:
        """Do what an operator does: ask `operations/{path}` of `host` (default: the first)."""
        headers = {"x-functions-key": next(iter(self.keys.values()))}
        return self._ask(method, f"/api/operations/{path}", host, headers=headers)

    def dispatch(self, host: Host | None = None) -> None:
        """Let the timer of a host (default: the first) tick now; it goes on after this has returned."""
        headers = {"x-functions-key": self.keys[MASTER_KEY]}
        path = "/admin/functions/DispatchAlertsFunction"
        self._ask("POST", path, host, json={}, headers=headers).raise_for_status()

    def simulator(self, method: str, name: str, body: Any = None) -> Any:
        """Ask the simulator's own endpoint `/_simulator/{name}` (see dev/simulator); return its JSON."""
        answer = self._ask(method, f"{self.simulator_url}/_simulator/{name}", json=body)
        answer.raise_for_status()
        return answer.json()

    def _ask(self, method: str, path: str, host: Host | None = None, **request: Any) -> requests.Response:
        """Ask for an absolute URL, or a path of `host` (default: the first host). Redirects are not followed."""
        url = path if path.startswith("http") else (host or self.hosts[0]).url + path
        return self._wire.request(method, url, timeout=_ANSWER_SECONDS, allow_redirects=False, **request)

    def _start(self) -> None:
        self.logs = Path(tempfile.mkdtemp(prefix="stack-"))
        self._cleanup.push(self._leave)
        self._cleanup.callback(self._wire.close)
        simulator = Child(self._defender, log=self.logs / "simulator.log")
        self._cleanup.callback(simulator.stop)
        if self._own_azurite:
            self._cleanup.enter_context(self.azurite)
        announced = simulator.announcement()
        self.simulator_url = announced["url"]
        self.settings = {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "AZURE_CLIENT_ID": token_endpoint.USER_ASSIGNED_CLIENT_ID,
            **announced["environment"],
            **self._added,
        }
        for process in [self._launch_host({}) for _ in range(self._first_hosts)]:
            self._await_host(process)

    def _launch_host(self, settings: Mapping[str, str], arguments: Sequence[str] = ()) -> Child:
        keys = (part for name, key in self.keys.items() for part in ("--key", f"{name}={key}"))
        process = Child(
            [*self._app, *keys, *arguments],
            log=self.logs / f"host-{next(self._numbers)}.log",
            settings={**self.settings, **settings},
        )
        self._cleanup.callback(process.stop)
        return process

    def _await_host(self, process: Child) -> Host:
        host = Host(process.announcement()["url"], process)
        process.wait_until(lambda _: self.get("/api/health", host=host).ok)
        self.hosts.append(host)
        return host

    def _leave(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, Exception):
            shutil.rmtree(self.logs)
        else:
            print(f"The logs of the stack are in {self.logs}", file=sys.stderr)
