"""Stored alerts by their ids."""

import collections
import contextlib
import functools
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.ledger.keys import Stage
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import Table

_KEYS = 1_000  # read at a time
_RANGES = 3  # of copies that are read, each with one request
_SHARE = 85  # percent of alerts whose rows are read at a time: with the alerts' own, under two rows for each of them


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored alerts by id, and why others cannot be read. An alert in neither is not stored."""

    entries: dict[str, Entry] = field(default_factory=dict)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)


def find(table: Table, alerts: Sequence[str]) -> Stored:
    """Return the stored ones of some alerts, read in parallel; for one whose event was found, the alert of it."""
    stored = Stored()
    for alert, row in zip(alerts, table.get_all([keys.alert_key(alert) for alert in alerts]), strict=True):
        if row is None:
            continue
        try:
            stored.entries[alert] = rows.read(row)
        except Unreadable as error:
            stored.unreadable[alert] = error
    return _follow(table, stored)


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


def ended(table: Table, delivery: Delivery) -> dict[str, Entry]:
    """Return those alerts of a large delivery, by id, that have copies: its own, or those of a few others."""
    asked = set(delivery.alerts)
    copies: dict[str, Entry] = {}
    read: list[str] = []
    homes = [delivery.id, *delivery.others]
    while homes:
        read += homes
        pages = table.side_by_side([functools.partial(table.query, *keys.copies(home)) for home in homes])
        moved: collections.Counter[str] = collections.Counter()
        for row in itertools.chain(*pages):
            alert, home = keys.waiting_alert(row.key), rows.copy_moved(row)
            if home is None:
                with contextlib.suppress(Unreadable):
                    copies[alert] = rows.read(row)
            elif alert in asked:
                moved[home] += 1
        homes = [home for home, _ in moved.most_common() if home not in read][: _RANGES - len(read)]
    stands = {alert: copies[alert] for alert in delivery.alerts if alert in copies}
    led = {
        alert: copies.get(entry.link) if entry.state == "matched" else entry
        for alert, entry in stands.items()
    }
    return {alert: entry for alert, entry in led.items() if entry}


def waiting(
    table: Table, delivery: Delivery, stages: Iterable[Stage] = (keys.REFERENCE,)
) -> dict[str, Entry]:
    """Return a delivery's alerts, by id, that wait at the head of a backlog, read while most rows there are theirs.

    A filter of several keys would be one request as well, but the service reads its whole partition for it.
    """
    asked = set(delivery.alerts)
    entries: dict[str, Entry] = {}
    for first, end in (within for stage in stages for within in stage.waiting):
        start, limit = first, (len(asked) - len(entries)) * _SHARE // 100
        while limit:
            page = table.query(start, end, after=True, limit=limit)
            theirs = [row for row in page if keys.waiting_alert(row.key) in asked]
            for row in theirs:
                with contextlib.suppress(Unreadable):
                    entry = rows.read(row)
                    entries[entry.alert.id] = entry
            if len(page) < limit or 3 * len(theirs) < 2 * limit:
                break
            start = page[-1].key
    return entries


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
