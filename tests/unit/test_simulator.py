import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.simulator import rules
from dev.simulator.alerts import ALERT_FIELDS, Alerts
from dev.simulator.faults import Fault
from dev.simulator.judge import Judge, violations
from dev.simulator.rules import CATEGORIES, FIELDS, Rejected
from dev.simulator.simulator import Simulator
from dev.stack import token_endpoint
from dev.stack.token_endpoint import AUDIENCE, Grant
from tests.checks import spoiled
from tests.checks.sender import wait_for

LIMIT = 30.0  # seconds; generous, nothing is expected to take that long


class Event(NamedTuple):
    """An event as callers name it."""

    machine_id: str
    event_time: str
    report_id: str


EVENT = Event("a823b898bd0e783dad3c4012b9930e03139a06bf", "2018-08-04T16:45:21.7115183Z", "20776")
GOOD = {
    "machineId": EVENT.machine_id,
    "severity": "Low",
    "title": "Example",
    "description": "Déjà vu",
    "recommendedAction": "nothing",
    "eventTime": EVENT.event_time,
    "reportId": EVENT.report_id,
    "category": "Exploit",
}


@dataclass
class Answer:
    """What a caller saw."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Defender's error code."""
        return str(self.json["error"]["code"])


def connect(simulator: Simulator) -> closing[http.client.HTTPConnection]:
    """Return a connection, made when it is first used and closed at the end of its block."""
    address = urlsplit(simulator.url)
    return closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=LIMIT))


def request(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request and read its answer."""
    connection.request(method, path, body, dict(headers or {}))
    with closing(connection.getresponse()) as response:
        return Answer(response.status, dict(response.headers), response.read())


def good_token(**changes: Any) -> str:
    """Return a token as the endpoint would give it, with `changes` to its `Grant`."""
    granted = replace(token_endpoint.grant(AUDIENCE), **changes)
    return token_endpoint.seal(token_endpoint.SYSTEM_ASSIGNED_CLIENT_ID, granted, time.time())[0]


def call(
    simulator: Simulator,
    fields: Any = GOOD,
    *,
    token: str | None = "",
    content_type: str = "application/json",
    method: str = "POST",
) -> Answer:
    """Make one call on a connection of its own; `token` "" is a good one, None is none."""
    authorization = {} if token is None else {"Authorization": f"Bearer {token or good_token()}"}
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    with connect(simulator) as connection:
        return request(connection, method, Alerts.path, body, {"Content-Type": content_type, **authorization})


def control(simulator: Simulator, method: str, name: str, body: Any = None) -> Answer:
    """Use the simulator's own part of the API."""
    with connect(simulator) as connection:
        return request(
            connection, method, f"/_simulator/{name}", None if body is None else json.dumps(body).encode()
        )


def ask(simulator: Simulator, header: str | None = None, **query: str) -> Answer:
    """Ask for a token as a managed identity does."""
    query = {"api-version": "2019-08-01", "resource": AUDIENCE, **query}
    path = f"{token_endpoint.PATH}?{urlencode(query)}"
    with connect(simulator) as connection:
        return request(
            connection,
            "GET",
            path,
            headers={"X-IDENTITY-HEADER": header or simulator.environment["IDENTITY_HEADER"]},
        )


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Knows every event and refuses the 101st call."""
    with Simulator(calls=100, window=3600.0, known_events="all") as running:
        yield running


# ---- the judge


def test_judge_lets_pass_what_fits_and_says_when_the_next_may_come() -> None:
    """Of three calls in a window for two, the third is rejected until the second has left the window."""
    judge = Judge(calls=2, window=10.0)
    assert [judge.arrive(at) for at in (0.0, 1.0, 5.0)] == [None, None, 6.0]


def test_arrivals_exactly_a_window_apart_are_in_different_windows() -> None:
    """The window is half open at its end."""
    judge = Judge(calls=1, window=10.0)
    assert [judge.arrive(at) for at in (0.0, 10.0)] == [None, None]
    assert violations([0.0, 10.0], calls=1, window=10.0) == []
    assert violations([0.0, 9.999], calls=1, window=10.0) == [9.999]


def test_a_refused_call_counts_too() -> None:
    """Who calls again too soon is rejected again, as Defender's documentation warns."""
    judge = Judge(calls=1, window=10.0)
    assert [judge.arrive(at) for at in (0.0, 9.0, 18.0, 28.0)] == [None, 10.0, 10.0, None]


@pytest.mark.parametrize(("calls", "window"), [(0, 1.0), (1, 0.0)])
def test_judge_refuses_a_window_that_cannot_be(calls: int, window: float) -> None:
    """No calls or no time is a mistake of the one who configures it."""
    with pytest.raises(ValueError, match="positive"):
        Judge(calls, window)


def test_judge_refuses_to_go_back_in_time() -> None:
    """Arrivals are judged in their order."""
    judge = Judge(1, 1.0)
    judge.arrive(5.0)
    with pytest.raises(ValueError, match="follow"):
        judge.arrive(4.0)


ARRIVALS = st.lists(st.floats(min_value=0, max_value=100), max_size=60).map(sorted)


@given(times=ARRIVALS, calls=st.integers(1, 6), window=st.floats(0.5, 50))
def test_judge_and_scan_agree(times: list[float], calls: int, window: float) -> None:
    """The judge, who sees one call at a time, and the scan of the whole log find the same calls too many."""
    judge = Judge(calls, window)
    rejected = [at for at in times if judge.arrive(at) is not None]
    assert violations(reversed(times), calls, window) == rejected


@given(times=ARRIVALS, calls=st.integers(1, 6), window=st.floats(0.5, 50))
def test_scan_finds_a_violation_where_counting_by_hand_does(
    times: list[float], calls: int, window: float
) -> None:
    """Counting every window that ends at an arrival, instead of starting there, comes to the same verdict."""
    crowded = any(sum(0 <= last - at < window for at in times) > calls for last in times)
    assert bool(violations(times, calls, window)) is crowded


@given(times=ARRIVALS, calls=st.integers(1, 6), window=st.integers(1, 50))
def test_a_call_after_the_wait_passes(times: list[float], calls: int, window: int) -> None:
    """The wait the judge names is long enough."""
    judge = Judge(calls, window)
    waits = [judge.arrive(at) for at in times]
    if waits and (wait := waits[-1]) is not None:
        assert judge.arrive(times[-1] + wait + 1e-6) is None


# ---- the alert


def test_a_good_call_creates_an_alert_with_every_documented_field(simulator: Simulator) -> None:
    """The answer is the whole alert resource, as UTF-8 JSON, with a Date to compare its times with."""
    answer = call(simulator)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    alert = answer.json
    assert tuple(alert) == ALERT_FIELDS
    assert {name: alert[name] for name in ("machineId", "severity", "category", "title", "description")} == {
        name: GOOD[name] for name in ("machineId", "severity", "category", "title", "description")
    }
    assert alert["firstEventTime"] == alert["lastEventTime"] == EVENT.event_time
    assert alert["id"].startswith("da")
    created = datetime.strptime(alert["alertCreationTime"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    assert abs(parsedate_to_datetime(answer.headers["Date"]) - created).total_seconds() < LIMIT
    assert simulator.alerts == [alert]


def test_an_open_alert_of_the_same_device_and_title_swallows_the_new_one(simulator: Simulator) -> None:
    """A merge answers with the old alert, its old creation time and a new update time."""
    old = call(simulator).json
    new = call(simulator, {**GOOD, "reportId": "20777", "description": "another"}).json
    assert new == {**old, "lastUpdateTime": new["lastUpdateTime"]}
    assert new["lastUpdateTime"] > old["lastUpdateTime"]
    assert [arrival.merged for arrival in simulator.log] == [False, True]
    assert len(simulator.alerts) == 1


@pytest.mark.parametrize("change", [{"title": "example"}, {"machineId": "b" * 40}])
def test_another_title_or_device_is_another_alert(simulator: Simulator, change: dict[str, str]) -> None:
    """Only the same device with the very same title merges."""
    assert call(simulator).json["id"] != call(simulator, {**GOOD, **change}).json["id"]


def test_only_registered_events_are_known() -> None:
    """By default an event is known by its exact three strings, and by nothing that means the same."""
    with Simulator() as simulator:
        assert (unknown := call(simulator)).status == 404
        assert unknown.code == "ResourceNotFound"
        simulator.defender.register(known=[EVENT])
        assert call(simulator).status == 200
        assert call(simulator, {**GOOD, "eventTime": "2018-08-04T16:45:21.711518Z"}).status == 404
        assert call(simulator, {**GOOD, "reportId": "020776"}).status == 404


def test_with_all_events_known_some_can_be_unknown_and_become_known_later(simulator: Simulator) -> None:
    """An event that is not searchable yet gives 404 until it is."""
    simulator.defender.register(unknown=[EVENT])
    assert call(simulator).status == 404
    assert call(simulator, {**GOOD, "reportId": "1"}).status == 200
    simulator.defender.register(known=[EVENT])
    assert call(simulator).status == 200


# ---- the body, to the letter


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_or_empty_field_is_refused_in_defenders_words(
    simulator: Simulator, name: str, value: str | None
) -> None:
    """Each of the eight fields is required."""
    fields = {key: item for key, item in {**GOOD, name: value}.items() if item is not None}
    answer = call(simulator, fields)
    assert answer.status == 400
    error = answer.json["error"]
    assert error == {
        "code": "BadRequest",
        "message": f"{name} argument is missing",
        "target": error["target"],
    }
    assert str(uuid.UUID(error["target"])) == error["target"]


def test_keys_are_case_sensitive(simulator: Simulator) -> None:
    """`MachineId` is not `machineId`."""
    fields = {("MachineId" if key == "machineId" else key): value for key, value in GOOD.items()}
    assert call(simulator, fields).json["error"]["message"] == "machineId argument is missing"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"extra": "x"}, "InvalidRequestBody"),
        ({"Title": "twice"}, "InvalidRequestBody"),
        ({"reportId": 20776}, "InvalidRequestBody"),
        ({"title": ["x"]}, "InvalidRequestBody"),
        ({"severity": "low"}, "InvalidInput"),
        ({"severity": "Informational"}, "InvalidInput"),
        ({"category": "exploit"}, "InvalidInput"),
        ({"category": "None"}, "InvalidInput"),
        ({"reportId": "20776.0"}, "InvalidInput"),
        ({"reportId": "-1"}, "InvalidInput"),
        ({"reportId": "٢"}, "InvalidInput"),
        ({"reportId": "9223372036854775808"}, "InvalidInput"),
        ({"machineId": "A823B898BD0E783DAD3C4012B9930E03139A06BF"}, "InvalidInput"),
        ({"machineId": "a823b898"}, "InvalidInput"),
        ({"machineId": "5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11"}, "InvalidInput"),
        ({"eventTime": "2018-08-04T16:45:21.7115183"}, "InvalidInput"),
        ({"eventTime": "2018-08-04T16:45:21.7115183+00:00"}, "InvalidInput"),
        ({"eventTime": "2018-08-04 16:45:21Z"}, "InvalidInput"),
        ({"eventTime": "2018-08-04T16:45:21.71151834Z"}, "InvalidInput"),
        ({"eventTime": "2018-02-30T16:45:21Z"}, "InvalidInput"),
        ({"eventTime": "2018-08-04T16:45:21Z\n"}, "InvalidInput"),
    ],
)
def test_what_is_almost_right_is_refused(simulator: Simulator, change: dict[str, Any], code: str) -> None:
    """Unknown keys, wrong types and values outside the documented forms give 400."""
    answer = call(simulator, {**GOOD, **change})
    assert (answer.status, answer.code) == (400, code)
    assert simulator.alerts == []


@pytest.mark.parametrize(
    "change",
    [
        *({"category": category} for category in CATEGORIES),
        {"severity": "Medium"},
        {"severity": "High"},
        {"reportId": "9223372036854775807"},
        {"reportId": "0"},
        {"eventTime": "2018-08-04T16:45:21Z"},
        {"title": "💥"},
    ],
)
def test_what_the_documentation_allows_is_taken(simulator: Simulator, change: dict[str, str]) -> None:
    """Every documented value passes the checks."""
    assert call(simulator, {**GOOD, **change}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        json.dumps(GOOD).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        json.dumps(GOOD, ensure_ascii=False).encode("latin-1"),
        json.dumps(GOOD).replace('"Low"', "NaN").encode(),
        json.dumps(GOOD).replace("{", '{"title": "first", ').encode(),
        json.dumps({**GOOD, "title": "\ud800"}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_in_utf8_is_refused(simulator: Simulator, body: bytes) -> None:
    """Broken, foreign or ambiguous JSON gives 400 in Defender's shape."""
    answer = call(simulator, body)
    assert (answer.status, answer.code) == (400, "InvalidRequestBody")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_the_content_type_must_be_json(simulator: Simulator, content_type: str) -> None:
    """Right JSON under another name is not taken."""
    assert call(simulator, content_type=content_type).status == 415
    assert call(simulator, content_type="application/json; charset=utf-8").status == 200


def test_only_post_creates_an_alert(simulator: Simulator) -> None:
    """Another method, as after a redirect, is seen in the log and creates nothing."""
    assert call(simulator, method="PUT").status == 405
    assert [(arrival.method, arrival.status) for arrival in simulator.log] == [("PUT", 405)]


def test_another_path_is_not_found(simulator: Simulator) -> None:
    """What Defender does not have, the simulator has not either, and the body of the call is not mistaken."""
    with connect(simulator) as connection:
        assert request(connection, "POST", "/api/alerts", b"GET / HTTP/1.1").status == 404
        assert request(connection, "GET", "/_simulator/nothing").status == 404
        assert request(connection, "GET", "/_simulator/health").json == {"status": "pass"}


# ---- token and role


def test_calls_without_a_good_token_get_401(simulator: Simulator) -> None:
    """Missing, malformed, foreign, expired, of another audience or tenant: the message tells which."""
    grant = token_endpoint.grant(AUDIENCE)
    foreign = token_endpoint.seal("app", grant, time.time(), key="a key of another house, worth nothing")[0]
    head, _, signature = good_token().split(".")
    bad = {
        "there is none": None,
        "it is not a bearer token": "nonsense",
        "the signature is foreign": foreign,
        "the token has expired": good_token(lifetime=0),
        "the audience is 'https://graph.microsoft.com'": good_token(audience="https://graph.microsoft.com"),
        "the account is not provisioned": good_token(tenant=token_endpoint.OTHER_TENANT),
    }
    for reason, token in bad.items():
        answer = call(simulator, token=token)
        assert (answer.status, answer.code) == (401, "Unauthorized")
        assert reason in answer.json["error"]["message"]
    assert call(simulator, token=f"{head}.e30.{signature}").status == 401
    with pytest.raises(Rejected, match="bearer"):
        rules.admit(f"Basic {good_token()}", time.time(), AUDIENCE, token_endpoint.ROLE)


def test_a_token_without_the_role_gets_403(simulator: Simulator) -> None:
    """The message says which role is required and which the token has."""
    answer = call(simulator, token=good_token(roles=("Machine.Read.All",)))
    assert (answer.status, answer.code) == (403, "Forbidden")
    assert answer.json["error"]["message"] == (
        "Missing application roles. API required roles: Alert.ReadWrite.All, "
        "application roles: Machine.Read.All."
    )


def test_strangers_do_not_use_up_the_window() -> None:
    """A call that shows no good token is logged and not counted; one that does is, whatever its body."""
    with Simulator(calls=1, window=3600.0) as simulator:
        assert call(simulator, token="x").status == 401
        assert call(simulator, token=good_token(roles=())).status == 403
        assert call(simulator, b"{").status == 400
        assert call(simulator, b"{").status == 429
        assert [(arrival.judged, arrival.over_limit) for arrival in simulator.log] == [
            (False, False),
            (False, False),
            (True, False),
            (True, True),
        ]


# ---- the window


def test_the_call_over_the_limit_gets_429_with_whole_seconds() -> None:
    """The rejection says when to come back, rounded up, and is a violation in the log."""
    with Simulator(calls=2, window=90.5, known_events="all") as simulator:
        assert [call(simulator).status for _ in range(2)] == [200, 200]
        answer = call(simulator)
        assert (answer.status, answer.code) == (429, "TooManyRequests")
        first, second, third = simulator.log
        wait = int(answer.headers["Retry-After"])
        assert wait - 1 < second.at + 90.5 - third.at <= wait
        assert answer.json["error"]["message"].startswith(
            "API calls quota exceeded! Maximum allowed 2 per 00:01:30"
        )
        assert not first.over_limit
        assert third.over_limit
        assert control(simulator, "GET", "violations").json == control(simulator, "GET", "log").json[2:]


def test_a_burst_of_many_threads_is_judged_one_by_one() -> None:
    """Of forty calls at once exactly the limit passes: the first of the log, whose order is that of time."""
    with Simulator(calls=15, window=3600.0, known_events="all") as simulator, ThreadPoolExecutor(8) as pool:
        statuses = list(
            pool.map(lambda number: call(simulator, {**GOOD, "reportId": str(number)}).status, range(40))
        )
        assert sorted(statuses) == [200] * 15 + [429] * 25
        log = simulator.log
        assert [arrival.sequence for arrival in log] == list(range(40))
        assert [arrival.at for arrival in log] == sorted(arrival.at for arrival in log)
        assert [arrival.over_limit for arrival in log] == [False] * 15 + [True] * 25
        reported = violations([arrival.at for arrival in log], 15, 3600.0)
        assert reported == [arrival.at for arrival in log[15:]]


# ---- the log


def test_the_log_tells_what_a_call_was_and_what_became_of_it(simulator: Simulator) -> None:
    """JSON and object show the same; clocks are the machine's own."""
    before = time.monotonic()
    alert = call(simulator).json
    (arrival,) = simulator.log
    assert before < arrival.at < time.monotonic()
    assert abs(datetime.fromisoformat(arrival.wall) - datetime.now(UTC)).total_seconds() < LIMIT
    assert control(simulator, "GET", "log").json == [
        {
            "sequence": 0,
            "at": arrival.at,
            "wall": arrival.wall,
            "method": "POST",
            "connection": arrival.connection,
            "appId": token_endpoint.SYSTEM_ASSIGNED_CLIENT_ID,
            "judged": True,
            "overLimit": False,
            "machineId": EVENT.machine_id,
            "eventTime": EVENT.event_time,
            "reportId": EVENT.report_id,
            "title": "Example",
            "fault": None,
            "status": 200,
            "code": None,
            "retryAfter": None,
            "alertId": alert["id"],
            "merged": False,
            **dict.fromkeys(("query", "timespan", "rows")),
            "seconds": 0.0,
        }
    ]


def test_a_caller_that_hangs_up_in_the_middle_of_its_body_has_arrived(simulator: Simulator) -> None:
    """The arrival is logged and judged when the headers are read; nothing is answered."""
    with connect(simulator) as connection:
        connection.putrequest("POST", Alerts.path)
        connection.putheader("Authorization", f"Bearer {good_token()}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"{")
        wait_for(lambda: simulator.log, lambda log: len(log) == 1, LIMIT)
    assert call(simulator).status == 200
    cut, whole = simulator.log
    assert (cut.judged, cut.status, cut.title) == (True, None, None)
    assert whole.status == 200


# ---- the connection


def test_a_connection_is_kept_alive_and_recognised_in_the_log(simulator: Simulator) -> None:
    """Calls on one connection show the same `connection`, whatever their answer was; others another one."""
    headers = {"Authorization": f"Bearer {good_token()}", "Content-Type": "application/json"}
    with connect(simulator) as connection:
        for body in (json.dumps(GOOD).encode(), b"{"):
            answer = request(connection, "POST", Alerts.path, body, headers)
            assert "Connection" not in answer.headers
            assert int(answer.headers["Content-Length"]) == len(answer.body)
        call(simulator)
    first, two, three = (arrival.connection for arrival in simulator.log)
    assert first == two != three


def test_a_body_of_unknown_length_is_refused_and_the_connection_closed(simulator: Simulator) -> None:
    """Chunked bodies are not read, and what is left of one is not taken for a next request."""
    with connect(simulator) as connection:
        body = json.dumps(GOOD).encode()
        head = (
            f"POST {Alerts.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {good_token()}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.connect()  # and in one piece, because the server closes the connection soon
        connection.send(head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        with closing(http.client.HTTPResponse(connection.sock)) as response:
            response.begin()
            assert response.status == 400
            assert response.headers["Connection"] == "close"
    assert len(simulator.log) == 1


# ---- switches and faults


def test_transit_delays_the_arrival_and_latency_the_answer(simulator: Simulator) -> None:
    """What is in transit is not in the log; what meets latency is."""
    with ThreadPoolExecutor(1) as pool:
        sent = time.monotonic()
        simulator.switch(transit=0.2, latency=(0.1, 0.2))
        answer = pool.submit(call, simulator)
        (arrival,) = wait_for(lambda: simulator.log, lambda log: len(log) == 1, LIMIT)
        assert arrival.at - sent >= 0.2
        assert answer.result(LIMIT).status == 200
        assert time.monotonic() - arrival.at >= 0.1


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        (Fault("status"), 500, None),
        (Fault("status", status=503), 503, None),
        (Fault("status", status=503, retry_after=7), 503, "7"),
        (Fault("status", status=408), 408, None),
        (Fault("status", status=429), 429, None),
        (Fault("status", status=429, retry_after=30), 429, "30"),
        (Fault("status", status=429, retry_after="soon"), 429, "soon"),
        (Fault("status", status=403), 403, None),
    ],
)
def test_a_status_comes_in_defenders_shape(
    simulator: Simulator, fault: Fault, status: int, retry_after: str | None
) -> None:
    """An injected error looks like Defender's, with the Retry-After asked for, and creates no alert."""
    simulator.switch(faults=(fault,))
    answer = call(simulator)
    assert answer.status == status
    assert answer.headers.get("Retry-After") == retry_after
    assert set(answer.json["error"]) == {"code", "message", "target"}
    assert simulator.alerts == []
    (arrival,) = simulator.log
    assert (arrival.fault, arrival.status, arrival.judged) == ("status", status, True)


def test_retry_after_can_be_a_date(simulator: Simulator) -> None:
    """RFC 9110 allows a date as well as seconds."""
    later = datetime.now(UTC) + timedelta(seconds=600)
    simulator.switch(faults=(Fault("status", status=429, retry_after=format_datetime(later, usegmt=True)),))
    assert parsedate_to_datetime(call(simulator).headers["Retry-After"]) == later.replace(microsecond=0)


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        (Fault("html"), 502, "text/html; charset=utf-8"),
        (Fault("html", status=200), 200, "text/html; charset=utf-8"),
        (Fault("foreign"), 200, "application/json; charset=utf-8"),
        (Fault("empty"), 200, None),
        (Fault("empty", status=500), 500, None),
    ],
)
def test_bodies_that_are_not_defenders(
    simulator: Simulator, fault: Fault, status: int, content_type: str | None
) -> None:
    """A gateway's page, somebody else's JSON or nothing at all, with any status."""
    simulator.switch(faults=(fault,))
    answer = call(simulator)
    assert (answer.status, answer.headers.get("Content-Type")) == (status, content_type)
    assert b'"error"' not in answer.body
    assert b'"id"' not in answer.body
    assert (answer.body == b"") is (fault.kind == "empty")


ELSEWHERE = spoiled.Altered(change=lambda alert: alert | {"machineId": "e15e" * 10})


def test_an_altered_alert(simulator: Simulator) -> None:
    """The caller sees the real alert as the fault changes it; Defender itself has the right one."""
    simulator.switch(faults=(ELSEWHERE,))
    seen = json.loads(call(simulator).body)
    (alert,) = simulator.alerts
    assert seen == alert | {"machineId": "e15e" * 10} != alert


def test_an_error_is_not_altered(simulator: Simulator) -> None:
    """Only an alert can be about another device: an error comes as it is."""
    simulator.switch(faults=(ELSEWHERE,), known_events="registered")
    assert json.loads(call(simulator).body)["error"]["code"] == "ResourceNotFound"


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_points_back_to_the_same_url(simulator: Simulator, status: int) -> None:
    """So a caller who follows shows up in the log."""
    simulator.switch(faults=(Fault("redirect", status=status),))
    assert (first := call(simulator)).status == status
    assert first.headers["Location"] == simulator.url + Alerts.path


@pytest.mark.parametrize("after_processing", [False, True])
def test_a_reset_leaves_the_caller_without_an_answer(simulator: Simulator, after_processing: bool) -> None:
    """The connection is reset, not closed; the alert exists only if the fault strikes after processing."""
    simulator.switch(faults=(Fault("reset", after_processing=after_processing),))
    with pytest.raises(ConnectionResetError) as caught:
        call(simulator)
    assert caught.type is ConnectionResetError  # http.client has a subclass for a mere end
    (arrival,) = simulator.log
    assert (arrival.fault, arrival.status, arrival.judged) == ("reset", None, True)
    assert [alert["id"] for alert in simulator.alerts] == ([arrival.alert_id] if after_processing else [])


def test_a_lost_answer_is_merged_when_the_caller_tries_again(simulator: Simulator) -> None:
    """The alert of a call whose answer was lost is the one the second try meets."""
    simulator.switch(faults=(Fault("status", status=503, after_processing=True, times=1),))
    assert call(simulator).status == 503
    assert call(simulator).status == 200
    first, second = simulator.log
    assert (first.alert_id, first.merged) == (second.alert_id, False)
    assert second.merged


@pytest.mark.parametrize("after_processing", [False, True])
def test_a_hang_ends_when_the_faults_are_switched(simulator: Simulator, after_processing: bool) -> None:
    """While it hangs, the log shows the call and others get through; in the end nothing is answered."""
    simulator.switch(faults=(Fault("hang", times=1, after_processing=after_processing),))
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(call, simulator)
        wait_for(lambda: simulator.log, lambda log: [arrival.fault for arrival in log] == ["hang"], LIMIT)
        assert call(simulator, {**GOOD, "title": "Other"}).status == 200
        assert not hanging.done()
        simulator.switch(faults=())
        with pytest.raises(http.client.RemoteDisconnected):
            hanging.result(LIMIT)
    assert simulator.log[0].status is None
    assert len(simulator.alerts) == 1 + after_processing


def test_stopping_waits_for_nobody() -> None:
    """A hang, a trickle, latency and idle connections end when the simulator stops, without an answer."""
    simulator = Simulator(
        known_events="all", faults=(Fault("hang", title="x"), Fault("trickle", delay=3600.0))
    )
    with ThreadPoolExecutor(3) as pool, connect(simulator) as idle:
        with simulator:
            assert request(idle, "GET", "/_simulator/health").status == 200
            calls = [pool.submit(call, simulator, {**GOOD, "title": title}) for title in ("x", "y")]
            wait_for(
                lambda: simulator.log,
                lambda log: {arrival.fault for arrival in log} == {"hang", "trickle"},
                LIMIT,
            )
            simulator.switch(latency=3600.0)
            calls.append(pool.submit(call, simulator))
            wait_for(lambda: simulator.log, lambda log: len(log) == 3, LIMIT)
        for unanswered in calls:
            assert isinstance(unanswered.exception(LIMIT), (http.client.HTTPException, ConnectionError))


def test_a_trickle_brings_the_whole_answer_byte_by_byte(simulator: Simulator) -> None:
    """Every read of the caller succeeds in time, yet the answer takes as long as it has bytes."""
    simulator.switch(faults=(Fault("trickle", delay=0.0002),))
    before = time.monotonic()
    answer = call(simulator)
    assert answer.status == 200
    assert answer.json["title"] == "Example"
    assert time.monotonic() - before >= len(answer.body) * 0.0002


def test_a_truncated_answer_ends_in_the_middle(simulator: Simulator) -> None:
    """The headers promise more than comes; the alert exists."""
    simulator.switch(faults=(Fault("truncated"),))
    with pytest.raises(http.client.IncompleteRead) as caught:
        call(simulator)
    assert len(caught.value.partial) > 0
    assert len(simulator.alerts) == 1


def test_a_slow_answer_is_the_real_one(simulator: Simulator) -> None:
    """Only the time differs."""
    simulator.switch(faults=(Fault("slow", delay=0.1),))
    before = time.monotonic()
    assert call(simulator).status == 200
    assert time.monotonic() - before >= 0.1


def test_a_fault_by_title_strikes_only_there(simulator: Simulator) -> None:
    """One alert always meets a 500, all others get through."""
    simulator.switch(faults=(Fault("status", title="Poison"),))
    titles = ["Poison", "Example", "Poison", "Other"]
    assert [call(simulator, {**GOOD, "title": title}).status for title in titles] == [500, 200, 500, 200]


def test_a_fault_strikes_as_often_as_it_is_asked_to(simulator: Simulator) -> None:
    """The first in the list goes first; what is left of it can be read."""
    simulator.switch(faults=(Fault("status", times=2), Fault("empty", times=1)))
    assert call(simulator).status == 500
    assert list(simulator.switches.faults) == [Fault("status", times=1), Fault("empty", times=1)]
    assert [call(simulator).status for _ in range(2)] == [500, 200]
    assert list(simulator.switches.faults) == []
    assert call(simulator).json["title"] == "Example"


def test_a_fault_hides_the_limit_from_the_caller_but_not_from_the_judge() -> None:
    """Every call counts in the window, also one that meets a fault."""
    with Simulator(calls=1, window=3600.0, faults=(Fault("status", times=2),)) as simulator:
        assert [call(simulator).status for _ in range(3)] == [500, 500, 429]
        assert [arrival.over_limit for arrival in simulator.log] == [False, True, True]


def test_switches_and_events_over_http(simulator: Simulator) -> None:
    """Another process can do what a test in the same process can."""
    changed = control(
        simulator,
        "PUT",
        "switches",
        {
            "latency": [0.0, 0.001],
            "knownEvents": "registered",
            "faults": [
                {"kind": "status", "status": 429, "retryAfter": 3, "times": 1, "afterProcessing": True}
            ],
        },
    )
    assert changed.status == 200
    assert changed.json == control(simulator, "GET", "switches").json
    assert simulator.switches.faults == (
        Fault("status", status=429, retry_after=3, times=1, after_processing=True),
    )
    assert (simulator.switches.latency, simulator.switches.known_events) == ((0.0, 0.001), "registered")
    assert call(simulator).headers["Retry-After"] == "3"
    assert call(simulator).status == 404
    event = {"machineId": EVENT.machine_id, "eventTime": EVENT.event_time, "reportId": EVENT.report_id}
    assert control(simulator, "POST", "events", {"known": [event]}).status == 200
    created = call(simulator)
    assert created.status == 200
    assert control(simulator, "GET", "alerts").json == [created.json]
    assert control(simulator, "POST", "events", {"unknown": [event]}).status == 200
    assert call(simulator).status == 404


def test_events_of_hunting_can_be_made_from_another_process(simulator: Simulator) -> None:
    """They are known to Defender by the references that come back; what searched for them is a log of its own."""
    simulator.switch(known_events="registered")
    event = {"table": "DeviceLogonEvents", "device": "pc-1.contoso.example", "time": EVENT.event_time}
    made = control(simulator, "POST", "world", {"events": [event], "searchableAfter": 60})
    assert made.status == 200
    [reference] = made.json
    assert call(simulator, {**GOOD, **reference}).status == 200
    assert control(simulator, "GET", "searches").json == []


@pytest.mark.parametrize(
    ("name", "method", "body"),
    [
        ("switches", "PUT", {"faults": [{"kind": "explode"}]}),
        ("switches", "PUT", {"faults": [{"kind": "status", "on": "elsewhere"}]}),
        ("switches", "PUT", {"faults": [{"kind": "status", "times": 0}]}),
        ("switches", "PUT", {"faults": [{"kind": "status", "delay": -1}]}),
        ("switches", "PUT", {"faults": [{"kind": "status", "status": 999}]}),
        ("switches", "PUT", {"faults": [{"kind": "status", "surprise": 1}]}),
        ("switches", "PUT", {"faults": 1}),
        ("switches", "PUT", {"latency": [2, 1]}),
        ("switches", "PUT", {"transit": "long"}),
        ("switches", "PUT", {"knownEvents": "some"}),
        ("switches", "PUT", {"surprise": 1}),
        ("switches", "PUT", []),
        ("events", "POST", {"known": [{"machineId": "x"}]}),
        ("events", "POST", {"forgotten": []}),
        ("switches", "PUT", {"faults": [{"kind": "quota"}]}),
        ("world", "POST", {"events": [{"table": "DeviceProcessEvents"}]}),
        (
            "world",
            "POST",
            {
                "events": [
                    {"table": "DeviceInfo", "device": "pc-1", "time": "2026-03-04T05:06:07Z", "SHA1": ""}
                ]
            },
        ),
        ("world", "POST", {"surprise": 1}),
    ],
)
def test_a_wrong_switch_changes_nothing(simulator: Simulator, name: str, method: str, body: Any) -> None:
    """A slip in a test is reported, and is no quiet pass."""
    before = simulator.switches
    answer = control(simulator, method, name, body)
    assert answer.status == 400
    assert answer.json["error"]
    assert simulator.switches == before


# ---- the token endpoint


def test_a_token_as_app_service_gives_it(simulator: Simulator) -> None:
    """The answer has the documented members, expiry as a string, and its token opens the door."""
    answer = ask(simulator)
    assert answer.status == 200
    assert set(answer.json) == {"access_token", "client_id", "expires_on", "resource", "token_type"}
    assert answer.json["resource"] == AUDIENCE
    assert isinstance(answer.json["expires_on"], str)
    assert 86_000 < int(answer.json["expires_on"]) - time.time() <= 86_400
    assert call(simulator, token=answer.json["access_token"]).status == 200


def test_a_token_says_who_and_what_for() -> None:
    """The claims are those a reader of Entra's tokens looks for; the role is only for Defender."""
    token, expires_on = token_endpoint.seal("app", token_endpoint.grant(AUDIENCE), 1_000.0)
    claims = token_endpoint.claims(f"Bearer {token}")
    assert expires_on == 1_000 + 86_400
    assert {name: claims[name] for name in ("aud", "appid", "tid", "roles", "iat", "exp")} == {
        "aud": AUDIENCE,
        "appid": "app",
        "tid": token_endpoint.TENANT,
        "roles": ["Alert.ReadWrite.All"],
        "iat": 1_000,
        "exp": 87_400,
    }
    assert token_endpoint.grant("https://storage.azure.com") == Grant("https://storage.azure.com", roles=())


def test_a_token_expires_to_the_second() -> None:
    """A second before it opens the door, at its expiry no more."""
    bearer = f"Bearer {token_endpoint.seal('app', Grant(AUDIENCE, lifetime=60), 0.0)[0]}"
    assert rules.admit(bearer, 59.0, AUDIENCE, token_endpoint.ROLE)["exp"] == 60
    with pytest.raises(Rejected, match="expired"):
        rules.admit(bearer, 60.0, AUDIENCE, token_endpoint.ROLE)


def test_a_token_survives_a_restart_of_the_simulator(simulator: Simulator) -> None:
    """Hosts keep their tokens for a day, longer than a simulator lives in a fault campaign."""
    with Simulator(known_events="all") as other:
        assert call(other, token=good_token()).status == 200


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (
            {"client_id": str(uuid.UUID(int=0))},
            400,
            (
                "No User Assigned or Delegated Managed Identity found for specified "
                "ClientId/ResourceId/PrincipalId."
            ),
        ),
        ({"api-version": "2017-09-01"}, 400, "The api-version must be 2019-08-01."),
        ({"resource": "nonsense"}, 500, "An unexpected error occured while fetching the AAD Token."),
        ({"header": "wrong"}, 401, "The X-IDENTITY-HEADER is missing or wrong."),
    ],
)
def test_a_wrong_token_request_fails_as_app_service_fails(
    simulator: Simulator, query: dict[str, str], status: int, message: str
) -> None:
    """The shape is `statusCode`, `message`, `correlationId`."""
    answer = ask(simulator, **query)
    assert answer.status == status
    assert answer.json == {
        "statusCode": status,
        "message": message,
        "correlationId": answer.json["correlationId"],
    }


def test_token_requests_are_counted_by_client_id(simulator: Simulator) -> None:
    """Also the failed ones, because they went out too."""
    ask(simulator)
    ask(simulator, client_id="unknown")
    ask(simulator, client_id="unknown")
    assert simulator.token_requests == {"system-assigned": 1, "unknown": 2}
    assert control(simulator, "GET", "tokens").json == simulator.token_requests


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (spoiled.WRONG_AUDIENCE, 401, "audience"),
        (spoiled.OTHER_TENANT, 401, "not provisioned"),
        (spoiled.NO_ROLE, 403, "application roles: ."),
        (spoiled.expires(-60), 401, "expired"),
        (spoiled.expires(30), 200, ""),
        (Fault("slow", on="token", delay=0.01), 200, ""),
    ],
)
def test_tokens_can_be_wrong_in_every_way(
    simulator: Simulator, fault: Fault, status: int, reason: str
) -> None:
    """The token endpoint gives a token in each case; the door tells what is wrong with it."""
    simulator.switch(faults=(fault,))
    given = ask(simulator)
    assert given.status == 200
    if reason == "expired":
        assert int(given.json["expires_on"]) < time.time()
    answer = call(simulator, token=given.json["access_token"])
    assert answer.status == status
    assert reason in answer.body.decode()


def test_the_token_endpoint_can_fail_without_defender_failing(simulator: Simulator) -> None:
    """A fault strikes only where it is asked to, and errors have the token endpoint's own shape."""
    simulator.switch(
        faults=(Fault("status", on="token", status=503, times=1), Fault("reset", on="token", times=1))
    )
    assert call(simulator).status == 200
    assert ask(simulator).json["statusCode"] == 503
    with pytest.raises(ConnectionResetError):
        ask(simulator)
    assert ask(simulator).status == 200
    assert simulator.token_requests == {"system-assigned": 3}


def test_the_real_credential_gets_a_token_here(simulator: Simulator) -> None:
    """The app's own credential, set by environment only, gets a token for both kinds of identity."""
    script = """
import os, sys
from shared import identity
for client_id in (None, sys.argv[1]):
    with identity.credential(os.environ, client_id) as credential:
        print(credential.get_token(sys.argv[2]).token)
        print(credential.get_token(sys.argv[2]).token)
"""
    scope = simulator.environment["DEFENDER_TOKEN_SCOPE"]
    command = [sys.executable, "-c", script, token_endpoint.USER_ASSIGNED_CLIENT_ID, scope]
    output = subprocess.run(  # noqa: S603 - our own interpreter
        command,
        env={**os.environ, **simulator.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT * 2,
    )
    tokens = output.stdout.split()
    assert tokens[0] == tokens[1] != tokens[2] == tokens[3]
    assert [call(simulator, token=token).status for token in tokens] == [200] * 4
    assert [arrival.app_id for arrival in simulator.log][1:3] == [
        token_endpoint.SYSTEM_ASSIGNED_CLIENT_ID,
        token_endpoint.USER_ASSIGNED_CLIENT_ID,
    ]
    assert simulator.token_requests == {"system-assigned": 1, token_endpoint.USER_ASSIGNED_CLIENT_ID: 1}


# ---- the process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_is_and_ends_on_a_signal(number: signal.Signals) -> None:
    """One line of JSON when ready; exit code 0 and silence at the end, also while a call hangs."""
    command = [sys.executable, "-m", "dev.simulator", "--calls", "2", "--latency", "0,0.001",
               "--known-events", "all"]  # fmt: skip
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # past the shell's proxies
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["environment"]["DEFENDER_API_URL"] == ready["url"]
        with ask(f"{ready['url']}/_simulator/health", timeout=LIMIT) as answer:
            assert json.load(answer) == {"status": "pass"}
        hang = json.dumps({"faults": [{"kind": "hang"}]}).encode()
        url = f"{ready['url']}/_simulator/switches"
        with ask(urllib.request.Request(url, hang, method="PUT"), timeout=LIMIT) as answer:
            assert answer.status == 200
        process.send_signal(number)
        rest, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, rest, errors) == (0, "", "")
