"""The use cases of the webhook: receive, status, dispatch, health. Here the whole way of an alert is known.

receive:  read ─ map ─ check ─ accept (see `accept`)
dispatch: snapshot ─ acquire ─ call ─ write the outcome, while there is a backlog and time
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared import log, senders
from shared.alerts.text import shown
from shared.errors import Forbidden, NotFound, Problem, TableError, TokenError, WebhookError
from shared.ledger import backlog, keys, lookup, retention, rows
from shared.mapping import mappings as mapping
from shared.payload import body as payload
from shared.payload import compression
from shared.web import delivery, reply
from shared.web.delivery import Told
from shared.webhook import accept, asked, refused
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
STATUS_BYTES = 48 * 1024
"""How long the alerts are in the answer about a delivery, which anybody may ask for who knows its id."""
TICK_SECONDS = 55.0
OVERDUE_SECONDS = 300.0
IDLE_SECONDS = 90.0  # no slot is open for longer while a dispatcher works
_SOME = 20  # rows, should one of them not be readable


@dataclass(slots=True)
class Gateway:
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
        """Turn one POST into alerts; answer with what became of them. Raise `TableError` if they cannot be stored.

        It waits for Defender for `INLINE_SECONDS`, and for the table for `TABLE_SECONDS`, both from the receipt on.

        `query` are the URL's parameters; `origin` is the scheme and host under which the caller reached us.
        `store` is false for a payload that is stored already, should it be refused. A body that is compressed as its
        first bytes or `content_encoding` say is opened, and is then the one that is stored. `sender` is the fingerprint
        of the key that came with it, empty if none did.
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
            problems = delivery.refusals(outcome.refused)
            received = Received(body, wanted.values, sender)
            refused.in_part(dispatcher.table, received, outcome.source, answer.status, problems)
        return answer

    def status(self, delivery_id: str, origin: str) -> "Reply":
        """Answer what became of a delivery: 202 until all its alerts have ended, then what the POST would have said."""
        unknown = NotFound(f"No delivery has the id {delivery_id[:60]!r}; they are kept for RETENTION_DAYS.")
        if not keys.is_delivery_id(delivery_id):
            raise unknown
        dispatcher = self.dispatcher.until(self.clocks.monotonic() + TABLE_SECONDS)
        row = dispatcher.table.get(keys.delivery_key(delivery_id))
        if row is None:
            raise unknown
        found = rows.read_delivery(row)
        stands = lookup.find(dispatcher.table, found.alerts)
        told = [
            Told(stands.entries[alert], alert in found.duplicates, found.notes.get(alert, ()))
            for alert in found.alerts
            if alert in stands.entries
        ]
        for error in stands.unreadable.values() if not told else ():
            raise error
        if not told:  # duplicates of alerts whose own retention is over
            raise unknown
        lost = tuple(
            {"event": found.alerts.index(alert), "problems": [Problem("id", error.detail).render()]}
            for alert, error in stands.unreadable.items()
        )
        found = replace(found, refused=(*found.refused, *lost))
        look = None
        if any(not one.entry.has_ended for one in told):
            look = self.look()
        now = dispatcher.table.now()
        origin = self.settings.public_base_url or origin
        return delivery.answer(found, told, look, now=now, origin=origin, most=STATUS_BYTES)

    def look(self) -> "Snapshot":
        """Return how window and backlog stand, as whoever asked this host saw them a few seconds ago at most."""
        look: Snapshot = self.memory.answer("look", self.clocks.monotonic(), self.dispatcher.snapshot)
        return look

    def dispatch(self) -> None:
        """Send the backlog, for up to 55 s; what the timer runs. Then clear away what is past its retention."""
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
        """Pass or fail, without detail, as it stood a few seconds ago at most: anybody may ask."""
        reply: Reply = self.memory.answer("health", self.clocks.monotonic(), self._health)
        return reply

    def _health(self) -> "Reply":
        """Pass if the table answers, and nothing waits while it could be sent."""
        try:
            look = self.dispatcher.snapshot()
            before = look.view.now - OVERDUE_SECONDS
            due = self.dispatcher.table.query(keys.LATER, keys.later_before(before), limit=_SOME)
            overdue = any(waiting.entry.accepted < before for waiting in look.waiting)
            later = backlog.read(due, before, 1)
            forgotten = later.waiting  # only the dispatcher takes back what came due again
            if any(row.timestamp < before for row in (*look.backlog.unreadable, *later.unreadable)):
                return FAIL  # only the dispatcher moves them aside
            idle = look.view.now - look.view.opens
            if not (overdue or forgotten) or idle <= IDLE_SECONDS:
                return PASS
            resumed = self.dispatcher.table.get(keys.RESUMED)
        except WebhookError:
            return FAIL
        # The next tick sends what waited for the operator to resume.
        return PASS if resumed and look.view.now - resumed.timestamp <= IDLE_SECONDS else FAIL

    def _map(self, body: bytes, wanted: asked.Asked, sender: str) -> "Outcome":
        """Return what a payload becomes. Raise the error of one that becomes nothing, or that must not."""
        if wanted.wrong:
            raise wanted.wrong
        rights = senders.of(self.settings.senders, sender)
        allowed = rights.sources if rights else None
        claimed = wanted.text("source")
        if claimed and allowed is not None and claimed not in allowed:
            raise Forbidden(
                f"source: {shown(claimed)} found; this key may claim only {', '.join(allowed) or 'none'}, as the"
                " setting SENDERS says."
            )
        documents = payload.read(body, max_bytes=self.settings.max_payload_bytes)
        outcome = self.mappings.apply(
            documents,
            source=claimed,
            defaults={name: value for name in asked.DEFAULTS if (value := wanted.text(name))},
            max_alerts=self.settings.max_alerts_per_delivery,
            now=self.clocks.wall(),
        )
        if outcome.ignored is None and not outcome.alerts:
            raise delivery.unmapped(outcome)
        notes = list(wanted.notes)
        if allowed is not None and (odd := set((outcome.source or "").split("+")) - {*allowed, ""}):
            notes.append(
                f"Recognised as {', '.join(sorted(odd))}, and this sender usually sends other sources."
            )
        alerts = (replace(mapped, notes=(*mapped.notes, *notes)) for mapped in outcome.alerts)
        return replace(outcome, alerts=tuple(alerts)) if notes else outcome


def _health(status: int, word: str) -> "Reply":
    return reply.of(
        status, {"status": word}, content_type="application/health+json", Cache_Control="no-store"
    )


PASS, FAIL = _health(200, "pass"), _health(503, "fail")
