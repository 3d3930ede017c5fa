"""Recognises alerts that are already in Defender: its own, and those this app created."""

import functools
import json
from collections.abc import Iterator
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


def is_marked(alert: Node, made: frozenset[str]) -> bool:
    """Say whether a text of an alert has the mark of one of the alerts that this app has `made`, which are ids.

    Where a list has several objects, each may be another alert: they are left out.
    """
    return bool(made) and any(not made.isdisjoint(mark.named(text)) for text in _texts(alert, alert.value))


def _texts(alert: Node, value: Any) -> Iterator[str]:
    """Yield the texts in a value; for one that holds JSON those in it."""
    if isinstance(value, str) and (inner := alert.reader.inside(value)) is not None:
        value = inner
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(alert, each)
    elif isinstance(value, list):
        for each in value:
            if len(value) == 1 or isinstance(each, str):
                yield from _texts(alert, each)


@functools.cache
def _conditions(name: str) -> tuple[Condition, ...]:
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return tuple(map(condition, table[name]))
