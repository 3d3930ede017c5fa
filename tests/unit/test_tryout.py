"""The operator's try: what it shows of each event, how many calls it makes, and that it changes nothing."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from dev.samples import eight_fields, event
from dev.virtual import ORIGIN, Defender, Fault, Host, World
from shared.clients.graph import Result
from shared.errors import TokenError
from shared.operations import trial_slots, tryout
from shared.operations.routes import Operator, handle
from shared.search import devices, query
from shared.settings import Settings
from shared.web.reply import Reply
from tests.checks.contract import Contract
from tests.checks.searches import Script, searching

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


def rows(*found: Mapping[str, str]) -> Result:
    """Return an answer of Graph with these rows."""
    return Result("rows", 200, "", 0.2, rows=found)


class Room:
    """An operator in a virtual world that begins a day after the event; `script` answers for Graph."""

    def __init__(self, script: Script | None = None, *, deadline: float = 60.0) -> None:
        self.world = World()
        self.defender = Defender(self.world)
        self.host = Host(self.world, arrive=self.defender)
        self.script = script or Script()
        webhook = self.host.webhook(Settings())
        self.operator = Operator(webhook, lambda: None, searching(self.script, deadline=deadline))

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
    room = Room(Script([rows(ROW)]))
    tried = room.tried(NOTABLE)
    [found] = tried["events"]
    assert found["verdict"] == {
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
    assert [clue["name"] for clue in found["clues"]] == ["device", "time", "commandLine"]
    assert [found["query"]] == room.script.queries
    assert found["error"] is None
    assert {problem["field"] for problem in found["problems"]} >= {"machineId", "reportId"}


def test_it_raises_and_stores_nothing() -> None:
    """After a try the table has its slot and nothing else, and Defender was not called."""
    room = Room(Script([rows(ROW)]))
    room.tried([NOTABLE, eight_fields(event(1), "A rule")])
    assert [row.key for row in room.world.table.query("", "~")] == room.slots()
    assert len(room.slots()) == 1
    assert room.defender.arrivals == []


def test_an_event_with_a_whole_reference_is_shown_with_it_and_not_searched() -> None:
    """Neither a token for Graph nor a slot is asked for."""
    room = Room()
    fields = eight_fields(event(1), "A rule")
    [found] = room.tried(fields)["events"]
    assert found["reference"] == {name: fields[name] for name in ("machineId", "eventTime", "reportId")}
    assert (found["verdict"], found["error"], found["query"]) == (None, None, None)
    assert (room.script.tokens, room.script.queries, room.slots()) == (0, [], [])


def test_what_cannot_be_searched_says_why() -> None:
    """An event without a device has no query; one with a reference and a wrong field has its problems."""
    room = Room()
    wrong = eight_fields(event(1), "A rule") | {"severity": "Purple"}
    nameless = {**NOTABLE, "result": {**NOTABLE["result"], "host": ""}}  # type: ignore[dict-item]
    [without_device] = room.tried(nameless)["events"]
    [with_reference] = room.tried(wrong)["events"]
    assert "no device" in without_device["error"]
    assert "problems" in with_reference["error"]
    assert with_reference["problems"]
    assert room.script.tokens == 0


def test_a_payload_that_asks_for_no_alert_says_so() -> None:
    """Nothing is searched, and the reason is the webhook's."""
    tried = Room().tried([])
    assert tried["ignored"]
    assert tried["events"] == []


def test_the_parameters_are_those_of_a_post() -> None:
    """A sender's own URL can be tried as it is, also with names that only the sender knows; a misspelt one cannot."""
    room = Room(Script([rows(ROW)] * 2))
    assert room.tried(NOTABLE, "?source=splunk&dry-run&sent_by=cron&title=")["source"] == "splunk"
    assert room.ask(NOTABLE, "?severty=High").status == 400
    assert room.ask(NOTABLE, "?source=nobody").status == 400
    assert room.ask(b"{").status == 400
    assert room.ask(NOTABLE, method="GET").status == 405
    assert len(room.script.queries) == 1


def test_a_few_events_are_searched_and_the_others_are_counted() -> None:
    """Of many events those in front are searched, each in a slot of its own; the answer says how many are left."""
    room = Room(Script(rows(ROW) for _ in range(100)))
    tried = room.tried([NOTABLE | {"sid": f"scheduler__{n}"} for n in range(8)])
    assert len(tried["events"]) == len(room.script.queries) == len(room.slots()) == tryout.EVENTS
    assert tried["remaining"] == 8 - tryout.EVENTS
    many = room.tried([eight_fields(event(n), "A rule") for n in range(30)])
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
    room = Room(Script([result]))
    first, second = room.tried([NOTABLE, NOTABLE | {"sid": "scheduler__2"}])["events"]
    assert all(part in first["error"] for part in says)
    assert "earlier event failed" in second["error"]
    assert len(second["clues"]) == len(first["clues"]) == 3
    assert len(room.script.queries) == 1


def test_a_bad_query_fails_its_event_alone() -> None:
    """The next event is searched."""
    room = Room(Script([Result("bad query", 400, "HTTP 400: BadRequest", 0.1), rows(ROW)]))
    first, second = room.tried([NOTABLE, NOTABLE | {"sid": "scheduler__2"}])["events"]
    assert "400" in first["error"]
    assert second["verdict"]["outcome"] == "match"


def test_a_table_that_the_tenant_lacks_is_left_out() -> None:
    """The other tables are searched in one more slot; the answer names the missing one."""
    by_hash = {**NOTABLE, "result": {"host": "pc-1", "UtcTime": "2026-03-04 05:06:07.891", "SHA1": "c" * 40}}
    missing = Result("no table", 400, "HTTP 400", 0.1, table="DeviceFileEvents")
    room = Room(Script([missing, rows()]))
    [found] = room.tried(by_hash)["events"]
    assert found["verdict"]["missingTables"] == ["DeviceFileEvents"]
    assert ["DeviceFileEvents" in text for text in room.script.queries] == [True, False]
    assert len(room.slots()) == 2


def test_without_the_only_table_there_is_no_search() -> None:
    """A tenant without any table of the query is told, by name; so is one without the devices."""
    missing = (Result("no table", 400, "HTTP 400", 0.1, table=table) for table in tables_of(NOTABLE))
    [found] = Room(Script(missing)).tried(NOTABLE)["events"]
    assert "DeviceProcessEvents" in found["error"]
    room = Room(Script([Result("no table", 400, "HTTP 400", 0.1, table="DeviceInfo")]))
    [found] = room.tried(NOTABLE)["events"]
    assert "DeviceInfo" in found["error"]


def tables_of(payload: Any) -> list[str]:
    """Return the tables of events that are searched for a payload."""
    room = Room(Script([rows()]))
    room.tried(payload)
    return [table for table in sorted(tryout._TABLES) if f"({table}\n" in room.script.queries[0]]


def test_no_call_without_a_slot() -> None:
    """After 15 searches the next is a 429 that says when, and works then; Graph saw no sixteenth call before."""
    room = Room(Script(rows(ROW) for _ in range(100)))
    for _ in range(trial_slots.CALLS):
        assert room.ask(NOTABLE, seconds=1).status == 200
    refused = room.ask(NOTABLE, seconds=1)
    seconds = int(refused.headers["Retry-After"])
    assert (refused.status, json.loads(refused.body)["type"].rpartition(":")[2]) == (429, "no-slot")
    assert 40 < seconds <= 61
    assert len(room.script.queries) == trial_slots.CALLS
    room.world.run(seconds)
    assert room.ask(NOTABLE).status == 200


def test_where_slots_end_within_a_try_what_was_found_is_shown() -> None:
    """The searched events have their verdicts, the others the reason."""
    room = Room(Script(rows(ROW) for _ in range(100)))
    payload = [NOTABLE | {"sid": f"scheduler__{n}"} for n in range(4)]
    answers = [json.loads(room.ask(payload, seconds=2).body)["events"] for _ in range(4)]
    errors = [found["error"] for found in itertools.chain(*answers)]
    assert errors[:15] == [None] * 15
    assert "searches of this minute" in errors[15]


def test_a_call_without_an_answer_holds_its_slot_for_the_lease() -> None:
    """It may arrive at Graph yet: its slot opens only when the lease ends."""
    room = Room(Script([Result("unavailable", None, "No answer.", 60.0), rows()]))
    room.tried(NOTABLE)
    [lost] = room.world.table.query("find-", "find.")
    assert lost.values["closed"] == pytest.approx(60 + 60 + 60.25)
    room.tried(NOTABLE)
    answered = [row for row in room.world.table.query("find-", "find.") if row.key != lost.key]
    assert [row.values["closed"] for row in answered] == [pytest.approx(60.25)]


def test_a_table_that_fails_after_the_search_hides_nothing() -> None:
    """The verdict is shown although the slot could not be released."""
    script = Script([rows(ROW)])
    room = Room(script)

    def break_table() -> None:
        room.host.script = lambda request: Fault("lost") if request.kind == "commit" else None

    script.during = break_table
    [found] = room.tried(NOTABLE)["events"]
    assert found["verdict"]["outcome"] == "match"


def test_without_a_token_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says why there is none, and no slot is used."""

    def refuse(*, timeout: float) -> str:
        raise TokenError(f"No token for Graph in {timeout:g} s (GRAPH_TOKEN_SCOPE).")

    room = Room()
    monkeypatch.setattr(room.script, "token", refuse)
    answer = room.ask(NOTABLE)
    assert answer.status == 503
    assert "GRAPH_TOKEN_SCOPE" in answer.body
    assert room.slots() == []


def test_a_try_ends_before_the_platform_ends_it() -> None:
    """No call begins that could outlive the time of a request; what was found before is shown."""
    script = Script(rows(ROW) for _ in range(9))
    room = Room(script, deadline=100.0)
    script.during = lambda: room.world.sleep(90.0)
    found = room.tried([NOTABLE | {"sid": f"scheduler__{n}"} for n in range(3)])["events"]
    assert [bool(one["verdict"]) for one in found] == [True, True, False]
    assert "time of this try is over" in found[2]["error"]


def test_the_longest_deadline_leaves_one_search() -> None:
    """Also with the longest time-out that can be set, the first search of a try begins."""
    room = Room(Script([rows(ROW)]), deadline=200.0)
    assert room.tried(NOTABLE)["events"][0]["verdict"]


def test_a_young_event_is_judged_with_care() -> None:
    """The age of the event is that of now: a twin may not be searchable yet."""
    room = Room()
    now = int((room.host.webhook(Settings()).clocks.wall() - 60) * 10_000_000)
    other = {**ROW, "Timestamp": query.iso(now - 300_000_000)}
    young = {**NOTABLE, "result": {**NOTABLE["result"], "UtcTime": query.iso(now)[:19].replace("T", " ")}}  # type: ignore[dict-item]
    room.script.results = [rows(other)]
    [found] = room.tried(young)["events"]
    assert found["verdict"]["outcome"] == "none"
    assert "recent" in found["verdict"]["reason"]
