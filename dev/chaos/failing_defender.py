"""A Defender, and a token endpoint, with wrong answers of every kind."""

from typing import Any

from dev.chaos.scene import Scene
from dev.chaos.verdict import Case

_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Defender: 500", {"kind": "status", "status": 500}),
    ("Defender: 503", {"kind": "status", "status": 503}),
    ("Defender: 429, Retry-After 4", {"kind": "status", "status": 429, "retryAfter": 4}),
    ("Defender: a page of HTML", {"kind": "html"}),
    ("Defender: hangs", {"kind": "hang"}),
    ("Defender: reset", {"kind": "reset"}),
    ("Defender: reset after processing", {"kind": "reset", "afterProcessing": True}),
)
_TOKEN_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("token endpoint: 500", {"kind": "status", "status": 500, "times": 2}),
    ("token endpoint: slow", {"kind": "slow", "delay": 4, "times": 1}),
    ("token endpoint: hangs", {"kind": "hang", "times": 1}),
)
_REFUSALS = (
    ("Defender: rejects, then replayed", 400),
    ("Defender: rejects for good", 400),
    ("Defender: knows no such event", 404),
)


def rehearse(scene: Scene, short: bool) -> None:
    """Let Defender fail in every way, twice each; then the token endpoint; then let Defender reject alerts."""
    scene.host()
    sizes = [1, 3, *[1] * 14]  # more than a window's worth
    for name, fault in _FAULTS[: 1 if short else None]:
        _failing(scene, name, {**fault, "times": 1 if short else 2}, sizes)
    if not short:
        for name, fault in _TOKEN_FAULTS:
            _no_token(scene, name, fault)
        for name, status in _REFUSALS:
            _refused(scene, name, status)


def _failing(scene: Scene, name: str, fault: dict[str, Any], sizes: list[int]) -> Case:
    """Send deliveries of so many alerts while Defender has a fault, until all have ended."""
    case, before = scene.case(name), scene.met()
    scene.switch(fault)
    scene.send(case, sizes)
    scene.drain()
    scene.switch()
    case.struck += scene.met() - before
    return case


def _no_token(scene: Scene, name: str, fault: dict[str, Any]) -> None:
    case = scene.case(name)
    scene.stack.kill(scene.stack.hosts[0])
    scene.host()  # has no token yet
    asked = sum(scene.stack.simulator("GET", "tokens").values())
    scene.switch({**fault, "on": "token"})
    scene.send(case, [1, 3])
    scene.accepted(case)
    case.struck += sum(scene.stack.simulator("GET", "tokens").values()) - asked
    if fault["kind"] == "hang":
        scene.switch()
    scene.drain()
    scene.switch()


def _refused(scene: Scene, name: str, status: int) -> None:
    """Let alerts fail with a reason; after a replay Defender creates them."""
    case = _failing(scene, name, {"kind": "status", "status": status}, [1, 3])
    if name.endswith("then replayed"):
        done = scene.operate("alerts/replay?status=failed&top=50")
        if (done["replayed"], done["remaining"]) != (4, 0):
            case.wrong.append(f"all failed, and the replay says {done}")
        for sent in case.sent:
            scene.senders.ask_again(sent)
        scene.drain()
