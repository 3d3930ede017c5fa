"""Dispatchers of many hosts that wait for the same slots."""

import math
import random
from dataclasses import dataclass

from shared.sending.outcome import Clocks

_APART_SECONDS = 8.0


@dataclass(slots=True)
class Crowd:
    """Whether this host is one of those that had a slot lately; `acquired` is when (monotonic seconds).

    Two hundred hosts that wake at the moment in which a slot opens ask for more than a partition has, and nearly all
    find it taken. So those that had a slot wake at once, and the others a little later, each at a moment of its own:
    nobody waits for a host that is gone.
    """

    acquired: float = -math.inf

    def keep_apart(self, clocks: Clocks, chance: random.Random, lately: float, until: float) -> None:
        """Let some time pass, at most until `until`, unless this host had a slot in the last `lately` seconds."""
        now = clocks.monotonic()
        if now > self.acquired + lately:
            clocks.sleep(max(0.0, min(chance.uniform(0, _APART_SECONDS), until - now)))
