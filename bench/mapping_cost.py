"""Mapping and check, for each event: in multiples of `json.loads` of the same bytes, per kind of payload.

The first full run on record froze each kind's ratio in `mapping_cost.json`; later runs must stay within a
quarter of it. And cost must grow with the number of events, no faster.
"""

import gc
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form
from dev import samples
from shared import mapping, payload

FROZEN = Path(__file__).with_suffix(".json")
_ROOM = 1.25  # what a later run may take more than the frozen ratio: noise, and no more
_FEW, _MANY = 5, 50
_LINEAR = 1.25


def kinds() -> dict[str, Any]:
    """Return one payload of each kind, carrying one event."""
    of, title = samples.event(1), "Encoded PowerShell"
    return {
        "defender": samples.eight_fields(of, title),
        "defender-streaming": samples.streaming(of),
        "advanced-hunting": samples.hunting_reply(of),
        "splunk, columns": samples.splunk_plain(of, title),
        "splunk, dotted": samples.splunk_dotted(of, title),
        "splunk, _raw": samples.splunk_raw(of, title),
    }


def measure(form: Form) -> Report:
    """Measure each kind, one event and many."""
    mappings = mapping.load()
    frozen = read(FROZEN)
    rounds = form.pick(30, 5)
    figures, ratios, growths = [], {}, {}
    for kind, document in kinds().items():
        one = json.dumps(document).encode()
        ours = _fastest(lambda one=one: _map(mappings, one), rounds)  # type: ignore[misc]  # bound early
        floor = _fastest(lambda one=one: json.loads(one), rounds)  # type: ignore[misc]  # bound early
        ratios[kind] = ours / floor
        few, many = (
            _fastest(lambda body=body: _map(mappings, body), rounds)  # type: ignore[misc]  # bound early
            for body in (b"\n".join([one] * _FEW), b"\n".join([one] * _MANY))
        )
        growths[kind] = (many / _MANY) / (few / _FEW)
        goal = Goal("at most", frozen[kind] * _ROOM, of_floor=True) if kind in frozen else None
        figures.append(
            Figure(f"mapping, {kind}", ours * 1e6, "µs", floor * 1e6, goal, "the floor is json.loads")
        )
    worst = max(growths, key=lambda kind: growths[kind])
    figures.append(
        Figure(
            f"mapping, an event of {_MANY} to one of {_FEW}",
            growths[worst],
            goal=Goal("at most", _LINEAR),
            note=f"the worst kind: {worst}",
        )
    )
    if not form.quick:
        freeze(FROZEN, ratios)
    return Report(tuple(figures), {"ratios": ratios, "growths": growths})


def read(path: Path) -> dict[str, float]:
    """Return the frozen ratios by kind."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def freeze(path: Path, ratios: Mapping[str, float]) -> None:
    """Freeze the ratios of kinds that have none yet. To freeze one anew, take its line out."""
    frozen = {kind: round(ratio, 1) for kind, ratio in ratios.items()} | read(path)
    path.write_text(json.dumps(frozen, indent=2) + "\n")


def _map(mappings: mapping.Mappings, body: bytes) -> None:
    documents = payload.read(body, max_bytes=len(body))
    outcome = mappings.apply(documents, source=None, defaults={}, max_alerts=_MANY)
    if outcome.refused or not outcome.alerts:
        raise BenchError(f"not mapped: {outcome.refused}")


def _fastest(run: Callable[[], object], rounds: int) -> float:
    """Return the seconds of the fastest of many calls: what the code costs when nothing disturbs it."""
    run()
    gc.disable()
    try:
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        return min(times)
    finally:
        gc.enable()
