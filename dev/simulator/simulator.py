"""Microsoft Defender for Endpoint, as a developer's machine can have it: stricter than the real one.

    POST /api/alerts/CreateAlertByReference   the one call of Defender's API that we make
    GET  /msi/token                           the token endpoint of a managed identity, see token_endpoint.py
    /_simulator/…                             switches, log, events, alerts, violations, tokens, health

The way of a call:

    headers read ── transit ── arrival: stamped, logged, judged ── body read ── latency ── fault? ── answer

`transit` is the network's part (the caller's bytes are still on their way), `latency` is Defender's. A call
is judged before a fault can strike it: one that meets a reset or a 500 has used up its place in the window.
Without a fault, the checks decide, in this order: token (401), role (403), window (429), method, content
type, JSON and fields (4xx), event (404).

Under `/_simulator/` JSON has the names of the dataclasses here and in switches.py, in camel case. Durations are in
seconds.
"""

import argparse
import json
import math
import os
import random
import re
import signal
import socket
import socketserver
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import parse_qsl

from dev.simulator import rules
from dev.simulator.judge import Judge, violations
from dev.simulator.switches import FAULT_STATUS, TOKEN_FAULTS, Delay, Fault, Switches, alter, bounds
from dev.stack import token_endpoint
from dev.stack.token_endpoint import Refused, TokenEndpoint

ALERTS_PATH = "/api/alerts/CreateAlertByReference"
CONTROL_PATH = "/_simulator/"
_CODES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}
_TICKS_TO_1970 = 621_355_968_000_000_000  # .NET counts 100 ns since the year 1, and alert ids begin so


class Event(NamedTuple):
    """What names an event in advanced hunting; compared as the strings they are, digit for digit."""

    machine_id: str
    event_time: str
    report_id: str


@dataclass(slots=True)
class Arrival:
    """One call, logged when its headers were read; what is known later is filled in later.

    `at` is on the machine's monotonic clock (the same for all its processes), `connection` the caller's port.
    `judged`: had a good token, so it counts in the window. `status` is None as long as nothing was answered.
    `alert_id` is set when the call created or met an alert, whether or not the caller was told.
    """

    sequence: int
    at: float
    wall: str
    method: str
    connection: int
    app_id: str | None = None
    judged: bool = False
    over_limit: bool = False
    machine_id: str | None = None
    event_time: str | None = None
    report_id: str | None = None
    title: str | None = None
    fault: str | None = None
    status: int | None = None
    code: str | None = None
    retry_after: str | None = None
    alert_id: str | None = None
    merged: bool = False


@dataclass(frozen=True, slots=True)
class _Reply:
    """What is sent, and how. Without a `status` nothing is."""

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    manner: Literal["whole", "trickle", "truncated", "close", "reset"] = "whole"
    pace: float = 0.0


class Simulator:
    """Defender and the token endpoint on a free port of the loopback, or on `port`, served by threads.

    `with Simulator(calls=15, window=60.0, known_events="all") as simulator:` serves until the block ends.
    Further arguments are `Switches`. `seed` is for the dice of delays and fractions. Thread-safe throughout.
    """

    def __init__(
        self,
        calls: int = 15,
        window: float = 60.0,
        *,
        port: int = 0,
        seed: int = 0,
        tokens: TokenEndpoint | None = None,
        **switches: Any,
    ) -> None:
        self._judge = Judge(calls, window)
        self._tokens = tokens or TokenEndpoint()
        self._switches = Switches(**switches)
        self._dice = random.Random(seed)
        self._log: list[Arrival] = []
        self._arrivals = 0
        self._known: set[Event] = set()
        self._unknown: set[Event] = set()
        self._alerts: dict[str, dict[str, Any]] = {}
        self._open: dict[tuple[str, str], dict[str, Any]] = {}
        self._changed = threading.Condition()  # guards all of the above
        self._released = threading.Event()  # lets go of the calls that hang
        self._stopping = threading.Event()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="simulator")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop at once: callers still waiting for an answer lose their connection."""
        with self._changed:
            self._stopping.set()
            self._released.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The base URL, as `DEFENDER_API_URL` wants it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Settings that point an app at this simulator, with its system-assigned identity."""
        return {
            "DEFENDER_API_URL": self.url,
            "DEFENDER_TOKEN_SCOPE": f"{self._tokens.audience}/.default",
            "IDENTITY_ENDPOINT": self.url + token_endpoint.PATH,
            "IDENTITY_HEADER": self._tokens.identity_header,
        }

    @property
    def log(self) -> list[Arrival]:
        """Every arrival in its order, as known at this moment."""
        with self._changed:
            return [replace(arrival) for arrival in self._log]

    @property
    def violations(self) -> list[Arrival]:
        """The arrivals too many: by the judge's word when they came, or by a scan of the log now."""
        log = self.log
        judged = (arrival.at for arrival in log if arrival.judged)
        excess = {found.excess for found in violations(judged, self._judge.calls, self._judge.window)}
        return [arrival for arrival in log if arrival.over_limit or (arrival.judged and arrival.at in excess)]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every alert created, oldest first, as Defender shows it."""
        with self._changed:
            return [dict(alert) for alert in self._alerts.values()]

    @property
    def token_requests(self) -> dict[str, int]:
        """How many tokens were asked for, answered or not, by client id."""
        with self._changed:
            return dict(self._tokens.requests)

    @property
    def switches(self) -> Switches:
        """The switches as they are; a fault's `times` says how often it has still to strike."""
        with self._changed:
            return self._switches

    def token(self, **changes: Any) -> str:
        """Return a token as the endpoint would give it, with `changes` to its `Grant`; nothing is counted."""
        grant = replace(self._tokens.grant(self._tokens.audience), **changes)
        return self._tokens.seal(token_endpoint.SYSTEM_ASSIGNED_CLIENT_ID, grant)[0]

    def switch(self, **changes: Any) -> Switches:
        """Change some of the `Switches`, return all. New faults replace the old, and end what hangs."""
        with self._changed:
            self._switches = replace(self._switches, **changes)
            if "faults" in changes and not self._stopping.is_set():
                self._released.set()
                self._released = threading.Event()
            return self._switches

    def register(self, known: Iterable[Sequence[str]] = (), unknown: Iterable[Sequence[str]] = ()) -> None:
        """Make events known, or unknown: triples of machineId, eventTime, reportId."""
        added, removed = {Event(*event) for event in known}, {Event(*event) for event in unknown}
        with self._changed:
            self._known = (self._known | added) - removed
            self._unknown = (self._unknown | removed) - added

    def resolve(self, alert_id: str) -> None:
        """Close an alert, as an analyst does: it swallows no further ones. `KeyError` if there is none."""
        with self._changed:
            alert = self._alerts[alert_id]
            alert["status"] = "Resolved"
            alert["resolvedTime"] = alert["lastUpdateTime"] = rules.iso(rules.now())
            if self._open.get(key := (alert["machineId"], alert["title"])) is alert:
                del self._open[key]

    def clear_log(self) -> None:
        """Forget the log. The judge does not forget: the window goes on."""
        with self._changed:
            self._log.clear()

    def wait_for(self, condition: Callable[[Sequence[Arrival]], bool], limit: float = 30.0) -> list[Arrival]:
        """Wait until the log fulfils `condition` and return it. `TimeoutError` after `limit` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._log), limit):
                raise TimeoutError(f"not within {limit} s: the log has {len(self._log)} arrivals")
            return self.log

    # ---- a call, step by step

    def arrive(
        self, authorization: str | None, method: str, connection: int
    ) -> tuple[Arrival, Refused | None]:
        """Stamp, log and judge a call whose headers were read; return why it is refused already, if it is."""
        self._pause(self.switches.transit)
        with self._changed:
            arrival = Arrival(
                self._arrivals, time.monotonic(), datetime.now(UTC).isoformat(), method, connection
            )
            self._arrivals += 1
            self._log.append(arrival)
            try:
                self._admit(arrival, authorization)
            except Refused as refused:
                return arrival, refused
            finally:
                self._changed.notify_all()
            return arrival, None

    def answer(
        self, arrival: Arrival, refused: Refused | None, content_type: str | None, body: bytes
    ) -> _Reply:
        """Return what to send for a call that has arrived, be it the answer or a fault."""
        fields = rules.json_object(body)
        with self._changed:
            for name, key in (("machine_id", "machineId"), ("event_time", "eventTime"),
                              ("report_id", "reportId"), ("title", "title")):  # fmt: skip
                value = (fields or {}).get(key)
                setattr(arrival, name, value if isinstance(value, str) else None)
            self._changed.notify_all()
        self._pause(self.switches.latency)
        fault, released = self._fault("alerts", arrival.title)
        with self._changed:
            arrival.fault = fault.kind if fault else None
            self._changed.notify_all()

        def process() -> _Reply:
            try:
                if refused:
                    raise refused
                rules.check(arrival.method, content_type, fields)
                return _render(200, self._raise_alert(arrival, fields or {}))
            except Refused as refusal:
                return _error(refusal)

        def fail(status: int) -> _Reply:
            code = _CODES.get(status, HTTPStatus(status).phrase.replace(" ", ""))
            return _error(Refused(status, code, "Switched on in the simulator."))

        reply = self._bend(fault, released, process, fail)
        with self._changed:
            arrival.status, arrival.code = reply.status, reply.code
            arrival.retry_after = reply.headers.get("Retry-After")
            self._changed.notify_all()
        return reply

    def answer_token(self, query: str, identity_header: str | None) -> _Reply:
        """Return what to send for a token request, be it the answer or a fault."""
        asked = dict(parse_qsl(query, keep_blank_values=True))
        with self._changed:
            self._tokens.count(asked)
        fault, released = self._fault("token")
        return self._bend(
            fault,
            released,
            lambda: _render(*self._tokens.answer(asked, identity_header, lambda grant: alter(grant, fault))),
            lambda status: _render(*token_endpoint.failure(status, "Switched on in the simulator.")),
        )

    def answer_control(self, method: str, name: str, body: bytes) -> _Reply:
        """Return what to send for a request under `/_simulator/`."""
        routes: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "health"): lambda: {"status": "pass"},
            ("GET", "log"): lambda: [_camel(asdict(arrival)) for arrival in self.log],
            ("DELETE", "log"): self.clear_log,
            ("GET", "violations"): lambda: [_camel(asdict(arrival)) for arrival in self.violations],
            ("GET", "alerts"): lambda: self.alerts,
            ("GET", "tokens"): lambda: self.token_requests,
            ("GET", "switches"): lambda: _camel(asdict(self.switches)),
            ("PUT", "switches"): lambda: _camel(asdict(self.switch(**_read_switches(json.loads(body))))),
            ("POST", "events"): lambda: self.register(**_read_events(json.loads(body))),
        }
        if (route := routes.get((method, name))) is None:
            return _render(404, {"error": f"no {method} {CONTROL_PATH}{name}"})
        try:
            return _render(200, route())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _render(400, {"error": f"{type(error).__name__}: {error}"})

    def _admit(self, arrival: Arrival, authorization: str | None) -> None:
        """Check token and role, and only then count the arrival: nobody's quota is used up by a stranger."""
        arrival.app_id = self._tokens.verify(authorization)["appid"]
        arrival.judged = True
        if (wait := self._judge.arrive(arrival.at)) is None:
            return
        arrival.over_limit = True
        seconds = math.ceil(wait)
        minutes, rest = divmod(int(self._judge.window), 60)
        raise Refused(
            429,
            "TooManyRequests",
            f"API calls quota exceeded! Maximum allowed {self._judge.calls} per 00:{minutes:02}:{rest:02} "
            f"for the key Destination+TenantID+AppID. You can send requests again in {seconds} seconds.",
            retry_after=seconds,
        )

    def _raise_alert(self, arrival: Arrival, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return a new alert, or the open one of the same device and title; `Refused` without an event."""
        event = Event(fields["machineId"], fields["eventTime"], fields["reportId"])
        with self._changed:
            known = event in self._known or self._switches.known_events == "all"
            if not known or event in self._unknown:
                raise Refused(404, "ResourceNotFound", f"Event {event.report_id} was not found")
            ticks = rules.now()
            alert = self._open.get(key := (event.machine_id, fields["title"]))
            arrival.merged = alert is not None
            if alert is None:
                alert_id = f"da{ticks + _TICKS_TO_1970}_{1_364_969_609 + arrival.sequence}"
                alert = rules.new_alert(alert_id, 1_126_093 + len(self._alerts), ticks, fields)
                self._alerts[alert_id] = self._open[key] = alert
            alert["lastUpdateTime"] = rules.iso(ticks)
            arrival.alert_id = alert["id"]
            return dict(alert)

    # ---- faults

    def _fault(self, on: str, title: str | None = None) -> tuple[Fault | None, threading.Event]:
        """Draw the fault that strikes this answer, if any, and count it; with it, what ends a hang."""
        with self._changed:
            faults = self._switches.faults
            for index, fault in enumerate(faults):
                if not fault.strikes(on, title) or self._dice.random() >= fault.fraction:
                    continue
                if fault.times is not None:
                    left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._switches = replace(
                        self._switches, faults=(*faults[:index], *left, *faults[index + 1 :])
                    )
                return fault, self._released
            return None, self._released

    def _bend(
        self,
        fault: Fault | None,
        released: threading.Event,
        process: Callable[[], _Reply],
        fail: Callable[[int], _Reply],
    ) -> _Reply:
        """Return the answer as the fault leaves it. `process` gives the real one, `fail` an error."""
        match fault:
            case None:
                return process()
            case Fault(kind="slow"):
                self._pause(fault.delay)
                return process()
            case Fault(kind="trickle"):
                return replace(process(), manner="trickle", pace=fault.delay)
            case Fault(kind="truncated"):
                return replace(process(), manner="truncated")
            case Fault(kind=kind) if kind in TOKEN_FAULTS:
                return process()
            case _:
                if fault.after_processing:
                    process()
                if fault.kind == "hang":
                    released.wait()
                return self._instead(fault, fail)

    def _instead(self, fault: Fault, fail: Callable[[int], _Reply]) -> _Reply:
        """Return what the caller gets instead of the real answer."""
        status = fault.status or FAULT_STATUS[fault.kind]
        headers: dict[str, str] = {}
        if fault.retry_after is not None:
            until = math.ceil(time.time() + float(fault.retry_after)) if fault.as_date else None
            headers["Retry-After"] = formatdate(until, usegmt=True) if until else str(fault.retry_after)
        match fault.kind:
            case "reset":
                reply = _Reply(manner="reset")
            case "hang":
                reply = _Reply(manner="close")
            case "html":
                page = f"<!DOCTYPE html><html><body><h1>{status} from a gateway</h1></body></html>"
                reply = _Reply(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
            case "foreign":
                reply = _render(status, {"message": "Hello", "result": {"ok": True}})
            case "redirect":
                reply = _Reply(status, headers={"Location": fault.location or self.url + ALERTS_PATH})
            case "empty":
                reply = _Reply(status)
            case _:
                reply = fail(status)
        return replace(reply, headers={**reply.headers, **headers})

    def _pause(self, delay: Delay) -> None:
        low, high = bounds(delay)
        with self._changed:
            seconds = low if low == high else self._dice.uniform(low, high)
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Wait. When the simulator stops meanwhile, raise what ends the connection without an answer."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the simulator stops")


class _Server(socketserver.ThreadingTCPServer):
    """A thread for each connection. On closing, it hangs up on all of them and waits for their threads."""

    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection, so that no thread waits for a next request."""
        for connection in self._connections.copy():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # callers hang up when they like
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection: HTTP/1.1 with keep-alive, every answer in one piece."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        headers, simulator = self.headers, self.server.simulator
        if path == ALERTS_PATH:  # this one is stamped before its body is read
            arrived = simulator.arrive(headers["Authorization"], self.command, self.client_address[1])
            self._send(simulator.answer(*arrived, headers["Content-Type"], self._body()))
            return
        body = self._body()
        if (self.command, path) == ("GET", token_endpoint.PATH):
            reply = simulator.answer_token(query, headers["X-IDENTITY-HEADER"])
        elif path.startswith(CONTROL_PATH):
            reply = simulator.answer_control(self.command, path.removeprefix(CONTROL_PATH), body)
        else:
            reply = _error(Refused(404, "NotFound", f"No HTTP resource was found that matches {path!r}."))
        self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - named by the base class

    def _body(self) -> bytes:
        """Read the body. One without a length is not read, and the connection ends with the answer."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            return b""
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the caller hung up in the middle of its body")
        return body

    def _send(self, reply: _Reply) -> None:
        if reply.manner != "whole":
            self.close_connection = True
        if reply.manner == "reset":
            linger = struct.pack("ii", 1, 0)  # close() at once, with RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.rfile.close()
            self.connection.close()
        if reply.status is None:
            return
        headers = {
            "Date": self.date_time_string(),
            "Server": "Microsoft-HTTPAPI/2.0 (simulated)",
            "Content-Length": str(len(reply.body)),
            **({"Connection": "close"} if self.close_connection else {}),
            **reply.headers,
        }
        status = HTTPStatus(reply.status)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw = f"HTTP/1.1 {status} {status.phrase}\r\n{head}\r\n".encode("latin-1") + reply.body
        if reply.manner == "truncated":
            raw = raw[: len(raw) - len(reply.body) + len(reply.body) // 2]
        if reply.manner == "trickle":
            for byte in raw:
                self.wfile.write(bytes((byte,)))
                self.server.simulator.wait(reply.pace)
        else:
            self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Say nothing: the simulator keeps its own log."""


def _render(status: int, value: Any) -> _Reply:
    body = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
    return _Reply(status, body, {"Content-Type": "application/json; charset=utf-8"})


def _error(refused: Refused) -> _Reply:
    """Return an error in Defender's shape; `target` is the id to quote to Microsoft."""
    error = {"code": refused.code, "message": refused.message, "target": str(uuid.uuid4())}
    reply = _render(refused.status, {"error": error})
    after = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    return replace(reply, headers={**reply.headers, **after}, code=refused.code)


def _camel(value: Any) -> Any:
    """Return a dataclass's dict with its names as JSON has them."""
    match value:
        case dict():
            return {
                re.sub("_(.)", lambda m: m[1].upper(), name): _camel(item) for name, item in value.items()
            }
        case list() | tuple():
            return [_camel(item) for item in value]
        case _:
            return value


def _snake(value: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", name): item for name, item in value.items()}


def _read_switches(value: Mapping[str, Any]) -> dict[str, Any]:
    changes = {name: tuple(item) if isinstance(item, list) else item for name, item in _snake(value).items()}
    if "faults" in changes:
        changes["faults"] = tuple(Fault(**_snake(fault)) for fault in changes["faults"])
    return changes


def _read_events(value: Mapping[str, Any]) -> dict[str, list[Event]]:
    return {
        kind: [Event(event["machineId"], event["eventTime"], event["reportId"]) for event in events]
        for kind, events in value.items()
    }


def _delay(text: str) -> Delay:
    """Read a delay of the command line: `0.2`, or `0.1,0.5` for one drawn between the two."""
    low, comma, high = text.partition(",")
    return (float(low), float(high)) if comma else float(low)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; say where in one line of JSON as soon as calls are taken."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulator", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--calls", type=int, default=15, help="calls a window (default 15)")
    parser.add_argument("--window", type=float, default=60.0, help="seconds (default 60)")
    parser.add_argument("--latency", type=_delay, default=0.0, help="seconds, or LOW,HIGH, before an answer")
    parser.add_argument("--transit", type=_delay, default=0.0, help="seconds, or LOW,HIGH, before an arrival")
    parser.add_argument("--known-events", choices=("registered", "all"), default="registered")
    parser.add_argument("--seed", type=int, default=0, help="of the dice for delays and fractions")
    parser.add_argument(
        "--audience", default=token_endpoint.AUDIENCE, help="the tokens' (default %(default)s)"
    )
    parser.add_argument("--client-id", action="append", help="of a user-assigned identity; can be repeated")
    options = parser.parse_args(arguments)
    tokens = TokenEndpoint(
        audience=options.audience,
        identities=options.client_id or [token_endpoint.USER_ASSIGNED_CLIENT_ID],
    )
    # Blocked for every thread and waited for: a handler could interrupt a lock that it then waits for itself.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        simulator = Simulator(
            options.calls,
            options.window,
            port=options.port,
            seed=options.seed,
            tokens=tokens,
            latency=options.latency,
            transit=options.transit,
            known_events=options.known_events,
        )
    except (OSError, ValueError) as error:
        parser.exit(1, f"the simulator cannot start: {error}\n")
    with simulator:
        ready = {"url": simulator.url, "pid": os.getpid(), "environment": simulator.environment}
        print(json.dumps(ready), flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
