"""Event Grid and CloudEvents: their handshake, and answers after which they do not repeat for a day."""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from dev import samples
from shared.ledger import keys, rows
from tests.checks.app import App
from tests.checks.virtual import Defender, Faults, Host, World, answer_with

if TYPE_CHECKING:
    from shared.web.reply import Reply

CLOUD = {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "time": "2026-07-19T15:00:00Z"}
GRID = {"id": "1", "topic": "/t", "subject": "s", "eventType": "E", "eventTime": "2026-07-19T15:00:00Z"}
ENVELOPES = [CLOUD, GRID]
BODY = samples.eight_fields(samples.event(1), "Rule 1")


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Refused payloads are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def answered(
    payload: Any, query: Mapping[str, str] | None = None, status: int = 200
) -> tuple["Reply", World]:
    """Post a payload to an app on a virtual host, whose Defender answers with a status."""
    world = World(0)
    app = App.on(Host(world, Faults(), arrive=Defender(world, lambda _, __: answer_with(status))))
    return world.finish(app.post(payload, **(query or {}))), world


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("dry", [{}, {"dryRun": "true"}])
def test_what_is_refused_inside_an_envelope_is_a_400(envelope: dict[str, Any], dry: dict[str, str]) -> None:
    """A 422 would come again for a day: the status is 400 in the answer and in its document, all else is the same."""
    reply, _ = answered([{**envelope, "data": {"DeviceName": "pc-1"}}], dry)
    document = json.loads(reply.body)
    assert (reply.status, document["status"]) == (400, 400)
    assert document["type"].endswith(":unmapped")
    assert {problem["field"] for problem in document["refused"][0]["problems"]} >= {"machineId", "reportId"}


def test_the_same_without_an_envelope_is_a_422() -> None:
    """Only senders that repeat a 422 are spared it."""
    reply, world = answered({"DeviceName": "pc-1"})
    assert reply.status == 422
    [row] = world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert rows.read_refused(row).status == 422


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_alerts_that_all_fail_inside_an_envelope_are_a_400(envelope: dict[str, Any]) -> None:
    """Defender's own rejection is final too: answered as 400, and as 422 without the envelope."""
    for payload, status in (([{**envelope, "data": BODY}], 400), (BODY, 422)):
        reply, _ = answered(payload, status=400)
        document = json.loads(reply.body)
        assert (reply.status, document["status"]) == (status, status)
        assert document["type"].endswith(":failed")
        assert [item["status"] for item in document["alerts"]] == ["failed"]


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_an_alert_inside_an_envelope_is_created(envelope: dict[str, Any]) -> None:
    """What can be raised is raised, and answered as always."""
    reply, _ = answered([{**envelope, "data": BODY}])
    assert (reply.status, json.loads(reply.body)["status"]) == (200, "created")


def test_event_grids_validation_is_answered_and_stored_nowhere() -> None:
    """Event Grid wants its code back in a 200; its URL is not called, and nothing is written."""
    data = {"validationCode": "512d38b6", "validationUrl": "https://example.invalid/validate"}
    event = {**GRID, "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": data}
    reply, world = answered([event])
    assert (reply.status, json.loads(reply.body)) == (200, {"validationResponse": "512d38b6"})
    assert world.table.query("", "~") == []


def test_a_dry_run_tells_where_everything_came_from() -> None:
    """`steps` say how the payload was opened and read, `origins` the place of each field."""
    reply, _ = answered(
        [{**CLOUD, "data": {"a": {"machineId": BODY["machineId"]}, "b": BODY}}], {"dryRun": "true"}
    )
    document = json.loads(reply.body)
    assert document["status"] == "valid"
    assert document["steps"][0] == "opened: the data of a CloudEvent"
    assert document["steps"][1].startswith("read as ")
    assert set(document["alerts"][0]["origins"]) == set(BODY)
