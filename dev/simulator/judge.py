"""The strict judge of the window: which calls are too many in a rolling window.

A window is half open, `[t, t + window)`: two arrivals exactly `window` seconds apart are not in the same one.

Every arrival counts, the rejected ones too. Defender says only that calling too soon gives 429 again, not what
a rejected call does to the quota; we take the reading that is harder on the caller. So the rule is short: an
arrival is too many when the arrival `calls` places before it came less than `window` seconds earlier. And
`violations` can check the judge from the log alone.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence


class Judge:
    """Judges arrivals one by one, as they come. Not thread-safe: the caller holds a lock.

    `calls` may arrive in any `window` seconds.
    """

    def __init__(self, calls: int, window: float) -> None:
        if calls < 1 or window <= 0:
            raise ValueError(f"calls and window must be positive, not {calls} and {window}")
        self.calls = calls
        self.window = window
        self._latest: deque[float] = deque(maxlen=calls)

    def arrive(self, at: float) -> float | None:
        """Count an arrival at `at` (seconds of any steady clock, never before the arrival judged last).

        Return None if it may pass, else the seconds after `at` when the next one may, if none comes before.
        """
        latest = self._latest
        if latest and at < latest[-1]:
            raise ValueError(f"an arrival at {at} cannot follow one at {latest[-1]}")
        passes = len(latest) < self.calls or at - latest[0] >= self.window
        latest.append(at)
        return None if passes else latest[0] + self.window - at


def violations(arrivals: Iterable[float], calls: int, window: float) -> list[float]:
    """Return each arrival too many of a whole log, in any order: it is one more than `calls` in a rolling window."""
    times = sorted(arrivals)
    return [times[first + calls] for first, end in _windows(times, window) if end - first > calls]


def fullest(arrivals: Iterable[float], window: float) -> int:
    """Return the most arrivals in any rolling window."""
    return max((end - first for first, end in _windows(sorted(arrivals), window)), default=0)


def _windows(times: Sequence[float], window: float) -> Iterator[tuple[int, int]]:
    """Yield each window that starts at an arrival: the index of this arrival, and that behind its last one.

    A window can be moved to the right until it starts at an arrival without losing one: no other counts more.
    """
    end = 0
    for first, start in enumerate(times):
        while end < len(times) and times[end] - start < window:  # a difference, as the judge takes it
            end += 1
        yield first, end
