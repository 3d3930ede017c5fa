"""The worst bodies that are known, by what they are: each costs much of something; some are the worst that SIEMs send.

What `adversary.py` finds comes here, under a name.
"""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.ground import BYTES, EVENTS
from dev import samples

USUAL = "a hundred records"
"""The body that is what it should be: a mebibyte of usual events."""
RECORD = samples.streaming_record(samples.event(1))
ROW = RECORD["properties"]

_DATA = json.loads(Path(__file__).with_suffix(".json").read_bytes())
"""Bodies of one part again and again, by name: how they start, the part, how they end; and names of lists."""
_ANYTHING = '{"a": 1, "b": {"c": 2}},'


def bodies() -> Mapping[str, Callable[[], str]]:
    """Return makers of bodies of at most a mebibyte."""
    row = json.dumps(ROW)
    texts: dict[str, Callable[[], Any]] = {
        "JSON in strings": lambda: {"a": json.dumps({"b": json.dumps({"c": [row] * 200})})},
        "braces": lambda: {"message": "ReportId " + "{" * 900_000},
        "quotes": lambda: {"message": "ReportId=" + '"' * 450_000},
        "assignments": lambda: {"_raw": "ReportId=1 " + "a=1 " * 200_000, "sourcetype": "x", "_time": "1"},
        "a long text": lambda: {**ROW, "title": "x " * 500_000},
        "a long text of emoji": lambda: {**ROW, "title": "\N{FAMILY}" * 80_000},
        "a long name": lambda: {"n" * 500_000: ROW, "m" * 500_000: {"a": 1}},
        "a wide table": lambda: {
            "tables": [{"columns": [f"c{n}" for n in range(2_000)], "rows": [["v"] * 2_000] * 80}]
        },
        "a hundred events": lambda: [{**ROW, "x": "y" * 9_500}] * EVENTS,
        "a hundred records": lambda: {"records": [{**RECORD, "x": ["y"] * 1_800}] * EVENTS},
        "a hundred unknown events": lambda: [{"id": number, "x": ["y"] * 1_900} for number in range(EVENTS)],
        "assignments in log lines": lambda: [
            {**ROW, "message": f'<13>Jul 18 15:02:20 h: "{{{"a=1 " * 2_450}" ReportId'} for _ in range(EVENTS)
        ],
        "bodies in bodies": lambda: {"body": [{"body": [{"body": [{"body": []}] * 20}] * 20}] * 20},
    }
    return {
        **_shared(),
        **{name: _filled(*parts) for name, parts in _DATA["filled"].items()},
        **{name: _counted(*parts) for name, parts in _DATA["counted"].items()},
        "many documents": lambda: "{}\n" * 10_000,
        "JSON encoded again and again": lambda: _encoded(row),
        **{name: lambda make=make: json.dumps(make()) for name, make in texts.items()},  # type: ignore[misc]  # bound early
        **{
            f"{name} of an unknown payload": _filled(f'{{"{name}": [', _ANYTHING, '{}], "x": 1}')
            for name in _DATA["names"]
        },
    }


def _shared() -> Mapping[str, Callable[[], str]]:
    """Return makers of payloads with a value of nearly a mebibyte that belongs to each of a hundred events."""
    words = ["word"] * 120_000
    values: dict[str, tuple[str, Callable[[], Any]]] = {
        "arrays of one element": ("severity", lambda: _within(words, 56)),
        "arrays of one element around objects": ("severity", lambda: _within([{"a": 1}] * 100_000, 56)),
        "different words": ("severity", lambda: [f"w{number}" for number in range(80_000)]),
        "assignments": ("tactics", lambda: "cs1=" * 250_000),
        "words": ("tactics", lambda: words),
        "digits": ("mitre", lambda: "1" * 1_000_000),
        "signs": ("category", lambda: "&" * 1_000_000),
        "spaces": ("title", lambda: "a" + " " * 1_000_000 + "a"),
        "a long text": ("description", lambda: "x " * 500_000),
        "braces": ("runbook", lambda: "{{" * 500_000),
        "objects": ("tags", lambda: [{"name": "n", "value": "v"}] * 30_000),
        "keys": ("customFields", lambda: {f"k{number}": 1 for number in range(80_000)}),
    }
    return {
        f"{kind} in {around}.{name}": functools.partial(_of_all, around, name, make)
        for kind, (name, make) in values.items()
        for around in ("commonLabels", "detection")
    }


def _of_all(around: str, name: str, make: Callable[[], Any]) -> str:
    """Return Grafana's hundred alerts around a value, or a hundred events of nobody we know."""
    events: dict[str, Any] = {"alerts": _references(EVENTS)}
    if around == "commonLabels":
        alerts = [{"labels": row, "status": "firing"} for row in _references(EVENTS)]
        events = {
            "receiver": "x",
            "status": "firing",
            "alerts": alerts,
            "externalURL": "https://grafana.example/",
        }
    return json.dumps({around: {name: make()}, **events})


def _within(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


def _references(events: int) -> list[dict[str, str]]:
    keys = ("DeviceId", "Timestamp")
    return [{**{key: ROW[key] for key in keys}, "ReportId": str(number)} for number in range(1, events + 1)]


def _filled(start: str, part: str, end: str) -> Callable[[], str]:
    return lambda: start + part * ((BYTES - len(start) - len(end)) // len(part)) + end


def _counted(start: str, part: str, end: str) -> Callable[[], str]:
    def make() -> str:
        longest = len(part % (BYTES // len(part)))
        return start + "".join(part % number for number in range(BYTES // longest - 100)) + end

    return make


def _encoded(text: str) -> str:
    while len(encoded := json.dumps({"a": text})) < BYTES:
        text = encoded
    return text
