"""Lists that stand for objects: names and values under any naming, columns and rows, cards, typed values."""

from typing import Any

import pytest

from shared.payload import lists

ENTRIES = {"DeviceId": "d", "ReportId": "1", "Rule": "r"}


def joined(entries: list[lists.Entry] | None) -> dict[str, Any] | None:
    """Return the entries of a list as an object; None if it is another list."""
    return None if entries is None else {name: value for name, value, _ in entries}


@pytest.mark.parametrize(
    "of_name", ["key", "name", "Name", "field", "label", "k", "tag", "attribute", "property", "Title"]
)
@pytest.mark.parametrize("of_value", ["value", "Value", "v", "val", "text", "content", "stringValue"])
def test_names_and_values_are_an_object(of_name: str, of_value: str) -> None:
    """Whatever a product calls them, a name and a value beside each other are an entry."""
    items = [{of_name: name, of_value: value} for name, value in ENTRIES.items()]
    assert joined(lists.pairs(items)) == ENTRIES


@pytest.mark.parametrize(
    "items",
    [
        [[name, value] for name, value in ENTRIES.items()],
        [{"id": 7, "type": "text", "key": f"{name}:", "value": value} for name, value in ENTRIES.items()],
        [
            {"a": "x", "b": "y", "c": "z", "d": "w", "e": "v", "called": name, "value": value}
            for name, value in ENTRIES.items()
        ],
        [{"property": {"name": name, "value": value}} for name, value in ENTRIES.items()],
        [{"type": "mrkdwn", "text": f"*{name}:*\n{value}"} for name, value in ENTRIES.items()],
    ],
)
def test_other_forms_of_names_and_values(items: list[Any]) -> None:
    """Pairs in lists, with other keys beside, in a wrapper, and the fields of a chat card."""
    assert joined(lists.pairs(items)) == ENTRIES


def test_a_list_of_any_length_is_read_whole() -> None:
    """The last of a thousand entries is found, and those without a value do not count."""
    items: list[Any] = [{"key": f"k{n}", "value": str(n)} for n in range(1_000)]
    found = lists.pairs(
        [*items, {"key": "empty", "value": ""}, {"key": "none", "value": None}, 5, {"key": "only"}]
    )
    assert joined(found) == {f"k{n}": str(n) for n in range(1_000)}


@pytest.mark.parametrize(
    "items",
    [
        [],
        [1, 2],
        ["a", "b"],
        [{}],
        [{"DeviceId": "d", "ReportId": "1"}],
        [{"name": "a", "value": "b", "ReportId": "1"}],
        [{"name": "a", "value": {"deep": {"er": 1}, "x": 2, "y": 3, "z": 4}}],
        [[1, 2, 3]],
        [["a"]],
        [{"name": "alert", "severity": "high"}],
    ],
)
def test_records_are_no_names_and_values(items: list[Any]) -> None:
    """A list of things with a reference, or whose values are objects, stays a list."""
    assert lists.pairs(items) is None


def test_each_entry_says_where_it_stood() -> None:
    """The steps lead from the list to the value, through wrappers too."""

    def at(value: Any, steps: tuple[str | int, ...]) -> Any:
        for step in steps:
            value = value[step]
        return value

    for items in (
        [{"key": name, "value": value} for name, value in ENTRIES.items()],
        [{"property": {"name": name, "value": value}} for name, value in ENTRIES.items()],
        [[name, value] for name, value in ENTRIES.items()],
    ):
        found = lists.pairs(items)
        assert found
        assert all(at(items, steps) == value for _, value, steps in found)
    table = {"columns": [{"name": name} for name in ENTRIES], "rows": [list(ENTRIES.values())]}
    [row] = lists.rows(table) or []
    assert all(at(table, steps) == value for _, value, steps in row)


@pytest.mark.parametrize(
    "table",
    [
        {"columns": [{"name": "x"}], "rows": [["1"]]},
        {"Columns": [{"ColumnName": "x"}], "Rows": [["1"]]},
        {"columns": [{"name": "x", "type": "keyword"}], "values": [["1"]]},
        {"fields": ["x"], "rows": [["1"]]},
        {"headers": ["x"], "rows": [["1"]]},
        {"columns": [{"text": "x"}], "rows": [["1"]]},
    ],
)
def test_tables_of_many_products_are_rows(table: dict[str, Any]) -> None:
    """Log Analytics, Kusto, ES|QL, Splunk and spreadsheets name their columns and rows differently."""
    found = lists.rows(table)
    assert found is not None
    assert [joined(row) for row in found] == [{"x": "1"}]


@pytest.mark.parametrize(
    "table",
    [{}, {"rows": [[1]]}, {"columns": ["x"]}, {"columns": [{}], "rows": []}, {"columns": [1], "rows": [[1]]}],
)
def test_what_has_no_named_columns_is_no_table(table: dict[str, Any]) -> None:
    """Rows without the names of their columns are a list like any other."""
    assert lists.rows(table) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", ["x"]),
        (' "x" ', ["x"]),
        ("", []),
        (None, []),
        (True, []),
        (["a", " b ", "", None], ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ({"value": "x"}, ["x"]),
        ({"stringValue": "x"}, ["x"]),
        ({"integer": "1"}, ["1"]),
        ({"$numberLong": "5"}, ["5"]),
        ({"display_value": "2 - High", "value": "2"}, ["2 - High"]),
        ({"S": "x"}, ["x"]),
        ({"#text": "x", "@type": "y"}, ["x"]),
        ({"a": "x"}, []),
        ({"value": {"deep": "x"}}, []),
    ],
)
def test_a_value_is_its_texts(value: Any, expected: list[str]) -> None:
    """A text, those of an array, or the value in a typed object; what is none of these gives none."""
    assert lists.texts(value) == expected
