"""Trying again by hand: alerts that failed or were discarded, or whose waiting row somebody removed."""

import contextlib

from shared.errors import Busy, NotFound, NotNow, Unreadable
from shared.ledger import aside, keys, lookup, record, rows
from shared.ledger.record import Entry
from shared.operations import listing
from shared.table.protocol import Table, try_commit

_TRIES = 5


def alert(table: Table, alert_id: str) -> Entry:
    """Let a failed or discarded alert wait anew, in the order of its severity; return it as it then stands.

    So too one whose waiting row is gone: an operator may remove a row that cannot be read. Raise `NotFound`, and
    `NotNow` in any other state: a second post of the same finds it waiting.
    """
    for _ in range(_TRIES):
        entry, etag = listing.entry(table, alert_id)
        before = lookup.movable(table, entry)
        if before == entry and entry.state not in ("failed", "discarded"):
            raise NotNow(
                f"The alert is {entry.state}; only one that is failed or discarded can be replayed.",
                extensions={"state": entry.state},
            )
        again = record.replay(entry, now=table.now())
        if try_commit(table, rows.move(before, again, alert=etag)):
            return again  # else somebody changed it between our read and our write
    raise Busy("Others keep changing this alert at the same moment; try again.", retry_after=1)


def failed(table: Table, top: int) -> int:
    """Replay up to `top` failed alerts, those that failed first; return how many."""
    replayed = 0
    unreadable = []
    for row in table.query(keys.FAILED, keys.FAILED_END, limit=top):
        try:
            entry = rows.read(row)
        except Unreadable:
            unreadable.append(row)
            continue
        with contextlib.suppress(
            NotFound, NotNow, Unreadable
        ):  # somebody else was first, or its own row is no row
            alert(table, entry.alert.id)
            replayed += 1
    aside.move(table, unreadable)  # else they would stand at the head of every portion
    return replayed
