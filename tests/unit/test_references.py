"""The reference of an event: what a source's function knows against what the scan found, and rows that have none."""

import json
from typing import Any

import pytest

from shared.mapping import references
from shared.mapping.defaults import Row
from shared.mapping.event import Event
from shared.mapping.references import Taken
from shared.payload import body as payload
from shared.payload import scan
from shared.payload.grouping import Group
from shared.payload.paths import Node
from shared.payload.reader import Reader

MACHINE, OTHER = "2f9d41c07b6e85a3d0f1c2b4a69788e5d3c0b1a7", "90c7ab15e4d2f38866b1a0c9d7e5f4231b8a6c0d"
TIME, LATER = "2026-06-14T05:06:07.1234567Z", "2026-06-14T05:07:00.7654321Z"
REPORT = "639288123456789014"
ROW = {"DeviceId": MACHINE, "ReportId": REPORT, "Timestamp": TIME}


def node(value: Any) -> Node:
    """Return a value as it would arrive."""
    [document] = payload.read(json.dumps(value).encode(), max_bytes=100_000)
    return Node(document, None, Reader(lambda _: None))


def taken(value: Any, **own: str) -> Taken:
    """Return the reference of an event in a value, where the source's function knows some keys by their paths."""
    document = node(value)
    groups = scan.scan(document).groups or [Group()]
    reference = {name: finding for name, where in own.items() if (finding := document.first(where))}
    return references.taken(Event(document, reference=reference), groups[0])


def values(reference: Taken) -> dict[str, str]:
    """Return the values of the keys that were taken."""
    return {name: finding.value for name, finding in reference.findings.items()}


def test_what_the_scan_found_is_taken() -> None:
    """Without anything of the source's own the scan's reference is the event's."""
    reference = taken({"event": ROW})
    assert values(reference) == {"machineId": MACHINE, "eventTime": TIME, "reportId": REPORT}
    assert not reference.differ
    assert reference.notes == ()


def test_what_the_source_knows_goes_before() -> None:
    """The function's own keys are taken, and the scan's fill what it does not know, if they do not contradict."""
    value = {"event": ROW, "own": {"id": REPORT}}
    assert values(taken(value, reportId="own.id")) == {
        "machineId": MACHINE,
        "eventTime": TIME,
        "reportId": REPORT,
    }
    reference = taken(
        {"event": ROW, "own": {"id": "7", "unit": OTHER}}, reportId="own.id", machineId="own.unit"
    )
    assert values(reference) == {"machineId": OTHER, "reportId": "7"}


def test_a_key_with_several_values_is_reported() -> None:
    """Two values at the source's own place are no guess of ours."""
    reference = taken({"own": {"id": ["7", "8", "7"]}, "event": ROW}, reportId="own.id")
    assert '"7", "8"' in reference.differ["reportId"]


def test_contradictions_of_the_scan_are_reported_with_advice() -> None:
    """Where the payload itself disagrees, both places are reported and what to send."""
    reference = taken({"event": ROW, "DeviceId": OTHER})
    assert "machineId" not in values(reference)
    assert "at DeviceId" in reference.differ["machineId"]
    assert "at event.DeviceId" in reference.differ["machineId"]
    assert reference.differ["machineId"].endswith(".")


@pytest.mark.parametrize(
    ("name", "copy"),
    [("Timestamp", TIME[:23] + "Z"), ("Timestamp", TIME[:19] + "Z"), ("ReportId", "639288123456789000")],
)
def test_of_a_value_that_lost_digits_the_exact_one_is_taken(name: str, copy: str) -> None:
    """A time that was cut, or a report id that was rounded, gives way to its original beside it, with a note."""
    reference = taken({"event": {**ROW, name: copy}, "original": json.dumps(ROW)})
    assert values(reference) == {"machineId": MACHINE, "eventTime": TIME, "reportId": REPORT}
    assert len(reference.notes) == 1
    assert "lost digits, so the exact value was used" in reference.notes[0]


@pytest.mark.parametrize(("name", "other"), [("Timestamp", LATER), ("ReportId", "639288123456789015")])
def test_another_value_is_no_copy(name: str, other: str) -> None:
    """Its twin: a value that cannot come from lost digits is a contradiction."""
    reference = taken({"event": {**ROW, name: other}, "original": json.dumps(ROW)})
    assert reference.notes == ()
    assert reference.differ


@pytest.mark.parametrize(
    ("time", "short"),
    [
        (TIME, False),
        (TIME[:23] + "Z", True),
        (TIME[:19] + "Z", True),
        ("1780000000123", True),
        ("no time", False),
    ],
)
def test_a_time_of_milliseconds_is_short(time: str, short: bool) -> None:
    """Where a source is known to cut, a time with milliseconds or less certainly lost digits."""
    assert references.is_short(time) is short


def refused(row: dict[str, Any]) -> dict[str, str]:
    """Return why a row can have no alert, by field."""
    document = node(row)
    group = (scan.scan(document).groups or [Group(row=document.value)])[0]
    return {problem.field: problem.detail for problem in references.refused(Row(group, document))}


@pytest.mark.parametrize(
    "table",
    [
        "EmailEvents",
        "IdentityLogonEvents",
        "CloudAppEvents",
        "AlertEvidence",
        "AlertInfo",
        "DeviceAlertEvents",
    ],
)
def test_a_table_without_endpoint_events_is_refused(table: str) -> None:
    """A row of a table whose ReportId names no endpoint event is refused for that."""
    assert set(refused({**ROW, "Table": table})) == {"reportId"}


@pytest.mark.parametrize("table", ["DeviceProcessEvents", "DeviceEvents", "DeviceLogonEvents", "Contoso_CL"])
def test_a_table_of_endpoint_events_is_not_refused(table: str) -> None:
    """Its twin: rows of the tables of a device, and of a table that nobody knows, are read."""
    assert refused({**ROW, "Table": table}) == {}


def test_an_email_is_known_without_its_table() -> None:
    """A row with a message's id and no device is an email's, whatever its table is called."""
    row = {"ReportId": "5", "Timestamp": TIME, "NetworkMessageId": "x"}
    assert "email event" in refused(row)["reportId"]
    assert refused({**row, "DeviceId": MACHINE}) == {}


def test_a_join_of_an_alert_and_an_event_is_refused() -> None:
    """A row with two times and one report id does not say which time is the event's; with equal times it does."""
    row = {**ROW, "AlertId": "da1", "Timestamp1": LATER}
    assert "joins an alert and an event" in refused(row)["eventTime"]
    assert refused({**row, "Timestamp1": TIME}) == {}
    assert refused({**row, "ReportId1": "9"}) == {}
