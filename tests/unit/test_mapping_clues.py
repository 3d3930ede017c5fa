"""The clues of events without a whole reference: where they are read, and what a source's file says of them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.mapping import clue_fields, clues
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from shared.mapping.outcome import Evidence, Outcome
from shared.payload import body as payload
from shared.payload import names
from shared.payload.clues import SECOND, Clues, Host
from shared.search import query
from shared.webhook import entries
from tests.checks import clueset

MACHINE, OTHER = "3d583074bdc1fb8ec27a43da2c777b684b0f535b", "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
TIME, REPORT = "2026-07-19T14:55:51.5813247Z", "639199803770463714"
SHA1 = "c" * 40
OURS = mapping.load()
NOTABLE = {
    "sid": "scheduler__1",
    "search_name": "Rundll32",
    "result": {"host": "pc-1", "UtcTime": "2026-07-19 14:55:51.581", "sha1": SHA1, "CommandLine": "a.exe /x"},
}


def apply(value: Any, mappings: Mappings = OURS, *, source: str | None = None) -> Outcome:
    """Map a value as it would arrive."""
    documents = payload.read(json.dumps(value).encode(), max_bytes=4_194_304)
    return mappings.apply(documents, source=source, defaults={}, max_alerts=1_000, clues=True)


def evidence_of(outcome: Outcome, event: int = 0) -> Evidence | None:
    """Return by what one event of an outcome could be found."""
    refused = [refused.evidence for refused in outcome.refused if refused.event == event]
    [evidence] = refused or [mapped.evidence for mapped in outcome.alerts if mapped.event == event]
    return evidence


def the_evidence(outcome: Outcome, event: int = 0) -> Evidence:
    """Return by what one event could be found, which there must be."""
    evidence = evidence_of(outcome, event)
    assert evidence is not None
    return evidence


def yours(folder: Path, **entries: Any) -> Mappings:
    """Return our sources and one of a user's own, for payloads with `acme`."""
    file = {"title": "Acme", "recognise": "acme", **entries}
    (folder / "acme.json").write_text(json.dumps(file), "utf-8")
    mappings = mapping.load(folder)
    assert not mappings.broken
    return mappings


def test_a_refused_event_has_the_clues_of_its_payload_with_their_places() -> None:
    """What names no event of Defender names a device, a time and facts, each by its path in the payload."""
    outcome = apply(NOTABLE)
    assert not outcome.alerts
    scan = the_evidence(outcome).scan
    assert scan.clues.hosts == (Host("name", "pc-1"),)
    assert (scan.clues.sha1, scan.clues.command_line) == (SHA1, "a.exe /x")
    assert scan.clues.when is not None
    assert scan.places["hosts"] == "result.host"
    assert scan.places["when"] == "result.UtcTime"
    assert scan.places["sha1"] == "result.sha1"


def test_clues_that_nobody_asks_for_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no search follows, a refused payload is not walked over for them."""
    monkeypatch.delattr(clues, "clue_scan")
    documents = payload.read(json.dumps(NOTABLE).encode(), max_bytes=1_048_576)
    outcome = OURS.apply(documents, source=None, defaults={}, max_alerts=100)
    assert evidence_of(outcome) is None


@pytest.mark.parametrize("case", clueset.cases(), ids=lambda case: f"{case.product}/{case.name}")
def test_a_product_without_references_has_its_clues_by_its_source(case: clueset.Case) -> None:
    """Opened and recognised, every payload of the set is refused with the clues that it has, at the sender's places."""
    documents = payload.read(case.payload, max_bytes=1_048_576)
    outcome = OURS.apply(documents, source=None, defaults={}, max_alerts=100, clues=True)
    assert (outcome.ignored, outcome.alerts) == (None, ())
    assert clueset.flat(the_evidence(outcome).scan) == case.clues


def test_a_whole_reference_needs_no_clues() -> None:
    """What is raised as it came has none, and neither has what is refused for another field alone."""
    body = {"machineId": MACHINE, "eventTime": TIME, "reportId": REPORT, "title": "T"}
    assert evidence_of(apply({**NOTABLE, **body})) is None
    exact = apply({**body, "severity": "Loud", "category": "x", "description": "D", "recommendedAction": "A"})
    assert exact.refused
    assert evidence_of(exact) is None


def test_each_of_several_alerts_has_its_own_clues() -> None:
    """No clue of one alert is taken for another's, and none of what stands around them all."""
    alerts = [
        {
            "metadata": {"customerIDString": "x"},
            "event": {"ComputerName": f"pc-{number}", "SHA1String": digit * 40},
        }
        for number, digit in enumerate("abc")
    ]
    outcome = apply(alerts)
    assert [the_evidence(outcome, event).scan.clues.hosts for event in range(3)] == [
        (Host("name", f"pc-{number}"),) for number in range(3)
    ]
    assert [the_evidence(outcome, event).scan.clues.sha1[0] for event in range(3)] == ["a", "b", "c"]
    assert the_evidence(outcome, 1).scan.places["hosts"].startswith("[1].")


def test_of_several_events_in_one_alert_each_has_the_clues_of_its_row() -> None:
    """A row's own clues are read from it alone; a twin of another row would be a wrong event."""
    rows = [
        {
            "DeviceId": MACHINE,
            "ReportId": str(number),
            "FileName": f"{number}.exe",
            "UtcTime": "2026-07-19 14:55:51",
        }
        for number in (7, 8)
    ]
    outcome = apply({"rule": {"name": "R"}, "events": rows})
    assert [refused.event for refused in outcome.refused] == [0, 1]
    assert [the_evidence(outcome, event).scan.clues.file_name for event in (0, 1)] == ["7.exe", "8.exe"]
    assert [the_evidence(outcome, event).scan.clues.report_id for event in (0, 1)] == ["7", "8"]


def test_values_that_contradict_each_other_are_no_clues() -> None:
    """Nobody knows which of two events such a payload means: its devices are named, and nothing is looked for."""
    rows = {
        "a": {"DeviceId": MACHINE, "ReportId": "1"},
        "b": {"DeviceId": OTHER, "ReportId": "1"},
        "host": "pc-1",
        "sha1": SHA1,
        "first_timestamp": "2026-07-18T14:55:51Z",
    }
    clues = the_evidence(apply(rows)).scan.clues
    assert (clues.hosts, clues.sha1, query.build(clues)) == ((), "", None)
    assert clues.named == (Host("id", MACHINE), Host("id", OTHER))
    assert clues.when
    del rows["a"], rows["b"]
    assert the_evidence(apply(rows)).scan.clues.hosts == (Host("name", "pc-1"),)


def test_the_times_of_several_events_are_a_span() -> None:
    """From the earliest to the latest, each with its place."""
    rows = [
        {"DeviceId": machine, "ReportId": "1", "Timestamp": f"2026-07-18T14:5{minute}:51.5813247Z"}
        for machine, minute in ((MACHINE, 7), (OTHER, 3))
    ]
    [refused] = apply({"text": " ".join(f"{name}={row[name]}" for row in rows for name in row)}).refused
    assert refused.evidence
    when = refused.evidence.scan.clues.when
    assert when
    assert (when.end - when.start) / SECOND == 4 * 60


def test_a_row_of_another_kind_is_no_event_to_look_for() -> None:
    """An email's row names no event of an endpoint: what it names is known, and no device is searched."""
    outcome = apply(
        {"Table": "EmailEvents", "ReportId": "a-1", "NetworkMessageId": "x", "host": "pc-1", "sha1": SHA1}
    )
    evidence = the_evidence(outcome)
    assert (evidence.scan.clues.hosts, evidence.scan.clues.sha1) == ((), SHA1)
    assert (evidence.scan.clues.named, evidence.scan.places["named"]) == ((Host("name", "pc-1"),), "host")


@pytest.mark.parametrize("table", ["AlertInfo", "DeviceAlertEvents", "DeviceTvmSoftwareInventory"])
def test_a_row_of_an_alert_or_a_state_has_no_clues(table: str) -> None:
    """Defender has that alert already, and nothing happened in a row of the inventory."""
    row = {"Table": table, "DeviceName": "pc-1", "Timestamp": "2026-07-18T14:55:51Z"}
    assert evidence_of(apply({**row, "ReportId": "1"})) is None


def test_a_name_beside_an_entra_id_is_named() -> None:
    """The search goes by the id; an alert on entities needs the name, as the API takes no such id."""
    entra = "0b8c9d1e-93f4-4b52-8f0e-2b6f4a1d7c22"
    row = {"AadDeviceId": entra, "DeviceName": "pc-1.contoso.example", "Timestamp": "2026-07-18T14:55:51Z"}
    clues = the_evidence(apply(row)).scan.clues
    assert (clues.hosts, clues.named) == ((Host("entra", entra),), (Host("name", "pc-1.contoso.example"),))


def test_a_rule_that_refuses_says_that_there_is_nothing_to_look_for(tmp_path: Path) -> None:
    """What a user's own file refuses is not looked for either."""
    rule = {"where": "kind = audit", "detail": "An audit record."}
    mappings = yours(tmp_path, refuse=[rule])
    clue = {"acme": 1, "host": "pc-1", "sha1": SHA1}
    assert evidence_of(apply({**clue, "kind": "audit"}, mappings)) is None
    assert the_evidence(apply({**clue, "kind": "alert"}, mappings)).scan.clues.sha1 == SHA1


def test_what_a_file_says_is_no_clue_is_none(tmp_path: Path) -> None:
    """A collector's host, and whatever stands in what the file names, gives way to the next best."""
    posted = {
        "acme": 1,
        "device": {"hostname": "collector-1", "disk": {"sha1": SHA1}},
        "endpoint": {"hostname": "pc-1"},
    }
    assert the_evidence(apply(posted, yours(tmp_path))).scan.clues.hosts == (Host("name", "collector-1"),)
    scan = the_evidence(apply(posted, yours(tmp_path, **{"not": "device"}))).scan
    assert scan.clues.hosts == (Host("name", "pc-1"),)
    assert scan.clues.sha1 == ""


VALUES = {
    "device": ("box-9", "hosts", (Host("name", "box-9"),)),
    "time": ("2026-07-19T14:55:51Z", "when", None),
    "sha1": ("a" * 40, "sha1", "a" * 40),
    "sha256": ("b" * 64, "sha256", "b" * 64),
    "md5": ("c" * 32, "md5", "c" * 32),
    "fileName": ("tool.exe", "file_name", "tool.exe"),
    "filePath": ("C:\\t\\tool.exe", "file_path", "C:\\t\\tool.exe"),
    "commandLine": ("tool.exe /run", "command_line", "tool.exe /run"),
    "processId": ("0x10", "process_id", "16"),
    "processName": ("C:\\t\\tool.exe", "file_name", "tool.exe"),
    "parentName": ("C:\\t\\up.exe", "parent_name", "up.exe"),
    "remoteIp": ("203.0.113.7", "remote_ip", "203.0.113.7"),
    "remoteUrl": ("https://a.example/x", "remote_url", "https://a.example/x"),
    "remotePort": ("8443", "remote_port", "8443"),
    "registryKey": ("HKLM\\Software\\X", "registry_key", "HKEY_LOCAL_MACHINE\\Software\\X"),
    "registryValue": ("Run", "registry_value", "Run"),
    "accountName": ("ada", "account_name", "ada"),
    "accountDomain": ("CONTOSO", "account_domain", "CONTOSO"),
    "accountSid": ("S-1-5-21-1-2-3-1001", "account_sid", "S-1-5-21-1-2-3-1001"),
    "accountUpn": ("ada@contoso.example", "account_upn", "ada@contoso.example"),
    "outcome": ("failure", "outcome", "failure"),
}


NEEDED: dict[str, dict[str, Any]] = {
    "registryValue": {"RegistryKey": "HKLM\\Software\\X"},
    "accountDomain": {"user": {"name": "ada"}},
}
"""What a payload names besides: a value of no key, and a domain of no account, is no clue."""


@pytest.mark.parametrize("name", clue_fields.READ_AS)
def test_a_file_names_each_clue(name: str, tmp_path: Path) -> None:
    """Every clue can be named by a file, from a place that the scan knows nothing of, and has that place."""
    value, clue, expected = VALUES[name]
    posted = {"acme": 1, "zq": {"field": value}, **NEEDED.get(name, {})}
    without = the_evidence(apply(posted, yours(tmp_path))).scan
    assert getattr(without.clues, clue) in ("", (), None)
    scan = the_evidence(apply(posted, yours(tmp_path, fields={name: ["nowhere", "zq.field"]}))).scan
    assert getattr(scan.clues, clue) == expected if expected else scan.clues.when is not None
    assert scan.places[clue] == "zq.field"


def test_several_hashes_are_named_side_by_side(tmp_path: Path) -> None:
    """Each hash that a file names counts, and the path beside the name."""
    fields = {"sha1": "zq.a", "sha256": "zq.b", "fileName": "zq.c", "filePath": "zq.d"}
    posted = {"acme": 1, "zq": {"a": "a" * 40, "b": "b" * 64, "c": "tool.exe", "d": "C:\\t\\tool.exe"}}
    named = the_evidence(apply(posted, yours(tmp_path, fields=fields))).scan.clues
    assert (named.sha1, named.sha256) == ("a" * 40, "b" * 64)
    assert (named.file_name, named.file_path) == ("tool.exe", "C:\\t\\tool.exe")


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("box-9", Host("name", "box-9")),
        (OTHER.upper(), Host("id", OTHER)),
        ("01234567-89ab-cdef-0123-456789abcdef", Host("entra", "01234567-89ab-cdef-0123-456789abcdef")),
        ("10.1.2.3", Host("address", "10.1.2.3")),
    ],
)
def test_what_a_file_names_goes_before_what_the_scan_reads(value: str, host: Host, tmp_path: Path) -> None:
    """The user knows which host is the device, in whatever form it is written."""
    mappings = yours(tmp_path, fields={"device": ["zq"]})
    assert the_evidence(apply({"acme": 1, "zq": value, "host": "pc-1"}, mappings)).scan.clues.hosts == (host,)


def test_a_named_place_that_does_not_count_is_passed_over(tmp_path: Path) -> None:
    """A condition keeps a place from counting for a clue as for a field; the next one is taken."""
    places = [{"from": "zq", "if": "kind = edr"}, "zr"]
    mappings = yours(tmp_path, fields={"device": places})
    assert (
        the_evidence(apply({"acme": 1, "zq": "a-1", "zr": "b-1"}, mappings)).scan.clues.hosts[0].value
        == "b-1"
    )
    posted = {"acme": 1, "zq": "a-1", "zr": "b-1", "kind": "edr"}
    assert the_evidence(apply(posted, mappings)).scan.clues.hosts[0].value == "a-1"


def test_a_named_place_with_two_values_names_nothing(tmp_path: Path) -> None:
    """Two different values at one place are no clue, and no guess between them."""
    mappings = yours(tmp_path, fields={"sha1": ["zq.hash"]})
    posted = {"acme": 1, "zq": [{"hash": "a" * 40}, {"hash": "b" * 40}]}
    assert the_evidence(apply(posted, mappings)).scan.clues.sha1 == ""


def test_clues_beyond_the_budget_are_none_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload that costs too much for clues is refused as before, with its problems."""
    monkeypatch.setattr(clues.ClueReader.__init__, "__defaults__", (10,))
    outcome = apply(NOTABLE)
    assert {problem.field for problem in outcome.refused[0].problems} >= set(names.KEYS)
    assert the_evidence(outcome).scan.clues == Clues()


def test_clues_are_read_in_linear_work(tmp_path: Path) -> None:
    """Hundreds of refused alerts in one document all have their clues: nothing is walked over for each of them anew."""
    mappings = yours(tmp_path, alerts="items", fields={"fileName": "zq"}, **{"not": "items.collector"})
    items = [{"host": f"pc-{number}", "zq": "a.exe", "collector": {"sha1": SHA1}} for number in range(900)]
    outcome = apply({"acme": 1, "items": items}, mappings)
    assert len(outcome.refused) == len(items)
    for number in range(len(items)):
        scan = the_evidence(outcome, number).scan
        assert (scan.clues.hosts, scan.clues.sha1) == ((Host("name", f"pc-{number}"),), "")


@pytest.mark.parametrize("inside", [False, True], ids=["beside them", "in the alert"])
@pytest.mark.parametrize("message", ["", "This is a test alert."])
def test_what_stands_around_many_events_is_read_once(message: str, inside: bool) -> None:
    """The time of their alert is looked for in one large object: an event beside them that is whole is not lost."""

    def cost(count: int, size: int) -> int:
        many = {f"k{number}": "x" for number in range(size)}
        events = [{"DeviceId": MACHINE, "ReportId": str(number)} for number in range(count)]
        whole = {"DeviceId": MACHINE, "ReportId": "100", "Timestamp": TIME}
        posted = {"message": message, "events": [*events, whole]}
        calls: list[None] = []
        sys.setprofile(lambda *_: calls.append(None))
        try:
            outcome = apply(posted | ({"alert": many} if inside else many))
        finally:
            sys.setprofile(None)
        assert (len(outcome.alerts), len(outcome.refused)) == (1, 0 if message else len(events))
        return len(calls)

    few, more = (cost(count, 1_000) - cost(count, 10) for count in (10, 100))
    assert more < 2 * few


def test_a_packed_detail_counts_as_far_as_it_goes() -> None:
    """Sentinel's DefenderEvent of a row without a report id still has the device and the time, all digits of it."""
    detail = json.dumps({"DefenderEvent": [f"{MACHINE}||{TIME}"]})
    alert = {"AlertDisplayName": "x", "SystemAlertId": "1", "ExtendedProperties": {"Custom Details": detail}}
    [refused] = apply(alert).refused
    clues = the_evidence(apply(alert)).scan.clues
    assert [problem.field for problem in refused.problems] == ["reportId"]
    assert "Custom Detail DefenderEvent" in refused.remedy
    assert refused.texts["title"] == "x"
    assert (clues.hosts, clues.event_time) == ((Host("id", MACHINE),), TIME)


@pytest.mark.parametrize("detail", ["a|b", "||", "x"])
def test_a_packed_detail_with_nothing_in_it_is_no_event(detail: str) -> None:
    """Nothing tells which part is which."""
    custom = json.dumps({"DefenderEvent": [detail]})
    alert = {"AlertDisplayName": "x", "SystemAlertId": "1", "ExtendedProperties": {"Custom Details": custom}}
    [refused] = apply(alert).refused
    assert refused.problems[0].field == "payload"
    assert the_evidence(apply(alert)).scan.clues.hosts == ()


@pytest.mark.parametrize(
    ("entity", "clues"),
    [
        ("Resources", Clues(hosts=(Host("name", "pc-1"),))),
        ("Activityip", Clues()),
        ("Users", Clues(account_name="pc-1")),
        ("Activityaccount", Clues(account_name="pc-1")),
        ("Peers", Clues()),
    ],
)
def test_a_violator_of_securonix_is_what_its_kind_says(entity: str, clues: Clues) -> None:
    """A resource is a device, and a user none; of another kind nothing is known."""
    violator = {
        "violatorText": "pc-1",
        "violatorId": "9",
        "entity": entity,
        "reason": [{"Policies": ["Rule"]}],
    }
    [refused] = apply(violator).refused
    assert the_evidence(apply(violator)).scan.clues == clues
    assert refused.texts["title"] == "Rule"
    address = the_evidence(apply({**violator, "violatorText": "203.0.113.7"})).scan.clues.remote_ip
    assert address == ("203.0.113.7" if entity == "Activityip" else "")


@pytest.mark.parametrize(("agent", "hosts"), [("014", (Host("name", "pc-1"),)), ("000", ())])
def test_the_text_of_a_wazuh_alert_names_its_agent(agent: str, hosts: tuple[Host, ...]) -> None:
    """The agent is the device, unless it is the manager; a name within a sentence is none."""
    text = f"Rule ID 2502\nAgent ID {agent}\nAgent Name pc-1\nFull Log the Agent Name pc-2"
    clues = the_evidence(apply({"message": "Failures", "description": text})).scan.clues
    assert clues.hosts == hosts


def test_the_instance_of_an_alert_of_prometheus_is_its_device() -> None:
    """It is the host that was asked, and counts if no other is named."""
    labels = {"alertname": "a", "instance": "pc-1:9182"}
    for value, host in ((labels, "pc-1"), ({**labels, "hostname": "pc-2"}, "pc-2")):
        alert = {"labels": value, "startsAt": "2026-07-19T14:55:51Z"}
        clues = the_evidence(apply({"receiver": "r", "alerts": [alert]})).scan.clues
        assert clues.hosts == (Host("name", host),)


def test_the_time_around_several_events_is_that_of_the_alert() -> None:
    """It dates an alert on entities, and no device is searched then: whose event's time it is, nobody says."""
    events = [{"DeviceId": MACHINE, "sha1": SHA1}, {"DeviceId": OTHER, "sha1": SHA1}]
    events = [{**event, "ReportId": str(number)} for number, event in enumerate(events, 1)]
    told = apply({"search": {"name": "x", "timestamp": TIME}, "events": events})
    for number, machine in enumerate((MACHINE, OTHER)):
        found = the_evidence(told, number).scan
        assert (found.clues.hosts, found.clues.named) == ((), (Host("id", machine),))
        assert found.clues.when is not None
        assert found.places["when"] == "search.timestamp"
    for around in (
        {"search": {"created_at": TIME}},
        {"asset": {"timestamp": TIME}},
        {"alerts": [{"time": TIME}]},
    ):
        for number in range(2):
            clues = the_evidence(apply({**around, "events": events}), number).scan.clues
            assert (clues.when, len(clues.hosts)) == (None, 1)


@pytest.mark.parametrize(
    ("value", "field", "found"),
    [
        (
            {"host": "pc-1", "DetectTime": "3/4/2026 12:05:01 PM"},
            "eventTime",
            '"3/4/2026 12:05:01 PM" at DetectTime',
        ),
        (
            {"host": "pc-1", "time": "2026-03-04 13:00:00", "timezone": "CST"},
            "eventTime",
            "at time in the zone CST",
        ),
        (
            {"DeviceId": MACHINE, "processCreationTime": TIME},
            "eventTime",
            "only when a process began, at process",
        ),
        (
            {"time": TIME, "hostname": "localhost", "user": "ada"},
            "payload",
            '"localhost" at hostname, a user without',
        ),
        ({"time": TIME, "machineId": "a" * 32, "fileName": "a.exe"}, "payload", f'"{"a" * 32}" at machineId'),
        ({"offense_source": "ada", "start_time": TIME}, "payload", '"ada" at offense_source'),
        ({"host": "pc-1"}, "eventTime", None),
        ({"time": TIME, "user": "-"}, "payload", None),
    ],
)
def test_what_an_alert_on_entities_lacks_is_told_with_what_was_found(
    value: dict[str, str], field: str, found: str | None
) -> None:
    """A time or a device that cannot be read is shown at its place; where there is none, nothing is said of one."""
    [refused] = map(entries.explained, apply(value).refused)
    [problem] = [each for each in refused.problems if each.detail.startswith("For an alert without an event")]
    assert problem.field == field
    assert "Send " in problem.detail
    assert ("found: " in problem.detail) is bool(found)
    assert (found or "") in problem.detail
