"""Alerts of Defender itself, and those that we made there, are in Defender already: they are ignored."""

import json
from typing import Any

import pytest

from shared.mapping import mappings as mapping
from shared.mapping import own
from shared.mapping.conditions import Condition
from shared.mapping.outcome import Outcome
from shared.payload import body as payload
from shared.payload.paths import Node
from shared.payload.reader import Reader

OURS = mapping.load()
ROW = {
    "DeviceId": "8b0f4c2e6a1d93570f7e5b8c2a4d6910e3f7b5c1",
    "ReportId": "51377",
    "Timestamp": "2026-05-21T10:11:12.1314151Z",
}
DEFENDERS = {
    "serviceSource": "microsoftDefenderForEndpoint",
    "detectionSource": "antivirus",
    "severity": "high",
    "title": "A worm",
}


def applied(value: Any) -> Outcome:
    """Map a value as it would arrive."""
    documents = payload.read(json.dumps(value).encode(), max_bytes=100_000)
    return OURS.apply(documents, source=None, defaults={}, max_alerts=10)


def _conditions(kind: str) -> list[Any]:
    return [pytest.param(condition, id=condition.text[:60]) for condition in own._conditions(kind)]


def _example(condition: Condition) -> dict[str, Any]:
    """Return the smallest object for which a condition holds."""
    document: dict[str, Any] = {}
    for term in condition.terms:
        inner: Any = term.contains or (min(term.words) if term.words else "x")
        for name in reversed((*condition.prefix.names, *term.path.names)):
            inner = {name: inner}
        document |= inner
    return document


@pytest.mark.parametrize("condition", _conditions("defenders"))
def test_every_mark_of_defender_is_known(condition: Condition) -> None:
    """Each line of the table makes an alert Defender's, and an alert without a reference that has it is ignored."""
    alert = Node(_example(condition), None, Reader(lambda _: None))
    assert own.is_defenders(alert)
    assert not own.is_ours(alert)


@pytest.mark.parametrize("condition", _conditions("ours"))
def test_every_mark_of_ours_is_known(condition: Condition) -> None:
    """What was made through the API carries the detection source that the API gives it."""
    assert own.is_ours(Node(_example(condition), None, Reader(lambda _: None)))


@pytest.mark.parametrize(
    "alert",
    [
        {},
        {"title": "x"},
        {"productName": "Contoso Defender"},
        {"detectionSource": "siem"},
        {"vendor": "Microsoft"},
    ],
)
def test_another_products_alert_is_nobodys(alert: dict[str, str]) -> None:
    """Its twin: an alert of another product is neither."""
    node = Node(alert, None, Reader(lambda _: None))
    assert not own.is_defenders(node)
    assert not own.is_ours(node)


def test_defenders_own_alert_is_ignored() -> None:
    """Nothing is raised and nothing refused: it is in Defender."""
    outcome = applied({"alerts": [DEFENDERS]})
    assert outcome.ignored
    assert "Defender has raised this alert itself" in outcome.ignored
    assert outcome.refused == ()


def test_a_complete_reference_beside_it_is_raised() -> None:
    """A row that was joined to Defender's alert names an event: that is what the sender wants to be raised."""
    outcome = applied({**DEFENDERS, "event": ROW})
    assert [item.alert.report_id for item in outcome.alerts] == ["51377"]
    assert outcome.refused == ()


def test_what_we_made_is_ignored_always() -> None:
    """An alert of ours that comes back is no new one, though it has a reference."""
    outcome = applied({**DEFENDERS, "detectionSource": "manual", "event": ROW})
    assert outcome.alerts == ()
    assert outcome.ignored


def test_in_a_mixed_payload_the_others_count() -> None:
    """Beside Defender's own, another product's alert is raised or refused as if it were alone."""
    other = {"title": "Of another", "severity": "low"}
    outcome = applied([DEFENDERS, {**other, "event": ROW}, other])
    assert [item.event for item in outcome.alerts] == [1]
    assert [item.event for item in outcome.refused] == [2]
