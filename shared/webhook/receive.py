"""The use cases of the webhook: receive, status, dispatch, health.

receive:  read ─ map ─ check ─ accept (see `accept`)
dispatch: snapshot ─ acquire ─ call ─ write the outcome, while there is a backlog and time
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared import log, senders
from shared.alerts.text import shown
from shared.errors import Forbidden, TableError, TokenError, WebhookError
from shared.ledger import keys, retention
from shared.mapping import mappings as mapping
from shared.payload import body as payload
from shared.payload import compression
from shared.web import delivery, reply
from shared.webhook import asked, entries, health, refused, returned, status
from shared.webhook.accept import Acceptance
from shared.webhook.entries import Wanted
from shared.webhook.inline import Inline
from shared.webhook.memory import Memory
from shared.webhook.permits import Permits
from shared.webhook.refused import Received

if TYPE_CHECKING:
    from shared.mapping.outcome import Outcome, Refused
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
    others: "tuple[Dispatch, ...]" = ()
    memory: Memory = field(default_factory=Memory)
    _purge: retention.Schedule = field(default_factory=retention.Schedule)

    @property
    def stages(self) -> "tuple[Dispatch, ...]":
        """The dispatchers of the stages that are on, that of `reference` first."""
        return (self.dispatcher, *self.others)

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
        """Turn one POST into alerts, and answer with their state; `origin` is the scheme and host that it came to.

        `store` is false for a payload that is stored already; raise `TableError` if the alerts cannot be stored.
        """
        began = self.clocks.monotonic()
        wanted = asked.read(query)
        token = wanted.values.get("validationToken", "")
        if not body.strip() and 0 < len(token) <= MAX_TOKEN:
            return reply.echo(token)
        stages = [stage.until(began + TABLE_SECONDS) for stage in self.stages]
        store = store and not wanted.dry
        try:
            body = compression.opened(
                body, max_bytes=self.settings.max_payload_bytes, content_encoding=content_encoding
            )
            outcome = self._map(body, wanted, sender, stages[0])
        except TableError:
            raise  # that is no fault of the payload, which is not refused
        except WebhookError as error:
            if store:
                refused.by(error, stages[0].table, Received(body, wanted.values, sender))
            raise
        if outcome.ignored is not None:
            return delivery.ignored(outcome)
        if wanted.dry:
            becomes, _, _ = self._wanted(outcome, sender)
            if becomes.is_nothing:
                raise delivery.unmapped(becomes.outcome, dry=True)
            return delivery.valid(becomes.outcome, entries.planned(becomes, sender))
        inline = Inline(self.clocks, self.permits, self.memory, began + self.settings.inline_seconds)
        origin = self.settings.public_base_url or origin
        return self._accept(
            outcome, Received(body, wanted.values, sender), origin, stages, inline, store=store
        )

    def _accept(
        self,
        outcome: "Outcome",
        received: Received,
        origin: str,
        stages: "list[Dispatch]",
        inline: Inline,
        *,
        store: bool,
    ) -> "Reply":
        """Accept what is to be sent and searched, store what is refused, and answer."""
        wanted, searches, mode = self._wanted(outcome, received.sender)
        hint = delivery.FIND_EVENTS if mode == "false" and searches else ""
        if mode == "trial" and searches:
            try:
                tried = Acceptance(stages, inline).trial(outcome, searches, received.sender)
                received = replace(received, searches=tried)
            except TableError as failure:  # it costs nobody an alert
                log.problem("trial not stored", failure)
        if mode != "true":
            stages = [stage for stage in stages if stage.policy.stage != keys.SEARCH]
        if wanted.is_nothing:
            error = delivery.unmapped(wanted.outcome, hint=hint)
            if store:
                refused.by(error, stages[0].table, received)
            raise error
        answer = Acceptance(stages, inline).accept(wanted, origin, received.sender)
        if store and wanted.outcome.refused:
            refused.in_part(stages[0].table, received, wanted.outcome, answer.status)
        return answer

    def _wanted(self, outcome: "Outcome", sender: str) -> "tuple[Wanted, tuple[Refused, ...], str]":
        """Return what is wanted of an outcome, the events that can be searched, and whether they are: the mode."""
        mode = self.settings.find_events if self._may_search(sender) else "false"
        left, searches = entries.split(outcome, entries.can_search)
        wanted = Wanted(left, searches) if mode == "true" else Wanted(outcome)
        if self.settings.no_event == "entity":
            wanted = self._with_entities(wanted, () if mode == "false" else searches)
        return wanted, searches, mode

    def _with_entities(self, wanted: Wanted, searches: "tuple[Refused, ...]") -> Wanted:
        """Return what is wanted with alerts on entities in place of refused events, but not of those `searches`."""
        left, without = entries.split(wanted.outcome, entries.names_entities)
        tried = tuple(event for event in without if event in searches)
        lacking = (*map(entries.explained, left.refused), *tried)
        left = replace(left, refused=tuple(sorted(lacking, key=lambda event: event.event)))
        return replace(wanted, outcome=left, entities=tuple(event for event in without if event not in tried))

    def _may_search(self, sender: str) -> bool:
        rights = senders.of(self.settings.senders, sender)
        return self.settings.find_events != "false" and (rights is None or rights.search)

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
        workers = self.dispatcher.workers
        others = [workers.submit(functools.partial(_drain, stage, until)) for stage in self.stages[1:]]
        _drain(self.dispatcher, until)
        workers.wait(others, until - self.clocks.monotonic(), everyone=True)
        try:  # also where no token comes
            self._purge.run(self.dispatcher.table, self.settings.retention_days, self.clocks.monotonic)
        except TableError as error:
            log.problem("purge stopped", error)
        for other in others:
            if other.done():
                other.result()  # raises what nobody foresaw, as `_drain` here does

    def health(self) -> "Reply":
        """Answer pass or fail, without detail and at most a few seconds old, because anybody may ask."""
        answer: Reply = self.memory.answer(
            "health", self.clocks.monotonic(), lambda: health.answer(self.dispatcher)
        )
        return answer

    def _map(self, body: bytes, wanted: asked.Asked, sender: str, dispatcher: "Dispatch") -> "Outcome":
        """Return the outcome of a payload. Raise the error of one that becomes no alert, or is not allowed.

        Raise `TableError` if it cannot be told whether it is an alert of ours that comes back.
        """
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
            clues=True,
            made=returned.made(dispatcher.table, body),
        )
        notes = list(wanted.notes)
        if allowed is not None and (odd := set((outcome.source or "").split("+")) - {*allowed, ""}):
            notes.append(
                f"Recognised as {', '.join(sorted(odd))}, but SENDERS lists other sources for this sender."
            )
        alerts = (replace(mapped, notes=(*mapped.notes, *notes)) for mapped in outcome.alerts)
        return replace(outcome, alerts=tuple(alerts)) if notes else outcome


def _drain(dispatcher: "Dispatch", until: float) -> None:
    """Send the backlog of a stage until a time (monotonic seconds)."""
    try:
        dispatcher.drain(until)
    except (TableError, TokenError) as error:
        log.problem("dispatch stopped", error, stage=dispatcher.policy.stage.name)
