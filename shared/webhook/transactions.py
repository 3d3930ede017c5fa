"""Which alerts of a delivery are written in one transaction: as many as fit, each transaction with a delivery."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.ledger import keys, rows
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import MAX_OPERATIONS, Operation

_BYTES = 3_500_000


def batch(entries: Sequence[Entry]) -> tuple[list[Entry], bool]:
    """Return as many entries as fit one transaction, and whether these are the last, so the delivery fits as well."""
    fitting: list[Entry] = []
    turns: set[str] = set()
    size, operations = 0, 1  # the delivery
    for entry in entries:
        written = rows.insert(entry)
        size += rows.size(written)
        operations += len(written)
        turns.add(entry.stage.turn_key(entry.sender, entry.alert.severity))
        if fitting and (operations + len(turns) > MAX_OPERATIONS or size > _BYTES):
            return fitting, False
        fitting.append(entry)
    return fitting, True


def operations(entries: Iterable[Entry], accepted: Delivery, *, last: bool) -> list[Operation]:
    """Return the operations that write alerts with their delivery, or before the `last` with a part of it.

    Nobody knows a part by its id, but its alerts are purged with it, should the others never come.
    """
    stored = list(entries)
    if not last:
        ids = tuple(entry.alert.id for entry in stored)
        accepted = replace(accepted, id=keys.delivery_id(accepted.accepted), alerts=ids, refused=())
    inserts = [operation for entry in stored for operation in rows.insert(entry)]
    return [*inserts, rows.insert_delivery(accepted)]
