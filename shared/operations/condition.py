"""The status: window, pause, backlog, what failed, what cannot be read, token."""

from collections.abc import Sequence
from typing import Any

from shared.alerts.event_time import utc
from shared.identity import Claims
from shared.ledger import keys, record, rows
from shared.ledger.keys import Stage
from shared.ledger.record import Entry
from shared.operations import page
from shared.sending.pause import Pause
from shared.sending.window import Policy, Slot, View
from shared.table.protocol import Table

MOST = 200
"""How many alerts are counted at most: whoever asks wants to know whether there are many."""
TRIAL_SECONDS = 7 * 86_400.0


def window(view: View, policy: Policy) -> dict[str, Any]:
    """Return the window: its quota, how much of it is used, and when the next slot opens.

    `used` counts the closed slots: calls under way, answered within the window, or with an unknown answer.
    """
    never = view.pause is not None and view.pause.by_operator
    return {
        "calls": policy.calls,
        "seconds": policy.window,
        "used": len(view.slots) - len(view.free),
        "open": len(view.open),
        "nextOpens": None if never else utc(view.now + view.opens_in),
        "slots": [_slot(slot, view) for slot in view.slots],
    }


def _slot(slot: Slot, view: View) -> dict[str, Any]:
    """Return a slot: `free`, `calling` (its call is under way, or nobody knows its end), or `closed` after a call."""
    left = slot.opens - view.now
    state = "free" if left <= 0 else "calling" if left > view.cooldown else "closed"
    return {"state": state, "opens": None if state == "free" else utc(slot.opens)}


def pause(held: Pause | None, now: float) -> dict[str, Any] | None:
    """Return a pause. One that no longer `holds` ends with the next call, its probe."""
    if held is None:
        return None
    return {
        "reason": held.reason,
        "until": None if held.by_operator else utc(held.ends),
        "byOperator": held.by_operator,
        "holds": now < held.ends,
    }


def backlog(table: Table, stage: Stage, now: float) -> dict[str, Any]:
    """Return how many alerts wait in a stage, by severity, with the age of the oldest since its acceptance, in seconds.

    `atLeast`: the backlog is longer than what one request reads.
    """
    read = page.read(table, stage.waiting, rows.read, top=MOST, rows=MOST)
    waiting = [entry for entry in read.items if entry.state == "waiting"]
    return {
        "waiting": len(waiting),
        "sending": len(read.items) - len(waiting),
        "atLeast": read.continuation is not None,
        "bySeverity": {
            severity: _group([entry for entry in waiting if entry.alert.severity == severity], now)
            for severity in record.DUE_SECONDS
        },
    }


def search(table: Table, view: View, mode: str) -> dict[str, Any]:
    """Return what only the stage *search* has: `FIND_EVENTS`, the tables that the tenant lacks, a trial's outcomes.

    Outcomes are those of searches that were accepted in the last 7 days.
    """
    since = view.now - TRIAL_SECONDS
    return {
        "mode": mode,
        "missingTables": [
            {"table": name, "until": utc(until)} for name, until in sorted(view.missing.items())
        ],
        "trial": {outcome: _count(table, *keys.trials(outcome, since)) for outcome in keys.OUTCOMES},
    }


def failed(table: Table) -> dict[str, Any]:
    """Return how many alerts have failed; `atLeast`: there are more than one request counts."""
    return _count(table, keys.FAILED, keys.FAILED_END)


def unreadable(table: Table) -> dict[str, Any]:
    """Return how many rows were moved aside because they cannot be read, counted as the failed alerts are."""
    return _count(table, keys.ASIDE, keys.ASIDE_END)


def token(claims: Claims | None) -> dict[str, Any] | None:
    """Return the claims of the last token, or None if there was none yet."""
    if claims is None:
        return None
    return {
        "audience": claims.audience,
        "roles": list(claims.roles),
        "application": claims.application,
        "tenant": claims.tenant,
        "expires": utc(claims.expires.timestamp()),
    }


def _count(table: Table, start: str, end: str) -> dict[str, Any]:
    counted = table.query(start, end, limit=MOST + 1, keys_only=True)
    return {"count": min(len(counted), MOST), "atLeast": len(counted) > MOST}


def _group(entries: Sequence[Entry], now: float) -> dict[str, Any]:
    oldest = min((entry.accepted for entry in entries), default=None)
    return {
        "count": len(entries),
        "oldestSeconds": None if oldest is None else max(0, round(now - oldest)),
    }
