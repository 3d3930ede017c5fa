"""The stages of the campaign, one after the other; on each, faults happen on a scene of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from dev.chaos import failing_defender, failing_table, killed_hosts
from dev.chaos.scene import Scene, opened
from dev.chaos.verdict import Verdict

_HOURS = 3600.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A scene, by its window and a call's deadline in seconds, and what happens there; `short` does less."""

    name: str
    window: float
    deadline: float
    faults: Callable[[Scene, bool], None]


def clocks_apart(scene: Scene, short: bool) -> None:
    """Let hosts live hours apart, by their wall clocks, in a full window."""
    offsets = (-5 * _HOURS, 0.0, 5 * _HOURS)
    for offset in offsets:
        scene.host(f"--wall-offset={offset}")
    case = scene.case("wall clocks five hours apart")
    scene.send(case, [1, 1, 3] * (4 if short else 12))
    scene.drain()
    callers = {call["appId"] for call in scene.stack.simulator("GET", "log")}
    case.struck += len(callers) == len(offsets)


def burst(scene: Scene, short: bool) -> None:
    """Post hundreds of deliveries at once."""
    for _ in range(2 if short else 4):
        scene.host()
    deliveries = 60 if short else 500
    case = scene.case(f"{deliveries} deliveries at once")
    scene.send(case, [1] * deliveries)
    scene.accepted(case)
    case.struck += sum(not sent.over.is_set() for sent in case.sent)  # that had to wait
    scene.drain()


STAGES = (
    Stage("hosts", 3.0, 2.0, killed_hosts.rehearse),
    Stage("table", 5.0, 2.0, failing_table.rehearse),
    Stage("busy table", 5.0, 2.0, failing_table.busy),
    Stage("slow table", 15.0, 2.0, failing_table.slow),
    Stage("defender", 3.0, 2.0, failing_defender.rehearse),
    Stage("clocks", 3.0, 5.0, clocks_apart),
    Stage("burst", 2.0, 5.0, burst),
)


def rehearse(stage: Stage, *, short: bool = False) -> list[Verdict]:
    """Set the scene, let the stage's faults happen, and judge what became of the alerts."""
    with opened(window=stage.window, deadline=stage.deadline) as scene:
        stage.faults(scene, short)
        return scene.verdicts()
