"""What happens to an alert whose event and title were posted before.

waiting           the higher severity and its place count, the first texts stay, another description is added
sending, created  a duplicate
failed            accepted again: at once the first time, then after growing times; not if Defender rejected these texts
discarded         accepted again from another sender, or with a higher severity
                  neither of both where it is not known whether it was created
"""

from dataclasses import dataclass, replace

from shared.alerts.alert import FIELDS, MAX_LENGTHS, SEVERITIES
from shared.alerts.event_time import utc
from shared.alerts.text import cut
from shared.ledger.record import Entry
from shared.ledger.settlement import DOUBTFUL

ANEW_MINUTES = (0.0, 15.0, 60.0, 240.0, 960.0)
"""How long after its last end a failed alert is accepted anew, the first time, the second …; the last holds on."""
_REJECTED = 400
_ALSO = "\n\nAlso sent:\n"
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a known alert: `after` is the changed entry, or None if nothing changes.

    `duplicate`: it is answered with its state, and costs no call. `what` is the word for the log.
    """

    after: Entry | None
    duplicate: bool
    what: str
    notes: tuple[str, ...]


def decide(sent: Entry, known: Entry, now: float) -> Decision:
    """Return the decision on an alert that was `sent` and is `known`; `now` is the server's time in UTC seconds."""
    differs = differing(sent, known)
    if (known.delivery, known.link) == (sent.delivery, sent.link):  # ours: it landed, and nobody heard of it
        return Decision(None, duplicate=False, what="landed", notes=())
    if known.state == "waiting":
        return _waiting(sent, known, differs)
    if known.state == "failed":
        return _doubtful(known) or _failed(sent, known, now, differs)
    if known.state == "discarded":
        return _doubtful(known) or _discarded(sent, known)
    if known.state == "matched":  # where its alert is stored, that is the one that is known
        note = "The event of the same alert was found before, and its alert is no longer stored"
        return anew(sent, known, f"{note}: it is searched again")
    return Decision(None, duplicate=True, what="duplicate", notes=differences(sent, known))


def differing(sent: Entry, known: Entry) -> tuple[str, ...]:
    """Return the names of the fields in which two equal alerts differ."""
    ours, theirs = sent.alert.body(), known.alert.body()
    return tuple(name for name in FIELDS if ours[name] != theirs[name])


def differences(sent: Entry, known: Entry) -> tuple[str, ...]:
    """Return a note about the fields in which an equal alert differs: they were not sent again."""
    ours, theirs = sent.alert.body(), known.alert.body()
    return tuple(
        f"{name}: {ours[name][:_SHOWN]!r} differs from {theirs[name][:_SHOWN]!r} of the same alert sent before;"
        " not sent again"
        for name in differing(sent, known)
    )


def _waiting(sent: Entry, known: Entry, differs: tuple[str, ...]) -> Decision:
    """Join two alerts that wait as one."""
    alert = known.alert
    notes = [note for note in differences(sent, known) if not note.startswith(("severity:", "description:"))]
    if _more_severe(sent, known):
        notes.append(
            f"severity: it waited with {alert.severity}, and now has {sent.alert.severity} and its place"
        )
        alert = replace(alert, severity=sent.alert.severity)
    elif "severity" in differs:
        notes.append(f"severity: it waits with {alert.severity}, the higher of the two")
    if sent.alert.description not in alert.description:
        notes.append("description: added to that of the same alert that waits")
        joined = cut(alert.description + _ALSO + sent.alert.description, MAX_LENGTHS["description"])
        alert = replace(alert, description=joined)
    if alert == known.alert:
        return Decision(None, duplicate=True, what="duplicate", notes=tuple(notes))
    due = min(known.due, sent.due)
    moved = known.waits if known.stage.is_later(known.waits) else known.stage.todo_key(due, alert.id)
    after = replace(known, alert=alert, due=due, waits=moved)
    return Decision(after, duplicate=True, what="joined", notes=tuple(notes))


def _doubtful(known: Entry) -> Decision | None:
    if (known.error or {}).get("code") not in DOUBTFUL:
        return None
    note = "Whether the same alert was created is not known: it is not sent again unless it is replayed"
    return Decision(None, duplicate=True, what="not sent again", notes=(note,))


def _failed(sent: Entry, known: Entry, now: float, differs: tuple[str, ...]) -> Decision:
    error = known.error or {}
    why = f"status {error['status']}" if error.get("status") else str(error.get("code") or "no answer")
    if error.get("status") == _REJECTED and not differs:
        note = "Defender rejected the same alert, with the same texts: it is not sent again unless it is replayed"
        return Decision(None, duplicate=True, what="not sent again", notes=(note,))
    at = (known.ended or 0.0) + ANEW_MINUTES[min(known.renewed, len(ANEW_MINUTES) - 1)] * 60
    if now < at:
        note = f"The same alert failed before ({why}): it is accepted again from {utc(at)} on"
        return Decision(None, duplicate=True, what="not yet", notes=(*differences(sent, known), note))
    note = f"The same alert failed before ({why}): it is accepted again"
    return anew(sent, known, note)


def _discarded(sent: Entry, known: Entry) -> Decision:
    if sent.sender != known.sender:
        return anew(
            sent, known, "The operator discarded the same alert of another sender: it is accepted again"
        )
    if _more_severe(sent, known):
        note = f"The operator discarded the same alert as {known.alert.severity}: it is accepted again"
        return anew(sent, known, note)
    note = "The operator discarded the same alert: it is not sent"
    return Decision(None, duplicate=True, what="not sent", notes=(*differences(sent, known), note))


def anew(sent: Entry, known: Entry, note: str) -> Decision:
    """Accept an alert again, with its former tries."""
    after = replace(
        sent,
        notes=(*sent.notes, note),
        attempts=known.attempts,
        tries=known.tries,
        renewed=known.renewed + 1,
        unknown=known.unknown,
    )
    return Decision(after, duplicate=False, what="accepted anew", notes=())


def _more_severe(sent: Entry, known: Entry) -> bool:
    return SEVERITIES.index(sent.alert.severity) > SEVERITIES.index(known.alert.severity)
