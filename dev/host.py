"""A small Azure Functions host: serves this app's folders on loopback the way the platform does.

    python -m dev.host --root . --port 0 --key default=secret --key _master=secret

prints one line of JSON, `{"url": "http://127.0.0.1:PORT", "functions": [...]}`, when it is ready, logs to
stderr and ends on SIGTERM or SIGINT. The rules come from the sources of Azure/azure-functions-host,
azure-webjobs-sdk-extensions and azure-functions-python-worker.

As there: functions are modules of the namespace package `__app__`, their signatures are checked against
function.json, the converters of `azure.functions` make what they get and read what they return, synchronous
ones share one thread pool. Routes ignore case and are tried in the order of the functions' names. A path or
method nobody takes is 404, a missing or wrong key 401, an exception 500, each without a body. Several values
of one header or query parameter arrive joined by commas, an empty query parameter does not arrive at all.

Not as there: HEAD reaches only functions that declare it. What would be logged as a function in error ends
the start. A timer is single in one host only (there: one lease for all instances). No timer status is kept,
so `past_due` is never true (there neither, for a schedule under a minute). A chunked body arrives; there it
is empty unless a front end has joined it (azure-functions-host issue 7930).
"""

import argparse
import asyncio
import contextlib
import hmac
import importlib
import inspect
import itertools
import json
import logging
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import time
import typing
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from azure.functions.http import HttpRequestConverter, HttpResponseConverter
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

log = logging.getLogger("host")

MASTER_KEY = "_master"  # opens everything; every other key opens authLevel function only
BODY_LIMIT_BYTES = 104_857_600  # FUNCTIONS_REQUEST_BODY_SIZE_LIMIT replaces it, as on the platform
GRACE_SECONDS = 5.0

_PARAMETER = re.compile(r"\{(?P<all>\*{0,2})(?P<name>[A-Za-z]\w*)(:(?P<kind>\w+))?(?P<optional>\??)\}")
_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KINDS = {None: r"[^/]+", "int": r"-?\d+", "long": r"-?\d+", "alpha": r"[a-z]+", "guid": _GUID}
_OURS = ("connection", "content-length", "date", "transfer-encoding")
_FITS = {
    "httpTrigger": HttpRequestConverter.check_input_type_annotation,
    "timerTrigger": TimerRequestConverter.check_input_type_annotation,
    "http": HttpResponseConverter.check_output_type_annotation,
}
_CRON_LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))  # second … month, weekday from Sunday

Schedule = tuple[list[int], ...]
Answer = tuple[int, list[tuple[str, str]], bytes]  # status, headers, body


class LoadError(Exception):
    """A folder the platform would not run: names the function and what is wrong with it."""


def parse_schedule(text: str) -> Schedule:
    """Read an NCRONTAB expression of six fields: each `*`, `n`, `a-b`, one of them `/step`, or a list."""
    fields, parts = [], text.split()
    if len(parts) != len(_CRON_LIMITS):
        raise ValueError(f"the schedule {text!r} has {len(parts)} fields instead of six")
    for (low, high), part in zip(_CRON_LIMITS, parts, strict=True):
        values: set[int] = set()
        for item in part.split(","):
            match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", item)
            first, last, step = match.groups() if match else ("-1", None, None)
            start = int(first or low)
            end = int(last) if last else start if first and not step else high
            if not low <= start <= end <= high:
                raise ValueError(f"{item!r} in the schedule {text!r} is not within {low} to {high}")
            values.update(range(start, end + 1, int(step or 1)))
        fields.append(sorted(values))
    return tuple(fields)


def next_time(schedule: Schedule, after: datetime) -> datetime:
    """Return the first moment (UTC) after `after` that fits; both day and weekday must fit."""
    seconds, minutes, hours, days, months, weekdays = schedule
    for date in (after.date() + timedelta(days=n) for n in range(9 * 366)):  # a leap day is within 8 years
        if date.month in months and date.day in days and date.isoweekday() % 7 in weekdays:
            for hour, minute, second in itertools.product(hours, minutes, seconds):
                moment = datetime(date.year, date.month, date.day, hour, minute, second, tzinfo=UTC)
                if moment > after:
                    return moment
    raise ValueError("the schedule never comes")


def route_pattern(template: str) -> re.Pattern[str]:
    """Turn a route template (`deliveries/{id:guid}`, `{id?}`, `{*rest}`) into a pattern of the whole path."""
    pattern = ""
    for segment in filter(None, template.split("/")):
        parameter = _PARAMETER.fullmatch(segment)
        if "{" not in segment:
            pattern += "/" + re.escape(segment)
        elif not parameter or parameter["kind"] not in _KINDS:
            raise ValueError(f"the local host does not know how to route {segment!r}")
        elif parameter["all"]:
            pattern += f"(?:/(?P<{parameter['name']}>.*))?"
        else:
            part = f"/(?P<{parameter['name']}>{_KINDS[parameter['kind']]})"
            pattern += f"(?:{part})?" if parameter["optional"] else part
    return re.compile(pattern + "/?", re.IGNORECASE)


@dataclass(frozen=True)
class Function:
    """One folder: its code, its trigger (as in function.json), and a route or a schedule."""

    name: str
    directory: Path
    call: Callable[..., Any]
    trigger: Mapping[str, Any]
    route: re.Pattern[str] | None
    schedule: Schedule | None
    wants_context: bool
    alone: threading.Lock = field(default_factory=threading.Lock)

    def match(self, method: str, path: str) -> re.Match[str] | None:
        """Return how the route fits, or None. No methods in function.json means all of them."""
        methods = self.trigger.get("methods") or [method]
        declared = method.lower() in [each.lower() for each in methods]
        return self.route.fullmatch(path) if self.route and declared else None


def load(root: Path, environ: Mapping[str, str]) -> list[Function]:
    """Load every folder of `root` with a function.json, in the order of their names, or raise LoadError."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "__app__"]:
        del sys.modules[name]  # of another root, loaded by an earlier host of this process
    sys.modules["__app__"] = package = ModuleType("__app__")
    package.__path__ = [str(root)]
    importlib.invalidate_caches()
    path, functions = root / "host.json", []
    try:
        config = json.loads(path.read_text("utf-8"))
        prefix = config.get("extensions", {}).get("http", {}).get("routePrefix", "api")
        for path in sorted(root.glob("*/function.json")):
            functions.append(_load_one(root, path.parent, prefix, environ))
    except Exception as error:
        raise LoadError(f"{path.parent.name}: {type(error).__name__}: {error}") from error
    return functions


def _load_one(root: Path, folder: Path, prefix: str, environ: Mapping[str, str]) -> Function:
    def setting(match: re.Match[str]) -> str:
        if not environ.get(match[1]):
            raise ValueError(f"'{match[0]}' does not resolve to a value")
        return environ[match[1]]

    config = json.loads((folder / "function.json").read_text("utf-8"))
    script = (folder / config.get("scriptFile", "__init__.py")).resolve().relative_to(root)
    module = ".".join(("__app__", *script.with_suffix("").parts)).removesuffix(".__init__")
    call = getattr(importlib.import_module(module), config.get("entryPoint") or "main")
    trigger = _check_bindings(call, config["bindings"])
    route, schedule = None, None
    if trigger["type"] == "httpTrigger":
        route = route_pattern(f"{prefix}/{trigger.get('route') or folder.name}")
    else:
        schedule = parse_schedule(re.sub(r"%([^%]+)%", setting, trigger["schedule"]))
    wants_context = "context" in inspect.signature(call).parameters
    return Function(folder.name, folder, call, trigger, route, schedule, wants_context)


def _check_bindings(call: Callable[..., Any], bindings: list[dict[str, Any]]) -> dict[str, Any]:
    """Check the signature against function.json as the Python worker does, and return the trigger."""
    trigger = next(each for each in bindings if each["type"].endswith("Trigger"))
    returned = {"httpTrigger": [("$return", "http")], "timerTrigger": []}[trigger["type"]]
    if [(each["name"], each["type"]) for each in bindings if each is not trigger] != returned:
        raise ValueError(f"beside an {trigger['type']} the local host knows just the bindings {returned}")
    if set(inspect.signature(call).parameters) - {"context"} != {trigger["name"]}:
        raise ValueError(f"the parameters do not fit the binding {trigger['name']!r}")
    hints = typing.get_type_hints(call)
    for name, kind in [(trigger["name"], trigger["type"]), *(("return", kind) for _, kind in returned)]:
        if name in hints and not (isinstance(hints[name], type) and _FITS[kind](hints[name])):
            raise ValueError(f"the annotation {hints[name]} of {name!r} does not fit its binding")
    return trigger


class Host:
    """The functions of one root on one port: `with Host(root, keys={...}) as host:` serves `host.url`.

    `port` 0, or one in use, takes a free one. `threads` is the size of the pool; without it
    PYTHON_THREADPOOL_THREAD_COUNT, else min(32, cores + 4). `environ` also resolves `%SETTING%`.
    """

    def __init__(
        self,
        root: Path | str = ".",
        *,
        port: int = 0,
        keys: Mapping[str, str] | None = None,
        threads: int | None = None,
        timers: bool = True,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.root, self.port, self.keys = Path(root).resolve(), port, dict(keys or {})
        self.threads = threads or int(environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or 0) or None
        self.timers, self.environ = timers, environ
        self.body_limit = int(environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or BODY_LIMIT_BYTES)
        self.functions: list[Function] = []
        self.url = ""
        self._stopping = threading.Event()
        self._ticking: list[threading.Thread] = []
        self._added_path = [path for path in [str(self.root)] if path not in sys.path]

    def __enter__(self) -> Self:
        """Load, listen and start the timers. Raises LoadError."""
        sys.path += self._added_path  # behind the packages, as the worker does
        try:
            self.functions = load(self.root, self.environ)
        except LoadError:
            self._forget_path()
            raise
        self._pool = ThreadPoolExecutor(self.threads, "function")
        self._loop = asyncio.new_event_loop()
        self._looping = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._looping.start()
        self._server = _Server(self, self.port)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        for function in self.functions if self.timers else ():
            if function.schedule:
                self._start(self._keep_time, function, function.schedule)
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more requests, give running ones GRACE_SECONDS to end, leave the rest behind."""
        deadline = time.monotonic() + GRACE_SECONDS
        self._stopping.set()
        self._server.drain(deadline)
        for thread in self._ticking:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._looping.join()
        self._loop.close()
        self._forget_path()

    def _forget_path(self) -> None:
        for path in self._added_path:
            sys.path.remove(path)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._ticking.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._ticking[-1].start()

    def _invoke(self, function: Function, argument: object) -> Any:
        """Run the function where the worker would, and return what it returned. Raises what it raised."""
        started, invocation_id = time.monotonic(), str(uuid.uuid4())
        arguments = {function.trigger["name"]: argument}
        if function.wants_context:
            arguments["context"] = SimpleNamespace(
                function_name=function.name,
                function_directory=str(function.directory),
                invocation_id=invocation_id,
            )
        future: Future[Any]
        if inspect.iscoroutinefunction(function.call):
            future = asyncio.run_coroutine_threadsafe(function.call(**arguments), self._loop)
        else:
            future = self._pool.submit(function.call, **arguments)
        result = future.result()
        if function.schedule and result is not None:
            raise RuntimeError("a function without a $return binding returned a value")
        milliseconds = (time.monotonic() - started) * 1000
        log.info("Executed '%s' (Id=%s, Duration=%dms)", function.name, invocation_id, milliseconds)
        return result

    def _tick(self, function: Function) -> None:
        """Run a timer function once, never two of the same at a time."""
        info = {"IsPastDue": False, "Schedule": {"AdjustForDST": True}, "ScheduleStatus": None}
        request = TimerRequestConverter.decode(Datum(json.dumps(info), "json"), trigger_metadata=None)
        with function.alone:
            if not self._stopping.is_set():
                try:
                    self._invoke(function, request)
                except Exception:
                    log.exception("Failed '%s'", function.name)

    def _keep_time(self, function: Function, schedule: Schedule) -> None:
        """Tick on schedule. A tick that took longer is followed by one at once, not by all it missed."""
        now = datetime.now(UTC)
        due = now if function.trigger.get("runOnStartup") else next_time(schedule, now)
        while not self._stopping.wait(max(0.0, (due - datetime.now(UTC)).total_seconds())):
            started = max(due, datetime.now(UTC))
            self._tick(function)
            due = next_time(schedule, started)

    def _opens(self, level: str, key: str) -> bool:
        """Say whether `key` opens `level`: anonymous, function or admin."""
        fitting = [value for name, value in self.keys.items() if level == "function" or name == MASTER_KEY]
        same = [hmac.compare_digest(key.encode(), value.encode()) for value in fitting]
        return level == "anonymous" or (key != "" and any(same))

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request: `target` as on the request line, header names in lower case."""
        url = urlsplit(target)
        path = unquote(re.sub("%2f", "%252F", url.path, flags=re.IGNORECASE))
        params: dict[str, str] = {}
        for name, value in parse_qsl(url.query):
            params[name] = f"{params[name]},{value}" if name in params else value
        key = headers.get("x-functions-key", params.get("code", ""))
        if path == "/":
            return 200, [("content-type", "text/plain")], b"The local Functions host is running.\n"
        if path.lower().startswith("/admin/"):
            return self._administer(method, path.lower(), key, body)
        for function in self.functions:
            match = function.match(method, path)
            if match and not self._opens(function.trigger.get("authLevel", "function").lower(), key):
                return 401, [], b""
            if match:
                origin = f"{headers.get('x-forwarded-proto', 'http')}://{headers.get('host', '')}"
                http = {
                    "method": Datum(method, "string"),
                    "url": Datum(origin + target, "string"),
                    "headers": _strings(headers),
                    "query": _strings(params),
                    "params": _strings({name: value for name, value in match.groupdict().items() if value}),
                    "body": Datum(body, "bytes"),
                }
                return self._respond(function, Datum(http, "http"))
        return 404, [], b""

    def _respond(self, function: Function, http: Datum) -> Answer:
        try:
            request = HttpRequestConverter.decode(http, trigger_metadata=None)
            result = self._invoke(function, request)
            return _rendered(HttpResponseConverter.encode(result, expected_type=None))
        except Exception:
            log.exception("Failed '%s'", function.name)
            return 500, [], b""

    def _administer(self, method: str, path: str, key: str, body: bytes) -> Answer:
        """Answer /admin/host/status; run a timer function, whose POST needs a JSON object as there."""
        if not self._opens("admin", key):
            return 401, [], b""
        if (method, path) == ("GET", "/admin/host/status"):
            return 200, [("content-type", "application/json")], b'{"state": "Running"}'
        name = path.removeprefix("/admin/functions/")
        timers = [each for each in self.functions if each.schedule and each.name.lower() == name]
        if method != "POST" or not timers:
            return 404, [], b""
        if not body.lstrip().startswith(b"{"):
            return 400, [], b""
        self._start(self._tick, timers[0])
        return 202, [], b""


def _strings(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}


def _rendered(datum: Datum) -> Answer:
    """Turn what the worker would send to the host into what the host would send to the client."""
    if datum.type == "string":
        return 200, [("content-type", "text/plain; charset=utf-8")], datum.value.encode()
    http = datum.value
    headers = [(name, value.value) for name, value in http["headers"].items()]
    headers += [("set-cookie", one.OutputString()) for jar in http["cookies"] or () for one in jar.values()]
    for header in headers:
        if not "".join(header).isascii() or not "".join(header).isprintable():
            raise ValueError(f"the header {header[0]!r} holds what no header may")
    return int(http["status_code"].value), headers, http["body"].value


class _Server(socketserver.ThreadingTCPServer):
    """One thread a connection; knows its open connections, so that it can end without cutting answers off."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: Host, port: int) -> None:
        self.host = host
        self._open: set[socket.socket] = set()
        self._closed = threading.Condition()
        try:
            super().__init__(("127.0.0.1", port), _Connection)
        except OSError:
            super().__init__(("127.0.0.1", 0), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._closed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._closed:
            self._open.discard(request)
            self._closed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's
        log.debug("the connection of %s broke: %s", client_address, sys.exception())

    def drain(self, deadline: float) -> None:
        """Accept nothing more, read nothing more, and wait until what is being answered is answered."""
        self.shutdown()
        self.server_close()
        with self._closed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self._closed.wait_for(lambda: not self._open, max(0.0, deadline - time.monotonic()))


class _Connection(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive, chunked bodies and Expect: 100-continue."""

    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 130  # seconds of silence after which a connection is closed

    def serve(self) -> None:
        """Answer one request, in one write."""
        names = {name.lower() for name in self.headers}
        headers = {name: ",".join(filter(None, self.headers.get_all(name, []))) for name in names}
        try:
            status, fields, content = self.server.host.answer(self.command, self.path, headers, self._body())
        except (ValueError, OverflowError) as error:
            self.close_connection = True  # the rest of the body may still come
            status, fields, content = 413 if isinstance(error, OverflowError) else 400, [], b""
        log.info("%s %s %d", self.command, self.path.partition("?")[0], status)
        fields = [each for each in fields if each[0].lower() not in _OURS]
        fields.append(("date", self.date_time_string()))
        if self.close_connection:
            fields.append(("connection", "close"))
        if status not in (204, 304):
            fields.append(("content-length", str(len(content))))
        if self.command == "HEAD" or status in (204, 304):
            content = b""
        phrase = self.responses.get(status, ("",))[0]
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields), "", ""]
        self.wfile.write("\r\n".join(lines).encode("ascii") + content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815 - http.server's

    def _body(self) -> bytes:
        """Read the whole body. Raises ValueError where this is not HTTP, OverflowError above the limit."""
        limit = self.server.host.body_limit
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self._read(int(self.headers.get("content-length") or 0), limit)
        body = b""
        while size := int(self.rfile.readline(1024).partition(b";")[0], 16):
            body += self._read(size, limit - len(body))
            self.rfile.readline(3)
        while self.rfile.readline(65536).strip():
            pass  # trailers
        return body

    def _read(self, size: int, limit: int) -> bytes:
        if not 0 <= size <= limit:
            raise OverflowError
        piece = self.rfile.read(size)
        if len(piece) < size:
            raise ConnectionError("the client left before its body was complete")
        return piece


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Serve this app's functions on loopback.")
    parser.add_argument("--root", type=Path, default=Path(), help="the folder of host.json")
    parser.add_argument("--port", type=int, default=0, help="0, or a port in use, takes a free one")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"{MASTER_KEY} is the master key's name",
    )
    parser.add_argument("--threads", type=int, help="size of the thread pool of synchronous functions")
    parser.add_argument("--no-timers", action="store_true", help="run timers on request only")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)  # a line for every call to storage helps nobody here
    asked_to_end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda taken, _: asked_to_end.append(taken))
    keys = {name: value for name, _, value in (each.partition("=") for each in given.key)}
    os.chdir(given.root)  # the worker's working directory is the app's
    try:
        with Host(port=given.port, keys=keys, threads=given.threads, timers=not given.no_timers) as host:
            print(
                json.dumps({"url": host.url, "functions": [each.name for each in host.functions]}), flush=True
            )
            while not asked_to_end:
                time.sleep(0.1)  # not an Event: one set in a signal handler can deadlock with its own wait
    except LoadError:
        log.exception("The functions cannot be loaded")
        sys.exit(1)
    logging.shutdown()
    os._exit(0)  # what still runs after its grace is cut off, as on the platform


if __name__ == "__main__":
    main()
