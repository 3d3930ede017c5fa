"""What goes to this machine itself never takes a proxy; what goes elsewhere takes the one the environment names."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared import identity
from shared.clients.defender import Defender
from shared.loopback import is_loopback
from shared.settings import StorageSettings
from shared.table.azure import AzureTable

ALERT = {
    "machineId": "1e5bc9d7e413ddd7902c2932e418702b84d0cc07",
    "eventTime": "2026-08-03T16:45:21.7115183Z",
    "reportId": "20776",
    "title": "Example",
    "description": "Example alert",
    "recommendedAction": "None",
    "severity": "Low",
    "category": "General",
}


class Server(ThreadingHTTPServer):
    """Answers every request with a table that has no rows, and remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        """Answer a query, whether it is meant for us or came to us as to a proxy."""
        self.server.asked.append(self.path)
        body = b'{"value": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server on this machine."""
    with Server() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name the server as the proxy for everything, without an exception, and return what it is asked for."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelling in (name, name.lower()):
            monkeypatch.setenv(spelling, f"http://127.0.0.1:{server.server_port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return server.asked


def query(address: str) -> None:
    """Ask the table at this address for its rows."""
    settings = StorageSettings(connection_string=f"AccountName=a;AccountKey=a2V5;TableEndpoint={address};")
    table = AzureTable(settings, name="Alerts", partition="default", credential=lambda: None)
    try:
        assert table.query("a", "b") == []
    finally:
        table.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("localhost.contoso.example", False),
        ("127.0.0.1.contoso.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound to it
        ("contoso.example", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: str, expected: bool) -> None:
    """Loopback addresses and `localhost`, and no name that only looks like them."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_table_on_this_machine_is_asked_directly(host: str, server: Server, proxy: list[str]) -> None:
    """The emulator gets a request for a path; a proxy would get one for a whole address."""
    query(f"http://{host}:{server.server_port}/account")
    assert [path[:15] for path in proxy] == ["/account/Alerts"]


def test_a_table_elsewhere_is_asked_through_the_proxy(proxy: list[str]) -> None:
    """A company's network that lets nothing out but through its proxy is no hindrance."""
    query("http://table.contoso.example/account")
    assert [path.partition("/account")[0] for path in proxy] == ["http://table.contoso.example"]


def test_the_platforms_token_and_defender_on_this_machine_are_asked_directly(
    simulator: Any, proxy: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the identity's header nor a token is shown to a proxy on the way to this machine itself."""
    for name, value in simulator.environment.items():
        monkeypatch.setenv(name, value)
    with identity.credential(os.environ, None) as credential:
        token = credential.get_token(os.environ["DEFENDER_TOKEN_SCOPE"]).token
    defender = Defender(simulator.url, deadline=10)
    try:
        assert defender.create_alert(ALERT, token).kind == "created"
    finally:
        defender.close()
    assert proxy == []
