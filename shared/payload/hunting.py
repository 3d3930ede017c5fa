"""The tables of Defender's advanced hunting, and which of them have no events for an alert.

The tables are data, `tables/hunting.json`: a reason, and the beginnings of the names of its tables.
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parent / "tables" / "hunting.json"
_PREFIX = "AdvancedHunting-"
_NO_EVENTS = (
    "Alert",
    "DeviceAlert",
    "Behavior",
    "DeviceBaseline",
    "DeviceTvm",
    "Disruption",
    "ExposureGraph",
    "Incident",
)
_PLACES = ("Table", "TableName", "category", "Category", "Type", "SourceTable")


def table(row: Any) -> str | None:
    """Return the table that a row, or the record around it, names; None if it names none."""
    if isinstance(row, Mapping):
        for place in _PLACES:
            name = row.get(place)
            if isinstance(name, str) and (match := _named().fullmatch(name.strip())):
                return match[1] or match[2]
    return None


def why_no_event(name: str) -> str | None:
    """Return why no alert can refer to a row of a table, or None if one can."""
    reasons = ((reason, start) for reason, starts in _reasons().items() for start in starts)
    return next((reason for reason, start in reasons if name.startswith(start)), None)


def tells_of_no_event(name: str) -> bool:
    """Tell whether a table's rows are of alerts, which Defender has, or of states: none is a reason for an alert."""
    return name.startswith(_NO_EVENTS)


@functools.cache
def _named() -> re.Pattern[str]:
    starts = "|".join(sorted(start for starts in _reasons().values() for start in starts))
    ends = (
        "Events|Info|EventsBeta|InfoBeta|Entities|Evidence|Nodes|Edges|Inventory|Vulnerabilities|Assessment"
    )
    return re.compile(
        rf"(?:{_PREFIX})?((?:Device|{starts})[A-Z]?\w{{0,60}}(?:{ends}))|{_PREFIX}(\w{{1,60}})", re.ASCII
    )


@functools.cache
def _reasons() -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return reasons
