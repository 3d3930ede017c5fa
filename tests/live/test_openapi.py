"""The contract held against the running stack: the definition is served, and every answer is as it says."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dev.samples import eight_fields, event, hunting_reply, splunk_plain, streaming
from dev.stack.stack import Stack
from shared.alerts import vocabulary
from tests.checks.contract import Contract

CONTRACT = Contract.read()
OPERATIONS = [
    pytest.param(f"{method.upper()} {path}", mode, id=f"{method.upper()} {path} {mode.value}")
    for method, path, operation in CONTRACT.operations()
    for mode in GenerationMode
    # Where nothing can be sent, nothing can be wrong.
    if mode is GenerationMode.POSITIVE or operation["security"] or operation.get("parameters")
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = {"POST /api/alerts": 80}
FEW = 10
REACHED = {
    ("POST /api/alerts", GenerationMode.POSITIVE): {200, 400, 422},
    ("POST /api/alerts", GenerationMode.NEGATIVE): {400, 422},
    ("GET /api/operations/alerts", GenerationMode.POSITIVE): {200, 400},
}
"""What the generated data must come to, or it would show little."""
FUZZED = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def busy(start_stack: Callable[..., Stack]) -> Stack:
    """Run a stack whose window is so short that much of what is posted is also sent."""
    return start_stack(calls=15, window=1, settings={"NOT_FOUND_RETRY_MINUTES": ""})


@pytest.fixture(scope="module")
def wire(busy: Stack) -> Iterator[requests.Session]:
    """Open a session that carries the sender's key."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["x-functions-key"] = busy.keys["default"]
        yield session


def judged(answer: requests.Response, status: int) -> Any:
    """Return an answer's JSON; it has the status and keeps the contract."""
    assert answer.status_code == status, answer.text
    request = answer.request
    breaches = CONTRACT.breaches(
        str(request.method), str(request.url), answer.status_code, answer.headers, answer.text
    )
    assert breaches == []
    return answer.json() if answer.content else None


def test_the_definition_is_served_with_the_address_it_was_asked_at(stack: Stack) -> None:
    """Whoever imports it from the app needs to fill in nothing."""
    served = judged(stack.get("/api/openapi.json"), 200)
    assert served.pop("servers") == [{"url": stack.hosts[0].url}]
    assert served == {name: value for name, value in CONTRACT.definition.items() if name != "servers"}


def test_the_public_address_wins(start_stack: Callable[..., Stack]) -> None:
    """Behind a gateway of the user's own, the address is the one that is set."""
    stack = start_stack(settings={"PUBLIC_BASE_URL": "https://alerts.contoso.example/"})
    served = judged(stack.get("/api/openapi.json"), 200)
    assert served["servers"] == [{"url": "https://alerts.contoso.example"}]


def test_every_kind_of_answer_to_a_sender_is_as_defined(start_stack: Callable[..., Stack]) -> None:
    """Created, duplicate, partial, waiting, dry, ignored, unmapped, failed, not JSON, too large, no key, status."""
    stack = start_stack(calls=4, known_events="registered", settings={"NOT_FOUND_RETRY_MINUTES": ""})
    known = [event(number) for number in range(1, 6)]
    names = ("machineId", "eventTime", "reportId")
    stack.simulator(
        "POST", "events", {"known": [dict(zip(names, reference.key, strict=True)) for reference in known]}
    )

    created = judged(stack.post(eight_fields(known[0], "First")), 200)
    assert created["status"] == "created"
    again = judged(stack.post(eight_fields(known[0], "First")), 200)
    assert again["alerts"][0]["duplicate"]
    partial = judged(stack.post([eight_fields(known[1], "Second"), {"machineId": "x"}]), 200)
    assert partial["status"] == "partial"
    assert partial["refused"]
    failed = judged(stack.post(eight_fields(event(99), "Unknown event")), 422)
    assert failed["alerts"][0]["error"]["code"] == "ResourceNotFound"
    assert judged(stack.get(f"/api/deliveries/{failed['id']}"), 422)["state"] == "failed"

    dry = judged(stack.post(splunk_plain(known[2], "A search"), query={"dryRun": "true"}), 200)
    assert dry["status"] == "valid"
    assert dry["id"] is None
    assert judged(stack.post([]), 200)["status"] == "ignored"
    assert judged(stack.post({"hello": "world"}), 422)["refused"]
    assert judged(stack.post(hunting_reply(known[2])["results"][0] | {"ReportId": "?"}), 422)["refused"]
    judged(stack.post(b"{"), 400)
    judged(stack.post({}, query={"source": "no such"}), 400)
    judged(stack.post(b" " * 1_048_577), 413)
    stack.keys["wrong"] = "wrong"
    judged(stack.post({}, key="wrong"), 401)

    judged(stack.post(eight_fields(known[3], "Fourth")), 200)
    waiting = stack.post(streaming(known[4]))
    assert judged(waiting, 202)["alerts"][0]["waitingFor"]["what"] == "slot"
    judged(stack.get(waiting.headers["location"]), 202)
    judged(stack.get(f"/api/deliveries/{created['id']}"), 200)
    judged(stack.get(f"/api/deliveries/{'0' * 13}-{'0' * 32}"), 404)
    assert judged(stack.get("/api/health"), 200) == {"status": "pass"}


def test_the_handshake_of_cloudevents_is_as_defined(busy: Stack, wire: requests.Session) -> None:
    """Who asks is allowed, at any rate, and both headers are documented."""
    headers = {"WebHook-Request-Origin": "eventemitter.example.com"}
    answer = wire.options(f"{busy.hosts[0].url}/api/alerts", headers=headers, timeout=60)
    judged(answer, 200)
    assert answer.headers["WebHook-Allowed-Origin"] == "eventemitter.example.com"


@pytest.mark.parametrize("origin", ["a\tb", "caf\u00e9"])
def test_a_handshake_from_nowhere_is_answered(origin: str, busy: Stack, wire: requests.Session) -> None:
    """An origin that cannot stand in an answer's header is not allowed, and does no harm."""
    headers = {"WebHook-Request-Origin": origin.encode("latin-1")}
    judged(wire.options(f"{busy.hosts[0].url}/api/alerts", headers=headers, timeout=60), 200)


def test_every_answer_to_the_operator_is_as_defined(start_stack: Callable[..., Stack]) -> None:
    """The operator's whole day: list, pause, let wait, discard, resume, replay, and each error on the way."""
    stack = start_stack(known_events="registered", settings={"NOT_FOUND_RETRY_MINUTES": ""})
    operations = f"{stack.hosts[0].url}/api/operations/"
    with requests.Session() as desk:
        desk.trust_env = False
        desk.headers["x-functions-key"] = stack.keys["default"]

        def get(path: str, status: int = 200) -> Any:
            return judged(desk.get(operations + path, timeout=60), status)

        def do(path: str, status: int = 200) -> Any:
            return judged(desk.post(operations + path, timeout=60), status)

        assert get("status")["token"] is None
        failed = judged(stack.post(eight_fields(event(1), "Unknown event")), 422)
        judged(stack.post({"hello": "world"}), 422)
        assert get("status?refresh=true")["token"]["roles"] == ["Alert.ReadWrite.All"]
        assert get("status")["failed"]["count"] == 1

        do("pause?reason=a%20bad%20rule")
        waiting = judged(stack.post(eight_fields(event(2), "Bad rule")), 202)
        assert waiting["alerts"][0]["waitingFor"]["what"] == "pause"
        assert [alert["request"]["title"] for alert in get("alerts?status=waiting")["alerts"]] == ["Bad rule"]
        assert get("alerts?top=1")["continuation"]
        assert do("discard?title=Bad%20rule")["discarded"] == 1
        assert get(f"alerts/{waiting['alerts'][0]['id']}")["status"] == "discarded"

        assert get(f"alerts/{failed['alerts'][0]['id']}")["tries"][0]["answer"] == "not_found"
        assert do("alerts/replay?status=failed")["replayed"] == 1
        do(f"alerts/{failed['alerts'][0]['id']}/replay", 409)
        do(f"alerts/{waiting['alerts'][0]['id']}/replay")
        do("resume")

        (refused,) = get("refused")["refused"]
        assert get(f"refused/{refused['id']}")["payload"] == '{"hello": "world"}'
        do(f"refused/{refused['id']}/replay", 422)

        get("alerts?status=lost", 400)
        do("discard", 400)
        do("alerts/replay", 400)
        get(f"alerts/{'0' * 32}", 404)
        get(f"refused/{'0' * 10}.000-{'0' * 16}", 404)
        desk.headers["x-functions-key"] = "wrong"
        get("status", 401)


@pytest.fixture(scope="module")
def definition(busy: Stack) -> Any:
    """Return the definition as schemathesis sees it, fetched from the app."""
    served = busy.get("/api/openapi.json").json()
    return schemathesis.openapi.from_dict(served)


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), OPERATIONS)
def test_whatever_is_generated_is_answered_as_defined(
    operation: str, mode: GenerationMode, definition: Any, busy: Stack, wire: requests.Session
) -> None:
    """Data that fits the definition and data that does not: a documented answer, and never a 5xx."""
    method, path = operation.split()
    seen: set[int] = set()

    @settings(FUZZED, max_examples=EXAMPLES.get(operation, FEW))
    @given(data=st.data())
    def each(data: st.DataObject) -> None:
        case = data.draw(definition[path][method].as_strategy(generation_mode=mode))
        answer = case.call(base_url=busy.hosts[0].url, session=wire)
        case.validate_response(answer, checks=CHECKS)
        seen.add(answer.status_code)

    each()
    assert seen >= REACHED.get((operation, mode), set())


TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)
TIMES = st.builds(
    lambda moment, fraction: moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}Z" if fraction else "Z"),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),  # noqa: DTZ001 - the form has no other zone than UTC
    st.from_regex("[0-9]{0,7}", fullmatch=True),
)
ALERTS = st.fixed_dictionaries(
    {
        "machineId": st.from_regex("[0-9a-f]{40}", fullmatch=True),
        "eventTime": TIMES,
        "reportId": st.integers(0, 2**63 - 1).map(str),
        "severity": st.sampled_from(vocabulary.SEVERITIES),
        "category": st.sampled_from(vocabulary.CATEGORIES),
        "title": TEXTS,
        "description": TEXTS,
        "recommendedAction": TEXTS,
    }
)


@settings(FUZZED, max_examples=40)
@given(alert=ALERTS)
def test_eight_fields_as_defined_become_an_alert(alert: dict[str, str], busy: Stack) -> None:
    """What fits the definition of the eight fields is accepted, and what does not is refused by those fields."""
    wrong = {
        breach.partition(":")[0][2:]
        for breach in CONTRACT.schema_breaches("#/components/schemas/Alert", alert)
    }
    if wrong:
        refused = judged(busy.post(alert), 422)["refused"]
        assert {problem["field"] for problem in refused[0]["problems"]} == wrong
        return
    answer = busy.post(alert)
    (became,) = judged(answer, answer.status_code)["alerts"]
    assert became["status"] in {"created", "waiting"}
    names = ("machineId", "eventTime", "reportId", "severity", "category")
    assert [became["request"][name] for name in names] == [alert[name] for name in names]
