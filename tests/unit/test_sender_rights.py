"""Senders: the fingerprint of a key on everything that it sent, and what the setting `SENDERS` lets it claim."""

import json
import logging
import re
from typing import Any

import pytest

from dev.samples import eight_fields, event
from shared import senders
from shared.ledger import keys, rows
from shared.senders import Sender
from shared.settings import Settings
from shared.web.reply import Reply
from tests.checks.virtual import Defender, Host, World

ORIGIN = "https://app.contoso.example"
BODY = json.dumps(eight_fields(event(1), "A rule", "High")).encode()
SPLUNK, OTHER = "0123456789", "abcdef0123"
LISTED = (Sender("splunk", (SPLUNK,), ("splunk", "defender")), Sender("*", sources=("splunk",)))


def _post(
    world: World, body: bytes, query: dict[str, str], sender: str, listed: tuple[Sender, ...] = LISTED
) -> Reply:
    host = Host(world, arrive=Defender(world))
    webhook = host.webhook(Settings(senders=listed))
    return world.finish(host.ask(lambda: webhook.receive(body, query, ORIGIN, sender=sender)))


def test_a_fingerprint_is_the_beginning_of_the_keys_hash() -> None:
    """The header goes before the URL, as for the Functions host, and without a key there is no sender."""
    of_a, of_b = "ca978112ca", "3e23e81600"  # printf a | sha256sum
    assert senders.fingerprint({"X-Functions-Key": "a"}, {"code": "b"}) == of_a
    assert senders.fingerprint({"accept": "*/*"}, {"Code": "b"}) == of_b
    assert not senders.fingerprint({}, {"title": "a"})
    assert senders.fingerprint({}, {"code": "\ud83d"})


def test_the_sender_is_on_rows_answers_and_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Alert, delivery, refused payload and each line of the log: a flood has an author."""
    caplog.set_level(logging.INFO, "defender-alert-webhook")
    world = World()
    document = json.loads(_post(world, BODY, {}, SPLUNK).body)
    assert [alert["sender"] for alert in document["alerts"]] == [SPLUNK]
    assert _post(world, b'{"DeviceId": "pc-1"}', {}, SPLUNK).status == 422
    (alert,) = world.table.query(keys.ALERT, keys.ALERT_END)
    (delivery,) = world.table.query(keys.DELIVERY, keys.DELIVERY_END)
    (row,) = world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert rows.read(alert).sender == rows.read_delivery(delivery).sender == SPLUNK
    assert rows.read_refused(row).sender == SPLUNK
    lines: list[dict[str, Any]] = [json.loads(line) for line in caplog.messages]
    for step in ("accepted", "refused"):
        assert [line["sender"] for line in lines if line["step"] == step] == [SPLUNK]


def test_without_a_key_the_sender_is_null() -> None:
    """Behind Easy Auth, or on a developer's machine, nobody has a key."""
    document = json.loads(_post(World(), BODY, {}, "", ()).body)
    assert [alert["sender"] for alert in document["alerts"]] == [None]


@pytest.mark.parametrize(("sender", "status"), [(SPLUNK, 200), (OTHER, 403), ("", 403)])
def test_a_source_may_be_claimed_only_by_whom_it_is_given_to(sender: str, status: int) -> None:
    """Else 403 that names it, nothing is raised, and the payload is stored as refused."""
    world = World()
    answer = _post(world, BODY, {"source": "defender"}, sender)
    assert answer.status == status
    assert len(world.table.query(keys.ALERT, keys.ALERT_END)) == (status == 200)
    assert len(world.table.query(keys.REFUSED, keys.REFUSED_END)) == (status == 403)
    if status == 403:
        problem = json.loads(answer.body)
        assert problem["type"].endswith(":forbidden")
        assert '"defender"' in problem["detail"]
        assert "only splunk" in problem["detail"]


def test_what_is_recognised_as_another_source_is_accepted_with_a_warning() -> None:
    """A payload that claims nothing is not refused for what it looks like."""
    (alert,) = json.loads(_post(World(), BODY, {}, OTHER).body)["alerts"]
    (note,) = [note for note in alert["notes"] if "Recognised as" in note]
    assert "SENDERS lists other sources" in note
    (alert,) = json.loads(_post(World(), BODY, {}, OTHER, ()).body)["alerts"]
    assert not [note for note in alert["notes"] if "Recognised as" in note]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "an object"),
        ('{"a":' * 10_000, "an object"),
        ('{"a": []}', "a: no object"),
        ('{"a": {}}', "a: keys missing"),
        ('{"a": {"keys": ["the-key-itself"]}}', "a: keys: accepted: the first 10 hex digits"),
        ('{"a": {"keys": "0123456789"}}', "a: keys: accepted: a list"),
        ('{"a": {"keys": ["0123456789"], "source": ["x"]}}', "a: source found"),
        ('{"a": {"keys": ["0123456789"], "sources": [1]}}', "a: sources: accepted: a list"),
        ('{"a": {"keys": ["0123456789"], "search": "yes"}}', "a: search"),
        ('{"a": {"keys": ["0123456789"]}, "b": {"keys": ["0123456789"]}}', "listed twice"),
        ('{"a": {"keys": ["0123456789"]}, "a": {"keys": ["1123456789"]}}', "stands twice"),
        ('{"*": {"keys": ["0123456789"]}}', "*: keys found"),
        ('{"<b>": {"keys": ["0123456789"]}}', "as a name"),
    ],
)
def test_what_is_wrong_with_the_setting_is_said(text: str, says: str) -> None:
    """It names the entry and what is accepted, and never a value that may be a key itself."""
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        senders.read(text, {})
    assert "the-key-itself" not in str(caught.value)
