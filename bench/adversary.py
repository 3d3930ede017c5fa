"""Looks for the payload of a mebibyte that costs most to map: shapes composed at random, the worst ones bred further.

    .venv/bin/python -m bench.adversary --seconds 60             print the worst ten, with their recipes
    .venv/bin/python -m bench.adversary --show 3.0.17 > x.json   build the body of a recipe
    .venv/bin/python -m bench.adversary --seconds 60 --begin 7   look elsewhere

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

from bench import mapped
from bench.mapped import Cost
from bench.shape import BYTES, Recipe, body, described
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings

SECONDS, MEBIBYTES = 1.0, 64.0
"""The goals: what a mebibyte may cost at most, whatever is in it."""

_KEPT = 40  # recipes that are bred from
_SHOWN = 10
_PART = 8  # of the body is enough to see where it goes, and seen eight times as often
_FRESH = 0.5  # of the tries are new ones
_LENGTH = 48  # choices of a fresh recipe; what is missing is 0
_LARGEST = 10**6
_LIMIT = 3.0  # CPU seconds, after which a body is bad enough


@dataclass(frozen=True, slots=True)
class Found:
    """A recipe and what its body costs. `score` is above 1 if it misses a goal."""

    recipe: Recipe
    parts: str
    cost: Cost

    @property
    def score(self) -> float:
        """The worse of CPU and memory, in goals."""
        return max(self.cost.seconds / SECONDS, self.cost.mebibytes / MEBIBYTES)


def search(mappings: Mappings, seconds: float, begin: int = 0) -> list[Found]:
    """Look for so long; return the worst, worst first, each measured three times."""
    chance = random.Random(begin)
    ends = time.monotonic() + seconds
    kept: list[Found] = []
    tried: set[Recipe] = set()
    while time.monotonic() < ends:
        fresh = not kept or chance.random() < _FRESH
        recipe = _fresh(chance) if fresh else changed(_parent(kept, chance), chance)
        small, recipe = body(recipe, BYTES // _PART)
        if recipe in tried:
            continue
        tried.add(recipe)
        spent = mapped.cost(mappings, small, limit=_LIMIT / _PART)
        spent = Cost(spent.seconds * _PART, spent.mebibytes * _PART, spent.became)
        found = Found(recipe, described(recipe), spent)
        kept = worst([*kept, found])[:_KEPT]
    print(f"{len(tried)} shapes tried", file=sys.stderr)
    whole = [_measured(mappings, one.recipe) for one in kept[: 2 * _SHOWN]]
    return sorted(whole, key=lambda one: -one.score)[:_SHOWN]


def worst(found: Sequence[Found]) -> list[Found]:
    """Return the worst in CPU and the worst in memory of each kind, worst first."""
    kept: dict[tuple[int, str], Found] = {}
    for one in sorted(found, key=lambda one: one.score):
        kind = ", ".join(one.parts.split(", ")[:2])
        for goal, measured in enumerate((one.cost.seconds / SECONDS, one.cost.mebibytes / MEBIBYTES)):
            if measured >= one.score / 2:
                kept[goal, kind] = one
    return list(dict.fromkeys(reversed(kept.values())))


def changed(recipe: Recipe, chance: random.Random) -> Recipe:
    """Return a recipe with a few other choices, or with some left out or repeated."""
    choices = list(recipe)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(choices)) if choices else 0
        what = chance.random()
        if what < 0.7:  # noqa: PLR2004
            choices[at : at + 1] = [chance.randrange(_LARGEST)]
        elif what < 0.85:  # noqa: PLR2004
            choices.insert(at, chance.randrange(_LARGEST))
        else:
            del choices[at : at + chance.randrange(1, 4)]
    return tuple(choices)


def _fresh(chance: random.Random) -> Recipe:
    return tuple(chance.randrange(_LARGEST) for _ in range(_LENGTH))


def _parent(kept: Sequence[Found], chance: random.Random) -> Recipe:
    return max(chance.sample(kept, min(2, len(kept))), key=lambda one: one.score).recipe


def _measured(mappings: Mappings, recipe: Recipe) -> Found:
    """Measure the whole body of a recipe."""
    whole, choices = mapped.forked(lambda: body(recipe))
    return Found(
        choices, described(choices), mapped.cost(mappings, whole, tries=3, enough=SECONDS / 2, limit=_LIMIT)
    )


def main() -> int:
    """Look for the worst, or show one."""
    parser = argparse.ArgumentParser(prog="python -m bench.adversary", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look")
    parser.add_argument("--begin", type=int, default=0, help="another number looks elsewhere")
    parser.add_argument("--show", metavar="RECIPE", help="print the body of a recipe")
    asked = parser.parse_args()
    if asked.show is not None:
        sys.stdout.buffer.write(body(tuple(map(int, asked.show.split("."))))[0])
        return 0
    mappings = mapping.load()
    mapped.became(mappings, b'{"DeviceId": "x", "a": {"b": 1}}')
    gc.freeze()
    found = search(mappings, asked.seconds, asked.begin)
    for one in found:
        print(f"{one.cost.seconds:7.3f} s {one.cost.mebibytes:6.1f} MiB  {one.cost.became[:100]}")
        print(f"    {one.parts}\n    {'.'.join(map(str, one.recipe))}")
    print(f"Goals: {SECONDS:g} s and {MEBIBYTES:g} MiB for {BYTES:,} bytes.")
    return int(any(one.score > 1 for one in found))


if __name__ == "__main__":
    sys.exit(main())
