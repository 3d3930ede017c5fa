"""The managed identity: the credential the platform offers, and the tokens that open Defender and the table.

No caller waits longer than its time-out. One thread requests a token, and all callers wait for it, each until its
time-out has passed since the request: an endpoint that hangs delays only the first callers. A token near its end is
renewed while it is still used:

    token() ─┬─ 5 minutes or more are left ──────────────── the one that is held
             ├─ a minute or more is left ── ask ─────────── the one that is held
             └─ else ────────────────────── ask ── wait ─── the new one, or TokenError

No token is asked for before the first alert needs one: the platform keeps a managed identity's token for up
to 24 hours and cannot be made to renew it, so one fetched before the role was granted would be useless for
a day.

What Azure's SDK does by itself (azure-identity 1.27 and azure-core 1.41, from their source): 3 retries, 0,
1.6 and 3.2 s apart or as far as a `Retry-After` says, with time-outs of 300 s for connecting and for every
read. Here: no retry, and 2 s to connect. MSAL beneath it remembers a 429 or 5xx for 5 s, and keeps a token until
5 minutes before its end.

Their logs must not contain secrets. azure-core redacts query values and headers, and leaves bodies out. But
azure-identity logs a failure as a warning, with up to 2,048 characters of an answer it could not decode, which
may hold a token; so does MSAL at DEBUG. `credential` therefore lets only errors of the one and INFO of the
other through; TokenError says what went wrong, without the answer.
"""

import base64
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared import errors

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

THREAD_NAME = "token"
_CONNECT_SECONDS = 2
_PATIENCE_SECONDS = 30  # for a request without waiting callers: a slow endpoint's token serves the next alert
_WAIT_SECONDS = 5
_RENEW_SECONDS = 300  # before that, MSAL gives out the same token again
_USABLE_SECONDS = 60  # a call ends before its token does
_REASON_CHARACTERS = 300
_PLATFORM = ("IDENTITY_ENDPOINT", "MSI_ENDPOINT")  # App Service and Functions, and others of Azure
_TOKEN_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F)))
_SECRET = re.compile(r"[\w.~+/=-]{40,}")  # a token or a part of one; a GUID has 36 characters


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token, never the token itself. A missing claim is None or empty."""

    audience: str | None
    roles: tuple[str, ...]
    application: str | None
    tenant: str | None
    expires: datetime


class TokenSource:
    """A source of tokens for `scope`: the same one until shortly before its end. Thread-safe.

    `client_id` names a user-assigned identity. The credential is made for it at the first need, as `environ` allows,
    if none is given. The two settings are those that an error tells the reader to look at. `now`: seconds since 1970.
    """

    def __init__(
        self,
        scope: str,
        *,
        environ: Mapping[str, str],
        client_id: str | None = None,
        scope_setting: str = "DEFENDER_TOKEN_SCOPE",
        client_setting: str = "AZURE_CLIENT_ID",
        credential: "TokenCredential | None" = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._scope = scope
        self._environ = environ
        self._client_id = client_id
        self._scope_setting = scope_setting
        self._client_setting = client_setting
        self._credential = credential
        self._now = now
        self._lock = threading.Lock()
        self._held: AccessToken | None = None
        self._claims: Claims | None = None
        self._asked: Future[AccessToken] | None = None
        self._asked_at = 0.0

    def token(self, *, timeout: float = _WAIT_SECONDS) -> str:
        """Return a token good for a minute at least. Raise TokenError if none comes in `timeout` seconds."""
        return self.access_token(timeout=timeout).token

    def access_token(self, *, timeout: float = _WAIT_SECONDS) -> "AccessToken":
        """Return a token good for a minute at least, and its end. Raise TokenError as `token` does."""
        with self._lock:
            held = self._held
            left = held.expires_on - self._now() if held else 0.0
            if held and left >= _RENEW_SECONDS:
                return held
            asked = self._ask()
            if held and left >= _USABLE_SECONDS:
                return held
            waited = time.monotonic() - self._asked_at
        try:
            return asked.result(max(0.0, timeout - waited))
        except errors.TokenError as error:
            raise errors.TokenError(error.detail) from None  # an error of its own for each caller
        except TimeoutError:
            raise errors.TokenError(
                f"The identity gave no token for {self._scope} in {timeout:g} s. "
                "If this goes on, restart the app and check that its identity still exists.",
                late=True,
            ) from None

    def last(self) -> Claims | None:
        """Return the claims of the last token, or None if there was none yet. Make no request."""
        with self._lock:
            return self._claims

    def close(self) -> None:
        """Close the credential's connections."""
        if close := getattr(self._credential, "close", None):
            close()

    def _ask(self) -> "Future[AccessToken]":
        """Return the request under way, or start one. A request that has hung for long is abandoned."""
        now = time.monotonic()
        if self._asked is None or self._asked.done() or now - self._asked_at > _PATIENCE_SECONDS:
            self._asked, self._asked_at = Future(), now
            worker = threading.Thread(target=self._work, args=(self._asked,), name=THREAD_NAME, daemon=True)
            try:
                worker.start()
            except RuntimeError as error:  # out of threads, or the process is ending
                self._asked.set_exception(errors.TokenError(self._explain(error)))
        return self._asked

    def _work(self, asked: "Future[AccessToken]") -> None:
        try:
            if self._credential is None:
                self._credential = credential(self._environ, self._client_id)
            held = self._credential.get_token(self._scope)
            if not held.token or set(held.token) - _TOKEN_CHARACTERS:
                raise ValueError  # no HTTP header can carry it  # noqa: TRY301  reported like all the others
            claims = _claims(held)
        except Exception as error:  # noqa: BLE001  the SDK promises no set of errors
            asked.set_exception(errors.TokenError(self._explain(error)))
            return
        with self._lock:
            self._held, self._claims = held, claims
        asked.set_result(held)

    def _explain(self, error: Exception) -> str:
        reason = " ".join(str(getattr(error, "message", "") or type(error).__name__).split())
        reason = _SECRET.sub("…", reason)[:_REASON_CHARACTERS]
        setting = self._client_setting
        if not _is_on_platform(self._environ):
            to_do = "Enable the app's managed identity; on a developer's machine, sign in with `az login`."
        elif self._client_id:
            to_do = f"Assign the identity whose client id is {self._client_id} ({setting}) to the app."
        else:
            to_do = f"Enable the app's system-assigned identity, or name a user-assigned one by {setting}."
        scope = f"{self._scope} ({self._scope_setting})" if self._scope_setting else self._scope
        return f"The identity gave no token for {scope}. {to_do} It said: {reason}"


class SharedCredential:
    """A credential for Azure's SDK: threads that need a token at the same time share one request.

    `client_id` names a user-assigned identity, and `client_setting` the setting where it stands. Thread-safe.
    """

    def __init__(self, environ: Mapping[str, str], client_id: str | None, client_setting: str) -> None:
        self._environ = environ
        self._client_id = client_id
        self._client_setting = client_setting
        self._sources: dict[str, TokenSource] = {}
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, **_: object) -> "AccessToken":
        """Return a token for a scope. Raise TokenError if none comes within 5 s of the request."""
        (scope,) = scopes
        with self._lock:
            if scope not in self._sources:
                self._sources[scope] = TokenSource(
                    scope,
                    environ=self._environ,
                    client_id=self._client_id,
                    scope_setting="",
                    client_setting=self._client_setting,
                )
            source = self._sources[scope]
        return source.access_token()


def credential(
    environ: Mapping[str, str], client_id: str | None, *, silence: float = _PATIENCE_SECONDS
) -> "ManagedIdentityCredential | DefaultAzureCredential":
    """Return the managed identity where the platform offers one (by `environ`), else a developer's sign-in.

    `client_id` names a user-assigned identity. The endpoint may be silent for `silence` seconds. Nothing is
    asked for yet. The SDK reads the endpoint's address from the process's own environment.
    """
    from azure.identity import (  # noqa: PLC0415  slow to import, so at the first need
        DefaultAzureCredential,
        ManagedIdentityCredential,
    )

    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    logging.getLogger("msal").setLevel(logging.INFO)
    limits: dict[str, Any] = {
        "retry_total": 0,
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": silence,
    }
    if _is_on_platform(environ):
        # The endpoint is on this machine: a proxy meant for others must not see the request.
        return ManagedIdentityCredential(client_id=client_id or None, use_env_settings=False, **limits)
    if client_id:
        limits["managed_identity_client_id"] = client_id
    return DefaultAzureCredential(**limits)


def _is_on_platform(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in _PLATFORM)


def _claims(held: "AccessToken") -> Claims:
    """Decode the token's middle part (RFC 7519). The signature is not checked; Defender does that."""
    try:
        middle = held.token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError, RecursionError):
        claims = None
    claims = claims if isinstance(claims, dict) else {}
    roles = claims.get("roles")
    return Claims(
        audience=_text(claims.get("aud")),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        application=_text(claims.get("appid") or claims.get("azp")),
        tenant=_text(claims.get("tid")),
        expires=datetime.fromtimestamp(held.expires_on, UTC),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
