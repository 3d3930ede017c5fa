"""What each answer of Graph's hunting means."""

import json
import re
from typing import Any

import pytest

from shared.clients import graph
from shared.clients.call import Failure, Response
from shared.errors import SettingsError

DATE = "Fri, 06 Mar 2026 10:19:30 GMT"
COLUMNS = ("Row", "Timestamp", "ReportId", "DeviceId")
TOKEN = "eyJ0eXAi" + "c2VjcmV0" * 20
QUOTA = "API calls quota exceeded! maximum allowed 45 per 00:01:00"
RESOURCES = (
    "You have exceeded processing resources allocated to this tenant. You can run queries again in 9 minutes."
)


def answered(status: int, body: Any = None, **headers: str) -> graph.Result:
    """Return what an answer means; `body` is JSON, or bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return graph.read(Response(status, {"Date": DATE, **named}, raw, None, True, 1.5), COLUMNS)


def error(code: str, message: str) -> dict[str, Any]:
    """Return an error in Graph's form."""
    return {"error": {"code": code, "message": message, "innerError": {"request-id": "1"}}}


def rows(*results: Any) -> dict[str, Any]:
    """Return an answer with these rows."""
    return {"schema": [{"name": "Row", "type": "String"}], "results": list(results)}


def test_rows_are_text_by_column() -> None:
    """What Graph sends beside the columns is left out, and so is null; a long number keeps all of its digits."""
    row = {
        "Row": "event",
        "ReportId@odata.type": "#Int64",
        "ReportId": 2**62 + 1,
        "DeviceId": None,
        "Other": {"a": 1},
    }
    result = answered(200, {"@odata.context": "x", **rows(row)})
    assert (result.kind, result.status, result.message, result.seconds) == ("rows", 200, "", 1.5)
    assert result.rows == ({"Row": "event", "ReportId": "4611686018427387905"},)
    assert answered(200, rows()).rows == ()


def test_names_are_read_in_any_case() -> None:
    """Microsoft's own examples differ in it; the rows have the query's names."""
    row = {"row": "event", "reportid@odata.type": "#Int64", "REPORTID": "7", "timestamp": "2026"}
    result = answered(200, {"Schema": [], "Results": [row]})
    assert result.rows == ({"Row": "event", "ReportId": "7", "Timestamp": "2026"},)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "GRAPH_API_URL"),
        (b"<!DOCTYPE html><html></html>", "GRAPH_API_URL"),
        (b'{"results": [', "GRAPH_API_URL"),
        (b"[" * 100_000, "GRAPH_API_URL"),
        ([], "GRAPH_API_URL"),
        ({"value": []}, "GRAPH_API_URL"),
        ({"results": {}}, "GRAPH_API_URL"),
        (rows("text"), "a row of it is no object"),
        (rows({"Row": "event"}, {"ReportId": 2.0**60}), "ReportId is neither"),
        (rows({"ReportId": True}), "ReportId is neither"),
        (b'{"results": [{"ReportId": NaN}]}', "ReportId is neither"),
        (rows({"DeviceId": ["a"]}), "DeviceId is neither"),
        (rows({"DeviceId": "a", "deviceId": "b"}), "DeviceId twice"),
    ],
)
def test_half_an_answer_is_none(body: Any, words: str) -> None:
    """Where one row cannot be read, the others are not used either: what is missing might have made it doubtful."""
    result = answered(200, body)
    assert (result.kind, result.rows) == ("unreadable", ())
    assert words in result.message


@pytest.mark.parametrize(
    ("message", "headers", "wait"),
    [
        (QUOTA, {}, 60),
        (QUOTA, {"Retry_After": "7"}, 7),
        (QUOTA, {"Retry_After": "soon"}, 60),
        (RESOURCES, {"Retry_After": "7"}, 7),
        (RESOURCES, {}, 10 * 60 + 30),  # from 10:19:30 to 10:30
        (RESOURCES, {"Date": "Fri, 06 Mar 2026 10:30:00 GMT"}, 900),
        (RESOURCES, {"Date": "no date"}, 900),
        (RESOURCES, {"Date": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}, 900),
    ],
)
def test_a_throttled_call_says_for_how_long(message: str, headers: dict[str, str], wait: float) -> None:
    """As long as Graph asks; else until a quarter of an hour where work was too much, and a minute otherwise."""
    result = answered(429, error("TooManyRequests", message), **headers)
    assert (result.kind, result.status, result.wait) == ("throttled", 429, wait)
    assert message in result.message
    assert answered(429, b"<html>").wait == 60


@pytest.mark.parametrize(
    ("message", "table"),
    [
        (
            "Failed to resolve table or column expression named 'DeviceProcessEvents'. Fix semantic errors.",
            "DeviceProcessEvents",
        ),
        ("semantic error: failed to resolve table expression named 'DeviceInfo'", "DeviceInfo"),
        ("Failed to resolve table or column expression named 'Apart'", ""),
        ("Failed to resolve scalar expression named 'DeviceName'", ""),
        ("Query result set is too large", ""),
    ],
)
def test_a_table_that_is_missing_is_no_bad_query(message: str, table: str) -> None:
    """A tenant without a table's licence differs from a query that Graph does not run."""
    result = answered(400, error("BadRequest", message))
    assert (result.kind, result.table) == ("no table" if table else "bad query", table)
    assert message in result.message


def test_a_forbidden_call_says_which_role_and_the_command() -> None:
    """One sentence names the role that is missing, and the command that grants it."""
    result = answered(403, error("Forbidden", "Missing application roles."))
    assert result.kind == "forbidden"
    sentence = result.message.partition(" Graph's words")[0]
    assert "ThreatHunting.Read.All of Microsoft Graph" in sentence
    command = re.search(r"`(.+)`", sentence)
    assert command
    assert command[1] == graph.GRANT
    unauthorized = answered(401, error("InvalidAuthenticationToken", "Access token validation failure."))
    assert unauthorized.kind == "forbidden"
    assert "GRAPH_TOKEN_SCOPE" in unauthorized.message


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, error("InternalServerError", ""), "unavailable"),
        (500, b"", "unavailable"),
        (502, b"<html>", "unavailable"),
        (503, error("ServiceUnavailable", "x"), "unavailable"),
        (504, b"", "unavailable"),
        (408, b"", "unavailable"),
        (204, b"", "unreadable"),
        (302, b"", "unreadable"),
        (400, b"<html>", "unreadable"),
        (401, b"<html>", "unreadable"),
        (403, b"<html>", "unreadable"),
        (404, error("NotFound", "x"), "unreadable"),
        (405, b"", "unreadable"),
    ],
)
def test_every_other_answer_has_its_meaning(status: int, body: Any, kind: str) -> None:
    """An error on Graph's side may pass; what is not Graph's form comes from something in between."""
    result = answered(status, body)
    assert (result.kind, result.status, result.rows, result.wait) == (kind, status, (), None)
    assert str(status) in result.message
    assert ("GRAPH_API_URL" in result.message) == (kind == "unreadable")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Timeout", "unavailable"),
        ("NoConnection", "unavailable"),
        ("ConnectionLost", "unavailable"),
        ("TooLarge", "unreadable"),
    ],
)
def test_a_call_without_a_whole_answer(code: str, kind: str) -> None:
    """What kept an answer from coming is said in our own words."""
    result = graph.read(Response(None, {}, None, Failure(code, "why"), True, 2.0), COLUMNS)
    assert (result.kind, result.status, result.message, result.seconds) == (kind, None, "why", 2.0)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_no_token_is_shown(status: int) -> None:
    """What looks like a token, or goes on for ever, does not get into a message."""
    result = answered(status, error("Code", f"the token {TOKEN} {'x ' * 5_000}"))
    assert TOKEN[:90] not in result.message
    assert len(result.message) < 2_000


def test_half_a_character_does_not_get_into_a_row() -> None:
    """JSON can hold half of a pair that no UTF-8 has; a row of it can be stored."""
    [row] = answered(200, b'{"results": [{"Row": "a\\ud83d"}]}').rows
    assert row == {"Row": "a?"}


@pytest.mark.parametrize("url", ["http://graph.example", "graph.example", "https://u:p@graph.example"])
def test_a_token_goes_nowhere_else(url: str) -> None:
    """Like Defender's, Graph's address is https or loopback."""
    with pytest.raises(SettingsError, match="GRAPH_API_URL"):
        graph.Graph(url, deadline=1)
