"""The stage *entity* from a POST to its end: the real code on hosts of a virtual world with Graph's `createAlert`."""

import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dev import samples
from dev.simulator.judge import violations
from shared.alerts import alert
from shared.alerts.alert import Alert
from shared.clients.create_alert import Result
from shared.errors import NotNow, TableRefused
from shared.identity import Claims
from shared.ledger import keys, record, rows, settlement
from shared.ledger.record import Entry
from shared.operations import discard, listing, replay, standing
from shared.sending import entity, outcome, pause, window
from shared.sending.dispatcher import Dispatch
from shared.settings import Settings
from shared.table.protocol import Delete, Replace
from shared.web.parameters import Parameters
from shared.web.reply import Reply
from tests.checks.app import App
from tests.checks.contract import Contract
from tests.checks.creating import URL, Creations, answered, created, sign_in
from tests.checks.graph import Graph, failure, found, payload, row, without_device
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Faults, Host, Request, World

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
ON = Settings(no_event="entity")
BOTH = Settings(no_event="entity", find_events="true")
UNKNOWN = answered(500)


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged; nobody reads them here."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


class Scene:
    """An app that has seen the table before, with Graph and Defender; `says` answers for `createAlert`."""

    def __init__(
        self,
        says: Callable[[int], Result | None] = lambda before: created(before + 1),
        settings: Settings = ON,
        seed: int = 0,
    ) -> None:
        self.world = World(seed)
        self.defender = Defender(self.world)
        self.graph = Graph(self.world, lambda _, __: found())
        self.creations = Creations(self.world, says)
        self.settings = settings
        self.app = self.host()
        self.ticking: App | None = None

    def host(
        self, script: Callable[[Request], Fault | None] | None = None, settings: Settings | None = None
    ) -> App:
        """Start the app on one more host."""
        host = Host(
            self.world,
            QUICK,
            arrive=self.defender,
            hunts=self.graph,
            creates=self.creations,
            script=script,
        )
        app = App.on(host, settings or self.settings)
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

    def first(self, given: Any, **more: Any) -> dict[str, Any]:
        """Post a payload, and return the one alert of the answer."""
        (first,) = self.posted(given, **more)["alerts"]
        return dict(first)

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

    def does(self, use_case: Callable[[Dispatch], Any]) -> Any:
        """Let the operator do something with the dispatcher, and return its result."""
        return self.world.finish(self.app.host.submit(lambda: use_case(self.app.webhook.dispatcher)))

    def listed(self, asked: Parameters) -> list[Any]:
        """Return the alerts that the operator lists."""
        listed: list[Any] = self.does(lambda dispatcher: listing.alerts(dispatcher, asked, ()))["alerts"]
        return listed

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

    def code(self) -> str:
        """Return the code of the error of the one alert that failed."""
        return str((self.entry("failed").error or {}).get("code"))

    def left_behind(self, number: int = 1) -> None:
        """Let a host die with its call for a sign-in under way: Graph has created the alert."""
        dying = self.host(lambda request: Fault("crashed") if request.kind == "call" else None)
        dying.post(sign_in(number))
        self.world.run(60)


# A POST


RETURNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Splunk, joined to one line": lambda made: {
        "search_name": "Alerts of Defender",
        "result": {
            "dest": "pc-1",
            "_time": "2026-03-04T11:00:00Z",
            "desc": made["description"].replace("\n", " "),
        },
    },
    "Elastic": lambda made: {
        "kibana.alert.rule.name": "Alerts of Defender",
        "@timestamp": "2026-03-04T11:00:00Z",
        "host": {"name": "pc-1"},
        "event": {"reason": made["description"]},
    },
    "a text that holds JSON": lambda made: {
        "title": "Alerts of Defender",
        "host": "pc-1",
        "time": "2026-03-04T11:00:00Z",
        "payload": json.dumps({"alert": [made]}),
    },
}


@pytest.mark.parametrize("shape", RETURNS)
def test_an_alert_that_comes_back_is_not_created_again(shape: str) -> None:
    """Known by the id in its mark, whatever the SIEM makes of it; with an id that is not ours it is another alert."""
    scene = Scene()
    assert scene.first(sign_in(1))["status"] == "created"
    returned = RETURNS[shape](dict(scene.creations.arrivals[0].body))
    assert scene.posted(returned)["status"] == "ignored"
    assert len(scene.creations.arrivals) == 1
    (entry,) = scene.entries()
    forged = json.loads(json.dumps(returned).replace(entry.alert.id, "0" * 32))
    assert scene.posted(forged)["status"] == "created"


def test_a_payload_without_a_mark_costs_no_request_more() -> None:
    """The table is asked for marks only if there are some; if it fails, the answer is not "ignored" or "created"."""
    scene = Scene()
    scene.post(sign_in(1))
    queries = scene.app.host.queries
    scene.post(sign_in(2))
    assert scene.app.host.queries == queries + 1
    returned = {"title": "x", "description": scene.creations.arrivals[0].body["description"]}
    down = scene.host(lambda request: Fault("denied") if request.kind == "query" else None)
    answer = scene.world.finish(down.post(returned))
    assert (answer.status, len(scene.creations.arrivals)) == (503, 2)


@pytest.mark.parametrize(
    ("settings", "routes"),
    [
        (Settings(), None),
        (replace(BOTH, no_event="fail"), ["reference"]),
        (ON, ["entity", "entity"]),
        (BOTH, ["entity", "reference"]),
    ],
)
def test_a_dry_run_tells_what_a_post_would_become(settings: Settings, routes: list[str] | None) -> None:
    """By the same settings: refused, searched, or raised on entities; and nothing is stored or called."""
    scene = Scene(settings=settings)
    answer = scene.post([sign_in(1), payload(2)], dryRun="true")
    document = json.loads(answer.body)
    assert answer.status == (200 if routes else 422)
    assert [alert["route"] for alert in document["alerts"]] == (routes or [])
    assert len(document["refused"]) == 2 - len(routes or [])
    assert Contract.read().schema_breaches("#/components/schemas/DryRun", document) == [] or not routes
    assert (scene.entries(), scene.creations.arrivals, scene.graph.arrivals) == ([], [], [])
    posted = scene.posted([sign_in(1), payload(2)])
    assert [alert["route"] for alert in posted.get("alerts", [])] == (routes or [])


@pytest.mark.parametrize("letter", ["x", "\\", "\u00e9", "\U0001f600"])
def test_a_long_command_line_refuses_nothing(letter: str) -> None:
    """A row cannot take 30,000 letters of it; what the description would tell is stored."""
    scene = Scene()
    command = "tool.exe " + letter * (30_000 // len(letter.encode("utf-16-le")) * 2)
    assert scene.posted(sign_in(1, process=command))["status"] == "created"
    told = scene.creations.arrivals[0].body["description"]
    assert f"\nCommand line: tool.exe {letter * 1_000}" in told


def test_what_cannot_be_stored_is_refused_with_the_reason() -> None:
    """It lacks nothing but room, and the answer says so."""
    scene = Scene()
    many = {f"{name}_path": "C:\\" + "\u00e9" * 1_000 for name in ("file", "parent_process", "process")}
    refused = scene.posted(
        sign_in(1, registry_path="HKLM\\" + "\u00e9" * 5_000, process="\u00e9" * 9_000, **many)
    )
    assert "too long" in str(refused["refused"][0]["problems"][-1]["detail"])


@pytest.mark.parametrize("together", [False, True])
def test_the_same_alert_alone_and_beside_another_source_is_one(*, together: bool) -> None:
    """It has its own source's name in a mixed delivery too, so it is one alert and one call."""
    scene = Scene()
    other: dict[str, Any] = {
        "kibana.alert.uuid": "u1",
        "kibana.alert.rule.name": "R",
        "@timestamp": "2026-03-04T11:00:00Z",
    }
    other |= {"host": {"name": "pc-1"}}
    scene.post([other, sign_in(1)] if together else sign_in(1))
    scene.post(sign_in(1) if together else [sign_in(1), other])
    assert sorted(scene.creations.titles) == ["R", "Sign-in 1"]
    assert {entry.source for entry in scene.entries()} == {"elastic", "splunk"}


def test_a_post_is_one_transaction_and_one_call() -> None:
    """It is answered as created with one query and two commits, with the address that Graph has given it."""
    scene = Scene()
    answer = scene.post(sign_in(1))
    document = json.loads(answer.body)
    (alert,) = document["alerts"]
    assert (answer.status, document["status"]) == (200, "created")
    assert (scene.app.host.queries, scene.app.host.commits) == (1, 2)
    assert scene.creations.titles == ["Sign-in 1"]
    assert (alert["route"], alert["portalUrl"]) == ("entity", URL)
    assert alert["alert"] == {"id": "ma7_1", "incidentId": "50001", "alertWebUrl": URL}
    assert (scene.graph.arrivals, scene.defender.arrivals) == ([], [])
    assert unsound(scene.world.table) == []


def test_nobody_is_shown_what_stands_in_for_a_reference() -> None:
    """Neither the answer nor a poll nor the operator's lists name the id that stands in for the report id."""
    scene = Scene(lambda _: None)
    delivery = scene.posted(sign_in(1))
    assert scene.entry("sending").alert.report_id.startswith("entity:")
    shown = scene.does(lambda dispatcher: listing.alert(dispatcher, scene.entry("sending"), ()))
    told = [*delivery["alerts"], *scene.status(delivery["id"])["alerts"], shown]
    for each in told:
        assert [each["request"][name] for name in ("machineId", "eventTime", "reportId")] == [None] * 3
        assert each["route"] == "entity"
        assert "entity:" not in json.dumps(each)
    assert "amy@contoso.example" in json.dumps(shown["clues"])


def test_an_event_that_can_be_searched_goes_straight_to_it_without_searches() -> None:
    """FIND_EVENTS=false: the payload that names a device and a command becomes an alert on that device."""
    scene = Scene()
    assert scene.posted(payload(1))["status"] == "created"
    (arrival,) = scene.creations.arrivals
    assert arrival.body["entityDefinitions"] == [
        {
            "entityType": "device",
            "entityIdentifier": "deviceName",
            "identifierValue": "pc-1",
            "role": "impacted",
        }
    ]
    assert "tool.exe /run 1" in arrival.body["description"]
    assert scene.graph.arrivals == []


def test_what_names_no_device_is_not_searched() -> None:
    """With both settings a payload without a device goes straight to the stage, and one with its event is found."""
    scene = Scene(settings=BOTH)
    scene.graph.says = lambda _, number: found(row(number))
    document = scene.posted([sign_in(1), payload(2)])
    assert [alert["route"] for alert in document["alerts"]] == ["entity", "reference"]
    assert document["status"] == "created"
    assert [arrival.number for arrival in scene.graph.arrivals] == [2]
    assert (scene.creations.titles, len(scene.defender.arrivals)) == (["Sign-in 1"], 1)


@pytest.mark.parametrize("result", [found(), without_device()], ids=["no event", "no device"])
def test_after_a_search_without_an_event_the_alert_is_created(result: Result) -> None:
    """The last search has ended: one call, in the delivery of the POST, with a note of what was looked for."""
    scene = Scene(settings=BOTH)
    scene.graph.says = lambda _, __: result  # type: ignore[assignment,return-value]
    document = scene.posted(payload(1))
    assert scene.creations.arrivals == []
    scene.run(30)
    (alert,) = scene.status(document["id"])["alerts"]
    assert (alert["status"], alert["route"], alert["portalUrl"]) == ("created", "entity", URL)
    assert any(note.startswith("No event was found:") for note in alert["notes"])
    assert (len(scene.creations.arrivals), scene.states()) == (1, ["created", "matched"])
    raised, search = scene.entry("created"), scene.entry("matched")
    assert (raised.link, search.link) == (search.alert.id, raised.alert.id)


def test_an_ambiguous_event_becomes_an_alert_on_its_device_at_once() -> None:
    """Two events fit, none is guessed: one search, one alert without an event, and both are there for the operator."""
    scene = Scene(settings=BOTH)
    twice = [row(1, ReportId="1", ProcessId="5"), row(1, ReportId="2", ProcessId="6")]
    scene.graph.says = lambda _, __: found(*twice)
    alert = scene.first(payload(1))
    assert (alert["status"], alert["route"]) == ("created", "entity")
    assert (len(scene.graph.arrivals), len(scene.creations.arrivals)) == (1, 1)
    shown = scene.does(lambda dispatcher: listing.alert(dispatcher, scene.entry("created"), ()))
    assert len(shown["candidates"]) == 2


def test_a_search_that_failed_itself_creates_nothing() -> None:
    """A query that Graph does not take says nothing about the event, so no alert without an event is made of it."""
    scene = Scene(settings=BOTH)
    scene.graph.says = lambda _, __: failure("bad query", 400, "Syntax.")
    assert scene.post(payload(1)).status == 422
    scene.run(20)
    assert (scene.code(), scene.creations.arrivals) == ("SearchFailed", [])


def test_the_trial_of_searches_creates_nothing_of_what_it_searches() -> None:
    """What is on trial is refused as ever; what cannot be searched goes to the stage."""
    scene = Scene(settings=replace(ON, find_events="trial"))
    assert scene.post(payload(1)).status == 422
    scene.run(20)
    assert (scene.states(), scene.creations.arrivals) == (["searched"], [])
    assert scene.posted(sign_in(1))["status"] == "created"


@pytest.mark.parametrize("settings", [Settings(), Settings(find_events="true")])
def test_without_the_setting_nothing_is_created(settings: Settings) -> None:
    """A payload without an event is refused, no call is made, and no row of the stage exists."""
    scene = Scene(settings=settings)
    assert scene.post(sign_in(1)).status == 422
    scene.run(3)
    assert scene.creations.arrivals == []
    assert scene.world.table.query("entity-", "entity.") == []


def _without_time() -> dict[str, Any]:
    given = sign_in(1)
    del given["result"]["UtcTime"]
    return given


@pytest.mark.parametrize("find_events", ["false", "trial", "true"])
@pytest.mark.parametrize("no_event", ["fail", "entity"])
def test_without_a_readable_time_it_is_refused_whatever_the_settings(find_events: Any, no_event: Any) -> None:
    """422, nothing stored but the refusal; with the stage on it says that the time is missing."""
    scene = Scene(settings=Settings(find_events=find_events, no_event=no_event))
    answer = scene.post(_without_time())
    (refused,) = json.loads(answer.body)["refused"]
    details = [each["detail"] for each in refused["problems"] if each["field"] == "eventTime"]
    assert answer.status == 422
    assert any("names no time that can be read" in detail for detail in details) == (no_event == "entity")
    scene.run(20)
    assert (scene.entries(), scene.creations.arrivals) == ([], [])


def test_what_names_nothing_is_refused_with_what_it_could_name() -> None:
    """A time alone is no alert on anything."""
    given = sign_in(1)
    given["result"] = {"UtcTime": given["result"]["UtcTime"], "Comment": "nothing else"}
    (refused,) = json.loads(Scene().post(given).body)["refused"]
    assert any("a user (UPN or SID)" in each["detail"] for each in refused["problems"])


# Each kind of answer


@pytest.mark.parametrize("status", [400, 404, 409])
def test_what_graph_rejects_has_failed_with_its_words(status: int) -> None:
    """One call; the alert is failed with status and words, and another one is created meanwhile."""
    scene = Scene(lambda before: created() if before else answered(status))
    answer = scene.post(sign_in(1))
    error = json.loads(answer.body)["alerts"][0]["error"]
    assert (answer.status, error["status"], error["code"]) == (422, status, f"Code{status}")
    assert (error["message"], error["target"]) == (f"It is {status}.", "43f4cb08")
    assert scene.posted(sign_in(2))["status"] == "created"
    scene.run(60)
    assert scene.creations.titles == ["Sign-in 1", "Sign-in 2"]
    assert scene.world.table.get(keys.ENTITY.pause) is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_role_pauses_this_stage_alone(status: int) -> None:
    """One sentence says what to run; references go on, and after the grant all alerts are created, once each."""
    granted: list[bool] = []
    scene = Scene(lambda _: created() if granted else answered(status))
    delivery = scene.posted(sign_in(1))
    (alert,) = delivery["alerts"]
    word = "SecurityAlert.Create.All" if status == 403 else "GRAPH_TOKEN_SCOPE"
    assert word in alert["error"]["message"]
    assert scene.world.table.get(keys.ENTITY.pause)
    assert scene.world.table.get(keys.PAUSE) is None
    assert scene.posted(samples.eight_fields(samples.event(5), "Rule 5", "High"))["status"] == "created"
    scene.posted(sign_in(2))
    scene.run(3)
    tried = len(scene.creations.arrivals)
    assert tried <= 4
    granted.append(True)
    scene.run(30)
    assert scene.states() == ["created"] * 3
    assert len(scene.creations.arrivals) == tried + 2


@pytest.mark.parametrize("status", [403, 429, 500])
def test_words_that_a_table_refuses_are_no_reason_of_a_pause(status: int) -> None:
    """Control characters and long texts of Graph are not written into the pause, which holds all the same."""
    words = {"error": {"code": "Odd", "message": "\x00\ud800" + "very " * 2_000}}
    scene = Scene(lambda _: answered(status, words))
    scene.post(sign_in(1))
    held = scene.world.table.get(keys.ENTITY.pause)
    assert held
    reason = str(held.values["reason"])
    assert reason.isprintable()
    assert len(reason) <= 300
    assert scene.states() == ["failed" if status == 500 else "waiting"]


def test_a_429_pauses_this_stage_alone() -> None:
    """The alert waits for as long as Graph asked, keeps its place, and is created by one more call."""
    scene = Scene(lambda before: created() if before else answered(429, Retry_After="120"))
    assert scene.first(sign_in(1))["status"] == "waiting"
    assert scene.posted(samples.eight_fields(samples.event(5), "Rule 5", "High"))["status"] == "created"
    scene.run(4)
    first, second = scene.creations.times
    assert second - first >= 120.0
    assert scene.states() == ["created"] * 2


def test_what_surely_created_nothing_is_tried_again() -> None:
    """An answer of something else than Graph, or a connection that never stood: again later, and created."""
    scene = Scene(lambda before: created() if before else answered(302, {}))
    assert scene.first(sign_in(1))["status"] == "waiting"
    unsent = scene.host(lambda request: Fault("unsent") if request.kind == "call" else None)
    scene.world.finish(unsent.post(sign_in(2)))
    unsent.host.dead = True
    scene.run(5)
    assert scene.creations.titles.count("Sign-in 1") == 2
    assert scene.creations.titles.count("Sign-in 2") == 1
    assert scene.states() == ["created"] * 2


_NO_ID = answered(201, {"incidentId": 7})


@pytest.mark.parametrize("answer", [UNKNOWN, answered(503), answered(408), _NO_ID, answered(201, b"<"), None])
def test_a_call_whose_answer_is_unknown_is_never_made_again(answer: Result | None) -> None:
    """It ends as AnswerUnknown, with a hint to look in Defender; neither time nor the same POST makes a second call."""
    scene = Scene(lambda _: answer)
    scene.posted(sign_in(1))
    scene.run(60)
    assert scene.code() == "AnswerUnknown"
    again = scene.first(sign_in(1))
    assert again["error"]["hint"].startswith("Look in Defender for an alert with this title")
    assert (again["duplicate"], again["status"]) == (True, "failed")
    assert "not sent again unless it is replayed" in again["notes"][-1]
    scene.run(24 * 60)
    assert len(scene.creations.arrivals) == 1
    assert len(scene.world.table.query(keys.FAILED, keys.FAILED_END)) == 1


def test_an_unknown_answer_that_was_discarded_is_not_sent_again_by_a_post() -> None:
    """The operator closes it; another sender's post makes no second call, and the hint says to look before a replay."""
    scene = Scene(lambda _: UNKNOWN)
    scene.posted(sign_in(1))
    scene.run(1)
    alert = scene.entry("failed").alert.id
    scene.does(lambda dispatcher: discard.one(dispatcher.table, alert))
    again = scene.first(sign_in(1), sender="another")
    scene.run(24 * 60)
    assert (again["duplicate"], again["status"]) == (True, "discarded")
    assert again["error"]["hint"].startswith("Look in Defender for an alert with this title")
    assert "not sent again unless it is replayed" in again["notes"][-1]
    assert len(scene.creations.arrivals) == 1


def test_the_operator_replays_an_unknown_answer_by_its_id() -> None:
    """By its id it is called once more; the replay of all that failed passes it over, and counts on behind it."""
    scene = Scene(lambda before: UNKNOWN if not before else answered(400) if before == 1 else created())
    scene.post(sign_in(1))
    scene.run(1)
    scene.post(sign_in(2))
    assert scene.states() == ["failed"] * 2
    assert scene.does(lambda dispatcher: replay.failed(dispatcher, 1).replayed) == 1
    scene.run(2)
    assert scene.creations.titles == ["Sign-in 1", "Sign-in 2", "Sign-in 2"]
    unknown = scene.entry("failed").alert.id
    assert scene.does(lambda dispatcher: replay.failed(dispatcher, 50).replayed) == 0
    scene.does(lambda dispatcher: replay.alert(dispatcher, unknown))
    scene.run(2)
    assert scene.states() == ["created"] * 2
    assert scene.creations.titles[3:] == ["Sign-in 1"]


def test_without_its_stage_an_alert_is_not_replayed() -> None:
    """With NO_EVENT=fail it would wait forever: the operator is told which setting it needs."""
    scene = Scene(lambda _: answered(400))
    scene.post(sign_in(1))
    scene.app = scene.host(settings=Settings())
    with pytest.raises(NotNow, match="NO_EVENT is off"):
        scene.does(lambda dispatcher: replay.alert(dispatcher, scene.entry("failed").alert.id))


def test_a_graph_that_is_down_costs_no_whole_backlog() -> None:
    """Each unknown answer ends an alert, so the stage pauses: one alert in a pause is tried, not fifteen a minute."""
    scene = Scene(lambda _: UNKNOWN)
    scene.posted([sign_in(number) for number in range(40)])
    scene.run(1)
    held = scene.world.table.get(keys.ENTITY.pause)
    assert held
    assert str(held.values["reason"]) == "createAlert answered 500."
    before = len(scene.creations.arrivals)
    scene.run(10)
    assert before <= 20
    assert len(scene.creations.arrivals) - before <= 12
    scene.creations.says = created
    scene.run(10)
    assert scene.states().count("created") == 40 - scene.states().count("failed") > 5
    assert "waiting" not in scene.states()


def test_a_table_that_refuses_graphs_words_still_knows_that_the_answer_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The outcome is written without them, and the same POST makes no second call."""
    moved = outcome.Outcomes._write

    def refuses(self: Any, sending: Any, told: Any, beside: Any) -> Any:
        if told.after.tries:
            raise TableRefused("400 PropertyValueTooLarge")
        return moved(self, sending, told, beside)

    monkeypatch.setattr(outcome.Outcomes, "_write", refuses)
    scene = Scene(lambda _: UNKNOWN)
    scene.post(sign_in(1))
    assert (scene.code(), scene.entry("failed").tries) == ("AnswerUnknown", ())
    scene.run(60)
    assert scene.first(sign_in(1))["duplicate"]
    assert len(scene.creations.arrivals) == 1


def _alert() -> Alert:
    checked = alert.check(samples.eight_fields(samples.event(1), "Rule 1", "High")).alert
    assert checked
    return checked


def test_clues_of_another_version_make_no_call() -> None:
    """A host that does not know a clue leaves the alert to those that do: its slot opens again, no pause ends."""
    scene = Scene()
    newer = record.accept(
        _alert(), source="splunk", delivery="x", now=0.0, stage=keys.ENTITY, clues={"newer": 7}
    )
    api = entity.Entity(scene.app.host, settlement.Rules())
    told = api.outcome(replace(newer, state="sending"), api.call(newer, {}, "token"), 60.0)
    assert (told.after.state, told.after.next_attempt) == ("waiting", 120.0)
    assert (told.called, told.sent) == (False, False)
    assert scene.creations.arrivals == []


# Hosts that die


def test_a_host_that_dies_in_its_call_leaves_an_unknown_answer() -> None:
    """Graph has created it, nobody knows: after the lease it is AnswerUnknown, and no host calls again."""
    scene = Scene()
    scene.left_behind()
    assert (scene.states(), len(scene.creations.arrivals)) == (["sending"], 1)
    scene.run(30)
    assert (scene.code(), len(scene.creations.arrivals)) == ("AnswerUnknown", 1)
    assert scene.first(sign_in(1))["duplicate"]
    scene.run(60)
    assert len(scene.creations.arrivals) == 1


def test_a_host_that_dies_between_acquire_and_call_leaves_an_unknown_answer_too() -> None:
    """Nobody can tell the two apart: no call is made by itself, and the replay makes the first one."""
    scene = Scene()
    dying = scene.host(lambda request: Fault("crash") if request.kind == "call" else None)
    dying.post(sign_in(1))
    scene.run(30)
    assert (scene.code(), scene.creations.arrivals) == ("AnswerUnknown", [])
    scene.does(lambda dispatcher: replay.alert(dispatcher, scene.entry("failed").alert.id))
    scene.run(2)
    assert (scene.states(), len(scene.creations.arrivals)) == (["created"], 1)


def test_an_acquire_whose_answer_is_lost_is_not_told_as_a_call() -> None:
    """The table wrote it and says nothing for a minute: no call is made, and the text does not say that one began."""
    scene = Scene()
    acquires: list[Request] = []

    def deaf(request: Request) -> Fault | None:
        if any(each.key.startswith(keys.ENTITY.slot_key(0)[:-2]) for each in request.operations):
            acquires.append(request)
            return Fault("swallowed")
        return Fault("lost") if acquires else None

    silent = scene.host(deaf)
    silent.post(sign_in(1))
    scene.world.run(60)
    silent.host.dead = True
    assert scene.states() == ["sending"]
    scene.run(30)
    error = scene.entry("failed").error or {}
    assert (error["code"], scene.creations.arrivals) == ("AnswerUnknown", [])
    assert "began" not in error["message"]
    assert "nobody wrote whether the call was made" in error["message"]


def test_an_acquire_whose_answer_is_lost_is_called_where_its_mark_is_found() -> None:
    """The answer is lost, and the table answers again within seconds: the call is made, once."""
    scene = Scene()
    lost: list[Request] = []

    def deaf_once(request: Request) -> Fault | None:
        if lost or not any(each.key.startswith(keys.ENTITY.slot_key(0)[:-2]) for each in request.operations):
            return None
        lost.append(request)
        return Fault("timed out")

    scene.host(deaf_once).post(sign_in(1))
    scene.run(10)
    assert (scene.states(), len(scene.creations.arrivals), len(lost)) == (["created"], 1, 1)


def test_an_answer_that_comes_after_the_lease_still_counts() -> None:
    """A host stood still with its answer: what was given up as unknown becomes created, without a second call."""
    scene = Scene()
    frozen = scene.host(lambda request: Fault("frozen", 900.0) if request.kind == "call" else None)
    frozen.post(sign_in(1))
    scene.run(10)
    assert scene.code() == "AnswerUnknown"
    scene.run(20)
    assert (scene.states(), len(scene.creations.arrivals)) == (["created"], 1)


def test_a_waiting_row_that_is_gone_makes_no_second_call() -> None:
    """Somebody removed the row of a call that was under way: the same POST ends it as AnswerUnknown."""
    scene = Scene()
    scene.left_behind()
    scene.world.table.commit([Delete(scene.entry("sending").waits, "*")])
    scene.world.run(600)
    assert scene.first(sign_in(1))["duplicate"]
    scene.run(60)
    assert (scene.code(), len(scene.creations.arrivals)) == ("AnswerUnknown", 1)


# Rows that cannot be read


def _spoil(scene: Scene, *columns: str) -> list[str]:
    """Spoil the rows of the one alert in the stage *entity*; return their keys."""
    stored = [each for each in scene.world.table.query("", "~") if each.values.get("stage") == "entity"]
    spoilt = [each for each in stored if each.key.startswith((keys.ALERT, keys.ENTITY.prefix))]
    for each in spoilt:
        scene.world.table.commit([Replace(each.key, {**each.values, **dict.fromkeys(columns, 7)}, each.etag)])
    return [each.key for each in spoilt]


@pytest.mark.parametrize("columns", [("state",), ("tries", "delivery", "stage", "title")])
def test_an_alert_whose_row_cannot_be_read_is_not_called_again(columns: tuple[str, ...]) -> None:
    """Its row is moved aside, another one keeps its place, and the rest of the delivery is answered as usual."""
    scene = Scene()
    before = scene.posted(sign_in(1))
    _spoil(scene, *columns)
    for number in (2, 3):
        again, other = scene.posted([sign_in(1), sign_in(number)])["alerts"]
        assert (again["status"], again["error"]["code"]) == ("failed", "AlertUnreadable")
        assert other["status"] == "created"
    assert again["duplicate"]
    assert scene.status(before["id"])["alerts"][0]["error"]["code"] == "AlertUnreadable"
    assert scene.does(lambda dispatcher: replay.failed(dispatcher, 10).replayed) == 0
    scene.run(60)
    assert scene.creations.titles == ["Sign-in 1", "Sign-in 2", "Sign-in 3"]
    assert scene.world.finish(scene.app.health()).status == 200


def test_an_alert_that_waits_and_cannot_be_read_is_not_called_by_a_second_post() -> None:
    """Neither of its rows can be read, so nobody knows whether it was called: the operator replays it by its id."""
    scene = Scene()
    scene.world.table.commit([pause.stop(None, "drill", keys.ENTITY)])
    scene.posted(sign_in(1))
    assert len(_spoil(scene, "state")) == 2
    assert scene.first(sign_in(1))["error"]["code"] == "AlertUnreadable"
    stop = window.read_pause(scene.world.table.get(keys.ENTITY.stop), window.Policy(stage=keys.ENTITY))
    assert stop
    scene.world.table.commit(pause.resume(stop))
    scene.run(30)
    assert scene.creations.arrivals == []
    scene.does(lambda dispatcher: replay.alert(dispatcher, scene.entry("failed").alert.id))
    scene.run(2)
    assert (scene.states(), len(scene.creations.arrivals)) == (["created"], 1)


def test_a_search_that_leads_to_an_alert_whose_row_cannot_be_read_makes_no_call() -> None:
    """The search ends, and its delivery shows the alert that keeps the place."""
    scene = Scene(settings=replace(BOTH, find_events_retry_minutes=()))
    one, other = payload(1), payload(1)
    for number, given in enumerate((one, other)):
        given["result"] |= {"notable_event_id": "E@@1", "CommandLine": f"tool.exe /run {number}"}
    scene.posted(one)
    _spoil(scene, "state")
    document = scene.posted(other)
    scene.run(5)
    shown = scene.status(document["id"])
    assert (shown["alerts"][0]["error"]["code"], len(scene.creations.arrivals)) == ("AlertUnreadable", 1)
    assert scene.states() == ["failed", "matched", "matched"]


@pytest.mark.parametrize("columns", [("state",), ("tries", "delivery", "title")])
def test_the_same_search_again_makes_no_call_where_the_row_of_its_alert_cannot_be_read(
    columns: tuple[str, ...],
) -> None:
    """Its search has led to the alert, which may have been created: the delivery shows what keeps the place."""
    scene = Scene(settings=replace(BOTH, find_events_retry_minutes=()))
    scene.posted(payload(1))
    _spoil(scene, *columns)
    document = scene.posted(payload(1))
    scene.run(60)
    shown = scene.status(document["id"])
    assert (shown["alerts"][0]["error"]["code"], len(scene.creations.arrivals)) == ("AlertUnreadable", 1)
    assert scene.states() == ["failed", "matched"]


def test_a_corrected_row_takes_its_place_back() -> None:
    """What only kept the place goes, and the alert is again what it was: here created."""
    scene = Scene()
    scene.posted(sign_in(1))
    _spoil(scene, "state")
    scene.posted(sign_in(1))
    (moved,) = scene.world.table.query(keys.ASIDE, keys.ASIDE_END)
    scene.world.table.commit([Replace(moved.key, {**moved.values, "state": "created"}, moved.etag)])
    row_id = moved.key.removeprefix(keys.ASIDE)
    scene.does(lambda dispatcher: replay.unreadable(dispatcher.table, row_id))
    scene.run(30)
    assert scene.first(sign_in(1))["status"] == "created"
    assert (scene.states(), len(scene.creations.arrivals)) == (["created"], 1)
    assert scene.world.table.query(keys.ASIDE, keys.ASIDE_END) == []


# The same alert twice


def test_the_same_alert_twice_is_one_call() -> None:
    """Without an id of its own it is the same by source, title and entities in an hour; with another hour it is not."""
    scene = Scene()
    one, later, other = sign_in(1), sign_in(1), sign_in(1)
    later["result"]["UtcTime"] = "2026-03-04 10:59:59"
    other["result"]["UtcTime"] = "2026-03-04 11:00:00"
    assert [scene.first(each)["duplicate"] for each in (one, one, later, other)] == [False, True, True, False]
    assert len(scene.creations.arrivals) == 2


def test_the_id_that_a_source_gave_its_alert_decides() -> None:
    """The same id is the same alert, whatever else changed; another id is another one in the same hour."""
    scene = Scene()
    one = sign_in(1, notable_event_id="E@@1")
    same = {**sign_in(2, notable_event_id="E@@1", user="ben@contoso.example"), "search_name": "Renamed"}
    other = sign_in(1, notable_event_id="E@@2")
    assert [scene.first(each)["duplicate"] for each in (one, same, other)] == [False, True, False]
    assert len(scene.creations.arrivals) == 2


def test_the_same_alert_while_it_is_being_sent_is_a_duplicate() -> None:
    """Both POSTs follow the one call, and both deliveries end as created."""
    scene = Scene()
    scene.app.host.faults = replace(QUICK, call_delay=(5.0, 5.0))
    first = scene.app.post(sign_in(1))
    scene.world.run(2.0)
    second = scene.app.post(sign_in(1))
    scene.world.run(60)
    documents = [json.loads(answer.result(0).body) for answer in (first, second)]
    assert [document["alerts"][0]["duplicate"] for document in documents] == [False, True]
    assert {scene.status(document["id"])["status"] for document in documents} == {"created"}
    assert len(scene.creations.arrivals) == 1


def test_the_same_alert_after_a_search_joins_the_first() -> None:
    """Two searches of other clues lead to the same alert of its source: one call, and both deliveries follow it."""
    scene = Scene(settings=replace(BOTH, find_events_retry_minutes=()))
    one, other = payload(1), payload(1)
    for number, given in enumerate((one, other)):
        given["result"] |= {"notable_event_id": "E@@1", "CommandLine": f"tool.exe /run {number}"}
    documents = [scene.posted(each) for each in (one, other)]
    assert len(scene.graph.arrivals) == 2
    assert {scene.status(document["id"])["status"] for document in documents} == {"created"}
    assert (len(scene.creations.arrivals), scene.states()) == (1, ["created", "matched", "matched"])


def test_what_was_rejected_is_not_sent_again_with_the_same_texts() -> None:
    """A 400 stays one; with another description it is accepted anew, and the call names its entities."""
    scene = Scene(lambda before: created() if before else answered(400))
    scene.post(sign_in(1))
    assert scene.first(sign_in(1))["duplicate"]
    assert len(scene.creations.arrivals) == 1
    again = scene.first(sign_in(1), severity="High")
    assert (again["status"], again["duplicate"]) == ("created", False)
    assert (
        scene.creations.arrivals[0].body["entityDefinitions"]
        == (scene.creations.arrivals[1].body["entityDefinitions"])
    )


def test_what_was_rejected_after_a_search_is_accepted_anew_with_its_entities() -> None:
    """The same payload finds its search, and the alert of it, which is sent again as whole as before."""
    scene = Scene(
        lambda before: created() if before else answered(409),
        replace(BOTH, find_events_retry_minutes=()),
    )
    assert scene.first(payload(1))["status"] == "failed"
    again = scene.first(payload(1))
    scene.run(2)
    assert (again["duplicate"], scene.states()) == (False, ["created", "matched"])
    assert len(scene.graph.arrivals) == 1
    first, second = (arrival.body for arrival in scene.creations.arrivals)
    assert first == second


def test_after_an_unknown_answer_a_search_does_not_send_it_again_either() -> None:
    """The alert of a search ended as unknown; the same payload, and the operator's search, lead to no second call."""
    scene = Scene(lambda _: UNKNOWN, replace(BOTH, find_events_retry_minutes=()))
    scene.post(payload(1))
    assert scene.first(payload(1))["duplicate"]
    scene.app = scene.host(settings=ON)
    assert scene.first(payload(1))["duplicate"]
    scene.run(60)
    assert (len(scene.creations.arrivals), scene.code()) == (1, "AnswerUnknown")


def test_with_both_settings_off_and_on_the_alert_is_the_same() -> None:
    """What was created after a search is a duplicate where nothing is searched, and the other way round."""
    for first, second in itertools.permutations((ON, replace(BOTH, find_events_retry_minutes=()))):
        scene = Scene(settings=first)
        assert scene.first(payload(1))["status"] == "created"
        scene.app = scene.host(settings=second)
        scene.post(payload(1))
        scene.run(1)
        assert len(scene.creations.arrivals) == 1


# Window, pause, discard, versions


def test_many_alerts_keep_the_window() -> None:
    """Forty sign-ins are created once each, at most fifteen in any minute; references have a window of their own."""
    scene = Scene()
    document = scene.posted([sign_in(number) for number in range(40)])
    assert len(scene.creations.arrivals) == 15
    assert scene.posted(samples.eight_fields(samples.event(5), "Rule 5", "High"))["status"] == "created"
    scene.run(6)
    assert scene.status(document["id"])["status"] == "created"
    assert sorted(scene.creations.titles) == sorted(f"Sign-in {number}" for number in range(40))
    assert violations(scene.creations.times, 15, 60.0) == []


def test_the_settings_of_the_window_hold() -> None:
    """ENTITY_ALERT_CALLS in ENTITY_ALERT_WINDOW_SECONDS, and no more."""
    scene = Scene(settings=replace(ON, entity_alert_calls=2, entity_alert_window_seconds=30.0))
    scene.posted([sign_in(number) for number in range(6)])
    scene.run(5)
    assert len(scene.creations.arrivals) == 6
    assert violations(scene.creations.times, 2, 30.0) == []


def test_the_other_stages_go_on_while_this_one_is_paused_by_the_operator() -> None:
    """Pause, wait, resume: nothing is called meanwhile, searches and references are, and nothing is lost."""
    scene = Scene(settings=replace(BOTH, find_events_retry_minutes=()))
    scene.world.table.commit([pause.stop(None, "a bad rule", keys.ENTITY)])
    document = scene.posted(sign_in(1))
    scene.posted(payload(2))
    assert scene.posted(samples.eight_fields(samples.event(5), "Rule 5", "High"))["status"] == "created"
    scene.run(5)
    assert (len(scene.graph.arrivals), scene.creations.arrivals) == (1, [])
    assert scene.states() == ["created", "matched", "waiting", "waiting"]
    stop = window.read_pause(scene.world.table.get(keys.ENTITY.stop), window.Policy(stage=keys.ENTITY))
    assert stop
    scene.world.table.commit(pause.resume(stop))
    scene.run(3)
    assert scene.status(document["id"])["status"] == "created"
    assert scene.states() == ["created"] * 3 + ["matched"]


@pytest.mark.parametrize("is_gone", [False, True], ids=["", "whose waiting row somebody removed"])
def test_what_the_operator_discards_is_not_created(is_gone: bool) -> None:
    """A waiting alert is discarded, and the same POST does not bring it back."""
    scene = Scene()
    scene.world.table.commit([pause.stop(None, "a bad rule", keys.ENTITY)])
    alert = scene.first(sign_in(1))
    if is_gone:
        scene.world.table.commit([Delete(scene.entry("waiting").waits, "*")])
    gone = scene.does(lambda dispatcher: discard.one(dispatcher.table, alert["id"]))
    assert gone.state == "discarded"
    scene.world.table.commit([Delete(keys.ENTITY.stop, "*")])
    assert scene.first(sign_in(1))["duplicate"]
    scene.run(10)
    assert (scene.states(), scene.creations.arrivals) == (["discarded"], [])


def test_the_operator_finds_it_in_the_lists() -> None:
    """It is listed while it waits, once it failed, and by the device that it names."""
    scene = Scene(lambda _: answered(400))
    scene.world.table.commit([pause.stop(None, "a drill", keys.ENTITY)])
    scene.posted(payload(1))
    asked = [{"status": "waiting"}, {"status": "failed"}, {"device": "PC-1"}]

    def counts() -> list[int]:
        return [len(scene.listed(Parameters(named))) for named in asked]

    assert counts() == [1, 0, 1]
    scene.world.table.commit([Delete(keys.ENTITY.stop, "*")])
    scene.run(2)
    assert counts() == [0, 1, 1]


def test_an_older_version_beside_leaves_the_stage_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timer neither sends nor moves nor gives up such alerts, and they are created once it is replaced."""
    scene = Scene()
    scene.world.table.commit([pause.stop(None, "a drill", keys.ENTITY)])
    document = scene.posted(sign_in(1))
    with monkeypatch.context() as older:
        older.setattr(keys, "_STAGES", {stage.name: stage for stage in (keys.REFERENCE, keys.SEARCH)})
        scene.app = scene.host(settings=Settings())
        scene.run(10)
        assert scene.status(document["id"])["alerts"][0]["status"] == "waiting"
        assert (scene.states(), scene.creations.arrivals) == (["waiting"], [])
        scene.app.host.dead = True
    scene.world.table.commit([Delete(keys.ENTITY.stop, "*")])
    scene.app = scene.host()
    scene.run(3)
    assert scene.status(document["id"])["status"] == "created"
    assert len(scene.creations.arrivals) == 1


def test_the_status_tells_that_the_api_is_a_beta_and_which_role_is_missing() -> None:
    """The stage has its window and backlog, and two sentences: what its API lacks, and what to run without the role."""
    scene = Scene(settings=BOTH)
    expires = datetime(2026, 3, 6, tzinfo=UTC)
    claims = Claims("https://graph.microsoft.com", ("ThreatHunting.Read.All",), "7", "8", expires)
    told = scene.does(
        lambda _: standing.status(scene.app.webhook, lambda: None, lambda: claims, refresh=False)
    )
    stages = {stage["name"]: stage for stage in told["stages"]}
    assert "beta" in stages["entity"]["note"]
    assert [stages[name]["note"] for name in ("reference", "search")] == [None, None]
    assert "SecurityAlert.Create.All" in stages["entity"]["tokenProblem"]
    assert "--entity-alerts" in stages["entity"]["tokenProblem"]
    assert stages["search"]["tokenProblem"] is None
    assert "has the role ThreatHunting.Read.All, so" in stages["search"]["permission"]
