"""A table in memory that refuses what Azure Table Storage refuses; in tests every simulated world has one."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dev.memory_table import MemoryTable
from shared.errors import TableRefused
from shared.table.protocol import MAX_OPERATIONS, Delete, Operation, Row

_NO_KEY = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")


@dataclass
class StrictTable(MemoryTable):
    """A table in memory that keeps Azure Table Storage's limits (its data model page): whatever breaks one is refused.

    32,768 UTF-16 units a string, 64 KiB a binary, 32 bits an integer; 1 MiB an entity; no / # ? or control
    character in a key; 100 operations and 4 MiB a transaction. `largest` is the largest one seen, in bytes.
    """

    largest: int = 0

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
