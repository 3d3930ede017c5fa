"""The stage *entity* on many hosts, whatever goes wrong: worlds with faults, and twins that break a rule."""

import functools
import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.simulator.judge import violations
from shared.clients.create_alert import Result
from shared.ledger import keys, rows, settlement
from shared.ledger.record import Entry
from shared.sending import decision, entity, pause, window
from shared.sending.api import Outcome
from shared.settings import Settings
from tests.checks.app import App
from tests.checks.chances import Chances
from tests.checks.creating import Creations, answered, created, sign_in
from tests.checks.graph import Graph, found, payload
from tests.checks.sound import unsound
from tests.checks.virtual import EPOCH, Host, World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from shared.web.reply import Reply

ON = Settings(find_events="true", no_event="entity", find_events_retry_minutes=(1.0,))
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
    crash=st.sampled_from([0.0, 0.01]),
    call_slow=CHANCE,
    call_slow_seconds=st.just(55.0),
    call_unsent=CHANCE,
    answer_lost=CHANCE,
)
HARSH = Chances(crash=0.02, answer_lost=0.1, table_swallowed=0.05, freeze=0.02)


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


@dataclass
class Campaign:
    """Minutes of faults on several hosts, then two quiet hours on a new one, and what must be true of it all.

    `failing` is the chance that Graph fails a call, in every way; `pace` is the most seconds between two POSTs.
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
        self.creations = Creations(self.world, self._says)
        self.graph = Graph(self.world, lambda _, __: found())
        self.posts: list[tuple[int, Future[Reply]]] = []
        self.maybe: set[str] = set()
        """The titles of calls of which a second one may create a second alert."""

    def _says(self, before: int) -> Result | None:
        title = self.creations.titles[-1]
        if title in self.maybe:
            self.wrong.append(f"{title} was called again")
        answer: Result | None = created(before + 1)
        if self.world.now < EPOCH + QUIET and self.world.random.random() < self.failing:
            statuses = (302, 400, 403, 409, 429, 500, 503, None)
            status = self.world.random.choice(statuses)
            answer = answered(status, Retry_After="9") if status else None
        if answer is None or answer.kind in ("created", "unknown"):
            self.maybe.add(title)
        return answer

    def run(self) -> None:
        """Let it all happen."""
        hosts = [self._host(self.faults) for _ in range(4)]
        for app in hosts[:2]:
            app.timer()
        self._storm(hosts)
        for app in hosts:
            app.host.dead = True
        self._calm(self._host(Chances()))
        self._judge()

    def _storm(self, hosts: list[App]) -> None:
        world = self.world
        for number in range(self.count):
            app = world.random.choice(hosts)
            for _ in range(world.random.choice([1, 1, 2])):
                world.at(world.now, functools.partial(self._post, app, number))
            if self.paused and number == self.count // 2:
                world.table.commit([pause.stop(None, "drill", keys.ENTITY)])
            world.run(world.random.uniform(0, self.pace))
            self._look()
        stop = window.read_pause(world.table.get(keys.ENTITY.stop), window.Policy(stage=keys.ENTITY))
        if stop:
            world.table.commit(pause.resume(stop))
        while world.now < EPOCH + QUIET:
            world.run(20)
            self._look()

    def _calm(self, app: App) -> None:
        app.timer()
        for minute in range(120):
            if minute % 20 == 10:  # whoever posts it all again makes no second alert either
                for number in range(0, self.count, 3):
                    self._post(app, number)
            self.world.run(60)
            self._look()

    def _host(self, faults: Chances) -> App:
        error = self.world.random.uniform(-7200, 7200)
        script = faults.script(self.world)
        creates, hunts = self.creations, self.graph
        return App.on(Host(self.world, creates=creates, hunts=hunts, script=script, wall_error=error), ON)

    def _post(self, app: App, number: int) -> None:
        same = number - (number % 3 == 2)  # every third is the alert of its neighbour
        event: Any = payload(same, title=f"Search {same}") if same % 2 else sign_in(same)
        if number % 7 == 3:
            event = [event, sign_in(50 + number // 7)]
        self.posts.append((number, app.post(event)))

    def _look(self) -> None:
        self.wrong += unsound(self.world.table)

    def _judge(self) -> None:
        stored = self.world.table.query(keys.ALERT, keys.ALERT_END)
        entries = {entry.alert.id: entry for entry in map(rows.read, stored)}
        self.wrong += [
            f"{each.alert.title} is {each.state}" for each in entries.values() if not each.has_ended
        ]
        for number, post in self.posts:
            if post.done() and post.result().status in (200, 202):
                for alert in json.loads(post.result().body)["alerts"]:
                    self._judge_alert(number, self._became(entries, alert["id"]))
        if violations(self.creations.times, 15, 60.0):
            self.wrong.append("a call too many")

    def _judge_alert(self, number: int, entry: Entry | None) -> None:
        if entry is None:
            self.wrong.append(f"{number} is lost")
        elif entry.state == "failed":
            if self.faults == Chances() and not self.failing:
                self.wrong.append(f"{number} failed with {entry.error}")
        elif entry.state != "created" or entry.stage != keys.ENTITY:
            self.wrong.append(f"{number} is {entry.state}")
        elif entry.alert.title not in self.maybe:
            self.wrong.append(f"{number} is created, and Graph does not know it")

    def _became(self, entries: "Mapping[str, Entry]", alert: str) -> Entry | None:
        entry = entries.get(alert)
        return entries.get(entry.link) if entry and entry.state == "matched" else entry


@pytest.mark.slow
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    faults=FAULTS,
    failing=st.sampled_from([0.0, 0.1, 0.4]),
    paused=st.booleans(),
    pace=st.sampled_from([1.0, 15.0]),
)
def test_nothing_is_lost_or_called_twice_whatever_goes_wrong(
    seed: int, faults: Chances, failing: float, paused: bool, pace: float
) -> None:
    """What was answered 2xx is created, or failed with a reason; no call follows one that may have created an alert."""
    campaign = Campaign(seed, faults, failing, paused, pace=pace)
    campaign.run()
    assert campaign.wrong == []


@pytest.mark.parametrize("seed", range(3))
def test_without_a_fault_everything_is_created_once(seed: int) -> None:
    """The same POSTs on four hosts: one call for each alert, and none fails."""
    campaign = Campaign(seed, Chances(), paused=seed == 1)
    campaign.run()
    assert campaign.wrong == []
    titles = campaign.creations.titles
    assert len(titles) == len(set(titles)) > 15


# Twins that break a rule


def _tries_again(self: entity.Entity, entry: Entry, answer: Result, now: float) -> Outcome:
    told = _OUTCOME(self, entry, answer, now)
    if answer.kind != "unknown":
        return told
    return replace(told, after=settlement.again_later(replace(entry, error=answer.error), now, self.rules))


_OUTCOME = entity.Entity.outcome
TWINS: Any = {
    "tries an unknown answer again": (entity.Entity, "outcome", _tries_again),
    "takes back what a dead host held": (settlement, "give_up_lost", lambda _entry, **_: None),
    "accepts an unknown answer anew": (decision, "DOUBTFUL", ()),
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_that_calls_again_is_caught(twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each makes two alerts of one in some campaign."""
    monkeypatch.setattr(*TWINS[twin])
    assert any(
        "was called again" in wrong for seed in range(6) for wrong in _wrong(Campaign(seed, HARSH, 0.2))
    )


def test_a_twin_whose_slots_open_early_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots that open after a third of the window let too many calls through."""
    cooldown = window.Policy.cooldown.fget  # type: ignore[attr-defined]
    early = property(lambda policy: cooldown(policy) / (3 if policy.stage == keys.ENTITY else 1))
    monkeypatch.setattr(window.Policy, "cooldown", early)
    assert "a call too many" in _wrong(Campaign(1, Chances(), count=60, pace=1.0))


def _wrong(campaign: Campaign) -> list[str]:
    try:
        campaign.run()
    except Exception as error:  # noqa: BLE001 - rows that cannot be judged are wrong as well
        return [*campaign.wrong, repr(error)]
    return campaign.wrong
