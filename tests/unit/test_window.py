"""The window's invariant: never more calls than Defender takes, whatever clocks, networks and hosts do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.judge import violations
from dev.virtual import Faults, Host, World
from shared import window
from shared.defender import Answer
from shared.problems import StorageOut
from shared.storage import Conflict, MemoryTable, Replace

POLICY = window.Policy()


class Sender:
    """One host that sends as fast as the window lets it: look, take, call, give back."""

    def __init__(self, host: Host, policy: window.Policy) -> None:
        self.host = host
        self.policy = policy

    def run(self, end: float) -> None:
        """Send until the world's time is `end`."""
        while self.host.world.now < end:
            try:
                self._send_one()
            except StorageOut:
                self.host.world.sleep(1.0)

    def _send_one(self) -> None:
        host, policy = self.host, self.policy
        view = window.look(host.query(window.FIRST_KEY, window.END_KEY), host.now(), policy)
        if not view.open:
            host.world.sleep(min(view.opens_in, 5.0) + 0.001)
            return
        slot = host.world.random.choice(view.open)
        start = window.Start.now(host.monotonic, host.wall)
        try:
            etags = host.commit([window.take(slot, "attempt", policy)])
        except Conflict:
            return
        held = window.Held(slot.key, "attempt", etags[slot.key])
        if not start.is_fresh():
            self._give_back(held, sent=False)
            return
        answer = host.create_alert({}, "token")
        if answer.answered or not answer.sent:
            self._give_back(held, sent=answer.sent)

    def _give_back(self, held: window.Held, *, sent: bool) -> None:
        try:
            self.host.commit([window.give_back(held, self.policy, sent=sent)])
        except (Conflict, StorageOut):
            return


def _created(_body: Mapping[str, Any]) -> Answer:
    return Answer(
        kind="created",
        status=200,
        alert={"id": "da1"},
        merged=False,
        error=None,
        retry_after=None,
        sent=True,
        answered=True,
        seconds=0.0,
    )


def _arrivals(
    seed: int, faults: Faults, *, hosts: int, minutes: float, policy: window.Policy = POLICY
) -> list[float]:
    world = World(seed)
    arrivals: list[float] = []

    def arrive(body: Mapping[str, Any]) -> Answer:
        arrivals.append(world.now)
        return _created(body)

    end = world.now + minutes * 60
    for _ in range(hosts):
        host = Host(world, faults, wall_error=world.random.uniform(-6, 6) * 3600, arrive=arrive)
        sender = Sender(host, policy)
        host.spawn(lambda sender=sender: sender.run(end))  # type: ignore[misc]  # bound early on purpose
    world.run()
    return arrivals


CHANCE = st.sampled_from([0.0, 0.02, 0.1, 0.3])
FAULTS = st.builds(
    Faults,
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
CAMPAIGN = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@CAMPAIGN
@given(seed=st.integers(0, 2**32), faults=FAULTS, hosts=st.integers(1, 12))
def test_no_rolling_window_ever_holds_more_calls_than_defender_takes(
    seed: int, faults: Faults, hosts: int
) -> None:
    """Within the stated assumption no fault brings a sixteenth arrival into any rolling minute."""
    arrivals = _arrivals(seed, faults, hosts=hosts, minutes=8)
    assert violations(arrivals, POLICY.calls, POLICY.window) == []


def test_the_property_can_fail() -> None:
    """Where requests arrive later than the assumption allows, the same campaign does find a violation."""
    faults = Faults(call_slow=0.5, call_slow_seconds=600.0)
    found = [
        violations(_arrivals(seed, faults, hosts=12, minutes=20), POLICY.calls, POLICY.window)
        for seed in range(5)
    ]
    assert any(found)


def test_a_window_without_faults_is_used_to_the_full() -> None:
    """Without faults the window is used up to its margin, so the property above is no property of silence."""
    faults = replace(Faults(), call_delay=(0.01, 0.02), answer_delay=(0.01, 0.02))
    arrivals = _arrivals(7, faults, hosts=4, minutes=10)
    assert len(arrivals) >= 0.95 * 15 * 10


@CAMPAIGN
@given(seed=st.integers(0, 2**32), faults=FAULTS)
def test_no_slot_is_lost_for_longer_than_its_lease(seed: int, faults: Faults) -> None:
    """Whatever happened to its holders, every slot is open one lease after the last write to it."""
    world = World(seed)
    hosts = [Host(world, replace(faults, crash=0.01), arrive=_created) for _ in range(6)]
    for host in hosts:
        sender = Sender(host, POLICY)
        host.spawn(lambda sender=sender: sender.run(world.now + 600))  # type: ignore[misc]  # bound early
    world.run()
    rows = world.table.query(window.FIRST_KEY, window.END_KEY)
    assert rows
    for row in rows:
        assert window.look([row], row.timestamp + POLICY.lease, POLICY).open


def test_a_new_window_is_open_and_a_taken_slot_is_closed_for_its_lease() -> None:
    """A missing row is an open slot; a take closes it for deadline + two windows + margin."""
    table = MemoryTable(clock=lambda: 1000.0)
    view = window.look([], 1000.0, POLICY)
    assert len(view.open) == 15
    assert view.opens_in == 0.0
    table.commit([window.take(slot, "a", POLICY) for slot in view.slots])
    rows = table.query(window.FIRST_KEY, window.END_KEY)
    assert window.look(rows, 1000.0 + 150.2, POLICY).open == ()
    assert window.look(rows, 1000.0, POLICY).opens_in == 150.25
    assert len(window.look(rows, 1000.0 + 150.25, POLICY).open) == 15


@pytest.mark.parametrize(("sent", "closed"), [(True, 60.25), (False, 0.0)])
def test_a_slot_given_back_rests_for_a_window_unless_nothing_was_sent(sent: bool, closed: float) -> None:
    """After an answer the slot rests for window + margin; where no byte was sent it opens at once."""
    table = MemoryTable(clock=lambda: 1000.0)
    slot = window.look([], 1000.0, POLICY).slots[3]
    etags = table.commit([window.take(slot, "a", POLICY)])
    table.commit([window.give_back(window.Held(slot.key, "a", etags[slot.key]), POLICY, sent=sent)])
    rows = table.query(window.FIRST_KEY, window.END_KEY)
    again = window.look(rows, 1000.0, POLICY).slots[3]
    assert again.opens == 1000.0 + closed


def test_two_takers_of_one_slot_cannot_both_have_it() -> None:
    """The second take meets a conflict, on a slot that was never used as on one that was."""
    table = MemoryTable(clock=lambda: 1000.0)
    slot = window.look([], 1000.0, POLICY).slots[0]
    table.commit([window.take(slot, "a", POLICY)])
    with pytest.raises(Conflict):
        table.commit([window.take(slot, "b", POLICY)])
    used = window.look(table.query(window.FIRST_KEY, window.END_KEY), 2000.0, POLICY).slots[0]
    table.commit([window.take(used, "c", POLICY)])
    with pytest.raises(Conflict):
        table.commit([window.take(used, "d", POLICY)])


def test_a_late_holder_cannot_give_back_a_slot_that_another_took() -> None:
    """A give-back after the lease ran out and another took the slot changes nothing."""
    now = 1000.0
    table = MemoryTable(clock=lambda: now)
    slot = window.look([], now, POLICY).slots[0]
    first = table.commit([window.take(slot, "a", POLICY)])
    now += POLICY.lease
    view = window.look(table.query(window.FIRST_KEY, window.END_KEY), now, POLICY)
    table.commit([window.take(view.slots[0], "b", POLICY)])
    with pytest.raises(Conflict):
        table.commit([window.give_back(window.Held(slot.key, "a", first[slot.key]), POLICY)])


def test_a_row_without_a_readable_time_is_closed_for_a_lease() -> None:
    """A row that none of us can have written is never open by accident, nor closed for ever."""
    table = MemoryTable(clock=lambda: 1000.0)
    etags = table.commit([window.take(window.look([], 0, POLICY).slots[0], "a", POLICY)])
    table.commit([Replace("slot-00", {"closed": "soon"}, etags["slot-00"])])
    rows = table.query(window.FIRST_KEY, window.END_KEY)
    assert window.look(rows, 1000.0, POLICY).slots[0].opens == 1000.0 + POLICY.lease


@pytest.mark.parametrize(
    ("monotonic", "wall", "fresh"),
    [(4.9, 4.9, True), (5.1, 0.0, False), (0.0, 5.1, False), (0.1, -7200.0, True)],
)
def test_a_call_starts_soon_after_its_take_or_not_at_all(monotonic: float, wall: float, fresh: bool) -> None:
    """The clock that moved more decides, so a suspended machine notices by its wall clock."""
    times = {"monotonic": 100.0, "wall": 5000.0}
    start = window.Start.now(lambda: times["monotonic"], lambda: times["wall"])
    times["monotonic"] += monotonic
    times["wall"] += wall
    assert start.is_fresh() is fresh
