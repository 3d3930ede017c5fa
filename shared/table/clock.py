"""A lower bound of the server's time: never ahead of the clock that stamps the rows.

    our write ── sent ──── stamped ──── answered         the stamp is at most as late as the answer
                   │          │
                   └ our bound was later than the stamp: it was wrong, and becomes the stamp

An answer's `Date` comes from another machine's clock. It is a guess that serves until our first write is answered:
whoever acts on it looks at the clock again after that write.
"""

import threading
import time
from collections.abc import Callable


class ServerClock:
    """A lower bound of the server's time, learnt from its stamps and carried on by the monotonic clock.

    A stamp is older than the answer that brings it, so `stamp + elapsed` never runs ahead of the server, save for
    the drift of our own clock: that is what the millisecond per second of age pays for.
    """

    _DRIFT = 0.001

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._best: tuple[float, float] | None = None  # server's time, monotonic time at receipt
        self._written = False
        self._lock = threading.Lock()

    def observe(self, stamp: float) -> None:
        """Learn from the stamp of a row (UTC seconds) that was received just now or earlier."""
        with self._lock:
            at = self._monotonic()
            if self._best is None or stamp >= self._at(at, self._best):
                self._best = (stamp, at)

    def guess(self, date: float) -> None:
        """Learn from the `Date` of an answer (UTC seconds), as long as no write of ours was answered."""
        if not self._written:
            self.observe(date)

    def wrote(self, stamp: float, sent: float) -> None:
        """Learn from the stamp (UTC seconds) of a write of ours that left at `sent`, in monotonic seconds."""
        with self._lock:
            at = self._monotonic()
            best = self._best
            was_wrong = not self._written or best is None or stamp < self._at(sent, best)
            if was_wrong or (best and stamp >= self._at(at, best)):
                self._best = (stamp, at)
            self._written = True

    def now(self) -> float | None:
        """Return the server's time in UTC seconds, never ahead of it; None before any answer."""
        best = self._best
        return None if best is None else self._at(self._monotonic(), best)

    def _at(self, at: float, best: tuple[float, float]) -> float:
        return best[0] + (at - best[1]) * (1 - self._DRIFT)
