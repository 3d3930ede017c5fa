"""An event that nobody recorded: another one that has something in common with it is never taken for it."""

from dataclasses import replace
from typing import Any

import pytest

from shared.payload.clues import SECOND, Clues, Host, When
from shared.search import devices, query, verdict

TIME = devices.moment("2026-03-04T05:06:07.0000000Z") or 0
MINUTE = 60 * SECOND
DETECTED = Clues((Host("name", "pc-1"),), When(TIME, TIME, 10_000, own=False))
KNOWN = {"Row": "device", "DeviceId": "a" * 40, "DeviceName": "pc-1.contoso.example"}
SHARED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a hash": (
        {"sha1": "c" * 40, "file_name": "tool.exe", "file_path": "C:\\Tools\\tool.exe"},
        {"Table": "DeviceProcessEvents", "SHA1": "c" * 40, "FolderPath": "C:\\Tools\\tool.exe"},
    ),
    "an address": (
        {"remote_ip": "203.0.113.9", "remote_port": "443"},
        {"Table": "DeviceNetworkEvents", "RemoteIP": "203.0.113.9", "RemotePort": "443"},
    ),
    "a registry key": (
        {"registry_key": "HKEY_LOCAL_MACHINE\\SOFTWARE\\Run"},
        {"Table": "DeviceRegistryEvents", "RegistryKey": "HKEY_LOCAL_MACHINE\\SOFTWARE\\Run"},
    ),
    "a command line without arguments": (
        {"command_line": "tool.exe", "file_name": "tool.exe"},
        {"Table": "DeviceProcessEvents", "CommandLine": "tool.exe"},
    ),
    "the SID of who logs on": (
        {"account_sid": "S-1-5-21-1-2-3-1105", "kinds": ("logon",)},
        {"Table": "DeviceLogonEvents", "AccountSid": "S-1-5-21-1-2-3-1105"},
    ),
}
TIMES = {
    "of its detection": When(TIME, TIME, 10_000, own=False),
    "its own, to the second": When(TIME, TIME, SECOND, own=True),
    "of its first and last activity": When(TIME - 5 * MINUTE, TIME + 5 * MINUTE, 10_000, own=False),
}


def row(seconds: float, values: dict[str, str]) -> dict[str, str]:
    """Return an event some seconds after the payload's time."""
    at = TIME + int(seconds * SECOND)
    return {
        "Row": "event",
        "Timestamp": query.iso(at),
        "ReportId": str(at % 10**9),
        "DeviceId": "a" * 40,
        "DeviceName": "pc-1.contoso.example",
        "FileName": "tool.exe",
        **values,
    }


def judged(clues: Clues, *rows: dict[str, str]) -> verdict.Verdict:
    """Return the verdict on an event of hours ago."""
    return verdict.judge(clues, [KNOWN, *rows], age=40_000)


@pytest.mark.parametrize("when", TIMES)
@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("seconds", [31, -31, 8, -200])
def test_what_two_events_can_have_names_none_far_from_the_time(
    shared: str, when: str, seconds: float
) -> None:
    """A hash, an address, a key, a bare command or a SID is no proof for an event that is not close to the time."""
    facts, values = SHARED[shared]
    judgement = judged(replace(DETECTED, when=TIMES[when], **facts), row(seconds, values))
    assert judgement.outcome == "none"
    assert judgement.reason


@pytest.mark.parametrize("when", ["of its detection", "its own, to the second"])
@pytest.mark.parametrize("shared", SHARED)
def test_close_to_the_time_it_names_the_event(shared: str, when: str) -> None:
    """Within seconds of the time the same fact is enough."""
    facts, values = SHARED[shared]
    assert judged(replace(DETECTED, when=TIMES[when], **facts), row(-4, values)).outcome == "match"


def test_a_time_to_the_minute_is_not_close_to_anything() -> None:
    """A minute in which the event was is no time within seconds."""
    facts, values = SHARED["a hash"]
    when = When(TIME, TIME, MINUTE, own=True)
    assert judged(replace(DETECTED, when=when, **facts), row(31, values)).outcome == "none"


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(-400, "match"), (-31, "match"), (0.4, "match"), (4, "none"), (31, "none"), (400, "none")],
)
def test_an_event_comes_before_its_detection(seconds: float, outcome: str) -> None:
    """A command line with arguments finds an event minutes before its detection, and none after it."""
    clues = replace(DETECTED, command_line="tool.exe /run 7")
    values = {"Table": "DeviceProcessEvents", "CommandLine": "tool.exe /run 7"}
    assert judged(clues, row(seconds, values)).outcome == outcome


@pytest.mark.parametrize("more", [{"process_id": "4711"}, {"command_line": "tool.exe /run 7"}])
def test_a_known_process_and_what_it_did_name_an_event_farther_away(more: dict[str, Any]) -> None:
    """A process known by its id or command line, with the address it reached, is found before its detection."""
    clues = replace(DETECTED, remote_ip="203.0.113.9", file_name="tool.exe", **more)
    values = {"ProcessId": "4711", "CommandLine": "tool.exe /run 7", "RemoteIP": "203.0.113.9"}
    assert judged(clues, row(-45, {"Table": "DeviceNetworkEvents", **values})).outcome == "match"
    assert judged(clues, row(-45, {"Table": "DeviceProcessEvents", **values})).outcome == "match"


def test_an_event_without_a_hash_may_have_it() -> None:
    """If two events have the command line, one of them is not the right one only because its hash was recorded."""
    clues = replace(DETECTED, command_line="tool.exe /run 7", sha1="c" * 40)
    values = {"Table": "DeviceProcessEvents", "CommandLine": "tool.exe /run 7", "FileName": "tool.exe"}
    with_hash = row(-3, {**values, "SHA1": "c" * 40, "ProcessId": "12"})
    assert judged(clues, with_hash).outcome == "match"
    assert judged(clues, row(-1, {**values, "ProcessId": "11"}), with_hash).outcome == "ambiguous"
    assert judged(clues, row(-1, {**values, "SHA1": "d" * 40}), with_hash).outcome == "match"
