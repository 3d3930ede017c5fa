"""The waiting path: the window is full, so an alert is written down and answered 202.

Two cases: the window has to be looked at (one query, one transaction), or it is known to be full (one
transaction). The floors do the same bare, in the same process, by turns. Both backlogs grow alike, and the
query brings as many rows for both.
"""

import dataclasses
import json
import sys
import time

from bench.figure import Figure, Goal, Report, of_runs
from bench.ground import BenchError, Form, inside
from dev.stack.stack import Stack

_WARM_UP = 20
_ACCEPTED = 202
_CASES = {"look": "window full", "known": "window known to be full"}


def measure(form: Form) -> Report:
    """Measure five runs of both cases; p50 is the median of the runs' own."""
    runs = []
    with Stack(hosts=0, window=3600.0) as stack:
        for number in range(form.pick(5, 2)):
            told = {**stack.settings, "ALERTS_TABLE": f"Waiting{number}"}
            runs.append(inside(__name__, str(form.pick(200, 40)), settings=told))
    figures = [
        Figure(
            f"waiting path, {title}, p50",
            of_runs([run[case][0] for run in runs], 0.5) * 1000,
            "ms",
            of_runs([run[case][1] for run in runs], 0.5) * 1000,
            Goal("at most", 1.15, of_floor=True),
            f"{len(runs)} runs of {len(runs[0][case][0])}",
        )
        for case, title in _CASES.items()
    ]
    return Report(tuple(figures), {"runs": runs})


def main(pairs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Run within the stack's settings: return the seconds of each alert by case, ours and bare."""
    import azure.functions as func  # noqa: PLC0415 - in this process only

    import CreateAlertFunction  # noqa: PLC0415 - as above
    from bench.bare import Floor, accepted  # noqa: PLC0415 - as above
    from dev import samples  # noqa: PLC0415 - as above
    from shared import app, settings  # noqa: PLC0415 - as above
    from shared.sending import window  # noqa: PLC0415 - as above
    from shared.sending.dispatcher import Look  # noqa: PLC0415 - as above

    found, gateway = settings.current(), app.gateway()
    table, policy = gateway.dispatcher.table, gateway.dispatcher.policy
    view = gateway.dispatcher.look().view
    table.commit([window.acquire(slot, "bench", policy) for slot in view.slots])
    full = gateway.dispatcher.look()
    floor = Floor.open(
        found.storage.connection_string or "",
        found.alerts_table,
        url=found.defender_api_url,
        token=gateway.dispatcher.token(),
        partition="floor",
        policy=policy,
    )
    floor.fill(closed=policy.lease)

    def fields(case: str, number: int, side: str) -> dict[str, str]:
        of = samples.event(number, device=f"{case}-{side}-{number}.contoso.example")
        return samples.eight_fields(of, "Encoded PowerShell")

    def at(now: float) -> Look:
        return dataclasses.replace(full, view=dataclasses.replace(full.view, now=now))

    def ours(case: str, number: int) -> float:
        body = json.dumps(fields(case, number, "ours")).encode()
        request = func.HttpRequest("POST", "http://127.0.0.1/api/alerts", body=body, params={}, headers={})
        # Either as after the seconds for which a full window is remembered, or as right after a look.
        gateway.full.seen = None if case == "look" else at(table.now())
        began = time.perf_counter()
        answer = CreateAlertFunction.main(request)
        seconds = time.perf_counter() - began
        if answer.status_code != _ACCEPTED:
            raise BenchError(f"not waiting: {answer.status_code} {answer.get_body()!r}")
        return seconds

    def bare(case: str, number: int) -> float:
        entry, delivery = accepted(fields(case, number, "bare"), table.now())
        run = floor.waiting(entry, delivery, look=case == "look")
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    times: dict[str, tuple[list[float], list[float]]] = {case: ([], []) for case in _CASES}
    for number in range(pairs + _WARM_UP):
        for case, (mine, floors) in times.items():
            sides = [(mine, ours), (floors, bare)]
            for values, run in sides if number % 2 else reversed(sides):
                values.append(round(run(case, number), 6))
    floor.close()
    return {case: (mine[_WARM_UP:], floors[_WARM_UP:]) for case, (mine, floors) in times.items()}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
