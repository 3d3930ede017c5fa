"""The call to Microsoft Graph's advanced hunting: `runHuntingQuery`, and what each of its answers means.

https://learn.microsoft.com/graph/api/security-security-runhuntingquery
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal

from shared.clients import address, answer, words
from shared.clients.call import Response
from shared.clients.service import Service

Kind = Literal["rows", "throttled", "no table", "bad query", "forbidden", "unavailable", "unreadable"]
Row = Mapping[str, str]

THREAD_NAME = "graph-call"
ROLE = "ThreatHunting.Read.All"
GRANT = "infra/grant-defender-role.sh --hunting IDENTITY"

_PATH = "/v1.0/security/runHuntingQuery"
_ANSWER_BYTES = 8 << 20  # 42 rows with all of their long texts, every character of which is escaped
_TEXT_CHARACTERS = 1_000
_PAUSE_SECONDS = 60
_QUARTER_SECONDS = 900  # after which a tenant's share of processing is filled up again
_NO_TABLE = re.compile(
    r"failed to resolve table\b.{0,40}? named '(\w{1,40}(?:Events|Info|Evidence))'", re.ASCII | re.IGNORECASE
)
_TRY_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY)

_FORBIDDEN = (
    f"The app's identity lacks the application role {ROLE} of Microsoft Graph: run `{GRANT}` with the identity's"
    " client id for IDENTITY, and expect up to 24 hours until the platform renews its token."
)
_UNAUTHORIZED = "Graph does not accept the token: check GRAPH_TOKEN_SCOPE against GRAPH_API_URL."
_NOT_GRAPH = "not in Graph's form: check GRAPH_API_URL, and any proxy on the way."


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one call.

    ```
    kind         rows         `rows` are the answer, text by column
                 throttled    too many calls or too much work: none before `wait` seconds have passed
                 no table     the tenant does not have `table`
                 bad query    Graph does not run this query; another one may work
                 forbidden    the token does not open hunting
                 unavailable  no answer, or an error on Graph's side: the same may work later
                 unreadable   an answer that is not Graph's, or of which a part cannot be read
    status       HTTP status; None when no answer began
    message      what went wrong, for an operator; "" with rows. Never a token.
    seconds      the call took, by the monotonic clock
    ```
    """

    kind: Kind
    status: int | None
    message: str
    seconds: float
    rows: tuple[Row, ...] = ()
    wait: float | None = None
    table: str = ""


class Graph:
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

    def hunt(self, query: str, timespan: str, columns: Collection[str], token: str) -> Result:
        """Run a query over a span of time in ISO 8601; `columns` are those of its rows.

        Return by the deadline, and never raise for network errors.
        """
        body = json.dumps({"Query": query, "Timespan": timespan}).encode()
        return read(self._service.post(body, token), columns)

    def close(self) -> None:
        """Close the open connections."""
        self._service.close()


def read(response: Response, columns: Collection[str]) -> Result:
    """Return what a response means; `columns` are those of the rows."""
    if response.failure:
        kind: Kind = "unreadable" if response.failure.code == "TooLarge" else "unavailable"
        return Result(kind, response.status, response.failure.message, response.seconds)
    document = words.document(response.body or b"")
    if response.status == HTTPStatus.OK:
        try:
            rows = tuple(_rows(document, columns))
        except ValueError as error:
            return Result("unreadable", response.status, f"HTTP 200, but {error}", response.seconds)
        return Result("rows", response.status, "", response.seconds, rows=rows)
    named = words.member(document, "error")
    code, text = (words.text(words.member(named, name), _TEXT_CHARACTERS) for name in ("code", "message"))
    kind, table = _failure(response.status or 0, code, text)
    in_full = f"HTTP {response.status}: {code} {text}".rstrip(": ")
    advice = _FORBIDDEN if response.status == HTTPStatus.FORBIDDEN else _UNAUTHORIZED
    message = {
        "forbidden": f"{advice} Graph's words: {in_full}",
        "unreadable": f"HTTP {response.status}, {_NOT_GRAPH}",
    }.get(kind, in_full)
    wait = _wait(response.headers, text) if kind == "throttled" else None
    return Result(kind, response.status, message, response.seconds, wait=wait, table=table)


def _failure(status: int, code: str, text: str) -> tuple[Kind, str]:
    """Return the kind of an error, and the table that is missing; `code` is "" if it is not in Graph's form."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "throttled", ""
    if status // 100 == 5 or status in _TRY_AGAIN:  # noqa: PLR2004  the hundreds of a server's error
        return "unavailable", ""
    if code and status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "forbidden", ""
    if code and status == HTTPStatus.BAD_REQUEST:
        missing = _NO_TABLE.search(text)
        return ("no table", missing[1]) if missing else ("bad query", "")
    return "unreadable", ""


def _wait(headers: Mapping[str, str], text: str) -> float:
    """Return the seconds until the next call: as Graph names them, else by what was too much."""
    date = headers.get("Date")
    named = answer.retry_after(headers.get("Retry-After"), date)
    if named is not None:
        return named
    if "resources" not in text.lower():
        return _PAUSE_SECONDS
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return _QUARTER_SECONDS
    return _QUARTER_SECONDS - (moment.minute * 60 + moment.second) % _QUARTER_SECONDS


def _rows(document: object, columns: Collection[str]) -> Iterator[Row]:
    """Yield the rows of an answer. Raise `ValueError` if a part of it cannot be read."""
    results = words.member(document, "results")
    if not isinstance(results, list):
        raise ValueError(_NOT_GRAPH)  # noqa: TRY004  what an answer holds is a value
    names = {column.lower(): column for column in columns}
    for result in results:
        if not isinstance(result, dict):
            raise ValueError("a row of it is no object.")  # noqa: TRY004  as above
        row: dict[str, str] = {}
        for key, value in result.items():
            name = names.get(key.lower())  # an annotation, such as ReportId@odata.type, is no column
            if name is None or value is None:
                continue
            if name in row:
                raise ValueError(f"a row of it has {name} twice.")
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise ValueError(f"{name} is neither text nor a whole number.")  # noqa: TRY004  as above
            row[name] = str(value).encode(errors="replace").decode()  # half a character cannot be stored
        yield row
