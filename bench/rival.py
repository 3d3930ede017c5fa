"""Against what a Python team would take today: `limits` with its moving window in Redis.

Eight processes each, more to send than is allowed, the same judge, the same jitter of up to a second on the way to
Defender. `limits` counts a call when it is let go, Defender when it arrives. Theirs does what the examples of `limits`
do: it asks, else sleeps until the window's reset; after a 429 as long as that says.
"""

import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from bench.figure import Figure, Goal, Report
from bench.ground import Form, fields
from bench.quota import CALLS, Case, observed, run
from dev.stack.azurite import any_port
from dev.stack.child import Child, python
from dev.stack.stack import Stack
from shared.identity import TokenSource

_PROCESSES = 8
_DEFENDER = ("--transit", "0,1", "--latency", "0.1")
_LATENCY = 0.6  # on average, from take to answer
_TOO_MANY = 429


def measure(form: Form) -> Report:
    """Measure ours, then theirs if it is installed here."""
    window, windows = form.pick(60.0, 6.0), form.pick(4, 2)
    name, lacking = f"against limits and Redis, {_PROCESSES} processes", missing()
    with Stack(hosts=_PROCESSES, calls=CALLS, window=window, defender=_DEFENDER) as stack:
        ours = run(stack, _LATENCY, window, windows)
    theirs = None if lacking else _theirs(window, windows)
    goal = Goal("at least", 1.0, of_floor=True) if theirs else None
    floor = theirs.use * 100 if theirs else None
    note = f"theirs is skipped: {lacking}" if lacking else "the floor is theirs"
    figures = [
        Figure(f"{name}: our 429", ours.too_many, goal=Goal("at most", 0), note=f"of {ours.calls} calls"),
        Figure(f"{name}: quota use", ours.use * 100, "%", floor, goal, note),
    ]
    if theirs:
        figures.append(Figure(f"{name}: their 429", theirs.too_many, note=f"of {theirs.calls} calls"))
    return Report(tuple(figures), {"window": window, "ours": ours, "theirs": theirs})


def missing(
    program: Callable[[str], object] = shutil.which,
    package: Callable[[str], object] = importlib.util.find_spec,
) -> str:
    """Return what is missing here for theirs, or an empty string; both tell whether there is one of that name."""
    if not program("redis-server"):
        return "no redis-server on PATH (Debian: apt-get install redis-server)"
    return "" if package("limits") and package("redis") else "requirements-bench.txt is not installed"


def _theirs(window: float, windows: int) -> Case:
    with (
        Stack(hosts=0, calls=CALLS, window=window, defender=_DEFENDER) as stack,
        tempfile.TemporaryDirectory(prefix="rival-") as folder,
        ExitStack() as running,
    ):
        port, logs = str(any_port()), Path(folder)
        command = (shutil.which("redis-server") or "", "--port", port, "--bind", "127.0.0.1", "--save", "")
        redis = Child(command, log=logs / "redis.log")
        running.callback(redis.stop)
        redis.wait_until(lambda child: b"Ready to accept" in child.output())
        settings = {**stack.settings, "REDIS": f"redis://127.0.0.1:{port}", "WINDOW": f"{window:g}"}
        for number in range(_PROCESSES):
            log = logs / f"rival-{number}.log"
            running.callback(Child(python(__name__, str(number)), log=log, settings=settings).stop)
        return observed(stack, _LATENCY, window, windows)


def main(side: str, environ: Mapping[str, str]) -> None:
    """Send alerts for ever, as fast as `limits` lets one of the processes."""
    # By name, because the checks of types and style run where this is not installed.
    limits: Any = importlib.import_module("limits")
    storage = limits.storage.storage_from_string(environ["REDIS"])
    limiter = limits.strategies.MovingWindowRateLimiter(storage)
    item = limits.RateLimitItemPerSecond(CALLS, int(environ["WINDOW"]))
    token = TokenSource(environ["DEFENDER_TOKEN_SCOPE"], environ=environ).token()
    url, sent = environ["DEFENDER_API_URL"] + "/api/alerts/CreateAlertByReference", 0
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        while True:
            if not limiter.hit(item, "defender"):
                reset = limiter.get_window_stats(item, "defender").reset_time
                time.sleep(max(0.01, reset - time.time()))
                continue
            sent += 1
            answer = session.post(url, json=fields(sent, f"rival-{side}"))
            if answer.status_code == _TOO_MANY:
                time.sleep(float(answer.headers["Retry-After"]))


if __name__ == "__main__":
    main(sys.argv[1], os.environ)
