"""A small HTTP server on a port of the loopback, by default a free one, for the local host and for the simulator."""

import contextlib
import logging
import socket
import socketserver
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any

log = logging.getLogger("loopback")

_OWN = ("connection", "content-length", "date", "transfer-encoding")


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection, for an `owner`. The server knows its open connections, so that it can end them."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, handler: type["Connection"], owner: Any, port: int = 0) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._closed = threading.Condition()
        super().__init__(("127.0.0.1", port), handler)

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Serve, in a thread of its own."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self, seconds: float, *, cut: bool = False) -> None:
        """Accept and read nothing more; wait for `seconds` at most until the last connection has ended.

        What is being answered is answered, unless `cut` says that callers lose their connection.
        """
        self.shutdown()
        self.server_close()
        with self._closed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR if cut else socket.SHUT_RD)
            self._closed.wait_for(lambda: not self._open, max(0.0, seconds))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, and serve it in a thread."""
        with self._closed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that has ended, and forget it."""
        super().shutdown_request(request)
        with self._closed:
            self._open.discard(request)
            self._closed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's
        """Log an error of ours; callers hang up when they like."""
        if not isinstance(error := sys.exception(), ConnectionError):
            log.error("The connection of %s broke", client_address, exc_info=error)


class Connection(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive. A subclass defines `do_GET` and its like, which answer one request each."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def message(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
        """Return a whole answer, to be written at once. Some statuses and HEAD go without a body."""
        fields = [field for field in headers if field[0].lower() not in _OWN]
        fields.append(("Date", self.date_time_string()))
        if self.close_connection:
            fields.append(("Connection", "close"))
        if status not in (204, 304):
            fields.append(("Content-Length", str(len(body))))
        if self.command == "HEAD" or status in (204, 304):
            body = b""
        phrase = self.responses.get(status, ("",))[0]
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields), "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    def read(self, size: int) -> bytes:
        """Read so many bytes of the body. Raise ConnectionError where the caller left before they came."""
        piece = self.rfile.read(size)
        if len(piece) < size:
            raise ConnectionResetError("the caller left in the middle of its body")
        return piece

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Say nothing: host and simulator keep logs of their own."""
