"""The status of a delivery: at most ten requests, whatever its alerts are mixed with, and nothing untrue."""

import json
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dev import samples
from shared.ledger import keys, record, rows
from shared.operations.routes import Operator, handle
from shared.settings import Settings
from shared.table.protocol import Delete
from shared.webhook import status
from tests.checks.app import App
from tests.checks.contract import Contract
from tests.checks.graph import Graph, payload
from tests.checks.searches import searching
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Host, World, answer_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.web.reply import Reply

CONTRACT = Contract.read()
_EVENTS = 60
_TRIES = 60


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Hundreds of alerts are accepted; nobody reads their lines here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


@dataclass
class Past:
    """Large and small deliveries of the same events, sent by several hosts, and what became of them."""

    chance: random.Random
    world: World = field(default_factory=World)
    posted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.defender = Defender(self.world, lambda *_: answer_with(self.chance.choice([200, 200, 404, 400])))
        self.graph = Graph(self.world)

    def host(self, **more: Any) -> App:
        """Start a host that has seen nothing."""
        rules = Settings(
            rate_limit_window_seconds=1.0,
            find_events_window_seconds=1.0,
            find_events="true",
            not_found_retry_minutes=(1.0,),
            **{"inline_seconds": 0} | more,
        )
        return App.on(Host(self.world, arrive=self.defender, hunts=self.graph), rules)

    def post(self, count: int) -> None:
        """Let a delivery bring so many of the events, with their references or without."""
        numbers = self.chance.sample(range(_EVENTS), count)
        events = [
            payload(number, title=f"Rule {number}")
            if number % 4 == 0
            else samples.eight_fields(samples.event(number), f"Rule {number}", "Low")
            for number in numbers
        ]
        reply = self.world.finish(
            self.host().post(events, sender=self.chance.choice(["0123456789", "abcdef0123"]))
        )
        self.posted.append(json.loads(reply.body)["id"])

    def few(self) -> None:
        """Let a small delivery come."""
        self.post(self.chance.randint(1, record.FEW))

    def many(self) -> None:
        """Let a large delivery come."""
        self.post(self.chance.randint(record.FEW + 1, 40))

    def send(self) -> None:
        """Let a host send for some time."""
        app = self.host()
        app.timer()
        self.world.run(self.chance.choice([1.0, 5.0, 120.0]))
        app.host.dead = True

    def discard(self) -> None:
        """Let the operator discard what waits with one severity."""
        app = self.host()
        operator = Operator(app.webhook, lambda: None, searching())
        url = "https://app.contoso.example/api/operations/discard?severity=Low"
        self.world.finish(app.host.ask(lambda: handle(operator, "POST", "discard", url)))

    def forget(self) -> None:
        """Remove some copies: an older version wrote none."""
        copies = self.world.table.query(keys.COPY, keys.COPY + "~")
        for row in self.chance.sample(copies, len(copies) // 4):
            self.world.table.commit([Delete(row.key, "*")])

    def truth(self) -> dict[str, str]:
        """Return the state of each alert as its own row says, by id; of a search that of the alert it has led to."""
        stored = self.world.table.query(keys.ALERT, keys.ALERT_END)
        entries = {entry.alert.id: entry for entry in map(rows.read, stored)}
        ends = {
            alert: entries[entry.link] if entry.state == "matched" else entry
            for alert, entry in entries.items()
        }
        return {
            alert: "waiting" if entry.state == "sending" else entry.state for alert, entry in ends.items()
        }


def _polled(past: Past, delivery: str) -> list[str]:
    """Poll a delivery on one host until nothing is left out; return what was wrong."""
    app, truth = past.host(), past.truth()
    row = past.world.table.get(keys.delivery_key(delivery))
    assert row
    asked = set(rows.read_delivery(row).alerts)
    shown: set[str] = set()
    wrong: list[str] = []
    for _ in range(_TRIES):
        before = app.host.queries
        reply: Reply = past.world.finish(app.status(delivery))
        requests = app.host.queries - before
        if requests > status.REQUESTS:
            wrong.append(f"{requests} requests")
        headers = {"content-type": reply.content_type, **reply.headers}
        wrong += CONTRACT.breaches("GET", "/api/deliveries/{id}", reply.status, headers, reply.body)
        document = json.loads(reply.body)
        unread = document.get("unread", 0)
        wrong += [
            f"{each['id']} {each['status']}"
            for each in document["alerts"]
            if each["status"] != truth[each["id"]]
        ]
        shown |= {each["id"] for each in document["alerts"]}
        if len(document["alerts"]) + unread != len(asked):
            wrong.append(f"{len(document['alerts'])} and {unread} of {len(asked)}")
        if unread and (reply.status, reply.headers["Retry-After"]) != (202, "6"):
            wrong.append(f"{reply.status} although alerts are left out")
        if not unread or (len(shown) == len(asked) and "waiting" in truth.values()):
            break
        past.world.run(6.0)
    else:
        wrong.append("never read whole")
    return wrong


def _live(seed: int) -> list[str]:
    """Let many things happen in some order, then poll each delivery."""
    past = Past(random.Random(seed))
    steps: list[Callable[[], None]] = [past.few, past.few, past.many, past.send, past.discard, past.forget]
    for _ in range(14):
        past.chance.choice(steps)()
    past.many()
    lost = [each for each in unsound(past.world.table) if f"there is no {keys.COPY}" not in each]
    return lost + [f"{delivery}: {each}" for delivery in past.posted for each in _polled(past, delivery)]


@pytest.mark.parametrize("seed", range(6))
def test_a_status_takes_at_most_ten_requests_for_any_mixture(seed: int) -> None:
    """What is left out is counted, the polls come to all of it, and each alert is shown as its own row says."""
    assert _live(seed) == []


@pytest.mark.parametrize("count", [record.FEW, record.FEW + 1, 8])
def test_a_status_of_searches_and_what_they_have_led_to_takes_at_most_ten_requests(count: int) -> None:
    """Each of a small delivery is two rows, the search and its alert; the copies of a larger one are in one range."""
    past = Past(random.Random(0))
    past.defender.says = lambda *_: answer_with(200)
    sending = past.host()
    sending.timer()
    posted = json.loads(past.world.finish(sending.post([payload(number) for number in range(count)])).body)
    past.world.run(120)
    app = past.host()
    shown = json.loads(past.world.finish(app.status(posted["id"])).body)
    assert [each["status"] for each in shown["alerts"]] == ["created"] * count
    assert app.host.queries <= status.REQUESTS


def test_a_status_that_reads_one_by_one_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of the property: without a bound some delivery takes more requests."""
    monkeypatch.setattr(status, "_SINGLES", 100)
    assert any("requests" in each for seed in range(6) for each in _live(seed))
