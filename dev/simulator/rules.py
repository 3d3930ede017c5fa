"""What Defender accepts, exactly as documented: stricter than the real service."""

import json
import re
from collections.abc import Mapping
from typing import Any

from dev.simulator import moments
from dev.stack import token_endpoint
from dev.stack.token_endpoint import TokenError

FIELDS = (
    "machineId", "severity", "title", "description", "recommendedAction", "eventTime", "reportId", "category",
)  # fmt: skip
SEVERITIES = ("Low", "Medium", "High")
CATEGORIES = (
    "General", "CommandAndControl", "Collection", "CredentialAccess", "DefenseEvasion", "Discovery",
    "Exfiltration", "Exploit", "Execution", "InitialAccess", "LateralMovement", "Malware", "Persistence",
    "PrivilegeEscalation", "Ransomware", "SuspiciousActivity",
)  # fmt: skip


class Rejected(Exception):
    """A call that Defender rejects: HTTP status, Defender's error code and message.

    `retry_after`, in whole seconds, is sent along with a 429.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def admit(authorization: str | None, now: float, audience: str, role: str) -> dict[str, Any]:
    """Return the claims of a token that opens an API at `now` (seconds since 1970). Raise `Rejected` else."""
    try:
        claims = token_endpoint.claims(authorization)
    except TokenError as error:
        raise _unauthorized(str(error)) from None
    if claims["aud"] != audience:
        raise _unauthorized(f"the audience is {claims['aud']!r}, not {audience!r}")
    if claims["tid"] != token_endpoint.TENANT:
        raise _unauthorized("the account is not provisioned")
    if now >= claims["exp"]:
        raise _unauthorized("the token has expired")
    if role not in claims["roles"]:
        held = ",".join(claims["roles"])
        message = f"Missing application roles. API required roles: {role}, application roles: {held}."
        raise Rejected(403, "Forbidden", message)
    return claims


def _unauthorized(reason: str) -> Rejected:
    return Rejected(401, "Unauthorized", f"Unauthorized (invalid or expired authorization header): {reason}.")


def check_form(method: str, content_type: str | None) -> None:
    """Raise `Rejected` unless a call is a POST of JSON."""
    if method != "POST":
        message = f"The requested resource does not support http method '{method}'."
        raise Rejected(405, "MethodNotAllowed", message)
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise Rejected(415, "UnsupportedMediaType", f"The media type {content_type!r} is not supported.")


def check(fields: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return the fields of a call. Raise `Rejected` unless they are exactly as Defender documents them."""
    if fields is None:
        raise Rejected(400, "InvalidRequestBody", "Invalid request body.")
    for name in FIELDS:
        if fields.get(name) is None or fields[name] == "" or str(fields[name]).isspace():
            raise Rejected(400, "BadRequest", f"{name} argument is missing")
    for name, value in fields.items():
        if name not in FIELDS or not isinstance(value, str):
            message = f"Invalid request body: {name!r} is unknown or no string."
            raise Rejected(400, "InvalidRequestBody", message)
    forms = {
        "machineId": re.fullmatch("[0-9a-f]{40}", fields["machineId"]),
        "severity": fields["severity"] in SEVERITIES,
        "category": fields["category"] in CATEGORIES,
        "reportId": re.fullmatch("[0-9]{1,19}", fields["reportId"]) and int(fields["reportId"]) < 1 << 63,
        "eventTime": moments.ticks(fields["eventTime"]) is not None,
    }
    for name, good in forms.items():
        if not good:
            raise Rejected(400, "InvalidInput", f"Invalid input {name}: {fields[name]!r}.")
    return fields


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `body`, or None: strict UTF-8, no key twice, no NaN, no lone surrogates."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(members := dict(pairs)) < len(pairs):
            raise ValueError("a key twice")
        return members

    def never(constant: str) -> Any:
        raise ValueError(constant)

    try:
        value = json.loads(body.decode(), object_pairs_hook=once, parse_constant=never)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
