"""The keys are found wherever they stand, each event's own, and what disagrees or only looks alike is reported."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payload import body as payload
from shared.payload import candidates, names, scan
from shared.payload.grouping import Group
from shared.payload.paths import Node, find, path, shown
from shared.payload.reader import Reader
from shared.payload.scan import Scan

MACHINE, OTHER = "3d583074bdc1fb8ec27a43da2c777b684b0f535b", "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
TIME, LATER = "2026-07-19T14:55:51.5813247Z", "2026-07-19T15:00:00.1234567Z"
REPORT = "639199803770463714"
ROW = {"DeviceId": MACHINE, "ReportId": int(REPORT), "Timestamp": TIME}
KEYS = (MACHINE, TIME, REPORT)


def scanned(value: Any) -> Scan:
    """Scan a value as it would arrive."""
    [document] = payload.read(json.dumps(value).encode(), max_bytes=1_048_576)
    return scan.scan(Node(document, None, Reader(lambda _: None)))


def keys(group: Group) -> tuple[str | None, ...]:
    """Return the keys of an event, None where it has none."""
    findings = group.values()
    return tuple(findings[name].value if name in findings else None for name in names.KEYS)


def only(value: Any) -> Group:
    """Return the one event seen in a value."""
    [group] = scanned(value).groups
    return group


def best(group: Group, field: str) -> str | None:
    """Return the most telling text of a field."""
    choice = candidates.best(field, group.texts.get(field, ()))
    return choice[0] if choice else None


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
        {"host": {"mdeDeviceId": MACHINE}, "event": [{"reportId": REPORT, "d": {"eventTime": TIME}}]},
        {
            "host": {"device_id": MACHINE},
            "ReportId": REPORT,
            "Timestamp": TIME,
            "ActionType": "ProcessCreated",
        },
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
    assert event.differ() == {}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"DeviceId": OTHER, "event": ROW}, "machineId"),
        ({"event": {**ROW, "machineId": OTHER}}, "machineId"),
        ({"DeviceId": [MACHINE, OTHER], "ReportId": 1, "Timestamp": TIME}, "machineId"),
        ({"event": ROW, "Timestamp": LATER}, "eventTime"),
        ({"DeviceId": MACHINE, "ReportId": 1, "event_time": [TIME, LATER]}, "eventTime"),
        ({"event": ROW, "raw": json.dumps({**ROW, "Timestamp": LATER})}, "eventTime"),
        ({"one": ROW, "other": {**ROW, "ReportId": 5}}, "reportId"),
        ({"DeviceId": MACHINE, "ReportId": 5, "events": [ROW, {**ROW, "ReportId": 6}]}, "reportId"),
        ({"some": [ROW, {**ROW, "ReportId": 6}], "others": [{**ROW, "ReportId": 7}]}, "reportId"),
    ],
)
def test_what_disagrees_is_reported_with_both_places(value: Any, field: str) -> None:
    """Two values of one key are no guess of ours: both are named, and where they stand."""
    event = only(value)
    assert list(event.differ()) == [field]
    assert field not in event.values()
    assert " at " in event.differ()[field]
    assert "; " in event.differ()[field]


def test_events_of_an_array_are_each_their_own() -> None:
    """Elements with a report id each are events; they share what stands outside, and nothing of each other."""
    value = {
        "rule": {"name": "Recon"},
        "device": {"id": MACHINE},
        "events": [
            {"title": "One", "ReportId": 1, "Timestamp": TIME},
            {"title": "Other", "event": {"ReportId": 2, "Timestamp": LATER}},
        ],
    }
    events = scanned(value).groups
    assert [keys(event) for event in events] == [(MACHINE, TIME, "1"), (MACHINE, LATER, "2")]
    assert [best(event, "title") for event in events] == ["Recon", "Recon"]
    assert shown(events[1].values()["reportId"].place) == "events[1].event.ReportId"
    assert [keys(event)[2] for event in scanned({"x": [ROW, ROW, {**ROW, "ReportId": 3}]}).groups] == [
        REPORT,
        "3",
    ]


def test_texts_are_taken_by_the_most_telling_name() -> None:
    """A rule's name is a better title than any other name; a user's name is none."""
    event = only(
        {
            "name": "Neptune",
            "user": {"name": "bob"},
            "alert": {"name": "Recon", "severity": "unheard of"},
            "level": "critical",
            "tactics": ["nonsense", "TA0002"],
            "url": "https://siem.example/1",
            "link": "javascript:alert(1)",
            "host": {"name": "pc-1"},
            "event": {**ROW, "name": "not at the top"},
        }
    )
    assert [best(event, name) for name in ("title", "severity", "category")] == [
        "Recon",
        "critical",
        "TA0002",
    ]
    assert (best(event, "link"), best(event, "device")) == ("https://siem.example/1", "pc-1")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
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
def test_look_alikes_are_named_and_never_taken(field: str, value: Any, expected: str) -> None:
    """What is easily mistaken for a key is no key: it is reported by name, with what it is instead."""
    seen = scanned(value)
    assert all(keys(group) == (None, None, None) for group in seen.groups)
    assert any(expected in line for line in seen.unlike(field))


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
        {"ReportId": 1, "DeviceId": MACHINE, "a": {"event_time": TIME}, "b": {"event_time": LATER}},
        {"labels": {"DeviceId": MACHINE, "ReportId": 1}, "status": {"Timestamp": TIME}},
    ],
)
def test_a_time_around_the_event_is_the_wrappers(value: Any) -> None:
    """A time that is not beside the device id and the report id is reported, and never taken for the event's."""
    seen = scanned(value)
    assert keys(seen.groups[0]) == (MACHINE, None, "1")
    assert any("is a time outside the event" in line for line in seen.unlike("eventTime"))


@pytest.mark.parametrize(
    "value",
    [
        {"report_id": REPORT},
        {"scan": {"report_id": REPORT}, "host": {"device_id": MACHINE}},
        {"report_id": REPORT, "timestamp": TIME, "device": {"id": MACHINE}},
        {"scan": {"report_id": REPORT, "timestamp": TIME}, "asset": {"DeviceId": MACHINE}},
        {"a": {"mdeDeviceId": MACHINE}, "b": [{"reportId": REPORT}], "c": {"d": {"eventTime": TIME}}},
        {"ReportId": REPORT, "host": {"DeviceId": MACHINE, "Timestamp": TIME}},
        {"ReportId": REPORT, "Timestamp": TIME, "host": {"DeviceId": MACHINE}},
    ],
)
def test_a_report_id_alone_may_be_anybodys(value: Any) -> None:
    """A report id in an object without a device id is joined with none from elsewhere: a scanner has such ids too."""
    seen = scanned(value)
    assert all(keys(group)[2] is None for group in seen.groups)
    [line] = seen.unlike("reportId")
    assert "is a report id without a device id beside it" in line


@pytest.mark.parametrize(
    "value",
    [
        {"host": {"device_id": MACHINE}, "event": {"report_id": REPORT, "event_time": TIME}},
        {"host": {"device_id": MACHINE}, "labels": {"report_id": REPORT, "timestamp": TIME}},
        {
            "host": {"device_id": MACHINE},
            "custom_details": [{"key": "reportId", "value": REPORT}, {"key": "eventTime", "value": TIME}],
        },
        {
            "host": {"device_id": MACHINE},
            "scan": {"ReportId": REPORT, "Timestamp": TIME, "FileName": "x.exe"},
        },
        {"labels": {"DeviceId": MACHINE, "ReportId": REPORT}, "annotations": {"Timestamp": TIME}},
        {"labels": {"ReportId": REPORT}, "annotations": {"Timestamp": TIME, "DeviceId": MACHINE}},
    ],
)
def test_a_report_id_of_an_event_or_a_bag_is_joined(value: Any) -> None:
    """In an object named like an event or a bag of labels, or beside other columns of Defender's, it counts."""
    assert keys(only(value)) == KEYS


@pytest.mark.parametrize("name", ["device", "vulnerability", "user", "threat_intel", "enrichment", "assets"])
def test_texts_of_something_else_are_none_of_the_alerts(name: str) -> None:
    """A severity or title of an asset, a vulnerability or an enrichment is not the alert's; the alert's own is."""
    other = {"severity": "critical", "title": "Of another", "category": "Malware"}
    event = only({name: other, "event": ROW})
    assert [best(event, field) for field in ("severity", "title", "category")] == [None, None, None]
    event = only({name: other, "severity": "low", "event": ROW})
    assert best(event, "severity") == "low"


def test_a_device_name_is_the_nearest_to_the_event() -> None:
    """The device beside the event is named, never one chosen by alphabet; of two that are equally near, none."""
    event = only({"host": {"name": "a-collector"}, "event": {**ROW, "DeviceName": "pc-1"}})
    assert best(event, "device") == "pc-1"
    event = only({"source": {"DeviceName": "pc-1"}, "target": {"DeviceName": "pc-2"}, "event": ROW})
    assert best(event, "device") is None
    event = only({"source": {"DeviceName": "pc-1"}, "target": {"DeviceName": "PC-1"}, "event": ROW})
    assert best(event, "device") in ("pc-1", "PC-1")


@pytest.mark.parametrize("name", ["user", "vulnerability", "related_alert", "owner"])
def test_a_device_id_of_another_thing_is_not_the_events(name: str) -> None:
    """A device in what is not about the event's device is reported, and never joined with an event beside it."""
    seen = scanned({name: {"DeviceId": MACHINE}, "event": {"ReportId": REPORT, "Timestamp": TIME}})
    assert all(keys(group)[0] is None for group in seen.groups)
    assert any(name in line for line in seen.unlike("machineId"))


def test_what_is_left_out_is_not_found() -> None:
    """Objects that are set apart, and places that are said to hold no key, are not looked into."""
    row = {**ROW, "ReportId": REPORT}
    value = {"alerts": [row], "manager": {"DeviceId": OTHER, "ReportId": "1", "Timestamp": LATER}}
    node = Node(value, None, Reader(lambda _: None))
    [group] = scan.scan(node, (), [manager.place for manager in find(path("manager"), node)]).groups
    assert keys(group) == KEYS
    assert keys(scan.scan(node, {id(row)}).groups[0]) == (OTHER, LATER, "1")


@pytest.mark.parametrize("length", [99, 101, 5_000])
def test_a_key_of_any_length_hides_nothing(length: int) -> None:
    """What stands under a name that is too long to mean anything is looked into all the same."""
    assert keys(only({"k" * length: ROW})) == KEYS


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
    assert list(event.differ()) == ["reportId"]


def test_times_without_a_report_id_are_the_times_of_anything() -> None:
    """An alert with several timestamps and no event is not answered that these disagree."""
    event = only({"a": {"timestamp": TIME}, "b": {"timestamp": LATER}, "DeviceId": MACHINE})
    assert keys(event) == (MACHINE, None, None)
    assert event.differ() == {}


def test_long_places_are_shown_short() -> None:
    """A place is for people: a name of any length does not make it long."""
    place = shown(only(nested({"k" * 100: ROW}, 15)).values()["machineId"].place)
    assert len(place) <= 160
    assert place.endswith(".DeviceId")


@given(st.permutations(list(ROW)), st.integers(0, 7), st.booleans(), st.integers(0, 2))
def test_any_wrapping_gives_the_same_keys(order: list[str], levels: int, array: bool, encodings: int) -> None:
    """Order of keys, depth, arrays of one and JSON in strings change nothing."""
    value: Any = {name: ROW[name] for name in order}
    for _ in range(encodings):
        value = {"text": json.dumps(json.dumps(value))}
    assert keys(only(nested([value] if array else value, levels))) == KEYS


SHAPES: dict[str, Callable[[int], Any]] = {
    "many events": lambda size: [ROW] * size,
    "different events": lambda size: {"events": [{**ROW, "ReportId": n} for n in range(size)]},
    "arrays of one": lambda size: {"severity": [nested_list(40) for _ in range(size)], "event": ROW},
    "many names": lambda size: {f"k{n}": "x" for n in range(size)} | ROW,
    "many texts": lambda size: {"texts": [f"a=1, b={n}, report=2" for n in range(size)]},
    "one long text": lambda size: {"text": "report a=1, " * size},
    "JSON in strings": lambda size: {"texts": [json.dumps(ROW)] * size},
    "names and values": lambda size: {"fields": [{"key": f"k{n}", "value": "x"} for n in range(size)]},
    "a table": lambda size: {"columns": list(ROW), "rows": [list(ROW.values())] * size},
    "severities": lambda size: {"alerts": [{"severity": "high", "title": f"t{n}"} for n in range(size)]},
}


def nested_list(levels: int) -> Any:
    """Return a list in lists, at the bottom a text."""
    value: Any = "high"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_is_linear(shape: str) -> None:
    """Four times the payload is charged some four times the steps, whatever its shape."""

    def cost(size: int) -> int:
        steps: list[int] = []
        [document] = payload.read(json.dumps(SHAPES[shape](size)).encode(), max_bytes=10_000_000)
        scan.scan(Node(document, None, Reader(steps.append)))
        return sum(steps)

    assert 0 < cost(400) < 5 * cost(100)
