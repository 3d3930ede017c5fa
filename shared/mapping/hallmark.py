"""The keys without which a condition cannot hold, read off its syntax tree.

Nearly every payload lacks those of nearly every source: comparing names is a hundred times cheaper than
evaluating a condition. What the tree does not tell for certain is no hallmark, and is left to the evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.payload import names

_STEPS = frozenset({"field", "index"})
_OF_ARRAYS = frozenset({"index_expression", "projection", "filter_projection", "flatten"})
_OF_FIRST = _OF_ARRAYS | {"value_projection"}
_NULL_IF_NULL = frozenset({"json", "lower", "length", "keys", "values", "split", "unquote", "base64"})
_ORDERS = frozenset({"lt", "lte", "gt", "gte"})

Words = tuple[frozenset[str], ...]
"""Of each of these sets one word (`names.word`) must be a key of the object; empty if nothing is certain."""
ARRAY = "[]"
"""Stands for the keys of an array; no word of a key is like it."""

_ONLY_ARRAYS: Words = (frozenset({ARRAY}),)


def of(tree: Mapping[str, Any]) -> Words:
    """Return the hallmark of a condition on an object or an array."""
    kind = tree["type"]
    if kind == "field":
        return (frozenset({names.word(tree["value"])}),)
    children = tree["children"]
    if kind in _OF_ARRAYS and children[0]["type"] == "identity":
        return _ONLY_ARRAYS
    if kind == "subexpression" and not _STEPS.issuperset(child["type"] for child in children[1:]):
        return ()
    if kind in _OF_FIRST or kind == "subexpression":
        return of(children[0])
    read = _READERS.get(tree.get("value", "") if kind == "function_expression" else kind)
    return read(tree, children) if read else ()


def _either(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    found = [of(child) for child in children]
    return (frozenset[str]().union(*(sets[0] for sets in found)),) if all(found) else ()


def _both(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    return tuple(dict.fromkeys(words for child in children for words in of(child)))


def _comparison(tree: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    if tree["value"] in _ORDERS:
        return _both(tree, children)
    for one, other in (children, children[::-1]):
        if (
            other.get("value") == "array"
            and one.get("value") == "type"
            and one["children"][0]["type"] == "current"
        ):
            return _ONLY_ARRAYS if tree["value"] == "eq" else ()
        if tree["value"] == "eq" and other["type"] == "literal" and other["value"] not in (None, "", "null"):
            return _of_text(one)
    return ()


def _of_text(tree: Mapping[str, Any]) -> Words:
    """Return the hallmark of what is neither null, "null" nor "": of what its type or text is asked of, too."""
    called = tree["value"] if tree["type"] == "function_expression" else ""
    if called in ("type", "to_string"):
        return of(tree["children"][0])
    if called == "not_null":
        return _either(
            tree,
            [child for child in tree["children"] if child.get("value") != "" or child["type"] != "literal"],
        )
    return of(tree)


def _has(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    where, *keys = children
    if where["type"] != "current":
        return of(where)
    return tuple(words for key in keys for words in _words([key]))


def _has_any(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    where, *keys = children
    return _words(keys) if where["type"] == "current" else of(where)


def _pick(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    where, *fields = children
    if where["type"] != "current":
        return of(where)
    if not all(field["type"] == "literal" for field in fields):
        return ()
    return (frozenset[str]().union(*(names.of_key(str(field["value"]))[1] for field in fields)),)


def _contains(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    where, what = children
    literals = where["children"] if where["type"] == "multi_select_list" else []
    if literals and all(
        one["type"] == "literal" and one["value"] not in (None, "", "null") for one in literals
    ):
        return _of_text(what)
    return _text(_, children)


def _text(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    """Read what looks for a text in the first argument."""
    where, what = children
    sought = str(what.get("value") or "")
    return _of_text(where) if what["type"] == "literal" and sought and sought not in "null" else of(where)


def _first(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    return of(children[0]) if children else ()


def _words(literals: Sequence[Mapping[str, Any]]) -> Words:
    if not all(one["type"] == "literal" and isinstance(one["value"], str) for one in literals):
        return ()
    return (frozenset(names.word(one["value"]) for one in literals),)


_READERS: Mapping[str, Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], Words]] = {
    "or_expression": _either,
    "and_expression": _both,
    "comparator": _comparison,
    "has": _has,
    "has_any": _has_any,
    "pick": _pick,
    "contains": _contains,
    "starts_with": _text,
    "ends_with": _text,
    "not_null": _either,
    **dict.fromkeys(_NULL_IF_NULL, _first),
}
