"""Facts: when a row agrees with a clue, when it contradicts it, and when it says nothing."""

from dataclasses import replace

import pytest

from shared.payload.clues import SECOND, Clues, Host, When
from shared.search import devices, facts, query, verdict

DEVICE, OTHER = "a" * 40, "b" * 40
AT = devices.moment("2026-03-04T05:06:07.8900000Z") or 0
CLUES = Clues(
    hosts=(Host("name", "pc-1"),),
    when=When(AT, AT, 1, own=True),
    sha1="c" * 40,
    file_name="tool.exe",
    command_line="tool.exe /run",
)
ROW = {
    "Row": "event",
    "Table": "DeviceProcessEvents",
    "Timestamp": "2026-03-04T05:06:07.8912345Z",
    "ReportId": "20776",
    "DeviceId": DEVICE,
    "DeviceName": "pc-1.contoso.example",
    "ActionType": "ProcessCreated",
    "SHA1": "c" * 40,
    "FileName": "tool.exe",
    "CommandLine": "tool.exe /run",
}


@pytest.mark.parametrize(
    ("fact", "clue", "column", "value", "same"),
    [
        ("sha1", "AB" * 20, "SHA1", "ab" * 20, True),
        ("sha1", "ab" * 20, "SHA1", "cd" * 20, False),
        ("sha1", "ab" * 20, "SHA1", "", None),
        ("command_line", "a.exe   /x", "CommandLine", "A.exe /x", True),
        ("command_line", "a.exe /x", "CommandLine", "a.exe /xy", None),
        ("command_line", "a.exe /x...", "CommandLine", "a.exe /xy", None),
        ("command_line", "a.exe /x", "CommandLine", "a.exe /y", False),
        ("command_line", "a" * 4096, "CommandLine", "a" * 4096, None),
        ("process_id", "0012", "ProcessId", "12", True),
        ("process_id", "1", "ProcessId", "12", False),
        ("file_name", "C:\\x\\A.EXE", "FileName", "a.exe", True),
        ("file_name", "a", "FileName", "a.exe", None),
        ("file_name", "a.exe", "FileName", "aa.exe", False),
        ("file_path", "C:\\x\\a.exe", "FolderPath", "\\Device\\HarddiskVolume3\\x\\a.exe", True),
        ("file_path", "/usr/bin/a", "FolderPath", "/usr/bin/b", False),
        ("file_path", "a.exe", "FolderPath", "C:\\a.exe", None),
        ("file_path", "%SystemRoot%\\system32\\a.exe", "FolderPath", "C:\\Windows\\System32\\a.exe", None),
        ("remote_ip", "::ffff:203.0.113.7", "RemoteIP", "203.0.113.7", True),
        ("remote_ip", "203.0.113.7", "RemoteIP", "203.0.113.77", False),
        ("remote_url", "https://u:p@A.example:8443/x?y", "RemoteUrl", "a.example", True),
        ("remote_url", "a.example", "RemoteUrl", "b.a.example", False),
        ("registry_key", "HKLM\\Software\\X", "RegistryKey", "HKEY_LOCAL_MACHINE\\SOFTWARE\\X", True),
        ("registry_key", "\\REGISTRY\\MACHINE\\Software\\X", "RegistryKey", "HKLM:\\Software\\X", True),
        ("registry_key", "HKU\\S-1-5-21-1\\X", "RegistryKey", "HKEY_CURRENT_USER\\S-1-5-21-1\\X", True),
        ("registry_key", "HKLM\\X\\Run", "RegistryKey", "HKLM\\X", False),
        ("registry_key", "HKLM\\X", "RegistryKey", "HKEY_CURRENT_USER\\X", False),
        ("account_sid", "S-1-5-21-1-2-3-1104", "AccountSid", "s-1-5-21-1-2-3-1104", True),
        ("account_sid", "S-1-5-21-1-2-3-1104", "AccountSid", "S-1-5-18", False),
        ("account_sid", "S-1-0-0", "AccountSid", "S-1-5-18", None),
        ("account_sid", "S-1-5-18", "AccountSid", "S-1-0-0", None),
        ("account_sid", "S-1-5-18", "AccountSid", "", None),
        ("outcome", "failure", "ActionType", "LogonSuccess", False),
        ("outcome", "success", "ActionType", "LogonSuccess", True),
        ("outcome", "blocked", "ActionType", "ConnectionFailed", None),
        ("outcome", "failure", "ActionType", "ProcessCreated", None),
    ],
)
def test_a_fact_agrees_differs_or_is_not_named(
    fact: str, clue: str, column: str, value: str, same: bool | None
) -> None:
    """Both sides are brought to one form; what a side does not tell, or only in part, is no contradiction."""
    compared = facts.compare(Clues(**{fact: clue}), {column: value})  # type: ignore[arg-type]  # a fact is text
    assert (fact in compared.agree, fact in compared.differ) == (same is True, same is False)


@pytest.mark.parametrize(
    "sid", ["S-1-5-18", "S-1-5-32-544", "S-1-1-0", "S-1-5-21-1-2-3-500", "S-1-5-80-1-2-3-4-5"]
)
def test_a_well_known_sid_names_no_event(sid: str) -> None:
    """A SID that every machine has is never strong; a person's is, where the event is a logon."""
    row = {**ROW, "Table": "DeviceLogonEvents", "AccountSid": sid}
    persons = "S-1-5-21-1-2-3-1104"
    for account, expected in ((sid, False), (persons, True)):
        clues = Clues(account_sid=account)
        compared = facts.compare(clues, {**row, "AccountSid": account})
        assert ("account_sid" in facts.strong(clues, compared, row)) is expected
        assert "account_sid" not in facts.strong(clues, compared, ROW)


def judged(*rows: dict[str, str], clues: Clues = CLUES, age: float = 4_000) -> verdict.Verdict:
    """Return the verdict on rows."""
    return verdict.judge(clues, rows, age=age)


def at(text: str, report: int, **columns: str) -> dict[str, str]:
    """Return the row again, at another time of the same minute and with another report id."""
    return {**ROW, "Timestamp": f"2026-03-04T05:06:{text}Z", "ReportId": str(report), **columns}


def test_the_match_says_what_agrees_and_how_far_it_is() -> None:
    """A match has its grade, the facts that agree, the ticks to it and the reference as the row writes it."""
    judgement = judged(ROW)
    assert (judgement.outcome, judgement.grade, judgement.reason) == ("match", "exact", "")
    assert judgement.match is not None
    assert judgement.match.agree == {"sha1", "file_name", "command_line"}
    assert judgement.match.apart == 12_345
    assert verdict.reference(judgement.match.row) == {
        "machineId": DEVICE,
        "eventTime": "2026-03-04T05:06:07.8912345Z",
        "reportId": "20776",
    }


def test_of_twins_the_nearest_is_taken_and_of_equally_near_ones_the_earlier() -> None:
    """The same alert twice gives the same event, in whatever order the rows come."""
    rows = [at("07.9900000", 3), at("07.7900000", 2), at("08.8900000", 1)]
    for order in (rows, rows[::-1]):
        judgement = judged(*order)
        assert judgement.match is not None
        assert (judgement.match.row["ReportId"], judgement.match.twins) == ("2", 3)


def test_a_name_and_its_second_are_a_probable_match_if_nothing_else_has_the_name() -> None:
    """Without a strong fact only the one event of the name at the event's own time is taken, and only as probable."""
    clues = replace(CLUES, sha1="", command_line="", when=When(AT, AT, SECOND, own=True))
    judgement = judged(ROW, clues=clues)
    assert (judgement.outcome, judgement.grade) == ("match", "probable")
    assert judged(ROW, at("40.0000000", 5, CommandLine="other"), clues=clues).match is None
    assert judged({**ROW, "Timestamp": "2026-03-04T05:06:10.0000000Z"}, clues=clues).match is None
    assert judged(ROW, clues=replace(clues, when=When(AT, AT, SECOND, own=False))).match is None


def test_two_events_with_one_fact_each_are_ambiguous() -> None:
    """What one event has of a payload and another has not can mean either."""
    first, second = at("07.0000000", 1, CommandLine=""), at("08.0000000", 2, SHA1="")
    assert judged(first, second).outcome == "ambiguous"


def test_a_row_that_differs_still_counts_as_one_that_has_the_fact() -> None:
    """An event that is excluded takes its fact from others: the payload may be wrong in what excludes it."""
    clues = replace(CLUES, command_line="", process_id="12")
    right, other = at("07.0000000", 1, ProcessId="13"), at("09.0000000", 2)
    assert judged(other, clues=clues).outcome == "match"
    assert judged(right, other, clues=clues).outcome == "ambiguous"


def test_too_many_rows_are_ambiguous() -> None:
    """Where more events agree than a search looks at, nothing is known to be the only one."""
    rows = [at(f"{number:02}.0000000", number, SHA1="", CommandLine="") for number in range(query.ROWS)]
    assert judged(*rows, ROW).outcome == "ambiguous"
    assert judged(*rows[1:], ROW).outcome == "match"


def test_of_two_ends_the_initiating_one_is_taken() -> None:
    """Where both ends of a connection have the event, it is the one of the initiating end, in any order of rows."""
    clues = replace(CLUES, hosts=(Host("name", "pc-1"), Host("name", "srv-1")))
    there = {**ROW, "DeviceId": OTHER, "DeviceName": "srv-1.contoso.example"}
    for rows in ((ROW, there), (there, ROW)):
        judgement = judged(*rows, clues=clues)
        assert judgement.match is not None
        assert judgement.match.row["DeviceId"] == DEVICE
    alone = judged(there, clues=clues)
    assert alone.match is not None
    assert alone.match.row["DeviceId"] == OTHER


def test_a_device_that_defender_does_not_know_is_said_so() -> None:
    """No row of the device is another answer than a device without the event."""
    known = {"Row": "device", "DeviceId": DEVICE, "DeviceName": "pc-1.contoso.example"}
    assert judged().outcome == "no device"
    assert judged(known).outcome == "none"
    assert "pc-1" in judged().reason


@pytest.mark.parametrize("column", ["DeviceId", "Timestamp", "ReportId"])
@pytest.mark.parametrize("value", ["", "x", "1.5"])
def test_a_row_without_a_reference_is_never_a_match(column: str, value: str) -> None:
    """A row that names no event as Defender does is no match, whatever agrees."""
    clues = replace(CLUES, when=When(AT, AT, SECOND, own=False))
    assert judged({**ROW, column: value}, clues=clues).match is None
