"""The search stage on many hosts, whatever goes wrong: worlds with faults, and twins that break a rule."""

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev import samples
from dev.simulator.judge import violations
from shared.clients.graph import Result
from shared.ledger import keys, rows
from shared.ledger.record import Entry
from shared.sending import forward, pause, search, window
from shared.settings import Settings
from shared.table.protocol import Operation, Replace
from tests.checks.app import App
from tests.checks.chances import Chances
from tests.checks.graph import Graph, failure, found, payload, row
from tests.checks.sound import unsound
from tests.checks.virtual import EPOCH, Defender, Faults, Host, World, answer_with

if TYPE_CHECKING:
    from concurrent.futures import Future

    from shared.clients.answer import Answer
    from shared.web.reply import Reply

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
ON = Settings(find_events="true")
QUIET = 600.0
"""Seconds of faults; after them everything works."""
CHANCE = st.sampled_from([0.0, 0.02, 0.1])
FAULTS = st.builds(
    Chances,
    table_lost=CHANCE,
    table_late=CHANCE,
    table_swallowed=CHANCE,
    table_busy=CHANCE,
    freeze=st.sampled_from([0.0, 0.02]),
    crash=st.sampled_from([0.0, 0.005]),
    call_slow=CHANCE,
    call_slow_seconds=st.just(55.0),
    call_unsent=CHANCE,
    answer_lost=CHANCE,
)


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


@dataclass
class Campaign:
    """Minutes of faults on several hosts, then a quiet hour on a new one, and what must be true of it all.

    `pace` is the most seconds between two POSTs.
    """

    seed: int
    faults: Chances
    failing: float = 0.0
    paused: bool = False
    count: int = 24
    pace: float = 15.0
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self.seed)
        self.chance = self.world.random.random
        self.defender = Defender(self.world, self._defender)
        self.graph = Graph(self.world, self._graph)
        self.posts: list[tuple[int, Future[Reply]]] = []

    def _fails(self) -> bool:
        return self.world.now < EPOCH + QUIET and self.chance() < self.failing

    def _graph(self, _before: int, number: int) -> Result | None:
        if self._fails():
            return self.world.random.choice(
                [failure("throttled", 429, wait=9.0), failure("unavailable", 503), found(), None]
            )
        # Every third event is that of its neighbour, under the same title; every fifth is never found.
        return (
            found()
            if number % 5 == 4
            else found(row(number - (number % 3 == 2), CommandLine=_command(number)))
        )

    def _defender(self, _number: int, _body: Mapping[str, str]) -> "Answer | None":
        if self._fails():
            return self.world.random.choice(
                [answer_with(404), answer_with(429, retry_after=7.0), answer_with(500), None]
            )
        return answer_with(200)

    def run(self) -> None:
        """Let it all happen."""
        world = self.world
        hosts = [self._host(self.faults) for _ in range(4)]
        for app in hosts[:2]:
            app.timer()
        for number in range(self.count):
            app = world.random.choice(hosts)
            for _ in range(world.random.choice([1, 1, 2])):
                world.at(world.now, functools.partial(self._post, app, number))
            if self.paused and number == self.count // 2:
                self._operate(pause.stop(None, "drill", keys.SEARCH), pause.stop(None, "drill"))
            world.run(world.random.uniform(0, self.pace))
            self._look()
        for stage in (keys.SEARCH, keys.REFERENCE):
            stop = window.read_pause(world.table.get(stage.stop), window.Policy(stage=stage))
            if stop:
                world.table.commit(pause.resume(stop))
        while world.now < EPOCH + QUIET:
            world.run(20)
            self._look()
        for app in hosts:
            app.host.dead = True
        self._host(Chances()).timer()
        for _ in range(60):
            world.run(60)
            self._look()
        self._judge()

    def _host(self, faults: Chances) -> App:
        error = self.world.random.uniform(-7200, 7200)
        host = Host(
            self.world,
            arrive=self.defender,
            hunts=self.graph,
            script=faults.script(self.world),
            wall_error=error,
        )
        return App.on(host, ON)

    def _post(self, app: App, number: int) -> None:
        title = f"Rule {number - (number % 3 == 2)}"
        event: Any = payload(number, title=title)
        if number % 7 == 3:
            event = [event, samples.eight_fields(samples.event(number), f"Reference {number}", "High")]
        self.posts.append((number, app.post(event)))

    def _operate(self, *operations: Operation) -> None:
        self.world.table.commit(operations)

    def _look(self) -> None:
        self.wrong += unsound(self.world.table)

    def _judge(self) -> None:
        entries = self._entries()
        self.wrong += [
            f"{entry.alert.title} is {entry.state}" for entry in entries.values() if not entry.has_ended
        ]
        for number, post in self.posts:
            if not post.done() or post.result().status not in (200, 202):
                continue  # nothing was promised
            document = json.loads(post.result().body)
            for alert in document["alerts"]:
                self._judge_alert(number, self._became(entries, alert["id"]))
        for times, what in (
            (self.graph.times, "search"),
            ([call.at for call in self.defender.arrivals], "call"),
        ):
            if violations(times, 15, 60.0):
                self.wrong.append(f"a {what} too many")
        if self.faults == Chances() and not self.failing:
            self._judge_once()

    def _judge_alert(self, number: int, entry: Entry | None) -> None:
        if entry is None:
            self.wrong.append(f"{number} is lost")
        elif entry.state == "failed":
            code = (entry.error or {}).get("code")
            if code != "EventNotFound" or not (number % 5 == 4 or self.failing):
                self.wrong.append(f"{number} failed with {entry.error}")
        elif entry.state != "created":
            self.wrong.append(f"{number} is {entry.state}")

    def _judge_once(self) -> None:
        """Without a fault nothing is searched twice that was found, and nothing is created twice."""
        for number in range(self.count):
            if number % 5 != 4 and len(self.graph.of(number)) != 1:
                self.wrong.append(f"{number} was searched {len(self.graph.of(number))} times")
        titles = [call.body["title"] for call in self.defender.arrivals]
        self.wrong += [f"{title} was created twice" for title in set(titles) if titles.count(title) > 1]

    def _entries(self) -> dict[str, Entry]:
        stored = self.world.table.query(keys.ALERT, keys.ALERT_END)
        return {entry.alert.id: entry for entry in map(rows.read, stored)}

    def _became(self, entries: Mapping[str, Entry], alert: str) -> Entry | None:
        entry = entries.get(alert)
        return entries.get(entry.link) if entry and entry.state == "matched" else entry


def _command(number: int) -> str:
    return f"tool.exe /run {number}"


@pytest.mark.slow
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    faults=FAULTS,
    failing=st.sampled_from([0.0, 0.1, 0.4]),
    paused=st.booleans(),
    pace=st.sampled_from([1.0, 15.0]),
)
def test_nothing_is_lost_whatever_goes_wrong(
    seed: int,
    faults: Chances,
    failing: float,
    paused: bool,
    pace: float,
) -> None:
    """What was answered 2xx is created, or failed with a reason; no alert waits in two places; both windows hold."""
    campaign = Campaign(seed, faults, failing, paused, pace=pace)
    campaign.run()
    assert campaign.wrong == []


@pytest.mark.parametrize("seed", range(3))
def test_without_a_fault_nothing_is_searched_or_created_twice(seed: int) -> None:
    """The same POSTs on four hosts: one search for each that is found, and one call for each event."""
    campaign = Campaign(seed, Chances())
    campaign.run()
    assert campaign.wrong == []
    assert len(campaign.defender.arrivals) > 10


# Twins that break a rule


def _ends_the_search_first(self: forward.Forward, found: Entry, beside: Sequence[Operation]) -> Entry:
    self.dispatcher.table.commit(beside)
    return self._new(found, [])


def _accepts_first(self: forward.Forward, found: Entry, beside: Sequence[Operation]) -> Entry:
    after = self._new(found, [])
    self.dispatcher.table.commit(beside)
    return after


def _takes_no_notice(self: forward.Forward, found: Entry, beside: Sequence[Operation]) -> Entry:
    return self._new(found, beside)


ACCEPT: Any = (_ends_the_search_first, _accepts_first, _takes_no_notice)


@pytest.mark.parametrize("accept", ACCEPT)
def test_a_twin_that_passes_matches_on_otherwise_is_caught(
    accept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two transactions, in either order, or blind to known alerts: some campaign shows what goes wrong."""
    monkeypatch.setattr(forward.Forward, "accept", accept)
    faults = Chances(crash=0.01, table_swallowed=0.05, table_lost=0.05)
    assert any(_wrong(Campaign(seed, faults)) for seed in range(6))


def test_a_twin_whose_slots_of_searches_open_early_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots that open after a third of the window let too many searches through."""
    released = window.release

    def early(held: window.Held, policy: window.Policy) -> Operation:
        operation = released(held, policy)
        if policy.stage == keys.SEARCH and isinstance(operation, Replace):
            return replace(operation, values={**operation.values, "closed": 20.0})
        return operation

    monkeypatch.setattr(window, "release", early)
    campaign = Campaign(1, Chances(), count=60, pace=2.0)
    campaign.run()
    assert "a search too many" in campaign.wrong


def test_a_twin_that_searches_what_it_has_found_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes a match for nothing, once, searches twice."""
    judged = search.Search._judged

    def forgetful(self: search.Search, entry: Entry, *given: Any) -> Any:
        if entry.attempts == 1:
            given = (*given[:1], found(), *given[2:])
        return judged(self, entry, *given)

    monkeypatch.setattr(search.Search, "_judged", forgetful)
    assert any("was searched 2 times" in wrong for wrong in _wrong(Campaign(2, Chances(), count=6)))


def _wrong(campaign: Campaign) -> list[str]:
    try:
        campaign.run()
    except Exception as error:  # noqa: BLE001 - rows that cannot be judged are wrong as well
        return [repr(error)]
    return campaign.wrong
