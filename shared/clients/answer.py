"""What Defender's answer to `CreateAlertByReference` means for the alert that was sent."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal

from shared.clients.call import Response

Kind = Literal["created", "rejected", "not_found", "unavailable"]

_MESSAGE_CHARACTERS, _WORD_CHARACTERS = 1000, 200
_RETRY_AFTER_SECONDS = 600
_MERGED_SECONDS = 5  # see `is_merged`
_LEVELS = 16  # of an alert object that are stored: Defender's own has four
_SUCCESS, _REDIRECT, _CALLERS_ERROR = 2, 3, 4  # the hundreds of a status
_LOWER = {"High": ("Medium", "Low", "Informational"), "Medium": ("Low", "Informational")}
_TRY_AGAIN = frozenset({401, 403, 408, 429})  # the 4xx that say nothing about this alert


@dataclass(frozen=True, slots=True)
class Answer:
    """Defender's answer to one call, or why there is none.

    ```
    kind         what it means for the alert
    status       HTTP status; None when no answer began
    alert        Defender's alert object, only when created
    merged       the alert was there before: its `alertCreationTime` is more than 5 s older than the call,
                 by the answer's own `Date`
    error        {status, code, message, target} in Defender's words, cut to a sane length; else in ours, with a code
                 of Timeout, NoConnection, ConnectionLost, Redirect, TooLarge, NoAlert or NotDefender
    retry_after  whole seconds, rounded up, at most 600; None when Defender named none
    sent         at least one byte of the request may have left this machine
    answered     the head of an answer came back, so the request surely arrived
    seconds      the call took, by the monotonic clock
    differs      what Defender's alert says otherwise than the one that was sent: a note by the field's name
    ```
    """

    kind: Kind
    status: int | None
    alert: dict[str, Any] | None
    merged: bool
    error: dict[str, Any] | None
    retry_after: float | None
    sent: bool
    answered: bool
    seconds: float
    differs: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> "Answer":
        """Return the answer without Defender's own words: its kind, its status, and an id that is text."""
        made = (self.alert or {}).get("id")
        alert = {"id": made[:200]} if isinstance(made, str) else {}
        error = None if self.kind == "created" else {"status": self.status}
        return replace(self, alert=alert if self.kind == "created" else None, error=error)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the sender about differences from the alert that was sent."""
        return tuple(f"{name}: {note}" for name, note in self.differs.items())

    @property
    def may_have_created(self) -> bool:
        """Whether it is a success without an alert: each further call may create another one."""
        return self.kind == "unavailable" and shows_no_alert(self.status, (self.error or {}).get("code"))

    def log_fields(self) -> dict[str, str | int | None]:
        """Return its fields of a log line."""
        return {
            "answer": self.kind,
            "status": self.status,
            "code": (self.error or {}).get("code"),
            "milliseconds": round(self.seconds * 1000),
            "differs": ", ".join(self.differs) or None,
        }


def read(response: Response, sent: Mapping[str, str]) -> Answer:
    """Return what a response to a call means; `sent` are the fields of its alert."""
    date = response.headers.get("Date")
    kind, alert, error = _meaning(response)
    merged = alert is not None and is_merged(alert, date, response.seconds)
    return Answer(
        kind=kind,
        status=response.status,
        alert=alert,
        merged=merged,
        error=error,
        retry_after=retry_after(response.headers.get("Retry-After"), date),
        sent=response.sent,
        answered=response.status is not None,
        seconds=response.seconds,
        differs=_differences(alert, sent) if alert else {},
    )


def shows_no_alert(status: int | None, code: str | None) -> bool:
    """Tell whether an answer with this status and error code was a success without a readable alert."""
    return (status or 0) // 100 == _SUCCESS and code in ("NoAlert", "TooLarge")


def _differences(alert: Mapping[str, Any], sent: Mapping[str, str]) -> dict[str, str]:
    """Return the fields in which Defender's alert differs from the one that was sent."""
    differs = {}
    device, severity = str(alert.get("machineId") or ""), alert.get("severity")
    if device and device.lower() != sent.get("machineId", device).lower():
        differs["machineId"] = (
            f"Defender's alert is about the device {_cut(device, _WORD_CHARACTERS)!r},"
            " not about the one that was sent: check in Defender which of them it concerns."
        )
    if severity in _LOWER.get(sent.get("severity", ""), ()):
        differs["severity"] = (
            f"Defender's alert has the severity {severity}, which is lower than the one sent:"
            " it was merged into one that was open already; raise that one's severity in Defender."
        )
    return differs


def _meaning(response: Response) -> tuple[Kind, dict[str, Any] | None, dict[str, Any] | None]:
    """Return the kind of an answer, the alert of a created one, and the error of any other."""
    status = response.status or 0
    if response.failure:
        return "unavailable", None, _ours(response.status, response.failure.code, response.failure.message)
    raw = response.body or b""
    kind, document = judge(status, raw)
    if kind == "created":
        return kind, document, None
    if document:
        return kind, None, document
    if status // 100 == _REDIRECT:
        message = f"HTTP {status}: redirects are not followed, check DEFENDER_API_URL."
        return kind, None, _ours(status, "Redirect", message)
    if status // 100 == _SUCCESS and (not raw.strip() or _nests_too_deep(raw)):
        what = "an alert that nests too deep to be read" if raw.strip() else "no alert"
        message = (
            f"HTTP {status}, which is a success, with {what}: whether an alert was created is not known."
        )
        return kind, None, _ours(status, "NoAlert", message)
    message = f"HTTP {status}, but not in Defender's form: see DEFENDER_API_URL."
    return kind, None, _ours(status, "NotDefender", message)


def _ours(status: int | None, code: str, message: str) -> dict[str, Any]:
    return {"status": status, "code": code, "message": message, "target": None}


def judge(status: int, raw: bytes) -> tuple[Kind, dict[str, Any]]:
    """Return what an answer means, with Defender's alert or error; empty when it is not Defender's.

    It is Defender's if it is a JSON object with an `id` and a 2xx, or with an `error.code`.
    """
    document = _json(raw)
    if status // 100 == _SUCCESS and _is_text(document.get("id")):
        return "created", _shallow(document, _LEVELS)
    error = document.get("error")
    if not isinstance(error, dict) or not _is_text(error.get("code")):
        return "unavailable", {}
    kind: Kind = "unavailable"
    if status == HTTPStatus.NOT_FOUND:
        kind = "not_found"
    elif status // 100 == _CALLERS_ERROR and status not in _TRY_AGAIN:
        kind = "rejected"
    return kind, {
        "status": status,
        "code": _cut(error["code"], _WORD_CHARACTERS),
        "message": _cut(error.get("message"), _MESSAGE_CHARACTERS),
        "target": _cut(error.get("target"), _WORD_CHARACTERS),
    }


def _json(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in `raw`, empty if there is none."""
    try:
        document = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _nests_too_deep(raw: bytes) -> bool:
    """Tell whether `raw` nests too deep for the parser."""
    try:
        json.loads(raw)
    except RecursionError:
        return True
    except ValueError:
        return False
    return False


def _shallow(value: Any, levels: int) -> Any:
    """Return a JSON value that can be stored and shown: limited in depth, without NaN and Infinity."""
    if isinstance(value, float) and not math.isfinite(value):  # 1e999
        return None
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return "…"
    if isinstance(value, dict):
        return {name: _shallow(member, levels - 1) for name, member in value.items()}
    return [_shallow(item, levels - 1) for item in value]


def _no_constant(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def is_merged(alert: Mapping[str, Any], date: str | None, seconds: float) -> bool:
    """Tell whether `alert` existed before the call, which took `seconds` and was answered at `date`.

    An alert of our own can be as old as the call, plus 5 s: `date` has whole seconds, by another clock.
    Two alerts closer than that cannot be told apart, and count as not merged.
    """
    answered = _moment(date)
    try:
        created = datetime.fromisoformat(alert["alertCreationTime"])
    except (KeyError, TypeError, ValueError):
        return False
    created = created if created.tzinfo else created.replace(tzinfo=UTC)
    return answered is not None and (answered - created).total_seconds() > seconds + _MERGED_SECONDS


def retry_after(value: str | None, date: str | None) -> float | None:
    """Return a `Retry-After` (RFC 9110, 10.2.3) in whole seconds, 0 to 600; None if missing or unreadable.

    An HTTP-date counts from the answer's own `date`, so that our clock does not matter.
    """
    try:
        seconds = float(value or "")
    except ValueError:
        until, answered = _moment(value), _moment(date)
        if until is None or answered is None:
            return None
        seconds = (until - answered).total_seconds()
    if math.isnan(seconds):
        return None
    return float(math.ceil(min(max(seconds, 0), _RETRY_AFTER_SECONDS)))


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _cut(value: object, characters: int) -> str | None:
    if value is None:
        return None
    text = str(_shallow(value, _LEVELS))
    return text if len(text) <= characters else text[: characters - 1] + "…"
