"""The API of the stage *search*: one hunting query of Graph, and what its verdict makes of an alert.

rows ── verdict ─┬─ match ── the alert goes on to the stage *reference*
                 ├─ not yet ── again, after `FIND_EVENTS_RETRY_MINUTES`
                 └─ none, ambiguous ── failed
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.alerts.alert import MAX_LENGTHS, Alert, canonical
from shared.alerts.text import cut, units
from shared.clients.graph import Result
from shared.entity import entities, once
from shared.ledger import keys, record, settlement, tries
from shared.ledger.record import Entry
from shared.payload.clues import SECOND, Clues
from shared.search import devices, query, report, stored, tables, verdict
from shared.search.verdict import Grade, Verdict
from shared.sending import pause
from shared.sending.api import Outcome
from shared.sending.pause import Trouble
from shared.table.protocol import Replace

LATER_SECONDS = 48 * 3600.0
"""By so much later an alert is due whose first search found nothing: first searches go before repeated ones."""
MISSING_SECONDS = 3600.0
"""For so long a table is not searched that the tenant does not have."""
_NO_DEVICE_MINUTES = 10.0
_NEWER_MINUTES = 5.0
_NEWER = "A newer version of this app wrote the clues, and this one cannot read all of them; a newer host searches."
_REASON = 200  # characters of a failure in a note
_CODES = {"match": None, "ambiguous": "EventAmbiguous", "none": "EventNotFound", "no device": "EventNotFound"}
"""The code of the error for each outcome of a verdict; what is none of them is a failure."""
OUTCOMES = {"EventAmbiguous": "ambiguous", "EventNotFound": "none"}
"""How a trial's search without a match is counted, by its error's code."""


class Hunts(Protocol):
    """Makes the calls of advanced hunting; see `shared.clients.graph.Graph`."""

    def hunt(self, query: str, timespan: str, columns: Collection[str], token: str) -> Result:
        """Run a query, and return by the deadline."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The answer to a search; `result` is None if there was nothing to ask. `missing` are tables with their times.

    `clues` are None if this version cannot read them: then nothing was asked.
    """

    clues: Clues | None
    missing: Mapping[str, float]
    result: Result | None

    def log_fields(self) -> dict[str, str | int | None]:
        """Return its fields of a log line."""
        result = self.result
        if result is None:
            return {"answer": "not asked", "status": None}
        rows = len(result.rows) if result.kind == "rows" else None
        return {
            "answer": result.kind,
            "status": result.status,
            "rows": rows,
            "milliseconds": round(result.seconds * 1000),
        }


@dataclass(frozen=True, slots=True)
class Search:
    """Searches for the events of alerts. Minutes are those between searches, `grade` the least that is taken.

    `without_event`: an alert whose event is not found goes on to the stage *entity*.
    """

    graph: Hunts
    rules: settlement.Rules
    retry_minutes: tuple[float, ...] = (1.0, 3.0, 10.0)
    grade: Grade = "probable"
    without_event: bool = False

    def call(self, entry: Entry, missing: Mapping[str, float], token: str) -> Searched:
        """Search once; after a failure of Graph with half the span."""
        try:
            clues = stored.read(entry.clues or {})
        except ValueError:
            return Searched(None, missing, None)
        built = query.build(clues, without=missing.keys(), half=entry.unavailable > 0)
        result = self.graph.hunt(built.text, built.timespan, built.columns, token) if built else None
        return Searched(clues, missing, result)

    def plain(self, answer: Searched) -> Searched:
        """Return an answer without Graph's own words."""
        if answer.result is None:
            return answer
        return dataclasses.replace(answer, result=dataclasses.replace(answer.result, message=""))

    def outcome(self, entry: Entry, answer: Searched, now: float) -> Outcome:
        """Return what the answer to a search makes of an alert."""
        result, clues = answer.result, answer.clues
        if clues is None:
            return dataclasses.replace(self._of_newer(entry, now), called=False, sent=False)
        if result is None:
            text = f"The tenant does not have the tables of this query: {', '.join(sorted(answer.missing))}."
            after = self._without_match(
                _tried(entry, "no table", None, text, now), clues, Verdict("none", text), now
            )
            return dataclasses.replace(after, called=False, sent=False)
        if result.kind == "rows":
            return self._judged(entry, clues, result, now)
        return self._failed(entry, answer, result, now)

    def _failed(self, entry: Entry, answer: Searched, result: Result, now: float) -> Outcome:
        """Return what a search without rows makes of an alert."""
        failed = _tried(entry, result.kind, result, result.message, now)
        answered = result.status is not None
        if result.kind == "throttled":
            return Outcome(record.wait(failed), cause=asked_by(result))
        if result.kind == "no table" and result.table in tables.NAMES - answer.missing.keys():
            until = {**answer.missing, result.table: now + MISSING_SECONDS}
            return Outcome(record.wait(failed), beside=(Replace(keys.SEARCH.missing, until, "*"),))
        if result.kind in ("no table", "bad query"):
            return _unsearched(failed, now)
        cause = (
            Trouble(pause.printable(result.message), pause.ACCESS_PAUSE_SECONDS)
            if result.kind == "forbidden"
            else None
        )
        later = settlement.again_later(failed, now, self.rules)
        is_enough = stored.GIVEN in (entry.clues or {}) and entry.unavailable >= len(self.retry_minutes)
        outcome = _unsearched(failed, now) if is_enough or later.has_ended else Outcome(later)
        return dataclasses.replace(outcome, answered=answered, cause=cause)

    def _of_newer(self, entry: Entry, now: float) -> Outcome:
        """Return an alert whose clues this version cannot read: for so long as for other failures, others may."""
        tried = _tried(entry, "unreadable", None, _NEWER, now)
        if now - entry.accepted >= self.rules.give_up_hours * 3600:
            return _unsearched(tried, now)
        return Outcome(record.retry(tried, now + _NEWER_MINUTES * 60))

    def _judged(self, entry: Entry, clues: Clues, result: Result, now: float) -> Outcome:
        judged = verdict.judge(clues, result.rows, age=_age(clues, now))
        if judged.grade == "probable" and self.grade == "exact":
            reason = "An event was found whose match is only probable, and FIND_EVENTS_GRADE asks for an exact one."
            judged = dataclasses.replace(judged, outcome="none", grade=None, match=None, reason=reason)
        tried = _tried(entry, judged.outcome, result, judged.reason, now, several=judged.devices)
        compared = tuple(report.candidate(candidate) for candidate in judged.candidates)
        tried = dataclasses.replace(tried, candidates=compared, unavailable=0)
        if judged.match is None:
            return self._without_match(tried, clues, judged, now)
        found = _found(tried, judged)
        after = record.led_to(tried, found, now)
        if entry.trial:
            return _trial(dataclasses.replace(after, state="searched", link=""))
        return Outcome(after, onward=found)

    def _without_match(self, entry: Entry, clues: Clues, judged: Verdict, now: float) -> Outcome:
        """Return an alert whose event was not found: searched again, ended, or sent with the reference it came with."""
        minutes = self._minutes(entry, clues, judged, now)
        if minutes is not None:
            due = entry.accepted + record.DUE_SECONDS[entry.alert.severity] + LATER_SECONDS
            again = dataclasses.replace(entry, not_found=entry.not_found + 1, due=due)
            return Outcome(record.retry(again, now + minutes * 60))
        if as_it_came := _as_it_came(entry, judged.reason, now):
            return as_it_came
        if self.without_event and not entry.trial and not entities.missing(clues):
            onward = _without_event(entry, clues)
            return Outcome(record.led_to(entry, onward, now), onward=onward)
        return _trial(record.fail(entry, now)) if entry.trial else Outcome(record.fail(entry, now))

    def _minutes(self, entry: Entry, clues: Clues, judged: Verdict, now: float) -> float | None:
        """Return the minutes to the next search, None if there is none."""
        minutes = self.retry_minutes
        if not minutes:
            return None
        if judged.outcome == "no device":
            before = entry.tries[-2]["answer"] if len(entry.tries) > 1 and entry.not_found else None
            return None if before == "no device" else min(_NO_DEVICE_MINUTES, minutes[-1])
        if judged.outcome == "ambiguous" and _youngest(clues, judged, now) > verdict.YOUNG:
            return None
        if entry.not_found < len(minutes):
            return minutes[entry.not_found]
        return minutes[-1] if _age(clues, now) < verdict.YOUNG else None


def asked_by(throttled: Result) -> Trouble:
    """Return the pause that Graph asks for by an answer to too many searches."""
    return Trouble(pause.printable(throttled.message), throttled.wait or 60.0, named=True)


def _unsearched(entry: Entry, now: float) -> Outcome:
    """Return the end of an alert for which no search succeeds: failed, or sent with the reference it came with."""
    reason = str((entry.error or {}).get("message"))
    return _as_it_came(entry, cut(reason, _REASON), now) or Outcome(record.fail(entry, now))


def _as_it_came(entry: Entry, reason: str, now: float) -> Outcome | None:
    """Return an alert that is sent with the reference it came with, although that lost something; None without one."""
    given = (entry.clues or {}).get(stored.GIVEN)
    if not given or entry.trial:
        return None
    note = f"The event was not found by advanced hunting ({reason}); sent with the reference as it came."
    onward = _accepted(entry, {**entry.alert.body(), **given}, (*entry.notes, note))
    return Outcome(record.led_to(entry, onward, now), onward=onward)


def _trial(after: Entry) -> Outcome:
    """Return the end of a trial's search with its count; one that failed is not counted."""
    counted = (after.match or {}).get("grade") or OUTCOMES.get((after.error or {}).get("code", ""))
    if not counted:
        return Outcome(after)
    key = keys.trial_key(counted, after.accepted, after.alert.id)
    return Outcome(after, beside=(Replace(key, {}, "*"),))


def _tried(
    entry: Entry, kind: str, result: Result | None, reason: str, now: float, *, several: Sequence[str] = ()
) -> Entry:
    """Return an alert after one more search, with its error if there is a `reason`.

    Only the operator sees its tries, which name the `several` devices that the payload may mean.
    """
    status, seconds = (result.status, result.seconds) if result else (None, 0.0)
    code = _CODES.get(kind, "SearchFailed")
    text = f"{reason} {report.looked_for(stored.read(entry.clues or {}))}" if kind in _CODES else reason
    of_graph = None if kind in _CODES else status
    error = {"status": of_graph, "code": code, "message": text, "target": None} if code else None
    in_tries = {**error, "message": f"{reason} {report.several(several)}"} if error and several else error
    tried = tries.Search(kind, status, in_tries, seconds)
    return dataclasses.replace(
        entry,
        tries=tries.add(entry.tries, tried, number=entry.attempts, at=now),
        error=error,
        next_attempt=None,
        lost=0,
    )


def _found(entry: Entry, judged: Verdict) -> Entry:
    """Return the alert of the event that a search has found."""
    line = report.sentence(judged, entry.source)
    limit = MAX_LENGTHS["description"]
    text = f"{cut(entry.alert.description, limit - units(line) - 2)}\n\n{line}"
    row = judged.match.row if judged.match else {}
    body = {
        **entry.alert.body(),
        **verdict.reference(row),
        "description": canonical("description", text) or line,
    }
    return dataclasses.replace(_accepted(entry, body, entry.notes), match=report.match(judged))


def _without_event(entry: Entry, clues: Clues) -> Entry:
    """Return the alert that names the entities of clues in place of an event."""
    about = (entry.clues or {}).get(stored.ABOUT, {})
    alert = once.alert(entry.alert.body(), clues, source=entry.source, own_id=about.get("own_id", ""))
    note = f"No event was found: {(entry.error or {}).get('message')}"
    accepted = _accepted(entry, alert.body(), (*entry.notes, note), keys.ENTITY)
    kept = {name: value for name, value in (entry.clues or {}).items() if name != stored.GIVEN}
    return dataclasses.replace(accepted, clues=kept)


def _accepted(
    entry: Entry, body: Mapping[str, str], notes: tuple[str, ...], stage: keys.Stage = keys.REFERENCE
) -> Entry:
    """Return the alert that goes on to another stage, in its place by its own acceptance."""
    accepted = record.accept(
        Alert.from_body(body),
        source=entry.source,
        delivery=entry.delivery,
        now=entry.accepted,
        notes=notes,
        sender=entry.sender,
        stage=stage,
    )
    return dataclasses.replace(accepted, link=entry.alert.id, many=entry.many)


def _age(clues: Clues, now: float) -> float:
    """Return the least seconds since the event."""
    return now - clues.when.end / SECOND if clues.when else 0.0


def _youngest(clues: Clues, judged: Verdict, now: float) -> float:
    """Return the age of the youngest event among which a search could not decide, in seconds."""
    moments = [devices.moment(candidate.row.get("Timestamp")) for candidate in judged.candidates]
    return min((now - moment / SECOND for moment in moments if moment is not None), default=_age(clues, now))
