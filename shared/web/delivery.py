"""The answer: one shape for one or many alerts, and its HTTP status (`openapi.json`)."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from shared.alerts.event_time import utc
from shared.errors import FailedError, UnmappedError
from shared.ledger import keys
from shared.ledger.record import Delivery, Entry
from shared.mapping.outcome import Mapped, Outcome, Refused
from shared.payload import names
from shared.search import report
from shared.web import evidence, hints, reply, short, waiting
from shared.web.reply import Reply

if TYPE_CHECKING:
    from shared.sending.snapshot import Snapshot

Status = Literal["created", "waiting", "partial", "failed", "ignored", "valid"]
PORTAL = "https://security.microsoft.com/alerts/"
FIND_EVENTS = (
    "The payload has clues by which its event might be found; with FIND_EVENTS=true the app searches for it."
)
_MAX_POLL_SECONDS = 60
_UNREAD_SECONDS = 6  # an answer is remembered for 5
_ANOTHERS = (
    "The search led to an alert that was known already, by its reference or another search: they are one."
)
_SEARCHED = "It has no whole reference: its event is searched by advanced hunting."
_WITHOUT = "It has no event: it is raised on the devices, users and addresses that it names."


@dataclass(frozen=True, slots=True)
class DeliveryAlert:
    """One alert in the answer about a delivery: its entry, and what concerns this delivery only."""

    entry: Entry
    duplicate: bool = False
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, asked: str, entry: Entry, *, duplicate: bool = False, notes: Sequence[str] = ()) -> Self:
        """Return the alert that a delivery brought under the id `asked`; its search may have led to another's alert."""
        if asked in (entry.alert.id, entry.link):
            return cls(entry, duplicate, notes)
        return cls(entry, duplicate=True, notes=tuple(dict.fromkeys((*notes, _ANOTHERS))))


def refused_events(refused: Iterable[Refused], *, dry: bool = False) -> tuple[Mapping[str, Any], ...]:
    """Return the `refused` member of a delivery; of a dry run also by what a search would find the events."""
    return tuple(
        {
            "event": event.event,
            "problems": [problem.render() for problem in event.problems],
            "remedy": event.remedy or None,
        }
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


def valid(outcome: Outcome, planned: Iterable[tuple[Refused, Entry]] = ()) -> Reply:
    """Answer a dry run: `steps` show how the payload was recognised, `origins` where each field came from.

    `planned` are events that a POST would search or raise on entities, each with the entry that it would make.
    """
    made = {each.event: _valid(each, each.alert.id, each.alert.body(), each.notes) for each in outcome.alerts}
    for event, entry in planned:
        route, note = ("entity", _WITHOUT) if entry.stage == keys.ENTITY else ("reference", _SEARCHED)
        shown = _valid(event, entry.alert.id, _request(entry), (*entry.notes, note))
        made[event.event] = shown | {"route": route}
    alerts = [made[number] for number in sorted(made)]
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
    unread: int = 0,
) -> Reply:
    """Answer with the present state of a delivery: the same for the POST and for a later poll.

    `snapshot` is how window and backlog stood, if they were read, for `waitingFor`; `now` the server's UTC seconds;
    `origin` the scheme and host that `Location` begins with. `failure_status` is that of a failure, where the sender
    would repeat a 422. `most` is how many bytes its alerts may take together, as JSON: texts are shortened until they
    fit. `unread` is how many of its alerts are not among `alerts`: a poll soon has others.
    """
    alerts = _told_merged(alerts)
    status = "waiting" if unread else _status(alerts, delivery.refused)
    documents = [alert_document(alert, snapshot, now) for alert in alerts]
    document = _document(
        delivery.id or None,
        delivery.source,
        status,
        documents if most is None else short.fitting(documents, most),
        delivery.refused if most is None else short.fitting(delivery.refused, most // 4),
    )
    if unread:
        document["unread"] = unread
    if status == "waiting":
        seconds = _UNREAD_SECONDS if unread else _poll_seconds(alerts, snapshot, now)
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


def _told_merged(alerts: Sequence[DeliveryAlert]) -> list[DeliveryAlert]:
    """Return alerts with `merged` for each that Defender made one with another of them, which ended before it.

    Defender's answers do not show it where the calls for them were made within seconds.
    """
    firsts: dict[str, str] = {}
    for entry in sorted((alert.entry for alert in alerts), key=lambda entry: entry.ended or 0.0):
        if entry.created:
            firsts.setdefault(str(entry.created["id"]), entry.alert.id)
    return [
        replace(alert, entry=replace(alert.entry, merged=True))
        if alert.entry.created and firsts[str(alert.entry.created["id"])] != alert.entry.alert.id
        else alert
        for alert in alerts
    ]


def _status(alerts: Sequence[DeliveryAlert], refused: Sequence[object]) -> Status:
    states = [alert.entry.state for alert in alerts]
    if any(not alert.entry.has_ended for alert in alerts):
        return "waiting"
    if "created" not in states:
        return "failed"
    return "created" if set(states) == {"created"} and not refused else "partial"


def _poll_seconds(alerts: Sequence[DeliveryAlert], snapshot: "Snapshot | None", now: float) -> int:
    """Return the whole seconds, 1 to 60, until the last waiting alert is expected to end."""
    waits = [waiting.seconds(alert.entry, snapshot, now) for alert in alerts if not alert.entry.has_ended]
    return max(1, math.ceil(min(_MAX_POLL_SECONDS, max(waits))))


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


def _valid(
    event: Mapped | Refused, alert: str, request: Mapping[str, str | None], notes: Sequence[str]
) -> dict[str, Any]:
    return {
        "id": alert,
        "status": "valid",
        "route": "reference",
        "sender": None,
        "duplicate": False,
        "merged": False,
        "attempts": 0,
        "waitingFor": None,
        "match": None,
        "request": dict(request),
        "alert": None,
        "portalUrl": None,
        "error": None,
        "notes": list(notes),
        "origins": dict(event.origins),
        **evidence.shown(event.evidence),
    }


def alert_document(alert: DeliveryAlert, snapshot: "Snapshot | None", now: float) -> dict[str, Any]:
    """Return an alert in the one shape that it has in all answers. See `answer` for `snapshot` and `now`."""
    entry = alert.entry
    return {
        "id": entry.alert.id,
        "status": "waiting" if entry.state == "sending" else entry.state,
        "route": "entity" if entry.stage == keys.ENTITY else "reference",
        "sender": entry.sender or None,
        "duplicate": alert.duplicate,
        "merged": entry.merged,
        "attempts": entry.attempts,
        "waitingFor": waiting.shown(entry, snapshot, now),
        "match": report.shown(entry.match) if entry.match else None,
        "request": _request(entry),
        "alert": dict(entry.created) if entry.created else None,
        "portalUrl": _portal_url(entry.created) if entry.created else None,
        "error": _error(entry),
        "notes": [*entry.notes, *alert.notes, *_on_the_answer(entry)],
    }


def _portal_url(created: Mapping[str, Any]) -> str:
    """Return the address of an alert in the portal: as Graph says it, if it does."""
    return str(created.get("alertWebUrl") or PORTAL + str(created["id"]))


def _request(entry: Entry) -> dict[str, str | None]:
    """Return the eight fields; the reference is null until the event is found, and where there is none."""
    unknown = {} if entry.stage == keys.REFERENCE else dict.fromkeys(names.KEYS)
    return {**entry.alert.body(), **unknown}


def _on_the_answer(entry: Entry) -> Iterator[str]:
    """Yield a note if Defender merged the alert into a resolved one; `Answer.notes` has the other differences."""
    if entry.merged and (entry.created or {}).get("status") == "Resolved":
        yield "Defender merged it into an alert that is resolved already: check whether it must be reopened."


def _error(entry: Entry) -> dict[str, Any] | None:
    if entry.state == "discarded":
        return {
            "status": None,
            "code": "Discarded",
            "message": f"The operator discarded the alert at {utc(entry.ended)}.",
            "target": None,
            "hint": hints.of_discarded(entry),
        }
    if not entry.error:
        return None
    return {**entry.error, "hint": hints.of(entry, entry.error)}
