"""The table's client against Azurite, and against a network that loses requests and answers."""

import threading
from collections.abc import Iterator

import pytest

from dev.stack.azurite import Azurite
from dev.stack.proxy import Proxy
from shared.problems import SettingsError, StorageOut
from shared.settings import StorageSettings
from shared.storage import AzureTable, Conflict, Delete, Insert, Merge, Refused, Replace, Value


def _no_credential() -> object:
    raise AssertionError("a connection string needs no credential")


def _open(connection_string: str, name: str) -> AzureTable:
    return AzureTable(
        StorageSettings(connection_string=connection_string),
        name=name,
        partition="default",
        credential=_no_credential,
    )


@pytest.fixture
def table(azurite: Azurite, table_name: str) -> Iterator[AzureTable]:
    """Give a table that nobody has made yet."""
    table = _open(azurite.connection_string, table_name)
    yield table
    table.close()


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[Proxy]:
    """Give a proxy in front of Azurite."""
    with Proxy(azurite.port) as proxy:
        yield proxy


@pytest.fixture
def lossy(azurite: Azurite, proxy: Proxy, table_name: str) -> Iterator[AzureTable]:
    """Give a table behind the proxy, made and warm."""
    table = _open(azurite.connection_string.replace(f":{azurite.port}/", f":{proxy.port}/"), table_name)
    table.commit([Insert("warm", {})])
    yield table
    table.close()


def test_the_table_is_made_at_first_use(table: AzureTable) -> None:
    """A query of a table that is missing makes it and finds nothing; a second client just uses it."""
    assert table.query("a", "b") == []
    table.commit([Insert("a1", {"n": 1})])
    assert [row.key for row in table.query("a", "b")] == ["a1"]


def test_two_hosts_may_make_the_table_at_once(azurite: Azurite, table_name: str) -> None:
    """Hosts that start together both get their first write in."""
    tables = [_open(azurite.connection_string, table_name) for _ in range(4)]
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
    for table in tables:
        table.close()


def test_a_row_comes_back_as_it_was_written(table: AzureTable) -> None:
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


def test_a_transaction_is_all_or_nothing(table: AzureTable) -> None:
    """A conflict of one operation leaves the others unwritten."""
    table.commit([Insert("a1", {"n": 1})])
    with pytest.raises(Conflict):
        table.commit([Insert("a2", {"n": 2}), Insert("a1", {"n": 3})])
    assert [(row.key, row.values["n"]) for row in table.query("a", "b")] == [("a1", 1)]


def test_every_condition_holds(table: AzureTable) -> None:
    """An ETag that is not the newest, a missing row and an existing one all are conflicts."""
    first = table.commit([Insert("a1", {"n": 1, "m": 1})])["a1"]
    second = table.commit([Replace("a1", {"n": 2, "m": 2}, first)])["a1"]
    for stale in (
        Replace("a1", {"n": 9}, first),
        Merge("a1", {"n": 9}, first),
        Delete("a1", first),
        Insert("a1", {"n": 9}),
        Merge("a2", {"n": 9}, "*"),
        Delete("a2", "*"),
    ):
        with pytest.raises(Conflict):
            table.commit([stale])
    table.commit([Merge("a1", {"n": 3}, second)])
    (row,) = table.query("a", "b")
    assert (row.values["n"], row.values["m"]) == (3, 2)
    table.commit(
        [Delete("a1", row.etag), Replace("a3", {"n": 4}, "*")]
    )  # whatever is there, and if nothing is
    table.commit([Replace("a3", {"m": 5}, "*")])
    (row,) = table.query("a", "b")
    assert (row.key, row.values.get("n"), row.values["m"]) == ("a3", None, 5)


def test_a_transaction_the_table_cannot_take_is_refused_at_once(table: AzureTable) -> None:
    """What no repetition can mend is told apart from a conflict and from an outage."""
    with pytest.raises(Refused):
        table.commit([Insert("a1", {"text": "x" * 40_000})])


def test_a_query_follows_pages_and_stops_at_its_limit(table: AzureTable) -> None:
    """More rows than a page come back whole and in order; a limit is kept."""
    for start in range(0, 1100, 100):
        table.commit([Insert(f"a{number:04}", {}) for number in range(start, start + 100)])
    assert [row.key for row in table.query("a", "b")] == [f"a{number:04}" for number in range(1100)]
    assert [row.key for row in table.query("a0990", "b", limit=20)][-1] == "a1009"


def test_the_servers_time_is_never_ahead_of_its_stamps(table: AzureTable) -> None:
    """`now` never exceeds the stamp of a write that comes after it, and follows it closely."""
    table.query("a", "b")
    for number in range(20):
        before = table.now()
        table.commit([Insert(f"a{number:02}", {})])
        (row,) = table.query(f"a{number:02}", "b")
        assert before <= row.timestamp
    assert table.now() >= row.timestamp


def test_a_write_whose_answer_was_lost_is_recognised_as_ours(lossy: AzureTable, proxy: Proxy) -> None:
    """The second try meets its own first write, and finds out that it landed."""
    proxy.lose("swallow_answer")
    etags = lossy.commit([Insert("a1", {"n": 1}), Insert("a2", {"n": 2})])
    assert proxy.hit == 1
    assert {row.key: row.etag for row in lossy.query("a", "b")} == etags


def test_a_conditional_write_whose_answer_was_lost_is_recognised_as_ours(
    lossy: AzureTable, proxy: Proxy
) -> None:
    """A replace whose ETag was used up by its own first try is no conflict."""
    first = lossy.commit([Insert("a1", {"n": 1})])["a1"]
    proxy.lose("swallow_answer")
    etag = lossy.commit([Replace("a1", {"n": 2}, first)])["a1"]
    (row,) = lossy.query("a", "b")
    assert (row.etag, row.values["n"]) == (etag, 2)


def test_a_lost_answer_does_not_hide_a_real_conflict(lossy: AzureTable, proxy: Proxy) -> None:
    """Where somebody else's write was first, the second try says so."""
    lossy.commit([Insert("a1", {"n": 1})])
    proxy.lose("swallow_answer")
    with pytest.raises(Conflict):
        lossy.commit([Insert("a1", {"n": 2})])
    assert proxy.hit == 1


def test_a_request_that_never_arrived_is_sent_again(lossy: AzureTable, proxy: Proxy) -> None:
    """One lost request is made good on a fresh connection, for reading as for writing."""
    proxy.lose("lose_request")
    lossy.commit([Insert("a1", {"n": 1})])
    proxy.lose("lose_request")
    assert [row.key for row in lossy.query("a", "b")] == ["a1"]
    assert proxy.hit == 2


def test_two_losses_are_an_outage_and_it_ends_without_a_restart(lossy: AzureTable, proxy: Proxy) -> None:
    """No answer twice is `StorageOut`; the next request works as soon as the table does."""
    proxy.lose("lose_request", times=2)
    with pytest.raises(StorageOut):
        lossy.query("a", "b")
    lossy.commit([Insert("a1", {"n": 1})])
    assert [row.key for row in lossy.query("a", "b")] == ["a1"]


def test_a_missing_or_broken_storage_setting_is_named_and_not_quoted() -> None:
    """Neither the answer nor its cause carries the connection string."""
    for connection_string in (None, "AccountKey=c2VjcmV0", "c2VjcmV0"):
        table = AzureTable(
            StorageSettings(connection_string=connection_string),
            name="Alerts",
            partition="default",
            credential=_no_credential,
        )
        with pytest.raises(SettingsError) as caught:
            table.query("a", "b")
        assert "AzureWebJobsStorage" in str(caught.value)
        assert "c2VjcmV0" not in str(caught.value)
        assert caught.value.__cause__ is None
