"""The turns of senders: a flood of any severity delays only its own sender.

While something waits, an alert is due at the earliest a slot's share of the window after the one before it of the same
sender and severity:

    1,200 High of one sender at once     due  0 s   4 s   8 s   12 s   16 s …
    a High of another sender, 10 s later              10 s ┘ (the next slot but one is its)

Where sending is behind, for example after a pause, a sender's first alert is due with those that wait longest.

The turn is a row that is written with the alerts themselves, by its ETag. A host remembers what it wrote, so that a
turn costs no extra request; only after another host's write it reads again. Of the parallel requests of one host,
one writes the row, and the others use what the host remembers.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.ledger import record
from shared.ledger.keys import Stage
from shared.ledger.record import Entry
from shared.table.protocol import Insert, Operation, Replace, Table

if TYPE_CHECKING:
    from shared.sending.snapshot import Snapshot


@dataclass(slots=True)
class _Turn:
    """What a host knows of one row: when the next alert may be due, its ETag, and what the row does not know yet."""

    due: float = -math.inf
    etag: str | None = None
    being_written: bool = False
    unwritten: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Entries with the turns they have, and the operations that write the turns, to be committed together.

    `given` are how many turns the host has given by row, since it wrote the row last; `steps` are the seconds between
    two turns, by row.
    """

    entries: tuple[Entry, ...]
    operations: tuple[Operation, ...]
    given: Mapping[str, int]
    steps: Mapping[str, float]


@dataclass(slots=True)
class Turns:
    """Gives turns to the alerts that have to wait. Thread-safe."""

    _known: dict[str, _Turn] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(
        self,
        entries: Iterable[Entry],
        step: Callable[[Stage], float],
        snapshot: "Snapshot | None" = None,
        *,
        write: bool = True,
    ) -> Plan:
        """Give each entry its turn, its stage's `step` in seconds after the one before it. `done` must follow.

        `snapshot` shows how far sending is behind: a sender's first alert is due with those that wait longest.
        Without `write` the row is not written: alerts of other hosts may have the same turn.
        """
        with self._lock:
            turned, operations, given, steps = [], [], {}, {}
            for entry in entries:
                key = _key(entry)
                turn = self._known.setdefault(key, _Turn())
                steps[key] = step(entry.stage)
                behind = snapshot.behind(entry) if snapshot else 0.0
                due = max(entry.due - _earlier(behind, steps[key]), turn.due)
                turn.due = due + steps[key]
                turn.unwritten += 1
                given[key] = turn.unwritten
                turned.append(record.due_at(entry, due))
            for key in given:
                turn = self._known[key]
                if write and not turn.being_written:
                    turn.being_written = True
                    operations.append(_write(key, turn))
            return Plan(tuple(turned), tuple(operations), given, steps)

    def done(self, plan: Plan, etags: Mapping[str, str] | None) -> None:
        """Remember what became of a plan: the new ETags by key, or None where nothing was written."""
        with self._lock:
            for operation in plan.operations:
                turn = self._known[operation.key]
                turn.being_written = False
                if etags and operation.key in etags:
                    turn.etag = etags[operation.key]
                    turn.unwritten -= plan.given[operation.key]
            for entry in plan.entries if etags is None else ():
                self._known[_key(entry)].unwritten -= 1

    def give_back(self, plan: Plan) -> None:
        """Return the turns of a plan whose alerts were known: a sender that repeats the same alerts uses no turns."""
        with self._lock:
            for entry in plan.entries:
                self._known[_key(entry)].due -= plan.steps[_key(entry)]

    def read_again(self, table: Table, plan: Plan) -> None:
        """Read what other hosts wrote, after a conflict: turns that are not in the row come after theirs."""
        for operation in plan.operations:
            row = table.get(operation.key)
            due = row.values.get("due") if row else None
            with self._lock:
                turn = self._known[operation.key]
                turn.etag = row.etag if row else None
                if isinstance(due, int | float) and math.isfinite(due):
                    turn.due = max(turn.due, due + turn.unwritten * plan.steps[operation.key])


def _earlier(behind: float, step: float) -> float:
    """Return the seconds by which an alert is due earlier where sending is so many seconds behind.

    It comes within one `step` after the alert that is due first: the sooner, the earlier it was accepted.
    """
    return behind - step * behind / (behind + step)


def _key(entry: Entry) -> str:
    return entry.stage.turn_key(entry.sender, entry.alert.severity)


def _write(key: str, turn: _Turn) -> Operation:
    values = {"due": turn.due}
    return Insert(key, values) if turn.etag is None else Replace(key, values, turn.etag)
