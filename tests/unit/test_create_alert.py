"""What each answer of Graph's `createAlert` means, above all whether an alert may have been created."""

import json
import re
from typing import Any

import pytest

from shared.clients import create_alert
from shared.clients.call import Failure, Response
from shared.errors import SettingsError

DATE = "Fri, 06 Mar 2026 10:19:30 GMT"
TOKEN = "eyJ0eXAi" + "c2VjcmV0" * 20
CREATED = {
    "@odata.type": "#microsoft.graph.security.alert",
    "id": "ad639000000000000001_1",
    "incidentId": "4711",
    "alertWebUrl": "https://security.microsoft.com/alerts/ad639000000000000001_1",
    "detectionSource": "manual",
}


def answered(
    status: int | None, body: Any = None, failure: str = "", *, sent: bool = True, **headers: str
) -> create_alert.Result:
    """Return what an answer means; `body` is JSON, or bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    why = Failure(failure, "why not") if failure else None
    return create_alert.read(
        Response(status, {"Date": DATE, **named}, None if failure else raw, why, sent, 1.5)
    )


def error(code: str, message: str) -> dict[str, Any]:
    """Return an error in Graph's form."""
    return {"error": {"code": code, "message": message, "innerError": {"request-id": "1e9c"}}}


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_created_alert_has_its_id(status: int) -> None:
    """With the incident and the page in the portal; nothing else of Graph's answer is taken over."""
    result = answered(status, CREATED)
    assert (result.kind, result.status, result.error, result.wait) == ("created", status, None, None)
    assert result.alert == {name: CREATED[name] for name in ("id", "incidentId", "alertWebUrl")}
    assert answered(201, {"id": "a", "incidentId": 4711}).alert == {"id": "a", "incidentId": "4711"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://x.example", "https://x.example/\n", 1, None])
def test_a_page_that_is_no_link_is_left_out(url: Any) -> None:
    """What a person will click on is https, or not there."""
    assert answered(201, {**CREATED, "alertWebUrl": url}).alert == {"id": CREATED["id"], "incidentId": "4711"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        {},
        [],
        {"id": ""},
        {"id": " "},
        {"id": None},
        {"id": True},
        {"value": CREATED},
        b"[" * 9**6,
    ],
)
@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_without_an_id_is_unknown(status: int, body: Any) -> None:
    """An alert is there, or it is not: nobody can say, and a second call could make a second one."""
    result = answered(status, body)
    assert (result.kind, result.alert) == ("unknown", None)
    assert result.error
    assert result.error["code"] == create_alert.UNKNOWN
    assert "no id of an alert" in result.error["message"]


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (None, "Timeout"),
        (None, "ConnectionLost"),
        (201, "Timeout"),
        (201, "ConnectionLost"),
        (201, "TooLarge"),
        (500, "ConnectionLost"),
        (500, ""),
        (502, ""),
        (503, ""),
        (504, ""),
        (408, ""),
        (100, ""),
    ],
)
def test_what_was_sent_and_not_answered_is_unknown(status: int | None, failure: str) -> None:
    """No whole answer, or an error on the way or behind it: the alert may be there, and a person has to look."""
    result = answered(status, error("ServiceError", "x"), failure, Retry_After="5")
    assert (result.kind, result.status, result.alert, result.wait) == ("unknown", status, None, None)
    assert result.error
    assert result.error["code"] == create_alert.UNKNOWN
    assert "replay" in result.error["message"]
    assert "Defender portal" in result.error["message"]


@pytest.mark.parametrize("failure", ["Timeout", "NoConnection"])
def test_what_was_not_sent_may_be_sent_again(failure: str) -> None:
    """Before the first byte has left, nothing can have been created."""
    result = answered(None, None, failure, sent=False)
    assert (result.kind, result.sent) == ("unavailable", False)
    assert result.error == {"status": None, "code": failure, "message": "why not", "target": None}


@pytest.mark.parametrize("status", [400, 404, 405, 409, 412, 413, 415, 422])
def test_a_rejection_is_kept_whole(status: int) -> None:
    """In Graph's own words, with the id that Microsoft asks for."""
    message = "Invalid value for entityDefinitions[3]. " + "It is not known. " * 300
    result = answered(status, error("BadRequest", message))
    assert (result.kind, result.wait) == ("rejected", None)
    assert result.error == {
        "status": status,
        "code": "BadRequest",
        "message": message.strip(),
        "target": "1e9c",
    }


def test_a_forbidden_call_says_which_role_and_the_command() -> None:
    """One sentence names the role that is missing, and the command that grants it."""
    result = answered(403, error("Forbidden", "Missing application roles."))
    assert result.kind == "forbidden"
    assert result.error
    sentence = result.error["message"].partition(" Graph's words")[0]
    assert "SecurityAlert.Create.All of Microsoft Graph" in sentence
    command = re.search(r"`(.+)`", sentence)
    assert command
    assert command[1] == create_alert.GRANT
    unauthorized = answered(401, error("InvalidAuthenticationToken", "Access token validation failure."))
    assert unauthorized.kind == "forbidden"
    assert unauthorized.error
    assert "GRAPH_TOKEN_SCOPE" in unauthorized.error["message"]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "Fri, 06 Mar 2026 10:20:30 GMT"}, 60),
        ({"Retry_After": "soon"}, 60),
        ({}, 60),
    ],
)
@pytest.mark.parametrize("body", [error("TooManyRequests", "Too many"), b"<html>"])
def test_a_throttled_call_says_for_how_long(body: Any, headers: dict[str, str], wait: float) -> None:
    """As long as Graph asks, else a minute; nothing was created."""
    result = answered(429, body, "", sent=True, **headers)
    assert (result.kind, result.wait) == ("throttled", wait)
    assert answered(429, None, "ConnectionLost", sent=True, **headers).wait == wait


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 407])
def test_what_is_not_graphs_created_nothing(status: int) -> None:
    """Something in between turned the call away: the same may work once that is put right."""
    result = answered(status, b"<html>Blocked by a proxy</html>")
    assert result.kind == "unavailable"
    assert result.error
    assert "GRAPH_API_URL" in result.error["message"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 201])
@pytest.mark.parametrize("form", ["graph", "html"])
def test_no_token_is_shown(status: int, form: str) -> None:
    """What looks like a token does not get into a message, whoever echoes it."""
    text = f"the token {TOKEN} {'x ' * 50_000}"
    result = answered(status, error("Code", text) if form == "graph" else text.encode())
    assert result.error
    assert TOKEN[:90] not in json.dumps(result.error)
    assert len(result.error["message"]) < 9_000


def test_a_result_says_itself_in_the_log() -> None:
    """Kind, status and code, without a text of Graph's."""
    assert answered(409, error("Conflict", "x")).log_fields() == {
        "answer": "rejected",
        "status": 409,
        "code": "Conflict",
        "milliseconds": 1500,
    }


@pytest.mark.parametrize("url", ["http://graph.example", "graph.example", "https://u:p@graph.example"])
def test_a_token_goes_nowhere_else(url: str) -> None:
    """Graph's address is https or loopback."""
    with pytest.raises(SettingsError, match="GRAPH_API_URL"):
        create_alert.CreateAlert(url, deadline=1)
