"""The waiting path: the window is full, so an alert is written down and answered 202.

Two cases: the window has to be queried (one query, one transaction), or it is known to be full (one
transaction). The floors do the same bare, in the same process, by turns. Both backlogs grow alike, and the
query brings as many rows for both.
"""

import dataclasses
import functools
import json
import sys

from bench import turns
from bench.bare import Floor, accepted
from bench.figure import Report
from bench.ground import Form, fields
from shared import app
from shared.sending import window

_CASES = {"snapshot": "window full", "known": "window known to be full"}


def measure(form: Form) -> Report:
    """Measure five runs of both cases; p50 is the median of the runs' own."""
    runs = turns.runs(__name__, form, form.pick(200, 40), window=3600.0)
    figures = [
        turns.figure(f"waiting path, {title}, p50", runs, (f"{case}-ours", f"{case}-bare"), 0.5, 1.15)
        for case, title in _CASES.items()
    ]
    return Report(tuple(figures), {"runs": runs})


def main(pairs: int) -> dict[str, list[float]]:
    """Run within the stack's settings: return the seconds of each alert by case, ours and bare."""
    webhook = app.webhook()
    table, policy = webhook.dispatcher.table, webhook.dispatcher.policy
    view = webhook.dispatcher.snapshot().view
    table.commit([window.acquire(slot, "bench", policy) for slot in view.slots])
    full = webhook.dispatcher.snapshot()
    floor = Floor.open()
    floor.fill(closed=policy.lease)

    def ours(case: str, number: int) -> float:
        # Either as after the seconds for which a full window is remembered, or as right after a snapshot.
        now = dataclasses.replace(full, view=dataclasses.replace(full.view, now=table.now()))
        webhook.memory.last = None if case == "snapshot" else now
        return turns.posted(fields(number, f"{case}-ours"), 202)

    def bare(case: str, number: int) -> float:
        made = accepted(fields(number, f"{case}-bare"), table.now())
        return turns.timed(floor.waiting(*made, snapshot=case == "snapshot"))

    return turns.by_turns(
        pairs,
        {
            f"{case}-{side.__name__}": functools.partial(side, case)
            for case in _CASES
            for side in (ours, bare)
        },
    )


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
