"""The HTTP contract, `openapi.json`, as it is served: with the address of the request."""

import functools
import json
from pathlib import Path
from typing import Any

from shared.web import reply
from shared.web.reply import Reply

_DEFINITION = Path(__file__).with_suffix(".json")


def answer(origin: str) -> Reply:
    """Answer with the OpenAPI 3.1 document; `origin` is the scheme and host of the request."""
    return reply.of(200, {**_definition(), "servers": [{"url": origin}]})


@functools.cache
def _definition() -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(_DEFINITION.read_text("utf-8"))
    return definition
