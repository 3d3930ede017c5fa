"""Mapping and check, for each event: in multiples of `json.loads` of the same bytes, per kind of payload.

The payloads are the approved ones of `tests/mappings/`, all of a source together. The first full run froze each
source's ratio in `mapping_cost.json`; later runs must stay within a quarter of it. That the cost grows with the
number of events and no faster is `mapping_bounds.py`'s to show.
"""

import functools
import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form
from dev import approve
from shared import mapping, payload
from shared.problems import WebhookError

FROZEN = Path(__file__).with_suffix(".json")
_ROOM = 1.25  # what a later run may take more than the frozen ratio: noise, and no more

Delivery = tuple[bytes, Mapping[str, str]]
"""A body, and the query parameters it came with."""


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
    """Measure each source: the fastest of many rounds, ours and the floor."""
    mappings = mapping.load()
    frozen = read(FROZEN)
    rounds = form.pick(40, 3)
    figures, ratios = [], {}
    for kind, deliveries in kinds().items():
        events = sum(_map(mappings, *delivery) for delivery in deliveries)
        if not events:
            raise BenchError(f"the payloads of {kind} carry no event")
        ours = _fastest(functools.partial(_map_all, mappings, deliveries), rounds)
        floor = _fastest(functools.partial(_load_all, deliveries), rounds)
        ratios[kind] = ours / floor
        goal = Goal("at most", frozen[kind] * _ROOM, of_floor=True) if kind in frozen else None
        name = f"mapping and check, an event of {kind}"
        figures.append(Figure(name, ours / events * 1e6, "µs", floor / events * 1e6, goal))
    if not form.quick:
        freeze(FROZEN, ratios)
    return Report(tuple(figures), {"ratios": ratios})


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


def _fastest(run: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds of the fastest round: what the code costs when nothing disturbs it."""
    run()
    gc.disable()
    try:
        times = []
        for _ in range(rounds):
            began = time.process_time()
            run()
            times.append(time.process_time() - began)
        return min(times)
    finally:
        gc.enable()
