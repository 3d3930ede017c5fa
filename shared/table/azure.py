"""Azure Table Storage behind the protocol: single requests to one partition of one table.

One method call is one HTTP request: the SDK's own retries are off, because they would hide what happened to a write.
`patience.PatientTable` repeats requests.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from shared.errors import (
    Busy,
    Conflict,
    TableRefused,
    Unavailable,
    WebhookError,
)
from shared.table.clock import ServerClock
from shared.table.connection import open_client, within
from shared.table.protocol import REQUEST_SECONDS, Delete, Insert, Operation, Replace, Row

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableEntity

    from shared.settings import StorageSettings

_CONFLICT = (404, 409, 412)
_NO_ECHO = {"Prefer": "return-no-content"}  # else an insert is answered with the whole row
_TABLE_GONE = ("TableNotFound", "TableBeingDeleted")
_REDIRECTION = 300
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


class AzureTable:
    """Azure Table Storage (or Azurite) through the SDK; one partition of one table. Thread-safe.

    `credential` makes the credential, needed only where `settings` has no connection string: its `get_token` returns
    one of Azure's access tokens, or raises `TokenError`.
    """

    def __init__(
        self,
        settings: "StorageSettings",
        *,
        name: str,
        partition: str,
        credential: Callable[[], Any],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._name = name
        self._partition = partition
        self._credential = credential
        self._monotonic = monotonic
        self._clock = ServerClock(monotonic)
        self._opened: TableClient | None = None
        self._lock = threading.Lock()
        self.requests = 0  # sent so far: a test and a bench count them

    def time(self) -> float | None:
        """Return a lower bound of the server's time, in UTC seconds; None before any answer."""
        return self._clock.now()

    def get(self, key: str, *, seconds: float = REQUEST_SECONDS) -> Row | None:
        """Return the row with this key, None where there is none."""
        rows = self._query(f"RowKey eq {_quoted(key)}", 1, keys_only=False, seconds=seconds)
        return rows[0] if rows else None

    def query(
        self,
        start: str,
        end: str,
        *,
        after: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        seconds: float = REQUEST_SECONDS,
    ) -> list[Row]:
        """Return the rows with `start <= key < end` in key order; see `Table`."""
        begin = f"RowKey {'gt' if after else 'ge'} {_quoted(start)}"
        return self._query(
            f"{begin} and RowKey lt {_quoted(end)}", limit, keys_only=keys_only, seconds=seconds
        )

    def commit(
        self, operations: Sequence[Operation], *, mark: str, seconds: float = REQUEST_SECONDS
    ) -> dict[str, str]:
        """Write all or nothing in one transaction, each row with this mark; return the new ETag by key."""
        with self._translated():
            return self._submit(operations, mark, seconds)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _query(self, which: str, limit: int | None, *, keys_only: bool, seconds: float) -> list[Row]:
        try:
            with self._translated():
                return self._read(which, limit, keys_only=keys_only, seconds=seconds)
        except Conflict:  # no table has reason to say so
            raise Unavailable("Something other than the table answered.") from None

    def _read(self, which: str, limit: int | None, *, keys_only: bool, seconds: float) -> list[Row]:
        self.requests += 1
        pages = self._client().query_entities(
            f"PartitionKey eq '{self._partition}' and {which}",
            results_per_page=min(limit or 1000, 1000),
            select=["RowKey", "Timestamp"] if keys_only else None,
            raw_response_hook=self._see_date,
            **within(seconds),
        )
        rows: list[Row] = []
        for entity in pages:
            rows.append(_row(entity))
            if len(rows) == limit:
                break
        if rows:
            self._clock.observe(max(row.timestamp for row in rows))
        return rows

    def _submit(self, operations: Sequence[Operation], mark: str, seconds: float) -> dict[str, str]:
        self.requests += 1
        batch = [self._entry(operation, mark) for operation in operations]
        sent = self._monotonic()
        answers = self._client().submit_transaction(
            batch, raw_response_hook=self._see_date, **within(seconds)
        )
        etags = {
            operation.key: answer["etag"]
            for operation, answer in zip(operations, answers, strict=True)
            if answer.get("etag")
        }
        if etags:
            self._clock.wrote(max(_etag_time(etag) for etag in etags.values()), sent)
        return etags

    def _entry(self, operation: Operation, mark: str) -> Any:
        entity: dict[str, Any] = {"PartitionKey": self._partition, "RowKey": operation.key}
        match operation:
            case Insert(values=values):
                return "create", {**entity, **values, "mark": mark}, {"headers": _NO_ECHO}
            case Replace(values=values, etag="*"):
                return "upsert", {**entity, **values, "mark": mark}, {"mode": "replace"}
            case Replace(values=values, etag=etag):
                return "update", {**entity, **values, "mark": mark}, {"mode": "replace", **_if_match(etag)}
            case Delete(etag=etag):
                return "delete", entity, _if_match(etag)

    def _see_date(self, response: Any) -> None:
        """Take the server's time from an answer's `Date`, minus one second, because it has whole seconds.

        A failure does not count: it may be a proxy's page, with a clock that is hours ahead.
        """
        date = response.http_response.headers.get("Date")
        if date and response.http_response.status_code < _REDIRECTION:
            with contextlib.suppress(ValueError):
                self._clock.guess(parsedate_to_datetime(date).timestamp() - 1.0)

    def _client(self) -> "TableClient":
        with self._lock:
            if self._opened is None:
                self._opened = open_client(self._settings, self._name, self._credential)
            return self._opened

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate the SDK's errors into ours. A missing table is created; the request then counts as unanswered."""
        from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 - at first use

        try:
            yield
        except HttpResponseError as error:
            status, code = error.status_code, _code(error)
            if code == "TableNotFound" and self._create_table():
                raise Unavailable("The table was missing and has been created.", certain=True) from None
            if status in _CONFLICT and code not in _TABLE_GONE:
                raise Conflict from None
            raise _trouble(status, code) from None
        except AzureError as error:
            raise Unavailable(f"The table did not answer ({type(error).__name__}).") from None
        except WebhookError:
            raise
        except Exception as error:  # noqa: BLE001 - the SDK promises no set of errors for what a proxy answers
            raise Unavailable(f"The table's answer cannot be read ({type(error).__name__}).") from None

    def _create_table(self) -> bool:
        """Create the table if it is missing; two hosts may do so at once. Return whether it was missing."""
        from azure.core.exceptions import AzureError, ResourceExistsError  # noqa: PLC0415 - at first use

        try:
            self._client().create_table()
        except ResourceExistsError as error:
            return getattr(error, "error_code", None) == "TableBeingDeleted"
        except AzureError:
            return True  # the second try tells
        return True


def _code(error: Exception) -> str | None:
    """Return the table's own code of an error, as plain text."""
    code = getattr(error, "error_code", None)
    return None if code is None else str(getattr(code, "value", code))


def _trouble(status: int | None, code: str | None) -> WebhookError:
    """Return the error for an answer that is neither success nor conflict."""
    if status == _TOO_MANY_REQUESTS or code in ("ServerBusy", "OperationTimedOut"):
        return Busy(f"The table is busy ({code or status}).", certain=code != "OperationTimedOut")
    if status is not None and 400 <= status < _SERVER_ERROR and code not in _TABLE_GONE:  # noqa: PLR2004 - HTTP
        return TableRefused(f"{status} {code or ''}".strip())
    return Unavailable(f"The table answered {status}." if status else "The table did not answer.")


def _quoted(key: str) -> str:
    """Return a key as a literal of the query language; a key from a URL may hold anything."""
    return "'" + key.replace("'", "''") + "'"


def _if_match(etag: str) -> dict[str, Any]:
    from azure.core import MatchConditions  # noqa: PLC0415 - at first use

    if etag == "*":
        return {}
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _row(entity: "TableEntity") -> Row:
    values = {name: value for name, value in entity.items() if name not in ("PartitionKey", "RowKey")}
    etag = str(entity.metadata["etag"])
    return Row(entity["RowKey"], values, etag, _etag_time(etag))


@functools.lru_cache(maxsize=256)  # every snapshot meets the slots' ETags again and again
def _etag_time(etag: str) -> float:
    """Return the UTC seconds in a table's ETag, `W/"datetime'2026-01-02T03%3A04%3A05.1234567Z'"`."""
    stamp = unquote(etag).partition("'")[2].partition("'")[0]
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or 0}")
