"""The answer: one shape for one or many alerts, and its HTTP status (`openapi.json`)."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.alerts.event_time import utc
from shared.clients import answer as answers
from shared.errors import FailedError, UnmappedError
from shared.ledger.record import Delivery, Entry
from shared.mapping.outcome import Mapped, Outcome, Refused
from shared.web import evidence, reply, short
from shared.web.reply import Reply

if TYPE_CHECKING:
    from shared.sending.snapshot import Snapshot

Status = Literal["created", "waiting", "partial", "failed", "ignored", "valid"]
PORTAL = "https://security.microsoft.com/alerts/"
FIND_EVENTS = (
    "The payload has clues by which its event might be found; with FIND_EVENTS=true the app searches for it."
)
_MAX_POLL_SECONDS = 60
_DRAIN_SECONDS = 5.0  # a slot is open: who drains the backlog reads it every so often


@dataclass(frozen=True, slots=True)
class DeliveryAlert:
    """One alert in the answer about a delivery: its entry, and what concerns this delivery only."""

    entry: Entry
    duplicate: bool = False
    notes: Sequence[str] = ()


def refused_events(refused: Iterable[Refused], *, dry: bool = False) -> tuple[Mapping[str, Any], ...]:
    """Return the `refused` member of a delivery; of a dry run also by what a search would find the events."""
    return tuple(
        {"event": event.event, "problems": [problem.render() for problem in event.problems]}
        | (evidence.shown(event.evidence) if dry else {})
        for event in refused
    )


def unmapped(outcome: Outcome, *, dry: bool = False, hint: str = "") -> UnmappedError:
    """Return the error for a payload of which no event could be mapped; `hint` says what would help."""
    detail = "No event of this payload could be turned into an alert; `refused` names every problem of every event."
    return UnmappedError(
        f"{detail} {hint}".rstrip(),
        extensions={
            "source": outcome.source,
            "steps": list(outcome.steps),
            "alerts": [],
            "refused": list(refused_events(outcome.refused, dry=dry)),
        },
        status=outcome.refused_status,
    )


def ignored(outcome: Outcome) -> Reply:
    """Answer a payload that asks for no alert, with the body that its sender expects, if any."""
    if outcome.reply is not None:
        return reply.of(200, outcome.reply)
    return reply.of(200, _document(None, outcome.source, "ignored", [], (), reason=outcome.ignored))


def valid(outcome: Outcome) -> Reply:
    """Answer a dry run: `steps` show how the payload was recognised, `origins` where each field came from."""
    alerts = [_mapped(mapped) for mapped in outcome.alerts]
    document = _document(None, outcome.source, "valid", alerts, refused_events(outcome.refused, dry=True))
    return reply.of(200, document | {"steps": list(outcome.steps)})


def answer(
    delivery: Delivery,
    alerts: Sequence[DeliveryAlert],
    snapshot: "Snapshot | None",
    *,
    now: float,
    origin: str,
    failure_status: int | None = None,
    most: int | None = None,
) -> Reply:
    """Answer with the present state of a delivery: the same for the POST and for a later poll.

    `snapshot` is how window and backlog stood, if they were read, for `waitingFor`; `now` the server's UTC seconds;
    `origin` the scheme and host that `Location` begins with. `failure_status` is that of a failure, where the sender
    would repeat a 422. `most` is how many bytes its alerts may take together, as JSON: texts are shortened until they
    fit.
    """
    status = _status(alerts, delivery.refused)
    documents = [alert_document(alert, snapshot, now) for alert in alerts]
    document = _document(
        delivery.id or None,
        delivery.source,
        status,
        documents if most is None else short.fitting(documents, most),
        delivery.refused if most is None else short.fitting(delivery.refused, most // 4),
    )
    if status == "waiting":
        seconds = _poll_seconds(alerts, snapshot, now)
        location = f"{origin}/api/deliveries/{delivery.id}"
        return reply.of(202, document, Location=location, Retry_After=str(seconds))
    if status == "failed":
        error = FailedError(
            "Every alert of this delivery has ended and none was created; `error` of each says why.",
            extensions={name: value for name, value in document.items() if name != "status"}
            | {"state": "failed"},
            status=failure_status,
        )
        return reply.of_error(error)
    return reply.of(200, document)


def _status(alerts: Sequence[DeliveryAlert], refused: Sequence[object]) -> Status:
    states = [alert.entry.state for alert in alerts]
    if any(not alert.entry.has_ended for alert in alerts):
        return "waiting"
    if "created" not in states:
        return "failed"
    return "created" if set(states) == {"created"} and not refused else "partial"


def _poll_seconds(alerts: Sequence[DeliveryAlert], snapshot: "Snapshot | None", now: float) -> int:
    """Return the whole seconds, 1 to 60, until the last waiting alert is expected to end."""
    waits = [
        max(0.0, entry.next_attempt - now) if entry.next_attempt else _slot_seconds(entry, snapshot)
        for entry in (alert.entry for alert in alerts)
        if not entry.has_ended
    ]
    return max(1, math.ceil(min(_MAX_POLL_SECONDS, max(waits))))


def _slot_seconds(entry: Entry, snapshot: "Snapshot | None") -> float:
    if entry.state == "sending" or snapshot is None:
        return 2.0
    return max(_DRAIN_SECONDS, snapshot.turn_in(entry.due) + 1.0)


def _document(
    delivery_id: str | None,
    source: str | None,
    status: Status,
    alerts: list[dict[str, Any]],
    refused: Sequence[Mapping[str, Any]],
    *,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "id": delivery_id,
        "source": source,
        "status": status,
        "reason": reason,
        "alerts": alerts,
        "refused": list(refused),
    }


def _mapped(mapped: Mapped) -> dict[str, Any]:
    return {
        "id": mapped.alert.id,
        "status": "valid",
        "sender": None,
        "duplicate": False,
        "merged": False,
        "attempts": 0,
        "waitingFor": None,
        "request": mapped.alert.body(),
        "alert": None,
        "portalUrl": None,
        "error": None,
        "notes": list(mapped.notes),
        "origins": dict(mapped.origins),
        **evidence.shown(mapped.evidence),
    }


def alert_document(alert: DeliveryAlert, snapshot: "Snapshot | None", now: float) -> dict[str, Any]:
    """Return an alert in the one shape that it has in all answers. See `answer` for `snapshot` and `now`."""
    entry = alert.entry
    return {
        "id": entry.alert.id,
        "status": "waiting" if entry.state == "sending" else entry.state,
        "sender": entry.sender or None,
        "duplicate": alert.duplicate,
        "merged": entry.merged,
        "attempts": entry.attempts,
        "waitingFor": _waiting_for(entry, snapshot, now),
        "request": entry.alert.body(),
        "alert": dict(entry.created) if entry.created else None,
        "portalUrl": PORTAL + str(entry.created["id"]) if entry.created else None,
        "error": _error(entry),
        "notes": [*entry.notes, *alert.notes, *_on_the_answer(entry)],
    }


def _on_the_answer(entry: Entry) -> Iterator[str]:
    """Yield a note if Defender merged the alert into a resolved one; `Answer.notes` has the other differences."""
    if entry.merged and (entry.created or {}).get("status") == "Resolved":
        yield "Defender merged it into an alert that is resolved already: check whether it must be reopened."


def _waiting_for(entry: Entry, snapshot: "Snapshot | None", now: float) -> dict[str, Any] | None:
    if entry.has_ended:
        return None
    if entry.state == "sending":
        return {"what": "answer", "reason": "Defender is being called", "until": None}
    if entry.next_attempt and entry.next_attempt > now:
        return {"what": "retry", "reason": _reason(entry), "until": utc(entry.next_attempt)}
    pause = snapshot.view.pause if snapshot and snapshot.view.paused else None
    if pause:
        until = None if pause.by_operator else utc(pause.ends)
        return {"what": "pause", "reason": pause.reason, "until": until}
    reason = "Defender takes 15 calls a minute; the alert waits for its turn"
    return {"what": "slot", "reason": reason, "until": utc(_turn(entry, snapshot, now))}


def _turn(entry: Entry, snapshot: "Snapshot | None", now: float) -> float | None:
    """Return the time of an alert's turn (UTC seconds), or None if more may wait before it than the snapshot shows."""
    if snapshot is None or snapshot.remembered:
        return None
    shown = snapshot.whole or (bool(snapshot.waiting) and entry.due <= snapshot.waiting[-1].entry.due)
    return now + snapshot.turn_in(entry.due) if shown else None


def _reason(entry: Entry) -> str:
    error = entry.error or {}
    return f"the last answer was {error.get('status') or error.get('code') or 'none'}"


def _error(entry: Entry) -> dict[str, Any] | None:
    if entry.state == "discarded":
        return {
            "status": None,
            "code": "Discarded",
            "message": f"The operator discarded the alert at {utc(entry.ended)}.",
            "target": None,
            "hint": "It is sent only by replay, or if it is posted by another sender or with a higher severity.",
        }
    if not entry.error:
        return None
    return {**entry.error, "hint": answers.hint(entry.error)}
