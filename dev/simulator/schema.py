"""The tables of advanced hunting with the documented columns that a search may read; `schema.json` holds them.

https://learn.microsoft.com/defender-xdr/advanced-hunting-schema-tables
"""

import json
from collections.abc import Mapping
from pathlib import Path

_SCHEMA = json.loads(Path(__file__).with_suffix(".json").read_bytes())
_GROUPS = {f"<{name}>": ", ".join(columns) for name, columns in _SCHEMA["groups"].items()}
TABLES: Mapping[str, str] = {
    table: ", ".join(_GROUPS.get(column, column) for column in columns)
    for table, columns in _SCHEMA["tables"].items()
}
COLUMNS: Mapping[str, Mapping[str, str]] = {
    table: dict(column.split(": ", 1) for column in columns.split(", ")) for table, columns in TABLES.items()
}
"""The type of each column, by table and name."""
ACTIONS: Mapping[str, str] = _SCHEMA["actions"]
"""The kind of event that a made tenant has in each table of events."""

Record = Mapping[str, object]
"""A record of a table: its values by column, and under `Table` the table's name. A time is ISO 8601 with a Z."""
