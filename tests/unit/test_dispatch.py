"""The dispatcher and the window's pauses: the real code on many hosts, in virtual time."""

import dataclasses
import functools
import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from bench import quota
from dev import samples
from dev.simulator.judge import violations
from shared.alerts import alert
from shared.ledger import keys, record, rows, settlement
from shared.sending import pause, window
from shared.settings import Settings
from shared.table.protocol import Delete, Insert, Operation, Replace
from shared.web import delivery
from tests.checks.app import App
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Faults, Host, Request, World, answer_with

if TYPE_CHECKING:
    from concurrent.futures import Future

    from shared.clients.answer import Answer
    from shared.web.reply import Reply

POLICY = window.Policy()
QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep quiet: an outage logs a line a second, and nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _entry(world: World, event: int, severity: str, *, ago: float = 0.0) -> record.Entry:
    values = samples.eight_fields(samples.event(event), f"Rule {event}", severity)
    made = alert.check(values).alert
    assert made
    return record.accept(made, source="defender", delivery="before", now=world.now - ago)


def _backlog(world: World, events: range, severity: str = "High", *, ago: float = 0.0) -> None:
    """Let alerts wait for a slot, accepted one millisecond after the other."""
    for number, event in enumerate(events):
        entry = _entry(world, event, severity, ago=ago - number / 1000)
        world.table.commit(rows.insert(entry))


def _apps(world: World, defender: Defender, hosts: int, settings: Settings | None = None) -> list[App]:
    return [App.on(Host(world, QUICK, arrive=defender), settings) for _ in range(hosts)]


def _alerts(world: World) -> list[record.Entry]:
    return [rows.read(row) for row in world.table.query(keys.ALERT, keys.ALERT_END)]


def _states(world: World) -> set[str]:
    return {entry.state for entry in _alerts(world)}


def _titles(defender: Defender) -> list[str]:
    return [arrival.body["title"] for arrival in defender.arrivals]


def _times(defender: Defender) -> list[float]:
    return [arrival.at for arrival in defender.arrivals]


def _pause(world: World) -> pause.Pause | None:
    row = world.table.get(keys.PAUSE)
    return window.read_pause(row, POLICY) if row else None


# The order of the backlog


def test_the_most_urgent_goes_first() -> None:
    """With one slot, alerts go in the order of acceptance + 0 High, 4 h Medium, 24 h Low: High overtakes."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(2), "Low", ago=21 * 3600)  # due in 3 h
    _backlog(world, range(2, 4), "Medium", ago=60)  # due in nearly 4 h
    _backlog(world, range(4, 6), "High")  # due now
    _backlog(world, range(6, 8), "Low", ago=25 * 3600)  # due since an hour
    (app,) = _apps(world, defender, 1, Settings(rate_limit_calls=1))
    app.timer()
    world.run(9 * 62)
    assert _titles(defender) == [f"Rule {event}" for event in (6, 7, 4, 5, 0, 1, 2, 3)]


def test_nobody_starves() -> None:
    """While High alerts acquire every slot, a Medium is sent once 4 hours are over, and a Low once 24 are."""
    world = World()
    defender = Defender(world)
    (app,) = _apps(world, defender, 1, Settings(rate_limit_calls=1))
    app.timer()
    _backlog(world, range(1), "Low", ago=23 * 3600)
    _backlog(world, range(1, 2), "Medium", ago=3.75 * 3600)
    for event in range(100, 170):
        later = world.now + (event - 100) * 60
        world.at(later, functools.partial(_backlog, world, range(event, event + 1)))
    began = world.now
    world.run(80 * 60)
    (medium,), (low,) = defender.calls("Rule 1"), defender.calls("Rule 0")
    assert 15 <= (medium.at - began) / 60 <= 17
    assert 60 <= (low.at - began) / 60 <= 65


@pytest.mark.parametrize("answer", [answer_with(500), None], ids=["500", "time-out"])
def test_an_alert_that_always_fails_stops_nobody(answer: "Answer | None") -> None:
    """All others are created while one always meets a 500 or a time-out; it is given up in the end, with its reason."""
    world = World()

    def says(_number: int, body: Mapping[str, str]) -> "Answer | None":
        return answer if body["title"] == "Rule 0" else answer_with(200)

    defender = Defender(world, says)
    _backlog(world, range(60))
    app, other = _apps(world, defender, 2, Settings(give_up_hours=3.0))
    app.timer()
    other.timer()
    world.run(10 * 60)
    assert [entry.state for entry in _alerts(world)].count("created") == 59
    world.run(4 * 3600)
    (failed,) = [entry for entry in _alerts(world) if entry.state == "failed"]
    assert failed.alert.title == "Rule 0"
    shown = delivery._error(failed) or {}
    assert "replay" in shown["hint"]
    assert "tried again" not in shown["hint"]
    # At once, after 1, 2, 4, 8 and then every 15 minutes; the first failure after three hours of these is the last.
    assert failed.attempts == len(defender.calls("Rule 0")) == 16
    assert unsound(world.table) == []


# The timer


def test_the_backlog_is_drained_as_fast_as_the_window_allows() -> None:
    """Two dispatchers empty a backlog of 100: every alert is called once, 15 a minute, and never more."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(100))
    for app in _apps(world, defender, 2):
        app.timer()
    world.run(6 * 61 + 30)
    assert _states(world) == {"created"}
    assert len(defender.arrivals) == len(set(_titles(defender))) == 100
    assert violations(_times(defender), 15, 60.0) == []


def test_fifteen_calls_are_in_flight_at_once() -> None:
    """While Defender is slow, one dispatcher has up to 15 calls under way, and no more."""
    world = World()
    under_way: list[int] = [0]
    most = 0

    def says(_number: int, _body: Mapping[str, str]) -> "Answer":
        nonlocal most
        under_way[0] += 1
        most = max(most, under_way[0])
        world.at(world.now + 20.0, lambda: under_way.__setitem__(0, under_way[0] - 1))
        return answer_with(200)

    host = Host(world, Faults(call_delay=(0.1, 0.1), answer_delay=(20.0, 20.0)), arrive=Defender(world, says))
    _backlog(world, range(30))
    App.on(host).tick()
    world.run(55)
    assert most == 15


@pytest.mark.parametrize("seconds", [60.0, 3.0])
def test_it_wakes_when_the_next_slot_opens(seconds: float) -> None:
    """On a faultless network every acquire arrives within 250 ms of its slot's opening, and never before."""
    world = World()
    defender = Defender(world)
    policy = window.Policy(calls=1, window=seconds)
    late: list[float] = []

    def watch(request: Request) -> None:
        for operation in request.operations:
            if isinstance(operation, Replace) and operation.values.get("closed") == policy.lease:
                row = world.table.get(operation.key)
                assert row
                late.append(world.now - window.read([row], world.now, policy).slots[0].opens)

    host = Host(world, QUICK, arrive=defender, script=watch)
    app = App.on(host, Settings(rate_limit_calls=1, rate_limit_window_seconds=seconds))
    _backlog(world, range(40))
    while len(late) < 30:
        world.finish(app.tick())
    waited_for = [wait for wait in late if wait < 2.0]  # the others opened between two ticks
    assert len(waited_for) >= 25
    assert min(waited_for) >= 0.0
    assert max(waited_for) <= 0.25


def test_it_stops_in_time() -> None:
    """With an endless backlog and a Defender that hangs, a tick ends after 55 s, give or take a request."""
    world = World()
    defender = Defender(world, lambda _number, _body: None)
    _backlog(world, range(100))
    (app,) = _apps(world, defender, 1)
    began = world.now
    world.finish(app.tick())
    assert 54.0 <= world.now - began <= 56.0


def test_an_idle_tick_is_one_query() -> None:
    """Where nothing waits, a tick asks the table once and writes nothing."""
    world = World()
    (app,) = _apps(world, Defender(world), 1)
    for _ in range(3):
        app.host.queries = app.host.commits = 0
        world.finish(app.tick())
        assert (app.host.queries, app.host.commits) == (1, 0)
        world.run(30)


def test_what_a_dead_holder_left_is_taken_back() -> None:
    """An alert whose host died during its call is called again once the lease is over, by any dispatcher."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(1))
    dying, living = _apps(world, defender, 2)
    dying.host.script = lambda request: Fault("crashed") if request.kind == "call" else None
    dying.tick()
    world.run(1)
    assert _states(world) == {"sending"}
    living.timer()
    world.run(POLICY.lease + 31)
    assert _states(world) == {"created"}
    assert POLICY.lease <= defender.arrivals[1].at - defender.arrivals[0].at
    assert unsound(world.table) == []


def test_all_that_came_due_again_is_sent_in_one_tick() -> None:
    """Alerts whose retry is due are backlog: a tick goes on with them as slots open, most urgent first."""
    world = World()
    defender = Defender(world)
    for event in range(6):
        entry = _entry(world, event, "High", ago=100 - event)
        held = record.hold(entry, "attempt", now=world.now - 90, lease=POLICY.lease)
        retry = settlement.settle(
            held, answer_with(404), now=world.now - 70 - event, rules=settlement.Rules()
        )
        world.table.commit(rows.insert(retry))
    _backlog(world, range(6, 8), "Low")
    host = Host(world, QUICK, arrive=defender)
    app = App.on(host, Settings(rate_limit_calls=2, rate_limit_window_seconds=10.0))
    world.finish(app.tick())
    assert [sorted(_titles(defender)[at : at + 2]) for at in range(0, 8, 2)] == [
        ["Rule 0", "Rule 1"],
        ["Rule 2", "Rule 3"],
        ["Rule 4", "Rule 5"],
        ["Rule 6", "Rule 7"],
    ]


@pytest.mark.parametrize("retries", [490, 515, 516, 520, 530, 531, 600])
def test_a_pause_is_seen_behind_any_number_of_retries(retries: int) -> None:
    """However many alerts wait for a time, the timer's snapshot has pause, every slot and the head of the rest."""
    world = World()
    (app,) = _apps(world, Defender(world), 1)
    world.table.commit(
        [window.acquire(slot, "attempt", POLICY) for slot in window.read([], world.now, POLICY).slots]
    )
    world.table.commit([pause.stop(None, "stop")])
    for event in range(retries):
        held = record.hold(_entry(world, event, "High"), "attempt", now=world.now, lease=POLICY.lease)
        world.table.commit(rows.insert(held))
    _backlog(world, range(1000, 1020))
    snapshot = world.finish(app.host.submit(lambda: app.webhook.dispatcher.snapshot(later=True)))
    assert snapshot.view.pause
    assert snapshot.view.free == ()
    assert len(snapshot.waiting) >= 15


@pytest.mark.parametrize("calls", [1, 5, 7, 8, 14])
def test_a_lowered_limit_hides_nothing(calls: int) -> None:
    """Where RATE_LIMIT_CALLS was lowered, the rows of slots no longer used hide neither the pause nor the backlog."""
    world = World()
    defender = Defender(world)
    (app,) = _apps(world, defender, 1, Settings(rate_limit_calls=calls, rate_limit_window_seconds=10.0))
    slots = window.read([], world.now, POLICY).slots
    etags = world.table.commit([window.acquire(slot, "attempt", POLICY) for slot in slots])
    world.table.commit(
        [window.release(window.Held(slot.key, "attempt", etags[slot.key]), POLICY) for slot in slots]
    )
    world.table.commit([pause.stop(None, "stop")])
    world.run(70)
    reply = world.finish(app.post(samples.eight_fields(samples.event(1000), "In the pause", "High")))
    assert reply.status == 202
    assert defender.arrivals == []
    _backlog(world, range(3 * calls))
    world.table.commit([Delete(keys.STOP, "*")])
    world.finish(app.tick())
    assert len(defender.arrivals) == 3 * calls + 1


def test_it_notices_what_other_hosts_do() -> None:
    """A dispatcher that waits for another host's probe goes on within seconds of its answer, not at its lease's end."""
    world = World()
    defender = Defender(world)
    operation = pause.start(None, pause.Trouble("500", 5.0), world.now)
    assert operation
    world.table.commit([operation])
    world.run(6)
    prober, waiting = _apps(world, defender, 2)
    probe = prober.post(samples.eight_fields(samples.event(1), "The probe", "High"))
    world.run(0.15)
    _backlog(world, range(100, 110))
    tick = waiting.tick()
    world.finish(probe)
    answered = world.now
    world.finish(tick)
    assert len(defender.arrivals) == 11
    assert all(at - answered < 6.0 for at in _times(defender)[1:])


def test_two_dispatchers_share_the_window_without_harm() -> None:
    """Six dispatchers that want the same alerts at the same moment call each of them once, however often they clash."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(45))
    for app in _apps(world, defender, 6):
        app.timer()
    world.run(200)
    assert sorted(_titles(defender)) == sorted(f"Rule {event}" for event in range(45))
    assert unsound(world.table) == []


def test_two_hundred_dispatchers_use_the_window_to_the_full() -> None:
    """Hosts that wake for the same slots do not exhaust the partition: 98 % of what the design can use is used."""
    case = quota.simulate(200, windows=5)
    assert case.too_many == 0
    assert case.use >= 0.98 * quota.bound(quota.WINDOW, quota.MARGIN, case.latency)


def test_who_had_no_slot_lately_comes_later_and_takes_the_place_of_who_is_gone() -> None:
    """Of two dispatchers one has all slots, and dies: the other is there within eight seconds, and then at once."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(90))
    first, second = _apps(world, defender, 2)
    first.timer()
    world.run(2)
    second.timer()
    while len(defender.arrivals) < 30:
        world.run(0.1)
    assert {sending.webhook.dispatcher.crowd.acquired > 0 for sending in (first, second)} == {False, True}
    first.host.dead = True
    world.run(200)
    times = _times(defender)
    late, later = times[30] - times[15], times[45] - times[30]
    assert late <= POLICY.cooldown + 2 * QUICK.call_delay[1] + 9.0
    assert later <= POLICY.cooldown + 2.0


# Pauses


def _steady(world: World, apps: list[App]) -> None:
    """Let an alert arrive every four seconds, at one host after the other, for ever; timers run on all."""
    for app in apps:
        app.timer()

    def arrive(number: int) -> None:
        payload = samples.eight_fields(samples.event(number), f"Rule {number}", "High")
        apps[number % len(apps)].post(payload)
        world.at(world.now + 4.1, lambda: arrive(number + 1))

    world.at(world.now, lambda: arrive(1000))


@pytest.mark.parametrize("seed", range(2))
def test_an_outage_of_ten_minutes_costs_fifteen_calls(seed: int) -> None:
    """Six hosts, a steady stream: while Defender answers 500 for ten minutes, all together call 15 times at most."""
    world = World(seed)
    begins, ends = world.now + 300.0, world.now + 900.0
    defender = Defender(world, lambda _number, _body: answer_with(500 if begins <= world.now < ends else 200))
    _steady(world, _apps(world, defender, 6))
    world.run(960)
    calls = [at - begins for at in _times(defender) if begins <= at < ends]
    assert 10 <= len(calls) <= 15, calls
    assert violations(_times(defender), 15, 60.0) == []


@pytest.mark.parametrize("answer", [answer_with(500), None], ids=["500", "time-out"])
def test_fifteen_failures_at_once_are_one_step(answer: "Answer | None") -> None:
    """A burst of 15 calls that all fail starts one pause of five seconds; from then on there is one call at a time."""
    world = World()
    outage = world.now + 600.0
    defender = Defender(world, lambda _number, _body: answer if world.now < outage else answer_with(200))
    _backlog(world, range(200))
    for app in _apps(world, defender, 6):
        app.timer()
    while not _pause(world):
        world.run(0.01)
    held = _pause(world)
    assert held
    assert held.step == 1
    assert held.ends - world.now <= 5.0
    in_flight = len(defender.arrivals)
    assert 1 <= in_flight <= 15
    world.run(outage - world.now)
    assert len(defender.arrivals) - 15 <= 13
    alone = _times(defender)[15:]
    assert min(later - earlier for earlier, later in itertools.pairwise(alone)) >= 9.0
    world.run(20 * 60)
    assert _states(world) == {"created"}


def test_failures_that_clash_give_their_slots_back() -> None:
    """Fifteen failures that want to start the same pause at once all write their outcome and free their slot."""
    world = World()
    _backlog(world, range(15))
    (app,) = _apps(world, Defender(world, lambda _number, _body: answer_with(500)), 1)
    app.host.faults = Faults(table_delay=(0.01, 0.01), call_delay=(1.0, 1.0), answer_delay=(0.1, 0.1))
    app.tick()
    world.run(4)
    slots = world.table.query(keys.SLOT, keys.PAUSE)
    assert [row.values["closed"] for row in slots] == [POLICY.cooldown] * 15
    assert {entry.unavailable for entry in _alerts(world)} == {1}


def test_the_rest_follows_the_probe_at_once() -> None:
    """As soon as its own probe is answered, a dispatcher sends what waits."""
    world = World()
    defender = Defender(world)
    operation = pause.start(None, pause.Trouble("500", 0.0), world.now)
    assert operation
    world.table.commit([operation])
    _backlog(world, range(10))
    (app,) = _apps(world, defender, 1)
    app.host.faults = Faults(table_delay=(0.01, 0.01), call_delay=(1.0, 1.0), answer_delay=(1.0, 1.0))
    world.finish(app.tick())
    probe, *others = _times(defender)
    assert len(others) == 9
    assert probe + 2.0 <= min(others)
    assert max(others) <= probe + 2.0 + 1.0 + 0.5


def test_a_probe_that_dies_is_replaced() -> None:
    """If the one host that probes dies in its call, the next take after its lease is the probe."""
    world = World()
    defender = Defender(world)
    operation = pause.start(None, pause.Trouble("500", 5.0), world.now)
    assert operation
    world.table.commit([operation])
    _backlog(world, range(20))
    dying, living = _apps(world, defender, 2)
    dying.host.script = lambda request: Fault("crashed") if request.kind == "call" else None
    world.run(6)
    dying.tick()
    world.run(1)
    living.timer()
    world.run(POLICY.lease + 120)
    first, second, *others = _times(defender)
    assert POLICY.lease <= second - first <= POLICY.lease + 31
    assert min(others) > second
    assert _states(world) == {"created"}
    assert _pause(world) is None


@pytest.mark.parametrize(("named", "waited"), [(37.0, 37.0), (None, 60.0), (600.0, 600.0)])
def test_a_429_is_respected_by_all(named: float | None, waited: float) -> None:
    """After a 429 nobody calls for its Retry-After, or for a window if it names none; the alert keeps its place."""
    world = World()
    defender = Defender(
        world,
        lambda _n, _b: (
            answer_with(200) if len(defender.arrivals) > 1 else answer_with(429, retry_after=named)
        ),
    )
    _backlog(world, range(5))
    apps = _apps(world, defender, 3, Settings(rate_limit_calls=1, rate_limit_window_seconds=10.0))
    if named is None:
        waited = 10.0
    for app in apps:
        app.timer()
    world.run(waited + 31.0)
    first, second, *_ = defender.arrivals
    assert waited <= second.at - first.at <= waited + 10.0 + 31.0
    assert first.body == second.body


@pytest.mark.parametrize("status", [401, 403])
def test_no_access_pauses_a_minute(status: int) -> None:
    """After a 401 or 403 nobody calls for a minute, again and again, until access is there."""
    world = World()
    granted = world.now + 300
    defender = Defender(world, lambda _n, _b: answer_with(status if world.now < granted else 200))
    for app in _apps(world, defender, 3):
        app.timer()
    _backlog(world, range(1, 2))
    world.run(5)
    _backlog(world, range(2, 30))
    world.run(295)
    times = _times(defender)
    assert 4 <= len(times) <= 5
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 60.0
    world.run(900)
    assert _states(world) == {"created"}


def test_the_operators_pause_lasts_until_resumed() -> None:
    """Nobody calls and nobody probes in the operator's pause, not after hours; seconds after it ends all go on."""
    world = World()
    defender = Defender(world)
    world.table.commit([pause.stop(None, "a bad rule")])
    _backlog(world, range(10))
    for app in _apps(world, defender, 2):
        app.timer()
    world.run(3600)
    assert defender.arrivals == []
    world.table.commit([Delete(keys.STOP, "*")])
    world.run(12)
    assert len(defender.arrivals) == 10


def test_a_probes_answer_does_not_end_the_operators_pause() -> None:
    """Where the operator pauses while a probe is under way, its success ends nothing."""
    world = World()
    defender = Defender(world)
    operation = pause.start(None, pause.Trouble("500", 0.0), world.now)
    assert operation
    world.table.commit([operation])
    _backlog(world, range(10))
    (app,) = _apps(world, defender, 1)
    app.timer()
    while not defender.arrivals:
        world.run(0.01)
    world.table.commit([pause.stop(None, "stop")])
    world.run(600)
    assert len(defender.arrivals) == 1
    assert [entry.state for entry in _alerts(world)].count("created") == 1


class Forgetful(Host):
    """A host whose table client lost an answer, and then found only some rows as it had written them."""

    forgotten: str = ""

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write; leave out the ETag of the row that others have changed since."""
        etags = super().commit(operations, mark=mark, seconds=seconds)
        return {key: etag for key, etag in etags.items() if key != self.forgotten}


def test_a_probe_whose_pause_the_operator_took_is_a_call_like_any_other() -> None:
    """A take landed, its answer was lost, and meanwhile the operator paused: the call is made, the pause stays."""
    world = World()
    defender = Defender(world)
    operation = pause.start(None, pause.Trouble("500", 0.0), world.now)
    assert operation
    world.table.commit([operation])
    _backlog(world, range(1))
    host = Forgetful(world, QUICK, arrive=defender)
    host.forgotten = keys.PAUSE
    app = App.on(host)
    app.tick()
    world.run(0.1)
    world.table.commit([pause.stop(None, "stop")])
    world.run(10)
    assert _states(world) == {"created"}
    assert world.table.query(keys.STOP, keys.STOP + "~")


def test_other_answers_only_lengthen_a_pause() -> None:
    """A late failure of a call from before cannot shorten a 429's pause; a late 429 lengthens a short one."""
    now = 1000.0
    short, long = pause.Pause(now + 5.0, "500", 3, "e"), pause.Pause(now + 600.0, "429", 1, "e")
    assert pause.start(long, pause.Trouble("500", 5.0), now) is None
    lengthened = pause.start(short, pause.Trouble("429", 60.0), now)
    assert isinstance(lengthened, Replace)
    assert (lengthened.values["closed"], lengthened.values["step"], lengthened.etag) == (61.0, 3, "e")
    assert isinstance(pause.start(None, pause.Trouble("500", 5.0), now), Insert)


@pytest.mark.parametrize("seed", range(8))
def test_a_429_that_comes_second_keeps_its_retry_after(seed: int) -> None:
    """Of a 500 and a 429 that want to write the pause at once, the 429's Retry-After holds, whoever is first."""
    world = World(seed)
    answers = iter([answer_with(500), answer_with(429, retry_after=40.0)])
    defender = Defender(world, lambda _number, _body: next(answers))
    _backlog(world, range(2))
    (app,) = _apps(world, defender, 1)
    app.host.faults = Faults(table_delay=(0.01, 0.02), call_delay=(1.0, 1.0), answer_delay=(0.1, 0.1))
    app.tick()
    world.run(4)
    held = _pause(world)
    assert held
    assert held.ends - world.now > 35.0
    assert unsound(world.table) == []


def test_a_probe_that_made_no_call_leaves_the_pause_as_it_was() -> None:
    """A probe whose host froze before its call gives slot and pause back; the next take probes, at the same step."""
    world = World()
    defender = Defender(world)
    operation = pause.start(None, pause.Trouble("500", 5.0), world.now)
    assert operation
    world.table.commit([operation])
    _backlog(world, range(1))
    (app,) = _apps(world, defender, 1)
    frozen = iter([Fault("frozen", 20.0)])
    app.host.script = lambda request: next(frozen, None) if request.kind == "commit" else None
    world.run(6)
    app.timer()
    world.run(23)
    assert [(entry.state, entry.attempts) for entry in _alerts(world)] in (
        [("waiting", 0)],
        [("created", 1)],
        [("sending", 1)],
    )
    world.run(60)
    assert [(entry.state, entry.attempts) for entry in _alerts(world)] == [("created", 1)]
    assert len(defender.arrivals) == 1
    assert _pause(world) is None


# Outcomes reach the table


def test_an_outcome_is_written_however_long_the_table_is_unavailable() -> None:
    """A table that fails between answer and commit is tried until the lease ends: no second call."""
    world = World()
    defender = Defender(world)
    out = [False]
    _backlog(world, range(1))
    (app,) = _apps(world, defender, 1)
    app.host.script = lambda request: Fault("lost") if out[0] and request.kind != "call" else None
    app.tick()
    while not defender.arrivals:
        world.run(0.01)
    out[0] = True
    world.run(120)
    assert _states(world) == {"sending"}
    out[0] = False
    world.run(10)
    assert _states(world) == {"created"}
    app.timer()
    world.run(300)
    assert len(defender.arrivals) == 1


def test_a_late_created_wins_over_any_other_state() -> None:
    """A created that is written after the lease ended and others tried again still becomes the alert's state."""
    world = World()
    defender = Defender(world, lambda number, _body: answer_with(200 if not number else 500))
    _backlog(world, range(1))
    slow, quick = _apps(world, defender, 2)
    frozen = iter([None, Fault("freeze", 400.0)])
    slow.host.script = lambda request: next(frozen, None) if request.kind == "commit" else None
    slow.tick()
    world.run(POLICY.lease)
    quick.timer()
    world.run(100)
    (entry,) = _alerts(world)
    assert entry.state == "waiting"
    assert entry.error
    world.run(300)
    (entry,) = _alerts(world)
    assert entry.state == "created"
    assert entry.error is None
    assert unsound(world.table) == []


def test_a_late_created_is_written_although_the_failed_alert_is_not_listed() -> None:
    """Another try failed it, and somebody removed its row from the list: Defender's alert counts all the same."""
    world = World()
    defender = Defender(world, lambda number, _body: answer_with(400 if number else 200))
    _backlog(world, range(1))
    slow, quick = _apps(world, defender, 2)
    frozen = iter([None, Fault("freeze", 400.0)])
    slow.host.script = lambda request: next(frozen, None) if request.kind == "commit" else None
    slow.tick()
    world.run(POLICY.lease)
    quick.timer()
    world.run(100)
    (listed,) = world.table.query(keys.FAILED, keys.FAILED_END)
    world.table.commit([Delete(listed.key, "*")])
    world.run(300)
    assert _states(world) == {"created"}
    assert unsound(world.table) == []


def test_a_created_is_written_though_its_waiting_row_was_removed_by_hand() -> None:
    """Whoever deletes a row while its alert is being sent loses nothing that Defender said."""
    world = World()
    defender = Defender(world)
    (app,) = _apps(world, defender, 1)
    _backlog(world, range(1))
    app.host.faults = dataclasses.replace(app.host.faults, call_delay=(5.0, 5.0))
    app.tick()
    world.run(2)
    (waits,) = world.table.query(keys.LATER, keys.LATER_END)
    world.table.commit([Delete(waits.key, "*")])
    app.host.commits = 0
    world.run(600)
    assert _states(world) == {"created"}
    assert app.host.commits <= 5
    assert unsound(world.table) == []


def test_a_host_that_stood_still_in_its_call_writes_what_defender_said() -> None:
    """A host that stood still beyond its lease while it called still writes that the alert was created."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(1))
    (app,) = _apps(world, defender, 1)
    app.tick()
    while not defender.arrivals:
        world.run(0.01)
    app.host.frozen_until = world.now + POLICY.lease + 10.0
    world.run(POLICY.lease + 20.0)
    assert _states(world) == {"created"}
    assert len(defender.arrivals) == 1


def test_a_call_that_could_not_start_soon_is_not_made() -> None:
    """A host that stood still between acquire and call releases the slot unused, and the alert its place."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(1))
    (app,) = _apps(world, defender, 1)
    frozen = iter([Fault("frozen", 13.0)])
    app.host.script = lambda request: next(frozen, None) if request.kind == "commit" else None
    before = _alerts(world)
    app.tick()
    world.run(13.03)
    while _states(world) == {"sending"}:
        world.run(0.005)
    assert defender.arrivals == []
    assert _alerts(world) == before
    slots = world.table.query(keys.SLOT, keys.SLOT_END)
    assert [row.values["closed"] for row in slots] == [window.UNUSED_SECONDS]
    world.run(60)
    assert _states(world) == {"created"}


def test_a_refused_connection_gives_the_slot_back() -> None:
    """Where not a byte was sent the slot opens in a second, and the alert waits its minute."""
    world = World()
    _backlog(world, range(1))
    (app,) = _apps(world, Defender(world), 1)
    unsent = iter([Fault("unsent")])
    app.host.script = lambda request: next(unsent, None) if request.kind == "call" else None
    app.tick()
    world.run(5)
    slots = world.table.query(keys.SLOT, keys.SLOT_END)
    closed = {row.values["closed"] for row in slots if row.key != keys.PAUSE}
    assert closed == {0.0, window.UNUSED_SECONDS}
    (entry,) = _alerts(world)
    assert entry.state == "waiting"
    assert entry.next_attempt
    assert entry.error
    assert entry.error["code"] == "NoConnection"


def test_an_answer_that_cannot_be_written_is_settled_without_it() -> None:
    """A created whose body cannot be written as JSON is created all the same, after one call."""
    world = World()
    endless: list[object] = []
    endless.append(endless)  # how deep a list may be to be written depends on the version of Python
    answer = dataclasses.replace(answer_with(200), alert={"id": "da1", "deep": endless})
    defender = Defender(world, lambda _number, _body: answer)
    _backlog(world, range(1))
    (app,) = _apps(world, defender, 1)
    app.timer()
    world.run(2 * POLICY.lease)
    (entry,) = _alerts(world)
    assert (entry.state, entry.created) == ("created", {"id": "da1"})
    assert len(defender.arrivals) == 1
    assert unsound(world.table) == []


def test_an_exception_while_an_outcome_is_written_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that fails between answer and table is silent, and the tick goes on with the other alerts."""
    caplog.set_level(logging.WARNING, "defender-alert-webhook")
    world = World()
    defender = Defender(world)
    _backlog(world, range(3))
    (app,) = _apps(world, defender, 1)

    def broken(*_: object, **__: object) -> record.Entry:
        raise ZeroDivisionError

    monkeypatch.setattr(settlement, "settle", broken)
    world.finish(app.tick())
    steps = [json.loads(line.message)["step"] for line in caplog.records]
    assert steps.count("outcome lost") == 3


def test_an_alert_that_brings_its_host_down_is_given_up() -> None:
    """An alert whose calls end nine hosts one after the other is called once more, and then failed: others go on."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(1))

    def crash(request: Request) -> Fault | None:
        return Fault("crashed") if request.body.get("title") == "Rule 0" else None

    for _ in range(15):
        (app,) = _apps(world, defender, 1)
        app.host.script = crash
        app.timer()
        world.run(POLICY.lease + 40)
    assert len(defender.calls("Rule 0")) == settlement.MOST_LOST
    (entry,) = _alerts(world)
    assert entry.error
    assert (entry.state, entry.error["code"]) == ("failed", "AnswerLost")
    assert unsound(world.table) == []
    again = record.replay(entry, now=world.now)
    assert (again.state, again.lost) == ("waiting", 0)


def test_a_token_that_does_not_come_pauses_nobody_else() -> None:
    """A host whose token endpoint is unavailable acquires no slot; another one sends the backlog meanwhile."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(10))
    without, other = _apps(world, defender, 2)
    without.host.tokens = False
    without.timer()
    world.run(40)
    assert world.table.query(keys.SLOT, keys.SLOT_END) == []
    assert {entry.attempts for entry in _alerts(world)} == {0}
    other.timer()
    world.run(40)
    assert _states(world) == {"created"}
    assert _pause(world) is None


# The dead timer


def test_webhooks_send_the_backlog_where_the_timer_is_dead() -> None:
    """Without any timer, deliveries that find open slots send what waits, most urgent first, besides their own."""
    world = World()
    defender = Defender(world)
    _backlog(world, range(30))
    apps = _apps(world, defender, 2)
    replies: list[Future[Reply]] = []
    for number in range(12):
        payload = samples.eight_fields(samples.event(500 + number), f"New {number}", "Low")
        replies.append(apps[number % 2].post(payload))
        world.run(30)
    assert all(reply.done() for reply in replies)
    assert {json.loads(reply.result().body)["status"] for reply in replies} <= {"waiting", "created"}
    assert [entry.state for entry in _alerts(world)].count("created") >= 40
    assert all(f"Rule {event}" in _titles(defender) for event in range(30))
    assert violations(_times(defender), 15, 60.0) == []


# Answers that are not quite an alert


@pytest.mark.parametrize("status", [200, 204])
def test_a_success_without_an_alert_is_called_twice_and_kept(status: int) -> None:
    """Each further call might create one more alert: it ends as failed, for the operator, while others go on."""
    world = World()
    defender = Defender(
        world, lambda _, body: answer_with(status, raw=b"") if body["title"] == "Rule 0" else answer_with(200)
    )
    _backlog(world, range(5))
    (app,) = _apps(world, defender, 1)
    for _ in range(20):
        app.timer()
        world.run(60)
    assert len(defender.calls("Rule 0")) == 2
    by_title = {entry.alert.title: entry for entry in _alerts(world)}
    assert {title: entry.state for title, entry in by_title.items()} == {
        **{f"Rule {event}": "created" for event in range(1, 5)},
        "Rule 0": "failed",
    }
    assert (by_title["Rule 0"].error or {})["code"] == "NoAlert"
    assert len(world.table.query(keys.FAILED, keys.FAILED_END)) == 1


def test_an_answer_about_another_device_is_noted() -> None:
    """The alert counts as created, and its note stays with it."""
    world = World()
    differs = {"machineId": "Defender's alert is about another device."}
    defender = Defender(world, lambda _, __: dataclasses.replace(answer_with(200), differs=differs))
    (app,) = _apps(world, defender, 1)
    reply = app.post(samples.eight_fields(samples.event(1), "Rule 1", "High"))
    world.run(60)
    (shown,) = json.loads(reply.result().body)["alerts"]
    (entry,) = _alerts(world)
    assert (shown["status"], shown["notes"]) == ("created", list(entry.notes))
    assert entry.notes == ("machineId: Defender's alert is about another device.",)
