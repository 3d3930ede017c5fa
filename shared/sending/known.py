"""Alerts that are posted again: what `decision` decides on them is written, in one transaction each."""

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared import log
from shared.alerts.alert import WITHOUT_EVENT, Alert
from shared.errors import Conflict, Unreadable
from shared.ledger import aside, keys, lookup, record, retention, rows, settlement
from shared.ledger.record import Entry
from shared.sending import decision as decisions
from shared.sending.decision import Decision
from shared.table.protocol import Operation, Row, Table

_TEXTS = ("severity", "category", "description", "recommendedAction")
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Known:
    """A known alert with its present state, and the decision on it."""

    entry: Entry
    decision: Decision


def join_all(table: Table, sent: Sequence[Entry]) -> dict[str, Known]:
    """Write what becomes of alerts that are known already, side by side; return those, by id. Raise `TableError`.

    One whose row cannot be read is not known: the row is moved aside, so that the alert is accepted anew. But where
    calls are made once, it is known as one that failed, because it may have been created.
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


def join(table: Table, sent: Entry, row: Row, beside: Sequence[Operation]) -> Entry:
    """Write what becomes of an alert that is known, in one transaction with `beside`; return it as it stands then.

    Raise `Conflict` if one of the rows has changed, or a `TableError`.
    """
    considered = _considered(table, sent, row, _waiting_row(table, row))
    if considered is None:
        raise Conflict  # its row was moved aside: it is accepted anew, or another one keeps its place
    known, decision, operations = considered
    table.commit([*beside, *operations])
    return _joined(sent, known, decision).entry


def _join(table: Table, sent: Entry, row: Row | None, waiting: Row | None) -> Known | None:
    """Decide on an alert by its row and its waiting row, if they exist, and write the change."""
    for attempt in range(_TRIES):
        if row is None:
            return None
        linked = _linked(table, row)
        if linked and linked.key != row.key:
            return _join(table, _as_linked(sent, row, linked), linked, _waiting_row(table, linked))
        considered = _considered(table, sent, row, waiting)
        if considered is None and sent.stage.once:
            row, waiting = table.get(row.key), None
            continue
        if considered is None:
            return None
        known, decision, operations = considered
        if attempt == _TRIES - 1 and decision.after:  # others keep changing it: it is answered as it stands
            decision, operations = replace(decision, after=None, duplicate=True), []
        try:
            if operations:
                table.commit(operations)
        except Conflict:
            row = table.get(row.key)
            waiting = _waiting_row(table, row)
            continue
        return _joined(sent, known, decision)
    return None


def _considered(
    table: Table, sent: Entry, row: Row, waiting: Row | None
) -> tuple[Entry, Decision, list[Operation]] | None:
    """Return a known alert, the decision on it, and the operations that write it.

    None if no row can be read: the alert's own is then moved aside.
    """
    stray = None if waiting else _stray(table, row, sent)
    known, whole = _read(row, waiting, stray)
    if known is None:
        _move_aside(table, row, sent)
        return None
    there = known.waits in [other.key for other in (waiting, stray) if other]
    decision, before = _decide(table, sent, known, gone=bool(known.waits) and not there)
    if not (decision.after or whole):  # the other row is written again
        decision = replace(decision, after=known)
    if decision.after:
        return known, decision, rows.move(before, decision.after, alert=row.etag)
    named = retention.name(known, now=table.now())
    return known, decision, rows.note(named, row.etag) if named else []


def _joined(sent: Entry, known: Entry, decision: Decision) -> Known:
    after = decision.after or known
    differs = ", ".join(decisions.differing(sent, known)) or None
    log.step("known alert", entry=after, was=known.state, became=decision.what, differs=differs)
    return Known(after, decision)


def _linked(table: Table, row: Row) -> Row | None:
    """Return the row of the alert that a search has led to; None for any other row, or where it is gone."""
    link = row.values.get("link")
    if row.values.get("state") != "matched" or not isinstance(link, str):
        return None
    return table.get(keys.alert_key(link))


def _as_linked(sent: Entry, search: Row, row: Row) -> Entry:
    """Return a posted alert without a reference as the alert that its search has led to.

    A text is its own only if it differs from that of the search, for the alert's has what was found in it; where that
    alert cannot be read and is called once, it is the posted one under its id.
    """
    with contextlib.suppress(Unreadable):
        linked, before, texts = rows.read(row), rows.read(search).alert.body(), sent.alert.body()
        other = {name: texts[name] for name in _TEXTS if texts[name] != before[name]}
        alert = Alert.from_body(linked.alert.body() | other)
        found = replace(
            sent, alert=alert, stage=linked.stage, clues=linked.clues, match=linked.match, link=linked.link
        )
        return record.due_at(found, found.due)
    stage = row.values.get("stage")
    if not isinstance(stage, str) or not keys.stage(stage).once:
        return sent
    body = {**sent.alert.body(), "reportId": WITHOUT_EVENT + row.key.removeprefix(keys.ALERT)}
    return replace(sent, alert=Alert.from_body(body), stage=keys.stage(stage))


def _waiting_row(table: Table, row: Row | None) -> Row | None:
    key = _waits(row)
    return table.get(key) if key else None


def _waits(row: Row | None) -> str:
    """Return the key of an alert's waiting row by its own row, even if other columns are unreadable; empty: none."""
    waits = row.values.get("waits") if row else None
    return waits if isinstance(waits, str) and keys.is_waiting_key(waits) else ""


def _stray(table: Table, row: Row, sent: Entry) -> Row | None:
    """Return the row that waits for an alert, whose own row names none, or one that is not there."""
    with contextlib.suppress(Unreadable):
        if rows.read(row).has_ended:
            return None
        now = table.get(row.key)
        if now is None or now.etag != row.etag:
            return None  # it has moved between two of our requests
    key = lookup.waiting_key(table, sent.alert.id, sent.stage)
    return table.get(key) if key else None


def _read(row: Row, waiting: Row | None, stray: Row | None) -> tuple[Entry | None, bool]:
    """Return a known alert, and whether all its rows say the same: one that can be read is enough; None: none can."""
    entries = []
    for stored in filter(None, (stray, row, waiting)):
        with contextlib.suppress(Unreadable):
            entries.append(rows.read(stored))
    if not entries:
        return None, False
    return entries[0], stray is None and len(entries) == (1 if waiting is None else 2)


def _move_aside(table: Table, row: Row, sent: Entry) -> None:
    """Move the row of a posted alert aside; where calls are made once, another one keeps its place."""
    if not sent.stage.once:
        aside.move(table, [row])
        return
    delivery = row.values.get("delivery")
    home = delivery if isinstance(delivery, str) and keys.is_delivery_id(delivery) else ""
    aside.keep(table, row, settlement.unreadable(sent, home, table.now()))


def _decide(table: Table, sent: Entry, known: Entry, *, gone: bool) -> tuple[Decision, Entry]:
    """Return the decision on a known alert, and the entry with its rows; `gone` is a waiting row that is missing."""
    now = table.now()
    decision = decisions.decide(sent, known, now)
    idle = gone and _is_idle(known, now)
    failed = settlement.give_up_lost(known, now=now) if idle and known.stage.once else None
    if failed:
        decision = Decision(failed, duplicate=True, what="given up", notes=())
    elif idle:
        note = "The same alert waited, and its row was removed or cannot be read: it is accepted again"
        decision = decisions.anew(sent, known, note)
    if gone:
        return decision, replace(known, waits="")
    return decision, lookup.movable(table, known) if decision.after and not known.waits else known


def _is_idle(known: Entry, now: float) -> bool:
    """Tell whether no call for an alert can be under way: a call has its lease."""
    return known.state != "sending" or known.waits < known.stage.later_before(now)
