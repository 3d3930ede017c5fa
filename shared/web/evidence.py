"""A search as it is shown: the clues, each with its place, the query, and the verdict with its candidates."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.alerts.text import cut
from shared.mapping.outcome import Evidence
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import FACTS, SECOND, Clues, When
from shared.search import query, report, verdict
from shared.search.verdict import Verdict

_LONGEST = 300  # UTF-16 units of a clue


def shown(evidence: Evidence | None) -> dict[str, Any]:
    """Return the members that a dry run adds to an event without a whole reference; none to one that has it."""
    if evidence is None:
        return {}
    asked = query.build(evidence.scan.clues)
    return {
        "lost": list(evidence.lost),
        "clues": list(clues(evidence.scan)),
        "query": asked.text if asked else None,
    }


def missing(scan: ClueScan) -> str:
    """Return what clues lack to be looked for."""
    if not scan.clues.hosts:
        return (
            "the payload does not say which device the event was on"
            if scan.clues.named
            else "the payload names no device"
        )
    if not scan.clues.when:
        return "the payload names no time that can be read"
    return (
        "the payload has nothing that distinguishes the event from others, such as a hash or a command line"
    )


def clues(scan: ClueScan) -> Iterator[dict[str, str]]:
    """Yield the clues with their places: devices, time and kinds of event first; long texts are shortened."""
    at = scan.places.get("hosts", "").split(", ")
    hosts = iter(at if len(at) == len(scan.clues.hosts) else [", ".join(at)] * len(scan.clues.hosts))
    for field, clue in _named(scan.clues):
        yield {**clue, "place": next(hosts) if field == "hosts" else scan.places.get(field, "")}


def known(clues: Clues) -> list[dict[str, str]]:
    """Return clues whose places are not known any more, in the same order."""
    return [clue for _, clue in _named(clues)]


def judged(judgement: Verdict, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return a verdict as it is shown; `without` are tables that were not searched, as the tenant lacks them."""
    return {
        "outcome": "noDevice" if judgement.outcome == "no device" else judgement.outcome,
        "grade": judgement.grade,
        "reason": f"{judgement.reason} {report.several(judgement.devices)}".strip() or None,
        "reference": dict(verdict.reference(judgement.match.row)) if judgement.match else None,
        "candidates": [report.candidate(candidate) for candidate in judgement.candidates],
        "missingTables": list(without),
    }


def _named(clues: Clues) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each clue as it is shown, with the field that it is of."""
    for host in clues.hosts:
        yield "hosts", _clue("device", host.value)
    for host in clues.named:
        yield "named", _clue("named", host.value)
    if clues.when:
        yield "when", _clue("time", _time(clues.when))
    for kind in clues.kinds:
        yield "kinds", _clue("kind", kind)
    for fact in FACTS:
        if value := getattr(clues, fact):
            yield fact, _clue(report.name(fact), value)


def _clue(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": cut(value, _LONGEST)}


def _time(when: When) -> str:
    """Return a time with as many digits as it has, or the two ends of a span, in ISO 8601."""
    digits = 8 - len(str(when.step)) if when.step < SECOND else 0
    length = 20 + digits if digits else 19 if when.step == SECOND else len("2026-03-04T05:06")
    ends = (when.start, when.end) if when.end > when.start else (when.start,)
    return "/".join(f"{query.iso(ticks)[:length]}Z" for ticks in ends)
