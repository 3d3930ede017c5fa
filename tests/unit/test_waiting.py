"""Nothing waits for nothing: retries come soon, nobody is given up for a pause, and open slots are used."""

import functools
import itertools
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dev import samples
from dev.simulator.judge import violations
from dev.virtual import App, Defender, Faults, Host, World, said, unsound
from shared.alerts import alert
from shared.ledger import keys, record, rows
from shared.sending import pause
from shared.settings import Settings
from shared.table.protocol import Delete, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.clients.answer import Answer

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Outages log thousands of lines; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _app(world: World, defender: Defender, settings: Settings | None = None) -> App:
    return App.on(Host(world, QUICK, arrive=defender), settings)


def _payload(event: int, severity: str = "High") -> dict[str, str]:
    return samples.eight_fields(samples.event(event), f"Rule {event}", severity)


def _wait(world: World, events: range, severity: str = "High") -> None:
    """Let alerts wait for a slot, accepted now."""
    for event in events:
        made = alert.check(_payload(event, severity)).alert
        assert made
        entry = record.accept(made, source="defender", delivery="before", now=world.now)
        world.table.commit(rows.insert(entry))


def _entries(world: World) -> list[record.Entry]:
    return [rows.read(row) for row in world.table.query(keys.ALERT, keys.ALERT_END)]


# Retries


def test_what_met_an_outage_is_tried_within_minutes_of_its_end() -> None:
    """What failed through an outage of 30 minutes is created within 20 minutes after it, not an hour."""
    world = World()
    ends = world.now + 30 * 60
    defender = Defender(world, lambda _number, _body: said(500 if world.now < ends else 200))
    _wait(world, range(3))
    _app(world, defender).timer()
    world.run(30 * 60)
    assert all(entry.unavailable >= 3 for entry in _entries(world))
    world.run(20 * 60)
    assert {entry.state for entry in _entries(world)} == {"created"}


def test_retries_come_after_1_2_4_8_and_then_every_15_minutes() -> None:
    """The time between two tries of an alert that alone always fails doubles up to a quarter of an hour."""
    world = World()

    def says(_number: int, body: "Mapping[str, str]") -> "Answer":
        return said(500 if body["title"] == "Rule 0" else 200)

    defender = Defender(world, says)
    _wait(world, range(1))
    app = _app(world, defender)
    app.timer(every=1.0)
    for minute in range(80):  # others end the pauses
        other = range(100 + minute, 101 + minute)
        world.at(world.now + 60.0 * minute + 20.0, functools.partial(_wait, world, other))
    world.run(80 * 60)
    times = [call.at for call in defender.calls("Rule 0")]
    waited = [(later - earlier) / 60 for earlier, later in itertools.pairwise(times)]
    assert waited == pytest.approx([1, 2, 4, 8, 15, 15, 15, 15], abs=0.5)


def test_a_pause_gives_nobody_up() -> None:
    """After pauses of 49 hours a first and a second 503 fail no alert; its third call creates it."""
    world = World()
    defender = Defender(world, lambda number, _: said(200 if number > 1 else 503))
    _wait(world, range(1))
    world.table.commit([pause.stop(None, "stop")])
    world.run(49 * 3600)
    world.table.commit([Delete(pause.STOP_KEY, "*")])
    _app(world, defender).timer()
    world.run(70)
    world.table.commit([pause.stop(None, "again")])
    world.run(49 * 3600)
    world.table.commit([Delete(pause.STOP_KEY, "*")])
    world.run(600)
    (entry,) = _entries(world)
    assert (entry.state, entry.attempts) == ("created", 3)


@pytest.mark.parametrize("hours", [0.01, 1.0, 48.0])
def test_giving_up_counts_the_time_between_tries(hours: float) -> None:
    """An alert fails once the times between its tries add up to `GIVE_UP_HOURS`, and not before."""
    rules = record.Rules(give_up_hours=hours)
    tries = next(number for number in range(1000) if rules.gives_up(number))
    assert sum(rules.minutes(number) for number in range(tries)) >= hours * 60
    assert sum(rules.minutes(number) for number in range(tries - 1)) < hours * 60


# Permits


def test_open_slots_are_used_though_nobody_may_wait() -> None:
    """Fifteen POSTs at once on an instance where two may wait: all fifteen call at once, without any timer."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.gateway.permits = threading.BoundedSemaphore(2)
    posted = [app.post(_payload(event)) for event in range(15)]
    world.run(10)
    replies = [post.result() for post in posted]
    assert {reply.status for reply in replies} <= {200, 202}
    assert len(defender.arrivals) == 15
    assert {entry.state for entry in _entries(world)} == {"created"}


def test_who_may_not_wait_answers_before_defender_does() -> None:
    """A POST without a permit makes its call, answers 202 while it is under way, and its delivery tells the outcome."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.gateway.permits = threading.BoundedSemaphore(1)
    app.host.faults = Faults(table_delay=(0.01, 0.01), call_delay=(1.0, 1.0), answer_delay=(1.0, 1.0))
    app.gateway.permits.acquire(blocking=False)
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 202
    assert world.now - began < 0.5
    world.run(3)
    told = json.loads(world.finish(app.status(json.loads(reply.body)["id"])).body)
    assert told["status"] == "created"


# Idle


def _queries(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that collects how many rows each query from now on may read."""
    seen: list[int] = []
    query = world.table.query

    def counted(start: str, end: str, *, limit: int | None = None, **options: Any) -> list[Row]:
        seen.append(limit or 1_000)
        return query(start, end, limit=limit, **options)

    monkeypatch.setattr(world.table, "query", counted)
    return seen


@pytest.mark.parametrize("waiting", [0, 700])
@pytest.mark.parametrize("paused", [False, True])
def test_an_idle_tick_and_a_paused_hour_read_little(
    monkeypatch: pytest.MonkeyPatch, waiting: int, paused: bool
) -> None:
    """However much waits for a time or behind a pause, a look is at most two queries, each of 31 rows at the most."""
    world = World()
    app = _app(world, Defender(world, lambda _number, _body: said(404)))
    _wait(world, range(waiting if paused else 0))
    for event in range(1_000, 1_000 + waiting):
        made = alert.check(_payload(event)).alert
        assert made
        entry = record.accept(made, source="", delivery="", now=world.now)
        held = record.take(entry, "attempt", now=world.now, lease=7200.0)
        world.table.commit(rows.insert(held))
    if paused:
        world.table.commit([pause.stop(None, "stop")])
    world.finish(app.tick())  # what is past its retention is looked for once
    seen = _queries(world, monkeypatch)
    began = world.now
    world.finish(app.tick())
    looks = 1 + (world.now - began) / 5
    assert max(seen) == 31
    assert len(seen) <= 2 * looks


def test_a_backlog_of_retries_hides_no_slot() -> None:
    """While hundreds come due again, the window is never overrun, and each of them gets its turn."""
    world = World()
    defender = Defender(world)
    for event in range(200):
        made = alert.check(_payload(event)).alert
        assert made
        entry = record.accept(made, source="", delivery="", now=world.now)
        held = record.take(entry, "attempt", now=world.now, lease=10.0)
        world.table.commit(rows.insert(held))
    _app(world, defender).timer()
    world.run(15 * 61)
    assert {entry.state for entry in _entries(world)} == {"created"}
    assert violations([call.at for call in defender.arrivals], 15, 60.0) == []
    assert unsound(world.table) == []
