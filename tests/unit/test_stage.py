"""Two stages in one table: each has its own queue, window, pause and turns, and neither takes what is the other's."""

import functools
import itertools
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dev import samples
from dev.simulator.judge import violations
from shared.alerts import alert
from shared.clients.answer import Answer
from shared.ledger import keys, record, rows
from shared.ledger.backlog import Backlog
from shared.ledger.keys import Stage
from shared.ledger.record import Delivery, Entry, Waiting
from shared.sending import pause, window
from shared.sending.dispatcher import Dispatch
from shared.sending.pause import Heard
from shared.sending.snapshot import Snapshot
from shared.sending.turns import Turns
from shared.table.protocol import MAX_OPERATIONS
from shared.webhook import transactions
from tests.checks.app import App
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Faults, Host, World, answer_with

STAGES = (keys.REFERENCE, keys.SEARCH)
QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep quiet: every call logs some lines, and nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _entry(world: World, stage: Stage, number: int, severity: str = "High") -> Entry:
    """Return an alert of a stage; its title begins with the stage's name."""
    title = f"{stage.name} {number}"
    made = alert.check(samples.eight_fields(samples.event(number), title, severity)).alert
    assert made
    now = world.now + number / 1000
    return record.accept(made, source="defender", delivery="before", now=now, stage=stage)


def _backlog(world: World, count: int, *stages: Stage) -> None:
    for stage in stages:
        for number in range(count):
            world.table.commit(rows.insert(_entry(world, stage, number)))


def _of(app: App, stage: Stage) -> Dispatch:
    """Return the dispatcher of one stage on a host."""
    dispatcher = app.webhook.dispatcher
    policy = replace(dispatcher.policy, stage=stage)
    outcomes = replace(dispatcher.outcomes, policy=policy, heard=Heard())
    return replace(dispatcher, outcomes=outcomes, turns=Turns())


def _drain(world: World, app: App, *stages: Stage, seconds: float) -> None:
    """Let the stages of a host send what waits, side by side, and time pass."""
    _start(app, *stages, seconds=seconds)
    world.run(seconds)


def _start(app: App, *stages: Stage, seconds: float) -> None:
    until = app.host.monotonic() + seconds
    for stage in stages:
        app.host.submit(functools.partial(_of(app, stage).drain, until))


def _states(world: World, stage: Stage) -> set[str]:
    entries = map(rows.read, world.table.query(keys.ALERT, keys.ALERT_END))
    return {entry.state for entry in entries if entry.stage == stage}


def _times(defender: Defender, stage: Stage) -> list[float]:
    return [arrival.at for arrival in defender.arrivals if arrival.body["title"].startswith(stage.name)]


@pytest.mark.parametrize(("stage", "other"), [STAGES, STAGES[::-1]], ids=lambda stage: stage.name)
def test_a_stage_leaves_the_other_alone(stage: Stage, other: Stage) -> None:
    """A dispatcher sends its own stage's alerts only, and writes no row of the other stage."""
    world = World()
    defender = Defender(world)
    _backlog(world, 3, *STAGES)
    first, end = other.span(keys.LATER, keys.TODO_END)
    before = world.table.query(first, end)
    _drain(world, App.on(Host(world, QUICK, arrive=defender)), stage, seconds=20)
    assert (_states(world, stage), _states(world, other)) == ({"created"}, {"waiting"})
    assert world.table.query(first, end) == before
    assert unsound(world.table) == []


def test_each_stage_has_its_own_window() -> None:
    """Two stages drain side by side on two hosts, each at the full speed of its window, and no faster."""
    world = World()
    defender = Defender(world)
    _backlog(world, 32, *STAGES)
    for _ in range(2):
        _start(App.on(Host(world, QUICK, arrive=defender)), *STAGES, seconds=200)
    world.run(200)
    for stage in STAGES:
        times = _times(defender, stage)
        assert len(times) == 32
        assert violations(times, calls=15, window=60.0) == []
        assert max(times) - min(times) < 125
    assert unsound(world.table) == []


@pytest.mark.parametrize(("stage", "other"), [STAGES, STAGES[::-1]], ids=lambda stage: stage.name)
def test_a_pause_is_that_of_one_stage(stage: Stage, other: Stage) -> None:
    """A 429 to one stage pauses it until its probe is answered, while the other one goes on."""
    world = World()

    def says(number: int, body: Mapping[str, str]) -> Answer | None:
        busy = body["title"].startswith(stage.name) and world.now < began + 10
        return answer_with(429, retry_after=30.0) if busy and number == 0 else answer_with(200)

    began = world.now
    defender = Defender(world, says)
    _backlog(world, 1, stage)
    app = App.on(Host(world, QUICK, arrive=defender))
    _drain(world, app, stage, seconds=5)
    held = world.table.get(stage.pause)
    assert held is not None
    assert world.table.get(other.pause) is None
    _backlog(world, 3, other)
    _drain(world, app, *STAGES, seconds=15)
    assert (_states(world, stage), _states(world, other)) == ({"waiting"}, {"created"})
    _drain(world, app, stage, seconds=60)
    assert _states(world, stage) == {"created"}
    assert world.table.get(stage.pause) is None
    assert unsound(world.table) == []


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_later_answer_lengthens_the_pause_of_its_stage(stage: Stage) -> None:
    """Of two calls under way, one asks for a short pause and then the other for a long one: the long one holds."""
    world = World()
    waits = iter([5.0, 600.0])
    defender = Defender(world, lambda _number, _body: answer_with(429, retry_after=next(waits)))
    _backlog(world, 2, stage)
    began = world.now
    _drain(world, App.on(Host(world, QUICK, arrive=defender)), stage, seconds=4)
    held = window.read_pause(world.table.get(stage.pause), window.Policy(stage=stage))
    assert len(defender.arrivals) == 2
    assert held
    assert held.ends > began + 590


@pytest.mark.parametrize(("stage", "other"), [STAGES, STAGES[::-1]], ids=lambda stage: stage.name)
def test_the_operator_pauses_one_stage(stage: Stage, other: Stage) -> None:
    """The stop row of a stage stops that stage alone; after resuming everything is sent."""
    world = World()
    defender = Defender(world)
    _backlog(world, 2, *STAGES)
    world.table.commit([pause.stop(None, "a bad rule", stage)])
    app = App.on(Host(world, QUICK, arrive=defender))
    _drain(world, app, *STAGES, seconds=20)
    assert (_states(world, stage), _states(world, other)) == ({"waiting"}, {"created"})
    stop = window.read_pause(world.table.get(stage.stop), window.Policy(stage=stage))
    assert stop
    assert stop.by_operator
    world.table.commit(pause.resume(stop))
    _drain(world, app, stage, seconds=20)
    assert _states(world, stage) == {"created"}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_what_a_dead_host_held_comes_back(stage: Stage) -> None:
    """A host dies during its call: another host makes it again once the lease is over, in the same stage."""
    world = World()
    defender = Defender(world)
    _backlog(world, 1, stage)
    host = Host(
        world,
        QUICK,
        arrive=defender,
        script=lambda request: Fault("crashed") if request.kind == "call" else None,
    )
    _drain(world, App.on(host), stage, seconds=5)
    assert _states(world, stage) == {"sending"}
    other = App.on(Host(world, QUICK, arrive=defender))
    lease = other.webhook.dispatcher.policy.lease
    for _ in range(2):
        world.run(lease)
        _drain(world, other, stage, seconds=5)
    assert _states(world, stage) == {"created"}
    assert unsound(world.table) == []


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_turns_are_those_of_one_stage(stage: Stage) -> None:
    """Alerts that wait in one stage take no turn of the same sender's alerts in the other."""
    world = World()
    turns, given = Turns(), {}
    for each in STAGES:
        count = 5 if each == stage else 1
        plan = turns.plan([_entry(world, each, 0)] * count, lambda _: 4.0)
        given[each] = [entry.due - world.now for entry in plan.entries]
        assert [operation.key for operation in plan.operations] == [each.turn_key("", "High")]
    other = next(each for each in STAGES if each != stage)
    assert given == {stage: [0.0, 4.0, 8.0, 12.0, 16.0], other: [0.0]}


@pytest.mark.parametrize("severity", record.DUE_SECONDS)
@pytest.mark.parametrize("first", record.DUE_SECONDS)
def test_no_severity_gains_by_how_long_another_has_waited(first: str, severity: str) -> None:
    """However long the first has waited, a sender's new alerts are due after it, or by their own time."""
    world = World()
    waits = replace(_entry(world, keys.REFERENCE, 0, first), accepted=world.now - 5 * 3600.0)
    waits = record.due_at(waits, waits.accepted + record.DUE_SECONDS[first])
    backlog = Backlog((Waiting(waits, ""),), 1, waits.accepted, ())
    snapshot = Snapshot(window.read([], world.now, window.Policy()), backlog, frozenset(), whole=True)
    new = _entry(world, keys.REFERENCE, 1, severity)
    (turned,) = Turns().plan([new], lambda _: 4.0, snapshot).entries
    assert turned.due >= min(waits.due, new.due)
    assert turned.due <= new.due


@pytest.mark.parametrize("counted", ["not_found", "unavailable", "lost"])
def test_nobody_gains_by_how_long_an_alert_waited_for_its_retry(counted: str) -> None:
    """After its retry it waits in its old place, hours before the others: a flood would come before all of these."""
    world = World()
    retried: Mapping[str, Any] = {counted: 1}
    old = replace(_entry(world, keys.REFERENCE, 0), accepted=world.now - 5 * 3600.0, **retried)
    old = record.due_at(old, old.accepted)
    waits = tuple(Waiting(entry, "") for entry in (old, _entry(world, keys.REFERENCE, 1)))
    backlog = Backlog(waits, 2, old.accepted, ())
    snapshot = Snapshot(window.read([], world.now, window.Policy()), backlog, frozenset(), whole=True)
    new = _entry(world, keys.REFERENCE, 2)
    (turned,) = Turns().plan([new], lambda _: 4.0, snapshot).entries
    assert turned.due >= waits[1].entry.due


def test_a_severity_that_somebody_wrote_by_hand_stops_nobodys_turn() -> None:
    """While such an alert is the first that waits, other alerts are accepted all the same."""
    world = World()
    waits = _entry(world, keys.REFERENCE, 0)
    waits = replace(waits, alert=replace(waits.alert, severity="Critical"))
    backlog = Backlog((Waiting(waits, ""),), 1, waits.accepted, ())
    snapshot = Snapshot(window.read([], world.now, window.Policy()), backlog, frozenset(), whole=True)
    (turned,) = Turns().plan([_entry(world, keys.REFERENCE, 1)], lambda _: 4.0, snapshot).entries
    assert turned.due >= waits.due


def test_a_transaction_has_place_for_the_turns_of_all_stages() -> None:
    """A delivery's alerts of three stages and three severities have nine turns, which fit with each transaction."""
    world, turns = World(), Turns()
    left = [
        replace(_entry(world, stage, number, severity), many=True)
        for number, severity in enumerate(itertools.islice(itertools.cycle(record.DUE_SECONDS), 36))
        for stage in keys.STAGES
    ]
    accepted = Delivery(
        id=keys.delivery_id(world.now),
        source=None,
        accepted=world.now,
        alerts=tuple(entry.alert.id for entry in left),
    )
    last = False
    while not last:
        batch, last = transactions.batch(left)
        plan = turns.plan(batch, lambda _: 4.0)
        operations = [*transactions.operations(plan.entries, accepted, last=last), *plan.operations]
        assert len(operations) <= MAX_OPERATIONS
        turns.done(plan, world.table.commit(operations))
        left = left[len(batch) :]


def test_the_slots_of_the_stages_are_other_rows() -> None:
    """The window of a stage is read from its own slots: a closed one of the other stage closes nothing."""
    world = World()
    taken = [window.acquire(slot, "a", window.Policy()) for slot in window.read([], 0, window.Policy()).slots]
    world.table.commit(taken)
    stored = world.table.query("", "~")
    for stage, is_open in zip(STAGES, (0, 15), strict=True):
        assert len(window.read(stored, world.now, window.Policy(stage=stage)).open) == is_open
