"""What a benchmark stands on: the form of the run, what is sent, and code of ours run in a process of its own."""

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dev import samples, setup
from dev.stack.child import environment
from dev.stack.stack import Host

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Form:
    """The full form, or the short one: fewer rounds and shorter windows, to see that everything runs."""

    quick: bool = False

    def pick(self, full: _T, short: _T) -> _T:
        """Return one of the two, by the form."""
        return short if self.quick else full


class BenchError(Exception):
    """A benchmark could not be run, or what it measured was not what it meant to measure."""


def inside(module: str, *arguments: str, settings: Mapping[str, str]) -> Any:
    """Run a module of ours in a process with these settings as its whole environment; return its JSON.

    So the app under measure reads its settings as it does in Azure, and no run inherits another one's memory.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=setup.ROOT,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{module} ended with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout)


def fields(number: int, side: str = "", severity: str = "Medium") -> dict[str, Any]:
    """Return the eight fields of an alert. With a `side`, its device is one that no other side names."""
    device = f"{side}-{number}.contoso.example" if side else None
    return samples.eight_fields(samples.event(number, device=device), "Encoded PowerShell", severity)


class Wire:
    """A sender's one connection to a host, kept alive. It posts with the function key `key`."""

    def __init__(self, host: Host, key: str) -> None:
        self._http = http.client.HTTPConnection(urlsplit(host.url).netloc, timeout=120)
        self._headers = {"content-type": "application/json", "x-functions-key": key}

    def post(self, body: object) -> int:
        """Post a body as JSON to the webhook; return the answer's status."""
        return self._ask("POST", "/api/alerts", json.dumps(body), self._headers)

    def get(self, path: str) -> int:
        """Ask for a path without a key; return the answer's status."""
        return self._ask("GET", path, None, {})

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> int:
        self._http.request(method, path, body, dict(headers))
        answer = self._http.getresponse()
        answer.read()
        return answer.status
