"""The rows of entries, deliveries and refused payloads: how they are written and read, and in which transactions."""

import json
from collections.abc import Iterable
from dataclasses import replace

from shared.alerts.alert import FIELDS, Alert
from shared.errors import Unreadable
from shared.ledger import columns, keys
from shared.ledger.columns import Column, Kind
from shared.ledger.record import Delivery, Entry, RefusedPayload
from shared.table.protocol import Delete, Insert, Operation, Replace, Row, Value

REFUSED_BYTES = 60 * 1024
_STAGE = Kind(lambda stage: stage.name, lambda value: keys.stage(columns.TEXT.read(value)))
_MOVED = "movedTo"
_BODY = tuple(Column(name, columns.TEXT) for name in FIELDS)
_ENTRY = (
    Column("state", columns.TEXT),
    Column("source", columns.TEXT),
    Column("delivery", columns.TEXT),
    Column("accepted", columns.SECONDS),
    Column("due", columns.SECONDS),
    Column("waits", columns.TEXT),
    Column("timeTruncated", columns.FLAG, "time_truncated", default=False),
    Column("notes", columns.LIST, default=()),
    Column("attempt", columns.TEXT, default=""),
    Column("attempts", columns.WHOLE, default=0),
    Column("tries", columns.LIST, default=()),
    Column("notFound", columns.WHOLE, "not_found", default=0),
    Column("unavailable", columns.WHOLE, default=0),
    Column("nextAttempt", columns.SECONDS_OR_NONE, "next_attempt", default=None),
    Column("ended", columns.SECONDS_OR_NONE, default=None),
    Column("error", columns.OBJECT_OR_NONE, default=None),
    Column("created", columns.OBJECT_OR_NONE, default=None),
    Column("merged", columns.FLAG, default=False),
    Column("named", columns.SECONDS_OR_NONE, default=None),
    Column("sender", columns.TEXT, default=""),
    Column("lost", columns.WHOLE, default=0),
    Column("renewed", columns.WHOLE, default=0),
    Column("stage", _STAGE, default=keys.REFERENCE),
    Column("clues", columns.OBJECT_OR_NONE, default=None),
    Column("match", columns.OBJECT_OR_NONE, default=None),
    Column("candidates", columns.LIST, default=()),
    Column("link", columns.TEXT, default=""),
    Column("trial", columns.FLAG, default=False),
    Column("many", columns.FLAG, default=False),
    Column("wrongMatch", columns.FLAG, "wrong_match", default=False),
)
_DELIVERY = (
    Column("source", columns.TEXT_OR_NONE, default=None),
    Column("accepted", columns.SECONDS),
    Column("alerts", columns.IDS),
    Column("duplicates", columns.IDS, default=()),
    Column("notes", columns.LISTS, default={}),
    Column("refused", columns.LIST, default=()),
    Column("sender", columns.TEXT, default=""),
    Column("others", columns.LIST, default=()),
)
_REFUSED = (
    Column("at", columns.SECONDS),
    Column("source", columns.TEXT, default=""),
    Column("status", columns.WHOLE),
    Column("detail", columns.TEXT, default=""),
    Column("refused", columns.LIST, default=()),
    Column("query", columns.OBJECT, default={}),
    Column("payload", columns.BYTES),
    Column("bytes", columns.WHOLE),
    Column("sender", columns.TEXT, default=""),
    Column("searches", columns.IDS, default=()),
)


def insert(entry: Entry) -> list[Operation]:
    """Return the operations that write a new entry and its waiting row. A conflict: the alert is known."""
    values = _values(entry)
    written = [keys.alert_key(entry.alert.id), entry.waits]
    return [*(Insert(key, values) for key in written), *_copies(entry, entry)]


def move(
    before: Entry, after: Entry, *, waiting: str | None = None, alert: str | None = None
) -> list[Operation]:
    """Return the operations that turn one state of an entry into the next.

    The lock is the ETag of its waiting row (`waiting`), or that of its alert row (`alert`).
    """
    if waiting is None and alert is None:
        raise ValueError("a move needs the ETag of the waiting row or of the alert row")
    values = _values(after)
    operations: list[Operation] = [Replace(keys.alert_key(after.alert.id), values, alert or "*")]
    if before.waits and before.waits == after.waits:  # a row may stand only once in a transaction
        operations.append(Replace(after.waits, values, waiting or "*"))
    elif before.waits:
        operations.append(Delete(before.waits, waiting or "*"))
    if after.waits and after.waits != before.waits:
        operations.append(Insert(after.waits, values))
    if before.state == "failed":
        operations.append(Delete(keys.failed_key(before.ended, before.alert.id), "*"))
    if after.state == "failed":
        operations.append(Insert(keys.failed_key(after.ended, after.alert.id), values))
    elif after.has_ended and after.state != "matched":  # what that has led to ends by itself
        operations.append(Replace(keys.ended_key(after.ended, after.alert.id), {}, "*"))
    return [*operations, *_copies(before, after)]


def _copies(before: Entry, after: Entry) -> list[Operation]:
    """Return the operations on the copies of an alert of large deliveries: an old one only names where it went."""
    operations: list[Operation] = []
    if before.many and before.delivery != after.delivery:
        left = {_MOVED: after.delivery}
        operations.append(Replace(keys.copy_key(before.delivery, before.alert.id), left, "*"))
    if after.many:
        operations.append(Replace(keys.copy_key(after.delivery, after.alert.id), _values(after), "*"))
    return operations


def copy_moved(row: Row) -> str | None:
    """Return the delivery that an alert belongs to now, if it has left that of this copy; None: it is as copied."""
    moved = row.values.get(_MOVED)
    return moved if isinstance(moved, str) else None


def restore(entry: Entry, etag: str) -> Operation:
    """Return the operation that writes an entry's waiting row anew, over one with this ETag."""
    return Replace(entry.waits, _values(entry), etag)


def note(entry: Entry, etag: str | None, *, before: Entry | None = None) -> list[Operation]:
    """Return the operations that write an ended entry: over its alert row with this ETag, else where there is none.

    `before` is the entry as it stood, if its delivery changes.
    """
    values, key = _values(entry), keys.alert_key(entry.alert.id)
    operations: list[Operation] = [Insert(key, values) if etag is None else Replace(key, values, etag)]
    if entry.state == "failed":
        operations.append(Replace(keys.failed_key(entry.ended, entry.alert.id), values, "*"))
    return [*operations, *_copies(before or entry, entry)]


def insert_delivery(delivery: Delivery) -> Operation:
    """Return the operation that writes a delivery."""
    return Insert(keys.delivery_key(delivery.id), columns.write(_DELIVERY, delivery))


def insert_refused(refused: RefusedPayload) -> Operation:
    """Return the operation that stores a refused payload."""
    stored = replace(refused, detail=refused.detail[:1000], payload=refused.payload[:REFUSED_BYTES])
    return Insert(f"{keys.REFUSED}{refused.id}", columns.write(_REFUSED, stored))


def read_refused(row: Row) -> RefusedPayload:
    """Read a refused payload from its row. Raise `Unreadable`."""
    return RefusedPayload(id=row.key.removeprefix(keys.REFUSED), **columns.read(_REFUSED, row))


def read(row: Row) -> Entry:
    """Read an entry from an alert's row, or from its waiting or failed row: all hold the same. Raise `Unreadable`."""
    entry = Entry(
        alert=Alert.from_body(columns.read(_BODY, row)),
        **columns.read(_ENTRY, row),
        unknown=columns.unknown((*_BODY, *_ENTRY), row),
    )
    if not row.key.startswith((keys.ALERT, keys.FAILED, keys.COPY)) and row.key != entry.waits:
        # a copy under another key could never be taken
        raise Unreadable(row.key, "waits")
    if bool(entry.waits) != (entry.state in ("waiting", "sending")):  # somebody cleared or invented it
        raise Unreadable(row.key, "waits")
    return entry


def read_delivery(row: Row) -> Delivery:
    """Read a delivery from its row. Raise `Unreadable`."""
    return Delivery(id=row.key.removeprefix(keys.DELIVERY), **columns.read(_DELIVERY, row))


def read_any(row: Row) -> Entry | Delivery | RefusedPayload:
    """Read what a row holds, by its key. Raise `Unreadable`."""
    if row.key.startswith(keys.DELIVERY):
        return read_delivery(row)
    return read_refused(row) if row.key.startswith(keys.REFUSED) else read(row)


def size(operations: Iterable[Operation]) -> int:
    """Return about how many bytes operations take in a transaction: each row's JSON and its part's headers."""
    return sum(
        700 + len(json.dumps(operation.values)) if not isinstance(operation, Delete) else 500
        for operation in operations
    )


def _values(entry: Entry) -> dict[str, Value]:
    return {**entry.unknown, **entry.alert.body(), **columns.write(_ENTRY, entry)}
