"""The simulator's side of HTTP: Defender's one path, Graph's, the token endpoint, and `/_simulator/`."""

import json
import re
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from dev.simulator.arrival import Arrival
from dev.simulator.faults import Fault
from dev.simulator.reply import Reply, error_reply, json_reply
from dev.simulator.rules import Rejected
from dev.stack import token_endpoint
from dev.stack.loopback import Connection, Server

if TYPE_CHECKING:
    from dev.simulator.simulator import Simulator

CONTROL_PATH = "/_simulator/"
_SERVER = ("Server", "Microsoft-HTTPAPI/2.0 (simulated)")


class SimulatorConnection(Connection):
    """A caller's connection to a simulator, which owns the server."""

    server: Server

    def serve(self) -> None:
        """Answer one request."""
        path, _, query = self.path.partition("?")
        headers = self.headers
        simulator: Simulator = self.server.owner
        for api in (simulator.defender, simulator.hunting, simulator.creations):
            if path == api.path:  # a call is stamped before its body is read
                arrived = api.arrive(headers["Authorization"], self.command, self.client_address[1])
                self._send(api.answer(*arrived, headers["Content-Type"], self._body()))
                return
        body = self._body()
        if (self.command, path) == ("GET", token_endpoint.PATH):
            reply = simulator.answer_token(query, headers["X-IDENTITY-HEADER"])
        elif path.startswith(CONTROL_PATH):
            reply = control(simulator, self.command, path.removeprefix(CONTROL_PATH), body)
        else:
            reply = error_reply(
                Rejected(404, "NotFound", f"No HTTP resource was found that matches {path!r}.")
            )
        self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - named by the base class

    def _body(self) -> bytes:
        """Read the body. A body without a length is not read, and the connection ends with the answer."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            return b""
        return self.read(int(length))

    def _send(self, reply: Reply) -> None:
        if reply.manner != "whole":
            self.close_connection = True
        if reply.manner == "reset":
            linger = struct.pack("ii", 1, 0)  # close() at once, with RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.rfile.close()
            self.connection.close()
        if reply.status is None:
            return
        message = self.message(reply.status, [_SERVER, *reply.headers.items()], reply.body)
        if reply.manner == "truncated":
            message = message[: len(message) - len(reply.body) + len(reply.body) // 2]
        if reply.manner == "trickle":
            for byte in message:
                self.wfile.write(bytes((byte,)))
                self.server.owner.wait(reply.pace)
        else:
            self.wfile.write(message)


def control(simulator: "Simulator", method: str, name: str, body: bytes) -> Reply:
    """Return what to send for a request under `/_simulator/`."""
    routes: dict[tuple[str, str], Callable[[], Any]] = {
        ("GET", "health"): lambda: {"status": "pass"},
        ("GET", "log"): lambda: _shown(simulator.log),
        ("GET", "violations"): lambda: _shown(arrival for arrival in simulator.log if arrival.over_limit),
        ("GET", "alerts"): lambda: simulator.alerts,
        ("GET", "searches"): lambda: _shown(simulator.hunting.log),
        ("GET", "creations"): lambda: _shown(simulator.creations.log),
        ("GET", "entityAlerts"): lambda: simulator.creations.alerts,
        ("POST", "world"): lambda: simulator.hunting.add(**_snake(json.loads(body))),
        ("GET", "tokens"): lambda: simulator.token_requests,
        ("GET", "switches"): lambda: _camel(asdict(simulator.switches)),
        ("PUT", "switches"): lambda: _camel(asdict(simulator.switch(**_switches(json.loads(body))))),
        ("POST", "events"): lambda: simulator.defender.register(**_events(json.loads(body))),
    }
    if (route := routes.get((method, name))) is None:
        return json_reply(404, {"error": f"no {method} {CONTROL_PATH}{name}"})
    try:
        return json_reply(200, route())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return json_reply(400, {"error": f"{type(error).__name__}: {error}"})


def _shown(arrivals: Iterable[Arrival]) -> list[Any]:
    return [_camel(asdict(arrival)) for arrival in arrivals]


def _camel(value: Any) -> Any:
    """Return a dataclass's dict with its names as JSON has them."""
    if isinstance(value, dict):
        return {re.sub("_(.)", lambda at: at[1].upper(), name): _camel(item) for name, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list | tuple) else value


def _snake(value: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name): item for name, item in value.items()}


def _switches(value: Mapping[str, Any]) -> dict[str, Any]:
    changes = {name: tuple(item) if isinstance(item, list) else item for name, item in _snake(value).items()}
    if "faults" in changes:
        changes["faults"] = tuple(Fault(**_snake(fault)) for fault in changes["faults"])
    return changes


def _events(value: Mapping[str, Any]) -> dict[str, list[tuple[str, str, str]]]:
    key = itemgetter("machineId", "eventTime", "reportId")
    return {kind: list(map(key, events)) for kind, events in value.items()}
