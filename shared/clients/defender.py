"""The call to Defender (`CreateAlertByReference`), and what its answer means.

One deadline bounds the whole call. A time-out per socket operation would not: a look-up has none, every
address takes its own, and an answer that trickles in never meets one. So each call has a thread that works
and a caller that waits, and the caller is the watchdog:

    caller ─┬─ waits ───────────────────────────────── deadline ── shuts the gate and the socket ── Answer
            │                                              ┊
    worker  └─ look up ── connect ── TLS ──▐ ── send ───── ┊ ── read ── judge
                                         gate              ┊

Before every piece of the request the worker passes the gate, which is open until the deadline: nothing is
sent after it. Until an answer begins, closing the socket (by us, or by the system when the process dies)
resets the connection, so that the system sends nothing again either. A look-up cannot be interrupted: its
thread is left behind, and finds the gate shut.
"""

import json
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from shared import errors
from shared.loopback import is_loopback

if TYPE_CHECKING:
    import requests
    from urllib3.connection import HTTPConnection as _Connection
else:
    _Connection = object  # requests and urllib3 are slow to import: `_equip` does it, at the first call

Kind = Literal["created", "rejected", "not_found", "unavailable"]

THREAD_NAME = "defender-call"
_PATH = "/api/alerts/CreateAlertByReference"
_CONNECTIONS = 32  # as many threads as a Functions worker has
_IDLE_SECONDS = 60.0  # a connection idle for longer may have been dropped on the way without a word
_ANSWER_BYTES = 1 << 20
_MESSAGE_CHARACTERS, _WORD_CHARACTERS = 1000, 200
_RETRY_AFTER_SECONDS = 600
_MERGED_SECONDS = 5  # see `is_merged`
_SUCCESS, _REDIRECT, _CALLERS_ERROR = 2, 3, 4  # the hundreds of a status
_LOOK_UP, _CONNECT, _SENT, _ANSWERED = range(4)  # how far a call has come
_WHILE = ("looking up its name", "connecting", "waiting for the answer", "reading the answer")
_TRY_AGAIN = frozenset({401, 403, 408, 429})  # the 4xx that say nothing about this alert


@dataclass(frozen=True, slots=True)
class Answer:
    """What Defender said to one call, or what kept it from saying anything.

    ```
    kind         what it means for the alert
    status       HTTP status; None when no answer began
    alert        Defender's alert object, only when created
    merged       the alert was there before: its `alertCreationTime` is more than 5 s older than the call,
                 by the answer's own `Date`
    error        {status, code, message, target} in Defender's words, cut to a sane length; else in ours, with
                 a code of Timeout, NoConnection, ConnectionLost, Redirect, TooLarge or NotDefender
    retry_after  whole seconds, rounded up, at most 600; None when Defender named none
    sent         at least one byte of the request may have left this machine
    answered     the head of an answer came back, so the request surely arrived
    seconds      the call took, by the monotonic clock
    ```
    """

    kind: Kind
    status: int | None
    alert: dict[str, Any] | None
    merged: bool
    error: dict[str, Any] | None
    retry_after: float | None
    sent: bool
    answered: bool
    seconds: float


class Defender:
    """Makes the calls, over connections that are kept warm; shared by up to 32 threads.

    `url` is the API's base (`DEFENDER_API_URL`). A token goes there: https or loopback, else SettingsError.
    `deadline` bounds a whole call, in seconds. `session` is taken over: its connections become ours.
    `resolve` looks names up as `socket.getaddrinfo` does. A connection idle for `idle` seconds is not reused.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline: float,
        session: "requests.Session | None" = None,
        resolve: Callable[..., Iterable[Any]] = socket.getaddrinfo,
        idle: float = _IDLE_SECONDS,
    ) -> None:
        check_url(url)
        self._url = url.rstrip("/") + _PATH
        self._deadline = deadline
        self._given = session
        self._session: requests.Session | None = None
        self._resolve = resolve
        self._idle = idle
        self._lock = threading.Lock()

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Post one alert of eight fields. Back by the deadline; nothing the network does makes it raise."""
        payload = json.dumps(dict(body)).encode()
        call = _Call(self._deadline, self._resolve)
        try:
            threading.Thread(
                target=self._work, args=(call, payload, token), name=THREAD_NAME, daemon=True
            ).start()
        except RuntimeError as error:  # out of threads, or the process is ending
            return call.failed(error)
        return call.wait()

    def close(self) -> None:
        """Close the connections that are kept warm."""
        if session := self._session or self._given:
            session.close()

    def _work(self, call: "_Call", payload: bytes, token: str) -> None:
        _CALL.set(call)
        try:
            answer = self._exchange(call, payload, token)
        except Exception as error:  # noqa: BLE001  whatever happens here, the caller needs an Answer
            answer = call.failed(error)
        call.finish(answer)

    def _exchange(self, call: "_Call", payload: bytes, token: str) -> Answer:
        from requests import Request  # noqa: PLC0415  see `_Connection`

        session = self._ready()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        # Straight to the adapter: `Session.send` would look at redirects (and read their bodies whole), and
        # keep cookies, which would tie us to one of Defender's servers.
        response = session.get_adapter(self._url).send(
            session.prepare_request(Request("POST", self._url, headers, data=payload)),
            stream=True,
            timeout=call.left(),
            verify=session.verify is None or session.verify,
            cert=session.cert,
        )
        with response:
            if response.status_code < HTTPStatus.OK:
                # http.client takes a 103 for the answer, and would give the real one to the next call.
                raise OSError(None, f"HTTP {response.status_code} and no answer")
            call.arrived(response.status_code, response.headers)
            raw = response.raw.read(_ANSWER_BYTES + 1, decode_content=True)
        # A test server or proxy that echoes the request must not make us store the token.
        return call.judged(raw.replace(token.encode(), b"[token]") if len(token) > _WORD_CHARACTERS else raw)

    def _ready(self) -> "requests.Session":
        with self._lock:
            if self._session is None:
                self._session = _equip(self._given, self._idle)
            return self._session


class _Call:
    """One call: how far its worker has come, the gate, and the answer."""

    def __init__(self, deadline: float, resolve: Callable[..., Iterable[Any]]) -> None:
        self.resolve = resolve
        self._deadline = deadline
        self._began = time.monotonic()
        self._began_wall = time.time()
        self._gate = threading.Lock()
        self._shut = False
        self._wire: socket.socket | None = None
        self._stage = _LOOK_UP
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}
        self._ended = threading.Event()
        self._answer: Answer | None = None

    # The worker's side.

    def left(self) -> float:
        """Return the seconds left; raise TimeoutError when there are none.

        A machine that was asleep shows it on the wall clock only, so the clock that moved more counts.
        """
        gone = max(time.monotonic() - self._began, time.time() - self._began_wall)
        if self._shut or gone >= self._deadline:
            raise TimeoutError
        return self._deadline - gone

    def pass_gate(self, sock: socket.socket, stage: int) -> None:
        """Go on to `stage` over `sock`, or raise TimeoutError."""
        with self._gate:
            self.left()
            if stage == _CONNECT or self._wire is None:
                self._let_go()
                # A second handle: the caller may use it whatever TLS, urllib3 or the pool do to the first.
                self._wire = socket.socket(fileno=socket.dup(sock.fileno()))
            if stage == _SENT:
                self._reset_on_close(True)
            self._stage = stage

    def arrived(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the head of the answer."""
        with self._gate:
            self._status, self._headers, self._stage = status, headers, _ANSWERED
            self._reset_on_close(False)

    def finish(self, answer: Answer) -> None:
        """Hand `answer` to the caller, unless it has gone."""
        with self._gate:
            self._let_go()
            if not self._shut:
                self._answer = answer
        self._ended.set()

    # The caller's side.

    def wait(self) -> Answer:
        """Return the answer; at the deadline cut the call off and say so."""
        self._ended.wait(self._deadline - (time.monotonic() - self._began))
        with self._gate:
            if self._answer:
                return self._answer
            self._shut = True
            if self._wire:
                # Wakes the worker. Should it have given the connection back in this very moment, the next
                # call may lose it: rare, and told as it is.
                with suppress(OSError):  # the other side was faster
                    self._wire.shutdown(socket.SHUT_RDWR)
            self._let_go()
            return self.failed(TimeoutError())

    # What became of it.

    def judged(self, raw: bytes) -> Answer:
        """Return the Answer for an answer that was read to its end."""
        status = self._status or 0
        if len(raw) > _ANSWER_BYTES:
            return self._failed("TooLarge", f"Defender's answer is larger than {_ANSWER_BYTES} bytes.")
        kind, said = judge(status, raw)
        seconds = time.monotonic() - self._began
        if kind == "created":
            return self._made(kind, alert=said, merged=is_merged(said, self._headers.get("Date"), seconds))
        if said:
            return self._made(kind, error=said)
        if status // 100 == _REDIRECT:
            return self._failed(
                "Redirect", f"HTTP {status}: a token follows no redirect, see DEFENDER_API_URL."
            )
        return self._failed(
            "NotDefender", f"HTTP {status}, but not in Defender's form: see DEFENDER_API_URL."
        )

    def failed(self, error: Exception) -> Answer:
        """Return the Answer for a call that `error` ended. Its text is not shown: it may hold the token."""
        cause: BaseException = error
        while deeper := cause.__cause__ or cause.__context__:
            cause = deeper
        where = f"(while {_WHILE[self._stage]})"
        if isinstance(cause, TimeoutError):
            return self._failed("Timeout", f"No answer from Defender within {self._deadline:g} s {where}.")
        reason = (cause.strerror if isinstance(cause, OSError) else None) or type(cause).__name__
        code = "NoConnection" if self._stage < _SENT else "ConnectionLost"
        return self._failed(code, f"No answer from Defender: {_cut(reason, _WORD_CHARACTERS)} {where}.")

    def _failed(self, code: str, message: str) -> Answer:
        error = {"status": self._status, "code": code, "message": message, "target": None}
        return self._made("unavailable", error=error)

    def _made(
        self,
        kind: Kind,
        *,
        alert: dict[str, Any] | None = None,
        merged: bool = False,
        error: dict[str, Any] | None = None,
    ) -> Answer:
        return Answer(
            kind=kind,
            status=self._status,
            alert=alert,
            merged=merged,
            error=error,
            retry_after=retry_after(self._headers.get("Retry-After"), self._headers.get("Date")),
            sent=self._stage >= _SENT,
            answered=self._stage >= _ANSWERED,
            seconds=time.monotonic() - self._began,
        )

    def _reset_on_close(self, on: bool) -> None:
        """Choose what closing does with bytes not yet delivered: drop them, or go on sending them."""
        if self._wire:
            self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))

    def _let_go(self) -> None:
        if self._wire:
            self._wire.close()
            self._wire = None


_CALL: ContextVar[_Call] = ContextVar("call")  # the call that a worker's thread works on


class _Wire(_Connection):
    """What we add to urllib3's connections: the call's deadline, its gate, and an end to long idleness."""

    idle: float
    used: float = 0.0

    def _new_conn(self) -> socket.socket:
        call = _CALL.get()
        addresses = list(call.resolve(self.host, self.port, type=socket.SOCK_STREAM))
        problem: OSError = OSError(None, "the name has no address")
        for behind, (family, kind, protocol, _, address) in enumerate(addresses):
            share = call.left() / (len(addresses) - behind)  # so that a dead address leaves time for the next
            try:
                return _connect(call, socket.socket(family, kind, protocol), address, share)
            except OSError as error:
                problem = error
        raise problem

    def send(self, data: Any) -> None:
        """Send a piece of the request, if it is still time."""
        if self.sock is None:
            self.connect()
        _CALL.get().pass_gate(self.sock, _SENT)
        self.used = time.monotonic()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Say whether the pool may hand it out again."""
        return super().is_connected and time.monotonic() - self.used < self.idle


def _connect(call: _Call, sock: socket.socket, address: Any, share: float) -> socket.socket:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        call.pass_gate(sock, _CONNECT)
        sock.settimeout(share)
        sock.connect(address)
        sock.settimeout(call.left())  # for the whole TLS handshake
    except OSError:
        sock.close()
        raise
    return sock


def _equip(session: "requests.Session | None", idle: float) -> "requests.Session":
    """Return `session`, or a new one, with connections of ours and nothing taken from the environment."""
    import requests  # noqa: PLC0415  here and not above: see `_Connection`
    import urllib3  # noqa: PLC0415  as above
    from requests.adapters import HTTPAdapter  # noqa: PLC0415  as above

    session = session or requests.Session()
    # A netrc entry for the host would replace our Authorization header. This also leaves proxies aside.
    session.trust_env = False
    session.headers["User-Agent"] = "defender-alert-webhook"
    session.headers["Accept"] = "application/json"
    session.headers["Accept-Encoding"] = "identity"  # answers are small
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS, max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = {
        scheme: type(
            f"_{scheme}", (pool,), {"ConnectionCls": type(f"_{scheme}", (_Wire, wire), {"idle": idle})}
        )
        for scheme, pool, wire in (
            ("http", urllib3.HTTPConnectionPool, urllib3.connection.HTTPConnection),
            ("https", urllib3.HTTPSConnectionPool, urllib3.connection.HTTPSConnection),
        )
    }
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def judge(status: int, raw: bytes) -> tuple[Kind, dict[str, Any]]:
    """Return what an answer means, with Defender's alert or error; empty when it is not Defender's.

    Only Defender's JSON counts: an object with an `id` and a 2xx, or with an `error.code`.
    """
    document = _read(raw)
    if status // 100 == _SUCCESS and _is_text(document.get("id")):
        return "created", document
    said = document.get("error")
    if not isinstance(said, dict) or not _is_text(said.get("code")):
        return "unavailable", {}
    kind: Kind = "unavailable"
    if status == HTTPStatus.NOT_FOUND:
        kind = "not_found"
    elif status // 100 == _CALLERS_ERROR and status not in _TRY_AGAIN:
        kind = "rejected"
    return kind, {
        "status": status,
        "code": _cut(said["code"], _WORD_CHARACTERS),
        "message": _cut(said.get("message"), _MESSAGE_CHARACTERS),
        "target": _cut(said.get("target"), _WORD_CHARACTERS),
    }


def _read(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in `raw`, empty if there is none."""
    try:
        document = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def is_merged(alert: Mapping[str, Any], date: str | None, seconds: float) -> bool:
    """Say whether `alert` was there before the call, which took `seconds` and was answered at `date`.

    An alert of our own can be as old as the call, plus 5 s: `date` has whole seconds, by another clock.
    Two alerts closer than that cannot be told apart, and count as not merged.
    """
    answered = _moment(date)
    try:
        created = datetime.fromisoformat(alert["alertCreationTime"])
    except (KeyError, TypeError, ValueError):
        return False
    created = created if created.tzinfo else created.replace(tzinfo=UTC)
    return answered is not None and (answered - created).total_seconds() > seconds + _MERGED_SECONDS


def retry_after(value: str | None, date: str | None) -> float | None:
    """Return a `Retry-After` (RFC 9110, 10.2.3) in whole seconds, 0 to 600; None if missing or unreadable.

    An HTTP-date counts from the answer's own `date`, so that our clock does not matter.
    """
    try:
        seconds = float(value or "")
    except ValueError:
        until, answered = _moment(value), _moment(date)
        if until is None or answered is None:
            return None
        seconds = (until - answered).total_seconds()
    if math.isnan(seconds):
        return None
    return float(math.ceil(min(max(seconds, 0), _RETRY_AFTER_SECONDS)))


def _moment(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def check_url(url: str) -> None:
    """Raise SettingsError if a token must not be sent to `url`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("it is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise _refused("it holds a user name, which would replace our token")
    if parts.query or parts.fragment:
        raise _refused("it has a query or a fragment")
    if not host or parts.scheme not in {"http", "https"}:
        raise _refused("it is not an https URL")
    if parts.scheme == "http" and not is_loopback(host):
        raise _refused(f"a token is sent only over https, not to http://{host}")


def _refused(why: str) -> errors.SettingsError:
    what_to_do = "Give the API's base, such as https://api.security.microsoft.com"
    return errors.SettingsError([errors.Problem("DEFENDER_API_URL", f"{why}. {what_to_do}")])


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _cut(value: object, characters: int) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON


_HINTS: Mapping[int | str, str] = {
    "Timeout": "Nothing to do: it is tried again. If it goes on, check DEFENDER_API_URL and the app's way out.",
    "NoConnection": "Nothing to do: it is tried again. If it goes on, check DEFENDER_API_URL, DNS and firewall.",
    "ConnectionLost": "Nothing to do: it is tried again.",
    "NotDefender": "Something between us and Defender answered; check DEFENDER_API_URL and any proxy.",
    "Redirect": "Something between us and Defender answered; check DEFENDER_API_URL and any proxy.",
    400: "Correct the field that Defender names, at the sender or in its mapping, then send or replay the alert.",
    401: "Defender does not accept the token: check DEFENDER_TOKEN_SCOPE against DEFENDER_API_URL.",
    403: "Grant the app's identity the application role Alert.ReadWrite.All on WindowsDefenderATP; a token that was "
    "issued before may be used for up to 24 hours more.",
    404: "No event has this machineId, eventTime and reportId. Take all three from the same advanced hunting row, "
    "unrounded; rows older than 30 days cannot be found.",
    429: "Nothing to do: everybody waits as long as Defender asks, and the alert keeps its place.",
}


def hint(error: Mapping[str, Any]) -> str:
    """Return what an operator or a sender can do about an answer's `error`."""
    by_code = _HINTS.get(str(error.get("code")))
    if by_code:
        return by_code
    status = error.get("status")
    if isinstance(status, int) and status // 100 == _CALLERS_ERROR:
        return _HINTS.get(status, _HINTS[400])
    return "Nothing to do: it is tried again. If it goes on, see the service health of Microsoft Defender."
