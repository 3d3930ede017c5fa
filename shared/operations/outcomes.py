"""The newest outcomes: the alerts that ended last."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.ledger.record import Entry
from shared.operations import listing, ordered
from shared.senders import Sender
from shared.table.protocol import Table

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

MOST = 20
_PORTIONS = 5


def latest(dispatcher: "Dispatch", senders: Sequence[Sender]) -> list[dict[str, Any]]:
    """Return the last alerts that ended, the newest first. A search that has led to an alert is not one of them."""
    table = dispatcher.table
    failed = ordered.newest(table, (keys.FAILED, keys.FAILED_END), rows.read, top=MOST, rows=MOST)
    ended = sorted([*failed.items, *_others(table)], key=lambda entry: -(entry.ended or 0.0))
    return listing.items(dispatcher, ended[:MOST], senders)


def _others(table: Table) -> list[Entry]:
    """Return the last alerts that ended and have not failed.

    A name is passed over whose alert was accepted again after that end: at most a hundred names are read.
    """
    found: list[Entry] = []
    continuation = None
    for _ in range(_PORTIONS):
        names = ordered.newest(
            table,
            (keys.ENDED, keys.ENDED_END),
            lambda row: row.key,
            top=MOST,
            rows=MOST,
            continuation=continuation,
        )
        found += _stand(table, names.items)
        continuation = names.continuation
        if len(found) >= MOST or continuation is None:
            break
    return found


def _stand(table: Table, names: Sequence[str]) -> Iterator[Entry]:
    """Yield the alerts of these names that stand as they ended."""
    stored = table.get_all([keys.alert_key(keys.waiting_alert(name)) for name in names]) if names else []
    for name, row in zip(names, stored, strict=True):
        with contextlib.suppress(Unreadable):
            entry = rows.read(row) if row else None
            if entry and entry.has_ended and keys.ended_key(entry.ended, entry.alert.id) == name:
                yield entry
