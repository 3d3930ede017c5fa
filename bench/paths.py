"""The paths of one alert, from `main(req)` to its answer, compared with the same rows and call of the SDKs alone.

Straight to a 200: the window is 0.5 s long, so that a slot is always open, and Defender's judge is switched off,
because the bare calls acquire no slot. Or into the backlog, answered 202: the window has to be queried (one query, one
transaction), or it is known to be full (one transaction); both backlogs grow alike, and the query brings as many rows
for both.

All sides run in one process by turns, in turning order. Each run has a process and a table of its own, as a table
grown large is slower for all.
"""

import dataclasses
import functools
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import azure.functions as func

import CreateAlertFunction
from bench.bare import Floor, accepted
from bench.figure import Figure, Goal, Report, of_runs
from bench.ground import BenchError, Form, fields, inside
from dev.stack.stack import Stack
from shared import app
from shared.sending import window

_WARM_UP = 20
_JUDGED_ASIDE = {"RATE_LIMIT_CALLS": "15", "RATE_LIMIT_MARGIN_SECONDS": "0"}

Side = Callable[[int], float]
"""Does its work with the alert of a number; returns the seconds that it took."""


def measure(form: Form) -> Report:
    """Measure five runs of every path; p50 and p99 are medians of the runs' own."""
    straight = _runs("straight", form, form.pick(400, 60), calls=10**6, window=0.5, settings=_JUDGED_ASIDE)
    waiting = _runs("waiting", form, form.pick(200, 40), window=3600.0)
    figures = (
        _figure("straight path, p50", straight, "straight", 0.5, 1.08),
        _figure("straight path, p99", straight, "straight", 0.99, 1.25),
        _figure("waiting path, window full, p50", waiting, "queried", 0.5, 1.15),
        _figure("waiting path, window known to be full, p50", waiting, "known", 0.5, 1.15),
    )
    return Report(figures, {"straight": straight, "waiting": waiting})


def _runs(path: str, form: Form, pairs: int, **stack: Any) -> Sequence[Mapping[str, Sequence[float]]]:
    with Stack(hosts=0, **stack) as running:
        return [
            inside(__name__, path, str(pairs), settings={**running.settings, "ALERTS_TABLE": f"Run{number}"})
            for number in range(form.pick(5, 2))
        ]


def _figure(
    name: str, runs: Sequence[Mapping[str, Sequence[float]]], path: str, part: float, bound: float
) -> Figure:
    ours, floor = (
        of_runs([run[f"{path}, {side}"] for run in runs], part) * 1000 for side in ("ours", "bare")
    )
    note = f"{len(runs)} runs of {len(runs[0][f'{path}, ours'])}"
    return Figure(name, ours, "ms", floor, Goal("at most", bound, of_floor=True), note)


def straight() -> dict[str, Side]:
    """Return both sides of the straight path, within the stack's settings."""
    floor = Floor.open()
    floor.fill(closed=0.0)
    created = floor.call(json.dumps(fields(0)))
    calls: deque[float] = deque(maxlen=floor.policy.calls)

    def ours(number: int) -> float:
        if len(calls) == floor.policy.calls:  # so that a slot is surely open
            time.sleep(max(0.0, calls[0] + floor.policy.cooldown + 0.1 - time.monotonic()))
        seconds = _posted(fields(number, "ours"), 200)
        calls.append(time.monotonic())
        return seconds

    def bare(number: int) -> float:
        return _timed(floor.straight(*accepted(fields(number, "bare"), time.time()), created))

    return {"straight, ours": ours, "straight, bare": bare}


def waiting() -> dict[str, Side]:
    """Return the four sides of the waiting path, within the stack's settings."""
    webhook = app.webhook()
    table, policy = webhook.dispatcher.table, webhook.dispatcher.policy
    view = webhook.dispatcher.snapshot().view
    table.commit([window.acquire(slot, "bench", policy) for slot in view.slots])
    full = webhook.dispatcher.snapshot()
    floor = Floor.open()
    floor.fill(closed=policy.lease)

    def ours(path: str, number: int) -> float:
        # Either as after the seconds for which a full window is remembered, or as right after a snapshot.
        now = dataclasses.replace(full, view=dataclasses.replace(full.view, now=table.now()))
        webhook.memory.last = {"reference": now} if path == "known" else {}
        return _posted(fields(number, f"{path}-ours"), 202)

    def bare(path: str, number: int) -> float:
        made = accepted(fields(number, f"{path}-bare"), table.now())
        return _timed(floor.waiting(*made, snapshot=path == "queried"))

    sides = {"ours": ours, "bare": bare}
    return {
        f"{path}, {name}": functools.partial(side, path)
        for path in ("queried", "known")
        for name, side in sides.items()
    }


def _posted(alert: Mapping[str, Any], expected: int) -> float:
    """Post an alert to the function in this process; return the seconds to its answer, which has this status."""
    body = json.dumps(alert).encode()
    request = func.HttpRequest("POST", "http://127.0.0.1/api/alerts", body=body, params={}, headers={})
    began = time.perf_counter()
    answer = CreateAlertFunction.main(request)
    seconds = time.perf_counter() - began
    if answer.status_code != expected:
        raise BenchError(f"not {expected}: {answer.status_code} {answer.get_body()!r}")
    return seconds


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main(path: str, pairs: int) -> dict[str, list[float]]:
    """Let the sides of a path take turns so many times; return the seconds of each alert, by side."""
    sides = {"straight": straight, "waiting": waiting}[path]()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(pairs + _WARM_UP):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            times[name].append(round(sides[name](number), 6))
    return {name: values[_WARM_UP:] for name, values in times.items()}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
