"""The shapes in which products hide an event's fields, and how to look into them.

Plain functions on JSON values (numbers as `payload.Number`); each is linear in what it is given. Mapping
files reach them as functions of their expressions, see `expression.py`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.alerts import event_time
from shared.payload import names

KEYS = ("machineId", "eventTime", "reportId")
"""The three fields that together name an event."""

_MAX_TOLERANT = 1_000  # keys of an object in which names are also sought in any case; real ones have 200
_MAX_PARTS = 16
_MAX_LINES = 1_000
_MAX_LINE_NAME = 60
_PACKED = ("DeviceId", "ReportId", "Timestamp")
_NAMES_OF_NAMES = (
    "key",
    "name",
    "field",
    "label",
    "k",
    "fieldname",
    "columnname",
    "attribute",
    "property",
    "title",
    "type",
)
_NAMES_OF_VALUES = ("value", "values", "v", "val", "fieldvalue", "columnvalue", "content")
_COLUMNS = ("columns", "fields", "headers", "header")
_ROWS = ("rows", "values", "data")
_NOTHING = frozenset(
    ("", "null", "none", "nil", "nan", "undefined", "n/a", "na", "-", "--", "(null)", "<null>", "unknown")
)
_MAX_PAIR_SIZE = 5  # a pair has a name, a value, and little else
_MAX_ASSIGNED = 1_000
_ASSIGNMENT = re.compile(r"(?:^|(?<=[\s,;|^]))([A-Za-z_@][\w.@-]{0,99})=", re.ASCII)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"(?=$|[\s,;|^\])}])', re.DOTALL)
GUID = re.compile(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.ASCII | re.IGNORECASE)
_LINE = re.compile(r"\n|[;,|] ?(?=[A-Za-z][\w. -]{0,58}(?: =|:) )", re.ASCII)
_ESCAPED = re.compile(r'\\(["=|])')


def empty(value: object) -> bool:
    """Say whether a value is as good as none: null, blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def says_nothing(text: str) -> bool:
    """Say whether a text is what programs write for none: null, N/A, a dash."""
    return text.strip().lower() in _NOTHING


def spelled(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an object that are not empty, by their names without case and punctuation."""
    found: dict[str, Any] = {}
    if len(where) <= _MAX_TOLERANT:
        for name, value in where.items():
            if not empty(value):
                found.setdefault(names.word(name), value)
    found.pop("", None)
    return found


def pick(where: Any, field: str, tolerant: Mapping[str, Any] | None = None) -> Any:
    """Return the first value that is not empty under one of the field's known names, or None.

    The names as `tables/keys.json` writes them come first, then the same in any case and punctuation. A field
    that is not in that table has the one name. `tolerant` is what `spelled` gives, if that is at hand.
    """
    if not isinstance(where, dict):
        return None
    known, alike = names.of_key(field)
    words = spelled(where) if tolerant is None else tolerant
    if alike.isdisjoint(words) and len(where) <= _MAX_TOLERANT:
        return None
    inexact = (words[word] for word in map(names.word, known) if word in words)
    found = next((where[name] for name in known if not empty(where.get(name))), None) or next(inexact, None)
    if field == KEYS[0] and _is_guid(found):  # Entra's: Defender's own has 40 digits
        return next((value for value in inexact if not _is_guid(value)), found)
    return found


def record(candidates: tuple[Any, ...]) -> Any:
    """Return the object that carries the most of the three keys, the first of equals; None if there is none.

    If another one is the same event with more digits in its time, that one: the original beside its copy.
    """
    flat = (one for item in candidates for one in (item if isinstance(item, list) else [item]))
    objects = [one for one in flat if isinstance(one, dict) and one]
    if not objects:
        return None
    keys = [_keys(one) for one in objects]
    best = max(range(len(objects)), key=lambda index: sum(not empty(value) for value in keys[index]))
    for index, (machine_id, time, report_id) in enumerate(keys):
        if (machine_id, report_id) == (keys[best][0], keys[best][2]) and _more_exact(time, keys[best][1]):
            best = index
    return objects[best]


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"a.b": 1}` as `{"a.b": 1, "a": {"b": 1}}`. What was there already stays as it is."""
    nested: dict[str, Any] = dict(flat)
    ours = {id(nested)}
    for key, value in flat.items():
        *path, last = key.split(".", _MAX_PARTS)
        inside = nested
        for part in path:
            if part not in inside:
                inside[part] = {}
                ours.add(id(inside[part]))
            inside = inside[part]
            if id(inside) not in ours:
                break
        else:
            if path:
                inside.setdefault(last, value)
    return nested


def pairs(items: Any, key: str, value: str) -> dict[str, Any] | None:
    """Return `[{key: "x", value: 1}]` as `{"x": 1}`. A name that is there twice gets a list of its values."""
    if not isinstance(items, list):
        return None
    found: dict[str, list[Any]] = {}
    for item in items:
        if isinstance(item, dict) and isinstance(item.get(key), str) and not empty(item.get(value)):
            found.setdefault(item[key], []).append(item[value])
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def zipped(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return `{"a": [1, 2], "b": "x"}` as `[{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]`.

    Arrays of different length belong together in no way we could know: they stay, in one object.
    """
    lengths = {len(value) for value in columns.values() if isinstance(value, list)}
    if len(lengths) != 1:
        return [dict(columns)]
    return [
        {name: value[at] if isinstance(value, list) else value for name, value in columns.items()}
        for at in range(lengths.pop())
    ]


def assigned(text: str) -> dict[str, Any]:
    """Return `a=1, b="x y"` as `{"a": "1", "b": "x y"}`. A name that is there twice gets a list of its values.

    An unquoted value goes on to the next name, as in the extensions of CEF and LEEF.
    """
    found: dict[str, list[str]] = {}
    name = _ASSIGNMENT.search(text)
    for _ in range(_MAX_ASSIGNED):
        if not name:
            break
        quoted = _QUOTED.match(text, name.end())
        following = _ASSIGNMENT.search(text, quoted.end() if quoted else name.end())
        value = quoted[1] if quoted else text[name.end() : following.start() if following else len(text)]
        if value := _ESCAPED.sub(r"\1", value.strip(" \t\r\n,;|^")):
            found.setdefault(name[1], []).append(value)
        name = following
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def listed(text: str) -> dict[str, Any]:
    """Return the lines `x: 1` or `x = 1` of a text as `{"x": "1"}`, also several on one line.

    A name that is there twice gets a list of its values.
    """
    found: dict[str, list[str]] = {}
    for line in _LINE.split(text, _MAX_LINES)[:_MAX_LINES]:
        name, sign, value = line.partition(":" if ":" in line.partition(" = ")[0] else " = ")
        if sign and 0 < len(name) < _MAX_LINE_NAME and value.strip():
            found.setdefault(name.strip(" \t*-\u2022"), []).append(value.strip(" \t\r*`"))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def named(items: list[Any]) -> dict[str, Any] | None:
    """Return `[{"key": "x", "value": 1}]` or `[["x", 1]]` as `{"x": 1}`, whatever its keys are called.

    None if the array's first element is no such pair.
    """
    first = items[0] if items else None
    if isinstance(first, list) and len(first) == 2 and isinstance(first[0], str):  # noqa: PLR2004  # a pair
        two = [item for item in items if isinstance(item, list) and len(item) == 2]  # noqa: PLR2004
        found = pairs([{"k": item[0], "v": item[1]} for item in two], "k", "v")
    elif isinstance(first, dict) and 1 < len(first) <= _MAX_PAIR_SIZE:
        by = {name.lower(): name for name in first}
        key = next(
            (by[name] for name in _NAMES_OF_NAMES if name in by and isinstance(first[by[name]], str)),
            None,
        )
        value = next((by[name] for name in _NAMES_OF_VALUES if name in by), None)
        found = pairs(items, key, value) if key and value else None
    else:
        return None
    return {name: _bare(value) for name, value in found.items()} if found else None


def labelled(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"cs1Label": "x", "cs1": 1}` as `{"x": 1}`: the custom fields of CEF, in any spelling."""
    found: dict[str, Any] = {}
    for name, label in where.items():
        if name[-5:] in ("Label", "label", "LABEL") and isinstance(label, str):
            value = where.get(name[:-5].rstrip("_. "))
            if not empty(value):
                found.setdefault(label.strip(), value)
    return found


def unpack(packed: Any) -> Any:
    """Return `"DeviceId|ReportId|Timestamp"` as an object with these keys; of an array, an array of them.

    A text that has not these three parts gives null; in an array, `{"incomplete": text}`, so that it is not lost.
    """
    if isinstance(packed, list):
        return [unpack(one) or {"incomplete": one} for one in packed if not empty(one)]
    parts = [part.strip() for part in packed.split("|", len(_PACKED))] if isinstance(packed, str) else []
    return dict(zip(_PACKED, parts, strict=True)) if len(parts) == len(_PACKED) and all(parts) else None


def rows(table: Any) -> list[dict[str, Any]] | None:
    """Return the rows of `{"columns": [{"name": "x"}], "rows": [[1]]}`, or of a list of such, as objects."""
    if isinstance(table, list):
        return [row for one in table for row in _rows_of(one) or ()]
    return _rows_of(table)


def single(value: Any) -> Any:
    """Return the value of an array that holds one, once or several times; else the different ones, a list."""
    if not isinstance(value, list):
        return value
    different = list(_different(value))
    return single(different[0]) if len(different) == 1 else different


def text(value: Any, limit: int) -> str:
    """Return a value as it may stand within a text, at most `limit` characters; "" for none and objects."""
    if isinstance(value, str):
        return value[:limit].strip()
    if isinstance(value, list):
        return ", ".join(filter(None, dict.fromkeys(text(item, limit) for item in value[:100])))[:limit]
    if value is None or isinstance(value, dict):
        return ""
    return json.dumps(value)


def _keys(where: dict[str, Any]) -> tuple[Any, ...]:
    tolerant = spelled(where)
    return tuple(pick(where, field, tolerant) for field in KEYS)


def _rows_of(table: Any) -> list[dict[str, Any]] | None:
    if not isinstance(table, dict):
        return None
    columns = _either(table, *_COLUMNS)
    lines = _either(table, *_ROWS)
    if not isinstance(columns, list) or not isinstance(lines, list):
        return None
    names = [
        _either(column, "name", "columnName") if isinstance(column, dict) else column for column in columns
    ]
    if not all(isinstance(name, str) for name in names):
        return None
    return [dict(zip(names, line, strict=False)) for line in lines if isinstance(line, list)]


def _bare(value: Any) -> Any:
    """Return the value of OpenTelemetry's `{"stringValue": "x"}`, or of Avro's and TheHive's `{"string": "x"}`."""
    if isinstance(value, dict) and len(value) == 1:
        [(name, inner)] = value.items()
        return inner if name.lower().endswith(("value", "string", "long")) else value
    return value


def _different(values: list[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for value in values:
        known = value.strip() if isinstance(value, str) else json.dumps(value)
        if not empty(value) and known not in seen:
            seen.add(known)
            yield value


def _is_guid(value: Any) -> bool:
    return isinstance(value, str) and GUID.fullmatch(value.strip()) is not None


def _more_exact(time: Any, than: Any) -> bool:
    if not isinstance(time, str) or not isinstance(than, str):
        return False
    try:
        longer, shorter = (event_time.read(value).text.rstrip("Z") for value in (time, than))
    except ValueError:
        return False
    return len(longer) > len(shorter) and longer.startswith(shorter)


def _either(where: Mapping[str, Any], *names: str) -> Any:
    spellings = (spelling for name in names for spelling in (name, name[:1].upper() + name[1:]))
    return next((where[spelling] for spelling in spellings if spelling in where), None)
