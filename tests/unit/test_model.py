"""A small model of the whole way, explored systematically: the real code, every interleaving and fault within bounds.

A story is played again and again, each time with other choices: which host's request arrives next, and what goes wrong
with it. A depth-first search makes every choice within two bounds: how often a line of execution is interrupted that
could go on, and how many faults happen. After every step all rows of the table are held against the ledger's
promises. `MODEL_BOUNDS=2,1` in the environment explores deeper than the tests usually do.
"""

import functools
import json
import logging
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from dev import samples
from dev.simulator.judge import violations
from shared.alerts import alert
from shared.ledger import keys, record, rows
from shared.mapping.outcome import Evidence, Mapped, Outcome, Refused
from shared.payload import names
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import Clues, When
from shared.payload.clues import Host as Device
from shared.search import devices, stored, verdict
from shared.sending import pause, window
from shared.settings import Settings
from tests.checks import graph
from tests.checks.sound import unsound
from tests.checks.virtual import AT_ONCE, ORIGIN, Defender, Fault, Host, Request, World, answer_with

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from shared.clients.answer import Answer
    from shared.clients.graph import Result
    from shared.mapping.mappings import Mappings
    from shared.table.protocol import Row
    from shared.web.reply import Reply
    from shared.webhook.receive import Webhook

pytestmark = pytest.mark.slow
_T = TypeVar("_T")
SETTINGS = Settings(rate_limit_calls=2)
SEARCHING = Settings(rate_limit_calls=2, find_events="true", find_events_calls=2)
POLICY = window.Policy(calls=2)
TABLE_FAULTS = (
    Fault("crash"),
    Fault("crashed"),
    Fault("lost"),
    Fault("swallowed"),
    Fault("late"),  # when the others let it
    Fault("late", 400.0),  # when every lease is over
    Fault("freeze", 200.0),
    Fault("frozen", 200.0),
)
FAULTS = {
    "query": (Fault("crash"), Fault("lost"), Fault("frozen", 200.0)),
    "commit": TABLE_FAULTS,
    "call": (Fault("crash"), Fault("crashed"), Fault("unsent"), Fault("swallowed"), Fault("late", 80.0)),
}
ANSWERS = (answer_with(500), answer_with(404), answer_with(429, retry_after=3.0), answer_with(400))
RESULTS = (
    graph.failure("unavailable", 503),
    graph.found(),
    graph.failure("throttled", 429, wait=3.0),
    graph.failure("bad query", 400),
    graph.failure("no table", 400, table="DeviceEvents"),
)


@dataclass
class Explorer:
    """Makes the choices of one story after another: every one within the bounds, each once."""

    interruptions: int
    faults: int
    interrupted: int = 0
    faulted: int = 0
    quiet: bool = False
    _path: list[list[int]] = field(default_factory=list)
    _at: int = 0

    def stories(self) -> Iterator[int]:
        """Begin one story after the other; yield its number."""
        number = 0
        while True:
            self._at = self.interrupted = self.faulted = 0
            self.quiet = False
            number += 1
            yield number
            while self._path and self._path[-1][0] + 1 == self._path[-1][1]:
                self._path.pop()
            if not self._path:
                return
            self._path[-1][0] += 1

    def pick(self, ready: int, goes_on: bool) -> int:
        """Choose whose request arrives next. To leave a line that could go on is an interruption; else it is free."""
        if self.quiet or (goes_on and self.interrupted == self.interruptions):
            return 0
        chosen = self._choose(ready)
        self.interrupted += bool(goes_on and chosen)
        return chosen

    def fault(self, request: Request) -> Fault | None:
        """Choose what goes wrong with a request, if anything."""
        kinds = FAULTS[request.kind]
        chosen = self.go_wrong(len(kinds))
        return kinds[chosen - 1] if chosen else None

    def answer(self) -> "Answer":
        """Choose what Defender says: that the alert is created, or else, which is a fault as well."""
        chosen = self.go_wrong(len(ANSWERS))
        return ANSWERS[chosen - 1] if chosen else answer_with(200)

    def result(self, number: int) -> "Result":
        """Choose what Graph says: that the event is found, or else, which is a fault as well."""
        chosen = self.go_wrong(len(RESULTS))
        return RESULTS[chosen - 1] if chosen else graph.found(graph.row(number))

    def go_wrong(self, kinds: int) -> int:
        """Choose one of so many things that go wrong, counted from 1, or 0 for none."""
        if self.quiet or self.faulted == self.faults:
            return 0
        chosen = self._choose(kinds + 1)
        self.faulted += bool(chosen)
        return chosen

    def _choose(self, options: int) -> int:
        if self._at == len(self._path):
            self._path.append([0, options])
        chosen, known = self._path[self._at]
        if known != options:
            raise RuntimeError("the same choices made another story")
        self._at += 1
        return chosen


@dataclass(frozen=True)
class OneAlert:
    """Mappings that make one known alert of whatever comes: what becomes of it is the story, not its mapping."""

    alert: alert.Alert

    def apply(
        self,
        documents: list[object],
        *,
        source: str | None,
        defaults: "Mapping[str, str]",
        max_alerts: int,
        now: float | None = None,
        clues: bool = False,
        made: frozenset[str] = frozenset(),
    ) -> Outcome:
        """Return the alert."""
        return Outcome("defender", (Mapped(0, self.alert, (), False, {}),), (), None)


@dataclass(frozen=True)
class OneSearch:
    """Mappings that make of whatever comes one event without a reference; `user` is a clue that changes no match."""

    event: int
    user: str = ""

    @property
    def clues(self) -> Clues:
        """What is known of the event."""
        moment = devices.moment(graph.row(self.event)["Timestamp"]) or 0
        return Clues(
            (Device("name", "pc-1"),),
            When(moment, moment, 1, own=True),
            command_line=graph.row(self.event)["CommandLine"],
            account_name=self.user,
        )

    @property
    def id(self) -> str:
        """The id of its search."""
        return stored.alert(self.texts, self.clues, source="splunk").id

    @property
    def texts(self) -> dict[str, str]:
        """The fields beside the reference."""
        body = _found(self.event).body()
        return {name: value for name, value in body.items() if name not in names.KEYS}

    def apply(self, documents: list[object], **_given: object) -> Outcome:
        """Return the event."""
        refused = Refused(0, (), evidence=Evidence(ClueScan(self.clues, {})), texts=self.texts)
        return Outcome("splunk", refused=(refused,))


class Preference(random.Random):
    """What a host picks with: of two slots, every other host prefers the first."""

    def __init__(self, host: int) -> None:
        super().__init__(0)
        self._host = host

    def choice(self, seq: Any) -> Any:
        """Return what this host prefers."""
        return seq[self._host % len(seq)]

    def sample(self, population: Sequence[_T], k: int, *, counts: Iterable[int] | None = None) -> list[_T]:
        """Return `k`, the preferred first."""
        assert counts is None
        first = self._host % max(1, len(population))
        return [*population[first:], *population[:first]][:k]


@dataclass
class Story:
    """One story: a world, the hosts in it, what was answered, and what must be true of it all."""

    explorer: Explorer
    world: World = field(init=False)
    defender: Defender = field(init=False)
    posts: list[tuple["Webhook", "Future[Reply]"]] = field(default_factory=list)
    alerts: set[str] = field(default_factory=set)
    searches: set[str] = field(default_factory=set)
    settings: Settings = SETTINGS
    _paused: list[bool] = field(default_factory=list)
    _writes: int = 0
    _hosts: int = 0

    def __post_init__(self) -> None:
        self.world = World(pick=self.explorer.pick, watch=self._step)
        self.defender = Defender(self.world, self._says)
        self.graph = graph.Graph(self.world, lambda _, number: self.explorer.result(number))

    def host(self, then: Callable[[], None] | None = None) -> Host:
        """Return a new host. `then` happens with its first request."""
        first = [then] if then else []

        def script(request: Request) -> Fault | None:
            if first:
                first.pop()()
            return self.explorer.fault(request)

        self._hosts += 1
        chance = Preference(self._hosts)
        return Host(self.world, AT_ONCE, arrive=self.defender, hunts=self.graph, script=script, chance=chance)

    def waiting(self, event: int, *, ago: float = 0.0) -> None:
        """Let an alert wait for a slot from before the story's beginning, due since so many seconds."""
        entry = self._entry(event, due=self.world.now - ago)
        self.world.table.commit(rows.insert(entry))

    def left_behind(self, event: int) -> None:
        """Let an alert have been taken by a host that died, so long ago that its lease is over."""
        entry = self._entry(event)
        self.world.now -= POLICY.lease + 1
        slot = window.read([], self.world.now, POLICY).slots[0]
        held = record.hold(entry, "dead", now=self.world.now, lease=POLICY.lease)
        self.world.table.commit([*rows.insert(held), window.acquire(slot, "dead", POLICY)])
        self.world.now += POLICY.lease + 1

    def pause_is_over(self) -> None:
        """Let a pause have ended, so that the next call is its probe."""
        operation = pause.start(None, pause.Trouble("500", 5.0), self.world.now)
        assert operation
        self.world.now -= 6.0
        self.world.table.commit([operation])
        self.world.now += 6.0

    def webhook(self, event: int, then: Callable[[], None] | None = None) -> None:
        """Let a host receive an alert."""
        self.receive(OneAlert(self._entry(event).alert), then)

    def search(self, event: int, then: Callable[[], None] | None = None, *, user: str = "") -> None:
        """Let a host receive an event whose reference is to be searched."""
        self.settings = SEARCHING
        mapped = OneSearch(event, user)
        self.searches.add(mapped.id)
        self.alerts.add(_found(event).id)
        self.receive(mapped, then)

    def reference_found(self, event: int) -> None:
        """Let a host receive the alert that a search leads to."""
        self.alerts.add(_found(event).id)
        self.receive(OneAlert(_found(event)))

    def receive(self, mappings: object, then: Callable[[], None] | None = None) -> None:
        """Let a host receive what these mappings make of whatever comes."""
        webhook = self.host(then).webhook(self.settings, cast("Mappings", mappings))
        host = cast("Host", webhook.dispatcher.table.requests)
        self.posts.append((webhook, host.ask(lambda: webhook.receive(b"{}", {}, ORIGIN))))

    def two_webhooks(self, event: int) -> None:
        """Let two hosts receive the same alert. Which of them is first makes no difference."""
        self.webhook(event, then=lambda: self.webhook(event))

    def dispatcher(self, then: Callable[[], None] | None = None) -> None:
        """Let a host's timer fire."""
        host = self.host(then)
        host.spawn(host.webhook(self.settings).dispatch)

    def two_dispatchers(self) -> None:
        """Let two hosts' timers fire. Which of them is first makes no difference."""
        self.dispatcher(then=self.dispatcher)

    def tell(self) -> None:
        """Let everything happen; then, without further faults, run the dispatcher until nothing waits; judge."""
        self.world.run()
        self.explorer.quiet = True
        for _ in range(20):
            if not self._waits():
                break
            self.dispatcher()
            self.world.run()
            self.world.now += 60.0
        self._judge()

    def _says(self, _number: int, _body: "Mapping[str, str]") -> "Answer":
        self._paused.append(bool(self.world.table.query(keys.PAUSE, keys.PAUSE + "~")))
        return self.explorer.answer()

    def _entry(self, event: int, *, due: float | None = None) -> record.Entry:
        made = _alert(event)
        self.alerts.add(made.id)
        now = self.world.now if due is None else due
        return record.accept(made, source="defender", delivery="before", now=now)

    def _step(self) -> None:
        table = self.world.table
        if table.writes != self._writes:
            self._writes = table.writes
            assert unsound(table) == []
        self.world.now += 0.001

    def _waits(self) -> list[str]:
        table = self.world.table
        spans = [span for stage in keys.STAGES for span in stage.waiting]
        return [row.key for span in spans for row in table.query(*span)]

    def _judge(self) -> None:
        assert self._waits() == [], "an alert is stuck"
        for alert_id in self.alerts:
            calls = [call for call in self.defender.arrivals if _id(call.body) == alert_id]
            assert len(calls) <= 1 + self.explorer.faulted, "a call without need"
            assert calls or self.explorer.faulted, "an alert was never sent"
        for search in self.searches:
            assert self.explorer.faulted or self._became(search), "a search led nowhere"
        searched = [search.number for search in self.graph.arrivals]
        assert len(searched) <= len(self.searches) + self.explorer.faulted, "a search without need"
        assert violations(self.graph.times, POLICY.calls, POLICY.window) == [], "a search too many"
        assert self.explorer.faulted or not any(self._paused[1:]), "a call beside the probe"
        times = [call.at for call in self.defender.arrivals]
        assert violations(times, POLICY.calls, POLICY.window) == [], "a call too many"
        for webhook, reply in self.posts:
            assert reply.done() or self.explorer.faulted, "a webhook hangs"
            if reply.done():
                self._judge_reply(webhook, reply.result())

    def _became(self, search: str) -> bool:
        row = self.world.table.get(keys.alert_key(search))
        return bool(row) and rows.read(cast("Row", row)).link in self.alerts

    def _judge_reply(self, webhook: "Webhook", reply: "Reply") -> None:
        assert reply.status in (200, 202) or self.explorer.faulted
        if reply.status not in (200, 202):
            return  # nothing was promised
        document = json.loads(reply.body)
        again = cast("Host", webhook.dispatcher.table.requests).ask(
            lambda: webhook.status(document["id"], ORIGIN)
        )
        self.world.run()
        if not again.done():  # that host has died since
            assert self.explorer.faulted
            return
        became = json.loads(again.result().body)
        assert again.result().status == (200 if became["alerts"][0]["status"] == "created" else 422)
        assert became["alerts"][0]["error"] or again.result().status == 200


@functools.cache
def _alert(event: int) -> alert.Alert:
    made = alert.check(samples.eight_fields(samples.event(event), f"Rule {event}", "High")).alert
    assert made
    return made


@functools.cache
def _found(event: int) -> alert.Alert:
    """Return the alert of the event that a search finds, as its sender would send it."""
    reference = verdict.reference(graph.row(event))
    return alert.Alert.from_body({**_alert(1).body(), **reference, "title": "Found"})


def _id(body: "Mapping[str, str]") -> str:
    return alert.Alert.from_body(body).id


def explore(
    scene: Callable[[Any], None],
    bounds: tuple[tuple[int, int], ...],
    fewest: int,
    kind: Callable[[Explorer], Story] = Story,
) -> None:
    """Tell every story of a scene within the bounds, which are pairs of interruptions and faults."""
    deeper = os.environ.get("MODEL_BOUNDS")
    if deeper:
        first, second = map(int, deeper.split(","))
        bounds = ((first, second),)
    stories = 0
    for interruptions, faults in bounds:
        explorer = Explorer(interruptions, faults)
        for _ in explorer.stories():
            story = kind(explorer)
            scene(story)
            story.tell()
            stories += 1
    print(f"{stories} stories")  # noqa: T201 - for whoever runs it with -s
    assert stories >= fewest


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of stories full of faults would be logged, and kept for the report."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _same_alert_on_two_hosts(story: Story) -> None:
    story.two_webhooks(1)
    story.two_dispatchers()


def _an_alert_waits(story: Story) -> None:
    story.waiting(1)
    story.webhook(1)
    story.two_dispatchers()


def _a_holder_died(story: Story) -> None:
    story.left_behind(1)
    story.webhook(1)
    story.two_dispatchers()


def _a_pause_is_over(story: Story) -> None:
    story.waiting(1, ago=-3600.0)
    story.waiting(2, ago=-3600.0)
    story.pause_is_over()
    story.webhook(3)
    story.dispatcher()


def _one_search_on_two_hosts(story: Story) -> None:
    story.search(1, then=lambda: story.search(1))
    story.dispatcher()


def _two_searches_for_one_event(story: Story) -> None:
    story.search(1)
    story.search(1, user="someone")


def _a_search_and_its_reference(story: Story) -> None:
    story.search(1)
    story.reference_found(1)


def _a_match_in_a_pause_that_is_over(story: Story) -> None:
    story.waiting(2, ago=-3600.0)
    story.pause_is_over()
    story.search(1)
    story.dispatcher()


def test_one_alert_on_two_hosts_and_two_dispatchers() -> None:
    """Two instances receive the same alert while two dispatchers run: one waiting row, one call, nothing stuck."""
    explore(_same_alert_on_two_hosts, ((2, 0), (0, 1)), 3000)


def test_a_waiting_alert_arrives_again_while_two_dispatchers_want_it() -> None:
    """An alert of the backlog is received again while two dispatchers want it: still one row and one call."""
    explore(_an_alert_waits, ((1, 0), (0, 1)), 1200)


def test_what_a_dead_holder_left_comes_back_once() -> None:
    """An alert whose holder died is taken back by one of two dispatchers, while it is received again."""
    explore(_a_holder_died, ((1, 1),), 700)


def test_a_pause_that_is_over_has_one_probe() -> None:
    """Whoever is first after a pause probes; what it brings is for all, and a probe that dies is replaced."""
    explore(_a_pause_is_over, ((1, 0), (0, 1)), 450)


def test_one_search_on_two_hosts() -> None:
    """Two instances receive the same event to be searched: one search, one alert, one call, nothing in two places."""
    explore(_one_search_on_two_hosts, ((1, 0), (0, 1)), 4000)


def test_two_searches_that_lead_to_one_event() -> None:
    """Two searches end at the same alert at the same time: it is called once."""
    explore(_two_searches_for_one_event, ((1, 0), (0, 1)), 500)


def test_a_search_beside_the_reference_that_it_leads_to() -> None:
    """The alert arrives with its reference while its event is searched: it is called once."""
    explore(_a_search_and_its_reference, ((1, 0), (0, 1)), 400)


def test_a_match_that_comes_after_a_pause_of_the_other_stage() -> None:
    """A match may be the probe of a pause that is over, or wait for its outcome."""
    explore(_a_match_in_a_pause_that_is_over, ((1, 0), (0, 1)), 4000)
