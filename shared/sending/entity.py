"""The API of the stage *entity*: Graph's `createAlert`, for alerts that have no event. It merges nothing.

A call whose answer is unknown is never made again by itself: such an alert fails with `AnswerUnknown`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from shared.clients.create_alert import Result
from shared.entity import body
from shared.ledger import record, settlement, tries
from shared.ledger.record import Entry
from shared.search import stored
from shared.sending import pause
from shared.sending.api import Outcome
from shared.sending.pause import Trouble

_CLUES = "CluesUnknown"


class Creates(Protocol):
    """Makes the calls of `createAlert`; see `shared.clients.create_alert.CreateAlert`."""

    def create(self, alert_input: Mapping[str, Any], token: str) -> Result:
        """Create an alert, and return by the deadline."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Creates alerts on the entities that clues name."""

    graph: Creates
    rules: settlement.Rules

    def call(self, entry: Entry, missing: Mapping[str, float], token: str) -> Result:
        """Create the alert. For clues of another version no call is made: a host of that version may make it."""
        del missing
        given = entry.clues or {}
        try:
            clues = stored.read(given)
        except ValueError as error:
            unread = {"status": None, "code": _CLUES, "message": str(error), "target": None}
            return Result("unavailable", None, 0.0, sent=False, error=unread)
        about: Mapping[str, Any] = given.get(stored.ABOUT, {})
        asked = body.build(
            clues,
            entry.alert.body(),
            alert=entry.alert.id,
            source=entry.source,
            own_id=about.get("own_id", ""),
            link=about.get("link", ""),
            techniques=about.get("techniques", ()),
            informational=about.get("informational", False),
        )
        return self.graph.create(asked, token)

    def plain(self, answer: Result) -> Result:
        """Return an answer without Graph's own words."""
        error = {"status": answer.status, "code": answer.error.get("code")} if answer.error else None
        alert = {"id": answer.alert["id"]} if answer.alert else None
        return dataclasses.replace(answer, error=error, alert=alert)

    def outcome(self, entry: Entry, answer: Result, now: float) -> Outcome:
        """Return what an answer makes of an alert."""
        tried = dataclasses.replace(
            entry,
            tries=tries.add(entry.tries, answer, number=entry.attempts, at=now),
            error=answer.error,
            next_attempt=None,
            lost=0,
        )
        sent, answered = answer.sent, answer.status is not None
        if answer.kind == "created":
            made = dataclasses.replace(
                tried, state="created", created=answer.alert, error=None, waits="", ended=now
            )
            return Outcome(made)
        message = pause.printable(str((answer.error or {}).get("message") or ""))
        if answer.kind == "throttled":
            return Outcome(record.wait(tried), cause=Trouble(message, answer.wait or 60.0, named=True))
        if answer.kind in ("rejected", "unknown"):
            down = (
                f"createAlert answered {answer.status}." if answer.status else "createAlert did not answer."
            )
            cause = Trouble(down, pause.FIRST_PAUSE_SECONDS) if _is_down(answer) else None
            return Outcome(record.fail(tried, now), sent=sent, answered=answered, cause=cause)
        cause = Trouble(message, pause.ACCESS_PAUSE_SECONDS) if answer.kind == "forbidden" else None
        later = settlement.again_later(tried, now, self.rules)
        called = (answer.error or {}).get("code") != _CLUES  # else it was no probe of a pause
        return Outcome(later, called, sent, answered, cause)


def _is_down(answer: Result) -> bool:
    """Tell whether Graph did not work: each call of a backlog would fail as this one did, and is not made again."""
    return (
        answer.kind == "unknown"
        and (answer.status or HTTPStatus.INTERNAL_SERVER_ERROR) >= HTTPStatus.BAD_REQUEST
    )
