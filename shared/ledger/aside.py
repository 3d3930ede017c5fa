"""Rows that cannot be read are moved aside: they block no other row, and the operator finds them in one range.

todo-…, later-…, alert-… ──► aside-{when}-{random}    all properties as they were, and `movedFrom`, the key
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from shared import log
from shared.errors import Conflict, TableRefused, Unreadable
from shared.ledger import keys, rows
from shared.table.protocol import Delete, Insert, Operation, Row, Table

MOST = 48
"""How many rows are moved at a time: as many as fit a transaction."""
_FROM = "movedFrom"


@dataclass(frozen=True, slots=True)
class Aside:
    """A row that was moved aside at a time (UTC seconds): its key before, and the column that cannot be read.

    `column` is empty where this version can read it, or no column is to blame.
    """

    id: str
    key: str
    column: str
    at: float


def move(table: Table, unreadable: Sequence[Row]) -> int:
    """Move up to `MOST` rows aside and log each. Return how many are no longer in their place, whoever moved them."""
    at, batch = table.now(), unreadable[:MOST]
    if batch and _written(table, batch, at):
        return len(batch)
    return sum(
        _written(table, [row], at) for row in batch
    )  # one of them stands in the way, or they are large


def read(row: Row) -> Aside:
    """Return what the operator sees of a row of the range `aside-`."""
    before = Row(
        key=str(row.values.get(_FROM, "")),
        values={name: value for name, value in row.values.items() if name != _FROM},
        etag=row.etag,
        timestamp=row.timestamp,
    )
    column = ""
    try:
        rows.read_any(before)
    except Unreadable as error:
        column = error.column
    return Aside(row.key.removeprefix(keys.ASIDE), before.key, column, row.timestamp)


def _written(table: Table, batch: Sequence[Row], at: float) -> bool:
    operations: list[Operation] = []
    for row in batch:
        key = f"{keys.ASIDE}{keys.stamp(at)}-{secrets.token_hex(8)}"
        operations += [Insert(key, {**row.values, _FROM: row.key}), Delete(row.key, row.etag)]
    try:
        table.commit(operations)
    except Conflict:  # somebody moved or corrected one
        return len(batch) == 1
    except TableRefused as error:
        if len(batch) == 1:
            log.problem("row not moved aside", error, row=batch[0].key[:80])
        return False
    for row in batch:
        log.problem("row moved aside", _reason(row), row=row.key[:80])
    return True


def _reason(row: Row) -> Unreadable:
    try:
        rows.read_any(row)
    except Unreadable as error:
        return error
    return Unreadable(row.key)
