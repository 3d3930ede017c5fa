"""What can be switched on the simulator while it runs: delays, known events, and what goes wrong."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Literal

from dev.stack import token_endpoint
from dev.stack.token_endpoint import Grant

Delay = float | tuple[float, float]
"""Seconds: always the same, or drawn between two bounds."""

TOKEN_FAULTS = ("wrong-audience", "no-role", "other-tenant", "expires")
FAULT_STATUS = {
    "status": 500, "html": 502, "foreign": 200, "empty": 200, "redirect": 302,
    **dict.fromkeys(("slow", "trickle", "truncated", "reset", "hang", *TOKEN_FAULTS), 0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong: with the next `times` answers (None: all), a `fraction`, or those about a `title`.

    `title` is a pattern as of file names: `Drill*` strikes every title that begins so.

    ```
    kind        the caller meets
    status      the error `status` (500), in JSON as it should be; with `retry_after` as seconds or `as_date`
    html        a gateway's page with `status` (502)
    foreign     JSON of somebody else with `status` (200)
    empty       no body, with `status` (200)
    redirect    `status` (302) to `location` (the same URL)
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
    fraction: float = 1.0
    title: str | None = None
    after_processing: bool = False
    status: int | None = None
    retry_after: int | str | None = None
    as_date: bool = False
    location: str | None = None
    delay: float = 0.0
    lifetime: int = 0

    def __post_init__(self) -> None:
        if self.kind not in FAULT_STATUS:
            raise ValueError(f"no such kind of fault: {self.kind!r}; there are {', '.join(FAULT_STATUS)}")
        if self.on not in {"alerts", "token"} or (self.kind in TOKEN_FAULTS and self.on != "token"):
            raise ValueError(f"{self.kind!r} cannot strike on {self.on!r}")
        if not (self.times is None or self.times > 0) or not 0 < self.fraction <= 1 or self.delay < 0:
            raise ValueError("times and delay must be positive, fraction above 0 and at most 1")
        if self.status is not None:
            HTTPStatus(self.status)
        if self.as_date and not isinstance(self.retry_after, int):
            raise ValueError(f"as_date needs retry_after in seconds, not {self.retry_after!r}")

    def strikes(self, on: str, title: str | None) -> bool:
        """Tell whether this fault is for such a call, leaving `times` and `fraction` aside."""
        return self.on == on and (self.title is None or fnmatchcase(title or "", self.title))


@dataclass(frozen=True, slots=True)
class Switches:
    """What can be changed while the simulator runs. The first fault of the list that strikes is the one."""

    latency: Delay = 0.0
    transit: Delay = 0.0
    known_events: Literal["registered", "all"] = "registered"
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for low, high in (bounds(self.latency), bounds(self.transit)):
            if not 0 <= low <= high:
                raise ValueError(
                    f"a delay is a number of seconds or a lower and an upper one, not {low}, {high}"
                )
        if self.known_events not in {"registered", "all"}:
            raise ValueError(f"known_events is 'registered' or 'all', not {self.known_events!r}")


def alter(grant: Grant, fault: Fault | None) -> Grant:
    """Return what the token shall say, as the fault wants it."""
    match fault:
        case Fault(kind="wrong-audience"):
            return replace(grant, audience="https://graph.microsoft.com")
        case Fault(kind="no-role"):
            return replace(grant, roles=())
        case Fault(kind="other-tenant"):
            return replace(grant, tenant=token_endpoint.OTHER_TENANT)
        case Fault(kind="expires"):
            return replace(grant, lifetime=fault.lifetime)
        case _:
            return grant


def bounds(delay: Delay) -> tuple[float, float]:
    """Return the lowest and the highest that a delay can be, in seconds."""
    return delay if isinstance(delay, tuple) else (delay, delay)
