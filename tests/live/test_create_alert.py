"""The call to `createAlert` against the strict simulator: real HTTP, every fault, and every payload of ours."""

import copy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from dev.simulator import create_alert as strict
from dev.simulator.create_alert import Creations
from dev.simulator.faults import Fault
from dev.simulator.rules import Rejected
from dev.simulator.simulator import Simulator
from dev.stack import token_endpoint
from shared.clients import create_alert
from shared.entity import body, entities
from shared.payload.clues import Clues
from tests.checks import clueset, spoiled
from tests.unit.test_entity import FULL, ID, TEXTS

LIMIT = 30.0  # seconds; generous, nothing is expected to take that long
INPUT = body.build(FULL, TEXTS, alert=ID, source="Splunk", own_id="17", techniques=["T1003.001"])

Create = Callable[..., create_alert.Result]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator."""
    with Simulator() as running:
        yield running


@pytest.fixture
def create(simulator: Simulator) -> Create:
    """Return a function that makes one call, with other arguments where given."""

    def made(
        given: Any = INPUT, *, deadline: float = LIMIT, roles: tuple[str, ...] | None = None
    ) -> create_alert.Result:
        grant = token_endpoint.grant(token_endpoint.GRAPH_AUDIENCE)
        if roles is not None:
            grant = token_endpoint.Grant(grant.audience, roles)
        token, _ = token_endpoint.seal(token_endpoint.USER_ASSIGNED_CLIENT_ID, grant, time.time())
        with closing(create_alert.CreateAlert(simulator.url, deadline=deadline)) as caller:
            result = caller.create(given, token)
        for thread in threading.enumerate():
            if thread.name == create_alert.THREAD_NAME:
                thread.join(LIMIT)
        return result

    return made


def test_every_call_is_a_new_alert_and_incident(simulator: Simulator, create: Create) -> None:
    """Nothing is merged, also of the same title: that is why a call must not be made twice."""
    results = [create(), create()]
    assert [result.kind for result in results] == ["created", "created"]
    shown = simulator.creations.alerts
    assert [result.alert for result in results] == [
        {name: alert[name] for name in ("id", "incidentId", "alertWebUrl")} for alert in shown
    ]
    assert len({alert["incidentId"] for alert in shown}) == 2
    assert [alert["detectionSource"] for alert in shown] == ["manual", "manual"]
    assert {name: shown[0][name] for name in INPUT} == INPUT


@pytest.mark.parametrize("case", clueset.cases(), ids=lambda case: f"{case.product}-{case.name}")
def test_what_our_payloads_say_is_taken(case: clueset.Case) -> None:
    """The body of every payload of ours that is enough for one fulfils the simulator's strict form."""
    clues = clueset.scan(case).clues
    if not entities.missing(clues):
        strict.check(body.build(clues, TEXTS, alert=ID, source=case.product))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", ""),
        ("title", 1),
        ("description", "\U0001f600" * 2_501),
        ("severity", "High"),
        ("category", "SuspiciousActivity"),
        ("mitreTechniques", ["Phishing"]),
        ("linkToIncident", "1"),
        ("isExcludedFromCorrelation", "no"),
        ("entityDefinitions", []),
        ("entityDefinitions", INPUT["entityDefinitions"] * 2),
        ("status", "new"),
    ],
)
def test_a_body_that_the_page_does_not_describe_is_rejected(create: Create, name: str, value: Any) -> None:
    """Each with a 400 that names the place, as it is kept for the operator."""
    result = create({**INPUT, name: value})
    assert (result.kind, result.status) == ("rejected", 400)
    assert result.error
    assert name in result.error["message"]


@pytest.mark.parametrize("field", ["title", "description", "category", "severity"])
def test_a_required_field_is_required(field: str) -> None:
    """Without it there is no alert; the twin of the body that is taken."""
    strict.check(INPUT)
    with pytest.raises(Rejected, match=field):
        strict.check({name: value for name, value in INPUT.items() if name != field})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("entityType", "computer"),
        ("entityIdentifier", "machineId"),
        ("identifierValue", "A" * 40),
        ("identifierValue", ""),
        ("role", "Impacted"),
        ("more", "x"),
    ],
)
def test_an_entity_has_its_own_form(place: str, value: str) -> None:
    """An entity by another name or of another form is none."""
    changed = copy.deepcopy(INPUT)
    changed["entityDefinitions"][0][place] = value
    with pytest.raises(Rejected, match="entityDefinitions"):
        strict.check(changed)


def test_an_incident_to_link_to_must_be_there(create: Create) -> None:
    """A number that no incident has is a 404; one that is there is used."""
    assert create({**INPUT, "linkToIncident": 7}).status == 404
    first = create()
    assert first.alert
    linked = create({**INPUT, "linkToIncident": int(first.alert["incidentId"])})
    assert linked.alert
    assert linked.alert["incidentId"] == first.alert["incidentId"]


def test_without_the_role_it_is_forbidden(create: Create, simulator: Simulator) -> None:
    """The role of hunting does not open it."""
    result = create(roles=(token_endpoint.GRAPH_ROLE,))
    assert (result.kind, simulator.creations.alerts) == ("forbidden", [])
    assert token_endpoint.CREATE_ROLE == create_alert.ROLE


def test_too_many_calls_are_throttled(simulator: Simulator, create: Create) -> None:
    """By a limit of its own, with the seconds to wait; what was turned away is no alert."""
    simulator.creations = Creations(simulator, calls=1)
    assert [create().kind, create().kind] == ["created", "throttled"]
    assert [call.over_limit for call in simulator.creations.log] == [False, True]
    assert len(simulator.creations.alerts) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "created"),
    [
        (Fault("status", on="entity", status=400), "rejected", 0),
        (Fault("status", on="entity", status=404), "rejected", 0),
        (Fault("status", on="entity", status=409), "rejected", 0),
        (Fault("status", on="entity", status=401), "forbidden", 0),
        (Fault("status", on="entity", status=403), "forbidden", 0),
        (Fault("status", on="entity", status=429, retry_after=3), "throttled", 0),
        (Fault("status", on="entity", status=500), "unknown", 0),
        (Fault("status", on="entity", status=500, after_processing=True), "unknown", 1),
        (Fault("status", on="entity", status=503, after_processing=True), "unknown", 1),
        (Fault("html", on="entity", after_processing=True), "unknown", 1),
        (Fault("html", on="entity", status=403), "unavailable", 0),
        (Fault("redirect", on="entity"), "unavailable", 0),
        (Fault("foreign", on="entity"), "unknown", 0),
        (Fault("empty", on="entity", after_processing=True), "unknown", 1),
        (Fault("truncated", on="entity"), "unknown", 1),
        (Fault("reset", on="entity", after_processing=True), "unknown", 1),
        (Fault("hang", on="entity", after_processing=True), "unknown", 1),
        (Fault("slow", on="entity", delay=0.1), "created", 1),
        (spoiled.Altered(on="entity", change=lambda alert: alert | {"id": None}), "unknown", 1),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else str(value),
)
def test_no_answer_hides_an_alert(
    simulator: Simulator, create: Create, fault: Fault, kind: str, created: int
) -> None:
    """Whatever goes wrong: where an alert was created and its answer did not say so, the result is unknown."""
    simulator.switch(faults=(fault,))
    result = create(deadline=0.5 if fault.kind == "hang" else LIMIT)
    assert (result.kind, len(simulator.creations.alerts)) == (kind, created)
    assert created == 0 or kind in ("created", "unknown")


def test_no_connection_is_no_alert() -> None:
    """Where nobody listens nothing was sent, and the call may be made again."""
    with Simulator() as gone:
        url = gone.url
    with closing(create_alert.CreateAlert(url, deadline=LIMIT)) as caller:
        result = caller.create(INPUT, "token")
    assert (result.kind, result.sent) == ("unavailable", False)


def test_no_entity_is_no_alert() -> None:
    """The list of entities is not empty where it is there: clues without one are refused before."""
    with pytest.raises(Rejected, match="entityDefinitions"):
        strict.check(body.build(Clues(), TEXTS, alert=ID, source="x"))
