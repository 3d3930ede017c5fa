"""The table as the app uses it: failed requests are repeated with growing pauses while there is time.

    request ── fails ── pause ── request ── fails ── longer pause ── request …       until the time is over

Each pause is random, up to a limit that doubles, so that hosts do not repeat at the same moment. A request that the
table refuses is not repeated.

A write without an answer may have succeeded all the same, or succeed later. Every row of a transaction carries its
`mark`, and a transaction is written as a whole or not at all, so one marked row proves that it was written:

    commit ──► server writes ──✕ no answer
    is our mark in one of the rows? ── yes: landed
                                    └─ no: commit again ──► 409 / 412 ──► is it now? ── yes: landed
                                                                                     └─ no: Conflict, somebody else
If the time is over and no row has the mark, the result is unknown: `WriteUnknown`.
"""

import dataclasses
import functools
import random
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared.errors import Conflict, TableError, Unavailable, WriteUnknown
from shared.table.protocol import REQUEST_SECONDS, Delete, Operation, Requests, Row

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 4.0
MARK_SECONDS = 2.0
"""What is left of the time to search for a mark, when a write may not be tried any more."""
OWN_SECONDS = REQUEST_SECONDS + MARK_SECONDS
"""The time for a query or a write of somebody who has no end of their own."""
_WITNESSES = (
    5  # the last rows of a transaction: a whole acquire; of an acceptance the delivery, which never changes
)


class Readers(Protocol):
    """Runs requests side by side."""

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Start something."""

    def wait(self, futures: Iterable["Future[_T]"], seconds: float, *, everyone: bool = False) -> None:
        """Wait until one of them (or everyone) is done, at most so many seconds."""


@dataclass(frozen=True, slots=True)
class PatientTable:
    """A table whose failed requests are repeated while there is time. Thread-safe.

    `end` (seconds of `monotonic`) is when the time is over; None: each query or write has `OWN_SECONDS`. Without
    `readers` many rows are read one after the other.
    """

    requests: Requests
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    chance: random.Random
    end: float | None = None
    readers: Readers | None = None

    def until(self, end: float) -> "PatientTable":
        """Return the same table for a caller whose time ends at `end` (seconds of `monotonic`)."""
        return dataclasses.replace(self, end=end)

    def now(self) -> float:
        """Return a lower bound of the server's time, in UTC seconds."""
        now = self.requests.time()
        if now is None:
            self.query("slot-", "slot.", limit=1)  # its answer says
            now = self.requests.time()
        if now is None:
            raise Unavailable("The table's answer carried no time.")
        return now

    def get(self, key: str) -> Row | None:
        """Return the row with this key, None where there is none."""
        return self._ask(lambda seconds: self.requests.get(key, seconds=seconds), self._end())

    def get_all(self, keys: Sequence[str]) -> list[Row | None]:
        """Return the row of each key, None where there is none: all of them within the time of one query."""
        table = self.until(self._end())
        return table.side_by_side([functools.partial(table.get, key) for key in keys])

    def side_by_side(self, calls: Sequence[Callable[[], _T]]) -> list[_T]:
        """Return what each of these calls to the table returns. Raise `Unavailable` where they take too long."""
        if self.readers is None or len(calls) < 2:  # noqa: PLR2004 - one has nobody beside it
            return [call() for call in calls]
        started = [self.readers.submit(call) for call in calls]
        self.readers.wait(started, self._end() - self.monotonic(), everyone=True)
        if not all(call.done() for call in started):  # they end soon: their time is over as well
            raise Unavailable("The table takes too long to answer.")
        return [call.result() for call in started]

    def query(
        self, start: str, end: str, *, after: bool = False, limit: int | None = None, keys_only: bool = False
    ) -> list[Row]:
        """Return the rows with `start <= key < end` in key order; see `Table`."""
        return self._ask(
            lambda seconds: self.requests.query(
                start, end, after=after, limit=limit, keys_only=keys_only, seconds=seconds
            ),
            self._end(),
        )

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Write all or nothing; return the new ETag by key. Raise `Conflict`, or `WriteUnknown`."""
        mark = secrets.token_hex(8)
        certain = True  # that nothing of ours was written, nor will be

        def write(seconds: float) -> dict[str, str]:
            nonlocal certain
            if not certain and (landed := self._landed(operations, mark, seconds)):
                return landed
            try:
                return self.requests.commit(operations, mark=mark, seconds=seconds)
            except Conflict:
                if not certain and (landed := self._landed(operations, mark, seconds)):
                    return landed
                raise
            except TableError as error:
                certain = certain and error.certain
                raise

        end = self._end()
        try:
            return self._ask(write, end - MARK_SECONDS)
        except TableError as error:
            if certain:
                raise
            return self._search_once_more(operations, mark, end, error)

    def _search_once_more(
        self, operations: Sequence[Operation], mark: str, end: float, error: TableError
    ) -> dict[str, str]:
        """Return the ETags of a write that succeeded without an answer, else raise `WriteUnknown`."""
        try:
            if landed := self._landed(operations, mark, max(MARK_SECONDS, end - self.monotonic())):
                return landed
        except TableError:
            pass  # the first error says more
        raise WriteUnknown(
            f"{error.detail} It is not known whether it was written: send the same again."
        ) from error

    def _landed(self, operations: Sequence[Operation], mark: str, seconds: float) -> dict[str, str] | None:
        """Return the ETags of our rows if the transaction with this mark was written, else None."""
        end = self.monotonic() + seconds
        written = [operation.key for operation in operations if not isinstance(operation, Delete)]
        etags = {}
        for key in reversed(written[-_WITNESSES:]):
            left = end - self.monotonic()
            if left <= 0:
                raise Unavailable("The table takes too long to answer.")
            row = self.requests.get(key, seconds=left)
            if row and row.values.get("mark") == mark:
                etags[key] = row.etag
        return etags or None

    def _end(self) -> float:
        return self.monotonic() + OWN_SECONDS if self.end is None else self.end

    def _ask(self, ask: Callable[[float], _T], end: float) -> _T:
        """Repeat a request until there is an answer or the time is over; `ask` gets the seconds that it may take."""
        longest = FIRST_PAUSE_SECONDS
        while (left := end - self.monotonic()) > 0:
            try:
                return ask(min(REQUEST_SECONDS, left))
            except TableError as error:
                pause = self.chance.uniform(0.0, longest)
                if not error.transient or self.monotonic() + pause >= end:
                    raise
            self.sleep(pause)
            longest = min(LONGEST_PAUSE_SECONDS, 2 * longest)
        raise Unavailable("The table took too long to answer: no time is left to ask it.")
