"""The table's client against something that is no table: a proxy, a wrong address, a sick service."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

import pytest

from shared.errors import Busy, Conflict, NoTableToken, TableError, TableRefused, TokenError, Unavailable
from shared.settings import StorageSettings
from shared.table.azure import AzureTable
from shared.table.protocol import Delete, Insert

JSON, HTML, PARTS = "application/json", "text/html", "multipart/mixed; boundary=b"
Reply = tuple[int, bytes, str]
NEVER = "Fri, 31 Dec 2100 23:59:59 GMT"
# A connection that brought no sensible answer closes as garbage.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


class Endpoint(ThreadingHTTPServer):
    """Answers every request alike."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says: Reply = (500, b"", JSON)
        self.date: str | None = None  # what its clock says, if not the time
        self.pause = 0.0
        self.asked = 0
        self.paths: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Keep quiet of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_GET(self) -> None:
        """Read the request, and answer as it was asked to."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked += 1
        self.server.paths.append(unquote_plus(self.path))
        time.sleep(self.server.pause)
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
    return table.commit([Insert("a1", {"n": 1}), Delete("a2", "*")], mark="m")


ANYTHING: list[Reply] = [
    (200, b"<html>sign in</html>", HTML),
    (200, b"", JSON),
    (200, b"null", JSON),
    (200, b"[]", JSON),
    (200, b"{}", JSON),
    (200, b'{"value": "x"}', JSON),
    (200, b'{"value": [{"PartitionKey": "default", "RowKey": "a1"}]}', JSON),
    (304, b"", JSON),
    (500, b"<html>", HTML),
    (503, b"<html>", HTML),
]
EMPTY: Reply = (200, b'{"value": []}', JSON)
PARTLY: list[Reply] = [(202, b"<html>", HTML), (202, b"", PARTS), (202, b"--b--\r\n", PARTS)]


def test_a_filter_says_which_rows_without_a_character_that_no_key_has(
    table: AzureTable, endpoint: Endpoint
) -> None:
    """One row is asked for by `eq`, what follows a row by `gt`: no NUL goes to the service; quotes are doubled."""
    endpoint.says = EMPTY
    assert table.get("a'1") is None
    assert table.query("a", "b", after=True, limit=5) == []
    assert table.query("a", "b") == []
    filters = [path.partition("$filter=")[2].partition("&")[0] for path in endpoint.paths]
    assert filters == [
        "PartitionKey eq 'default' and RowKey eq 'a''1'",
        "PartitionKey eq 'default' and RowKey gt 'a' and RowKey lt 'b'",
        "PartitionKey eq 'default' and RowKey ge 'a' and RowKey lt 'b'",
    ]


@pytest.mark.parametrize(
    ("ask", "says"),
    [(_query, says) for says in ANYTHING] + [(_commit, says) for says in ANYTHING + PARTLY],
    ids=lambda part: f"{part[0]}-{part[1][:12].decode()}" if isinstance(part, tuple) else part.__name__,
)
def test_whatever_answers_in_the_tables_place_is_unavailable(
    endpoint: Endpoint, table: AzureTable, ask: Callable[[AzureTable], object], says: Reply
) -> None:
    """What no table says is `Unavailable` after one request, with a time to come back; no other error comes out."""
    endpoint.says = says
    with pytest.raises(Unavailable) as caught:
        ask(table)
    assert caught.value.retry_after
    assert not caught.value.certain
    assert endpoint.asked == 1


def _odata(code: str) -> bytes:
    return b'{"odata.error": {"code": "%s", "message": {"value": "later"}}}' % code.encode()


@pytest.mark.parametrize(
    ("says", "certain"),
    [
        ((429, b"", JSON), True),
        ((503, _odata("ServerBusy"), JSON), True),
        ((500, _odata("OperationTimedOut"), JSON), False),
    ],
    ids=["429", "ServerBusy", "OperationTimedOut"],
)
@pytest.mark.parametrize("ask", [_query, _commit])
def test_a_busy_table_is_recognised(
    endpoint: Endpoint, table: AzureTable, ask: Callable[[AzureTable], object], says: Reply, certain: bool
) -> None:
    """The table's own word that it has too much to do; only a time-out of its own leaves open whether it wrote."""
    endpoint.says = says
    with pytest.raises(Busy) as caught:
        ask(table)
    assert caught.value.certain is certain
    assert endpoint.asked == 1


def test_no_answer_in_time_is_unavailable(endpoint: Endpoint, table: AzureTable) -> None:
    """A request has the seconds that it is given, and no more; one with more time gets its answer."""
    endpoint.pause = 0.3
    for ask in (
        lambda: table.query("a", "b", seconds=0.1),
        lambda: table.commit([Insert("a1", {})], mark="m", seconds=0.1),
    ):
        with pytest.raises(Unavailable):
            ask()
    endpoint.says = (200, b'{"value": []}', JSON)
    assert table.query("a", "b", seconds=10.0) == []


@pytest.mark.parametrize("status", [404, 409, 412])
def test_a_query_has_no_conflicts(endpoint: Endpoint, table: AzureTable, status: int) -> None:
    """A conflict is an answer to a write; to a query it comes from something that is no table."""
    endpoint.says = (status, b"<html>", HTML)
    with pytest.raises(Unavailable):
        _query(table)
    with pytest.raises(Conflict):
        _commit(table)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_request_that_the_table_refuses_is_not_tried_again(
    endpoint: Endpoint, table: AzureTable, status: int
) -> None:
    """What no repetition can repair has a reason for the log, and none for the sender."""
    endpoint.says = (status, b"garbage", HTML)
    for ask in (_query, _commit):
        endpoint.asked = 0
        with pytest.raises(TableRefused) as caught:
            ask(table)
        assert endpoint.asked == 1
        assert str(status) in str(caught.value)
        assert str(status) not in caught.value.detail


@pytest.mark.parametrize("status", [302, 403, 429, 502])
def test_only_who_does_what_is_asked_tells_the_time(
    endpoint: Endpoint, table: AzureTable, status: int
) -> None:
    """The clock of whatever answers in the table's place opens no slot: its `Date` is not the table's time."""
    endpoint.says, endpoint.date = (status, b"<html>", HTML), NEVER
    with pytest.raises(TableError):
        _query(table)
    endpoint.says, endpoint.date = (200, b'{"value": []}', JSON), None
    _query(table)
    now = table.time()
    assert now
    assert time.time() - 60 < now < time.time()


class _NoToken:
    """A credential that has no token."""

    def get_token(self, *scopes: str, **options: object) -> object:
        """Fail as an identity does that the platform does not know."""
        del scopes, options
        raise TokenError("The identity gave no token. It said: AADSTS700016")


@pytest.mark.parametrize("ask", [_query, _commit])
def test_an_identity_without_a_token_is_no_refusal_of_the_table(ask: Callable[[AzureTable], object]) -> None:
    """The table was not asked: that may pass, and nothing was written. The log has the reason, the answer has not."""
    settings = StorageSettings(endpoint="https://account.table.core.windows.net")
    table = AzureTable(settings, name="Alerts", partition="default", credential=_NoToken)
    with pytest.raises(NoTableToken, match="AADSTS700016") as caught:
        ask(table)
    assert caught.value.certain
    assert "AADSTS" not in caught.value.detail
    table.close()
