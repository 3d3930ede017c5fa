"""What the worst payloads cost: none of a megabyte may take a second of CPU or 100 MiB, whatever is in it.

Each payload is read and mapped in a process of its own, after usual ones, so that nothing but the payload is
measured; beside it stands a megabyte of a hundred usual events, in the same process. The other figure: of a
hundred events each costs no more than of ten, for every kind of container.

    python -m bench.mapping_bounds                  all of them
    python -m bench.mapping_bounds "empty arrays"   one, as JSON: seconds of CPU, MiB, and what became of it
"""

import functools
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.figure import Figure, Goal, Report
from bench.ground import Form, inside
from dev import samples
from shared.mapping import mappings as mapping
from shared.payload import body as payload
from shared.problems import WebhookError

BYTES = 1_048_576
EVENTS = 100
_USUAL = "a hundred records"
_SECONDS, _MEBIBYTES, _LINEAR = 1.0, 100.0, 1.25
_FEW, _MANY = 10, 100
_RECORD = samples.streaming_record(samples.event(1))
_ROW = _RECORD["properties"]
_NAMES = (
    *(
        "alerts",
        "results",
        "Results",
        "records",
        "events",
        "value",
        "data",
        "rows",
        "result",
        "backlog",
        "hits",
    ),
    *("entities", "evidence", "Entities", "samples", "items"),
)
_ANYTHING = '{"a": 1, "b": {"c": 2}},'


def pathological() -> Mapping[str, Callable[[], str]]:
    """Return makers of payloads that cost much, by what they are; some are the worst of what SIEMs send."""
    row = json.dumps(_ROW)
    event = '{"DeviceId": "' + "a" * 40 + '", "ReportId": %d, "Timestamp": "2026-01-01T00:00:00Z"},'
    pair = '{"key": "k%d", "value": "v"},'
    texts: dict[str, Callable[[], Any]] = {
        "JSON in strings": lambda: {"a": json.dumps({"b": json.dumps({"c": [row] * 200})})},
        "braces": lambda: {"message": "ReportId " + "{" * 900_000},
        "quotes": lambda: {"message": "ReportId=" + '"' * 450_000},
        "assignments": lambda: {"_raw": "ReportId=1 " + "a=1 " * 200_000, "sourcetype": "x", "_time": "1"},
        "a long text": lambda: {**_ROW, "title": "x " * 500_000},
        "a long text of emoji": lambda: {**_ROW, "title": "\N{FAMILY}" * 80_000},
        "a long name": lambda: {"n" * 500_000: _ROW, "m" * 500_000: {"a": 1}},
        "a wide table": lambda: {
            "tables": [{"columns": [f"c{n}" for n in range(2_000)], "rows": [["v"] * 2_000] * 80}]
        },
        "a hundred events": lambda: [{**_ROW, "x": "y" * 9_500}] * EVENTS,
        "a hundred records": lambda: {"records": [{**_RECORD, "x": ["y"] * 1_800}] * EVENTS},
        "a hundred unknown events": lambda: [{"id": number, "x": ["y"] * 1_900} for number in range(EVENTS)],
        "bodies in bodies": lambda: {"body": [{"body": [{"body": [{"body": []}] * 20}] * 20}] * 20},
    }
    return {
        "empty arrays": _filled("[", "[],", "[]]"),
        "empty objects": _filled('{"results": [', "{},", "{}]}"),
        "numbers": _filled('{"a": [', "1,", "1]}"),
        "numbers as keys": _counted('{"schema": 1, ', '"%d":1,', '"x": 1}'),
        "one key again and again": _filled('{"DeviceId": 1,', '"":1,', '"x": 1}'),
        "dotted keys": _counted('{"sid": 1, "result": {', '"a.b%d.c.d": 1,', '"x": 1}}'),
        "nested as far as it goes": _filled("[", "[" * 60 + "]" * 60 + ",", "1]"),
        "nested too far": _filled("", "[", ""),
        "objects in objects": _filled("[", '{"a":' * 30 + "{}" + "}" * 30 + ",", "1]"),
        "rows beside the keys": _counted(
            '{"DeviceId": 1, "Timestamp": 2, ', '"%d": {"ReportId": 1},', '"x": 1}'
        ),
        "device ids": _counted('{"a": [', '{"x": {"DeviceId": "%040x"}},', "0]}"),
        "events of one array": _counted('{"b": 1, "a": [', event, "0]}"),
        "times of one event": _counted('{"ReportId": 1, "a": [', '{"Timestamp": 17%08d},', "0]}"),
        "look-alikes": _filled(
            '{"a": [', '{"time": 1, "AgentId": 2, "DeviceName": "x", "id": 3},', '0], "b": 1}'
        ),
        "key/value list": _counted('{"a": [', pair, '{"key": "ReportId", "value": 1}], "b": 1}'),
        "a table": _filled('{"tables": [{"columns": ["DeviceId", "x"], "rows": [', '["a", "b"],', "[]]}]}"),
        **{
            f"columns and {name}": _filled(
                f'{{"columns": ["DeviceId", "x"], "{name}": [', '["a", "b"],', "[]]}"
            )
            for name in ("rows", "values", "data")
        },
        "many documents": lambda: "{}\n" * 10_000,
        "JSON encoded again and again": lambda: _encoded(row),
        **{name: lambda make=make: json.dumps(make()) for name, make in texts.items()},  # type: ignore[misc]  # bound early
        **{
            f"{name} of an unknown payload": _filled(f'{{"{name}": [', _ANYTHING, '{}], "x": 1}')
            for name in _NAMES
        },
    }


def containers() -> Mapping[str, Callable[[int], str]]:
    """Return makers of payloads with so many events, by what holds these."""
    return {
        "array": lambda events: json.dumps(_rows(events)),
        "lines": lambda events: "\n".join(map(json.dumps, _rows(events))),
        "records": lambda events: json.dumps(
            {"records": [{**_RECORD, "properties": row} for row in _rows(events)]}
        ),
        "hunting": lambda events: json.dumps({"Schema": [], "Results": _rows(events)}),
        "unknown": lambda events: json.dumps(
            {"list": [{"of": {"it": row}} for row in _rows(events)], "x": 1}
        ),
        "refused": lambda events: json.dumps([{"number": number} for number in range(events)]),
    }


def measure(form: Form) -> Report:
    """Measure each payload, and how the cost grows with the number of events."""
    names = list(pathological())
    found = {name: inside("bench.mapping_bounds", name, settings={}) for name in names[:: form.pick(1, 8)]}
    slowest = max(found, key=lambda name: float(found[name]["seconds"]))
    largest = max(found, key=lambda name: float(found[name]["mebibytes"]))
    growths = {name: _growth(make, form.pick(30, 15)) for name, make in containers().items()}
    worst = max(growths, key=lambda name: growths[name])
    return Report(
        (
            Figure(
                "mapping, CPU of the worst megabyte",
                found[slowest]["seconds"],
                "s",
                found[slowest]["usual"],
                Goal("at most", _SECONDS),
                f"{slowest}; {len(found)} tried; the floor is a megabyte of usual events",
            ),
            Figure(
                "mapping, memory of the worst megabyte",
                found[largest]["mebibytes"],
                "MiB",
                goal=Goal("at most", _MEBIBYTES),
                note=largest,
            ),
            Figure(
                f"mapping, an event of {_MANY} to one of {_FEW}",
                growths[worst],
                goal=Goal("at most", _LINEAR),
                note=f"the worst container: {worst}",
            ),
        ),
        {"payloads": found, "growths": growths},
    )


def cost(name: str) -> dict[str, Any]:
    """Return what one payload costs this process, and what became of it."""
    run = functools.partial(_became, mapping.load())
    payloads = pathological()
    usual, body = (payloads[one]().encode() for one in (_USUAL, name))
    for small in (json.dumps(_RECORD), json.dumps([{"x": 1}]), json.dumps({"a": {"b": _ROW}, "c": 1})):
        run(small.encode())
    floor = min(_seconds(run, usual) for _ in range(3))
    gc.collect()
    held, began = _peak(), time.process_time()
    became = run(body)
    seconds = time.process_time() - began
    return {
        "seconds": round(seconds, 3),
        "usual": round(floor, 3),
        "mebibytes": round(_peak() - held, 1),
        "became": became,
        "bytes": len(body),
    }


def _became(mappings: mapping.Mappings, body: bytes) -> str:
    try:
        documents = payload.read(body, max_bytes=len(body))
        outcome = mappings.apply(documents, source=None, defaults={}, max_alerts=EVENTS)
    except WebhookError as error:
        return f"{error.status}: {error.detail}"
    return f"{outcome.source}: {len(outcome.alerts)} mapped, {len(outcome.refused)} refused"


def _growth(make: Callable[[int], str], rounds: int) -> float:
    """Return what an event costs among many, in what it costs among few."""
    run = functools.partial(_became, mapping.load())
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


def _peak() -> float:
    """Return the most memory this process has held so far, in MiB: a child inherits `ru_maxrss` on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes


def _rows(events: int) -> list[dict[str, Any]]:
    return [{**_ROW, "ReportId": number} for number in range(1, events + 1)]


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


def main() -> None:
    """Measure one payload and print JSON, or all of them and print a table."""
    if len(sys.argv) > 1:
        print(json.dumps(cost(sys.argv[1])))
        return
    report = measure(Form(quick=bool(os.environ.get("BENCH"))))
    for name, found in report.data["payloads"].items():
        cpu = f"{found['seconds']:7.3f} s of {found['usual']:.3f}"
        print(f"{cpu} {found['mebibytes']:6.1f} MiB  {name}: {found['became'][:90]}")
    for name, growth in report.data["growths"].items():
        print(f"{growth:7.2f} of a hundred to ten: {name}")
    sys.exit(any(figure.met is False for figure in report.figures))


if __name__ == "__main__":
    main()
