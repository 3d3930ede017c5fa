"""The straight path: one alert from `main(req)` to its 200, beside the same rows and the same call made bare.

Both sides run in one process and take turns; who begins changes with each pair. The window is 0.5 s long, so
that a slot is always open, and Defender's judge is set aside, because the bare calls ask nobody. Each run has a
process and a table of its own, as a table grown large is slower for both.
"""

import json
import sys
import time
from collections import deque
from typing import Any

from bench.figure import Figure, Goal, Report, of_runs
from bench.ground import BenchError, Form, inside
from bench.plot import Line, Plot
from dev.stack.stack import Stack

WINDOW = 0.5
_WARM_UP = 20
_OK = 200


def measure(form: Form) -> Report:
    """Measure five runs; p50 and p99 are medians of the runs' own."""
    runs = []
    settings = {"RATE_LIMIT_CALLS": "15", "RATE_LIMIT_MARGIN_SECONDS": "0"}
    with Stack(hosts=0, calls=10**6, window=WINDOW, settings=settings) as stack:
        for number in range(form.pick(5, 2)):
            told = {**stack.settings, "ALERTS_TABLE": f"Straight{number}"}
            runs.append(inside(__name__, str(form.pick(400, 60)), settings=told))
    ours, floor = ([run[side] for run in runs] for side in ("ours", "floor"))
    figures = [
        Figure(
            f"straight path, {name}",
            of_runs(ours, part) * 1000,
            "ms",
            of_runs(floor, part) * 1000,
            Goal("at most", bound, of_floor=True),
            f"{len(runs)} runs of {len(ours[0])}",
        )
        for name, part, bound in (("p50", 0.5, 1.10), ("p99", 0.99, 1.25))
    ]
    return Report(tuple(figures), {"ours": ours, "floor": floor}, {"straight": _plot(ours, floor)})


def _plot(ours: list[list[float]], floor: list[list[float]]) -> Plot:
    def ranked(runs: list[list[float]]) -> list[tuple[float, float]]:
        values = sorted(value for run in runs for value in run)
        step = max(1, len(values) // 200)
        return [(values[rank] * 1000, 100 * (rank + 1) / len(values)) for rank in range(0, len(values), step)]

    lines = (Line("bare SDKs", ranked(floor)), Line("main(req)", ranked(ours)))
    return Plot("One alert, straight through", "milliseconds", "% of alerts within", lines)


def main(pairs: int) -> dict[str, Any]:
    """Run within the stack's settings: return the seconds of each alert, ours and bare."""
    import azure.functions as func  # noqa: PLC0415 - in this process only

    import CreateAlertFunction  # noqa: PLC0415 - as above
    from bench.bare import Floor, accepted  # noqa: PLC0415 - as above
    from dev import samples  # noqa: PLC0415 - as above
    from shared import app, settings  # noqa: PLC0415 - as above

    found, gateway = settings.current(), app.gateway()
    policy = gateway.dispatcher.policy
    gateway.dispatcher.look()  # makes the table
    floor = Floor.open(
        found.storage.connection_string or "",
        found.alerts_table,
        url=found.defender_api_url,
        token=gateway.dispatcher.token(),
        partition="floor",
        policy=policy,
    )
    floor.fill(closed=0.0)
    created = floor.call(json.dumps(samples.eight_fields(samples.event(0), "Encoded PowerShell")).encode())

    def fields(number: int, side: str) -> dict[str, str]:
        of = samples.event(number, device=f"{side}-{number}.contoso.example")
        return samples.eight_fields(of, "Encoded PowerShell")

    def ours(number: int) -> float:
        body = json.dumps(fields(number, "ours")).encode()
        request = func.HttpRequest("POST", "http://127.0.0.1/api/alerts", body=body, params={}, headers={})
        began = time.perf_counter()
        answer = CreateAlertFunction.main(request)
        seconds = time.perf_counter() - began
        if answer.status_code != _OK:
            raise BenchError(f"not straight through: {answer.status_code} {answer.get_body()!r}")
        return seconds

    def bare(number: int) -> float:
        run = floor.straight(*accepted(fields(number, "bare"), time.time()), created)
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    found_times: dict[str, list[float]] = {"ours": [], "floor": []}
    calls: deque[float] = deque(maxlen=policy.calls)
    for number in range(pairs + _WARM_UP):
        if len(calls) == policy.calls:  # so that a slot is surely open
            time.sleep(max(0.0, calls[0] + policy.rest + 0.1 - time.monotonic()))
        sides = [("ours", ours), ("floor", bare)]
        for name, run in sides if number % 2 else reversed(sides):
            found_times[name].append(round(run(number), 6))
        calls.append(time.monotonic())
    floor.close()
    return {name: values[_WARM_UP:] for name, values in found_times.items()}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
