"""The definition of the HTTP contract: valid, strict, complete, and true of what the code answers."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from dev.samples import eight_fields, event
from shared.alerts import alert, vocabulary
from shared.errors import WebhookError
from shared.operations import listing, routes
from shared.settings import Settings
from shared.web import openapi
from shared.web.reply import Reply
from shared.webhook import asked, receive
from tests.checks.contract import Contract
from tests.checks.virtual import ORIGIN, Defender, Fault, Host, World, answer_with

ROOT = Path(__file__).parents[2]
CONTRACT = Contract.read()
SCHEMAS: dict[str, Any] = CONTRACT.definition["components"]["schemas"]
NOT_OURS = {"DefenderAlert", "Row", "SenderReply"}
"""Whose members others decide on."""
OPEN = {"Alert", "SentAlert", "AlertOutcome", "Evidence", "Problem", "RefusedPayload"}
"""What is closed where it is used, with what is added there."""


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object inside a JSON document with its path."""
    if isinstance(schema, dict):
        yield path, schema
        for name, inner in schema.items():
            yield from nodes(inner, f"{path}/{name}")
    elif isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from nodes(inner, f"{path}/{number}")


def test_no_key_of_the_contract_stands_twice() -> None:
    """A path or a schema that is there twice would hide one of the two."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), names
        return dict(pairs)

    json.loads((ROOT / "shared" / "web" / "openapi.json").read_text("utf-8"), object_pairs_hook=unique)


def is_under_properties(path: str) -> bool:
    """Tell a schema that is a member of an object from any other part of the document."""
    return path.rpartition("/")[0].endswith("/properties")


def test_it_is_valid() -> None:
    """The definition is an OpenAPI 3.1 document, by the specification's own schema."""
    assert list(OpenAPIV31SpecValidator(CONTRACT.definition).iter_errors()) == []


def test_every_example_fits_its_schema() -> None:
    """What readers copy is what is accepted."""
    checked = 0
    for path, node in nodes(SCHEMAS, "#/components/schemas"):
        for example in node["examples"] if isinstance(node.get("examples"), list) else []:
            assert CONTRACT.schema_breaches(path, example) == []
            checked += 1
    posted = "#/paths/~1api~1alerts/post/requestBody/content/application~1json"
    for example in CONTRACT.definition["paths"]["/api/alerts"]["post"]["requestBody"]["content"][
        "application/json"
    ]["examples"].values():
        assert CONTRACT.schema_breaches(f"{posted}/schema", example["value"]) == []
        assert CONTRACT.schema_breaches("#/components/schemas/Alert", example["value"]) == []
        checked += 1
    assert checked > 5


def test_the_eight_fields_are_those_of_the_check() -> None:
    """Names, order and words of the definition are those of the code."""
    assert tuple(SCHEMAS["Alert"]["properties"]) == tuple(SCHEMAS["Alert"]["required"]) == alert.FIELDS
    assert tuple(SCHEMAS["Alert"]["properties"]["severity"]["enum"]) == vocabulary.SEVERITIES
    assert tuple(SCHEMAS["Alert"]["properties"]["category"]["enum"]) == vocabulary.CATEGORIES
    by_query = {
        parameter["name"]: parameter["schema"]
        for parameter in CONTRACT.definition["paths"]["/api/alerts"]["post"]["parameters"]
    }
    assert tuple(by_query["severity"]["enum"]) == vocabulary.SEVERITIES
    assert tuple(by_query["category"]["enum"]) == vocabulary.CATEGORIES


def test_what_is_ours_is_closed() -> None:
    """A member that the definition does not know is a breach, wherever the shape is ours."""
    for path, node in nodes(SCHEMAS):
        name = path.split("/")[1] if path else ""
        if "properties" not in node or name in NOT_OURS or path.endswith("/properties"):
            continue
        if node.get("type") != "object" or (path.count("/") == 1 and name in OPEN):
            continue
        closed = node.get("additionalProperties", True), node.get("unevaluatedProperties", True)
        assert False in closed, path
    for path, node in nodes(CONTRACT.definition):
        reference = node.get("$ref", "").rpartition("/")[2] if isinstance(node.get("$ref"), str) else ""
        if reference in OPEN - {"Alert"}:
            around, _, last = path.rpartition("/allOf/")
            assert last.isdigit(), path
            assert dict(nodes(CONTRACT.definition))[around]["unevaluatedProperties"] is False


def test_a_member_too_many_is_noticed() -> None:
    """The judge of all these tests can say no."""
    fitting = {
        "type": "urn:defender-alert-webhook:problem:not-found",
        "title": "a",
        "status": 404,
        "detail": "b",
    }
    assert CONTRACT.schema_breaches("#/components/schemas/PlainProblem", fitting) == []
    assert CONTRACT.schema_breaches("#/components/schemas/PlainProblem", {**fitting, "secret": 1})
    assert CONTRACT.breaches("GET", "/api/health", 404, {}, "")
    assert CONTRACT.breaches("GET", "/api/health", 200, {"content-type": "text/html"}, "{}")
    assert CONTRACT.breaches(
        "GET", f"/api/deliveries/{'0' * 13}-x", 202, {"content-type": "application/json"}, "{}"
    )


def test_everything_is_described() -> None:
    """Every member, parameter and operation says what it is, in words that start large and end with a stop."""
    for path, node in nodes(SCHEMAS):
        if is_under_properties(path) and "const" not in node and node != {"type": "null"}:
            assert node.get("title"), path
            assert node.get("description", "").rstrip()[-1:] in {".", "…"}, path
    for path, node in nodes(CONTRACT.definition):
        if "in" in node and "name" in node and "schema" in node:
            assert node["description"][-1] == ".", path
    ids = [operation["operationId"] for _, _, operation in CONTRACT.operations()]
    assert len(ids) == len(set(ids))


def test_nothing_is_defined_that_nobody_uses() -> None:
    """Every component is referred to."""
    used = {node["$ref"] for _, node in nodes(CONTRACT.definition) if isinstance(node.get("$ref"), str)}
    defined = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "parameters", "headers")
        for name in CONTRACT.definition["components"][kind]
    }
    assert defined == used


def test_every_route_is_defined_and_every_definition_has_a_route() -> None:
    """Routes, methods and keys of the function folders, and of the operator's requests, are those of the definition."""
    defined = {
        (method, path): bool(operation["security"]) for method, path, operation in CONTRACT.operations()
    }
    routed = {}
    for path in ROOT.glob("*Function/function.json"):
        trigger = json.loads(path.read_text("utf-8"))["bindings"][0]
        if trigger["type"] != "httpTrigger":
            continue
        keyed = trigger["authLevel"] == "function"
        if trigger["route"] == "operations/{*rest}":
            for template, route in routes._ROUTES.items():
                routed[route.method.lower(), f"/api/operations/{template}"] = keyed
        elif trigger["route"] == "console/{*name}":
            routed |= {("get", path): keyed for path in ("/api/console", "/api/console/{name}")}
        else:
            routed |= {(method, f"/api/{trigger['route']}"): keyed for method in trigger["methods"]}
    assert defined == routed


def test_the_operators_parameters_are_those_of_the_code() -> None:
    """What the operator's requests accept is defined, and nothing else."""
    for template, route in routes._ROUTES.items():
        operation = CONTRACT.definition["paths"][f"/api/operations/{template}"][route.method.lower()]
        parameters = [
            CONTRACT.definition["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
            if "$ref" in parameter
            else parameter
            for parameter in operation.get("parameters", [])
        ]
        accepted = set(asked.KNOWN) - {"validationToken"} if route.accepted is None else set(route.accepted)
        in_query = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert in_query == accepted, template
    top = CONTRACT.definition["components"]["parameters"]["Top"]["schema"]
    assert top["maximum"] == listing.MOST


def test_the_address_is_filled_in() -> None:
    """The served document names the address it was asked at, and is else the file."""
    served = json.loads(openapi.answer("https://alerts.contoso.example").body)
    assert served.pop("servers") == [{"url": "https://alerts.contoso.example"}]
    assert served == {name: value for name, value in CONTRACT.definition.items() if name != "servers"}


# What the code answers, in states that are hard to come by on a real stack.


class Desk:
    """A sender and a function host in a virtual world; every answer is held against the contract."""

    def __init__(
        self, says: Callable[[int, Mapping[str, str]], Any] = lambda _, __: answer_with(200)
    ) -> None:
        self.world = World()
        self.defender = Defender(self.world, says)
        self.host = Host(self.world, arrive=self.defender)
        self.webhook = self.host.webhook(Settings())

    def post(self, payload: Any, *, run: float = 60.0, **query: str) -> Any:
        """Post a payload, and let up to `run` seconds pass until it is answered."""
        return self._judged(
            "POST", "/api/alerts", run, lambda: self.webhook.receive(_bytes(payload), query, ORIGIN)
        )

    def status(self, delivery: str) -> Any:
        """Ask what became of a delivery."""
        return self._judged(
            "GET", f"/api/deliveries/{delivery}", 60.0, lambda: self.webhook.status(delivery, ORIGIN)
        )

    def dispatch(self, seconds: float) -> None:
        """Let the timer run once, and time pass."""
        self.host.spawn(self.webhook.dispatch)
        self.world.run(seconds)

    def _judged(self, method: str, path: str, run: float, use_case: Callable[[], Reply]) -> Any:
        asked = self.host.ask(use_case)
        self.world.run(run)
        answer = asked.result(timeout=0)
        headers = {"content-type": answer.content_type, **answer.headers}
        assert CONTRACT.breaches(method, path, answer.status, headers, answer.body) == []
        return json.loads(answer.body)


def _bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


@pytest.mark.parametrize("status", [404, 429, 401, 403, 408, 500, 503])
def test_an_alert_that_waits_for_defender_is_as_defined(status: int) -> None:
    """A retry and a pause, each with its reason and end, in the POST's answer and in every later one."""
    desk = Desk(lambda _, __: answer_with(status))
    first = desk.post(eight_fields(event(1), "First"))
    second = desk.post(eight_fields(event(2), "Second"))
    shown = desk.status(first["id"])["alerts"][0]
    assert shown["error"]["status"] == status
    assert shown["error"]["hint"]
    waits = {
        document["alerts"][0]["waitingFor"]["what"] for document in (first, second, desk.status(second["id"]))
    }
    assert waits <= {"retry", "pause", "slot"}
    assert waits & ({"retry"} if status == 404 else {"pause", "retry"})


def test_a_call_under_way_is_as_defined() -> None:
    """While Defender is being called, that is what the alert waits for."""
    desk = Desk(lambda _, __: None)
    waiting = desk.post(eight_fields(event(1), "First"), run=15.0)["alerts"][0]
    assert waiting["waitingFor"]["what"] == "answer"


def test_the_end_of_a_long_wait_is_as_defined() -> None:
    """Tried again after every 404 and then failed: the delivery's answer is a problem document in the end."""
    desk = Desk(lambda _, __: answer_with(404))
    delivery = desk.post(eight_fields(event(1), "First"))["id"]
    for _ in range(40):
        desk.dispatch(60.0)
    failed = desk.status(delivery)
    assert failed["state"] == "failed"
    assert failed["alerts"][0]["attempts"] == 4


def test_a_503_of_the_table_is_as_defined() -> None:
    """Whatever the table does, the answer is a problem document, and nothing else of the delivery."""
    for fault, kind in ((Fault("lost"), "table-unavailable"), (Fault("busy"), "busy")):
        desk = Desk()
        desk.host.script = functools.partial(lambda fault, _: fault, fault)
        refused = desk.post(eight_fields(event(1), "First"))
        assert refused["type"].endswith(f":{kind}")
        assert "id" not in refused


def test_the_handshake_of_graph_is_as_defined() -> None:
    """A validation token comes back as plain text, which is defined, and nothing else would be."""
    desk = Desk()
    answer = desk.webhook.receive(b"", {"validationToken": "a token"}, ORIGIN)
    headers = {"content-type": answer.content_type, **answer.headers}
    assert CONTRACT.breaches("POST", "/api/alerts", answer.status, headers, answer.body) == []
    assert CONTRACT.breaches("POST", "/api/alerts", 200, headers, "x" * (receive.MAX_TOKEN + 1))


@given(
    st.sampled_from(["title", "description", "recommendedAction"]),
    st.text(
        st.sampled_from(
            "a\u0915\U0001f469\ufe0f \t\x00\x85\ufeff\u00ad\u200b\u200c\u200d\u202e\u2066\u3164\ufff9\U000e0041"
        )
    ),
)
def test_texts_are_defined_as_they_are_checked(name: str, text: str) -> None:
    """What the definition takes for a text has something that can be seen, and so has what the check takes."""
    fields = eight_fields(event(1), "A rule") | {name: text}
    breaches = CONTRACT.schema_breaches("#/components/schemas/Alert", fields)
    assert bool(breaches) == (alert.check(fields).alert is None)


def test_every_error_is_as_defined() -> None:
    """Each error of the tree is a problem document whose status some operation defines."""

    def below(error: type[WebhookError]) -> Iterator[type[WebhookError]]:
        yield error
        for kind in error.__subclasses__():
            yield from below(kind)

    defined = {status for _, _, operation in CONTRACT.operations() for status in operation["responses"]}
    for error in below(WebhookError):
        if error.slug == "wrong-method":
            continue  # the answer to what is not defined
        assert str(error.status) in defined, error
        if error.slug not in {"settings", "unmapped", "failed"}:
            assert CONTRACT.schema_breaches("#/components/schemas/PlainProblem", error("a").document()) == []
