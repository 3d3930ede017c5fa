"""Requests to the table that fail are made again, and a write that nobody answered is looked for."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from dev.memory_table import MemoryTable
from shared.errors import Busy, Conflict, NoTableToken, TableRefused, Unavailable, WriteUnknown
from shared.table.patience import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, OWN_SECONDS, PatientTable
from shared.table.protocol import REQUEST_SECONDS, Insert, Operation, Row
from tests.checks.virtual import AT_ONCE, Fault, Host, Request, World

BUSY, LOST, DENIED = Fault("busy"), Fault("lost"), Fault("denied")


@dataclass
class Script:
    """Faults for one request after the other; then nothing goes wrong. `asked` holds the requests and their times."""

    world: World
    faults: Iterator[Fault | None]
    asked: list[tuple[float, str]] = field(default_factory=list)

    def __call__(self, request: Request) -> Fault | None:
        """Return what goes wrong with a request."""
        self.asked.append((self.world.now, request.kind))
        return next(self.faults, None)


def _host(*faults: Fault | None, seed: int = 0) -> tuple[World, Host, Script]:
    world = World(seed)
    script = Script(world, iter(faults))
    return world, Host(world, AT_ONCE, script=script), script


def test_pauses_double_and_are_a_matter_of_chance() -> None:
    """Each pause is chance between nothing and a length that doubles up to the longest: full jitter."""
    pauses: list[float] = []

    class Chance(random.Random):
        def uniform(self, a: float, b: float) -> float:
            assert a == 0.0
            pauses.append(b)
            return b / 2

    world = World()
    script = Script(world, iter([BUSY] * 8))
    host = Host(world, AT_ONCE, script=script, chance=Chance())
    began = world.now
    world.finish(host.submit(lambda: host.table.until(host.monotonic() + 60).query("a", "b")))
    assert pauses[:5] == [FIRST_PAUSE_SECONDS * 2**step for step in range(5)]
    assert max(pauses) == LONGEST_PAUSE_SECONDS
    waited = [at - before for (before, _), (at, _) in zip(script.asked, script.asked[1:], strict=False)]
    assert waited == pytest.approx([pause / 2 for pause in pauses], abs=0.01)
    assert world.now - began == pytest.approx(sum(pauses) / 2, abs=0.01)


def test_hosts_that_were_turned_away_together_do_not_come_back_together() -> None:
    """Ten hosts that meet a busy table at one moment ask again at ten moments."""
    world = World(1)
    again: list[float] = []

    def busy(_: Request) -> Fault | None:
        again.append(world.now)
        return BUSY if len(again) <= 10 else None

    hosts = [Host(world, AT_ONCE, script=busy) for _ in range(10)]
    for host in hosts:
        host.submit(lambda host=host: host.table.query("a", "b"))  # type: ignore[misc]
    world.run(10)
    assert len(set(again[10:])) == 10


@pytest.mark.parametrize(("fault", "error"), [(BUSY, Busy), (LOST, Unavailable)])
def test_the_last_error_comes_out_when_the_time_is_over(fault: Fault, error: type[Exception]) -> None:
    """Who has a time of their own asks until it is over; who has none asks for `OWN_SECONDS`."""
    for seconds in (5.0, 20.0, None):
        world, host, _ = _host(*[fault] * 1000)
        table = host.table if seconds is None else host.table.until(host.monotonic() + seconds)
        began = world.now
        with pytest.raises(error):
            world.finish(host.submit(lambda table=table: table.query("a", "b")))  # type: ignore[misc]
        limit = OWN_SECONDS if seconds is None else seconds
        assert limit - LONGEST_PAUSE_SECONDS <= world.now - began <= limit


def test_one_request_has_ten_seconds_of_all_the_time() -> None:
    """A request that nobody answers leaves time for another one, and the other one may be slow."""
    world, host, script = _host(LOST)
    world.partition.seconds = 5.0
    began = world.now
    assert world.finish(host.submit(lambda: host.table.until(host.monotonic() + 20).query("a", "b"))) == []
    assert REQUEST_SECONDS + 5 <= world.now - began <= REQUEST_SECONDS + 6
    assert len(script.asked) == 2


def test_many_rows_are_read_side_by_side() -> None:
    """A hundred rows of a slow table take about as long as one, in the order asked for; what is missing is None."""
    world, host, script = _host()
    world.table.commit([Insert(f"a{number:02}", {"n": number}) for number in range(99)])
    world.partition.seconds = 1.0
    began = world.now
    asked = [f"a{number:02}" for number in reversed(range(100))]
    stored = world.finish(host.submit(lambda: host.table.get_all(asked)))
    assert [row and row.values["n"] for row in stored] == [None, *reversed(range(99))]
    assert world.now - began <= 2
    assert len(script.asked) == 100


def test_many_rows_have_the_time_of_one_query() -> None:
    """Where some do not come in time the table is unavailable: nobody gets a part as the whole."""
    world, host, _ = _host(*[LOST] * 50)
    table = host.table.until(host.monotonic() + 5)
    began = world.now
    with pytest.raises(Unavailable):
        world.finish(host.submit(lambda: table.get_all([f"a{number}" for number in range(10)])))
    assert world.now - began <= 6


def test_nothing_is_asked_when_the_time_is_over() -> None:
    """A time that is over costs no request; the server's time, once known, costs none anyway."""
    world, host, script = _host()
    world.finish(host.submit(lambda: host.table.query("a", "b")))
    over = host.table.until(host.monotonic() - 1)
    with pytest.raises(Unavailable):
        world.finish(host.submit(lambda: over.query("a", "b")))
    with pytest.raises(Unavailable):
        world.finish(host.submit(lambda: over.commit([Insert("a1", {})])))
    assert len(script.asked) == 1
    assert world.finish(host.submit(over.now)) <= world.now


def test_what_the_table_refuses_is_not_asked_again() -> None:
    """A refusal is no matter of patience."""
    world, host, script = _host(DENIED)
    for ask in (lambda: host.table.query("a", "b"), lambda: host.table.commit([Insert("a1", {})])):
        script.faults, script.asked = iter([DENIED]), []
        with pytest.raises(TableRefused):
            world.finish(host.submit(ask))
        assert len(script.asked) == 1


def _commit(host: Host, *operations: Operation, seconds: float = 20.0) -> dict[str, str]:
    table = host.table.until(host.monotonic() + seconds)
    return host.world.finish(host.submit(lambda: table.commit(operations)))


@pytest.mark.parametrize("unanswered", [Fault("swallowed"), Fault("timed out"), Fault("late", 1.0)], ids=str)
def test_a_write_that_landed_unanswered_is_found(unanswered: Fault) -> None:
    """Its mark is in the rows, so it is not written again, and the ETags are those of the rows."""
    world, host, script = _host(unanswered)
    etags = _commit(host, Insert("a1", {"n": 1}), Insert("a2", {"n": 2}))
    rows = world.table.query("a", "b")
    assert {row.key: row.etag for row in rows} == etags
    assert [kind for _, kind in script.asked] == ["commit", "query", "query"]


def test_a_write_that_was_lost_is_made_again() -> None:
    """Where no row has the mark, it is written again; once."""
    world, host, script = _host(LOST)
    etags = _commit(host, Insert("a1", {"n": 1}))
    assert [row.etag for row in world.table.query("a", "b")] == [etags["a1"]]
    assert [kind for _, kind in script.asked] == ["commit", "query", "commit"]


def test_a_busy_table_that_wrote_nothing_is_not_searched() -> None:
    """After 503 ServerBusy there is nothing to look for: that would only make the table busier."""
    _, host, script = _host(BUSY, BUSY)
    _commit(host, Insert("a1", {}))
    assert [kind for _, kind in script.asked] == ["commit"] * 3


def test_somebody_elses_row_is_a_conflict_also_after_a_lost_request() -> None:
    """A row without our mark was written by somebody else."""
    world, host, _ = _host(LOST)
    world.table.commit([Insert("a1", {"mark": "theirs"})])
    with pytest.raises(Conflict):
        _commit(host, Insert("a1", {}))


def test_a_write_that_lands_between_search_and_repetition_is_ours() -> None:
    """The repetition meets our own row: it is looked for once more, and found."""
    world, host, script = _host(Fault("late", 11.5))
    world.partition.seconds = (
        2.0  # the search is over before it lands at 12.5, the repetition arrives after 13
    )
    etags = _commit(host, Insert("a1", {}))
    assert [kind for _, kind in script.asked] == ["commit", "query", "commit", "query"]
    assert [row.etag for row in world.table.query("a", "b")] == [etags["a1"]]


def test_what_nobody_knows_is_said_so() -> None:
    """A write without an answer, and nobody to ask: neither success nor failure, and it may land yet."""
    world, host, _ = _host(Fault("late", 30.0), *[LOST] * 50)
    began = world.now
    with pytest.raises(WriteUnknown) as caught:
        _commit(host, Insert("a1", {}))
    assert world.now - began <= 21
    assert "not known" in caught.value.detail
    world.run(30)
    assert len(world.table.query("a", "b")) == 1


def test_a_write_that_was_certainly_not_made_is_no_unknown() -> None:
    """A table that was busy to the end wrote nothing, and says so."""
    world, host, _ = _host(*[BUSY] * 50)
    with pytest.raises(Busy):
        _commit(host, Insert("a1", {}))
    assert world.table.query("a", "b") == []


def test_a_large_transaction_is_searched_by_its_last_rows() -> None:
    """Of ninety-nine rows a few are looked at: enough for one that never changes to be among them."""
    _, host, script = _host(LOST)
    _commit(host, *(Insert(f"a{number:02}", {}) for number in range(99)), seconds=60)
    assert [kind for _, kind in script.asked].count("query") <= 5


class Timeless(MemoryTable):
    """A table whose answers carry no time."""

    def time(self) -> float | None:
        """Know nothing."""
        return None

    def query(  # type: ignore[override]
        self,
        start: str,
        end: str,
        *,
        after: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        seconds: float,
    ) -> list[Row]:
        """Answer without a time."""
        del seconds
        return super().query(start, end, after=after, limit=limit, keys_only=keys_only)


def test_without_the_servers_time_the_table_is_unavailable() -> None:
    """Nobody's clock stands in for the server's."""
    table = PatientTable(Timeless(), lambda: 0.0, lambda _: None, random.Random(0))  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        table.now()


@pytest.mark.parametrize(("late", "requests"), [(True, 1), (False, 3)])
def test_an_identity_that_does_not_answer_is_not_waited_for_again(late: bool, requests: int) -> None:
    """One that answers with an error may give a token in a moment; one that hangs would hold up every sender."""

    class NoToken:
        """A table that needs a token, and has one at the third request."""

        asked = 0

        def time(self) -> float:
            return 0.0

        def get(self, *_: object, **__: object) -> None:
            raise AssertionError

        def query(self, *_: object, **__: object) -> list[Row]:
            self.asked += 1
            if self.asked < 3:
                raise NoTableToken("no token", late=late)
            return []

        def commit(self, *_: object, **__: object) -> dict[str, str]:
            raise AssertionError

    table = NoToken()
    patient = PatientTable(table, lambda: 0.0, lambda _: None, random.Random(0))
    if late:
        with pytest.raises(NoTableToken):
            patient.query("a", "b")
    else:
        assert patient.query("a", "b") == []
    assert table.asked == requests
