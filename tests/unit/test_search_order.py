"""The order of searches over hours: findable alerts are found at once, whatever else is searched beside them."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dev import samples
from dev.simulator.judge import violations
from shared.settings import Settings
from tests.checks.app import App
from tests.checks.graph import Graph, found, payload, row
from tests.checks.virtual import Defender, Faults, Host, World

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
ON = Settings(find_events="true")
HOURS = 8


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Hours of alerts are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


def _post_at(at: float, app: App, given: Mapping[str, Any], sender: str = "") -> None:
    """Let a payload be posted at a time."""

    def post() -> None:
        app.post(given, sender=sender)

    app.host.world.at(at, post)


@pytest.mark.slow
def test_findable_alerts_are_found_at_once_beside_five_unfindable_a_minute() -> None:
    """For eight hours one findable a minute: each is searched within a minute, once, and raised within two."""
    world = World()
    graph = Graph(world, lambda _, number: found(row(number)) if number % 6 == 0 else found())
    defender = Defender(world)
    apps = [App.on(Host(world, QUICK, arrive=defender, hunts=graph), ON) for _ in range(2)]
    apps[0].timer()
    began = world.now
    posted = {number: began + number * 10.0 for number in range(HOURS * 360)}
    for number, at in posted.items():
        _post_at(at, apps[number % 2], payload(number), sender=f"{number % 6}" * 10)
    world.run(HOURS * 3600 + 120)
    findable = [number for number in posted if number % 6 == 0]
    waits = [graph.of(number)[0].at - posted[number] for number in findable]
    assert max(waits) < 60.0
    assert all(len(graph.of(number)) == 1 for number in findable)
    raised = {call.body["title"]: call.at for call in defender.arrivals}
    assert max(raised[f"Rule {number}"] - posted[number] for number in findable) < 120.0
    assert len(raised) == len(defender.arrivals) == len(findable)
    assert violations(graph.times, 15, 60.0) == []


def test_an_alert_with_a_reference_never_waits_for_hunting() -> None:
    """While every search hangs until its deadline and hundreds wait, a reference is created in its POST."""
    world = World()
    graph = Graph(world, lambda _before, _number: None)
    defender = Defender(world)
    app = App.on(Host(world, QUICK, arrive=defender, hunts=graph), replace(ON, max_alerts_per_delivery=100))
    app.timer()
    for batch in range(3):
        world.finish(app.post([payload(batch * 100 + number) for number in range(100)]))
    for event in range(20):
        world.run(30)
        answer = world.finish(
            app.post(samples.eight_fields(samples.event(event), f"Reference {event}", "High"))
        )
        assert json.loads(answer.body)["status"] == "created"
    assert len(defender.arrivals) == 20
    assert graph.arrivals


def test_first_searches_go_before_repeated_ones() -> None:
    """An alert that was searched in vain waits behind new ones of any severity, although it is older."""
    world = World()
    graph = Graph(world, lambda _before, _number: found())
    app = App.on(Host(world, QUICK, arrive=Defender(world), hunts=graph), replace(ON, find_events_calls=1))
    world.finish(app.post(payload(1)))
    app.timer()
    posted = world.now + 70.0
    for number in range(2, 8):
        _post_at(posted, app, {**payload(number), "severity": "low"})
    world.run(15 * 60)
    after = [arrival.number for arrival in graph.arrivals if arrival.at > posted]
    assert sorted(after[:6]) == [2, 3, 4, 5, 6, 7]
    assert 1 in after[6:]
