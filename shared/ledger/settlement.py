"""What an answer of Defender makes of an entry: ended, or tried again, and when."""

from dataclasses import dataclass, replace
from typing import Any

from shared.clients import create_alert
from shared.clients.answer import Answer
from shared.ledger import record, tries
from shared.ledger.record import Entry

MOST_LOST = 10
UNKNOWN = create_alert.UNKNOWN
UNREADABLE = "AlertUnreadable"
DOUBTFUL = (UNKNOWN, UNREADABLE)
"""The codes of failures after which an alert may have been created all the same: it is not sent again by itself."""
_TOO_MANY_REQUESTS = 429
_BEGAN = "The call began, and its answer is not known."


@dataclass(frozen=True, slots=True)
class Rules:
    """How often and how long an alert is tried again, in minutes and hours as the names say.

    `unavailable_minutes`: after the first such answer, the second …; the last holds for all that follow.
    """

    not_found_retry_minutes: tuple[float, ...] = (1.0, 5.0, 15.0)
    give_up_hours: float = 48.0
    unavailable_minutes: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 15.0)

    def minutes(self, unavailable: int) -> float:
        """Return the minutes to the next try after so many such answers and one more."""
        return self.unavailable_minutes[min(unavailable, len(self.unavailable_minutes) - 1)]

    def gives_up(self, unavailable: int) -> bool:
        """Tell whether the times between so many tries add up to `give_up_hours`.

        Pauses, and times in which Defender was unavailable without a try, do not count.
        """
        return sum(map(self.minutes, range(unavailable))) >= self.give_up_hours * 60


def settle(entry: Entry, answer: Answer, *, now: float, rules: Rules) -> Entry:
    """Return the entry after an answer (docs/architecture.md: What Defender says, and what we do)."""
    settled = replace(
        entry,
        tries=tries.add(entry.tries, answer, number=entry.attempts, at=now),
        error=answer.error,
        next_attempt=None,
        notes=tuple(dict.fromkeys((*entry.notes, *answer.notes))),
        lost=0,
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
        return record.fail(settled, now)
    if answer.kind == "not_found":
        return _not_found(settled, now, rules)
    return _unavailable(settled, answer, now, rules)


def _not_found(entry: Entry, now: float, rules: Rules) -> Entry:
    """Try again later, as the event may not be searchable yet; one with a truncated time never will be."""
    minutes = rules.not_found_retry_minutes
    if entry.time_truncated or entry.not_found >= len(minutes):
        return record.fail(entry, now)
    return record.retry(replace(entry, not_found=entry.not_found + 1), now + minutes[entry.not_found] * 60)


def _unavailable(entry: Entry, answer: Answer, now: float, rules: Rules) -> Entry:
    """Let an alert about which Defender said nothing wait, so that the next alert probes. It keeps its place."""
    if answer.status == _TOO_MANY_REQUESTS:  # the pause is for everyone, and no alert's fault
        return record.wait(entry)
    if answer.may_have_created and tries.without_alert(entry.tries, entry.accepted) > 1:
        return record.fail(entry, now)  # each further call may create one more alert that nobody sees
    return again_later(entry, now, rules)


def again_later(entry: Entry, now: float, rules: Rules) -> Entry:
    """Return an entry about which an API said nothing: it is tried again, or given up."""
    if rules.gives_up(entry.unavailable):
        return record.fail(entry, now)
    at = now + rules.minutes(entry.unavailable) * 60
    return record.retry(replace(entry, unavailable=entry.unavailable + 1), at)


def give_up_lost(entry: Entry, *, now: float) -> Entry | None:
    """Return the entry as failed if too many leases in a row ended without an outcome; None: it is tried again.

    In a stage whose calls are made once, one such lease is too many.
    """
    if entry.state == "sending" and entry.stage.once:
        error = unknown_answer(
            None, "A slot was acquired for its call, and nobody wrote whether the call was made."
        )
        return record.fail(replace(entry, error=error, next_attempt=None), now)
    if entry.state != "sending" or entry.lost + 1 < MOST_LOST:
        return None
    message = f"{MOST_LOST} calls one after the other ended without a written answer."
    error = {"status": None, "code": "AnswerLost", "message": message, "target": None}
    return record.fail(replace(entry, error=error, next_attempt=None), now)


def unknown_answer(status: int | None, known: str = _BEGAN) -> dict[str, Any]:
    """Return the error of a call that may have created an alert, and is not made again by itself.

    `known` is all that is known of it.
    """
    message = (
        f"{known} It is not made again by itself, because it could create a second alert. Look in the Defender portal"
        " for an alert with this title; only if there is none, replay it."
    )
    return {"status": status, "code": UNKNOWN, "message": message, "target": None}


def unreadable(sent: Entry, delivery: str, now: float) -> Entry:
    """Return what keeps the place of an alert whose row cannot be read, in a stage whose calls are made once.

    `sent` is the same alert, posted again; `delivery` is that of the alert, if the row says so.
    """
    message = (
        "The same alert was accepted before, and its row could not be read: it is not known whether it was created. It"
        " is not sent again by itself, because that could create a second alert. The row was moved aside: correct and"
        " replay it (operations/unreadable), or look in the Defender portal for an alert with this title."
    )
    error = {"status": None, "code": UNREADABLE, "message": message, "target": None}
    return record.fail(
        replace(sent, delivery=delivery or sent.delivery, error=error, many=False, link=""), now
    )


def without_answer(entry: Entry) -> Entry:
    """Return the entry without Defender's own text, for a table that refuses it."""
    created = {"id": entry.created["id"]} if entry.created else None
    error = {"status": entry.error.get("status")} if entry.error else None
    if entry.error and entry.error.get("code") == UNKNOWN:
        error = unknown_answer(entry.error.get("status"))  # else the same alert would be sent again
    return replace(entry, created=created, error=error, tries=())
