"""Writes the table of docs/senders/README.md: what the project's own payloads become, by source.

    .venv/bin/python -m tests.checks.routes

Both settings count as on, FIND_EVENTS and NO_EVENT=entity. A payload counts once, by the worst of its events.
Traps are counted in their source's row, and by themselves: whole kinds of cases, whatever becomes of each.
"""

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from dev import outcomes
from shared.alerts.alert import TEXTS
from shared.entity import entities
from shared.errors import WebhookError
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from shared.mapping.outcome import Refused
from shared.search import query

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "senders" / "README.md"
BEGIN, END = "<!-- routes -->\n", "<!-- end of routes -->\n"
TRAPS = ("wrong event", "test-like is real", "looks like names and values")
"""Kinds of field cases that are made so that a guess goes wrong; so are the clue cases that begin with `no-`."""
ROUTES = ("reference", "search", "entity", "ignored", "refused")


def payloads() -> Iterator[Path]:
    """Yield the bodies that products send, of the pairs, the clues and the field corpus."""
    for folder in ("mappings", "clues", "field"):
        for path in sorted((ROOT / "tests" / folder).rglob("*.json")):
            if not path.name.endswith((".approved.json", ".query.json", ".clues.json", ".request.json")):
                yield from [path] if path.name != "expected.json" else []


def is_trap(path: Path) -> bool:
    """Tell whether a payload was made to tempt to a guess, and not to be what a product sends."""
    if path.parent != ROOT / "tests" / "field":
        return "clues" in path.relative_to(ROOT).parts and path.name.startswith("no-")
    return _expected()[path.name]["kind"] in TRAPS


@functools.cache
def _expected() -> Mapping[str, Mapping[str, str]]:
    cases: Mapping[str, Mapping[str, str]] = json.loads((ROOT / "tests/field/expected.json").read_bytes())
    return cases


def missing(refused: Refused) -> tuple[str, ...]:
    """Return what keeps an event without a reference from both other routes: fields, of both routes."""
    if not refused.texts:
        return tuple(problem.field for problem in refused.problems if problem.field in TEXTS) or (
            "one event",
        )
    if refused.evidence is None:
        return ("one event",)
    return tuple(problem.field for problem in entities.missing(refused.evidence.scan.clues))


def route(path: Path, mappings: Mappings) -> tuple[str, str, tuple[str, ...]]:
    """Return the source of a payload, its route, and what is missing if it is refused."""
    try:
        outcome = outcomes.outcome_of(path.read_bytes(), {}, mappings, clues=True)
    except WebhookError:
        return "none", "refused", ("a body that can be read",)
    source = (outcome.source or "none").partition("+")[0]
    routes = {"ignored" if outcome.ignored else "reference"}
    for refused in outcome.refused:
        clues = refused.evidence.scan.clues if refused.evidence else None
        if lacks := missing(refused):
            return source, "refused", lacks
        routes.add("search" if clues and query.build(clues) else "entity")
    return source, max(routes - {"reference"} or routes, key=ROUTES.index), ()


def counts() -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Return how many payloads of each source take each route, and how many of the traps among them."""
    mappings = mapping.load()
    by_source: dict[str, Counter[str]] = {}
    traps: Counter[str] = Counter()
    for path in payloads():
        source, way, _ = route(path, mappings)
        by_source.setdefault(source, Counter())[way] += 1
        traps[way] += is_trap(path)
    return by_source, traps


def table(by_source: Mapping[str, Counter[str]], traps: Counter[str]) -> str:
    """Return the counts as a table, those of all payloads last, with and without the traps."""
    everything = sum(by_source.values(), Counter[str]())
    rows = [f"| source | payloads | {' | '.join(ROUTES)} |", f"|---|{'---:|' * (len(ROUTES) + 1)}"]
    sums = (("all", everything), ("traps", traps), ("all but the traps", everything - traps))
    for source, count in (*sorted(by_source.items()), *sums):
        numbers = (count.total(), *(count[way] for way in ROUTES))
        rows.append(f"| {source} | {' | '.join(f'{number:,}' for number in numbers)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write the table between its marks."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table(*counts())}{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
