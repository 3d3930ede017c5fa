"""Devo: an alert by HTTP, whose `extraData` holds the columns of its query, encoded as in a URL."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from shared.mapping.event import Event
from shared.payload.paths import Node


def events(document: Node) -> Iterator[Event]:
    """Yield the one event of an alert."""
    extra = document.first("extraData")
    value = (
        document.reader.inside(extra.value)
        if extra and isinstance(extra.value, str)
        else extra and extra.value
    )
    values: dict[str, Node] = {}
    if context := document.first("context"):
        values["title"] = document.inside(str(context.value).rpartition(".")[2], "context")
    priority = document.first("priority")
    if priority and str(priority.value) in ("1", "1.0"):  # the lowest of Devo's ten is no attack
        values["severity"] = document.inside("very low", "priority")
    if extra is None or not isinstance(value, dict):
        yield Event(document, values=values)
        return
    plain: dict[str, Any] = {
        name: unquote_plus(text) if isinstance(text, str) else text for name, text in value.items()
    }
    yield Event(document, (Node(plain, extra.place, document.reader),), values=values)
