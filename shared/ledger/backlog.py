"""The backlog: which alerts wait, and in which order they are sent."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.ledger.keys import Stage
from shared.ledger.record import Waiting
from shared.table.protocol import Row


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog in some rows: the alerts to send, the most urgent first; how many wait; the earliest acceptance.

    `unreadable` are rows that this app cannot have written; they are to be moved aside.
    """

    waiting: tuple[Waiting, ...]
    count: int
    oldest: float | None
    unreadable: tuple[Row, ...]


def read(stored: Iterable[Row], now: float, most: int, stage: Stage = keys.REFERENCE) -> Backlog:
    """Return a stage's backlog in `todo-` rows and in `later-` rows that are due, with at most `most` alerts."""
    before = stage.later_before(now)
    waits = [row for row in stored if any(first <= row.key < end for first, end in stage.waiting)]
    due = [row for row in waits if not stage.is_later(row.key) or row.key < before]
    due.sort(key=lambda row: (_number(row, "due"), row.key.rpartition("-")[2]))
    waiting: list[Waiting] = []
    unreadable = []
    for row in due:
        if len(waiting) == most:
            break
        try:
            waiting.append(Waiting(rows.read(row), row.etag))
        except Unreadable:
            unreadable.append(row)
    oldest = min((_number(row, "accepted") for row in waits), default=math.inf)
    return Backlog(tuple(waiting), len(waits), oldest if oldest < math.inf else None, tuple(unreadable))


def _number(row: Row, name: str) -> float:
    value = row.values.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else math.inf
