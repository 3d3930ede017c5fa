"""Alerts without a reference, while Graph fails and hosts die: each becomes one alert, with its event or without."""

import time
from typing import Any

from dev.chaos.scene import Kind, Scene
from dev.chaos.verdict import UNDER_WAY_SECONDS
from dev.stack.stack import Host

_Fault = dict[str, Any]
_FAULTS: dict[str, tuple[tuple[str, _Fault], ...]] = {
    "hunting": (
        ("Graph: 503", {"kind": "status", "status": 503}),
        ("Graph: 429, Retry-After 2", {"kind": "quota", "retryAfter": 2}),
        ("Graph: resets", {"kind": "reset"}),
        ("Graph: hangs", {"kind": "hang"}),
    ),
    "entity": (
        ("createAlert: 503 after processing", {"kind": "status", "status": 503, "afterProcessing": True}),
        ("createAlert: resets after processing", {"kind": "reset", "afterProcessing": True}),
        ("createAlert: 429, Retry-After 4", {"kind": "status", "status": 429, "retryAfter": 4}),
        ("createAlert: resets", {"kind": "reset"}),
        ("createAlert: 400", {"kind": "status", "status": 400}),
        ("createAlert: 403", {"kind": "status", "status": 403, "times": 1}),
        ("createAlert: slow", {"kind": "slow", "delay": 2.0}),
        ("createAlert: slower than a call may be", {"kind": "slow", "delay": 8.0}),
    ),
}
_SLOW = {"kind": "slow", "delay": 3.0, "times": 3}


def searches(scene: Scene, short: bool) -> None:
    """Let searches fail in every way; then kill hosts while they search, and while they call with what was found."""
    scene.host()
    for name, fault in _FAULTS["hunting"][: 1 if short else None]:
        _meet(scene, name, {**fault, "on": "hunting"}, ["found"])
    for on in ("alerts", "hunting")[: 1 if short else None]:
        _meet(scene, f"host killed with a call to {on}", {**_SLOW, "on": on}, ["found"], scene.host())
    scene.cases[-1].wrong += [f"{call['title']}: its event was not found" for call in scene.calls("entity")]


def entities(scene: Scene, short: bool) -> None:
    """Let `createAlert` fail in every way, with searches before it and without; then kill a host while it calls."""
    kinds: list[Kind] = ["sign-in", "unseen"]
    scene.host(FIND_EVENTS="false")
    scene.host()
    for name, fault in _FAULTS["entity"][: 1 if short else None]:
        _meet(scene, name, {**fault, "on": "entity"}, kinds)
    _meet(scene, "host killed with a call to createAlert", {**_SLOW, "on": "entity"}, kinds, scene.host())


def _meet(scene: Scene, name: str, fault: _Fault, kinds: list[Kind], victim: Host | None = None) -> None:
    """Let alerts meet a fault; then let others come into the pause, or kill the host at once that has them."""
    case, before = scene.case(name), scene.met()
    case.unheard = fault.get("delay", 0.0) > scene.deadline
    scene.switch({"times": 2, **fault})
    scene.send_kinds(case, 3, kinds, victim)
    scene.until(lambda: scene.met() > before, name, ticking=victim or scene.stack.hosts[-1])
    if victim:
        scene.kill(case, victim)
    else:
        # Those that follow must come after what was under way when the pause began: only these calls are judged.
        time.sleep(1.5 * UNDER_WAY_SECONDS)
        scene.send_kinds(case, 6, kinds)
    scene.drain()
    scene.switch()
    case.struck += scene.met() - before
