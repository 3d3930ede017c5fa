"""Stored alerts by their ids."""

import collections
import contextlib
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.ledger.keys import Stage
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import Table

_KEYS = 1_000  # read at a time
RANGES = 3
"""How many ranges of copies are read for a delivery, each with one request."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored alerts by id, and why others cannot be read. An alert in neither is not stored."""

    entries: dict[str, Entry] = field(default_factory=dict)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)


def find(table: Table, alerts: Sequence[str]) -> Stored:
    """Return the stored ones of some alerts, read in parallel; for one whose event was found, the alert of it."""
    return _follow(table, read(table, alerts))


def read(table: Table, alerts: Sequence[str]) -> Stored:
    """Return the stored ones of some alerts, read in parallel with one request each."""
    stored = Stored()
    for alert, row in zip(alerts, table.get_all([keys.alert_key(alert) for alert in alerts]), strict=True):
        if row is None:
            continue
        try:
            stored.entries[alert] = rows.read(row)
        except Unreadable as error:
            stored.unreadable[alert] = error
    return stored


def _follow(table: Table, stored: Stored) -> Stored:
    """Return stored alerts with those that searches have led to in place of the searches; none where one is gone."""
    links = {alert: entry.link for alert, entry in stored.entries.items() if entry.state == "matched"}
    linked = table.get_all([keys.alert_key(link) for link in links.values()]) if links else []
    for alert, row in zip(links, linked, strict=True):
        del stored.entries[alert]
        try:
            if row is not None:
                stored.entries[alert] = rows.read(row)
        except Unreadable as error:
            stored.unreadable[alert] = error
    return stored


def copied(table: Table, delivery: Delivery) -> dict[str, Entry]:
    """Return those alerts of a large delivery, by id, that have copies: its own, or those of a few others.

    It makes at most `RANGES` requests. A search is in place of the alert that it has led to where that has no copy.
    """
    asked = set(delivery.alerts)
    copies: dict[str, Entry] = {}
    done: list[str] = []
    homes = [delivery.id, *delivery.others]
    while homes:
        done += homes
        pages = table.side_by_side([functools.partial(table.query, *keys.copies(home)) for home in homes])
        moved: collections.Counter[str] = collections.Counter()
        for row in itertools.chain(*pages):
            alert, home = keys.waiting_alert(row.key), rows.copy_moved(row)
            if home is None:
                with contextlib.suppress(Unreadable):
                    copies[alert] = rows.read(row)
            elif alert in asked:
                moved[home] += 1
        homes = [home for home, _ in moved.most_common() if home not in done][: RANGES - len(done)]
    stands = {alert: copies[alert] for alert in delivery.alerts if alert in copies}
    return {
        alert: copies.get(entry.link, entry) if entry.state == "matched" else entry
        for alert, entry in stands.items()
    }


def waiting_key(table: Table, alert: str, stage: Stage = keys.REFERENCE) -> str:
    """Return the key of an alert's waiting row in a stage, empty if there is none.

    The keys of all that waits are read for it: it is for an alert whose own row does not name that row.
    """
    for begin, end in stage.waiting:
        start: str | None = begin
        while start:
            page = table.query(start, end, after=True, limit=_KEYS, keys_only=True)
            start = page[-1].key if len(page) == _KEYS else None
            for row in page:
                if keys.waiting_alert(row.key) == alert:
                    return row.key
    return ""


def movable(table: Table, entry: Entry) -> Entry:
    """Return an entry as it can be moved from: by the waiting row that is there, without a failed row that is gone.

    Such a row is removed by hand, or moved aside. Or the entry has changed meanwhile: then its alert row's ETag is old.
    """
    if entry.waits and not table.get(entry.waits):
        return replace(entry, waits=waiting_key(table, entry.alert.id, entry.stage))
    if entry.state == "failed" and not table.get(keys.failed_key(entry.ended, entry.alert.id)):
        return replace(entry, state="discarded")  # ended, and not listed
    return entry
