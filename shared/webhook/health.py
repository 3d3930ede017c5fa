"""Health: pass or fail, without detail, because anybody may ask."""

from typing import TYPE_CHECKING

from shared.errors import WebhookError
from shared.ledger import backlog, keys
from shared.web import reply

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch
    from shared.web.reply import Reply

OVERDUE_SECONDS = 300.0
IDLE_SECONDS = 90.0  # no slot is open for longer while a dispatcher works
_SOME = 20  # rows, should one of them not be readable


def _reply(status: int, word: str) -> "Reply":
    return reply.of(
        status, {"status": word}, content_type="application/health+json", Cache_Control="no-store"
    )


PASS, FAIL = _reply(200, "pass"), _reply(503, "fail")


def answer(dispatcher: "Dispatch") -> "Reply":
    """Answer pass if the table answers and nothing waits that could be sent."""
    try:
        return PASS if _is_well(dispatcher) else FAIL
    except WebhookError:
        return FAIL


def _is_well(dispatcher: "Dispatch") -> bool:
    """Tell whether everything that is due is sent. Raise `WebhookError` if that is unknown."""
    snapshot = dispatcher.snapshot()
    before = snapshot.view.now - OVERDUE_SECONDS
    due = dispatcher.table.query(keys.LATER, keys.REFERENCE.later_before(before), limit=_SOME)
    overdue = any(waiting.entry.accepted < before for waiting in snapshot.waiting)
    later = backlog.read(due, before, 1)
    forgotten = later.waiting  # only the dispatcher takes back what came due again
    if any(row.timestamp < before for row in (*snapshot.backlog.unreadable, *later.unreadable)):
        return False  # only the dispatcher moves them aside
    idle = snapshot.view.now - snapshot.view.opens
    if not (overdue or forgotten) or idle <= IDLE_SECONDS:
        return True
    resumed = dispatcher.table.get(keys.RESUMED)
    # The next tick sends what waited for the operator to resume.
    return resumed is not None and snapshot.view.now - resumed.timestamp <= IDLE_SECONDS
