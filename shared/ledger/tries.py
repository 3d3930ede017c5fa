"""What an entry remembers of its calls: the first and the last few, each with Defender's answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.clients.answer import shows_no_alert

_AT_EACH_END = 4


class Answered(Protocol):
    """The answer to a call, such as `shared.clients.answer.Answer`."""

    @property
    def kind(self) -> str:
        """What it means."""

    @property
    def status(self) -> int | None:
        """Its HTTP status; None when no answer began."""

    @property
    def error(self) -> Mapping[str, Any] | None:
        """What went wrong."""

    @property
    def seconds(self) -> float:
        """How long the call took."""


@dataclass(frozen=True, slots=True)
class Search:
    """The answer to a search: its `kind` is the outcome of the verdict, or why there is none."""

    kind: str
    status: int | None
    error: Mapping[str, Any] | None
    seconds: float


def add(
    tries: Sequence[Mapping[str, Any]], answer: Answered, *, number: int, at: float
) -> tuple[Mapping[str, Any], ...]:
    """Return the tries with one more: the call of this number, answered at a time (UTC seconds)."""
    error = answer.error or {}
    last = {
        "number": number,
        "at": round(at, 3),
        "answer": answer.kind,
        "status": answer.status,
        "code": error.get("code"),
        "message": str(error.get("message") or "")[:300] or None,
        "target": error.get("target"),
        "seconds": round(answer.seconds, 3),
    }
    every = (*tries, last)
    if len(every) <= 2 * _AT_EACH_END:
        return every
    return (*every[:_AT_EACH_END], *every[-_AT_EACH_END:])


def without_alert(tries: Sequence[Mapping[str, Any]], since: float) -> int:
    """Return how many answers since a time (UTC seconds) were a success without an alert."""
    lately = [each for each in tries if each.get("at", 0.0) >= round(since, 3)]
    return sum(shows_no_alert(each.get("status"), each.get("code")) for each in lately)
