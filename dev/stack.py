"""The whole stack on this machine: Azurite, the Defender simulator with its token endpoint, local hosts.

    with Stack(hosts=2, window=5) as stack:
        answer = stack.post({"machineId": "…"}, query={"source": "defender"})
        arrivals = stack.simulator("GET", "log")

Every port is a free one, nothing of the shell's environment reaches the hosts, and whatever way the block is
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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from dev import setup, token_endpoint
from dev.azurite import Azurite
from dev.child import Child, python

_ANSWER_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Host:
    """One instance of the function app: its address (`http://127.0.0.1:port`) and its process."""

    url: str
    process: Child


class Stack:
    """What `make start` shows, for tests and the demo too.

    `calls` in `window` seconds bind both the app and the simulator's judge. `settings` are added to the
    app's; `keys` are function keys by name (default: one, `default`). `azurite` is used if given (and left
    running), else one with its data in memory, or in the folder `location`. `known_events` is `all` or
    `registered`: whether Defender knows every event, or those made known to the simulator (`POST events`).
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
        location: Path | None = None,
        known_events: str = "all",
        root: Path = setup.ROOT,
    ) -> None:
        self.azurite = azurite or Azurite(location)
        self.hosts: list[Host] = []
        self.keys = dict(keys or {"default": secrets.token_urlsafe(24)})
        self.settings: dict[str, str] = {}
        self.simulator_url = ""
        self.logs = Path()
        self._first_hosts = hosts
        self._own_azurite = azurite is None
        self._added = dict(settings or {})
        self._limit = (calls, window)
        self._known_events = known_events
        self._root = root
        self._numbers = itertools.count(1)
        self._wire = requests.Session()
        self._wire.trust_env = False  # a proxy of the shell has no business on loopback
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

    def start_host(self, **settings: str) -> Host:
        """Start one more host, with further settings of its own, and wait until it is healthy."""
        return self._await_host(self._launch_host(settings))

    def kill(self, host: Host) -> None:
        """End a host as a crash would: at once, in whatever it was doing."""
        host.process.kill()
        self.hosts.remove(host)

    def watch(self) -> None:
        """Stay until a host ends that nobody ended: then raise `ChildError` with the end of its log."""
        while True:
            for host in self.hosts:
                host.process.check()
            time.sleep(1)

    def post(
        self,
        payload: Any,
        *,
        query: Mapping[str, str] | None = None,
        host: Host | None = None,
        key: str | None = None,
    ) -> requests.Response:
        """Post a payload (bytes as they are, else as JSON) to the webhook of `host`, or of the first one.

        `key` names one of `keys` (default: the first). Redirects are not followed: there must be none.
        """
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        headers = {
            "content-type": "application/json",
            "x-functions-key": self.keys[key or next(iter(self.keys))],
        }
        return self._wire.post(
            f"{(host or self.hosts[0]).url}/api/alerts",
            data=body,
            params=query,
            headers=headers,
            timeout=_ANSWER_SECONDS,
            allow_redirects=False,
        )

    def get(self, path: str, *, host: Host | None = None) -> requests.Response:
        """Get an absolute URL, or a path of `host` (default: the first one), without a key."""
        url = path if path.startswith("http") else (host or self.hosts[0]).url + path
        return self._wire.get(url, timeout=_ANSWER_SECONDS, allow_redirects=False)

    def simulator(self, method: str, name: str, body: Any = None) -> Any:
        """Ask the simulator's own endpoint `/_simulator/{name}` (see dev/simulator.py); return its JSON."""
        answer = self._wire.request(
            method, f"{self.simulator_url}/_simulator/{name}", json=body, timeout=_ANSWER_SECONDS
        )
        answer.raise_for_status()
        return answer.json()

    def _start(self) -> None:
        self.logs = Path(tempfile.mkdtemp(prefix="stack-"))
        self._cleanup.push(self._leave)
        self._cleanup.callback(self._wire.close)
        calls, window = str(self._limit[0]), f"{self._limit[1]:g}"
        limit = ("--calls", calls, "--window", window)
        simulator = Child(
            python("dev.simulator", *limit, "--known-events", self._known_events),
            log=self.logs / "simulator.log",
        )
        self._cleanup.callback(simulator.stop)
        if self._own_azurite:
            self._cleanup.enter_context(self.azurite)
        announced = simulator.announcement()
        self.simulator_url = announced["url"]
        self.settings = {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "AZURE_CLIENT_ID": token_endpoint.USER_ASSIGNED_CLIENT_ID,
            "RATE_LIMIT_CALLS": calls,
            "RATE_LIMIT_WINDOW_SECONDS": window,
            **announced["environment"],
            **self._added,
        }
        for process in [self._launch_host({}) for _ in range(self._first_hosts)]:
            self._await_host(process)

    def _launch_host(self, settings: Mapping[str, str]) -> Child:
        keys = (part for name, key in self.keys.items() for part in ("--key", f"{name}={key}"))
        process = Child(
            python("dev.host", "--root", str(self._root), "--port", "0", *keys),
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
