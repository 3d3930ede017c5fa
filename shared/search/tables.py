"""The tables of advanced hunting and their columns for the clues; all rows get one form."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.payload.clues import Clues, Kind

_PROGRAM = {
    "SHA1": "InitiatingProcessSHA1",
    "SHA256": "InitiatingProcessSHA256",
    "MD5": "InitiatingProcessMD5",
    "FileName": "InitiatingProcessFileName",
    "FolderPath": "InitiatingProcessFolderPath",
}
_FILE = {name: name for name in _PROGRAM}
_ACTOR = {
    "CommandLine": "InitiatingProcessCommandLine",
    "ProcessId": "InitiatingProcessId",
    "ProcessName": "InitiatingProcessFileName",
    "ParentName": "InitiatingProcessParentFileName",
}
_ACTORS_ACCOUNT = {
    "AccountName": "InitiatingProcessAccountName",
    "AccountDomain": "InitiatingProcessAccountDomain",
    "AccountSid": "InitiatingProcessAccountSid",
    "AccountUpn": "InitiatingProcessAccountUpn",
}
_ACCOUNT = {name: name for name in ("AccountName", "AccountDomain", "AccountSid")}
_REMOTE = {name: name for name in ("RemoteIP", "RemoteUrl", "RemotePort", "LocalPort")}
_REGISTRY = {name: name for name in ("RegistryKey", "RegistryValueName", "RegistryValueData")}

TABLES: Mapping[Kind, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "process": (
            "DeviceProcessEvents",
            {
                **_FILE,
                "CommandLine": "ProcessCommandLine",
                "ProcessId": "ProcessId",
                "ProcessName": "FileName",
                "ParentName": "InitiatingProcessFileName",
                **_ACCOUNT,
                "AccountUpn": "AccountUpn",
            },
        ),
        "file": (
            "DeviceFileEvents",
            {**_FILE, **_ACTOR, **_ACTORS_ACCOUNT, "PreviousName": "PreviousFileName"},
        ),
        "image": ("DeviceImageLoadEvents", {**_FILE, **_ACTOR, **_ACTORS_ACCOUNT}),
        "network": ("DeviceNetworkEvents", {**_PROGRAM, **_ACTOR, **_ACTORS_ACCOUNT, **_REMOTE}),
        "registry": ("DeviceRegistryEvents", {**_PROGRAM, **_ACTOR, **_ACTORS_ACCOUNT, **_REGISTRY}),
        "logon": (
            "DeviceLogonEvents",
            {
                **_PROGRAM,
                **_ACTOR,
                **_ACCOUNT,
                "RemoteIP": "RemoteIP",
                "LogonType": "LogonType",
                "RemoteDeviceName": "RemoteDeviceName",
                "FailureReason": "FailureReason",
            },
        ),
        "other": (
            "DeviceEvents",
            {**_FILE, **_ACTOR, **_ACCOUNT, **_REMOTE, **_REGISTRY, "Details": "tostring(AdditionalFields)"},
        ),
    }
)
NAMES = frozenset(name for name, _ in TABLES.values())
"""For each kind of event its table, and under which name that has what a row shows."""


def kinds(clues: Clues) -> tuple[Kind, ...]:
    """Return the kinds of event that clues can describe: those they name, else those with the facts they have."""
    about_file = clues.file_name or clues.sha1 or clues.sha256 or clues.md5
    rules: tuple[tuple[object, tuple[Kind, ...]], ...] = (
        (clues.kinds, clues.kinds),
        (clues.registry_key, ("registry", "other")),
        (clues.remote_ip or clues.remote_url, ("network", "other")),
        (about_file and clues.process_name, ("file", "image", "other")),
        (clues.command_line or clues.process_id, ("process",)),
        (about_file, ("process", "file", "image", "other")),
        (clues.account_name or clues.account_sid, ("logon",)),
        (clues.report_id or clues.event_time, tuple(TABLES)),
    )
    return next((kinds_of_clue for holds, kinds_of_clue in rules if holds), ())
