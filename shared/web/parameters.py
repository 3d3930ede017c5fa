"""The parameters of a URL, read from the URL itself, because the Functions host omits empty ones.

The operator's are read strictly: a misspelt or empty one must not widen a discard. The function key (`code`,
`clientId`) is left to the host.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from shared.alerts.text import shown
from shared.errors import Problem, RequestError

HOSTS_OWN = ("code", "clientid")
"""What the Functions host reads itself: a key and the client it is for. In small letters."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request by their names, each there once and not empty.

    Every reader raises `RequestError` that names the parameter, what was found, and what is accepted.
    """

    values: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return a text unchanged."""
        return self.values.get(name)

    def word(self, name: str, accepted: Sequence[str]) -> str | None:
        """Return one of the accepted words."""
        value = self.values.get(name)
        if value is not None and value not in accepted:
            raise wrong(name, value, " | ".join(accepted))
        return value

    def whole(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1 to `most`."""
        value = self.values.get(name)
        if value is None:
            return default
        if not (
            value.isascii() and value.isdigit() and len(value) <= len(str(most)) and 0 < int(value) <= most
        ):
            raise wrong(name, value, f"a whole number from 1 to {most}")
        return int(value)

    def time(self, name: str) -> float | None:
        """Return an ISO 8601 time in UTC seconds; one without an offset is UTC."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise wrong(name, value, "a time in UTC as in 2026-03-04T05:06:07Z") from None


def given(url: str) -> dict[str, str]:
    """Return every parameter of a URL, also the empty ones; the values of a repeated name are joined by commas."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def read(url: str, accepted: Sequence[str]) -> Parameters:
    """Read a URL's parameters, their names in any case. Raise `RequestError` for one that is not accepted."""
    names = {name.lower(): name for name in accepted}
    values: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name.lower() in HOSTS_OWN:
            continue
        known = names.get(name.lower())
        if known is None:
            raise unknown(name, f"only {', '.join(accepted)}" if accepted else "no parameter")
        if known in values:
            raise wrong(known, f"{values[known]} and {value}", "one value")
        if not value.strip():
            raise wrong(known, value, "a value that is not empty; otherwise leave the parameter out")
        values[known] = value
    return Parameters(values)


def wrong(name: str, value: str, accepted: str) -> RequestError:
    """Return the error for a parameter with a value that is not accepted."""
    return _error(name, f"{shown(value)} found; accepted: {accepted}.")


def unknown(name: str, accepted: str) -> RequestError:
    """Return the error for a parameter whose name is not known. It leaves out the value, which may be a secret."""
    return _error(name, f"There is no such parameter; accepted: {accepted}.")


def _error(name: str, detail: str) -> RequestError:
    name = name[:60]
    return RequestError(f"{name}: {detail}", extensions={"problems": [Problem(name, detail).render()]})
