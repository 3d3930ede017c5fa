"""The SDK's client for the table, on connections that stay open; without the SDK's own retries and log lines."""

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.errors import NoTableToken, Problem, SettingsError, TokenError
from shared.loopback import is_loopback

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.settings import StorageSettings

CONNECT_SECONDS = 3.0
_POOL_SIZE = 64
# A network forgets a connection that is silent for minutes without a word: the first request after would hang.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


def open_client(settings: "StorageSettings", name: str, credential: Callable[[], Any]) -> "TableClient":
    """Return a client for the table of this name. Raise `SettingsError` where the settings do not say which."""
    from azure.data.tables import TableClient  # noqa: PLC0415 - at first use: cold start

    from shared.table.transport import Transport  # noqa: PLC0415 - at first use: cold start

    # At INFO the SDK would log every request of ours.
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
    transport = Transport()
    transport.open()
    for adapter in transport.session.adapters.values():
        adapter.init_poolmanager(_POOL_SIZE, _POOL_SIZE, socket_options=_socket_options())
    options: dict[str, Any] = {"transport": transport, "retry_total": 0}
    try:
        if settings.connection_string:
            client = TableClient.from_connection_string(settings.connection_string, name, **options)
        elif settings.endpoint:
            held: Any = _Credential(credential())
            client = TableClient(settings.endpoint, name, credential=held, **options)
        else:
            problem = Problem("AzureWebJobsStorage", "missing: set it, or AzureWebJobsStorage__accountName")
            raise SettingsError([problem])
    except ValueError:
        # The SDK's own message may quote the connection string.
        problem = Problem("AzureWebJobsStorage", "no usable connection string or table endpoint")
        raise SettingsError([problem]) from None
    # A proxy that the environment names is for other machines: this one's emulator it could not even reach.
    transport.session.trust_env = not is_loopback(urlsplit(client.url).hostname or "")
    return client


def within(seconds: float) -> dict[str, Any]:
    """Return the SDK's options for a request that may take so many seconds."""
    return {"connection_timeout": min(CONNECT_SECONDS, seconds), "read_timeout": seconds}


@dataclass(frozen=True, slots=True)
class _Credential:
    """A credential that raises the table's errors, so that callers of the table meet no others."""

    given: Any

    def get_token(self, *scopes: str, **options: Any) -> Any:
        try:
            return self.given.get_token(*scopes, **options)
        except TokenError as error:
            raise NoTableToken(error.detail, late=error.late) from None


def _socket_options() -> list[tuple[int, int, int]]:
    """Return the socket options that keep idle connections open, as far as this system has them."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    known = [(getattr(socket, name, None), seconds) for name, seconds in _KEEP_ALIVE]
    return options + [(socket.IPPROTO_TCP, name, seconds) for name, seconds in known if name is not None]
