"""What is stored of an alert whose event is still to be found: its clues as JSON, and an id of its own.

Such an alert has no reference. A digest of its source and its clues stands in for the report id,
so that its id is made as any other is, by older versions too: the same payload twice is one search.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, get_args

from shared.alerts.alert import Alert
from shared.payload.clues import Clues, Host, Identity, Kind, When

MOST = 32_000
"""The longest JSON that a column takes, in UTF-16 units."""

_GIVEN_UNITS = 300  # a device's id, a time, a report's id, and their names
GIVEN, ABOUT = "given", "about"
"""Beside the clues: the reference as it came, if it lost something on its way; what the source says of its alert."""
_MARK = "find:"
_TRIAL = "trial"
_CLUES = tuple(each.name for each in dataclasses.fields(Clues))
_WHEN = {"start": int, "end": int, "step": int, "own": bool}


def alert(texts: Mapping[str, str], clues: Clues, *, source: str, trial: bool = False) -> Alert:
    """Return an alert without a reference; `texts` are its other five fields, as `alert.check` gives them.

    That of a `trial` has another id, so that the trial does not stand for the alert itself.
    """
    named = json.dumps([source, write(clues), *([_TRIAL] if trial else [])], sort_keys=True)
    digest = hashlib.sha256(named.encode()).hexdigest()[:32]
    return Alert.from_body({**texts, "machineId": "", "eventTime": "", "reportId": f"{_MARK}{digest}"})


def fits(written: Mapping[str, Any]) -> bool:
    """Tell whether clues can be stored whole, with what is beside them. A part could lead to another event."""
    return len(json.dumps(written)) <= MOST - _GIVEN_UNITS


def write(clues: Clues) -> dict[str, Any]:
    """Return clues as JSON: what is unknown is left out."""
    known = {name: value for name in _CLUES if (value := getattr(clues, name))}
    # With lists, as they are read from a row.
    written: dict[str, Any] = json.loads(json.dumps(known, default=dataclasses.asdict))
    return written


def read(row: Mapping[str, Any]) -> Clues:
    """Return the clues that `write` has written. Raise `ValueError` if this version does not know all of it."""
    try:
        facts = {
            name: _text(row[name]) for name in row.keys() - {"hosts", "named", "when", "kinds", GIVEN, ABOUT}
        }
        return Clues(
            hosts=_hosts(row.get("hosts", ())),
            named=_hosts(row.get("named", ())),
            when=_when(row["when"]) if "when" in row else None,
            kinds=tuple(_known(kind, get_args(Kind)) for kind in row.get("kinds", ())),
            **facts,
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError("the clues are not those of this version") from None


def _hosts(rows: Any) -> tuple[Host, ...]:
    return tuple(Host(_known(row["identity"], get_args(Identity)), _text(row["value"])) for row in rows)


def _when(row: Mapping[str, Any]) -> When:
    if row.keys() != _WHEN.keys() or any(type(row[name]) is not kind for name, kind in _WHEN.items()):
        raise ValueError
    return When(**row)


def _known(value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
