"""Sending without the table: the real code on hosts in a virtual world whose table is out."""

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dev import samples
from dev.simulator.judge import violations
from dev.virtual import App, Defender, Fault, Faults, Host, Request, World, said, unsound
from shared import ledger, window
from shared.settings import Settings
from shared.storage import Delete

if TYPE_CHECKING:
    from shared.reply import Reply

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
POLICY = window.Policy()


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep quiet: an outage logs a line a second, and nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _payload(event: int, title: str = "A rule") -> dict[str, Any]:
    return samples.eight_fields(samples.event(event), title, "High")


def _app(world: World, defender: Defender, settings: Settings | None = None) -> App:
    app = App.on(Host(world, QUICK, arrive=defender), settings)
    world.finish(app.health())
    return app


def _out(request: Request) -> Fault | None:
    """Let the table be out."""
    return Fault("lost") if request.kind != "call" else None


def _told(reply: "Reply") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(reply.body)
    return document


def _only(kind: str) -> Callable[[Request], Fault | None]:
    return lambda request: Fault("lost") if request.kind == kind else None


@pytest.mark.parametrize("out", [_out, _only("query"), _only("commit")], ids=["all", "queries", "commits"])
@pytest.mark.parametrize("alerts", [1, 3])
def test_without_the_table_alerts_go_to_defender_directly(
    out: Callable[[Request], Fault | None], alerts: int
) -> None:
    """Whichever request the table fails to answer twice: each alert is called once, and told with `id: null`."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = out
    began = world.now
    reply = world.finish(app.post([_payload(event) for event in range(alerts)]))
    document = _told(reply)
    assert reply.status == 200
    assert (document["id"], document["status"], len(document["alerts"])) == (None, "created", alerts)
    assert all(one["portalUrl"] and not one["duplicate"] for one in document["alerts"])
    assert "Location" not in reply.headers
    assert len(defender.arrivals) == app.gateway.direct.calls == alerts
    assert world.now - began < 8.5
    assert world.table.query(ledger.ALERT, "~") == []


def test_a_host_that_never_saw_the_table_sends_directly() -> None:
    """A host that starts while the table is out does not need to have seen it."""
    world = World()
    defender = Defender(world)
    app = App.on(Host(world, QUICK, arrive=defender, script=_out))
    assert world.finish(app.post(_payload(1))).status == 200
    assert len(defender.arrivals) == 1


def test_it_is_remembered_for_an_hour() -> None:
    """The same alert again is told as a duplicate without a call, for an hour; then it is a new one."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = _out
    first = _told(world.finish(app.post(_payload(1))))
    world.run(3500)
    second = _told(world.finish(app.post(_payload(1))))
    assert second["alerts"][0] == first["alerts"][0] | {"duplicate": True}
    assert len(defender.arrivals) == 1
    world.run(200)
    third = _told(world.finish(app.post(_payload(1))))
    assert third["alerts"][0]["duplicate"] is False
    assert len(defender.arrivals) == 2


def test_rejected_counts_as_ended() -> None:
    """A rejected alert is answered 422 with `id: null` and remembered: sending it again makes no call."""
    world = World()
    defender = Defender(world, lambda _number, _body: said(400))
    app = _app(world, defender)
    app.host.script = _out
    for duplicate in (False, True):
        reply = world.finish(app.post(_payload(1)))
        assert reply.status == 422
        document = _told(reply)
        assert document["id"] is None
        assert document["alerts"][0]["error"]["code"] == "Code400"
        assert document["alerts"][0]["duplicate"] is duplicate
    assert len(defender.arrivals) == 1


@pytest.mark.parametrize(
    "answer", [said(404), said(500), said(429, retry_after=1.0), said(403), None], ids=str
)
def test_anything_else_is_unsent(answer: Any) -> None:
    """404, 5xx, 429, 403 and no answer: 503 with `Retry-After` in time, and the sender's next try is a new one."""
    world = World()
    defender = Defender(world, lambda number, _body: said(200) if number else answer)
    app = _app(world, defender)
    app.host.script = _out
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert world.now - began <= 8.5
    world.run(70)
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 200
    assert _told(reply)["alerts"][0]["duplicate"] is False
    assert len(defender.arrivals) == 2


def test_one_unsent_alert_makes_the_delivery_unsent() -> None:
    """Where one of several did not end: 503; the next try sends only that one, and tells of all."""
    world = World()
    defender = Defender(
        world, lambda number, body: said(500 if body["title"] == "bad" and not number else 200)
    )
    app = _app(world, defender)
    app.host.script = _out
    payload = [_payload(1), _payload(2, "bad"), _payload(3)]
    assert world.finish(app.post(payload)).status == 503
    world.run(10)
    reply = world.finish(app.post(payload))
    assert reply.status == 200
    assert [one["duplicate"] for one in _told(reply)["alerts"]] == [True, False, True]
    assert len(defender.arrivals) == 4


def test_its_own_window_holds() -> None:
    """A host calls directly 15 times a minute at most; what finds no slot is unsent, and comes with the next try."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = _out
    payload = [_payload(event) for event in range(40)]
    statuses = []
    for _ in range(5):
        statuses.append(world.finish(app.post(payload)).status)
        world.run(45)
    assert statuses[0] == 503
    assert statuses[-1] == 200
    assert len(defender.arrivals) == 40
    assert violations([call.at for call in defender.arrivals], 15, 60.0) == []


def test_several_alerts_go_side_by_side() -> None:
    """Fifteen alerts are sent in the time of one call, also where Defender takes two seconds for each."""
    world = World()
    defender = Defender(world)
    app = App.on(Host(world, Faults(answer_delay=(2.0, 2.0)), arrive=defender, script=_only("commit")))
    reply = world.finish(app.post([_payload(event) for event in range(15)]))
    assert reply.status == 200
    assert len(defender.arrivals) == 15


def test_equal_alerts_of_one_delivery_are_one() -> None:
    """The same event twice in one delivery is one call."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = _out
    reply = world.finish(app.post([_payload(1), _payload(1)]))
    assert reply.status == 200
    assert len(_told(reply)["alerts"]) == len(defender.arrivals) == 1


def test_the_same_alert_in_many_requests_at_once_is_one_call() -> None:
    """Requests that arrive together with the same alert make one call; whoever cannot be told its end tries again."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = _out
    posted = [app.post(_payload(1)) for _ in range(6)]
    world.run(20)
    assert {post.result().status for post in posted} <= {200, 503}
    assert len(defender.arrivals) == 1
    assert world.finish(app.post(_payload(1))).status == 200
    assert len(defender.arrivals) == 1


def test_without_a_token_too_it_is_a_503() -> None:
    """Table and token endpoint out: 503 with `Retry-After`, in time, and no call."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = _out
    app.host.tokens = False
    began = world.now
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert world.now - began <= 10.0
    assert defender.arrivals == []


def test_the_operators_pause_holds_without_the_table() -> None:
    """A host that saw the operator's pause calls nobody while the table is out; once resumed and seen, it does."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    world.table.commit([window.operator_pause(None, "a bad rule", world.now)])
    assert world.finish(app.post(_payload(1))).status == 202
    app.host.script = _out
    reply = world.finish(app.post(_payload(2)))
    assert (reply.status, reply.headers["Retry-After"]) == (503, "60")
    assert defender.arrivals == []
    app.host.script = None
    world.table.commit([Delete(window.PAUSE_KEY, "*")])
    world.finish(app.health())
    app.host.script = _out
    assert world.finish(app.post(_payload(2))).status == 200


def test_it_recovers_without_a_restart() -> None:
    """As soon as the table answers, deliveries are accepted and health passes; nothing of the outage is left behind."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = _out
    world.finish(app.post(_payload(1)))
    assert world.finish(app.health()).status == 503
    app.host.script = None
    assert world.finish(app.health()).status == 200
    reply = world.finish(app.post(_payload(2)))
    assert reply.status == 202
    assert _told(reply)["id"]
    app.timer()
    world.run(120)
    assert world.finish(app.status(_told(reply)["id"])).status == 200
    assert len(defender.arrivals) == 2
    assert unsound(world.table) == []


def test_after_a_direct_call_the_host_takes_no_slot_for_a_window() -> None:
    """The shared window knows nothing of direct calls, so their host takes nothing for a minute; others go on."""
    world = World()
    defender = Defender(world)
    app, other = _app(world, defender), _app(world, defender)
    app.host.script = _out
    world.finish(app.post([_payload(event) for event in range(15)]))
    app.host.script = None
    last = max(call.at for call in defender.arrivals)
    world.finish(app.post(_payload(100)))
    app.timer()
    world.run(last + 59.5 - world.now)
    assert len(defender.arrivals) == 15
    assert world.finish(other.post(_payload(101))).status == 200
    world.run(5)
    assert {call.body["reportId"] for call in defender.arrivals[15:]} == {
        samples.event(event).report_id for event in (100, 101)
    }


def test_an_alert_whose_acceptance_was_lost_is_not_lost() -> None:
    """Where the commit landed but its answer did not come, the alert is sent directly, and again from the table."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    app.host.script = lambda request: Fault("swallowed") if request.kind == "commit" else None
    reply = world.finish(app.post(_payload(1)))
    assert reply.status == 200
    assert _told(reply)["id"] is None
    app.host.script = None
    app.timer()
    world.run(POLICY.lease + 40)
    assert len(defender.arrivals) == 2  # at least once: Defender merges the second into the first
    (row,) = world.table.query(ledger.ALERT, ledger.ALERT_END)
    assert ledger.read(row).state == "created"
    assert unsound(world.table) == []
