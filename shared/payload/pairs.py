"""Reads lists of names and values as objects, each entry with its place.

The place is that in the sender's payload. The texts of a card are such lists too.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.payload import names, texts
from shared.payload.values import is_plain, scalar

Entry = tuple[str, Any, tuple[str | int, ...]]
"""One entry of an object: its name, its value, and the steps from the list to the value."""

_NAMES = (
    "key",
    "name",
    "field",
    "label",
    "k",
    "fieldname",
    "columnname",
    "tag",
    "objectrelation",
    "attribute",
    "property",
    "title",
    "toplabel",
    "comment",
    "type",
)
_VALUES = (
    "value",
    "values",
    "v",
    "val",
    "text",
    "fieldvalue",
    "_",
    "#text",
    "columnvalue",
    "content",
    "displayvalue",
    "displaytext",
    "stringvalue",
    "data",
)
_VALUE_ENDS = ("value", "answer", "content", "text", "data")
_MAX_PAIR_SIZE = 5  # a pair has a name, a value, and little else; more where the names mean something
_MAX_KNOWN_SIZE = 16
_SOME = 20  # items whose names are checked
_ATTRIBUTES = ("$", "_attributes", "@", "attributes", "#attributes", "attr")
_TYPES = frozenset(("type", "typename", "datatype", "fieldtype", "kind", "mode"))


def pairs(items: list[Any]) -> list[Entry] | None:
    """Return the entries of `[{"key": "x", "value": 1}]` or `[["x", 1]]`, whatever the names of its keys are.

    None if the list is of another kind: records whose values are objects, or items with a reference of their own.
    """
    first = items[0] if items else None
    entries: list[Entry] | None
    if isinstance(first, list):
        two = ((index, item) for index, item in enumerate(items) if isinstance(item, list) and len(item) == 2)  # noqa: PLR2004
        entries = [(item[0], item[1], (index, 1)) for index, item in two if isinstance(item[0], str)]
        is_pair = len(first) == 2 and isinstance(first[0], str)  # noqa: PLR2004
        return entries if entries and is_pair else None
    if not isinstance(first, dict) or not first:
        return None
    if len(first) == 1:
        [wrapper], inner = first, next(iter(first.values()))
        if isinstance(inner, dict) and wrapper not in ("event", "Event"):
            within = [
                item[wrapper]
                for item in items
                if isinstance(item, dict) and isinstance(item.get(wrapper), dict)
            ]
            entries = pairs(within) if 2 * len(within) > len(items) else None
            return (
                [(name, value, (steps[0], wrapper, *steps[1:])) for name, value, steps in entries]
                if entries
                else None
            )
    if attributes := next((name for name in _ATTRIBUTES if isinstance(first.get(name), dict)), None):
        return _attributed(items, attributes)
    return _columns(items) or _sections(items, first) or _named(items, first)


def _attributed(items: list[Any], attributes: str) -> list[Entry] | None:
    """Return the entries of XML converted to JSON, whose names are attributes: `{"_": "x", "$": {"Name": "a"}}`."""
    flat = [
        {**item[attributes], **item}
        for item in items
        if isinstance(item, dict) and isinstance(item.get(attributes), dict)
    ]
    return _named(
        [{name: value for name, value in item.items() if name != attributes} for item in flat],
        flat[0] if flat else {},
    )


def joined(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return entries as an object; a name that occurs twice gets a list of its different values."""
    values: dict[str, Any] = {}
    for name, value, _ in entries:
        if name in values and values[name] != value and isinstance(value, str):
            values[name] = [*(values[name] if isinstance(values[name], list) else [values[name]]), value]
        else:
            values.setdefault(name, value)
    return values


def _named(items: list[Any], first: Mapping[str, Any]) -> list[Entry] | None:
    if len(first) > _MAX_KNOWN_SIZE:
        return None
    by = {names.word(name) or name: name for name in first}
    name, known = _name(items, first, by)
    value = _value(first, by, name, known=known) if name is not None else None
    if name is None or value is None or _is_event(first):
        return None
    entries: list[Entry] = [
        (item[name].strip().strip(":"), item[value], (index, value))
        for index, item in enumerate(items)
        if isinstance(item, dict)
        and isinstance(item.get(name), str)
        and item.get(value) not in (None, "", [], {})
    ]
    if any(_is_deep(item, value, known=known) for item in items[:_SOME]):
        return None
    if not entries or all(_is_record(content) for _, content, _ in entries):
        return None
    return entries


def _is_record(value: Any) -> bool:
    """Say whether a value is an object, or a text that holds one."""
    if isinstance(value, str):
        return texts.is_record(value)
    return scalar(value) is None and not is_plain(value)


def _is_deep(item: Any, value: str, *, known: bool) -> bool:
    """Say whether an item is more than a name and a value: it lacks the value, or contains objects.

    If the names have a meaning, an item must lack the value and contain objects.
    """
    if not isinstance(item, dict):
        return True
    plain = all(map(is_plain, item.values()))
    return (value not in item and not plain) if known else (value not in item or not plain)


def _is_event(item: Mapping[str, Any]) -> bool:
    """Say whether an item has a reference of its own, itself or directly inside."""
    keys = [*item, *(name for inner in item.values() if isinstance(inner, dict) for name in inner)]
    words = set(map(names.word, keys))
    return not names.of_key("reportId").isdisjoint(words) or not names.of_key("machineId").isdisjoint(words)


def _name(items: list[Any], first: Mapping[str, Any], by: Mapping[str, str]) -> tuple[str | None, bool]:
    """Return the key under which the items have their names: the one with the most known texts, else a usual one.

    Return also whether any of its texts is known.
    """
    candidates = [name for name, text in first.items() if isinstance(text, str) and text]
    some = [item for item in items[:_SOME] if isinstance(item, dict)]
    known = {
        name: sum(isinstance(text := item.get(name), str) and names.means(text.strip(" :*")) for item in some)
        for name in candidates
    }
    best = max(candidates, key=lambda name: known[name], default=None)
    if best is not None and known[best]:
        return best, True
    usual = next((by[name] for name in _NAMES if by.get(name) in candidates), None)
    return (usual, False) if len(first) <= _MAX_PAIR_SIZE else (None, False)


def _value(first: Mapping[str, Any], by: Mapping[str, str], name: str, *, known: bool) -> str | None:
    """Return the key under which the items have their values: a usual one; where names are known, the only other."""
    usual = next((by[word] for word in _VALUES if word in by and by[word] != name), None)
    if usual is not None or not known:
        return usual
    others = [other for other in first if other != name and names.word(other) not in _TYPES]
    ending = [other for other in others if names.word(other).endswith(_VALUE_ENDS)]
    if ending:
        return ending[0]
    return others[0] if len(others) == 1 else None


def _columns(items: list[Any]) -> list[Entry] | None:
    """Return the names and the values that stand side by side in a card of Teams, as two columns of text blocks.

    None if the card has columns of another kind, because then they are no names and values.
    """
    entries: list[Entry] = []
    for index, item in enumerate(items):
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "TextBlock":
            entries.append(("TextBlock", item.get("text"), (index, "text")))
        elif kind != "ColumnSet" or not isinstance(item.get("columns"), list):
            return None
        else:
            columns = [_blocks(column) for column in item["columns"]]
            if len(columns) != 2 or len(columns[0]) != len(columns[1]):  # noqa: PLR2004
                return None
            entries += [
                (name.strip(" :*"), value, (index, "columns", 1, "items", at, "text"))
                for at, (name, value) in enumerate(zip(*columns, strict=True))
            ]
    known = sum(names.means(name) for name, _, _ in entries if name != "TextBlock")
    return entries if known > 1 else None


def _blocks(column: Any) -> list[str]:
    """Return the texts of a column of a card that has nothing but text blocks."""
    blocks = column.get("items") if isinstance(column, dict) else None
    texts_of = [item.get("text") if isinstance(item, dict) else None for item in blocks or ()]
    return [text for text in texts_of if isinstance(text, str)] if None not in texts_of else []


def _sections(items: list[Any], first: Mapping[str, Any]) -> list[Entry] | None:
    """Return the fields of a chat card, each a text with its name in bold above its value."""
    by = {names.word(name): name for name in first}
    text = next((by[name] for name in ("text", "value", "content") if name in by), None)
    if text is None or not isinstance(first[text], str) or len(first) > _MAX_PAIR_SIZE:
        return None
    fields: list[Entry] = [
        (headed[0], headed[1], (index, text))
        for index, item in enumerate(items)
        if isinstance(item, dict) and isinstance(item.get(text), str)
        for headed in [texts.headed(item[text]) or ("TextBlock", item[text])]
    ]
    return fields if sum(names.means(name) and name != "TextBlock" for name, _, _ in fields) else None
