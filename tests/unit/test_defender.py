"""The call to Defender, against tiny servers on the loopback that do one thing wrong each."""

import contextlib
import datetime as dt
import gzip
import ipaddress
import itertools
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared import errors
from shared.clients import defender
from shared.clients.answer import Answer

LIMIT = 20.0  # seconds until a wait counts as a failure; nothing here takes as long
SOON = 0.3  # seconds: the deadline of calls that are meant to meet it
TOKEN = "eyJ0eXAi." + "secret-" * 40 + ".c2lnbmF0dXJl"
BODY = {
    "machineId": "1e5bc9d7e413ddd7902c2932e418702b84d0cc07",
    "severity": "Low",
    "title": "Überraschung",
    "description": "a test",
    "recommendedAction": "none",
    "eventTime": "2018-08-03T16:45:21.7115183Z",
    "reportId": "20776",
    "category": "Exploit",
}
DATE = "Fri, 03 Aug 2018 16:45:30 GMT"
CREATED = {"id": "da637472900382838869_1364969609", "alertCreationTime": "2018-08-03T16:45:29.1234567Z"}
NOT_FOUND = {"error": {"code": "ResourceNotFound", "message": "no such event", "target": "43f4cb08"}}


class Peer:
    """One connection, as a server sees it."""

    def __init__(self, sock: socket.socket, release: threading.Event) -> None:
        self.sock = sock
        self.release = release
        self.stream = sock.makefile("rb")

    def read(self) -> bytes:
        """Return one whole request, empty when there is none."""
        head, length = b"", 0
        while line := self.stream.readline():
            head += line
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
            if line == b"\r\n":
                return head + self.stream.read(length)
        return b""

    def hang(self) -> None:
        """Do nothing until the test is over."""
        assert self.release.wait(LIMIT)


class Server:
    """Serves every connection on `address` with `serve` in a thread, and keeps the requests it read."""

    def __init__(
        self, serve: Callable[["Peer"], None], context: ssl.SSLContext | None = None, *, buffer: int = 0
    ) -> None:
        self._serve = serve
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        if buffer:  # bytes that the system takes in before `serve` reads them
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._release = threading.Event()
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LIMIT)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve_one, sock)

    def _serve_one(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(LIMIT)
            wrapped = self._context.wrap_socket(sock, server_side=True) if self._context else sock
            with wrapped:
                peer = Peer(wrapped, self._release)
                with peer.stream:
                    self._serve(peer)


def http(status: int, content: object, *headers: str, date: str = DATE) -> bytes:
    """Return the bytes of a whole answer; `content` is sent as it is, or as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} X", f"Date: {date}", f"Content-Length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


def answering(raw: bytes, *, times: int = 1) -> Callable[[Peer], None]:
    """Return a server's part: answer `times` requests of a connection with `raw`, then close it."""

    def serve(peer: Peer) -> None:
        for _ in range(times):
            if not peer.read():
                return
            peer.sock.sendall(raw)

    return serve


def locally(*ports: int) -> Callable[..., list[Any]]:
    """Return a look-up that knows only these ports of this machine."""

    def resolve(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]

    return resolve


@contextlib.contextmanager
def client(url: str, *, deadline: float = LIMIT, **edges: Any) -> Iterator[defender.Defender]:
    """Yield a Defender for `url`; in the end close it and wait for the threads it left behind."""
    with contextlib.closing(defender.Defender(url, deadline=deadline, **edges)) as caller:
        yield caller
    join_workers()


def join_workers() -> None:
    """Wait until no call is at work any more."""
    for thread in threading.enumerate():
        if thread.name == defender.THREAD_NAME:
            thread.join(LIMIT)
            assert not thread.is_alive()


def call(serve: Callable[[Peer], None], *, deadline: float = LIMIT, **edges: Any) -> Answer:
    """Return the answer of one call to a server that does `serve`."""
    edges.setdefault("resolve", socket.getaddrinfo)
    with Server(serve) as server, contextlib.ExitStack() as stack:
        caller = stack.enter_context(client(server.url, deadline=deadline, **edges))
        answer = caller.create_alert(BODY, TOKEN)
        server._release.set()
        return answer


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Yield a port on which nobody listens, and nobody else can."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Yield a port that swallows connection attempts: its queue is full and nobody empties it."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


# ---- where a token goes


@pytest.mark.parametrize(
    "url",
    [
        "http://api.security.microsoft.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "ftp://localhost",
        "https://",
        "https://user:pass@api.security.microsoft.com",
        "https://api.security.microsoft.com?x=1",
        "https://api.security.microsoft.com:port",
        "https://[::1",
        "api.security.microsoft.com",
        "",
    ],
)
def test_a_token_is_not_sent_everywhere(url: str) -> None:
    """Any URL but https or loopback is refused by the name of its setting, without repeating a password."""
    with pytest.raises(errors.SettingsError) as caught:
        defender.Defender(url, deadline=1)
    assert [problem.field for problem in caught.value.problems] == ["DEFENDER_API_URL"]
    assert "pass" not in caught.value.detail


@pytest.mark.parametrize(
    "url",
    [
        "https://api.security.microsoft.com",
        "https://eu.api.security.microsoft.com/",
        "http://localhost:8080",
        "http://127.0.0.2:8080/prefix",
        "http://[::1]:8080",
    ],
)
def test_where_a_token_may_go(url: str) -> None:
    """Https and loopback are taken, and nothing is opened for it."""
    defender.Defender(url, deadline=1).close()


def test_slow_imports_wait_for_the_first_need() -> None:
    """Importing the call and the identity imports neither requests nor Azure's identity library."""
    code = (
        "import sys, shared.clients.defender, shared.identity;"
        "print({'requests', 'urllib3', 'azure.identity', 'msal'} & set(sys.modules))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603  our own line
    assert done.stdout.strip() == "set()"


# ---- the call on the wire


def test_the_request() -> None:
    """One POST with the eight fields, the bearer token, JSON, and our own name."""
    seen = []

    def serve(peer: Peer) -> None:
        seen.append(peer.read())
        peer.sock.sendall(http(200, CREATED))

    answer = call(serve)
    assert answer.kind == "created"
    assert (answer.status, answer.alert, answer.merged, answer.error) == (200, CREATED, False, None)
    assert (answer.sent, answer.answered, answer.retry_after) == (True, True, None)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert first == "POST /api/alerts/CreateAlertByReference HTTP/1.1"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "defender-alert-webhook"
    assert json.loads(body) == BODY


def test_the_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a netrc entry nor a proxy of the environment gets between us and Defender."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen = []

    def serve(peer: Peer) -> None:
        seen.append(peer.read())
        peer.sock.sendall(http(200, CREATED))

    assert call(serve).kind == "created"
    assert f"Authorization: Bearer {TOKEN}\r\n".encode() in seen[0]


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        (http(404, NOT_FOUND), "not_found", "ResourceNotFound"),
        (http(400, {"error": {"code": "BadRequest"}}), "rejected", "BadRequest"),
        (http(503, {"error": {"code": "Busy"}}), "unavailable", "Busy"),
        (http(200, b"<html>sign in</html>"), "unavailable", "NotDefender"),
        (http(502, b"<html>bad gateway</html>"), "unavailable", "NotDefender"),
        (http(404, b"<html>not found</html>"), "unavailable", "NotDefender"),
        (http(200, {"hello": "world"}), "unavailable", "NotDefender"),
        (http(200, [CREATED]), "unavailable", "NotDefender"),
        (http(200, b""), "unavailable", "NoAlert"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "unavailable", "NoAlert"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{}", "unavailable", "ConnectionLost"),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "unavailable", "ConnectionLost"),
        (http(200, b'{"id": "' + b"x" * (1 << 20) + b'"}'), "unavailable", "TooLarge"),
        (http(302, b"", "Location: /elsewhere"), "unavailable", "Redirect"),
        (http(307, CREATED, "Location: ht!tp://[nonsense"), "unavailable", "Redirect"),
    ],
)  # fmt: skip
def test_answers(raw: bytes, kind: str, code: str) -> None:
    """What came back whole is judged; what did not is unavailable. In both cases the request had arrived."""
    answer = call(answering(raw))
    assert answer.error is not None
    assert (answer.kind, answer.error["code"]) == (kind, code)
    assert answer.status == answer.error["status"] == int(raw[9:12])
    assert (answer.alert, answer.merged, answer.sent, answer.answered) == (None, False, True, True)


def test_a_packed_answer_is_read() -> None:
    """Somebody on the way may compress the answer although we did not ask for it."""
    packed = gzip.compress(json.dumps(CREATED).encode())
    assert call(answering(http(200, packed, "Content-Encoding: gzip"))).alert == CREATED


def test_merged_on_the_wire() -> None:
    """An alert older than the answer's own Date was there before."""
    old = {**CREATED, "alertCreationTime": "2018-08-03T16:40:00Z"}
    assert call(answering(http(200, old))).merged


def test_too_many_requests() -> None:
    """429 is unavailable, with the seconds to wait."""
    answer = call(answering(http(429, {"error": {"code": "TooManyRequests"}}, "Retry-After: 17")))
    assert (answer.kind, answer.retry_after) == ("unavailable", 17.0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    """A redirect is never followed: the other server sees no connection, let alone a token."""
    with Server(answering(http(200, CREATED))) as other:
        answer = call(answering(http(status, b"", f"Location: {other.url}")))
        assert (answer.kind, answer.status, other.connections) == ("unavailable", status, 0)


def test_no_cookie_is_kept() -> None:
    """A cookie, such as one that binds us to one of many servers, is not sent back."""
    seen = []

    def serve(peer: Peer) -> None:
        for _ in range(2):
            seen.append(peer.read().lower())
            peer.sock.sendall(http(200, CREATED, "Set-Cookie: affinity=1; Path=/"))

    with Server(serve) as server, client(server.url) as caller:
        assert {caller.create_alert(BODY, TOKEN).kind for _ in range(2)} == {"created"}
    assert [b"\r\ncookie:" in request for request in seen] == [False, False]


def test_the_token_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """No answer, no repr and no log at any level holds the token, though a server echoes the request."""
    caplog.set_level(logging.DEBUG)

    def echo(peer: Peer) -> None:
        request = peer.read().decode()
        error = {"code": "Echo", "message": request, "target": TOKEN}
        peer.sock.sendall(http(400, {"error": error, "id": TOKEN}))
        request = peer.read().decode()
        peer.sock.sendall(http(200, {"id": "da1", "comments": [request]}))

    with Server(echo) as server, client(server.url) as caller:
        answers = [caller.create_alert(BODY, TOKEN) for _ in range(2)]
        assert [answer.kind for answer in answers] == ["rejected", "created"]
        assert TOKEN not in repr((answers, caller, vars(caller)))
    assert caplog.records
    assert TOKEN not in caplog.text


def test_a_token_that_fits_no_header_is_not_shown_either() -> None:
    """The library's error quotes the whole header; ours does not."""
    with client("http://localhost:1") as caller:
        answer = caller.create_alert(BODY, TOKEN + "\nX: y")
    assert (answer.kind, answer.sent) == ("unavailable", False)
    assert TOKEN not in repr(answer)


# ---- the network at its worst


def test_reset_before_the_answer() -> None:
    """A reset after the request: sent, not answered."""

    def serve(peer: Peer) -> None:
        peer.read()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    answer = call(serve)
    assert answer.error is not None
    assert (answer.kind, answer.status, answer.sent, answer.answered) == ("unavailable", None, True, False)
    assert answer.error["code"] == "ConnectionLost"


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 2", b"220 smtp.example.com ESMTP\r\n", b"\x15\x03\x01\r\n"])
def test_what_is_no_http(raw: bytes) -> None:
    """A connection that ends without the head of an answer: sent, not answered."""
    answer = call(answering(raw))
    assert answer.error is not None
    assert (answer.kind, answer.status, answer.sent, answer.answered) == ("unavailable", None, True, False)
    assert answer.error["code"] == "ConnectionLost"


def test_refused(dead_port: int) -> None:
    """Where nobody listens nothing was sent; the message says where it stopped."""
    with client(f"http://127.0.0.1:{dead_port}") as caller:
        answer = caller.create_alert(BODY, TOKEN)
    assert answer.error is not None
    assert (answer.kind, answer.status, answer.sent, answer.answered) == ("unavailable", None, False, False)
    assert answer.error["code"] == "NoConnection"
    assert "connecting" in answer.error["message"]


def test_unknown_name() -> None:
    """A name without an address: nothing was sent."""

    def fail(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for resolve in (fail, locally()):
        with client("https://defender.example", resolve=resolve) as caller:
            answer = caller.create_alert(BODY, TOKEN)
        assert answer.error is not None
        assert (answer.error["code"], answer.sent) == ("NoConnection", False)
        assert "name" in answer.error["message"]


def test_the_next_address_is_tried(dead_port: int, black_hole: int) -> None:
    """Neither an address that refuses nor one that swallows everything keeps us from the one that works."""
    with Server(answering(http(200, CREATED))) as server:
        resolve = locally(dead_port, black_hole, server.port)
        with client(server.url, deadline=2, resolve=resolve) as caller:
            assert caller.create_alert(BODY, TOKEN).kind == "created"


def test_every_address_is_dead(black_hole: int) -> None:
    """Four addresses that swallow everything share one deadline, and nothing was sent."""
    with client("http://localhost", deadline=SOON, resolve=locally(*[black_hole] * 4)) as caller:
        answer = caller.create_alert(BODY, TOKEN)
    assert answer.error is not None
    assert (answer.error["code"], answer.sent, answer.answered) == ("Timeout", False, False)
    assert "connecting" in answer.error["message"]


def test_a_slow_look_up() -> None:
    """The caller is back although the look-up is not; when it ends at last, nobody is called any more."""
    released = threading.Event()
    with Server(answering(http(200, CREATED))) as server:

        def resolve(*_: Any, **__: Any) -> list[Any]:
            assert released.wait(LIMIT)
            return locally(server.port)()

        with client(server.url, deadline=SOON, resolve=resolve) as caller:
            answer = caller.create_alert(BODY, TOKEN)
            assert not released.is_set()
            released.set()
            join_workers()
        assert server.connections == 0
    assert answer.error is not None
    assert (answer.kind, answer.error["code"], answer.sent) == ("unavailable", "Timeout", False)
    assert "looking up" in answer.error["message"]


def test_a_hanging_handshake() -> None:
    """TLS that never comes about is no request: not sent."""
    with Server(Peer.hang) as server:
        with client(f"https://localhost:{server.port}", deadline=SOON) as caller:
            answer = caller.create_alert(BODY, TOKEN)
        assert server.connections > 0
    assert answer.error is not None
    assert (answer.error["code"], answer.sent) == ("Timeout", False)
    assert "connecting" in answer.error["message"]


def test_hanging_before_the_answer() -> None:
    """At the deadline the caller is back, and the server sees the connection end."""
    ended = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read()
        with contextlib.suppress(ConnectionResetError):
            peer.sock.recv(1)
        ended.set()

    with Server(serve) as server, client(server.url, deadline=SOON) as caller:
        answer = caller.create_alert(BODY, TOKEN)
        assert ended.wait(LIMIT)
    assert answer.error is not None
    assert (answer.kind, answer.status, answer.sent, answer.answered) == ("unavailable", None, True, False)
    assert answer.error["code"] == "Timeout"
    assert "waiting for the answer" in answer.error["message"]


def test_hanging_in_the_answer() -> None:
    """An answer that begins and does not go on: its status and Retry-After are known, its body is not."""

    def serve(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(b'HTTP/1.1 429 X\r\nRetry-After: 9\r\nContent-Length: 50\r\n\r\n{"error"')
        peer.hang()

    answer = call(serve, deadline=SOON)
    assert answer.error is not None
    assert (answer.kind, answer.status, answer.sent, answer.answered) == ("unavailable", 429, True, True)
    assert (answer.retry_after, answer.error["code"]) == (9.0, "Timeout")
    assert "reading the answer" in answer.error["message"]


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 X\r\nX-Filler: ", b"HTTP/1.1 200 X\r\n\r\n"])
def test_a_trickling_answer(head: bytes) -> None:
    """Bytes that keep coming, in the head or in the body, never hold the caller beyond the deadline."""
    over = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(head)
        while not peer.release.wait(0.01):
            try:
                peer.sock.sendall(b" ")
            except OSError:
                over.set()
                raise

    with Server(serve) as server, client(server.url, deadline=SOON) as caller:
        answer = caller.create_alert(BODY, TOKEN)
        assert over.wait(LIMIT)  # the server goes on until it finds the connection closed
    assert answer.error is not None
    assert (answer.kind, answer.error["code"], answer.sent) == ("unavailable", "Timeout", True)


def test_an_endless_answer() -> None:
    """Of an answer without an end no more than 1 MiB is read."""
    over = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(b"HTTP/1.1 200 X\r\n\r\n")
        try:
            while True:
                peer.sock.sendall(b"x" * 65536)
        except OSError:
            over.set()

    with Server(serve) as server, client(server.url) as caller:
        answer = caller.create_alert(BODY, TOKEN)
        assert over.wait(LIMIT)
    assert answer.error is not None
    assert (answer.status, answer.error["code"]) == (200, "TooLarge")


@pytest.mark.parametrize("size", [256 << 10, 32 << 20])
def test_what_was_not_delivered_is_dropped(size: int) -> None:
    """What a server has not taken in by the deadline never arrives, whoever still had to send it."""
    received: list[int] = []
    called, drained = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        assert called.wait(LIMIT)
        try:
            while piece := peer.sock.recv(1 << 20):
                received.append(len(piece))
        finally:
            drained.set()

    with Server(serve, buffer=4096) as server, client(server.url, deadline=SOON) as caller:
        answer = caller.create_alert({**BODY, "description": "x" * size}, TOKEN)
        join_workers()
        called.set()
        assert drained.wait(LIMIT)
    assert (answer.kind, answer.sent, answer.answered) == ("unavailable", True, False)
    assert sum(received) < size


# ---- connections


def test_connections_are_kept_warm() -> None:
    """Calls one after the other share a connection."""
    with Server(answering(http(200, CREATED), times=3)) as server, client(server.url) as caller:
        assert [caller.create_alert(BODY, TOKEN).kind for _ in range(3)] == ["created"] * 3
        assert server.connections == 1


def test_an_answered_connection_ends_in_peace() -> None:
    """Closing a connection that waits for its next call is no reset."""
    ends: list[bytes] = []

    def serve(peer: Peer) -> None:
        peer.read()
        peer.sock.sendall(http(200, CREATED))
        ends.append(peer.sock.recv(1))

    with Server(serve) as server, client(server.url) as caller:
        assert caller.create_alert(BODY, TOKEN).kind == "created"
        caller.close()
    assert ends == [b""]


def test_an_idle_connection_is_not_used_again() -> None:
    """A connection idle for longer than the limit is replaced."""
    with Server(answering(http(200, CREATED), times=3)) as server, client(server.url, idle=0) as caller:
        assert [caller.create_alert(BODY, TOKEN).kind for _ in range(3)] == ["created"] * 3
        assert server.connections == 3


def test_a_connection_closed_by_the_server_is_replaced() -> None:
    """A server that closes after each answer costs a connection, not an alert."""
    raw = http(200, CREATED, "Connection: close")
    with Server(answering(raw)) as server, client(server.url) as caller:
        assert [caller.create_alert(BODY, TOKEN).kind for _ in range(3)] == ["created"] * 3
        assert server.connections == 3


def test_a_lost_call_leaves_the_next_one_alone() -> None:
    """After a call cut off in the middle of its answer the next one starts afresh."""
    turns = itertools.count()

    def serve(peer: Peer) -> None:
        peer.read()
        if next(turns) == 0:
            peer.sock.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 50\r\n\r\n{")
            peer.sock.recv(1)
        else:
            peer.sock.sendall(http(200, CREATED))

    with Server(serve) as server, client(server.url, deadline=SOON) as caller:
        assert caller.create_alert(BODY, TOKEN).kind == "unavailable"
        assert caller.create_alert(BODY, TOKEN).alert == CREATED


def test_an_answer_goes_to_its_own_call() -> None:
    """An interim answer (103) is none, and the answer that follows it is not taken for the next call's."""

    def serve(peer: Peer) -> None:
        for number in itertools.count():
            if not peer.read():
                return
            peer.sock.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" if server.connections == 1 else b"")
            peer.sock.sendall(http(200, {"id": f"{server.connections}-{number}"}))

    with Server(serve) as server, client(server.url) as caller:
        first, second = (caller.create_alert(BODY, TOKEN) for _ in range(2))
    assert first.error is not None
    assert (first.kind, first.error["code"], first.answered) == ("unavailable", "ConnectionLost", False)
    assert second.alert == {"id": "2-0"}


def test_many_threads_share_one_defender() -> None:
    """32 calls at once get each its own answer, and no call opens more than one connection."""
    everybody = threading.Barrier(32)

    def serve(peer: Peer) -> None:
        while request := peer.read():
            title = json.loads(request.partition(b"\r\n\r\n")[2])["title"]
            peer.sock.sendall(http(200, {"id": title}))

    answers: dict[str, Answer] = {}
    with Server(serve) as server, client(server.url) as caller:

        def work(title: str) -> None:
            everybody.wait(LIMIT)
            answers[title] = caller.create_alert({**BODY, "title": title}, TOKEN)

        threads = [threading.Thread(target=work, args=(str(number),)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert server.connections <= 32
    assert {title: (answer.alert or {}).get("id") for title, answer in answers.items()} == {
        str(number): str(number) for number in range(32)
    }


# ---- TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate for `localhost` that signs itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


def test_over_tls(certificate: tuple[Path, ssl.SSLContext]) -> None:
    """Over TLS the call is the same, and its connection is kept as well."""
    path, context = certificate
    session = requests.Session()
    session.verify = str(path)
    with (
        Server(answering(http(200, CREATED), times=2), context) as server,
        client(server.url, session=session) as caller,
    ):
        assert [caller.create_alert(BODY, TOKEN).alert for _ in range(2)] == [CREATED] * 2
        assert server.connections == 1


def test_hanging_over_tls(certificate: tuple[Path, ssl.SSLContext]) -> None:
    """The deadline cuts a TLS connection off as it does a plain one."""
    path, context = certificate
    session = requests.Session()
    session.verify = str(path)
    ended = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read()
        with contextlib.suppress(OSError):
            peer.sock.recv(1)
        ended.set()

    with Server(serve, context) as server, client(server.url, deadline=1, session=session) as caller:
        answer = caller.create_alert(BODY, TOKEN)
        assert ended.wait(LIMIT)
    assert answer.error is not None
    assert (answer.error["code"], answer.sent, answer.answered) == ("Timeout", True, False)


def test_a_foreign_certificate(certificate: tuple[Path, ssl.SSLContext]) -> None:
    """A server that nobody vouches for gets no request."""
    seen: list[bytes] = []
    with (
        Server(lambda peer: seen.append(peer.read()), certificate[1]) as server,
        client(server.url) as caller,
    ):
        answer = caller.create_alert(BODY, TOKEN)
    assert answer.error is not None
    assert (answer.kind, answer.error["code"], answer.sent) == ("unavailable", "NoConnection", False)
    assert "certificate" in answer.error["message"].lower()
    assert not seen
