"""Defender's events and alerts: an event that it knows becomes an alert, or is merged into an open alert."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dev.simulator.moments import iso
from dev.simulator.rules import Rejected
from dev.stack import token_endpoint

ALERT_FIELDS = (
    "id", "incidentId", "investigationId", "assignedTo", "severity", "status", "classification",
    "determination", "investigationState", "detectionSource", "detectorId", "category", "threatFamilyName",
    "title", "description", "alertCreationTime", "firstEventTime", "lastEventTime", "lastUpdateTime",
    "resolvedTime", "machineId", "computerDnsName", "rbacGroupName", "aadTenantId", "threatName",
    "mitreTechniques", "relatedUser", "comments", "evidence",
)  # fmt: skip
_TICKS_TO_1970 = 621_355_968_000_000_000  # .NET counts 100 ns since the year 1, and alert ids begin so


Event = tuple[str, ...]
"""machineId, eventTime and reportId: compared as the strings they are, digit for digit."""


class Alerts:
    """All alerts, each of them open, and the events that Defender knows. Not thread-safe."""

    def __init__(self) -> None:
        self._known: set[Event] = set()
        self._unknown: set[Event] = set()
        self._alerts: dict[tuple[str, str], dict[str, Any]] = {}  # by device and title

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every alert, oldest first, as Defender shows it."""
        return map(dict, self._alerts.values())

    def register(self, known: Iterable[Sequence[str]], unknown: Iterable[Sequence[str]]) -> None:
        """Make events known, or unknown: triples of machineId, eventTime, reportId."""
        added, removed = set(map(tuple, known)), set(map(tuple, unknown))
        self._known = (self._known | added) - removed
        self._unknown = (self._unknown | removed) - added

    def create(
        self, fields: Mapping[str, str], sequence: int, *, all_known: bool
    ) -> tuple[dict[str, Any], bool]:
        """Return a new alert, or the open alert of the same device and title, and whether it is that.

        `sequence` numbers the calls, for the alert's id. Raise `Rejected` where the event is not known;
        `all_known` means all but those that were made unknown.
        """
        event = (fields["machineId"], fields["eventTime"], fields["reportId"])
        if event in self._unknown or not (all_known or event in self._known):
            raise Rejected(404, "ResourceNotFound", f"Event {fields['reportId']} was not found")
        ticks = time.time_ns() // 100  # the precision of Defender's times
        key = (fields["machineId"], fields["title"])
        if merged := key in self._alerts:
            self._alerts[key]["lastUpdateTime"] = iso(ticks)
        else:
            alert_id = f"da{ticks + _TICKS_TO_1970}_{1_364_969_609 + sequence}"
            self._alerts[key] = _new_alert(alert_id, 1_126_093 + len(self._alerts), iso(ticks), fields)
        return dict(self._alerts[key]), merged


def _new_alert(alert_id: str, incident: int, now: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a new alert with every field of the documented resource."""
    return {
        **dict.fromkeys(ALERT_FIELDS),
        **{name: fields[name] for name in ("machineId", "severity", "category", "title", "description")},
        "id": alert_id,
        "incidentId": incident,
        "status": "New",
        "investigationState": "Queued",
        "detectionSource": "WindowsDefenderAtp",
        "detectorId": "360fdb3b-18a9-471b-9ad0-ad80a4cbcb02",
        "alertCreationTime": now,
        "firstEventTime": fields["eventTime"],
        "lastEventTime": fields["eventTime"],
        "lastUpdateTime": now,
        "computerDnsName": f"device-{fields['machineId'][:6]}.contoso.example",
        "aadTenantId": token_endpoint.TENANT,
        "mitreTechniques": [],
        "comments": [],
        "evidence": [],
    }
