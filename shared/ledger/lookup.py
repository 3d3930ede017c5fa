"""Stored alerts by their ids."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.ledger.record import Entry
from shared.table.protocol import Table


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored alerts by id, and why others cannot be read. An alert in neither is not stored."""

    entries: dict[str, Entry] = field(default_factory=dict)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)


def find(table: Table, alerts: Sequence[str]) -> Stored:
    """Return the stored ones of some alerts. Their rows are read in parallel."""
    stored = Stored()
    for alert, row in zip(alerts, table.get_all([keys.alert_key(alert) for alert in alerts]), strict=True):
        if row is None:
            continue
        try:
            stored.entries[alert] = rows.read(row)
        except Unreadable as error:
            stored.unreadable[alert] = error
    return stored


def movable(table: Table, entry: Entry) -> Entry:
    """Return an entry with the rows that exist: without its waiting or failed row if that is missing.

    Such a row was removed by hand or moved aside. Or the entry has changed meanwhile: then its alert row's ETag is old.
    """
    if entry.waits and not table.get(entry.waits):
        return replace(entry, waits="")
    if entry.state == "failed" and not table.get(keys.failed_key(entry.ended, entry.alert.id)):
        return replace(entry, state="discarded")  # ended, and not listed
    return entry
