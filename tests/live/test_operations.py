"""The operator's requests through the real stack: host, table, Defender."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.samples import eight_fields, event
from dev.stack.stack import Host, Stack
from tests.checks.sender import wait_for_calls

DEVICE = event(1).machine_id
ACME = {"acme": {"host": DEVICE, "when": "2026-03-04T05:06:07.1234567Z", "no": 7, "rule": "Beacon"}}
ACME_MAPPING = {
    "title": "Acme",
    "recognise": "acme",
    "fields": {
        "machineId": "acme.host",
        "eventTime": "acme.when",
        "reportId": "acme.no",
        "title": "acme.rule",
    },
}


class Operator:
    """Asks the operator's questions of a stack, with a key of its own."""

    def __init__(self, stack: Stack, wire: requests.Session) -> None:
        self.stack = stack
        self.wire = wire

    def ask(self, method: str, path: str, **parameters: object) -> requests.Response:
        """Send one request to the first host."""
        return self.ask_as("operator", method, path, self.stack.hosts[0], **parameters)

    def ask_as(
        self, key: str | None, method: str, path: str, host: Host, **parameters: object
    ) -> requests.Response:
        """Send one request; `key` names one of the stack's, None sends none."""
        return self.wire.request(
            method,
            f"{host.url}/api/operations/{path}",
            params={name: str(value) for name, value in parameters.items()},
            headers={"x-functions-key": self.stack.keys[key]} if key else {},
            timeout=60,
        )

    def done(self, method: str, path: str, **parameters: object) -> Any:
        """Ask for something that must work; return its JSON."""
        answer = self.ask(method, path, **parameters)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()


@pytest.fixture(scope="module")
def wire() -> Iterator[requests.Session]:
    """Keep a connection, past any proxy of the shell."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def start(start_stack: Callable[..., Stack], wire: requests.Session) -> Callable[..., Operator]:
    """Start a stack with a key for its sender and one for its operator."""
    return lambda **arguments: Operator(
        start_stack(keys={"default": "senders-key", "operator": "operators-key"}, **arguments), wire
    )


def alert(number: int, title: str, severity: str = "High") -> dict[str, Any]:
    """Return a payload in the API's own fields."""
    return eight_fields(event(number), title, severity)


def test_the_operators_way_through_a_bad_rule(start: Callable[..., Operator]) -> None:
    """Without a key nothing; pause, list, page, discard, resume: what was discarded is not sent, the rest is."""
    operator = start(hosts=0)
    stack = operator.stack
    stack.start_host("--no-timers")  # a tick within the pause would stay for most of a minute
    for method, path in [("GET", "status"), ("GET", "alerts"), ("POST", "pause"), ("POST", "discard")]:
        assert operator.ask_as(None, method, path, stack.hosts[0]).status_code == 401
    stack.keys["wrong"] = "not-a-key"
    assert operator.ask_as("wrong", "POST", "pause", stack.hosts[0]).status_code == 401
    assert operator.done("GET", "status")["pause"] is None

    assert operator.done("POST", "pause", reason="bad rule")["pause"]["byOperator"]
    answer = stack.post([alert(n, "Bad, bad rule" if n % 2 else "Good rule") for n in range(12)])
    assert answer.status_code == 202
    waits = {item["waitingFor"]["what"]: item["waitingFor"]["reason"] for item in answer.json()["alerts"]}
    assert waits == {"pause": "bad rule"}
    ids: list[str] = []
    continuation: dict[str, object] = {}
    while True:
        page = operator.done("GET", "alerts", status="waiting", top=5, **continuation)
        ids += [item["id"] for item in page["alerts"]]
        if page["continuation"] is None:
            break
        continuation = {"continuation": page["continuation"]}
    assert sorted(ids) == sorted(item["id"] for item in answer.json()["alerts"])
    assert operator.done("GET", "status")["backlog"]["bySeverity"]["High"]["count"] == 12

    refused = operator.ask("POST", "discard", source="", title="Bad, bad rule")
    assert refused.status_code == 400
    assert refused.headers["content-type"].startswith("application/problem+json")
    discarded = operator.done("POST", "discard", title="Bad, bad rule")
    assert (discarded["discarded"], discarded["remaining"]) == (6, 0)
    assert stack.simulator("GET", "log") == []
    assert operator.done("POST", "resume")["pause"] is None
    stack.dispatch()
    log = wait_for_calls(stack, lambda calls: len(calls) == 6)
    assert {call["title"] for call in log} == {"Good rule"}

    shown = operator.done("GET", "status")
    assert (shown["token"]["roles"], shown["tokenProblem"]) == (["Alert.ReadWrite.All"], None)
    wrong = operator.ask("GET", "pause")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert operator.ask("GET", "nowhere").status_code == 404


def test_a_failed_alert_is_replayed_and_created(start: Callable[..., Operator]) -> None:
    """Defender did not know the event; now it does, and the operator tries it again: one by one, and in bulk."""
    operator = start(known_events="registered", settings={"NOT_FOUND_RETRY_MINUTES": ""})
    stack = operator.stack
    posted = [stack.post(alert(number, f"Alert {number}")).json() for number in range(3)]
    ids = [delivery["alerts"][0]["id"] for delivery in posted]
    failed = operator.done("GET", "alerts", status="failed")["alerts"]
    assert [item["id"] for item in failed] == ids[::-1]
    assert {item["error"]["status"] for item in failed} == {404}
    keys = [{name: alert(n, "")[name] for name in ("machineId", "eventTime", "reportId")} for n in range(3)]
    stack.simulator("POST", "events", {"known": keys})

    again = operator.done("POST", f"alerts/{ids[1]}/replay")
    assert (again["status"], [attempt["answer"] for attempt in again["tries"]]) == ("waiting", ["not_found"])
    assert operator.ask("POST", f"alerts/{ids[1]}/replay").status_code == 409
    first = operator.done("POST", "alerts/replay", status="failed", top=1)
    assert (first["replayed"], first["remaining"], first["atLeast"]) == (1, 1, False)
    goes_on = first["continuation"]
    assert operator.done("POST", "alerts/replay", status="failed", continuation=goes_on)["remaining"] == 0
    stack.dispatch()
    wait_for_calls(stack, lambda calls: [call["status"] for call in calls].count(200) == 3)
    stack.hosts[0].process.wait_until(
        lambda _: len(operator.done("GET", "alerts", status="created")["alerts"]) == 3
    )


def test_a_refused_payload_is_replayed_on_a_host_with_a_fixed_mapping(
    start: Callable[..., Operator], tmp_path: Path
) -> None:
    """It is listed with its size, shown with its text, received again with its parameters, and no longer stored."""
    operator = start()
    stack = operator.stack
    assert stack.post(ACME, query={"severity": "Low"}).status_code == 422
    (listed,) = operator.done("GET", "refused")["refused"]
    shown = operator.done("GET", f"refused/{listed['id']}")
    assert json.loads(shown["payload"]) == ACME
    assert shown["query"] == {"severity": "Low"}
    assert operator.ask("POST", f"refused/{listed['id']}/replay").status_code == 422
    assert operator.done("GET", "refused")["refused"] == [listed]

    (tmp_path / "acme.json").write_text(json.dumps(ACME_MAPPING))
    fixed = stack.start_host(MAPPINGS_PATH=str(tmp_path))
    answer = operator.ask_as("operator", "POST", f"refused/{listed['id']}/replay", fixed)
    assert answer.status_code == 200, answer.text
    (raised,) = answer.json()["alerts"]
    assert raised["request"]["severity"] == "Low"
    assert [call["alertId"] for call in stack.simulator("GET", "log")] == [raised["alert"]["id"]]
    assert operator.done("GET", "refused")["refused"] == []
    assert operator.ask_as("operator", "POST", f"refused/{listed['id']}/replay", fixed).status_code == 404


def test_status_tells_why_no_token_comes(start: Callable[..., Operator]) -> None:
    """An identity that is not assigned is named, when asked; a token is never shown."""
    operator = start(settings={"AZURE_CLIENT_ID": "00000000-0000-4000-8000-000000000000"})
    assert operator.done("GET", "status")["tokenProblem"] is None
    status = operator.done("GET", "status", refresh="true")
    assert status["token"] is None
    assert "00000000-0000-4000-8000-000000000000 (AZURE_CLIENT_ID)" in status["tokenProblem"]
