"""What Defender takes and what it answers with, to the letter: stricter than the real one."""

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dev.stack import token_endpoint
from dev.stack.token_endpoint import Refused

FIELDS = (
    "machineId", "severity", "title", "description", "recommendedAction", "eventTime", "reportId", "category",
)  # fmt: skip
SEVERITIES = ("Low", "Medium", "High")
CATEGORIES = (
    "General", "CommandAndControl", "Collection", "CredentialAccess", "DefenseEvasion", "Discovery",
    "Exfiltration", "Exploit", "Execution", "InitialAccess", "LateralMovement", "Malware", "Persistence",
    "PrivilegeEscalation", "Ransomware", "SuspiciousActivity",
)  # fmt: skip
ALERT_FIELDS = (
    "id", "incidentId", "investigationId", "assignedTo", "severity", "status", "classification",
    "determination", "investigationState", "detectionSource", "detectorId", "category", "threatFamilyName",
    "title", "description", "alertCreationTime", "firstEventTime", "lastEventTime", "lastUpdateTime",
    "resolvedTime", "machineId", "computerDnsName", "rbacGroupName", "aadTenantId", "threatName",
    "mitreTechniques", "relatedUser", "comments", "evidence",
)  # fmt: skip


def check(method: str, content_type: str | None, fields: Mapping[str, Any] | None) -> None:
    """Raise `Refused` unless the call is what Defender documents, to the letter."""
    if method != "POST":
        raise Refused(
            405, "MethodNotAllowed", f"The requested resource does not support http method '{method}'."
        )
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "UnsupportedMediaType", f"The media type {content_type!r} is not supported.")
    if fields is None:
        raise Refused(400, "InvalidRequestBody", "Invalid request body.")
    for name in FIELDS:
        if fields.get(name) is None or fields[name] == "" or str(fields[name]).isspace():
            raise Refused(400, "BadRequest", f"{name} argument is missing")
    for name, value in fields.items():
        if name not in FIELDS or not isinstance(value, str):
            raise Refused(
                400, "InvalidRequestBody", f"Invalid request body: {name!r} is unknown or no string."
            )
    forms = {
        "machineId": bool(re.fullmatch("[0-9a-f]{40}", fields["machineId"])),
        "severity": fields["severity"] in SEVERITIES,
        "category": fields["category"] in CATEGORIES,
        "reportId": bool(re.fullmatch("[0-9]{1,19}", fields["reportId"]))
        and int(fields["reportId"]) < 1 << 63,
        "eventTime": _is_time(fields["eventTime"]),
    }
    for name, good in forms.items():
        if not good:
            raise Refused(400, "InvalidInput", f"Invalid input {name}: {fields[name]!r}.")


def _is_time(value: str) -> bool:
    """Tell whether `value` is UTC as advanced hunting writes it: `2018-08-03T16:45:21.7115183Z`."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?Z", value):
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True


def new_alert(alert_id: str, incident: int, ticks: int, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a new alert with every field of the documented resource."""
    now = iso(ticks)
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


def now() -> int:
    """Return the time in units of 100 ns since 1970, the precision of Defender's times."""
    return time.time_ns() // 100


def iso(ticks: int) -> str:
    """Return `2018-08-03T16:45:21.7115183Z` for units of 100 ns since 1970."""
    seconds, fraction = divmod(ticks, 10**7)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:07}Z"


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `body`, or None: strict UTF-8, no key twice, no NaN, no lone surrogates."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError("a key twice")
        return found

    def never(constant: str) -> Any:
        raise ValueError(constant)

    try:
        value = json.loads(body.decode(), object_pairs_hook=once, parse_constant=never)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
