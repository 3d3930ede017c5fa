"""The faults of answers: Defender's, or the token endpoint's."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Literal

from dev.simulator.reply import Reply, json_reply
from dev.stack.token_endpoint import Grant

_SHOW_ANSWER = ("slow", "trickle", "truncated", "altered")
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
    altered     the real answer's JSON, or the token of the real claims, as `change` returns it
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
    as_date: bool = False
    delay: float = 0.0
    change: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if self.kind not in _STATUS:
            raise ValueError(f"no such kind of fault: {self.kind!r}; there are {', '.join(_STATUS)}")
        only_hunting = self.kind in _OF_HUNTING and self.on != "hunting"
        if self.on not in {"alerts", "token", "hunting", "entity"} or only_hunting:
            raise ValueError(f"{self.kind!r} cannot strike on {self.on!r}")
        if (self.kind == "altered") != callable(self.change):
            raise ValueError("'altered' needs a change, and no other kind has one")
        if not (self.times is None or self.times > 0) or self.delay < 0:
            raise ValueError("times and delay must be positive")
        if self.status is not None:
            HTTPStatus(self.status)
        if self.as_date and not isinstance(self.retry_after, int):
            raise ValueError(f"as_date needs retry_after in seconds, not {self.retry_after!r}")

    def strikes(self, on: str, title: str | None) -> bool:
        """Say whether this fault is for such a call, leaving `times` aside."""
        return self.on == on and (self.title is None or fnmatchcase(title or "", self.title))

    @property
    def shows_answer(self) -> bool:
        """Whether the caller sees the real answer, or some of it."""
        return self.kind in _SHOW_ANSWER

    def bend(self, answer: Reply) -> Reply:
        """Return the part of the real answer that the caller sees."""
        match self.kind:
            case "trickle":
                return replace(answer, manner="trickle", pace=self.delay)
            case "truncated":
                return replace(answer, manner="truncated")
            case "altered" if (
                self.change and self.on != "token" and answer.status in (HTTPStatus.OK, HTTPStatus.CREATED)
            ):
                return json_reply(answer.status, self.change(json.loads(answer.body)))
            case _:
                return answer

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
        """Return the claims of the token."""
        return self.change(grant) if self.change else grant
