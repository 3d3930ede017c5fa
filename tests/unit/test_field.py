"""What products really send, each payload with what must come of it; and that its judge can tell right from wrong."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.checks import field
from tests.checks.field import Answer, Case

OURS = Path(__file__).parents[1] / "field"
FOLDERS = [OURS, *(Path(folder) for folder in [os.environ.get("FIELD", "")] if folder)]
"""`FIELD` names one more folder to judge."""
DEVICE, REPORT, TIME = (
    "51d0c7a49be2f8360e1b95d2478ca6f03be91d74",
    "30811",
    "2026-05-06T07:08:09.1234567Z",
)
REFERENCE = {"machineId": DEVICE, "reportId": REPORT, "eventTime": TIME}
BODY = REFERENCE | {"severity": "High", "category": "Malware", "title": "A worm", "description": "It crawls."}
ALERT: dict[str, Any] = {
    "status": "valid",
    "alerts": [{"request": BODY, "notes": ["Cut to milliseconds."]}],
    "refused": [],
}
TWO: dict[str, Any] = ALERT | {"alerts": ALERT["alerts"] * 2}
PROBLEMS = {"event": 1, "problems": [{"field": "eventTime", "detail": "Not there."}] * 2}
PARTLY: dict[str, Any] = ALERT | {"refused": [PROBLEMS]}
REFUSED: dict[str, Any] = {"title": "No alert", "status": 422, "alerts": [], "refused": [PROBLEMS]}
IGNORED: dict[str, Any] = {"status": "ignored", "reason": "It was closed.", "alerts": [], "refused": []}


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Silence the log of what is refused; nobody reads it here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{path.name}/{case.name}") for path in FOLDERS for case in field.cases(path)],
)
def test_what_the_field_sends_comes_out_right(case: Case) -> None:
    """Every case of the corpus gives exactly what its expectation says."""
    if faults := field.faults(case):
        pytest.fail("\n".join(faults), pytrace=False)


def test_every_case_says_what_it_is_about() -> None:
    """Each entry has a kind, a source, a reason and an expectation, and nothing else."""
    for name, entry in json.loads((OURS / "expected.json").read_text("utf-8")).items():
        assert set(entry) == {"kind", "why", "source", "expect"}, name
        assert all(entry.values()), name


@pytest.mark.parametrize(
    ("document", "expect"),
    [
        (ALERT, {"outcome": "alert", "status": 200, "triples": [[DEVICE, REPORT, TIME]]}),
        (ALERT, {"severity": ["High", "Medium"], "category": "Malware", "title": {"contains": "worm"}}),
        (
            ALERT,
            {"not_severity": "Low", "not_title": ["{{", "snake"], "notes_contain": ["MILLI", ["x", "cut"]]},
        ),
        (ALERT, {"title": ["a snake", {"contains": "A w"}], "json": {"status": "valid"}}),
        (ALERT, {"description": "It crawls.", "either": [{"outcome": "refused"}, {"outcome": "alert"}]}),
        (ALERT, {"headers": {"Content-Type": {"contains": "json"}}, "body": json.dumps(ALERT)}),
        (TWO, {"outcome": "alerts", "triples": [[DEVICE, REPORT, TIME]] * 2}),
        (PARTLY, {"outcome": ["alert", "partly"], "refused_fields": ["eventTime"]}),
        (REFUSED, {"outcome": "refused", "status": [400, 422], "triples": [], "names": ["not there"]}),
        (REFUSED, {"sound_fields": ["machineId"], "not_names": ["Windows"], "max_times_told": 2}),
        (IGNORED, {"outcome": "ignored", "names": [["CLOSED", "resolved"]], "triples": []}),
        ({"validationResponse": "x"}, {"outcome": "handshake", "json": {"validationResponse": "x"}}),
    ],
)
def test_the_judge_is_content_with_a_right_answer(
    document: Mapping[str, Any], expect: Mapping[str, Any]
) -> None:
    """An answer that keeps every word has no fault."""
    assert field.judge(expect, _answer(document)) == []


@pytest.mark.parametrize(
    ("document", "expect"),
    [
        (ALERT, {"outcome": "alerts"}),
        (TWO, {"outcome": "alert"}),
        (PARTLY, {"outcome": "alert"}),
        (REFUSED, {"outcome": ["ignored", "alert"]}),
        (IGNORED, {"outcome": "handshake"}),
        (ALERT, {"status": [202, 422]}),
        (ALERT, {"triples": [[DEVICE, REPORT, TIME[:-2] + "Z"]]}),
        (ALERT, {"triples": []}),
        (TWO, {"triples": [[DEVICE, REPORT, TIME]]}),
        (REFUSED, {"triples": [[DEVICE, REPORT, TIME]]}),
        (ALERT, {"severity": ["Low", "Medium"]}),
        (REFUSED, {"severity": "High"}),
        (ALERT, {"category": "malware"}),
        (ALERT, {"title": "worm"}),
        (ALERT, {"title": {"contains": "snake"}}),
        (ALERT, {"description": ""}),
        (ALERT, {"not_severity": ["High"]}),
        (ALERT, {"not_title": ["wor"]}),
        (REFUSED, {"refused_fields": ["eventTime", "machineId"]}),
        (REFUSED, {"sound_fields": ["machineId", "eventTime"]}),
        (REFUSED, {"names": ["No alert", "gzip"]}),
        (REFUSED, {"names": [["gzip", "zlib"]]}),
        (REFUSED, {"not_names": ["NOT THERE"]}),
        (IGNORED, {"names": ["ignored"]}),
        (ALERT, {"notes_contain": ["worm"]}),
        (REFUSED, {"max_times_told": 1}),
        (ALERT, {"headers": {"Retry-After": "5"}}),
        (ALERT, {"body": "valid"}),
        (ALERT, {"json": {"status": "created"}}),
        (ALERT, {"either": [{"outcome": "refused"}, {"outcome": "alert", "title": "A snake"}]}),
        (ALERT, {"outcome": "alert", "either": [{"outcome": "refused"}, {"outcome": "ignored"}]}),
    ],
)
def test_the_judge_finds_fault_with_a_doctored_answer(
    document: Mapping[str, Any], expect: Mapping[str, Any]
) -> None:
    """Whatever word an answer breaks, the judge tells it."""
    assert field.judge(expect, _answer(document))


def test_a_word_that_is_none_stops_the_judge() -> None:
    """A misspelt word would otherwise be kept by every answer."""
    with pytest.raises(KeyError, match="severty"):
        field.judge({"severty": "High"}, _answer(ALERT))


def test_a_case_without_its_expectation_stops_the_judge(tmp_path: Path) -> None:
    """A file that nobody entered would never be judged, an entry without a file neither."""
    (tmp_path / "expected.json").write_text("{}", "utf-8")
    (tmp_path / "forgotten.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match=r"forgotten\.json"):
        field.cases(tmp_path)


def test_a_request_is_sent_as_it_is_described(tmp_path: Path) -> None:
    """Method, query, body and more than one request: each answer is judged, and a dry run is no delivery."""
    body = json.dumps(BODY | {"recommendedAction": "Isolate it."})
    requests = [
        {"body": body, "query": "dryRun=true&code={key}"},
        {"method": "GET"},
        {"body": body, "query": "", "chunked": True, "headers": {"Content-Type": "text/plain"}},
        {"method": "OPTIONS", "headers": {"WebHook-Request-Origin": "siem.contoso.example"}},
    ]
    (tmp_path / "expected.json").write_text('{"a.request.json": {"expect": {}}}', "utf-8")
    (tmp_path / "a.request.json").write_text(json.dumps(requests), "utf-8")
    (case,) = field.cases(tmp_path)
    dry, got, sent, asked = (field.send(request) for request in case.requests)
    assert [field.outcome(reply) for reply in (dry, got, sent, asked)] == [
        "alert",
        "unserved",
        "alert",
        "handshake",
    ]
    assert (dry.document["status"], sent.document["status"]) == ("valid", "created")
    assert asked.headers["webhook-allowed-origin"] == "siem.contoso.example"


def _answer(document: Mapping[str, Any]) -> Answer:
    """Return a made-up answer."""
    status = document["status"] if isinstance(document.get("status"), int) else 200
    return Answer(status, {"content-type": "application/json"}, json.dumps(document))
