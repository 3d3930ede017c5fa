"""Shapes in which a clue is easily read of the wrong thing: a relay, the other end, a forefather, a receipt."""

import json
from typing import Any

import pytest

from shared.payload import body, clue_scan, clue_values
from shared.payload.clues import FACTS
from shared.payload.paths import Node
from shared.payload.reader import Reader
from shared.search import query

SHA256, OTHER = "c" * 64, "d" * 64
TIME = "2026-03-04T05:06:07Z"
EVENT = {"hostname": "PC-77", "time": TIME, "sha256": SHA256}


def read(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the clues in a payload by their names, those that are there."""
    [document] = body.read(json.dumps(payload).encode(), max_bytes=100_000)
    clues = clue_scan.read(Node(document, None, Reader(lambda _: None))).clues
    found: dict[str, Any] = {fact: value for fact in FACTS if (value := getattr(clues, fact))}
    return found | {
        "hosts": [host.value for host in clues.hosts],
        "when": query.iso(clues.when.start) if clues.when else "",
        "own": clues.when is not None and clues.when.own,
    }


LOGON = {"_time": TIME, "EventCode": "4624", "TargetUserName": "anna", "LogonType": "3"}


@pytest.mark.parametrize(
    ("payload", "hosts"),
    [
        ({**LOGON, "host": "SRV-DB", "WorkstationName": "PC-77", "IpAddress": "10.1.2.3"}, ["srv-db"]),
        ({**LOGON, "WorkstationName": "PC-77", "IpAddress": "10.1.2.3"}, []),
        (
            {"event_category": "authentication", "time": TIME, "src": "PC-77", "dest": "10.1.9.9"},
            ["10.1.9.9"],
        ),
        ({"_time": "1772600767", "host": "idx1", "dest": "PC-77", "process": "x.exe /run"}, ["pc-77"]),
        ({"_time": "1772600767", "host": "PC-77", "process": "x.exe /run"}, ["pc-77"]),
        ({"rawLogTime": TIME, "host": "dc01", "dest_host": "pc-77", "process_name": "x.exe"}, ["pc-77"]),
        (
            {"host": "proxy01", "s_action": "TCP_HIT", "c_ip": "10.1.2.3", "cs_host": "bad.fabrikam.example"},
            ["10.1.2.3"],
        ),
        ({"_collector": "relay-1", "_sourcehost": "PC-77"}, ["pc-77"]),
        ({"machines": [{"displayName": "PC-77"}], "time": TIME}, ["pc-77"]),
        ({"asset": "pc-77.contoso.example", "time": TIME}, ["pc-77.contoso.example"]),
        ({"event": {"endpoint": {"host": "PC-77"}}, "server": {"host": "srv-av-1"}}, ["pc-77"]),
        ({"device": {"ip": "10.1.2.3"}, "ems": {"host": "ems-1"}}, ["10.1.2.3"]),
    ],
)
def test_the_device_is_where_the_event_was_recorded(payload: dict[str, Any], hosts: list[str]) -> None:
    """Neither a relay, nor a proxy, nor the workstation of who logs on elsewhere is the device."""
    assert read(payload)["hosts"] == hosts


@pytest.mark.parametrize(
    ("more", "remote"),
    [
        ({"src_ip": "10.1.2.3"}, ""),
        ({"dest_ip": "10.1.2.3"}, ""),
        ({"IP Address": "10.1.2.3"}, ""),
        ({"device_info": {"ip_address": "10.1.2.3"}}, ""),
        ({"src_ip": "10.1.2.3", "direction": "inbound"}, "10.1.2.3"),
        ({"dest_ip": "10.1.2.3", "dest_port": 445}, "10.1.2.3"),
        ({"src_ip": "203.0.113.9"}, "203.0.113.9"),
        ({"src_ip": "10.1.2.3", "dest_ip": "203.0.113.9"}, "203.0.113.9"),
        ({"EventID": 4625, "IpAddress": "10.1.2.3"}, "10.1.2.3"),
    ],
)
def test_a_private_address_alone_is_likely_the_devices_own(more: dict[str, Any], remote: str) -> None:
    """It is that of the other end only with a port or a direction, or at a logon."""
    assert read({**EVENT, **more}).get("remote_ip", "") == remote


@pytest.mark.parametrize("name", ["ancestors", "lineage", "process_tree"])
def test_a_forefathers_hash_is_not_the_files(name: str) -> None:
    """What started the process some generations ago is not the event's file."""
    payload = {"hostname": "PC-77", "time": TIME, "process": {"name": "x.exe", name: [{"sha256": OTHER}]}}
    assert "sha256" not in read(payload)


def test_an_intelligence_service_adds_no_hash() -> None:
    """What another service knows of a file is of its own sample."""
    assert "md5" not in read({**EVENT, "vt": {"md5": "b" * 32, "first_seen": "2020-01-01T00:00:00Z"}})


def test_the_time_of_a_logger_is_not_the_events_own() -> None:
    """ArcSight's logger writes its own time as that of the event, beside the device's times."""
    payload = {
        "deviceHostName": "pc-77",
        "Event Time": 1772900000123,
        "startTime": 1772600767123,
        "endTime": 1772600767123,
        "deviceReceiptTime": 1772600768000,
        "fileHash": SHA256,
    }
    assert read(payload)["when"] == "2026-03-04T05:06:07.1230000Z"
    assert read({"Event Time": "2026-03-04 05:06:07", "Computer Name": "PC-77"})["own"]


def test_of_a_local_time_and_one_in_utc_the_second_counts() -> None:
    """LogRhythm's logDate is in local time, normalDate in UTC."""
    payload = {"impactedHost": "PC-77", "logDate": "2026-03-04T07:06:07", "normalDate": "2026-03-04T05:06:07"}
    assert read(payload)["when"] == "2026-03-04T05:06:07.0000000Z"


def test_the_start_of_a_process_is_not_the_time_of_a_file() -> None:
    """A file's alert may name when the process that holds it was started."""
    started = {"process_start_time": "2026-03-02T05:06:07Z"}
    assert read({**EVENT, "file_name": "x.exe", **started})["when"] == "2026-03-04T05:06:07.0000000Z"
    assert read({**EVENT, "process_name": "x.exe", **started})["when"] == "2026-03-02T05:06:07.0000000Z"


@pytest.mark.parametrize(
    ("more", "fact", "value"),
    [
        ({"processFileHashSha256": OTHER, "processFilePath": "C:\\x.exe"}, "sha256", OTHER),
        ({"file": {"path": "/etc/passwd", "sha256_after": OTHER, "sha256_before": SHA256}}, "sha256", OTHER),
        ({"Application Hash": OTHER}, "sha256", OTHER),
    ],
)
def test_a_hash_under_a_products_own_name(more: dict[str, Any], fact: str, value: str) -> None:
    """The file's hash is read, and not the one that it had before."""
    assert read({"hostname": "PC-77", "time": TIME, **more})[fact] == value


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("C:\\Temp\\x.exe /svc", "C:\\Temp\\x.exe"),
        ('"C:\\Program Files\\A\\x.exe" -k one/two', "C:\\Program Files\\A\\x.exe"),
        ("C:\\Program Files\\A\\x.exe", "C:\\Program Files\\A\\x.exe"),
        ("C:\\a.exe\\b c.txt", "C:\\a.exe\\b c.txt"),
        ("%SystemRoot%\\system32\\svchost.exe -k netsvcs", "%SystemRoot%\\system32\\svchost.exe"),
        ("file:_C:\\Temp\\x.exe", "C:\\Temp\\x.exe"),
        ("/usr/bin/x", "/usr/bin/x"),
    ],
)
def test_a_program_is_told_from_its_arguments(text: str, path: str) -> None:
    """The path of a service ends with its program; Windows Defender writes a word before one."""
    assert clue_values.path(text) == path


def test_a_syslog_priority_is_no_markup() -> None:
    """A line of CEF behind a syslog header has all of its extensions."""
    line = f"dvchost=PC-77 rt=1772600767000 fname=x.exe fileHash={SHA256}"
    line = f"<134>Mar  4 05:06:07 relay-1 CEF:0|V|EDR|1|100|Malware|8|{line}"
    clues = read({"message": line})
    assert clues == {
        "sha256": SHA256,
        "file_name": "x.exe",
        "hosts": ["pc-77"],
        "when": "2026-03-04T05:06:07.0000000Z",
        "own": False,
    }


def test_an_antivirus_event_of_windows_is_of_the_file_it_found() -> None:
    """Its path is the file, and its process the program that touched it."""
    data = {
        "Threat Name": "Trojan",
        "Path": "file:_C:\\Temp\\x.exe",
        "Process Name": "C:\\Windows\\explorer.exe",
    }
    clues = read({"EventID": 1116, "Computer": "PC-77", "TimeCreated": TIME, "EventData": data})
    assert (clues["file_name"], clues["process_name"]) == ("x.exe", "explorer.exe")


@pytest.mark.parametrize("member", ["message", "description", "details"])
@pytest.mark.parametrize("name", ["host", "hostname", "dest", "device_name", "DeviceId"])
@pytest.mark.parametrize("own", [{"hostname": "PC-77"}, {"dest": "PC-77"}, {"host": {"name": "PC-77"}}])
def test_a_quoted_command_line_names_no_other_device_or_user(
    own: dict[str, Any], name: str, member: str
) -> None:
    """Where the payload names its device and its user, what a text for people says of them does not count."""
    other = "e" * 40 if name == "DeviceId" else "srv-dc"
    text = f"cmd.exe /c echo {name}={other} user=admin@contoso.example domain=CONTOSO sid=S-1-5-21-1-2-3-500"
    found = read({**own, "time": TIME, "user": "amy", member: text})
    assert (found["hosts"], found["account_name"]) == (["pc-77"], "amy")
    assert {"account_upn", "account_sid", "account_domain"}.isdisjoint(found)


@pytest.mark.parametrize("own", [{}, {"agent": {"name": "relay-1"}}])
def test_a_text_names_the_device_where_nothing_else_does(own: dict[str, Any]) -> None:
    """Its twin: a log line in a text is all that there is, or there is only a relay beside it."""
    found = read({**own, "time": TIME, "message": "type=alert host=PC-77 user=amy sha256=" + SHA256})
    assert (found["hosts"], found["account_name"]) == (["pc-77"], "amy")
