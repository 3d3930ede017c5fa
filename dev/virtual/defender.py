"""Defender in simulated time: it answers as a test says, and records every call."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dev.virtual.world import World
from shared.clients import answer as answers
from shared.clients.answer import Answer
from shared.clients.call import Failure, Response


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call as Defender saw it: when (true time, UTC seconds), and its body."""

    at: float
    body: Mapping[str, str]


@dataclass
class Defender:
    """Answers each call with what `says` returns for it (None: never), and records all calls.

    `says` gets how often this alert was called before, and its body. Without it every alert is created.
    """

    world: World
    says: Callable[[int, Mapping[str, str]], Answer | None] = lambda _, __: answer_with(200)
    arrivals: list[Arrival] = field(default_factory=list)

    def __call__(self, body: Mapping[str, str]) -> Answer | None:
        """Take one call."""
        before = len(self.calls(body["title"]))
        self.arrivals.append(Arrival(self.world.now, body))
        return self.says(before, body)

    def calls(self, title: str) -> list[Arrival]:
        """Return the calls for alerts of this title."""
        return [arrival for arrival in self.arrivals if arrival.body["title"] == title]


def answer_with(status: int, *, retry_after: float | None = None, raw: bytes | None = None) -> Answer:
    """Return the result of Defender's client for an answer; `raw` is its body, else one in Defender's form."""
    if raw is None:
        error = {"code": f"Code{status}", "message": f"It is {status}.", "target": "43f4cb08"}
        created = {"id": f"da{status}", "status": "New"}
        raw = json.dumps(created if status < 300 else {"error": error}).encode()  # noqa: PLR2004 - HTTP's classes
    answer = answers.read(Response(status, {}, raw, None, sent=True, seconds=0.5), {})
    return replace(answer, retry_after=retry_after)


def nothing(*, sent: bool) -> Answer:
    """Return the client's result without an answer; `sent` is whether the request left."""
    failure = Failure("Timeout" if sent else "NoConnection", "No answer from Defender.")
    return answers.read(Response(None, {}, None, failure, sent, 30.0 if sent else 0.0), {})
