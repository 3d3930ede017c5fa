"""Against what a Python team would take today: `limits` with its moving window in Redis.

Eight processes each, the same backlog without end, the same judge, the same jitter of up to a second on the way
to Defender. A limiter in front of a call cannot know when the call arrives; ours counts from its answer. Theirs
does what its makers' examples do: ask, else sleep until the window's reset; after a 429 as long as it says.
"""

import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from bench.figure import Figure, Goal, Report, skipped
from bench.ground import Form, fields
from bench.quota import CALLS, Case, run, use
from dev.stack.azurite import any_port
from dev.stack.child import Child, python
from dev.stack.stack import Stack
from shared.identity import TokenSource

PROCESSES = 8
_DEFENDER = ("--transit", "0,1", "--latency", "0.1")
_LATENCY = 0.6  # on average, from take to answer
_TOO_MANY = 429
_NAME = "against limits and Redis, 8 processes"


def measure(form: Form) -> Report:
    """Measure both, side by side."""
    window, windows = form.pick(60.0, 6.0), form.pick(4, 2)
    lacking = missing()
    with ThreadPoolExecutor(2) as pool:
        mine = pool.submit(_ours, window, windows)
        theirs = None if lacking else pool.submit(_theirs, window, windows)
        case, arrivals = mine.result(), theirs.result() if theirs else []
    refused = Figure(
        f"{_NAME}: our 429",
        case.refused + case.over_limit,
        goal=Goal("at most", 0),
        note=f"of {len(case.arrivals)} calls",
    )
    if lacking:
        return Report((refused, skipped(f"{_NAME}: quota use", lacking)), {"ours": case.arrivals})
    passed = [arrival["at"] for arrival in arrivals if arrival["status"] != _TOO_MANY]
    figures = (
        refused,
        Figure(f"{_NAME}: their 429", len(arrivals) - len(passed), note=f"of {len(arrivals)} calls"),
        Figure(
            f"{_NAME}: quota use",
            case.use * 100,
            "%",
            use(passed, CALLS, window) * 100,
            Goal("at least", 1.0, of_floor=True),
            f"the floor is theirs; window of {window:g} s",
        ),
    )
    return Report(figures, {"window": window, "ours": case.arrivals, "theirs": arrivals})


def missing(
    program: Callable[[str], object] = shutil.which,
    package: Callable[[str], object] = importlib.util.find_spec,
) -> str:
    """Return what is missing here for theirs, or an empty string; both tell whether there is one of that name."""
    if not program("redis-server"):
        return "no redis-server on PATH (Debian: apt-get install redis-server)"
    if not (package("limits") and package("redis")):
        return "limits or redis is not installed (requirements-bench.txt)"
    return ""


def _ours(window: float, windows: int) -> Case:
    with Stack(hosts=PROCESSES, calls=CALLS, window=window, defender=_DEFENDER) as stack:
        return run(stack, _LATENCY, windows)


def _theirs(window: float, windows: int) -> list[dict[str, Any]]:
    """Return the arrivals of so many windows after the first, as Defender saw them."""
    with (
        Stack(hosts=0, calls=CALLS, window=window, defender=_DEFENDER) as stack,
        tempfile.TemporaryDirectory(prefix="rival-") as folder,
        ExitStack() as running,
    ):
        port = str(any_port())
        redis = Child(
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            log=Path(folder) / "redis.log",
        )
        running.callback(redis.stop)
        redis.wait_until(lambda child: b"Ready to accept" in child.output())
        settings = {**stack.settings, "REDIS": f"redis://127.0.0.1:{port}", "WINDOW": f"{window:g}"}
        for number in range(PROCESSES):
            sender = Child(
                python(__name__, str(number)), log=Path(folder) / f"rival-{number}.log", settings=settings
            )
            running.callback(sender.stop)
        log = stack.wait_for(lambda log: len(log) >= CALLS)
        end = log[0]["at"] + (windows + 1) * window
        time.sleep(max(0.0, end - time.monotonic()))
        return [
            {name: arrival[name] for name in ("at", "status")}
            for arrival in stack.simulator("GET", "log")
            if arrival["status"]
        ]


def main(number: str, environ: Mapping[str, str]) -> None:
    """Send alerts for ever, as fast as `limits` lets one of eight processes."""
    # By name, because the checks of types and style run where this is not installed.
    limits: Any = importlib.import_module("limits")
    storage = limits.storage.storage_from_string(environ["REDIS"])
    limiter = limits.strategies.MovingWindowRateLimiter(storage)
    window = int(float(environ["WINDOW"]))
    item = limits.RateLimitItemPerSecond(CALLS, window)
    token = TokenSource(environ["DEFENDER_TOKEN_SCOPE"], environ=environ).token()
    headers = {"Authorization": f"Bearer {token}"}
    url = environ["DEFENDER_API_URL"] + "/api/alerts/CreateAlertByReference"
    sent = 0
    with requests.Session() as session:
        while True:
            if not limiter.hit(item, "defender"):
                reset = limiter.get_window_stats(item, "defender").reset_time
                time.sleep(max(0.01, reset - time.time()))
                continue
            sent += 1
            answer = session.post(url, json=fields(sent, f"rival-{number}"), headers=headers)
            if answer.status_code == _TOO_MANY:
                time.sleep(float(answer.headers["Retry-After"]))


if __name__ == "__main__":
    main(sys.argv[1], os.environ)
