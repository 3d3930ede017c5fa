"""The managed identity of App Service and Functions, as a developer's machine can have it.

Serves what `ManagedIdentityCredential` asks for when `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set
(https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference):

    GET …/msi/token?api-version=2019-08-01&resource=https://…[&client_id=…]     X-IDENTITY-HEADER: …
    200 {"access_token": "…", "client_id": "…", "expires_on": "1597772135", "resource": "…", "token_type": …}

and verifies the tokens it gave. They have the form of Entra's (a JWT), signed with a key anyone may see.
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PATH = "/msi/token"
API_VERSION = "2019-08-01"
AUDIENCE = "https://api.securitycenter.windows.com"
ROLE = "Alert.ReadWrite.All"
TENANT = "5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11"
OTHER_TENANT = "0b8c9d1e-93f4-4b52-8f0e-2b6f4a1d7c22"
SYSTEM_ASSIGNED = "system-assigned"
SYSTEM_ASSIGNED_CLIENT_ID = "6d1f5f0a-3f0e-4a39-9b0c-1f2e3d4c5b6a"
USER_ASSIGNED_CLIENT_ID = "a7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33"

# The same in every simulator: a token the hosts still hold must survive a restart of the simulator.
_KEY = b"the simulator's own key, worth nothing"


class Refused(Exception):
    """Defender takes no alert from this call: HTTP status, Defender's error code and message.

    `retry_after`, in whole seconds, is sent along with a 429.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says. `lifetime` in seconds from now; zero or less is a token already expired."""

    audience: str
    roles: tuple[str, ...] = (ROLE,)
    tenant: str = TENANT
    lifetime: int = 86_400


class TokenEndpoint:
    """Gives tokens to the identities it knows, and verifies those that come back. `count` needs a lock.

    `audience` is the resource whose tokens carry `ROLE`, and the only audience `verify` takes. `identities`
    are the client ids of user-assigned identities. `lifetime` is in seconds, `clock` gives those since 1970.
    """

    def __init__(
        self,
        *,
        audience: str = AUDIENCE,
        identity_header: str = "simulated-identity-header",
        identities: Sequence[str] = (USER_ASSIGNED_CLIENT_ID,),
        system_assigned: bool = True,
        lifetime: int = 86_400,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.audience = audience
        self.identity_header = identity_header
        self.identities = tuple(identities)
        self.system_assigned = system_assigned
        self.lifetime = lifetime
        self.requests: dict[str, int] = {}
        self._clock = clock

    def grant(self, resource: str) -> Grant:
        """Return what Entra would put into a token for `resource`: the role only for Defender's audience."""
        roles = (ROLE,) if resource == self.audience else ()
        return Grant(resource, roles, TENANT, self.lifetime)

    def count(self, query: Mapping[str, str]) -> None:
        """Count a request by the client id it asks for, whether or not it is answered."""
        client = query.get("client_id") or SYSTEM_ASSIGNED
        self.requests[client] = self.requests.get(client, 0) + 1

    def answer(
        self,
        query: Mapping[str, str],
        identity_header: str | None,
        alter: Callable[[Grant], Grant] = lambda grant: grant,
    ) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and JSON body for a request. `alter` changes the grant before it is sealed."""
        if identity_header != self.identity_header:
            return failure(401, "The X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != API_VERSION:
            return failure(400, f"The api-version must be {API_VERSION}.")
        if not (resource := query.get("resource", "")).startswith("https://"):
            # What an unknown resource really ends in: a 500 that says nothing.
            return failure(500, "An unexpected error occured while fetching the AAD Token.")
        client_id = query.get("client_id")
        if client_id is None and not self.system_assigned:
            return failure(400, "Unable to load the proper Managed Identity.")
        if client_id is not None and client_id not in self.identities:
            return failure(
                400,
                "No User Assigned or Delegated Managed Identity found for specified "
                "ClientId/ResourceId/PrincipalId.",
            )
        client_id = client_id or SYSTEM_ASSIGNED_CLIENT_ID
        token, expires_on = self.seal(client_id, alter(self.grant(resource)))
        return 200, {
            "access_token": token,
            "client_id": client_id,
            "expires_on": str(expires_on),
            "resource": resource,
            "token_type": "Bearer",
        }

    def seal(self, client_id: str, grant: Grant, *, key: bytes = _KEY) -> tuple[str, int]:
        """Return a token for `grant` and its expiry (seconds since 1970). Another `key` makes it foreign."""
        now = int(self._clock())
        expires_on = now + grant.lifetime
        claims = {
            "aud": grant.audience,
            "iss": f"https://sts.windows.net/{grant.tenant}/",
            "iat": min(now, expires_on),
            "nbf": min(now, expires_on),
            "exp": expires_on,
            "appid": client_id,
            "appidacr": "2",
            "idtyp": "app",
            "oid": str(uuid.uuid5(uuid.NAMESPACE_URL, client_id)),
            "roles": list(grant.roles),
            "tid": grant.tenant,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        body = f"{_encode({'typ': 'JWT', 'alg': 'HS256'})}.{_encode(claims)}"
        return f"{body}.{_base64(_sign(body, key))}", expires_on

    def verify(self, authorization: str | None) -> dict[str, Any]:
        """Return the claims of an `Authorization` header that may create alerts. Raise `Refused` else."""
        claims = _open(authorization)
        if claims.get("aud") != self.audience:
            raise _unauthorized(f"the audience is {claims.get('aud')!r}, not {self.audience!r}")
        if claims.get("tid") != TENANT:
            raise _unauthorized("the account is not provisioned")
        if not claims.get("exp", 0) > self._clock():
            raise _unauthorized("the token has expired")
        if ROLE not in (roles := claims.get("roles", ())):
            held = ",".join(roles)
            message = f"Missing application roles. API required roles: {ROLE}, application roles: {held}."
            raise Refused(403, "Forbidden", message)
        return claims


def failure(status: int, message: str) -> tuple[int, dict[str, Any]]:
    """Return an answer in the shape in which the token endpoint of App Service fails."""
    return status, {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}


def _unauthorized(reason: str) -> Refused:
    return Refused(401, "Unauthorized", f"Unauthorized (invalid or expired authorization header): {reason}.")


def _open(authorization: str | None) -> dict[str, Any]:
    """Return the claims of a token of ours; raise `Refused` for any other."""
    if not authorization:
        raise _unauthorized("there is none")
    scheme, _, token = authorization.partition(" ")
    body, _, signature = token.rpartition(".")
    if scheme != "Bearer" or body.count(".") != 1:
        raise _unauthorized("it is not a bearer token")
    if not hmac.compare_digest(_base64(_sign(body, _KEY)).encode(), signature.encode()):
        raise _unauthorized("the signature is foreign")
    payload = body.partition(".")[2]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _sign(body: str, key: bytes) -> bytes:
    return hmac.digest(key, body.encode(), hashlib.sha256)


def _encode(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
