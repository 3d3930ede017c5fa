"""The log for the operator: one line per step, each line's message one JSON object.

The Functions worker forwards the formatted message only, so fields live inside it and KQL reads them with
`parse_json(message)`. No line has contents of a payload, a token, a key, or a text of more than 500 characters.
"""

import json
import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

Value = str | float | bool | None

_CHARACTERS = 500
_log = logging.getLogger("defender-alert-webhook")


class Described(Protocol):
    """Something that gives its own fields for log lines."""

    def log_fields(self) -> Mapping[str, Value]:
        """Return the fields of its log lines."""


def step(
    name: str, *, entry: Described | None = None, answer: Described | None = None, **fields: Value
) -> None:
    """Log one step on the way of an alert."""
    if not _log.isEnabledFor(logging.INFO):
        return
    line: dict[str, Any] = {"step": name}
    for described in (entry, answer):
        if described:
            line |= described.log_fields()
    _log.info(_written(line | fields))


def problem(name: str, error: Exception, **fields: Value) -> None:
    """Log a problem for the operator, without internals."""
    line = {"step": name, "error": type(error).__name__, "detail": str(error)}
    line["cause"] = str(error.__cause__ or "")
    _log.warning(_written(line | fields))


def unforeseen(error: Exception, name: str = "unforeseen", **fields: Value) -> None:
    """Log an unforeseen error: its kind and where it arose, without its text, which may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    line = {"step": name, "error": type(error).__name__, "where": where}
    _log.error(json.dumps(line | fields))


def _written(line: Mapping[str, Any]) -> str:
    return json.dumps(
        {name: value[:_CHARACTERS] if isinstance(value, str) else value for name, value in line.items()}
    )
