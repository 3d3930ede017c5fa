"""What a payload becomes, without a table and without sending: for `make map` and the pairs of the tests."""

from collections.abc import Mapping
from typing import Any

from shared.alerts import alert
from shared.errors import WebhookError
from shared.mapping.mappings import Mappings
from shared.mapping.outcome import Outcome
from shared.payload import body as payload

MAX_BYTES = 1_048_576
MAX_ALERTS = 100


def outcome_of(body: bytes, query: Mapping[str, str], mappings: Mappings, *, clues: bool = False) -> Outcome:
    """Return what a body becomes with these parameters of the URL. Raises `WebhookError` as the webhook would."""
    return mappings.apply(
        payload.read(body, max_bytes=MAX_BYTES),
        source=query.get("source"),
        defaults={name: value for name, value in query.items() if name in alert.FIELDS},
        max_alerts=MAX_ALERTS,
        clues=clues,
    )


def became(body: bytes, query: Mapping[str, str], mappings: Mappings) -> dict[str, Any]:
    """Return what a delivery becomes, as JSON with a stable order; a refusal of the whole body as `error`."""
    try:
        outcome = outcome_of(body, query, mappings)
    except WebhookError as error:
        return {"error": {"status": error.status, "detail": error.detail}}
    document: dict[str, Any] = {"source": outcome.source, "steps": list(outcome.steps)}
    if outcome.refused_status:
        document["refusal"] = outcome.refused_status
    if outcome.ignored is not None:
        document |= {"ignored": outcome.ignored, "reply": outcome.reply}
    if outcome.alerts:
        document["alerts"] = [
            {
                "event": mapped.event,
                "body": mapped.alert.body(),
                "notes": list(mapped.notes),
                **({"timeTruncated": True} if mapped.time_truncated else {}),
            }
            for mapped in outcome.alerts
        ]
    if outcome.refused:
        document["refused"] = [
            {
                "event": refused.event,
                "problems": [f"{problem.field}: {problem.detail}" for problem in refused.problems],
                **({"remedy": refused.remedy} if refused.remedy else {}),
            }
            for refused in outcome.refused
        ]
    return document
