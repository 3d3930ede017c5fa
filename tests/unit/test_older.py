"""An older version, which knows no search, beside a newer one on the same table."""

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from dev import samples
from shared.ledger import keys, rows
from shared.ledger.record import Entry
from shared.operations import replay
from shared.sending import window
from shared.settings import Settings
from shared.table.protocol import Row
from tests.checks.app import App
from tests.checks.graph import Graph, found, payload, row
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Faults, Host, World

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
NEW = ("stage", "clues", "match", "candidates", "link", "trial", "many", "wrongMatch")


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Rows that are moved aside are logged; the tests look at the table."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


@contextlib.contextmanager
def _older(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the code know no more columns than before there was a search."""
    known = tuple(column for column in rows._ENTRY if column.name not in NEW)
    assert len(known) == len(rows._ENTRY) - len(NEW)
    with monkeypatch.context() as patch:
        patch.setattr(rows, "_ENTRY", known)
        yield


class Both:
    """A host of each version, on one table."""

    def __init__(self) -> None:
        self.world = World()
        self.defender = Defender(self.world)
        self.graph = Graph(self.world)
        self.newer = self._host(Settings(find_events="true"))
        self.older = self._host(Settings())

    def _host(self, settings: Settings) -> App:
        return App.on(Host(self.world, QUICK, arrive=self.defender, hunts=self.graph), settings)

    def run(self, app: App, minutes: int = 4) -> None:
        """Let the timer of one host fire for some minutes, and nothing else happen."""
        for _ in range(minutes):
            self.world.finish(app.tick())
            self.world.run(60)

    def rows(self, first: str, end: str) -> list[Row]:
        """Return the rows of a range."""
        return self.world.table.query(first, end)

    def post(self, app: App, given: Any) -> dict[str, Any]:
        """Post a payload, and return the document of the answer."""
        document: dict[str, Any] = json.loads(self.world.finish(app.post(given)).body)
        return document

    def status(self, delivery: str) -> str:
        """Return what the newer host says of a delivery."""
        document = json.loads(self.world.finish(self.newer.status(delivery)).body)
        return str(document["status"])

    def fill(self, stage: keys.Stage) -> None:
        """Close every slot of a stage as a call that was just answered does."""
        policy = window.Policy(deadline=0, stage=stage)
        slots = window.read(self.rows(*stage.slots), self.world.now, policy).slots
        self.world.table.commit([window.acquire(slot, "other", policy) for slot in slots])

    def entries(self) -> list[Entry]:
        """Return all stored alerts."""
        return [rows.read(stored) for stored in self.rows(keys.ALERT, keys.ALERT_END)]


def test_an_older_version_leaves_searches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It drains what has a reference, touches no row of the search, and takes none for unreadable."""
    both = Both()
    both.fill(keys.SEARCH)
    document = both.post(both.newer, payload(1))
    before = [*both.rows("find-", "find."), *both.rows(keys.ALERT, keys.ALERT_END)]
    with _older(monkeypatch):
        reference = both.post(both.older, samples.eight_fields(samples.event(1), "Rule 1", "High"))
        both.run(both.older)
    assert reference["status"] == "created"
    after = {stored.key: stored for stored in both.rows("", "~")}
    assert all(after[stored.key] == stored for stored in before)
    assert both.rows(keys.ASIDE, keys.ASIDE_END) == []
    both.run(both.newer)
    assert both.status(document["id"]) == "created"
    assert unsound(both.world.table) == []


def test_an_older_version_sends_a_match_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search has found waits as any reference: the older version sends it, and its match and link stay."""
    both = Both()
    both.fill(keys.REFERENCE)
    document = both.post(both.newer, payload(1))
    assert sorted(entry.state for entry in both.entries()) == ["matched", "waiting"]
    with _older(monkeypatch):
        both.run(both.older)
    assert both.status(document["id"]) == "created"
    (created,) = [entry for entry in both.entries() if entry.state == "created"]
    assert created.match
    assert created.link
    assert unsound(both.world.table) == []
    assert len(both.defender.arrivals) == 1


def test_what_an_older_version_has_stored_is_sent_by_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without the new columns are those of alerts with a reference: sent, known when posted again."""
    both = Both()
    given = samples.eight_fields(samples.event(1), "Rule 1", "High")
    both.fill(keys.REFERENCE)
    with _older(monkeypatch):
        document = both.post(both.older, given)
    for stored in both.rows("", "~"):
        assert not stored.values.keys() & set(NEW)
    again = both.post(both.newer, given)
    assert again["alerts"][0]["duplicate"]
    both.run(both.newer)
    assert both.status(document["id"]) == both.status(again["id"]) == "created"
    assert len(both.defender.arrivals) == 1
    assert unsound(both.world.table) == []


def test_a_search_that_an_older_version_replays_is_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits among the references for a moment; no call without a reference is made of it, and it is found."""
    both = Both()
    both.graph.says = lambda _before, _number: found()
    document = both.post(both.newer, payload(1))
    both.run(both.newer, 30)
    (failed,) = both.entries()
    assert failed.state == "failed"
    with _older(monkeypatch):
        action = both.older.host.submit(lambda: replay.alert(both.older.webhook.dispatcher, failed.alert.id))
        both.world.finish(action)
    assert both.rows(keys.TODO, keys.TODO_END)
    both.graph.says = lambda _before, number: found(row(number))
    both.run(both.newer)
    assert both.status(document["id"]) == "created"
    assert [call.body["reportId"] for call in both.defender.arrivals] == ["20001"]
    assert both.rows(keys.ASIDE, keys.ASIDE_END) == []
    assert unsound(both.world.table) == []
