"""The slots of the operator's searches: 15 of a rolling minute, which all hosts share.

They are the window of the stage *search*, whose pauses hold here too, and begin here too. A try has no alert, so it
cannot use `Dispatch.acquire`; the rules are those of `sending.window`.
"""

import math
import secrets
from typing import TYPE_CHECKING

from shared import log
from shared.errors import Busy, Conflict, NoSlot, TableError
from shared.sending import window
from shared.sending.pause import Trouble
from shared.sending.window import Held, Policy, Slot, Start
from shared.table.protocol import Table, try_commit

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

_ACQUIRE_SECONDS = 10.0
_RELEASE_SECONDS = 5.0
_MOST_SECONDS = 60  # of a `Retry-After`
_TRIES = 5


def acquire(dispatcher: "Dispatch", policy: Policy) -> Held:
    """Acquire a slot, whose call must start now. Raise `NoSlot` if none is open, or `TableError`."""
    clocks = dispatcher.clocks
    table = dispatcher.until(clocks.monotonic() + _ACQUIRE_SECONDS).table
    for _ in range(_TRIES):
        slot = dispatcher.choose(_open(table, policy))
        mark = secrets.token_hex(8)
        start = Start.now(clocks.monotonic, clocks.wall)
        try:
            etag = table.commit([window.acquire(slot, mark, policy)]).get(slot.key)
        except Conflict:
            continue
        if etag is None:  # it landed, its answer was lost, and the slot has changed since
            continue
        held = Held(slot.key, mark, etag, slot.opens)
        if not window.meets_pause(table, start, policy) and start.is_fresh(policy):
            return held
        try_commit(table, [window.release_unused(held, policy, table.now())])
    raise Busy("No slot could be acquired in time; try again.", retry_after=1)


def release(dispatcher: "Dispatch", policy: Policy, held: Held) -> None:
    """Release a slot after an answer. If the table fails, the lease ends it."""
    table = dispatcher.until(dispatcher.clocks.monotonic() + _RELEASE_SECONDS).table
    try:
        try_commit(table, [window.release(held, policy)])
    except TableError as error:
        log.problem("slot of a try not released", error, slot=held.key)


def pause(dispatcher: "Dispatch", policy: Policy, held: Held, cause: Trouble) -> None:
    """Start the pause that an answer asks for, or lengthen the one there is. If the table fails, nobody else pauses."""
    table = dispatcher.until(dispatcher.clocks.monotonic() + _RELEASE_SECONDS).table
    try:
        for _ in range(2 * window.MOST_CALLS):  # each conflict is a slot that somebody acquired
            view = window.read(table.query(*policy.stage.slots), table.now(), policy)
            operations = window.start_pause(view, cause, held.key)
            if not operations or try_commit(table, operations):
                return
    except TableError as error:
        log.problem("pause of a try not written", error)


def _open(table: Table, policy: Policy) -> tuple[Slot, ...]:
    """Return the open slots. Raise `NoSlot` if there is none."""
    view = window.read(table.query(*policy.stage.slots), table.now(), policy)
    if not view.open:
        seconds = max(1, math.ceil(min(view.opens_in, policy.lease)))
        why = f"All {policy.calls} searches of this minute are used; a slot opens in {seconds} s."
        if view.pause and view.paused:
            why = f"Searches pause: {view.pause.reason}."
        raise NoSlot(why, retry_after=min(seconds, _MOST_SECONDS))
    return view.open
