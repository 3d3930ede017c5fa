"""What the worst payloads cost: none of a mebibyte may take a second of CPU or 64 MiB, whatever is in it.

Each payload is read and mapped in a process of its own, forked after usual ones, so that nothing but the payload is
measured; beside it stands a mebibyte of a hundred usual events. While the worst is mapped, another sender's small
payload must be mapped within two seconds. And of a hundred events each costs no more than of ten, for every kind of
container. The payloads are those of `tests/checks/worst.py`; `adversary.py` beside it searches for worse ones.

    python -m bench.mapping_bounds "empty arrays"   one, as JSON: seconds of CPU, MiB, and what became of it
"""

import functools
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bench import mapped
from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, inside
from bench.mapped import BYTES, became
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from tests.checks.worst import RECORD, ROW, USUAL, bodies

_BOUNDS = (1.0, 64.0, 2.0, 1.25)  # seconds, MiB, seconds of another's payload, growth
_BESIDE = "--beside"
_FEW, _MANY = 10, 100


def containers() -> Mapping[str, Callable[[int], str]]:
    """Return makers of payloads with so many events, by what holds these."""
    return {
        "array": lambda events: json.dumps(_rows(events)),
        "lines": lambda events: "\n".join(map(json.dumps, _rows(events))),
        "records": lambda events: json.dumps(
            {"records": [{**RECORD, "properties": row} for row in _rows(events)]}
        ),
        "hunting": lambda events: json.dumps({"Schema": [], "Results": _rows(events)}),
        "unknown": lambda events: json.dumps(
            {"list": [{"of": {"it": row}} for row in _rows(events)], "x": 1}
        ),
        "refused": lambda events: json.dumps([{"number": number} for number in range(events)]),
    }


def measure(form: Form) -> Report:
    """Measure each payload, what the worst does to others, and how the cost grows with the number of events."""
    names = list(bodies())[:: form.pick(1, 8)]
    payloads = inside("bench.mapping_bounds", *{USUAL: None, **dict.fromkeys(names)}, settings={})
    usual = payloads[USUAL]["seconds"]
    slowest = max(payloads, key=lambda name: float(payloads[name]["seconds"]))
    largest = max(payloads, key=lambda name: float(payloads[name]["mebibytes"]))
    others = inside("bench.mapping_bounds", _BESIDE, slowest, settings={})
    growths = {name: _growth(make, form.pick(30, 15)) for name, make in containers().items()}
    worst = max(growths, key=lambda name: growths[name])
    slow, large = payloads[slowest]["seconds"], payloads[largest]["mebibytes"]
    seconds, memory, other, linear = (Goal("at most", bound) for bound in _BOUNDS)
    note = f"{slowest}; {len(payloads)} tried; the floor is a mebibyte of usual events"
    figures = (
        Figure("mapping, CPU of the worst mebibyte", slow, "s", usual, seconds, note),
        Figure("mapping, memory of the worst mebibyte", large, "MiB", None, memory, largest),
        Figure("mapping, another's payload beside the slowest", others["slowest"], "s", None, other),
        Figure(f"mapping, an event of {_MANY} to one of {_FEW}", growths[worst], "", None, linear, worst),
    )
    return Report(figures, {"payloads": payloads, "growths": growths, "beside": others})


def costs(names: list[str]) -> dict[str, Any]:
    """Return what each payload costs, the best of three tries, and what became of it."""
    mappings = _warm()
    measured = {}
    for name in names:
        body = mapped.forked(bodies()[name]).encode().ljust(BYTES)
        if len(body) > BYTES:
            raise BenchError(f"{name} has {len(body):,} bytes, more than {BYTES:,}")
        measured[name] = asdict(mapped.cost(mappings, body, tries=3, enough=_BOUNDS[0] / 2))
    return measured


def beside(name: str) -> dict[str, Any]:
    """Return how long another thread's small payload takes at most while this one is mapped."""
    mappings = _warm()
    body, small = bodies()[name]().encode(), json.dumps(RECORD).encode()
    large = threading.Thread(target=became, args=(mappings, body), daemon=True)
    slowest, payloads, ends = 0.0, 0, time.monotonic() + mapped.LIMIT
    large.start()
    while large.is_alive() and time.monotonic() < ends:
        began = time.perf_counter()
        became(mappings, small)
        slowest, payloads = max(slowest, time.perf_counter() - began), payloads + 1
    return {"slowest": round(slowest, 3), "payloads": payloads}


def _warm() -> Mappings:
    mappings = mapping.load()
    for small in (json.dumps(RECORD), json.dumps([{"x": 1}]), json.dumps({"a": {"b": ROW}, "c": 1})):
        became(mappings, small.encode())
    gc.freeze()
    return mappings


def _growth(make: Callable[[int], str], rounds: int) -> float:
    """Return what an event costs among many, in what it costs among few."""
    run = functools.partial(became, mapping.load())
    few, many = (make(events).encode() for events in (_FEW, _MANY))
    run(few)
    gc.disable()
    try:
        times = [(_seconds(run, few), _seconds(run, many)) for _ in range(rounds)]
    finally:
        gc.enable()
    return (min(long for _, long in times) / _MANY) / (min(short for short, _ in times) / _FEW)


def _seconds(run: Callable[[bytes], str], body: bytes) -> float:
    began = time.process_time()
    run(body)
    return time.process_time() - began


def _rows(events: int) -> list[dict[str, Any]]:
    return [{**ROW, "ReportId": number} for number in range(1, events + 1)]


if __name__ == "__main__":
    names = sys.argv[1:]
    print(json.dumps(beside(names[1]) if names[0] == _BESIDE else costs(names)), flush=True)
    os._exit(0)  # whatever is still mapped beside
