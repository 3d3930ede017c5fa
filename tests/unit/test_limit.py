"""The limit holds always: whatever a `Date` says, a slow table does, an API asks for, or a setting becomes."""

import itertools
import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from dev import samples
from dev.memory_table import MemoryTable
from dev.simulator.judge import violations
from shared.alerts import alert
from shared.clients.answer import Answer
from shared.ledger import keys, record, rows
from shared.sending import pause, window
from shared.settings import Settings
from shared.table.clock import ServerClock
from shared.table.protocol import Replace
from tests.checks.app import App
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Faults, Host, World, answer_with

POLICY = window.Policy()
QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Campaigns log thousands of lines; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _backlog(world: World, alerts: int) -> None:
    """Let so many alerts wait, accepted one millisecond after the other."""
    for number in range(alerts):
        made = alert.check(samples.eight_fields(samples.event(number), f"Rule {number}", "High")).alert
        assert made
        entry = record.accept(made, source="", delivery="", now=world.now - 60 + number / 1000)
        world.table.commit(rows.insert(entry))


def _app(world: World, defender: Defender, settings: Settings | None = None) -> App:
    return App.on(Host(world, QUICK, arrive=defender), settings)


def _times(defender: Defender) -> list[float]:
    return [arrival.at for arrival in defender.arrivals]


# Clocks


@pytest.mark.parametrize("ahead", [1.5, 2.0, 5.0, 3600.0])
def test_a_date_that_is_ahead_opens_no_slot_early(ahead: float) -> None:
    """However far the answers' `Date` is ahead, hosts old and new together make 15 calls in any minute."""
    world = World()
    defender = Defender(world)
    _backlog(world, 150)
    world.date_error = ahead
    _app(world, defender).timer()

    def start_another() -> None:
        _app(world, defender).tick()
        world.at(world.now + 7.0, start_another)

    world.at(world.now + 5.0, start_another)
    world.run(600)
    assert violations(_times(defender), 15, 60.0) == []
    assert len(defender.arrivals) >= 100
    assert unsound(world.table) == []


def test_one_wrong_date_is_forgotten_at_the_next_write() -> None:
    """A host that once heard of a time hours ahead knows the table's own again as soon as a write is answered."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    world.date_error = 7200.0
    world.finish(app.health())
    world.date_error = 0.0
    _backlog(world, 1)
    world.finish(app.tick())
    now = app.host.time()
    assert now
    assert world.now - 1.0 <= now <= world.now


def test_the_clock_follows_its_own_writes() -> None:
    """A `Date` counts until the first write is answered; a stamp before the bound corrects it downwards."""
    now = 50.0
    clock = ServerClock(lambda: now)
    clock.guess(2000.0)
    assert clock.now() == 2000.0
    clock.wrote(1000.0, sent=49.0)
    clock.guess(2000.0)
    assert clock.now() == 1000.0
    now = 60.0
    clock.wrote(1009.5, sent=59.0)  # as expected: the answer took half a second
    assert clock.now() == pytest.approx(1010.0, abs=0.02)
    clock.wrote(1005.0, sent=59.0)  # another server has the partition now, and its clock is behind
    assert clock.now() == 1005.0


# Pauses


@pytest.mark.parametrize("status", [429, 503])
def test_what_the_api_asks_for_outlives_a_probes_success(status: int) -> None:
    """A call from before hears `Retry-After` while a probe is under way, and the probe succeeds: all wait."""
    world = World()
    asked: list[float] = []

    def says(_number: int, body: Mapping[str, str]) -> Answer | None:
        if body["title"] == "Rule 0":
            asked.append(world.now)
            return answer_with(status, retry_after=120.0)
        return answer_with(200)

    defender = Defender(world, says)
    _backlog(world, 3)
    late, prober = _app(world, defender), _app(world, defender)
    late.host.script = lambda request: Fault("late", 10.0) if request.kind == "call" else None
    over = pause.start(None, pause.Trouble("500", 0.0), world.now)
    assert over
    dispatcher = late.webhook.dispatcher
    first = late.host.submit(lambda: dispatcher.start(dispatcher.snapshot(), "token"))
    world.run(1)
    assert first.done()
    world.table.commit([over])
    prober.host.faults = replace(QUICK, answer_delay=(12.0, 12.0))  # the probe's answer comes after the 429
    _more(world, 40)
    prober.timer()
    world.run(100)
    (heard,) = asked
    assert len(defender.arrivals) == 4
    assert max(_times(defender)) <= heard + 0.1
    world.run(200)
    assert max(_times(defender)) > heard + 120.0


def _more(world: World, first: int) -> None:
    for number in range(first, first + 20):
        made = alert.check(samples.eight_fields(samples.event(number), f"Rule {number}", "High")).alert
        assert made
        world.table.commit(rows.insert(record.accept(made, source="", delivery="", now=world.now)))


@pytest.mark.parametrize("named", [20.0, 300.0])
def test_what_the_api_asks_for_outlives_the_operators_pause(named: float) -> None:
    """A 429 that comes after the operator paused still holds when the operator resumes."""
    world = World()
    defender = Defender(
        world, lambda number, _: answer_with(200) if number else answer_with(429, retry_after=named)
    )
    _backlog(world, 1)
    app = _app(world, defender)
    app.host.faults = replace(QUICK, call_delay=(2.0, 2.0))
    app.timer()
    world.run(1)
    world.table.commit([pause.stop(None, "stop")])
    world.run(3)
    (first,) = _times(defender)
    (stop,) = world.table.query(keys.STOP, keys.STOP + "~")
    held = window.read_pause(stop, POLICY)
    assert held
    world.table.commit(pause.resume(held))
    world.run(named + 40)
    assert _times(defender)[1] - first >= named


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seed", range(4))
def test_no_call_starts_within_the_retry_after(status: int, seed: int) -> None:
    """Fifteen calls hear `Retry-After` within two seconds: nobody calls before the last of them is over."""
    world = World(seed)
    ends: list[float] = []

    def says(_number: int, _body: Mapping[str, str]) -> Answer:
        if len(ends) == 15:
            return answer_with(200)
        ends.append(world.now + 37.0)
        return answer_with(status, retry_after=37.0)

    defender = Defender(world, says)
    _backlog(world, 40)
    app = _app(world, defender)
    app.host.faults = replace(QUICK, call_delay=(0.5, 2.5))
    app.timer()
    world.run(200)
    calls = _times(defender)
    assert len(calls) > 16
    assert calls[15] >= max(ends)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 3.0])
def test_a_batch_ends_where_its_snapshot_is_old(seconds: float) -> None:
    """Where each write takes long, a host stops acquiring within seconds of a pause that somebody else began."""
    world = World()
    defender = Defender(world)
    _backlog(world, 40)
    app = _app(world, defender)
    world.partition.seconds = seconds
    app.timer()
    world.run(2.5 * seconds)  # it has looked, and acquires
    world.table.commit([pause.stop(None, "stop")])
    began = world.now
    world.run(120)
    assert [at for at in _times(defender) if at > began + 1.0 + 2 * seconds + 0.5] == []


def test_calls_that_were_acquired_before_the_first_429_are_not_made() -> None:
    """A host that hears a 429 makes none of the calls for which it has a slot already; they go back as they were."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(429, retry_after=60.0))
    _backlog(world, 15)
    app = _app(world, defender)
    app.host.faults = Faults(table_delay=(0.05, 0.05), call_delay=(0.01, 0.01), answer_delay=(0.01, 0.01))
    app.timer()
    world.run(50)
    assert len(defender.arrivals) <= 2
    assert {row.values["attempts"] for row in world.table.query(keys.TODO, keys.TODO_END)} <= {0, 1}
    assert unsound(world.table) == []


def _acquired_in_a_pause(world: World) -> list[str]:
    """Return the slots that a call holds since later than the beginning of a pause that still lasts."""
    stored = world.table.query(keys.SLOT, keys.SLOT_END)
    begun = [
        row.timestamp
        for row in stored
        if row.key in (keys.PAUSE, keys.STOP)
        and (held := window.read_pause(row, POLICY))
        and not held.probed
        and world.now < held.ends
    ]
    leased = [row for row in stored if row.values.get("closed") == POLICY.lease and "step" not in row.values]
    return [row.key for row in leased if begun and row.timestamp > min(begun)]


@pytest.mark.parametrize("seed", range(6))
def test_no_slot_is_acquired_in_a_pause(seed: int) -> None:
    """Ten hosts with snapshots of their own: once a pause is written, none of those from before it serves any more."""
    broken: list[str] = []
    world = World(seed, watch=lambda: broken.extend(_acquired_in_a_pause(world)))
    defender = Defender(world, lambda _number, _body: answer_with(world.random.choice([200, 200, 500])))
    _backlog(world, 60)
    apps = [_app(world, defender) for _ in range(10)]
    for app in apps:
        app.host.faults = replace(QUICK, table_delay=(0.0, 0.3))
        app.timer()
    world.run(100)
    assert len(defender.arrivals) > 15
    assert broken == []


def test_a_snapshot_from_before_a_pause_acquires_nothing() -> None:
    """A host that looked half a second before another host's call failed makes no call, and no request more."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(500))
    _backlog(world, 20)
    early, failing = _app(world, defender), _app(world, defender)

    def late() -> list[object]:
        snapshot = early.webhook.dispatcher.snapshot()
        world.sleep(0.6)
        return list(early.webhook.dispatcher.start(snapshot, "token"))

    def fail() -> None:
        dispatcher = failing.webhook.dispatcher
        snapshot = dispatcher.snapshot()
        last_alone = replace(snapshot, backlog=replace(snapshot.backlog, waiting=snapshot.waiting[-1:]))
        failing.webhook.dispatcher.start(last_alone, "token")

    started = early.host.submit(late)
    failing.host.submit(fail)
    assert world.finish(started) == []
    world.run(1)
    assert len(defender.arrivals) == 1
    assert (early.host.queries, early.host.commits) == (1, 1)


# Settings that change


@pytest.mark.parametrize(("seconds", "margin"), [(120.0, 0.25), (60.0, 30.0), (600.0, 1.0)])
def test_a_lengthened_window_holds_for_the_calls_before_it(seconds: float, margin: float) -> None:
    """Hosts that start with a longer window or margin apply it to the slots that the hosts before them left."""
    world = World()
    defender = Defender(world)
    _backlog(world, 60)
    world.finish(_app(world, defender).tick())
    before = len(defender.arrivals)
    assert before == 15
    longer = Settings(rate_limit_window_seconds=seconds, rate_limit_margin_seconds=margin)
    _app(world, defender, longer).timer()
    world.run(3 * (seconds + margin))
    assert len(defender.arrivals) > before
    assert violations(_times(defender), 15, seconds) == []
    assert all(
        later - earlier >= seconds + margin - 2.5
        for earlier, later in itertools.pairwise(_times(defender)[::15])
    )


@pytest.mark.parametrize(
    ("closed", "opens"),
    [(0.0, 0.0), (60.25, 120.25), (150.25, 270.25)],
    ids=["unused", "answered", "held"],
)
def test_a_row_of_an_older_version_is_read_by_the_longer_rules(closed: float, opens: float) -> None:
    """A row that does not say its writer's window was not used, was answered, or is held: it is read as such."""
    table = MemoryTable(clock=lambda: 1000.0)
    etags = table.commit([window.acquire(window.read([], 0, POLICY).slots[0], "a", POLICY)])
    table.commit([Replace("slot-00", {"closed": closed}, etags["slot-00"])])
    rows = table.query(keys.SLOT, keys.SLOT_END)
    longer = replace(POLICY, window=120.0)
    assert window.read(rows, 1000.0, longer).slots[0].opens == 1000.0 + opens
    assert window.read(rows, 1000.0, POLICY).slots[0].opens == 1000.0 + closed


def test_a_slot_that_was_not_used_remembers_its_last_call() -> None:
    """A host with a longer window sees an unused slot open no sooner than a whole window after the call before."""
    now = 1000.0
    table = MemoryTable(clock=lambda: now)

    def slot(policy: window.Policy) -> window.Slot:
        return window.read(table.query(keys.SLOT, keys.SLOT_END), now, policy).slots[0]

    for unused in (False, True):
        opened = slot(POLICY)
        etags = table.commit([window.acquire(opened, "a", POLICY)])
        held = window.Held(opened.key, "a", etags[opened.key], opened.opens)
        now += 1.0
        done = window.release_unused(held, POLICY, now) if unused else window.release(held, POLICY)
        table.commit([done])
        now += 61.0
    given_back = now - 61.0
    assert slot(POLICY).opens == given_back + 1.0
    assert slot(replace(POLICY, window=120.0)).opens == given_back + 1.0 + 60.0
