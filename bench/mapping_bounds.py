"""The cost of the worst payloads: no mebibyte may take a second of CPU or 64 MiB.

Beside them stands a mebibyte of a hundred usual events. The payloads are those of `tests/checks/worst.py`, measured by
`spent.py` beside it; `adversary.py` searches for worse ones.

    python -m bench.mapping_bounds "empty arrays"   one, as JSON: seconds of CPU, MiB, and what became of it
"""

import gc
import json
import sys
from dataclasses import asdict
from typing import Any

from bench.figure import Figure, Goal, Report
from bench.ground import BYTES, BenchError, Form, inside
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from tests.checks.spent import became, cost, forked
from tests.checks.worst import RECORD, ROW, USUAL, bodies

_SECONDS, _MEBIBYTES = 1.0, 64.0


def measure(form: Form) -> Report:
    """Measure each payload, or some of them."""
    names = list(bodies())[:: form.pick(1, 8)]
    payloads = inside("bench.mapping_bounds", *{USUAL: None, **dict.fromkeys(names)}, settings={})
    usual = payloads[USUAL]["seconds"]
    slowest = max(payloads, key=lambda name: float(payloads[name]["seconds"]))
    largest = max(payloads, key=lambda name: float(payloads[name]["mebibytes"]))
    slow, large = payloads[slowest]["seconds"], payloads[largest]["mebibytes"]
    seconds, memory = Goal("at most", _SECONDS), Goal("at most", _MEBIBYTES)
    note = f"{slowest}; {len(payloads)} tried; the floor is a mebibyte of usual events"
    figures = (
        Figure("mapping, CPU of the worst mebibyte", slow, "s", usual, seconds, note),
        Figure("mapping, memory of the worst mebibyte", large, "MiB", None, memory, largest),
    )
    return Report(figures, {"payloads": payloads})


def costs(names: list[str]) -> dict[str, Any]:
    """Return the cost of each payload, the best of three tries, and its outcome."""
    mappings = _warm()
    measured = {}
    for name in names:
        body = forked(bodies()[name]).encode().ljust(BYTES)
        if len(body) > BYTES:
            raise BenchError(f"{name} has {len(body):,} bytes, more than {BYTES:,}")
        measured[name] = asdict(cost(mappings, body, tries=3, enough=_SECONDS / 2))
    return measured


def _warm() -> Mappings:
    mappings = mapping.load()
    for small in (json.dumps(RECORD), json.dumps([{"x": 1}]), json.dumps({"a": {"b": ROW}, "c": 1})):
        became(mappings, small.encode())
    gc.freeze()
    return mappings


if __name__ == "__main__":
    print(json.dumps(costs(sys.argv[1:])))
