"""What can be switched on the simulator while it runs: delays, known events, and what goes wrong."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Literal

from dev.simulator.reply import Reply, json_reply
from dev.stack import token_endpoint
from dev.stack.token_endpoint import Grant

Delay = float | tuple[float, float]
"""Seconds: always the same, or drawn between two bounds."""

TOKEN_FAULTS = ("wrong-audience", "no-role", "other-tenant", "expires")
_STATUS = {
    "status": 500, "html": 502, "foreign": 200, "empty": 200, "redirect": 302,
    **dict.fromkeys(("slow", "trickle", "truncated", "reset", "hang", *TOKEN_FAULTS), 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: with the next `times` answers (None: all), or with those about a `title`.

    `title` is a pattern as of file names: `Drill*` strikes every title that begins so.

    ```
    kind        the caller meets
    status      the error `status` (500), in JSON as it should be; with `retry_after` as seconds or `as_date`
    html        a gateway's page with `status` (502)
    foreign     JSON of another service with `status` (200)
    empty       no body, with `status` (200)
    redirect    `status` (302) to the same URL
    reset       a connection reset
    hang        nothing, until the faults are switched again; then the connection is closed
    slow        the real answer, `delay` seconds late
    trickle     the real answer byte by byte, `delay` seconds apart
    truncated   the headers and half of the body of the real answer, then the connection is closed
    wrong-audience, no-role, other-tenant, expires (in `lifetime` seconds, which may be negative):
                such a token; on the token endpoint only
    ```
    A call met by a fault is not processed, unless the caller sees (some of) the real answer or
    `after_processing` is set: then the alert is created and the answer lost.
    """

    kind: str
    on: Literal["alerts", "token"] = "alerts"
    times: int | None = None
    title: str | None = None
    after_processing: bool = False
    status: int | None = None
    retry_after: int | str | None = None
    as_date: bool = False
    delay: float = 0.0
    lifetime: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _STATUS:
            raise ValueError(f"no such kind of fault: {self.kind!r}; there are {', '.join(_STATUS)}")
        if self.on not in {"alerts", "token"} or (self.kind in TOKEN_FAULTS and self.on != "token"):
            raise ValueError(f"{self.kind!r} cannot strike on {self.on!r}")
        if not (self.times is None or self.times > 0) or self.delay < 0:
            raise ValueError("times and delay must be positive")
        if self.status is not None:
            HTTPStatus(self.status)
        if self.as_date and not isinstance(self.retry_after, int):
            raise ValueError(f"as_date needs retry_after in seconds, not {self.retry_after!r}")

    def strikes(self, on: str, title: str | None) -> bool:
        """Say whether this fault is for such a call, leaving `times` aside."""
        return self.on == on and (self.title is None or fnmatchcase(title or "", self.title))

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
        until = math.ceil(time.time() + float(self.retry_after)) if self.as_date else None
        after = formatdate(until, usegmt=True) if until else str(self.retry_after)
        return replace(reply, headers={**reply.headers, "Retry-After": after})

    def alter(self, grant: Grant) -> Grant:
        """Return what the token shall say."""
        changes: dict[str, dict[str, Any]] = {
            "wrong-audience": {"audience": "https://graph.microsoft.com"},
            "no-role": {"roles": ()},
            "other-tenant": {"tenant": token_endpoint.OTHER_TENANT},
            "expires": {"lifetime": self.lifetime},
        }
        return replace(grant, **changes.get(self.kind, {}))


@dataclass(frozen=True, slots=True)
class Switches:
    """What can be changed while the simulator runs. The first fault of the list that strikes counts."""

    latency: Delay = 0.0
    transit: Delay = 0.0
    known_events: Literal["registered", "all"] = "registered"
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
                rest = (*self.faults[:index], *left, *self.faults[index + 1 :])
                return fault, replace(self, faults=rest)
        return None, self


def bounds(delay: Delay) -> tuple[float, float]:
    """Return the lowest and the highest that a delay can be, in seconds."""
    return delay if isinstance(delay, tuple) else (delay, delay)
