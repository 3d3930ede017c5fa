"""Graph in simulated time: payloads that need a search, and the events that it finds for them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.clients.graph import Result
from tests.checks.virtual import EPOCH, World

DEVICE = "a" * 40
HOUR = 3_600.0
_NUMBER = re.compile(r"/run (\d+)")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One search as Graph saw it: when (true time, UTC seconds), of which number's event, and its query."""

    at: float
    number: int
    query: str


def payload(number: int, *, at: float = EPOCH - 24 * HOUR, title: str = "", **more: Any) -> dict[str, Any]:
    """Return a notable of Splunk about the event of a number, which happened at a time; it has no reference."""
    result = {
        "host": "pc-1",
        "UtcTime": _iso(at)[:-5].replace("T", " "),
        "CommandLine": f"tool.exe /run {number}",
    }
    return {"search_name": title or f"Rule {number}", "result": result, **more}


def row(number: int, *, at: float = EPOCH - 24 * HOUR, **columns: str) -> dict[str, str]:
    """Return the row of the event of a number, as a search shows it."""
    return {
        "Row": "event",
        "Table": "DeviceProcessEvents",
        "Timestamp": _iso(at),
        "ReportId": str(20_000 + number),
        "DeviceId": DEVICE,
        "DeviceName": "pc-1.contoso.example",
        "ActionType": "ProcessCreated",
        "FileName": "tool.exe",
        "CommandLine": f"tool.exe /run {number}",
        **columns,
    }


KNOWN = {
    "Row": "device",
    "DeviceId": DEVICE,
    "DeviceName": "pc-1.contoso.example",
    "Timestamp": "2026-03-06T05:06:07.0000000Z",
    "Since": "2026-03-01T05:06:07.0000000Z",
}


def found(*rows: Mapping[str, str]) -> Result:
    """Return an answer of Graph with these rows, beside that of the device."""
    return Result("rows", 200, "", 0.2, rows=(KNOWN, *rows))


def without_device() -> Result:
    """Return an answer of Graph that does not know the device."""
    return Result("rows", 200, "", 0.2)


def failure(kind: Any, status: int | None, message: str = "It failed.", **more: Any) -> Result:
    """Return an answer of Graph that brings no rows."""
    return Result(kind, status, message, 0.2, **more)


@dataclass
class Graph:
    """Answers each search with what `says` returns for it (None: never), and records all of them.

    `says` gets how often this event was searched before, and its number. Without it every event is found.
    """

    world: World
    says: Callable[[int, int], Result | None] = lambda _, number: found(row(number))
    arrivals: list[Arrival] = field(default_factory=list)
    _of: dict[int, list[Arrival]] = field(default_factory=dict)

    def __call__(self, body: Mapping[str, str]) -> Result | None:
        """Take one call."""
        named = _NUMBER.search(body["Query"])
        assert named, body["Query"]
        number = int(named[1])
        arrival = Arrival(self.world.now, number, body["Query"])
        before = self._of.setdefault(number, [])
        before.append(arrival)
        self.arrivals.append(arrival)
        return self.says(len(before) - 1, number)

    def clear(self) -> None:
        """Forget all searches."""
        self.arrivals.clear()
        self._of.clear()

    def of(self, number: int) -> list[Arrival]:
        """Return the searches for the event of a number."""
        return list(self._of.get(number, ()))

    @property
    def times(self) -> list[float]:
        """When the searches arrived (true time, UTC seconds)."""
        return [arrival.at for arrival in self.arrivals]


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
