"""The texts that a value is: itself, the elements of a list, or the value in a typed object."""

from typing import Any

import pytest

from shared.payload import values


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
    assert values.texts(value) == expected
