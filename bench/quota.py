"""Quota use: how much of what Defender allows is used while there is more to send than it allows.

Each case has a Defender, a table and hosts of its own; all cases run side by side, since they wait nearly all
the time, and begin some seconds apart, so that their bursts do not meet. Use is the calls after the first
fifteen, by what Defender allows between the fifteenth arrival and the last.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields
from dev.simulator.judge import violations
from dev.stack.stack import Stack

CALLS, MARGIN = 15, 0.25
_APART_SECONDS = 3.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Case:
    """A latency of Defender in seconds, a number of hosts, and what they came to."""

    latency: float
    hosts: int
    use: float
    over_limit: int
    refused: int
    arrivals: tuple[float, ...]


def bound(window: float, margin: float, latency: float) -> float:
    """Return the most that the design can use: each slot is used once in window + margin + latency."""
    return window / (window + margin + latency)


def ceiling(window: float, latency: float) -> float:
    """Return the most that any limiter can use that cannot see when in the call Defender counts it."""
    return window / (window + latency)


def use(arrivals: Iterable[float], calls: int, window: float) -> float:
    """Return the part of the quota that was used, from the last of the first `calls` arrivals to the last."""
    ordered = sorted(arrivals)
    if len(ordered) <= calls:
        raise ValueError(f"{len(ordered)} arrivals are too few: the first {calls} count for nothing")
    seconds = ordered[-1] - ordered[calls - 1]
    return (len(ordered) - calls) / (seconds * calls / window)


def measure(form: Form) -> Report:
    """Run every case, side by side."""
    window, windows = form.pick(60.0, 6.0), form.pick(4, 2)
    shapes = [(latency, hosts) for latency in form.pick((0.1, 1.0, 5.0), (0.1, 1.0)) for hosts in (1, 4)]
    with ThreadPoolExecutor(len(shapes)) as pool:
        cases = list(
            pool.map(
                lambda number: _run(*shapes[number], window, windows, delay=number * _APART_SECONDS),
                range(len(shapes)),
            )
        )
    figures = []
    for case in cases:
        most = bound(window, MARGIN, case.latency)
        figures.append(
            Figure(
                f"quota use, L = {case.latency:g} s, {case.hosts} host{'s' if case.hosts > 1 else ''}",
                case.use * 100,
                "%",
                most * 100,
                None if form.quick else Goal("at least", 0.99, of_floor=True),
                f"floor: the design's bound; any limiter's: {ceiling(window, case.latency) * 100:.1f} %"
                + (f"; window of {window:g} s, not judged" if form.quick else ""),
            )
        )
    figures.append(
        Figure(
            "calls over the limit, by the strict judge",
            sum(case.over_limit + case.refused for case in cases),
            goal=Goal("at most", 0),
            note=f"{sum(len(case.arrivals) for case in cases)} calls",
        )
    )
    return Report(tuple(figures), {"window": window, "cases": cases})


def _run(latency: float, hosts: int, window: float, windows: int, *, delay: float) -> Case:
    time.sleep(delay)
    with Stack(hosts=hosts, calls=CALLS, window=window, defender=("--latency", f"{latency:g}")) as stack:
        return run(stack, latency, windows)


def run(stack: Stack, latency: float, windows: int) -> Case:
    """Post more than can be sent, let every host dispatch, and wait for so many windows after the first."""
    expected = CALLS * (windows + 1)
    window = float(stack.settings["RATE_LIMIT_WINDOW_SECONDS"])
    alerts = [fields(number) for number in range(expected + CALLS)]
    for start in range(0, len(alerts), 100):
        stack.post(alerts[start : start + 100]).raise_for_status()
    for host in stack.hosts:
        stack.dispatch(host)
    end = time.monotonic() + (windows + 2) * (window + latency + 1) + 60
    while len(log := stack.simulator("GET", "log")) < expected:
        if time.monotonic() > end:
            raise BenchError(f"only {len(log)} of {expected} calls came")
        time.sleep(_POLL_SECONDS)
    arrivals = [arrival["at"] for arrival in log if arrival["judged"]]
    return Case(
        latency,
        len(stack.hosts),
        use(arrivals[:expected], CALLS, window),
        len(violations(arrivals, CALLS, window)),
        sum(arrival["status"] == 429 for arrival in log),  # noqa: PLR2004 - HTTP
        tuple(at - arrivals[0] for at in arrivals[:expected]),
    )
