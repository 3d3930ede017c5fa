"""The token: asked for when needed, by one for all, kept, renewed, and never shown."""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from shared import errors, identity

LIMIT = 20.0  # seconds until a wait counts as a failure
NOW = 1_533_314_721
SCOPE = "https://api.securitycenter.windows.com/.default"
ON_AZURE = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token", "IDENTITY_HEADER": "hush"}
CLAIMS = {
    "aud": "https://api.example",
    "roles": ["Alert.ReadWrite.All"],
    "appid": "a-1",
    "tid": "t-1",
    "exp": 7,
}


def jwt(claims: object = CLAIMS) -> str:
    """Return a token that says `claims`, as an object or as raw text."""
    raw = claims if isinstance(claims, str) else json.dumps(claims)
    return f"eyJ0eXAi.{base64.urlsafe_b64encode(raw.encode()).decode().rstrip('=')}.c2lnbmF0dXJl"


class Credential:
    """Gives one prepared token, or error, after the other; the last one for ever. Notes what is asked for."""

    def __init__(self, *gifts: AccessToken | Exception) -> None:
        self._gifts = list(gifts)
        self.scopes: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Note the scope, wait for the gate, and give."""
        self.scopes.extend(scopes)
        gift = self._gifts.pop(0) if len(self._gifts) > 1 else self._gifts[0]
        assert self.gate.wait(LIMIT)
        if isinstance(gift, Exception):
            raise gift
        return gift

    def close(self) -> None:
        """Note it."""
        self.closed = True


@contextmanager
def source(
    credential: Credential,
    now: Callable[[], float] = lambda: NOW,
    *,
    environ: Mapping[str, str] | None = None,
) -> Iterator[identity.TokenSource]:
    """Yield a TokenSource, and wait for its threads in the end."""
    environ = environ or {}
    client_id = environ.get("AZURE_CLIENT_ID")
    yield identity.TokenSource(SCOPE, environ=environ, client_id=client_id, credential=credential, now=now)
    credential.gate.set()
    join_workers()


def join_workers() -> None:
    """Wait until nobody asks for a token any more."""
    for thread in threading.enumerate():
        if thread.name == identity.THREAD_NAME:
            thread.join(LIMIT)
            assert not thread.is_alive()


def test_nothing_is_asked_for_before_the_first_need() -> None:
    """Making a source asks for nothing; the first token asks once, for the scope of the settings."""
    credential = Credential(AccessToken(jwt(), NOW + 3600))
    with source(credential) as tokens:
        assert (tokens.last(), credential.scopes) == (None, [])
        assert tokens.token() == jwt()
    assert credential.scopes == [SCOPE]


def test_a_token_is_kept() -> None:
    """As long as five minutes are left, the same token is given out and nobody is asked."""
    credential = Credential(AccessToken("one", NOW + 300), AccessToken("two", NOW + 9999))
    with source(credential) as tokens:
        assert [tokens.token() for _ in range(5)] == ["one"] * 5
    assert len(credential.scopes) == 1


def test_a_token_near_its_end_is_renewed_beside_its_use() -> None:
    """With less than five minutes left the old one is given out at once, while the new one is asked for."""
    times = [NOW]
    credential = Credential(AccessToken("one", NOW + 400), AccessToken("two", NOW + 9999))
    with source(credential, lambda: times[0]) as tokens:
        assert tokens.token() == "one"
        times[0] += 200
        credential.gate.clear()
        assert [tokens.token() for _ in range(5)] == ["one"] * 5
        credential.gate.set()
        join_workers()
        assert tokens.token() == "two"
    assert len(credential.scopes) == 2


def test_a_renewal_that_fails_hurts_nobody_yet() -> None:
    """As long as the old one is good for a minute, a failing renewal is not noticed; then it is reported."""
    times = [NOW]
    credential = Credential(AccessToken("one", NOW + 400), ValueError())
    with source(credential, lambda: times[0]) as tokens:
        assert tokens.token() == "one"
        times[0] += 340
        for _ in range(3):
            assert tokens.token() == "one"
            join_workers()
        times[0] += 1
        with pytest.raises(errors.TokenError):
            tokens.token()
    assert len(credential.scopes) == 5


def test_an_expired_token_is_never_given_out() -> None:
    """After its end everybody waits for the new one."""
    times = [NOW]
    credential = Credential(AccessToken("one", NOW + 400), AccessToken("two", NOW + 9999))
    with source(credential, lambda: times[0]) as tokens:
        assert tokens.token() == "one"
        times[0] += 401
        assert tokens.token() == "two"


def test_many_threads_make_one_request() -> None:
    """20 threads that need a token at the same time get the same one, asked for once."""
    credential = Credential(AccessToken("one", NOW + 3600), AccessToken("two", NOW + 3600))
    credential.gate.clear()
    got: list[str] = []
    with source(credential) as tokens:
        threads = [
            threading.Thread(target=lambda: got.append(tokens.token(timeout=LIMIT))) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        credential.gate.set()
        for thread in threads:
            thread.join(LIMIT)
    assert got == ["one"] * 20
    assert len(credential.scopes) == 1


def test_a_slow_endpoint_holds_nobody_up() -> None:
    """Who waits is answered after its own time-out; the token that comes later serves the next."""
    credential = Credential(AccessToken("one", NOW + 3600))
    credential.gate.clear()
    with source(credential) as tokens:
        for _ in range(3):
            with pytest.raises(errors.TokenError, match=r"in 0\.05 s"):
                tokens.token(timeout=0.05)
        credential.gate.set()
        join_workers()
        assert tokens.token() == "one"
    assert len(credential.scopes) == 1


def test_an_endpoint_that_hangs_holds_up_only_those_who_come_first() -> None:
    """The time-out counts from the request: whoever comes when it has passed is answered at once."""
    credential = Credential(AccessToken("one", NOW + 3600))
    credential.gate.clear()
    waits: list[float | None] = []

    def result(timeout: float | None = None) -> AccessToken:
        waits.append(timeout)
        raise TimeoutError

    with source(credential) as tokens:
        for gone in (0.0, 3.0, 5.0, 20.0):
            tokens._asked_at = time.monotonic() - gone
            tokens._ask().result = result  # type: ignore[method-assign]
            with pytest.raises(errors.TokenError) as caught:
                tokens.token(timeout=5)
            assert caught.value.late
    assert [None if wait is None else round(wait) for wait in waits] == [5, 2, 0, 0]
    assert len(credential.scopes) == 1


def test_an_error_of_the_identity_is_not_late() -> None:
    """An endpoint that answers, if only with an error, may be asked again at once."""
    with source(Credential(ValueError())) as tokens, pytest.raises(errors.TokenError) as caught:
        tokens.token()
    assert not caught.value.late


def test_a_shared_credential_keeps_each_scopes_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's SDK is given the token with its end, asked for once for each scope, of the identity that is named."""
    made: list[tuple[object, Credential]] = []

    def make(_: object, client_id: str | None) -> Credential:
        made.append(
            (client_id, Credential(AccessToken(f"token {len(made)}".replace(" ", "-"), NOW + 10**10)))
        )
        return made[-1][1]

    monkeypatch.setattr(identity, "credential", make)
    shared = identity.SharedCredential(ON_AZURE, "c-7", "AlertStorage__clientId")
    for _ in range(3):
        assert shared.get_token("https://a/.default", tenant_id="t") == AccessToken("token-0", NOW + 10**10)
        assert shared.get_token("https://b/.default").token == "token-1"
    join_workers()
    assert [(client_id, credential.scopes) for client_id, credential in made] == [
        ("c-7", ["https://a/.default"]),
        ("c-7", ["https://b/.default"]),
    ]


def test_a_shared_credential_names_the_tables_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error names the setting that the table's identity comes from, and none of Defender's."""
    monkeypatch.setattr(identity, "credential", lambda *_: Credential(ValueError()))
    shared = identity.SharedCredential(ON_AZURE, None, "AlertStorage__clientId")
    with pytest.raises(errors.TokenError, match="AlertStorage__clientId") as caught:
        shared.get_token("https://storage.example/.default")
    assert "DEFENDER" not in caught.value.detail
    join_workers()


def test_a_request_that_hangs_for_ever_is_given_up() -> None:
    """After half a minute a new request is made beside the one that hangs."""
    credential = Credential(AccessToken("one", NOW + 3600), AccessToken("two", NOW + 3600))
    credential.gate.clear()
    with source(credential) as tokens:
        with pytest.raises(errors.TokenError):
            tokens.token(timeout=0.05)
        tokens._asked_at = time.monotonic() - 31
        with pytest.raises(errors.TokenError):
            tokens.token(timeout=0.05)
    assert len(credential.scopes) == 2


def test_after_a_failure_it_is_asked_again() -> None:
    """A failure is not kept: the next alert asks again."""
    credential = Credential(ValueError(), AccessToken("one", NOW + 3600))
    with source(credential) as tokens:
        with pytest.raises(errors.TokenError):
            tokens.token()
        assert tokens.token() == "one"


def test_each_caller_gets_an_error_of_its_own() -> None:
    """Errors are not shared between threads, whose tracebacks would grow into each other."""
    credential = Credential(ValueError())
    credential.gate.clear()
    caught: list[errors.TokenError] = []

    def need(tokens: identity.TokenSource) -> None:
        try:
            tokens.token(timeout=LIMIT)
        except errors.TokenError as error:
            caught.append(error)

    with source(credential) as tokens:
        threads = [threading.Thread(target=need, args=(tokens,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        credential.gate.set()
        for thread in threads:
            thread.join(LIMIT)
    assert len({id(error) for error in caught}) == 4


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        ({}, "az login"),
        (ON_AZURE, "system-assigned"),
        ({**ON_AZURE, "AZURE_CLIENT_ID": "c-1"}, "client id is c-1 (AZURE_CLIENT_ID)"),
    ],
)
def test_the_error_says_what_to_do(environ: dict[str, str], hint: str) -> None:
    """The detail names the scope, what the endpoint said, and what to do where we run."""
    error = RuntimeError()
    error.message = "(invalid_scope) 400,\n\tNo identity found"  # type: ignore[attr-defined]  # as Azure's errors
    with source(Credential(error), environ=environ) as tokens, pytest.raises(errors.TokenError) as caught:
        tokens.token()
    assert SCOPE in caught.value.detail
    assert hint in caught.value.detail
    assert "(invalid_scope) 400, No identity found" in caught.value.detail


def test_what_the_error_does_not_say() -> None:
    """Neither a token in the endpoint's words nor more than 300 characters of them get into the detail."""
    error = RuntimeError()
    error.message = f"strange answer {jwt()} " + "and so on " * 500  # type: ignore[attr-defined]  # as above
    with source(Credential(error)) as tokens, pytest.raises(errors.TokenError) as caught:
        tokens.token()
    assert "strange answer …" in caught.value.detail
    assert len(caught.value.detail) < 700


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "tökén", "a\0"])
def test_what_is_no_token(token: str) -> None:
    """What no HTTP header can carry is refused here, and not repeated."""
    with (
        source(Credential(AccessToken(token, NOW + 3600))) as tokens,
        pytest.raises(errors.TokenError) as caught,
    ):
        tokens.token()
    assert not token or token not in caught.value.detail


def test_the_token_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """No repr of the source and no log line holds the token."""
    caplog.set_level(logging.DEBUG)
    with source(Credential(AccessToken(jwt(), NOW + 3600))) as tokens:
        assert tokens.token() == jwt()
        assert jwt() not in repr(tokens) + str(tokens) + repr(tokens.last()) + caplog.text


def test_what_the_last_token_says() -> None:
    """Audience, roles, application, tenant and expiry, for the operator."""
    with source(Credential(AccessToken(jwt(), NOW + 3600))) as tokens:
        tokens.token()
        assert tokens.last() == identity.Claims(
            audience="https://api.example",
            roles=("Alert.ReadWrite.All",),
            application="a-1",
            tenant="t-1",
            expires=datetime(2018, 8, 3, 17, 45, 21, tzinfo=UTC),
        )


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "a.!.c", *map(jwt, ("{", "[1]", {}, {"aud": 1, "roles": "x", "tid": []}))]
)
def test_a_token_that_says_nothing(token: str) -> None:
    """A token that cannot be read is used all the same; only its expiry is known."""
    with source(Credential(AccessToken(token, NOW))) as tokens:
        assert tokens.token() == token
        expires = datetime(2018, 8, 3, 16, 45, 21, tzinfo=UTC)
        assert tokens.last() == identity.Claims(None, (), None, None, expires)


def test_an_application_of_a_version_2_token() -> None:
    """Tokens of Entra's second version name the application `azp`."""
    with source(Credential(AccessToken(jwt({"azp": "a-2"}), NOW))) as tokens:
        tokens.token()
        assert tokens.last() == identity.Claims(None, (), "a-2", None, datetime.fromtimestamp(NOW, UTC))


def test_close() -> None:
    """Closing a source closes its credential; without one there is nothing to do."""
    credential = Credential(ValueError())
    with source(credential) as tokens:
        tokens.close()
    assert credential.closed
    identity.TokenSource(SCOPE, environ={}).close()


def test_which_credential() -> None:
    """The managed identity where the platform offers one, else whoever is signed in; neither is asked yet."""
    for environ in (ON_AZURE, {"MSI_ENDPOINT": "http://127.0.0.1:1"}):
        with identity.credential(environ, "c-1") as credential:
            assert isinstance(credential, ManagedIdentityCredential)
    for environ in ({}, {"IDENTITY_ENDPOINT": ""}):
        for client_id in (None, "c-1"):
            with identity.credential(environ, client_id) as credential:
                assert isinstance(credential, DefaultAzureCredential)
