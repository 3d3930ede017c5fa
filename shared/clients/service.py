"""One service that is called: its address, its deadline, and its open connections."""

import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared.clients.call import CURRENT, Call, Response
from shared.clients.connections import IDLE_SECONDS, Connections

if TYPE_CHECKING:
    import requests

_TOKEN_CHARACTERS = 200  # a shorter one is a test's, and its text may stand in an answer by chance


class Service:
    """Posts JSON to one address, over connections that stay open; shared by up to 32 threads.

    `name` is its name in messages, `thread` the name of its calls' threads. `deadline` bounds a whole call, in seconds,
    and `most_bytes` an answer. `session` gets connections of `connections`. `resolve` looks names up as
    `socket.getaddrinfo` does. A connection idle for `idle` seconds is not reused.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        thread: str,
        deadline: float,
        most_bytes: int,
        session: "requests.Session | None" = None,
        resolve: Callable[..., Iterable[Any]] = socket.getaddrinfo,
        idle: float = IDLE_SECONDS,
    ) -> None:
        self._name = name
        self._url = url
        self._thread = thread
        self._deadline = deadline
        self._most_bytes = most_bytes
        self._resolve = resolve
        self._connections = Connections(session, idle=idle)

    def post(self, payload: bytes, token: str) -> Response:
        """Post one body. Return by the deadline, and never raise for network errors."""
        call = Call(self._name, self._deadline, self._resolve)
        try:
            threading.Thread(
                target=self._work, args=(call, payload, token), name=self._thread, daemon=True
            ).start()
        except RuntimeError as error:  # out of threads, or the process is ending
            return call.failed(error)
        return call.wait()

    def close(self) -> None:
        """Close the open connections."""
        self._connections.close()

    def _work(self, call: Call, payload: bytes, token: str) -> None:
        CURRENT.set(call)
        try:
            response = self._exchange(call, payload, token)
        except Exception as error:  # noqa: BLE001  whatever happens here, the caller needs a Response
            response = call.failed(error)
        call.finish(response)

    def _exchange(self, call: Call, payload: bytes, token: str) -> Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with self._connections.post(self._url, headers, payload, call.left()) as response:
            if response.status_code < HTTPStatus.OK:
                # http.client takes a 103 for the answer, and would give the real one to the next call.
                raise OSError(None, f"HTTP {response.status_code} and no answer")
            call.arrived(response.status_code, response.headers)
            body = response.raw.read(self._most_bytes + 1, decode_content=True)
        if len(body) > self._most_bytes:
            return call.too_large(self._most_bytes)
        # A test server or proxy that echoes the request must not make us store the token.
        return call.read(body.replace(token.encode(), b"[token]") if len(token) > _TOKEN_CHARACTERS else body)
