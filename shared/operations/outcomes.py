"""The newest outcomes: the alerts that ended last, as far as the newest deliveries and failures tell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shared.ledger import keys, lookup, rows
from shared.operations import listing, ordered
from shared.senders import Sender

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

MOST = 20
_DELIVERIES = 50
_ALERTS = 100


def latest(dispatcher: "Dispatch", senders: Sequence[Sender]) -> list[dict[str, Any]]:
    """Return the last alerts that ended, the newest first.

    Only failed alerts lie in the order of their end. The others are found by the newest deliveries, which name at
    most 100 alerts here: one that was accepted long before its end may be missing.
    """
    table = dispatcher.table
    deliveries = ordered.newest(
        table, (keys.DELIVERY, keys.DELIVERY_END), rows.read_delivery, top=_DELIVERIES, rows=_DELIVERIES
    )
    failed = ordered.newest(table, (keys.FAILED, keys.FAILED_END), rows.read, top=MOST, rows=MOST)
    named = dict.fromkeys(alert for delivery in deliveries.items for alert in delivery.alerts)
    found = lookup.find(table, list(named)[:_ALERTS]).entries
    known = {entry.alert.id: entry for entry in failed.items} | found
    ended = sorted(
        (entry for entry in known.values() if entry.has_ended), key=lambda entry: -(entry.ended or 0.0)
    )
    return listing.items(dispatcher, ended[:MOST], senders)
