"""An HTTP proxy in front of the table: it passes everything through but what is to meet a fault."""

import http.client
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Literal, Self

from dev.stack.loopback import Connection, Server

Fault = Literal["lose_request", "swallow_answer", "hang", "late", "slow", "busy"]
Moment = Literal["request", "answer"]
Watch = Callable[[Moment, bytes], Fault | None]

_STOP_SECONDS = 30.0
_BUSY = b'{"odata.error": {"code": "ServerBusy", "message": {"value": "The server is busy."}}}'
_BUSY_HEADERS = (("Content-Type", "application/json"), ("x-ms-error-code", "ServerBusy"))


class Proxy:
    """Stands at `port` on loopback before the `target`'s port.

    lose_request    the request never reaches the server, the client's connection closes
    swallow_answer  the server gets the request and answers, the client's connection closes without a byte
    hang            the server gets the request, the client gets nothing until the proxy stops
    late            the server gets the request `seconds` later, whether or not the client still waits
    slow            the server gets the request at once, the client its answer `seconds` later
    busy            the request never reaches the server; the client is answered as a busy table does, 503 ServerBusy

    `watch` sees every whole request before it is passed on, and again when its answer has come; it may
    take its time, and may answer with a fault: any of a request, `swallow_answer`, `slow` or `hang` of an answer.
    """

    def __init__(self, target: int, *, watch: Watch | None = None, seconds: float = 1.0) -> None:
        self.watch = watch
        self.target = target
        self.seconds = seconds
        self.clients: set[tuple[str, int]] = set()
        """The addresses of all connections so far."""
        self.stopping = threading.Event()
        self._server = Server(_Client, self)
        self.port: int = self._server.server_address[1]

    def through(self, connection_string: str) -> str:
        """Return a connection string that leads to the same server by way of this proxy."""
        return connection_string.replace(f":{self.target}/", f":{self.port}/")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.stop(_STOP_SECONDS, cut=True)


class _Client(Connection):
    """A client's connection, which a fault may end. Each of its requests is passed on over one of its own."""

    server: Server

    def serve(self) -> None:
        """Pass on a request and its answer."""
        proxy: Proxy = self.server.owner
        proxy.clients.add(self.client_address)
        body = self.read(int(self.headers.get("Content-Length", 0)))
        request = f"{self.requestline}\r\n".encode() + bytes(self.headers) + body
        fault = proxy.watch("request", request) if proxy.watch else None
        if fault == "busy":
            self.wfile.write(self.message(503, _BUSY_HEADERS, _BUSY))
            return
        if fault == "late":
            proxy.stopping.wait(proxy.seconds)
        if fault == "lose_request":
            self.close_connection = True
            return
        with closing(http.client.HTTPConnection("127.0.0.1", proxy.target)) as server:
            server.request(self.command, self.path, body or None, dict(self.headers))
            answer = server.getresponse()
            content = answer.read()
        fault = (proxy.watch("answer", request) if proxy.watch else None) or fault
        if fault in ("slow", "hang"):
            proxy.stopping.wait(proxy.seconds if fault == "slow" else None)
        if fault in ("swallow_answer", "hang"):
            self.close_connection = True
        else:
            self.wfile.write(self.message(answer.status, answer.getheaders(), content))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - http.server's
