"""An HTTP answer without Azure's types: status, headers, body. Errors become problem documents."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from shared import log
from shared.errors import CONTENT_TYPE as PROBLEM
from shared.errors import SettingsError, TableError, WebhookError

JSON = "application/json"
TEXT = "text/plain"
_ORIGIN = re.compile(
    r"[A-Za-z0-9.*:/_-]{1,255}"
)  # a host name, as the specification asks; nothing else is echoed


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `body` is JSON text, or the plain text of an echo; `headers` without the content type."""

    status: int
    body: str = ""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def of(status: int, document: Any, *, content_type: str = JSON, **headers: str) -> Reply:
    """Return a JSON answer; header names are given with underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(document, ensure_ascii=False) + "\n"  # for who reads it on a terminal
    # Half of a surrogate pair, from whoever sent it, stays the escape that it was in their JSON.
    return Reply(status, body.encode("utf-8", "backslashreplace").decode(), content_type, named)


def of_error(error: WebhookError, *, status: int | None = None) -> Reply:
    """Return the problem document of an error; `status` replaces its own where a sender needs another."""
    retry = {} if error.retry_after is None else {"Retry_After": str(error.retry_after)}
    return of(status or error.status, error.document(status), content_type=PROBLEM, **retry)


def handshake(origin: str | None) -> Reply:
    """Answer the `OPTIONS` by which CloudEvents senders ask whether they may post here, and how often.

    Source: CloudEvents 1.0, HTTP 1.1 Web Hooks for Event Delivery, section 4. We queue, so any rate will do.
    """
    named = origin is not None and _ORIGIN.fullmatch(origin)
    allowed = {"WebHook-Allowed-Origin": str(origin), "WebHook-Allowed-Rate": "*"} if named else {}
    return Reply(200, headers={"Allow": "POST, OPTIONS", **allowed})


def echo(token: str) -> Reply:
    """Answer the POST by which Microsoft Graph validates a subscription's URL: with its token, as plain text."""
    text = token.encode("utf-8", "replace").decode()
    return Reply(200, text, TEXT, {"X-Content-Type-Options": "nosniff"})


def origin(url: str) -> str:
    """Return the scheme and host of an absolute URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def guarded(use_case: Callable[[], Reply]) -> Reply:
    """Run a use case; every error becomes a problem document without internals."""
    try:
        return use_case()
    except SettingsError as error:
        log.problem("settings", error)
        return of_error(error)
    except TableError as error:
        log.problem("table", error, type=error.slug)
        return of_error(error)
    except WebhookError as error:
        return of_error(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: nothing internal may reach the sender
        log.unforeseen(error)
        return of_error(WebhookError("An unexpected error; the log of the function app has it. Try again."))
