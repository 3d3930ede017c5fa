"""Replay: alerts that failed or were discarded, or whose waiting row was removed, are tried again."""

import contextlib
from typing import TYPE_CHECKING

from shared.errors import Busy, NotFound, NotNow, Unreadable
from shared.ledger import aside, keys, lookup, record, rows
from shared.ledger.record import Entry
from shared.operations import listing

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

_TRIES = 5


def alert(dispatcher: "Dispatch", alert_id: str) -> Entry:
    """Let a failed or discarded alert wait again, in the turn of its sender; return the changed entry.

    The same holds for an alert without a waiting row, because an operator may remove an unreadable row. Raise
    `NotFound`, or `NotNow` in any other state.
    """
    table = dispatcher.table
    for number in range(_TRIES):
        entry, etag = listing.entry(table, alert_id)
        before = lookup.movable(table, entry)
        if before == entry and entry.state not in ("failed", "discarded"):
            raise NotNow(
                f"The alert is {entry.state}; only one that is failed or discarded can be replayed.",
                extensions={"state": entry.state},
            )
        again = record.replay(entry, now=table.now())
        plan = dispatcher.plan([again], write=number < _TRIES - 1)
        (turned,) = plan.entries
        if dispatcher.commit(plan, rows.move(before, turned, alert=etag)):
            return turned
        dispatcher.turns.give_back(
            plan
        )  # somebody changed the alert or the turn between our read and our write
        dispatcher.turns.read_again(table, plan)
    raise Busy("Others keep changing this alert at the same moment; try again.", retry_after=1)


def failed(dispatcher: "Dispatch", top: int) -> int:
    """Replay up to `top` failed alerts, the earliest failure first; return their number."""
    replayed = 0
    unreadable = []
    for row in dispatcher.table.query(keys.FAILED, keys.FAILED_END, limit=top):
        try:
            entry = rows.read(row)
        except Unreadable:
            unreadable.append(row)
            continue
        with contextlib.suppress(
            NotFound, NotNow, Unreadable
        ):  # somebody else was first, or its own row is no row
            alert(dispatcher, entry.alert.id)
            replayed += 1
    aside.move(dispatcher.table, unreadable)  # else they would stand at the head of every portion
    return replayed
