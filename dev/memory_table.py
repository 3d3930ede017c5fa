"""A table in memory that behaves like Azure Table Storage: for tests, and for judging a campaign."""

import json
import re
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.errors import Conflict, TableRefused
from shared.table.protocol import MAX_OPERATIONS, Delete, Insert, Operation, Replace, Row

_T = TypeVar("_T")
_NO_KEY = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")


@dataclass
class MemoryTable:
    """The same table in this process's memory.

    `clock` is the time that stamps its rows (seconds); it never goes back.
    """

    clock: Callable[[], float] = time.monotonic
    _rows: dict[str, Row] = field(default_factory=dict)
    _keys: list[str] = field(default_factory=list)
    _writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
        with self._lock:
            first = (bisect_right if after else bisect_left)(self._keys, start)
            last = bisect_left(self._keys, end)
            return [self._rows[key] for key in self._keys[first:last][:limit]]

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing; return the new ETag by key."""
        with self._lock:
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
                self._writes += 1
                etag = etags[operation.key] = str(self._writes)
                self._rows[operation.key] = Row(operation.key, dict(operation.values), etag, self.clock())
            return etags

    def _conflicts(self, operation: Operation) -> bool:
        row = self._rows.get(operation.key)
        if isinstance(operation, Insert):
            return row is not None
        if isinstance(operation, Replace) and operation.etag == "*":
            return False
        return row is None or operation.etag not in ("*", row.etag)


@dataclass
class StrictTable(MemoryTable):
    """A table in memory that keeps Azure Table Storage's limits (its data model page): whatever breaks one is refused.

    32,768 UTF-16 units a string, 64 KiB a binary, 32 bits an integer; 1 MiB an entity; no / # ? or control
    character in a key; 100 operations and 4 MiB a transaction. `largest` is the largest one seen, in bytes;
    `writes` counts all.
    """

    largest: int = 0
    writes: int = 0

    def get(self, key: str) -> Row | None:
        """Return the row with this key, None where there is none."""
        _check_filter(key)
        return super().get(key)

    def query(
        self, start: str, end: str, *, after: bool = False, limit: int | None = None, keys_only: bool = False
    ) -> list[Row]:
        """Return the rows with `start <= key < end` in key order; see `shared.table.protocol.Table`."""
        _check_filter(start, end)
        return super().query(start, end, after=after, limit=limit, keys_only=keys_only)

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing; raise `TableRefused` where a limit is broken."""
        if not 0 < len(operations) <= MAX_OPERATIONS:
            raise TableRefused(f"{len(operations)} operations")
        size = 0
        for operation in operations:
            if _NO_KEY.search(operation.key):
                raise TableRefused(f"the key {operation.key!r}")
            size += 600  # the headers of its part
            if not isinstance(operation, Delete):
                size += _check_entity(operation.values)
        if size > 4 * 1024 * 1024:
            raise TableRefused(f"a transaction of {size} bytes")
        etags = super().commit(operations)
        self.largest = max(self.largest, size)
        self.writes += 1
        return etags


def _check_filter(*keys: str) -> None:
    """Raise where a filter holds what the service is not known to take."""
    if any(_NO_KEY.search(key) for key in keys):
        raise TableRefused(f"a filter of {keys!r}")


def _check_entity(values: Mapping[str, Any]) -> int:
    """Return the bytes of an entity as the SDK sends it: ASCII JSON."""
    total = sent = 0
    for name, value in values.items():
        if isinstance(value, str):
            size = 2 * len(value) if value.isascii() else len(value.encode("utf-16-le"))
            sent += len(value) + 20 if value.isascii() else len(json.dumps(value))
        elif isinstance(value, bytes):
            size = len(value)
            sent += size * 4 // 3
        elif isinstance(value, float):
            size = 8
        elif isinstance(value, int) and -(2**31) <= value < 2**31:
            size = 4
        else:
            raise TableRefused(f"{name} is {value!r}")
        if size > 64 * 1024:
            raise TableRefused(f"{name} has {size} bytes")
        total += size + 2 * len(name) + 8
        sent += len(name) + 30
    if total > 1024 * 1024 - 4096:
        raise TableRefused(f"an entity of {total} bytes")
    return sent
