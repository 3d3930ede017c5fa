"""How many events are found for payloads that name none: the project's own set, in a made world with decoys.

Each payload goes the way it goes in the app: clues, query, a call over HTTP to the simulator's hunting, verdict.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form
from dev import hunt
from dev.simulator.hunting import Hunting
from dev.simulator.simulator import Simulator
from shared.clients.graph import Result
from shared.operations import tryout
from shared.payload.clues import SECOND
from shared.search import verdict
from shared.search.query import Query
from tests.checks import clueset
from tests.checks.clueset import Case

_EVENT_AGE = 86_400.0
_QUICK = 10  # every so many of the set in the short form


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: `right`, `wrong` or `no`; and the seconds of a search, on top of the engine's own."""

    case: Case
    became: str
    reason: str
    seconds: float


def measure(form: Form) -> Report:
    """Search the event of each payload of the set: where it was recorded, and where only its decoys were."""
    cases = clueset.cases()[:: _QUICK if form.quick else 1]
    outcomes = list(searched(cases))
    unrecorded = Counter(outcome.became for outcome in searched(cases, recorded=False))
    became = Counter(outcome.became for outcome in outcomes)
    findable = sum(case.event is not None for case in cases)
    missed = [each.case.path for each in outcomes if each.became == "no" and each.case.event is not None]
    products = len({case.product for case in cases})
    note = f"{became['right']} of {findable} that can be; {len(cases)} payloads of {products} products"
    seconds = statistics.median(outcome.seconds for outcome in outcomes)
    beside = "a search on top of the engine's own time, p50"
    found = 100 * became["right"] / findable
    figures = (
        Figure("events found", found, "%", goal=Goal("at least", 95), note=note),
        Figure("events found, another one", became["wrong"], goal=Goal("at most", 0)),
        Figure("events that nobody recorded, another one", unrecorded["wrong"], goal=Goal("at most", 0)),
        Figure("events not found, and said so", len(missed), note=", ".join(missed)),
        Figure(beside, seconds * 1_000, "ms", note="clues, query, HTTP and verdict"),
    )
    data = {each.case.path: {"became": each.became, "reason": each.reason} for each in outcomes}
    return Report(figures, data)


def searched(cases: list[Case], *, recorded: bool = True) -> Iterator[Outcome]:
    """Yield what becomes of each case, in a world with the events of all of them, or with their decoys only."""
    with Simulator() as simulator, hunt.calls(simulator.url) as call:
        simulator.hunting = Hunting(simulator, calls=len(cases) + 1)
        findable = [case for case in cases if case.event is not None]
        references = simulator.hunting.add([case.event or {} for case in findable], recorded=recorded)
        expected = {case.path: reference for case, reference in zip(findable, references, strict=True)}
        for case in cases:
            yield _search(case, expected.get(case.path), call, simulator.hunting)


def _search(
    case: Case, expected: Mapping[str, str] | None, call: Callable[[Query], Result], hunting: Hunting
) -> Outcome:
    began = time.perf_counter()
    clues = clueset.scan(case).clues
    now = clues.when.end / SECOND + _EVENT_AGE if clues.when else 0.0
    judged, result = tryout.judged(clues, call, set(), lambda: now)
    seconds = time.perf_counter() - began
    if result is None:
        return Outcome(case, "no", "No device, no time or no fact.", seconds)
    if judged is None:
        raise BenchError(f"{case.path}: {result.message}")
    seconds -= hunting.log[-1].seconds
    if judged.match is None:
        return Outcome(case, "no", judged.reason, seconds)
    right = verdict.reference(judged.match.row) == expected
    return Outcome(case, "right" if right else "wrong", judged.grade or "", seconds)
