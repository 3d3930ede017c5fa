"""The operator's try: what it shows of each event, how many calls it makes, and that it changes nothing."""

import itertools
import json
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from dev.samples import eight_fields, event
from shared.clients.graph import Result
from shared.errors import TokenError
from shared.ledger import keys
from shared.operations import tryout
from shared.operations.routes import Operator, handle
from shared.search import devices, query, tables
from shared.sending import pause, window
from shared.settings import Settings
from shared.web.reply import Reply
from tests.checks.chances import Chances
from tests.checks.contract import Contract
from tests.checks.searches import Script, searching
from tests.checks.virtual import ORIGIN, Defender, Fault, Host, Request, World

DEVICE = "a" * 40
TIME = "2026-03-04T05:06:07.8912345Z"
AT = devices.moment(TIME) or 0
NOTABLE = {
    "sid": "scheduler__1",
    "search_name": "Rundll32",
    "result": {"host": "pc-1", "UtcTime": "2026-03-04 05:06:07.891", "CommandLine": "tool.exe /run"},
}
ROW = {
    "Row": "event",
    "Table": "DeviceProcessEvents",
    "Timestamp": TIME,
    "ReportId": "20776",
    "DeviceId": DEVICE,
    "DeviceName": "pc-1.contoso.example",
    "ActionType": "ProcessCreated",
    "FileName": "tool.exe",
    "CommandLine": "tool.exe /run",
}
CONTRACT = Contract.read()


def rows(*records: Mapping[str, str]) -> Result:
    """Return an answer of Graph with these rows."""
    return Result("rows", 200, "", 0.2, rows=records)


class Office:
    """An operator in a virtual world that begins a day after the event; `script` answers for Graph."""

    def __init__(
        self, script: Script | None = None, *, deadline: float = 60.0, world: World | None = None
    ) -> None:
        self.world = world or World()
        self.defender = Defender(self.world)
        self.host = Host(self.world, arrive=self.defender)
        self.script = script or Script()
        webhook = self.host.webhook(Settings())
        self.operator = Operator(webhook, lambda: None, searching(self.script, deadline=deadline))

    def begin(self, payload: Any) -> Future[Reply]:
        """Try a payload, and wait for nothing."""
        body = json.dumps(payload).encode()
        return self.host.ask(
            lambda: handle(self.operator, "POST", "try", ORIGIN + "/api/operations/try", body=body)
        )

    def ask(self, payload: Any, parameters: str = "", *, method: str = "POST", seconds: float = 300) -> Reply:
        """Try a payload, and return the answer, which keeps the contract."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        url = f"{ORIGIN}/api/operations/try{parameters}"
        asked = self.host.ask(lambda: handle(self.operator, method, "try", url, body=body))
        self.world.run(seconds)
        answer = asked.result(timeout=0)
        headers = {"content-type": answer.content_type, **answer.headers}
        if method == "POST":
            breaches = CONTRACT.breaches("POST", "/api/operations/try", answer.status, headers, answer.body)
            assert breaches == []
        return answer

    def tried(self, payload: Any, parameters: str = "") -> Any:
        """Try a payload that can be read."""
        answer = self.ask(payload, parameters)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def slots(self) -> list[str]:
        """Return the keys of the slots of searches that were ever acquired."""
        return [row.key for row in self.world.table.query("find-", "find.")]


def test_a_match_is_shown_with_its_reference_and_what_agrees() -> None:
    """The event has its clues, its query, the grade, and the reference as Defender would get it."""
    office = Office(Script([rows(ROW)]))
    tried = office.tried(NOTABLE)
    [shown] = tried["events"]
    assert shown["verdict"] == {
        "outcome": "match",
        "grade": "exact",
        "reason": None,
        "reference": {"machineId": DEVICE, "eventTime": TIME, "reportId": "20776"},
        "candidates": [
            {
                "table": "DeviceProcessEvents",
                "action": "ProcessCreated",
                "device": "pc-1.contoso.example",
                "file": "tool.exe",
                "time": TIME,
                "secondsApart": 0.0,
                "agree": ["commandLine"],
                "differ": [],
                "only": ["commandLine"],
                "twins": 1,
            }
        ],
        "missingTables": [],
    }
    assert [clue["name"] for clue in shown["clues"]] == ["device", "time", "commandLine"]
    assert [shown["query"]] == office.script.queries
    assert shown["error"] is None
    assert {problem["field"] for problem in shown["problems"]} >= {"machineId", "reportId"}


def test_it_raises_and_stores_nothing() -> None:
    """After a try the table has its slot and nothing else, and Defender was not called."""
    office = Office(Script([rows(ROW)]))
    office.tried([NOTABLE, eight_fields(event(1), "A rule")])
    assert [row.key for row in office.world.table.query("", "~")] == office.slots()
    assert len(office.slots()) == 1
    assert office.defender.arrivals == []


def test_an_event_with_a_whole_reference_is_shown_with_it_and_not_searched() -> None:
    """Neither a token for Graph nor a slot is asked for."""
    office = Office()
    fields = eight_fields(event(1), "A rule")
    [shown] = office.tried(fields)["events"]
    assert shown["reference"] == {name: fields[name] for name in ("machineId", "eventTime", "reportId")}
    assert (shown["verdict"], shown["error"], shown["query"]) == (None, None, None)
    assert (office.script.tokens, office.script.queries, office.slots()) == (0, [], [])


def test_what_cannot_be_searched_says_why() -> None:
    """An event without a device has no query; one with a reference and a wrong field has its problems."""
    office = Office()
    wrong = eight_fields(event(1), "A rule") | {"severity": "Purple"}
    nameless = {**NOTABLE, "result": {**NOTABLE["result"], "host": ""}}  # type: ignore[dict-item]
    [without_device] = office.tried(nameless)["events"]
    [with_reference] = office.tried(wrong)["events"]
    assert "no device" in without_device["error"]
    assert "problems" in with_reference["error"]
    assert with_reference["problems"]
    assert office.script.tokens == 0


def test_a_payload_that_asks_for_no_alert_says_so() -> None:
    """Nothing is searched, and the reason is the webhook's."""
    tried = Office().tried([])
    assert tried["ignored"]
    assert tried["events"] == []


def test_the_parameters_are_those_of_a_post() -> None:
    """A sender's own URL can be tried as it is, also with names that only the sender knows; a misspelt one cannot."""
    office = Office(Script([rows(ROW)] * 2))
    assert office.tried(NOTABLE, "?source=splunk&dry-run&sent_by=cron&title=")["source"] == "splunk"
    assert office.ask(NOTABLE, "?severty=High").status == 400
    assert office.ask(NOTABLE, "?source=nobody").status == 400
    assert office.ask(b"{").status == 400
    assert office.ask(NOTABLE, method="GET").status == 405
    assert len(office.script.queries) == 1


def test_a_few_events_are_searched_and_the_others_are_counted() -> None:
    """Of many events those in front are searched, each in a slot of its own; the answer says how many are left."""
    office = Office(Script(rows(ROW) for _ in range(100)))
    tried = office.tried([NOTABLE | {"sid": f"scheduler__{n}"} for n in range(8)])
    assert len(tried["events"]) == len(office.script.queries) == len(office.slots()) == tryout.EVENTS
    assert tried["remaining"] == 8 - tryout.EVENTS
    many = office.tried([eight_fields(event(n), "A rule") for n in range(30)])
    assert (len(many["events"]), many["remaining"]) == (tryout.SHOWN, 30 - tryout.SHOWN)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (Result("forbidden", 403, "The role is missing: run this.", 0.1), ["The role is missing: run this."]),
        (Result("throttled", 429, "Too many calls.", 0.1, wait=12.2), ["Too many calls.", "again in 13 s"]),
        (Result("unavailable", None, "No answer within 60 s.", 60.0), ["No answer within 60 s."]),
        (Result("unreadable", 200, "HTTP 200, but no rows.", 0.1), ["HTTP 200, but no rows."]),
    ],
)
def test_an_error_of_graph_ends_the_searches(result: Result, says: list[str]) -> None:
    """The event has the sentence of its error; the next one is not searched, and its clues are shown all the same."""
    office = Office(Script([result]))
    first, second = office.tried([NOTABLE, NOTABLE | {"sid": "scheduler__2"}])["events"]
    assert all(part in first["error"] for part in says)
    assert "earlier event failed" in second["error"]
    assert len(second["clues"]) == len(first["clues"]) == 3
    assert len(office.script.queries) == 1


def test_a_bad_query_fails_its_event_alone() -> None:
    """The next event is searched."""
    office = Office(Script([Result("bad query", 400, "HTTP 400: BadRequest", 0.1), rows(ROW)]))
    first, second = office.tried([NOTABLE, NOTABLE | {"sid": "scheduler__2"}])["events"]
    assert "400" in first["error"]
    assert second["verdict"]["outcome"] == "match"


def test_a_table_that_the_tenant_lacks_is_left_out() -> None:
    """The other tables are searched in one more slot; the answer names the missing one."""
    by_hash = {**NOTABLE, "result": {"host": "pc-1", "UtcTime": "2026-03-04 05:06:07.891", "SHA1": "c" * 40}}
    missing = Result("no table", 400, "HTTP 400", 0.1, table="DeviceFileEvents")
    office = Office(Script([missing, rows()]))
    [shown] = office.tried(by_hash)["events"]
    assert shown["verdict"]["missingTables"] == ["DeviceFileEvents"]
    assert ["DeviceFileEvents" in text for text in office.script.queries] == [True, False]
    assert len(office.slots()) == 2


def test_without_the_only_table_there_is_no_search() -> None:
    """A tenant without any table of the query is answered so, by name; so is one without the devices."""
    missing = (Result("no table", 400, "HTTP 400", 0.1, table=table) for table in tables_of(NOTABLE))
    [shown] = Office(Script(missing)).tried(NOTABLE)["events"]
    assert "DeviceProcessEvents" in shown["error"]
    office = Office(Script([Result("no table", 400, "HTTP 400", 0.1, table="DeviceInfo")]))
    [shown] = office.tried(NOTABLE)["events"]
    assert "DeviceInfo" in shown["error"]


def tables_of(payload: Any) -> list[str]:
    """Return the tables of events that are searched for a payload."""
    office = Office(Script([rows()]))
    office.tried(payload)
    return [table for table in sorted(tables.NAMES) if f"({table}\n" in office.script.queries[0]]


def test_no_call_without_a_slot() -> None:
    """After 15 searches the next is a 429 that says when, and works then; Graph saw no sixteenth call before."""
    office = Office(Script(rows(ROW) for _ in range(100)))
    for _ in range(window.MOST_CALLS):
        assert office.ask(NOTABLE, seconds=1).status == 200
    refused = office.ask(NOTABLE, seconds=1)
    seconds = int(refused.headers["Retry-After"])
    assert (refused.status, json.loads(refused.body)["type"].rpartition(":")[2]) == (429, "no-slot")
    assert 40 < seconds <= 61
    assert len(office.script.queries) == window.MOST_CALLS
    office.world.run(seconds)
    assert office.ask(NOTABLE).status == 200


def test_no_call_in_a_pause_of_the_searches() -> None:
    """A pause of the stage holds for tries too, and the refusal says that it is one."""
    office = Office()
    office.world.table.commit([pause.stop(None, "maintenance", keys.SEARCH)])
    refused = office.ask(NOTABLE)
    assert (refused.status, json.loads(refused.body)["detail"]) == (429, "Searches pause: maintenance.")
    assert office.script.queries == []


def test_no_call_in_a_pause_that_began_while_the_acquire_was_answered() -> None:
    """The table answers the acquire after 3 s, and the operator has paused meanwhile: the slot goes back."""
    office = Office()
    world = office.world
    acquires: list[Request] = []

    def stop() -> None:
        world.table.commit([pause.stop(None, "drill", keys.SEARCH)])

    def late(request: Request) -> Fault | None:
        if request.kind != "commit" or acquires:
            return None
        acquires.append(request)
        world.at(world.now + 1.0, stop)
        return Fault("frozen", 3.0)

    office.host.script = late
    refused = office.ask(NOTABLE)
    assert (refused.status, json.loads(refused.body)["detail"]) == (429, "Searches pause: drill.")
    assert office.script.queries == []
    [slot] = world.table.query("find-slot-0", "find-slot-9")
    assert slot.values["closed"] == window.UNUSED_SECONDS


def test_a_429_of_a_try_pauses_the_searches() -> None:
    """Like that of any other search: no host searches before its `Retry-After` is over, and then they do."""
    office = Office(Script([Result("throttled", 429, "Too many calls.", 0.1, wait=45.0), rows(ROW)]))
    began = office.world.now
    office.ask(NOTABLE, seconds=1)
    held = window.read_pause(office.world.table.get(keys.SEARCH.pause), window.Policy(stage=keys.SEARCH))
    assert held
    assert 45.0 <= held.ends - began < 46.0
    other = Office(office.script, world=office.world)
    refused = other.ask(NOTABLE, seconds=40)
    assert (refused.status, json.loads(refused.body)["detail"]) == (429, "Searches pause: Too many calls..")
    assert len(office.script.queries) == 1
    office.world.run(5)
    assert other.ask(NOTABLE).status == 200
    assert len(office.script.queries) == 2


def test_where_slots_end_within_a_try_what_was_found_is_shown() -> None:
    """The searched events have their verdicts, the others the reason."""
    office = Office(Script(rows(ROW) for _ in range(100)))
    payload = [NOTABLE | {"sid": f"scheduler__{n}"} for n in range(4)]
    answers = [json.loads(office.ask(payload, seconds=2).body)["events"] for _ in range(4)]
    errors = [item["error"] for item in itertools.chain(*answers)]
    assert errors[:15] == [None] * 15
    assert "searches of this minute" in errors[15]


@pytest.mark.parametrize("seed", range(6))
def test_no_minute_has_more_calls_than_slots(seed: int) -> None:
    """Three hosts, tries at any time, a table that loses requests: in no rolling minute more than 15 calls begin."""
    world = World(seed)
    calls: list[float] = []
    rooms = []

    def call() -> None:
        calls.append(world.now)
        world.sleep(world.random.uniform(0.1, 20.0))

    for _ in range(3):
        rooms.append(Office(Script((rows(ROW) for _ in range(1_000)), during=call), world=world))
        rooms[-1].host.script = Chances(table_lost=0.1).script(world)
    asked = []
    for _ in range(120):
        asked.append(world.random.choice(rooms).begin(NOTABLE))
        world.run(world.random.choice([0.0, 0.0, 2.0, 6.0]))
    world.run(300)
    assert {answer.result(timeout=0).status for answer in asked} <= {200, 429, 503}
    assert len(calls) > 2 * window.MOST_CALLS
    assert all(later - first >= 60 for first, later in zip(calls, calls[window.MOST_CALLS :], strict=False))


def test_a_call_without_an_answer_holds_its_slot_for_the_lease() -> None:
    """It may arrive at Graph yet: its slot opens only when the lease ends."""
    office = Office(Script([Result("unavailable", None, "No answer.", 60.0), rows()]))
    office.tried(NOTABLE)
    [lost] = office.world.table.query("find-", "find.")
    assert lost.values["closed"] == pytest.approx(60 + 60 + 60.25)
    office.tried(NOTABLE)
    answered = [row for row in office.world.table.query("find-", "find.") if row.key != lost.key]
    assert [row.values["closed"] for row in answered] == [pytest.approx(60.25)]


def test_a_table_that_fails_after_the_search_hides_nothing() -> None:
    """The verdict is shown although the slot could not be released."""
    script = Script([rows(ROW)])
    office = Office(script)

    def break_table() -> None:
        office.host.script = lambda request: Fault("lost") if request.kind == "commit" else None

    script.during = break_table
    [shown] = office.tried(NOTABLE)["events"]
    assert shown["verdict"]["outcome"] == "match"


def test_without_a_token_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says why there is none, and no slot is used."""

    def refuse(*, timeout: float) -> str:
        raise TokenError(f"No token for Graph in {timeout:g} s (GRAPH_TOKEN_SCOPE).")

    office = Office()
    monkeypatch.setattr(office.script, "token", refuse)
    answer = office.ask(NOTABLE)
    assert answer.status == 503
    assert "GRAPH_TOKEN_SCOPE" in answer.body
    assert office.slots() == []


def test_a_try_ends_before_the_platform_ends_it() -> None:
    """No call begins that could outlive the time of a request; what was found before is shown."""
    script = Script(rows(ROW) for _ in range(9))
    office = Office(script, deadline=100.0)
    script.during = lambda: office.world.sleep(90.0)
    events = office.tried([NOTABLE | {"sid": f"scheduler__{n}"} for n in range(3)])["events"]
    assert [bool(item["verdict"]) for item in events] == [True, True, False]
    assert "time of this try is over" in events[2]["error"]


def test_the_longest_deadline_leaves_one_search() -> None:
    """Also with the longest time-out that can be set, the first search of a try begins."""
    office = Office(Script([rows(ROW)]), deadline=200.0)
    assert office.tried(NOTABLE)["events"][0]["verdict"]


def test_a_young_event_is_judged_with_care() -> None:
    """The age of the event is that of now: a twin may not be searchable yet."""
    office = Office()
    now = int((office.host.webhook(Settings()).clocks.wall() - 60) * 10_000_000)
    other = {**ROW, "Timestamp": query.iso(now - 300_000_000)}
    young = {**NOTABLE, "result": {**NOTABLE["result"], "UtcTime": query.iso(now)[:19].replace("T", " ")}}  # type: ignore[dict-item]
    office.script.results = [rows(other)]
    [shown] = office.tried(young)["events"]
    assert shown["verdict"]["outcome"] == "none"
    assert "recent" in shown["verdict"]["reason"]
