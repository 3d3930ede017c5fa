"""The use cases of the webhook: receive, status, dispatch, health. Here the whole way of an alert is known.

receive:  read ─ map ─ check ─ look ─┬─ a slot, nothing more urgent ─ commit and take ─ call ─ settle ─ 200
                                     └─ else ─ commit as waiting ─ send what the window allows ─ 200 / 202
dispatch: look ─ take ─ call ─ settle, while there is a backlog and time
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared import delivery, journal, ledger, parameters, reply, retention
from shared.alerts.alert import FIELDS
from shared.delivery import Told
from shared.ledger import Delivery, Entry
from shared.mapping import mappings as mapping
from shared.payload import body as payload
from shared.payload import compression
from shared.problems import NotFound, PayloadError, PayloadTooLarge, StorageOut, TokenError, WebhookError
from shared.storage import MAX_OPERATIONS, Conflict, Operation

if TYPE_CHECKING:
    from shared.direct import Direct
    from shared.dispatch import Clocks, Dispatch, Flights, Look
    from shared.mapping.outcome import Mapped, Outcome
    from shared.reply import Reply
    from shared.settings import Settings

DEFAULTS = ("severity", "category", "title", "description", "recommendedAction")
_PARAMETERS = {name.lower(): name for name in (*DEFAULTS, "source", "dryRun", "validationToken")}
MAX_TOKEN = 2_000
"""Characters of a token that is sent back to Microsoft Graph, which asks so whether a subscription's URL is ours."""
TICK_SECONDS = 55.0
OVERDUE_SECONDS = 300.0
IDLE_SECONDS = 90.0  # no slot is open for longer while a dispatcher works, not even after direct calls
_SOME = 20  # rows, should one of them not be readable
_TRANSACTION_BYTES = 3_500_000
_TRIES = 3
_KNOWN_FULL_SECONDS = 5.0
_TOKEN_SECONDS = 5.0


class HalfAccepted(WebhookError):
    """The table failed after the first transaction of several: what is missing comes with the sender's next try."""

    status = 503
    slug = "half-accepted"
    title = "Not every alert could be written down"


class Permits(Protocol):
    """How many webhooks may wait for Defender at once; a semaphore."""

    def acquire(self, *, blocking: bool) -> bool:
        """Take a permit if there is one."""

    def release(self) -> None:
        """Return it."""


@dataclass(slots=True)
class Gateway:
    """The use cases, with the parts they need. Thread-safe."""

    settings: "Settings"
    mappings: mapping.Mappings
    dispatcher: "Dispatch"
    direct: "Direct"
    clocks: "Clocks"
    permits: Permits
    _full: "Look | None" = (
        None  # what was last seen, if the window was full: for some seconds a look would find it so
    )
    _purge: retention.Schedule = dataclasses.field(default_factory=retention.Schedule)

    def receive(
        self,
        body: bytes,
        query: Mapping[str, str],
        origin: str,
        *,
        keep: bool = True,
        content_encoding: str = "",
    ) -> "Reply":
        """Turn one POST into alerts; answer with what became of them within `INLINE_SECONDS`.

        `query` are the URL's parameters; `origin` is the scheme and host under which the caller reached us.
        `keep` is false for a payload that is kept already, should it be refused. A body that is compressed as its
        first bytes or `content_encoding` say is opened, and is then the one that is kept.
        """
        until = self.clocks.monotonic() + self.settings.inline_seconds
        query = {_PARAMETERS.get(name.lower().replace("_", ""), name): value for name, value in query.items()}
        token = query.get("validationToken", "")
        if not body.strip() and 0 < len(token) <= MAX_TOKEN:
            return reply.echo(token)
        dry = query.get("dryRun", "false").lower()
        if dry not in ("true", "false"):  # what was meant to be dry must not reach a device
            raise parameters.wrong("dryRun", query["dryRun"], "true | false")
        try:
            body = compression.opened(
                body, max_bytes=self.settings.max_payload_bytes, content_encoding=content_encoding
            )
            outcome = self._map(body, query)
            if outcome.ignored is not None:
                return delivery.ignored(outcome)
            if not outcome.alerts:
                raise delivery.unmapped(outcome)
        except WebhookError as error:
            if keep and dry == "false":
                self._keep(body, query, error)
            raise
        if dry == "true":
            return delivery.valid(outcome)
        try:
            return self._accept(outcome, self.settings.public_base_url or origin, until)
        except StorageOut as error:
            journal.problem("table out, sending directly", error)
            return self.direct.send(outcome, until)

    def status(self, delivery_id: str, origin: str) -> "Reply":
        """Answer what became of a delivery: 202 until all its alerts have ended, then what the POST would have said."""
        unknown = NotFound(f"No delivery has the id {delivery_id[:60]!r}; they are kept for RETENTION_DAYS.")
        if not ledger.is_delivery_id(delivery_id):
            raise unknown
        key = ledger.delivery_key(delivery_id)
        rows = self.dispatcher.table.query(key, key + "\0", limit=1)
        if not rows:
            raise unknown
        found = ledger.read_delivery(rows[0])
        entries = self._entries(found.alerts)
        told = [
            Told(entries[alert], alert in found.duplicates, found.notes.get(alert, ()))
            for alert in found.alerts
            if alert in entries
        ]
        if not told:  # duplicates of alerts whose own retention is over
            raise unknown
        look = None
        if any(not one.entry.has_ended for one in told):
            look = self.dispatcher.look()
        now = self.dispatcher.table.now()
        return delivery.answer(found, told, look, now=now, origin=self.settings.public_base_url or origin)

    def dispatch(self) -> None:
        """Send the backlog, for up to 55 s; what the timer runs. Then clear away what is past its retention."""
        until = self.clocks.monotonic() + TICK_SECONDS
        try:
            self.dispatcher.drain(until)
            self._purge.run(self.dispatcher.table, self.settings.retention_days, self.clocks.monotonic)
        except (StorageOut, TokenError) as error:
            journal.problem("dispatch stopped", error)

    def health(self) -> "Reply":
        """Pass or fail, without detail: the table answers, and nothing waits while it could be sent."""
        try:
            look = self.dispatcher.look()
            before = look.view.now - OVERDUE_SECONDS
            due = self.dispatcher.table.query(ledger.LATER, ledger.later_before(before), limit=_SOME)
        except WebhookError:
            return FAIL
        overdue = any(waiting.entry.accepted < before for waiting in look.waiting)
        forgotten = ledger.backlog(
            due, before, 1
        ).waiting  # only the dispatcher takes back what came due again
        idle = look.view.now - look.view.opens > IDLE_SECONDS
        return FAIL if (overdue or forgotten) and idle else PASS

    def _map(self, body: bytes, query: Mapping[str, str]) -> "Outcome":
        documents = payload.read(body, max_bytes=self.settings.max_payload_bytes)
        return self.mappings.apply(
            documents,
            source=query.get("source"),
            defaults={name: query[name] for name in DEFAULTS if query.get(name)},
            max_alerts=self.settings.max_alerts_per_delivery,
            now=self.dispatcher.table.now(),
        )

    def _keep(self, body: bytes, query: Mapping[str, str], error: WebhookError) -> None:
        """Keep a refused payload for the operator; the refusal is answered even if that fails."""
        if isinstance(error, PayloadTooLarge) or not body.strip():
            return
        if isinstance(error, PayloadError) and b"\0" in body:
            return  # no text
        try:
            now = self.dispatcher.table.now()
            kept = ledger.Refusal(
                id=ledger.refusal_id(now),
                at=now,
                source=str(error.extensions.get("source") or query.get("source") or ""),
                status=error.status,
                detail=error.detail,
                refused=tuple(error.extensions.get("refused", ())),
                query={
                    name: value for name, value in query.items() if name.lower() not in parameters.HOSTS_OWN
                },
                payload=body,
                bytes=len(body),
            )
            self.dispatcher.table.commit([ledger.insert_refusal(kept)])
            journal.step("refused", source=kept.source, refusal=kept.id, status=kept.status)
        except WebhookError as failure:
            journal.problem("refused payload not kept", failure)

    def _accept(self, outcome: "Outcome", origin: str, until: float) -> "Reply":
        now = self.dispatcher.table.now()
        delivery_id = ledger.delivery_id(now)
        entries: dict[str, Entry] = {}
        for entry in (_entry(mapped, outcome, delivery_id, now) for mapped in outcome.alerts):
            first = entries.setdefault(entry.alert.id, entry)
            notes = dict.fromkeys((*first.notes, *_differences(entry, first)))
            entries[entry.alert.id] = dataclasses.replace(first, notes=tuple(notes))
        accepted = Delivery(
            id=delivery_id,
            source=outcome.source,
            accepted=now,
            alerts=tuple(entries),
            refused=delivery.refusals(outcome.refused),
        )
        look = self._known_full(now)
        told: list[Told] | None = None
        if look is None and self.permits.acquire(blocking=False):
            try:
                token = self.dispatcher.token(min(_TOKEN_SECONDS, until - self.clocks.monotonic()))
                look = self._look()
                if len(entries) == 1:
                    told = self._straight(accepted, next(iter(entries.values())), look, token, until)
                if told is None:
                    told, accepted = self._write_down(accepted, entries)
                    if look.view.open:
                        told, look = self._send(told, look, token, until)
            except TokenError as error:
                journal.problem("no token", error)
            finally:
                self.permits.release()
        if told is None:
            told, accepted = self._write_down(accepted, entries)
        now = self.dispatcher.table.now()
        return delivery.answer(accepted, told, look, now=now, origin=origin, refusal=outcome.refusal)

    def _look(self) -> "Look":
        look = self.dispatcher.look()
        self._full = None if look.view.open else look
        return look

    def _known_full(self, now: float) -> "Look | None":
        """Return what was last seen if the window was full and still is, as far as one host can know: saves a look."""
        full = self._full
        if full is None:
            return None
        known = _KNOWN_FULL_SECONDS if full.view.may_change() else math.inf
        if now > full.view.now + min(full.view.opens_in, known):
            return None
        return dataclasses.replace(full, view=dataclasses.replace(full.view, now=now))

    def _straight(
        self, accepted: Delivery, entry: Entry, look: "Look", token: str, until: float
    ) -> list[Told] | None:
        """Accept and take in one transaction, if a slot is open and nothing more urgent waits. None: it was not so."""
        for _ in range(_TRIES):
            more_urgent = look.waiting and look.waiting[0].entry.due <= entry.due
            if not look.view.open or more_urgent or not self.dispatcher.may_take():
                return None
            slot = self.dispatcher.choose(look.view.open)
            try:
                sending = self.dispatcher.take(
                    look.view,
                    slot,
                    entry,
                    lambda held: [*ledger.insert(held), ledger.insert_delivery(accepted)],
                )
            except Conflict:
                if self._entries([entry.alert.id]):
                    return None  # known already
                look = self._look()
                continue
            journal.step("accepted", entry=entry)
            (flight,) = flights = self.dispatcher.launch(sending, token)
            self.dispatcher.wait(flights, until - self.clocks.monotonic())
            return [Told(flight.result().entry if flight.done() else sending.entry)]
        return None

    def _write_down(self, accepted: Delivery, entries: Mapping[str, Entry]) -> tuple[list[Told], Delivery]:
        """Commit a delivery and its alerts as waiting; what is known already is reported as it stands."""
        new = dict(entries)
        known: dict[str, Entry] = {}
        done: set[str] = set()
        for _ in range(_TRIES * len(entries) + 1):
            batch, last = _batch([entry for alert, entry in new.items() if alert not in done])
            operations: list[Operation] = [operation for entry in batch for operation in ledger.insert(entry)]
            if last:
                notes = {alert: _differences(entries[alert], entry) for alert, entry in known.items()}
                accepted = dataclasses.replace(accepted, duplicates=tuple(known), notes=notes)
                operations.append(ledger.insert_delivery(accepted))
            else:  # nobody knows it by its id, but its alerts are purged with it, should the rest never come
                ids = tuple(entry.alert.id for entry in batch)
                part = dataclasses.replace(accepted, id=ledger.delivery_id(accepted.accepted), alerts=ids)
                operations.append(ledger.insert_delivery(dataclasses.replace(part, refused=())))
            try:
                self.dispatcher.table.commit(operations)
            except Conflict:
                found = self._entries([entry.alert.id for entry in batch])
                known |= found
                new = {alert: entry for alert, entry in new.items() if alert not in found}
                if not found:  # the delivery's own row is there: a take of ours landed after all
                    accepted = dataclasses.replace(accepted, id=ledger.delivery_id(accepted.accepted))
                continue
            except StorageOut as error:
                if not done:
                    raise
                raise HalfAccepted(
                    f"Only {len(done)} of {len(entries)} alerts could be written down; send the same again: these"
                    " are then known, and the rest is added.",
                    retry_after=5,
                ) from error
            done |= {entry.alert.id for entry in batch}
            if last:
                break
        else:
            raise HalfAccepted("Others keep changing these alerts; send the same again.", retry_after=5)
        for entry in new.values():
            journal.step("accepted", entry=entry)
        told = [
            Told(known[alert], duplicate=True, notes=accepted.notes[alert])
            if alert in known
            else Told(new[alert])
            for alert in accepted.alerts
        ]
        return told, accepted

    def _send(self, told: list[Told], look: "Look", token: str, until: float) -> "tuple[list[Told], Look]":
        """Send what the window allows, most urgent first, whosever it is.

        Return what became of ours, and how window and backlog stood in the end.
        """
        ours = {one.entry.alert.id for one in told if not one.entry.has_ended}
        new = {one.entry.alert.id for one in told if not one.duplicate}
        flights: Flights = {}
        taken: dict[str, Entry] = {}
        try:
            for _ in range(_TRIES):
                look = self._look()
                if not look.takes or not self.dispatcher.may_take() or self.clocks.monotonic() >= until:
                    break
                started = self.dispatcher.start(look, token, until)
                flights |= {flight: one for flight, one in started.items() if one.entry.alert.id in ours}
                if len(started) == look.takes == len(look.waiting):
                    break
            if look.whole and len(look.waiting) < len(new):  # what waits no more was taken by a dispatcher
                new -= {sending.entry.alert.id for sending in flights.values()}
                taken = self._entries(sorted(new - {waiting.entry.alert.id for waiting in look.waiting}))
        except StorageOut as error:
            journal.problem("accepted, not sent yet", error)
        self.dispatcher.wait(flights, until - self.clocks.monotonic())
        sent = taken | {
            sending.entry.alert.id: flight.result().entry if flight.done() else sending.entry
            for flight, sending in flights.items()
        }
        return [dataclasses.replace(one, entry=sent.get(one.entry.alert.id, one.entry)) for one in told], look

    def _entries(self, alerts: Sequence[str]) -> dict[str, Entry]:
        found = {}
        for alert in alerts:
            key = ledger.alert_key(alert)
            for row in self.dispatcher.table.query(key, key + "\0", limit=1):
                found[alert] = ledger.read(row)
        return found


def _entry(mapped: "Mapped", outcome: "Outcome", delivery_id: str, now: float) -> Entry:
    return ledger.accept(
        mapped.alert,
        source=outcome.source or "",
        delivery=delivery_id,
        now=now,
        notes=mapped.notes,
        truncated=mapped.time_truncated,
    )


def _batch(entries: Sequence[Entry]) -> tuple[list[Entry], bool]:
    """Return as many entries as fit one transaction, and whether these are the last, so the delivery fits as well."""
    batch: list[Entry] = []
    size = operations = 0
    for entry in entries:
        written = ledger.insert(entry)
        size += ledger.size(written)
        operations += len(written)
        if batch and (operations >= MAX_OPERATIONS or size > _TRANSACTION_BYTES):
            return batch, False
        batch.append(entry)
    return batch, True


def _differences(sent: Entry, known: Entry) -> tuple[str, ...]:
    """Return what an equal alert says differently: it was not sent again."""
    ours, theirs = sent.alert.body(), known.alert.body()
    return tuple(
        f"{name}: {ours[name][:80]!r} differs from {theirs[name][:80]!r} of the same alert sent before; not sent again"
        for name in FIELDS
        if ours[name] != theirs[name]
    )


def _health(status: int, word: str) -> "Reply":
    return reply.of(
        status, {"status": word}, content_type="application/health+json", Cache_Control="no-store"
    )


PASS, FAIL = _health(200, "pass"), _health(503, "fail")
