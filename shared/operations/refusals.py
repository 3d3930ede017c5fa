"""Refused payloads for the operator: a list in pages, and single ones with all details and what a trial found."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared import log
from shared.alerts.event_time import utc
from shared.errors import NotNow, TableError, WebhookError
from shared.ledger import keys, lookup, rows
from shared.ledger.record import Entry, RefusedPayload
from shared.operations import listing
from shared.search import report
from shared.senders import Sender
from shared.senders import name as name_of
from shared.sending import search
from shared.table.protocol import Delete, Row, Table, try_commit
from shared.web import reply
from shared.web.parameters import Parameters
from shared.web.reply import Reply

if TYPE_CHECKING:
    from shared.webhook.receive import Webhook

PARAMETERS = ("source", "since", "top", "continuation", "sender", "until", "order")
_ROWS = 200  # each may hold 60 KiB
_SEARCHES = 500  # of a page that are read
_GRADES = ("exact", "probable")


def page(table: Table, asked: Parameters, senders: Sequence[Sender]) -> dict[str, Any]:
    """Return a page of refused payloads, the newest first or as `order` says, without the payloads themselves."""
    since, until, source = asked.time("since"), asked.time("until"), asked.text("source")
    sender = listing.sent_by(asked, senders)

    def pick(row: Row) -> RefusedPayload | None:
        payload = rows.read_refused(row)
        fits = (
            (since is None or payload.at >= since)
            and (until is None or payload.at <= until)
            and source in (None, payload.source)
            and (sender is None or payload.sender in sender)
        )
        return payload if fits else None

    end = keys.REFUSED_END if until is None else keys.REFUSED + keys.stamp(until + listing.SKEW_SECONDS)
    listed = listing.by_time(table, (listing.begin(keys.REFUSED, since), end), pick, asked, _ROWS)
    searches = _searches(table, listed.items)
    return {
        "refused": [_refused(payload, senders, searches) for payload in listed.items],
        "continuation": listed.continuation,
    }


def shown(table: Table, payload: RefusedPayload, senders: Sequence[Sender]) -> dict[str, Any]:
    """Return a refused payload as text, with every problem of every event, its parameters, and a trial's searches."""
    searches = lookup.find(table, payload.searches).entries if payload.searches else {}
    return {
        **_refused(payload, senders, searches),
        "refused": list(payload.refused),
        "searches": [_search(alert, searches.get(alert)) for alert in payload.searches],
        "query": {name: value for name, value in payload.query.items() if name.lower() != "code"},
        "payload": payload.payload.decode("utf-8", "replace"),
    }


def stored(table: Table, payload_id: str) -> tuple[RefusedPayload, Row]:
    """Return a refused payload and its row. Raise `NotFound`."""
    there = listing.row(table, keys.REFUSED, payload_id, "refused payload")
    return rows.read_refused(there), there


def replay(webhook: "Webhook", payload_id: str, origin: str) -> Reply:
    """Receive a stored payload again, with its parameters, and answer as the webhook does."""
    table = webhook.dispatcher.table
    payload, there = stored(table, payload_id)
    if payload.bytes > len(payload.payload):
        raise NotNow(
            f"Of {payload.bytes:,} bytes only the first {len(payload.payload):,} were stored: let it be sent again.",
            extensions={"bytes": payload.bytes, "kept": len(payload.payload)},
        )
    try:
        answer = webhook.receive(payload.payload, payload.query, origin, store=False, sender=payload.sender)
    except WebhookError as error:
        answer = reply.of_error(error)
    log.step("operator", operation="replay refused", refusal=payload.id, status=answer.status)
    if answer.status // 100 == 2 and not json.loads(answer.body).get("refused"):  # noqa: PLR2004 - HTTP's success
        try:
            try_commit(table, [Delete(there.key, there.etag)])
        except TableError as error:  # its alerts are accepted, and that is what the answer is about
            log.problem("replayed payload not removed", error, refusal=payload.id)
    return answer


def _refused(
    payload: RefusedPayload, senders: Sequence[Sender], searches: Mapping[str, Entry]
) -> dict[str, Any]:
    grades = {(entry.match or {}).get("grade") for entry in map(searches.get, payload.searches) if entry}
    return {
        "id": payload.id,
        "at": utc(payload.at),
        "source": payload.source or None,
        "sender": payload.sender or None,
        "senderName": name_of(senders, payload.sender),
        "status": payload.status,
        "detail": payload.detail,
        "bytes": payload.bytes,
        "whole": payload.bytes == len(payload.payload),
        "grade": next((grade for grade in _GRADES if grade in grades), None),
    }


def _searches(table: Table, payloads: Iterable[RefusedPayload]) -> dict[str, Entry]:
    """Return the first searches of some payloads, by id."""
    asked = [alert for payload in payloads for alert in payload.searches]
    return lookup.find(table, asked[:_SEARCHES]).entries if asked else {}


def _search(alert: str, entry: Entry | None) -> dict[str, Any]:
    """Return what came of a trial's search; `outcome` is None if it is not stored any more."""
    match = entry.match if entry else None
    return {
        "id": alert,
        "outcome": _outcome(entry) if entry else None,
        "match": report.shown(match) if match else None,
        "event": match.get("event") if match else None,
        "wrongMatch": bool(entry and entry.wrong_match),
        "message": ((entry.error if entry else None) or {}).get("message"),
    }


def _outcome(entry: Entry) -> str:
    if entry.state != "searched":
        return entry.state if entry.has_ended else "waiting"
    if entry.match:
        return "match"
    return search.OUTCOMES.get((entry.error or {}).get("code", ""), "failed")
