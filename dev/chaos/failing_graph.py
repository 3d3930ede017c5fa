"""Alerts without a reference, while Graph fails and hosts die: each becomes one alert, with its event or without."""

from typing import Any

from dev.chaos.scene import Scene, Told
from dev.stack.stack import Host

_FAULTS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "hunting": (
        ("Graph: 503", {"kind": "status", "status": 503}),
        ("Graph: 429, Retry-After 2", {"kind": "quota", "retryAfter": 2}),
        ("Graph: resets", {"kind": "reset"}),
        ("Graph: hangs", {"kind": "hang"}),
    ),
    "entity": (
        ("createAlert: answer lost", {"kind": "reset", "afterProcessing": True}),
        ("createAlert: 429, Retry-After 4", {"kind": "status", "status": 429, "retryAfter": 4}),
        ("createAlert: 503", {"kind": "status", "status": 503}),
        ("createAlert: 400", {"kind": "status", "status": 400}),
        ("createAlert: 403", {"kind": "status", "status": 403, "times": 1}),
        ("createAlert: slow", {"kind": "slow", "delay": 2.0}),
        ("createAlert: slower than a call may be", {"kind": "slow", "delay": 8.0}),
    ),
}
"""What goes wrong, by the name that the simulator has for an API."""


def searches(scene: Scene, short: bool) -> None:
    """Let searches fail in every way; then kill hosts while they search, and while they call with what was found."""
    scene.host()
    _failing(scene, "hunting", ("found",), short)
    for on in ("alerts", "hunting")[: 1 if short else None]:
        _killed(scene, on, ("found",))
    scene.cases[-1].wrong += [f"{call['title']}: its event was not found" for call in scene.calls("entity")]


def entities(scene: Scene, short: bool) -> None:
    """Let `createAlert` fail in every way, with searches before it and without; then kill a host while it calls."""
    scene.host(FIND_EVENTS="false")
    scene.host()
    _failing(scene, "entity", ("sign-in", "unseen"), short)
    _killed(scene, "entity", ("sign-in", "unseen"))


def _failing(scene: Scene, on: str, told: tuple[Told, ...], short: bool) -> None:
    """Let alerts meet each fault, and others come when it has just struck."""
    for name, fault in _FAULTS[on][: 1 if short else None]:
        case = scene.case(name)
        case.unheard = fault.get("delay", 0.0) > scene.deadline
        scene.switch({"times": 2, **fault, "on": on})
        met = _met(scene, on)
        for count in (2, 2) if short else (4, 8):  # more than a window's worth
            scene.tell(case, count, told)
            _until_met(scene, on, met, scene.stack.hosts[-1])
        scene.drain()
        scene.switch()
        case.struck += _met(scene, on) - met


def _killed(scene: Scene, on: str, told: tuple[Told, ...]) -> None:
    case, victim = scene.case(f"host killed with a call to {on}"), scene.host()
    scene.switch({"kind": "slow", "delay": 3.0, "on": on, "times": 3})
    met = _met(scene, on)
    scene.tell(case, 3, told, victim)
    _until_met(scene, on, met, victim)
    scene.kill(case, victim)
    scene.switch()
    scene.drain()


def _met(scene: Scene, on: str) -> int:
    return sum(call["fault"] is not None for call in scene.calls(on))


def _until_met(scene: Scene, on: str, met: int, host: Host) -> None:
    scene.until(lambda: _met(scene, on) > met, f"another fault of {on}", ticking=host)
