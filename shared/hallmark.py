"""The keys without which a condition cannot hold, read off its syntax tree.

Nearly every payload lacks those of nearly every source: comparing names is a hundred times cheaper than
evaluating a condition. Where the tree does not tell for certain, there is no hallmark and the condition is evaluated.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared import names

_STEPS = frozenset({"field", "index"})
_OF_FIRST = frozenset({"index_expression", "projection", "filter_projection", "flatten", "value_projection"})
_NULL_IF_NULL = frozenset({"json", "lower", "length", "keys", "values", "split", "unquote", "base64"})
_ORDERS = frozenset({"lt", "lte", "gt", "gte"})

Words = frozenset[str] | None
"""One of these words (`names.word`) must be a key of the object; None if that is not certain."""


def of(tree: Mapping[str, Any]) -> Words:
    """Return the hallmark of a condition on an object."""
    kind = tree["type"]
    if kind == "field":
        return frozenset({names.word(tree["value"])})
    children = tree["children"]
    if kind == "subexpression" and not _STEPS.issuperset(child["type"] for child in children[1:]):
        return None
    if kind in _OF_FIRST or kind == "subexpression":
        return of(children[0])
    read = _READERS.get(tree.get("value", "") if kind == "function_expression" else kind)
    return read(tree, children) if read else None


def _either(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    found = [of(child) for child in children]
    return None if None in found else frozenset[str]().union(*filter(None, found))


def _both(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    return next((found for child in children if (found := of(child)) is not None), None)


def _comparison(tree: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    if tree["value"] in _ORDERS:
        return _both(tree, children)
    for one, other in (children, children[::-1]):
        if tree["value"] == "eq" and other["type"] == "literal" and other["value"] not in (None, "", "null"):
            return _of_text(one)
    return None


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
    return (_words(keys[:1]) if keys else None) if where["type"] == "current" else of(where)


def _has_any(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    where, *keys = children
    return _words(keys) if where["type"] == "current" else of(where)


def _pick(_: Mapping[str, Any], children: Sequence[Mapping[str, Any]]) -> Words:
    where, *fields = children
    if where["type"] != "current":
        return of(where)
    if not all(field["type"] == "literal" for field in fields):
        return None
    return frozenset[str]().union(*(names.of_key(str(field["value"]))[1] for field in fields))


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
    return of(children[0]) if children else None


def _words(literals: Sequence[Mapping[str, Any]]) -> Words:
    if not all(one["type"] == "literal" and isinstance(one["value"], str) for one in literals):
        return None
    return frozenset(names.word(one["value"]) for one in literals)


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
