"""What the table knows of some alerts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.ledger.record import Entry
from shared.table.protocol import Row, Table


@dataclass(frozen=True, slots=True)
class Known:
    """Alerts as they stand, by id; `etags` of their rows; the rows of those that cannot be read, with the reason."""

    entries: dict[str, Entry] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, tuple[Row, Unreadable]] = field(default_factory=dict)


def find(table: Table, alerts: Sequence[str]) -> Known:
    """Return those of some alerts, by id, that the table knows; their rows are read side by side."""
    known = Known()
    for alert, row in zip(alerts, table.get_all([keys.alert_key(alert) for alert in alerts]), strict=True):
        if row is None:
            continue
        try:
            known.entries[alert] = rows.read(row)
            known.etags[alert] = row.etag
        except Unreadable as error:
            known.unreadable[alert] = row, error
    return known
