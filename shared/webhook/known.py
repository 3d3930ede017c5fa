"""What happens to an alert whose event and title were posted before.

waiting           the higher severity and its place count, the first texts stay, another description is added
sending, created  a duplicate
failed            accepted again: at once the first time, then after growing times; not if Defender rejected these texts
discarded         accepted again from another sender, or with a higher severity
"""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared import log
from shared.alerts.alert import FIELDS, MAX_LENGTHS, SEVERITIES
from shared.alerts.text import cut
from shared.errors import Conflict, Unreadable
from shared.ledger import aside, keys, lookup, retention, rows
from shared.ledger.record import Entry
from shared.table.protocol import Row, Table
from shared.web.delivery import utc

ANEW_MINUTES = (0.0, 15.0, 60.0, 240.0, 960.0)
"""How long after its last end a failed alert is accepted anew, the first time, the second …; the last holds on."""
_REJECTED = 400
_ALSO = "\n\nAlso sent:\n"
_SHOWN = 80
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a known alert: `after` is the changed entry, or None if nothing changes.

    `duplicate`: it is answered with its state, and costs no call. `what` is the word for the log.
    """

    after: Entry | None
    duplicate: bool
    what: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A known alert with its present state, and the decision on it."""

    entry: Entry
    decision: Decision


def join_all(table: Table, sent: Sequence[Entry]) -> dict[str, Known]:
    """Write what becomes of alerts that are known already, side by side; return those, by id. Raise `TableError`.

    One whose row cannot be read is not known: the row is moved aside, so that the alert is accepted anew.
    """
    alerts = table.get_all([keys.alert_key(entry.alert.id) for entry in sent])
    waits = [key for row in alerts if (key := _waits(row))]
    waiting = dict(zip(waits, table.get_all(waits), strict=True))
    joins = {
        entry.alert.id: functools.partial(_join, table, entry, row, waiting.get(_waits(row)))
        for entry, row in zip(sent, alerts, strict=True)
        if row
    }
    joined = zip(joins, table.side_by_side(list(joins.values())), strict=True)
    return {alert: known for alert, known in joined if known}


def _join(table: Table, sent: Entry, row: Row | None, waiting: Row | None) -> Known | None:
    """Decide on an alert by its row and its waiting row, if they exist, and write the change."""
    for attempt in range(_TRIES):
        if row is None:
            return None
        stray = None if waiting else _stray(table, row, sent.alert.id)
        known, whole = _read(table, row, waiting, stray)
        if known is None:
            return None
        there = known.waits in [other.key for other in (waiting, stray) if other]
        decision, before = _decide(table, sent, known, gone=bool(known.waits) and not there)
        if not (decision.after or whole):  # the other row is written again
            decision = replace(decision, after=known)
        if attempt == _TRIES - 1:  # others keep changing it: it is answered as it stands
            decision = replace(decision, after=None, duplicate=True)
        try:
            if decision.after:
                table.commit(rows.move(before, decision.after, alert=row.etag))
            elif named := retention.name(known, now=table.now()):
                table.commit(rows.note(named, row.etag))
        except Conflict:
            row = table.get(row.key)
            waiting = table.get(_waits(row)) if _waits(row) else None
            continue
        after = decision.after or known
        differs = ", ".join(differing(sent, known)) or None
        log.step("known alert", entry=after, was=known.state, became=decision.what, differs=differs)
        return Known(after, decision)
    return None


def _waits(row: Row | None) -> str:
    """Return the key of an alert's waiting row by its own row, even if other columns are unreadable; empty: none."""
    waits = row.values.get("waits") if row else None
    return waits if isinstance(waits, str) and keys.is_waiting_key(waits) else ""


def _stray(table: Table, row: Row, alert: str) -> Row | None:
    """Return the row that waits for an alert, whose own row names none, or one that is not there."""
    with contextlib.suppress(Unreadable):
        if rows.read(row).has_ended:
            return None
        now = table.get(row.key)
        if now is None or now.etag != row.etag:
            return None  # it has moved between two of our requests
    key = lookup.waiting_key(table, alert)
    return table.get(key) if key else None


def _read(table: Table, row: Row, waiting: Row | None, stray: Row | None) -> tuple[Entry | None, bool]:
    """Return a known alert, and whether all its rows say the same: one that can be read is enough.

    None where none can be read: the alert's row is then moved aside.
    """
    entries = []
    for stored in filter(None, (stray, row, waiting)):
        with contextlib.suppress(Unreadable):
            entries.append(rows.read(stored))
    if not entries:
        aside.move(table, [row])
        return None, False
    return entries[0], stray is None and len(entries) == (1 if waiting is None else 2)


def _decide(table: Table, sent: Entry, known: Entry, *, gone: bool) -> tuple[Decision, Entry]:
    """Return the decision on a known alert, and the entry with its rows; `gone` is a waiting row that is missing."""
    now = table.now()
    decision = decide(sent, known, now)
    if gone and _is_idle(known, now):
        note = "The same alert waited, and its row was removed or cannot be read: it is accepted again"
        decision = _anew(sent, known, note)
    if gone:
        return decision, replace(known, waits="")
    return decision, lookup.movable(table, known) if decision.after and not known.waits else known


def _is_idle(known: Entry, now: float) -> bool:
    """Tell whether no call for an alert can be under way: a call has its lease."""
    return known.state != "sending" or known.waits < known.stage.later_before(now)


def decide(sent: Entry, known: Entry, now: float) -> Decision:
    """Return the decision on an alert that was `sent` and is `known`; `now` is the server's time in UTC seconds."""
    differs = differing(sent, known)
    if known.delivery == sent.delivery:  # ours: its write landed, and nobody heard of it
        return Decision(None, duplicate=False, what="landed", notes=())
    if known.state == "waiting":
        return _waiting(sent, known, differs)
    if known.state == "failed":
        return _failed(sent, known, now, differs)
    if known.state == "discarded":
        return _discarded(sent, known)
    return Decision(None, duplicate=True, what="duplicate", notes=differences(sent, known))


def differing(sent: Entry, known: Entry) -> tuple[str, ...]:
    """Return the names of the fields in which two equal alerts differ."""
    ours, theirs = sent.alert.body(), known.alert.body()
    return tuple(name for name in FIELDS if ours[name] != theirs[name])


def differences(sent: Entry, known: Entry) -> tuple[str, ...]:
    """Return a note about the fields in which an equal alert differs: they were not sent again."""
    ours, theirs = sent.alert.body(), known.alert.body()
    return tuple(
        f"{name}: {ours[name][:_SHOWN]!r} differs from {theirs[name][:_SHOWN]!r} of the same alert sent before;"
        " not sent again"
        for name in differing(sent, known)
    )


def _waiting(sent: Entry, known: Entry, differs: tuple[str, ...]) -> Decision:
    """Join two alerts that wait as one."""
    alert = known.alert
    notes = [note for note in differences(sent, known) if not note.startswith(("severity:", "description:"))]
    if _more_severe(sent, known):
        notes.append(
            f"severity: it waited with {alert.severity}, and now has {sent.alert.severity} and its place"
        )
        alert = replace(alert, severity=sent.alert.severity)
    elif "severity" in differs:
        notes.append(f"severity: it waits with {alert.severity}, the higher of the two")
    if sent.alert.description not in alert.description:
        notes.append("description: added to that of the same alert that waits")
        joined = cut(alert.description + _ALSO + sent.alert.description, MAX_LENGTHS["description"])
        alert = replace(alert, description=joined)
    if alert == known.alert:
        return Decision(None, duplicate=True, what="duplicate", notes=tuple(notes))
    due = min(known.due, sent.due)
    moved = known.waits if known.stage.is_later(known.waits) else known.stage.todo_key(due, alert.id)
    after = replace(known, alert=alert, due=due, waits=moved)
    return Decision(after, duplicate=True, what="joined", notes=tuple(notes))


def _failed(sent: Entry, known: Entry, now: float, differs: tuple[str, ...]) -> Decision:
    error = known.error or {}
    why = f"status {error['status']}" if error.get("status") else str(error.get("code") or "no answer")
    if error.get("status") == _REJECTED and not differs:
        note = "Defender rejected the same alert, with the same texts: it is not sent again unless it is replayed"
        return Decision(None, duplicate=True, what="not sent again", notes=(note,))
    at = (known.ended or 0.0) + ANEW_MINUTES[min(known.renewed, len(ANEW_MINUTES) - 1)] * 60
    if now < at:
        note = f"The same alert failed before ({why}): it is accepted again from {utc(at)} on"
        return Decision(None, duplicate=True, what="not yet", notes=(*differences(sent, known), note))
    note = f"The same alert failed before ({why}): it is accepted again"
    return _anew(sent, known, note)


def _discarded(sent: Entry, known: Entry) -> Decision:
    if sent.sender != known.sender:
        return _anew(
            sent, known, "The operator discarded the same alert of another sender: it is accepted again"
        )
    if _more_severe(sent, known):
        note = f"The operator discarded the same alert as {known.alert.severity}: it is accepted again"
        return _anew(sent, known, note)
    note = "The operator discarded the same alert: it is not sent"
    return Decision(None, duplicate=True, what="not sent", notes=(*differences(sent, known), note))


def _anew(sent: Entry, known: Entry, note: str) -> Decision:
    """Accept an alert again, with its former tries."""
    after = replace(
        sent,
        notes=(*sent.notes, note),
        attempts=known.attempts,
        tries=known.tries,
        renewed=known.renewed + 1,
        unknown=known.unknown,
    )
    return Decision(after, duplicate=False, what="accepted anew", notes=())


def _more_severe(sent: Entry, known: Entry) -> bool:
    return SEVERITIES.index(sent.alert.severity) > SEVERITIES.index(known.alert.severity)
