"""What Defender's answers mean: which are about the alert, which are not, and what they ask for."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clients import answer
from shared.clients.call import Response

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


def test_defenders_own_words_are_stored() -> None:
    """Code, message and target come through, with a status; absent ones are None, long ones are cut."""
    assert answer.judge(404, json.dumps(NOT_FOUND).encode())[1] == {"status": 404, **NOT_FOUND["error"]}
    error = {"code": "c" * 5000, "message": "m" * 5000, "target": None}
    _, stored = answer.judge(400, json.dumps({"error": error}).encode())
    assert (len(stored["code"]), len(stored["message"]), stored["target"]) == (200, 1000, None)


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


# ---- the whole answer


DEVICE = "1e5bc9d7e413ddd7902c2932e418702b84d0cc07"
SENT = {"machineId": DEVICE, "severity": "High"}


def read(status: int, body: bytes | object) -> answer.Answer:
    """Return what is made of a whole answer with this body, as bytes or as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer.read(Response(status, {"Date": DATE}, raw, None, sent=True, seconds=0.5), SENT)


def test_an_alert_about_another_device_is_noted() -> None:
    """It is created, and a note names the device that Defender's alert is about; the log has the field only."""
    elsewhere = read(200, CREATED | {"machineId": "e15e" * 10})
    assert elsewhere.kind == "created"
    (note,) = elsewhere.notes
    assert note.startswith("machineId: ")
    assert "e15e" * 10 in note
    assert elsewhere.log_fields()["differs"] == "machineId"
    assert "e15e" not in json.dumps(elsewhere.log_fields())


def test_a_merge_into_a_lower_alert_is_noted() -> None:
    """What was sent as High and is shown as Low was merged into an alert that is easily overlooked."""
    assert read(200, CREATED | {"severity": "Low"}).differs.keys() == {"severity"}


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"machineId": DEVICE.upper(), "severity": "High"},
        {"machineId": None, "severity": None},
        {"machineId": "", "severity": []},
    ],
)
def test_an_alert_as_it_was_sent_has_no_note(same: dict[str, object]) -> None:
    """Neither the case of a device's id nor a member that is missing is a difference."""
    assert read(200, CREATED | same).notes == ()


@pytest.mark.parametrize(
    ("status", "raw"), [(200, b""), (204, b""), (200, b" \r\n"), (200, b'{"id": "x", "a": ' + b"[" * 100_000)]
)
def test_a_success_without_an_alert_may_have_created_one(status: int, raw: bytes) -> None:
    """It is nobody's failure: the alert may be there, so it is named, and not called again for ever."""
    empty = read(status, raw)
    assert empty.error is not None
    assert (empty.kind, empty.error["code"], empty.may_have_created) == ("unavailable", "NoAlert", True)


@pytest.mark.parametrize(
    ("status", "raw"), [(200, b"<html>"), (200, b'{"hello": 1}'), (500, b""), (302, b""), (404, b"")]
)
def test_what_is_not_defenders_has_created_nothing(status: int, raw: bytes) -> None:
    """A page of a gateway, another service or an error says that Defender was not reached."""
    assert not read(status, raw).may_have_created


@pytest.mark.parametrize("levels", [10, 200, 900])
def test_an_alert_that_nests_deep_can_be_stored(levels: int) -> None:
    """A created alert is one however deep a member of it nests; what is stored of it can be written as JSON."""
    raw = json.dumps(CREATED).removesuffix("}").encode() + b', "x": ' + b"[" * levels + b"]" * levels + b"}"
    deep = read(200, raw)
    assert deep.alert is not None
    assert (deep.kind, deep.alert["id"]) == ("created", CREATED["id"])
    assert json.loads(json.dumps(deep.alert)) == deep.alert


def test_an_error_that_nests_deep_can_be_stored() -> None:
    """Whatever stands where a message should, the error is a text that can be stored."""
    raw = b'{"error": {"code": "BadRequest", "message": ' + b"[" * 900 + b"]" * 900 + b"}}"
    error = read(400, raw).error
    assert error is not None
    assert len(error["message"]) <= 1000


def test_a_number_that_json_has_not_is_left_out() -> None:
    """`1e999` is read as infinite, and could be shown to nobody."""
    alert = read(200, b'{"id": "x", "score": 1e999}').alert
    assert json.dumps(alert, allow_nan=False) == '{"id": "x", "score": null}'


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.integers(100, 599),
    st.binary() | st.dictionaries(st.sampled_from(["id", "error", "machineId", "severity", "code"]), _JSON),
)
def test_anything_gives_an_answer_that_can_be_stored(status: int, body: object) -> None:
    """No status and no body makes it raise, and what it gives can be written as JSON."""
    judged = read(status, body)
    json.dumps([judged.alert, judged.error, judged.notes, judged.log_fields()], allow_nan=False)
