"""What is wrong with a token is said in one sentence, and what is right is not called wrong."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.clients import create_alert, graph
from shared.clients.call import Response
from shared.identity import Claims
from shared.ledger import keys
from shared.operations import permission
from shared.sending import pause

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
IDENTITY = "a7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33"
CLAIMS = Claims(
    audience="https://api.securitycenter.windows.com",
    roles=(permission.ROLE,),
    application=IDENTITY,
    tenant="5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11",
    expires=NOW + timedelta(hours=20),
)
SETTINGS: dict[str, Any] = {
    "api_url": "https://api.securitycenter.windows.com",
    "scope": "https://api.securitycenter.windows.com/.default",
    "client_id": IDENTITY,
    "tenant_id": None,
}


def wrong(claims: Claims | None = CLAIMS, **changed: Any) -> str | None:
    """Return the sentence for these claims and settings."""
    return permission.wrong(claims, **{**SETTINGS, **changed}, now=NOW)


@pytest.mark.parametrize(
    ("claims", "changed"),
    [
        (CLAIMS, {}),
        (CLAIMS, {"client_id": None}),
        (CLAIMS, {"tenant_id": CLAIMS.tenant}),
        (CLAIMS, {"client_id": IDENTITY.upper()}),
        (CLAIMS, {"api_url": "https://eu.api.security.microsoft.com"}),
        (CLAIMS, {"api_url": "http://127.0.0.1:8080"}),
        (replace(CLAIMS, audience="https://api.securitycenter.microsoft.com/"), {}),
        (replace(CLAIMS, audience=permission.APPLICATION), {}),
        (replace(CLAIMS, roles=("Machine.Read.All", permission.ROLE)), {}),
        (
            replace(CLAIMS, audience="https://api-gov.securitycenter.microsoft.us"),
            {
                "api_url": "https://api-gov.securitycenter.microsoft.us",
                "scope": "https://api-gov.securitycenter.microsoft.us/.default",
            },
        ),
        (None, {}),
    ],
)
def test_what_defender_accepts_is_not_called_wrong(claims: Claims | None, changed: dict[str, Any]) -> None:
    """Any of Defender's names as audience, nearer hosts, more roles, and before any token: nothing to say."""
    assert wrong(claims, **changed) is None


@pytest.mark.parametrize(
    ("claims", "changed", "expected"),
    [
        (
            replace(CLAIMS, audience="https://graph.microsoft.com", roles=()),
            {"scope": "https://graph.microsoft.com/.default"},
            ["https://graph.microsoft.com", "DEFENDER_TOKEN_SCOPE"],
        ),
        (
            replace(CLAIMS, audience="https://api.securitycenter.windows.com.example.org"),
            {},
            ["example.org", "DEFENDER_TOKEN_SCOPE"],
        ),
        (replace(CLAIMS, roles=()), {}, [permission.ROLE, "none", IDENTITY, "grant", "2026-03-05T01:06:07Z"]),
        (CLAIMS, {"tenant_id": "11111111-aaaa"}, ["11111111-aaaa", str(CLAIMS.tenant), "DEFENDER_TENANT_ID"]),
        (replace(CLAIMS, roles=("Alert.Read.All",)), {}, [permission.ROLE, "Alert.Read.All"]),
        (replace(CLAIMS, roles=(), application=None), {}, ["<client id of the app's identity>"]),
        (replace(CLAIMS, expires=NOW), {}, ["expired", "2026-03-04T05:06:07Z", "refresh=true"]),
        (
            replace(CLAIMS, application="6d1f5f0a-3f0e-4a39-9b0c-1f2e3d4c5b6a", roles=()),
            {},
            ["6d1f5f0a", IDENTITY, "AZURE_CLIENT_ID"],
        ),
        (Claims(None, (), None, None, NOW + timedelta(hours=1)), {}, ["cannot be read"]),
        (
            None,
            {"api_url": "https://api-gcc.securitycenter.microsoft.us"},
            ["DEFENDER_API_URL", "US Government", "DEFENDER_TOKEN_SCOPE", "public"],
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    claims: Claims | None, changed: dict[str, Any], expected: list[str]
) -> None:
    """One sentence, about the cause where one thing causes another."""
    sentence = wrong(claims, **changed)
    assert sentence is not None
    assert all(part in sentence for part in expected), sentence


def test_the_command_that_is_named_is_there() -> None:
    """Whoever reads the sentence can paste it at the root of the repository."""
    script, _, identity = permission.GRANT.partition(" ")
    assert (Path(__file__).parents[2] / script).is_file()
    assert identity == "{application}"


@pytest.mark.parametrize("stage", [keys.SEARCH, keys.ENTITY])
@pytest.mark.parametrize("status", [401, 403, 429])
def test_graph_that_denies_what_the_token_permits_is_said_to(stage: keys.Stage, status: int) -> None:
    """The words of Graph's own clients, cut as the reason of a pause is, tell a denial from other trouble."""
    raw = json.dumps({"error": {"code": "Trouble", "message": "Not now. " * 50}}).encode()
    response = Response(status, {}, raw, None, sent=True, seconds=0.5)
    if stage == keys.SEARCH:
        message = graph.read(response, ()).message
    else:
        message = str((create_alert.read(response).error or {})["message"])
    roles = (graph.ROLE, create_alert.ROLE)
    sentence = permission.said(replace(CLAIMS, roles=roles), None, stage, pause.printable(message))
    assert ("Graph denies the calls, although the token has the role" in sentence) is (status != 429)
    assert "lacks" not in sentence
    assert ("calls are permitted" in sentence) is (status == 429)
