"""Lists that stand for an object: names and values under any naming, the fields of a card."""

from typing import Any

import pytest

from shared.payload import pairs

ENTRIES = {"DeviceId": "d", "ReportId": "1", "Rule": "r"}


def joined(entries: list[pairs.Entry] | None) -> dict[str, Any] | None:
    """Return the entries of a list as an object; None if it is another list."""
    return None if entries is None else {name: value for name, value, _ in entries}


@pytest.mark.parametrize(
    "of_name", ["key", "name", "Name", "field", "label", "k", "tag", "attribute", "property", "Title"]
)
@pytest.mark.parametrize("of_value", ["value", "Value", "v", "val", "text", "content", "stringValue"])
def test_names_and_values_are_an_object(of_name: str, of_value: str) -> None:
    """Whatever a product calls them, a name and a value beside each other are an entry."""
    items = [{of_name: name, of_value: value} for name, value in ENTRIES.items()]
    assert joined(pairs.pairs(items)) == ENTRIES


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
    assert joined(pairs.pairs(items)) == ENTRIES


def test_a_list_of_any_length_is_read_whole() -> None:
    """The last of a thousand entries is found, and those without a value do not count."""
    items: list[Any] = [{"key": f"k{n}", "value": str(n)} for n in range(1_000)]
    entries = pairs.pairs(
        [*items, {"key": "empty", "value": ""}, {"key": "none", "value": None}, 5, {"key": "only"}]
    )
    assert joined(entries) == {f"k{n}": str(n) for n in range(1_000)}


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
    assert pairs.pairs(items) is None


def column(*lines: str) -> dict[str, Any]:
    """Return a column of a Teams card."""
    return {"type": "Column", "items": [{"type": "TextBlock", "text": line} for line in lines]}


def test_two_columns_of_a_card_are_names_and_values() -> None:
    """The names stand on the left, in one set of columns or in several; a text between them is a text of the card."""
    sets = [[column("DeviceId", "ReportId:"), column("d", "1")], [column("**Timestamp**"), column("t")]]
    card = [{"type": "TextBlock", "text": "x"}, *({"type": "ColumnSet", "columns": two} for two in sets)]
    entries = pairs.pairs(card)
    assert entries is not None
    assert [entry[:2] for entry in entries][1:] == [("DeviceId", "d"), ("ReportId", "1"), ("Timestamp", "t")]
    assert entries[2][2] == (1, "columns", 1, "items", 1, "text")


@pytest.mark.parametrize(
    "columns",
    [
        [column("DeviceId", "ReportId"), column("d")],
        [column("DeviceId", "ReportId"), column("d", "1"), column("x", "y")],
        [column("DeviceId", "ReportId"), {"type": "Column", "items": [{"type": "Image"}] * 2}],
        [column("DeviceId", "Other"), column("d", "1")],
        None,
    ],
)
def test_other_columns_of_a_card_are_no_names_and_values(columns: Any) -> None:
    """Of a name that has no value beside it, or of several values, nothing is taken."""
    assert pairs.pairs([{"type": "ColumnSet", "columns": columns}]) is None


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
        entries = pairs.pairs(items)
        assert entries
        assert all(at(items, steps) == value for _, value, steps in entries)
