"""The straight path: one alert from `main(req)` to its 200, beside the same rows and the same call made bare.

Both sides run in one process and take turns; who begins changes with each pair. The window is 0.5 s long, so
that a slot is always open, and Defender's judge is set aside, because the bare calls ask nobody.
"""

import json
import sys
import time
from collections import deque

from bench import turns
from bench.bare import Floor, accepted
from bench.figure import Report
from bench.ground import Form, fields

WINDOW = 0.5
_SIDES = ("ours", "floor")


def measure(form: Form) -> Report:
    """Measure five runs; p50 and p99 are medians of the runs' own."""
    settings = {"RATE_LIMIT_CALLS": "15", "RATE_LIMIT_MARGIN_SECONDS": "0"}
    runs = turns.runs(__name__, form, form.pick(400, 60), calls=10**6, window=WINDOW, settings=settings)
    figures = (
        turns.figure("straight path, p50", runs, _SIDES, 0.5, 1.08),
        turns.figure("straight path, p99", runs, _SIDES, 0.99, 1.25),
    )
    return Report(figures, {side: [run[side] for run in runs] for side in _SIDES})


def main(pairs: int) -> dict[str, list[float]]:
    """Run within the stack's settings: return the seconds of each alert, ours and bare."""
    floor = Floor.open()
    floor.fill(closed=0.0)
    created = floor.call(json.dumps(fields(0)))
    calls: deque[float] = deque(maxlen=floor.policy.calls)

    def ours(number: int) -> float:
        if len(calls) == floor.policy.calls:  # so that a slot is surely open
            time.sleep(max(0.0, calls[0] + floor.policy.cooldown + 0.1 - time.monotonic()))
        seconds = turns.posted(fields(number, "ours"), 200)
        calls.append(time.monotonic())
        return seconds

    def bare(number: int) -> float:
        return turns.timed(floor.straight(*accepted(fields(number, "bare"), time.time()), created))

    return turns.by_turns(pairs, dict(zip(_SIDES, (ours, bare), strict=True)))


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
