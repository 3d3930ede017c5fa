"""What the operator can do about a search: look again, or mark what it found as wrong."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import NotFound
from shared.ledger import keys, lookup, record, rows
from shared.ledger.record import Delivery, Entry
from shared.operations import listing
from shared.operations.replay import Again, contested, not_now, wait
from shared.table.protocol import Operation, Table, try_commit

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Case:
    """A search with its row's ETag, and the alert of the event that it found, if there is one."""

    search: Entry
    etag: str
    alert: Entry | None = None
    alert_etag: str = ""

    @property
    def is_its_own(self) -> bool:
        """Whether the alert came from this search; else it was there before, by another search or its reference."""
        return self.alert is not None and self.alert.link == self.search.alert.id


def again(dispatcher: "Dispatch", alert_id: str) -> Entry:
    """Search for an event again, by the id of a search that failed or of its alert that failed; return the search.

    Raise `NotFound`, `NotNow` in any other state, or `Busy`.
    """
    table = dispatcher.table

    def read() -> Again:
        case = _case(table, alert_id)
        search = case.search
        stands = case.alert or search
        if search.trial or stands.state != "failed":
            raise not_now(f"The alert is {stands.state}; only one that failed is searched again.", stands)
        before = lookup.movable(table, search)
        after = record.replay(search, now=table.now())
        after = dataclasses.replace(after, match=None, link="", candidates=())
        beside = _set_apart(case.alert, case.alert_etag, table.now()) if case.alert else []
        return Again(before, after, case.etag, beside)

    return wait(dispatcher, read)


def wrong(table: Table, alert_id: str) -> tuple[Entry, dict[str, Any]]:
    """Mark a match as wrong; return the marked alert, or search of a trial, and the case with what is to be done.

    Raise `NotFound`, `NotNow` if it has not ended or has no match, or `Busy`.
    """
    for _ in range(_TRIES):
        case = _case(table, alert_id)
        marked, etag = case.search, case.etag
        if case.alert and case.is_its_own and case.alert.match:
            marked, etag = case.alert, case.alert_etag
        if not marked.match:
            raise not_now("No event was found for this alert, so no match can be wrong.", marked)
        if not marked.has_ended:
            raise not_now("The alert has not been sent yet: discard it, then mark its match.", marked)
        shown = _shown(case, marked)
        after = dataclasses.replace(marked, wrong_match=True)
        if marked.wrong_match or try_commit(table, rows.note(after, etag)):
            return after, shown
    raise contested()


def _case(table: Table, alert_id: str) -> _Case:
    """Return a search by its own id, or by that of its alert. Raise `NotFound`, or `NotNow` if there is no search."""
    entry, etag = listing.own(table, alert_id)
    if entry.stage == keys.SEARCH:
        try:
            return _Case(entry, etag, *listing.own(table, entry.link)) if entry.link else _Case(entry, etag)
        except NotFound:
            return _Case(entry, etag)
    if not entry.link:
        raise not_now(
            "The alert belongs to no search: it came with its reference, or was set apart from it.", entry
        )
    search, search_etag = listing.own(table, entry.link)
    if search.link != entry.alert.id:
        raise not_now("Its event was searched again since, and the search has not led to this alert.", entry)
    return _Case(search, search_etag, entry, etag)


def _set_apart(alert: Entry, etag: str, now: float) -> list[Operation]:
    """Return the operations that give a failed alert a delivery of its own.

    So it is known, by the usual rules, if the search leads to it once more, and deleted in its own time if not.
    """
    own = Delivery(keys.delivery_id(now), alert.source, now, (alert.alert.id,), sender=alert.sender)
    note = "The operator let its event be searched again."
    notes = tuple(dict.fromkeys((*alert.notes, note)))
    apart = dataclasses.replace(alert, delivery=own.id, link="", many=False, notes=notes)
    return [*rows.note(apart, etag, before=alert), rows.insert_delivery(own)]


def _shown(case: _Case, marked: Entry) -> dict[str, Any]:
    search = case.search
    body = (case.alert or marked).alert.body()
    reference = {name: body[name] for name in ("machineId", "eventTime", "reportId")}
    return {
        "case": {
            "source": search.source,
            "clues": dict(search.clues or {}),
            "candidates": list(search.candidates),
            "match": dict(marked.match or {}),
            "reference": None if case.alert is None and marked.stage == keys.SEARCH else reference,
        },
        "remedy": _remedy(case),
    }


def _remedy(case: _Case) -> str:
    """Return what the operator must do in Defender about the alert of a wrong event."""
    alert = case.alert
    if alert is None and case.search.link:
        return "Its alert is no longer stored: look in Defender for one with its title on the device of the event."
    if alert and alert.created and not case.is_its_own:
        return (
            f"The search led to an alert that was there already, {alert.created.get('id')} in Defender: leave that"
            " alone, and raise the right event by posting its reference."
        )
    if alert is None or not alert.created:
        return "Nothing was raised in Defender, so there is nothing to do there."
    made, device = alert.created.get("id"), alert.alert.machine_id
    first = (
        f"Defender merged it into its alert {made}, which may be right itself: note there that this event does not"
        " belong to it"
        if alert.merged
        else f"In Defender, close the alert {made} as a false positive"
    )
    return (
        f"{first}, undo what its investigation did to the device {device}, and raise the right event by posting its"
        " reference."
    )
