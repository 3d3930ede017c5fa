"""Mapping and check, for each event: in multiples of `json.loads` of the same bytes, per kind of payload.

The payloads are the approved ones of `tests/mappings/`, all of a source together. The first full run froze each
source's ratio in `mapping_cost.json`; later runs must stay within a third of it. That the cost grows with the
number of events and no faster is `mapping_bounds.py`'s to show.
"""

import functools
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, inside
from dev import approve
from shared.mapping import mappings as mapping
from shared.payload import body as payload
from shared.problems import WebhookError

FROZEN = Path(__file__).with_suffix(".json")
_ROOM = 4 / 3  # what a later run may take more than the frozen ratio: noise, and no more

Delivery = tuple[bytes, Mapping[str, str]]
"""A body, and the query parameters it came with."""
Times = tuple[float, float]
"""CPU seconds of ours and of the floor."""


def kinds() -> dict[str, list[Delivery]]:
    """Return the approved payloads that are plain JSON, by their source."""
    found: dict[str, list[Delivery]] = {}
    for pair in approve.pairs():
        body = pair.payload.read_bytes()
        with suppress(ValueError):
            json.loads(body)
            found.setdefault(pair.payload.parent.name, []).append((body, pair.query))
    return found


def measure(form: Form) -> Report:
    """Measure every source in five processes, and take of each the run whose ratio is the median."""
    frozen = read(FROZEN)
    rounds = str(form.pick(10, 2))
    runs = [inside(__name__, rounds, settings={}) for _ in range(form.pick(5, 1))]
    figures, ratios = [], {}
    for kind in runs[0]:
        ours, floor = _median([run[kind] for run in runs])
        ratios[kind] = ours / floor
        goal = Goal("at most", frozen[kind] * _ROOM, of_floor=True) if kind in frozen else None
        figures.append(Figure(f"mapping and check, an event of {kind}", ours * 1e6, "µs", floor * 1e6, goal))
    if not form.quick:
        freeze(FROZEN, ratios)
    return Report(tuple(figures), {"ratios": ratios})


def main(rounds: int) -> dict[str, Times]:
    """Measure every source in this process: of so many rounds the one whose ratio is the median."""
    mappings = mapping.load()
    found = {}
    for kind, deliveries in kinds().items():
        events = sum(_map(mappings, *delivery) for delivery in deliveries)
        if not events:
            raise BenchError(f"the payloads of {kind} carry no event")
        ours, floor = _side_by_side(
            functools.partial(_map_all, mappings, deliveries),
            functools.partial(_load_all, deliveries),
            rounds,
        )
        found[kind] = ours / events, floor / events
    return found


def read(path: Path) -> dict[str, float]:
    """Return the frozen ratios by kind."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def freeze(path: Path, ratios: Mapping[str, float]) -> None:
    """Freeze the ratios of kinds that have none yet. To freeze one anew, take its line out."""
    frozen = {kind: round(ratio, 1) for kind, ratio in ratios.items()} | read(path)
    path.write_text(json.dumps(dict(sorted(frozen.items())), indent=2) + "\n")


def _map(mappings: mapping.Mappings, body: bytes, query: Mapping[str, str]) -> int:
    """Map one delivery as the gateway does; return how many events it carried."""
    defaults = {name: value for name, value in query.items() if name != "source"}
    try:
        documents = payload.read(body, max_bytes=len(body))
        outcome = mappings.apply(documents, source=query.get("source"), defaults=defaults, max_alerts=100)
    except WebhookError:
        return 0
    return len(outcome.alerts) + len(outcome.refused)


def _map_all(mappings: mapping.Mappings, deliveries: Sequence[Delivery]) -> None:
    for body, query in deliveries:
        _map(mappings, body, query)


def _load_all(deliveries: Sequence[Delivery]) -> None:
    for body, _ in deliveries:
        json.loads(body)


def _side_by_side(run: Callable[[], None], floor: Callable[[], None], rounds: int) -> Times:
    """Return the CPU seconds of both in the round of the median ratio.

    The floor runs as often as it takes to last as long: so what disturbs the machine disturbs both.
    """
    _seconds(run), _seconds(floor)
    times = max(1, round(_seconds(run) / _seconds(floor)))
    gc.disable()
    try:
        pairs = [(_seconds(run), _seconds(floor, times) / times) for _ in range(rounds)]
    finally:
        gc.enable()
    return _median(pairs)


def _median(pairs: Sequence[Times]) -> Times:
    return sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]


def _seconds(run: Callable[[], None], times: int = 1) -> float:
    began = time.process_time()
    for _ in range(times):
        run()
    return time.process_time() - began


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
