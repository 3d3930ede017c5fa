"""The table's client against Azurite, and against a network that loses requests and answers."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from dev.stack.azurite import Azurite
from shared.errors import Conflict, SettingsError, TableRefused, Unavailable
from shared.settings import StorageSettings
from shared.table.azure import AzureTable
from shared.table.patience import PatientTable
from shared.table.protocol import Delete, Insert, Replace, Value
from tests.checks.losing import LosingProxy


def _no_credential() -> object:
    raise AssertionError("a connection string needs no credential")


def _requests(connection_string: str | None, name: str) -> AzureTable:
    return AzureTable(
        StorageSettings(connection_string=connection_string),
        name=name,
        partition="default",
        credential=_no_credential,
    )


@contextmanager
def _open(connection_string: str, name: str) -> Iterator[PatientTable]:
    requests = _requests(connection_string, name)
    yield PatientTable(requests, time.monotonic, time.sleep, random.Random(0))
    requests.close()


@pytest.fixture
def table(azurite: Azurite, table_name: str) -> Iterator[PatientTable]:
    """Give a table that nobody has made yet."""
    with _open(azurite.connection_string, table_name) as table:
        yield table


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[LosingProxy]:
    """Give a proxy in front of Azurite."""
    with LosingProxy(azurite.port) as proxy:
        yield proxy


@pytest.fixture
def lossy(azurite: Azurite, proxy: LosingProxy, table_name: str) -> Iterator[PatientTable]:
    """Give a table behind the proxy, made and warm."""
    with _open(proxy.through(azurite.connection_string), table_name) as table:
        table.commit([Insert("warm", {})])
        yield table


def test_the_table_is_made_at_first_use(table: PatientTable) -> None:
    """A query of a table that is missing makes it and finds nothing; a second client just uses it."""
    assert table.query("a", "b") == []
    table.commit([Insert("a1", {"n": 1})])
    assert [row.key for row in table.query("a", "b")] == ["a1"]


def test_two_hosts_may_make_the_table_at_once(azurite: Azurite, table_name: str) -> None:
    """Hosts that start together both get their first write in."""
    with ExitStack() as opened:
        tables = [opened.enter_context(_open(azurite.connection_string, table_name)) for _ in range(4)]
        _write_first(tables)


def _write_first(tables: list[PatientTable]) -> None:
    failed: list[Exception] = []

    def first_write(number: int) -> None:
        try:
            tables[number].commit([Insert(f"a{number}", {})])
        except Exception as error:  # noqa: BLE001 - any error fails the test
            failed.append(error)

    threads = [threading.Thread(target=first_write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [row.key for row in tables[0].query("a", "b")] == ["a0", "a1", "a2", "a3"]


def test_a_row_comes_back_as_it_was_written(table: PatientTable) -> None:
    """Text, numbers and flags keep their kind and value; the ETag of the write is the ETag of the row."""
    values: dict[str, Value] = {
        "text": "ä€😀'\"<",
        "number": 7,
        "seconds": 60.25,
        "whole": 150.0,
        "flag": True,
    }
    etags = table.commit([Insert("a1", values)])
    (row,) = table.query("a", "b")
    assert {name: row.values[name] for name in values} == values
    assert row.etag == etags["a1"]
    assert row.timestamp > 1_700_000_000


def test_a_transaction_is_all_or_nothing(table: PatientTable) -> None:
    """A conflict of one operation leaves the others unwritten."""
    table.commit([Insert("a1", {"n": 1})])
    with pytest.raises(Conflict):
        table.commit([Insert("a2", {"n": 2}), Insert("a1", {"n": 3})])
    assert [(row.key, row.values["n"]) for row in table.query("a", "b")] == [("a1", 1)]


def test_one_row_and_what_follows_it(table: PatientTable) -> None:
    """A row is found by its key alone; a range without its start begins with the next row."""
    table.commit([Insert(key, {"n": 1}) for key in ("a1", "a1-b", "a2", "b'")])
    row = table.get("b'")
    assert row
    assert row.key == "b'"
    assert set(row.values) == {
        "n",
        "mark",
    }  # what a newer version wrote is written back, and nothing of the service
    assert table.get("a3") is None
    assert [row.key for row in table.query("a1", "b", after=True)] == ["a1-b", "a2"]
    assert [row.key for row in table.query("a1", "b")] == ["a1", "a1-b", "a2"]


def test_every_condition_holds(table: PatientTable) -> None:
    """An ETag that is not the newest, a missing row and an existing one all are conflicts."""
    first = table.commit([Insert("a1", {"n": 1, "m": 1})])["a1"]
    second = table.commit([Replace("a1", {"n": 2, "m": 2}, first)])["a1"]
    for stale in (
        Replace("a1", {"n": 9}, first),
        Delete("a1", first),
        Insert("a1", {"n": 9}),
        Delete("a2", "*"),
    ):
        with pytest.raises(Conflict):
            table.commit([stale])
    table.commit([Replace("a1", {"n": 3, "m": 2}, second)])
    (row,) = table.query("a", "b")
    assert (row.values["n"], row.values["m"]) == (3, 2)
    table.commit(
        [Delete("a1", row.etag), Replace("a3", {"n": 4}, "*")]
    )  # whatever is there, and if nothing is
    table.commit([Replace("a3", {"m": 5}, "*")])
    (row,) = table.query("a", "b")
    assert (row.key, row.values.get("n"), row.values["m"]) == ("a3", None, 5)


def test_a_transaction_the_table_cannot_take_is_refused_at_once(table: PatientTable) -> None:
    """What no repetition can repair differs from a conflict and from a table that is unavailable."""
    with pytest.raises(TableRefused):
        table.commit([Insert("a1", {"text": "x" * 40_000})])


def test_a_query_follows_pages_and_stops_at_its_limit(table: PatientTable) -> None:
    """More rows than a page come back whole and in order; a limit is kept."""
    for start in range(0, 1100, 100):
        table.commit([Insert(f"a{number:04}", {}) for number in range(start, start + 100)])
    assert [row.key for row in table.query("a", "b")] == [f"a{number:04}" for number in range(1100)]
    assert [row.key for row in table.query("a0990", "b", limit=20)][-1] == "a1009"


def test_the_servers_time_is_never_ahead_of_its_stamps(table: PatientTable) -> None:
    """`now` never exceeds the stamp of a write that comes after it, and follows it closely."""
    table.query("a", "b")
    for number in range(20):
        before = table.now()
        table.commit([Insert(f"a{number:02}", {})])
        (row,) = table.query(f"a{number:02}", "b")
        assert before <= row.timestamp
    assert table.now() >= row.timestamp


def test_a_write_whose_answer_was_lost_is_recognised_as_ours(lossy: PatientTable, proxy: LosingProxy) -> None:
    """The second try meets its own first write, and finds out that it landed."""
    proxy.lose("swallow_answer")
    etags = lossy.commit([Insert("a1", {"n": 1}), Insert("a2", {"n": 2})])
    assert proxy.hit == 1
    assert {row.key: row.etag for row in lossy.query("a", "b")} == etags


def test_a_conditional_write_whose_answer_was_lost_is_recognised_as_ours(
    lossy: PatientTable, proxy: LosingProxy
) -> None:
    """A replace whose ETag was used up by its own first try is no conflict."""
    first = lossy.commit([Insert("a1", {"n": 1})])["a1"]
    proxy.lose("swallow_answer")
    etag = lossy.commit([Replace("a1", {"n": 2}, first)])["a1"]
    (row,) = lossy.query("a", "b")
    assert (row.etag, row.values["n"]) == (etag, 2)


def test_a_lost_answer_does_not_hide_a_real_conflict(lossy: PatientTable, proxy: LosingProxy) -> None:
    """Where somebody else's write was first, the second try says so."""
    lossy.commit([Insert("a1", {"n": 1})])
    proxy.lose("swallow_answer")
    with pytest.raises(Conflict):
        lossy.commit([Insert("a1", {"n": 2})])
    assert proxy.hit == 1


def test_a_request_that_never_arrived_is_sent_again(lossy: PatientTable, proxy: LosingProxy) -> None:
    """Lost requests are made good, for reading as for writing."""
    proxy.lose("lose_request", times=2)
    lossy.commit([Insert("a1", {"n": 1})])
    proxy.lose("lose_request", times=2)
    assert [row.key for row in lossy.query("a", "b")] == ["a1"]
    assert proxy.hit == 4


def test_a_busy_table_is_asked_again_on_the_same_connection(lossy: PatientTable, proxy: LosingProxy) -> None:
    """503 ServerBusy costs a pause and another request; nothing is written twice, and nobody connects anew."""
    clients = set(proxy.clients)
    proxy.lose("busy", times=3)
    lossy.commit([Insert("a1", {"n": 1})])
    proxy.lose("busy", times=1)
    assert [row.key for row in lossy.query("a", "b")] == ["a1"]
    assert proxy.hit == 4
    assert proxy.clients == clients


def test_a_slow_table_is_waited_for(lossy: PatientTable, proxy: LosingProxy) -> None:
    """An answer that takes a second is an answer, and its request is not made again."""
    proxy.lose("slow", times=2)
    lossy.commit([Insert("a1", {"n": 1})])
    assert [row.key for row in lossy.query("a", "b")] == ["a1"]
    assert proxy.hit == 2


def test_an_unavailable_table_is_reported_and_works_again_without_a_restart(
    lossy: PatientTable, proxy: LosingProxy
) -> None:
    """Requests that are lost until the time is over are `Unavailable`; the next one works as soon as the table does."""
    proxy.lose("lose_request", times=1_000)
    with pytest.raises(Unavailable):
        lossy.until(time.monotonic() + 1.0).query("a", "b")
    proxy.heal()
    lossy.commit([Insert("a1", {"n": 1})])
    assert [row.key for row in lossy.query("a", "b")] == ["a1"]


def test_a_missing_or_broken_storage_setting_is_named_and_not_quoted() -> None:
    """Neither the answer nor its cause carries the connection string."""
    for connection_string in (None, "AccountKey=c2VjcmV0", "c2VjcmV0"):
        table = _requests(connection_string, "Alerts")
        with pytest.raises(SettingsError) as caught:
            table.query("a", "b")
        assert "AzureWebJobsStorage" in str(caught.value)
        assert "c2VjcmV0" not in str(caught.value)
        assert caught.value.__cause__ is None
