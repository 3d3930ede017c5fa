"""Lists that stand for an object: of names and values, of columns and rows, of a card's texts.

Each entry is told with its place in the list, so that what was found can be shown where the sender wrote it.
"""

from collections.abc import Mapping
from typing import Any

from shared.payload import names
from shared.payload import texts as text_forms

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
    "stringvalue",
    "data",
)
_VALUE_ENDS = ("value", "answer", "content", "text", "data")
_COLUMNS = ("columns", "fields", "headers", "header")
_ROWS = ("rows", "values", "data")
_MAX_PAIR_SIZE = 5  # a pair has a name, a value, and little else; more where the names mean something
_MAX_KNOWN_SIZE = 16
_MAX_VALUES = 20  # of an array under a known name
_SOME = 20  # items that are asked for the names they know
_SCALARS = (
    "Label",
    "label",
    "displayName",
    "display_value",
    "value",
    "Value",
    "$date",
    "$numberLong",
    "stringValue",
    "intValue",
    "#text",
    "_",
    "string",
    "long",
    "S",
    "N",
)
_ATTRIBUTES = ("$", "_attributes", "@", "attributes", "attr")
_TYPES = (
    "value",
    "string",
    "long",
    "integer",
    "int",
    "double",
    "number",
    "text",
    "date",
    "datetime",
    "keyword",
)


def pairs(items: list[Any]) -> list[Entry] | None:
    """Return the entries of `[{"key": "x", "value": 1}]` or `[["x", 1]]`, whatever its keys are called.

    None if the list is of another kind: records whose values are objects, or things with a reference of their own.
    """
    first = items[0] if items else None
    found: list[Entry] | None
    if isinstance(first, list):
        two = ((index, item) for index, item in enumerate(items) if isinstance(item, list) and len(item) == 2)  # noqa: PLR2004
        found = [(item[0], item[1], (index, 1)) for index, item in two if isinstance(item[0], str)]
        return found if found and isinstance(first[0] if first else None, str) and len(first) == 2 else None  # noqa: PLR2004
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
            found = pairs(within) if len(within) == len(items) else None
            return (
                [(name, value, (steps[0], wrapper, *steps[1:])) for name, value, steps in found]
                if found
                else None
            )
    if attributes := next((name for name in _ATTRIBUTES if isinstance(first.get(name), dict)), None):
        return _attributed(items, attributes)
    return _sections(items, first) or _named(items, first)


def _attributed(items: list[Any], attributes: str) -> list[Entry] | None:
    """Return the entries of XML made JSON, whose names are attributes: `{"_": "x", "$": {"Name": "a"}}`."""
    flat = [
        {**item[attributes], **item}
        for item in items
        if isinstance(item, dict) and isinstance(item.get(attributes), dict)
    ]
    return _named(
        [{name: value for name, value in item.items() if name != attributes} for item in flat],
        flat[0] if flat else {},
    )


def _named(items: list[Any], first: Mapping[str, Any]) -> list[Entry] | None:
    if len(first) > _MAX_KNOWN_SIZE:
        return None
    by = {names.word(name) or name: name for name in first}
    name, known = _name(items, first, by)
    value = _value(first, by, name, known=known) if name is not None else None
    if name is None or value is None or _is_event(first):
        return None
    found: list[Entry] = [
        (item[name].strip().strip(":"), item[value], (index, value))
        for index, item in enumerate(items)
        if isinstance(item, dict)
        and isinstance(item.get(name), str)
        and item.get(value) not in (None, "", [], {})
    ]
    if any(_is_deep(item, value, known=known) for item in items[:_SOME]):
        return None
    if not found or all(scalar(one) is None and not _is_plain(one) for _, one, _ in found):
        return None
    return found


def _is_deep(item: Any, value: str, *, known: bool) -> bool:
    """Say whether an item is more than a name and a value: it lacks the value, or has objects in it.

    Where the names mean something, only what lacks the value and has objects instead is.
    """
    if not isinstance(item, dict):
        return True
    plain = all(map(_is_plain, item.values()))
    return (value not in item and not plain) if known else (value not in item or not plain)


def _is_event(item: Mapping[str, Any]) -> bool:
    """Say whether an item has a reference of its own, itself or directly inside."""
    keys = [*item, *(name for inner in item.values() if isinstance(inner, dict) for name in inner)]
    words = set(map(names.word, keys))
    return not names.of_key("reportId").isdisjoint(words) or not names.of_key("machineId").isdisjoint(words)


def _name(items: list[Any], first: Mapping[str, Any], by: Mapping[str, str]) -> tuple[str | None, bool]:
    """Return the key under which the items have their names: the one whose texts mean the most, else a usual one.

    And whether its texts mean anything.
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
    found = next((by[word] for word in _VALUES if word in by and by[word] != name), None)
    if found is not None or not known:
        return found
    others = [other for other in first if other != name]
    ending = [other for other in others if names.word(other).endswith(_VALUE_ENDS)]
    if ending:
        return ending[0]
    return others[0] if len(others) == 1 else None


def _sections(items: list[Any], first: Mapping[str, Any]) -> list[Entry] | None:
    """Return the fields of a chat card, each a text with its name in bold above its value."""
    by = {names.word(name): name for name in first}
    text = next((by[name] for name in ("text", "value", "content") if name in by), None)
    if text is None or not isinstance(first[text], str) or len(first) > _MAX_PAIR_SIZE:
        return None
    found: list[Entry] = [
        (told[0], told[1], (index, text))
        for index, item in enumerate(items)
        if isinstance(item, dict)
        and isinstance(item.get(text), str)
        and (told := text_forms.headed(item[text]))
    ]
    return found if any(names.means(name) for name, _, _ in found) else None


def rows(table: Mapping[str, Any]) -> list[list[Entry]] | None:
    """Return the rows of `{"columns": [{"name": "x"}], "rows": [[1]]}` as the entries of objects; None for others."""
    by = {names.word(name): name for name in table} if len(table) <= _MAX_KNOWN_SIZE else {}
    columns = next((table[by[name]] for name in _COLUMNS if name in by), None)
    at = next((by[name] for name in _ROWS if name in by and isinstance(table[by[name]], list)), None)
    if not isinstance(columns, list) or at is None:
        return None
    titles = [
        next(
            (column[name] for name in ("name", "Name", "columnName", "ColumnName", "text") if name in column),
            None,
        )
        if isinstance(column, dict)
        else column
        for column in columns
    ]
    if not titles or not all(isinstance(title, str) for title in titles):
        return None
    cells_of = table[at]
    if cells_of and not isinstance(cells_of[0], list | dict) and len(cells_of) == len(titles):
        return [
            [
                (str(title), cell, (at, column))
                for column, (title, cell) in enumerate(zip(titles, cells_of, strict=True))
            ]
        ]
    return [
        [
            (str(title), cell, (at, row, column))
            for column, (title, cell) in enumerate(zip(titles, cells, strict=False))
        ]
        for row, cells in enumerate(table[at])
        if isinstance(cells, list)
    ]


def texts(value: Any) -> list[str]:
    """Return the texts and numbers that a value is: one, those of an array, or the value in a typed object."""
    if isinstance(value, str):
        if value[:1] == "[" and isinstance(inner := text_forms.structured(value), list):
            return texts(inner)
        text = _unquoted(value.strip())
        return [text] if text else []
    if isinstance(value, list):
        items = (item if isinstance(item, str) else _named_text(item) for item in value[:_MAX_VALUES])
        return [text for item in items if (text := item.strip())]
    inner = scalar(value)
    return [] if inner is None else texts(inner)


def _unquoted(text: str) -> str:
    """Return a text without the quotation marks, or a chat's backticks, around all of it."""
    mark = text[:1]
    whole = mark in ('"', "`") and len(text) > 1 and text[-1] == mark and mark not in text[1:-1]
    return text[1:-1].strip() if whole else text


def _named_text(item: Any) -> str:
    """Return the text of an element that is an object: a tag with its name, a typed value."""
    if not isinstance(item, dict) or len(item) > _MAX_PAIR_SIZE:
        return ""
    inner = scalar(item) or item.get("name") or item.get("Name") or item.get("id") or ""
    return inner if isinstance(inner, str) else ""


def scalar(value: Any) -> Any:
    """Return the value in `{"stringValue": "x"}`, `{"integer": 1}`, `{"display_value": "x", "value": 1}`; else None."""
    if not isinstance(value, dict) or not 0 < len(value) <= 3:  # noqa: PLR2004  # a value, its type, and a link
        return None
    found = next((value[name] for name in _SCALARS if name in value), None)
    if found is None and len(value) == 1:
        [(name, inner)] = value.items()
        found = inner if name.lower().endswith(_TYPES) else None
    return found if isinstance(found, str | list) else None


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict) and not (
        isinstance(value, list) and value and isinstance(value[0], dict | list)
    )
