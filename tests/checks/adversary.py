"""Searches for the payload of a mebibyte that costs most to map: shapes composed at random, the worst bred further.

    .venv/bin/python -m tests.checks.adversary --seconds 60             print the worst ten, with their recipes
    .venv/bin/python -m tests.checks.adversary --show 3.0.17 > x.json   build the body of a recipe
    .venv/bin/python -m tests.checks.adversary --seconds 60 --begin 7   search elsewhere

A recipe is the list of choices that made a body, so it is all that is needed to build it again, or to change a little
of it. What is found belongs into `worst.py`, under a name. Exits 1 if a body misses the goals.
"""

import argparse
import gc
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.ground import BYTES
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from tests.checks import spent
from tests.checks.bodies import Recipe, body, described
from tests.checks.spent import Cost

SECONDS, MEBIBYTES = 1.0, 64.0
"""The goals: what a mebibyte may cost at most, whatever is in it."""

_PARENTS = 40  # recipes that are bred from
_SHOWN = 10
_PART = 8  # of the body is enough to see where it goes, and seen eight times as often
_FRESH = 0.5  # of the tries are new ones
_LENGTH = 48  # choices of a fresh recipe; what is missing is 0
_LARGEST = 10**6
_LIMIT = 3.0  # CPU seconds, after which a body is bad enough


@dataclass(frozen=True, slots=True)
class Finding:
    """A recipe and what its body costs. `score` is above 1 if it misses a goal."""

    recipe: Recipe
    parts: str
    cost: Cost

    @property
    def score(self) -> float:
        """The worse of CPU and memory, in goals."""
        return max(self.cost.seconds / SECONDS, self.cost.mebibytes / MEBIBYTES)


def search(mappings: Mappings, seconds: float, begin: int = 0) -> list[Finding]:
    """Search for so long; return the worst, worst first, each measured three times."""
    chance = random.Random(begin)
    ends = time.monotonic() + seconds
    findings: list[Finding] = []
    tried: set[Recipe] = set()
    while time.monotonic() < ends:
        fresh = not findings or chance.random() < _FRESH
        recipe = _fresh(chance) if fresh else changed(_parent(findings, chance), chance)
        small, recipe = body(recipe, BYTES // _PART)
        if recipe in tried:
            continue
        tried.add(recipe)
        part = spent.cost(mappings, small, limit=_LIMIT / _PART)
        whole = Cost(part.seconds * _PART, part.mebibytes * _PART, part.became)
        finding = Finding(recipe, described(recipe), whole)
        findings = worst([*findings, finding])[:_PARENTS]
    print(f"{len(tried)} shapes tried", file=sys.stderr)
    measured = [_measured(mappings, finding.recipe) for finding in findings[: 2 * _SHOWN]]
    return sorted(measured, key=lambda finding: -finding.score)[:_SHOWN]


def worst(findings: Sequence[Finding]) -> list[Finding]:
    """Return the worst in CPU and the worst in memory of each kind, worst first."""
    worst_of: dict[tuple[int, str], Finding] = {}
    for finding in sorted(findings, key=lambda finding: finding.score):
        kind = ", ".join(finding.parts.split(", ")[:2])
        for goal, measured in enumerate((finding.cost.seconds / SECONDS, finding.cost.mebibytes / MEBIBYTES)):
            if measured >= finding.score / 2:
                worst_of[goal, kind] = finding
    return list(dict.fromkeys(reversed(worst_of.values())))


def changed(recipe: Recipe, chance: random.Random) -> Recipe:
    """Return a recipe with a few other choices, or with some left out or repeated."""
    choices = list(recipe)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(choices)) if choices else 0
        change = chance.random()
        if change < 0.7:
            choices[at : at + 1] = [chance.randrange(_LARGEST)]
        elif change < 0.85:
            choices.insert(at, chance.randrange(_LARGEST))
        else:
            del choices[at : at + chance.randrange(1, 4)]
    return tuple(choices)


def _fresh(chance: random.Random) -> Recipe:
    return tuple(chance.randrange(_LARGEST) for _ in range(_LENGTH))


def _parent(findings: Sequence[Finding], chance: random.Random) -> Recipe:
    return max(chance.sample(findings, min(2, len(findings))), key=lambda finding: finding.score).recipe


def _measured(mappings: Mappings, recipe: Recipe) -> Finding:
    """Measure the whole body of a recipe."""
    whole, choices = spent.forked(lambda: body(recipe))
    return Finding(
        choices,
        described(choices),
        spent.cost(mappings, whole, tries=3, enough=SECONDS / 2, limit=_LIMIT),
    )


def main() -> int:
    """Search for the worst, or show one."""
    parser = argparse.ArgumentParser(prog="python -m tests.checks.adversary", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to search")
    parser.add_argument("--begin", type=int, default=0, help="another number searches elsewhere")
    parser.add_argument("--show", metavar="RECIPE", help="print the body of a recipe")
    asked = parser.parse_args()
    if asked.show is not None:
        sys.stdout.buffer.write(body(tuple(map(int, asked.show.split("."))))[0])
        return 0
    mappings = mapping.load()
    spent.became(mappings, b'{"DeviceId": "x", "a": {"b": 1}}')
    gc.freeze()
    findings = search(mappings, asked.seconds, asked.begin)
    for finding in findings:
        print(f"{finding.cost.seconds:7.3f} s {finding.cost.mebibytes:6.1f} MiB  {finding.cost.became[:100]}")
        print(f"    {finding.parts}\n    {'.'.join(map(str, finding.recipe))}")
    print(f"Goals: {SECONDS:g} s and {MEBIBYTES:g} MiB for {BYTES:,} bytes.")
    return int(any(finding.score > 1 for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
