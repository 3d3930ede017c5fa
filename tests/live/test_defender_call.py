"""The call and the identity as in production: Microsoft's credential, a token endpoint, a strict Defender."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from azure.core.exceptions import AzureError

from dev.simulator.faults import Fault
from dev.simulator.simulator import Simulator
from dev.stack.token_endpoint import AUDIENCE, ROLE, SYSTEM_ASSIGNED, TENANT, USER_ASSIGNED_CLIENT_ID
from shared import errors, identity
from shared.clients import defender
from tests.checks import spoiled

LIMIT = 20.0  # seconds until a wait counts as a failure
SOON = 0.5  # seconds: the deadline of calls that are meant to meet it
BODY = {
    "machineId": "1e5bc9d7e413ddd7902c2932e418702b84d0cc07",
    "severity": "Low",
    "title": "A test",
    "description": "of the call",
    "recommendedAction": "none",
    "eventTime": "2018-08-03T16:45:21.7115183Z",
    "reportId": "20776",
    "category": "Exploit",
}

Source = Callable[..., identity.TokenSource]


def join_workers() -> None:
    """Wait until no thread of ours is at work any more."""
    for thread in threading.enumerate():
        if thread.name in {identity.THREAD_NAME, defender.THREAD_NAME}:
            thread.join(LIMIT)
            assert not thread.is_alive()


@pytest.fixture
def identity_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., identity.TokenSource]]:
    """Return a function that makes the identity of an app in the given environment.

    Microsoft's library reads the process's own environment, so the two variables of the platform go there.
    """
    made: list[identity.TokenSource] = []

    def make(environ: dict[str, str], client_id: str | None = None) -> identity.TokenSource:
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            monkeypatch.setenv(name, environ[name])
        scope = environ["DEFENDER_TOKEN_SCOPE"]
        made.append(identity.TokenSource(scope, environ=environ, client_id=client_id))
        return made[-1]

    yield make
    join_workers()
    for source in made:
        source.close()


@pytest.fixture
def tokens(identity_of: Source, simulator: Simulator) -> identity.TokenSource:
    """Return the simulator's system-assigned identity."""
    return identity_of(simulator.environment)


@contextmanager
def endpoint(raw: bytes) -> Iterator[dict[str, str]]:
    """Yield the environment of a token endpoint that answers every connection with `raw`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(65536)
                    peer.sendall(raw)

        thread = threading.Thread(target=serve)
        thread.start()
        yield {
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}/msi/token",
            "IDENTITY_HEADER": "hush-hush",
            "DEFENDER_TOKEN_SCOPE": f"{AUDIENCE}/.default",
        }
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT)


@contextmanager
def client(simulator: Simulator, *, deadline: float = LIMIT) -> Iterator[defender.Defender]:
    """Yield a Defender for `simulator`; in the end close it and wait for its threads."""
    with closing(defender.Defender(simulator.url, deadline=deadline)) as caller:
        yield caller
    join_workers()


# ---- the identity


def test_a_token_is_asked_for_once(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """None before the first need, one for the first, and none for those that follow; it opens Defender."""
    assert simulator.token_requests == {}
    assert len({tokens.token() for _ in range(5)}) == 1
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}
    with client(simulator) as caller:
        assert caller.create_alert(BODY, tokens.token()).kind == "created"


def test_the_user_assigned_identity(simulator: Simulator, identity_of: Source) -> None:
    """`AZURE_CLIENT_ID` names the identity that is asked for, and the token is its own."""
    tokens = identity_of(simulator.environment, client_id=USER_ASSIGNED_CLIENT_ID)
    tokens.token()
    assert simulator.token_requests == {USER_ASSIGNED_CLIENT_ID: 1}
    claims = tokens.last()
    assert claims is not None
    assert (claims.application, claims.audience, claims.roles) == (USER_ASSIGNED_CLIENT_ID, AUDIENCE, (ROLE,))
    assert claims.tenant == TENANT


def test_an_identity_that_is_not_assigned(simulator: Simulator, identity_of: Source) -> None:
    """The error repeats the endpoint's words and says which setting to look at."""
    tokens = identity_of(simulator.environment, client_id="b7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33")
    with pytest.raises(errors.TokenError, match=r"AZURE_CLIENT_ID.*No User Assigned") as caught:
        tokens.token()
    assert "b7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33" in caught.value.detail


def test_a_wrong_identity_header(simulator: Simulator, identity_of: Source) -> None:
    """A header the endpoint does not know is an error that does not repeat it."""
    tokens = identity_of({**simulator.environment, "IDENTITY_HEADER": "wrong-header"})
    with pytest.raises(errors.TokenError) as caught:
        tokens.token()
    assert "wrong-header" not in caught.value.detail


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", on="token"),
        Fault("status", on="token", status=429, retry_after=3600),
        Fault("status", on="token", status=400),
        Fault("html", on="token"),
        Fault("html", on="token", status=200),
        Fault("foreign", on="token"),
        Fault("empty", on="token"),
        Fault("redirect", on="token"),
        Fault("reset", on="token"),
        Fault("truncated", on="token"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_an_endpoint_that_fails(simulator: Simulator, tokens: identity.TokenSource, fault: Fault) -> None:
    """Whatever the endpoint does instead is a TokenError after one request: Azure's retries are off."""
    simulator.switch(faults=(fault,))
    with pytest.raises(errors.TokenError) as caught:
        tokens.token(timeout=LIMIT)
    assert "system-assigned" in caught.value.detail
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}
    assert tokens.last() is None


def test_an_endpoint_that_is_not_there(identity_of: Source) -> None:
    """A refused connection is a TokenError."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        environ = {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{port}/msi/token", "IDENTITY_HEADER": "h"}
        with pytest.raises(errors.TokenError):
            identity_of({**environ, "DEFENDER_TOKEN_SCOPE": f"{AUDIENCE}/.default"}).token(timeout=LIMIT)


def test_after_a_failure_the_next_need_asks_again(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """A lost connection is forgotten as soon as the endpoint answers."""
    simulator.switch(faults=(Fault("reset", on="token", times=1),))
    with pytest.raises(errors.TokenError):
        tokens.token(timeout=LIMIT)
    assert tokens.token(timeout=LIMIT)
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 2}


def test_an_endpoint_that_hangs(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """Nobody waits longer than it said, and while one request is under way there is no second."""
    simulator.switch(faults=(Fault("hang", on="token"),))
    for _ in range(3):
        with pytest.raises(errors.TokenError, match=r"in 0\.1 s"):
            tokens.token(timeout=0.1)
    simulator.switch(faults=())
    join_workers()
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}


def test_a_late_token_serves_the_next(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """A token that came too late for one is there for the next, without another request."""
    simulator.switch(faults=(Fault("slow", on="token", delay=1, times=1),))
    with pytest.raises(errors.TokenError):
        tokens.token(timeout=0)
    join_workers()
    assert tokens.token(timeout=0)
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}


def test_the_credential_itself_is_not_silent_for_ever(
    simulator: Simulator, tokens: identity.TokenSource
) -> None:
    """Microsoft's credential gives up after the silence set, for a thread that nobody waits for any more."""
    simulator.switch(faults=(Fault("hang", on="token"),))
    with identity.credential(simulator.environment, None, silence=0.2) as opened, pytest.raises(AzureError):
        opened.get_token(f"{AUDIENCE}/.default")
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}


def test_the_tables_first_requests_share_one_token(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 threads that ask the table first together cause one request to the token endpoint."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, simulator.environment[name])
    shared = identity.SharedCredential(simulator.environment, None, "AzureWebJobsStorage__clientId")
    everybody = threading.Barrier(20)
    got: set[str] = set()

    def need() -> None:
        everybody.wait(LIMIT)
        got.add(shared.get_token(f"{AUDIENCE}/.default").token)

    threads = [threading.Thread(target=need) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    join_workers()
    assert len(got) == 1
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}


def test_a_token_at_its_end_is_asked_for_again(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """A token with less than a minute left is given to those who asked, and kept for nobody."""
    simulator.switch(faults=(spoiled.expires(50),))
    for count in range(1, 4):
        tokens.token()
        join_workers()
        assert simulator.token_requests == {SYSTEM_ASSIGNED: count}


def test_twenty_threads_at_once(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """20 threads that need a token at the same time make one request."""
    everybody = threading.Barrier(20)
    got: set[str] = set()

    def need() -> None:
        everybody.wait(LIMIT)
        got.add(tokens.token(timeout=LIMIT))

    threads = [threading.Thread(target=need) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len(got) == 1
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}


def test_no_proxy_gets_between(
    simulator: Simulator, tokens: identity.TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment does not see the request to the platform's own endpoint."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert tokens.token()
    assert simulator.token_requests == {SYSTEM_ASSIGNED: 1}


@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/xml"])
@pytest.mark.parametrize(
    "rest",
    [', "expires_on": "9999999999"}', ', "expires_on": "later"}', "}", ""],
    ids=("good", "bad", "none", "cut"),
)
def test_nothing_secret_is_shown(
    identity_of: Source, caplog: pytest.LogCaptureFixture, kind: str, rest: str
) -> None:
    """Neither a token nor the identity header gets into a log at any level or an error, whatever comes back."""
    caplog.set_level(logging.DEBUG)
    token = "eyJ0eXAiOiJKV1QifQ." + "c2VjcmV0" * 20 + ".c2lnbmF0dXJl"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n"
    detail = ""
    with endpoint(f'{head}{{"access_token": "{token}"{rest}'.encode()) as environ:
        try:
            assert identity_of(environ).token(timeout=LIMIT) == token
        except errors.TokenError as error:
            detail = error.detail
        join_workers()
    assert bool(detail) == ("9" not in rest)
    for secret in (token, token.split(".")[1], "hush-hush"):
        assert secret not in caplog.text + detail


# ---- the call


def test_an_alert_is_created(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """The alert object is Defender's own; calls in a row use one connection."""
    with client(simulator) as caller:
        answers = [caller.create_alert({**BODY, "title": title}, tokens.token()) for title in ("A", "B", "C")]
    assert [answer.kind for answer in answers] == ["created"] * 3
    assert [answer.alert for answer in answers] == simulator.alerts
    assert not any(answer.merged for answer in answers)
    assert len({arrival.connection for arrival in simulator.log}) == 1


def test_what_defender_refuses(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """Rejected and not found, in Defender's own words."""
    simulator.defender.register(unknown=[(BODY["machineId"], BODY["eventTime"], "1")])
    with client(simulator) as caller:
        rejected = caller.create_alert({**BODY, "recommendedAction": ""}, tokens.token())
        unknown = caller.create_alert({**BODY, "reportId": "1"}, tokens.token())
    assert (rejected.kind, unknown.kind) == ("rejected", "not_found")
    assert rejected.error is not None
    assert unknown.error is not None
    target = rejected.error.pop("target")
    assert len(target) == 36
    message = "recommendedAction argument is missing"
    assert rejected.error == {"status": 400, "code": "BadRequest", "message": message}
    assert (unknown.error["status"], unknown.error["code"]) == (404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (spoiled.WRONG_AUDIENCE, 401),
        (spoiled.OTHER_TENANT, 401),
        (spoiled.expires(-5), 401),
        (spoiled.NO_ROLE, 403),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_token_that_does_not_open_the_door(
    simulator: Simulator, tokens: identity.TokenSource, fault: Fault, status: int
) -> None:
    """401 and 403 are unavailable: nothing is wrong with the alert."""
    simulator.switch(faults=(fault,))
    with client(simulator) as caller:
        answer = caller.create_alert(BODY, tokens.token())
    assert (answer.kind, answer.status, answer.alert) == ("unavailable", status, None)
    assert answer.error is not None
    assert answer.error["code"] in {"Unauthorized", "Forbidden"}


def test_a_full_window(identity_of: Source) -> None:
    """The call over the limit is unavailable, with the seconds to wait."""
    with Simulator(calls=1, window=60, known_events="all") as simulator, client(simulator) as caller:
        token = identity_of(simulator.environment).token()
        assert caller.create_alert(BODY, token).kind == "created"
        answer = caller.create_alert(BODY, token)
    assert (answer.kind, answer.status, answer.sent, answer.answered) == ("unavailable", 429, True, True)
    assert answer.retry_after is not None
    assert 0 < answer.retry_after <= 60


@pytest.mark.parametrize(
    ("fault", "code", "answered"),
    [
        (Fault("status", status=500), "InternalServerError", True),
        (Fault("status", status=503), "ServiceUnavailable", True),
        (Fault("html", status=200), "NotDefender", True),
        (Fault("html", status=404), "NotDefender", True),
        (Fault("html", status=502), "NotDefender", True),
        (Fault("foreign"), "NotDefender", True),
        (Fault("foreign", status=400), "NotDefender", True),
        (Fault("empty"), "NoAlert", True),
        (Fault("redirect"), "Redirect", True),
        (Fault("redirect", status=307), "Redirect", True),
        (Fault("truncated"), "ConnectionLost", True),
        (Fault("reset"), "ConnectionLost", False),
        (Fault("hang"), "Timeout", False),
        (Fault("slow", delay=LIMIT), "Timeout", False),
        (Fault("trickle", delay=0.05), "Timeout", False),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_faults(
    simulator: Simulator, tokens: identity.TokenSource, fault: Fault, code: str, *, answered: bool
) -> None:
    """Each fault is unavailable, arrives once, and leaves the next call alone."""
    token = tokens.token()
    timed_out = code == "Timeout"
    with client(simulator, deadline=SOON if timed_out else LIMIT) as caller:
        simulator.switch(faults=(replace(fault, times=1),))
        answer = caller.create_alert(BODY, token)
    with client(simulator) as caller:
        assert caller.create_alert(BODY, token).kind == "created"
    assert answer.error is not None
    assert (answer.kind, answer.error["code"], answer.sent) == ("unavailable", code, True)
    assert answer.answered == answered
    assert len(simulator.log) == 2


@pytest.mark.parametrize("as_date", [True, False])
def test_a_pause_in_seconds_or_until(
    simulator: Simulator, tokens: identity.TokenSource, *, as_date: bool
) -> None:
    """`Retry-After` is read in both of its forms."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    simulator.switch(faults=(Fault("status", status=429, retry_after=date if as_date else 30),))
    with client(simulator) as caller:
        answer = caller.create_alert(BODY, tokens.token())
    assert answer.retry_after in {29, 30, 31}  # a date has whole seconds


def test_an_answer_that_was_lost(simulator: Simulator, tokens: identity.TokenSource) -> None:
    """The call whose answer was lost may have worked: it is unavailable, and the next one meets the alert."""
    simulator.switch(faults=(Fault("reset", after_processing=True, times=1),))
    with client(simulator) as caller:
        lost = caller.create_alert(BODY, tokens.token())
        again = caller.create_alert(BODY, tokens.token())
    assert (lost.kind, lost.sent, lost.answered) == ("unavailable", True, False)
    assert [again.alert] == simulator.alerts
    assert len(simulator.log) == 2
