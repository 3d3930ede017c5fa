"""Attacks on the stage *search*: hostile rows and texts, settings that change while searches wait, probing senders."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from shared.alerts.alert import FIELDS, Alert
from shared.alerts.text import units
from shared.clients.graph import Result
from shared.ledger import columns, keys, retention
from shared.ledger.columns import Column
from shared.ledger.record import Entry
from shared.mapping.outcome import About, Evidence, Mapped
from shared.operations import listing, searches, standing
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import Clues, Host, When
from shared.settings import Settings
from shared.table.protocol import Replace
from shared.webhook import entries
from shared.webhook.entries import Maker
from tests.checks.graph import failure, found, payload, row
from tests.checks.virtual import answer_with
from tests.unit.test_search_stage import ON, Scene, _lossy, _reference

_T = TypeVar("_T")
ONCE = replace(ON, find_events_retry_minutes=())
OFF, TRIAL = Settings(), Settings(find_events="trial")


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _do(scene: Scene, run: Callable[..., _T], *given: Any) -> _T:
    """Run something on the host, and return its result."""
    return scene.world.finish(scene.app.host.submit(lambda: run(*given)))


def _any_query(scene: Scene) -> None:
    """Let Graph take queries that name no number as those of number 1."""
    scene.app.host.hunts = lambda body: scene.graph({"Query": f"{body['Query']} /run 1"})


def _device(letter: str, name: str) -> dict[str, str]:
    return {
        "Row": "device",
        "DeviceId": letter * 40,
        "DeviceName": name,
        "Timestamp": "2026-03-06T05:06:07.0000000Z",
        "Since": "2026-03-01T05:06:07.0000000Z",
    }


def test_a_sender_does_not_learn_the_names_of_other_devices() -> None:
    """Whoever posts a short name is told that several devices have it; which ones is told to the operator only."""
    two = (_device("a", "pc-1.contoso.example"), _device("b", "pc-1.branch.example"))
    scene = Scene(lambda _, __: Result("rows", 200, "", 0.2, rows=two), ONCE)
    answer = scene.post(payload(1))
    assert answer.status == 422
    assert "Several devices have the name" in answer.body
    assert "contoso.example" not in answer.body
    shown = _do(scene, listing.alert, scene.app.webhook.dispatcher, scene.entry("failed"), ())
    assert "pc-1.branch.example, pc-1.contoso.example" in shown["tries"][0]["message"]


@pytest.mark.parametrize("name", ["x" * 4096, "a\nSeverity: Low\r\x00b", "gpj\u202eexe.\u200b"])
def test_texts_of_events_neither_replace_nor_extend_the_description(name: str) -> None:
    """A long name of a file or an action is cut, and stays in its line: the sender's text stays before it."""
    scene = Scene(lambda _, number: found(row(number, ActionType=name, FileName=name)))
    scene.post(payload(1), description="What the rule says." + "d" * 5000)
    (arrived,) = scene.defender.arrivals
    before, _, line = arrived.body["description"].rpartition("\n\n")
    assert before.startswith("What the rule says.")
    assert len(before) > 3500
    assert line.startswith("Event found by advanced hunting (exact): ")
    assert line.isprintable()
    assert units(arrived.body["description"]) <= 4096


@pytest.mark.parametrize("kind", ["bad query", "unreadable", "unavailable", "forbidden"])
def test_a_lossy_reference_is_sent_though_no_search_succeeds(kind: str) -> None:
    """Hunting that never works must not keep an alert back that would be sent without it."""
    scene = Scene(lambda _, __: failure(kind, 400, "Syntax."), replace(ON, give_up_hours=0.2))
    _any_query(scene)
    scene.post(_lossy())
    scene.run(60)
    assert scene.states() == ["created", "matched"]
    (arrived,) = scene.defender.arrivals
    assert arrived.body["eventTime"] == _lossy()["eventTime"]
    assert any("Syntax." in note for note in scene.entry("created").notes)


def test_what_is_stored_beside_long_clues_takes_none_of_them_away() -> None:
    """Clues near the limit are stored whole, with the reference and the techniques beside them, or not searched."""
    reference = {"machineId": "a" * 40, "eventTime": "2026-03-04T08:40:00.1234567Z", "reportId": "9" * 19}
    alert = Alert.from_body({**dict.fromkeys(FIELDS, "High"), **reference})
    about = About("i" * 200, techniques=("T1059",) * 50)
    searched = []
    for length in range(30_000, 32_100, 50):
        clues = Clues((Host("name", "pc-1"),), When(1, 1, 1, own=True), command_line="a " + "x" * length)
        evidence = Evidence(ClueScan(clues, {}), ("eventTime: lost its last digits",), about)
        searched.append(entries.can_search(evidence))
        if searched[-1]:
            entry = Maker("splunk", "d", 0.0, "").mapped(Mapped(0, alert, evidence=evidence), search=True)
            stored = columns.write([Column("clues", columns.OBJECT_OR_NONE)], entry)
            assert json.loads(str(stored["clues"])) == json.loads(json.dumps(entry.clues))
    assert (searched[0], searched[-1]) == (True, False)


def test_clues_of_a_newer_version_wait_for_a_newer_host() -> None:
    """An older host makes no call, closes no slot for longer than a moment, and does not fail them for two days."""
    scene = Scene()
    scene.fill(keys.SEARCH)
    scene.post(payload(1))
    entry = scene.entry("waiting")
    newer = json.dumps({**(entry.clues or {}), "galaxy": "andromeda"})
    for key in (keys.alert_key(entry.alert.id), entry.waits):
        stored = scene.world.table.get(key)
        assert stored
        scene.world.table.commit([Replace(key, {**stored.values, "clues": newer}, stored.etag)])
    scene.run(120)
    waiting = scene.entry("waiting")
    assert (waiting.lost, scene.graph.arrivals) == (0, [])
    assert waiting.clues == json.loads(newer)
    assert waiting.error
    assert "newer version" in waiting.error["message"]
    slots = scene.world.table.query(*keys.SEARCH.slots)
    assert all(slot.values["closed"] == 1.0 for slot in slots if slot.timestamp > scene.world.now - 3600)


def _wrong(scene: Scene, alert: str) -> tuple[Entry, dict[str, Any]]:
    return _do(scene, searches.wrong, scene.app.webhook.dispatcher.table, alert)


def test_a_wrong_match_that_led_to_the_alert_of_another_search_leaves_that_alone() -> None:
    """Only the search whose match is wrong is marked: nobody is told to close an alert whose own event is right."""
    scene = Scene(lambda _, number: found(row(1, CommandLine=f"tool.exe /run {number}")))
    for number in (1, 2):
        scene.post(payload(number, title="One title"))
    raised = scene.entry("created")
    (other,) = [
        entry for entry in scene.entries() if entry.state == "matched" and entry.alert.id != raised.link
    ]
    marked, shown = _wrong(scene, other.alert.id)
    assert marked.alert.id == other.alert.id
    assert "leave that alone" in shown["remedy"]
    assert not scene.entry("created").wrong_match
    assert shown["case"]["reference"]["reportId"] == raised.alert.report_id
    _, shown = _wrong(scene, raised.alert.id)
    assert "close the alert" in shown["remedy"]


def test_a_wrong_match_that_led_to_the_alert_of_a_reference_leaves_that_alone() -> None:
    """The alert came with its reference and is right; the search that led to it is marked."""
    scene = Scene()
    given = row(1)
    known = {"machineId": given["DeviceId"], "eventTime": given["Timestamp"], "reportId": given["ReportId"]}
    scene.post({**_reference(1, "Rule 1"), **known})
    scene.post(payload(1))
    marked, shown = _wrong(scene, scene.entry("matched").alert.id)
    assert (marked.state, marked.wrong_match) == ("matched", True)
    assert "leave that alone" in shown["remedy"]


def test_searches_that_wait_while_the_stage_is_off_are_shown_and_go_on_later() -> None:
    """FIND_EVENTS=false loses no search: the status counts it, and with true it is searched and raised."""
    scene = Scene()
    scene.fill(keys.SEARCH)
    scene.post(payload(1))
    scene.settings = OFF
    scene.app = scene.host()
    scene.app.host.hunts = None
    scene.run(5)
    shown = _do(scene, _status, scene)
    assert [(stage["name"], stage["backlog"]["waiting"]) for stage in shown["off"]] == [("search", 1)]
    assert [stage["name"] for stage in shown["stages"]] == ["reference"]
    scene.settings = ON
    scene.app = scene.host()
    scene.run(5)
    assert scene.states() == ["created", "matched"]
    assert _do(scene, _status, scene)["off"] == []


def test_a_trial_that_waits_through_every_setting_raises_nothing() -> None:
    """Its search may run under true: it ends as searched, and nothing is raised of it."""
    scene = Scene(settings=TRIAL)
    scene.fill(keys.SEARCH)
    scene.post(payload(1))
    for settings in (OFF, ON):
        scene.settings = settings
        scene.app = scene.host()
        scene.run(5)
    assert scene.states() == ["searched"]
    assert scene.entry("searched").match
    assert scene.defender.arrivals == []


def _status(scene: Scene) -> dict[str, Any]:
    return standing.status(scene.app.webhook, lambda: None, lambda: None, refresh=False)


def test_an_alert_that_a_later_post_revived_is_deleted_with_the_search_that_led_to_it() -> None:
    """The later delivery names only the search: neither of them stays for ever after the first delivery has gone."""
    scene = Scene()
    scene.app.host.arrive = lambda _body: answer_with(404)
    scene.post(payload(1))
    scene.world.run(3600)
    for _ in range(4):
        scene.world.run(1000)
        _do(scene, scene.app.webhook.dispatch)
    assert scene.states() == ["failed", "matched"]
    scene.app.host.arrive = scene.defender
    scene.world.run(3600)
    scene.post(payload(1))
    _do(scene, scene.app.webhook.dispatch)
    assert scene.states() == ["created", "matched"]
    scene.world.run(40 * 86400)
    _do(scene, retention.purge, scene.app.webhook.dispatcher.table, 30 * 86400.0)
    left = [stored.key for stored in scene.world.table.query("", "~")]
    assert [key for key in left if not key.startswith(("slot-", "find-slot-", "turn-", "find-turn-"))] == []
