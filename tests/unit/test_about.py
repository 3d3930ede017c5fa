"""What a source says about its own alert: its id, techniques, and that it only informs."""

import json
from typing import Any

import pytest

from shared.alerts import vocabulary
from shared.mapping import mappings as mapping
from shared.mapping.outcome import About
from shared.payload import body as payload

OURS = mapping.load()
ALERT = {"title": "A dump", "host": "pc-1", "timestamp": "2026-05-21T10:11:12Z"}


def about(value: Any) -> list[About]:
    """Map a value as it would arrive; return what is said about each refused alert."""
    documents = payload.read(json.dumps(value).encode(), max_bytes=100_000)
    outcome = OURS.apply(documents, source=None, defaults={}, max_alerts=10, clues=True)
    return [refused.evidence.about for refused in outcome.refused if refused.evidence]


@pytest.mark.parametrize(
    ("alert", "own_id"),
    [
        ({"kibana.alert.uuid": "e-1", "kibana.alert.rule.name": "R"}, "e-1"),
        ({"kibana": {"alert": {"uuid": "e-1", "rule": {"name": "R", "uuid": "r-1"}}}}, "e-1"),
        ({"SystemAlertId": "s-1"}, "s-1"),
        ({"composite_id": "c-1"}, "c-1"),
        ({"alert_id": "of a monitor"}, ""),
        ({"id": "1", "fingerprint": "of a series", "rule": {"id": "2"}}, ""),
        ({"SystemAlertId": "x" * 201}, ""),
        ({}, ""),
    ],
)
def test_only_the_id_of_one_alert_is_its_id(alert: dict[str, Any], own_id: str) -> None:
    """A name that some product uses for the rule is none: all alerts of that rule would be one."""
    assert [each.own_id for each in about({**ALERT, **alert})] == [own_id]


def test_several_events_of_an_alert_have_no_id() -> None:
    """They would be one alert, and the entities of all but the first would be lost."""
    rows = [
        {
            "DeviceId": "c0ffee" * 6 + "beef",
            "ReportId": number,
            "FileName": "a.exe",
            "UtcTime": "2026-07-19 14:55:51",
        }
        for number in (7, 8)
    ]
    assert [
        each.own_id for each in about({"notable_event_id": "n-1", "rule": {"name": "R"}, "events": rows})
    ] == ["", ""]


@pytest.mark.parametrize("word", ["informational", "Informational", "INFO", "information"])
def test_what_only_informs_is_said(word: str) -> None:
    """Defender's own alerts have no such severity, and so it is Low there; an alert on entities has it."""
    assert [each.informational for each in about({**ALERT, "severity": word})] == [True]
    assert vocabulary.severity(word).text == "Low"


@pytest.mark.parametrize("word", ["low", "notice", "very low", "4", "high"])
def test_what_is_low_does_not_only_inform(word: str) -> None:
    """Its twin: other words that become Low."""
    assert [each.informational for each in about({**ALERT, "severity": word})] == [False]


def test_techniques_are_read_from_tags() -> None:
    """Known ids, each once, with their parts; tactics, other numbers and other catalogues are none."""
    tags = [
        "attack.t1003.001",
        "TA0006",
        "T1003.001",
        "attack.t1059",
        "T9999",
        "AML.T0043",
        "pc-t1003.example",
    ]
    assert [each.techniques for each in about({**ALERT, "tags": tags})] == [("T1003.001", "T1059")]
    assert vocabulary.techniques([]) == ()
