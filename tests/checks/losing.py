"""A proxy before the table whose next requests meet a fault, as a test asks for it."""

import threading

from dev.stack.proxy import Fault, Moment, Proxy


class LosingProxy(Proxy):
    """The faults asked for hit the next requests, then end; `hit` counts those that happened."""

    def __init__(self, target: int, *, seconds: float = 1.0) -> None:
        super().__init__(target, watch=self._next, seconds=seconds)
        self.hit = 0
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def lose(self, fault: Fault, times: int = 1) -> None:
        """Let the next `times` requests meet this fault."""
        with self._lock:
            self._faults.extend([fault] * times)

    def heal(self) -> None:
        """Forget all faults that have not happened yet."""
        with self._lock:
            self._faults.clear()

    def _next(self, moment: Moment, _request: bytes) -> Fault | None:
        with self._lock:
            if moment == "answer" or not self._faults:
                return None
            self.hit += 1
            return self._faults.pop(0)
