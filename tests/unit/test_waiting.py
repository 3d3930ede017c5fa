"""Nothing waits for nothing: retries come soon, nobody is given up for a pause, and open slots are used."""

import functools
import itertools
import json
import logging
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from dev import samples
from dev.simulator.judge import violations
from shared.alerts import alert
from shared.ledger import keys, record, rows, settlement
from shared.operations import replay
from shared.operations.routes import Operator, handle
from shared.sending import pause, window
from shared.settings import Settings
from shared.table.protocol import Delete, Row
from tests.checks import creating, graph
from tests.checks.app import App
from tests.checks.searches import searching
from tests.checks.sound import unsound
from tests.checks.virtual import ORIGIN, Defender, Faults, Host, World, answer_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.clients.answer import Answer
    from shared.web.reply import Reply

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
POLICY = window.Policy()


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
    defender = Defender(world, lambda _number, _body: answer_with(500 if world.now < ends else 200))
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
        return answer_with(500 if body["title"] == "Rule 0" else 200)

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


@pytest.mark.slow
def test_a_pause_gives_nobody_up() -> None:
    """After pauses of 49 hours a first and a second 503 fail no alert; its third call creates it."""
    world = World()
    defender = Defender(world, lambda number, _: answer_with(200 if number > 1 else 503))
    _wait(world, range(1))
    world.table.commit([pause.stop(None, "stop")])
    world.run(49 * 3600)
    world.table.commit([Delete(keys.STOP, "*")])
    _app(world, defender).timer()
    world.run(70)
    world.table.commit([pause.stop(None, "again")])
    world.run(49 * 3600)
    world.table.commit([Delete(keys.STOP, "*")])
    world.run(600)
    (entry,) = _entries(world)
    assert (entry.state, entry.attempts) == ("created", 3)


@pytest.mark.parametrize("hours", [0.01, 1.0, 48.0])
def test_giving_up_counts_the_time_between_tries(hours: float) -> None:
    """An alert fails once the times between its tries add up to `GIVE_UP_HOURS`, and not before."""
    rules = settlement.Rules(give_up_hours=hours)
    tries = next(number for number in range(1000) if rules.gives_up(number))
    assert sum(rules.minutes(number) for number in range(tries)) >= hours * 60
    assert sum(rules.minutes(number) for number in range(tries - 1)) < hours * 60


# Turns


def _flood(world: World, app: App, events: range, severity: str, every: float) -> None:
    """Let a sender post alerts one by one, each so long after the one before it."""
    for number, event in enumerate(events):

        def post(payload: dict[str, str]) -> None:
            app.post(payload, sender="flood")

        world.at(world.now + number * every, functools.partial(post, _payload(event, severity)))


def test_thousands_of_low_alerts_delay_no_high() -> None:
    """Behind 3,000 Low that have waited for two hours, a new High is sent with the next slot that opens."""
    world = World()
    defender = Defender(world)
    _wait(world, range(3_000), "Low")
    world.run(2 * 3600)
    app = _app(world, defender)
    app.timer()
    world.run(30)
    began = world.now
    app.post(_payload(5_000))
    world.run(65)
    (call,) = defender.calls("Rule 5000")
    assert call.at - began < 62


@pytest.mark.parametrize("hosts", [1, 4])
@pytest.mark.parametrize("severity", ["High", "Low"])
def test_a_flood_delays_no_other_sender(hosts: int, severity: str) -> None:
    """Of 400 alerts of one sender in two seconds a window's worth goes before an alert of another; all are sent."""
    world = World()
    defender = Defender(world)
    apps = [_app(world, defender) for _ in range(hosts)]
    for app in apps:
        app.timer()
    for number, app in enumerate(apps):
        events = range(number * 1_000, number * 1_000 + 400 // hosts)
        _flood(world, app, events, severity, 0.005 * hosts)
    world.run(20)
    began = world.now
    genuine = apps[-1].post(_payload(9_000, severity), sender="genuine")
    world.run(90)
    assert genuine.result().status in (200, 202)
    (call,) = defender.calls("Rule 9000")
    assert call.at - began <= 62
    world.run(400 * 4.2)
    assert {entry.state for entry in _entries(world)} == {"created"}
    assert violations([call.at for call in defender.arrivals], 15, 60.0) == []
    assert unsound(world.table) == []


@pytest.mark.parametrize("severity", ["High", "Low"])
def test_a_flood_in_a_pause_delays_no_other_sender(severity: str) -> None:
    """After a pause in which the turns of 400 alerts of one sender passed, an alert of another goes with the next."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.timer()
    world.table.commit([pause.stop(None, "stop")])
    _flood(world, app, range(400), severity, 0.005)
    world.run(30 * 60)
    others = [app.post(_payload(9_000 + number, severity), sender=f"genuine {number}") for number in range(3)]
    world.run(10)
    world.table.commit([Delete(keys.STOP, "*")])
    world.run(62)
    assert all(other.result().status == 202 for other in others)
    calls = [call.body["title"] for call in defender.arrivals]
    assert {f"Rule {9_000 + number}" for number in range(3)} <= set(calls[:16]), calls
    world.run(400 * 4.2)
    assert {entry.state for entry in _entries(world)} == {"created"}
    assert unsound(world.table) == []


def test_alerts_of_many_senders_keep_their_order_in_a_pause() -> None:
    """Ten senders post one alert each, a minute apart, while a pause holds: they are sent in this order."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.timer()
    world.table.commit([pause.stop(None, "stop")])
    for number in range(10):
        app.post(_payload(number), sender=f"sender {number}")
        world.run(60)
    waiting = world.table.query(keys.TODO, keys.TODO_END)
    assert [rows.read(row).alert.title for row in waiting] == [f"Rule {number}" for number in range(10)]


@pytest.mark.parametrize("at_once", [True, False], ids=["in portions", "one by one"])
def test_replays_delay_no_other_sender(at_once: bool) -> None:
    """After 150 failed alerts of a sender were replayed, a new one of another is sent with the next slot that opens."""
    world = World()
    defender = Defender(world, lambda number, _: answer_with(400 if number < 150 else 200))
    app = _app(world, defender, Settings(rate_limit_window_seconds=1.0))
    app.timer()
    for event in range(150):
        app.post(_payload(event), sender="flooding")
    world.run(90)
    failed = [entry.alert.id for entry in _entries(world) if entry.state == "failed"]
    assert len(failed) == 150
    slow = _app(world, defender)
    if at_once:
        assert (
            world.finish(slow.host.submit(lambda: replay.failed(slow.webhook.dispatcher, 200).replayed))
            == 150
        )
    else:
        for alert_id in failed:
            world.finish(slow.host.submit(functools.partial(replay.alert, slow.webhook.dispatcher, alert_id)))
    dues = sorted(row.values["due"] for row in world.table.query(keys.TODO, keys.TODO_END))
    assert all(later - earlier >= 4.0 for earlier, later in itertools.pairwise(dues[-100:]))
    genuine = slow.post(_payload(9_000), sender="genuine")
    world.finish(genuine)
    (entry,) = [entry for entry in _entries(world) if entry.sender == "genuine"]
    assert len([due for due in dues if due <= entry.due]) <= 15
    assert unsound(world.table) == []


def test_a_turn_costs_no_request_of_its_own() -> None:
    """Where no other host is first, each alert that has to wait is one commit, and after the first no query."""
    world = World()
    app = _app(world, Defender(world, lambda _number, _body: None))
    world.finish(app.post([_payload(event) for event in range(15)], sender="a"))  # the window is full
    world.finish(app.post(_payload(100), sender="a"))
    app.host.queries = app.host.commits = 0
    for event in range(101, 104):
        world.finish(app.post(_payload(event), sender="a"))
    assert (app.host.queries, app.host.commits) == (0, 3)
    dues = sorted(row.values["due"] for row in world.table.query(keys.TODO, keys.TODO_END))
    assert all(later - earlier >= 4.0 for earlier, later in itertools.pairwise(dues))


def test_hosts_go_by_each_others_turns() -> None:
    """Where another host was first the turn is read again: the alerts on two hosts have turns of their own."""
    world = World()
    defender = Defender(world, lambda _number, _body: None)
    apps = [_app(world, defender) for _ in range(2)]
    world.finish(apps[0].post([_payload(event) for event in range(15)], sender="a"))
    for event in range(100, 130):
        world.finish(apps[event % 2].post(_payload(event), sender="a"))
    dues = sorted(row.values["due"] for row in world.table.query(keys.TODO, keys.TODO_END))
    assert len(dues) == 30
    assert dues[-1] - dues[0] >= 20 * 4.0


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_of_a_turn_is_right_or_null(seed: int) -> None:
    """Whatever a POST or a status says of when a slot is expected comes true within a tenth, if nothing goes wrong."""
    world = World(seed)
    defender = Defender(world)
    apps = [_app(world, defender) for _ in range(2)]
    apps[0].timer()
    turns: list[tuple[float, float, str]] = []

    def note(reply: "Reply") -> None:
        for item in json.loads(reply.body)["alerts"]:
            if item["waitingFor"] and item["waitingFor"]["what"] == "slot" and item["waitingFor"]["until"]:
                until = datetime.fromisoformat(item["waitingFor"]["until"]).timestamp()
                turns.append((world.now, until, item["request"]["title"]))

    def post(event: int, sender: str) -> None:
        future = apps[event % 2].post(_payload(event), sender=sender)
        future.add_done_callback(lambda done: note(done.result()))

    for event in range(60):
        world.at(world.now + event * 0.1, functools.partial(post, event, "ab"[event % 3 == 0]))
    world.run(12)
    for row in world.table.query(keys.DELIVERY, keys.DELIVERY_END):
        future = apps[1].status(row.key.removeprefix(keys.DELIVERY))
        future.add_done_callback(lambda done: note(done.result()))
    world.run(600)
    assert {entry.state for entry in _entries(world)} == {"created"}
    assert turns
    wrong = [
        (title, until - at, defender.calls(title)[0].at - at)
        for at, until, title in turns
        if abs(defender.calls(title)[0].at - until) > max(2.0, 0.1 * (until - at))
    ]
    assert wrong == []


# Permits


def test_open_slots_are_used_though_nobody_may_wait() -> None:
    """Fifteen POSTs at once on an instance where two may wait: all fifteen call at once, without any timer."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.webhook.permits = threading.BoundedSemaphore(2)
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
    app.webhook.permits = threading.BoundedSemaphore(1)
    app.host.faults = Faults(table_delay=(0.01, 0.01), call_delay=(1.0, 1.0), answer_delay=(1.0, 1.0))
    app.webhook.permits.acquire(blocking=False)
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 202
    assert world.now - began < 0.5
    world.run(3)
    document = json.loads(world.finish(app.status(json.loads(reply.body)["id"])).body)
    assert document["status"] == "created"


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
    """However much waits for a time or behind a pause, a snapshot is at most two queries of 31 rows each."""
    world = World()
    app = _app(world, Defender(world, lambda _number, _body: answer_with(404)))
    _wait(world, range(waiting if paused else 0))
    for event in range(1_000, 1_000 + waiting):
        made = alert.check(_payload(event)).alert
        assert made
        entry = record.accept(made, source="", delivery="", now=world.now)
        held = record.hold(entry, "attempt", now=world.now, lease=7200.0)
        world.table.commit(rows.insert(held))
    if paused:
        world.table.commit([pause.stop(None, "stop")])
    world.finish(app.tick())  # what is past its retention is looked for once
    seen = _queries(world, monkeypatch)
    began = world.now
    world.finish(app.tick())
    snapshots = 1 + (world.now - began) / 5
    assert max(seen) == 31
    assert len(seen) <= 2 * snapshots


def test_retries_are_read_once_a_tick_unless_some_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """While no retry is due, only the first look of a tick reads them: each later look is one query."""
    world = World()
    app = _app(world, Defender(world), Settings(rate_limit_window_seconds=10.0))
    _wait(world, range(100))
    firsts: list[str] = []
    query = world.table.query

    def noted(start: str, end: str, **options: Any) -> list[Row]:
        firsts.append(start)
        return query(start, end, **options)

    monkeypatch.setattr(world.table, "query", noted)
    world.finish(app.host.submit(lambda: app.webhook.dispatcher.drain(app.host.monotonic() + 55)))
    looks = [start for start in firsts if start in (keys.LATER, keys.SLOT)]
    assert looks[0] == keys.LATER
    assert len(looks) > 3
    assert keys.LATER not in looks[1:]


@pytest.mark.parametrize("seed", range(5))
def test_a_tick_ends_in_time(seed: int) -> None:
    """A host that waits for others to go first does not go on longer than its tick."""
    world = World(seed)
    app = _app(world, Defender(world))
    slots = window.read([], world.now, POLICY).slots
    world.table.commit([window.acquire(slot, "attempt", POLICY) for slot in slots])
    _wait(world, range(3))
    world.run(POLICY.lease - 54)  # they open just before the end
    began = world.now
    world.finish(app.host.submit(lambda: app.webhook.dispatcher.drain(app.host.monotonic() + 55)))
    assert world.now - began <= 55 + 0.2


def test_a_backlog_of_retries_hides_no_slot() -> None:
    """While hundreds come due again, the window is never overrun, and each of them gets its turn."""
    world = World()
    defender = Defender(world)
    for event in range(200):
        made = alert.check(_payload(event)).alert
        assert made
        entry = record.accept(made, source="", delivery="", now=world.now)
        held = record.hold(entry, "attempt", now=world.now, lease=10.0)
        world.table.commit(rows.insert(held))
    _app(world, defender).timer()
    world.run(15 * 61)
    assert {entry.state for entry in _entries(world)} == {"created"}
    assert violations([call.at for call in defender.arrivals], 15, 60.0) == []
    assert unsound(world.table) == []


def test_what_is_known_takes_no_turn() -> None:
    """However often a sender posts again what is known, its next alert is due as if it had not."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    known = [_payload(event) for event in range(30)]
    world.finish(app.post(known, sender="again"))
    app.timer()
    world.run(600)
    for _ in range(10):
        world.finish(app.post(known, sender="again"))
    world.finish(app.post([_payload(event) for event in range(100, 120)], sender="again"))
    due = [entry.due for entry in _entries(world) if entry.waits.startswith(keys.TODO)]
    assert due
    assert max(due) <= world.now + 20 * 60 / 15


@pytest.mark.parametrize(
    ("stage", "payload", "setting"),
    [("search", graph.payload(1), "FIND_EVENTS"), ("entity", creating.sign_in(1), "NO_EVENT")],
)
def test_who_waits_in_a_stage_that_is_off_hears_so(stage: str, payload: Any, setting: str) -> None:
    """Not that its turn will come: which setting is off, and that it waits for that; at the answer and in the list."""
    world = World()
    on = App.on(Host(world, QUICK), Settings(find_events="true", no_event="entity", inline_seconds=0))
    posted = json.loads(world.finish(on.post(payload)).body)
    off = _app(world, Defender(world))
    answer = world.finish(off.status(posted["id"]))
    assert answer.headers["Retry-After"] == "60"
    shown = json.loads(answer.body)["alerts"][0]
    operator = Operator(off.webhook, lambda: None, searching())
    url = f"{ORIGIN}/api/operations/alerts?status=waiting"
    listed = json.loads(world.finish(off.host.ask(lambda: handle(operator, "GET", "alerts", url))).body)[
        "alerts"
    ][0]
    for alert_shown in (shown, listed):
        assert alert_shown["waitingFor"] == {
            "what": "pause",
            "reason": f"the stage {stage} is switched off (setting {setting}); the alert waits until it is on again",
            "until": None,
        }
    before = json.loads(world.finish(on.status(posted["id"])).body)["alerts"][0]
    assert "switched off" not in before["waitingFor"]["reason"]
