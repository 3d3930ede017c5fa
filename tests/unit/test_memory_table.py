"""The table in memory, made of rows that are there already."""

from dev.memory_table import MemoryTable
from shared.table.protocol import Row


def test_a_copy_of_rows_has_them_in_its_ranges() -> None:
    """Whoever judges a copy of a table sees its rows: an empty one would be found sound."""
    rows = {key: Row(key, {}, "etag", 1.0) for key in ("todo-1", "alert-1")}
    table = MemoryTable(_rows=rows)
    assert [row.key for row in table.query("", "~")] == ["alert-1", "todo-1"]
