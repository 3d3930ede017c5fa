"""Advanced hunting on this machine: Microsoft's parser reads a query, and DuckDB runs it on made tables.

    hunting.check([query.text])[0].errors   # ()
    hunting.Tenant(devices, events).run(query)   # rows, as Graph gives them

The columns of the tables are the documented ones that a search may read.
https://learn.microsoft.com/defender-xdr/advanced-hunting-schema-tables
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import duckdb_kql

from shared.search.query import Query
from tests.checks import kql

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
_TYPES = {"datetime": "TIMESTAMP", "string": "VARCHAR", "long": "BIGINT", "int": "INTEGER"}
_ESCAPE = re.compile(r"\\\\|\\u([0-9a-fA-F]{4})")

Record = Mapping[str, object]
"""A record of a table: its values by column, and under `Table` the table's name."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a query is made of: it is sound if `errors` is empty. `texts` are its literals, `shape` all the rest."""

    errors: tuple[str, ...]
    lets: int
    statements: int
    tables: frozenset[str]
    columns: tuple[str, ...]
    texts: tuple[str, ...]
    shape: str


def check(queries: Sequence[str]) -> list[Checked]:
    """Read queries with Microsoft's parser; return what each is made of, in their order."""
    return [
        Checked(
            tuple(each["errors"]),
            each["lets"],
            each["statements"],
            frozenset(each["tables"]),
            tuple(each["columns"]),
            tuple(each["texts"]),
            each["shape"],
        )
        for each in kql.parsed("hunting.js", TABLES, queries)
    ]


class Tenant:
    """The tables of one tenant. A time is text in ISO 8601 of at most six fractional digits."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._connection = duckdb_kql.connect()
        self._columns = {
            table: dict(column.split(": ") for column in columns.split(", "))
            for table, columns in TABLES.items()
        }
        for table, columns in self._columns.items():
            typed = ", ".join(f'"{name}" {_TYPES[kind]}' for name, kind in columns.items())
            self._connection.execute(f"CREATE TABLE {table} ({typed})")
        self.add(records)

    def add(self, records: Iterable[Record]) -> None:
        """Put records into their tables; a column that a record does not name is empty."""
        for record in records:
            columns = self._columns[str(record["Table"])]
            unknown = record.keys() - columns.keys() - {"Table"}
            assert not unknown, f"{record['Table']} has no {unknown}"
            values = [record.get(name, "" if kind == "string" else None) for name, kind in columns.items()]
            table = self._connection.table(str(record["Table"]))
            table.insert(values)

    def clear(self) -> None:
        """Empty all tables."""
        for table in TABLES:
            self._connection.execute(f"TRUNCATE {table}")

    def run(self, query: Query) -> list[dict[str, str]]:
        """Return the rows of a query as Graph gives them: text by column, without what is null."""
        try:
            answer = duckdb_kql.kql(self._connection, _characters(query.text))
        except duckdb.Error as error:
            raise AssertionError(f"{error}\n{query.text}") from error
        names = [column[0] for column in answer.description]
        return [
            {name: _written(value) for name, value in zip(names, row, strict=True) if value is not None}
            for row in answer.fetchall()
        ]


def _written(value: object) -> str:
    """Write a value as Graph does: of a raw time the trailing zeros are cut."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z"
    return str(value)


def _characters(query: str) -> str:
    """Write the escape of a character as the character itself: DuckDB's KQL reads `u00e9` for it."""

    def character(escape: re.Match[str]) -> str:
        return chr(int(escape[1], 16)) if escape[1] else escape[0]

    return _ESCAPE.sub(character, query).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
