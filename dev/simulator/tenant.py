"""The tables of advanced hunting in DuckDB.

Tenant(records).run('DeviceInfo | where DeviceName =~ "pc-1.contoso.example"', since, until).rows
"""

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import duckdb_kql

from dev.simulator.rules import Rejected
from dev.simulator.schema import COLUMNS, Record

_TYPES = {"datetime": "TIMESTAMP", "string": "VARCHAR", "long": "BIGINT", "int": "INTEGER"}
_GRAPHS = {
    "VARCHAR": "String",
    "BIGINT": "Int64",
    "INTEGER": "Int32",
    "TIMESTAMP": "DateTime",
    "BOOLEAN": "SByte",
}
_ESCAPE = re.compile(r"\\\\|\\u([0-9a-fA-F]{4})")
_BATCH = 500  # records of one statement
_MICROSECONDS = len("2026-03-04T05:06:07.891234")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query brings: the types of its columns in Graph's words, and its rows."""

    types: Mapping[str, str]
    rows: list[dict[str, Any]]


class Tenant:
    """The tables of one tenant. Thread-safe. Records of one microsecond have one seventh digit."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._lock = threading.Lock()
        self._sevenths: dict[str, str] = {}  # by the time without it, as DuckDB has no more than six digits
        self._connection = duckdb_kql.connect()
        for table, columns in COLUMNS.items():
            typed = ", ".join(f'"{name}" {_TYPES[kind]}' for name, kind in columns.items())
            self._connection.execute(f"CREATE TABLE All{table} ({typed})")
            self._connection.execute(
                f'CREATE VIEW {table} AS SELECT * FROM All{table} WHERE "Timestamp" BETWEEN '  # noqa: S608
                "getvariable('since') AND getvariable('until')"
            )
        self.add(records)

    def add(self, records: Iterable[Record]) -> None:
        """Put records into their tables; a column that a record does not name is empty."""
        by_table: dict[str, list[Record]] = {}
        for record in records:
            by_table.setdefault(str(record["Table"]), []).append(record)
        with self._lock:
            for table, rows in by_table.items():
                self._insert(table, rows)

    def run(self, query: str, since: datetime, until: datetime) -> Answer:
        """Return what a query finds in a span of time. Raise `Rejected` if the engine does not run it."""
        with self._lock:
            self._connection.execute("SET VARIABLE since = ?::TIMESTAMP", [since.replace(tzinfo=None)])
            self._connection.execute("SET VARIABLE until = ?::TIMESTAMP", [until.replace(tzinfo=None)])
            try:
                answer = duckdb_kql.kql(self._connection, _characters(query))
                names = [(column[0], _GRAPHS[str(column[1])]) for column in answer.description]
                rows = answer.fetchall()
            except duckdb.Error as error:
                raise Rejected(400, "BadRequest", f"{error}\n{query}") from error
        return Answer(
            dict(names),
            [
                {name: self._written(value, kind) for (name, kind), value in zip(names, row, strict=True)}
                for row in rows
            ],
        )

    def _insert(self, table: str, records: list[Record]) -> None:
        columns = COLUMNS[table]
        for record in records:
            if unknown := record.keys() - columns.keys() - {"Table"}:
                raise ValueError(f"{table} has no {', '.join(sorted(unknown))}")
            time = str(record["Timestamp"]).removesuffix("Z")
            micro, seventh = time[:_MICROSECONDS], time[_MICROSECONDS:] or "0"
            if self._sevenths.setdefault(micro, seventh) != seventh:
                raise ValueError(f"another record of the microsecond {micro} has another seventh digit")
        row = f"({', '.join('?' * len(columns))})"
        for first in range(0, len(records), _BATCH):
            batch = records[first : first + _BATCH]
            values = [
                str(record[name]).removesuffix("Z")[:_MICROSECONDS] if name == "Timestamp"
                else record.get(name, "" if kind == "string" else None)
                for record in batch
                for name, kind in columns.items()
            ]  # fmt: skip
            self._connection.execute(f"INSERT INTO All{table} VALUES {', '.join([row] * len(batch))}", values)  # noqa: S608

    def _written(self, value: object, kind: str) -> object:
        """Return a value as Graph's JSON has it: a text is never null, a raw time loses its trailing zeros."""
        if value is None:
            return "" if kind == "String" else None
        if isinstance(value, datetime):
            time = f"{value:%Y-%m-%dT%H:%M:%S.%f}"
            return f"{time}{self._sevenths.get(time, '0')}".rstrip("0").rstrip(".") + "Z"
        micro = value[:_MICROSECONDS] if isinstance(value, str) and len(value) == _MICROSECONDS + 2 else ""
        return f"{micro}{self._sevenths[micro]}Z" if micro in self._sevenths else value


def _characters(query: str) -> str:
    """Write the escape of a character as the character itself: DuckDB's KQL reads `u00e9` for it."""
    written = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[0], query)
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
