"""The project's own set of payloads without references, each with the clues that it has and the event it tells of.

`tests/clues/PRODUCT/NAME.json` is what a product sends, made up; `NAME.clues.json` beside it says what is in it:

    clues   by their name: the value, and the place; hosts as `name:pc-1`; a time with the digits it was written with,
            two with `/` between are from and to
    own     whether the time is the event's own
    event   the event in Defender that is meant: its table, its device with its address and, if the payload has it, its
            id, its time, and columns of its row; null if the payload does not say enough, and `why`

for case in clueset.cases():
    clues = clueset.scan(case).clues
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.payload import body, clue_scan
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import FACTS, When
from shared.payload.paths import Node
from shared.payload.reader import Reader
from shared.search import query

ROOT = Path(__file__).parents[1] / "clues"
_DIGITS = 7
_MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Case:
    """One payload: its bytes, the clues by name with their places, and the event, None if none can be found."""

    product: str
    name: str
    payload: bytes
    clues: Mapping[str, list[Any]]
    own: bool
    event: Mapping[str, Any] | None
    why: str

    @property
    def path(self) -> str:
        """Its place among the cases: `splunk/first-row`."""
        return f"{self.product}/{self.name}"


def cases() -> list[Case]:
    """Return all cases, in the order of their names. Raise `FileNotFoundError` if one of a pair of files lacks."""
    return [_case(path) for path in sorted(ROOT.glob("*/*.json")) if not path.name.endswith(".clues.json")]


def scan(case: Case) -> ClueScan:
    """Return the clues that the product reads in a payload."""
    [document] = body.read(case.payload, max_bytes=_MAX_BYTES)
    return clue_scan.read(Node(document, None, Reader(lambda _: None)))


def flat(clues: ClueScan) -> dict[str, list[Any]]:
    """Return clues in the form of the files: by their name the value and the place."""
    values: dict[str, Any] = {fact: getattr(clues.clues, fact) for fact in FACTS}
    values["hosts"] = [f"{host.identity}:{host.value}" for host in clues.clues.hosts]
    values["kinds"] = list(clues.clues.kinds)
    values["when"] = clues.clues.when and _written(clues.clues.when)
    return {name: [value, clues.places.get(name)] for name, value in values.items() if value}


def _case(path: Path) -> Case:
    expected = json.loads(path.with_suffix(".clues.json").read_text(encoding="utf-8"))
    return Case(
        path.parent.name,
        path.stem,
        path.read_bytes(),
        expected["clues"],
        expected["own"],
        expected["event"],
        expected.get("why", ""),
    )


def _written(when: When) -> str:
    """Return a time with as many digits as it was written with."""
    digits = _DIGITS + 1 - len(str(when.step))
    moments = [query.iso(ticks) for ticks in dict.fromkeys((when.start, when.end))]
    return "/".join(f"{moment[: 20 + digits].rstrip('.')}Z" for moment in moments)
