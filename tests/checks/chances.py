"""Faults by chance: a script for the hosts of a simulated world."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.checks.virtual import Fault, Request, World

if TYPE_CHECKING:
    from tests.checks.virtual import Kind


@dataclass(frozen=True, slots=True)
class Chances:
    """The chances of faults, from 0 to 1 a request, and their lengths, in seconds; `Fault` says what each is."""

    crash: float = 0.0  # before the request arrives, or as soon as it has
    freeze: float = 0.0  # before the answer is seen; of two one is a machine that is suspended
    freeze_seconds: float = 300.0
    table_lost: float = 0.0
    table_late: float = 0.0
    table_late_seconds: float = 120.0
    table_swallowed: float = 0.0
    table_busy: float = 0.0
    call_unsent: float = 0.0
    call_slow: float = 0.0
    call_slow_seconds: float = 60.0
    answer_lost: float = 0.0

    def script(self, world: World) -> Callable[[Request], Fault | None]:
        """Return what a host's `script` is to be; the world's dice fall."""
        dice = world.random

        def fault(request: Request) -> Fault | None:
            faults: list[tuple[float, Kind, float]] = [
                (self.crash, "crash" if dice.random() < 0.5 else "crashed", 0.0),
                (self.freeze, "frozen" if dice.random() < 0.5 else "suspended", self.freeze_seconds),
            ]
            if request.kind == "call":
                faults += [
                    (self.call_unsent, "unsent", 0.0),
                    (self.answer_lost, "swallowed", 0.0),
                    (self.call_slow, "late", self.call_slow_seconds),
                ]
            else:
                faults += [(self.table_lost, "lost", 0.0), (self.table_busy, "busy", 0.0)]
            if request.kind == "commit":
                faults += [
                    (self.table_late, "late", self.table_late_seconds),
                    (self.table_swallowed, "swallowed", 0.0),
                ]
            for chance, kind, seconds in faults:
                if dice.random() < chance:
                    return Fault(kind, dice.uniform(0.0, seconds))
            return None

        return fault
