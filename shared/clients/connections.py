"""Open connections that threads share; each call's deadline applies to them."""

import socket
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.clients.call import CURRENT, Call, Stage

if TYPE_CHECKING:
    import requests
    from urllib3.connection import HTTPConnection as _Connection
else:
    _Connection = object  # requests and urllib3 are slow to import: `_equip` does it, at the first call

IDLE_SECONDS = 60.0
"""A connection idle for longer may have been dropped on the way without a word."""
_CONNECTIONS = 32  # as many threads as a Functions worker has


class Connections:
    """A session of `requests` for calls: no redirects, no cookies, no proxy, nothing from the environment.

    `session` gets connections of this class. A connection idle for `idle` seconds is not used again.
    """

    def __init__(self, session: "requests.Session | None" = None, *, idle: float = IDLE_SECONDS) -> None:
        self._given = session
        self._session: requests.Session | None = None
        self._idle = idle
        self._lock = threading.Lock()

    def post(
        self, url: str, headers: Mapping[str, str], payload: bytes, timeout: float
    ) -> "requests.Response":
        """Send one request, and return as soon as the head of an answer has come; its body is not read yet."""
        from requests import Request  # noqa: PLC0415  see `_Connection`

        session = self._ready()
        # Straight to the adapter: `Session.send` would look at redirects (and read their bodies whole), and
        # keep cookies, which would tie us to one of the service's servers.
        return session.get_adapter(url).send(
            session.prepare_request(Request("POST", url, dict(headers), data=payload)),
            stream=True,
            timeout=timeout,
            verify=session.verify is None or session.verify,
            cert=session.cert,
        )

    def close(self) -> None:
        """Close the open connections."""
        if session := self._session or self._given:
            session.close()

    def _ready(self) -> "requests.Session":
        with self._lock:
            if self._session is None:
                self._session = _equip(self._given, self._idle)
            return self._session


class _Wire(_Connection):
    """A connection of urllib3 with a call's deadline, its gate, and a limit for idle time."""

    idle: float
    used: float = 0.0

    def _new_conn(self) -> socket.socket:
        call = CURRENT.get()
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
        """Send a piece of the request, if the deadline allows."""
        if self.sock is None:
            self.connect()
        CURRENT.get().pass_gate(self.sock, Stage.SENT)
        self.used = time.monotonic()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Tell whether the pool may use it again."""
        return super().is_connected and time.monotonic() - self.used < self.idle


def _connect(call: Call, sock: socket.socket, address: Any, share: float) -> socket.socket:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        call.pass_gate(sock, Stage.CONNECT)
        sock.settimeout(share)
        sock.connect(address)
        sock.settimeout(call.left())  # for the whole TLS handshake
    except OSError:
        sock.close()
        raise
    return sock


def _equip(session: "requests.Session | None", idle: float) -> "requests.Session":
    """Return `session`, or a new one, with this module's connections and no settings from the environment."""
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
