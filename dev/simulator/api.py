"""What the simulated APIs have in common: a call is stamped, logged and judged, then answered, be it by a fault."""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from dev.simulator import rules
from dev.simulator.arrival import Arrival
from dev.simulator.judge import Judge
from dev.simulator.reply import Reply, error_reply
from dev.simulator.rules import Rejected

if TYPE_CHECKING:
    from dev.simulator.simulator import Simulator

SWITCHED = "Switched on in the simulator."


class Api:
    """One API of a simulator. Thread-safe.

    `on` is its name in faults, `fault_words` are the messages of kinds of faults that have words of their own.
    """

    path: ClassVar[str]
    on: ClassVar[str]
    audience: ClassVar[str]
    role: ClassVar[str]
    fault_words: ClassVar[Mapping[str, str]] = {}

    def __init__(self, simulator: "Simulator", calls: int, window: float) -> None:
        self._simulator = simulator
        self._judge = Judge(calls, window)
        self._log: list[Arrival] = []
        self._lock = threading.RLock()  # guards all of the above, and what an API adds

    @property
    def log(self) -> list[Arrival]:
        """Every arrival in its order, as known at this moment."""
        with self._lock:
            return [replace(arrival) for arrival in self._log]

    def arrive(
        self, authorization: str | None, method: str, connection: int
    ) -> tuple[Arrival, Rejected | None]:
        """Stamp, log and judge a call whose headers were read; return why it is rejected already, if it is.

        Token and role come first, and only then it counts: no stranger uses up the quota.
        """
        self._simulator.pause(self._simulator.switches.transit)
        with self._lock:
            now = datetime.now(UTC).isoformat()
            arrival = Arrival(len(self._log), time.monotonic(), now, method, connection)
            self._log.append(arrival)
            try:
                arrival.app_id = rules.admit(authorization, time.time(), self.audience, self.role)["appid"]
            except Rejected as rejected:
                return arrival, rejected
            arrival.judged = True
            if (wait := self._judge.arrive(arrival.at)) is None:
                return arrival, None
            arrival.over_limit = True
            seconds = math.ceil(wait)
            return arrival, Rejected(429, "TooManyRequests", self._quota(seconds), retry_after=seconds)

    def answer(
        self, arrival: Arrival, rejected: Rejected | None, content_type: str | None, body: bytes
    ) -> Reply:
        """Return what to send for a call that has arrived, be it the answer or a fault."""
        document = rules.json_object(body)
        self._note(arrival, **self._facts(document))
        self._simulator.pause(self._simulator.switches.latency)
        fault, released = self._simulator.draw(self.on, arrival.title)
        self._note(arrival, fault=fault.kind if fault else None)

        def process() -> Reply:
            try:
                if rejected:
                    raise rejected
                rules.check_form(arrival.method, content_type)
                return self._process(arrival, document)
            except Rejected as rejection:
                return self._refuse(rejection)

        def fail(status: int) -> Reply:
            words = self.fault_words.get(fault.kind if fault else "", SWITCHED)
            return self._refuse(Rejected(status, HTTPStatus(status).phrase.replace(" ", ""), words))

        reply = self._simulator.bend(fault, released, process, fail, self.path)
        retry_after = reply.headers.get("Retry-After")
        self._note(arrival, status=reply.status, code=reply.code, retry_after=retry_after)
        return reply

    def _note(self, arrival: Arrival, **facts: Any) -> None:
        with self._lock:
            for name, value in facts.items():
                setattr(arrival, name, value)

    def _quota(self, seconds: int) -> str:
        """Return the message for a call too many, which may come again in so many seconds."""
        raise NotImplementedError

    def _facts(self, document: Mapping[str, Any] | None) -> dict[str, Any]:  # noqa: ARG002 - for those that log some
        """Return what the log tells of a body, good or bad."""
        return {}

    def _process(self, arrival: Arrival, document: Mapping[str, Any] | None) -> Reply:
        """Return the answer to a good call with this JSON object as its body; raise `Rejected` else."""
        raise NotImplementedError

    def _refuse(self, rejected: Rejected) -> Reply:
        """Return an error in the shape of this API."""
        return error_reply(rejected)
