"""Alerts by their ids: side by side, bounded by time, and no more of them than were asked for."""

import itertools
import json
import logging
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from dev import samples
from dev.memory_table import MemoryTable
from shared.ledger import keys, lookup, record
from shared.operations.routes import Operator, handle
from shared.settings import Settings
from shared.table.patience import PatientTable
from shared.table.protocol import Insert, Row
from shared.threads import Readers
from tests.checks.app import App
from tests.checks.graph import Graph, payload
from tests.checks.searches import searching
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Host, World, answer_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.web.reply import Reply


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Hundreds of alerts are accepted; nobody reads their lines here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


class Counted:
    """Counts the entities that requests read and write."""

    def __init__(self, world: World) -> None:
        self.entities = 0.0
        spend = world.partition.spend

        def count(entities: float) -> None:
            self.entities += entities
            spend(entities)

        world.partition.spend = count  # type: ignore[method-assign]


def _payload(events: "Sequence[int]") -> list[dict[str, Any]]:
    return [samples.eight_fields(samples.event(event), f"Rule {event}", "Low") for event in events]


def _app(world: World) -> App:
    """Start an app whose window is full."""
    app = App.on(Host(world, arrive=Defender(world)), Settings(rate_limit_calls=1, inline_seconds=0))
    world.finish(app.post(_payload([1_000])))
    world.finish(app.tick())
    return app


def test_a_delivery_of_a_hundred_known_alerts_does_not_read_them_one_after_the_other() -> None:
    """On a table that takes a second for each request, its answer and its status come within a few seconds."""
    world = World()
    app = _app(world)
    first: Reply = world.finish(app.post(_payload(range(100))))
    assert first.status == 202
    world.partition.seconds = 1.0
    began = world.now
    again: Reply = world.finish(app.post(_payload(range(100))))
    assert world.now - began <= 10
    document = json.loads(again.body)
    assert (again.status, len(document["alerts"])) == (202, 100)
    assert all(item["duplicate"] for item in document["alerts"])
    began = world.now
    assert world.finish(app.status(document["id"])).status == 202
    assert world.now - began <= 6


@pytest.mark.parametrize("before", ["created", "failed", "discarded", "waiting as Low"])
def test_a_hundred_known_alerts_are_not_written_one_after_the_other(before: str) -> None:
    """What becomes of each is written as well: on a table that takes half a second, within some seconds."""
    world = World()
    status = 404 if before == "failed" else 200
    defender = Defender(world, lambda _number, _body: answer_with(status))
    rules = Settings(rate_limit_window_seconds=1.0, inline_seconds=0, not_found_retry_minutes=())
    app = App.on(Host(world, arrive=defender), rules)
    assert world.finish(app.post(_payload(range(100)))).status == 202
    if before == "discarded":
        operator = Operator(app.webhook, lambda: None, searching())
        url = "https://app.contoso.example/api/operations/discard?severity=Low"
        world.finish(app.host.ask(lambda: handle(operator, "POST", "discard", url)))
    elif before != "waiting as Low":
        app.timer()
        world.run(2 * 3600)
    again = [{**payload, "severity": "High"} for payload in _payload(range(100))]
    world.partition.seconds = 0.5
    began = world.now
    answer: Reply = world.finish(app.post(again))
    assert world.now - began <= 15
    document = json.loads(answer.body)
    assert len(document["alerts"]) == 100
    assert {alert["duplicate"] for alert in document["alerts"]} == {before in ("created", "waiting as Low")}


def test_the_status_of_a_hundred_waiting_alerts_takes_at_most_ten_requests() -> None:
    """The first time, while others wait before them; asked again within seconds it is two."""
    world = World()
    app = App.on(Host(world, arrive=Defender(world)), Settings(inline_seconds=0))
    world.finish(app.post(_payload(range(2_000, 2_020)), sender="another"))
    world.finish(app.tick())
    world.finish(app.post(_payload(range(3_000, 3_010)), sender="another"))
    posted = json.loads(world.finish(app.post(_payload(range(100)))).body)
    app.host.queries = 0
    first = json.loads(world.finish(app.status(posted["id"])).body)
    assert app.host.queries <= 10
    assert {alert["id"] for alert in first["alerts"]} == {alert["id"] for alert in posted["alerts"]}
    app.host.queries = 0
    world.finish(app.status(posted["id"]))
    assert app.host.queries <= 2


def test_the_status_of_a_hundred_waiting_searches_takes_at_most_ten_requests() -> None:
    """They wait in another stage, whose range is read as well."""
    world = World()
    host = Host(world, arrive=Defender(world))
    host.hunts = Graph(world)
    app = App.on(host, Settings(inline_seconds=0, find_events="true"))
    posted = json.loads(world.finish(app.post([payload(number) for number in range(100)])).body)
    other = App.on(Host(world, arrive=Defender(world)), Settings(find_events="true"))
    other.host.queries = 0
    shown = json.loads(world.finish(other.status(posted["id"])).body)
    assert other.host.queries <= 10
    assert len(shown["alerts"]) == 100
    assert {alert["waitingFor"]["what"] for alert in shown["alerts"]} == {"event"}


def _post(world: World, defender: Defender, events: "Sequence[int]", sender: str = "") -> str:
    """Let a host accept some alerts; return the delivery's id."""
    rules = Settings(rate_limit_window_seconds=1.0, inline_seconds=0, not_found_retry_minutes=())
    app = App.on(Host(world, arrive=defender), rules)
    delivery: str = json.loads(world.finish(app.post(_payload(events), sender=sender)).body)["id"]
    return delivery


def _end(world: World, defender: Defender) -> None:
    """Let a host send all that waits."""
    rules = Settings(rate_limit_window_seconds=1.0, inline_seconds=0, not_found_retry_minutes=())
    App.on(Host(world, arrive=defender), rules).timer()
    world.run(2 * 3600)


def _discard(world: World) -> None:
    """Let the operator discard all that waits."""
    app = App.on(Host(world, arrive=Defender(world)))
    operator = Operator(app.webhook, lambda: None, searching())
    url = "https://app.contoso.example/api/operations/discard?severity=Low"
    world.finish(app.host.ask(lambda: handle(operator, "POST", "discard", url)))


def _asked(world: World, delivery: str) -> tuple[Counter[str], int]:
    """Ask a host that never saw a delivery; return how many alerts are in each state, and its requests."""
    app = App.on(Host(world, arrive=Defender(world)))
    alerts = json.loads(world.finish(app.status(delivery)).body)["alerts"]
    return Counter(alert["status"] for alert in alerts), app.host.queries + app.host.commits


@pytest.mark.parametrize("ends", ["created", "failed", "discarded"])
def test_the_status_of_a_hundred_ended_alerts_takes_at_most_ten_requests(ends: str) -> None:
    """A host that never saw them reads their copies in one range."""
    world = World()
    defender = Defender(world, lambda _number, _body: answer_with(404 if ends == "failed" else 200))
    delivery = _post(world, defender, range(100))
    (_discard(world) if ends == "discarded" else _end(world, defender))
    assert _asked(world, delivery) == ({ends: 100}, 2)
    assert unsound(world.table) == []


def test_the_status_of_a_hundred_alerts_in_all_states_takes_at_most_ten_requests() -> None:
    """Some were created, failed, were discarded and accepted again, and some wait: at any mixture."""
    world = World()
    answers = itertools.cycle([200, 404, 404])
    defender = Defender(world, lambda _number, _body: answer_with(next(answers)))
    _post(world, defender, range(60))
    _end(world, defender)
    _post(world, defender, range(60, 80))
    _discard(world)
    delivery = _post(world, defender, range(100))
    states, requests = _asked(world, delivery)
    assert states == {"created": 20, "waiting": 60, "discarded": 20}
    assert requests <= 10
    _end(world, defender)
    states, requests = _asked(world, delivery)
    assert set(states) == {"created", "failed", "discarded"}
    assert requests <= 10
    assert unsound(world.table) == []


def test_the_status_of_a_hundred_duplicates_of_another_delivery_takes_at_most_ten_requests() -> None:
    """They are in the copies of the other delivery, which the delivery's row names; so it is with a few of them."""
    world = World()
    defender = Defender(world)
    _post(world, defender, range(60))  # before the two that are asked for
    early = _post(world, defender, range(100))
    _end(world, defender)
    late = _post(world, defender, range(100))
    asked = [_asked(world, delivery) for delivery in (early, late)]
    assert asked == [({"created": 100}, 3), ({"created": 100}, 4)]
    assert unsound(world.table) == []


def test_alerts_that_another_delivery_brought_again_are_found_with_it() -> None:
    """What failed and was accepted anew belongs to the other delivery: the first one's copies say so."""
    world = World()
    answers = iter([404] * 100)
    defender = Defender(world, lambda _number, _body: answer_with(next(answers, 200)))
    first = _post(world, defender, range(100))
    _end(world, defender)
    assert _asked(world, first)[0] == {"failed": 100}
    second = _post(world, defender, range(100))
    states, requests = _asked(world, first)
    assert states == {"waiting": 100}
    assert requests <= 10
    _end(world, defender)
    assert [_asked(world, delivery) for delivery in (first, second)] == [
        ({"created": 100}, 3),
        ({"created": 100}, 2),
    ]
    assert unsound(world.table) == []


def test_a_small_delivery_writes_no_copies() -> None:
    """Its alerts are read one by one, and cost no row more."""
    world = World()
    defender = Defender(world)
    delivery = _post(world, defender, range(record.FEW))
    _end(world, defender)
    assert _asked(world, delivery) == ({"created": record.FEW}, 1 + record.FEW)
    assert world.table.query(keys.COPY, keys.COPY + "~") == []


def test_what_was_created_is_not_read_again() -> None:
    """Polls of a hundred alerts, while some of them are created, cost what is new; in the end it is one request."""
    world = World()
    app = App.on(
        Host(world, arrive=Defender(world)), Settings(rate_limit_window_seconds=10.0, inline_seconds=0)
    )
    app.timer()
    posted = json.loads(world.finish(app.post(_payload(range(100)))).body)
    polls, status = [], 202
    while status == 202:
        world.run(6)
        app.host.queries = 0
        answer: Reply = world.finish(app.status(posted["id"]))
        polls.append(app.host.queries)
        status = answer.status
    assert status == 200
    assert max(polls) <= 30
    world.run(6)
    app.host.queries = 0
    assert world.finish(app.status(posted["id"])).body == answer.body
    assert app.host.queries == 1


def test_what_the_operator_changes_is_seen_at_once() -> None:
    """A status that was answered a moment ago is not remembered beyond a change of this host's operator."""
    world = World()
    app = _app(world)
    posted = json.loads(world.finish(app.post(_payload(range(20)))).body)
    world.finish(app.status(posted["id"]))
    operator = Operator(app.webhook, lambda: None, searching())
    url = "https://app.contoso.example/api/operations/discard?severity=Low"
    world.finish(app.host.ask(lambda: handle(operator, "POST", "discard", url)))
    stands = json.loads(world.finish(app.status(posted["id"])).body)
    assert {alert["status"] for alert in stands["alerts"]} == {"discarded"}


@pytest.mark.parametrize("alerts", [1, 30, 100])
def test_a_poll_reads_at_most_two_entities_for_each_alert(alerts: int) -> None:
    """Polls of a delivery that waits, whoever asks and how often: its row, its alerts, and a snapshot now and then."""
    world = World()
    app = _app(world)
    posted = json.loads(world.finish(app.post(_payload(range(alerts)))).body)
    world.finish(app.status(posted["id"]))
    counted = Counted(world)
    for _ in range(4):
        assert world.finish(app.status(posted["id"])).status == 202
    assert counted.entities / 4 <= 2 * alerts


def test_what_is_not_stored_is_not_there() -> None:
    """Ids that nobody knows are in neither part; one that cannot be read is reported with its reason."""
    table = MemoryTable()
    table.commit([Insert(keys.alert_key("a"), {"title": 7})])
    stored = lookup.find(table, ["a", "b"])
    assert (stored.entries, list(stored.unreadable)) == ({}, ["a"])
    assert lookup.find(table, []) == lookup.Stored()


class Slow(MemoryTable):
    """A table that notes how many read it at the same time, and waits until several do."""

    def __init__(self) -> None:
        super().__init__()
        self.now_reading = self.most = 0
        self._change = threading.Condition()

    def time(self) -> float | None:
        """Know some time."""
        return 1.0

    def get(self, key: str, *, seconds: float = 0.0) -> Row | None:
        """Answer once as many read as ever may."""
        del seconds
        with self._change:
            self.now_reading += 1
            self.most = max(self.most, self.now_reading)
            self._change.notify_all()
            self._change.wait_for(lambda: self.most >= 4, 10)
        row = super().get(key)
        with self._change:
            self.now_reading -= 1
        return row


def test_real_threads_read_side_by_side_and_so_many_at_once() -> None:
    """The pool's size bounds what one host asks of the table at the same moment; the order is that of the keys."""
    requests = Slow()
    requests.commit([Insert(f"a{number:02}", {"n": number}) for number in range(40)])
    table = PatientTable(requests, time.monotonic, time.sleep, random.Random(0), readers=Readers(4))  # type: ignore[arg-type]
    stored = table.get_all([f"a{number:02}" for number in range(41)])
    assert [row and row.values["n"] for row in stored] == [*range(40), None]
    assert requests.most == 4
