"""Tables of columns and rows, read as the entries of objects."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.payload import names
from shared.payload.pairs import Entry

_COLUMNS = ("schema", "columns", "fields", "headers", "header", "rowtype", "columninfo", "meta")
_AROUND = ("schema", "manifest", "meta", "metadata", "resultsetmetadata")  # of the columns
_ROWS = ("rows", "values", "data", "datarows", "dataarray")
_TITLES = ("name", "columnname", "text", "label")
_MAX_ROWS = 1_000
_MAX_SIZE = 16  # entries of a table


def rows(table: Mapping[str, Any]) -> Iterator[list[Entry]]:
    """Yield the rows of `{"columns": [{"name": "x"}], "rows": [[1]]}` as the entries of objects; none of others."""
    by = {names.word(name): name for name in table} if len(table) <= _MAX_SIZE else {}
    at = next((by[name] for name in _ROWS if name in by and isinstance(table[by[name]], list)), None)
    titles, first = _titles(table, by), 0
    lines = table[at] if at else []
    if at and not titles and len(lines) > 1 and isinstance(lines[0], list) and "reportid" in _words(lines[0]):
        titles, lines, first = [str(cell) for cell in lines[0]], lines[1:], 1
    if not at or not titles or not lines:
        return
    if not isinstance(lines[0], list | dict):
        if len(lines) == len(titles):
            yield [
                (title, cell, (at, index))
                for index, (title, cell) in enumerate(zip(titles, lines, strict=True))
            ]
        return
    for number, line in enumerate(lines, first):
        cells = line.get("f") if isinstance(line, dict) else line  # BigQuery's {"f": [{"v": 1}]}
        steps: tuple[str | int, ...] = (at, number, "f") if isinstance(line, dict) else (at, number)
        if isinstance(cells, list):
            yield [
                (title, cell["v"], (*steps, index, "v")) if _is_cell(cell) else (title, cell, (*steps, index))
                for index, (title, cell) in enumerate(zip(titles, cells, strict=False))
            ]


def by_index(columns: Mapping[str, Any]) -> list[list[Entry]]:
    """Return the rows of `{"x": {"0": 1, "1": 2}, …}`, as pandas writes a table of events; none of others."""
    first = next(iter(columns.values()), None)
    if len(columns) < 2 or not isinstance(first, dict) or not 1 < len(first) <= _MAX_ROWS:  # noqa: PLR2004
        return []
    numbers = list(first)
    if not all(number.isdecimal() for number in numbers) or not all(
        isinstance(cells, dict) and list(cells) == numbers for cells in columns.values()
    ):
        return []
    if names.of_key("reportId").isdisjoint(map(names.word, columns)):
        return []
    return [[(name, cells[number], (name, number)) for name, cells in columns.items()] for number in numbers]


def _words(cells: list[Any]) -> set[str]:
    return {names.word(cell) for cell in cells if isinstance(cell, str)}


def _is_cell(cell: Any) -> bool:
    return isinstance(cell, dict) and len(cell) == 1 and "v" in cell


def _titles(table: Mapping[str, Any], by: Mapping[str, str]) -> list[str]:
    """Return the names of the columns, from the table or its schema; none if they have no names."""
    columns = _columns(table, by)
    for around in (table[by[name]] for name in _AROUND if name in by and columns is None):
        if isinstance(around, dict) and len(around) <= _MAX_SIZE:
            inner = {names.word(name): name for name in around}
            schema = around.get(inner.get("schema", ""), {})
            columns = _columns(around, inner) or (
                _columns(schema, {names.word(name): name for name in schema})
                if isinstance(schema, dict)
                else None
            )
    titles = [_title(column) for column in columns or ()]
    return [title for title in titles if title is not None] if None not in titles else []


def _columns(where: Mapping[str, Any], by: Mapping[str, str]) -> list[Any] | None:
    columns = next((where[by[name]] for name in _COLUMNS if name in by), None)
    return columns if isinstance(columns, list) else None


def _title(column: Any) -> str | None:
    if isinstance(column, dict):
        by = {names.word(name): name for name in column}
        column = next((column[by[name]] for name in _TITLES if name in by), None)
    return column if isinstance(column, str) else None
