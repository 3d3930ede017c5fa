"""Microsoft Graph's `createAlert` (beta), as strict as its page. It merges nothing: every call is a new alert.

    POST /beta/security/alerts_v2/createAlert    {"createAlertInput": {…}}
    GET  /_simulator/entityAlerts                the alerts that were created
    GET  /_simulator/creations                   the calls that arrived

A call is judged as those to hunting are, by 150 calls a minute. The checks decide in this order: token (401), role
(403), quota (429), body (400, by create_alert.json), incident (404). Faults strike `on` "entity".
"""

import json
import re
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from dev.simulator.api import Api
from dev.simulator.arrival import Arrival
from dev.simulator.moments import iso
from dev.simulator.reply import Reply, error_reply, json_reply
from dev.simulator.rules import Rejected
from dev.stack import token_endpoint

if TYPE_CHECKING:
    from dev.simulator.simulator import Simulator

_FIRST_INCIDENT = 50_001
_SCHEMA = Draft202012Validator(json.loads(Path(__file__).with_suffix(".json").read_bytes()))
_TWO_UNITS = re.compile("[\U00010000-\U0010ffff]")


class Creations(Api):
    """The alerts without an event of one simulator."""

    path = "/beta/security/alerts_v2/createAlert"
    on = "entity"
    audience, role = token_endpoint.GRAPH_AUDIENCE, token_endpoint.CREATE_ROLE

    def __init__(self, simulator: "Simulator", calls: int = 150, window: float = 60.0) -> None:
        super().__init__(simulator, calls, window)
        self._alerts: list[dict[str, Any]] = []

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every alert created, oldest first, as Graph shows it."""
        with self._lock:
            return list(map(dict, self._alerts))

    def _quota(self, seconds: int) -> str:
        return f"Too many. Try again in {seconds} seconds."

    def _facts(self, document: Mapping[str, Any] | None) -> dict[str, Any]:
        given = _given(document)
        title = given.get("title") if isinstance(given, dict) else None
        return {"title": title if isinstance(title, str) else None}

    def _process(self, arrival: Arrival, document: Mapping[str, Any] | None) -> Reply:
        check(given := _given(document))
        with self._lock:
            incidents = {alert["incidentId"] for alert in self._alerts}
            incident = str(given.get("linkToIncident") or _FIRST_INCIDENT + len(self._alerts))
            if given.get("linkToIncident") and incident not in incidents:
                raise Rejected(404, "NotFound", f"There is no incident {incident}.")
            arrival.alert_id = f"ma{time.time_ns()}_{arrival.sequence}"
            address = f"https://security.microsoft.com/alerts/{arrival.alert_id}?tid={token_endpoint.TENANT}"
            own = {"id": arrival.alert_id, "incidentId": incident, "alertWebUrl": address}
            created = {"createdDateTime": iso(time.time_ns() // 100)}
            always = {"status": "new", "detectionSource": "manual", **created}
            self._alerts.append({**given, **own, **always})
            return json_reply(201, dict(self._alerts[-1]))

    def _refuse(self, rejected: Rejected) -> Reply:
        return error_reply(rejected, innerError={"request-id": str(uuid.uuid4())})


def _given(document: Mapping[str, Any] | None) -> Any:
    return document.get("createAlertInput") if document and len(document) == 1 else None


def check(given: Any) -> None:
    """Raise `Rejected` unless an input is exactly as its page says; lengths count in UTF-16 units."""
    counted = json.loads(_TWO_UNITS.sub("xx", json.dumps(given, ensure_ascii=False)))
    if (wrong := best_match(_SCHEMA.iter_errors(counted))) is not None:
        raise Rejected(400, "BadRequest", f"Invalid value: {wrong.json_path}: {wrong.message[:200]}")
