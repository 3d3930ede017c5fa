"""What an entry remembers of its calls: the first and the last few, each with Defender's answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.clients.answer import Answer, shows_no_alert

_AT_EACH_END = 4


def add(
    tries: Sequence[Mapping[str, Any]], answer: Answer, *, number: int, at: float
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
