"""The verdict: from the rows of a search to a match, or to the reason why there is none.

    rows ── of each host ── one device? ── twins together ── facts that only one of them has ── match
                               │                                    │
                            unknown, ambiguous                 none, ambiguous

A wrong event is the worst error of this product. So a fact counts only if a single event near the time has it,
excluded rows count as other events, two possible events are no match, and what several events can have (a hash, an
address) names one only within seconds of the payload's time: the right one may never have been recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shared.payload.clues import SECOND, Clues, When
from shared.search import devices, facts
from shared.search.facts import Row
from shared.search.query import ROWS

Outcome = Literal["match", "ambiguous", "none", "no device"]
Grade = Literal["exact", "probable"]

YOUNG = 600
"""Seconds in which an event may not be searchable although others of its time are."""

_NEAR = 5 * SECOND
_LATE = SECOND // 2  # after a detection: clocks differ
_NAMES = frozenset({"file_name", "process_name"})
_OBJECTS = frozenset({"remote_ip", "remote_url", "registry_key"})
_OWN = frozenset({"Timestamp", "ReportId"})
_ONLY = 60 * SECOND  # around the time, in which a probable event is the only one of its name


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate event: its row, which facts agree and differ, which of them only it has.

    `apart` are the ticks from the payload's time to it; `twins` is the number of events that are equal in every column,
    itself included.
    """

    row: Row
    agree: frozenset[str]
    differ: frozenset[str]
    only: frozenset[str]
    apart: int
    twins: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a search: a `match`, or a `reason` why there is none.

    `candidates` are the events that were compared, those with the most agreeing facts first; `devices` are the names
    of devices between which nothing decides. Both are for the operator alone; senders see the `reason`.
    """

    outcome: Outcome
    reason: str = ""
    grade: Grade | None = None
    match: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()
    devices: tuple[str, ...] = ()


def judge(clues: Clues, rows: Sequence[Row], *, age: float) -> Verdict:
    """Return the verdict on the rows of a search for these clues.

    `age`: the least seconds since the event (since the payload was received, if its sender's clock is not trusted).
    Raise nothing. A row without a reference is no candidate, but its facts count as those of another event.
    """
    when = clues.when
    events = [row for row in rows if row.get("Row") == "event"]
    known = [row for row in rows if row.get("Row") != "event"]
    if when is None or not clues.hosts:
        return Verdict("none", "The payload names no device or no time.")
    if len(events) > ROWS or len(known) > ROWS:
        return Verdict("ambiguous", f"More than {ROWS} devices or events match in part.")
    verdict = Verdict("no device", "Defender knows no such device at that time.")
    for host in clues.hosts:
        device = devices.resolve(host, when, known, events)
        on_host = _on_device(clues, when, device, age)
        if on_host.outcome in ("match", "ambiguous"):
            return on_host
        verdict = on_host if verdict.outcome == "no device" else verdict
    return verdict


def _on_device(clues: Clues, when: When, device: devices.Device, age: float) -> Verdict:
    """Return the verdict on the events of one of the possible devices."""
    if device.outcome != "one":
        outcome: Outcome = "ambiguous" if device.outcome == "several" else "no device"
        return Verdict(outcome, device.reason, devices=device.names)
    candidates = _candidates(clues, when, device.events)
    chosen = _chosen(when, candidates)
    verdict = replace(chosen, candidates=tuple(candidates))
    if chosen.match and age < YOUNG and not _surely(when, chosen.match):
        reason = "The event is recent: a similar one may be searchable before the event itself."
        return replace(verdict, outcome="none", reason=reason, grade=None, match=None)
    return verdict


def _candidates(clues: Clues, when: When, rows: Sequence[Row]) -> list[Candidate]:
    """Return the events of a device, twins as one, each with the facts that only it has."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_without_reference(row), []).append(row)
    compared = []
    for twins in groups.values():
        row = _nearest(when, twins)
        compared.append((row, facts.compare(clues, row), len(twins)))
    strong = [facts.strong(clues, comparison, row) for row, comparison, _ in compared]
    owners = [_owners(compared, strong, row) for row, _, _ in compared]
    candidates = [
        Candidate(
            row,
            comparison.agree,
            facts.contradicts(comparison, row),
            frozenset(fact for fact in facts_of_row if sum(fact in known for known in possible) == 1),
            _apart(when, row),
            count,
        )
        for (row, comparison, count), facts_of_row, possible in zip(compared, strong, owners, strict=True)
    ]
    return sorted(
        candidates,
        key=lambda candidate: (
            -len(candidate.only),
            -len(candidate.agree),
            len(candidate.differ),
            abs(candidate.apart),
        ),
    )


def _nearest(when: When, twins: Sequence[Row]) -> Row:
    """Return the twin that is nearest to the payload's time, of equally near ones the earlier."""
    return min(
        twins, key=lambda row: (abs(_apart(when, row)), row.get("Timestamp") or "", row.get("ReportId") or "")
    )


def _owners(
    compared: Sequence[tuple[Row, facts.Compared, int]], strong: Sequence[frozenset[str]], row: Row
) -> list[frozenset[str]]:
    """Return the facts that each event has, or may have as far as a row's table says, beside those of a row.

    A hash is often not recorded: an event of the same table without it, which another strong fact names, may have it.
    """
    return [
        known
        if not known or other.get("Table") != row.get("Table") or facts.contradicts(comparison, other)
        else known | (facts.STRONG - comparison.differ)
        for (other, comparison, _), known in zip(compared, strong, strict=True)
    ]


def _chosen(when: When, candidates: Sequence[Candidate]) -> Verdict:
    """Return the match among the events of a device, if exactly one is possible."""
    named = [candidate for candidate in candidates if candidate.only]
    exact = [candidate for candidate in named if _is_near(when, candidate)]
    probable = [candidate for candidate in candidates if _is_probable(when, candidate, candidates)]
    meant = list({id(candidate): candidate for candidate in (*named, *probable)}.values())
    if len(meant) > 1:
        return Verdict("ambiguous", f"{len(meant)} events are possible.")
    if named and not exact and not probable:
        seconds = abs(named[0].apart) / SECOND
        return Verdict(
            "none", f"The only possible event is {seconds:.0f} s from the time, and may be another one."
        )
    if meant and not meant[0].differ and devices.has_reference(meant[0].row):
        return Verdict("match", grade="exact" if exact else "probable", match=meant[0])
    if meant:
        return Verdict("none", f"The only possible event differs in: {', '.join(sorted(meant[0].differ))}.")
    if any(candidate.agree & facts.STRONG and not candidate.differ for candidate in candidates):
        return Verdict("ambiguous", "Several events have the facts that the payload names.")
    return Verdict("none", "No event near that time has the facts that the payload names.")


def _is_probable(when: When, candidate: Candidate, candidates: Sequence[Candidate]) -> bool:
    """Tell whether an event is at the event's own time, to the second, and the only one of its name near it."""
    if (
        not when.own
        or when.start != when.end
        or when.step > SECOND
        or candidate.differ
        or candidate.twins > 1
    ):
        return False
    if abs(candidate.apart) > SECOND or not candidate.agree & _NAMES:
        return False
    around = [other for other in candidates if other.agree & _NAMES and abs(other.apart) <= _ONLY]
    return len(around) == 1


def _is_near(when: When, candidate: Candidate) -> bool:
    """Tell whether an event is near enough to the payload's time for the facts that only it has.

    A hash, an address or a key may be those of another event too, if the right one was never recorded. So an event
    farther away is taken only if a known process did it, and around a time with a fraction only the start of that.
    No event comes after its detection. The time beside a report id is Defender's own, and at most cut or rounded.
    """
    if when.own and "report_id" in candidate.agree:
        return abs(candidate.apart) <= SECOND
    if _is_itself(candidate):
        return True
    if not when.own and candidate.apart > _LATE:
        return False
    is_inexact = not when.own or when.step >= SECOND
    return _is_close(when, candidate) or (is_inexact and _is_known_process(candidate))


def _is_close(when: When, candidate: Candidate) -> bool:
    """Tell whether an event is within seconds of the payload's time, or of one end of its span."""
    ends = [replace(when, start=end, end=end) for end in (when.start, when.end)]
    return when.step <= SECOND and any(abs(_apart(end, candidate.row)) <= _NEAR for end in ends)


def _is_known_process(candidate: Candidate) -> bool:
    """Tell whether an event is the start of a known process, or what that did to something that is known too.

    A process is known by its id, or by a command line with arguments: one without is only the program's name.
    """
    row = candidate.row
    is_named = "process_id" in candidate.agree and bool(candidate.agree & facts.PROGRAM)
    is_told = "command_line" in candidate.agree and facts.has_arguments(row)
    if row.get("Table") == "DeviceProcessEvents":
        only = candidate.only
        return (is_named and "process_id" in only) or (is_told and "command_line" in only)
    return (is_named or is_told) and bool(candidate.only & _OBJECTS)


def _surely(when: When, candidate: Candidate) -> bool:
    """Tell whether a young event is certain, although a twin may not be searchable yet: by its time or its process.

    One that has only the exact time may be of another table, whose events are searchable earlier.
    """
    if candidate.agree == {"event_time"}:
        return False
    return _is_itself(candidate) or _is_close(when, candidate)


def _is_itself(candidate: Candidate) -> bool:
    """Tell whether an event is the start of the process in the clues: a process has only one start."""
    return candidate.row.get("Table") == "DeviceProcessEvents" and candidate.agree >= {
        "command_line",
        "process_id",
    }


def _without_reference(row: Row) -> tuple[str, ...]:
    """Return the columns that are equal in twins: all but those of the reference."""
    return tuple(f"{name}={value}" for name, value in sorted(row.items()) if value and name not in _OWN)


def _apart(when: When, row: Row) -> int:
    """Return the ticks from the payload's time to a row's."""
    moment = devices.moment(row.get("Timestamp"))
    return when.apart(moment) if moment is not None else 0


def reference(row: Row) -> Mapping[str, str]:
    """Return the reference of the event of a row, by the names of Defender's API."""
    return {
        "machineId": row.get("DeviceId") or "",
        "eventTime": row.get("Timestamp") or "",
        "reportId": row.get("ReportId") or "",
    }
