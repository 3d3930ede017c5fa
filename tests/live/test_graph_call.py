"""The search as in production: Microsoft's credential, a token endpoint, a strict Graph over a made tenant."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from dev.simulator.faults import Fault
from dev.simulator.hunting import Hunting
from dev.simulator.simulator import Simulator
from shared import identity
from shared.clients import defender, graph
from shared.payload.clues import SECOND, Clues, Host, When
from shared.search import devices, query, verdict
from tests.checks import spoiled

LIMIT = 20.0  # seconds until a wait counts as a failure
SOON = 0.5  # seconds: the deadline of calls that are meant to meet it
TIME = "2026-03-04T05:06:07.8912345Z"
AT = devices.moment(TIME) or 0
EVENT = {
    "table": "DeviceProcessEvents",
    "device": "pc-1.contoso.example",
    "time": TIME,
    "FileName": "tool.exe",
    "ProcessCommandLine": "tool.exe /run",
    "SHA1": "c" * 40,
    "ProcessId": 4711,
}
CLUES = Clues(
    hosts=(Host("name", "PC-1"),),
    when=When(AT, AT, SECOND, own=True),
    file_name="tool.exe",
    command_line="tool.exe /run",
)
QUERY = query.build(CLUES) or query.Query("", "", ())
ALERT = {
    "severity": "Low",
    "title": "A test",
    "description": "of the search",
    "recommendedAction": "none",
    "category": "Exploit",
}

Hunt = Callable[..., graph.Result]


def join_workers() -> None:
    """Wait until no thread of ours is at work any more."""
    for thread in threading.enumerate():
        if thread.name in {identity.THREAD_NAME, graph.THREAD_NAME, defender.THREAD_NAME}:
            thread.join(LIMIT)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """Run one simulator for all searches, with the one event; its tables and its parser take seconds to make."""
    with Simulator() as simulator:
        simulator.hunting = Hunting(simulator, calls=1_000)
        simulator.hunting.add([EVENT])
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    """Return the simulator with nothing switched."""
    running.switch(known_events="registered", missing_tables=(), faults=())
    return running


@pytest.fixture
def token_of(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Return a function that gets a token for the scope of a setting by Microsoft's own credential."""
    made: list[identity.TokenSource] = []
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, simulator.environment[name])

    def token(setting: str) -> str:
        scope = simulator.environment[setting]
        made.append(identity.TokenSource(scope, environ=simulator.environment, scope_setting=setting))
        return made[-1].token(timeout=LIMIT)

    yield token
    join_workers()
    for source in made:
        source.close()


@contextmanager
def client(simulator: Simulator, *, deadline: float = LIMIT) -> Iterator[graph.Graph]:
    """Yield a Graph for `simulator`; in the end close it and wait for its threads."""
    with closing(graph.Graph(simulator.url, deadline=deadline)) as caller:
        yield caller
    join_workers()


@pytest.fixture
def hunt(simulator: Simulator, token_of: Callable[[str], str]) -> Hunt:
    """Return a function that makes the one search of these tests, with other arguments where given."""

    def made(**changes: str | float) -> graph.Result:
        token = str(changes.get("token") or token_of("GRAPH_TOKEN_SCOPE"))
        with client(simulator, deadline=float(changes.get("deadline", LIMIT))) as caller:
            text, span = str(changes.get("text", QUERY.text)), str(changes.get("span", QUERY.timespan))
            return caller.hunt(text, span, QUERY.columns, token)

    return made


def test_an_event_is_found_and_its_reference_makes_an_alert(
    simulator: Simulator, hunt: Hunt, token_of: Callable[[str], str]
) -> None:
    """Among the day of 40 devices and the decoys the event is the match, and Defender takes its reference as it is."""
    result = hunt()
    assert (result.kind, result.message) == ("rows", "")
    judged = verdict.judge(CLUES, result.rows, age=4_000)
    assert judged.grade == "exact"
    assert judged.match is not None
    reference = verdict.reference(judged.match.row)
    assert (reference["eventTime"], judged.match.row["DeviceName"]) == (TIME, EVENT["device"])
    with closing(defender.Defender(simulator.url, deadline=LIMIT)) as caller:
        created = caller.create_alert({**ALERT, **reference}, token_of("DEFENDER_TOKEN_SCOPE"))
    assert created.kind == "created"
    search = simulator.hunting.log[-1]
    assert (search.query, search.timespan, search.status) == (QUERY.text, QUERY.timespan, 200)


def test_an_event_is_not_searchable_at_once(simulator: Simulator, hunt: Hunt) -> None:
    """An event whose time to be searchable has not come is not there, whatever else is."""
    other = replace(CLUES, hosts=(Host("name", "pc-2.contoso.example"),))
    asked = query.build(other)
    assert asked is not None
    [_] = simulator.hunting.add([{**EVENT, "device": "pc-2.contoso.example"}], searchable_after=3_600)
    assert [row for row in hunt(text=asked.text).rows if row["Row"] == "event"] == []


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (spoiled.WRONG_AUDIENCE, "forbidden", "GRAPH_TOKEN_SCOPE"),
        (spoiled.NO_ROLE, "forbidden", graph.ROLE),
        (spoiled.expires(-5), "forbidden", "GRAPH_TOKEN_SCOPE"),
        (Fault("quota", on="hunting"), "throttled", "45 per 00:01:00"),
        (Fault("resources", on="hunting"), "throttled", "processing resources"),
        (Fault("status", on="hunting", status=400), "bad query", "400"),
        (Fault("status", on="hunting", status=403), "forbidden", graph.ROLE),
        (Fault("status", on="hunting", status=500), "unavailable", "500"),
        (Fault("status", on="hunting", status=504), "unavailable", "504"),
        (Fault("html", on="hunting"), "unavailable", "502"),
        (Fault("html", on="hunting", status=200), "unreadable", "GRAPH_API_URL"),
        (Fault("foreign", on="hunting"), "unreadable", "GRAPH_API_URL"),
        (Fault("empty", on="hunting"), "unreadable", "GRAPH_API_URL"),
        (Fault("redirect", on="hunting"), "unreadable", "GRAPH_API_URL"),
        (spoiled.LARGE, "unreadable", "larger than"),
        (spoiled.ROUNDED, "unreadable", "ReportId"),
        (Fault("truncated", on="hunting"), "unavailable", "Microsoft Graph"),
        (Fault("reset", on="hunting"), "unavailable", "Microsoft Graph"),
        (Fault("hang", on="hunting"), "unavailable", "within 0.5 s"),
        (Fault("slow", on="hunting", delay=LIMIT), "unavailable", "within 0.5 s"),
        (Fault("trickle", on="hunting", delay=0.05), "unavailable", "within 0.5 s"),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_each_failure_has_its_meaning(
    simulator: Simulator, hunt: Hunt, fault: Fault, kind: str, words: str
) -> None:
    """Each failure of Graph or of the token is reported, and leaves the next search alone."""
    simulator.switch(faults=(replace(fault, times=1),))
    result = hunt(deadline=SOON if "within" in words else LIMIT)
    assert (result.kind, result.rows) == (kind, ())
    assert words in result.message
    assert (result.wait is not None) == (kind == "throttled")
    assert hunt().kind == "rows"


def test_other_casing_is_the_same_answer(simulator: Simulator, hunt: Hunt) -> None:
    """Names in small letters and annotations beside them change no row."""
    plain = hunt()
    simulator.switch(faults=(spoiled.SMALL_LETTERS,))
    assert hunt().rows == plain.rows != ()


def test_a_table_without_a_licence_is_named(simulator: Simulator, hunt: Hunt) -> None:
    """The table is known by its name, so that the search can go on in the others."""
    simulator.switch(missing_tables=("DeviceProcessEvents",))
    result = hunt()
    assert (result.kind, result.table) == ("no table", "DeviceProcessEvents")


def test_the_window_is_judged(simulator: Simulator, hunt: Hunt, monkeypatch: pytest.MonkeyPatch) -> None:
    """One search more than Graph takes in a minute is throttled, with the seconds to wait; a bad query counts."""
    monkeypatch.setattr(simulator, "hunting", Hunting(simulator, calls=1))
    assert hunt(span="").kind == "bad query"
    result = hunt()
    assert (result.kind, result.status) == ("throttled", 429)
    assert result.wait is not None
    assert 0 < result.wait <= 60
    assert [search.over_limit for search in simulator.hunting.log] == [False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "DeviceInfo; DeviceInfo"},
        {"text": "DeviceInfo | where Nothing == 1"},
        {"text": "DeviceProcessEvent | take 1"},
        {"text": ""},
        {"text": ".show tables"},
        {"text": f"DeviceInfo // {'x' * 10_000}"},
        {"span": "P30D/"},
        {"span": ""},
        {"span": "2026-01-01T00:00:00Z/2026-03-01T00:00:00Z"},
        {"span": "2026-03-02T00:00:00Z/2026-03-01T00:00:00Z"},
        {"span": "2026-03-01T00:00:00/2026-03-02T00:00:00"},
        {"span": "2026-03-01 00:00:00Z/2026-03-02 00:00:00Z"},
    ],
)
def test_what_graph_does_not_run_is_a_bad_query(hunt: Hunt, changes: dict[str, str]) -> None:
    """A query of two statements, too long, of a command, with an error or without a span of at most 30 days."""
    result = hunt(**changes)
    assert (result.kind, result.status) == ("bad query", 400)


def test_the_span_bounds_what_is_read(hunt: Hunt) -> None:
    """Where the query filters less, the span does."""
    assert hunt(span="2026-03-04T05:06:00Z/2026-03-04T05:07:00Z").rows
    assert hunt(span="2026-03-04T04:16:10Z/2026-03-04T05:05:00Z").rows == ()


def test_nobody_there(token_of: Callable[[str], str]) -> None:
    """A refused connection is unavailable, and nothing is sent."""
    token = token_of("GRAPH_TOKEN_SCOPE")
    with closing(graph.Graph("http://127.0.0.1:1", deadline=LIMIT)) as caller:
        result = caller.hunt(QUERY.text, QUERY.timespan, QUERY.columns, token)
    join_workers()
    assert (result.kind, result.status) == ("unavailable", None)
    assert token not in result.message
