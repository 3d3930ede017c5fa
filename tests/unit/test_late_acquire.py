"""A call whose slot was acquired just before a pause does not start in it, however late the table answers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from dev import samples
from shared.ledger import keys
from shared.ledger.keys import Stage
from shared.sending import pause, window
from shared.settings import Settings
from shared.table.protocol import Operation
from tests.checks.app import App
from tests.checks.creating import Creations, sign_in
from tests.checks.graph import Graph, payload
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Faults, Host, Request, World

ON = Settings(find_events="true", no_event="entity")
QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
PAYLOADS: dict[Stage, Any] = {
    keys.REFERENCE: samples.eight_fields(samples.event(1), "Rule 1", "High"),
    keys.SEARCH: payload(1),
    keys.ENTITY: sign_in(1),
}
SECONDS = 3.0
"""So late a host sees that its acquire succeeded."""


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _asked(view: window.View) -> list[Operation]:
    return window.start_pause(view, pause.Trouble("503", 40.0, named=True), "")


def _stopped(view: window.View) -> list[Operation]:
    return [pause.stop(None, "drill", view.stage), *window.void(view)]


@dataclass
class Scene:
    """One host with every stage, on which the first acquire of a stage is answered late."""

    stage: Stage
    begins: Callable[[window.View], list[Operation]] | None
    trouble: str = ""
    world: World = field(default_factory=World)
    acquired: int = 0
    began: float = 0.0

    def __post_init__(self) -> None:
        self.policy = window.Policy(stage=self.stage)
        self.defender, self.graph = Defender(self.world), Graph(self.world)
        self.creations = Creations(self.world)
        host = Host(
            self.world,
            QUICK,
            arrive=self.defender,
            hunts=self.graph,
            creates=self.creations,
            script=self._script,
        )
        self.app = App.on(host, ON)

    @property
    def calls(self) -> list[float]:
        """When the stage's API was called."""
        defender = [arrival.at for arrival in self.defender.arrivals]
        times = {"reference": defender, "search": self.graph.times, "entity": self.creations.times}
        return times[self.stage.name]

    def view(self) -> window.View:
        """Return the window as it stands."""
        return window.read(self.world.table.query(*self.stage.slots), self.world.now, self.policy)

    def _script(self, request: Request) -> Fault | None:
        slots = [each.key for each in request.operations if each.key.startswith(self.stage.slot_key(0)[:-2])]
        if self.acquired and self.began and request.start == self.stage.slots[0] and self.trouble:
            return Fault("lost")
        if self.acquired or not slots:
            return None
        self.acquired += 1
        self.world.at(self.world.now + 0.5, self._pause)
        return Fault("frozen", SECONDS)

    def _pause(self) -> None:
        self.began = self.world.now
        if self.begins:
            self.world.table.commit(self.begins(self.view()))


@pytest.mark.parametrize("begins", [_asked, _stopped], ids=["asked", "stopped"])
@pytest.mark.parametrize("way", ["inline", "drain"])
@pytest.mark.parametrize("stage", keys.STAGES, ids=lambda stage: stage.name)
def test_no_call_starts_in_a_pause_that_began_while_the_acquire_was_answered(
    stage: Stage, way: str, begins: Callable[[window.View], list[Operation]]
) -> None:
    """The slot goes back and the alert keeps its place: it is called when the pause is over, and once."""
    scene = Scene(stage, begins)
    world = scene.world
    if way == "drain":
        held = pause.stop(None, "before", stage)
        world.table.commit([held])
    posted = scene.app.post(PAYLOADS[stage])
    reply = world.finish(posted)
    if way == "drain":
        stop = window.read_pause(world.table.get(stage.stop), scene.policy)
        assert stop
        world.table.commit(pause.resume(stop))
    scene.app.timer()
    world.run(35)
    assert reply.status == 202
    assert scene.began
    assert scene.calls == []
    assert unsound(world.table) == []
    stop = window.read_pause(world.table.get(stage.stop), scene.policy)
    if stop:
        world.table.commit(pause.resume(stop))
    world.run(200)
    assert len(scene.calls) == 1
    assert scene.calls[0] >= scene.began + (40.0 if begins is _asked else 35.0 - SECONDS)
    assert world.table.get(stage.pause) is None
    assert unsound(world.table) == []


@pytest.mark.parametrize("stage", keys.STAGES, ids=lambda stage: stage.name)
def test_a_late_acquire_without_a_pause_is_called(stage: Stage) -> None:
    """A slow table alone keeps nobody: the window is read once more, and the call starts."""
    scene = Scene(stage, None)
    scene.world.finish(scene.app.post(PAYLOADS[stage]))
    assert len(scene.calls) == 1


@pytest.mark.parametrize("stage", keys.STAGES, ids=lambda stage: stage.name)
def test_a_late_probe_ends_its_pause(stage: Stage) -> None:
    """The pause that a probe holds itself does not keep it from its call, which ends the pause."""
    scene = Scene(stage, None)
    over = pause.start(None, pause.Trouble("500", 0.0), scene.world.now, stage)
    assert over
    scene.world.table.commit([over])
    scene.world.finish(scene.app.post(PAYLOADS[stage]))
    assert len(scene.calls) == 1
    scene.world.run(5)
    assert scene.world.table.get(stage.pause) is None


def _named(view: window.View) -> list[Operation]:
    """Take the pause's row from its probe, as another call's 429 does."""
    return window.start_pause(view, pause.Trouble("429", 30.0, named=True), "")


@pytest.mark.parametrize("begins", [_stopped, _named], ids=["stopped", "asked"])
@pytest.mark.parametrize("stage", keys.STAGES, ids=lambda stage: stage.name)
def test_a_late_probe_does_not_start_in_a_pause_of_others(
    stage: Stage, begins: Callable[[window.View], list[Operation]]
) -> None:
    """A probe ends only the pause that it holds: not the operator's, nor what the API asked for since."""
    scene = Scene(stage, begins)
    world = scene.world
    over = pause.start(None, pause.Trouble("500", 0.0), world.now, stage)
    assert over
    world.table.commit([over])
    scene.app.post(PAYLOADS[stage])
    scene.app.timer()
    world.run(25)
    assert scene.began
    assert scene.calls == []
    stop = window.read_pause(world.table.get(stage.stop), scene.policy)
    if stop:
        world.table.commit(pause.resume(stop))
    world.run(200)
    assert len(scene.calls) == 1
    assert world.table.get(stage.pause) is None
    assert unsound(world.table) == []


@pytest.mark.parametrize("stage", keys.STAGES, ids=lambda stage: stage.name)
def test_no_call_starts_where_the_table_does_not_say_whether_it_pauses(stage: Stage) -> None:
    """The acquire was late, and the window cannot be read: the alert goes back, and is called later."""
    scene = Scene(stage, None, trouble="lost")
    world = scene.world
    scene.app.post(PAYLOADS[stage])
    world.run(20)
    assert scene.calls == []
    scene.trouble = ""
    scene.app.timer()
    world.run(200)
    assert len(scene.calls) == 1
    assert unsound(world.table) == []
