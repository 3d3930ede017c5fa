"""Discarding alerts that wait, and single ones that have failed; alerts that are being sent are left alone."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import Busy
from shared.ledger import lookup, record, rows
from shared.ledger.record import Entry, Waiting
from shared.operations import listing, page
from shared.operations.page import Page
from shared.operations.replay import not_now
from shared.table.protocol import Row, Table, try_commit

MOST = 200
"""How many are discarded at a time."""
ROWS = 5_000
"""How many rows are read for them, and again as many to count what remains."""


@dataclass(frozen=True, slots=True)
class Discarded:
    """The result of a portion. `sending` cannot be stopped any more; `at_least`: there are more than were counted."""

    discarded: int
    remaining: int
    sending: int
    at_least: bool
    continuation: str | None


def portion(
    table: Table, matches: Callable[[Entry], bool], continuation: str | None, *, most_rows: int = ROWS
) -> Discarded:
    """Discard the next waiting alerts that match. Raise `RequestError` for a wrong continuation.

    An alert that changed between read and write stays, and counts as remaining: another request finds its new state.
    """

    def pick(row: Row) -> Waiting | None:
        entry = rows.read(row)
        return Waiting(entry, row.etag) if matches(entry) else None

    def read(top: int, at: str | None) -> Page[Waiting]:
        return page.read(table, page.WAITING, pick, top=top, continuation=at, rows=most_rows)

    portion_read = read(MOST, continuation)
    remaining: Page[Waiting] = (
        read(most_rows, portion_read.continuation) if portion_read.continuation else Page((), None)
    )
    discarded = sum(
        _discard(table, waiting) for waiting in portion_read.items if waiting.entry.state == "waiting"
    )
    states = [waiting.entry.state for waiting in (*portion_read.items, *remaining.items)]
    return Discarded(
        discarded=discarded,
        remaining=states.count("waiting") - discarded,
        sending=states.count("sending"),
        at_least=remaining.continuation is not None,
        continuation=portion_read.continuation,
    )


def one(table: Table, alert_id: str) -> Entry:
    """Discard an alert that waits or has failed; return it as it is then. Raise `NotFound`, or `NotNow` for others."""
    entry, etag = listing.entry(table, alert_id)
    if entry.state not in ("waiting", "failed"):
        raise not_now(
            f"The alert is {entry.state}; only one that waits or has failed can be discarded.", entry
        )
    before = lookup.movable(table, entry)
    after = record.discard(entry, now=table.now())
    if not try_commit(table, rows.move(before, after, alert=etag)):
        raise Busy("The alert changed at the same moment; look at it again.", retry_after=1)
    return after


def _discard(table: Table, waiting: Waiting) -> bool:
    after = record.discard(waiting.entry, now=table.now())
    return try_commit(table, rows.move(waiting.entry, after, waiting=waiting.etag))
