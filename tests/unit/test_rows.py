"""Tables of columns and rows, however a product names them, are objects."""

from typing import Any

import pytest

from shared.payload import rows


def rows_of(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table as objects."""
    return [{name: value for name, value, _ in row} for row in rows.rows(table)]


@pytest.mark.parametrize(
    "table",
    [
        {"columns": [{"name": "x"}], "rows": [["1"]]},
        {"Columns": [{"ColumnName": "x"}], "Rows": [["1"]]},
        {"columns": [{"name": "x", "type": "keyword"}], "values": [["1"]]},
        {"fields": ["x"], "rows": [["1"]]},
        {"headers": ["x"], "rows": [["1"]]},
        {"columns": [{"text": "x"}], "rows": [["1"]]},
        {"schema": {"fields": [{"name": "x"}]}, "rows": [{"f": [{"v": "1"}]}]},
        {"manifest": {"schema": {"columns": [{"name": "x"}]}}, "data": [["1"]]},
        {"columns": ["x"], "rows": ["1"]},
    ],
)
def test_tables_of_many_products_are_rows(table: dict[str, Any]) -> None:
    """Log Analytics, Kusto, ES|QL, Splunk, BigQuery and spreadsheets name their columns and rows differently."""
    assert rows_of(table) == [{"x": "1"}]


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"rows": [[1]]},
        {"columns": ["x"]},
        {"columns": ["x"], "rows": []},
        {"columns": [{}], "rows": [[1]]},
        {"columns": [1], "rows": [[1]]},
        {"columns": ["x"], "rows": ["1", "2"]},
        {"columns": "x", "rows": [[1]]},
    ],
)
def test_what_has_no_named_columns_is_no_table(table: dict[str, Any]) -> None:
    """Rows without the names of their columns are a list like any other."""
    assert rows_of(table) == []


def test_a_row_that_is_short_has_fewer_columns() -> None:
    """Cells count from the first column; what is no row is left out."""
    assert rows_of({"columns": ["x", "y"], "rows": [["1", "2"], ["3"], "no"]}) == [
        {"x": "1", "y": "2"},
        {"x": "3"},
    ]


@pytest.mark.parametrize(
    "table",
    [
        {"columns": ["x", "y"], "rows": [["1", "2"], ["3", "4"]]},
        {"schema": {"fields": [{"name": "x"}]}, "rows": [{"f": [{"v": "1"}]}]},
        {"columns": ["x", "y"], "rows": ["1", "2"]},
    ],
)
def test_each_cell_says_where_it_stood(table: dict[str, Any]) -> None:
    """The steps lead from the table to the cell."""
    for row in rows.rows(table):
        for _, value, steps in row:
            at: Any = table
            for step in steps:
                at = at[step]
            assert at == value


def test_columns_by_their_index_are_rows() -> None:
    """As pandas writes a table of events: each column is an object with the same numbers."""
    table = {"ReportId": {"0": "1", "1": "2"}, "x": {"0": "a", "1": "b"}}
    assert rows.by_index(table) == [
        [("ReportId", "1", ("ReportId", "0")), ("x", "a", ("x", "0"))],
        [("ReportId", "2", ("ReportId", "1")), ("x", "b", ("x", "1"))],
    ]


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"ReportId": {"0": "1", "1": "2"}},
        {"ReportId": {"0": "1"}, "x": {"0": "a"}},
        {"ReportId": {"0": "1", "1": "2"}, "x": {"0": "a", "2": "b"}},
        {"ReportId": {"0": "1", "1": "2"}, "x": "a"},
        {"ReportId": {"a": "1", "b": "2"}, "x": {"a": "1", "b": "2"}},
        {"y": {"0": "1", "1": "2"}, "x": {"0": "a", "1": "b"}},
    ],
)
def test_other_objects_are_no_columns(table: dict[str, Any]) -> None:
    """Of columns with other numbers, or without a report id, no rows are made; one row is read as it is."""
    assert rows.by_index(table) == []
