"""Defender in simulated time: it creates every alert, and records every call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dev.virtual.world import World
from shared.clients import answer as answers
from shared.clients.answer import Answer
from shared.clients.call import Response


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call as Defender saw it: when (true time, UTC seconds), and its body."""

    at: float
    body: Mapping[str, str]


@dataclass
class Defender:
    """Creates every alert, and records all calls."""

    world: World
    arrivals: list[Arrival] = field(default_factory=list, kw_only=True)

    def __call__(self, body: Mapping[str, str]) -> Answer | None:
        """Take one call."""
        self.arrivals.append(Arrival(self.world.now, body))
        return alert_created()


def alert_created() -> Answer:
    """Return what Defender's client makes of the answer about a new alert."""
    raw = json.dumps({"id": "da200", "status": "New"}).encode()
    return answers.read(Response(200, {}, raw, None, sent=True, seconds=0.5), {})
