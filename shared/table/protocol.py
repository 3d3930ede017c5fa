"""What the app needs of a table: rows, the operations of a transaction, and the protocols of a table.

One call of `Requests` is one HTTP request; `patience.PatientTable` repeats them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from shared.errors import Conflict

_T = TypeVar("_T")
Value = str | bytes | float | int | bool

MAX_OPERATIONS = 100
REQUEST_SECONDS = 10.0
"""The most that one request may take; a table that needs seconds is slow, not gone."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as read: its key, its properties, its ETag and when the server stamped it (UTC seconds)."""

    key: str
    values: Mapping[str, Any]
    etag: str
    timestamp: float


@dataclass(frozen=True, slots=True)
class Insert:
    """Write a row that must not exist."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Replace:
    """Write over a row that must still have this ETag; `*`: any version, or no row."""

    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row that must still have this ETag; `*`: any version."""

    key: str
    etag: str


Operation = Insert | Replace | Delete


class Table(Protocol):
    """A table. Every method may raise `TableError`."""

    def now(self) -> float:
        """Return a lower bound of the server's time, in UTC seconds."""

    def get(self, key: str) -> Row | None:
        """Return the row with this key, None where there is none."""

    def get_all(self, keys: Sequence[str]) -> list[Row | None]:
        """Return the row of each key, None where there is none."""

    def side_by_side(self, calls: Sequence[Callable[[], _T]]) -> list[_T]:
        """Return what each of these calls to the table returns; they run at the same time where that is possible."""

    def query(
        self, start: str, end: str, *, after: bool = False, limit: int | None = None, keys_only: bool = False
    ) -> list[Row]:
        """Return the rows with `start <= key < end` in key order, at most `limit`; `after` leaves out the row `start`.

        If only the keys are asked for, the rows may have no values.
        """

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing; return the new ETag by key. Raise `Conflict`."""


def try_commit(table: Table, operations: Sequence[Operation]) -> bool:
    """Write all or nothing; return whether nobody else had changed one of the rows."""
    try:
        table.commit(operations)
    except Conflict:
        return False
    return True


class Requests(Protocol):
    """Single requests to the table, each of `seconds` at the most, on connections that stay open.

    Every method raises `Busy`, `TableRefused` or `Unavailable` where the table does not do as asked.
    """

    def time(self) -> float | None:
        """Return a lower bound of the server's time, in UTC seconds; None before any answer. Makes no request."""

    def get(self, key: str, *, seconds: float) -> Row | None:
        """Return the row with this key, None where there is none."""

    def query(
        self,
        start: str,
        end: str,
        *,
        after: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        seconds: float,
    ) -> list[Row]:
        """Return the rows with `start <= key < end` in key order; see `Table`."""

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        """Write all or nothing, each row with the property `mark`; return the new ETag by key. Raise `Conflict`."""
