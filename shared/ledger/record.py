"""The records: entries (alerts and what became of them), deliveries, refused payloads; and the order of the backlog.

An alert that has not ended has exactly one waiting row. Whoever changes an alert removes that row by its ETag
in the same transaction, so the waiting row is the lock; where there is none, the alert row's own ETag is.

    accepted ──► todo-{due} ──acquire──► later-{lease's end} ──answer──► (none)        created | failed
                     ▲                        │    ▲                                   failed-{ended}
                     │                        │    └── a holder that died: acquired again when the lease is over
                     ├── 429 ─────────────────┤
                     └── acquire ── later-{retry's time} ◄── 404, 5xx, no answer
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.alerts.alert import Alert
from shared.ledger import keys

State = Literal["waiting", "sending", "created", "failed", "discarded", "matched", "searched"]
"""`matched`: its event was found, and `link` is the alert of it. `searched`: a trial ended, whatever it found."""

FEW = 4
"""A delivery of more alerts has copies of them: without, its status would take more than ten requests for searches."""
DUE_SECONDS: Mapping[str, float] = {"High": 0.0, "Medium": 4 * 3600.0, "Low": 24 * 3600.0}


@dataclass(frozen=True, slots=True)
class Entry:
    """An alert and what became of it. Times are the server's, in UTC seconds.

    `accepted` is its last acceptance or replay; `waits` is the key of its waiting row, empty once it has ended;
    `not_found` and `unavailable` count such answers since then; `next_attempt` is set while it waits for a retry.
    `lost` counts the calls without a written outcome, one after the other.
    `named` is when a delivery last contained it after its end, as far as that was noted.
    `sender` is the fingerprint of the key that it was sent with, empty where none is known; `renewed` counts how
    often it was accepted again; `stage` is where it waits, or waited last; `clues` are those of an alert without a
    reference (`search.stored`), `match` is what the search settled on, and `candidates` the events that it compared;
    `link` is the id of the alert that it has become, or of the search that it came from; `trial` is true if nothing is
    to be raised, `wrong_match` if the operator marked the match as wrong; `many`: its delivery has more than `FEW`
    alerts; `unknown` are columns of its row that a newer version wrote.
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
    lost: int = 0
    renewed: int = 0
    named: float | None = None
    stage: keys.Stage = keys.REFERENCE
    clues: Mapping[str, Any] | None = None
    match: Mapping[str, Any] | None = None
    candidates: tuple[Mapping[str, Any], ...] = ()
    link: str = ""
    trial: bool = False
    many: bool = False
    wrong_match: bool = False
    unknown: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether it is neither waiting nor being sent."""
        return not self.waits

    def log_fields(self) -> dict[str, str | int | None]:
        """Return its fields of a log line: nothing that its payload said."""
        return {
            "alert": self.alert.id,
            "delivery": self.delivery,
            "source": self.source,
            "sender": self.sender or None,
            "severity": self.alert.severity,
            "stage": self.stage.name,
            "state": self.state,
            "attempt": self.attempts,
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry together with its waiting row's ETag: what an acquire needs."""

    entry: Entry
    etag: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST: the ids of its alerts in the order of its events, what was refused of it, and who sent it.

    `others` are large deliveries that have copies of most of its duplicates.
    """

    id: str
    source: str | None
    accepted: float
    alerts: tuple[str, ...]
    notes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    duplicates: tuple[str, ...] = ()
    refused: tuple[Mapping[str, Any], ...] = ()
    sender: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedPayload:
    """A payload with events that became no alert, stored with the reasons, because most SIEMs do not show our answer.

    `payload` is its first 60 KiB; `query` the parameters it came with, without the key, whose fingerprint is `sender`.
    `searches` are the ids of the alerts of a trial, whose events are searched.
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
    searches: tuple[str, ...] = ()


def accept(
    alert: Alert,
    *,
    source: str,
    delivery: str,
    now: float,
    notes: Sequence[str] = (),
    truncated: bool = False,
    sender: str = "",
    stage: keys.Stage = keys.REFERENCE,
    clues: Mapping[str, Any] | None = None,
) -> Entry:
    """Return a new entry that waits in a stage. A lower severity is due hours later, so it is never passed forever."""
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
        stage=stage,
        clues=clues,
    )
    return replace(entry, waits=_todo(entry))


def turn(entry: Entry) -> float:
    """Return the turn of a waiting entry among those of its severity (UTC seconds)."""
    return entry.due - DUE_SECONDS.get(entry.alert.severity, 0.0)  # of a row that somebody changed by hand


def due_at(entry: Entry, due: float) -> Entry:
    """Return a waiting entry with another place in the order, that of `due` (UTC seconds)."""
    later = replace(entry, due=due)
    return replace(later, waits=_todo(later))


def hold(entry: Entry, attempt: str, *, now: float, lease: float) -> Entry:
    """Return the entry as held by one call; what a dead holder leaves comes back when the lease is over."""
    return replace(
        entry,
        state="sending",
        attempt=attempt,
        attempts=entry.attempts + 1,
        next_attempt=None,
        lost=entry.lost + (entry.state == "sending"),
        waits=entry.stage.later_key(now + lease, entry.alert.id),
    )


def put_back(entry: Entry) -> Entry:
    """Return the entry after an acquire that led to no call: as if nothing had happened."""
    return replace(entry, state="waiting", attempt="", attempts=entry.attempts - 1, waits=_todo(entry))


def replay(entry: Entry, *, now: float) -> Entry:
    """Return a failed or discarded entry as accepted again, with its former tries."""
    again = replace(
        entry,
        state="waiting",
        accepted=now,
        due=now + DUE_SECONDS[entry.alert.severity],
        attempt="",
        not_found=0,
        unavailable=0,
        lost=0,
        next_attempt=None,
        ended=None,
    )
    return replace(again, waits=_todo(again))


def discard(entry: Entry, *, now: float) -> Entry:
    """Return a waiting or failed entry as discarded by the operator."""
    return replace(entry, state="discarded", waits="", next_attempt=None, ended=now)


def fail(entry: Entry, now: float) -> Entry:
    """Return an entry as failed at a time (UTC seconds); that of a trial did not fail, as nothing was to be raised."""
    return replace(entry, state="searched" if entry.trial else "failed", waits="", ended=now)


def led_to(entry: Entry, onward: Entry, now: float) -> Entry:
    """Return a search that ends at a time (UTC seconds), because it has led to the alert `onward`."""
    return replace(
        entry,
        state="matched",
        waits="",
        next_attempt=None,
        ended=now,
        match=onward.match,
        link=onward.alert.id,
        error=None if onward.match else entry.error,
    )


def retry(entry: Entry, at: float) -> Entry:
    """Return an entry that is tried again at a time (UTC seconds)."""
    return replace(entry, state="waiting", next_attempt=at, waits=entry.stage.later_key(at, entry.alert.id))


def wait(entry: Entry) -> Entry:
    """Return an entry that waits for a slot, in its place."""
    return replace(entry, state="waiting", waits=_todo(entry))


def _todo(entry: Entry) -> str:
    return entry.stage.todo_key(entry.due, entry.alert.id)
