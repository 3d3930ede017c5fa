"""A small Azure Functions host: serves this app's folders on loopback the way the platform does.

    python -m dev.stack.host --root . --key default=secret --key _master=secret

prints one line of JSON, `{"url": "http://127.0.0.1:PORT", "functions": [...]}`, when it is ready, logs to
stderr and ends on SIGTERM or SIGINT. The rules come from the sources of Azure/azure-functions-host,
azure-webjobs-sdk-extensions and azure-functions-python-worker.

As there: functions are modules of the namespace package `__app__`, their parameters are checked against
function.json, the converters of `azure.functions` make what they get and read what they return, and they
share one thread pool. Routes ignore case and are tried in the order of the functions' names. A path or
method that no function takes is 404, a missing or wrong key 401, an exception 500, each without a body.
Several values of one header or query parameter arrive joined by commas, an empty query parameter does not
arrive at all.

Not as there: HEAD reaches only functions that declare it. What would be logged as a function in error ends
the start; so does what no function of this app uses: `async`, a context, constraints in a route, a schedule
of anything but seconds. A timer is single in one host only (there: one lease for all instances). No timer status is
kept, so `past_due` is never true (there neither, for a schedule under a minute). A chunked body arrives;
there it is empty unless a front end has joined it (azure-functions-host issue 7930).
"""

import argparse
import hmac
import json
import logging
import os
import re
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from dev.stack.functions import Answer, Function, LoadError, http_answer, http_request, load, timer_request
from dev.stack.loopback import Connection, Server

log = logging.getLogger("host")

MASTER_KEY = "_master"  # opens everything; every other key opens authLevel function only
BODY_LIMIT_BYTES = 104_857_600  # FUNCTIONS_REQUEST_BODY_SIZE_LIMIT replaces it, as on the platform
GRACE_SECONDS = 5.0


class Host:
    """The functions of one root on a free port: `with Host(root, keys={...}) as host:` serves `host.url`.

    PYTHON_THREADPOOL_THREAD_COUNT in `environ` is the size of the pool; without it min(32, cores + 4).
    """

    def __init__(
        self,
        root: Path | str = ".",
        *,
        keys: Mapping[str, str] | None = None,
        timers: bool = True,
        port: int = 0,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.root, self.keys = Path(root).resolve(), dict(keys or {})
        self.threads = int(environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or 0) or None
        self.timers, self.port = timers, port
        self.body_limit = int(environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or BODY_LIMIT_BYTES)
        self.functions: list[Function] = []
        self.url = ""
        self._stopping = threading.Event()
        self._ticking: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Load, listen and start the timers. Raises LoadError."""
        sys.path.append(str(self.root))  # behind the packages, as the worker does
        try:
            self.functions = load(self.root)
        except LoadError:
            sys.path.remove(str(self.root))
            raise
        self._pool = ThreadPoolExecutor(self.threads, "function")
        self._server = Server(_Connection, self, self.port)
        self._server.start()
        self.url = self._server.url
        for function in self.functions if self.timers else ():
            if function.every:
                self._start(self._keep_time, function, function.every)
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more requests, give running ones GRACE_SECONDS to end, leave the rest behind."""
        deadline = time.monotonic() + GRACE_SECONDS
        self._stopping.set()
        self._server.stop(GRACE_SECONDS)
        for thread in self._ticking:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._pool.shutdown(wait=False, cancel_futures=True)
        sys.path.remove(str(self.root))

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._ticking.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._ticking[-1].start()

    def _invoke(self, function: Function, triggered_by: object) -> Any:
        """Run the function in the pool, and return what it returned. Raises what it raised."""
        started, invocation_id = time.monotonic(), str(uuid.uuid4())
        result = self._pool.submit(function.call, **{function.trigger["name"]: triggered_by}).result()
        if function.every and result is not None:
            raise RuntimeError("a function without a $return binding returned a value")
        milliseconds = (time.monotonic() - started) * 1000
        log.info("Executed '%s' (Id=%s, Duration=%dms)", function.name, invocation_id, milliseconds)
        return result

    def _tick(self, function: Function) -> None:
        """Run a timer function once, never two of the same at a time."""
        with function.running:
            if not self._stopping.is_set():
                try:
                    self._invoke(function, timer_request())
                except Exception:  # as the platform: the next tick comes whatever this one raised
                    log.exception("Failed '%s'", function.name)

    def _keep_time(self, function: Function, every: int) -> None:
        """Tick on schedule. A tick that took longer is followed by one at once, not by all it missed."""
        now = time.time()
        due = now if function.trigger.get("runOnStartup") else (now // every + 1) * every
        while not self._stopping.wait(max(0.0, due - time.time())):
            started = max(due, time.time())
            self._tick(function)
            due = (started // every + 1) * every

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
        if path.lower().startswith("/admin/"):
            return self._administer(method, path.lower(), key, body)
        for function in self.functions:
            match = function.match(method, path)
            if match and not self._opens(function.trigger.get("authLevel", "function").lower(), key):
                return 401, [], b""
            if match:
                origin = f"{headers.get('x-forwarded-proto', 'http')}://{headers.get('host', '')}"
                parts = {name: value for name, value in match.groupdict().items() if value}
                texts = {"headers": headers, "query": params, "params": parts}
                return self._respond(function, method, origin + target, body, texts)
        return 404, [], b""

    def _respond(
        self, function: Function, method: str, url: str, body: bytes, texts: Mapping[str, Mapping[str, str]]
    ) -> Answer:
        try:
            return http_answer(self._invoke(function, http_request(method, url, body, **texts)))
        except Exception:  # as the platform: what a function raises is logged, and its caller gets a bare 500
            log.exception("Failed '%s'", function.name)
            return 500, [], b""

    def _administer(self, method: str, path: str, key: str, body: bytes) -> Answer:
        """Run a timer function, whose POST needs a JSON object as there."""
        if not self._opens("admin", key):
            return 401, [], b""
        name = path.removeprefix("/admin/functions/")
        timers = [each for each in self.functions if each.every and each.name.lower() == name]
        if method != "POST" or not timers:
            return 404, [], b""
        if not body.lstrip().startswith(b"{"):
            return 400, [], b""
        self._start(self._tick, timers[0])
        return 202, [], b""


class _Connection(Connection):
    """Bodies may be chunked; `Expect: 100-continue` is answered by the base class."""

    server: Server
    timeout = 130  # seconds of silence after which a connection is closed

    def serve(self) -> None:
        """Answer one request, in one write."""
        names = {name.lower() for name in self.headers}
        headers = {name: ",".join(filter(None, self.headers.get_all(name, []))) for name in names}
        try:
            status, fields, content = self.server.owner.answer(self.command, self.path, headers, self._body())
        except (ValueError, OverflowError) as error:
            self.close_connection = True  # the rest of the body may still come
            status, fields, content = 413 if isinstance(error, OverflowError) else 400, [], b""
        log.info("%s %s %d", self.command, self.path.partition("?")[0], status)
        self.wfile.write(self.message(status, fields, content))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815 - http.server's

    def _body(self) -> bytes:
        """Read the whole body. Raises ValueError where this is not HTTP, OverflowError above the limit."""
        limit = self.server.owner.body_limit
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
        return self.read(size)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Serve this app's functions on loopback.")
    add = parser.add_argument
    add("--root", type=Path, default=Path(), help="the folder of host.json")
    add("--key", action="append", default=[], metavar="NAME=VALUE", help=f"{MASTER_KEY} is the master key")
    add("--port", type=int, default=0, help="the port (default: a free one)")
    add("--no-timers", action="store_true", help="run timers on request only")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)  # a line for every call to storage helps nobody here
    # Blocked for every thread and waited for: a handler could interrupt a lock that it then waits for itself.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    keys = {name: value for name, _, value in (each.partition("=") for each in options.key)}
    os.chdir(options.root)  # the worker's working directory is the app's
    try:
        with Host(keys=keys, timers=not options.no_timers, port=options.port) as host:
            ready = {"url": host.url, "functions": [function.name for function in host.functions]}
            print(json.dumps(ready), flush=True)
            signal.sigwait(signals)
    except LoadError:
        log.exception("The functions cannot be loaded")
        sys.exit(1)
    logging.shutdown()
    os._exit(0)  # what still runs after its grace is cut off, as on the platform


if __name__ == "__main__":
    main()
