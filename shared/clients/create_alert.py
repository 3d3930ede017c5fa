"""The call to Microsoft Graph's `createAlert` (beta), and what each of its answers means.

https://learn.microsoft.com/graph/api/security-alert-post-manualalert?view=graph-rest-beta

The API merges nothing: made twice, a call makes two alerts and two incidents. So an answer that does not say for
certain that nothing was created is `unknown`, and such a call is never made again by itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from shared.clients import address, answer, words
from shared.clients.call import Response
from shared.clients.service import Service

Kind = Literal["created", "rejected", "forbidden", "throttled", "unavailable", "unknown"]

THREAD_NAME = "create-alert-call"
ROLE = "SecurityAlert.Create.All"
GRANT = "infra/grant-defender-role.sh --entity-alerts IDENTITY"
UNKNOWN = "AnswerUnknown"

_PATH = "/beta/security/alerts_v2/createAlert"
_ANSWER_BYTES = 1 << 20
_MESSAGE_CHARACTERS, _CODE_CHARACTERS, _MEMBER_CHARACTERS = 8_000, 200, 1_000
_PAUSE_SECONDS = 60
_SUCCESS, _REDIRECT, _CALLERS_ERROR = 2, 3, 4  # the hundreds of a status

_FORBIDDEN = (
    f"The app's identity lacks the application role {ROLE} of Microsoft Graph: run `{GRANT}` with the identity's"
    " client id for IDENTITY, and expect up to 24 hours until the platform renews its token."
)
_UNAUTHORIZED = "Graph does not accept the token: check GRAPH_TOKEN_SCOPE against GRAPH_API_URL."
_NOT_GRAPH = "not in Graph's form: check GRAPH_API_URL, and any proxy on the way."
_LOOK = (
    "Whether an alert was created is not known, and the call is not made again by itself, because it could create"
    " a second one. Look in the Defender portal for an alert with this title; only if there is none, replay it."
)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one call.

    ```
    kind         created      `alert` has what Graph said of it: id, incidentId, alertWebUrl
                 rejected     Graph does not create this alert; another one may work
                 forbidden    the token does not open it
                 throttled    too many calls: none before `wait` seconds have passed
                 unavailable  nothing was created for certain: the same may work later
                 unknown      an alert may have been created: never the same again by itself
    status       HTTP status; None when no answer began
    error        {status, code, message, target} unless created, in Graph's words where it has some; `target` is the
                 id of the request, to be quoted to Microsoft. Never a token. The code of an unknown one is UNKNOWN.
    seconds      the call took, by the monotonic clock
    sent         at least one byte of the request may have left this machine
    ```
    """

    kind: Kind
    status: int | None
    seconds: float
    sent: bool
    alert: Mapping[str, str] | None = None
    error: Mapping[str, Any] | None = None
    wait: float | None = None

    def log_fields(self) -> dict[str, str | int | None]:
        """Return its fields of a log line."""
        return {
            "answer": self.kind,
            "status": self.status,
            "code": (self.error or {}).get("code"),
            "milliseconds": round(self.seconds * 1000),
        }


class CreateAlert:
    """Makes the calls; shared by up to 32 threads.

    `url` is Graph's base (`GRAPH_API_URL`). A token goes there: https or loopback, else SettingsError.
    `deadline` bounds a whole call, in seconds. `edges` are those of `Service`.
    """

    def __init__(self, url: str, *, deadline: float, **edges: Any) -> None:
        address.check(url, "GRAPH_API_URL")
        self._service = Service(
            "Microsoft Graph",
            url.rstrip("/") + _PATH,
            thread=THREAD_NAME,
            deadline=deadline,
            most_bytes=_ANSWER_BYTES,
            **edges,
        )

    def create(self, alert_input: Mapping[str, Any], token: str) -> Result:
        """Create an alert. Return by the deadline, and never raise for network errors."""
        return read(self._service.post(json.dumps({"createAlertInput": alert_input}).encode(), token))

    def close(self) -> None:
        """Close the open connections."""
        self._service.close()


def read(response: Response) -> Result:
    """Return what a response means."""
    raw, status, seconds, sent = response.body or b"", response.status, response.seconds, response.sent
    document = words.document(raw)
    if (status or 0) // 100 == _SUCCESS and (alert := _alert(document)):
        return Result("created", status, seconds, sent, alert=alert)
    of_graph = words.member(document, "error")
    code = words.text(words.member(of_graph, "code"), _CODE_CHARACTERS)
    kind = _kind(response, code)
    text = words.text(words.member(of_graph, "message"), _MESSAGE_CHARACTERS)
    text = text or words.text(raw.decode(errors="replace"), _MESSAGE_CHARACTERS)
    if response.failure:
        code, text = response.failure.code, response.failure.message
    wait = None
    if kind == "throttled":
        wait = answer.retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
        wait = _PAUSE_SECONDS if wait is None else wait
    target = words.text(words.member(words.member(of_graph, "innerError"), "request-id"), _CODE_CHARACTERS)
    error = {
        "status": status,
        "code": UNKNOWN if kind == "unknown" else code or "NotGraph",
        "message": _message(kind, status or 0, code, text),
        "target": target or None,
    }
    return Result(kind, status, seconds, sent, error=error, wait=wait)


def _kind(response: Response, code: str) -> Kind:
    """Return the kind of an answer without an alert; `code` is "" if it is not in Graph's form."""
    status = response.status or 0
    if response.failure and not response.sent:
        return "unavailable"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "throttled"
    if status // 100 == _REDIRECT:  # which is not followed
        return "unavailable"
    if status // 100 != _CALLERS_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return "unknown"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and code:
        return "forbidden"
    return "rejected" if code else "unavailable"


def _message(kind: Kind, status: int, code: str, said: str) -> str:
    """Return what went wrong, for an operator: what to do, and Graph's words."""
    if not status:
        return f"{said} {_LOOK}" if kind == "unknown" else said
    head = f"HTTP {status}: {code} {said}".rstrip(": ")
    if kind == "unknown":
        without = "The answer has no id of an alert. " if status // 100 == _SUCCESS else ""
        return f"{without}{_LOOK} Graph's words: {head}"
    if kind == "forbidden":
        advice = _FORBIDDEN if status == HTTPStatus.FORBIDDEN else _UNAUTHORIZED
        return f"{advice} Graph's words: {head}"
    if kind == "unavailable":
        return f"HTTP {status}, {_NOT_GRAPH} It said: {said}"
    return said or head


def _alert(document: object) -> dict[str, str]:
    """Return what Graph says of the alert it created, empty if it names no id."""
    members = {name: words.member(document, name) for name in ("id", "incidentId", "alertWebUrl")}
    alert = {
        name: str(value)[:_MEMBER_CHARACTERS]
        for name, value in members.items()
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).isprintable()
    }
    if not alert.get("alertWebUrl", "").startswith("https://"):
        alert.pop("alertWebUrl", None)
    return alert if alert.get("id", "").strip() else {}
