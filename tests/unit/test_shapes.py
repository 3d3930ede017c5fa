"""Shapes: columns that are zipped, text of names and values, and names in any spelling."""

from typing import Any

import pytest

from shared.mapping import expression
from shared.mapping.expression import Evaluation, Expression
from shared.payload import body as payload
from shared.payload import shapes


def evaluate(text: str, document: str) -> Any:
    """Evaluate an expression on a JSON text."""
    [root] = payload.read(document.encode(), max_bytes=10_000)
    return Evaluation(root, budget=expression.Budget(1)).value(Expression(text), root)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a": [1, 2], "b": [3, 4]}, [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"a": [1, 2], "b": "x", "c": None}, [{"a": 1, "b": "x", "c": None}, {"a": 2, "b": "x", "c": None}]),
        ({"a": [1, 2], "b": [3]}, [{"a": [1, 2], "b": [3]}]),
        ({"a": "x"}, [{"a": "x"}]),
        ({"a": []}, []),
        ({}, [{}]),
    ],
)
def test_columns_of_equal_length_are_zipped(columns: dict[str, Any], expected: list[Any]) -> None:
    """Arrays of one length are rows, what is no array is in each; different lengths stay for people to see."""
    assert shapes.zipped(columns) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('1773216892, a="x y", b="c=\\"d\\"", e=5', {"a": "x y", "b": 'c="d"', "e": "5"}),
        (
            "src=10.0.0.1 msg=started a process \\= bad cs1=x",
            {"src": "10.0.0.1", "msg": "started a process = bad", "cs1": "x"},
        ),
        ("devTime=now\tusrName=joe bloggs\tn=1", {"devTime": "now", "usrName": "joe bloggs", "n": "1"}),
        ("CEF:0|v|p|1|id|name|5|a=1 b=2", {"a": "1", "b": "2"}),
        ("a=1, a=2, b=", {"a": ["1", "2"]}),
        ('a="open, b=1', {"a": '"open', "b": "1"}),
        ("nothing", {}),
        ("", {}),
    ],
)
def test_names_and_values_are_read_from_text(text: str, expected: dict[str, Any]) -> None:
    """Splunk's key="value", and the extensions of CEF and LEEF, whose values go on to the next name."""
    assert shapes.assigned(text) == expected


@pytest.mark.parametrize(
    "text", ["a= " * 300_000, " a" * 400_000, 'a="' * 300_000, "x=\\" * 200_000, "a" * 1_000_000]
)
def test_text_made_to_be_slow_is_read_once(text: str) -> None:
    """No text makes the reading start over: at most a thousand values are taken."""
    assert (
        sum(len(value) if isinstance(value, list) else 1 for value in shapes.assigned(text).values()) <= 1_000
    )


@pytest.mark.parametrize(
    ("text", "document", "expected"),
    [
        ("zip({a: a, b: b})", '{"a": [1, 2], "b": "x"}', [{"a": "1", "b": "x"}, {"a": "2", "b": "x"}]),
        ("zip(a)", '{"a": 5}', None),
        ("fields(a).b", '{"a": "b=1, c=2"}', "1"),
        ("fields(a)", '{"a": 5.5}', {}),
        ("fields(a)", '{"a": null}', None),
        ("embedded(a).b", '{"a": "<13>host: {\\"b\\": 639199803770463714} end"}', "639199803770463714"),
        ("embedded(a)", '{"a": "no JSON"}', None),
        ("embedded(a)", '{"a": null}', None),
        ("has_any(@, 'a', 'b')", '{"b": null}', True),
        ("has_any(@, 'a', 'b')", '{"c": 1}', False),
        ("has_any(a, 'b')", '{"a": "b"}', False),
        ("pick(@, 'AlertSeverity')", '{"alert_severity": "Low"}', "Low"),
        ("pick(@, 'Custom Details')", '{"customDetails": 1}', "1"),
        ("pick(@, 'a', 'b')", '{"B": 2, "a": ""}', "2"),
        ("pick(@, 'a', 'b')", '{"B": 2, "A": 1}', "1"),
        ("pick(a, 'b')", '{"a": 5}', None),
        ("[].pick(@, 'b')", '[{"B": 1}, {"B": 2}]', ["1", "2"]),
        (
            "record(a, b).x",
            '{"a": {"ReportId": 1, "x": 1}, "b": {"report_id": 1, "device-id": "d", "x": 2}}',
            "2",
        ),
    ],
)
def test_what_expressions_make_of_shapes(text: str, document: str, expected: Any) -> None:
    """The functions of mapping files: any type in, null where there is nothing."""
    assert evaluate(text, document) == expected


def test_what_is_not_packed_right_is_not_lost() -> None:
    """In a list, a text without all three parts stays, so that somebody can be told."""
    whole = {"DeviceId": "a", "ReportId": "1", "Timestamp": "t"}
    assert shapes.unpack(["a|1|t", "a||t", "", "a|1"]) == [
        whole,
        {"incomplete": "a||t"},
        {"incomplete": "a|1"},
    ]
    assert shapes.unpack("a||t") is None


@pytest.mark.parametrize(
    "table",
    [
        {"columns": [{"name": "x"}], "rows": [[1]]},
        {"Columns": [{"ColumnName": "x"}], "Rows": [[1]]},
        {"columns": [{"name": "x", "type": "keyword"}], "values": [[1]]},
        {"fields": ["x"], "rows": [[1]]},
        {"headers": ["x"], "rows": [[1]]},
    ],
)
def test_tables_of_many_products_are_rows(table: dict[str, Any]) -> None:
    """Log Analytics, Kusto, ES|QL, Splunk and spreadsheets name their columns and rows differently."""
    assert shapes.rows(table) == [{"x": 1}]


def test_lines_of_a_text_are_read_also_from_one_line() -> None:
    """`x: 1` and `x = 1`, line by line or separated; a name that is there twice keeps both values."""
    assert shapes.listed("a: 1; b c: 2, d = x=y") == {"a": "1", "b c": "2", "d": "x=y"}
    assert shapes.listed("- a: `1`\na: 2\nnote") == {"a": ["1", "2"]}
    assert shapes.listed("a=;b=2") == {}


def test_an_entra_id_gives_way_to_the_device_id_beside_it() -> None:
    """A GUID under a name of the device id is taken only if no other of its names has something else."""
    guid, ours = "0c6a2c1e-58d4-4a7e-9f10-3b82d7e1c945", "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
    assert shapes.pick({"deviceId": guid, "mdeDeviceId": ours}, "machineId") == ours
    assert shapes.pick({"DeviceId": guid, "MachineId": ours}, "machineId") == ours
    assert shapes.pick({"deviceId": guid}, "machineId") == guid
