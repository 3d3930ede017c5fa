"""Replay: alerts that failed or were discarded, or whose rows were removed or corrected, are tried again."""

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import Busy, NotFound, NotNow, Unreadable
from shared.ledger import aside, keys, lookup, record, rows, settlement
from shared.ledger.keys import Stage
from shared.ledger.record import Entry
from shared.operations import listing, page
from shared.table.protocol import Delete, Insert, Operation, Row, Table, try_commit

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

MOST = 200
"""How many of the remaining are counted at most."""
_TRIES = 5
_END = re.compile(keys.FAILED + r"[0-9.]+")


def alert(dispatcher: "Dispatch", alert_id: str) -> Entry:
    """Let a failed or discarded alert wait again, in the turn of its sender; return the changed entry.

    The same holds for an alert without a waiting row, because an operator may remove an unreadable row. Raise
    `NotFound`, or `NotNow` in any other state.
    """

    def read() -> Again:
        entry, etag = listing.entry(dispatcher.table, alert_id)
        before = lookup.movable(dispatcher.table, entry)
        if before == entry and entry.state not in ("failed", "discarded"):
            raise not_now(
                f"The alert is {entry.state}; only one that is failed or discarded can be replayed.", entry
            )
        return Again(before, record.replay(entry, now=dispatcher.table.now()), etag)

    return wait(dispatcher, read)


@dataclass(frozen=True, slots=True)
class Again:
    """An alert `before` and `after` it waits again; `etag` is that of its row; `beside` is what else is written."""

    before: Entry
    after: Entry
    etag: str
    beside: Sequence[Operation] = ()


def wait(dispatcher: "Dispatch", read: Callable[[], Again]) -> Entry:
    """Let an alert wait again as `read` says, in the turn of its sender; return the changed entry.

    Raise `Busy`, `NotNow` if its stage is off, and what `read` raises.
    """
    for number in range(_TRIES):
        again = read()
        if not _is_on(dispatcher, again.after.stage):
            off = (
                f"setting {again.after.stage.setting}"
                if again.after.stage.setting
                else "stage of another version"
            )
            raise not_now(f"It would wait for ever, because the {off} is off.", again.before)
        plan = dispatcher.plan([again.after], write=number < _TRIES - 1)
        (turned,) = plan.entries
        if dispatcher.commit(plan, [*rows.move(again.before, turned, alert=again.etag), *again.beside]):
            return turned
        # Somebody changed the alert or the turn between our read and our write.
        dispatcher.turns.give_back(plan)
        dispatcher.turns.read_again(dispatcher.table, plan)
    raise contested()


def contested() -> Busy:
    """Return the error for what others change at every try."""
    return Busy("Others keep changing this at the same moment; try again.", retry_after=1)


def not_now(detail: str, entry: Entry) -> NotNow:
    """Return the error for an alert whose state does not allow what is asked for."""
    return NotNow(detail, extensions={"state": entry.state})


def unreadable(table: Table, row_id: str) -> Entry | None:
    """Put a row that was moved aside back, once it can be read; return its alert's changed entry, if it has one.

    If the alert itself waits or has ended, the row is only removed. Raise `NotFound`, and
    `NotNow` where the row still cannot be read.
    """
    for _ in range(_TRIES):
        row = listing.moved(table, row_id)
        before = aside.original(row)
        try:
            operations, entry = _put_back(table, before)
        except Unreadable as error:
            raise NotNow(f"{error.detail} Correct it in the row {row.key}, then replay it.") from None
        if try_commit(table, [*operations, Delete(row.key, row.etag)]):
            return entry
    raise contested()


def _put_back(table: Table, before: Row) -> tuple[list[Operation], Entry | None]:
    """Return the operations that put a row back, and its alert as it stands then. Raise `Unreadable`."""
    held = rows.read_any(before)
    if not isinstance(held, Entry):
        return [Insert(before.key, before.values)], None
    stored = table.get(keys.alert_key(held.alert.id))
    if stored is None:
        return _insert(table, held)
    entry = rows.read(stored)
    there = lookup.movable(table, entry)
    if (entry.error or {}).get("code") == settlement.UNREADABLE:  # it only kept the place of this one
        return rows.move(there, held, alert=stored.etag), held
    if there == entry:
        return [], entry
    if entry.has_ended:  # and is not listed
        return rows.note(entry, stored.etag), entry
    again = record.replay(entry, now=table.now())
    return rows.move(there, again, alert=stored.etag), again


def _insert(table: Table, held: Entry) -> tuple[list[Operation], Entry]:
    """Return the operations that write an alert whose own row is not there."""
    key = lookup.waiting_key(table, held.alert.id, held.stage)
    if key and (waiting := table.get(key)):
        entry = rows.read(waiting)
        return rows.move(entry, entry, waiting=waiting.etag), entry
    if held.has_ended:
        return rows.note(held, None), held
    again = record.replay(held, now=table.now())
    return rows.insert(again), again


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a portion; `remaining` failed before the first one, `at_least`: more than were counted."""

    replayed: int
    remaining: int
    at_least: bool
    continuation: str | None


def failed(
    dispatcher: "Dispatch",
    top: int,
    fits: Callable[[Entry], bool] = lambda _: True,
    continuation: str | None = None,
) -> Replayed:
    """Replay up to `top` failed alerts that fit, the earliest failure first. Raise `RequestError`.

    Left out are those of a stage that is off, and those that may have been created: each of them needs a look. The
    next portions have only what failed before the first one, so what fails again is not replayed again by them.
    """
    unreadable: list[Row] = []
    table = dispatcher.table

    def pick(row: Row) -> Entry | None:
        try:
            entry = rows.read(row)
        except Unreadable:
            unreadable.append(row)
            return None
        doubtful = entry.stage.once and (entry.error or {}).get("code") in settlement.DOUBTFUL
        return entry if fits(entry) and _is_on(dispatcher, entry.stage) and not doubtful else None

    def read(row: Row) -> Entry | None:
        return entry if fits(entry := rows.read(row)) else None

    first, end = _rest(continuation) if continuation else (None, keys.FAILED_END)
    portion = page.read(table, [(keys.FAILED, end)], pick, top=top, continuation=first)
    if not continuation:
        end = keys.FAILED + keys.stamp(table.now() + 0.001)
    replayed = 0
    for entry in portion.items:
        # Somebody else was first, or its own row is no row.
        with contextlib.suppress(NotFound, NotNow, Unreadable):
            alert(dispatcher, entry.alert.id)
            replayed += 1
    aside.move(table, unreadable)  # else they would stand at the head of every portion
    left = page.read(table, [(keys.FAILED, end)], read, top=MOST)
    last = page.decoded(portion.continuation or "")
    goes_on = page.opaque(f"{last} {end}") if keys.FAILED < last < end else None
    return Replayed(replayed, len(left.items), left.continuation is not None, goes_on)


def _rest(continuation: str) -> tuple[str, str]:
    """Return where the next portion begins, and the end of all. Raise `RequestError` for another's continuation."""
    last, _, end = page.decoded(continuation).partition(" ")
    if not (_END.fullmatch(end) and keys.FAILED < last < end):
        raise page.not_ours(continuation)
    return page.opaque(last), end


def _is_on(dispatcher: "Dispatch", stage: Stage) -> bool:
    return stage == dispatcher.policy.stage or stage.name in dispatcher.others
