"""The table's client against something that is no table: a proxy, a wrong address, a sick service."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.problems import StorageOut
from shared.settings import StorageSettings
from shared.storage import AzureTable, Conflict, Delete, Insert, Refused

JSON, HTML, PARTS = "application/json", "text/html", "multipart/mixed; boundary=b"
Said = tuple[int, bytes, str]
NEVER = "Fri, 31 Dec 2100 23:59:59 GMT"
# A client that got no sensible answer is let go of, and its connections close as garbage: others may be using them.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


class Endpoint(ThreadingHTTPServer):
    """Answers every request alike."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says: Said = (500, b"", JSON)
        self.date: str | None = None  # what its clock says, if not the time
        self.asked = 0

    def handle_error(self, *_: object) -> None:
        """Keep quiet of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_GET(self) -> None:
        """Read the request, and answer as told."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked += 1
        status, body, kind = self.server.says
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the library looks for

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Say what time it is, for the answer's `Date`."""
        return self.server.date or super().date_time_string(timestamp)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Give an endpoint on this machine."""
    with Endpoint() as endpoint:
        serving = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield endpoint
        endpoint.shutdown()
        serving.join()


@pytest.fixture
def table(endpoint: Endpoint) -> Iterator[AzureTable]:
    """Give the table's client at this endpoint."""
    address = f"http://127.0.0.1:{endpoint.server_port}/account"
    settings = StorageSettings(connection_string=f"AccountName=a;AccountKey=a2V5;TableEndpoint={address};")
    table = AzureTable(settings, name="Alerts", partition="default", credential=lambda: None)
    yield table
    table.close()
    gc.collect()


def _query(table: AzureTable) -> object:
    return table.query("a", "b")


def _commit(table: AzureTable) -> object:
    return table.commit([Insert("a1", {"n": 1}), Delete("a2", "*")])


ANYTHING: list[Said] = [
    (200, b"<html>sign in</html>", HTML),
    (200, b"", JSON),
    (200, b"null", JSON),
    (200, b"[]", JSON),
    (200, b"{}", JSON),
    (200, b'{"value": "x"}', JSON),
    (200, b'{"value": [{"PartitionKey": "default", "RowKey": "a1"}]}', JSON),
    (304, b"", JSON),
    (429, b"", JSON),
    (500, b"<html>", HTML),
    (503, b'{"odata.error": {"code": "ServerBusy", "message": {"value": "busy"}}}', JSON),
]
PARTLY: list[Said] = [(202, b"<html>", HTML), (202, b"", PARTS), (202, b"--b--\r\n", PARTS)]


@pytest.mark.parametrize(
    ("ask", "says"),
    [(_query, says) for says in ANYTHING] + [(_commit, says) for says in ANYTHING + PARTLY],
    ids=lambda part: f"{part[0]}-{part[1][:12].decode()}" if isinstance(part, tuple) else part.__name__,
)
def test_whatever_answers_in_the_tables_place_is_an_outage(
    endpoint: Endpoint, table: AzureTable, ask: Callable[[AzureTable], object], says: Said
) -> None:
    """What no table says is `StorageOut` after two tries, with a time to come back; no other error comes out."""
    endpoint.says = says
    with pytest.raises(StorageOut) as caught:
        ask(table)
    assert not isinstance(caught.value, Refused)
    assert caught.value.retry_after
    assert endpoint.asked == 2


@pytest.mark.parametrize("status", [404, 409, 412])
def test_a_query_has_no_conflicts(endpoint: Endpoint, table: AzureTable, status: int) -> None:
    """A conflict is an answer to a write; to a query it comes from something that is no table."""
    endpoint.says = (status, b"<html>", HTML)
    with pytest.raises(StorageOut):
        _query(table)
    with pytest.raises(Conflict):
        _commit(table)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_told_apart_and_not_tried_again(
    endpoint: Endpoint, table: AzureTable, status: int
) -> None:
    """What no repetition can mend costs one request."""
    endpoint.says = (status, b"garbage", HTML)
    for ask in (_query, _commit):
        endpoint.asked = 0
        with pytest.raises(Refused):
            ask(table)
        assert endpoint.asked == 1


@pytest.mark.parametrize("status", [302, 403, 429, 502])
def test_only_who_does_what_is_asked_tells_the_time(
    endpoint: Endpoint, table: AzureTable, status: int
) -> None:
    """The clock of whatever answers in the table's place opens no slot: its `Date` is not the table's time."""
    endpoint.says, endpoint.date = (status, b"<html>", HTML), NEVER
    with pytest.raises(StorageOut):
        _query(table)
    endpoint.says, endpoint.date = (200, b'{"value": []}', JSON), None
    _query(table)
    assert time.time() - 60 < table.now() < time.time()
