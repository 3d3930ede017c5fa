"""A TCP proxy in front of the table: passes everything through, until it is told to lose something."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

Fault = Literal["lose_request", "swallow_answer", "hang"]


class Proxy:
    """Stands at `port` on loopback before `target`'s port. Its faults hit the next requests, then end.

    lose_request    the request never reaches the server, the client's connection closes
    swallow_answer  the server gets the request and answers, the client's connection closes without a byte
    hang            the server gets the request, the client gets nothing until the proxy stops
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hit = 0  # faults that happened

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            fault_of: list[Fault | None] = [None]
            pump = threading.Thread(target=self._answers, args=(server, client, fault_of), daemon=True)
            pump.start()
            self._requests(client, server, fault_of)
            pump.join()
            with self._lock:
                self._sockets -= {client, server}

    def _requests(self, client: socket.socket, server: socket.socket, fault_of: list[Fault | None]) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if data.split(b" ", 1)[0] in (b"GET", b"POST", b"PUT", b"DELETE", b"MERGE", b"PATCH"):
                    fault_of[0] = self._next()
                if fault_of[0] == "lose_request":
                    break
                server.sendall(data)
        _shut(server)
        _shut(client)

    def _answers(self, server: socket.socket, client: socket.socket, fault_of: list[Fault | None]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if fault_of[0] == "swallow_answer":
                    break
                if fault_of[0] != "hang":
                    client.sendall(data)
        _shut(client)
        _shut(server)

    def _next(self) -> Fault | None:
        with self._lock:
            if not self._faults:
                return None
            self.hit += 1
            return self._faults.pop(0)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
