"""The local host treats functions and their callers as the platform does."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dev.stack.functions import Answer, LoadError, route_pattern, seconds_between
from dev.stack.host import Host

ROOT = Path(__file__).parents[2]
LIMIT = 20  # seconds; generous, nothing here is meant to take one
HTTP_RETURN = {"name": "$return", "type": "http", "direction": "out"}
ECHO = """
import json
import azure.functions as func

def main(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method, "url": req.url, "headers": dict(req.headers), "params": dict(req.params),
        "route": dict(req.route_params), "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")
"""
TICK = """
import queue
import azure.functions as func

ticks: queue.Queue = queue.Queue()

def main(timer: func.TimerRequest) -> None:
    ticks.put(timer.past_due)
"""


def http_trigger(**settings: Any) -> list[dict[str, Any]]:
    """Bindings of an HTTP function, anonymous unless said otherwise."""
    trigger = {"name": "req", "type": "httpTrigger", "direction": "in", "authLevel": "anonymous", **settings}
    return [trigger, HTTP_RETURN]


def timer_trigger(schedule: str = "*/30 * * * * *", **settings: Any) -> list[dict[str, Any]]:
    """Bindings of a timer function."""
    return [{"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": schedule, **settings}]


class App:
    """A throw-away function app in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.configure({})

    def configure(self, extensions: dict[str, Any]) -> None:
        """Write host.json."""
        (self.root / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))

    def add(self, name: str, bindings: list[dict[str, Any]], source: str = ECHO, **settings: Any) -> None:
        """Write one function folder."""
        (self.root / name).mkdir()
        (self.root / name / "function.json").write_text(json.dumps({**settings, "bindings": bindings}))
        (self.root / name / "__init__.py").write_text(source)


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Make an app without functions."""
    return App(tmp_path)


@contextmanager
def connected(host: Host) -> Iterator[http.client.HTTPConnection]:
    """One connection to the host."""
    connection = http.client.HTTPConnection(host.url.removeprefix("http://"), timeout=LIMIT)
    try:
        yield connection
    finally:
        connection.close()


def call(
    host: Host, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request; header names of the answer in lower case."""
    with connected(host) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return (
            response.status,
            [(name.lower(), value) for name, value in response.getheaders()],
            response.read(),
        )


def echoed(host: Host, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    """Return what the echo function saw."""
    status, _, body = call(host, method, path, **more)
    assert status == 200
    seen: dict[str, Any] = json.loads(body)
    return seen


def module(name: str) -> Any:
    """Return a function's module as the host loaded it."""
    return sys.modules[f"__app__.{name}"]


# --- schedules


@pytest.mark.parametrize("schedule", ["*/1 * * * * *", "*/30 * * * * *"])
def test_the_seconds_of_a_schedule_are_read(schedule: str) -> None:
    """The one form that this app uses."""
    assert seconds_between(schedule) == int(schedule[2:].split(maxsplit=1)[0])


@pytest.mark.parametrize(
    "schedule",
    ["*/30 * * * *", "00:00:30", "0 */5 * * * *", "*/7 * * * * *", "*/0 * * * * *", "*/90 * * * * *", ""],
)
def test_another_schedule_is_refused(schedule: str) -> None:
    """What the platform would run at other times, or not at all, is not guessed."""
    with pytest.raises(ValueError, match="the schedule"):
        seconds_between(schedule)


# --- routes


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("api/alerts", "/api/alerts", {}),
        ("api/alerts", "/API/Alerts/", {}),
        ("api/alerts", "/api/alerts/x", None),
        ("api/alerts", "/api/alertsx", None),
        ("api/v1.0", "/api/v1x0", None),
        ("api/deliveries/{id}", "/api/deliveries/2024-A", {"id": "2024-A"}),
        ("api/deliveries/{id}", "/api/deliveries/", None),
        ("api/deliveries/{id}", "/api/deliveries/a/b", None),
        ("api/operations/{*rest}", "/api/operations/alerts/1/replay", {"rest": "alerts/1/replay"}),
        ("api/operations/{*rest}", "/api/operations", {"rest": None}),
        ("api/operations/{*rest}", "/api/operationsx", None),
    ],
)
def test_a_route_takes_the_paths_it_describes(
    template: str, path: str, expected: dict[str, str] | None
) -> None:
    """Literal segments ignore case; parameters and catch-alls work as in ASP.NET."""
    match = route_pattern(template).fullmatch(path)
    assert (match.groupdict() if match else None) == expected


@pytest.mark.parametrize("template", ["api/{id:int}", "api/x{id}", "api/{id=5}", "api/{id?}"])
def test_a_route_beyond_the_local_host_is_refused(template: str) -> None:
    """What would be routed wrongly is not routed at all."""
    with pytest.raises(ValueError, match="route"):
        route_pattern(template)


# --- what a function is called with


def test_a_function_sees_the_request_as_the_client_sent_it(app: App) -> None:
    """Method, absolute URL, headers in lower case, route parameters and bytes arrive untouched."""
    app.add("Echo", http_trigger(route="echo/{id}/{*rest}"))
    with Host(app.root) as host:
        path = "/api/echo/a%20b/c/d%2Fe?x=1%2C2&y=a+b"
        body = bytes(range(256))
        seen = echoed(host, path, "POST", body=body, headers={"X-Thing": "Value", "Host": "soc.example"})
    assert seen["method"] == "POST"
    assert seen["url"] == "http://soc.example" + path
    assert seen["headers"]["x-thing"] == "Value"
    assert seen["params"] == {"x": "1,2", "y": "a b"}
    assert seen["route"] == {"id": "a b", "rest": "c/d%2Fe"}
    assert seen["body"].encode("latin-1") == body


def test_repeated_values_are_joined_and_empty_ones_lost(app: App) -> None:
    """The platform's message to the worker has one text a name, and none for an empty query parameter."""
    app.add("Echo", http_trigger())
    with Host(app.root) as host, connected(host) as connection:
        connection.putrequest("GET", "/api/Echo?a=1&a=2&b=&c&a=")
        connection.putheader("X-Many", "one")
        connection.putheader("x-many", "two")
        connection.putheader("X-Empty", "")
        connection.endheaders()
        seen = json.loads(connection.getresponse().read())
    assert seen["params"] == {"a": "1,2"}
    assert (seen["headers"]["x-many"], seen["headers"]["x-empty"]) == ("one,two", "")


def test_the_front_end_says_that_it_was_https(app: App) -> None:
    """`X-Forwarded-Proto` sets the scheme of the URL, as in App Service."""
    app.add("Echo", http_trigger())
    with Host(app.root) as host:
        seen = echoed(host, "/api/echo", headers={"X-Forwarded-Proto": "https", "Host": "soc.example"})
    assert seen["url"] == "https://soc.example/api/echo"


def test_functions_are_modules_of_one_namespace_package(app: App) -> None:
    """They share what they import absolutely; script file and entry point are those of function.json."""
    (app.root / "throwaway_counter.py").write_text("seen: list[str] = []\n")
    source = """
import azure.functions as func
import throwaway_counter

def enter(req: func.HttpRequest) -> str:
    throwaway_counter.seen.append(__name__)
    return ",".join(throwaway_counter.seen)
"""
    app.add("One", http_trigger(), source, entryPoint="enter")
    app.add("Two", http_trigger(), "", entryPoint="enter", scriptFile="run.py")
    (app.root / "Two" / "run.py").write_text(source)
    with Host(app.root) as host:
        call(host, "GET", "/api/one")
        _, _, body = call(host, "GET", "/api/two")
    assert body.decode() == "__app__.One,__app__.Two.run"


# --- what a function returns


@pytest.mark.parametrize(
    ("statement", "status", "content_type", "body"),
    [
        ("return 'plain'", 200, "text/plain; charset=utf-8", b"plain"),
        ("return func.HttpResponse('x', status_code=418)", 418, "text/plain; charset=utf-8", b"x"),
        ("return func.HttpResponse(b'{}', mimetype='application/json')", 200, "application/json", b"{}"),
        ("return func.HttpResponse(status_code=204)", 204, "text/plain; charset=utf-8", b""),
        ("return None", 500, None, b""),
        ("return {'a': 1}", 500, None, b""),
        ("return func.HttpResponse(headers={'X-Bad': 'caf\\u00e9'})", 500, None, b""),
        ("raise ValueError('secret')", 500, None, b""),
    ],
)
def test_what_is_returned_is_what_is_answered(  # noqa: PLR0917 - pytest passes them by name
    app: App,
    caplog: pytest.LogCaptureFixture,
    statement: str,
    status: int,
    content_type: str | None,
    body: bytes,
) -> None:
    """Text and HttpResponse are answers; anything else, as an exception, is a bare 500 and a trace in the log."""
    app.add("Say", http_trigger(), f"import azure.functions as func\n\ndef main(req):\n    {statement}\n")
    with Host(app.root) as host:
        answer = call(host, "GET", "/api/say")
    assert (answer[0], dict(answer[1]).get("content-type"), answer[2]) == (status, content_type, body)
    assert ("Traceback" in caplog.text) == (status == 500)


def test_headers_and_cookies_are_passed_on(app: App) -> None:
    """Several cookies leave as several headers; length and connection are the host's business."""
    source = """
import azure.functions as func

def main(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("body", headers={"Retry-After": "7", "Content-Length": "99"})
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; Secure")
    return response
"""
    app.add("Cookies", http_trigger(), source)
    with Host(app.root) as host:
        _, headers, body = call(host, "GET", "/api/cookies")
    assert body == b"body"
    assert dict(headers)["retry-after"] == "7"
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1; Path=/", "b=2; Secure"]


# --- who may call what


@pytest.mark.parametrize(
    ("level", "headers", "query", "status"),
    [
        ("anonymous", {}, "", 200),
        ("function", {}, "", 401),
        ("function", {"x-functions-key": "wrong"}, "", 401),
        ("function", {"x-functions-key": ""}, "?code=default-secret", 401),
        ("function", {"X-Functions-Key": "splunk-secret"}, "", 200),
        ("function", {}, "?code=default-secret", 200),
        ("function", {}, "?code=wrong", 401),
        ("function", {"x-functions-key": "wrong"}, "?code=default-secret", 401),
        ("function", {"x-functions-key": "master-secret"}, "", 200),
        ("admin", {"x-functions-key": "default-secret"}, "", 401),
        ("admin", {"x-functions-key": "master-secret"}, "", 200),
        (None, {}, "", 401),
    ],
)
def test_a_key_opens_what_it_is_for(
    app: App, level: str | None, headers: dict[str, str], query: str, status: int
) -> None:
    """Any named key opens `function`, only the master key `admin`; the header goes before the query."""
    bindings = http_trigger(authLevel=level)
    if level is None:
        del bindings[0]["authLevel"]  # the platform's default is function
    app.add("Echo", bindings)
    keys = {"default": "default-secret", "splunk": "splunk-secret", "_master": "master-secret"}
    with Host(app.root, keys=keys) as host:
        answer = call(host, "GET", f"/api/echo{query}", headers=headers)
    assert answer[0] == status
    assert status == 200 or answer[2] == b""


def test_without_keys_nothing_but_anonymous_opens(app: App) -> None:
    """A host without keys is not an open one."""
    app.add("Echo", http_trigger(authLevel="function"))
    with Host(app.root) as host:
        assert call(host, "GET", "/api/echo?code=", headers={"x-functions-key": ""})[0] == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/alerts", 200),
        ("OPTIONS", "/api/alerts", 200),
        ("GET", "/api/alerts", 404),
        ("HEAD", "/api/alerts", 404),
        ("DELETE", "/api/any/a/b", 200),
        ("HEAD", "/api/any", 200),
        ("POST", "/alerts", 404),
        ("GET", "/api", 404),
        ("GET", "/", 404),
    ],
)
def test_what_is_not_declared_is_not_found(app: App, method: str, path: str, status: int) -> None:
    """An undeclared path or method is a 404 without a body; no methods means all of them."""
    app.add("Alerts", http_trigger(route="alerts", methods=["post", "OPTIONS"]))
    app.add("Any", http_trigger(route="any/{*rest}"))
    with Host(app.root) as host:
        answer = call(host, method, path)
    assert answer[0] == status
    assert status == 200 or answer[2] == b""


def test_the_first_function_by_name_takes_a_path_that_two_would(app: App) -> None:
    """The platform knows no precedence of routes but the order of names."""
    app.add("B", http_trigger(route="items/recent"))
    app.add("A", http_trigger(route="items/{id}"))
    with Host(app.root) as host:
        assert echoed(host, "/api/items/recent")["route"] == {"id": "recent"}


def test_the_route_prefix_comes_from_host_json(app: App) -> None:
    """An empty prefix puts functions at the root."""
    app.configure({"http": {"routePrefix": ""}})
    app.add("Echo", http_trigger())
    with Host(app.root) as host:
        assert call(host, "GET", "/echo")[0] == 200
        assert call(host, "GET", "/api/echo")[0] == 404


# --- HTTP itself


def test_one_connection_serves_many_requests(app: App) -> None:
    """Connections are kept alive, also over errors and bodies nobody wanted."""
    app.add("Echo", http_trigger(authLevel="function"))
    with Host(app.root, keys={"default": "k"}) as host, connected(host) as connection:
        sockets = set()
        for path in ("/api/echo", "/nowhere", "/api/echo?code=k"):
            connection.request("POST", path, b"x" * 100_000)
            response = connection.getresponse()
            response.read()
            sockets.add(connection.sock)
        assert response.status == 200
    assert len(sockets) == 1


def test_a_chunked_body_arrives_whole(app: App) -> None:
    """Chunks are joined, trailers skipped, and the connection stays usable."""
    app.add("Echo", http_trigger())
    with Host(app.root) as host, connected(host) as connection:
        connection.request("POST", "/api/echo", iter([b"one ", b"two"]), encode_chunked=True)
        assert json.loads(connection.getresponse().read())["body"] == "one two"
        connection.putrequest("POST", "/api/echo")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders(b"3;name=value\r\nabc\r\n0\r\nTrailer: x\r\n\r\n")
        assert json.loads(connection.getresponse().read())["body"] == "abc"


def test_a_client_may_ask_before_it_sends(app: App) -> None:
    """`Expect: 100-continue` is answered before the body comes."""
    app.add("Echo", http_trigger())
    with (
        Host(app.root) as host,
        socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2]))) as wire,
    ):
        wire.settimeout(LIMIT)
        wire.sendall(
            b"POST /api/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert wire.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(b"ok")
        assert wire.recv(1024).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"Content-Length: 11\r\n\r\n", 413),
        (b"Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n3\r\n", 413),
        (b"Content-Length: ten\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_a_body_too_large_or_no_http_is_refused(app: App, request_text: bytes, status: int) -> None:
    """The function is not called; the connection ends, since nobody knows where the next request starts."""
    app.add("Echo", http_trigger())
    environ = {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "10"}
    with Host(app.root, environ=environ) as host, connected(host) as connection:
        connection.connect()
        connection.sock.sendall(b"POST /api/echo HTTP/1.1\r\nHost: h\r\n" + request_text)
        with http.client.HTTPResponse(connection.sock) as response:
            response.begin()
            assert (response.status, response.getheader("Connection"), response.read()) == (
                status,
                "close",
                b"",
            )


# --- threads


MEET = """
import threading
import azure.functions as func

meeting = threading.Barrier(2)

def main(req: func.HttpRequest) -> str:
    try:
        meeting.wait(timeout=float(req.params["patience"]))
        return "met"
    except threading.BrokenBarrierError:
        return "alone"
"""


@pytest.mark.parametrize(("threads", "patience", "expected"), [(2, LIMIT, "met"), (1, 0.2, "alone")])
def test_synchronous_functions_share_one_pool(app: App, threads: int, patience: float, expected: str) -> None:
    """As many run at once as the pool has threads: two meet in two, and never in one."""
    app.add("Meet", http_trigger(), MEET)
    environ = {"PYTHON_THREADPOOL_THREAD_COUNT": str(threads)}
    with Host(app.root, environ=environ) as host, ThreadPoolExecutor(2) as clients:
        calls = [clients.submit(call, host, "GET", f"/api/meet?patience={patience}") for _ in range(2)]
        assert {each.result(LIMIT)[2].decode() for each in calls} == {expected}


# --- timers


def test_a_timer_runs_on_its_schedule(app: App) -> None:
    """It is called again and again, with a timer request that is not past due."""
    app.add("Tick", timer_trigger("*/1 * * * * *"), TICK)
    with Host(app.root):
        ticks = module("Tick").ticks
        assert [ticks.get(timeout=LIMIT), ticks.get(timeout=LIMIT)] == [False, False]


def test_a_timer_may_run_at_the_start(app: App) -> None:
    """`runOnStartup` does not wait for the schedule."""
    app.add("Tick", timer_trigger(runOnStartup=True), TICK)
    with Host(app.root):
        assert module("Tick").ticks.get(timeout=LIMIT) is False


def test_a_timer_goes_on_after_a_failure(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """An exception is logged with its trace and does not end the schedule."""
    app.add("Tick", timer_trigger("*/1 * * * * *"), TICK + "    raise KeyError('broken')\n")
    with Host(app.root):
        ticks = module("Tick").ticks
        ticks.get(timeout=LIMIT)
        ticks.get(timeout=LIMIT)
    assert "KeyError: 'broken'" in caplog.text


def run_timer(host: Host, name: str, key: str = "m", body: bytes = b"{}") -> int:
    """Ask for a run as an administrator would, and return the status."""
    return call(host, "POST", f"/admin/functions/{name}", body, {"x-functions-key": key})[0]


def test_an_administrator_runs_a_timer(app: App) -> None:
    """`POST /admin/functions/NAME` with the master key and a JSON object runs it; nothing else does."""
    app.add("Tick", timer_trigger(runOnStartup=True), TICK)
    app.add("Echo", http_trigger())
    with Host(app.root, keys={"_master": "m", "default": "d"}, timers=False) as host:
        assert run_timer(host, "Tick", key="d") == 401
        assert run_timer(host, "Tick", body=b"") == 400
        assert run_timer(host, "Tock") == 404
        assert run_timer(host, "Echo") == 404
        assert module("Tick").ticks.empty()
        assert run_timer(host, "tick") == 202
        assert module("Tick").ticks.get(timeout=LIMIT) is False


def test_a_timer_never_runs_twice_at_once(app: App) -> None:
    """Runs asked for meanwhile come one after the other."""
    source = """
import threading
import azure.functions as func

go, done, lock = threading.Event(), threading.Semaphore(0), threading.Lock()
inside = most = 0

def main(timer: func.TimerRequest) -> None:
    global inside, most
    with lock:
        inside += 1
        most = max(most, inside)
    go.wait(20)
    with lock:
        inside -= 1
    done.release()
"""
    app.add("Slow", timer_trigger(runOnStartup=True), source)
    with Host(app.root, keys={"_master": "m"}) as host:
        assert [run_timer(host, "Slow"), run_timer(host, "Slow")] == [202, 202]
        slow = module("Slow")
        slow.go.set()
        assert [slow.done.acquire(timeout=LIMIT) for _ in range(3)] == [True, True, True]
    assert slow.most == 1


# --- loading


@pytest.mark.parametrize(
    ("bindings", "source", "reason"),
    [
        (http_trigger(), "import no_such_package", "no_such_package"),
        (http_trigger(), "def other(req): ...", "main"),
        (http_trigger(), "def main(request): ...", "parameters"),
        (http_trigger(), "def main(req, more): ...", "parameters"),
        (http_trigger(), "async def main(req): ...", "asynchronous"),
        (http_trigger(route="x/{id:regex(a)}"), "def main(req): ...", "route"),
        (http_trigger()[:1], "def main(req): ...", "bindings"),
        ([*timer_trigger(), HTTP_RETURN], "def main(timer): ...", "bindings"),
        (timer_trigger("every day"), "def main(timer): ...", "schedule|argument"),
        (timer_trigger("%EVERY%"), "def main(timer): ...", "the schedule .*'%EVERY%'"),
        (http_trigger(), "def main(req, context): ...", "there is no context here"),
    ],
)
def test_a_function_the_platform_would_not_run_ends_the_start(
    app: App, bindings: list[dict[str, Any]], source: str, reason: str
) -> None:
    """The error names the function and what is wrong with it, and leaves nothing behind."""
    app.add("Broken", bindings, source)
    path = list(sys.path)
    with pytest.raises(LoadError, match=f"Broken: .*({reason})"), Host(app.root):
        pass
    assert sys.path == path


def test_a_folder_that_is_no_function_app_ends_the_start(tmp_path: Path) -> None:
    """Without host.json there is nothing to serve."""
    with pytest.raises(LoadError, match="FileNotFoundError"), Host(tmp_path):
        pass


# --- as a command


@contextmanager
def command(app: App, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the host as `make start` does."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "dev.stack.host", "--root", str(app.root), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_says_where_it_serves_and_ends_when_asked(app: App) -> None:
    """One line of JSON when ready; on SIGTERM nobody gets in, who is inside is answered, exit code 0."""
    source = """
import socket
import azure.functions as func

def main(req: func.HttpRequest) -> str:
    with socket.create_connection(("127.0.0.1", int(req.params["port"])), timeout=20) as test:
        return test.recv(100).decode()
"""
    app.add("Wait", http_trigger(authLevel="function"), source)
    with (
        command(app, "--key", "default=a=b", "--no-timers") as process,
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(1) as client,
    ):
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert ready["functions"] == ["Wait"]
        host = Host(app.root)
        host.url = ready["url"]
        path = f"/api/wait?code=a%3Db&port={listener.getsockname()[1]}"
        answer = client.submit(call, host, "GET", path)
        listener.settimeout(LIMIT)
        with listener.accept()[0] as function:
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + LIMIT
            while accepts(ready["url"]):
                assert time.monotonic() < deadline
            function.sendall(b"finished")
        assert answer.result(LIMIT)[2] == b"finished"
        assert process.wait(LIMIT) == 0


def accepts(url: str) -> bool:
    """Say whether somebody listens there."""
    address = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((address[0], int(address[1])), timeout=LIMIT).close()
    except ConnectionError:
        return False
    return True


def test_the_command_fails_where_a_function_does(app: App) -> None:
    """No line of JSON, the reason on stderr, an exit code that is not 0."""
    app.add("Broken", http_trigger(), "import no_such_package")
    with command(app) as process:
        output, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, output) == (1, "")
    assert "Broken: ModuleNotFoundError: No module named 'no_such_package'" in errors
