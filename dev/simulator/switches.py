"""The switches of a running simulator: delays, known events, and faults."""

from dataclasses import dataclass, replace
from typing import Literal

from dev.simulator.faults import Fault

Delay = float | tuple[float, float]
"""Seconds: always the same, or drawn between two bounds."""


@dataclass(frozen=True, slots=True)
class Switches:
    """What can be changed while the simulator runs. The first fault of the list that strikes counts.

    `missing_tables` are those of hunting that the tenant has no licence for.
    """

    latency: Delay = 0.0
    transit: Delay = 0.0
    known_events: Literal["registered", "all"] = "registered"
    missing_tables: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for low, high in (bounds(self.latency), bounds(self.transit)):
            if not 0 <= low <= high:
                raise ValueError(f"a delay is seconds, or a lower and an upper bound, not {low}, {high}")
        if self.known_events not in {"registered", "all"}:
            raise ValueError(f"known_events is 'registered' or 'all', not {self.known_events!r}")

    def draw(self, on: str, title: str | None) -> tuple[Fault | None, "Switches"]:
        """Return the fault that strikes such a call, if any, and the switches after it has struck."""
        for index, fault in enumerate(self.faults):
            if fault.strikes(on, title):
                left = () if fault.times == 1 else (replace(fault, times=fault.times and fault.times - 1),)
                faults = (*self.faults[:index], *left, *self.faults[index + 1 :])
                return fault, replace(self, faults=faults)
        return None, self


def bounds(delay: Delay) -> tuple[float, float]:
    """Return the lowest and the highest that a delay can be, in seconds."""
    return delay if isinstance(delay, tuple) else (delay, delay)
