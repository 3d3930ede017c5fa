"""A TCP proxy in front of the table: it passes everything through but what is to meet a fault."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Literal, Self

Fault = Literal["lose_request", "swallow_answer", "hang", "late", "slow", "busy"]
Moment = Literal["request", "answer"]
Watch = Callable[[Moment, bytes], Fault | None]

_BODY = b'{"odata.error": {"code": "ServerBusy", "message": {"value": "The server is busy."}}}'
_BUSY = (
    b"HTTP/1.1 503 The server is busy.\r\nContent-Type: application/json\r\nx-ms-error-code: ServerBusy\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class Proxy:
    """Stands at `port` on loopback before `target`'s port.

    lose_request    the request never reaches the server, the client's connection closes
    swallow_answer  the server gets the request and answers, the client's connection closes without a byte
    hang            the server gets the request, the client gets nothing until the proxy stops
    late            the server gets the request `seconds` later, whether or not the client still waits
    slow            the server gets the request at once, the client its answer `seconds` later
    busy            the request never reaches the server; the client is answered as a busy table does, 503 ServerBusy

    `watch` sees every whole request before it is passed on, and again when its answer begins to come; it may
    take its time, and may answer with a fault: any of a request, `swallow_answer`, `slow` or `hang` of an answer.
    """

    def __init__(self, target: int, *, watch: Watch | None = None, seconds: float = 1.0) -> None:
        self.watch = watch
        self.connections = 0  # of clients, so far
        self._target = target
        self._seconds = seconds
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def through(self, connection_string: str) -> str:
        """Return a connection string that leads to the same server by way of this proxy."""
        return connection_string.replace(f":{self._target}/", f":{self.port}/")

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for sock in (self._listener, *self._open.copy()):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join()

    def _start(self, run: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=run, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """Pass one client's requests on, one after the other, until it leaves or a fault ends its connection."""
        with contextlib.suppress(OSError), self._held(client):
            while (request := _message(client)) and self._exchange(client, request):
                pass

    def _exchange(self, client: socket.socket, request: bytes) -> bool:
        """Pass on a request and its answer, over a connection of its own; say whether the client's stays open."""
        fault = self.watch("request", request) if self.watch else None
        if fault == "lose_request":
            return False
        if fault == "busy":
            client.sendall(_BUSY)
            return True
        if fault == "late":
            self._stopping.wait(self._seconds)
        with self._held(socket.create_connection(("127.0.0.1", self._target))) as server:
            server.sendall(request)
            answer = _message(server)
        fault = (self.watch("answer", request) if self.watch else None) or fault
        if fault in ("slow", "hang"):
            self._stopping.wait(self._seconds if fault == "slow" else None)
        if fault in ("swallow_answer", "hang") or not answer:
            return False
        client.sendall(answer)
        return True

    @contextlib.contextmanager
    def _held(self, sock: socket.socket) -> Iterator[socket.socket]:
        """Close a connection at the end; until then the proxy can cut it."""
        with sock:
            self._open.add(sock)
            try:
                yield sock
            finally:
                self._open.discard(sock)


def _message(sock: socket.socket) -> bytes:
    """Return the next request or answer; nothing if the other side leaves before it is whole."""
    data = b""
    while not _is_whole(data):
        if not (piece := sock.recv(1 << 16)):
            return b""
        data += piece
    return data


def _is_whole(data: bytes) -> bool:
    """Say whether all of a message has come: its head, and the body that the head tells of."""
    head, end, body = data.partition(b"\r\n\r\n")
    if re.search(rb"(?i)\r\ntransfer-encoding:\s*chunked", head):
        return (b"\r\n" + body).endswith(b"\r\n0\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length:\s*(\d+)", head)
    return bool(end) and len(body) >= int(length[1] if length else 0)
