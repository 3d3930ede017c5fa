"""Recognises alerts that are already in Defender: its own, and those this app created."""

import functools
import json
from pathlib import Path

from shared.alerts.mark import is_marked
from shared.mapping.conditions import Condition, condition
from shared.payload.paths import Node
from shared.payload.values import texts

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


def is_ours(alert: Node) -> bool:
    """Say whether an alert is one that this app created in Defender: by its detection source, or by our mark."""
    return any(known.holds(alert, alert) for known in _conditions("ours")) or any(
        is_marked(text)
        for where in _descriptions()
        for node in alert.find(where)
        for text in texts(node.value)
    )


@functools.cache
def _descriptions() -> tuple[str, ...]:
    return tuple(json.loads(_TABLE.read_text(encoding="utf-8"))["descriptions"])


@functools.cache
def _conditions(name: str) -> tuple[Condition, ...]:
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return tuple(map(condition, table[name]))
