"""The columns of rows: how a value is written and read, and the default for rows of older versions.

A column that a version adds has a default. Unknown columns belong to a newer version: when such a row is written
again, they are written unchanged.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import Unreadable
from shared.table.protocol import Row, Value

_TEXT_UNITS = 32_000  # a property holds 32,768 UTF-16 units
_ID_LENGTH = 32  # of an alert's id
_REQUIRED: Final = object()
_OF_THE_TABLE = ("mark",)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value of a record becomes a property of a row, and back. `read` raises for a wrong property."""

    write: Callable[[Any], Value]
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A property of a row, and the record's field that it holds (`field`; if empty, the field of the same name).

    A row without it has the `default`; if there is none, the row cannot be read.
    """

    name: str
    kind: Kind
    field: str = ""
    default: Any = _REQUIRED


def write(columns: Sequence[Column], record: object) -> dict[str, Value]:
    """Return the properties of a record's row."""
    return {
        column.name: column.kind.write(getattr(record, column.field or column.name)) for column in columns
    }


def read(columns: Sequence[Column], row: Row) -> dict[str, Any]:
    """Return the fields of a record by name, from its row. Raise `Unreadable` that names the column."""
    fields, values = {}, row.values
    for column in columns:
        name, value = column.name, column.default
        if name in values:
            try:
                value = column.kind.read(values[name])
            except (TypeError, ValueError, AttributeError, RecursionError):
                raise Unreadable(row.key, name) from None
        elif value is _REQUIRED:
            raise Unreadable(row.key, name)
        fields[column.field or name] = value
    return fields


def unknown(columns: Sequence[Column], row: Row) -> dict[str, Any]:
    """Return the properties of a row that are in no column: a newer version wrote them."""
    known = {*_OF_THE_TABLE, *(column.name for column in columns)}
    return {name: value for name, value in row.values.items() if name not in known}


def _of(kind: type) -> Callable[[Any], Any]:
    def read_value(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(value)
        return value

    return read_value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(value)
    return float(value)


def _json(kind: type | tuple[type, ...]) -> Callable[[Any], Any]:
    def read_value(value: Any) -> Any:
        held = json.loads(value)
        if not isinstance(held, kind):
            raise TypeError(value)
        return held

    return read_value


def _fitting(value: Mapping[str, Any] | None) -> str:
    """Return an object as JSON that fits a property: if need be without its longest members."""
    text = json.dumps(value)  # ASCII: a character is a UTF-16 unit
    if len(text) <= _TEXT_UNITS or value is None:
        return text
    sizes = {name: len(json.dumps({name: member})) for name, member in value.items()}
    left, fitting = _TEXT_UNITS, set()
    for name in sorted(sizes, key=lambda name: (name != "id", sizes[name])):
        left -= sizes[name]
        if left >= 0:
            fitting.add(name)
    return json.dumps({name: member for name, member in value.items() if name in fitting})


def _fitting_list(values: Sequence[Any]) -> str:
    """Return a list as JSON that fits a property: if need be without its last items."""
    fitting = list(values)
    while len(text := json.dumps(fitting)) > _TEXT_UNITS:
        fitting = fitting[: len(fitting) // 2]
    return text


def _ids(text: str) -> tuple[str, ...]:
    return tuple(text[at : at + _ID_LENGTH] for at in range(0, len(text), _ID_LENGTH))


_read_text, _read_list, _read_object = _of(str), _json(list), _json(dict)
TEXT = Kind(str, _read_text)
TEXT_OR_NONE = Kind(lambda value: value or "", lambda value: _read_text(value) or None)
BYTES = Kind(bytes, lambda value: bytes(memoryview(value)))
WHOLE = Kind(int, _of(int))
FLAG = Kind(bool, _of(bool))
SECONDS = Kind(float, _number)
SECONDS_OR_NONE = Kind(lambda value: value or 0.0, lambda value: _number(value) or None)
OBJECT = Kind(_fitting, _read_object)
OBJECT_OR_NONE = Kind(_fitting, _json((dict, type(None))))
LIST = Kind(_fitting_list, lambda value: tuple(_read_list(value)))
LISTS = Kind(_fitting, lambda value: {name: tuple(items) for name, items in _read_object(value).items()})
IDS = Kind("".join, lambda value: _ids(_read_text(value)))  # of one length: a thousand fit a property
