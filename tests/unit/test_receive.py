"""The webhook's use cases from end to end: the real code on hosts in a virtual world."""

import collections
import dataclasses
import gzip
import itertools
import json
import logging
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from CreateAlertFunction import main as create_alert
from dev import samples
from dev.simulator.judge import violations
from shared import app as app_module
from shared.alerts import alert
from shared.errors import Conflict, TableRefused, WebhookError
from shared.ledger import keys, record, rows
from shared.sending import pause, window
from shared.sending.outcome import Clocks
from shared.settings import Settings
from shared.table.protocol import Delete, Insert, Operation
from shared.web.reply import Reply, echo
from shared.web.response import azure_response
from shared.webhook import memory
from tests.checks.app import App
from tests.checks.chances import Chances
from tests.checks.sound import unsound
from tests.checks.strict_table import StrictTable
from tests.checks.virtual import EPOCH, ORIGIN, Defender, Fault, Faults, Host, Request, World, answer_with

if TYPE_CHECKING:
    from shared.clients.answer import Answer

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
POLICY = window.Policy()


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _payload(event: int, title: str | None = None, severity: str = "High") -> dict[str, Any]:
    return samples.eight_fields(samples.event(event), title or f"Rule {event}", severity)


def _app(world: World, defender: Defender, settings: Settings | None = None) -> App:
    """Start the app on a host that has seen the table before."""
    app = App.on(Host(world, QUICK, arrive=defender), settings)
    world.finish(app.health())
    app.host.queries = app.host.commits = 0
    return app


def _document(reply: Reply) -> dict[str, Any]:
    """Return an answer's document, checked for what every delivery has."""
    document: dict[str, Any] = json.loads(reply.body)
    if reply.status in (200, 202) and document["status"] != "valid":
        assert set(document) == {"id", "source", "status", "reason", "alerts", "refused"}
    if reply.status == 202:
        assert reply.headers["Location"] == f"{ORIGIN}/api/deliveries/{document['id']}"
        assert 1 <= int(reply.headers["Retry-After"]) <= 60
    return document


def _alerts(world: World) -> list[record.Entry]:
    return [rows.read(row) for row in world.table.query(keys.ALERT, keys.ALERT_END)]


def _fill_window(world: World) -> None:
    """Close every slot as a call that was just answered does."""
    slots = window.read(world.table.query(keys.SLOT, keys.SLOT_END), world.now, POLICY).slots
    world.table.commit(
        [window.acquire(slot, "other", dataclasses.replace(POLICY, deadline=0)) for slot in slots]
    )


def _backlog(world: World, event: int, severity: str, *, ago: float = 0.0) -> None:
    made = alert.check(_payload(event, severity=severity)).alert
    assert made
    entry = record.accept(made, source="defender", delivery="before", now=world.now - ago)
    world.table.commit(rows.insert(entry))


# Whatever goes wrong

CHANCE = st.sampled_from([0.0, 0.02, 0.1])
FAULTS = st.builds(
    Chances,
    table_lost=CHANCE,
    table_late=CHANCE,
    table_swallowed=CHANCE,
    table_busy=CHANCE,
    freeze=st.sampled_from([0.0, 0.02]),
    crash=st.sampled_from([0.0, 0.005]),
    call_slow=CHANCE,
    call_slow_seconds=st.just(85.0),
    call_unsent=CHANCE,
    answer_lost=CHANCE,
)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), faults=FAULTS, failing=st.sampled_from([0.0, 0.1, 0.5]))
def test_nothing_is_lost_whatever_goes_wrong(seed: int, faults: Chances, failing: float) -> None:
    """Minutes of faults, all hosts die, a new one comes: what was answered 2xx is created, or failed with a reason.

    No alert is stuck, no call was one too many, and the rows are sound all the time.
    """
    world = World(seed)
    chance = world.random.random

    def says(_number: int, _body: Mapping[str, str]) -> "Answer | None":
        if world.now > EPOCH + 300 or chance() > failing:
            return answer_with(200)
        return world.random.choice(
            [answer_with(400), answer_with(404), answer_with(429, retry_after=7.0), answer_with(500), None]
        )

    def watch() -> None:
        assert unsound(world.table) == []
        if world.now < EPOCH + 600:
            world.at(world.now + 7.0, watch)

    defender = Defender(world, says)
    apps = [App.on(Host(world, script=faults.script(world), arrive=defender)) for _ in range(4)]
    apps[0].timer()
    apps[1].timer()
    watch()
    posted = []
    for _ in range(30):
        events = [world.random.randrange(40) for _ in range(world.random.choice([1, 1, 1, 3]))]
        posted.append(world.random.choice(apps).post([_payload(event) for event in events]))
        world.run(world.random.uniform(0, 10))
    world.run(300)
    for app in apps:
        app.host.dead = True
    rescuer = _app(world, defender)
    rescuer.timer(every=120.0)
    world.run(2 * 3600)
    assert unsound(world.table) == []
    assert {entry.state for entry in _alerts(world)} <= {"created", "failed"}
    assert violations([call.at for call in defender.arrivals], 15, 60.0) == []
    for reply in (post.result() for post in posted if post.done()):
        assert reply.status in (200, 202, 422, 503)
        if reply.status != 503:
            _hold_to(reply, rescuer)


def _hold_to(reply: Reply, app: App) -> None:
    """Hold an answer's promise against what became of it in the end."""
    delivery = _document(reply)
    became = _document(app.host.world.finish(app.status(delivery["id"])))
    assert len(became["alerts"]) == len(delivery["alerts"])
    assert all(item["alert"] or item["error"] for item in became["alerts"])


# Requests to the table


def test_the_straight_path_is_one_query_and_two_transactions() -> None:
    """An alert that finds an open slot costs one snapshot, one acquire, one call, one outcome; answered 200 with it."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    reply = world.finish(app.post(_payload(1)))
    assert (app.host.queries, app.host.commits, len(defender.arrivals)) == (1, 2, 1)
    document = _document(reply)
    assert reply.status == 200
    assert document["status"] == "created"
    (item,) = document["alerts"]
    assert item["portalUrl"] == "https://security.microsoft.com/alerts/da200"
    assert (item["attempts"], item["duplicate"], item["error"], item["waitingFor"]) == (1, False, None, None)
    assert item["request"] == defender.arrivals[0].body


def test_the_waiting_path_is_one_query_and_one_transaction() -> None:
    """An alert that finds the window full costs one snapshot and one commit; answered 202 at once."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    _fill_window(world)
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert (app.host.queries, app.host.commits, defender.arrivals) == (1, 1, [])
    assert world.now - began < 0.2
    assert reply.status == 202
    assert _document(reply)["status"] == "waiting"


def test_while_the_window_is_known_to_be_full_it_is_one_transaction() -> None:
    """Seconds after a snapshot of the full window, an alert costs one commit and no snapshot."""
    world = World()
    app = _app(world, Defender(world))
    _fill_window(world)
    world.finish(app.post(_payload(1)))
    app.host.queries = app.host.commits = 0
    reply = world.finish(app.post(_payload(2)))
    assert (app.host.queries, app.host.commits) == (0, 1)
    assert reply.status == 202
    assert _document(reply)["alerts"][0]["waitingFor"]["what"] == "slot"


def test_what_was_seen_full_is_looked_at_again_when_it_opens() -> None:
    """A window that was seen full is used as soon as a slot opens, by the webhook itself."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    _fill_window(world)
    world.run(118)  # the slots of `_fill_window` open 120.25 s after their take
    world.finish(app.post(_payload(1)))
    assert defender.arrivals == []
    world.run(2.3)
    reply = world.finish(app.post(_payload(2)))
    assert reply.status == 200
    assert [entry.state for entry in _alerts(world)] == ["created", "created"]  # the older one as well


# Accepted means durable


def test_a_202_is_durable() -> None:
    """At the moment of a 202 the delivery and its alert are in the table, even if the host dies right then."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    _fill_window(world)
    reply = world.finish(app.post(_payload(1)))
    app.host.dead = True
    other = _app(world, defender)
    other.timer()
    world.run(150)
    later = world.finish(other.status(_document(reply)["id"]))
    assert later.status == 200
    assert len(defender.arrivals) == 1


def test_a_host_that_dies_in_the_call_loses_nothing() -> None:
    """A delivery whose host dies before it is answered, but after the take, is sent again after the lease."""
    world = World()
    defender = Defender(world)
    app, other = _app(world, defender), _app(world, defender)
    app.host.script = lambda request: Fault("crash") if request.kind == "call" else None
    posted = app.post(_payload(1))
    world.run(10)
    assert not posted.done()
    other.timer()
    world.run(POLICY.lease + 31)
    assert [entry.state for entry in _alerts(world)] == ["created"]


def _commits(app: App) -> list[list[Operation]]:
    """Return a list that collects every transaction of a host from now on."""
    seen: list[list[Operation]] = []

    def note(request: Request) -> None:
        if request.kind == "commit":
            seen.append(list(request.operations))

    app.host.script = note
    return seen


def test_a_hundred_alerts_are_committed_whole() -> None:
    """A delivery of 100 alerts is written in transactions of at most 100 operations, the delivery's row last."""
    world = World()
    app = _app(world, Defender(world))
    _fill_window(world)
    commits = _commits(app)
    reply = world.finish(app.post([_payload(event) for event in range(100)]))
    document = _document(reply)
    assert reply.status == 202
    assert len(document["alerts"]) == len(_alerts(world)) == 100
    assert len(commits) == 4
    rows = [operation.key for commit in commits for operation in commit if isinstance(operation, Insert)]
    assert rows[-1] == keys.delivery_key(document["id"])
    assert (
        len(rows) == 205
    )  # a turn, and three deliveries nobody asks for, so that half of it could be purged
    assert unsound(world.table) == []


def test_many_waiting_alerts_are_not_read_again_for_the_answer() -> None:
    """Of 100 alerts 15 go at once; the answer knows the others from two snapshots, and when a slot opens for them."""
    world = World()
    app = _app(world, Defender(world))
    reply = world.finish(app.post([_payload(event) for event in range(100)]))
    states = collections.Counter(item["status"] for item in _document(reply)["alerts"])
    assert states == {"created": 15, "waiting": 85}
    assert reply.headers["Retry-After"] == "60"  # not as it stood before the 15 went
    assert app.host.queries <= 3
    assert unsound(world.table) == []


def test_large_alerts_are_split_by_bytes() -> None:
    """A delivery whose texts fill transactions is split so that none exceeds 4 MiB, and is committed whole."""
    world = World()
    app = _app(world, Defender(world), Settings(max_payload_bytes=20_000_000))
    _fill_window(world)
    commits = _commits(app)
    long = {"description": "😀" * 5_000, "recommendedAction": "🚑" * 5_000}
    reply = world.finish(app.post([_payload(event) | long for event in range(100)]))
    assert reply.status == 202
    assert len(_alerts(world)) == 100
    assert max(len(commit) for commit in commits) < 90
    assert isinstance(world.table, StrictTable)
    assert 2_000_000 < world.table.largest < 4 * 1024 * 1024
    notes = _document(reply)["alerts"][0]["notes"]
    assert any("cut from 10,000" in note for note in notes)


def test_if_one_transaction_fails_the_next_try_completes_the_rest() -> None:
    """A failure after the first transaction is a 503; the next try adds what is missing and calls nothing twice."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    _fill_window(world)
    commits = itertools.count()
    app.host.script = lambda request: Fault("lost") if request.kind == "commit" and next(commits) else None
    payload = [_payload(event) for event in range(100)]
    reply = world.finish(app.post(payload))
    assert reply.status == 503
    assert json.loads(reply.body)["type"].endswith(":half-accepted")
    assert int(reply.headers["Retry-After"]) >= 1
    assert len(_alerts(world)) == 32
    app.host.script = None
    world.run(10)
    assert defender.arrivals == []
    app.timer()
    reply = world.finish(app.post(payload))
    document = _document(reply)
    assert reply.status == 202
    assert len(_alerts(world)) == 100
    assert [item["duplicate"] for item in document["alerts"]].count(True) == 32
    world.run(12 * 60)
    assert sorted(call.body["title"] for call in defender.arrivals) == sorted(
        f"Rule {event}" for event in range(100)
    )
    assert world.finish(app.status(document["id"])).status == 200


def test_a_failure_after_acceptance_is_no_failure() -> None:
    """Where the table fails after the commit, the answer is 202, and nothing is sent past the table."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    committed = []

    def script(request: Request) -> Fault | None:
        if request.kind == "commit":
            committed.append(request)
            return None
        return Fault("lost") if committed and request.start == keys.SLOT else None

    app.host.script = script
    reply = world.finish(app.post([_payload(1), _payload(2)]))
    assert reply.status == 202
    assert defender.arrivals == []
    assert len(_alerts(world)) == 2


def test_no_text_makes_a_commit_impossible() -> None:
    """20,000 emoji in, a huge alert object, thousands of members, a huge page of HTML back: it all fits."""
    members = {f"m{number}": number for number in range(20_000)}
    answers = {
        "object": answer_with(200, raw=json.dumps({"id": "da1", "evidence": ["x" * 100] * 9_000}).encode()),
        "members": answer_with(200, raw=json.dumps({"id": "da1", **members}).encode()),
        "emoji": answer_with(
            200, raw=json.dumps({"id": "da1", "title": "😀" * 50_000}, ensure_ascii=False).encode()
        ),
        "html": answer_with(502, raw=b"<html>" + b"<p>" * 300_000),
        "error": answer_with(
            400, raw=json.dumps({"error": {"code": "x" * 90_000, "message": "😀" * 90_000}}).encode()
        ),
    }
    world = World()
    defender = Defender(world, lambda _number, body: answers[body["title"]])
    app = _app(world, defender)
    for event, title in enumerate(answers):
        long = {"description": "😀" * 20_000, "recommendedAction": "é" * 20_000}
        reply = world.finish(app.post(_payload(event, title) | long))
        world.run(120)
        item = _document(world.finish(app.status(_document(reply)["id"])))["alerts"][0]
        if title in ("object", "members", "emoji"):
            assert reply.status == 200
            assert item["alert"]["id"] == "da1"
        else:
            assert item["status"] == ("waiting" if title == "html" else "failed")
            assert item["error"]["status"] == (502 if title == "html" else 400)
    assert unsound(world.table) == []


def test_an_outcome_the_table_refuses_is_written_without_its_text() -> None:
    """Where the table refuses an outcome for what it says, it is written again without Defender's text."""
    world = World()
    defender = Defender(world, lambda _n, _b: answer_with(200, raw=b'{"id": "da1", "title": "BROKEN"}'))
    app = _app(world, defender)

    def refuse(request: Request) -> None:
        if any("BROKEN" in str(getattr(operation, "values", "")) for operation in request.operations):
            raise TableRefused("400 InvalidInput")

    app.host.script = refuse
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 200
    assert _document(reply)["alerts"][0]["alert"] == {"id": "da1"}
    assert [entry.state for entry in _alerts(world)] == ["created"]


def test_a_table_that_refuses_everything_promises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Where the identity may not use the table (403), the sender hears 503 at once, the log why; health says fail."""
    caplog.set_level(logging.WARNING, "defender-alert-webhook")
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = lambda request: Fault("denied") if request.kind != "call" else None
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert world.now - began < 0.1
    assert (reply.status, reply.headers["Retry-After"]) == (503, "60")
    assert json.loads(reply.body)["type"].endswith(":table-refused")
    assert "403" not in json.loads(reply.body)["detail"]
    assert (
        '"step": "table", "error": "TableRefused", "detail": "The table refuses the request: 403 denied"'
        in (caplog.text)
    )
    assert defender.arrivals == []
    world.run(memory.SECONDS)
    assert world.finish(app.health()).status == 503
    world.finish(app.tick())


# Order


def test_a_new_alert_does_not_overtake_an_older_more_urgent_one() -> None:
    """With one open slot the older, more urgent alert acquires it, though the newer one's webhook found it."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender, Settings(rate_limit_calls=1))
    _backlog(world, 1, "High", ago=5)
    reply = world.finish(app.post(_payload(2, severity="High")))
    assert reply.status == 202
    world.run(5)
    assert [call.body["title"] for call in defender.arrivals] == ["Rule 1"]


def test_a_new_high_overtakes_older_low_ones() -> None:
    """With one open slot a new High goes straight through, past Low and Medium ones that wait."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender, Settings(rate_limit_calls=1))
    _backlog(world, 1, "Low", ago=5)
    _backlog(world, 2, "Medium", ago=5)
    reply = world.finish(app.post(_payload(3, severity="High")))
    assert reply.status == 200
    assert [call.body["title"] for call in defender.arrivals] == ["Rule 3"]


def test_several_alerts_go_at_once_while_slots_are_open() -> None:
    """A delivery of five is sent side by side and answered 200 in the time of one call."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    began = world.now
    reply = world.finish(app.post([_payload(event) for event in range(5)]))
    assert reply.status == 200
    assert _document(reply)["status"] == "created"
    assert len(defender.arrivals) == 5
    assert world.now - began < 1.0


# The same alert twice


class Deaf(Host):
    """A host whose writes land, and whose first one is answered as if somebody else had been there before."""

    deaf = True

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write; the first time nobody hears that it landed."""
        etags = super().commit(operations, mark=mark, seconds=seconds)
        if self.deaf:
            self.deaf = False
            raise Conflict
        return etags


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("alerts", [1, 2])
def test_what_landed_unheard_is_no_duplicate(alerts: int, *, paused: bool) -> None:
    """An acquire or a delivery that landed, although its answer said otherwise, was new: so its sender is answered."""
    world = World()
    defender = Defender(world)
    if paused:
        world.table.commit([pause.stop(None, "stop")])
    app = App.on(Deaf(world, QUICK, arrive=defender))
    delivery = _document(world.finish(app.post([_payload(number) for number in range(alerts)])))
    assert [alert["duplicate"] for alert in delivery["alerts"]] == [False] * alerts
    status = json.loads(world.finish(app.status(delivery["id"])).body)
    assert [alert["duplicate"] for alert in status["alerts"]] == [False] * alerts
    if not paused:
        _app(world, defender).timer()
        world.run(300)
        assert len(defender.arrivals) == alerts
    assert unsound(world.table) == []


def test_a_created_alert_is_answered_as_a_duplicate() -> None:
    """Sent again after it was created: 200, the same alert of Defender's, `duplicate: true`, no call."""
    world = World()
    defender = Defender(world)
    app, other = _app(world, defender), _app(world, defender)
    first = _document(world.finish(app.post(_payload(1))))
    reply = world.finish(other.post(_payload(1)))
    second = _document(reply)
    assert reply.status == 200
    assert second["alerts"][0] == first["alerts"][0] | {"duplicate": True}
    assert second["id"] != first["id"]
    assert (other.host.queries, other.host.commits) == (4, 3)  # two commits meet the known alert
    assert len(defender.arrivals) == 1
    assert unsound(world.table) == []


def test_a_waiting_alert_is_answered_as_a_duplicate() -> None:
    """Sent again while it waits: 202 with a delivery of its own, `duplicate: true`; one call in the end."""
    world = World()
    defender = Defender(world)
    app, other = _app(world, defender), _app(world, defender)
    _fill_window(world)
    first = _document(world.finish(app.post(_payload(1))))
    reply = world.finish(other.post(_payload(1)))
    second = _document(reply)
    assert reply.status == 202
    assert second["alerts"][0]["duplicate"] is True
    assert second["alerts"][0]["waitingFor"]["what"] == "slot"
    app.timer()
    world.run(150)
    assert len(defender.arrivals) == 1
    ends = [_document(world.finish(app.status(delivery["id"]))) for delivery in (first, second)]
    assert [end["status"] for end in ends] == ["created", "created"]
    assert [end["alerts"][0]["duplicate"] for end in ends] == [False, True]


def test_an_alert_that_is_being_sent_is_answered_as_a_duplicate() -> None:
    """Sent again while Defender is being called: 202, `waitingFor` an answer, `duplicate: true`; one call."""
    world = World()
    defender = Defender(world)
    app, other = _app(world, defender), _app(world, defender)
    app.host.faults = dataclasses.replace(QUICK, answer_delay=(5.0, 5.0))
    first = app.post(_payload(1))
    world.run(1)
    reply = world.finish(other.post(_payload(1)))
    assert reply.status == 202
    (item,) = _document(reply)["alerts"]
    assert item["duplicate"] is True
    assert item["waitingFor"]["what"] == "answer"
    assert _document(world.finish(first))["status"] == "created"
    assert world.finish(other.status(_document(reply)["id"])).status == 200
    assert len(defender.arrivals) == 1


class Sleeper(Host):
    """A host that slept through its first take: it landed, and others have moved the alert since."""

    asleep = True

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write; the answer to the first take comes after its lease."""
        etags = super().commit(operations, mark=mark, seconds=seconds)
        if self.asleep and any(operation.key.startswith(keys.SLOT) for operation in operations):
            self.asleep = False
            self.world.sleep(POLICY.lease + 60.0)
            raise Conflict
        return etags


def test_an_acquire_that_landed_unseen_is_not_answered_as_refused() -> None:
    """Its sender's time is over: it hears that nobody knows, and the next try tells how the alert stands."""
    world = World()
    defender = Defender(world)
    app = App.on(Sleeper(world, QUICK, arrive=defender))
    _app(world, defender).timer()
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 503
    assert json.loads(reply.body)["type"].endswith(":write-unknown")
    reply = world.finish(app.post(_payload(1)))
    (item,) = _document(reply)["alerts"]
    assert (reply.status, item["status"], item["duplicate"]) == (200, "created", True)
    assert len(defender.arrivals) == 1
    assert json.loads(world.finish(app.status(_document(reply)["id"])).body)["status"] == "created"


def test_a_failed_alert_is_answered_as_a_duplicate() -> None:
    """Sent again after it failed: 422 with the same error, `duplicate: true`, and no call; only replay tries again."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(400))
    app, other = _app(world, defender), _app(world, defender)
    first = world.finish(app.post(_payload(1)))
    second = world.finish(other.post(_payload(1)))
    assert (first.status, second.status) == (422, 422)
    (item,) = _document(second)["alerts"]
    (note,) = item["notes"]
    assert "rejected the same alert" in note
    assert item == _document(first)["alerts"][0] | {"duplicate": True, "notes": [note]}
    assert item["error"]["code"] == "Code400"
    assert len(defender.arrivals) == 1


@pytest.mark.parametrize("seed", range(25))
def test_the_same_alert_on_several_hosts_at_one_moment_is_one(seed: int) -> None:
    """Four instances that receive the same alert together make one call; one of the answers is no duplicate."""
    world = World(seed)
    defender = Defender(world)
    apps = [_app(world, defender) for _ in range(4)]
    posted = [app.post(_payload(1)) for app in apps]
    world.run(30)
    deliveries = [_document(post.result()) for post in posted]
    assert [delivery["alerts"][0]["duplicate"] for delivery in deliveries].count(False) == 1
    assert len(defender.arrivals) == 1
    assert {world.finish(apps[0].status(delivery["id"])).status for delivery in deliveries} == {200}
    assert unsound(world.table) == []


def test_equal_alerts_of_one_delivery_are_one() -> None:
    """The same event under the same title twice in one POST is one alert; what the second says else is in the notes."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    reply = world.finish(app.post([_payload(1, "T", "High"), _payload(1, "T", "Low"), _payload(2, "T")]))
    document = _document(reply)
    assert reply.status == 200
    assert len(document["alerts"]) == len(defender.arrivals) == 2
    (item,) = [
        alert for alert in document["alerts"] if alert["request"]["reportId"] == samples.event(1).report_id
    ]
    assert item["request"]["severity"] == "High"
    assert any("severity" in note and "Low" in note for note in item["notes"])


def test_what_a_duplicate_says_else_is_in_its_notes() -> None:
    """An equal alert with another severity is not sent again; its own delivery says what differs, for ever."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    first = _document(world.finish(app.post(_payload(1, "T", "High"))))
    second = _document(world.finish(app.post(_payload(1, "T", "Low"))))
    (note,) = second["alerts"][0]["notes"]
    assert "severity" in note
    assert _document(world.finish(app.status(second["id"])))["alerts"][0]["notes"] == [note]
    assert _document(world.finish(app.status(first["id"])))["alerts"][0]["notes"] == []
    assert len(defender.arrivals) == 1


# What Defender says


def test_a_404_is_tried_again_after_1_5_and_15_minutes() -> None:
    """Each try has a slot; meanwhile the status shows the 404 and the next attempt; after the last it has failed."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(404))
    app = _app(world, defender)
    app.timer()
    commits = _commits(app)
    reply = world.finish(app.post(_payload(1)))
    delivery = _document(reply)["id"]
    for attempts, minutes in enumerate((1, 5, 15), 1):
        assert reply.status == 202
        (item,) = _document(reply)["alerts"]
        assert (item["status"], item["attempts"]) == ("waiting", attempts)
        assert item["waitingFor"]["what"] == "retry"
        until = datetime.fromisoformat(item["waitingFor"]["until"]).timestamp()
        assert 0 < until - world.now <= minutes * 60 + 1
        assert "nextAttempt" not in item
        assert item["error"]["status"] == 404
        assert item["error"]["hint"]
        world.run(minutes * 60 + 35)
        reply = world.finish(app.status(delivery))
    assert reply.status == 422
    document = _document(reply)
    assert document["state"] == "failed"
    assert document["alerts"][0]["attempts"] == 4
    times = [call.at for call in defender.arrivals]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(0 <= wait - minutes * 60 <= 31 for wait, minutes in zip(waits, (1, 5, 15), strict=True))
    takes = [
        operation
        for commit in commits
        for operation in commit
        if operation.key.startswith("slot-")
        and getattr(operation, "values", {}).get("closed") == POLICY.lease
    ]
    assert len(takes) == 4


def test_retry_after_is_the_time_to_the_next_attempt() -> None:
    """While an alert waits for its retry the caller is asked to come back then, or in a minute."""
    world = World()
    app = _app(world, Defender(world, lambda _number, _body: answer_with(404)))
    reply = world.finish(app.post(_payload(1)))
    assert 59 <= int(reply.headers["Retry-After"]) <= 60
    world.run(50)
    again = world.finish(app.status(_document(reply)["id"]))
    assert 8 <= int(again.headers["Retry-After"]) <= 11


def test_retry_after_is_the_time_to_the_turn() -> None:
    """What has more than a window's worth of alerts before it is not asked to come back for the first slot."""
    world = World()
    app = _app(world, Defender(world))
    full = [world.finish(app.post(_payload(number))) for number in range(15)]
    world.run(40)
    waiting = [world.finish(app.post(_payload(number))) for number in range(15, 32)]
    assert {reply.status for reply in full} == {200}
    assert {reply.status for reply in waiting} == {202}
    first, last = (world.finish(app.status(_document(reply)["id"])) for reply in (waiting[0], waiting[-1]))
    assert int(first.headers["Retry-After"]) <= 25
    assert int(last.headers["Retry-After"]) == 60


def test_a_404_of_a_truncated_time_is_final() -> None:
    """An event time that lost digits on its way cannot match: its 404 fails at once."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(404))
    app = _app(world, defender)
    reply = world.finish(app.post(_payload(1) | {"eventTime": 1_772_600_705}))
    assert reply.status == 422
    assert _document(reply)["alerts"][0]["error"]["status"] == 404
    assert len(defender.arrivals) == 1


def test_without_retry_minutes_a_404_is_final() -> None:
    """`NOT_FOUND_RETRY_MINUTES` empty: a 404 fails at once."""
    world = World()
    app = _app(
        world, Defender(world, lambda _number, _body: answer_with(404)), Settings(not_found_retry_minutes=())
    )
    assert world.finish(app.post(_payload(1))).status == 422


def test_an_event_that_becomes_searchable_is_created() -> None:
    """A 404 that turns into a success shows no error any more."""
    world = World()
    defender = Defender(world, lambda number, _body: answer_with(404 if number < 2 else 200))
    app = _app(world, defender)
    app.timer()
    reply = world.finish(app.post(_payload(1)))
    world.run(8 * 60)
    reply = world.finish(app.status(_document(reply)["id"]))
    assert reply.status == 200
    (item,) = _document(reply)["alerts"]
    assert (item["status"], item["attempts"], item["error"], item["waitingFor"]) == (
        "created",
        3,
        None,
        None,
    )


def test_a_rejected_alert_is_stored_with_what_defender_said() -> None:
    """A 400 is final: 422 with Defender's status, code, message, target and what to do; it is in the failed list."""
    world = World()
    app = _app(world, Defender(world, lambda _number, _body: answer_with(400)))
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 422
    assert reply.content_type == "application/problem+json"
    document = _document(reply)
    assert document["type"].endswith(":failed")
    assert document["alerts"][0]["error"] == {
        "status": 400,
        "code": "Code400",
        "message": "It is 400.",
        "target": "43f4cb08",
        "hint": document["alerts"][0]["error"]["hint"],
    }
    assert "replay" in document["alerts"][0]["error"]["hint"]
    (row,) = world.table.query(keys.FAILED, keys.FAILED_END)
    assert rows.read(row) == _alerts(world)[0]


def test_a_delivery_with_created_and_failed_alerts_is_partial() -> None:
    """Where one was created and one rejected: 200, `partial`, each with what became of it."""
    world = World()
    app = _app(world, Defender(world, lambda _n, body: answer_with(400 if body["title"] == "bad" else 200)))
    reply = world.finish(app.post([_payload(1), _payload(2, "bad"), {"title": "nothing else"}]))
    document = _document(reply)
    assert reply.status == 200
    assert document["status"] == "partial"
    assert [item["status"] for item in document["alerts"]] == ["created", "failed"]
    assert document["refused"][0]["problems"]


# Status


@pytest.mark.parametrize(
    "unknown",
    ["", "x", "0" * 46, "1790000000000-" + "0" * 32, "o'brien", "a/b", "%", "x" * 10_000, "\x00", "\ud800"],
)
def test_an_unknown_delivery_is_a_404(unknown: str) -> None:
    """An id that nobody was given is a 404, whatever it is made of."""
    world = World()
    app = _app(world, Defender(world))
    world.finish(app.post(_payload(1)))

    def strict(request: Request) -> None:
        if request.kind == "query" and (len(request.start) > 1000 or not request.start.isascii()):
            raise TableRefused("414 or 400")

    app.host.script = strict
    assert world.finish(app.status(unknown)).status == 404


def test_the_status_says_in_the_end_what_the_post_would_have_said() -> None:
    """202 with `Location` and `Retry-After` until all have ended; then exactly the answer of a POST that waited."""
    world = World()
    app = _app(world, Defender(world))
    _fill_window(world)
    waiting = world.finish(app.post(_payload(1)))
    app.timer()
    asked = 0
    delivery = _document(waiting)["id"]
    while (reply := world.finish(app.status(delivery))).status == 202:
        asked += 1
        assert _document(reply)["status"] == "waiting"
        world.run(int(reply.headers["Retry-After"]))
    assert 2 <= asked <= 5
    assert "Location" not in reply.headers
    straight = _app(World(), Defender(World()))
    direct = straight.host.world.finish(straight.post(_payload(1)))
    assert _document(reply) == _document(direct) | {"id": delivery}


def test_the_location_is_under_the_public_address_where_one_is_set() -> None:
    """`PUBLIC_BASE_URL` is the beginning of `Location`, else the request's own origin is."""
    world = World()
    app = _app(world, Defender(world), Settings(public_base_url="https://alerts.contoso.example"))
    _fill_window(world)
    reply = world.finish(app.post(_payload(1)))
    assert reply.headers["Location"].startswith("https://alerts.contoso.example/api/deliveries/")
    again = world.finish(app.status(json.loads(reply.body)["id"]))
    assert again.headers["Location"] == reply.headers["Location"]


def test_waiting_for_a_slot_says_until_when() -> None:
    """`waitingFor` a slot names the time at which one opens."""
    world = World()
    app = _app(world, Defender(world))
    _fill_window(world)
    opens = world.now + 2 * POLICY.window + POLICY.margin
    (item,) = _document(world.finish(app.post(_payload(1))))["alerts"]
    assert item["waitingFor"]["what"] == "slot"
    assert item["waitingFor"]["until"] == _utc(opens)


def test_waiting_for_a_pause_says_why_and_until_when() -> None:
    """`waitingFor` a pause carries what Defender said and its end; the operator's has none."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(429, retry_after=300.0))
    app = _app(world, defender)
    reply = world.finish(app.post(_payload(1)))
    ended = world.now
    delivery = _document(reply)["id"]
    (item,) = _document(world.finish(app.status(delivery)))["alerts"]
    assert item["waitingFor"]["what"] == "pause"
    assert "429" in item["waitingFor"]["reason"]
    assert _utc(ended + 298) <= item["waitingFor"]["until"] <= _utc(ended + 301)
    world.table.commit([pause.stop(None, "a bad rule")])
    world.run(memory.SECONDS)
    (item,) = _document(world.finish(app.status(delivery)))["alerts"]
    assert item["waitingFor"] == {"what": "pause", "reason": "a bad rule", "until": None}


def test_alerts_that_defender_made_one_are_merged_but_for_the_first() -> None:
    """Three of a POST under one id of Defender's, one under another: two are `merged`, for a later poll as well."""
    world = World()
    made = {"Rule 1": "da1", "Rule 2": "da1", "Rule 3": "da1", "Rule 4": "da2"}

    def says(_number: int, body: Mapping[str, str]) -> "Answer":
        return answer_with(200, raw=json.dumps({"id": made[body["title"]]}).encode())

    app = _app(world, Defender(world, says))
    reply = world.finish(app.post([_payload(event) for event in (1, 2, 3, 4)]))
    for document in (_document(reply), _document(world.finish(app.status(_document(reply)["id"])))):
        items = {item["request"]["title"]: item for item in document["alerts"]}
        assert sorted(items[title]["merged"] for title in ("Rule 1", "Rule 2", "Rule 3")) == [
            False,
            True,
            True,
        ]
        assert items["Rule 4"]["merged"] is False
        first = next(title for title in items if not items[title]["merged"])
        ended = {entry.alert.title: entry.ended or 0.0 for entry in _alerts(world)}
        assert ended[first] == min(ended[title] for title in ("Rule 1", "Rule 2", "Rule 3"))
    (again,) = _document(world.finish(app.post(_payload(1))))["alerts"]
    assert again["merged"] is False


@pytest.mark.parametrize("status", [401, 403, 429])
@pytest.mark.parametrize("alerts", [1, 3])
def test_the_answer_knows_the_pause_that_its_own_call_began(status: int, alerts: int) -> None:
    """The first 202 after a 401, 403 or 429 says `pause`, why and until when, beside the error; it costs no query."""
    world = World()
    asks = 20.0 if status == 429 else None
    app = _app(world, Defender(world, lambda _number, _body: answer_with(status, retry_after=asks)))
    reply = world.finish(app.post([_payload(event) for event in range(alerts)]))
    seconds = 20 if status == 429 else 60
    began = world.now
    assert app.host.queries <= alerts + 2
    called = [item for item in _document(reply)["alerts"] if item["error"]]
    assert called
    for item in called:
        assert item["error"]["status"] == status
        assert item["waitingFor"]["what"] == "pause"
        assert f"{status} Code{status}" in item["waitingFor"]["reason"]
        assert _utc(began + seconds - 2) <= item["waitingFor"]["until"] <= _utc(began + seconds + 2)
    assert seconds - 2 <= int(reply.headers["Retry-After"]) <= min(60, seconds + 2)
    (next_one,) = _document(world.finish(app.post(_payload(9))))["alerts"]
    assert next_one["waitingFor"]["what"] == "pause"
    assert f"{status} Code{status}" in next_one["waitingFor"]["reason"]


@pytest.mark.parametrize("alerts", [1, 3])
def test_a_probe_that_fails_says_its_own_reason(alerts: int) -> None:
    """After a 429 whose pause is over, the answer of a POST that meets a 403 speaks of that one."""
    world = World()
    says = iter([429] + [403] * 9)
    app = _app(world, Defender(world, lambda _number, _body: answer_with(next(says), retry_after=20.0)))
    world.finish(app.post(_payload(0, severity="Low")))
    world.run(30)
    began = world.now
    reply = world.finish(app.post([_payload(event) for event in range(1, alerts + 1)]))
    called = [item for item in _document(reply)["alerts"] if item["error"]]
    assert called
    for item in called:
        assert item["waitingFor"]["what"] == "pause"
        assert "403 Code403" in item["waitingFor"]["reason"]
        assert _utc(began + 58) <= item["waitingFor"]["until"] <= _utc(began + 63)


def test_a_retry_that_comes_after_the_pause_is_a_retry() -> None:
    """A short pause does not hide that an alert with a 404 is tried again minutes later; the operator's does."""
    world = World()
    says = {"Rule 1": 404, "Rule 2": 429}
    app = _app(
        world, Defender(world, lambda _number, body: answer_with(says[body["title"]], retry_after=5.0))
    )
    delivery = _document(world.finish(app.post(_payload(1))))["id"]
    world.finish(app.post(_payload(2)))
    (item,) = _document(world.finish(app.status(delivery)))["alerts"]
    assert item["waitingFor"]["what"] == "retry"
    world.table.commit([pause.stop(None, "a bad rule")])
    world.run(memory.SECONDS)
    (item,) = _document(world.finish(app.status(delivery)))["alerts"]
    assert item["waitingFor"] == {"what": "pause", "reason": "a bad rule", "until": None}


def test_a_defender_that_hangs_does_not_hold_the_webhook() -> None:
    """The POST answers within INLINE_SECONDS while the call goes on; `waitingFor` an answer; the outcome follows."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.faults = dataclasses.replace(QUICK, answer_delay=(20.0, 20.0))
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert 7.5 <= world.now - began <= 8.5
    assert reply.status == 202
    assert _document(reply)["alerts"][0]["waitingFor"]["what"] == "answer"
    world.run(20)
    assert world.finish(app.status(_document(reply)["id"])).status == 200
    assert len(defender.arrivals) == 1


def test_without_a_token_the_alert_waits() -> None:
    """A token endpoint that is unavailable acquires no slot and loses nothing: 202 within INLINE_SECONDS."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.tokens = False
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 202
    assert world.now - began <= 8.5
    assert world.table.query(keys.SLOT, keys.SLOT_END) == []
    app.host.tokens = True
    world.finish(app.tick())
    assert world.finish(app.status(_document(reply)["id"])).status == 200


def test_without_a_permit_the_webhook_calls_and_does_not_wait() -> None:
    """With as many webhooks waiting for Defender as may be, the next one makes its call and answers 202 at once."""
    world = World()
    defender = Defender(world, lambda _number, _body: None)
    app = _app(world, defender)
    for event in range(8):
        app.post(_payload(event))
        world.run(0.5)
    app.host.queries = app.host.commits = 0
    began = world.now
    reply = world.finish(app.post(_payload(100)))
    assert reply.status == 202
    assert (app.host.queries, app.host.commits) == (1, 1)
    assert world.now - began < 0.1
    world.run(2)
    assert len(defender.arrivals) == 9


def test_a_dry_run_stores_and_calls_nothing() -> None:
    """`dryRun=true` maps and checks only."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    reply = world.finish(app.post(_payload(1), dryRun="true"))
    assert _document(reply)["status"] == "valid"
    refused = world.finish(app.post({"DeviceId": "pc-1"}, dryRun="true"))
    assert refused.status == 422
    assert (app.host.queries, app.host.commits, defender.arrivals) == (0, 0, [])


@pytest.mark.parametrize("text", ["1", "yes", "ture", "true,true"])
def test_what_was_meant_to_be_dry_is_not_sent(text: str) -> None:
    """Any other word than true or false is reported to the sender: an alert starts an investigation on a device."""
    world = World()
    defender = Defender(world)
    reply = world.finish(_app(world, defender).post(_payload(1), dryrun=text))
    assert reply.status == 400
    assert "accepted: true, false, or no value" in json.loads(reply.body)["detail"]
    assert (_alerts(world), defender.arrivals) == ([], [])


# Refused payloads


def _posted(
    body: bytes, query: Mapping[str, str], content_encoding: str = ""
) -> tuple[Reply | WebhookError, World, Defender]:
    """Post bytes to an app of its own; the answer, or the error that becomes one."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)

    def posted() -> Reply | WebhookError:
        try:
            return app.webhook.receive(body, query, ORIGIN, content_encoding=content_encoding)
        except WebhookError as error:
            return error

    return world.finish(app.host.submit(posted)), world, defender


@pytest.mark.parametrize("name", ["validationToken", "validationtoken"])
@pytest.mark.parametrize("body", [b"", b" \r\n"])
@pytest.mark.parametrize("token", ["Validation: is this client there? <b>1</b>", "\u00e4\u4e2d", "x" * 2_000])
def test_the_handshake_of_graph_is_answered(name: str, body: bytes, token: str) -> None:
    """The token comes back as text that no browser takes for anything else; nothing is stored or sent."""
    answer, world, defender = _posted(body, {name: token, "dryRun": "true", "severity": "High"})
    assert isinstance(answer, Reply)
    assert (answer.status, answer.content_type, answer.body) == (200, "text/plain", token)
    assert answer.headers == {"X-Content-Type-Options": "nosniff"}
    assert world.table.query(keys.ALERT, "~") == []
    assert world.table.query(keys.REFUSED, keys.REFUSED_END) == []
    assert defender.arrivals == []


def test_half_a_character_in_a_token_can_be_answered() -> None:
    """Whatever a token holds, its echo can be sent."""
    answer, _, _ = _posted(b"", {"validationToken": "a\ud83d"})
    assert isinstance(answer, Reply)
    assert answer.body.encode()


@pytest.mark.parametrize("token", ["", "x" * 2_001])
def test_what_is_no_token_is_no_handshake(token: str) -> None:
    """An empty token, and one that is too long to be echoed, leave an empty body what it is."""
    answer, _, _ = _posted(b"", {"validationToken": token})
    assert isinstance(answer, WebhookError)
    assert (answer.status, answer.detail[:18]) == (400, "The body is empty.")


def test_with_a_body_a_token_is_ignored() -> None:
    """A notification that carries the parameter is a payload like any other."""
    answer, _, defender = _posted(json.dumps(_payload(1)).encode(), {"validationToken": "x"})
    assert isinstance(answer, Reply)
    assert _document(answer)["status"] == "created"
    assert len(defender.arrivals) == 1


@pytest.mark.parametrize(
    ("compress", "declared"),
    [
        (gzip.compress, ""),
        (gzip.compress, "gzip"),
        (zlib.compress, "deflate"),
        (lambda body: zlib.compress(body)[2:-4], "deflate"),
    ],
    ids=["gzip that nobody declares", "gzip", "zlib", "deflate without a header"],
)
def test_a_compressed_body_is_opened(compress: Callable[[bytes], bytes], declared: str) -> None:
    """It becomes an alert; refused, it is stored as it was before it was compressed, so that it can be replayed."""
    answer, _, _ = _posted(compress(json.dumps(_payload(1)).encode()), {}, declared)
    assert isinstance(answer, Reply)
    assert _document(answer)["status"] == "created"
    body = json.dumps({"DeviceName": "pc-1", "text": "a" * 200}).encode()
    answer, world, _ = _posted(compress(body), {}, declared)
    assert isinstance(answer, WebhookError)
    [row] = world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert rows.read_refused(row).payload == body


def test_a_bomb_is_413_and_not_stored() -> None:
    """What opens to more than is taken is too large, however small it comes."""
    answer, world, _ = _posted(gzip.compress(b" " * 40_000_000), {})
    assert isinstance(answer, WebhookError)
    assert answer.status == 413
    assert world.table.query(keys.REFUSED, keys.REFUSED_END) == []


def test_the_function_passes_on_how_a_body_is_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function folder hands over body, parameters, address and `Content-Encoding`, and renders a handshake."""
    asked: list[tuple[object, ...]] = []

    class Listening:
        settings = Settings()
        clocks = Clocks(time.monotonic, time.time, time.sleep)

        def receive(
            self,
            body: bytes,
            query: Mapping[str, str],
            origin: str,
            *,
            content_encoding: str,
            sender: str,
        ) -> Reply:
            asked.append((body, dict(query), origin, content_encoding, sender))
            return echo(query["validationToken"])

    monkeypatch.setattr(app_module, "webhook", Listening)
    answer = create_alert(
        func.HttpRequest(
            method="POST",
            url="https://app.contoso.example/api/alerts?validationToken=a",
            headers={"content-encoding": "br"},
            params={},
            body=b"x",
        )
    )
    assert asked == [(b"x", {"validationToken": "a"}, "https://app.contoso.example", "br", "")]
    assert (answer.status_code, answer.mimetype, answer.get_body()) == (200, "text/plain", b"a")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_refused_payload_is_stored_with_its_reasons() -> None:
    """A payload that gave no alert is answered 422 and stored: source, problems, parameters without the key, bytes."""
    world = World()
    app = _app(world, Defender(world))
    body = json.dumps(_payload(1) | {"machineId": "no device"}).encode()
    reply = world.finish(app.post(body, Code="secret", clientId="secret", title="A title"))
    assert reply.status == 422
    (row,) = world.table.query(keys.REFUSED, keys.REFUSED_END)
    stored = rows.read_refused(row)
    assert (stored.status, stored.payload, stored.bytes) == (422, body, len(body))
    assert stored.query == {"title": "A title"}
    assert stored.refused[0]["problems"][0]["field"] == "machineId"
    assert "secret" not in str(row.values)


def test_a_delivery_that_was_refused_in_part_is_stored_as_well(caplog: pytest.LogCaptureFixture) -> None:
    """Its good events are created, and the operator finds the others: in the table, and in the log."""
    caplog.set_level(logging.INFO, "defender-alert-webhook")
    world = World()
    app = _app(world, Defender(world))
    reply = world.finish(app.post([_payload(1), _payload(2) | {"machineId": "no device"}]))
    assert (reply.status, _document(reply)["status"]) == (200, "partial")
    (row,) = world.table.query(keys.REFUSED, keys.REFUSED_END)
    stored = rows.read_refused(row)
    assert (stored.status, [event["event"] for event in stored.refused]) == (200, [1])
    assert b"no device" in stored.payload
    lines = [json.loads(line) for line in caplog.messages]
    assert [(line["status"], line["events"]) for line in lines if line["step"] == "refused"] == [(200, 1)]
    world.finish(app.post([_payload(1), _payload(2) | {"machineId": "no device"}], dryRun="true"))
    assert len(world.table.query(keys.REFUSED, keys.REFUSED_END)) == 1


def test_a_refused_payload_is_answered_even_if_it_cannot_be_stored() -> None:
    """Where the table is unavailable, a refused payload is still answered with its problems."""
    world = World()
    app = _app(world, Defender(world))
    app.host.script = lambda _request: Fault("lost")
    assert world.finish(app.post({"title": "nothing"})).status == 422


# Health


@pytest.mark.parametrize(
    "reply", [echo("a"), Reply(202, "{}"), Reply(200, "{}", headers={"Cache-Control": "no-cache"})]
)
def test_no_answer_is_stored_on_its_way_or_taken_for_another_type(reply: Reply) -> None:
    """Every function answers through `azure_response`: `no-store` unless it says else, and `nosniff`."""
    answer = azure_response(reply)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == reply.headers.get("Cache-Control", "no-store")
    assert (answer.status_code, answer.get_body().decode()) == (reply.status, reply.body)


def test_a_discarded_alert_says_who_ended_it() -> None:
    """`Discarded` as its error's code, and when: the sender need not wonder why nothing came of it."""
    world = World()
    app = _app(world, Defender(world))
    _fill_window(world)
    first = _document(world.finish(app.post(_payload(1))))
    (entry,) = _alerts(world)
    (row,) = world.table.query(entry.waits, entry.waits + "~")
    after = record.discard(entry, now=world.now)
    world.table.commit(rows.move(entry, after, waiting=row.etag))
    (alert,) = _document(world.finish(app.status(first["id"])))["alerts"]
    assert (alert["status"], alert["error"]["code"], alert["error"]["status"]) == (
        "discarded",
        "Discarded",
        None,
    )
    assert "operator" in alert["error"]["message"]
    assert "nextAttempt" not in alert


def test_when_it_is_an_alerts_turn_is_shown_or_nobody_knows() -> None:
    """`until` is null for what stands behind more alerts than a snapshot has, and not the turn of the last one seen."""
    world = World()
    app = _app(world, Defender(world))
    _fill_window(world)
    for number in range(100):
        _backlog(world, number, "High", ago=100.0 - number)
    world.run(6)
    reply = _document(world.finish(app.post(_payload(500, severity="Medium"))))
    later = _document(world.finish(app.status(reply["id"])))
    assert [answer["alerts"][0]["waitingFor"]["until"] for answer in (reply, later)] == [None, None]


def test_a_row_of_somebody_else_stops_nobody() -> None:
    """Waiting rows that none of us wrote stop nothing: alerts are sent, status and health answer, the timer runs."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    world.table.commit([Insert("todo-0", {}), Insert("later-0", {"due": "x"}), Insert("alert-0", {})])
    _backlog(world, 1, "High")
    straight = world.finish(app.post(_payload(2)))
    assert straight.status == 200
    assert world.finish(app.status(_document(straight)["id"])).status == 200
    world.finish(app.tick())
    assert {entry.body["title"] for entry in defender.arrivals} == {"Rule 1", "Rule 2"}
    world.run(1000)
    assert world.finish(app.health()).status == 200


def test_an_alert_whose_own_row_is_gone_stops_nobody() -> None:
    """Somebody removed an alert's row by hand: its waiting row is enough to send it, and to write the row again."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender, Settings(rate_limit_calls=1))
    _backlog(world, 1, "High", ago=10.0)
    _backlog(world, 2, "High")
    (first,) = [entry for entry in _alerts(world) if entry.alert.title == "Rule 1"]
    world.table.commit([Delete(keys.alert_key(first.alert.id), "*")])
    app.timer()
    world.run(130)
    assert [arrival.body["title"] for arrival in defender.arrivals] == ["Rule 1", "Rule 2"]
    assert {entry.state for entry in _alerts(world)} == {"created"}
    assert unsound(world.table) == []


def test_half_a_character_of_defenders_can_be_answered() -> None:
    """An escape that is no character, in Defender's alert, is given on as it came; the answer can be encoded."""
    world = World()
    raw = b'{"id": "da1", "title": "half \\ud800"}'
    app = _app(world, Defender(world, lambda _number, _body: answer_with(200, raw=raw)))
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 200
    assert b'"half \\ud800"' in reply.body.encode()


def test_health_passes_and_says_nothing_else() -> None:
    """An idle app is healthy: 200, `application/health+json`, no detail, never cached."""
    world = World()
    app = _app(world, Defender(world))
    reply = world.finish(app.health())
    assert (reply.status, json.loads(reply.body)) == (200, {"status": "pass"})
    assert reply.content_type == "application/health+json"


def test_health_fails_while_the_table_is_out() -> None:
    """No answer of the table: 503 fail; it passes again without a restart."""
    world = World()
    app = _app(world, Defender(world))
    app.host.script = lambda _request: Fault("lost")
    world.run(memory.SECONDS)
    reply = world.finish(app.health())
    assert (reply.status, json.loads(reply.body)) == (503, {"status": "fail"})
    app.host.script = None
    world.run(memory.SECONDS)
    assert world.finish(app.health()).status == 200


def test_health_fails_where_the_dispatcher_is_dead() -> None:
    """An alert that waits over five minutes while slots are open and no pause holds: fail; in a pause it passes."""
    world = World()
    app = _app(world, Defender(world))
    _backlog(world, 1, "Low")
    world.run(290)
    assert world.finish(app.health()).status == 200
    world.run(20)
    assert world.finish(app.health()).status == 503
    world.table.commit([pause.stop(None, "stop")])
    world.run(memory.SECONDS)
    assert world.finish(app.health()).status == 200
    world.table.commit([Delete(keys.STOP, "*")])
    _fill_window(world)
    world.run(memory.SECONDS)
    assert world.finish(app.health()).status == 200


def test_a_payload_is_not_refused_for_a_table_that_is_busy() -> None:
    """The first request of a process waits for a busy table as every POST does, and is never listed as refused."""
    world = World()
    until = world.now + 15
    host = Host(world, QUICK, arrive=Defender(world))
    host.script = lambda _request: Fault("busy") if world.now < until else None
    app = App.on(host)
    assert world.finish(app.post(_payload(1))).status == 202
    until = world.now + 60
    app = App.on(Host(world, QUICK, arrive=Defender(world), script=host.script))
    assert world.finish(app.post(_payload(2))).status == 503
    world.run(120)
    assert world.table.query(keys.REFUSED, keys.REFUSED_END) == []


def test_health_passes_right_after_a_resume() -> None:
    """What waited for the operator to resume is sent by the next tick; health fails where none comes."""
    world = World()
    app = _app(world, Defender(world))
    _backlog(world, 1, "Low")
    world.table.commit([pause.stop(None, "stop")])
    world.run(3_600)
    assert world.finish(app.health()).status == 200
    stop = window.read_pause(world.table.get(keys.STOP), POLICY)
    assert stop
    world.table.commit(pause.resume(stop))
    assert world.finish(app.health()).status == 200
    world.run(80)
    assert world.finish(app.health()).status == 200
    world.run(20)
    assert world.finish(app.health()).status == 503


def test_health_fails_where_nobody_takes_back_what_came_due_again() -> None:
    """Webhooks never look at what waits for a time: if the dispatcher is dead, health says so; else nobody would."""
    world = World()
    app = _app(world, Defender(world, lambda number, _body: answer_with(200 if number else 404)))
    assert world.finish(app.post(_payload(1))).status == 202
    world.run(60 + 290)
    assert world.finish(app.health()).status == 200
    world.run(20)
    assert world.finish(app.health()).status == 503
    world.finish(app.tick())
    assert {entry.state for entry in _alerts(world)} == {"created"}
    world.run(memory.SECONDS)
    assert world.finish(app.health()).status == 200


def test_health_is_remembered_for_some_seconds() -> None:
    """Anybody may ask, as often as they like: within 5 seconds a host asks the table once."""
    world = World()
    app = _app(world, Defender(world))
    world.run(memory.SECONDS)
    before = app.host.queries
    assert {world.finish(app.health()).status for _ in range(20)} == {200}
    assert app.host.queries - before <= 2


def test_polls_of_waiting_deliveries_share_one_snapshot() -> None:
    """Each poll reads its delivery and its alerts; how the window stands was seen by another, seconds ago."""
    world = World()
    app = _app(world, Defender(world))
    _fill_window(world)
    deliveries = [_document(world.finish(app.post(_payload(number)))) for number in range(10)]
    before = app.host.queries
    assert {world.finish(app.status(delivery["id"])).status for delivery in deliveries} == {202}
    assert app.host.queries - before <= 2 * len(deliveries) + 1


@pytest.mark.parametrize("status", [200, 400, 404])
def test_the_status_of_a_hundred_alerts_is_at_most_64_kib(status: int) -> None:
    """Whoever knows the id may ask, so texts are shortened; ids, severities and links stay whole."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(status))
    app = _app(world, defender, Settings(max_payload_bytes=20_000_000))
    texts = {"description": "\u4e2d" * 4_000, "recommendedAction": "\u4e2d" * 4_000}
    payload = [_payload(number, "T" * 200) | texts for number in range(100)]
    first = _document(world.finish(app.post(payload)))
    app.timer()
    for _ in range(12):
        reply = world.finish(app.status(first["id"]))
        assert len(reply.body.encode()) <= 64 * 1024
        assert len(json.loads(reply.body)["alerts"]) == 100
        world.run(120)
    for item in json.loads(reply.body)["alerts"]:
        assert re.fullmatch(r"[0-9a-f]{40}", item["request"]["machineId"])
        assert item["portalUrl"] in (None, "https://security.microsoft.com/alerts/da200")
    small = world.finish(app.post([_payload(200)]))
    again = world.finish(app.status(_document(small)["id"]))
    assert _document(again)["alerts"][0]["request"] == _document(small)["alerts"][0]["request"]


def test_health_passes_while_a_long_backlog_is_sent() -> None:
    """A backlog of many minutes is no illness: asked at any moment, a site whose dispatcher works is healthy."""
    world = World()
    app, other = _app(world, Defender(world)), _app(world, Defender(world))
    for event in range(150):
        _backlog(world, event, "Low", ago=400)
    app.timer()
    asked = []
    for _ in range(700):
        world.run(0.9)
        asked.append(world.finish(other.health()).status)
    assert any(entry.state == "created" for entry in _alerts(world))
    assert set(asked) == {200}


def _utc(seconds: float) -> str:
    from shared.alerts.event_time import utc  # noqa: PLC0415 - the form of times in answers

    return str(utc(seconds))


def test_what_a_dispatcher_took_first_is_answered_as_it_stands() -> None:
    """A timer that fires between commit and take sends the alerts of a delivery; its answer knows."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    other = App.on(Host(world, QUICK, arrive=defender))
    committed = []

    def script(request: Request) -> Fault | None:
        if request.kind == "commit":
            committed.append(request)
        elif len(committed) == 1 and request.start == keys.SLOT:
            committed.append(request)
            other.tick()
            return Fault("freeze", 3.0)
        return None

    app.host.script = script
    reply = world.finish(app.post([_payload(1), _payload(2)]))
    assert reply.status == 200
    assert [(alert["status"], alert["duplicate"]) for alert in _document(reply)["alerts"]] == [
        ("created", False)
    ] * 2
    assert len(defender.arrivals) == 2
    assert len(committed) == 2
