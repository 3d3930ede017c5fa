"""A table in memory: for simulated time, and for judging a campaign."""

import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from shared.errors import Conflict, TableRefused
from shared.table.protocol import Delete, Insert, Operation, Replace, Row

_T = TypeVar("_T")


@dataclass
class MemoryTable:
    """The same table in this process's memory.

    `clock` is the time that stamps its rows (seconds); it never goes back. `writes` counts transactions.
    """

    clock: Callable[[], float] = time.monotonic
    writes: int = 0
    _rows: dict[str, Row] = field(default_factory=dict)
    _keys: list[str] = field(init=False)
    _etags: int = 0

    def __post_init__(self) -> None:
        self._keys = sorted(self._rows)

    def now(self) -> float:
        """Return the time that stamps the rows."""
        return self.clock()

    def get(self, key: str) -> Row | None:
        """Return the row with this key, None where there is none."""
        return self._rows.get(key)

    def get_all(self, keys: Sequence[str]) -> list[Row | None]:
        """Return the row of each key, None where there is none."""
        return [self.get(key) for key in keys]

    def side_by_side(self, calls: Sequence[Callable[[], _T]]) -> list[_T]:
        """Return what each of these calls returns."""
        return [call() for call in calls]

    def query(
        self, start: str, end: str, *, after: bool = False, limit: int | None = None, keys_only: bool = False
    ) -> list[Row]:
        """Return the rows with `start <= key < end` in key order; see `shared.table.protocol.Table`."""
        del keys_only  # the values cost nothing here
        first = (bisect_right if after else bisect_left)(self._keys, start)
        last = bisect_left(self._keys, end)
        return [self._rows[key] for key in self._keys[first:last][:limit]]

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing; return the new ETag by key."""
        if any(self._conflicts(operation) for operation in operations):
            raise Conflict
        if len({operation.key for operation in operations}) != len(operations):
            raise TableRefused("a row stands twice in one transaction")
        etags: dict[str, str] = {}
        for operation in operations:
            if isinstance(operation, Delete):
                del self._rows[operation.key], self._keys[bisect_left(self._keys, operation.key)]
                continue
            if operation.key not in self._rows:
                insort(self._keys, operation.key)
            self._etags += 1
            etag = etags[operation.key] = str(self._etags)
            self._rows[operation.key] = Row(operation.key, dict(operation.values), etag, self.clock())
        self.writes += 1
        return etags

    def _conflicts(self, operation: Operation) -> bool:
        row = self._rows.get(operation.key)
        if isinstance(operation, Insert):
            return row is not None
        if isinstance(operation, Replace) and operation.etag == "*":
            return False
        return row is None or operation.etag not in ("*", row.etag)
