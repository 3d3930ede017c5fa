"""Microsoft Graph's `createAlert` (beta), as strict as its page. It merges nothing: every call is a new alert.

    POST /beta/security/alerts_v2/createAlert    {"createAlertInput": {…}}
    GET  /_simulator/entityAlerts                the alerts that were created
    GET  /_simulator/creations                   the calls that arrived

A call is judged as those to hunting are, by 150 calls a minute. The checks decide in this order: token (401), role
(403), quota (429), body (400, by create_alert.json), incident (404). Faults strike `on` "entity".
"""

import json
import math
import re
import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from dev.simulator import rules
from dev.simulator.judge import Judge
from dev.simulator.moments import iso
from dev.simulator.reply import Reply, error_reply, json_reply
from dev.simulator.rules import Rejected
from dev.stack import token_endpoint

if TYPE_CHECKING:
    from dev.simulator.simulator import Simulator

CREATE_PATH = "/beta/security/alerts_v2/createAlert"
CALLS, WINDOW = 150, 60.0
_FIRST_INCIDENT = 50_001
_SCHEMA = Draft202012Validator(json.loads(Path(__file__).with_suffix(".json").read_bytes()))
_TWO_UNITS = re.compile("[\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Creation:
    """A call, logged when its headers were read; `at` is on the machine's monotonic clock."""

    sequence: int
    at: float
    over_limit: bool = False
    title: str | None = None
    fault: str | None = None
    status: int | None = None
    alert_id: str | None = None


class Creations:
    """The alerts without an event of one simulator. Thread-safe."""

    def __init__(self, simulator: "Simulator", calls: int = CALLS, window: float = WINDOW) -> None:
        self._simulator = simulator
        self._judge = Judge(calls, window)
        self._log: list[Creation] = []
        self._alerts: list[dict[str, Any]] = []
        self._lock = threading.Lock()  # guards all of the above

    @property
    def log(self) -> list[Creation]:
        """Every call in its order, as known at this moment."""
        with self._lock:
            return [replace(creation) for creation in self._log]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every alert created, oldest first, as Graph shows it."""
        with self._lock:
            return list(map(dict, self._alerts))

    def arrive(self, authorization: str | None) -> tuple[Creation, Rejected | None]:
        """Stamp, log and judge a call whose headers were read; return why it is rejected already, if it is."""
        self._simulator.pause(self._simulator.switches.transit)
        with self._lock:
            creation = Creation(len(self._log), time.monotonic())
            self._log.append(creation)
            audience, role = token_endpoint.GRAPH_AUDIENCE, token_endpoint.CREATE_ROLE
            try:
                rules.admit(authorization, time.time(), audience, role)
            except Rejected as rejected:
                return creation, rejected
            wait = self._judge.arrive(creation.at)
            creation.over_limit = wait is not None
            if wait is None:
                return creation, None
            return creation, Rejected(429, "TooManyRequests", "Too many.", retry_after=math.ceil(wait))

    def answer(
        self,
        creation: Creation,
        rejected: Rejected | None,
        method: str,
        content_type: str | None,
        body: bytes,
    ) -> Reply:
        """Return what to send for a call that has arrived, be it the answer or a fault."""
        self._simulator.pause(self._simulator.switches.latency)
        document = rules.json_object(body)
        given = document.get("createAlertInput") if document and len(document) == 1 else None
        title = given.get("title") if isinstance(given, dict) else None
        creation.title = title if isinstance(title, str) else None
        fault, released = self._simulator.draw("entity", creation.title)

        def process() -> Reply:
            try:
                if rejected:
                    raise rejected
                rules.check_form(method, content_type)
                check(given)
                return json_reply(201, self._create(creation, given))
            except Rejected as rejection:
                return error_reply(rejection, innerError={"request-id": f"r-{creation.sequence}"})

        def fail(status: int) -> Reply:
            code = HTTPStatus(status).phrase.replace(" ", "")
            return error_reply(Rejected(status, code, "Switched on."), innerError={"request-id": "fault"})

        reply = self._simulator.bend(fault, released, process, fail, CREATE_PATH)
        creation.fault, creation.status = fault.kind if fault else None, reply.status
        return reply

    def _create(self, creation: Creation, given: Any) -> dict[str, Any]:
        with self._lock:
            incidents = {alert["incidentId"] for alert in self._alerts}
            incident = str(given.get("linkToIncident") or _FIRST_INCIDENT + len(self._alerts))
            if given.get("linkToIncident") and incident not in incidents:
                raise Rejected(404, "NotFound", f"There is no incident {incident}.")
            creation.alert_id = f"ma{time.time_ns()}_{creation.sequence}"
            address = f"https://security.microsoft.com/alerts/{creation.alert_id}?tid={token_endpoint.TENANT}"
            own = {"id": creation.alert_id, "incidentId": incident, "alertWebUrl": address}
            always = {
                "status": "new",
                "detectionSource": "manual",
                "createdDateTime": iso(time.time_ns() // 100),
            }
            self._alerts.append({**given, **own, **always})
            return dict(self._alerts[-1])


def check(given: Any) -> None:
    """Raise `Rejected` unless an input is exactly as its page says; lengths count in UTF-16 units."""
    counted = json.loads(_TWO_UNITS.sub("xx", json.dumps(given, ensure_ascii=False)))
    if (wrong := best_match(_SCHEMA.iter_errors(counted))) is not None:
        raise Rejected(400, "BadRequest", f"Invalid value: {wrong.json_path}: {wrong.message[:200]}")
