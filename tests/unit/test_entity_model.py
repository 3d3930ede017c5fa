"""The small model of alerts without an event: every interleaving and fault within bounds, and never a second call."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dev.simulator.judge import violations
from shared.clients.create_alert import Result
from shared.entity import once
from shared.ledger import keys, record, rows, settlement
from shared.search import stored
from shared.sending import window
from shared.settings import Settings
from tests.checks import graph
from tests.checks.creating import Creations, answered, created
from tests.unit.test_model import Explorer, OneSearch, Story, explore

if TYPE_CHECKING:
    from tests.checks.virtual import Host

pytestmark = pytest.mark.slow
STRAIGHT = Settings(no_event="entity", entity_alert_calls=2)
SEARCHED = Settings(
    no_event="entity",
    entity_alert_calls=2,
    find_events="true",
    find_events_calls=2,
    find_events_retry_minutes=(),
)
POLICY = window.Policy(calls=2, stage=keys.ENTITY)
WRONG = (answered(400), answered(429, Retry_After="3"), answered(500), answered(302))


class Tale(Story):
    """A story of alerts without an event; `made` counts the calls that may have created an alert."""

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(explorer, settings=STRAIGHT)
        self.creations = Creations(self.world, self._creates)
        self.graph = graph.Graph(self.world, lambda _, __: graph.found())
        self.made = 0

    def host(self, then: Callable[[], None] | None = None) -> "Host":
        """Return a new host, with Graph's `createAlert`."""
        host = super().host(then)
        host.creates = self.creations
        return host

    def arrives(self, then: Callable[[], None] | None = None) -> None:
        """Let a host receive the one alert of the story."""
        self.receive(OneSearch(1), then)

    def held(self) -> None:
        """Let a host have died with its call under way, so long ago that its lease is over."""
        mapped = OneSearch(1)
        entry = record.accept(
            once.alert(mapped.texts, mapped.clues, source="splunk", own_id=""),
            source="splunk",
            delivery="before",
            now=self.world.now,
            stage=keys.ENTITY,
            clues=stored.write(mapped.clues),
        )
        self.world.now -= POLICY.lease + 1
        slot = window.read([], self.world.now, POLICY).slots[0]
        after = record.hold(entry, "dead", now=self.world.now, lease=POLICY.lease)
        self.world.table.commit([*rows.insert(after), window.acquire(slot, "dead", POLICY)])
        self.world.now += POLICY.lease + 1
        self.made = 1

    def _creates(self, _before: int) -> Result:
        assert self.made == 0, "a second call of an alert that may be there"
        wrong = self.explorer.go_wrong(len(WRONG))
        answer = WRONG[wrong - 1] if wrong else created()
        self.made += answer.kind in ("created", "unknown")
        return answer

    def _judge(self) -> None:
        assert self._waits() == [], "an alert is stuck"
        assert violations(self.creations.times, POLICY.calls, POLICY.window) == [], "a call too many"
        faulted = self.explorer.faulted
        stored_alerts = map(rows.read, self.world.table.query(keys.ALERT, keys.ALERT_END))
        alerts = [entry for entry in stored_alerts if entry.stage == keys.ENTITY]
        assert len(alerts) == 1 or faulted, "the alert is not there, or twice"
        for entry in alerts:
            unknown = (entry.error or {}).get("code") == settlement.UNKNOWN
            assert entry.state != "created" or self.made == 1, "created, and Graph does not know it"
            assert faulted or entry.state == "created" or unknown, "it failed without a fault"
            assert faulted or len(self.creations.arrivals) == (0 if unknown else 1), "a call without need"
        for _, reply in self.posts:
            assert reply.done() or faulted, "a webhook hangs"
            if reply.done() and reply.result().status in (200, 202):
                assert alerts, "it was promised, and is lost"


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of stories full of faults would be logged, and kept for the report."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _on_two_hosts(tale: Tale) -> None:
    tale.arrives(then=tale.arrives)
    tale.dispatcher()


def _held_by_a_dead_host(tale: Tale) -> None:
    tale.held()
    tale.arrives()
    tale.two_dispatchers()


def _after_a_search(tale: Tale) -> None:
    tale.settings = SEARCHED
    tale.arrives()
    tale.dispatcher()


def test_one_alert_on_two_hosts() -> None:
    """Two instances receive the same alert while a dispatcher runs: one call, whatever goes wrong."""
    explore(_on_two_hosts, ((1, 0), (0, 1)), 3000, Tale)


def test_what_a_dead_host_held_is_never_called_again() -> None:
    """Two dispatchers find it while it arrives again: it ends as unknown, once, and nobody calls."""
    explore(_held_by_a_dead_host, ((1, 0), (0, 1)), 4000, Tale)


def test_a_search_without_an_event_leads_to_one_call() -> None:
    """The search ends, the alert is accepted in the next stage and called: at each fault at most one call."""
    explore(_after_a_search, ((1, 0), (0, 1)), 3000, Tale)


def test_a_twin_that_takes_back_what_a_dead_host_held_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule of one call some story makes a second one."""
    monkeypatch.setattr(settlement, "give_up_lost", lambda _entry, **_: None)
    with pytest.raises(AssertionError):
        explore(_held_by_a_dead_host, ((0, 0),), 1, Tale)
