"""Everything that can go wrong on our side of the wire, and how it is told (RFC 9457).

WebhookError                    status  type
├── PayloadError                400     not-json      the bytes are no JSON we can read
│   └── PayloadTooLarge         413     too-large
├── UnmappedError               422     unmapped      no event became an alert
├── RequestError                400     bad-request   a query parameter is wrong
├── NotFound                    404     not-found
├── StorageOut                  503     storage-out   the table does not answer
├── TokenError                  503     no-token      the identity gave no token
├── Unreadable                  500     unreadable    a row of the table that none of us can have written
└── SettingsError               500     settings      the app is configured wrongly
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

_TYPE_BASE = "urn:defender-alert-webhook:problem:"
CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field: names the field, what was found and what to do."""

    field: str
    detail: str

    def render(self) -> dict[str, str]:
        """Return the shape used inside `problems` of a delivery and of a problem document."""
        return {"field": self.field, "detail": self.detail}


class WebhookError(Exception):
    """An error that knows its HTTP status, its problem type and what the reader can do about it.

    `detail` is shown to the sender: never put a token, a key, a connection string or a stack trace in it.
    `extensions` are further members of the problem document; `retry_after` is in whole seconds. `status` replaces
    the HTTP status of its kind, where a sender would do the wrong thing with that.
    """

    status: int = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"
    again: ClassVar[int | None] = None
    """`retry_after` where an error of this kind does not say."""

    def __init__(
        self,
        detail: str,
        *,
        extensions: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status or self.status
        self.detail = detail
        self.extensions = dict(extensions or {})
        self.retry_after = self.again if retry_after is None else retry_after

    def document(self, status: int | None = None) -> dict[str, Any]:
        """Return the problem document (RFC 9457). `status` replaces our own where a sender needs another."""
        return {
            "type": _TYPE_BASE + self.slug,
            "title": self.title,
            "status": status or self.status,
            "detail": self.detail,
            **self.extensions,
        }


class PayloadError(WebhookError):
    """The body is not JSON, or not in an encoding we can read."""

    status = 400
    slug = "not-json"
    title = "The body is not JSON"


class PayloadTooLarge(PayloadError):
    """The body is larger than `MAX_PAYLOAD_BYTES`, or carries more than `MAX_ALERTS_PER_DELIVERY` events."""

    status = 413
    slug = "too-large"
    title = "The body is too large"


class UnmappedError(WebhookError):
    """No event of the payload could be turned into an alert."""

    status = 422
    slug = "unmapped"
    title = "No event could be turned into an alert"


class RequestError(WebhookError):
    """A query parameter or a path is wrong."""

    status = 400
    slug = "bad-request"
    title = "The request is wrong"


class NotFound(WebhookError):
    """Nothing is known by this id."""

    status = 404
    slug = "not-found"
    title = "Nothing is known by this id"


class StorageOut(WebhookError):
    """The table does not answer, or answers 5xx."""

    status = 503
    slug = "storage-out"
    title = "The table does not answer"
    again = 5


class TokenError(WebhookError):
    """The identity gave no token: Defender was not called."""

    status = 503
    slug = "no-token"
    title = "The identity gave no token"
    again = 5


class Unreadable(WebhookError):
    """A row of the table that none of us can have written: it stands in nobody's way, and waits for the operator."""

    slug = "unreadable"
    title = "A row of the table cannot be read"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The row {key[:80]!r} was not written by this app, or changed since: correct or remove it."
        )


class SettingsError(WebhookError):
    """One or more settings are missing or wrong. `problems` names each; callers are not told what was found."""

    status = 500
    slug = "settings"
    title = "The app is configured wrongly"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.detail}" for p in problems))
        self.problems = tuple(problems)

    def document(self, status: int | None = None) -> dict[str, Any]:
        """Return the problem document with the settings' names only: anybody may ask."""
        names = ", ".join(problem.field for problem in self.problems)
        detail = f"Missing or wrong: {names}. The app's log says what was found, in the step 'settings'."
        return {**super().document(status), "detail": detail}
