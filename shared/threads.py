"""Threads for calls that continue after the answer, and for parallel reads."""

import atexit
import concurrent.futures
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")
_EXIT_SECONDS = 5.0


class _Waiting:
    """Waits for what was started."""

    def wait(self, futures: Iterable["Future[_T]"], seconds: float, *, everyone: bool = False) -> None:
        """Wait until one of them (or everyone) is done, at most so many seconds."""
        when = concurrent.futures.ALL_COMPLETED if everyone else concurrent.futures.FIRST_COMPLETED
        concurrent.futures.wait(list(futures), max(0.0, seconds), return_when=when)


class Readers(_Waiting):
    """Runs reads in parallel, at most so many at once."""

    def __init__(self, most: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(most, thread_name_prefix="read")

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Start something."""
        return self._pool.submit(run)


class Threads(_Waiting):
    """Runs each call in a thread of its own, so that it goes on when its webhook has answered.

    When the process ends, calls under way have `exit_seconds` to write what came of them. What is not written by
    then, because the table is unavailable, is sent again when its lease is over.
    """

    def __init__(self, exit_seconds: float = _EXIT_SECONDS) -> None:
        self._running: set[Future[Any]] = set()
        atexit.register(lambda: self.wait(self._running, exit_seconds, everyone=True))

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Start something."""
        future: Future[_T] = Future()

        def work() -> None:
            try:
                future.set_result(run())
            except BaseException as error:  # noqa: BLE001 - raised for whoever asks for the result
                future.set_exception(error)

        # No pool: Python waits for its threads when the process ends, however long they take.
        threading.Thread(target=work, name="call", daemon=True).start()
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future
