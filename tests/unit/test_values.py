"""The texts that a value is: itself, the elements of a list, or the value in a typed object."""

from typing import Any

import pytest

from shared.payload import values
from shared.payload.body import Number


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
        ({"$date": "2026-11-20T09:14:27Z"}, ["2026-11-20T09:14:27Z"]),
        ({"$date": {"$numberLong": "1795166067330"}}, ["1795166067330"]),
    ],
)
def test_a_value_is_its_texts(value: Any, expected: list[str]) -> None:
    """A text, those of an array, or the value in a typed object; what is none of these gives none."""
    assert values.texts(value) == expected


@pytest.mark.parametrize(
    ("parts", "moment"),
    [
        ([2026, 11, 20, 9, 14, 27, 330651800], "2026-11-20T09:14:27.3306518"),
        ([2026, 11, 20, 9, 14, 27], "2026-11-20T09:14:27"),
        ([2026, 11, 20, 9, 14], "2026-11-20T09:14:00"),
    ],
)
def test_a_list_of_the_parts_of_a_moment_is_that_moment(parts: list[int], moment: str) -> None:
    """Java's Jackson writes a time so, without the parts at the end that are 0."""
    assert values.texts([Number(part) for part in parts]) == [moment]


@pytest.mark.parametrize(
    "parts",
    [
        ["2026", "11", "20", "9"],
        ["2026", "13", "20", "9", "14"],
        ["1026", "11", "20", "9", "14"],
        ["2026", "11", "20", "9", "14", "27", "1000000000"],
        ["2026", "11", "20", "9", "-1"],
        ["2026", "11", "20", "9", "1.5"],
        ["2026", "11", "20", "9", "14", "27", "0", "0"],
    ],
)
def test_other_numbers_are_no_moment(parts: list[str]) -> None:
    """They stay the numbers that they are, as texts that came in quotes do."""
    assert values.texts([Number(part) for part in parts]) == parts
    assert values.texts(["2026", "11", "20", "9", "14"]) == ["2026", "11", "20", "9", "14"]
