"""What was accepted, refused, and what became of it; the backlog and its order.

An alert that has not ended has exactly one waiting row. Whoever changes an alert removes that row by its ETag
in the same transaction, so the waiting row is the lock; where there is none, the alert row's own ETag is.

    accepted ──► todo-{due} ──take──► later-{lease's end} ──answer──► (none)           created | failed
                     ▲                     │    ▲                                      failed-{ended}
                     │                     │    └── a holder that died: taken again when the lease is over
                     ├── 429 ──────────────┤
                     └── take ── later-{retry's time} ◄── 404, 5xx, no answer
"""

import dataclasses
import json
import math
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.alerts.alert import FIELDS, Alert
from shared.clients.answer import Answer, shows_no_alert
from shared.errors import Unreadable
from shared.ledger import columns
from shared.ledger.columns import Column
from shared.table.storage import Delete, Insert, Operation, Replace, Row, Value

State = Literal["waiting", "sending", "created", "failed", "discarded"]
WaitingFor = Literal["slot", "retry", "answer"]

DUE_SECONDS: Mapping[str, float] = {"High": 0.0, "Medium": 15 * 60.0, "Low": 60 * 60.0}
TODO, TODO_END = "todo-", "todo."
LATER, LATER_END = "later-", "later."
WAITING = ((TODO, TODO_END), (LATER, LATER_END))  # in the order in which an alert moves
FAILED, FAILED_END = "failed-", "failed."
REFUSED, REFUSED_END = "kept-", "kept."
DELIVERY, DELIVERY_END = "delivery-", "delivery."
ALERT, ALERT_END = "alert-", "alert."
REFUSED_BYTES = 60 * 1024
REFUSED_ROWS = 1_000
_KEPT_TRIES = 4  # first and last so many
_TOO_MANY_REQUESTS = 429
_DELIVERY_ID = re.compile(r"[0-9]{13}-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Rules:
    """How often and how long an alert is tried again. Minutes and hours as their names say.

    `unavailable_minutes`: after the first such answer, the second …; the last holds for all that follow.
    """

    not_found_retry_minutes: tuple[float, ...] = (1.0, 5.0, 15.0)
    give_up_hours: float = 48.0
    unavailable_minutes: tuple[float, ...] = (1.0, 4.0, 16.0, 60.0)


@dataclass(frozen=True, slots=True)
class Entry:
    """An alert and what became of it. Times are the server's, in UTC seconds.

    `accepted` is its last acceptance or replay; `waits` is the key of its waiting row, empty once it has ended;
    `not_found` and `unavailable` count such answers since then; `next_attempt` is set while it waits for a retry.
    `sender` is the fingerprint of the key that it was sent with, empty where none is known; `unknown` are columns of
    its row that a newer version wrote.
    """

    alert: Alert
    state: State
    source: str
    delivery: str
    accepted: float
    due: float
    waits: str
    time_truncated: bool = False
    notes: tuple[str, ...] = ()
    attempt: str = ""
    attempts: int = 0
    tries: tuple[Mapping[str, Any], ...] = ()
    not_found: int = 0
    unavailable: int = 0
    next_attempt: float | None = None
    ended: float | None = None
    error: Mapping[str, Any] | None = None
    created: Mapping[str, Any] | None = None
    merged: bool = False
    sender: str = ""
    unknown: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return not self.waits

    def log_fields(self) -> dict[str, str | int | None]:
        """Return what the log has of it: nothing that its payload said."""
        return {
            "alert": self.alert.id,
            "delivery": self.delivery,
            "source": self.source,
            "sender": self.sender or None,
            "severity": self.alert.severity,
            "state": self.state,
            "attempt": self.attempts,
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry together with its waiting row's ETag: what a take needs."""

    entry: Entry
    etag: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST: the ids of its alerts in the order of its events, what was refused of it, and who sent it."""

    id: str
    source: str | None
    accepted: float
    alerts: tuple[str, ...]
    notes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    duplicates: tuple[str, ...] = ()
    refused: tuple[Mapping[str, Any], ...] = ()
    sender: str = ""


# Keys


def stamp(seconds: float) -> str:
    """Return a time (UTC seconds) in the sortable form that keys use."""
    return f"{max(seconds, 0.0):014.3f}"


def alert_key(alert_id: str) -> str:
    """Return the key of an alert's row."""
    return f"{ALERT}{alert_id}"


def delivery_key(delivery_id: str) -> str:
    """Return the key of a delivery's row."""
    return f"{DELIVERY}{delivery_id}"


def delivery_id(now: float) -> str:
    """Return a new delivery's id: sortable accept time and 128 random bits. Knowing it is the right to see it."""
    return f"{delivery_time(now)}-{secrets.token_hex(16)}"


def is_delivery_id(text: str) -> bool:
    """Tell whether a delivery may have this id: nothing else needs to be looked for."""
    return bool(_DELIVERY_ID.fullmatch(text))


def delivery_time(seconds: float) -> str:
    """Return the beginning of the ids of deliveries accepted at a time (UTC seconds)."""
    return f"{int(max(seconds, 0.0) * 1000):013d}"


def _todo(entry: Entry) -> str:
    return f"{TODO}{stamp(entry.due)}-{entry.alert.id}"


def _later(at: float, entry: Entry) -> str:
    return f"{LATER}{stamp(at)}-{entry.alert.id}"


def failed_key(entry: Entry) -> str:
    """Return the key under which a failed entry is listed."""
    return f"{FAILED}{stamp(entry.ended or 0.0)}-{entry.alert.id}"


def later_before(now: float) -> str:
    """Return the key before which every `later-` row is due."""
    return LATER + stamp(now)


# What happens to an entry


def accept(
    alert: Alert,
    *,
    source: str,
    delivery: str,
    now: float,
    notes: Sequence[str] = (),
    truncated: bool = False,
    sender: str = "",
) -> Entry:
    """Return a new entry, waiting for a slot in the order of its severity: urgent first, and nobody starves."""
    due = now + DUE_SECONDS[alert.severity]
    entry = Entry(
        alert=alert,
        state="waiting",
        source=source,
        delivery=delivery,
        accepted=now,
        due=due,
        waits="",
        time_truncated=truncated,
        notes=tuple(notes),
        sender=sender,
    )
    return replace(entry, waits=_todo(entry))


def take(entry: Entry, attempt: str, *, now: float, lease: float) -> Entry:
    """Return the entry as held by one call; what a dead holder leaves comes back when the lease is over."""
    return replace(
        entry,
        state="sending",
        attempt=attempt,
        attempts=entry.attempts + 1,
        next_attempt=None,
        waits=_later(now + lease, entry),
    )


def put_back(entry: Entry) -> Entry:
    """Return the entry after a take that led to no call: as if nothing had happened."""
    back = replace(entry, state="waiting", attempt="", attempts=entry.attempts - 1)
    return replace(back, waits=_todo(back))


def settle(entry: Entry, answer: Answer, *, now: float, rules: Rules) -> Entry:
    """Return the entry after an answer (DESIGN: What Defender says, and what we do)."""
    settled = replace(
        entry,
        tries=_kept([*entry.tries, _try(entry, answer, now)]),
        error=answer.error,
        next_attempt=None,
        notes=tuple(dict.fromkeys((*entry.notes, *answer.notes))),
    )
    if answer.kind == "created":
        return replace(
            settled,
            state="created",
            created=answer.alert,
            merged=answer.merged,
            error=None,
            waits="",
            ended=now,
        )
    if answer.kind == "rejected":
        return _fail(settled, now)
    if answer.kind == "not_found":
        return _not_found(settled, now, rules)
    return _unavailable(settled, answer, now, rules)


def _not_found(entry: Entry, now: float, rules: Rules) -> Entry:
    """Try again later, as the event may not be searchable yet; one with a truncated time never will be."""
    minutes = rules.not_found_retry_minutes
    if entry.time_truncated or entry.not_found >= len(minutes):
        return _fail(entry, now)
    return _retry(replace(entry, not_found=entry.not_found + 1), now + minutes[entry.not_found] * 60)


def _unavailable(entry: Entry, answer: Answer, now: float, rules: Rules) -> Entry:
    """Defender said nothing about the alert. It waits, so that the next alert probes, and keeps its place."""
    if answer.status == _TOO_MANY_REQUESTS:  # the pause is for everyone, and no alert's fault
        return replace(entry, state="waiting", waits=_todo(entry))
    if answer.may_have_created and _without_alert(entry) > 1:
        return _fail(entry, now)  # each further call may create one more alert that nobody sees
    if now - entry.accepted >= rules.give_up_hours * 3600:
        return _fail(entry, now)
    minutes = rules.unavailable_minutes[min(entry.unavailable, len(rules.unavailable_minutes) - 1)]
    return _retry(replace(entry, unavailable=entry.unavailable + 1), now + minutes * 60)


def _without_alert(entry: Entry) -> int:
    """Return how many answers since the acceptance, or the replay, were a success that showed no alert."""
    since = round(entry.accepted, 3)
    tries = [each for each in entry.tries if each.get("at", 0.0) >= since]
    return sum(shows_no_alert(each.get("status"), each.get("code")) for each in tries)


def replay(entry: Entry, *, now: float) -> Entry:
    """Return a failed or discarded entry as accepted anew; its tries stay for the record."""
    again = replace(
        entry,
        state="waiting",
        accepted=now,
        due=now + DUE_SECONDS[entry.alert.severity],
        attempt="",
        not_found=0,
        unavailable=0,
        next_attempt=None,
        ended=None,
    )
    return replace(again, waits=_todo(again))


def discard(entry: Entry, *, now: float) -> Entry:
    """Return a waiting entry as discarded by the operator."""
    return replace(entry, state="discarded", waits="", next_attempt=None, ended=now)


def _fail(entry: Entry, now: float) -> Entry:
    return replace(entry, state="failed", waits="", ended=now)


def _retry(entry: Entry, at: float) -> Entry:
    return replace(entry, state="waiting", next_attempt=at, waits=_later(at, entry))


def _try(entry: Entry, answer: Answer, now: float) -> dict[str, Any]:
    error = answer.error or {}
    return {
        "number": entry.attempts,
        "at": round(now, 3),
        "answer": answer.kind,
        "status": answer.status,
        "code": error.get("code"),
        "message": str(error.get("message") or "")[:300] or None,
        "target": error.get("target"),
        "seconds": round(answer.seconds, 3),
    }


def _kept(tries: list[dict[str, Any] | Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    if len(tries) <= 2 * _KEPT_TRIES:
        return tuple(tries)
    return (*tries[:_KEPT_TRIES], *tries[-_KEPT_TRIES:])


# Operations


def insert(entry: Entry) -> list[Operation]:
    """Return the operations that write a new entry and its waiting row. A conflict: it is known already."""
    values = _values(entry)
    return [Insert(alert_key(entry.alert.id), values), Insert(entry.waits, values)]


def move(
    before: Entry, after: Entry, *, waiting: str | None = None, alert: str | None = None
) -> list[Operation]:
    """Return the operations that turn one state of an entry into the next.

    The lock is the ETag of its waiting row (`waiting`), or that of its alert row (`alert`).
    """
    if waiting is None and alert is None:
        raise ValueError("a move needs the ETag of the waiting row or of the alert row")
    values = _values(after)
    operations: list[Operation] = [Replace(alert_key(after.alert.id), values, alert or "*")]
    if before.waits and before.waits == after.waits:  # a row may stand only once in a transaction
        operations.append(Replace(after.waits, values, waiting or "*"))
    elif before.waits:
        operations.append(Delete(before.waits, waiting or "*"))
    if after.waits and after.waits != before.waits:
        operations.append(Insert(after.waits, values))
    if before.state == "failed":
        operations.append(Delete(failed_key(before), "*"))
    if after.state == "failed":
        operations.append(Insert(failed_key(after), values))
    return operations


def insert_delivery(delivery: Delivery) -> Operation:
    """Return the operation that writes a delivery."""
    return Insert(delivery_key(delivery.id), columns.write(_DELIVERY, delivery))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A payload that gave no alert, kept with its reasons: most SIEMs show nobody our answer.

    `payload` is its first 60 KiB; `query` the parameters it came with, without the key, whose fingerprint is `sender`.
    """

    id: str
    at: float
    source: str
    status: int
    detail: str
    refused: tuple[Mapping[str, Any], ...]
    query: Mapping[str, str]
    payload: bytes
    bytes: int
    sender: str = ""


def refusal_id(now: float) -> str:
    """Return a new refusal's id, sortable by its time."""
    return f"{stamp(now)}-{secrets.token_hex(8)}"


def insert_refusal(refusal: Refusal) -> Operation:
    """Return the operation that keeps a refused payload."""
    stored = replace(refusal, detail=refusal.detail[:1000], payload=refusal.payload[:REFUSED_BYTES])
    return Insert(f"{REFUSED}{refusal.id}", columns.write(_REFUSAL, stored))


def read_refusal(row: Row) -> Refusal:
    """Read a refused payload from its row. Raise `Unreadable`."""
    return Refusal(id=row.key.removeprefix(REFUSED), **columns.read(_REFUSAL, row))


def without_answer(entry: Entry) -> Entry:
    """Return the entry without Defender's own text, for a table that refuses it."""
    kept = {"id": entry.created["id"]} if entry.created else None
    error = {"status": entry.error.get("status")} if entry.error else None
    return replace(entry, created=kept, error=error, tries=())


# Rows

_BODY = tuple(Column(name, columns.TEXT) for name in FIELDS)
_ENTRY = (
    Column("state", columns.TEXT),
    Column("source", columns.TEXT),
    Column("delivery", columns.TEXT),
    Column("accepted", columns.SECONDS),
    Column("due", columns.SECONDS),
    Column("waits", columns.TEXT),
    Column("timeTruncated", columns.FLAG, "time_truncated", default=False),
    Column("notes", columns.LIST, default=()),
    Column("attempt", columns.TEXT, default=""),
    Column("attempts", columns.WHOLE, default=0),
    Column("tries", columns.LIST, default=()),
    Column("notFound", columns.WHOLE, "not_found", default=0),
    Column("unavailable", columns.WHOLE, default=0),
    Column("nextAttempt", columns.SECONDS_OR_NONE, "next_attempt", default=None),
    Column("ended", columns.SECONDS_OR_NONE, default=None),
    Column("error", columns.OBJECT_OR_NONE, default=None),
    Column("created", columns.OBJECT_OR_NONE, default=None),
    Column("merged", columns.FLAG, default=False),
    Column("sender", columns.TEXT, default=""),
)
_DELIVERY = (
    Column("source", columns.TEXT_OR_NONE, default=None),
    Column("accepted", columns.SECONDS),
    Column("alerts", columns.IDS),
    Column("duplicates", columns.IDS, default=()),
    Column("notes", columns.LISTS, default={}),
    Column("refused", columns.LIST, default=()),
    Column("sender", columns.TEXT, default=""),
)
_REFUSAL = (
    Column("at", columns.SECONDS),
    Column("source", columns.TEXT, default=""),
    Column("status", columns.WHOLE),
    Column("detail", columns.TEXT, default=""),
    Column("refused", columns.LIST, default=()),
    Column("query", columns.OBJECT, default={}),
    Column("payload", columns.BYTES),
    Column("bytes", columns.WHOLE),
    Column("sender", columns.TEXT, default=""),
)


def read(row: Row) -> Entry:
    """Read an entry from an alert's row, or from its waiting or failed row: all hold the same. Raise `Unreadable`."""
    entry = Entry(
        alert=Alert.from_body(columns.read(_BODY, row)),
        **columns.read(_ENTRY, row),
        unknown=columns.unknown((*_BODY, *_ENTRY), row),
    )
    if _waits(row) and row.key != entry.waits:  # a copy under another key could never be taken
        raise Unreadable(row.key, "waits")
    return entry


def read_delivery(row: Row) -> Delivery:
    """Read a delivery from its row. Raise `Unreadable`."""
    return Delivery(id=row.key.removeprefix(DELIVERY), **columns.read(_DELIVERY, row))


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of some rows: what may be taken, the most urgent first; how many wait, due or not; the earliest acceptance.

    `unreadable` are the keys of rows that none of us can have written: they stand in nobody's way.
    """

    waiting: tuple[Waiting, ...]
    seen: int
    oldest: float | None
    unreadable: tuple[str, ...]


def backlog(rows: Iterable[Row], now: float, most: int) -> Backlog:
    """Return what may be taken, `most` at most: `todo-` rows, and `later-` rows come due."""
    before = later_before(now)
    found = [row for row in rows if _waits(row)]
    due = [row for row in found if row.key.startswith(TODO) or row.key < before]
    due.sort(key=lambda row: (_number(row, "due"), row.key.rpartition("-")[2]))
    waiting: list[Waiting] = []
    unreadable = []
    for row in due:
        if len(waiting) == most:
            break
        try:
            waiting.append(Waiting(read(row), row.etag))
        except Unreadable:
            unreadable.append(row.key)
    oldest = min((_number(row, "accepted") for row in found), default=math.inf)
    return Backlog(tuple(waiting), len(found), oldest if oldest < math.inf else None, tuple(unreadable))


def _waits(row: Row) -> bool:
    return row.key.startswith((TODO, LATER))


def _number(row: Row, name: str) -> float:
    value = row.values.get(name)
    return value if isinstance(value, int | float) else math.inf


def size(operations: Iterable[Operation]) -> int:
    """Return about how many bytes operations take in a transaction: each row's JSON and its part's headers."""
    return sum(
        700 + len(json.dumps(operation.values)) if not isinstance(operation, Delete) else 500
        for operation in operations
    )


def _values(entry: Entry) -> dict[str, Value]:
    return {**entry.unknown, **entry.alert.body(), **columns.write(_ENTRY, entry)}
