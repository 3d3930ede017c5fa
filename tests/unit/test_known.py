"""An alert that is posted although it is known: what it then becomes, what its sender hears, what the log says."""

import contextlib
import functools
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from dev.samples import eight_fields, event
from shared.clients import answer
from shared.clients.call import Response
from shared.errors import Unreadable
from shared.ledger import keys, record, retention, rows
from shared.ledger.record import Entry
from shared.operations import discard, replay
from shared.sending import decision, window
from shared.settings import Settings
from shared.table.protocol import Delete, Insert, Operation, Replace
from tests.checks.app import App
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Host, Request, World, answer_with

ORIGIN = "https://app.contoso.example"
SPLUNK, OTHER = "0123456789", "abcdef0123"


class Desk:
    """An app whose window is full or open, and who sends to it."""

    def __init__(self, status: int = 200, calls: int = 15) -> None:
        self.world = World()
        self.status = status
        self.defender = Defender(self.world, lambda _number, _body: answer_with(self.status))
        host = Host(self.world, arrive=self.defender)
        self.app = App.on(host, Settings(rate_limit_calls=calls, not_found_retry_minutes=()))

    def post(
        self, severity: str = "High", text: str = "What happened.", sender: str = SPLUNK
    ) -> dict[str, Any]:
        """Post the one alert; return it as the answer shows it."""
        body = eight_fields(event(1), "A rule", severity) | {"description": text}
        raw = json.dumps(body).encode()
        answer = self.app.host.ask(lambda: self.app.webhook.receive(raw, {}, ORIGIN, sender=sender))
        (alert,) = json.loads(self.world.finish(answer).body)["alerts"]
        assert unsound(self.world.table) == []
        return dict(alert)

    def entry(self) -> Entry:
        """Return the one alert as the table has it."""
        (row,) = self.world.table.query(keys.ALERT, keys.ALERT_END)
        return rows.read(row)

    def replay(self, alert_id: str) -> None:
        """Replay an alert as the operator does."""
        again = functools.partial(replay.alert, self.app.webhook.dispatcher, alert_id)
        self.world.finish(self.app.host.submit(again))

    def fill(self) -> None:
        """Use the window up, so that what comes next waits."""
        policy = replace(window.Policy(), deadline=0.0)
        rows = self.world.table.query(keys.SLOT, keys.SLOT_END)
        slots = window.read(rows, self.world.now, policy).slots
        self.world.table.commit([window.acquire(slot, "other", policy) for slot in slots])

    def discard(self) -> None:
        """Discard the alert as the operator does."""
        before = self.entry()
        (row,) = self.world.table.query(before.waits, before.waits + "~")
        after = record.discard(before, now=self.world.now)
        self.world.table.commit(rows.move(before, after, waiting=row.etag))


def test_the_higher_severity_of_two_that_wait_counts() -> None:
    """A Low that waits does not keep the place of the High that comes later, and the other text is added."""
    desk = Desk()
    desk.fill()
    first = desk.post("Low", "The first text.")
    second = desk.post("High", "Another text.")
    assert first["status"] == second["status"] == "waiting"
    assert second["duplicate"]
    entry = desk.entry()
    assert entry.alert.severity == "High"
    assert entry.alert.description == "The first text.\n\nAlso sent:\nAnother text."
    assert entry.due <= desk.world.now
    assert any("now has High" in note for note in second["notes"])
    again = desk.post("Low", "Another text.")
    assert desk.entry() == entry
    assert any("waits with High" in note for note in again["notes"])


@pytest.mark.parametrize("status", [404, 422])
def test_a_failed_alert_is_accepted_anew_at_growing_intervals(status: int) -> None:
    """At once the first time, then 15 minutes, 1, 4 and 16 hours after its last end; each says so."""
    desk = Desk(status)
    assert desk.post()["status"] == "failed"
    for minutes in (0, 15, 60, 240, 960, 960):
        if minutes:
            desk.world.run(minutes * 60 - 30)
            early = desk.post()
            assert (early["duplicate"], early["status"]) == (True, "failed")
            assert any("accepted again from" in note for note in early["notes"])
            desk.world.run(31)
        calls = len(desk.defender.arrivals)
        anew = desk.post()
        assert not anew["duplicate"]
        assert any("failed before" in note for note in anew["notes"])
        assert len(desk.defender.arrivals) == calls + 1
    desk.status = 200
    desk.world.run(960 * 60 + 60)
    assert desk.post()["status"] == "created"


def test_what_defender_rejected_is_sent_again_only_with_other_texts() -> None:
    """The same body would be rejected again; another one may not be."""
    desk = Desk(400)
    desk.post()
    desk.world.run(24 * 3600)
    same = desk.post()
    assert (same["duplicate"], same["status"], len(desk.defender.arrivals)) == (True, "failed", 1)
    assert any("rejected" in note for note in same["notes"])
    desk.status = 200
    assert desk.post(text="A better text.")["status"] == "created"


def test_a_discarded_alert_comes_back_from_another_sender_or_more_severe() -> None:
    """The operator stopped a rule of one sender: neither another sender nor something worse is swallowed."""
    for severity, sender, anew in (
        ("Medium", SPLUNK, False),
        ("Low", SPLUNK, False),
        ("High", SPLUNK, True),
        ("Low", OTHER, True),
    ):
        desk = Desk()
        desk.fill()
        desk.post("Medium")
        desk.discard()
        shown = desk.post(severity, sender=sender)
        assert shown["status"] == ("waiting" if anew else "discarded"), (severity, sender)
        assert shown["duplicate"] is not anew
        assert any("discarded the same alert" in note for note in shown["notes"])


def test_a_failed_alert_that_was_discarded_comes_back_as_a_discarded_one() -> None:
    """The same again is not sent, however late; another sender's, or a more severe one, is."""
    for severity, sender, status in (
        ("Medium", SPLUNK, "discarded"),
        ("High", SPLUNK, "created"),
        ("Medium", OTHER, "created"),
    ):
        desk = Desk(404)
        failed = desk.post("Medium")
        assert failed["status"] == "failed"
        closed = functools.partial(discard.one, desk.app.webhook.dispatcher.table, failed["id"])
        desk.world.finish(desk.app.host.submit(closed))
        desk.world.run(24 * 3600)
        desk.status = 200
        assert desk.post(severity, sender=sender)["status"] == status


def test_each_of_these_is_a_line_of_the_log_that_says_what_differed(caplog: pytest.LogCaptureFixture) -> None:
    """What a known alert was, what it became and which fields differed."""
    caplog.set_level(logging.INFO, "defender-alert-webhook")
    desk = Desk(404)
    desk.post("Low")
    desk.post("High", "Another text.")
    lines = [json.loads(line) for line in caplog.messages]
    (line,) = [line for line in lines if line["step"] == "known alert"]
    assert (line["was"], line["became"], line["sender"]) == ("failed", "accepted anew", SPLUNK)
    assert line["differs"] == "severity, description"


def test_one_unreadable_known_alert_does_not_take_the_delivery_along() -> None:
    """It is accepted anew, and the other alerts are accepted and created."""
    desk = Desk()
    bad, good = eight_fields(event(1), "A rule", "High"), eight_fields(event(2), "A rule", "High")
    desk.post()
    row = keys.alert_key(desk.entry().alert.id)
    desk.world.table.commit([Delete(row, "*")])
    desk.world.table.commit([Insert(row, {"state": 5})])
    answer = desk.world.finish(desk.app.post([bad, good]))
    assert [item["status"] for item in json.loads(answer.body)["alerts"]] == ["created", "created"]


@pytest.mark.parametrize(
    ("says", "noted"),
    [
        ({"severity": "Low"}, "the severity Low"),
        ({"machineId": "c" * 40}, "about the device"),
        ({"status": "Resolved"}, "resolved already"),
        ({"severity": "High", "status": "New"}, None),
    ],
)
def test_what_defenders_answer_says_otherwise_is_noted(says: dict[str, Any], noted: str | None) -> None:
    """Merged into a lower or resolved alert, or about another device: not shown as plain success, and noted once."""
    desk = Desk()
    created = "2026-03-04T05:00:00Z", "Thu, 05 Mar 2026 08:00:00 GMT"
    alert = {"id": "da1", "alertCreationTime": created[0], **says}
    response = Response(200, {"Date": created[1]}, json.dumps(alert).encode(), None, sent=True, seconds=0.1)
    desk.defender.says = lambda _number, body: answer.read(response, body)
    notes = desk.post()["notes"]
    assert [noted in note for note in notes] == [True] if noted else notes == []


def test_the_words_of_the_log_are_those_of_the_decision() -> None:
    """A duplicate of a created alert changes nothing."""
    desk = Desk()
    desk.post()
    sent = replace(desk.entry(), delivery="another", state="waiting")
    decided = decision.decide(sent, desk.entry(), desk.world.now)
    assert (decided.after, decided.duplicate, decided.what, decided.notes) == (
        None,
        True,
        "duplicate",
        (),
    )


def _spoil(desk: Desk, key: str) -> None:
    row = desk.world.table.get(key)
    assert row
    desk.world.table.commit([Replace(key, {**row.values, "attempts": "many"}, row.etag)])


@pytest.mark.parametrize("spoilt", ["alert", "waiting"])
def test_an_alert_that_waits_is_sent_once_whichever_of_its_rows_cannot_be_read(spoilt: str) -> None:
    """The other row tells how it stands and is written over it: it is no second alert, and none is lost."""
    desk = Desk()
    desk.fill()
    desk.post()
    entry = desk.entry()
    _spoil(desk, keys.alert_key(entry.alert.id) if spoilt == "alert" else entry.waits)
    assert desk.post()["duplicate"]
    assert desk.entry() == entry
    desk.app.timer()
    desk.world.run(300)
    assert len(desk.defender.arrivals) == 1
    assert unsound(desk.world.table) == []
    assert desk.world.table.query(keys.ASIDE, keys.ASIDE_END) == []


@pytest.mark.parametrize("waits", ["", 7, None, "later-0000000001.000-x", "todo-0000000001.000-x"])
@pytest.mark.parametrize("enter", ["post", "replay"])
def test_an_alert_whose_row_names_no_waiting_row_is_sent_once(waits: object, enter: str) -> None:
    """Its waiting row is searched for, whatever the column that should name it says: nothing is entered twice."""
    desk = Desk()
    desk.fill()
    desk.post()
    entry = desk.entry()
    key = keys.alert_key(entry.alert.id)
    row = desk.world.table.get(key)
    assert row
    values = {**row.values, "waits": waits}
    if waits is None:
        del values["waits"]
    desk.world.table.commit([Replace(key, values, row.etag)])
    if enter == "post":
        assert desk.post()["duplicate"]
    else:
        with contextlib.suppress(Unreadable):
            desk.replay(entry.alert.id)
    waiting = [row for area in keys.WAITING for row in desk.world.table.query(*area)]
    assert [keys.waiting_alert(row.key) for row in waiting].count(entry.alert.id) == 1
    desk.app.timer()
    desk.world.run(300)
    assert len(desk.defender.calls("A rule")) == 1
    assert unsound(desk.world.table) == []


def test_an_alert_whose_waiting_row_is_gone_is_accepted_anew() -> None:
    """Nothing would send it any more: whoever posts it again is not answered that it waits."""
    desk = Desk()
    desk.fill()
    desk.post()
    desk.world.table.commit([Delete(desk.entry().waits, "*")])
    shown = desk.post()
    assert (shown["duplicate"], shown["status"]) == (False, "waiting")
    assert any("accepted again" in note for note in desk.entry().notes)
    desk.app.timer()
    desk.world.run(300)
    assert desk.entry().state == "created"
    assert len(desk.defender.arrivals) == 1


def test_an_alert_that_is_being_sent_has_its_lease_although_its_row_is_gone() -> None:
    """Its call may be under way: it is accepted again only when the lease is over."""
    desk = Desk()
    desk.fill()
    desk.post()
    before = desk.entry()
    held = record.hold(before, "other", now=desk.world.now, lease=150.0)
    desk.world.table.commit(rows.move(before, held, waiting="*"))
    desk.world.table.commit([Delete(held.waits, "*")])
    desk.world.run(140)
    answer = desk.world.finish(desk.app.post(eight_fields(event(1), "A rule", "High")))
    assert json.loads(answer.body)["alerts"][0]["duplicate"]
    desk.world.run(20)
    assert not desk.post()["duplicate"]


def test_a_failed_alert_that_is_not_listed_is_accepted_anew_all_the_same() -> None:
    """Its row of the list may have been removed, or moved aside: that swallows no alert that comes later."""
    desk = Desk(404)
    desk.post()
    (listed,) = desk.world.table.query(keys.FAILED, keys.FAILED_END)
    desk.world.table.commit([Delete(listed.key, "*")])
    desk.status = 200
    shown = desk.post()
    assert (shown["duplicate"], shown["status"]) == (False, "created")


def test_a_failed_alert_that_is_not_listed_can_be_replayed() -> None:
    """The operator's replay needs the alert's own row only."""
    desk = Desk(404)
    desk.post()
    (listed,) = desk.world.table.query(keys.FAILED, keys.FAILED_END)
    desk.world.table.commit([Delete(listed.key, "*")])
    desk.replay(desk.entry().alert.id)
    assert desk.entry().state == "waiting"
    assert unsound(desk.world.table) == []


def test_a_failed_alert_that_is_not_listed_is_purged_with_its_delivery() -> None:
    """A row of the list that is gone keeps neither the alert nor the delivery beyond the retention."""
    desk = Desk(404)
    desk.post()
    (listed,) = desk.world.table.query(keys.FAILED, keys.FAILED_END)
    desk.world.table.commit([Delete(listed.key, "*")])
    desk.world.run(3 * 86_400)
    retention.purge(desk.world.table, 86_400)
    assert desk.world.table.query(keys.ALERT, keys.DELIVERY_END) == []


def test_one_accepted_anew_is_not_answered_as_refused_where_its_delivery_cannot_be_stored() -> None:
    """It will be sent: the answer says that something is stored, and the same again costs no second call."""
    desk = Desk(404)
    desk.post()
    desk.status = 200
    anew: list[Operation] = []

    def busy_after_that(request: Request) -> Fault | None:
        if anew:
            return Fault("busy")
        anew.extend(operation for operation in request.operations if operation.key.startswith(keys.FAILED))
        return None

    desk.app.host.script = busy_after_that
    body = eight_fields(event(1), "A rule", "High")
    answer = desk.world.finish(desk.app.post(body, sender=SPLUNK))
    assert answer.status == 503
    assert json.loads(answer.body)["type"].endswith(":half-accepted")
    desk.app.host.script = None
    assert desk.post()["status"] in ("waiting", "created")
    desk.app.timer()
    desk.world.run(300)
    assert len(desk.defender.arrivals) == 2
