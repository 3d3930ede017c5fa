"""Payloads with refused events are stored for the operator, because most SIEMs do not show our answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import log
from shared.alerts.text import cut
from shared.errors import PayloadTooLarge, WebhookError
from shared.ledger import keys, rows
from shared.ledger.record import RefusedPayload
from shared.table.protocol import Table
from shared.web import delivery
from shared.webhook import masking

if TYPE_CHECKING:
    from shared.mapping.outcome import Outcome

_MASKED_BYTES = 4 * rows.REFUSED_BYTES
_SOURCE_UNITS = 100


@dataclass(frozen=True, slots=True)
class Received:
    """A received payload: its bytes (decompressed), its parameters, its sender, and the ids of a trial's searches."""

    body: bytes
    query: Mapping[str, str]
    sender: str
    searches: tuple[str, ...] = ()


def by(error: WebhookError, table: Table, received: Received) -> None:
    """Store a payload that was refused with an error, unless it is too large."""
    if not isinstance(error, PayloadTooLarge):
        source = error.extensions.get("source") or received.query.get("source")
        refused = error.extensions.get("refused", ())
        _store(table, received, source=source, status=error.status, detail=error.detail, refused=refused)


def in_part(table: Table, received: Received, outcome: "Outcome", status: int) -> None:
    """Store a payload of which some events were refused; `status` is the HTTP status of the answer."""
    refused = delivery.refused_events(outcome.refused)
    detail = f"{len(refused)} of this payload's events could not become alerts; the others did."
    _store(table, received, source=outcome.source, status=status, detail=detail, refused=refused)


def _store(
    table: Table,
    received: Received,
    *,
    source: object,
    status: int,
    detail: str,
    refused: Sequence[Mapping[str, Any]],
) -> None:
    """Store a payload with its secrets masked; if that fails, the sender is answered all the same."""
    if not received.body.strip() or b"\0" in received.body:  # that is no text
        return
    now = table.now()
    masked = masking.body(received.body[:_MASKED_BYTES])
    payload = RefusedPayload(
        id=keys.refused_id(now, received.sender),
        at=now,
        source=cut(str(source or ""), _SOURCE_UNITS),
        status=status,
        detail=masking.text(detail),
        refused=tuple(masking.problems(refused)),
        query=masking.named(received.query),
        payload=masked,
        bytes=len(masked) + max(0, len(received.body) - _MASKED_BYTES),
        sender=received.sender,
        searches=received.searches,
    )
    try:
        table.commit([rows.insert_refused(payload)])
    except WebhookError as failure:
        log.problem("refused payload not stored", failure)
        return
    log.step(
        "refused",
        source=payload.source,
        sender=payload.sender or None,
        refusal=payload.id,
        status=status,
        events=len(refused),
    )
