"""Approved pairs: the outcome of each payload in `tests/mappings/`, stored beside it for review.

    tests/mappings/{source}/{name}.payload.json     what a product posts; any other suffix is taken as raw bytes
    tests/mappings/{source}/{name}.query.json       optional: the query parameters, {"source": "splunk"}
    tests/mappings/{source}/{name}.approved.json    what it becomes; written by this command, never by hand

    make approve                       show every difference, and ask before anything is written
    make approve ARGS="splunk"         only pairs whose path contains one of these words
    make approve ARGS="--all splunk"   show and write without asking; review it with `git diff`

Without a terminal and without --all nothing is written; the exit code then says whether all is approved.
`tests/unit/test_approved.py` holds every pair. So: write the payload, run `make approve ARGS=<source>`, and read it.
"""

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.syntax import Syntax

from dev import outcomes
from shared.errors import WebhookError
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings

PAIRS = Path(__file__).resolve().parents[1] / "mappings"
_APPROVED = ".approved.json"


@dataclass(frozen=True, slots=True)
class Pair:
    """One payload and what is approved of it. `approved` need not exist yet."""

    payload: Path
    query: Mapping[str, str]
    approved: Path

    @property
    def name(self) -> str:
        """The path of the pair below `tests/mappings/`: `splunk/first-row`."""
        return f"{self.payload.parent.name}/{self.approved.name.removesuffix(_APPROVED)}"

    def expected(self) -> str:
        """Return the approved text, "" if there is none yet."""
        return self.approved.read_text("utf-8") if self.approved.exists() else ""


def pairs(folder: Path = PAIRS) -> Iterator[Pair]:
    """Yield the pairs of a folder in the order of their paths."""
    for path in sorted(folder.glob("*/*.payload.*")):
        start = path.with_name(path.name[: path.name.index(".payload.")])
        query = start.with_name(start.name + ".query.json")
        parameters = json.loads(query.read_text("utf-8")) if query.exists() else {}
        yield Pair(path, parameters, start.with_name(start.name + _APPROVED))


def became(body: bytes, query: Mapping[str, str], mappings: Mappings) -> dict[str, Any]:
    """Return what a delivery becomes, as JSON with a stable order; a refusal of the whole body as `error`."""
    try:
        outcome = outcomes.outcome_of(body, query, mappings)
    except WebhookError as error:
        return {"error": {"status": error.status, "detail": error.detail}}
    document: dict[str, Any] = {"source": outcome.source, "steps": list(outcome.steps)}
    if outcome.refused_status:
        document["refusal"] = outcome.refused_status
    if outcome.ignored is not None:
        document |= {"ignored": outcome.ignored, "reply": outcome.reply}
    if outcome.alerts:
        document["alerts"] = [
            {
                "event": mapped.event,
                "body": mapped.alert.body(),
                "notes": list(mapped.notes),
                **({"timeTruncated": True} if mapped.time_truncated else {}),
            }
            for mapped in outcome.alerts
        ]
    if outcome.refused:
        document["refused"] = [
            {
                "event": refused.event,
                "problems": [f"{problem.field}: {problem.detail}" for problem in refused.problems],
                **({"remedy": refused.remedy} if refused.remedy else {}),
            }
            for refused in outcome.refused
        ]
    return document


def text(pair: Pair, mappings: Mappings) -> str:
    """Return what a pair's payload becomes, as its approved file would say it."""
    outcome = became(pair.payload.read_bytes(), pair.query, mappings)
    return json.dumps(outcome, indent=2, ensure_ascii=False) + "\n"


def review(chosen: Sequence[Pair], mappings: Mappings, console: Console, *, write_all: bool) -> int:
    """Show every difference; write those that are approved. Return how many stay unapproved."""
    left = 0
    for pair in chosen:
        old, new = pair.expected(), text(pair, mappings)
        if old == new:
            continue
        console.rule(f"{pair.name}: {'changed' if old else 'new'}", align="left")
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "approved", "now", lineterm="", n=2)
        console.print(Syntax("\n".join(lines), "diff", word_wrap=True, background_color="default"))
        asks = console.is_terminal and sys.stdin.isatty()
        if write_all or (asks and console.input("Approve? \\[y/N] ").strip().lower() == "y"):
            pair.approved.write_text(new, encoding="utf-8")
        else:
            left += 1
    return left


def main() -> None:
    """Review the pairs. Exits 1 if some stay unapproved."""
    parser = argparse.ArgumentParser(prog="make approve", description="Review what payloads become.")
    parser.add_argument("words", nargs="*", help="only pairs whose path contains one of these")
    parser.add_argument("--all", action="store_true", help="write every difference without asking")
    asked = parser.parse_args()
    console = Console(highlight=False)
    chosen = [pair for pair in pairs() if not asked.words or any(word in pair.name for word in asked.words)]
    left = review(chosen, mapping.load(), console, write_all=asked.all)
    console.print(f"{len(chosen)} pairs, {left} not approved")
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
