"""Rows that cannot be read are moved aside: they block no other row, and the operator finds them in one range.

todo-…, later-…, alert-… ──► aside-{when}-{random}    all properties as they were, and `movedFrom`, the key

A row by which an alert waits is written anew in its place, from the alert's own row, where that can be read. Where an
alert may be sent only once, its own row leaves one in its place that says so (`keep`).
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared import log
from shared.errors import Conflict, TableRefused, Unreadable
from shared.ledger import keys, lookup, rows
from shared.ledger.record import Entry
from shared.table.protocol import Delete, Insert, Operation, Row, Table, try_commit

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
    waiting = _waiting(table, batch)
    if batch and _written(table, batch, waiting, at):
        return len(batch)
    # One of them stands in the way, or they are large.
    return sum(_written(table, [row], waiting, at) for row in batch)


def keep(table: Table, row: Row, instead: Entry) -> None:
    """Move an alert's row aside, and write an ended entry in its place; nothing if somebody changed it meanwhile."""
    operations = [Insert(_key(table.now()), {**row.values, _FROM: row.key}), *rows.note(instead, row.etag)]
    if try_commit(table, operations):
        log.problem("row moved aside", _reason(row), row=row.key[:80])


def read(row: Row) -> Aside:
    """Return what the operator sees of a row of the range `aside-`."""
    before, column = original(row), ""
    try:
        rows.read_any(before)
    except Unreadable as error:
        column = error.column
    return Aside(row.key.removeprefix(keys.ASIDE), before.key, column, row.timestamp)


def original(row: Row) -> Row:
    """Return a row of the range `aside-` as it stood in its place, with its ETag of today."""
    values = {name: value for name, value in row.values.items() if name != _FROM}
    return Row(str(row.values.get(_FROM, "")), values, row.etag, row.timestamp)


def _waiting(table: Table, batch: Sequence[Row]) -> dict[str, Entry]:
    """Return the alerts that wait by these rows as their own rows say, by the waiting row's key."""
    alerts = [keys.waiting_alert(row.key) for row in batch if keys.is_waiting_key(row.key)]
    entries = lookup.find(table, alerts).entries.values() if alerts else ()
    return {entry.waits: entry for entry in entries if entry.waits}


def _written(table: Table, batch: Sequence[Row], waiting: Mapping[str, Entry], at: float) -> bool:
    operations: list[Operation] = []
    for row in batch:
        operations.append(Insert(_key(at), {**row.values, _FROM: row.key}))
        # Whoever changes the alert meanwhile changes this row as well: then its ETag is another.
        stands = waiting.get(row.key)
        operations.append(rows.restore(stands, row.etag) if stands else Delete(row.key, row.etag))
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


def _key(at: float) -> str:
    return f"{keys.ASIDE}{keys.stamp(at)}-{secrets.token_hex(8)}"


def _reason(row: Row) -> Unreadable:
    try:
        rows.read_any(row)
    except Unreadable as error:
        return error
    return Unreadable(row.key)
