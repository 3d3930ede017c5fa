"""The tables of advanced hunting with the documented columns that a search may read.

https://learn.microsoft.com/defender-xdr/advanced-hunting-schema-tables
"""

from collections.abc import Mapping

_EVENT = "Timestamp: datetime, DeviceId: string, DeviceName: string, ActionType: string, ReportId: long"
_FILE = "FileName: string, FolderPath: string, SHA1: string, SHA256: string, MD5: string"
_ACCOUNT = "AccountDomain: string, AccountName: string, AccountSid: string"
_ACTOR = (
    "InitiatingProcessAccountDomain: string, InitiatingProcessAccountName: string, "
    "InitiatingProcessAccountSid: string, InitiatingProcessAccountUpn: string, "
    "InitiatingProcessSHA1: string, InitiatingProcessSHA256: string, "
    "InitiatingProcessMD5: string, InitiatingProcessFileName: string, InitiatingProcessFolderPath: string, "
    "InitiatingProcessId: long, InitiatingProcessCommandLine: string, InitiatingProcessCreationTime: datetime, "
    "InitiatingProcessParentId: long, InitiatingProcessParentFileName: string"
)
_REGISTRY = "RegistryKey: string, RegistryValueName: string, RegistryValueData: string"
_REMOTE = "RemoteIP: string, RemotePort: int, RemoteUrl: string, LocalIP: string, LocalPort: int"
TABLES: Mapping[str, str] = {
    "DeviceInfo": (
        "Timestamp: datetime, DeviceId: string, DeviceName: string, ReportId: long, AadDeviceId: string, "
        "OnboardingStatus: string, MergedToDeviceId: string, LoggedOnUsers: string, PublicIP: string"
    ),
    "DeviceNetworkInfo": (
        "Timestamp: datetime, DeviceId: string, DeviceName: string, ReportId: long, MacAddress: string, "
        "IPAddresses: string"
    ),
    "DeviceProcessEvents": (
        f"{_EVENT}, {_FILE}, ProcessId: long, ProcessCommandLine: string, ProcessCreationTime: datetime, {_ACCOUNT}, "
        f"AccountUpn: string, {_ACTOR}"
    ),
    "DeviceFileEvents": f"{_EVENT}, {_FILE}, PreviousFileName: string, FileOriginUrl: string, {_ACTOR}",
    "DeviceImageLoadEvents": f"{_EVENT}, {_FILE}, {_ACTOR}",
    "DeviceNetworkEvents": f"{_EVENT}, {_REMOTE}, Protocol: string, {_ACTOR}",
    "DeviceRegistryEvents": f"{_EVENT}, {_REGISTRY}, {_ACTOR}",
    "DeviceLogonEvents": (
        f"{_EVENT}, LogonType: string, {_ACCOUNT}, RemoteIP: string, RemoteDeviceName: string, FailureReason: string, "
        f"{_ACTOR}"
    ),
    "DeviceEvents": (
        f"{_EVENT}, {_FILE}, {_ACCOUNT}, {_REMOTE}, {_REGISTRY}, ProcessId: long, ProcessCommandLine: string, "
        f"AdditionalFields: string, {_ACTOR}"
    ),
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    table: dict(column.split(": ", 1) for column in columns.split(", ")) for table, columns in TABLES.items()
}
"""The type of each column, by table and name."""

Record = Mapping[str, object]
"""A record of a table: its values by column, and under `Table` the table's name. A time is ISO 8601 with a Z."""
