"""Mapping and check of an event, from its bytes to a checked alert, in CPU time: a table of three figures.

Each source's own payload, one event that its approved pair accepts, is compared with the eight fields as they come
from a Logic App, a body that needs no mapping; both by turns in the same process. The eight fields themselves are
compared with `json.loads` of their bytes, so that a slow floor cannot make the others look fast.
"""

import functools
import gc
import json
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, inside
from dev import outcomes
from shared.mapping import mappings as mapping
from tests.checks import approve

NATIVE = "defender/eight-fields"
"""The pair whose body needs no mapping."""

_MEDIAN, _WORST, _OF_JSON = 2.0, 5.0, 150.0
_TURN = 0.01  # CPU seconds: what a side runs for before the other one's turn


class Event(NamedTuple):
    """A body with one event, and the query parameters it came with."""

    body: bytes
    query: Mapping[str, str]


def events() -> dict[str, Event]:
    """Return for each source the first approved payload that is one accepted event, and `NATIVE`."""
    chosen: dict[str, Event] = {}
    for pair in approve.pairs():
        became = json.loads(pair.expected() or "{}")
        source = pair.name.partition("/")[0]
        single = len(became.get("alerts", ())) == 1 and not became.get("refused")
        name = NATIVE if pair.name == NATIVE else source
        if single and source in str(became["source"]).split("+") and (name == NATIVE or name != "defender"):
            chosen.setdefault(name, Event(pair.payload.read_bytes(), pair.query))
    return chosen


def measure(form: Form) -> Report:
    """Measure every source in some processes; of a source the median of its ratios counts."""
    rounds = str(form.pick(20, 4))
    runs = [inside(__name__, rounds, settings={}) for _ in range(form.pick(5, 1))]
    ratios = {name: statistics.median(run["ratios"][name] for run in runs) for name in runs[0]["ratios"]}
    native = statistics.median(run["native"] for run in runs) * 1e6
    bare = native / ratios.pop(NATIVE)
    worst = max(ratios, key=lambda name: ratios[name])
    median = statistics.median(ratios.values())
    note = f"of {len(ratios)} sources; the floor is the eight fields"
    goals = [Goal("at most", bound, of_floor=True) for bound in (_MEDIAN, _WORST, _OF_JSON)]
    name = "mapping and check, the"
    figures = (
        Figure(f"{name} median source", median * native, "µs", native, goals[0], note),
        Figure(f"{name} slowest source", ratios[worst] * native, "µs", native, goals[1], worst),
        Figure(f"{name} eight fields", native, "µs", bare, goals[2], "the floor is json.loads"),
    )
    return Report(figures, {"ratios": dict(sorted(ratios.items(), key=lambda ratio: -ratio[1]))})


def run(rounds: int) -> dict[str, object]:
    """Measure in this process: CPU seconds of the eight fields, and each source in multiples of them.

    The ratio under `NATIVE` is that of the eight fields to `json.loads`.
    """
    mappings = mapping.load()
    sources = events()
    native = sources.pop(NATIVE)
    work, *others = (functools.partial(_map, mappings, event) for event in (native, *sources.values()))
    gc.disable()
    ratios = {name: _ratio(other, work, rounds) for name, other in zip(sources, others, strict=True)}
    ratios[NATIVE] = _ratio(work, functools.partial(json.loads, native.body), rounds)
    times = _times(work)
    return {
        "native": statistics.median(_seconds(work, times) / times for _ in range(rounds)),
        "ratios": ratios,
    }


def _map(mappings: mapping.Mappings, event: Event) -> None:
    """Map an event as the webhook does. Raises `BenchError` if it gives no alert."""
    outcome = outcomes.outcome_of(event.body, event.query, mappings)
    if len(outcome.alerts) != 1:
        raise BenchError(f"a payload of {outcome.source} gives {len(outcome.alerts)} alerts, not one")


def _ratio(ours: Callable[[], object], floor: Callable[[], object], rounds: int) -> float:
    """Return the median of the rounds' ratios: what disturbs the machine disturbs both sides of a round."""
    mine, theirs = _times(ours), _times(floor)
    return statistics.median(
        (_seconds(ours, mine) / mine) / (_seconds(floor, theirs) / theirs) for _ in range(rounds)
    )


def _times(work: Callable[[], object]) -> int:
    """Return how often some work runs in its turn."""
    work()
    return max(1, round(_TURN / max(1e-9, _seconds(work, 3) / 3)))


def _seconds(work: Callable[[], object], times: int) -> float:
    return timeit.timeit(work, timer=time.process_time, number=times)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]))))
