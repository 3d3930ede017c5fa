"""The reply of an API as an envelope: rows of a query, or a list with little beside it."""

from collections.abc import Sequence
from typing import Any

from shared.payload.pairs import joined
from shared.payload.paths import Merged, Node, extended
from shared.payload.rows import rows as table_rows

_LISTS = {"value": ("validationtokens",), "data": ("success",), "resources": ("meta",)}
_ROW = 20  # steps: what it costs to make an object of a row
_OF_AN_ALERT = frozenset(
    (
        "title",
        "severity",
        "rulename",
        "alertname",
        "detectionname",
        "name",
        "rule",
        "alert",
        "status",
        "state",
        "searchquery",
    )
)


def are_frames(value: Any) -> bool:
    """Say whether a list is a Kusto reply in frames."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and first.get("FrameType") in ("DataSetHeader", "DataTable")


def inside(document: Node) -> Sequence[Node]:
    """Return the rows or elements of a reply; none if it is no reply."""
    value = document.value
    if are_frames(value):
        tables = [document.inside(item, index) for index, item in enumerate(value) if isinstance(item, dict)]
        return [
            row for table in tables if table.value.get("TableKind") == "PrimaryResult" for row in _rows(table)
        ]
    if not isinstance(value, dict):
        return []
    index = document.reader.index(value)
    if index.keys().isdisjoint(_OF_AN_ALERT):
        tables = document.find("tables")
        rows = [row for table in (tables[0].elements()[:1] if tables else [document]) for row in _rows(table)]
        if rows:
            return rows
    for name, beside in _LISTS.items():
        key = index.get(name)
        if key and isinstance(value[key], list) and _is_reply(name, index, beside):
            return document.inside(value[key], key).elements()
    return []


def _is_reply(name: str, index: dict[str, str], beside: tuple[str, ...]) -> bool:
    """Say whether a list is that of a reply: `value` with only OData's own names beside it, `data` beside `success`."""
    others = [word for word in index if word != name and word not in beside]
    if name == "value":
        return all("odata" in word or word.endswith("link") for word in others)
    return beside[0] in index


def _rows(table: Node) -> list[Node]:
    """Return the rows of a table as objects, with the places of rows and cells."""
    is_table = isinstance(table.value, dict) and "rows" in table.reader.index(table.value)
    lines = table_rows(table.value) if is_table else None
    rows = []
    for entries in lines or ():
        table.reader.spend(_ROW + len(entries))
        places = {name: extended(table.place, steps) for name, _, steps in entries}
        place = extended(table.place, entries[0][2][:2]) if entries else table.place
        rows.append(Node(Merged(joined(entries), places), place, table.reader))
    return rows
