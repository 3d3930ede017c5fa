"""The one Table: query, transaction, the server's clock.

The SDK's own retries would hide what happened to a write, so they are off; each request is tried once
more here, on a fresh connection. A transaction whose answer was lost may have landed all the same:

    commit ──► server writes ──✕ answer lost
    commit again ──► 409 / 412 ──► is our mark in one of the rows? ── yes: it was us, landed
                                                                   └─ no:  Conflict, somebody else
Every row of a transaction carries its `mark`, and a transaction lands whole or not at all,
so one marked row proves it.
"""

import contextlib
import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from shared.loopback import is_loopback
from shared.problems import Problem, SettingsError, StorageOut, WebhookError

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableEntity

    from shared.settings import StorageSettings

Value = str | bytes | float | int | bool
_T = TypeVar("_T")

MAX_OPERATIONS = 100
CONNECT_SECONDS = 1.0
READ_SECONDS = 2.0
_POOL_SIZE = 64
_CONFLICT = (404, 409, 412)
_NO_ECHO = {"Prefer": "return-no-content"}  # else an insert is answered with the whole row
_TABLE_GONE = ("TableNotFound", "TableBeingDeleted")
_REDIRECTION = 300
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One row as read: its key, its properties, its ETag and when the server stamped it (UTC seconds)."""

    key: str
    values: Mapping[str, Any]
    etag: str
    timestamp: float


@dataclass(frozen=True, slots=True)
class Insert:
    """Write a row that must not exist."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Replace:
    """Write over a row that must still have this ETag; `*` where any version will do, or none."""

    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Merge:
    """Change some properties of a row that must still have this ETag; `*` where any version will do."""

    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row that must still have this ETag; `*` where any version will do."""

    key: str
    etag: str


Operation = Insert | Replace | Merge | Delete


class Conflict(Exception):
    """Somebody else changed one of the rows first; nothing of the transaction was written."""


class Refused(StorageOut):
    """The table refuses a request for what it says or who asks: trying the same again at once is useless."""


class Table(Protocol):
    """What the rest of the app needs of a table. Every method may raise `StorageOut`."""

    def now(self) -> float:
        """Return a lower bound of the server's time, in UTC seconds."""

    def query(self, start: str, end: str, *, limit: int | None = None, keys_only: bool = False) -> list[Row]:
        """Return the rows with `start <= key < end` in key order, at most `limit`; without values if need be."""

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing; return the new ETag by key. Raise `Conflict` or `Refused`."""


class ServerClock:
    """A lower bound of the server's time, learnt from its answers and carried on by the monotonic clock.

    A time seen in an answer was stamped before the answer came, so `seen + elapsed` never runs ahead of the
    server, save for the drift of our own clock: that is what the millisecond per second of age pays for.
    """

    _DRIFT = 0.001

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._best: tuple[float, float] | None = None  # server's time, monotonic time at receipt
        self._lock = threading.Lock()

    def observe(self, server_time: float) -> None:
        """Learn from a server's time (UTC seconds) that was received just now or earlier."""
        with self._lock:
            at = self._monotonic()
            if self._best is None or server_time >= self._at(at, self._best):
                self._best = (server_time, at)

    def now(self) -> float | None:
        """Return the server's time in UTC seconds, never ahead of it; None before any answer."""
        best = self._best
        return None if best is None else self._at(self._monotonic(), best)

    def _at(self, at: float, best: tuple[float, float]) -> float:
        return best[0] + (at - best[1]) * (1 - self._DRIFT)


class AzureTable:
    """Azure Table Storage (or Azurite) through the SDK; one partition of one table. Thread-safe.

    `credential` makes the Azure credential, asked for only where `settings` has no connection string.
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
        self._clock = ServerClock(monotonic)
        self._monotonic = monotonic
        self._heard = float("-inf")  # when the last answer came
        self._current: TableClient | None = None
        self._lock = threading.Lock()
        self.requests = 0  # sent so far: a test and a bench count them

    def now(self) -> float:
        """Return a lower bound of the server's time, in UTC seconds."""
        now = self._clock.now()
        if now is None:
            self.query("slot-", "slot-\0", limit=1)  # its Date tells
            now = self._clock.now()
        if now is None:
            raise StorageOut("The table's answer carried no time.")
        return now

    def query(self, start: str, end: str, *, limit: int | None = None, keys_only: bool = False) -> list[Row]:
        """Return the rows with `start <= key < end` in key order, at most `limit`; without values if need be."""
        try:
            return self._twice(lambda client: self._query(client, start, end, limit, keys_only=keys_only))
        except Conflict:  # no table has reason to say so
            raise StorageOut("Something that is no table answers in its place.") from None

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing in one transaction; return the new ETag by key."""
        mark = secrets.token_hex(8)
        batch = [self._entry(operation, mark) for operation in operations]
        attempts = 0

        def send(client: "TableClient") -> dict[str, str]:
            nonlocal attempts
            attempts += 1
            return self._submit(client, operations, batch)

        try:
            return self._twice(send)
        except Conflict:
            if attempts == 1:
                raise
            landed = self._landed(operations, mark)
            if landed is None:
                raise
            return landed

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._current is not None:
                self._current.close()
                self._current = None

    def _query(
        self, client: "TableClient", start: str, end: str, limit: int | None, *, keys_only: bool
    ) -> list[Row]:
        self.requests += 1
        pages = client.query_entities(
            f"PartitionKey eq '{self._partition}' and RowKey ge {_quoted(start)} and RowKey lt {_quoted(end)}",
            results_per_page=min(limit or 1000, 1000),
            select=["RowKey", "Timestamp"] if keys_only else None,
            raw_response_hook=self._see_date,
        )
        rows: list[Row] = []
        for entity in pages:
            rows.append(_row(entity))
            if len(rows) == limit:
                break
        if rows:
            self._clock.observe(max(row.timestamp for row in rows))
        return rows

    def _submit(
        self, client: "TableClient", operations: Sequence[Operation], batch: list[Any]
    ) -> dict[str, str]:
        self.requests += 1
        answers = client.submit_transaction(batch, raw_response_hook=self._see_date)
        etags = {
            operation.key: answer["etag"]
            for operation, answer in zip(operations, answers, strict=True)
            if answer.get("etag")
        }
        if etags:
            self._clock.observe(max(_etag_time(etag) for etag in etags.values()))
        return etags

    def _landed(self, operations: Sequence[Operation], mark: str) -> dict[str, str] | None:
        """Return the ETags of our rows if the transaction with this mark was written, else None."""
        written = [operation.key for operation in operations if not isinstance(operation, Delete)]
        etags = {}
        for key in written:
            for row in self.query(key, key + "\0", limit=1):
                if row.values.get("mark") == mark:
                    etags[key] = row.etag
        return etags or None

    def _entry(self, operation: Operation, mark: str) -> Any:
        entity: dict[str, Any] = {"PartitionKey": self._partition, "RowKey": operation.key}
        match operation:
            case Insert(values=values):
                return "create", {**entity, **values, "mark": mark}, {"headers": _NO_ECHO}
            case Replace(values=values, etag="*"):
                return "upsert", {**entity, **values, "mark": mark}, {"mode": "replace"}
            case Replace(values=values, etag=etag):
                return "update", {**entity, **values, "mark": mark}, {"mode": "replace", **_if_match(etag)}
            case Merge(values=values, etag=etag):
                return "update", {**entity, **values, "mark": mark}, {"mode": "merge", **_if_match(etag)}
            case Delete(etag=etag):
                return "delete", entity, _if_match(etag)

    def _see_date(self, response: Any) -> None:
        """Learn the server's time from an answer's `Date`: whole seconds, so one second less.

        Not from a failure: a proxy's page may carry it, with the time of a clock that is hours ahead.
        """
        self._heard = self._monotonic()
        date = response.http_response.headers.get("Date")
        if date and response.http_response.status_code < _REDIRECTION:
            with contextlib.suppress(ValueError):
                self._clock.observe(parsedate_to_datetime(date).timestamp() - 1.0)

    def _twice(self, send: Callable[["TableClient"], _T]) -> _T:
        """Send; after no answer or a 5xx once more on a fresh connection; then `StorageOut`."""
        client: TableClient | None = None
        began = self._monotonic()
        try:
            with self._translated():
                client = self._client()
                return send(client)
        except Refused:
            raise
        except StorageOut:
            # A table that answers others is slow, not gone: to connect anew for all would make it slower still.
            if self._heard >= began:
                with self._translated(), self._open() as fresh:
                    return send(fresh)
            with self._lock:
                if self._current is client:  # else another thread has made a fresh one already
                    self._current = None  # others may be using it: it closes when they let go of it
        with self._translated():
            return send(self._client())

    def _client(self) -> "TableClient":
        with self._lock:
            if self._current is None:
                self._current = self._open()
            return self._current

    def _open(self) -> "TableClient":
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415 - at first use: cold start
        from azure.data.tables import TableClient  # noqa: PLC0415 - at first use: cold start

        # At INFO the SDK would log every request of ours.
        logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
        # Given to the client instead, the time-outs would be without effect: it has a transport already.
        transport = RequestsTransport(connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        transport.open()
        for adapter in transport.session.adapters.values():
            adapter.init_poolmanager(_POOL_SIZE, _POOL_SIZE)
        options: dict[str, Any] = {"transport": transport, "retry_total": 0}
        settings = self._settings
        try:
            if settings.connection_string:
                client = TableClient.from_connection_string(settings.connection_string, self._name, **options)
            elif settings.endpoint:
                client = TableClient(settings.endpoint, self._name, credential=self._credential(), **options)
            else:
                problem = Problem(
                    "AzureWebJobsStorage", "missing: set it, or AzureWebJobsStorage__accountName"
                )
                raise SettingsError([problem])
        except ValueError:
            # The SDK's own message may quote the connection string.
            problem = Problem("AzureWebJobsStorage", "no usable connection string or table endpoint")
            raise SettingsError([problem]) from None
        # A proxy that the environment names is for other machines: this one's emulator it could not even reach.
        transport.session.trust_env = not is_loopback(urlsplit(client.url).hostname or "")
        return client

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the SDK's errors into ours. A missing table is made; the request then counts as unanswered."""
        from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 - at first use

        try:
            yield
        except HttpResponseError as error:
            status, code = error.status_code, getattr(error, "error_code", None)
            if code == "TableNotFound" and self._create_table():
                raise StorageOut("The table was missing and has been made.") from None
            if status in _CONFLICT and code not in _TABLE_GONE:
                raise Conflict from None
            if (
                status is not None
                and 400 <= status < _SERVER_ERROR  # noqa: PLR2004 - the HTTP classes
                and status != _TOO_MANY_REQUESTS
                and code not in _TABLE_GONE
            ):
                raise Refused(f"The table refuses the request: {status} {code}.", retry_after=60) from None
            raise StorageOut(f"The table answered {status}.", retry_after=5) from None
        except AzureError as error:
            raise StorageOut(f"The table did not answer ({type(error).__name__}).", retry_after=5) from None
        except WebhookError:
            raise
        except Exception as error:  # noqa: BLE001 - the SDK promises no set of errors for what a proxy answers
            raise StorageOut(f"The table's answer cannot be read ({type(error).__name__}).") from None

    def _create_table(self) -> bool:
        """Make the table if it is missing; two hosts may do so at once. Return whether it was missing."""
        from azure.core.exceptions import AzureError, ResourceExistsError  # noqa: PLC0415 - at first use

        try:
            self._client().create_table()
        except ResourceExistsError as error:
            return getattr(error, "error_code", None) == "TableBeingDeleted"
        except AzureError:
            return True  # the second try tells
        return True


def _quoted(key: str) -> str:
    """Return a key as a literal of the query language; a path of a request may hold anything."""
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


@functools.lru_cache(maxsize=256)  # a look meets the slots' ETags again and again
def _etag_time(etag: str) -> float:
    """Return the UTC seconds in a table's ETag, `W/"datetime'2026-01-02T03%3A04%3A05.1234567Z'"`."""
    stamp = unquote(etag).partition("'")[2].partition("'")[0]
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or 0}")


@dataclass
class MemoryTable:
    """The same table in this process's memory, for the minutes in which the real one is out, and for tests.

    `clock` is the time that stamps its rows (seconds); it never goes back.
    """

    clock: Callable[[], float] = time.monotonic
    _rows: dict[str, Row] = field(default_factory=dict)
    _writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> float:
        """Return the time that stamps the rows."""
        return self.clock()

    def query(self, start: str, end: str, *, limit: int | None = None, keys_only: bool = False) -> list[Row]:
        """Return the rows with `start <= key < end` in key order, at most `limit`; without values if need be."""
        del keys_only  # the values cost nothing here
        with self._lock:
            keys = sorted(key for key in self._rows if start <= key < end)
            return [self._rows[key] for key in keys[:limit]]

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing; return the new ETag by key."""
        with self._lock:
            if any(self._conflicts(operation) for operation in operations):
                raise Conflict
            if len({operation.key for operation in operations}) != len(operations):
                raise Refused("a row stands twice in one transaction")
            etags: dict[str, str] = {}
            for operation in operations:
                if isinstance(operation, Delete):
                    del self._rows[operation.key]
                    continue
                self._writes += 1
                etag = etags[operation.key] = str(self._writes)
                kept = self._rows[operation.key].values if isinstance(operation, Merge) else {}
                values = {**kept, **operation.values}
                self._rows[operation.key] = Row(operation.key, values, etag, self.clock())
            return etags

    def _conflicts(self, operation: Operation) -> bool:
        row = self._rows.get(operation.key)
        if isinstance(operation, Insert):
            return row is not None
        if isinstance(operation, Replace) and operation.etag == "*":
            return False
        return row is None or operation.etag not in ("*", row.etag)
