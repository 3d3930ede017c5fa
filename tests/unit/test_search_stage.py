"""The stage *search* from a POST to its end: the real code on hosts of a virtual world with a Graph."""

import itertools
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from dev import samples
from dev.simulator.judge import violations
from shared.clients.graph import Result
from shared.ledger import keys, record, rows
from shared.ledger.record import Entry
from shared.senders import Sender
from shared.sending import pause, window
from shared.settings import Settings
from shared.table.protocol import Delete
from shared.web.reply import Reply
from tests.checks.app import App
from tests.checks.graph import Graph, failure, found, payload, row, without_device
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Faults, Host, Request, World, answer_with

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
ON = Settings(find_events="true")
MINUTES = ON.find_events_retry_minutes
SPLUNK, OTHER = "0f" * 5, "1e" * 5


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


class Scene:
    """An app that has seen the table before, with a Graph and a Defender; `says` answers for Graph."""

    def __init__(
        self, says: Callable[[int, int], Result | None] | None = None, settings: Settings = ON, seed: int = 0
    ) -> None:
        self.world = World(seed)
        self.defender = Defender(self.world)
        self.graph = Graph(self.world, says) if says else Graph(self.world)
        self.settings = settings
        self.app = self.host()
        self.ticking: App | None = None

    def host(self, script: Callable[[Request], Fault | None] | None = None) -> App:
        """Start the app on one more host."""
        host = Host(self.world, QUICK, arrive=self.defender, hunts=self.graph, script=script)
        app = App.on(host, self.settings)
        self.world.finish(app.health())
        host.queries = host.commits = 0
        return app

    def post(self, given: Any, **more: Any) -> Reply:
        """Post a payload, and return the answer."""
        return self.world.finish(self.app.post(given, **more))

    def posted(self, given: Any, **more: Any) -> dict[str, Any]:
        """Post a payload, and return the document of the answer."""
        document: dict[str, Any] = json.loads(self.post(given, **more).body)
        return document

    def status(self, delivery: str) -> dict[str, Any]:
        """Return what is said of a delivery."""
        document: dict[str, Any] = json.loads(self.world.finish(self.app.status(delivery)).body)
        return document

    def run(self, minutes: float) -> None:
        """Let minutes pass, in which the timer fires."""
        if self.app is not self.ticking:
            self.ticking = self.app
            self.app.timer(every=5.0)
        self.world.run(minutes * 60)
        assert unsound(self.world.table) == []

    def entries(self) -> list[Entry]:
        """Return all stored alerts."""
        return [rows.read(stored) for stored in self.world.table.query(keys.ALERT, keys.ALERT_END)]

    def entry(self, state: str) -> Entry:
        """Return the one alert of a state."""
        (entry,) = [entry for entry in self.entries() if entry.state == state]
        return entry

    def states(self) -> list[str]:
        """Return the states of all alerts, sorted."""
        return sorted(entry.state for entry in self.entries())

    def minutes(self, number: int = 1) -> list[int]:
        """Return when the searches of a number were, in whole minutes after the first."""
        times = [arrival.at for arrival in self.graph.of(number)]
        return [round((at - times[0]) / 60) for at in times]

    def fill(self, stage: keys.Stage) -> None:
        """Close every slot of a stage as a call that was just answered does."""
        policy = window.Policy(deadline=0, stage=stage)
        slots = window.read(self.world.table.query(*stage.slots), self.world.now, policy).slots
        self.world.table.commit([window.acquire(slot, "other", policy) for slot in slots])


def _reference(event: int, title: str = "") -> dict[str, Any]:
    return samples.eight_fields(samples.event(event), title or f"Rule {event}", "High")


def _first(document: Mapping[str, Any]) -> dict[str, Any]:
    (first,) = document["alerts"]
    return dict(first)


def _nothing(_before: int, _number: int) -> Result:
    return found()


# Two searches that find one event


def _pair(severity: str) -> list[dict[str, Any]]:
    """Return two notables of one title whose searches find the same event; the second has a severity."""
    first, second = payload(1, title="A rule"), payload(2, title="A rule")
    first["severity"], second["severity"] = "low", severity
    return [first, second]


def _same(_before: int, number: int) -> Result:
    return found(row(1, CommandLine=f"tool.exe /run {number}"))


@pytest.mark.parametrize("apart", [False, True])
def test_of_two_searches_that_find_one_event_the_higher_severity_waits(*, apart: bool) -> None:
    """In one delivery or two: while the alert waits the second search is joined to it, and its delivery tells it."""
    scene = Scene(_same)
    scene.fill(keys.REFERENCE)
    pair = _pair("high")
    posts = [scene.posted([one]) for one in pair] if apart else [scene.posted(pair)]
    scene.run(0.2)
    document = scene.status(posts[-1]["id"])
    (alert,) = [entry for entry in scene.entries() if entry.stage == keys.REFERENCE]
    assert (alert.state, alert.alert.severity, scene.states().count("matched")) == ("waiting", "High", 2)
    shown = document["alerts"][-1]
    assert (shown["id"], shown["duplicate"]) == (alert.alert.id, True)
    assert any("another search" in note for note in shown["notes"])
    assert apart or not document["alerts"][0]["duplicate"]
    scene.run(2)
    assert [arrival.body["severity"] for arrival in scene.defender.arrivals] == ["High"]


def test_of_two_searches_that_find_one_event_the_second_of_a_created_alert_is_a_duplicate() -> None:
    """The first was sent already: one call, and the second item of the answer says that it is the same alert."""
    scene = Scene(_same)
    document = scene.posted(_pair("high"))
    scene.run(1)
    assert len(scene.defender.arrivals) == 1
    for shown in (document["alerts"], scene.status(document["id"])["alerts"]):
        assert sorted(alert["duplicate"] for alert in shown) == [False, True]


# A POST through both stages


def test_a_post_through_both_stages_is_five_requests_one_search_and_one_call() -> None:
    """It is answered as created, with the sentence of the match in the description."""
    scene = Scene()
    answer = scene.post(payload(1))
    document = json.loads(answer.body)
    assert (answer.status, document["status"]) == (200, "created")
    assert (scene.app.host.queries, scene.app.host.commits) == (2, 3)
    assert (len(scene.graph.arrivals), len(scene.defender.arrivals)) == (1, 1)
    request = _first(document)["request"]
    assert "Event found by advanced hunting (exact): ProcessCreated tool.exe" in request["description"]
    assert request == scene.defender.arrivals[0].body
    assert request["reportId"] == "20001"
    assert scene.states() == ["created", "matched"]
    assert unsound(scene.world.table) == []


def test_the_search_and_its_alert_name_each_other() -> None:
    """Each is found by the other's row, and the status of the delivery is that of the alert."""
    scene = Scene()
    document = scene.posted(payload(1))
    search, raised = scene.entry("matched"), scene.entry("created")
    assert (search.link, raised.link) == (raised.alert.id, search.alert.id)
    assert _first(document)["id"] == _first(scene.status(document["id"]))["id"] == raised.alert.id
    assert search.match == raised.match
    assert search.match
    assert search.match["grade"] == "exact"


def test_a_slow_search_is_answered_202_and_followed() -> None:
    """After INLINE_SECONDS the answer is 202; the search goes on, and the status says created later."""
    scene = Scene(settings=replace(ON, inline_seconds=2.0))
    scene.app.host.faults = Faults(table_delay=(0.01, 0.02), call_delay=(6.0, 6.0), answer_delay=(0.1, 0.1))
    began = scene.world.now
    answer = scene.post(payload(1))
    assert (answer.status, scene.world.now - began < 4.0) == (202, True)
    scene.world.run(30)
    delivery = json.loads(answer.body)["id"]
    assert scene.status(delivery)["status"] == "created"
    assert (len(scene.graph.arrivals), len(scene.defender.arrivals)) == (1, 1)


def test_with_a_full_search_window_it_waits_for_its_turn() -> None:
    """It is stored without a call, and the timer searches it once a slot opens."""
    scene = Scene()
    scene.fill(keys.SEARCH)
    answer = scene.post(payload(1))
    assert (answer.status, scene.graph.arrivals) == (202, [])
    scene.run(3)
    assert scene.status(json.loads(answer.body)["id"])["status"] == "created"
    assert scene.minutes() == [0]


def test_a_delivery_may_have_references_searches_and_refused_events() -> None:
    """Each event goes its own way, in the order of the payload."""
    scene = Scene(lambda _, number: found(row(number)) if number == 1 else found())
    nothing = {"search_name": "Rule 9", "result": {"Comment": "no device and no time"}}
    answer = scene.post([payload(1), {**_reference(3)}, payload(2), nothing])
    document = json.loads(answer.body)
    assert answer.status == 202
    assert [each["status"] for each in document["alerts"]] == ["created", "created", "waiting"]
    assert [each["event"] for each in document["refused"]] == [3]
    scene.run(20)
    assert [each["status"] for each in scene.status(document["id"])["alerts"]] == [
        "created",
        "created",
        "failed",
    ]


def test_many_searches_of_one_delivery_keep_the_window() -> None:
    """Forty events are searched and raised once each, in at most 15 calls of each API in any minute."""
    scene = Scene()
    document = scene.posted([payload(number) for number in range(40)])
    scene.run(6)
    assert scene.status(document["id"])["status"] == "created"
    for times in (scene.graph.times, [arrival.at for arrival in scene.defender.arrivals]):
        assert len(times) == 40
        assert violations(times, 15, 60.0) == []


# No event


def test_an_event_that_is_not_found_is_searched_again_and_fails() -> None:
    """It is searched at once and after each of FIND_EVENTS_RETRY_MINUTES; the end says what was looked for."""
    scene = Scene(_nothing)
    document = scene.posted(payload(1))
    assert _first(document)["waitingFor"]["what"] == "event"
    scene.run(20)
    assert scene.minutes() == [0, 1, 4, 14]
    failed = scene.entry("failed")
    assert failed.error
    assert failed.error["code"] == "EventNotFound"
    assert "pc-1" in failed.error["message"]
    assert "command line" in failed.error["message"]
    answer = scene.world.finish(scene.app.status(document["id"]))
    assert answer.status == 422
    assert scene.defender.arrivals == []
    assert len(scene.world.table.query(keys.FAILED, keys.FAILED_END)) == 1


def test_an_event_that_is_found_later_is_raised() -> None:
    """The second search finds it: one alert, in the delivery of the POST."""
    scene = Scene(lambda before, number: found(row(number)) if before else found())
    document = scene.posted(payload(1))
    scene.run(3)
    assert scene.status(document["id"])["status"] == "created"
    assert len(scene.defender.arrivals) == 1


def test_a_young_event_is_searched_until_it_is_ten_minutes_old() -> None:
    """After the last interval it is searched again as long as its event is young."""
    scene = Scene(_nothing, replace(ON, find_events_retry_minutes=(1.0, 2.0)))
    scene.posted(payload(1, at=scene.world.now))
    scene.run(20)
    assert scene.minutes() == [0, 1, 3, 5, 7, 9, 11]
    assert scene.states() == ["failed"]


def test_an_unknown_device_is_searched_once_more() -> None:
    """After ten minutes at most, then it fails."""
    scene = Scene(lambda _, __: without_device())
    scene.posted(payload(1))
    scene.run(30)
    assert scene.minutes() == [0, 10]
    failed = scene.entry("failed")
    assert failed.error
    assert failed.error["code"] == "EventNotFound"


def test_an_ambiguous_event_fails_at_once_if_it_is_old() -> None:
    """Two events with the same facts: no guess, one search, and both are there for the operator."""
    twice = [row(1, ReportId="1", ProcessId="5"), row(1, ReportId="2", ProcessId="6")]
    scene = Scene(lambda _, __: found(*twice))
    document = scene.posted(payload(1))
    failed = scene.entry("failed")
    assert failed.error
    assert failed.error["code"] == "EventAmbiguous"
    assert len(failed.candidates) == 2
    assert '"candidates"' not in json.dumps(document)
    assert (scene.minutes(), scene.defender.arrivals) == ([0], [])


def test_an_ambiguous_young_event_is_searched_again() -> None:
    """What is young may yet become clear."""
    scene = Scene()
    at = scene.world.now
    twice = [row(1, at=at, ReportId="1", ProcessId="5"), row(1, at=at, ReportId="2", ProcessId="6")]
    scene.graph.says = lambda _, __: found(*twice)
    scene.posted(payload(1, at=at))
    scene.run(30)
    assert scene.minutes() == [0, 1, 4, 14]
    assert scene.states() == ["failed"]


def test_without_retries_the_first_search_is_the_last() -> None:
    """An empty FIND_EVENTS_RETRY_MINUTES means one search."""
    scene = Scene(_nothing, replace(ON, find_events_retry_minutes=()))
    assert scene.post(payload(1)).status == 422
    assert scene.states() == ["failed"]


def test_a_probable_match_is_not_taken_where_an_exact_one_is_asked_for() -> None:
    """FIND_EVENTS_GRADE=exact: it is searched again, and fails with that reason; by default it is raised."""
    given = payload(1)
    given["result"] |= {"CommandLine": "", "process_name": "tool.exe", "Comment": "/run 1"}
    for grade, states in (("exact", ["failed"]), ("probable", ["created", "matched"])):
        scene = Scene(settings=replace(ON, find_events_grade=grade))  # type: ignore[arg-type]
        scene.graph = Graph(scene.world)
        scene.app.host.hunts = lambda _body: found(row(1))
        scene.posted(given)
        scene.run(20)
        assert scene.states() == states
    assert scene.entry("matched").match["grade"] == "probable"  # type: ignore[index]


# Graph fails


def test_a_429_pauses_the_search_alone() -> None:
    """An alert with a reference goes at once; the search goes on after the pause, and nothing failed."""
    began: list[float] = []

    def says(_before: int, number: int) -> Result:
        began.append(scene.world.now)
        if scene.world.now < began[0] + 100:
            return failure("throttled", 429, wait=120.0)
        return found(row(number))

    scene = Scene(says)
    document = scene.posted(payload(1))
    assert _first(document)["status"] == "waiting"
    assert scene.world.table.get(keys.SEARCH.pause)
    assert not scene.world.table.get(keys.PAUSE)
    assert scene.posted(_reference(5))["status"] == "created"
    assert scene.posted(payload(2))["status"] == "waiting"
    scene.run(5)
    assert len(scene.graph.of(1)) + len(scene.graph.of(2)) == 3
    assert scene.graph.times[1] - scene.graph.times[0] >= 120.0
    assert scene.states() == ["created"] * 3 + ["matched"] * 2
    assert not scene.world.table.get(keys.SEARCH.pause)


def test_a_403_pauses_the_search_and_says_what_is_missing() -> None:
    """The alert waits with Graph's words, is searched again, and the reference stage goes on."""
    scene = Scene(
        lambda before, number: (
            found(row(number)) if before else failure("forbidden", 403, "No role: run this.")
        )
    )
    document = scene.posted(payload(1))
    assert _first(document)["error"]["message"] == "No role: run this."
    assert scene.posted(_reference(5))["status"] == "created"
    scene.run(5)
    assert scene.status(document["id"])["status"] == "created"
    assert scene.minutes() == [0, 1]


def test_a_missing_table_is_left_out_for_an_hour() -> None:
    """It is searched again at once without the table; other searches know it, and after an hour it is asked for."""

    def says(_before: int, number: int) -> Result:
        if "DeviceProcessEvents" in scene.graph.arrivals[-1].query and scene.world.now < began + 3000:
            return failure("no table", 400, table="DeviceProcessEvents")
        return found(row(number, Table="DeviceFileEvents"))

    scene = Scene(says)
    began = scene.world.now
    given = payload(1)
    given["result"] |= {"file_name": "tool.exe", "sha1": "b" * 40}
    del given["result"]["CommandLine"]
    scene.app.host.hunts = lambda body: scene.graph({"Query": f"{body['Query']} /run 1"})
    scene.posted(given)
    scene.run(1)
    asked = ["DeviceProcessEvents" in arrival.query for arrival in scene.graph.arrivals]
    assert asked[:2] == [True, False]
    stored = scene.world.table.get(keys.SEARCH.missing)
    assert stored
    assert stored.values["DeviceProcessEvents"] == pytest.approx(began + 3600, abs=5)
    scene.world.run(3700)
    scene.posted({**given, "search_name": "Another rule"})
    assert "DeviceProcessEvents" in scene.graph.arrivals[-1].query


def test_where_no_table_is_left_nothing_is_asked() -> None:
    """No call is made, the reason is told, and the slot opens again soon."""
    scene = Scene(lambda _, __: failure("no table", 400, table="DeviceProcessEvents"))
    scene.posted(payload(1))
    scene.run(20)
    failed = scene.entry("failed")
    assert failed.error
    assert "DeviceProcessEvents" in failed.error["message"]
    assert len(scene.graph.arrivals) == 1


def test_a_bad_query_fails_its_alert_alone() -> None:
    """Any other 400 is final for that alert; the next one is searched."""
    scene = Scene(
        lambda _, number: failure("bad query", 400, "Syntax.") if number == 1 else found(row(number))
    )
    assert scene.post(payload(1)).status == 422
    failed = scene.entry("failed")
    assert failed.error
    assert (failed.error["code"], failed.error["status"]) == ("SearchFailed", 400)
    assert scene.posted(payload(2))["status"] == "created"


@pytest.mark.parametrize("answer", [failure("unavailable", 503), failure("unreadable", 200), None], ids=str)
def test_after_a_failure_of_graph_half_the_span_is_searched(answer: Result | None) -> None:
    """It is searched again later, in a slot of its own, and the next search is of half the span."""
    scene = Scene(lambda before, number: found(row(number)) if before else answer)
    scene.posted(payload(1))
    assert scene.entry("waiting" if answer else "sending").attempts == 1
    scene.run(4)
    assert scene.states() == ["created", "matched"]
    first, second = (arrival.query for arrival in scene.graph.of(1))
    assert first != second
    assert len(scene.world.table.query("find-slot-", "find-slot.")) >= (1 if answer else 2)


def test_a_graph_that_is_down_is_given_up_in_the_end() -> None:
    """After GIVE_UP_HOURS of answers the alert fails with Graph's words; its window is held."""
    scene = Scene(lambda _, __: failure("unavailable", 503, "Down."), replace(ON, give_up_hours=1.0))
    scene.posted(payload(1))
    scene.run(90)
    failed = scene.entry("failed")
    assert failed.error
    assert (failed.error["code"], failed.error["message"]) == ("SearchFailed", "Down.")
    assert len(scene.graph.of(1)) == failed.attempts


# Alerts that are known


def test_the_same_post_again_is_the_same_search() -> None:
    """While it is searched, while it waits, and after it was created: one search, one call, one alert."""
    scene = Scene()
    scene.app.host.faults = replace(QUICK, call_delay=(5.0, 5.0))
    first, second = scene.app.post(payload(1)), None
    scene.world.run(2.0)  # it is being searched
    second = scene.app.post(payload(1))
    scene.world.run(60)
    documents = [json.loads(answer.result(0).body) for answer in (first, second)]
    documents.append(scene.posted(payload(1)))
    ids = {_first(scene.status(document["id"]))["id"] for document in documents}
    assert ids == {scene.entry("created").alert.id}
    assert [_first(document)["duplicate"] for document in documents] == [False, True, True]
    assert (len(scene.graph.arrivals), len(scene.defender.arrivals)) == (1, 1)
    assert unsound(scene.world.table) == []


def _known(scene: Scene, state: str) -> Entry:
    """Let the alert of the event of number 1 be known, in a state, by another delivery."""
    scene.posted(payload(1))
    raised = scene.entry("created")
    for stored in scene.world.table.query("", "~"):  # only the alert stays
        if not stored.key.startswith(("slot-", "find-slot-", keys.alert_key(raised.alert.id))):
            scene.world.table.commit([Delete(stored.key, "*")])
    scene.graph.clear()
    scene.defender.arrivals.clear()
    error = {"status": 500, "code": "X", "message": "It failed.", "target": None}
    base = replace(raised, link="", match=None, delivery="before", created=None, merged=False, ended=None)
    after = {
        "created": replace(raised, link="", match=None, delivery="before"),
        "waiting": record.retry(replace(base, state="waiting"), scene.world.now + 50),
        "failed": record.fail(replace(base, error=error), scene.world.now - 4000),
        "discarded": record.discard(replace(base, state="waiting"), now=scene.world.now),
    }[state]
    row_of = scene.world.table.get(keys.alert_key(raised.alert.id))
    assert row_of
    scene.world.table.commit(rows.move(raised, after, alert=row_of.etag))
    return after


@pytest.mark.parametrize(
    ("state", "status", "calls"),
    [
        ("created", "created", 0),
        ("waiting", "waiting", 0),
        ("failed", "waiting", 1),
        ("discarded", "failed", 0),
    ],
)
def test_a_match_whose_alert_is_known_follows_the_rules_for_known_alerts(
    state: str, status: str, calls: int
) -> None:
    """A match joins what waits, is a duplicate if created, revives what failed, and leaves what is discarded."""
    scene = Scene()
    known = _known(scene, state)
    document = scene.posted(payload(1))
    assert document["status" if status != "failed" else "state"] == status
    assert _first(document)["id"] == known.alert.id
    assert unsound(scene.world.table) == []
    scene.run(3)
    assert len(scene.graph.arrivals) == 1
    assert len(scene.defender.arrivals) == calls + (state == "waiting")
    assert scene.entry("matched").link == known.alert.id
    if state != "discarded":
        assert scene.status(document["id"])["status"] == "created"


def test_two_searches_of_one_delivery_for_the_same_event_are_one_alert() -> None:
    """Two payloads of other clues and one title lead to one event: one call, and both follow it."""
    scene = Scene()
    one, other = payload(1), payload(1)
    other["result"] |= {"user": "contoso\\someone"}
    document = scene.posted([one, other])
    scene.run(2)
    assert scene.states() == ["created", "matched", "matched"]
    assert len(scene.defender.arrivals) == 1
    assert scene.status(document["id"])["status"] == "created"


def test_a_post_after_the_alert_is_gone_is_searched_again() -> None:
    """The alert of a match was purged: the same payload is a search again, and an alert again."""
    scene = Scene()
    scene.posted(payload(1))
    raised = scene.entry("created")
    scene.world.table.commit([Delete(keys.alert_key(raised.alert.id), "*")])
    document = scene.posted(payload(1))
    scene.run(1)
    assert scene.status(document["id"])["status"] == "created"
    assert (len(scene.graph.arrivals), len(scene.defender.arrivals)) == (2, 2)


# The next stage


def test_a_match_waits_for_a_slot_of_the_other_stage_with_a_turn() -> None:
    """Its search has ended, it waits among the references, in its sender's turn, and is sent once a slot opens."""
    scene = Scene()
    scene.fill(keys.REFERENCE)
    documents = [scene.posted(payload(number), sender=SPLUNK) for number in range(3)]
    assert scene.states() == ["matched"] * 3 + ["waiting"] * 3
    waiting = [entry for entry in scene.entries() if entry.state == "waiting"]
    dues = sorted(entry.due for entry in waiting)
    assert all(after - before >= 4.0 for before, after in itertools.pairwise(dues))
    assert all(entry.waits.startswith(keys.TODO) for entry in waiting)
    scene.run(3)
    assert {scene.status(document["id"])["status"] for document in documents} == {"created"}
    assert len(scene.graph.arrivals) == 3


def test_a_match_in_a_pause_of_the_other_stage_waits() -> None:
    """The operator's pause of the references stops no search; after it the alert is raised."""
    scene = Scene()
    scene.world.table.commit([pause.stop(None, "a bad rule")])
    document = scene.posted(payload(1))
    assert (scene.states(), scene.defender.arrivals) == (["matched", "waiting"], [])
    stop = window.read_pause(scene.world.table.get(keys.STOP), window.Policy())
    assert stop
    scene.world.table.commit(pause.resume(stop))
    scene.run(2)
    assert scene.status(document["id"])["status"] == "created"


def test_what_defender_rejects_has_failed_in_the_delivery() -> None:
    """The search has ended, and the delivery has the answer of Defender."""
    scene = Scene()
    scene.defender.says = lambda _number, _body: answer_with(400)
    document = scene.posted(payload(1))
    assert document["state"] == "failed"
    assert scene.states() == ["failed", "matched"]
    assert unsound(scene.world.table) == []


# References that lost something


def _lossy(number: int = 1) -> dict[str, Any]:
    """Return an alert whose reference lost the digits of its time on the way."""
    at = row(number)["Timestamp"]
    return {
        **_reference(1, "Lossy"),
        "machineId": row(number)["DeviceId"],
        "eventTime": at[:23] + "Z",
        "reportId": row(number)["ReportId"],
    }


def test_a_lossy_reference_is_searched_and_raised_exactly() -> None:
    """The event is found by what is left of the reference, and Defender gets the whole time."""
    scene = Scene()
    exact = row(1, Timestamp=row(1)["Timestamp"][:-3] + "42Z")
    scene.app.host.hunts = lambda body: scene.graph({"Query": f"{body['Query']} /run 1"})
    scene.graph.says = lambda _, __: found(exact)
    document = scene.posted(_lossy())
    assert document["status"] == "created"
    assert _first(document)["request"]["eventTime"] == exact["Timestamp"]
    assert len(scene.graph.arrivals) == 1


def test_a_lossy_reference_that_is_not_found_is_sent_as_it_came() -> None:
    """After the last search the alert goes on with the reference of its sender, and a note says so."""
    scene = Scene(_nothing)
    scene.app.host.hunts = lambda body: scene.graph({"Query": f"{body['Query']} /run 1"})
    document = scene.posted(_lossy())
    scene.run(30)
    became = _first(scene.status(document["id"]))
    assert became["status"] == "created"
    assert became["request"]["eventTime"] == _lossy()["eventTime"]
    assert any("sent with the reference as it came" in note for note in became["notes"])


# The settings


def test_without_the_setting_nothing_is_asked_of_graph() -> None:
    """A payload without a reference is refused as ever, with a hint that names the setting; no row of the stage."""
    scene = Scene(settings=Settings())
    scene.app.host.hunts = None
    answer = scene.post(payload(1))
    assert answer.status == 422
    assert "FIND_EVENTS=true" in json.loads(answer.body)["detail"]
    scene.run(3)
    assert scene.graph.arrivals == []
    assert scene.world.table.query("find-", "find.") == []
    assert scene.entries() == []


def test_without_clues_the_refusal_names_no_setting() -> None:
    """A payload that cannot be searched gets no hint."""
    answer = Scene(settings=Settings()).post({"search_name": "Rule", "result": {"Comment": "nothing"}})
    assert answer.status == 422
    assert "FIND_EVENTS" not in json.loads(answer.body)["detail"]


TRIAL = Settings(find_events="trial")


@pytest.mark.parametrize(
    "answer", [found(row(1)), found(), failure("bad query", 400)], ids=["match", "none", "400"]
)
def test_a_trial_raises_nothing(answer: Result) -> None:
    """The answer is the refusal; what would have been raised is stored beside the refused payload, and did not fail."""
    scene = Scene(lambda _, __: answer, TRIAL)
    assert scene.post(payload(1)).status == 422
    scene.run(20)
    assert scene.defender.arrivals == []
    searched = scene.entry("searched")
    assert (searched.trial, bool(searched.match)) == (True, bool(len(answer.rows) > 1))
    (stored,) = scene.world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert rows.read_refused(stored).searches == (searched.alert.id,)
    assert scene.world.table.query(keys.FAILED, keys.FAILED_END) == []


def test_a_trial_that_never_gets_an_answer_did_not_fail() -> None:
    """Ten searches end without an outcome: the trial ends as searched, and the failed list stays empty."""
    scene = Scene(settings=TRIAL)
    scene.post(payload(1))
    for _ in range(12):
        dying = scene.host(lambda request: Fault("crashed") if request.kind == "call" else None)
        dying.tick()
        scene.world.run(300)
    scene.run(6)
    assert scene.states() == ["searched"]
    assert scene.world.table.query(keys.FAILED, keys.FAILED_END) == []


def test_a_trial_changes_nothing_for_the_others_of_its_delivery() -> None:
    """References are raised, lossy ones as they came, in the stages as ever."""
    scene = Scene(settings=TRIAL)
    scene.app.host.hunts = lambda body: scene.graph({"Query": f"{body['Query']} /run 1"})
    document = scene.posted([_reference(3), _lossy(), payload(1)])
    assert [each["status"] for each in document["alerts"]] == ["created", "created"]
    assert [each["event"] for each in document["refused"]] == [2]
    assert scene.graph.arrivals == []


def test_the_switch_from_trial_to_true_searches_anew() -> None:
    """The trial's row does not stand for the alert: the same payload is searched and raised."""
    scene = Scene(settings=TRIAL)
    scene.post(payload(1))
    scene.run(2)
    scene.settings = ON
    scene.app = scene.host()
    assert scene.posted(payload(1))["status"] == "created"
    assert scene.states() == ["created", "matched", "searched"]


def test_a_sender_without_the_right_is_not_searched_for() -> None:
    """`search` of SENDERS says for whom events are searched: another one's payload is refused."""
    entries = (Sender("splunk", (SPLUNK,), search=False), Sender("other", (OTHER,)))
    scene = Scene(settings=replace(ON, senders=entries))
    assert scene.post(payload(1), sender=SPLUNK).status == 422
    assert scene.graph.arrivals == []
    assert scene.posted(payload(1), sender=OTHER)["status"] == "created"


def test_what_nobody_foresaw_in_a_stage_is_raised_to_the_timer() -> None:
    """A backlog that stands still by a mistake of ours is no silence: the timer's run fails, and is logged."""
    scene = Scene()
    (search,) = scene.app.webhook.others
    scene.app.webhook.others = (replace(search, tokens=None, crowd=None, outcomes=None),)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        scene.world.finish(scene.app.tick())


# What the same payload is answered later


def test_the_same_payload_differs_in_nothing_from_what_it_became() -> None:
    """The sentence of the match in the description is ours: a duplicate is not told that its description differs."""
    scene = Scene()
    scene.posted(payload(1))
    again = _first(scene.posted(payload(1)))
    assert again["duplicate"]
    assert not any("differs" in note for note in again["notes"])


def test_a_payload_whose_alert_defender_rejected_is_not_sent_again() -> None:
    """With the same texts it is rejected again: no call is made, as for an alert that came with its reference."""
    scene = Scene()
    scene.defender.says = lambda _number, _body: answer_with(400)
    scene.posted(payload(1))
    assert _first(scene.posted(payload(1)))["duplicate"]
    scene.run(30)
    assert len(scene.defender.arrivals) == 1
    scene.posted(payload(1) | {"description": "Another text"})
    scene.run(1)
    assert len(scene.defender.arrivals) == 2


@pytest.mark.parametrize(
    "answer", [failure("bad query", 400), failure("unavailable", 503), failure("unreadable", 200)], ids=str
)
def test_a_lossy_reference_is_sent_as_it_came_if_graph_cannot_be_asked(answer: Result) -> None:
    """It does not wait for days for a Graph that is down, and does not fail with the query."""
    scene = Scene(lambda _, __: answer)
    scene.app.host.hunts = lambda body: scene.graph({"Query": f"{body['Query']} /run 1"})
    document = scene.posted(_lossy())
    scene.run(30)
    became = _first(scene.status(document["id"]))
    assert (became["status"], became["request"]["eventTime"]) == ("created", _lossy()["eventTime"])
    assert any("sent with the reference as it came" in note for note in became["notes"])


def test_a_trial_that_the_table_refuses_costs_nobody_an_alert() -> None:
    """The references of the same delivery are stored and raised, whatever becomes of the trial."""
    scene = Scene(settings=TRIAL)
    scene.app.host.script = lambda request: (
        Fault("denied") if any("find-todo" in operation.key for operation in request.operations) else None
    )
    answer = scene.post([_reference(3), payload(1)])
    assert answer.status == 200
    assert scene.states() == ["created"]
