"""The window's invariant: never more calls than Defender takes, whatever clocks, networks and hosts do.

The campaigns run the real dispatcher on many hosts in virtual time.
"""

import json
import logging
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev import samples
from dev.memory_table import MemoryTable
from dev.simulator.judge import violations
from shared.alerts import alert
from shared.errors import Conflict
from shared.ledger import keys, record, rows
from shared.sending import pause, window
from shared.table.protocol import Delete, Insert, Replace
from tests.checks.app import App
from tests.checks.chances import Chances
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Faults, Host, World, answer_with

POLICY = window.Policy()


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Campaigns of faults log thousands of lines; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _backlog(world: World, alerts: int) -> None:
    """Let so many alerts wait."""
    made = alert.check(samples.eight_fields(samples.event(1), "A rule", "High")).alert
    assert made
    for number in range(alerts):
        numbered = replace(made, report_id=str(number))
        entry = record.accept(numbered, source="", delivery="", now=world.now - 600 + number / 1000)
        world.table.commit(rows.insert(entry))


def _no_pauses(world: World) -> None:
    """Take every pause away within a second: the window alone must hold."""
    if world.table.query(keys.PAUSE, keys.PAUSE + "~"):
        world.table.commit([Delete(keys.PAUSE, "*")])
    world.at(world.now + 1.0, lambda: _no_pauses(world))


def _campaign(
    seed: int, chances: Chances, *, hosts: int, minutes: float, delays: Faults | None = None
) -> tuple[World, list[float]]:
    """Let hosts dispatch one backlog, as fast as the window lets them; return when calls arrived at Defender."""
    world = World(seed)
    defender = Defender(world)
    _backlog(world, int(minutes * 15) + 30)
    for _ in range(hosts):
        host = Host(world, delays or Faults(), world.random.uniform(-6, 6) * 3600, defender)
        host.script = chances.script(world)
        App.on(host).timer(every=world.random.uniform(1.0, 5.0))
    _no_pauses(world)
    world.run(minutes * 60)
    return world, [arrival.at for arrival in defender.arrivals]


CHANCE = st.sampled_from([0.0, 0.02, 0.1, 0.3])
FAULTS = st.builds(
    Chances,
    table_lost=CHANCE,
    table_late=CHANCE,
    table_swallowed=CHANCE,
    freeze=CHANCE,
    crash=st.sampled_from([0.0, 0.0005]),
    call_slow=CHANCE,
    # 85 s on the way and at most 5 s from take to call: within the assumed deadline + window.
    call_slow_seconds=st.just(POLICY.deadline + POLICY.window - window.START_SECONDS),
    call_unsent=CHANCE,
    answer_lost=CHANCE,
)
CAMPAIGN = settings(max_examples=30)


@CAMPAIGN
@given(seed=st.integers(0, 2**32), faults=FAULTS, hosts=st.integers(1, 8))
def test_no_rolling_window_ever_holds_more_calls_than_defender_takes(
    seed: int, faults: Chances, hosts: int
) -> None:
    """Within the stated assumption no fault brings a sixteenth arrival into any rolling minute."""
    world, arrivals = _campaign(seed, faults, hosts=hosts, minutes=5)
    assert violations(arrivals, POLICY.calls, POLICY.window) == []
    assert unsound(world.table) == []


@pytest.mark.slow
def test_the_property_can_fail() -> None:
    """Where requests arrive later than the assumption allows, the same campaign does find a violation."""
    faults = Chances(call_slow=0.5, call_slow_seconds=600.0)
    assert any(
        violations(_campaign(seed, faults, hosts=3, minutes=15)[1], POLICY.calls, POLICY.window)
        for seed in range(20)
    )


def test_a_window_without_faults_is_used_to_the_full() -> None:
    """Without faults the window is used up to its margin, so the property above is no property of silence."""
    delays = Faults(call_delay=(0.01, 0.02), answer_delay=(0.01, 0.02))
    _, arrivals = _campaign(7, Chances(), hosts=4, minutes=10, delays=delays)
    assert len(arrivals) >= 0.95 * 15 * 10


@CAMPAIGN
@given(seed=st.integers(0, 2**32), faults=FAULTS)
def test_no_slot_is_lost_for_longer_than_its_lease(seed: int, faults: Chances) -> None:
    """Whatever happened to its holders, every slot is open one lease after the last write to it."""
    world, _ = _campaign(seed, replace(faults, crash=0.01), hosts=5, minutes=4)
    rows = world.table.query(keys.SLOT, keys.PAUSE)
    assert rows
    for row in rows:
        assert window.read([row], row.timestamp + POLICY.lease, POLICY).open


def test_a_new_window_is_open_and_a_taken_slot_is_closed_for_its_lease() -> None:
    """A missing row is an open slot; a take closes it for deadline + two windows + margin."""
    table = MemoryTable(clock=lambda: 1000.0)
    view = window.read([], 1000.0, POLICY)
    assert len(view.open) == 15
    assert view.opens_in == 0.0
    table.commit([window.acquire(slot, "a", POLICY) for slot in view.slots])
    rows = table.query(keys.SLOT, keys.SLOT_END)
    assert window.read(rows, 1000.0 + 150.2, POLICY).open == ()
    assert window.read(rows, 1000.0, POLICY).opens_in == 150.25
    assert len(window.read(rows, 1000.0 + 150.25, POLICY).open) == 15


@pytest.mark.parametrize(("sent", "closed"), [(True, 60.25), (False, 1.0)])
def test_a_slot_given_back_rests_for_a_window_unless_nothing_was_sent(sent: bool, closed: float) -> None:
    """After an answer the slot rests for window + margin; where no byte was sent it opens in a second."""
    table = MemoryTable(clock=lambda: 1000.0)
    slot = window.read([], 1000.0, POLICY).slots[3]
    etags = table.commit([window.acquire(slot, "a", POLICY)])
    held = window.Held(slot.key, "a", etags[slot.key], slot.opens)
    table.commit([window.release(held, POLICY) if sent else window.release_unused(held, POLICY, 1000.0)])
    rows = table.query(keys.SLOT, keys.SLOT_END)
    again = window.read(rows, 1000.0, POLICY).slots[3]
    assert again.opens == 1000.0 + closed


def test_two_takers_of_one_slot_cannot_both_have_it() -> None:
    """The second acquire meets a conflict, on a slot that was never used as on one that was."""
    table = MemoryTable(clock=lambda: 1000.0)
    slot = window.read([], 1000.0, POLICY).slots[0]
    table.commit([window.acquire(slot, "a", POLICY)])
    with pytest.raises(Conflict):
        table.commit([window.acquire(slot, "b", POLICY)])
    used = window.read(table.query(keys.SLOT, keys.SLOT_END), 2000.0, POLICY).slots[0]
    table.commit([window.acquire(used, "c", POLICY)])
    with pytest.raises(Conflict):
        table.commit([window.acquire(used, "d", POLICY)])


def test_a_late_holder_cannot_give_back_a_slot_that_another_took() -> None:
    """A release after the lease ran out and another acquired the slot changes nothing."""
    now = 1000.0
    table = MemoryTable(clock=lambda: now)
    slot = window.read([], now, POLICY).slots[0]
    first = table.commit([window.acquire(slot, "a", POLICY)])
    now += POLICY.lease
    view = window.read(table.query(keys.SLOT, keys.SLOT_END), now, POLICY)
    table.commit([window.acquire(view.slots[0], "b", POLICY)])
    with pytest.raises(Conflict):
        table.commit([window.release(window.Held(slot.key, "a", first[slot.key]), POLICY)])


@pytest.mark.parametrize("closed", ["soon", math.nan, math.inf, -1.0])
def test_a_row_without_a_readable_time_is_closed_for_a_lease(closed: float | str) -> None:
    """A row that none of us can have written is never open by accident, nor closed for ever."""
    table = MemoryTable(clock=lambda: 1000.0)
    etags = table.commit([window.acquire(window.read([], 0, POLICY).slots[0], "a", POLICY)])
    table.commit([Replace("slot-00", {"closed": closed}, etags["slot-00"])])
    rows = table.query(keys.SLOT, keys.SLOT_END)
    assert window.read(rows, 1000.0, POLICY).slots[0].opens == 1000.0 + POLICY.lease


def test_a_pause_of_any_kind_can_be_read() -> None:
    """What somebody wrote into the pause's row by hand stops no snapshot."""
    table = MemoryTable(clock=lambda: 1000.0)
    table.commit([Insert(keys.PAUSE, {"closed": "x", "reason": 7, "step": "many"})])
    held = window.read(table.query(keys.SLOT, keys.SLOT_END), 1000.0, POLICY).pause
    assert held
    assert (held.ends, held.reason, held.step) == (1000.0 + POLICY.lease, "7", 1)


def test_an_outage_may_last_for_days() -> None:
    """However many probes have failed, the next pause is a minute."""
    operation = pause.renew(pause.Probe(100_000, "e"), pause.Trouble("500", 5.0))
    assert isinstance(operation, Replace)
    assert operation.values["closed"] == pause.PROBE_SECONDS


def test_a_reason_is_text_that_the_table_takes() -> None:
    """Control characters and half characters of Defender's words do not keep a pause from being written."""
    raw = json.dumps({"error": {"code": "Busy\0", "message": "half \ud800 \x1f 😀"}}).encode()
    assert pause.trouble(answer_with(503, raw=raw), POLICY.window).reason == "503 Busy  half     😀"


@pytest.mark.parametrize(
    ("monotonic", "wall", "seconds", "fresh"),
    [
        (11.9, 11.9, 60.0, True),
        (12.1, 0.0, 60.0, False),
        (0.0, 12.1, 60.0, False),
        (0.1, -7200.0, 60.0, True),
        (1.9, 1.9, 2.0, True),
        (2.1, 2.1, 2.0, False),
    ],
)
def test_a_call_starts_soon_after_its_take_or_not_at_all(
    monotonic: float, wall: float, seconds: float, fresh: bool
) -> None:
    """The clock that moved more decides, so a suspended machine notices by its wall clock; a window at the most."""
    times = {"monotonic": 100.0, "wall": 5000.0}
    start = window.Start.now(lambda: times["monotonic"], lambda: times["wall"])
    times["monotonic"] += monotonic
    times["wall"] += wall
    assert start.is_fresh(replace(POLICY, window=seconds)) is fresh
