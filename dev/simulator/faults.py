"""The switches of a running simulator: delays, known events, and the faults of answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Literal

from dev.simulator.reply import Reply, json_reply
from dev.stack.token_endpoint import Grant

_SHOW_ANSWER = ("slow", "trickle", "truncated")
_OF_HUNTING = ("quota", "resources")
_STATUS = {
    "status": 500, "html": 502, "foreign": 200, "empty": 200, "redirect": 302,
    "quota": 429, "resources": 429, **dict.fromkeys((*_SHOW_ANSWER, "reset", "hang"), 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: with the next `times` answers (None: all), or with those about a `title`.

    `title` is a pattern as of file names: `Drill*` strikes every title that begins so.

    ```
    kind        the caller meets
    status      the error `status` (500), in JSON as it should be; with `retry_after`
    html        a gateway's page with `status` (502)
    foreign     JSON of another service with `status` (200)
    empty       no body, with `status` (200)
    redirect    `status` (302) to the same URL
    reset       a connection reset
    hang        nothing, until the faults are switched again; then the connection is closed
    slow        the real answer, `delay` seconds late
    trickle     the real answer byte by byte, `delay` seconds apart
    truncated   the headers and half of the body of the real answer, then the connection is closed
    quota, resources    429 in Graph's words: too many calls, or too much work; on hunting only
    ```
    A call met by a fault is not processed, unless the caller sees (some of) the real answer or
    `after_processing` is set: then the alert is created and the answer lost.
    """

    kind: str
    on: Literal["alerts", "token", "hunting", "entity"] = "alerts"
    times: int | None = None
    title: str | None = None
    after_processing: bool = False
    status: int | None = None
    retry_after: int | str | None = None
    delay: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in _STATUS:
            raise ValueError(f"no such kind of fault: {self.kind!r}; there are {', '.join(_STATUS)}")
        only_hunting = self.kind in _OF_HUNTING and self.on != "hunting"
        if self.on not in {"alerts", "token", "hunting", "entity"} or only_hunting:
            raise ValueError(f"{self.kind!r} cannot strike on {self.on!r}")
        if not (self.times is None or self.times > 0) or self.delay < 0:
            raise ValueError("times and delay must be positive")
        if self.status is not None:
            HTTPStatus(self.status)

    def strikes(self, on: str, title: str | None) -> bool:
        """Say whether this fault is for such a call, leaving `times` aside."""
        return self.on == on and (self.title is None or fnmatchcase(title or "", self.title))

    @property
    def shows_answer(self) -> bool:
        """Whether the caller sees the real answer, or some of it."""
        return self.kind in _SHOW_ANSWER

    def bend(self, answer: Reply) -> Reply:
        """Return the part of the real answer that the caller sees."""
        return answer if self.kind == "slow" else replace(answer, manner=self.kind, pace=self.delay)

    def reply(self, fail: Callable[[int], Reply], location: str) -> Reply:
        """Return what the caller gets instead of the real answer. `fail` gives an error of this status."""
        status = self.status or _STATUS[self.kind]
        page = f"<!DOCTYPE html><html><body><h1>{status} from a gateway</h1></body></html>".encode()
        replies = {
            "reset": Reply(manner="reset"),
            "hang": Reply(manner="close"),
            "html": Reply(status, page, {"Content-Type": "text/html; charset=utf-8"}),
            "foreign": json_reply(status, {"message": "Hello", "result": {"ok": True}}),
            "redirect": Reply(status, headers={"Location": location}),
            "empty": Reply(status),
        }
        reply = replies.get(self.kind) or fail(status)
        if self.retry_after is None:
            return reply
        return replace(reply, headers={**reply.headers, "Retry-After": str(self.retry_after)})

    def alter(self, grant: Grant) -> Grant:
        """Return the claims of the token: as they are, unless a kind of fault changes them."""
        return grant


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
