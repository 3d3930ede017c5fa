"""Defender's events and alerts: an event that it knows becomes an alert, or is merged into an open alert."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.simulator import rules
from dev.simulator.api import Api
from dev.simulator.arrival import Arrival
from dev.simulator.moments import iso
from dev.simulator.reply import Reply, json_reply
from dev.simulator.rules import Rejected
from dev.stack import token_endpoint

if TYPE_CHECKING:
    from dev.simulator.simulator import Simulator

_ALERT: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
"""An alert with every field of the documented resource; what is null here each alert sets, or it stays so."""
ALERT_FIELDS = tuple(_ALERT)
_TICKS_TO_1970 = 621_355_968_000_000_000  # .NET counts 100 ns since the year 1, and alert ids begin so


Event = tuple[str, ...]
"""machineId, eventTime and reportId: compared as the strings they are, digit for digit."""


class Alerts(Api):
    """Defender's API of one simulator: all alerts, each of them open, and the events that Defender knows."""

    path = "/api/alerts/CreateAlertByReference"
    on = "alerts"
    audience, role = token_endpoint.AUDIENCE, token_endpoint.ROLE

    def __init__(self, simulator: "Simulator", calls: int, window: float) -> None:
        super().__init__(simulator, calls, window)
        self._known: set[Event] = set()
        self._unknown: set[Event] = set()
        self._alerts: dict[tuple[str, str], dict[str, Any]] = {}  # by device and title

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every alert, oldest first, as Defender shows it."""
        with self._lock:
            return list(map(dict, self._alerts.values()))

    def register(self, known: Iterable[Sequence[str]] = (), unknown: Iterable[Sequence[str]] = ()) -> None:
        """Make events known, or unknown: triples of machineId, eventTime, reportId."""
        with self._lock:
            added, removed = set(map(tuple, known)), set(map(tuple, unknown))
            self._known = (self._known | added) - removed
            self._unknown = (self._unknown | removed) - added

    def _quota(self, seconds: int) -> str:
        minutes, seconds_over = divmod(int(self._judge.window), 60)
        return (
            f"API calls quota exceeded! Maximum allowed {self._judge.calls} per 00:{minutes:02}:{seconds_over:02} "
            f"for the key Destination+TenantID+AppID. You can send requests again in {seconds} seconds."
        )

    def _facts(self, document: Mapping[str, Any] | None) -> dict[str, Any]:
        texts = {name: value for name, value in (document or {}).items() if isinstance(value, str)}
        names = ("machineId", "eventTime", "reportId", "title")
        facts = zip(("machine_id", "event_time", "report_id", "title"), names, strict=True)
        return {name: texts.get(field) for name, field in facts}

    def _process(self, arrival: Arrival, document: Mapping[str, Any] | None) -> Reply:
        """Return a new alert, or the open alert of the same device and title, for an event that is known."""
        fields = rules.check(document)
        event = (fields["machineId"], fields["eventTime"], fields["reportId"])
        all_known = self._simulator.switches.known_events == "all"  # but those that were made unknown
        with self._lock:
            if event in self._unknown or not (all_known or event in self._known):
                raise Rejected(404, "ResourceNotFound", f"Event {fields['reportId']} was not found")
            ticks = time.time_ns() // 100  # the precision of Defender's times
            key = (fields["machineId"], fields["title"])
            if merged := key in self._alerts:
                self._alerts[key]["lastUpdateTime"] = iso(ticks)
            else:
                alert_id = f"da{ticks + _TICKS_TO_1970}_{1_364_969_609 + arrival.sequence}"
                self._alerts[key] = _new_alert(alert_id, 1_126_093 + len(self._alerts), iso(ticks), fields)
            arrival.alert_id, arrival.merged = self._alerts[key]["id"], merged
            return json_reply(200, dict(self._alerts[key]))


def _new_alert(alert_id: str, incident: int, now: str, fields: Mapping[str, str]) -> dict[str, Any]:
    named = {name: fields[name] for name in ("machineId", "severity", "category", "title", "description")}
    times = dict.fromkeys(("alertCreationTime", "lastUpdateTime"), now)
    times |= dict.fromkeys(("firstEventTime", "lastEventTime"), fields["eventTime"])
    ids = {"id": alert_id, "incidentId": incident, "aadTenantId": token_endpoint.TENANT}
    computer = f"device-{fields['machineId'][:6]}.contoso.example"
    return {**_ALERT, **named, **times, **ids, "computerDnsName": computer}
