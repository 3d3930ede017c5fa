"""Microsoft Defender for Endpoint on a developer's machine: stricter than the real service.

    POST /api/alerts/CreateAlertByReference   the one call of Defender's API that we make
    POST /v1.0/security/runHuntingQuery       Graph's hunting, see hunting.py
    POST /beta/security/alerts_v2/createAlert   Graph's alerts without an event, see create_alert.py
    GET  /msi/token                           the token endpoint of a managed identity, see dev/stack
    /_simulator/…                             switches, log, events, alerts, violations, tokens, health

The way of a call:

    headers read ── transit ── arrival: stamped, logged, judged ── body read ── latency ── fault? ── answer

`transit` is the network's part (the caller's bytes are still on their way), `latency` is Defender's. A call
is judged before a fault can strike it: a call that meets a reset or a 500 has used up its place in the
window. Without a fault, the checks decide, in this order: token (401), role (403), window (429), method,
content type, JSON and fields (4xx), event (404).

Under `/_simulator/` JSON has the names of the dataclasses in arrival.py and faults.py, in camel
case. Durations are in seconds.
"""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl

from dev.simulator import rules
from dev.simulator.alerts import Alerts
from dev.simulator.arrival import Arrival
from dev.simulator.create_alert import Creations
from dev.simulator.faults import Delay, Fault, Switches, bounds
from dev.simulator.hunting import Hunting
from dev.simulator.judge import Judge
from dev.simulator.reply import Reply, error_reply, json_reply
from dev.simulator.rules import Rejected
from dev.simulator.server import ALERTS_PATH, SimulatorConnection
from dev.stack import token_endpoint
from dev.stack.loopback import Server

_SWITCHED = "Switched on in the simulator."
_STOP_SECONDS = 30.0


class Simulator:
    """Defender and the token endpoint on a free port of the loopback, served by threads.

    `with Simulator(calls=15, window=60.0, known_events="all") as simulator:` serves until the block ends.
    `identities` are user-assigned ones, by their client ids. Further arguments are `Switches`. Thread-safe.
    """

    def __init__(
        self,
        calls: int = 15,
        window: float = 60.0,
        *,
        identities: Collection[str] = (token_endpoint.USER_ASSIGNED_CLIENT_ID,),
        **switches: Any,
    ) -> None:
        self._judge = Judge(calls, window)
        self._identities = identities
        self._token_requests: Counter[str] = Counter()
        self._switches = Switches(**switches)
        self._dice = random.Random(0)  # for delays
        self._log: list[Arrival] = []
        self._alerts = Alerts()
        self.hunting = Hunting(self)
        self.creations = Creations(self)
        self._lock = threading.Lock()  # guards all of the above
        self._released = threading.Event()  # lets go of the calls that hang
        self._stopping = threading.Event()
        self._server = Server(SimulatorConnection, self)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once: callers still waiting for an answer lose their connection."""
        with self._lock:
            self._stopping.set()
            self._released.set()
        self._server.stop(_STOP_SECONDS, cut=True)
        self.hunting.close()

    @property
    def url(self) -> str:
        """The base URL, as `DEFENDER_API_URL` wants it."""
        return self._server.url

    @property
    def environment(self) -> dict[str, str]:
        """Settings that point an app at this simulator, with its system-assigned identity."""
        return {
            "DEFENDER_API_URL": self.url,
            "DEFENDER_TOKEN_SCOPE": f"{token_endpoint.AUDIENCE}/.default",
            "GRAPH_API_URL": self.url,
            "GRAPH_TOKEN_SCOPE": f"{token_endpoint.GRAPH_AUDIENCE}/.default",
            "IDENTITY_ENDPOINT": self.url + token_endpoint.PATH,
            "IDENTITY_HEADER": token_endpoint.IDENTITY_HEADER,
        }

    @property
    def log(self) -> list[Arrival]:
        """Every arrival in its order, as known at this moment."""
        with self._lock:
            return [replace(arrival) for arrival in self._log]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every alert created, oldest first, as Defender shows it."""
        with self._lock:
            return list(self._alerts)

    @property
    def token_requests(self) -> dict[str, int]:
        """How many tokens were asked for, answered or not, by client id."""
        with self._lock:
            return dict(self._token_requests)

    @property
    def switches(self) -> Switches:
        """The switches as they are; a fault's `times` says how often it has still to strike."""
        with self._lock:
            return self._switches

    def switch(self, **changes: Any) -> Switches:
        """Change some of the `Switches`, return all. New faults replace the old, and end what hangs."""
        with self._lock:
            self._switches = replace(self._switches, **changes)
            if "faults" in changes and not self._stopping.is_set():
                self._released.set()
                self._released = threading.Event()
            return self._switches

    def register(self, known: Iterable[Sequence[str]] = (), unknown: Iterable[Sequence[str]] = ()) -> None:
        """Make events known, or unknown: triples of machineId, eventTime, reportId."""
        with self._lock:
            self._alerts.register(known, unknown)

    # ---- a call, step by step

    def arrive(
        self, authorization: str | None, method: str, connection: int
    ) -> tuple[Arrival, Rejected | None]:
        """Stamp, log and judge a call whose headers were read; return why it is rejected already, if it is."""
        self.pause(self.switches.transit)
        with self._lock:
            now = datetime.now(UTC).isoformat()
            arrival = Arrival(len(self._log), time.monotonic(), now, method, connection)
            self._log.append(arrival)
            try:
                self._admit(arrival, authorization)
            except Rejected as rejected:
                return arrival, rejected
            return arrival, None

    def answer(
        self, arrival: Arrival, rejected: Rejected | None, content_type: str | None, body: bytes
    ) -> Reply:
        """Return what to send for a call that has arrived, be it the answer or a fault."""
        fields = rules.json_object(body)
        texts = {name: value for name, value in (fields or {}).items() if isinstance(value, str)}
        self._note(
            arrival,
            machine_id=texts.get("machineId"),
            event_time=texts.get("eventTime"),
            report_id=texts.get("reportId"),
            title=texts.get("title"),
        )
        self.pause(self.switches.latency)
        fault, released = self.draw("alerts", arrival.title)
        self._note(arrival, fault=fault.kind if fault else None)

        def process() -> Reply:
            try:
                if rejected:
                    raise rejected
                rules.check(arrival.method, content_type, fields)
                return json_reply(200, self._create(arrival, texts))
            except Rejected as rejection:
                return error_reply(rejection)

        def fail(status: int) -> Reply:
            return error_reply(Rejected(status, HTTPStatus(status).phrase.replace(" ", ""), _SWITCHED))

        reply = self.bend(fault, released, process, fail)
        retry_after = reply.headers.get("Retry-After")
        self._note(arrival, status=reply.status, code=reply.code, retry_after=retry_after)
        return reply

    def answer_token(self, query: str, identity_header: str | None) -> Reply:
        """Return what to send for a token request, be it the answer or a fault."""
        asked = dict(parse_qsl(query, keep_blank_values=True))
        with self._lock:
            self._token_requests[asked.get("client_id") or token_endpoint.SYSTEM_ASSIGNED] += 1
        fault, released = self.draw("token")
        alter = fault.alter if fault else lambda grant: grant
        return self.bend(
            fault,
            released,
            lambda: json_reply(*token_endpoint.answer(asked, identity_header, self._identities, alter)),
            lambda status: json_reply(*token_endpoint.failure(status, _SWITCHED)),
        )

    def wait(self, seconds: float) -> None:
        """Wait. When the simulator stops meanwhile, raise what ends the connection without an answer."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the simulator stops")

    def _note(self, arrival: Arrival, **facts: Any) -> None:
        with self._lock:
            for name, value in facts.items():
                setattr(arrival, name, value)

    def _admit(self, arrival: Arrival, authorization: str | None) -> None:
        """Check token and role, and only then count the arrival: no stranger uses up the quota."""
        arrival.app_id = rules.admit(authorization, time.time())["appid"]
        arrival.judged = True
        if (wait := self._judge.arrive(arrival.at)) is None:
            return
        arrival.over_limit = True
        seconds = math.ceil(wait)
        minutes, seconds_over = divmod(int(self._judge.window), 60)
        message = (
            f"API calls quota exceeded! Maximum allowed {self._judge.calls} per 00:{minutes:02}:{seconds_over:02} "
            f"for the key Destination+TenantID+AppID. You can send requests again in {seconds} seconds."
        )
        raise Rejected(429, "TooManyRequests", message, retry_after=seconds)

    def _create(self, arrival: Arrival, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the alert, new or merged, that a call leads to; raise `Rejected` where its event is not known."""
        with self._lock:
            all_known = self._switches.known_events == "all"
            alert, arrival.merged = self._alerts.create(fields, arrival.sequence, all_known=all_known)
            arrival.alert_id = alert["id"]
            return alert

    # ---- faults

    def draw(self, on: str, title: str | None = None) -> tuple[Fault | None, threading.Event]:
        """Return the fault that strikes this answer, if any, and count it; with it, what ends a hang."""
        with self._lock:
            fault, self._switches = self._switches.draw(on, title)
            return fault, self._released

    def bend(
        self,
        fault: Fault | None,
        released: threading.Event,
        process: Callable[[], Reply],
        fail: Callable[[int], Reply],
        path: str = ALERTS_PATH,
    ) -> Reply:
        """Return the answer of a path as the fault leaves it. `process` gives the real one, `fail` an error."""
        if fault is None:
            return process()
        if fault.kind == "slow":
            self.pause(fault.delay)
        if fault.shows_answer:
            return fault.bend(process())
        if fault.after_processing:
            process()
        if fault.kind == "hang":
            released.wait()
        return fault.reply(fail, self.url + path)

    def pause(self, delay: Delay) -> None:
        """Wait as long as a delay says."""
        low, high = bounds(delay)
        with self._lock:
            seconds = low if low == high else self._dice.uniform(low, high)
        self.wait(seconds)
