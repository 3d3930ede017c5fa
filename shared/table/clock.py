"""The server's time, as far as its answers told it."""

import threading
import time
from collections.abc import Callable


class ServerClock:
    """A lower bound of the server's time, learnt from its answers and carried on by the monotonic clock.

    A time seen in an answer was stamped before the answer came, so `seen + elapsed` never runs ahead of the
    server, save for the drift of our own clock: that is what the millisecond per second of age pays for.
    """

    _DRIFT = 0.001

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._best: tuple[float, float] | None = None  # server's time, monotonic time at receipt
        self._lock = threading.Lock()

    def observe(self, server_time: float) -> None:
        """Learn from a server's time (UTC seconds) that was received just now or earlier."""
        with self._lock:
            at = self._monotonic()
            if self._best is None or server_time >= self._at(at, self._best):
                self._best = (server_time, at)

    def now(self) -> float | None:
        """Return the server's time in UTC seconds, never ahead of it; None before any answer."""
        best = self._best
        return None if best is None else self._at(self._monotonic(), best)

    def _at(self, at: float, best: tuple[float, float]) -> float:
        return best[0] + (at - best[1]) * (1 - self._DRIFT)
