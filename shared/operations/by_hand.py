"""The reference of an event that no search found, given by the operator: a row pasted from advanced hunting."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.alerts import alert as alerts
from shared.alerts.alert import MAX_LENGTHS, Checked
from shared.alerts.text import cut, shown, units
from shared.errors import Conflict, Problem, RequestError
from shared.ledger import keys, lookup, record, rows
from shared.ledger.record import Entry
from shared.operations import listing
from shared.operations.replay import contested, not_now
from shared.payload import body as payload
from shared.payload import names
from shared.sending.forward import Forward

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

GRADE = "operator"
"""The grade of a match that the operator made."""
_LINE = "The operator gave the event by hand."
_TRIES = 5
_FIELDS = {
    "deviceid": "machineId",
    "machineid": "machineId",
    "timestamp": "eventTime",
    "eventtime": "eventTime",
    "reportid": "reportId",
}
_ASKED = "a JSON object with DeviceId, Timestamp and ReportId, as a row of advanced hunting has them"


def give(dispatcher: "Dispatch", alert_id: str, row: Mapping[str, Any]) -> Entry:
    """End a search that failed or waits with this reference; return the alert that goes on, as it stands then.

    Raise `NotFound`, `NotNow`, `RequestError` that names each wrong field, or `Busy`.
    """
    table = dispatcher.table
    for _ in range(_TRIES):
        search, etag = listing.own(table, alert_id)
        if search.stage != keys.SEARCH or search.trial or search.state not in ("failed", "waiting"):
            raise not_now(
                f"The alert is {search.state}; a reference is taken only by one whose event is not found and not being"
                " searched at this moment.",
                search,
            )
        found = _found(search, row, table.now())
        after = record.led_to(search, found, table.now())
        try:
            moved = rows.move(lookup.movable(table, search), after, alert=etag)
            return Forward(dispatcher).accept(found, moved)
        except Conflict:
            continue
    raise contested()


def read(body: bytes, *, max_bytes: int, content_encoding: str = "") -> dict[str, Any]:
    """Return the reference of a row by the API's names. Raise `RequestError`, or `PayloadError`."""
    documents = payload.read(body, max_bytes=max_bytes, content_encoding=content_encoding)
    row = documents[0] if len(documents) == 1 else documents
    if isinstance(row, list) and len(row) == 1:
        row = row[0]
    if not isinstance(row, dict):
        raise _wrong([Problem("body", f"is no single row. Accepted: {_ASKED}.")])
    found: dict[str, Any] = {}
    for name, value in row.items():
        field = _FIELDS.get(name.replace("_", "").lower())
        if field and found.setdefault(field, value) != value:
            other = f"{shown(str(found[field]))} and {shown(str(value))}"
            raise _wrong([Problem(field, f"is there twice, with {other}. Accepted: {_ASKED}.")])
    return found


def _found(search: Entry, row: Mapping[str, Any], now: float) -> Entry:
    """Return the alert of a search with a reference. Raise `RequestError`."""
    body = {**search.alert.body(), **dict.fromkeys(names.KEYS), **row}
    limit = MAX_LENGTHS["description"] - units(_LINE) - 2
    checked = alerts.check({**body, "description": f"{cut(str(body['description']), limit)}\n\n{_LINE}"}, now)
    if checked.alert is None or checked.time_truncated:
        raise _wrong(_problems(checked))
    accepted = record.accept(
        checked.alert,
        source=search.source,
        delivery=search.delivery,
        now=now,
        notes=(*search.notes, *(note for note in checked.notes if note.startswith(names.KEYS))),
        sender=search.sender,
    )
    event = {
        "table": "",
        "action": "",
        "device": checked.alert.machine_id,
        "time": checked.alert.event_time,
        "twins": 1,
    }
    match: dict[str, Any] = {
        "grade": GRADE,
        "agree": [],
        "differ": [],
        "secondsApart": None,
        "candidates": len(search.candidates),
        "event": event,
    }
    return dataclasses.replace(accepted, link=search.alert.id, match=match, many=search.many)


def _problems(checked: Checked) -> list[Problem]:
    cut_off = [note.partition(": ")[2] for note in checked.notes if note.startswith("eventTime: ")]
    return [*checked.problems] or [
        Problem("eventTime", f"{'; '.join(cut_off)}. A time that lost digits names no event.")
    ]


def _wrong(problems: list[Problem]) -> RequestError:
    detail = "; ".join(f"{problem.field}: {problem.detail}" for problem in problems)
    return RequestError(detail, extensions={"problems": [problem.render() for problem in problems]})
