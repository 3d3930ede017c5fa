"""Which of the readings are the clues: whose they are, which host is the device, which time is the event's."""

from typing import Any

import pytest

from shared.payload import clue_scan
from shared.payload.clue_choice import ClueScan
from shared.payload.paths import Node
from shared.payload.reader import Reader
from shared.search import devices

SHA1, SHA256 = "c" * 40, "d" * 64


def read(value: Any) -> ClueScan:
    """Return the clues in a payload."""
    return clue_scan.read(Node(value, None, Reader(lambda _: None)))


AROUND = {"hostname": "pc-1", "time": "2026-03-04T05:06:07Z", "command_line": "tool.exe /run"}


@pytest.mark.parametrize(
    "beside",
    [
        {"previous_alerts": [{"hostname": "pc-9", "command_line": "old.exe", "sha1": SHA1}]},
        {"similar": [{"hostname": "pc-9", "sha256": SHA256}]},
        {"ioc": {"sha256": SHA256, "remote_ip": "203.0.113.7"}},
        {"threat": {"indicator": {"file": {"hash": {"sha1": SHA1}}}}},
        {"assignee": {"user": {"name": "analyst"}, "hostname": "pc-9"}},
        {"rule": {"created_at": "2024-01-01T00:00:00Z", "process_name": "x.exe"}},
        {"children": [{"command_line": "child.exe", "pid": "9"}]},
        {"device": {"created_at": "2024-01-01T00:00:00Z"}, "agent": {"createdAt": "2023-01-01T00:00:00Z"}},
        {"session": {"startTime": "2026-03-04T01:00:00Z"}, "search": {"endTime": "2026-03-04T09:00:00Z"}},
        {"parent": {"command_line": "parent.exe /x", "pid": "8", "sha1": SHA1}},
        {"collector": {"hostname": "relay-1", "ip": "10.0.0.9", "process_name": "agent.exe"}},
        {"url": "https://siem.contoso.example/alerts/1"},
        {"file": {"created": "2025-01-01T00:00:00Z", "mtime": "2025-01-01T00:00:00Z"}},
    ],
    ids=lambda beside: next(iter(beside)),
)
def test_what_stands_beside_an_event_is_not_of_it(beside: dict[str, Any]) -> None:
    """Earlier alerts, intelligence, analysts, children, parents, relays, links and times of things add no clue."""
    assert read({**AROUND, **beside}).clues == read(AROUND).clues
    assert read({**beside, **AROUND}).clues == read(AROUND).clues


@pytest.mark.parametrize(
    ("payload", "hosts"),
    [
        ({"host": "relay-1", "sourcetype": "x", "dest": "pc-1"}, ["pc-1"]),
        ({"host": "relay-1", "sourcetype": "x"}, ["relay-1"]),
        ({"Computer": "cef-1", "DeviceVendor": "x", "SourceIP": "10.0.0.5"}, ["10.0.0.5"]),
        ({"devname": "fw-1", "srcip": "10.0.0.5", "dstip": "203.0.113.9"}, ["10.0.0.5"]),
        ({"dvc": "pc-1", "process_name": "a.exe", "src": "10.0.0.5", "dest": "203.0.113.9"}, ["pc-1"]),
        ({"agent": {"name": "wec-1"}, "winlog": {"computer_name": "pc-1"}}, ["pc-1"]),
        ({"hostname": "fw-1", "src_ip": "10.0.0.5", "dst_ip": "203.0.113.9"}, ["fw-1", "10.0.0.5"]),
        ({"observer": {"name": "fw-1"}, "source": {"ip": "10.0.0.5"}}, ["10.0.0.5"]),
        ({"event_category": "authentication", "src": "pc-1", "dest": "srv-1"}, ["srv-1"]),
        ({"http": {"hostname": "www.fabrikam.example"}, "src_ip": "10.0.0.5"}, ["10.0.0.5"]),
        ({"host": {"name": ["pc-1", "pc-2"]}, "src": "10.0.0.5"}, []),
    ],
)
def test_which_host_is_the_device(payload: dict[str, Any], hosts: list[str]) -> None:
    """Names and what stands beside them tell the device from a relay, a firewall, a site, and the other end."""
    assert [host.value for host in read(payload).clues.hosts] == hosts


@pytest.mark.parametrize(
    ("payload", "remote"),
    [
        ({"src": "10.0.0.5", "dest": "203.0.113.9"}, "203.0.113.9"),
        ({"src": "203.0.113.9", "dest": "10.0.0.5"}, "203.0.113.9"),
        ({"src": "10.0.0.5", "dest": "10.0.0.5"}, ""),
        ({"hostname": "srv-1", "src": "10.0.0.5", "dest": "10.0.0.9", "direction": "inbound"}, "10.0.0.5"),
        ({"host": {"name": "srv-1", "ip": "10.0.0.9"}, "src": "10.0.0.5", "dest": "10.0.0.9"}, "10.0.0.5"),
        ({"hostname": "srv-1", "src": "10.0.0.5", "dest_host": "srv-1", "dest": "10.0.0.9"}, "10.0.0.5"),
        ({"hostname": "srv-1", "EventID": "4624", "IpAddress": "10.0.0.5"}, "10.0.0.5"),
        ({"hostname": "srv-1", "IpAddress": "127.0.0.1"}, ""),
    ],
)
def test_which_end_is_the_other_one(payload: dict[str, Any], remote: str) -> None:
    """The other end is the one that is not the device's own, the public one, or that of the direction."""
    assert read(payload).clues.remote_ip == remote


def test_a_time_of_two_under_one_name_is_the_one_beside_the_event() -> None:
    """An alert and its event call their times alike; the event's is the one in the object with its facts."""
    event = {"timestamp": "2026-03-04T05:06:07Z", "hostname": "pc-1", "sha1": SHA1}
    when = read({"alert": {"timestamp": "2026-03-04T05:09:00Z"}, "events": [event]}).clues.when
    assert when is not None
    assert when.start == devices.moment("2026-03-04T05:06:07Z")


def test_the_start_of_a_program_is_the_time_of_nothing_else() -> None:
    """A process may have run for days when it wrote a file, so its start is not the time of that."""
    process = {
        "process": {"name": "tool.exe", "start": "2026-03-01T00:00:00Z"},
        "time": "2026-03-04T05:06:07Z",
    }
    for other in ({"file": {"name": "x.dll"}}, {"remote_ip": "203.0.113.7"}, {"registry_key": "HKLM\\S\\X"}):
        when = read({**process, **other}).clues.when
        assert when is not None
        assert when.start == devices.moment("2026-03-04T05:06:07Z")
    started = read(process).clues.when
    assert started is not None
    assert started.start == devices.moment("2026-03-01T00:00:00Z")


def test_a_time_that_cannot_be_read_gives_way_to_the_next() -> None:
    """The next best time is taken, as what it is: not the event's own."""
    when = read({"process": {"start": "yesterday"}, "@timestamp": "2026-03-04T05:06:07Z"}).clues.when
    assert when is not None
    assert not when.own
