"""Conditions of source files: is there, is one of, contains, is not; several of one and the same element."""

import json
from typing import Any

import pytest

from shared.mapping.conditions import condition
from shared.payload import body as payload
from shared.payload.paths import Node
from shared.payload.reader import Reader


def holds(text: str, value: Any, alert: Any = None) -> bool:
    """Say whether a condition holds in a document, or for an alert in it."""
    reader = Reader(lambda _: None)
    [document, *more] = payload.read(
        (json.dumps(value) + (json.dumps(alert) if alert is not None else "")).encode(), max_bytes=100_000
    )
    node = Node(document, None, reader)
    return condition(text).holds(node, Node(more[0], None, reader) if more else node)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", {"a": 1}),
        ("a", {"a": False}),
        ("a.b", {"a": [{"c": 1}, {"b": 1}]}),
        ("a = x", {"a": "x"}),
        ("a = x, y", {"a": "Y"}),
        ("a = false positive", {"a": "FALSE_POSITIVE"}),
        ("a = true", {"a": True}),
        ("a = 5", {"a": 5}),
        ("a = y", {"a": ["x", "y"]}),
        ("a = `x, y`, z", {"a": "x, y"}),
        ("a ~ needle", {"a": "hay Needle hay"}),
        ("a ~ `&`", {"a": "this & that"}),
        ("!a", {"b": 1}),
        ("!a", {"a": ""}),
        ("!a = x", {"a": "y"}),
        ("!a = x", {}),
        ("!a ~ x", {"a": "y"}),
        ("a & b", {"a": 1, "b": 2}),
        ("a & !b", {"a": 1}),
        ("a.b = 1 & a.c = 2", {"a": [{"b": 1, "c": 3}, {"b": 1, "c": 2}]}),
        ("a.b = 1 & a.c = 2", {"a": [[{"b": 1, "c": 2}]]}),
        ("a.b = 1 & a.c = 2", {"a": {"b": 1, "c": 2}}),
        ("a.b & a.c", [{"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}]),
        ("`a b` & `c=d`", {"a b": 1, "c=d": 2}),
        ("/a", {"a": 1}),
    ],
)
def test_a_condition_that_holds(text: str, value: Any) -> None:
    """Words count without case and punctuation, texts anywhere in a value, and joined terms of one element."""
    assert holds(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", {"b": 1}),
        ("a", {"a": None}),
        ("a = x", {"a": "xy"}),
        ("a = x", {}),
        ("a = x, y", {"a": "x, y"}),
        ("a ~ needle", {"a": "hay"}),
        ("a ~ needle", {}),
        ("!a", {"a": 1}),
        ("!a = x", {"a": "x"}),
        ("a & b", {"a": 1}),
        ("a & !b", {"a": 1, "b": 1}),
        ("a.b = 1 & a.c = 2", {"a": [{"b": 1}, {"c": 2}]}),
        ("a = x", {"a": {"b": "x"}}),
        ("a", 5),
    ],
)
def test_a_condition_that_does_not_hold(text: str, value: Any) -> None:
    """Its twin: a part of a word is no word, and two elements are not one."""
    assert not holds(text, value)


def test_a_path_begins_at_the_alert_or_at_the_document() -> None:
    """`/` asks the document; both may stand in one condition."""
    document, alert = {"vendor": "x"}, {"state": "open"}
    assert holds("/vendor = x", document, alert)
    assert holds("state = open", document, alert)
    assert holds("/vendor = x & state = open", document, alert)
    assert not holds("vendor = x", document, alert)
    assert not holds("/state = open", document, alert)
    assert not holds("/vendor = x & state = shut", document, alert)
    assert not holds("/vendor = y & state = open", document, alert)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "has nothing before or after a &"),
        ("a &", "has nothing before or after a &"),
        ("& a", "has nothing before or after a &"),
        ("a = ", "has no value after ="),
        ("a ~", "has no value after ~"),
        ("a = ``", "has no value after ="),
        ("a = x,,y", "has nothing before or after a ,"),
        ("a = `x", "has an open backtick"),
        ("= x", "is not a path"),
        ("!", "is not a path"),
        ("a..b = x", "is not a path"),
    ],
)
def test_what_is_no_condition_is_reported(text: str, expected: str) -> None:
    """A condition that could never hold is refused when it is read."""
    with pytest.raises(ValueError, match=expected):
        condition(text)
