"""A TCP proxy in front of the table: it passes everything through, until it gets a fault."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

Fault = Literal["lose_request", "swallow_answer", "hang", "late", "slow", "busy"]
Moment = Literal["request", "answer"]
Watch = Callable[[Moment, bytes], Fault | None]


_BODY = b'{"odata.error": {"code": "ServerBusy", "message": {"value": "The server is busy."}}}'
_BUSY = (
    b"HTTP/1.1 503 The server is busy.\r\nContent-Type: application/json\r\nx-ms-error-code: ServerBusy\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


@dataclass(slots=True)
class _Exchange:
    """The request that a connection is at, its fault, and whether an answer has begun to come."""

    request: bytes
    fault: Fault | None
    answered: threading.Event


class Proxy:
    """Stands at `port` on loopback before `target`'s port. Its faults hit the next requests, then end.

    lose_request    the request never reaches the server, the client's connection closes
    swallow_answer  the server gets the request and answers, the client's connection closes without a byte
    hang            the server gets the request, the client gets nothing until the proxy stops
    late            the server gets the request `seconds` later, whether or not the client still waits
    slow            the server gets the request at once, the client its answer `seconds` later
    busy            the request never reaches the server; the client is answered as a busy table does, 503 ServerBusy

    `watch` sees every whole request before it is passed on, and again when its answer begins to come; it may
    take its time, and may answer with a fault: `lose_request`, `late` or `busy` of a request, `swallow_answer`, `slow`
    or `hang` of an answer.
    """

    def __init__(self, target: int, *, watch: Watch | None = None, seconds: float = 1.0) -> None:
        self._target = target
        self.watch = watch
        self._seconds = seconds
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hit = 0  # faults that happened
        self.connections = 0  # of clients, so far

    def through(self, connection_string: str) -> str:
        """Return a connection string that leads to the same server by way of this proxy."""
        return connection_string.replace(f":{self._target}/", f":{self.port}/")

    def lose(self, fault: Fault, times: int = 1) -> None:
        """Let the next `times` requests meet this fault."""
        with self._lock:
            self._faults.extend([fault] * times)

    def heal(self) -> None:
        """Forget all faults that have not happened yet."""
        with self._lock:
            self._faults.clear()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            _shut(sock)
        for thread in list(self._threads):
            thread.join()

    def _start(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        with client, server:
            with self._lock:
                self._sockets |= {client, server}
            exchange = _Exchange(b"", None, threading.Event())
            pump = threading.Thread(target=self._answers, args=(server, client, exchange), daemon=True)
            pump.start()
            self._requests(client, server, exchange)
            pump.join()
            with self._lock:
                self._sockets -= {client, server}

    def _requests(self, client: socket.socket, server: socket.socket, exchange: _Exchange) -> None:
        data = b""
        with contextlib.suppress(OSError):
            while piece := client.recv(1 << 16):
                data += piece
                if not _is_whole(data):
                    continue
                exchange.request, data = data, b""
                exchange.answered.clear()
                exchange.fault = self._fault("request", exchange.request)
                if exchange.fault == "lose_request":
                    break
                if exchange.fault == "busy":
                    client.sendall(_BUSY)
                    continue
                if exchange.fault == "late":
                    self._stopping.wait(self._seconds)
                server.sendall(exchange.request)
                if exchange.fault == "late":
                    exchange.answered.wait()  # a client that has gone must not take its request along
        _shut(server)
        _shut(client)

    def _answers(self, server: socket.socket, client: socket.socket, exchange: _Exchange) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if not exchange.answered.is_set():
                    exchange.fault = self._fault("answer", exchange.request) or exchange.fault
                    if exchange.fault == "slow":
                        self._stopping.wait(self._seconds)
                    exchange.answered.set()
                if exchange.fault == "swallow_answer":
                    break
                if exchange.fault != "hang":
                    client.sendall(data)
        exchange.answered.set()
        if exchange.fault != "hang":  # whoever waits for this one shall wait, though the server hangs up
            _shut(client)
        _shut(server)

    def _fault(self, moment: Moment, request: bytes) -> Fault | None:
        """Return the fault that happens now, by the word of `watch` or as asked for, and count it."""
        fault = self.watch(moment, request) if self.watch else None
        with self._lock:
            if not fault and moment == "request" and self._faults:
                fault = self._faults.pop(0)
            self.hit += fault is not None
        return fault


def _is_whole(data: bytes) -> bool:
    """Say whether all of a request has come: its head, and the body that the head tells of."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length:\s*(\d+)", head)
    return bool(end) and len(body) >= int(length[1] if length else 0)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
