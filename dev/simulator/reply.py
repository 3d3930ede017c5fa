"""What the simulator sends: an answer as bytes, and how they are sent."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dev.simulator.rules import Rejected


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Without a `status` nothing is sent. `pace` is the seconds between the bytes of a trickle."""

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    manner: str = "whole"  # or trickle, truncated, close, reset
    pace: float = 0.0


def json_reply(status: int, value: Any) -> Reply:
    """Return an answer with `value` as its body."""
    body = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
    return Reply(status, body, {"Content-Type": "application/json; charset=utf-8"})


def error_reply(rejected: Rejected, **more: Any) -> Reply:
    """Return an error in Defender's shape; `target` is the id to quote to Microsoft, and `more` comes in its place."""
    more = more or {"target": str(uuid.uuid4())}
    error = {"code": rejected.code, "message": rejected.message, **more}
    reply = json_reply(rejected.status, {"error": error})
    after = {} if rejected.retry_after is None else {"Retry-After": str(rejected.retry_after)}
    return replace(reply, headers={**reply.headers, **after}, code=rejected.code)
