"""What the operator sees of searched events, and what they can do about them; every answer keeps the contract."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from dev import samples
from shared.clients import create_alert
from shared.clients import graph as hunting
from shared.clients.graph import Result
from shared.identity import Claims
from shared.ledger import keys, retention, rows
from shared.ledger.record import Entry
from shared.operations import permission
from shared.operations.routes import Operator, handle
from shared.search import stored
from shared.settings import Settings
from shared.table.protocol import Delete
from shared.web.reply import Reply
from tests.checks.app import App
from tests.checks.contract import Contract
from tests.checks.graph import DEVICE, Graph, failure, found, payload, row
from tests.checks.searches import searching
from tests.checks.sound import unsound
from tests.checks.virtual import ORIGIN, Defender, Faults, Host, World, answer_with

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))
CONTRACT = Contract.read()
ROW = {
    "DeviceId": DEVICE,
    "Timestamp": "2026-03-04T05:06:07.8912345Z",
    "ReportId": 20776,
    "FileName": "tool.exe",
}
NOTHING = found()
TWO = found(row(1), row(1, ReportId="7", SHA1="c" * 40))
IDENTITY = "a7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33"


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep quiet: every call logs some lines."""
    caplog.set_level(logging.CRITICAL, "defender-alert-webhook")


class Desk:
    """An app with both stages, its operator, Graph and Defender; `says` answers for Graph."""

    def __init__(
        self,
        says: Callable[[int, int], Result | None] | None = None,
        *,
        mode: Any = "true",
        claims: Claims | None = None,
        seed: int = 0,
        created: create_alert.Result | None = None,
    ) -> None:
        self.world = World(seed)
        self.table = self.world.table
        self.defender = Defender(self.world)
        self.graph = Graph(self.world, says) if says else Graph(self.world)
        self.host = Host(self.world, QUICK, arrive=self.defender, hunts=self.graph, creates=lambda _: created)
        self.app = App.on(self.host, Settings(find_events=mode, no_event="entity" if created else "fail"))
        self.operator = Operator(self.app.webhook, lambda: None, searching(), lambda: claims)

    def ask(self, method: str, path: str, row: Any = None, **parameters: object) -> Reply:
        """Ask as the operator; the answer keeps the contract."""
        url = f"{ORIGIN}/api/operations/{path}?{urlencode(parameters)}"
        body = b"" if row is None else json.dumps(row).encode()
        answer = self.world.finish(self.host.ask(lambda: handle(self.operator, method, path, url, body=body)))
        headers = {"content-type": answer.content_type, **answer.headers}
        assert CONTRACT.breaches(method, url, answer.status, headers, answer.body) == []
        return answer

    def get(self, path: str, **parameters: object) -> Any:
        """Return what the operator sees."""
        answer = self.ask("GET", path, **parameters)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def do(self, path: str, row: Any = None, **parameters: object) -> Any:
        """Change something; it must work, and the table stays sound."""
        answer = self.ask("POST", path, row, **parameters)
        assert answer.status == 200, answer.body
        assert unsound(self.table) == []
        return json.loads(answer.body)

    def refused(self, status: int, path: str, row: Any = None, **parameters: object) -> dict[str, Any]:
        """Return the problem of a change that is refused, and changes nothing."""
        before = self.entries()
        answer = self.ask("POST", path, row, **parameters)
        assert answer.status == status, answer.body
        assert self.entries() == before
        document: dict[str, Any] = json.loads(answer.body)
        return document

    def post(self, number: int = 1, **more: Any) -> dict[str, Any]:
        """Post a payload without a reference, and return the answer, which keeps the contract."""
        answer = self.world.finish(self.app.post(payload(number, **more)))
        headers = {"content-type": answer.content_type, **answer.headers}
        assert CONTRACT.breaches("POST", "/api/alerts", answer.status, headers, answer.body) == []
        document: dict[str, Any] = json.loads(answer.body)
        return document

    def run(self, minutes: float) -> None:
        """Let minutes pass, in which the timer fires."""
        end = self.world.now + minutes * 60
        while self.world.now < end:
            self.world.finish(self.app.tick())
            self.world.run(5)

    def entries(self) -> list[Entry]:
        """Return all stored alerts and searches."""
        return [rows.read(there) for there in self.table.query(keys.ALERT, keys.ALERT_END)]

    def one(self, state: str) -> Entry:
        """Return the one alert or search of a state."""
        (entry,) = [entry for entry in self.entries() if entry.state == state]
        return entry


def _failed(answer: Result = NOTHING) -> tuple[Desk, str]:
    """Return a desk with an alert whose event was not found, and its id; what is searched next is found."""
    desk = Desk(lambda before, _: answer if before < 4 else found(row(1)))
    desk.post()
    desk.run(20)
    return desk, desk.one("failed").alert.id


# What is shown


def test_an_alert_that_waits_for_its_event_says_so() -> None:
    """It has no reference yet, and the stand-in for it is shown nowhere; the next search is named, and a hint."""
    desk = Desk(lambda *_: NOTHING)
    document = desk.post()
    (alert,) = document["alerts"]
    assert alert["waitingFor"]["what"] == "event"
    assert alert["waitingFor"]["until"]
    assert [alert["request"][name] for name in ("machineId", "eventTime", "reportId")] == [None] * 3
    assert (alert["error"]["code"], alert["error"]["hint"]) == (
        "EventNotFound",
        "Nothing to do: it is tried again.",
    )
    assert (alert["match"], alert["route"]) == (None, "reference")
    shown = [document, desk.get("alerts"), desk.get(f"alerts/{alert['id']}"), desk.get("outcomes")]
    assert stored._MARK not in json.dumps(shown)


def test_while_its_search_waits_for_a_turn_no_end_is_named() -> None:
    """Nobody knows how long the searches before it take, or a pause; the next poll is near."""
    desk = Desk()
    desk.do("pause", stage="search")
    answer = desk.world.finish(desk.app.post(payload(1)))
    waits = json.loads(answer.body)["alerts"][0]["waitingFor"]
    assert (waits["what"], waits["until"], answer.headers["Retry-After"]) == ("event", None, "5")


@pytest.mark.parametrize(
    ("answer", "code", "hint"),
    [
        (NOTHING, "EventNotFound", "command line"),
        (TWO, "EventAmbiguous", "exact time"),
        (failure("bad query", 400), "SearchFailed", "what the message says"),
    ],
)
def test_a_search_without_a_match_ends_with_a_hint(answer: Result, code: str, hint: str) -> None:
    """The error's code says how it ended; the hint what the product should send, and what the operator can do."""
    desk, alert = _failed(answer)
    shown = desk.get(f"alerts/{alert}")
    assert shown["error"]["code"] == code
    assert hint in shown["error"]["hint"]
    assert "operations/alerts/{id}/reference" in shown["error"]["hint"]


def test_only_the_operator_sees_the_event_the_clues_and_the_candidates() -> None:
    """A sender could ask which devices exist, and what they run: it learns what agreed, and no more."""
    desk = Desk()
    document = desk.post()
    (alert,) = document["alerts"]
    assert alert["match"]["grade"] == "exact"
    assert "commandLine" in alert["match"]["agree"]
    assert "event" not in alert["match"]
    shown = desk.get(f"alerts/{alert['id']}")
    assert shown["event"]["device"] == "pc-1.contoso.example"
    assert [candidate["time"] for candidate in shown["candidates"]] == [row(1)["Timestamp"]]
    assert {"name": "commandLine", "value": "tool.exe /run 1"} in shown["clues"]
    assert shown["wrongMatch"] is shown["trial"] is False


def test_a_search_that_found_its_event_is_its_alert() -> None:
    """By the id of the search the alert of the event is shown; the lists have the alert only."""
    desk = Desk()
    desk.post()
    search, alert = desk.one("matched").alert.id, desk.one("created").alert.id
    assert desk.get(f"alerts/{search}") == desk.get(f"alerts/{alert}")
    for listed in (desk.get("alerts")["alerts"], desk.get("outcomes")["outcomes"]):
        assert [item["id"] for item in listed] == [alert]
    assert desk.get("alerts", status="waiting")["alerts"] == []


def test_the_waiting_of_all_stages_are_listed_page_by_page() -> None:
    """By their turn and by their time, nothing twice; the device that a payload names finds its search as well."""
    desk = Desk()
    desk.do("pause")
    for number in range(3):
        desk.post(number)
        desk.world.finish(
            desk.app.post(samples.eight_fields(samples.event(number), f"Known {number}", "High"))
        )
    expected = sorted(entry.alert.id for entry in desk.entries())
    for order in ({}, {"order": "oldest"}):
        ids: list[str] = []
        shown = desk.get("alerts", status="waiting", top=2, **order)
        ids += [item["id"] for item in shown["alerts"]]
        while shown["continuation"]:
            shown = desk.get("alerts", status="waiting", top=2, continuation=shown["continuation"], **order)
            ids += [item["id"] for item in shown["alerts"]]
        assert sorted(ids) == expected
    assert len(desk.get("alerts", device="PC-1")["alerts"]) == 3
    (sender,) = desk.get("senders")["senders"]
    assert sender["waiting"] == 6


def test_searches_are_discarded_like_any_alert() -> None:
    """By their title, whichever stage they wait in."""
    desk = Desk()
    desk.do("pause")
    desk.post(1)
    desk.post(2)
    done = desk.do("discard", title="Rule 1")
    assert (done["discarded"], done["remaining"]) == (1, 0)
    assert desk.one("discarded").alert.title == "Rule 1"
    assert desk.do(f"alerts/{desk.one('discarded').alert.id}/replay")["status"] == "waiting"


# Pause and resume


def test_a_pause_stops_every_stage_in_one_transaction() -> None:
    """Neither Graph nor Defender is called until the operator resumes; then everything is sent."""
    desk = Desk()
    commits = desk.host.commits
    paused = desk.do("pause", reason="a bad rule")
    assert desk.host.commits == commits + 1
    assert [(stage["name"], stage["pause"]["reason"]) for stage in paused["stages"]] == [
        ("reference", "a bad rule"),
        ("search", "a bad rule"),
    ]
    desk.post()
    desk.run(2)
    assert (desk.graph.arrivals, desk.defender.arrivals) == ([], [])
    assert desk.do("resume")["stages"] == [{"name": name, "pause": None} for name in ("reference", "search")]
    desk.run(1)
    assert desk.one("created")


def test_a_stage_is_paused_alone() -> None:
    """Events are found, and their alerts wait for the stage that is paused; a wrong name is refused."""
    desk = Desk()
    desk.do("pause", stage="reference")
    desk.post()
    desk.run(1)
    assert (len(desk.graph.arrivals), len(desk.defender.arrivals)) == (1, 0)
    desk.do("resume", stage="search")
    desk.run(1)
    assert desk.defender.arrivals == []
    desk.do("resume", stage="reference")
    desk.run(1)
    assert len(desk.defender.arrivals) == 1
    assert "reference | search" in desk.refused(400, "pause", stage="entity")["detail"]


# The status


def _claims(*roles: str) -> Claims:
    return Claims("https://graph.microsoft.com", roles, IDENTITY, None, datetime(2100, 1, 1, tzinfo=UTC))


def test_the_status_shows_each_stage() -> None:
    """Its window, pause and backlog; of the search its mode, and the tables that the tenant lacks, with a time."""
    desk = Desk(lambda *_: failure("no table", 400, table="DeviceProcessEvents"))
    desk.post()
    reference, search = desk.get("status")["stages"]
    assert (reference["name"], reference["search"], reference["backlog"]["waiting"]) == ("reference", None, 0)
    assert (search["name"], search["window"]["used"], search["search"]["mode"]) == ("search", 1, "true")
    (missing,) = search["search"]["missingTables"]
    assert missing["table"] == "DeviceProcessEvents"
    begins = datetime.fromtimestamp(desk.world.now, UTC)
    assert (
        begins + timedelta(minutes=59)
        < datetime.fromisoformat(missing["until"])
        < begins + timedelta(minutes=61)
    )
    assert [stage["name"] for stage in Desk(mode="false").get("status")["stages"]] == ["reference"]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (None, None),
        (_claims("ThreatHunting.Read.All"), None),
        (
            _claims("SecurityAlert.Create.All"),
            [hunting.ROLE, "SecurityAlert.Create.All", f"--hunting {IDENTITY}"],
        ),
    ],
)
def test_the_status_says_which_role_of_graph_is_missing(
    claims: Claims | None, expected: list[str] | None
) -> None:
    """One sentence with the command that grants it; nothing before a token was asked for."""
    search = Desk(claims=claims).get("status")["stages"][1]
    assert (search["token"] is None) == (claims is None)
    problem = search["tokenProblem"]
    assert problem == permission.graph(claims, keys.SEARCH)
    assert (problem is None) == (expected is None)
    assert all(part in problem for part in expected or ())


# Trials


@pytest.mark.parametrize(
    ("answer", "outcome", "grade"),
    [
        (found(row(1)), "match", "exact"),
        (NOTHING, "none", None),
        (TWO, "ambiguous", None),
        (failure("bad query", 400), "failed", None),
    ],
)
def test_a_trial_shows_what_would_have_been_raised(answer: Result, outcome: str, grade: str | None) -> None:
    """The refused payload has the outcome of each search, the list its grade, the status the counts of a week."""
    desk = Desk(lambda *_: answer, mode="trial")
    desk.post()
    (waiting,) = desk.get("alerts", status="waiting")["alerts"]
    assert waiting["trial"] is True
    desk.run(20)
    (listed,) = desk.get("refused")["refused"]
    assert listed["grade"] == grade
    (search,) = desk.get(f"refused/{listed['id']}")["searches"]
    assert search["outcome"] == outcome
    assert (search["match"] or {}).get("grade") == grade
    assert (search["event"] is None) == (grade is None) == (search["message"] is not None)
    counts = {
        name: each["count"] for name, each in desk.get("status")["stages"][1]["search"]["trial"].items()
    }
    named = grade or outcome
    assert counts == dict.fromkeys(keys.OUTCOMES, 0) | ({named: 1} if named in keys.OUTCOMES else {})
    assert (desk.get("alerts")["alerts"], desk.defender.arrivals) == ([], [])
    assert desk.get(f"alerts/{search['id']}")["status"] == "searched"
    assert [item["status"] for item in desk.get("outcomes")["outcomes"]] == ["searched"]
    assert unsound(desk.table) == []


def test_the_outcomes_of_a_trial_are_deleted_in_their_time() -> None:
    """They are counted for a week, and are gone with what else is past its retention."""
    desk = Desk(mode="trial")
    desk.post()
    desk.run(1)
    desk.world.run(8 * 86_400)
    desk.post(2)
    desk.run(1)
    counted = desk.get("status")["stages"][1]["search"]["trial"]["exact"]
    assert (counted["count"], len(desk.table.query(keys.TRIAL, keys.TRIAL + "~"))) == (1, 2)
    desk.world.finish(desk.host.submit(lambda: retention.purge(desk.host.table, 7 * 86_400.0)))
    assert len(desk.table.query(keys.TRIAL, keys.TRIAL + "~")) == 1


# Search again


def test_a_failed_search_is_made_again() -> None:
    """It waits in its stage, and the event that is found then is raised."""
    desk, alert = _failed()
    shown = desk.do(f"alerts/{alert}/search")
    assert (shown["id"], shown["waitingFor"]["what"], shown["candidates"]) == (alert, "event", [])
    desk.run(1)
    assert desk.one("created").link == alert
    assert desk.get(f"alerts/{alert}")["id"] == desk.one("created").alert.id


@pytest.mark.parametrize("number", [1, 2])
def test_the_event_of_an_alert_that_failed_is_searched_again(number: int) -> None:
    """The same event is sent anew by the rules for known alerts, another one as its own; nothing is left behind."""
    desk = Desk(lambda before, _: found(row(1, ReportId="1" if before == 0 else str(number))))
    desk.defender.says = lambda before, _: answer_with(404 if before < 4 else 200)
    desk.post()
    desk.run(25)
    failed = desk.one("failed").alert.id
    assert desk.do(f"alerts/{failed}/search")["id"] == _waiting_search(desk)
    desk.run(1)
    assert len(desk.graph.arrivals) == 2
    raised = desk.one("created")
    assert raised.alert.report_id == str(number)
    assert (raised.alert.id == failed) == (number == 1)
    desk.world.run(40 * 86_400)
    desk.world.finish(desk.host.submit(lambda: retention.purge(desk.host.table, 30 * 86_400.0)))
    assert desk.entries() == []
    assert desk.table.query(keys.FAILED, keys.FAILED_END) == []


def test_the_alerts_of_a_large_delivery_are_searched_again_as_well() -> None:
    """Its copies say what the alerts say, whether they are searched again or get a reference by hand."""
    desk = Desk(lambda _, number: found(row(number)) if number else NOTHING)
    desk.defender.says = lambda *_: answer_with(404)
    desk.world.finish(desk.app.post([payload(number) for number in range(10)]))
    desk.run(40)
    failed = [entry for entry in desk.entries() if entry.state == "failed"]
    assert (len(failed), {entry.many for entry in failed}) == (10, {True})
    desk.defender.says = lambda *_: answer_with(200)
    for entry in failed:
        path, body = ("search", None) if entry.stage == keys.REFERENCE else ("reference", ROW)
        desk.do(f"alerts/{entry.alert.id}/{path}", body)
    desk.run(1)
    assert [entry.state for entry in desk.entries()].count("created") == 10
    assert unsound(desk.table) == []


def test_an_alert_of_a_large_delivery_without_a_copy_is_searched_again_as_well() -> None:
    """An older version wrote no copy: the alert is set apart from its delivery all the same."""
    desk = Desk(lambda _, number: found(row(number)))
    desk.defender.says = lambda *_: answer_with(404)
    desk.world.finish(desk.app.post([payload(number) for number in range(10)]))
    desk.run(40)
    failed = next(entry for entry in desk.entries() if entry.state == "failed")
    desk.table.commit([Delete(keys.copy_key(failed.delivery, failed.alert.id), "*")])
    desk.defender.says = lambda *_: answer_with(200)
    desk.do(f"alerts/{failed.alert.id}/search")
    desk.run(1)
    assert [entry.state for entry in desk.entries()].count("created") == 1
    assert unsound(desk.table) == []


def _waiting_search(desk: Desk) -> str:
    """Return the id of the search that waits again."""
    (search,) = [entry for entry in desk.entries() if entry.stage == keys.SEARCH and not entry.has_ended]
    return search.alert.id


def test_what_has_not_failed_is_not_searched_again() -> None:
    """A created alert, one that waits, and one that came with its reference: 409, each with its state."""
    desk = Desk(lambda before, number: found(row(1)) if number == 1 else NOTHING)
    desk.post(1)
    desk.post(2)
    desk.world.finish(desk.app.post(samples.eight_fields(samples.event(3), "Known", "High")))
    states = {
        entry.alert.id: desk.refused(409, f"alerts/{entry.alert.id}/search")["state"]
        for entry in desk.entries()
    }
    assert sorted(states.values()) == ["created", "created", "created", "waiting"]


def test_without_the_stage_nothing_waits_for_a_search() -> None:
    """A failed search is not replayed into a stage that is off: it would wait for ever."""
    desk, alert = _failed()
    off = App.on(desk.host, Settings())
    desk.operator = Operator(off.webhook, lambda: None, searching())
    for path in ("search", "replay"):
        assert "FIND_EVENTS" in desk.refused(409, f"alerts/{alert}/{path}")["detail"]
    known = desk.world.finish(off.post({**samples.eight_fields(samples.event(3), "Known", "High")}))
    assert known.status == 200
    assert desk.do("alerts/replay", status="failed", top=1) == {
        "replayed": 0,
        "remaining": 1,
        "atLeast": False,
        "continuation": None,
    }


# The reference by hand


@pytest.mark.parametrize("state", ["failed", "waiting"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_reference_given_by_hand_is_raised(state: str, *, wrapped: bool) -> None:
    """The search ends, and the alert goes the usual way; delivery and alert say who found the event."""
    desk = Desk(lambda *_: NOTHING)
    delivery = desk.post()["id"]
    desk.run(20 if state == "failed" else 0.1)
    search = desk.one(state).alert.id
    shown = desk.do(f"alerts/{search}/reference", [ROW] if wrapped else ROW)
    assert (shown["status"], shown["match"]["grade"], shown["event"]["device"]) == (
        "created",
        "operator",
        DEVICE,
    )
    (arrival,) = desk.defender.arrivals
    assert arrival.body["reportId"] == "20776"
    assert arrival.body["eventTime"] == ROW["Timestamp"]
    assert arrival.body["description"].endswith("The operator gave the event by hand.")
    status = json.loads(desk.world.finish(desk.app.status(delivery)).body)
    assert [alert["id"] for alert in status["alerts"]] == [shown["id"]]
    assert desk.get(f"alerts/{search}")["id"] == shown["id"]
    assert desk.refused(409, f"alerts/{search}/reference", ROW)["state"] == "matched"


def test_a_reference_of_a_known_alert_follows_the_rules_for_known_alerts() -> None:
    """An alert of this event and title that was created before costs no second call."""
    desk, search = _failed()
    body = {
        **samples.eight_fields(samples.event(1), "Rule 1", "High"),
        "machineId": DEVICE,
        "reportId": "20776",
    }
    known = json.loads(desk.world.finish(desk.app.post({**body, "eventTime": ROW["Timestamp"]})).body)
    shown = desk.do(f"alerts/{search}/reference", ROW)
    assert shown["id"] == known["alerts"][0]["id"]
    assert len(desk.defender.arrivals) == 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, ["machineId", "eventTime", "reportId"]),
        ({**ROW, "DeviceId": "pc-1"}, ["machineId"]),
        ({**ROW, "Timestamp": "Mar 4, 2026 5:06:07 AM"}, ["eventTime"]),
        ({**ROW, "Timestamp": 1772600767891}, ["eventTime"]),
        ({**ROW, "ReportId": None}, ["reportId"]),
        ({**ROW, "machineId": "b" * 40}, ["machineId"]),
        ([ROW, ROW], ["body"]),
        ("a text", ["body"]),
    ],
)
def test_a_row_that_is_no_reference_is_refused(row: Any, expected: list[str]) -> None:
    """400 names every field that is wrong, and nothing changes."""
    desk, search = _failed()
    document = desk.refused(400, f"alerts/{search}/reference", row)
    assert [problem["field"] for problem in document["problems"]] == expected
    assert "ccepted" in document["detail"] or "digits" in document["detail"]


def test_a_reference_is_for_an_alert_without_one() -> None:
    """A created alert keeps its event, and a trial raises nothing."""
    desk = Desk()
    desk.post()
    assert desk.refused(409, f"alerts/{desk.one('created').alert.id}/reference", ROW)["state"] == "created"
    trial = Desk(lambda *_: NOTHING, mode="trial")
    trial.post()
    trial.run(20)
    (search,) = trial.entries()
    assert trial.refused(409, f"alerts/{search.alert.id}/reference", ROW)["state"] == "searched"


def test_two_operators_give_one_reference() -> None:
    """The same row twice at once is one alert and one call."""
    desk, search = _failed()
    path, body = f"alerts/{search}/reference", json.dumps(ROW).encode()
    url = f"{ORIGIN}/api/operations/{path}"
    both = [desk.host.ask(lambda: handle(desk.operator, "POST", path, url, body=body)) for _ in range(2)]
    statuses = {desk.world.finish(answer).status for answer in both}
    assert 200 in statuses
    assert statuses <= {200, 409}
    desk.run(1)
    assert len(desk.defender.arrivals) == 1
    assert unsound(desk.table) == []


@pytest.mark.parametrize("seed", range(12))
def test_a_reference_by_hand_and_a_search_at_the_same_moment_are_one_alert(seed: int) -> None:
    """Whichever is first ends the search; the other changes nothing, and the table stays sound."""
    desk = Desk(lambda before, _: NOTHING if before == 0 else found(row(1)), seed=seed)
    desk.post()
    search = desk.one("waiting").alert.id
    desk.world.run(60 + desk.world.random.uniform(-0.5, 0.5))
    path, body = f"alerts/{search}/reference", json.dumps(ROW).encode()
    url = f"{ORIGIN}/api/operations/{path}"
    tick = desk.app.tick()
    given = desk.host.ask(lambda: handle(desk.operator, "POST", path, url, body=body))
    desk.world.finish(tick)
    assert desk.world.finish(given).status in (200, 409)
    desk.run(2)
    assert sorted(entry.state for entry in desk.entries()) == ["created", "matched"]
    assert len(desk.defender.arrivals) == 1
    assert unsound(desk.table) == []


# Alerts on entities


def test_an_alert_on_entities_is_shown_as_one() -> None:
    """Its route says so, and it has no reference; its search can be made again only if it failed."""
    made = create_alert.Result("created", 201, 0.1, sent=True, alert={"id": "da1_1", "incidentId": "7"})
    desk = Desk(lambda *_: NOTHING, created=made)
    desk.post()
    desk.run(20)
    alert = desk.one("created").alert.id
    shown = desk.get(f"alerts/{alert}")
    assert (shown["route"], shown["status"], shown["alert"]["id"]) == ("entity", "created", "da1_1")
    assert [shown["request"][name] for name in ("machineId", "eventTime", "reportId")] == [None] * 3
    assert {"name": "commandLine", "value": "tool.exe /run 1"} in shown["clues"]
    assert [(item["id"], item["route"]) for item in desk.get("outcomes")["outcomes"]] == [(alert, "entity")]
    assert desk.refused(409, f"alerts/{alert}/search")["state"] == "created"
    assert [stage["name"] for stage in desk.get("status")["stages"]] == ["reference", "entity", "search"]


def test_an_alert_that_may_have_been_created_is_replayed_only_by_itself() -> None:
    """The hint says to look in Defender first, and a replay of all failed alerts leaves it out."""
    error = {"status": None, "code": create_alert.UNKNOWN, "message": "No answer.", "target": None}
    desk = Desk(
        lambda *_: NOTHING, created=create_alert.Result("unknown", None, 30.0, sent=True, error=error)
    )
    desk.post()
    desk.run(20)
    alert = desk.one("failed").alert.id
    assert "Look in Defender" in desk.get(f"alerts/{alert}")["error"]["hint"]
    assert desk.do("alerts/replay", status="failed")["replayed"] == 0
    assert desk.do(f"alerts/{alert}/replay")["status"] == "waiting"


# A wrong match


@pytest.mark.parametrize("by", ["created", "matched"])
def test_a_wrong_match_is_kept_as_a_case(by: str) -> None:
    """By the id of the alert or of its search: the clues as a test reads them, what was compared, what to do."""
    desk = Desk()
    desk.post()
    path = f"alerts/{desk.one(by).alert.id}"
    shown = desk.do(f"{path}/wrong-match")
    assert stored.read(shown["case"]["clues"]).command_line == "tool.exe /run 1"
    assert shown["case"]["match"]["event"]["action"] == "ProcessCreated"
    assert shown["case"]["reference"]["reportId"] == "20001"
    assert len(shown["case"]["candidates"]) == 1
    made = desk.one("created").created or {}
    assert f"close the alert {made['id']} as a false positive" in shown["remedy"]
    assert desk.get(path)["wrongMatch"] is True
    assert desk.do(f"{path}/wrong-match") == shown


def test_what_has_no_match_cannot_be_wrong() -> None:
    """An alert with its own reference, a search that found nothing, and one that is not sent yet: 409."""
    desk, search = _failed()
    desk.refused(409, f"alerts/{search}/wrong-match")
    desk.world.finish(desk.app.post(samples.eight_fields(samples.event(3), "Known", "High")))
    desk.refused(409, f"alerts/{desk.one('created').alert.id}/wrong-match")
    waits = Desk()
    waits.do("pause", stage="reference")
    waits.post()
    assert "discard" in waits.refused(409, f"alerts/{waits.one('waiting').alert.id}/wrong-match")["detail"]


def test_a_trials_match_can_be_marked_as_wrong() -> None:
    """The refused payload shows the mark, and nothing has to be done in Defender."""
    desk = Desk(mode="trial")
    desk.post()
    desk.run(1)
    (search,) = desk.entries()
    assert "nothing to do" in desk.do(f"alerts/{search.alert.id}/wrong-match")["remedy"]
    (listed,) = desk.get("refused")["refused"]
    assert desk.get(f"refused/{listed['id']}")["searches"][0]["wrongMatch"] is True


# The log


def test_each_of_these_changes_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With the operation and the alert, and nothing of its payload."""
    desk, search = _failed()
    caplog.set_level(logging.INFO, "defender-alert-webhook")
    logged: list[Mapping[str, Any]] = []
    for path, body in (("search", None), ("reference", ROW), ("wrong-match", None)):
        caplog.clear()
        if path == "search":
            desk.do("pause", stage="search")
        desk.do(f"alerts/{search}/{path}", body)
        lines = [json.loads(message) for message in caplog.messages]
        logged += [line for line in lines if line["step"] == "operator" and line["operation"] != "pause"]
    assert [line["operation"] for line in logged] == ["search", "reference", "wrong match"]
    raised = desk.one("created").alert.id
    assert [line["alert"] for line in logged] == [search, raised, raised]
    assert "pc-1" not in caplog.text
