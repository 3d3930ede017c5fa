"""One HTTP call with one deadline for all its parts.

Socket time-outs are not enough: name resolution has none, each address of a host gets a time-out of its own, and an
answer that arrives byte by byte never reaches one. So each call has a thread that works and a caller that waits:

    caller ─┬─ waits ───────────────────────────────── deadline ── shuts the gate and the socket ── Response
            │                                              ┊
    worker  └─ look up ── connect ── TLS ──▐ ── send ───── ┊ ── read
                                         gate              ┊

Before every piece of the request the worker passes the gate, which is open until the deadline: nothing is
sent after it. Until an answer begins, closing the socket (by us, or by the system when the process dies)
resets the connection, so that the system sends nothing again either. A look-up cannot be interrupted: its
thread goes on by itself, and finds the gate shut.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_REASON_CHARACTERS = 200


class Stage(IntEnum):
    """How far a call has come."""

    LOOK_UP = 0
    CONNECT = 1
    SENT = 2
    ANSWERED = 3


_WHILE = {
    Stage.LOOK_UP: "looking up its name",
    Stage.CONNECT: "connecting",
    Stage.SENT: "waiting for the answer",
    Stage.ANSWERED: "reading the answer",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call has no whole answer.

    `code` is Timeout, NoConnection (nothing was sent), ConnectionLost or TooLarge.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Response:
    """The result of one call.

    `status` is None when no answer began; `headers` are the answer's, whatever the case of their names. Either `body`
    is the whole of the answer, or `failure` says why there is none. `sent`: at least one byte of the request may have
    left this machine. `seconds` are what the call took, by the monotonic clock.
    """

    status: int | None
    headers: Mapping[str, str]
    body: bytes | None
    failure: Failure | None
    sent: bool
    seconds: float


class Call:
    """One call under way: its deadline, the gate that its worker passes, and the response.

    `service` is the service's name in messages; `deadline` is in seconds from now.
    """

    def __init__(self, service: str, deadline: float, resolve: Callable[..., Iterable[Any]]) -> None:
        self.resolve = resolve
        self._service = service
        self._deadline = deadline
        self._began = time.monotonic()
        self._began_wall = time.time()
        self._gate = threading.Lock()
        self._shut = False
        self._wire: socket.socket | None = None
        self._stage = Stage.LOOK_UP
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}
        self._ended = threading.Event()
        self._response: Response | None = None

    # The worker's side.

    def left(self) -> float:
        """Return the seconds left; raise TimeoutError when there are none.

        Only the wall clock counts a machine's sleep, so the clock that moved more is used.
        """
        gone = max(time.monotonic() - self._began, time.time() - self._began_wall)
        if self._shut or gone >= self._deadline:
            raise TimeoutError
        return self._deadline - gone

    def pass_gate(self, sock: socket.socket, stage: Stage) -> None:
        """Enter `stage` with the socket `sock`, or raise TimeoutError."""
        with self._gate:
            self.left()
            if stage == Stage.CONNECT or self._wire is None:
                self._close_wire()
                # A second handle: the caller may use it whatever TLS, urllib3 or the pool do to the first.
                self._wire = socket.socket(fileno=socket.dup(sock.fileno()))
            if stage == Stage.SENT:
                self._reset_on_close(True)
            self._stage = stage

    def arrived(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the head of the answer."""
        with self._gate:
            self._status, self._headers, self._stage = status, headers, Stage.ANSWERED
            self._reset_on_close(False)

    def finish(self, response: Response) -> None:
        """Give `response` to the caller, unless it has stopped waiting."""
        with self._gate:
            self._close_wire()
            if not self._shut:
                self._response = response
        self._ended.set()

    # The caller's side.

    def wait(self) -> Response:
        """Return the response; at the deadline, end the call and return that failure."""
        self._ended.wait(self._deadline - (time.monotonic() - self._began))
        with self._gate:
            if self._response:
                return self._response
            self._shut = True
            if self._wire:
                # Wakes the worker. Should it have given the connection back in this very moment, the next
                # call may lose it: rare, and reported as it is.
                with suppress(OSError):  # the other side was faster
                    self._wire.shutdown(socket.SHUT_RDWR)
            self._close_wire()
            return self.failed(TimeoutError())

    # What became of it.

    def read(self, body: bytes) -> Response:
        """Return the Response for an answer that was read to its end."""
        return self._made(body=body)

    def too_large(self, most: int) -> Response:
        """Return the Response for an answer of more than `most` bytes."""
        return self._made(
            failure=Failure("TooLarge", f"{self._service}'s answer is larger than {most} bytes.")
        )

    def failed(self, error: Exception) -> Response:
        """Return the Response for a call that `error` ended. Its text is left out, because it may contain the token."""
        cause: BaseException = error
        while deeper := cause.__cause__ or cause.__context__:
            cause = deeper
        where = f"(while {_WHILE[self._stage]})"
        if isinstance(cause, TimeoutError):
            message = f"No answer from {self._service} within {self._deadline:g} s {where}."
            return self._made(failure=Failure("Timeout", message))
        reason = (cause.strerror if isinstance(cause, OSError) else None) or type(cause).__name__
        message = f"No answer from {self._service}: {reason[:_REASON_CHARACTERS]} {where}."
        code = "NoConnection" if self._stage < Stage.SENT else "ConnectionLost"
        return self._made(failure=Failure(code, message))

    def _made(self, *, body: bytes | None = None, failure: Failure | None = None) -> Response:
        return Response(
            status=self._status,
            headers=self._headers,
            body=body,
            failure=failure,
            sent=self._stage >= Stage.SENT,
            seconds=time.monotonic() - self._began,
        )

    def _reset_on_close(self, on: bool) -> None:
        """Choose what closing does with bytes not yet delivered: drop them, or go on sending them."""
        if self._wire:
            self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))

    def _close_wire(self) -> None:
        if self._wire:
            self._wire.close()
            self._wire = None


CURRENT: ContextVar[Call] = ContextVar("call")
"""The call that a worker's thread works on."""
