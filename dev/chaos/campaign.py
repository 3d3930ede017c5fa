"""The stages of the campaign, one after the other; the faults of each happen on its own scene."""

from collections.abc import Callable
from dataclasses import dataclass

from dev.chaos import failing_defender, failing_graph, failing_table, killed_hosts
from dev.chaos.scene import CALLS, OTHER_KEY, Scene, opened
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
    """Let hosts with wall clocks hours apart run in a full window; each makes a call of its own at least."""
    offsets = (-5 * _HOURS, 0.0, 5 * _HOURS)
    case = scene.case("wall clocks five hours apart")
    for host in [scene.host(f"--wall-offset={offset}") for offset in offsets]:
        scene.send(case, [1], host)
        scene.accepted(case)
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


def flood(scene: Scene, short: bool) -> None:
    """Let one sender post many alerts at once, and another one a few: those wait for no more than a window."""
    for _ in range(2 if short else 4):
        scene.host()
    flooding, other = scene.case("one sender's flood"), scene.case("another sender's alerts meanwhile")
    scene.send(flooding, [3] * (40 if short else 120))
    scene.accepted(flooding, ticking=True)
    flooding.struck += sum(not sent.over.is_set() for sent in flooding.sent)  # that had to wait
    before = len(scene.calls("alerts"))
    scene.send(other, [1, 1, 1], key=OTHER_KEY)
    scene.drain()
    calls = [call["title"] for call in scene.calls("alerts")[before:]]
    other.struck += len(calls[2 * CALLS :])  # that the others should have passed
    late = {sent.alerts[0]["title"] for sent in other.sent}.difference(calls[: 2 * CALLS])
    other.wrong += [f"{title}: more than {2 * CALLS} of another's alerts went before it" for title in late]


STAGES = (
    Stage("hosts", 3.0, 2.0, killed_hosts.rehearse),
    Stage("table", 5.0, 2.0, failing_table.rehearse),
    Stage("busy table", 5.0, 2.0, failing_table.busy),
    Stage("slow table", 15.0, 2.0, failing_table.slow),
    Stage("defender", 3.0, 2.0, failing_defender.rehearse),
    Stage("searches", 3.0, 5.0, failing_graph.searches),
    Stage("entities", 3.0, 5.0, failing_graph.entities),
    Stage("clocks", 3.0, 5.0, clocks_apart),
    Stage("flood", 3.0, 2.0, flood),
    Stage("burst", 2.0, 5.0, burst),
)


def rehearse(stage: Stage, *, short: bool = False) -> list[Verdict]:
    """Set up the scene, let the stage's faults happen, and judge the outcomes of the alerts."""
    with opened(window=stage.window, deadline=stage.deadline) as scene:
        stage.faults(scene, short)
        return scene.verdicts()
