"""Alerts without a reference, while Graph fails and hosts die: each event is found, and becomes one alert."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dev import samples
from dev.chaos.scene import CALLS, Scene
from dev.chaos.verdict import Case
from dev.simulator.judge import violations

_GRAPH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Graph: 503", {"kind": "status", "status": 503}),
    ("Graph: 429, Retry-After 2", {"kind": "quota", "retryAfter": 2}),
    ("Graph: resets", {"kind": "reset"}),
    ("Graph: hangs", {"kind": "hang"}),
)
_KILLED = ("alerts", "hunting")


def rehearse(scene: Scene, short: bool) -> None:
    """Let Graph fail in every way; then kill hosts while they search, and while they call with what was found."""
    scene.host()
    for name, fault in _GRAPH[: 1 if short else None]:
        case = scene.case(name)
        scene.switch({**fault, "on": "hunting", "times": 2})
        met = _met(scene)
        _send(scene, case, 3 if short else 6)
        scene.drain()
        scene.switch()
        case.struck += _met(scene) - met
    for on in _KILLED[: 1 if short else None]:
        case, victim = scene.case(f"host killed with a call to {on}"), scene.host()
        scene.switch({"kind": "slow", "delay": 3.0, "on": on, "times": 3})
        _send(scene, case, 3, victim)
        _until_called(scene, on, case)
        scene.kill(case, victim)
        scene.switch()
        scene.drain()
    times = [search["at"] for search in _calls(scene, "hunting")]
    scene.cases[-1].wrong += [
        f"a search too many: {wrong}" for wrong in violations(times, CALLS, scene.window)
    ]


def _met(scene: Scene) -> int:
    return sum(search["fault"] is not None for search in _calls(scene, "hunting"))


def _until_called(scene: Scene, on: str, case: Case) -> None:
    before = len(_calls(scene, on))
    scene.until(lambda: len(_calls(scene, on)) > before, case.fault)


def _calls(scene: Scene, on: str) -> list[Mapping[str, Any]]:
    calls: list[Mapping[str, Any]] = scene.stack.simulator("GET", "log" if on == "alerts" else "searches")
    return calls


def _send(scene: Scene, case: Case, count: int, host: Any = None) -> None:
    """Let events happen on devices, and send what a SIEM tells of each, which is no reference."""
    for number in range(count):
        at = f"{datetime.fromtimestamp(time.time() - 3600 - number, UTC):%Y-%m-%dT%H:%M:%S.%f}"
        title = f"{case.fault}, search {number}"
        device, command = f"pc-{len(scene.cases)}-{number}", f"tool.exe /run {len(scene.cases)} {number}"
        columns = {"FileName": "tool.exe", "ProcessCommandLine": command}
        event = {"table": "DeviceProcessEvents", "device": device, "time": f"{at}0Z", **columns}
        (reference,) = scene.stack.simulator("POST", "world", {"events": [event]})
        told = {"host": device, "UtcTime": at.replace("T", " ")[:-3], "CommandLine": command}
        alert = samples.eight_fields(samples.event(number), title, "Medium") | reference
        case.sent.append(scene.senders.send([alert], host, payload={"search_name": title, "result": told}))
