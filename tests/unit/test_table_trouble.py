"""A table that is busy, slow or unavailable: the limit holds, and what a sender hears is so."""

import collections
import json
import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dev import samples
from dev.simulator.judge import violations
from shared.alerts.alert import Alert
from shared.errors import Conflict
from shared.ledger import keys, record, rows
from shared.sending import pause, window
from shared.settings import Settings
from shared.table.protocol import Delete, Operation
from shared.webhook.receive import TABLE_SECONDS
from tests.checks.app import App, Remembering
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Faults, Host, Request, World

if TYPE_CHECKING:
    from concurrent.futures import Future

    from shared.web.reply import Reply

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
MAPPINGS = Remembering()
LOST, BUSY = Fault("lost"), Fault("busy")


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _payload(event: int, severity: str = "High") -> dict[str, Any]:
    return samples.eight_fields(samples.event(event), f"Rule {event}", severity)


def _app(world: World, defender: Defender, settings: Settings | None = None) -> App:
    """Start the app on a host that has seen the table before."""
    app = App.on(Host(world, QUICK, arrive=defender), settings, MAPPINGS)
    world.finish(app.health())
    return app


def _alerts(world: World) -> dict[str, record.Entry]:
    alerts = world.table.query(keys.ALERT, keys.ALERT_END)
    return {entry.alert.id: entry for entry in map(rows.read, alerts)}


def _type(reply: "Reply") -> str:
    return str(json.loads(reply.body)["type"]).rpartition(":")[2]


def _takes(app: App) -> list[str]:
    """Return a list that collects the slots that a host acquires from now on."""
    slots: list[str] = []

    def note(request: Request) -> None:
        for operation in request.operations:
            if operation.key.startswith(keys.SLOT) and not isinstance(operation, Delete):
                slots.extend([operation.key] * (operation.values["closed"] == window.Policy().lease))

    app.host.script = note
    return slots


def _stream(world: World, apps: Sequence[App], seconds: float, every: float) -> "list[Future[Reply]]":
    """Let new alerts arrive at one host after the other, for so long; return the list of what was answered."""
    posted: list[Future[Reply]] = []
    end = world.now + seconds

    def arrive() -> None:
        posted.append(apps[len(posted) % len(apps)].post(_payload(len(posted))))
        if world.now < end:
            world.at(world.now + every, arrive)

    world.at(world.now, arrive)
    return posted


# Busy


@pytest.mark.parametrize("seed", range(6))
def test_a_busy_table_does_not_open_the_window(seed: int) -> None:
    """Five hosts, more than a window's worth, and somebody who takes all of the partition's entities, off and on.

    Never more than 15 calls in a rolling minute; who was answered 2xx is in the table, who was answered 503 heard when
    to come back; and as soon as the table has time everything is sent.
    """
    world = World(seed)
    defender = Defender(world)
    apps = [_app(world, defender) for _ in range(5)]
    for app in apps:
        app.timer()
    posted = _stream(world, apps, 300.0, 1.5)
    end = world.now + 300.0

    def neighbour() -> None:
        """Somebody else who uses up nearly all of the partition, seconds in advance."""
        if world.random.random() < 0.1:
            world.partition.spend(17_000)
        if world.now < end:
            world.at(world.now + 1.0, neighbour)

    world.at(world.now, neighbour)
    world.run(400)
    assert world.partition.turned_away > 100
    replies = [post.result() for post in posted]
    refused = [reply for reply in replies if reply.status == 503]
    assert refused
    assert {reply.status for reply in replies} <= {200, 202, 503}
    assert {_type(reply) for reply in refused} <= {
        "busy",
        "table-unavailable",
        "write-unknown",
    }  # in the end no time is left
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in refused)
    assert len(_alerts(world)) == len(replies) - len(refused)
    world.run(len(posted) * 4.5)
    assert {entry.state for entry in _alerts(world).values()} == {"created"}
    assert violations([call.at for call in defender.arrivals], 15, 60.0) == []
    for title in {call.body["title"] for call in defender.arrivals}:
        # Only an answer that the table did not take for a whole lease is asked for once more.
        first, *again = (call.at for call in defender.calls(title))
        assert all(at - first >= window.Policy().lease for at in again)


def test_a_table_that_is_busy_for_seconds_costs_the_sender_seconds() -> None:
    """Where the table turns requests away for 10 s, the POST waits for it, and goes through as if nothing had been."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    began = world.now
    app.host.script = lambda _: BUSY if world.now < began + 10 else None
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 202  # `INLINE_SECONDS` are over
    assert 10 <= world.now - began < 16
    world.run(1)
    assert [entry.state for entry in _alerts(world).values()] == ["created"]


# Slow


@pytest.mark.parametrize("seconds", [2.5, 5.0])
def test_a_slow_table_stops_nothing(seconds: float) -> None:
    """The timer calls for what waits, each slot that is acquired serves a call, and nothing is called twice."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    takes = _takes(app)
    world.partition.seconds = seconds
    posted = [app.post(_payload(event)) for event in range(3)]
    world.run(60)
    replies = [post.result() for post in posted]
    assert {reply.status for reply in replies} <= {200, 202}
    posted = [app.post([_payload(10), _payload(11), _payload(12)])]
    world.run(15 * 60 if seconds > 3 else 0)
    app.timer()
    world.run(600)
    assert {entry.state for entry in _alerts(world).values()} == {"created"}
    calls = collections.Counter(call.body["title"] for call in defender.arrivals)
    assert len(calls) == 6
    assert set(calls.values()) == {1}
    assert len(takes) == len(defender.arrivals)
    assert violations([call.at for call in defender.arrivals], 15, 60.0) == []


@pytest.mark.parametrize("seconds", [2.5, 5.0])
def test_the_timer_alone_sends_through_a_slow_table(seconds: float) -> None:
    """A backlog of thirty is sent by the timer's ticks, though each request takes seconds; no take is in vain."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    for event in range(30):
        entry = record.accept(
            Alert.from_body(_payload(event)), source="defender", delivery="before", now=world.now
        )
        world.table.commit(rows.insert(entry))
    takes = _takes(app)
    world.partition.seconds = seconds
    app.timer()
    world.run(60)
    assert len(defender.arrivals) >= 5
    world.run(600)
    assert {entry.state for entry in _alerts(world).values()} == {"created"}
    assert len(takes) == len(defender.arrivals) == 30


def test_many_alerts_at_once_through_a_slow_table_are_not_doubled() -> None:
    """Hosts that post the same alerts again and again while each request takes 2.5 s call for each alert once."""
    world = World()
    defender = Defender(world)
    apps = [_app(world, defender) for _ in range(3)]
    world.partition.seconds = 2.5
    posted = [app.post(_payload(event)) for app in apps for event in range(10)]
    apps[0].timer()
    world.run(300)
    assert {post.result().status for post in posted} <= {200, 202}
    calls = collections.Counter(call.body["title"] for call in defender.arrivals)
    assert (len(calls), set(calls.values())) == (10, {1})


# Unavailable


@pytest.mark.parametrize("alerts", [1, 3])
def test_an_unavailable_table_is_a_503_after_20_seconds(alerts: int) -> None:
    """Nothing is called, nothing is stored, and the sender hears when to try again; then it works without a restart."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = lambda request: LOST if request.kind != "call" else None
    began = world.now
    payload = [_payload(event) for event in range(alerts)]
    reply = world.finish(app.post(payload))
    assert reply.status == 503
    assert _type(reply) == "table-unavailable"
    assert int(reply.headers["Retry-After"]) > 0
    assert TABLE_SECONDS - 5 <= world.now - began <= TABLE_SECONDS
    assert app.host.queries > 1
    app.host.script = None
    world.run(300)
    assert defender.arrivals == []
    assert world.table.query("", "~") == []
    assert world.finish(app.post(payload)).status == 200


def test_a_host_that_never_saw_the_table_promises_nothing() -> None:
    """A host that starts while the table is unavailable answers 503 like any other, and so does its health."""
    world = World()
    defender = Defender(world)
    app = App.on(Host(world, QUICK, arrive=defender, script=lambda _: LOST))
    assert world.finish(app.post(_payload(1))).status == 503
    assert world.finish(app.health()).status == 503
    assert defender.arrivals == []


def test_the_operators_pause_holds_whatever_the_table_does() -> None:
    """While the operator has paused, an unavailable table makes nobody call."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    world.table.commit([pause.stop(None, "stop")])
    app.host.script = lambda request: LOST if world.random.random() < 0.5 else None
    app.timer()
    for event in range(20):
        app.post(_payload(event))
        world.run(20)
    assert defender.arrivals == []


# Inline


@pytest.mark.parametrize("alerts", [1, 3])
@pytest.mark.parametrize("seconds", [0.0, 2.5])
def test_without_inline_seconds_everything_is_accepted(alerts: int, seconds: float) -> None:
    """`INLINE_SECONDS` of 0 is no wait for Defender, and all the time for the table: 202, and it is stored and sent."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender, Settings(inline_seconds=0.0))
    world.partition.seconds = seconds
    reply = world.finish(app.post([_payload(event) for event in range(alerts)]))
    assert reply.status == 202
    assert len(_alerts(world)) == alerts
    app.timer()
    world.run(120)
    assert {entry.state for entry in _alerts(world).values()} == {"created"}
    assert len(defender.arrivals) == alerts


# What a sender hears is so

TROUBLE = (
    None,
    LOST,
    BUSY,
    Fault("swallowed"),
    Fault("timed out"),
    Fault("late", 3.0),
    Fault("late", 40.0),
    Fault("denied"),
)


def _script(points: Sequence[Fault | None], then: Fault | None) -> Callable[[Request], Fault | None]:
    """Let the first requests to the table meet these faults, one each, and all that follow the last one."""
    left = list(points)

    def script(request: Request) -> Fault | None:
        if request.kind == "call":
            return None
        return left.pop(0) if left else then

    return script


class Stage:
    """Two hosts, some alerts that are known already, and one POST that meets faults."""

    def __init__(self, alerts: int, known: Sequence[int], *, full: bool) -> None:
        self.world = World()
        self.defender = Defender(self.world)
        self.other = _app(self.world, self.defender)
        self.app = _app(self.world, self.defender)
        for event in (*known, *(range(500, 515) if full else ())):
            self.world.finish(self.other.post(_payload(event)))
        self.payload = [_payload(event) for event in range(alerts)]
        self.asked = {Alert.from_body(fields).id for fields in self.payload}

    def post(self, script: Callable[[Request], Fault | None]) -> str:
        """Post it; hold what is answered to what is stored. Return the problem's type, or nothing if there is none."""
        before = set(_alerts(self.world))
        self.app.host.script = script
        reply = self.world.finish(self.app.post(self.payload))
        self.world.run(1)
        self.app.host.script = None
        self.world.run(60)  # what is late has arrived
        stored = self.asked & (set(_alerts(self.world)) - before)
        assert unsound(self.world.table) == []
        if reply.status in (200, 202):
            assert self.asked <= stored | before
            return ""
        assert reply.status == 503
        assert int(reply.headers["Retry-After"]) > 0
        kind = _type(reply)
        if kind == "half-accepted":
            least, of = map(int, re.findall(r"\d+", json.loads(reply.body)["detail"])[:2])
            assert (0 < least <= len(stored), of) == (True, len(self.asked))
        elif kind != "write-unknown":
            assert kind in ("busy", "table-refused", "table-unavailable")
            assert stored == set()
        return kind


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["open", "full"])
@pytest.mark.parametrize("alerts", [1, 3, 60])
def test_a_503_says_what_is_stored_wherever_the_trouble_begins(alerts: int, full: bool) -> None:
    """Every request of a POST may be the one from which on the table is in trouble, of every kind.

    A plain 503 means that nothing of it is stored, nor ever will be; `half-accepted` that at least so many are; only
    `write-unknown` leaves it open.
    """
    heard: set[str] = set()
    for fault in TROUBLE[1:]:
        for fine in range(6):
            heard.add(Stage(alerts, (), full=full).post(_script([None] * fine, fault)))
        for fine in range(1, 110 if alerts > 50 else 6, 7):  # a conflict makes it look for each alert
            heard.add(Stage(alerts, (0, 55), full=full).post(_script([None] * fine, fault)))
    expected = {"", "busy", "table-refused", "table-unavailable", "write-unknown"}
    assert heard == (expected | {"half-accepted"} if alerts > 50 else expected)


class Crowded(Host):
    """A host whose first write lands, and whose later ones always find that others were first."""

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write once."""
        if self.commits:
            self.world.sleep(0.01)
            raise Conflict
        return super().commit(operations, mark=mark, seconds=seconds)


def test_a_delivery_that_others_stop_halfway_is_not_answered_as_refused() -> None:
    """Where the second transaction meets one conflict after the other, its sender hears that the first is stored."""
    world = World()
    world.table.commit([pause.stop(None, "stop")])
    app = App.on(Crowded(world, QUICK, arrive=Defender(world)))
    reply = world.finish(app.post([_payload(event) for event in range(60)]))
    assert (reply.status, _type(reply)) == (503, "half-accepted")
    (least, of) = map(int, re.findall(r"\d+", json.loads(reply.body)["detail"])[:2])
    assert (least, of) == (len(_alerts(world)), 60)


@pytest.mark.slow
@examples(max_examples=60)
@given(
    alerts=st.sampled_from([1, 2, 60, 100]),
    known=st.sampled_from([(), (0,), (1, 55, 99)]),
    full=st.booleans(),
    points=st.lists(st.sampled_from(TROUBLE), max_size=8),
    then=st.sampled_from(TROUBLE),
)
def test_no_alert_is_both_accepted_and_refused(
    alerts: int, known: tuple[int, ...], full: bool, points: list[Fault | None], then: Fault | None
) -> None:
    """Whichever requests fail, and how: what is answered is so; sent again it is completed, and each is called once.

    A delivery takes one to three transactions; some of its alerts are known already; the window is open or full.
    """
    stage = Stage(alerts, known, full=full)
    if stage.post(_script(points, then)):
        assert stage.post(lambda _: None) == ""
    stage.other.timer()
    stage.world.run(12 * 60)
    assert {entry.state for entry in _alerts(stage.world).values()} == {"created"}
    calls = collections.Counter(call.body["title"] for call in stage.defender.arrivals)
    assert max(calls.values()) == 1
    assert violations([call.at for call in stage.defender.arrivals], 15, 60.0) == []
