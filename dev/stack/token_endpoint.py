"""The managed identity of App Service and Functions on a developer's machine.

It serves the requests of `ManagedIdentityCredential` if `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set
(https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference):

    GET …/msi/token?api-version=2019-08-01&resource=https://…[&client_id=…]     X-IDENTITY-HEADER: …
    200 {"access_token": "…", "client_id": "…", "expires_on": "1597772135", "resource": "…", "token_type": …}

Its tokens have the form of Entra's (a JWT), signed with a key that anyone may see.
"""

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

PATH = "/msi/token"
API_VERSION = "2019-08-01"
AUDIENCE = "https://api.securitycenter.windows.com"
ROLE = "Alert.ReadWrite.All"
GRAPH_AUDIENCE = "https://graph.microsoft.com"
GRAPH_ROLE = "ThreatHunting.Read.All"
CREATE_ROLE = "SecurityAlert.Create.All"
TENANT = "5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11"
OTHER_TENANT = "0b8c9d1e-93f4-4b52-8f0e-2b6f4a1d7c22"
SYSTEM_ASSIGNED = "system-assigned"
SYSTEM_ASSIGNED_CLIENT_ID = "6d1f5f0a-3f0e-4a39-9b0c-1f2e3d4c5b6a"
USER_ASSIGNED_CLIENT_ID = "a7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33"
IDENTITY_HEADER = "simulated-identity-header"

# The same in every simulator: a token the hosts still hold must survive a restart of the simulator.
_KEY = "the simulator's own key, worth nothing"


class TokenError(Exception):
    """A token that was not given here. The text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The claims of a token. `lifetime` in seconds from now; zero or less makes an expired token."""

    audience: str
    roles: tuple[str, ...] = (ROLE,)
    tenant: str = TENANT
    lifetime: int = 86_400


def answer(
    query: Mapping[str, str],
    identity_header: str | None,
    identities: Collection[str],
    alter: Callable[[Grant], Grant] = lambda granted: granted,
) -> tuple[int, dict[str, Any]]:
    """Return HTTP status and JSON body for a request.

    `identities` are the client ids of user-assigned identities; the system-assigned identity is always there.
    `alter` changes the grant before it is sealed.
    """
    if identity_header != IDENTITY_HEADER:
        return failure(401, "The X-IDENTITY-HEADER is missing or wrong.")
    if query.get("api-version") != API_VERSION:
        return failure(400, f"The api-version must be {API_VERSION}.")
    if not (resource := query.get("resource", "")).startswith("https://"):
        # What an unknown resource really ends in: a 500 that says nothing.
        return failure(500, "An unexpected error occured while fetching the AAD Token.")
    client_id = query.get("client_id")
    if client_id is not None and client_id not in identities:
        missing = "No User Assigned or Delegated Managed Identity found for specified "
        return failure(400, f"{missing}ClientId/ResourceId/PrincipalId.")
    client_id = client_id or SYSTEM_ASSIGNED_CLIENT_ID
    token, expires_on = seal(client_id, alter(grant(resource)), time.time())
    return 200, {
        "access_token": token,
        "client_id": client_id,
        "expires_on": str(expires_on),
        "resource": resource,
        "token_type": "Bearer",
    }


def seal(client_id: str, granted: Grant, now: float, *, key: str = _KEY) -> tuple[str, int]:
    """Return a token given at `now` and its expiry (seconds since 1970). Another `key` makes it foreign."""
    expires_on = int(now) + granted.lifetime
    claims = {
        "aud": granted.audience,
        "iss": f"https://sts.windows.net/{granted.tenant}/",
        "iat": min(int(now), expires_on),
        "nbf": min(int(now), expires_on),
        "exp": expires_on,
        "appid": client_id,
        "appidacr": "2",
        "idtyp": "app",
        "oid": str(uuid.uuid5(uuid.NAMESPACE_URL, client_id)),
        "roles": list(granted.roles),
        "tid": granted.tenant,
        "uti": uuid.uuid4().hex,
        "ver": "1.0",
    }
    return jwt.encode(claims, key, "HS256"), expires_on


def grant(resource: str) -> Grant:
    """Return what Entra would put into a token for `resource`: to each audience its own roles."""
    roles = {AUDIENCE: (ROLE,), GRAPH_AUDIENCE: (GRAPH_ROLE, CREATE_ROLE)}
    return Grant(resource, roles.get(resource, ()))


def failure(status: int, message: str) -> tuple[int, dict[str, Any]]:
    """Return an answer in the shape in which the token endpoint of App Service fails."""
    return status, {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}


def claims(authorization: str | None) -> dict[str, Any]:
    """Return the claims of the token in an `Authorization` header, expired or not. Raise `TokenError`."""
    if not authorization:
        raise TokenError("there is none")
    scheme, _, token = authorization.partition(" ")
    try:
        payload = jwt.PyJWS().decode(token, _KEY, ["HS256"]) if scheme == "Bearer" else b""
        content: dict[str, Any] = json.loads(payload)
    except jwt.InvalidSignatureError:
        raise TokenError("the signature is foreign") from None
    except (jwt.InvalidTokenError, ValueError):
        raise TokenError("it is not a bearer token") from None
    return content
