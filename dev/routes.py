"""Writes the table of docs/senders/README.md: what the project's own payloads become, by source.

    .venv/bin/python -m dev.routes

Both settings count as on, FIND_EVENTS and NO_EVENT=entity. A payload counts once, by the worst of its events.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from dev import approve
from shared.alerts.alert import TEXTS
from shared.entity import entities
from shared.errors import WebhookError
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from shared.mapping.outcome import Refused
from shared.search import query

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "senders" / "README.md"
BEGIN, END = "<!-- routes -->\n", "<!-- end of routes -->\n"
ROUTES = ("reference", "search", "entity", "ignored", "refused")


def payloads() -> Iterator[Path]:
    """Yield the bodies that products send, of the pairs, the clues and the field corpus."""
    for folder in ("mappings", "clues", "field"):
        for path in sorted((ROOT / "tests" / folder).rglob("*.json")):
            if not path.name.endswith((".approved.json", ".query.json", ".clues.json", ".request.json")):
                yield from [path] if path.name != "expected.json" else []


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
        outcome = approve.outcome_of(path.read_bytes(), {}, mappings, clues=True)
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


def counts() -> dict[str, Counter[str]]:
    """Return how many payloads of each source take each route."""
    mappings = mapping.load()
    by_source: dict[str, Counter[str]] = {}
    for path in payloads():
        source, way, _ = route(path, mappings)
        by_source.setdefault(source, Counter())[way] += 1
    return by_source


def table(by_source: Mapping[str, Counter[str]]) -> str:
    """Return the counts as a table, all of them last."""
    everything = sum(by_source.values(), Counter[str]())
    rows = [f"| source | payloads | {' | '.join(ROUTES)} |", f"|---|{'---:|' * (len(ROUTES) + 1)}"]
    for source, count in (*sorted(by_source.items()), ("all", everything)):
        numbers = (count.total(), *(count[way] for way in ROUTES))
        rows.append(f"| {source} | {' | '.join(f'{number:,}' for number in numbers)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write the table between its marks."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table(counts())}{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
