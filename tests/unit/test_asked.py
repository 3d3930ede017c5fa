"""The parameters of a POST: what was meant as a trial never raises an alert, and nothing unknown passes silently."""

import json

import pytest

from dev.samples import eight_fields, event
from shared.ledger import keys, rows
from shared.settings import Settings
from shared.web import parameters
from shared.webhook import asked
from tests.checks.field import Answer, send
from tests.checks.virtual import Defender, Host, World

BODY = json.dumps(eight_fields(event(1), "A rule", "High"))


def _send(query: str) -> Answer:
    """Post one good alert with these parameters in the URL."""
    return send({"query": query, "body": BODY})


@pytest.mark.parametrize(
    "query",
    [
        "dryRun", "dryRun=", "dryrun=true", "DRYRUN=TRUE", "dry-run=true", "dry.run",
        "dry_run=", "dryrun[]=true", "?dryRun=true",
        "dry%20run=true", "dryRun=%20true", "a=b&amp;dryRun=true", "code=k&dryRun",
    ],
)  # fmt: skip
def test_a_dry_run_in_any_spelling_is_dry(query: str) -> None:
    """The Functions host leaves out what is empty, so the URL itself is read; no alert is raised."""
    answer = _send(query)
    assert (answer.status, answer.document["status"]) == (200, "valid")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("dry=true", "dry"), ("test=true", "test"), ("testing", "testing"), ("validate", "validate"),
        ("preview=1", "preview"), ("simulate=true", "simulate"), ("what-if=true", "what-if"),
        ("isDryRun=true", "isDryRun"), ("options[dryRun]=true", "options[dryRun]"),
        ("dryRum=true", "dryRum"), ("dyRun=true", "dyRun"), ("severty=Low", "severty"), ("titel=a", "titel"),
        ("sources=splunk", "sources"), ("dryRun=maybe", "dryRun"), ("dryRun=true&dryRun=false", "dryRun"),
        ("dryRun=false&dry-run=true", "dryRun"), ("title=a?dryRun=true", "title"), ("x=a;dryRun=true", "x"),
        ("code=k?dryRun=true", "code"), ("clientId=c;dry-run", "clientId"), ("isTest=1", "isTest"),
        ("simulation=1", "simulation"),
    ],
)  # fmt: skip
def test_what_may_be_a_misspelt_parameter_is_refused(query: str, named: str) -> None:
    """400 names the parameter, as `test=true` and `severty=Low` must not raise a real alert silently."""
    answer = _send(query)
    assert (answer.status, answer.document["type"]) == (400, "urn:defender-alert-webhook:problem:bad-request")
    assert [problem["field"] for problem in answer.document["problems"]] == [named]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("severty=s3cret", "severty: There is no such parameter; accepted: severity; all"),
        ("test=s3cret", "test: There is no such parameter; accepted: dryRun=true, which"),
    ],
)
def test_a_wrong_name_is_answered_without_its_value(query: str, detail: str) -> None:
    """The name is what is wrong; the value may be anything, a secret too."""
    answer = _send(query)
    assert answer.document["detail"].startswith(detail)
    assert "s3cret" not in answer.body


def test_an_unknown_source_names_the_parameter() -> None:
    """The sender who reads the answer on a terminal finds what to correct, and its prompt on a line of its own."""
    answer = _send("source=splunc")
    (problem,) = answer.document["problems"]
    assert (answer.status, problem["field"]) == (400, "source")
    assert problem["detail"].startswith('"splunc" is no source. Did you mean splunk')
    assert answer.body.endswith("}\n")


@pytest.mark.parametrize(
    "query", ["sourcetype=x", "dryRun=false", "severity=", "source=", "code=k&clientId=c", ""]
)
def test_what_changes_nothing_is_accepted(query: str) -> None:
    """A name of the sender's own, an empty default and a key raise the alert as if they were not there."""
    answer = _send(query)
    assert (answer.status, answer.document["status"]) == (200, "created")


def test_an_unknown_parameter_is_noted() -> None:
    """The sender who looks sees that it did nothing; names only, for a value may be a secret."""
    (alert,) = _send("sourcetype=secret-value&zone=a&severity=Low").document["alerts"]
    (note,) = [note for note in alert["notes"] if "parameters" in note]
    assert note == 'These parameters are unknown and were ignored: "sourcetype", "zone".'
    assert not asked.read({"severity": "Low", "code": "k"}).notes


def test_a_refused_parameter_leaves_its_payload_to_the_operator() -> None:
    """Who sends `severty` does not look at answers: the payload is stored as refused, and nothing is raised."""
    world = World()
    host = Host(world, arrive=Defender(world))
    webhook = host.webhook(Settings())
    query = parameters.given("https://app.contoso.example/api/alerts?code=k&severty=Low")

    answered = host.ask(lambda: webhook.receive(BODY.encode(), query, "https://app.contoso.example"))
    world.run(60)
    assert answered.result().status == 400
    (row,) = world.table.query(keys.REFUSED, keys.REFUSED_END)
    refused = rows.read_refused(row)
    assert (refused.status, refused.payload, refused.query) == (400, BODY.encode(), {"severty": "Low"})
    assert "severty" in refused.detail
    assert world.table.query(keys.ALERT, keys.ALERT_END) == []
