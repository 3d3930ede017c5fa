"""What a payload becomes, without a table and without sending: as `make map` asks."""

from collections.abc import Mapping

from shared.alerts import alert
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
