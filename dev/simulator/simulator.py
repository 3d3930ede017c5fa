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

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Self
from urllib.parse import parse_qsl

from dev.simulator.alerts import Alerts
from dev.simulator.api import SWITCHED
from dev.simulator.arrival import Arrival
from dev.simulator.create_alert import Creations
from dev.simulator.faults import Delay, Fault, Switches, bounds
from dev.simulator.hunting import Hunting
from dev.simulator.reply import Reply, json_reply
from dev.simulator.server import SimulatorConnection
from dev.stack import token_endpoint
from dev.stack.loopback import Server

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
        self._identities = identities
        self._token_requests: Counter[str] = Counter()
        self._switches = Switches(**switches)
        self._dice = random.Random(0)  # for delays
        self.defender = Alerts(self, calls, window)
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
        """Every arrival at Defender in its order, as known at this moment."""
        return self.defender.log

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every alert created, oldest first, as Defender shows it."""
        return self.defender.alerts

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
            lambda status: json_reply(*token_endpoint.failure(status, SWITCHED)),
        )

    def wait(self, seconds: float) -> None:
        """Wait. When the simulator stops meanwhile, raise what ends the connection without an answer."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise ConnectionAbortedError("the simulator stops")

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
        path: str = Alerts.path,
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
