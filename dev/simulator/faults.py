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
from dev.stack import token_endpoint
from dev.stack.token_endpoint import Grant

TOKEN_FAULTS = ("wrong-audience", "no-role", "other-tenant", "expires")
ELSEWHERE = "e15e" * 10
"""The device of an alert that is about another one."""
DEEP = 984
"""Levels: where little else is on the stack, Python's parser takes them, and its writer does not."""
HUNTING_FAULTS = ("quota", "resources", "huge", "types", "casing")
HUGE = 50 << 20
"""Bytes of an answer that is as large as Graph lets one be."""
_SHOW_ANSWER = ("slow", "trickle", "truncated", "elsewhere", "deep", "huge", "types", "casing")
_STATUS = {
    "status": 500, "html": 502, "foreign": 200, "empty": 200, "redirect": 302,
    "quota": 429, "resources": 429, **dict.fromkeys((*_SHOW_ANSWER, "reset", "hang", *TOKEN_FAULTS), 0),
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
    elsewhere   the real alert, but about another device than the one that was sent
    deep        the real alert, with a member that nests so deep that a parser may give up
    wrong-audience, no-role, other-tenant, expires (in `lifetime` seconds, which may be negative):
                such a token; on the token endpoint only
    quota, resources    429 in Graph's words: too many calls, or too much work; these and the next on hunting only
    huge        the real answer, with one more member that makes it as large as Graph lets one be
    types       the real answer, but numbers that are rounded, where text should be
    casing      the real answer, with names that begin in small letters and annotations beside them
    ```
    A call met by a fault is not processed, unless the caller sees (some of) the real answer or
    `after_processing` is set: then the alert is created and the answer lost.
    """

    kind: str
    on: Literal["alerts", "token", "hunting"] = "alerts"
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
        only = dict.fromkeys(TOKEN_FAULTS, "token") | dict.fromkeys(HUNTING_FAULTS, "hunting")
        if self.on not in {"alerts", "token", "hunting"} or self.on != only.get(self.kind, self.on):
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
            case "elsewhere" if answer.status == HTTPStatus.OK:
                return json_reply(200, json.loads(answer.body) | {"machineId": ELSEWHERE})
            case "deep" if answer.status == HTTPStatus.OK:
                nested = b', "additionalData": ' + b"[" * DEEP + b"]" * DEEP + b"}"
                return replace(answer, body=answer.body.removesuffix(b"}") + nested)
            case "huge" | "types" | "casing" if answer.status == HTTPStatus.OK:
                return json_reply(200, _SPOILED[self.kind](json.loads(answer.body)))
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
        changes: dict[str, dict[str, Any]] = {
            "wrong-audience": {
                "audience": (
                    {token_endpoint.AUDIENCE, token_endpoint.GRAPH_AUDIENCE} - {grant.audience}
                ).pop()
            },
            "no-role": {"roles": ()},
            "other-tenant": {"tenant": token_endpoint.OTHER_TENANT},
            "expires": {"lifetime": self.lifetime},
        }
        return replace(grant, **changes.get(self.kind, {}))


def _rounded(document: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in which report ids are numbers that a JavaScript client has rounded."""
    results = [row | {"ReportId": 1.5e300} for row in document["results"]]
    return document | {"results": results}


def _in_small_letters(document: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose names begin in small letters, with an annotation beside each value."""
    results = [
        {
            key: value
            for name, text in row.items()
            for key, value in ((f"{_small(name)}@odata.type", "#String"), (_small(name), text))
        }
        for row in document["results"]
    ]
    return {"Schema": [{"Name": "x", "Type": "String"}], "Results": results}


def _large(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"padding": "x" * HUGE}


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


_SPOILED = {"huge": _large, "types": _rounded, "casing": _in_small_letters}
