"""Recognises alerts that are already in Defender: its own, and those this app created."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.alerts import mark
from shared.mapping.conditions import Condition, condition
from shared.payload.paths import Node

DEFENDERS = "Defender has raised this alert itself, so it is not raised again."
MADE = (
    "The alert was made in Defender by its API: it is manual, or has this app's mark. It is not raised again."
)
"""Why an alert is ignored."""

_TABLE = Path(__file__).parent / "tables" / "own.json"


def is_defenders(alert: Node) -> bool:
    """Say whether an alert is one that Defender raised, by its product names and ids."""
    return any(known.holds(alert, alert) for known in _conditions("defenders"))


def is_their_row(alert: Node) -> bool:
    """Say whether an alert is a row of a table of Defender's alerts: the keys in it are no event's."""
    return any(known.holds(alert, alert) for known in _conditions("rows"))


def is_manual(alert: Node) -> bool:
    """Say whether an alert was made in Defender by hand or by its API, by its detection source."""
    return any(known.holds(alert, alert) for known in _conditions("manual"))


@dataclass(frozen=True, slots=True)
class Marks:
    """Which values have the mark of one of the alerts that this app has `made`, which are ids. It reads each once."""

    made: frozenset[str]
    _known: dict[int, bool] = field(default_factory=dict)  # by id() of values, which the delivery keeps

    def are_in(self, alert: Node) -> bool:
        """Say whether a text of an alert has such a mark, also one in JSON in a text.

        Where a list has several objects, each may be another alert: they are left out.
        """
        if not self.made:
            return False
        if id(alert.value) not in self._known:
            self._known[id(alert.value)] = self._search(alert)
        return self._known[id(alert.value)]

    def _search(self, alert: Node) -> bool:
        left, without = [alert.value], []
        while left:
            value = left.pop()
            if isinstance(value, str):
                inner = alert.reader.inside(value)
                if inner is not None:
                    left.append(inner)
                elif not self.made.isdisjoint(mark.named(value)):
                    return True
            elif isinstance(value, dict | list) and self._known.get(id(value)):
                return True
            elif isinstance(value, dict | list) and id(value) not in self._known:
                without.append(id(value))
                left += value.values() if isinstance(value, dict) else _one_alert(value)
        self._known.update(dict.fromkeys(without, False))
        return False


def _one_alert(items: list[Any]) -> list[Any]:
    """Return the items of a list that say something of one alert."""
    return items if len(items) == 1 else [item for item in items if isinstance(item, str)]


@functools.cache
def _conditions(name: str) -> tuple[Condition, ...]:
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return tuple(map(condition, table[name]))
