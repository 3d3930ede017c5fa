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

YOUNG = float(verdict.YOUNG)
LATER_SECONDS = 48 * 3600.0
"""By so much later an alert is due whose first search found nothing: first searches go before repeated ones."""
MISSING_SECONDS = 3600.0
"""For so long a table is not searched that the tenant does not have."""
_NO_DEVICE_MINUTES = 10.0
_NEWER_MINUTES = 5.0
_NEWER = "A newer version of this app wrote the clues, and this one cannot read all of them; a newer host searches."
_REASON = 200  # characters of a failure in a note
_TABLES = frozenset(table for table, _ in tables.TABLES.values())


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
            named = Trouble(pause.printable(result.message), result.wait or 60.0, named=True)
            return Outcome(record.wait(failed), cause=named)
        if result.kind == "no table" and result.table in _TABLES - answer.missing.keys():
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
        tried = _tried(entry, judged.outcome, result, judged.reason, now, named=judged.devices)
        compared = tuple(report.candidate(candidate) for candidate in judged.candidates)
        tried = dataclasses.replace(tried, candidates=compared, unavailable=0)
        if judged.match is None:
            return self._without_match(tried, clues, judged, now)
        found = _found(tried, judged)
        after = dataclasses.replace(
            tried, state="matched", waits="", ended=now, match=found.match, link=found.alert.id, error=None
        )
        if entry.trial:
            searched = dataclasses.replace(after, state="searched", link="")
            return Outcome(searched, beside=_counted(entry, judged.grade or ""))
        return Outcome(after, found=found)

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
            found = _without_event(entry, clues)
            after = dataclasses.replace(entry, state="matched", waits="", ended=now, link=found.alert.id)
            return Outcome(after, found=found)
        named = {"EventAmbiguous": "ambiguous", "EventNotFound": "none"}
        return Outcome(
            record.fail(entry, now),
            beside=_counted(entry, named.get((entry.error or {}).get("code", ""), "")),
        )

    def _minutes(self, entry: Entry, clues: Clues, judged: Verdict, now: float) -> float | None:
        """Return the minutes to the next search, None if there is none."""
        minutes = self.retry_minutes
        if not minutes:
            return None
        if judged.outcome == "no device":
            before = entry.tries[-2]["answer"] if len(entry.tries) > 1 and entry.not_found else None
            return None if before == "no device" else min(_NO_DEVICE_MINUTES, minutes[-1])
        if judged.outcome == "ambiguous" and _youngest(clues, judged, now) > YOUNG:
            return None
        if entry.not_found < len(minutes):
            return minutes[entry.not_found]
        return minutes[-1] if _age(clues, now) < YOUNG else None


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
    found = _accepted(entry, {**entry.alert.body(), **given}, (*entry.notes, note))
    after = dataclasses.replace(entry, state="matched", waits="", ended=now, link=found.alert.id)
    return Outcome(after, found=found)


def _counted(entry: Entry, outcome: str) -> tuple[Replace, ...]:
    """Return the operations by which the outcome of a trial's search is counted; a failed one has none."""
    if not (entry.trial and outcome in keys.OUTCOMES):
        return ()
    return (Replace(keys.trial_key(outcome, entry.accepted, entry.alert.id), {}, "*"),)


def _tried(
    entry: Entry, kind: str, result: Result | None, reason: str, now: float, *, named: Sequence[str] = ()
) -> Entry:
    """Return an alert after one more search, with its error if there is a `reason`.

    What is `named`, devices that the payload may mean, is in its tries, which only the operator sees.
    """
    codes = {
        "ambiguous": "EventAmbiguous",
        "none": "EventNotFound",
        "no device": "EventNotFound",
        "match": None,
    }
    code = codes.get(kind, "SearchFailed")
    status = result.status if result and kind not in codes else None
    text = f"{reason} {report.looked_for(stored.read(entry.clues or {}))}" if kind in codes else reason
    error = {"status": status, "code": code, "message": text, "target": None} if code else None
    seconds = result.seconds if result else 0.0
    told = {**error, "message": f"{reason} {report.several(named)}"} if error and named else error
    tried = tries.Search(kind, result.status if result else None, told, seconds)
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
