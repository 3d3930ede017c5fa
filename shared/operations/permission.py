"""Explains in one sentence why Defender, or Graph, does not accept the token.

Defender answers 401 or 403 without the reason; token and settings show it.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from shared.alerts.event_time import utc
from shared.clients import create_alert
from shared.clients import graph as hunting
from shared.identity import Claims
from shared.ledger import keys
from shared.ledger.keys import Stage

ROLE = "Alert.ReadWrite.All"
APPLICATION = "fc780465-2017-40d4-a0c5-307022471b92"
"""WindowsDefenderATP, the application whose API this is; a token's audience may be its id as well."""
GRANT = "infra/grant-defender-role.sh {application}"
SCOPE = "https://api.securitycenter.windows.com/.default"

_OF_GRAPH = {
    keys.SEARCH.name: (hunting.ROLE, hunting.GRANT),
    keys.ENTITY.name: (create_alert.ROLE, create_alert.GRANT),
}
_DENIED = re.compile(r"^40[13] |HTTP 40[13]: ")
"""How the reason of a pause names an answer without access, of Defender or of Graph."""
_QUOTED = "Graph's words: "
_CLOUDS = {
    ".microsoft.us": "the US Government cloud",
    ".microsoft.com": "the public cloud",
    ".windows.com": "the public cloud",
}
_AUDIENCES = (
    ".securitycenter.windows.com",
    ".securitycenter.microsoft.com",
    ".security.microsoft.com",
    ".securitycenter.microsoft.us",
    ".security.microsoft.us",
)


def wrong(
    claims: Claims | None,
    *,
    api_url: str,
    scope: str,
    client_id: str | None,
    tenant_id: str | None,
    now: datetime,
) -> str | None:
    """Return why Defender does not accept this token, and what to do about it; None if no reason is known.

    `api_url`, `scope`, `client_id` and `tenant_id` are the settings DEFENDER_API_URL, DEFENDER_TOKEN_SCOPE,
    AZURE_CLIENT_ID and DEFENDER_TENANT_ID.
    Without claims, because no token was requested yet, only the settings are checked.
    """
    theirs, ours = _cloud(api_url), _cloud(scope)
    if theirs and ours and theirs != ours:
        return (
            f"DEFENDER_API_URL belongs to {theirs}, DEFENDER_TOKEN_SCOPE to {ours}:"
            " set both for the cloud the devices are in."
        )
    return None if claims is None else next(_wrong(claims, client_id, tenant_id, now), None)


def _wrong(claims: Claims, client_id: str | None, tenant_id: str | None, now: datetime) -> Iterator[str]:
    """Yield what is wrong with a token, the likeliest cause first."""
    application, until = claims.application, utc(claims.expires.timestamp())
    if claims.audience is None:
        yield "The token cannot be read, so its audience and its roles are unknown."
    elif not _is_defenders(claims.audience):
        yield (
            f"The token's audience is {claims.audience}, which is not Defender:"
            f" set DEFENDER_TOKEN_SCOPE to {SCOPE} (public cloud), or to your cloud's."
        )
    if client_id and application and application.lower() != client_id.lower():
        yield (
            f"The token belongs to the application {application}, but AZURE_CLIENT_ID names {client_id}:"
            " assign that identity to the app, or correct the setting, and restart the app."
        )
    if tenant_id and claims.tenant and claims.tenant.lower() != tenant_id.lower():
        yield (
            f"The token belongs to the tenant {claims.tenant}, but DEFENDER_TENANT_ID is {tenant_id}: a managed"
            " identity reaches only the Defender of its own tenant, so deploy the app into a subscription of that one."
        )
    if claims.expires <= now:
        yield f"The token expired at {until}: the next alert asks for a new one, and so does ?refresh=true."
    if ROLE not in claims.roles:
        yield _lacks(claims, ROLE, GRANT)


def graph(claims: Claims | None, stage: Stage) -> str | None:
    """Return why Graph does not let a stage call it with this token, and what to do; None if no reason is known."""
    role, grant = _OF_GRAPH[stage.name]
    if claims is None or role in claims.roles:
        return None
    return _lacks(claims, f"{role} of Microsoft Graph", grant.replace("IDENTITY", "{application}"))


def said(claims: Claims | None, problem: str | None, stage: Stage, held: str | None) -> str:
    """Return in one sentence whether the token permits the calls of a stage: its `problem`, or that there is none.

    `held` is the reason of the API's pause, if there is one: an API may deny what the token says.
    """
    if problem or claims is None:
        return problem or "No token was asked for yet: ?refresh=true asks for one."
    role, _ = _OF_GRAPH.get(stage.name, (ROLE, GRANT))
    if held and _DENIED.search(held):
        api = "Defender" if stage == keys.REFERENCE else "Graph"
        words = held.rpartition(_QUOTED)[2]
        return f"{api} denies the calls, although the token has the role {role}. It answered: {words}"
    until = utc(claims.expires.timestamp())
    return f"The token has the role {role}, so calls are permitted; it is valid until {until}."


def _lacks(claims: Claims, role: str, grant: str) -> str:
    command = grant.format(application=claims.application or "<client id of the app's identity>")
    return (
        f"The token lacks the role {role} (it has {', '.join(claims.roles) or 'none'}): run {command}."
        f" If it was granted since, the platform may give out this token until {utc(claims.expires.timestamp())}."
    )


def _cloud(url: str) -> str | None:
    host = urlsplit(url).hostname or ""
    return next((cloud for end, cloud in _CLOUDS.items() if host.endswith(end)), None)


def _is_defenders(audience: str) -> bool:
    host = urlsplit(audience).hostname or ""
    return audience.lower() == APPLICATION or f".{host}".endswith(_AUDIENCES)
