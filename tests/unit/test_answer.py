"""What Defender's answers mean: which are about the alert, which are not, and what they ask for."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clients import answer

DATE = "Fri, 03 Aug 2018 16:45:30 GMT"
CREATED = {"id": "da637472900382838869_1364969609", "alertCreationTime": "2018-08-03T16:45:29.1234567Z"}
NOT_FOUND = {"error": {"code": "ResourceNotFound", "message": "no such event", "target": "43f4cb08"}}


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (200, CREATED, "created"),
        (201, CREATED, "created"),
        (404, NOT_FOUND, "not_found"),
        (400, {"error": {"code": "BadRequest"}}, "rejected"),
        (409, {"error": {"code": "Conflict"}}, "rejected"),
        (401, {"error": {"code": "Unauthorized"}}, "unavailable"),
        (403, {"error": {"code": "Forbidden"}}, "unavailable"),
        (408, {"error": {"code": "Timeout"}}, "unavailable"),
        (429, {"error": {"code": "TooManyRequests"}}, "unavailable"),
        (500, {"error": {"code": "InternalServerError"}}, "unavailable"),
        (200, {"error": {"code": "BadRequest"}}, "unavailable"),
        (302, CREATED, "unavailable"),
        (404, CREATED, "unavailable"),
        (200, {"id": ""}, "unavailable"),
        (200, {"id": 7}, "unavailable"),
        (200, {"value": [CREATED]}, "unavailable"),
        (200, [CREATED], "unavailable"),
        (404, {"error": "not here"}, "unavailable"),
        (400, {"error": {"code": ""}}, "unavailable"),
        (400, {"error": {"code": 400}}, "unavailable"),
        (404, {"statusCode": 404, "message": "Resource not found"}, "unavailable"),
    ],
)
def test_kinds(status: int, content: object, kind: str) -> None:
    """Only an alert with an id, or an error with a code, says something about the alert."""
    assert answer.judge(status, json.dumps(content).encode())[0] == kind


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b'{"id": "x"', b"\xff\xfe", b'{"id": "x", "n": NaN}', b"[" * 100_000, b"null"]
)
def test_what_is_no_json_is_not_defenders(raw: bytes) -> None:
    """Bytes that are no JSON object are unavailable under every status, and break nothing."""
    assert {answer.judge(status, raw) == ("unavailable", {}) for status in (200, 400, 404, 500)} == {True}


def test_defenders_own_words_are_kept() -> None:
    """Code, message and target come through, with a status; absent ones are None, long ones are cut."""
    assert answer.judge(404, json.dumps(NOT_FOUND).encode())[1] == {"status": 404, **NOT_FOUND["error"]}
    error = {"code": "c" * 5000, "message": "m" * 5000, "target": None}
    _, said = answer.judge(400, json.dumps({"error": error}).encode())
    assert (len(said["code"]), len(said["message"]), said["target"]) == (200, 1000, None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("1.2", 2.0),
        ("86400", 600.0),
        ("inf", 600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Fri, 03 Aug 2018 16:46:15 GMT", 45.0),
        ("Fri, 03 Aug 2018 16:45:00 GMT", 0.0),
        ("Sat, 04 Aug 2018 16:45:00 GMT", 600.0),
        ("Fri, 03 Aug 2018 18:46:15 +0200", 45.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds or a date against the answer's own Date; whole, rounded up, 0 to 600."""
    assert answer.retry_after(value, DATE) == seconds


def test_retry_after_as_a_date_needs_the_answers_date() -> None:
    """Without the answer's own Date a date says nothing, since our clock may be wrong."""
    assert answer.retry_after(DATE, None) is None


@given(st.none() | st.text(), st.none() | st.text())
def test_retry_after_of_anything(value: str | None, date: str | None) -> None:
    """Whatever the headers hold, the result is None or a whole number of seconds from 0 to 600."""
    seconds = answer.retry_after(value, date)
    assert seconds is None or (seconds == math.floor(seconds) and 0 <= seconds <= 600)


@pytest.mark.parametrize(
    ("created", "seconds", "merged"),
    [
        ("2018-08-03T16:45:29.1234567Z", 0.5, False),
        ("2018-08-03T16:45:25Z", 0.0, False),
        ("2018-08-03T16:45:24.9999999Z", 0.0, True),
        ("2018-08-03T16:45:11Z", 15.0, False),
        ("2018-08-03T16:45:09", 15.0, True),
        ("2018-08-03T16:46:30Z", 0.0, False),
        ("2018-07-01T00:00:00Z", 0.0, True),
        ("yesterday", 0.0, False),
        (None, 0.0, False),
    ],
)
def test_merged(created: object, seconds: float, *, merged: bool) -> None:
    """An alert is merged if it is over 5 s older than the call, which ended at the answer's Date."""
    assert answer.is_merged({"alertCreationTime": created}, DATE, seconds) is merged


@pytest.mark.parametrize("date", [None, "", "now"])
def test_merged_needs_the_answers_date(date: str | None) -> None:
    """Without a readable Date nothing is called merged."""
    assert not answer.is_merged({"alertCreationTime": "2018-07-01T00:00:00Z"}, date, 0)
