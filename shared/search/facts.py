"""Comparing a row of hunting with the clues: which facts agree, and which differ.

Products write addresses, paths, registry keys and command lines in different ways; both sides are brought to one form.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.payload.clues import FACTS, Clues

Row = Mapping[str, str | None]
"""A row of the query's answer: text by column; a column may be missing."""

LONGEST_TEXT = 4_096
"""Characters of a text in a row: what is as long was cut."""

STRONG = frozenset(
    {
        "sha1",
        "sha256",
        "md5",
        "command_line",
        "process_id",
        "remote_ip",
        "remote_url",
        "registry_key",
        "account_sid",
        "report_id",
        "event_time",
    }
)
"""Facts of which one is enough to name an event, if only one event around has it."""

_SOFT = frozenset(
    {"account_name", "account_domain", "account_upn"}
)  # who acts is often not the account in an alert
PROGRAM = frozenset({"sha1", "sha256", "md5", "command_line", "file_name", "process_name"})
_PERSON = re.compile(r"s-1-5-21(?:-\d{1,10}){3}-\d{4,10}|s-1-12-1(?:-\d{1,10}){4}", re.ASCII)
_NOBODY = "S-1-0-0"
_HIVES = {
    "hklm": "hkey_local_machine",
    "hkcu": "hkey_current_user",
    "hku": "hkey_users",
    "hkcr": "hkey_classes_root",
    "machine": "hkey_local_machine",
    "user": "hkey_users",
}
_USERS = ("hkey_current_user", "hkey_users")
_DRIVE = re.compile(r"(?:\\\\\?\\)?(?:[a-z]:|\\device\\harddiskvolume\d{1,3})(?=\\)", re.ASCII)
_URL_HOST = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,20}:)?(?://)?(?:[^/@]{0,200}@)?(\[[0-9a-f:.]+\]|[^/:?#]+)", re.ASCII
)
_OUTCOMES = {
    "success": "success",
    "succeeded": "success",
    "accepted": "success",
    "failed": "failure",
    "failure": "failure",
    "blocked": "blocked",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """The names of the facts in which a row agrees with the clues, and of those in which it differs."""

    agree: frozenset[str]
    differ: frozenset[str]


def compare(clues: Clues, row: Row) -> Compared:
    """Compare a row with the clues. A fact that one side does not have is in neither set."""
    same_by_fact = {fact: _COMPARE[fact](value, row) for fact in FACTS if (value := getattr(clues, fact))}
    return Compared(
        frozenset(fact for fact, same in same_by_fact.items() if same),
        frozenset(fact for fact, same in same_by_fact.items() if same is False),
    )


def contradicts(compared: Compared, row: Row) -> frozenset[str]:
    """Return the differing facts that exclude a row; an account excludes it only if the event is a logon."""
    return compared.differ - (frozenset() if _is_logon(row) else _SOFT)


def strong(clues: Clues, compared: Compared, row: Row) -> frozenset[str]:
    """Return the facts of a row that identify the event if no other event near it has them.

    A process id does so only with the program, because ids are used again; a SID only at a logon, and only a person's;
    a report id, which is used again too, only at the event's own time.
    """
    strong_facts = compared.agree & STRONG
    if not compared.agree & PROGRAM:
        strong_facts -= {"process_id"}
    if not _is_logon(row) or not _PERSON.fullmatch(clues.account_sid.lower()):
        strong_facts -= {"account_sid"}
    if not clues.when or not clues.when.own:
        strong_facts -= {"report_id"}
    return strong_facts


def address(text: str) -> str:
    """Return an address in one form (IPv4 in IPv6 as IPv4); a text that is no address, unchanged."""
    try:
        read = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return text.strip().lower()
    mapped = read.ipv4_mapped if isinstance(read, ipaddress.IPv6Address) else None
    return str(mapped or read)


def url_host(text: str) -> str:
    """Return the host of a URL in small letters, or the host itself; "" if there is none."""
    parts = _URL_HOST.match(text.strip().lower())
    return parts[1].rstrip(".").strip("[]") if parts else ""


def registry(text: str) -> tuple[str, str]:
    """Return a registry key as its hive and the path in it, in small letters, without the user's SID."""
    parts = text.strip().lower().replace("/", "\\").strip("\\").split("\\")
    parts = parts[1:] if parts[0] in ("registry", "computer") else parts
    hive = _HIVES.get(parts[0].rstrip(":"), parts[0].rstrip(":"))
    keys = parts[1:]
    if hive in _USERS:
        hive = "user"
        keys = keys[1:] if keys and keys[0].startswith("s-1-") else keys
    return hive, "\\".join(keys)


def path(text: str) -> str:
    """Return a path in small letters with one kind of separator and without its drive."""
    return _DRIVE.sub("", text.strip().strip('"').lower().replace("/", "\\"), count=1)


def base(text: str) -> str:
    """Return the file's name of a path, in small letters."""
    return path(text).rpartition("\\")[2]


def has_arguments(row: Row) -> bool:
    """Tell whether a row's command line says more than the name of a program."""
    line = (row.get("CommandLine") or "").strip()
    names = {(row.get(column) or "").lower() for column in ("FileName", "ProcessName")} - {""}
    return " " in line and base(line).removesuffix(".exe") not in {
        name.removesuffix(".exe") for name in names
    }


def _is_logon(row: Row) -> bool:
    return row.get("Table") == "DeviceLogonEvents"


def _same(column: str, form: Callable[[str], object]) -> Callable[[str, Row], bool | None]:
    """Compare both sides in one form; None if the row has no value."""

    def compared(clue: str, row: Row) -> bool | None:
        value = row.get(column)
        return form(clue) == form(value) if value else None

    return compared


def _name(column: str) -> Callable[[str, Row], bool | None]:
    def compared(clue: str, row: Row) -> bool | None:
        wanted, shown = base(clue), base(row.get(column) or "")
        if not shown or not wanted:
            return None
        if wanted == shown:
            return True
        return None if wanted.removesuffix(".exe") == shown.removesuffix(".exe") else False

    return compared


def _path(clue: str, row: Row) -> bool | None:
    """Compare whole paths; for some events the table has only the folder, and a variable can stand for any."""
    folder, name = path(row.get("FolderPath") or ""), (row.get("FileName") or "").lower()
    if not folder or "\\" not in path(clue) or "%" in clue:
        return None
    return path(clue) in (folder, f"{folder.rstrip(chr(92))}\\{name}")


def _command_line(clue: str, row: Row) -> bool | None:
    """Compare command lines as a whole; where one side was cut, it says nothing as long as what is left is alike."""
    line = row.get("CommandLine") or ""
    if not line:
        return None
    wanted, shown = " ".join(clue.split()).lower(), " ".join(line.split()).lower()
    if wanted == shown:
        return None if len(line) >= LONGEST_TEXT else True
    wanted = wanted.removesuffix("...").removesuffix("…").rstrip()
    return None if shown.startswith(wanted) or wanted.startswith(shown) else False


def _registry_key(clue: str, row: Row) -> bool | None:
    """Compare registry keys; some products write the value's name behind its key."""
    key, value = row.get("RegistryKey"), row.get("RegistryValueName")
    if not key:
        return None
    return registry(clue) in (registry(key), registry(f"{key}\\{value}"))


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


def _sid(clue: str, row: Row) -> bool | None:
    """Compare SIDs; Windows writes the null SID of an account that it did not look up, as at a failed logon."""
    value = row.get("AccountSid") or _NOBODY
    return None if _NOBODY in (clue.upper(), value.upper()) else clue.lower() == value.lower()


def _outcome(clue: str, row: Row) -> bool | None:
    action = (row.get("ActionType") or "").lower()
    happened = next((outcome for end, outcome in _OUTCOMES.items() if action.endswith(end)), None)
    if happened is None or {happened, clue} == {"failure", "blocked"}:
        return None
    return happened == clue


_COMPARE: Mapping[str, Callable[[str, Row], bool | None]] = {
    "sha1": _same("SHA1", str.lower),
    "sha256": _same("SHA256", str.lower),
    "md5": _same("MD5", str.lower),
    "file_name": _name("FileName"),
    "file_path": _path,
    "command_line": _command_line,
    "process_id": _same("ProcessId", _number),
    "process_name": _name("ProcessName"),
    "parent_name": _name("ParentName"),
    "remote_ip": _same("RemoteIP", address),
    "remote_url": _same("RemoteUrl", url_host),
    "remote_port": _same("RemotePort", _number),
    "registry_key": _registry_key,
    "registry_value": _same("RegistryValueName", str.lower),
    "account_name": _same("AccountName", str.lower),
    "account_domain": _same("AccountDomain", str.lower),
    "account_sid": _sid,
    "account_upn": _same("AccountUpn", str.lower),
    "outcome": _outcome,
    "report_id": _same("ReportId", _number),
    "event_time": _same("Timestamp", str),
}
