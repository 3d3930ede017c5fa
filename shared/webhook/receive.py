"""The use cases of the webhook: receive, status, dispatch, health.

receive:  read ─ map ─ check ─ accept (see `accept`)
dispatch: snapshot ─ acquire ─ call ─ write the outcome, while there is a backlog and time
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared import log, senders
from shared.alerts.text import shown
from shared.errors import Forbidden, TableError, TokenError, WebhookError
from shared.ledger import retention
from shared.mapping import mappings as mapping
from shared.payload import body as payload
from shared.payload import compression
from shared.web import delivery, reply
from shared.webhook import accept, asked, health, refused, status
from shared.webhook.memory import Memory
from shared.webhook.permits import Permits
from shared.webhook.refused import Received

if TYPE_CHECKING:
    from shared.mapping.outcome import Outcome
    from shared.sending.dispatcher import Dispatch
    from shared.sending.outcome import Clocks
    from shared.sending.snapshot import Snapshot
    from shared.settings import Settings
    from shared.web.reply import Reply

MAX_TOKEN = 2_000
"""Characters of a token that is sent back to Microsoft Graph, which asks so whether a subscription's URL is ours."""
TABLE_SECONDS = 20.0
"""How long a POST asks for the table, from its receipt on, before it is answered 503."""
TICK_SECONDS = 55.0


@dataclass(slots=True)
class Webhook:
    """The use cases, with the parts they need. Thread-safe."""

    settings: "Settings"
    mappings: mapping.Mappings
    dispatcher: "Dispatch"
    clocks: "Clocks"
    permits: Permits
    memory: Memory = field(default_factory=Memory)
    _purge: retention.Schedule = field(default_factory=retention.Schedule)

    def receive(
        self,
        body: bytes,
        query: Mapping[str, str],
        origin: str,
        *,
        store: bool = True,
        content_encoding: str = "",
        sender: str = "",
    ) -> "Reply":
        """Turn one POST into alerts, and answer with their state. Raise `TableError` if they cannot be stored.

        It waits for Defender for `INLINE_SECONDS`, and for the table for `TABLE_SECONDS`, both from the receipt on.

        `query` are the URL's parameters; `origin` is the scheme and host of the request.
        `store` is false for a payload that is stored already. A body that is compressed, by its first bytes or by
        `content_encoding`, is opened, and stored in that form if it is refused. `sender` is the fingerprint of the
        request's key, empty without a key.
        """
        began = self.clocks.monotonic()
        dispatcher = self.dispatcher.until(began + TABLE_SECONDS)
        wanted = asked.read(query)
        token = wanted.values.get("validationToken", "")
        if not body.strip() and 0 < len(token) <= MAX_TOKEN:
            return reply.echo(token)
        store = store and not wanted.dry
        try:
            body = compression.opened(
                body, max_bytes=self.settings.max_payload_bytes, content_encoding=content_encoding
            )
            outcome = self._map(body, wanted, sender)
        except TableError:
            raise  # that is no fault of the payload, which is not refused
        except WebhookError as error:
            if store:
                refused.by(error, dispatcher.table, Received(body, wanted.values, sender))
            raise
        if outcome.ignored is not None:
            return delivery.ignored(outcome)
        if wanted.dry:
            return delivery.valid(outcome)
        accepting = accept.Acceptance(
            dispatcher, self.clocks, self.permits, self.memory, began + self.settings.inline_seconds
        )
        answer = accepting.accept(outcome, self.settings.public_base_url or origin, sender)
        if store and outcome.refused:
            received = Received(body, wanted.values, sender)
            refused.in_part(dispatcher.table, received, outcome, answer.status)
        return answer

    def status(self, delivery_id: str, origin: str) -> "Reply":
        """Answer what became of a delivery. Raise `NotFound`; `origin` as for `receive`."""
        now = self.clocks.monotonic()
        table = self.dispatcher.until(now + TABLE_SECONDS).table
        standing = status.Status(table, self.memory, self.recent_snapshot, now)
        return standing.answer(delivery_id, self.settings.public_base_url or origin)

    def recent_snapshot(self) -> "Snapshot":
        """Return a snapshot that is at most a few seconds old."""
        snapshot: Snapshot = self.memory.answer("snapshot", self.clocks.monotonic(), self.dispatcher.snapshot)
        return snapshot

    def dispatch(self) -> None:
        """Send the backlog for up to 55 s, as the timer does. Then delete rows that are past their retention."""
        until = self.clocks.monotonic() + TICK_SECONDS
        try:
            self.dispatcher.drain(until)
        except (TableError, TokenError) as error:
            log.problem("dispatch stopped", error)
        try:  # also where no token comes
            self._purge.run(self.dispatcher.table, self.settings.retention_days, self.clocks.monotonic)
        except TableError as error:
            log.problem("purge stopped", error)

    def health(self) -> "Reply":
        """Answer pass or fail, without detail and at most a few seconds old, because anybody may ask."""
        answer: Reply = self.memory.answer(
            "health", self.clocks.monotonic(), lambda: health.answer(self.dispatcher)
        )
        return answer

    def _map(self, body: bytes, wanted: asked.Asked, sender: str) -> "Outcome":
        """Return the outcome of a payload. Raise the error of one that becomes no alert, or is not allowed."""
        if wanted.wrong:
            raise wanted.wrong
        rights = senders.of(self.settings.senders, sender)
        allowed = rights.sources if rights else None
        claimed = wanted.text("source")
        if claimed and allowed is not None and claimed not in allowed:
            raise Forbidden(
                f"source: {shown(claimed)} found; this key may name only {', '.join(allowed) or 'none'}, as the"
                " setting SENDERS says."
            )
        documents = payload.read(body, max_bytes=self.settings.max_payload_bytes)
        outcome = self.mappings.apply(
            documents,
            source=claimed,
            defaults={name: value for name in asked.DEFAULTS if (value := wanted.text(name))},
            max_alerts=self.settings.max_alerts_per_delivery,
            now=self.clocks.wall(),
            clues=wanted.dry,
        )
        if outcome.ignored is None and not outcome.alerts:
            raise delivery.unmapped(outcome, dry=wanted.dry)
        notes = list(wanted.notes)
        if allowed is not None and (odd := set((outcome.source or "").split("+")) - {*allowed, ""}):
            notes.append(
                f"Recognised as {', '.join(sorted(odd))}, but SENDERS lists other sources for this sender."
            )
        alerts = (replace(mapped, notes=(*mapped.notes, *notes)) for mapped in outcome.alerts)
        return replace(outcome, alerts=tuple(alerts)) if notes else outcome
