"""Paths: names with dots that find a value however its product nests, spells or packs it, and say where it stood."""

import json
from typing import Any

import pytest

from shared.payload import body as payload
from shared.payload import paths
from shared.payload.paths import Node, extended, find, path, shown
from shared.payload.reader import Reader


def node(value: Any) -> Node:
    """Return a value as it would arrive, with a reader that counts nothing."""
    [document] = payload.read(json.dumps(value).encode(), max_bytes=1_000_000)
    return Node(document, None, Reader(lambda _: None))


def values_at(text: str, value: Any) -> list[Any]:
    """Return what stands at a path."""
    return [finding.value for finding in find(path(text), node(value))]


def places(text: str, value: Any) -> list[str]:
    """Return where it stands."""
    return [shown(finding.place) for finding in find(path(text), node(value))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rule.name", {"rule": {"name": "x"}}),
        ("rule.name", {"rule.name": "x"}),
        ("rule.name", {"RULE": {"Name": "x"}}),
        ("rule.name", {"rule_name": "x"}),
        ("rule.name", {"ruleName": "x"}),
        ("ruleName", {"rule-name": "x"}),
        ("rule.name", {"rule": [{"name": "x"}]}),
        ("rule.name", [[{"rule": {"name": "x"}}]]),
        ("rule.name", {"rule": '{"name": "x"}'}),
        ("rule.name", {"rule": "name=x, level=5"}),
        ("rule.name", {"rule": [{"key": "name", "value": "x"}]}),
        ("rule.name", [{"Name": "rule.name", "Value": "x"}]),
        ("a.b.c.d", {"a": {"b.c": {"d": "x"}}}),
        ("a.b.c.d", {"a.b": {"c.d": "x"}}),
        ("a.b.c", {"a": {"b": ""}, "a.b": {"c": "x"}}),
        ("a.b.c", {"a": {"b": {"other": 1}}, "a.b.c": "x"}),
        ("/a", {"a": "x"}),
        (" a . b ", {"a": {"b": "x"}}),
        ("a.`b.c`", {"a": {"b.c": "x"}}),
        ("`$content`", {"$content": "x"}),
        ("@timestamp", {"@timestamp": "x", "timestamp": "y"}),
    ],
)
def test_a_path_finds_what_it_names(text: str, value: Any) -> None:
    """Nested, dotted, in any case and punctuation, in lists, in texts and in names and values."""
    assert values_at(text, value) == ["x"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", {"b": "x"}),
        ("a.b", {"a": "x"}),
        ("a", {"a": None}),
        ("a", {"a": ""}),
        ("a", {"a": " "}),
        ("a", {"a": []}),
        ("a", {"a": {}}),
        ("a", "a"),
        ("a", None),
        ("timestamp", {"@timestamp": "x"}),
        ("`ruleName`", {"RuleName": "x", "rule_name": "x"}),
        ("`a.b`", {"a": {"b": "x"}}),
    ],
)
def test_a_path_finds_nothing_else(text: str, value: Any) -> None:
    """What is empty is not there, and a quoted name is meant exactly as it is written."""
    assert values_at(text, value) == []


def test_every_element_of_a_list_is_found() -> None:
    """Lists are walked through on the way; one at the end is one value."""
    value = {"hits": [{"name": "x"}, {"other": 1}, {"name": "y"}, "name=z, a=b"], "tags": ["a", "b"]}
    assert values_at("hits.name", value) == ["x", "y", "z"]
    assert values_at("tags", value) == [["a", "b"]]


def test_the_spelling_that_is_written_goes_first() -> None:
    """Of keys alike the one spelled as the path says is taken, else the first that is not empty."""
    assert values_at("Severity", {"severity": "low", "Severity": "high"}) == ["high"]
    assert values_at("Severity", {"severity": "", "SEVERITY": "high"}) == ["high"]


def test_numbers_keep_their_digits() -> None:
    """A number is the text that was sent."""
    assert values_at("a", json.loads('{"a": 639199803770463714}')) == ["639199803770463714"]


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        ("rule.name", {"rule": [{"name": "x"}]}, "rule[0].name"),
        ("rule.name", {"rule": '{"name": "x"}'}, "rule.name"),
        ("rule.name", {"Rule.Name": "x"}, "Rule.Name"),
        ("rule.name", {"rule": [{"key": "name", "value": "x"}]}, "rule[0].value"),
        ("b", [{"a": "x"}, {"b": "x"}], "[1].b"),
    ],
)
def test_a_place_is_a_path_in_the_payload(text: str, value: Any, place: str) -> None:
    """What is found is shown where its sender wrote it, in the sender's own spelling."""
    assert places(text, value) == [place]


def test_long_places_are_cut_in_the_middle() -> None:
    """A place is for people: its beginning and its end are shown."""
    place = shown(extended(None, ("alerts", 7, *["x" * 200] * 9, "DeviceId")))
    assert len(place) <= 160
    assert place.startswith("alerts[7].xxx")
    assert place.endswith(".DeviceId")


def test_what_is_found_is_bounded() -> None:
    """Of a path that finds a million values the first are given, and the walk ends."""
    assert len(values_at("a.b", {"a": [{"b": "x"}] * 5_000})) == paths._MAX_NODES


def test_the_walk_is_charged() -> None:
    """Each step is counted by the budget: four times the list costs no more than some four times the steps."""

    def cost(length: int) -> int:
        steps: list[int] = []
        values = [{"a": {"c": "x"}}] * length
        find(path("a.b"), Node(values, None, Reader(steps.append)))
        return sum(steps)

    assert 0 < cost(100) * 3 < cost(400) < cost(100) * 5


@pytest.mark.parametrize(
    "text", ["", " ", ".", "a.", ".a", "a..b", "`a", "a`b`", "$", "a.-", "`a`b", "//", "é"]
)
def test_what_is_no_path_is_reported(text: str) -> None:
    """A path that could never find anything is refused when it is read."""
    with pytest.raises(ValueError, match="is not a path: "):
        path(text)


def test_the_document_is_a_path_too() -> None:
    """`/` alone is the document."""
    value = {"a": "x"}
    assert values_at("/", value) == [value]
