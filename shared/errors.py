"""All errors of this app: everything that can go wrong on our side, and how it is answered (RFC 9457).

error                           status  type
WebhookError                    500     internal           an unforeseen error
├── PayloadError                400     not-json           the bytes are no JSON we can read
│   └── PayloadTooLarge         413     too-large          too many bytes, or too many events
├── UnmappedError               422     unmapped           no event became an alert
├── FailedError                 422     failed             every alert of a delivery has ended, none was created
├── RequestError                400     bad-request        a query parameter is wrong
├── Unsigned                    401     unsigned           the sender must sign its requests, and this one is not
├── Forbidden                   403     forbidden          the sender may not claim this source
├── NotFound                    404     not-found          nothing is known by this id
│   └── NoOperation             404     no-operation       there is no such path below `operations/`
├── WrongMethod                 405     wrong-method       the path is right, the method is not
├── NotNow                      409     not-now            the present state does not allow it
├── NoSlot                      429     no-slot            all searches of this minute are used
├── TableError                  503     table              the table did not do what it was asked for
│   ├── Busy                    503     busy               it has too much to do, or others keep changing the same rows
│   ├── TableRefused            503     table-refused      it refuses the request, also if it is repeated
│   ├── Unavailable             503     table-unavailable  it gave no answer, or none that a table gives
│   ├── NoTableToken            503     no-table-token     the identity gave no token that opens it
│   ├── WriteUnknown            503     write-unknown      a write had no answer, and may have succeeded
│   └── HalfAccepted            503     half-accepted      some alerts of a delivery are stored, others are not
├── TokenError                  503     no-token           the identity gave no token
├── Unreadable                  500     unreadable         a row of the table that this app cannot have written
└── SettingsError               500     settings           the app is configured wrongly

Conflict                        none    none               another host was first; the caller handles it
TooManySteps                    none    none               a mapping takes too much work; the mappings handle it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

_TYPE_BASE = "urn:defender-alert-webhook:problem:"
CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of one field: it names the field, what was found and what to do."""

    field: str
    detail: str

    def render(self) -> dict[str, str]:
        """Return its form inside `problems` of a delivery and of a problem document."""
        return {"field": self.field, "detail": self.detail}


class WebhookError(Exception):
    """An error with its HTTP status, its problem type and what the reader can do about it.

    `detail` is shown to the sender: never put a token, a key, a connection string or a stack trace in it.
    `extensions` are further members of its document; `retry_after` is whole seconds; `status` replaces its kind's.
    """

    status: int = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"
    again: ClassVar[int | None] = None  # `retry_after` where an error of this kind does not say

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
        self.detail, self.extensions = detail, dict(extensions or {})
        self.retry_after = self.again if retry_after is None else retry_after

    def document(self, status: int | None = None) -> dict[str, Any]:
        """Return the problem document (RFC 9457). `status` replaces our own where a sender needs another."""
        kind = {"type": _TYPE_BASE + self.slug, "title": self.title}
        return {**kind, "status": status or self.status, "detail": self.detail, **self.extensions}


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


class FailedError(WebhookError):
    """Every alert of a delivery has ended, and none was created."""

    status = 422
    slug = "failed"
    title = "No alert was created"


class RequestError(WebhookError):
    """A query parameter or a path is wrong."""

    status = 400
    slug = "bad-request"
    title = "The request is wrong"


class Unsigned(WebhookError):
    """The signature that `SENDERS` asks this sender for is missing, wrong or too old. Nothing is stored."""

    status = 401
    slug = "unsigned"
    title = "The signature is missing or wrong"


class Forbidden(WebhookError):
    """The sender may not name this source: `SENDERS` lists those that it may."""

    status = 403
    slug = "forbidden"
    title = "The sender may not do this"


class NotFound(WebhookError):
    """Nothing has this id."""

    status = 404
    slug = "not-found"
    title = "Nothing has this id"


class NoOperation(NotFound):
    """There is no such path below `operations/`."""

    slug = "no-operation"
    title = "There is no such operation"


class WrongMethod(WebhookError):
    """The path is right, the method is not; `Allow` names it."""

    status = 405
    slug = "wrong-method"
    title = "The method is not allowed here"


class NotNow(WebhookError):
    """The present state does not allow the request."""

    status = 409
    slug = "not-now"
    title = "The present state does not allow this"


class NoSlot(WebhookError):
    """All searches of this minute are used; `Retry-After` says when the next may be made."""

    status = 429
    slug = "no-slot"
    title = "No search may be made now"


class TableError(WebhookError):
    """The table did not do what it was asked for. Nothing was written, unless the error says otherwise."""

    status = 503
    slug = "table"
    title = "The table did not do what it was asked for"
    again = 5
    certain: bool = True  # whether a write that ended so was certainly not made
    transient: bool = False  # whether the same request may succeed in a moment
    reason: str | None = None  # what the log says instead of the detail, which everybody may see

    def __init__(self, detail: str, *, retry_after: int | None = None, certain: bool | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.certain = self.certain if certain is None else certain

    def __str__(self) -> str:
        """Return what the log says."""
        return self.reason or self.detail


class Busy(TableError):
    """The table is busy (503 ServerBusy, 500 OperationTimedOut, 429), or others keep changing the same rows."""

    slug = "busy"
    title = "Too many requests at the same moment"
    transient = True


class TableRefused(TableError):
    """The table refuses a request because of its contents or its caller."""

    slug = "table-refused"
    title = "The table refuses the request"
    again = 60

    def __init__(self, reason: str) -> None:
        super().__init__("The table refuses the request; the log of the function app says why.")
        self.reason = f"The table refuses the request: {reason}"


class Unavailable(TableError):
    """No connection to the table, no answer in time, or an answer of something else. A write may have succeeded."""

    slug = "table-unavailable"
    title = "The table is unavailable"
    certain = False
    transient = True


class NoTableToken(TableError):
    """The identity gave no token for the table, so no request was sent; `late`: it did not answer in time."""

    slug = "no-table-token"
    title = "The identity gave no token for the table"

    def __init__(self, reason: str, *, late: bool = False) -> None:
        super().__init__("The identity gave no token for the table; the log of the function app says why.")
        self.reason, self.transient = reason, not late


class WriteUnknown(TableError):
    """A write had no answer, and the app cannot find out whether it succeeded, or it may yet succeed."""

    slug = "write-unknown"
    title = "Whether it was written is not known"
    certain = False


class HalfAccepted(TableError):
    """The table failed after the first transaction of several: the same POST again adds what is missing."""

    slug = "half-accepted"
    title = "Not every alert could be stored"
    certain = False


class Conflict(Exception):
    """Another host changed one of the rows first; nothing of the transaction was written."""


class TokenError(WebhookError):
    """The identity gave no token: Defender was not called. `late`: it did not answer in time."""

    status = 503
    slug = "no-token"
    title = "The identity gave no token"
    again = 5

    def __init__(self, detail: str, *, late: bool = False) -> None:
        super().__init__(detail)
        self.late = late


class Unreadable(WebhookError):
    """A row of the table that this app cannot have written. It is left for the operator."""

    slug = "unreadable"
    title = "A row of the table cannot be read"

    def __init__(self, key: str, column: str = "") -> None:
        where = f", column {column!r}" if column else ""
        super().__init__(
            f"The row {key[:80]!r}{where} was not written by this app, or changed since: correct or remove it."
        )
        self.key, self.column = key, column


class SettingsError(WebhookError):
    """One or more settings are missing or wrong. `problems` names each; what was found is only logged."""

    status = 500
    slug = "settings"
    title = "The app is configured wrongly"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.detail}" for p in problems))
        self.problems = tuple(problems)

    def document(self, status: int | None = None) -> dict[str, Any]:
        """Return the problem document with the settings' names only, because anybody may ask."""
        names = ", ".join(problem.field for problem in self.problems)
        detail = f"Missing or wrong: {names}. The app's log says what was found, in the step 'settings'."
        return {**super().document(status), "detail": detail}
