"""What was refused is stored for the operator, whole or in part: most SIEMs show nobody our answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared import log
from shared.alerts.text import cut
from shared.errors import PayloadTooLarge, WebhookError
from shared.ledger import keys, rows
from shared.ledger.record import RefusedPayload
from shared.table.protocol import Table
from shared.webhook import masking

_MASKED_BYTES = 4 * rows.REFUSED_BYTES
_SOURCE_UNITS = 100


@dataclass(frozen=True, slots=True)
class Received:
    """A payload as it came: its bytes, opened if they were compressed, its parameters, and who sent it."""

    body: bytes
    query: Mapping[str, str]
    sender: str


def by(error: WebhookError, table: Table, received: Received) -> None:
    """Store a payload that an error refuses, unless it is too large."""
    if not isinstance(error, PayloadTooLarge):
        source = error.extensions.get("source") or received.query.get("source")
        refused = error.extensions.get("refused", ())
        _store(table, received, source=source, status=error.status, detail=error.detail, refused=refused)


def in_part(
    table: Table, received: Received, source: str | None, status: int, refused: Sequence[Mapping[str, Any]]
) -> None:
    """Store a payload of which some events were refused; `status` is what its sender was answered."""
    detail = f"{len(refused)} of this payload's events could not become alerts; the others did."
    _store(table, received, source=source, status=status, detail=detail, refused=refused)


def _store(
    table: Table,
    received: Received,
    *,
    source: object,
    status: int,
    detail: str,
    refused: Sequence[Mapping[str, Any]],
) -> None:
    """Store a payload, its secrets masked; the sender is answered even if that fails."""
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
