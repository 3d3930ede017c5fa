"""The keys are found wherever they stand, each event's own, and what disagrees or only looks alike is told."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payload import body as payload
from shared.payload import scan
from shared.payload.scan import Seen

MACHINE, OTHER = "3d583074bdc1fb8ec27a43da2c777b684b0f535b", "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
TIME, LATER = "2026-07-19T14:55:51.5813247Z", "2026-07-19T15:00:00.1234567Z"
REPORT = "639199803770463714"
ROW = {"DeviceId": MACHINE, "ReportId": int(REPORT), "Timestamp": TIME}
KEYS = (MACHINE, TIME, REPORT)


def look(value: Any) -> Seen:
    """Look into a value as it would arrive."""
    [document] = payload.read(json.dumps(value).encode(), max_bytes=1_048_576)
    return scan.look(document, lambda _: None)


def keys(event: dict[str, Any]) -> tuple[Any, ...]:
    """Return the keys of an event, None where it has none."""
    return tuple(event["found"].get(name) for name in ("machineId", "eventTime", "reportId"))


def only(value: Any) -> dict[str, Any]:
    """Return the one event seen in a value."""
    [event] = look(value).events
    return event


def nested(value: Any, levels: int) -> Any:
    """Return a value inside so many objects, with other things beside."""
    for level in range(levels):
        value = {f"level{level}": value, "number": level}
    return value


@pytest.mark.parametrize(
    "value",
    [
        ROW,
        nested(ROW, 8),
        nested([ROW], 8),
        [[[ROW]]],
        {"DEVICE_ID": MACHINE, "REPORT_ID": REPORT, "TIMESTAMP": TIME},
        {"device-id": MACHINE, "report id": REPORT, "event_time": TIME},
        {"a": {"mdeDeviceId": MACHINE}, "b": [{"reportId": REPORT}], "c": {"d": {"eventTime": TIME}}},
        {"device": {"id": MACHINE}, "report_id": REPORT, "timestamp": TIME},
        {"DeviceId": [MACHINE], "ReportId": [REPORT], "Timestamp": [TIME]},
        {"DeviceId": {"value": MACHINE}, "ReportId": {"value": REPORT}, "Timestamp": {"value": TIME}},
        {f"event.properties.{name}": value for name, value in ROW.items()},
        {"fields": [{"key": name, "value": value} for name, value in ROW.items()]},
        {"fields": [{"name": name, "type": "x", "value": value} for name, value in ROW.items()]},
        {"fields": [{"key": name, "values": [value]} for name, value in ROW.items()]},
        {"attributes": [{"key": name, "value": {"stringValue": str(value)}} for name, value in ROW.items()]},
        {"pairs": [[name, value] for name, value in ROW.items()]},
        [{"Name": name, "Value": value} for name, value in ROW.items()],
        {"columns": [{"name": name} for name in ROW], "rows": [list(ROW.values())]},
        {"table": {"Columns": list(ROW), "Rows": [list(ROW.values())]}},
        {"cs1Label": "DeviceId", "cs1": MACHINE, "cs2Label": "ReportId", "cs2": REPORT, "Timestamp": TIME},
        {"raw": json.dumps(ROW)},
        {"raw": json.dumps({"in": json.dumps(ROW)})},
        {"raw": json.dumps(json.dumps({"in": json.dumps(json.dumps(ROW))}))},
        {"raw": f"<13>Jul 19 host agent: {json.dumps(ROW)} and so on"},
        {"raw": f'1784386951, DeviceId="{MACHINE}", ReportId={REPORT}, Timestamp="{TIME}"'},
        {"DefenderEvent": f"{MACHINE}|{REPORT}|{TIME}"},
        {"details": {"DefenderEvent": [f"{MACHINE}|{REPORT}|{TIME}"]}},
        {"DeviceId_s": MACHINE, "ReportId_s": REPORT, "Timestamp_s": TIME},
        {f"properties_{name}": value for name, value in ROW.items()},
        {"u_device_id": MACHINE, "event_report_id": REPORT, "raw_data_Timestamp_t": TIME},
        {"raw": json.dumps(ROW).replace('"', "&quot;")},
        {"raw": quote_plus(json.dumps(ROW))},
        {"raw": base64.b64encode(json.dumps(ROW).encode()).decode()},
        {"text": f"Alert!\n* DeviceId: {MACHINE}\n* Report Id: {REPORT}\n* Timestamp: {TIME}\n"},
        {"DeviceId": f'"{MACHINE}"', "ReportId": {"$numberLong": REPORT}, "Timestamp": {"$date": TIME}},
        {"event": ROW, "copy": json.dumps(ROW)},
        {"event": {**ROW, "Timestamp": TIME[:23] + "Z"}, "original": json.dumps(ROW)},
        {"event": ROW, "timestamp": LATER, "eventTime": LATER, "time": LATER, "@timestamp": LATER},
        {"event": ROW, "agent": {"id": "9" * 32}, "deviceId": "7f2f9b6e-2f5d-4f6e-9a0a-4a5f0f1e2d3c"},
        {"event": {**ROW, "DeviceId1": OTHER, "Timestamp2": LATER, "ReportId1": 5}},
    ],
)
def test_the_keys_are_found_to_the_digit(value: Any) -> None:
    """Nested, dotted, in lists of pairs, tables, strings and log lines: one event, with its own keys."""
    event = only(value)
    assert keys(event) == KEYS
    assert event["found"]["differ"] == {}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"DeviceId": OTHER, "event": ROW}, "machineId"),
        ({"event": {**ROW, "machineId": OTHER}}, "machineId"),
        ({"DeviceId": [MACHINE, OTHER], "ReportId": 1, "Timestamp": TIME}, "machineId"),
        ({"event": ROW, "Timestamp": LATER}, "eventTime"),
        (
            {"ReportId": 1, "DeviceId": MACHINE, "a": {"event_time": TIME}, "b": {"event_time": LATER}},
            "eventTime",
        ),
        ({"event": ROW, "raw": json.dumps({**ROW, "Timestamp": LATER})}, "eventTime"),
        ({"one": ROW, "other": {**ROW, "ReportId": 5}}, "reportId"),
        ({"ReportId": 5, "events": [ROW, {**ROW, "ReportId": 6}]}, "reportId"),
        ({"some": [ROW, {**ROW, "ReportId": 6}], "others": [{**ROW, "ReportId": 7}]}, "reportId"),
    ],
)
def test_what_disagrees_is_told_with_both_places(value: Any, field: str) -> None:
    """Two values of one key are no guess of ours: both are named, and where they stand."""
    event = only(value)
    assert list(event["found"]["differ"]) == [field]
    assert field not in event["found"]
    assert " at " in event["found"]["differ"][field]
    assert "; " in event["found"]["differ"][field]


def test_events_of_an_array_are_each_their_own() -> None:
    """Elements with a report id each are events; they share what stands outside, and nothing of each other."""
    value = {
        "rule": {"name": "R"},
        "device": {"id": MACHINE},
        "events": [
            {"title": "A", "ReportId": 1, "Timestamp": TIME},
            {"title": "B", "of": {"ReportId": 2, "Timestamp": LATER}},
        ],
    }
    events = look(value).events
    assert [keys(event) for event in events] == [(MACHINE, TIME, "1"), (MACHINE, LATER, "2")]
    assert [event["found"]["title"] for event in events] == ["R", "R"]
    assert events[1]["found"]["at"]["reportId"] == "events[1].of.ReportId"
    assert [keys(event)[2] for event in look({"x": [ROW, ROW, {**ROW, "ReportId": 3}]}).events] == [
        REPORT,
        "3",
    ]


def test_texts_are_taken_by_the_most_telling_name() -> None:
    """A rule's name is a better title than any other name; a user's name is none."""
    found = only(
        {
            "name": "N",
            "user": {"name": "bob"},
            "alert": {"name": "A", "severity": "unheard of"},
            "level": "critical",
            "tactics": ["nonsense", "TA0002"],
            "url": "https://siem.example/1",
            "link": "javascript:alert(1)",
            "host": {"name": "pc-1"},
            "event": {**ROW, "Title": "not at the top"},
        }
    )["found"]
    assert (found["title"], found["severity"], found["category"]) == ("A", "critical", "TA0002")
    assert (found["link"], found["device"]) == ("https://siem.example/1", "pc-1")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("machineId", {"host": {"aadDeviceId": "x"}}, "host.aadDeviceId is the Entra"),
        ("machineId", {"event": {"AgentId": "9" * 32}}, "event.AgentId is the agent id of another product"),
        ("machineId", {"aad_device_id": MACHINE}, "aad_device_id is the Entra"),
        ("machineId", {"OMSAgentID": "x"}, "OMSAgentID is the id of a Log Analytics agent"),
        ("machineId", {"a": [{"DeviceName": "pc-1"}]}, "a[0].DeviceName is a name"),
        ("machineId", {"deviceExternalId": "1"}, "deviceExternalId is the id that the sending product gave"),
        ("machineId", {"DeviceId1": MACHINE}, "DeviceId1 is a column that a KQL join copied"),
        ("eventTime", {"time": TIME}, "time is when the record was received"),
        ("eventTime", {"_TimeReceivedBySvc": TIME}, "_TimeReceivedBySvc is when the record was received"),
        ("eventTime", {"TimeGenerated": TIME}, "TimeGenerated is when the record was received"),
        ("eventTime", {"x-opt-enqueued-time": 1}, "x-opt-enqueued-time is when the record was received"),
        ("eventTime", {"@timestamp": TIME}, "@timestamp is when the record was received"),
        (
            "eventTime",
            {"data": {"essentials": {"firedDateTime": TIME}}},
            "firedDateTime is when the alert was raised",
        ),
        ("eventTime", {"createdAt": TIME}, "createdAt is when the alert was raised"),
        ("eventTime", {"Timestamp2": TIME}, "Timestamp2 is a column that a KQL join copied"),
        ("reportId", {"alertId": "1"}, "alertId names an alert or incident"),
        ("reportId", {"externalId": "4688"}, "externalId is the number of another event id"),
    ],
)
def test_look_alikes_are_named_and_never_taken(field: str, value: Any, said: str) -> None:
    """What is easily mistaken for a key is no key: it is told by name, with what it is instead."""
    seen = look(value)
    assert keys(seen.events[0]) == (None, None, None)
    assert any(said in line for line in seen.lookalikes[field])


@pytest.mark.parametrize(
    "value",
    [
        {"Timestamp": TIME, "payload": {"DeviceId": MACHINE, "ReportId": 1}},
        {"event_time": TIME, "evidence": [{"device_id": MACHINE, "report_id": 1}]},
        {"Timestamp": TIME, "Message": json.dumps({"DeviceId": MACHINE, "ReportId": 1})},
        {
            "timestamp": TIME,
            "fields": [{"name": "DeviceId", "value": MACHINE}, {"name": "ReportId", "value": "1"}],
        },
        {"timestamp": TIME, "host": {"DeviceId": MACHINE}, "event": {"ReportId": 1}},
        {"rule": {"name": "x", "timestamp": TIME}, "DeviceId": MACHINE, "ReportId": 1},
        [{"timestamp": TIME}, {"DeviceId": MACHINE, "ReportId": 1}],
    ],
)
def test_a_time_around_the_event_is_the_wrappers(value: Any) -> None:
    """A time that is not beside the device id and the report id is told, and never taken for the event's."""
    seen = look(value)
    assert keys(seen.events[0]) == (MACHINE, None, "1")
    assert any("is a time of what the event came in" in line for line in seen.lookalikes["eventTime"])


def test_a_rounded_report_id_gives_way_to_its_original() -> None:
    """JavaScript's 639199803770463700 beside 639199803770463714 is that one; two others are a conflict."""
    whole = {"DeviceId": MACHINE, "Timestamp": TIME}
    event = only(
        {
            "row": {**whole, "ReportId": "639199803770463700"},
            "raw": {**whole, "ReportId": "639199803770463714"},
        }
    )
    assert keys(event) == (MACHINE, TIME, "639199803770463714")
    event = only(
        {
            "row": {**whole, "ReportId": "639199803770463701"},
            "raw": {**whole, "ReportId": "639199803770463714"},
        }
    )
    assert list(event["found"]["differ"]) == ["reportId"]


def test_times_without_a_report_id_are_the_times_of_anything() -> None:
    """An alert with several timestamps and no event is not told that these disagree."""
    event = only({"a": {"timestamp": TIME}, "b": {"timestamp": LATER}, "DeviceId": MACHINE})
    assert keys(event) == (MACHINE, None, None)
    assert event["found"]["differ"] == {}


def test_long_places_are_shown_short() -> None:
    """A place is for people: a name of any length does not make it long."""
    place = only(nested({"k" * 5_000: ROW}, 15))["found"]["at"]["machineId"]
    assert len(place) <= 120
    assert place.endswith(".DeviceId")


@given(st.permutations(list(ROW)), st.integers(0, 7), st.booleans(), st.integers(0, 2))
def test_any_wrapping_gives_the_same_keys(order: list[str], levels: int, array: bool, encodings: int) -> None:
    """Order of keys, depth, arrays of one and JSON in strings change nothing."""
    value: Any = {name: ROW[name] for name in order}
    for _ in range(encodings):
        value = {"text": json.dumps(json.dumps(value))}
    assert keys(only(nested([value] if array else value, levels))) == KEYS
