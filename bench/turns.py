"""Ours and the floor by turns, in one process: what the straight and the waiting path are measured by."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import azure.functions as func

import CreateAlertFunction
from bench.figure import Figure, Goal, of_runs
from bench.ground import BenchError, Form, inside
from dev.stack.stack import Stack

_WARM_UP = 20

Runs = Sequence[Mapping[str, Sequence[float]]]
"""The seconds of each alert, by side; one mapping a run."""


def runs(module: str, form: Form, pairs: int, **stack: Any) -> Runs:
    """Run a module some times within the settings of a stack without hosts; return what each process printed.

    Each run has a process and a table of its own, as a table grown large is slower for both sides.
    """
    with Stack(hosts=0, **stack) as running:
        return [
            inside(module, str(pairs), settings={**running.settings, "ALERTS_TABLE": f"Run{number}"})
            for number in range(form.pick(5, 2))
        ]


def by_turns(pairs: int, sides: Mapping[str, Callable[[int], float]]) -> dict[str, list[float]]:
    """Let all sides do their work `pairs` times, in turning order; return the seconds that each reports."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(pairs + _WARM_UP):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            times[name].append(round(sides[name](number), 6))
    return {name: values[_WARM_UP:] for name, values in times.items()}


def posted(fields: Mapping[str, Any], expected: int) -> float:
    """Post an alert to the function in this process; return the seconds to its answer, which has this status."""
    body = json.dumps(fields).encode()
    request = func.HttpRequest("POST", "http://127.0.0.1/api/alerts", body=body, params={}, headers={})
    began = time.perf_counter()
    answer = CreateAlertFunction.main(request)
    seconds = time.perf_counter() - began
    if answer.status_code != expected:
        raise BenchError(f"not {expected}: {answer.status_code} {answer.get_body()!r}")
    return seconds


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def figure(name: str, ours: Runs, sides: tuple[str, str], part: float, bound: float) -> Figure:
    """Return a quantile of ours beside that of the floor; `sides` are the names of both."""
    mine, floor = (of_runs([run[side] for run in ours], part) * 1000 for side in sides)
    note = f"{len(ours)} runs of {len(ours[0][sides[0]])}"
    return Figure(name, mine, "ms", floor, Goal("at most", bound, of_floor=True), note)
