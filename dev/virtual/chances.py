"""The faults of one host: by chance, or as its script says."""

from collections.abc import Callable
from typing import NoReturn

from greenlet import GreenletExit

from dev.virtual.faults import Fault, Faults, Request
from dev.virtual.world import World
from shared.errors import Unavailable


class Unlucky:
    """A host with faults."""

    world: World
    faults: Faults
    script: Callable[[Request], Fault | None] | None
    dead: bool
    frozen_until: float
    _suspended: float

    def _table_fault(self, request: Request) -> Fault | None:
        faults = self.faults
        fault = self.script(request) if self.script else None
        if self._chance(faults.crash):
            fault = Fault("crash")
        elif self._chance(faults.table_lost):
            fault = Fault("lost")
        elif request.kind == "commit" and self._chance(faults.table_late):
            fault = Fault("late", self.world.random.uniform(0, faults.table_late_seconds))
        elif request.kind == "commit" and self._chance(faults.table_swallowed):
            fault = Fault("swallowed")
        elif self._chance(faults.table_busy):
            fault = Fault("busy")
        self._die_if(fault, "crash")
        self._freeze_if(fault, "freeze")
        return fault

    def _call_fault(self, request: Request) -> Fault | None:
        faults = self.faults
        if self.script and (fault := self.script(request)):
            return fault
        if self._chance(faults.call_unsent):
            return Fault("unsent")
        if self._chance(faults.answer_lost):
            return Fault("swallowed")
        if self._chance(faults.call_slow):
            return Fault("late", self.world.random.uniform(0, faults.call_slow_seconds))
        return None

    def _come_back(self, seconds: float) -> None:
        """Let an answer come back in so many seconds, if this host still runs."""
        if seconds:
            self.world.sleep(seconds)
            self._die_if(Fault("crash") if self._chance(self.faults.crash) else None, "crash")
            self._stand_still()

    def _die_if(self, fault: Fault | None, kind: str) -> None:
        if fault and fault.kind == kind:
            self.dead = True
            raise GreenletExit

    def _freeze_if(self, fault: Fault | None, kind: str) -> None:
        if fault and fault.kind == kind:
            self.frozen_until = self.world.now + fault.seconds
            self.world.sleep(0)

    def _stand_still(self) -> None:
        if self._chance(self.faults.freeze):
            seconds = self.world.random.uniform(0, self.faults.freeze_seconds)
            self.frozen_until = self.world.now + seconds
            if self._chance(0.5):  # a suspended machine: its monotonic clock stands still as well
                self._suspended += seconds
            self.world.sleep(0)

    def _no_answer(self, until: float) -> NoReturn:
        self.world.sleep(max(0.0, until - self.world.now))
        raise Unavailable("The table did not answer.")

    def _chance(self, chance: float) -> bool:
        return chance > 0 and self.world.random.random() < chance
