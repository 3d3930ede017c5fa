"""The operator's requests: what they show is what is there, and what they change is what was asked for, once."""

import functools
import itertools
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.samples import eight_fields, event
from shared.alerts.alert import Alert
from shared.clients.graph import Result
from shared.identity import Claims
from shared.ledger import keys, record, rows, settlement
from shared.mapping import mappings as mapping
from shared.operations import condition, discard, ordered, page, permission
from shared.operations.routes import Operator, handle
from shared.senders import Sender
from shared.sending import pause
from shared.settings import Settings
from shared.table.protocol import Delete, Insert, Replace, Row
from shared.web.reply import Reply
from shared.webhook import memory
from tests.checks.searches import Script, searching
from tests.checks.sound import unsound
from tests.checks.virtual import Defender, Fault, Host, Request, World, answer_with

ORIGIN = "https://app.example"
ROOT = Path(__file__).parents[2]
KEY = "a-function-key-nobody-may-see"
DEVICE = event(1).machine_id
CLAIMS = Claims(
    audience="https://api.securitycenter.windows.com",
    roles=(permission.ROLE,),
    application="a7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33",
    tenant="5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11",
    expires=datetime(2100, 1, 1, tzinfo=UTC),
)


class Reader(Host):
    """A host that counts the rows it reads, and remembers what it asked for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.rows_read = 0
        self.asked: set[str] = set()
        self.asked_for_keys: set[str] = set()

    def get(self, key: str, *, seconds: float) -> Row | None:
        """Read from the world's table."""
        self.asked.add(key)
        return super().get(key, seconds=seconds)

    def query(
        self,
        start: str,
        end: str,
        *,
        after: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        seconds: float,
    ) -> list[Row]:
        """Read from the world's table."""
        answer = super().query(start, end, after=after, limit=limit, keys_only=keys_only, seconds=seconds)
        self.rows_read += len(answer)
        self.asked.add(start)
        if keys_only:
            self.asked_for_keys.add(start)
        return answer


class Office:
    """A host in a virtual world, and its operator."""

    def __init__(
        self,
        seed: int = 0,
        *,
        claims: Claims | None = None,
        fault: Fault | None = None,
        script: Script | None = None,
    ) -> None:
        self.world = World(seed)
        self.table = self.world.table
        self.defender = Defender(self.world)
        self.host = Reader(self.world, script=lambda _: fault, arrive=self.defender)
        self.webhook = self.host.webhook(Settings())
        self.operator = Operator(self.webhook, lambda: claims, searching(script))

    def start(self, method: str, path: str, **parameters: object) -> list[Reply]:
        """Begin a request of the operator's; its answer is in the list once the world has run."""
        url = f"{ORIGIN}/api/operations/{path}?{urlencode(parameters)}"
        return self.begin(lambda: handle(self.operator, method, path, url))

    def begin(self, use_case: Callable[[], Reply]) -> list[Reply]:
        """Begin a use case on this host."""
        answers: list[Reply] = []
        self.host.ask(use_case).add_done_callback(lambda done: answers.append(done.result()))
        return answers

    def ask(self, method: str, path: str, **parameters: object) -> Reply:
        """Ask for something, and let everything happen that follows from it."""
        answers = self.start(method, path, **parameters)
        self.world.run()
        return answers[0]

    def get(self, path: str, **parameters: object) -> Any:
        """Return what the operator sees."""
        answer = self.ask("GET", path, **parameters)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def do(self, path: str, **parameters: object) -> Any:
        """Change something; it must work."""
        answer = self.ask("POST", path, **parameters)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def pages(self, path: str, name: str, **parameters: object) -> Iterator[list[Any]]:
        """Follow a list to its end."""
        shown = self.get(path, **parameters)
        while True:
            yield shown[name]
            if shown["continuation"] is None:
                return
            shown = self.get(path, **parameters, continuation=shown["continuation"])

    def post(self, body: Any, *, sender: str = "", **query: str) -> Reply:
        """Send something to the webhook, as a SIEM does."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answers = self.begin(lambda: self.webhook.receive(raw, query, ORIGIN, sender=sender))
        self.world.run()
        return answers[0]

    def tick(self, times: int = 1) -> None:
        """Let the timer fire, one run after the other."""
        for _ in range(times):
            self.host.spawn(self.webhook.dispatch)
            self.world.run()

    def write(
        self,
        number: int,
        state: str = "waiting",
        *,
        source: str = "splunk",
        title: str = "A title",
        age: float = 0,
        delivered: bool = False,
    ) -> str:
        """Put an alert into the table as the ledger would, accepted `age` seconds ago; return its id."""
        accepted = self.world.now - age
        home = keys.delivery_id(accepted) if delivered else "0-0"
        alert = Alert.from_body(eight_fields(event(number, device="pc-001.contoso.example"), title, "High"))
        entry = record.accept(alert, source=source, delivery=home, now=accepted)
        etags = self.table.commit(rows.insert(entry))
        if delivered:
            self.table.commit([rows.insert_delivery(record.Delivery(home, source, accepted, (alert.id,)))])
        taken = record.hold(entry, "attempt", now=accepted, lease=150.0)
        if state == "waiting":
            return alert.id
        if state == "sending":
            after = taken
        elif state == "discarded":
            after = record.discard(entry, now=accepted + 1)
        else:
            answer = answer_with(200 if state == "created" else 400)
            after = settlement.settle(taken, answer, now=accepted + 1, rules=settlement.Rules())
        self.table.commit(rows.move(entry, after, waiting=etags[entry.waits]))
        return alert.id

    def entry(self, alert_id: str) -> record.Entry:
        """Read an alert straight from the table."""
        (row,) = self.table.query(keys.alert_key(alert_id), keys.alert_key(alert_id) + "~")
        return rows.read(row)

    def states(self) -> Counter[str]:
        """Count the alerts by their state, straight from the table."""
        alerts = self.table.query(keys.ALERT, keys.ALERT_END)
        return Counter(rows.read(row).state for row in alerts)


def body(number: int, title: str | None = None, severity: str = "High") -> dict[str, Any]:
    """Return a payload in the API's own fields; the same number is the same event."""
    return eight_fields(event(number), title or f"Alert {number}", severity)


def problem(answer: Reply, status: int) -> dict[str, Any]:
    """Return an answer's problem document, checked to be one."""
    document: dict[str, Any] = json.loads(answer.body)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert document["status"] == status
    return document


def utc(seconds: float) -> str:
    """Return a time as the operator writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


# Routes and parameters


@pytest.mark.parametrize(
    "path", ["", "alert", "alerts/x/y", "alerts/x/replay/now", "refused/x/y", "pause/now"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_a_problem_that_lists_the_known_ones(method: str, path: str) -> None:
    """404 with a problem document that names what there is."""
    document = problem(Office().ask(method, path), 404)
    assert document["type"].endswith(":no-operation")
    assert "alerts/{id}/replay" in document["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "alerts", "GET"),
        ("GET", "alerts/replay", "POST"),
        ("POST", "alerts/0", "GET"),
        ("GET", "alerts/0/replay", "POST"),
        ("POST", "refused", "GET"),
        ("POST", "refused/0", "GET"),
        ("GET", "refused/0/replay", "POST"),
        ("GET", "pause", "POST"),
        ("GET", "resume", "POST"),
        ("GET", "discard", "POST"),
        ("POST", "status", "GET"),
        ("POST", "senders", "GET"),
        ("POST", "unreadable", "GET"),
    ],
)
def test_a_wrong_method_is_answered_with_the_right_one(method: str, path: str, allowed: str) -> None:
    """405 with `Allow`; whatever changes something is a POST, so that no link or crawler does it."""
    answer = Office().ask(method, path)
    problem(answer, 405)
    assert answer.headers["Allow"] == allowed


def test_paths_and_names_of_parameters_are_read_in_any_case() -> None:
    """As the routes of the Functions host and the parameters of the webhook."""
    office = Office()
    office.write(1)
    assert len(office.get("Alerts/", STATUS="waiting", machineid=DEVICE.upper())["alerts"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "alerts", "status=sent", ['status: "sent"', "waiting | created | failed | discarded"]),
        ("GET", "alerts", "top=0", ['top: "0"', "1 to 200"]),
        ("GET", "alerts", "top=201", ['top: "201"', "1 to 200"]),
        ("GET", "alerts", "top=-1", ['top: "-1"', "1 to 200"]),
        ("GET", "alerts", "top=\u0663", ['top: "\u0663"', "1 to 200"]),
        ("GET", "alerts", "since=yesterday", ['since: "yesterday"', "2026-03-04T05:06:07Z"]),
        (
            "GET",
            "alerts",
            "since=2026-03-04T05:06:07+02:00",
            ["since: ", "as in 2026-03-04T05:06:07Z"],
        ),  # + is a space
        ("GET", "alerts", "continuation=abc", ['continuation: "abc"', "the answer before"]),
        ("GET", "alerts", "continuation=a2VwdC0", ["continuation: ", "the answer before"]),  # kept-
        (
            "GET",
            "alerts",
            "continuation=YWxlcnQtJyBvciAn",
            ["continuation: ", "the answer before"],
        ),  # a quote
        ("GET", "alerts", "titel=x", ["titel: There is no such parameter", "status, machineId, title"]),
        ("GET", "alerts", "title=a&title=b", ["title: ", "a and b", "one value"]),
        ("GET", "refused", "status=failed", ["status: ", "source, since, top, continuation"]),
        ("POST", "discard", "", ["no filter found", "source, title"]),
        ("POST", "discard", "source=splunk&title=", ['title: ""', "not empty"]),
        (
            "POST",
            "discard",
            "source=splunk&titel=x",
            ["titel: There is no such parameter", "source, title, continuation"],
        ),
        ("POST", "alerts/replay", "", ["status: missing", "accepted: failed"]),
        ("POST", "alerts/replay", "status=discarded", ['status: "discarded"', "accepted: failed"]),
        ("POST", "resume", "now=true", ["now: There is no such parameter", "accepted: only stage"]),
        ("GET", "status", "refresh=yes", ['refresh: "yes"', "true | false"]),
    ],
)
def test_a_wrong_parameter_is_refused_and_changes_nothing(
    method: str, path: str, query: str, expected: list[str]
) -> None:
    """400 names the parameter, what was found and what is accepted.

    Also what is misspelt, empty or there twice: left out, it would widen what a discard takes.
    """
    office = Office()
    office.write(1)
    url = f"{ORIGIN}/api/operations/{path}?{query}"
    answers = office.begin(lambda: handle(office.operator, method, path, url))
    office.world.run()
    document = problem(answers[0], 400)
    assert all(part in document["detail"] for part in expected), document["detail"]
    assert office.states() == {"waiting": 1}


def test_the_function_key_in_the_url_is_the_hosts_business() -> None:
    """`code` is no parameter of ours, and comes back in no answer."""
    office = Office()
    answer = office.ask("GET", "alerts", code=KEY, clientId="siem")
    assert answer.status == 200
    assert KEY not in answer.body
    assert KEY not in office.ask("GET", "alerts", code=KEY, top="none").body


def test_without_the_table_the_answer_says_so() -> None:
    """503 with `Retry-After`, for a list as for a change."""
    office = Office(fault=Fault("lost"))
    for method, path in [("GET", "status"), ("GET", "alerts"), ("POST", "pause"), ("POST", "resume")]:
        answer = office.ask(method, path)
        problem(answer, 503)
        assert answer.headers["Retry-After"]


def test_the_ready_requests_fit_the_routes() -> None:
    """Each request of ops.http is understood, and each route is among them."""
    text = (ROOT / "ops.http").read_text("utf-8")
    variables = dict(re.findall(r"^@(\w+) = (.+)$", text, re.MULTILINE))
    for name, value in variables.items():
        text = text.replace("{{" + name + "}}", value)
    pattern = r"^(GET|POST) (\S+)\nx-functions-key: (\S+)(?:\ncontent-type: application/json\n\n(.+))?$"
    requests = re.findall(pattern, text, re.MULTILINE)
    assert len(requests) == len(re.findall(r"^###", text, re.MULTILINE))
    used = set()
    for method, url, key, body in requests:
        assert key == variables["key"]
        path = urlsplit(url).path.removeprefix("/api/operations/")
        office = Office(script=Script([Result("rows", 200, "", 0.1)]))
        request = functools.partial(handle, office.operator, method, path, url, body=body.encode())
        answers = office.begin(request)
        office.world.run()
        answer = answers[0]
        assert answer.status in (200, 404), answer.body
        assert "no-operation" not in answer.body
        for name in ("alert", "refused", "unreadable"):
            path = path.replace(variables[name], "{id}")
        used.add(path)
    known = problem(Office().ask("GET", "nowhere"), 404)["detail"].partition("there are ")[2].rstrip(".")
    assert used == set(known.split(", "))


# Lists


SOURCES = ("splunk", "sentinel")
STATES = ("waiting", "sending", "created", "failed", "discarded")
ALERTS = st.lists(
    st.tuples(
        st.sampled_from(STATES),
        st.sampled_from(SOURCES),
        st.sampled_from(["A title", "a title"]),
        st.sampled_from([0, 100]),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(
    alerts=ALERTS,
    status=st.sampled_from([None, "waiting", "created", "failed", "discarded"]),
    source=st.sampled_from([None, *SOURCES]),
    title=st.sampled_from([None, "A title"]),
    recent=st.booleans(),
    top=st.integers(1, 7),
)
def test_pages_show_each_alert_that_fits_once(
    *,
    alerts: list[tuple[str, str, str, float]],
    status: str | None,
    source: str | None,
    title: str | None,
    recent: bool,
    top: int,
) -> None:
    """Whatever the filters and the size of a page: nothing missing, nothing twice, and an end."""
    office = Office()
    asked: dict[str, Any] = {"status": status, "source": source, "title": title}
    asked |= {"since": utc(office.world.now - 50)} if recent else {}
    asked = {name: value for name, value in asked.items() if value}
    expected = set()
    for number, (state, of, called, age) in enumerate(alerts):
        alert_id = office.write(number, state, source=of, title=called, age=age)
        shown = "waiting" if state == "sending" else state
        if status in (None, shown) and source in (None, of) and title in (None, called):
            expected |= set() if recent and age else {alert_id}
    pages = list(office.pages("alerts", "alerts", **asked, top=top))
    ids = [item["id"] for shown_page in pages for item in shown_page]
    assert sorted(ids) == sorted(expected)
    assert all(len(shown_page) <= top for shown_page in pages)
    assert len(pages) <= len(expected) // top + 1


@pytest.mark.parametrize("status", [None, "failed"])
def test_what_stays_is_not_missed_while_others_come_and_go(status: str | None) -> None:
    """A continuation is a place, not a count: rows written or removed between two pages move nothing."""
    office = Office()
    asked: dict[str, Any] = {"status": status} if status else {}
    staying = {office.write(number, "failed", age=number) for number in range(20)}
    going = [office.write(100 + number, "failed", age=number + 0.5) for number in range(20)]
    ids = []
    for number, shown in enumerate(office.pages("alerts", "alerts", **asked, top=3)):
        ids += [item["id"] for item in shown]
        office.write(200 + number, "failed", age=number)
        if going:
            office.do(f"alerts/{going.pop()}/replay")
    assert [Counter(ids)[alert_id] for alert_id in staying] == [1] * 20


def test_a_page_is_bounded_work_however_long_the_list() -> None:
    """A page reads at most ten thousand rows, once each; the one that fits is found."""
    office = Office()
    wanted = office.write(2_500, title="The one", delivered=True, age=3_000)
    for number in range(2_500):
        office.write(number, delivered=True, age=number)
    ids = []
    read = []
    before = office.host.rows_read
    for shown in office.pages("alerts", "alerts", title="The one"):
        ids += [item["id"] for item in shown]
        read.append(office.host.rows_read - before)
        before = office.host.rows_read
    assert ids == [wanted]
    assert len(read) == 1
    assert max(read) <= 2_501 + 2 * office.webhook.dispatcher.policy.calls + 1


def test_failed_and_waiting_come_in_an_order_that_means_something() -> None:
    """Failed ones by their end, the newest first or the oldest; waiting ones in the order of their turn."""
    office = Office()
    ids = [office.write(number, "failed", age=50 - number) for number in range(5)]
    assert [item["id"] for item in office.get("alerts", status="failed")["alerts"]] == ids[::-1]
    oldest_first = office.get("alerts", status="failed", order="oldest")["alerts"]
    assert [item["id"] for item in oldest_first] == ids
    office.do("pause")
    for number, severity in [(9, "Low"), (8, "Medium"), (7, "High")]:
        office.post(body(10 + number, severity=severity))
    waiting = office.get("alerts", status="waiting")["alerts"]
    assert [item["request"]["severity"] for item in waiting] == ["High", "Medium", "Low"]


def test_an_alert_is_shown_as_its_sender_sees_it_and_with_its_tries() -> None:
    """The delivery's shape, and beside it source, delivery, times, and what Defender said each time."""
    office = Office()
    office.defender.says = lambda before, _: answer_with(404 if before < 2 else 200)
    delivery = json.loads(office.post(body(1)).body)
    office.world.run(400)
    office.tick()
    office.world.run(400)
    office.tick()
    sent = delivery["alerts"][0]
    shown = office.get(f"alerts/{sent['id']}")
    assert set(sent) < set(shown)
    assert (shown["status"], shown["attempts"], shown["alert"]["id"]) == ("created", 3, "da200")
    assert (shown["source"], shown["delivery"], shown["request"]) == (
        "defender",
        delivery["id"],
        sent["request"],
    )
    assert shown["accepted"] < shown["ended"]
    assert [(attempt["number"], attempt["answer"], attempt["status"]) for attempt in shown["tries"]] == [
        (1, "not_found", 404),
        (2, "not_found", 404),
        (3, "created", 200),
    ]
    assert all(attempt["at"].endswith("Z") for attempt in shown["tries"])


@pytest.mark.parametrize("path", ["alerts/{}", "refused/{}"])
@pytest.mark.parametrize("unknown", ["0" * 32, "x", "0' or RowKey ge '", "%27", "0" * 5000])
def test_an_unknown_id_is_404(path: str, unknown: str) -> None:
    """Whatever stands in its place; nothing of it reaches the table's query language."""
    office = Office()
    for suffix, method in [("", "GET"), ("/replay", "POST")]:
        document = problem(office.ask(method, path.format(unknown) + suffix), 404)
        assert document["type"].endswith(":not-found")
    assert office.host.asked <= {"alert-" + unknown, "kept-" + unknown}
    assert not any("'" in key or "%" in key or len(key) > 100 for key in office.host.asked)


# Replay


def test_a_replayed_alert_is_created_by_the_dispatcher() -> None:
    """Failed, fixed, replayed: it waits again, goes through a slot, and its delivery says so."""
    office = Office()
    office.defender.says = lambda before, _: answer_with(400 if before == 0 else 200)
    delivery = json.loads(office.post(body(1)).body)
    alert_id = delivery["alerts"][0]["id"]
    assert delivery["alerts"][0]["status"] == "failed"
    assert office.get("alerts", status="failed")["alerts"][0]["error"]["status"] == 400
    again = office.do(f"alerts/{alert_id}/replay")
    assert (again["status"], again["ended"]) == ("waiting", None)
    assert unsound(office.table) == []
    office.tick()
    assert office.get(f"alerts/{alert_id}")["status"] == "created"
    assert office.get("alerts", status="failed")["alerts"] == []
    assert unsound(office.table) == []


def test_a_discarded_alert_can_be_replayed() -> None:
    """A discard is no deletion."""
    office = Office()
    alert_id = office.write(1)
    office.do("discard", title="A title")
    office.do(f"alerts/{alert_id}/replay")
    office.tick()
    assert office.states() == {"created": 1}


@pytest.mark.parametrize("state", ["waiting", "sending", "created"])
def test_only_what_ended_badly_can_be_replayed(state: str) -> None:
    """409 says how it stands, and nothing changes."""
    office = Office()
    alert_id = office.write(1, state)
    before = office.entry(alert_id)
    document = problem(office.ask("POST", f"alerts/{alert_id}/replay"), 409)
    assert document["state"] == state
    assert office.entry(alert_id) == before


@pytest.mark.parametrize("state", ["waiting", "sending"])
def test_an_alert_whose_waiting_row_was_removed_by_hand_can_be_replayed(state: str) -> None:
    """Nobody would ever send it otherwise: an unreadable row may be removed, and its alert is not lost by that."""
    office = Office()
    alert_id = office.write(1, state)
    office.table.commit([Delete(office.entry(alert_id).waits, "*")])
    office.tick()
    assert office.defender.arrivals == []
    assert office.do(f"alerts/{alert_id}/replay")["status"] == "waiting"
    assert unsound(office.table) == []
    office.tick()
    assert office.states() == {"created": 1}


@pytest.mark.parametrize("seed", range(20))
def test_a_replay_posted_twice_at_once_is_one_replay(seed: int) -> None:
    """Whoever comes second hears 409; Defender is called once."""
    office = Office(seed)
    alert_id = office.write(1, "failed")
    answers = (
        office.start("POST", f"alerts/{alert_id}/replay"),
        office.start("POST", f"alerts/{alert_id}/replay"),
    )
    office.world.run()
    assert sorted(answer.status for (answer,) in answers) == [200, 409]
    assert unsound(office.table) == []
    office.tick()
    assert len(office.defender.arrivals) == 1


def test_a_change_whose_answer_was_lost_can_be_asked_for_again() -> None:
    """503 leaves open whether it landed; the second time it is found as it stands, and sent once."""
    office = Office()
    alert_id = office.write(1, "failed")
    out = [Fault("swallowed")]
    office.host.script = lambda request: out[-1] if request.kind == "commit" or len(out) > 1 else None

    def unavailable() -> None:
        out.append(Fault("lost"))

    office.world.at(office.world.now + 1.0, unavailable)
    answer = problem(office.ask("POST", f"alerts/{alert_id}/replay"), 503)
    assert answer["type"].endswith(":write-unknown")
    office.host.script = None
    assert problem(office.ask("POST", f"alerts/{alert_id}/replay"), 409)["state"] == "waiting"
    office.tick()
    assert len(office.defender.arrivals) == 1


def test_a_change_that_others_keep_overtaking_is_given_up() -> None:
    """It looks again a few times, and then says 503 with `Retry-After`; nothing was changed by it."""
    office = Office()
    alert_id = office.write(1, "failed")
    key = keys.alert_key(alert_id)

    def script(request: Request) -> None:
        if request.kind == "commit":
            (row,) = office.table.query(key, key + "~")
            office.table.commit([Replace(key, row.values, "*")])

    office.host.script = script
    answer = office.ask("POST", f"alerts/{alert_id}/replay")
    problem(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    assert office.states() == {"failed": 1}


def test_the_failed_are_replayed_in_portions_that_come_to_an_end() -> None:
    """Each answer says how many were replayed and how many remain; discarded ones are left alone."""
    office = Office()
    for number in range(120):
        office.write(number, "failed", age=number + 1)
    office.write(500, "discarded")
    replies = [office.do("alerts/replay", status="failed", top=top) for top in (50, 50, 50)]
    assert [(reply["replayed"], reply["remaining"]) for reply in replies] == [(50, 70), (50, 20), (20, 0)]
    assert not any(reply["atLeast"] for reply in replies)
    assert office.states() == {"waiting": 120, "discarded": 1}
    assert unsound(office.table) == []


def test_what_fails_again_is_in_no_later_portion() -> None:
    """Each of 120 is called once more and rejected at once; the portions end, and a new request takes them anew."""
    office = Office()
    office.defender.says = lambda *_: answer_with(400)
    for number in range(120):
        office.write(number, "failed", age=number + 1)
    replayed = []
    asked: dict[str, str] = {}
    for _ in range(5):
        reply = office.do("alerts/replay", status="failed", **asked)
        replayed.append((reply["replayed"], reply["remaining"]))
        while office.states()["failed"] < 120:
            office.tick()
            office.world.run(61)
        if reply["continuation"] is None:
            break
        asked = {"continuation": reply["continuation"]}
    assert replayed == [(50, 70), (50, 20), (20, 0)]
    assert len(office.defender.arrivals) == 120
    assert office.do("alerts/replay", status="failed")["replayed"] == 50


def test_failed_alerts_are_replayed_by_the_filters_of_a_discard() -> None:
    """Only what fits waits again, and only that is counted."""
    office = Office()
    for number in range(3):
        office.write(number, "failed", title=f"Rule {number}", age=number + 1)
    reply = office.do("alerts/replay", status="failed", title="Rule 1")
    assert (reply["replayed"], reply["remaining"], office.states()) == (1, 0, {"failed": 2, "waiting": 1})
    reply = office.do("alerts/replay", status="failed", title="none")
    assert (reply["replayed"], reply["remaining"]) == (0, 0)


@pytest.mark.parametrize(
    "continuation",
    [
        "x",
        page.opaque("alert-1 failed-2"),
        page.opaque("failed-2 failed-1"),
        page.opaque("failed-0 failed-9\0"),
        page.opaque("failed-0 failed-é"),
    ],
)
def test_a_continuation_of_something_else_replays_nothing(continuation: str) -> None:
    """It is refused by its name."""
    office = Office()
    office.write(1, "failed", age=1)
    answer = office.ask("POST", "alerts/replay", status="failed", continuation=continuation)
    assert "continuation" in problem(answer, 400)["detail"]
    assert office.states() == {"failed": 1}


@pytest.mark.parametrize("seed", range(5))
def test_portions_replayed_at_once_replay_each_alert_once(seed: int) -> None:
    """Two operators at the same moment: together they replay what is there, no alert twice."""
    office = Office(seed)
    for number in range(30):
        office.write(number, "failed", age=number)
    answers = [office.start("POST", "alerts/replay", status="failed") for _ in range(2)]
    office.world.run()
    assert sum(json.loads(answer.body)["replayed"] for (answer,) in answers) == 30
    assert office.states() == {"waiting": 30}
    assert unsound(office.table) == []


# Refused payloads

ACME = {"acme": {"host": DEVICE, "when": "2026-03-04T05:06:07.1234567Z", "no": 7, "rule": "Beacon"}}
ACME_MAPPING = {
    "title": "Acme",
    "recognise": "acme",
    "fields": {
        "machineId": "acme.host",
        "eventTime": "acme.when",
        "reportId": "acme.no",
        "title": "acme.rule",
    },
}


def refuse(office: Office) -> str:
    """Let a payload of a source without a mapping be refused; return the id under which it is stored."""
    assert office.post(ACME, Code=KEY, severity="Low").status == 422
    (stored,) = office.get("refused")["refused"]
    return str(stored["id"])


def fix_mapping(office: Office, folder: Path) -> None:
    """Give the app a mapping for it, as a restart with `MAPPINGS_PATH` does."""
    (folder / "acme.json").write_text(json.dumps(ACME_MAPPING))
    fixed = replace(office.webhook, mappings=mapping.load(folder))
    office.operator = Operator(fixed, office.operator.last_token, searching())


def test_a_refused_payload_is_listed_and_shown_with_its_reasons() -> None:
    """The list has its size and not its text; one of them has both and every problem, and never a key."""
    office = Office()
    before = office.world.now
    stored = refuse(office)
    (listed,) = office.get("refused")["refused"]
    assert listed["bytes"] == len(json.dumps(ACME))
    assert listed["whole"]
    assert "payload" not in listed
    shown = office.get(f"refused/{stored}")
    assert json.loads(shown["payload"]) == ACME
    assert [event["event"] for event in shown["refused"]] == [0]
    assert all(problem["field"] and problem["detail"] for problem in shown["refused"][0]["problems"])
    assert shown["query"] == {"severity": "Low"}
    assert KEY not in json.dumps(shown)
    assert office.get("refused", since=utc(before - 1))["refused"] == [listed]
    assert office.get("refused", since=utc(office.world.now + 1))["refused"] == []
    assert office.get("refused", source="splunk")["refused"] == []


def test_refused_payloads_are_paged_and_filtered_by_source() -> None:
    """Each one that fits is on one page, newest first, and there is an end."""
    office = Office()
    for number in range(9):
        assert office.post({"number": number}, source=("splunk", "defender")[number % 2]).status == 422
    shown = list(office.pages("refused", "refused", source="splunk", top=2))
    payloads = [payload for one_page in shown for payload in one_page]
    assert len(payloads) == 5
    assert {payload["source"] for payload in payloads} == {"splunk"}
    assert [payload["id"] for payload in payloads] == sorted(
        {payload["id"] for payload in payloads}, reverse=True
    )


def test_a_refused_payload_is_received_again_after_its_mapping_was_fixed(tmp_path: Path) -> None:
    """It becomes an alert with the parameters it came with, is answered as by the webhook, and is no longer stored."""
    office = Office()
    stored = refuse(office)
    fix_mapping(office, tmp_path)
    answer = office.ask("POST", f"refused/{stored}/replay")
    assert answer.status == 200, answer.body
    (raised,) = json.loads(answer.body)["alerts"]
    assert (raised["status"], raised["request"]["severity"]) == ("created", "Low")
    assert office.get("refused")["refused"] == []
    problem(office.ask("POST", f"refused/{stored}/replay"), 404)
    assert len(office.defender.arrivals) == 1


def test_a_payload_that_is_refused_again_is_stored_once() -> None:
    """The answer is the webhook's, and the row stays as it was."""
    office = Office()
    stored = refuse(office)
    rows = office.table.query(keys.REFUSED, keys.REFUSED_END)
    document = problem(office.ask("POST", f"refused/{stored}/replay"), 422)
    assert document["refused"][0]["problems"]
    assert office.table.query(keys.REFUSED, keys.REFUSED_END) == rows


@pytest.mark.parametrize("seed", range(5))
def test_a_payload_replayed_twice_at_once_is_one_alert(seed: int, tmp_path: Path) -> None:
    """Both posts succeed or one finds it gone; Defender is called once."""
    office = Office(seed)
    stored = refuse(office)
    fix_mapping(office, tmp_path)
    answers = [office.start("POST", f"refused/{stored}/replay") for _ in range(2)]
    office.world.run()
    assert {answer.status for (answer,) in answers} <= {200, 202, 404}
    office.tick()
    assert office.states() == {"created": 1}
    assert len(office.defender.arrivals) == 1


@pytest.mark.parametrize("meanwhile", ["removed by another", "table unavailable"])
def test_what_happens_to_the_stored_row_does_not_spoil_the_answer(meanwhile: str, tmp_path: Path) -> None:
    """Once its alerts are accepted, the answer is about them: also if the row is gone, or cannot be removed."""
    office = Office()
    stored = refuse(office)
    fix_mapping(office, tmp_path)

    def script(request: Request) -> Fault | None:
        if [operation.key for operation in request.operations] != [keys.REFUSED + stored]:
            return None
        if meanwhile == "table unavailable":
            return Fault("lost")
        office.table.commit([Delete(keys.REFUSED + stored, "*")])
        return None

    office.host.script = script
    assert office.ask("POST", f"refused/{stored}/replay").status == 200
    left = office.table.query(keys.REFUSED, keys.REFUSED_END)
    assert len(left) == (1 if meanwhile == "table unavailable" else 0)


def test_a_payload_that_was_not_stored_whole_is_not_replayed() -> None:
    """409 says how much was stored, and that it has to be sent again."""
    office = Office()
    assert office.post({"acme": "x" * 70_000}).status == 422
    (stored,) = office.get("refused")["refused"]
    assert not stored["whole"]
    document = problem(office.ask("POST", f"refused/{stored['id']}/replay"), 409)
    assert (document["bytes"], document["kept"]) == (stored["bytes"], rows.REFUSED_BYTES)
    assert "sent again" in document["detail"]


# Pause and resume


def test_a_pause_stops_all_calls_and_resume_lets_them_go_on() -> None:
    """Nothing that comes in or waits is sent while it holds, for hours; then everything is."""
    office = Office()
    assert office.do("pause", reason="a bad rule")["pause"]["reason"] == "a bad rule"
    answers = [json.loads(office.post(body(number)).body) for number in range(20)]
    office.world.run(3 * 3600)
    office.tick(3)
    assert office.defender.arrivals == []
    waits = {answer["alerts"][0]["waitingFor"]["what"] for answer in answers}
    assert waits == {"pause"}
    shown = office.get("status")
    assert shown["pause"] == {"reason": "a bad rule", "until": None, "byOperator": True, "holds": True}
    assert (shown["window"]["open"], shown["window"]["nextOpens"]) == (0, None)
    assert office.do("resume")["pause"] is None
    office.tick(3)
    assert office.states() == {"created": 20}


def test_a_snapshot_from_before_the_operators_pause_acquires_nothing() -> None:
    """A host that looked just before the operator paused makes no call, although its snapshot shows no pause."""
    office = Office()
    office.do("pause")
    office.post(body(1))
    office.do("resume")
    dispatcher = office.webhook.dispatcher
    early = office.host.submit(dispatcher.snapshot)
    snapshot = office.world.finish(early)
    assert snapshot.acquires == 1
    paused = office.start("POST", "pause")
    office.world.run(0.5)
    assert paused[0].status == 200
    assert office.world.finish(office.host.submit(lambda: dispatcher.start(snapshot, "token"))) == {}
    assert office.defender.arrivals == []


def test_pausing_and_resuming_twice_is_the_same_as_once() -> None:
    """A second pause changes at most its reason; a resume without a pause is none."""
    office = Office()
    assert office.do("resume")["pause"] is None
    first = office.do("pause", reason="one")
    etag = office.table.query(keys.STOP, keys.STOP + "~")[0].etag
    assert office.do("pause", reason="one") == office.do("pause") == first
    assert office.table.query(keys.STOP, keys.STOP + "~")[0].etag == etag
    assert office.do("pause", reason="two")["pause"]["reason"] == "two"
    nothing = {"pause": None, "stages": [{"name": "reference", "pause": None}]}
    assert office.do("resume") == office.do("resume") == nothing


def test_the_operators_pause_takes_the_place_of_defenders() -> None:
    """One that would have ended by itself no longer does."""
    office = Office()
    office.defender.says = lambda *_: answer_with(429, retry_after=40)
    office.post(body(1))
    assert office.do("pause")["pause"]["byOperator"]
    office.world.run(3600)
    office.tick()
    assert len(office.defender.arrivals) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_pause_holds_against_what_defender_says_meanwhile(seed: int) -> None:
    """Calls that fail or probe at the same moment neither end the operator's pause nor take its place."""
    office = Office(seed)
    office.defender.says = lambda *_: answer_with(office.world.random.choice([200, 429, 500]))
    posts = [json.dumps(body(number)).encode() for number in range(5)]
    for raw in posts:
        office.begin(functools.partial(office.webhook.receive, raw, {}, ORIGIN))
    paused = office.start("POST", "pause")
    office.world.run()
    assert paused[0].status == 200
    calls = len(office.defender.arrivals)
    assert office.get("status")["pause"]["byOperator"]
    office.world.run(3600)
    office.tick(2)
    assert len(office.defender.arrivals) == calls


def test_resume_leaves_the_pause_that_defender_asked_for() -> None:
    """Calling sooner would only lengthen it; the answer shows until when it holds."""
    office = Office()
    office.defender.says = lambda *_: answer_with(429, retry_after=40)
    office.post(body(1))
    left = office.do("resume")["pause"]
    assert (left["byOperator"], left["holds"]) == (False, True)
    assert left["until"] > office.get("status")["now"]
    assert left["reason"].startswith("429")


def test_a_resume_leaves_a_probe_that_is_under_way_alone() -> None:
    """The operator's pause came and went beside it: what holds then is the probe's, until its answer."""
    office = Office()
    operation = pause.start(None, pause.Trouble("500", 0.0), office.world.now)
    assert operation
    office.table.commit([operation])
    office.defender.says = lambda *_: None
    office.begin(lambda: office.webhook.receive(json.dumps(body(1)).encode(), {}, ORIGIN))
    office.world.run(2)
    assert len(office.defender.arrivals) == 1
    paused = office.start("POST", "pause")
    office.world.run(1)
    resumed = office.start("POST", "resume")
    office.world.run(1)
    assert json.loads(paused[0].body)["pause"]["byOperator"]
    left = json.loads(resumed[0].body)["pause"]
    assert (left["byOperator"], left["holds"], left["reason"]) == (False, True, "500")
    office.world.run()


def test_defenders_pause_outlives_the_operators() -> None:
    """Pausing and resuming, whatever the reasons, does not call sooner than a 429 allowed."""
    office = Office()
    office.defender.says = lambda before, _: answer_with(200) if before else answer_with(429, retry_after=600)
    office.post(body(1))
    began = office.world.now
    for reason in ("one", "two"):
        office.do("pause", reason=reason)
        office.world.run(20)
    left = office.do("resume")["pause"]
    assert (left["byOperator"], left["holds"]) == (False, True)
    while len(office.defender.arrivals) == 1:
        office.tick()
    assert 595 <= office.defender.arrivals[1].at - began <= 660
    assert office.get("status")["pause"] is None


# Discard


def test_a_discard_takes_exactly_what_it_names() -> None:
    """Source and title, capital by capital, both where both are given; nothing that has ended or is being sent."""
    office = Office()
    titles = ("A title", "a title", "A title ")
    ids = {
        (source, title, state): office.write(number, state, source=source, title=title)
        for number, (source, title, state) in enumerate(itertools.product(SOURCES, titles, STATES))
    }
    reply = office.do("discard", source="splunk", title="A title")
    assert (reply["discarded"], reply["remaining"], reply["sending"]) == (1, 0, 1)
    assert reply["continuation"] is None
    for (source, title, state), alert_id in ids.items():
        hit = (source, title, state) == ("splunk", "A title", "waiting")
        assert office.entry(alert_id).state == ("discarded" if hit else state)
    assert office.do("discard", source="sentinel")["discarded"] == 3
    assert office.do("discard", title="a title")["discarded"] == 1
    assert unsound(office.table) == []


@pytest.mark.parametrize("state", STATES)
def test_one_alert_is_discarded_if_it_waits_or_has_failed(state: str) -> None:
    """The alert of this id and no other; one that has ended otherwise or is being sent is left as it is."""
    office = Office()
    office.write(1)
    wanted = office.write(2, state)
    answer = office.ask("POST", f"alerts/{wanted}/discard")
    if state in ("waiting", "failed"):
        assert json.loads(answer.body)["status"] == "discarded"
        assert office.states() == {"waiting": 1, "discarded": 1}
        assert office.get("alerts", status="failed")["alerts"] == []
        assert [item["id"] for item in office.get("outcomes")["outcomes"]] == [wanted]
        assert office.do(f"alerts/{wanted}/replay")["status"] == "waiting"
    else:
        assert problem(answer, 409)["state"] == state
        assert office.entry(wanted).state == state
    assert unsound(office.table) == []


def test_a_discard_goes_in_portions_that_come_to_an_end() -> None:
    """Each answer says how many were discarded and how many remain; what waits for a retry is among them."""
    office = Office()
    for number in range(450):
        office.write(number, age=number % 7)
    for number in range(450, 460):
        office.write(number, title="Another")
    replies = [office.do("discard", title="A title") for _ in range(4)]
    assert [(reply["discarded"], reply["remaining"]) for reply in replies] == [
        (200, 250),
        (200, 50),
        (50, 0),
        (0, 0),
    ]
    assert office.states() == {"waiting": 10, "discarded": 450}


def test_a_discard_finds_its_alerts_however_far_back_they_wait() -> None:
    """Where the backlog is longer than what one request reads, the continuation goes on, and comes to an end."""
    office = Office()
    for number in range(35):
        office.write(number, age=1000 - number, title="Another")
    wanted = office.write(100)
    portions: list[discard.Discarded] = []
    continuation = None
    while not portions or continuation:
        portions.append(
            discard.portion(office.table, lambda entry: entry.alert.id == wanted, continuation, most_rows=10)
        )
        continuation = portions[-1].continuation
    assert [portion.discarded for portion in portions] == [0, 0, 0, 1]
    assert [portion.remaining for portion in portions] == [0, 0, 1, 0]
    assert [portion.at_least for portion in portions] == [True, True, False, False]
    assert office.states() == {"waiting": 35, "discarded": 1}


def test_a_discard_that_looked_too_early_changes_nothing() -> None:
    """Between read and write the alert was acquired and put back, so what was read is old: another round finds it."""
    office = Office()
    alert_id = office.write(1)

    def script(request: Request) -> None:
        entry = office.entry(alert_id)
        if request.kind == "commit" and not entry.tries:
            taken = record.hold(entry, "attempt", now=office.world.now, lease=150.0)
            office.table.commit(rows.move(entry, taken, alert="*"))
            back = settlement.settle(taken, answer_with(429), now=office.world.now, rules=settlement.Rules())
            office.table.commit(rows.move(taken, back, alert="*"))

    office.host.script = script
    reply = office.do("discard", title="A title")
    assert (reply["discarded"], reply["remaining"], reply["continuation"]) == (0, 1, None)
    assert (office.entry(alert_id).state, len(office.entry(alert_id).tries)) == ("waiting", 1)
    assert office.do("discard", title="A title")["discarded"] == 1


@pytest.mark.parametrize("seed", range(30))
def test_a_discard_never_touches_one_that_is_being_sent(seed: int) -> None:
    """Dispatcher and discard at the same time: each alert is either created by one call, or discarded by none."""
    office = Office(seed)
    office.do("pause")
    office.post([body(number) for number in range(40)])
    office.do("resume")
    answers = []

    def press() -> None:
        for _ in range(3):
            office.world.sleep(office.world.random.uniform(0, 2))
            answers.append(office.start("POST", "discard", source="defender"))

    office.host.spawn(office.webhook.dispatch)
    office.world.spawn(press)
    office.world.run()
    discarded = sum(json.loads(answer.body)["discarded"] for (answer,) in answers)
    office.tick(3)
    called = Counter(arrival.body["title"] for arrival in office.defender.arrivals)
    assert set(called.values()) <= {1}
    states = office.states()
    assert states == Counter(created=len(called), discarded=discarded)
    assert len(called) + discarded == 40
    assert 0 < discarded < 40
    assert unsound(office.table) == []


# Status


def test_status_of_an_app_that_has_done_nothing_yet() -> None:
    """All slots open, nothing waits, no token asked for."""
    office = Office()
    shown = office.get("status")
    assert shown["window"] | {"nextOpens": ""} == {
        "calls": 15,
        "seconds": 60.0,
        "used": 0,
        "open": 15,
        "nextOpens": "",
        "slots": [{"state": "free", "opens": None}] * 15,
    }
    assert shown["pause"] is None
    assert (shown["backlog"]["waiting"], shown["backlog"]["atLeast"]) == (0, False)
    assert shown["backlog"]["bySeverity"]["High"] == {"count": 0, "oldestSeconds": None}
    assert shown["failed"] == shown["unreadable"] == {"count": 0, "atLeast": False}
    assert (shown["token"], shown["tokenProblem"]) == (None, None)


def test_status_counts_the_window_and_the_backlog_as_they_are() -> None:
    """Used slots, when the next opens, and the backlog by severity with the age of its oldest."""
    office = Office()
    for number in range(15):
        assert office.post(body(number)).status == 200
    for number, severity in enumerate(["Low", "High", "Low"]):
        assert office.post(body(100 + number, severity=severity)).status == 202
    office.write(200, "sending")
    office.write(201, "failed")
    office.world.run(20)
    shown = office.get("status")
    assert (shown["window"]["used"], shown["window"]["open"]) == (15, 0)
    assert shown["now"] < shown["window"]["nextOpens"]
    assert {slot["state"] for slot in shown["window"]["slots"]} == {"closed"}
    assert min(slot["opens"] for slot in shown["window"]["slots"]) == shown["window"]["nextOpens"]
    backlog = shown["backlog"]
    assert (backlog["waiting"], backlog["sending"]) == (3, 1)
    assert {name: group["count"] for name, group in backlog["bySeverity"].items()} == {
        "High": 1,
        "Medium": 0,
        "Low": 2,
    }
    assert 20 <= backlog["bySeverity"]["Low"]["oldestSeconds"] <= 25
    assert shown["failed"] == {"count": 1, "atLeast": False}
    office.world.run(60)
    assert office.get("status")["window"]["used"] == 0


def test_status_is_remembered_for_some_seconds_and_after_a_change_asked_anew() -> None:
    """A dashboard that asks every second costs the table little; whoever pauses sees it at once."""
    office = Office()
    office.get("status")
    queries = office.host.queries
    assert office.get("status")["pause"] is None
    assert office.host.queries == queries
    office.do("pause", reason="a bad rule")
    assert office.get("status")["pause"]["reason"] == "a bad rule"
    office.world.run(memory.SECONDS)
    queries = office.host.queries
    office.get("status")
    assert office.host.queries > queries


def test_the_newest_outcomes_are_the_last_that_ended() -> None:
    """Created and failed alerts, the last end first, at most twenty; what waits is not among them."""
    office = Office()
    assert office.get("outcomes") == {"outcomes": []}
    office.world.run(memory.SECONDS)
    for number in range(12):
        office.post(body(number))
        office.world.run(6)
    old = [office.write(number, "failed", age=3600) for number in range(100, 110)]
    failed = office.write(99, "failed", age=-1)
    shown = office.get("outcomes")["outcomes"]
    assert len(shown) == 20
    assert shown[0]["id"] == failed
    titles = [item["request"]["title"] for item in shown]
    assert titles[1:13] == [f"Alert {number}" for number in range(11, -1, -1)]
    assert {item["id"] for item in shown[13:]} < set(old)


def test_the_newest_outcomes_are_those_of_a_flood() -> None:
    """However many newer alerts wait, the last that ended are shown, at a cost that the flood does not raise."""
    office = Office()
    late = office.write(500, "created", age=-100, title="Ended last")
    for number in range(30):
        office.write(number, "created", age=3600 - number)
    office.write(501, "discarded", age=-50, title="Ended before it")
    for number in range(100, 400):
        office.post(body(number, severity="Low"))
    office.world.run(memory.SECONDS)
    office.host.rows_read = 0
    office.host.asked.clear()
    shown = office.get("outcomes")["outcomes"]
    assert (shown[0]["id"], len(shown)) == (late, 20)
    assert [item["request"]["title"] for item in shown[:2]] == ["Ended last", "Ended before it"]
    ends = [item["ended"] for item in shown]
    assert ends == sorted(ends, reverse=True)
    assert office.host.rows_read < 300
    assert len([key for key in office.host.asked if key.startswith(keys.ALERT)]) <= 100


def test_an_alert_that_is_replayed_is_no_outcome_any_more() -> None:
    """Its name is passed over, many of them as well, and it comes again where it ends the next time."""
    office = Office()
    old = [office.write(number, "created", age=600 - number) for number in range(3)]
    office.do("pause")
    again = [office.write(100 + number, "discarded", age=300 - number) for number in range(45)]
    for alert in again:
        office.do(f"alerts/{alert}/replay")
    assert [item["id"] for item in office.get("outcomes")["outcomes"]] == old[::-1]
    office.do(f"alerts/{again[0]}/discard")
    assert [item["id"] for item in office.get("outcomes")["outcomes"]] == [again[0], *old[::-1]]


def test_a_dry_run_by_the_operator_stores_nothing() -> None:
    """It answers as the webhook's own dry run does, for a payload that is refused as well, and leaves no row behind."""
    office = Office()

    def try_it(payload: Any) -> Reply:
        raw, url = json.dumps(payload).encode(), f"{ORIGIN}/api/operations/dry-run?severity=Low"
        answers = office.begin(lambda: handle(office.operator, "POST", "dry-run", url, body=raw))
        office.world.run()
        return answers[0]

    answer = try_it(body(1))
    assert answer == office.post(body(1), severity="Low", dryRun="true")
    assert json.loads(answer.body)["alerts"][0]["origins"]["machineId"] == "machineId"
    assert problem(try_it({"title": "no event"}), 422)["refused"][0]["clues"] == []
    assert office.table.query("", "~") == []


# Senders


SPLUNK, OTHER = "0123456789", "abcdef0123"


def _sent_by_two() -> Office:
    """Return an office with alerts of two senders, of which one has a name, and a refused payload of each."""
    office = Office()
    office.webhook.settings = Settings(senders=(Sender("splunk", (SPLUNK,)), Sender("quiet", ("9" * 10,))))
    for number, (sender, severity) in enumerate(
        [(SPLUNK, "High"), (SPLUNK, "Low"), (OTHER, "High"), ("", "High")]
    ):
        office.post(body(number, severity=severity), sender=sender)
        office.world.run(60)
    for sender in (SPLUNK, OTHER):
        office.post({"no": "alert"}, sender=sender)
    return office


@pytest.mark.parametrize(
    ("asked", "titles"),
    [
        ({}, [3, 2, 1, 0]),
        ({"order": "oldest"}, [0, 1, 2, 3]),
        ({"sender": SPLUNK}, [1, 0]),
        ({"sender": "splunk"}, [1, 0]),
        ({"sender": OTHER}, [2]),
        ({"sender": "nobody"}, []),
        ({"sender": "-"}, [3]),
        ({"severity": "Low"}, [1]),
        ({"severity": "High", "sender": SPLUNK}, [0]),
        ({"device": DEVICE}, [1]),
        ({"machineId": DEVICE.upper()}, [1]),
    ],
)
def test_alerts_are_found_by_who_sent_them_and_what_they_are(
    asked: dict[str, str], titles: list[int]
) -> None:
    """Newest first; a sender by its fingerprint, its name, or `-` for none; several filters have to fit together."""
    shown = _sent_by_two().get("alerts", **asked)["alerts"]
    assert [item["request"]["title"] for item in shown] == [f"Alert {number}" for number in titles]


def test_alerts_are_found_by_their_delivery_and_time() -> None:
    """`delivery`, `since` and `until` narrow a list as they narrow what is discarded."""
    office = _sent_by_two()
    newest, second, *_ = office.get("alerts")["alerts"]
    assert office.get("alerts", delivery=second["delivery"])["alerts"] == [second]
    assert office.get("alerts", since=utc(office.world.now - 90), until=utc(office.world.now))["alerts"] == [
        newest
    ]
    assert newest not in office.get("alerts", until=utc(office.world.now - 90))["alerts"]
    assert second in office.get("alerts", until=utc(office.world.now - 90))["alerts"]
    assert [item["senderName"] for item in office.get("alerts", order="oldest")["alerts"]] == [
        "splunk",
        "splunk",
        None,
        None,
    ]
    refused = office.get("refused")["refused"]
    assert [(item["sender"], item["senderName"]) for item in refused] == [(OTHER, None), (SPLUNK, "splunk")]
    assert office.get("refused", sender="splunk")["refused"] == refused[1:]
    assert office.get("refused", order="oldest")["refused"] == refused[::-1]
    first = datetime.fromisoformat(refused[1]["at"]).timestamp()
    assert office.get("refused", until=utc(first - 2))["refused"] == []
    assert office.get("refused", until=utc(first + 2))["refused"] == refused
    office.host.rows_read = 0
    assert office.get("refused", until=utc(office.world.now - 3600))["refused"] == []
    assert office.host.rows_read == 0


def test_only_what_a_sender_sent_is_discarded() -> None:
    """A flood of one sender is stopped without touching another's alerts."""
    office = Office()
    office.do("pause")
    for number in range(4):
        office.post(body(number), sender=(SPLUNK, OTHER)[number % 2])
    assert office.do("discard", sender=OTHER)["discarded"] == 2
    assert office.states() == {"waiting": 2, "discarded": 2}
    assert {item["sender"] for item in office.get("alerts", status="waiting")["alerts"]} == {SPLUNK}
    office.post(body(4))
    assert office.do("discard", sender="-")["discarded"] == 1
    assert {item["sender"] for item in office.get("alerts", status="waiting")["alerts"]} == {SPLUNK}


def test_who_sends_how_much_is_listed() -> None:
    """Deliveries, alerts, refused payloads and what waits of each sender; who sent last first, the silent ones too."""
    office = _sent_by_two()
    office.do("pause")
    office.world.run(30)
    office.post([body(50), body(51)], sender=OTHER)
    shown = office.get("senders")
    assert shown["atLeast"] is False
    senders = {sender["sender"]: sender for sender in shown["senders"]}
    assert shown["senders"][0]["sender"] == OTHER
    counts = ("senderName", "deliveries", "alerts", "refused", "waiting")
    assert {key: [sender[name] for name in counts] for key, sender in senders.items()} == {
        SPLUNK: ["splunk", 2, 2, 1, 0],
        OTHER: [None, 2, 3, 1, 2],
        None: [None, 1, 1, 0, 0],
        "9" * 10: ["quiet", 0, 0, 0, 0],
    }
    assert senders["9" * 10]["last"] is None
    last = datetime.fromisoformat(senders[OTHER]["last"]).timestamp()
    assert office.world.now - 10 <= last <= office.world.now + 1
    assert all(
        sender["deliveries"] == 0
        for sender in office.get("senders", since=utc(office.world.now + 9))["senders"]
    )


@pytest.mark.parametrize("many", [0, 3, 600])
@pytest.mark.parametrize("seconds", [[], [0, 0, 1, 7], [5, 90_000, 400_000, 4_000_000]])
@pytest.mark.parametrize("top", [1, 50, 200])
def test_refused_payloads_come_newest_first_whatever_their_times(
    seconds: list[int], many: int, top: int
) -> None:
    """However rows lie in time, some far apart and hundreds in one moment: none is missing, none comes twice."""
    office = Office()
    for number, ago in enumerate([*seconds, *[5] * many]):
        key = f"{keys.REFUSED}{keys.stamp(office.world.now - ago)}-{number:016x}"
        office.table.commit([Insert(key, {})])
    picked = functools.partial(
        ordered.newest, office.webhook.dispatcher.table, (keys.REFUSED, keys.REFUSED_END)
    )
    ids: list[str] = []
    continuation: str | None = None
    for _ in range(2_000):
        shown = office.host.world.finish(
            office.host.submit(lambda: picked(lambda row: row.key, top=top, continuation=continuation))  # noqa: B023 - it runs at once
        )
        ids += shown.items
        continuation = shown.continuation
        if continuation is None:
            break
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(seconds) + many


def test_status_says_where_it_stopped_counting() -> None:
    """`atLeast` stands beside a count that is cut."""
    office = Office()
    for number in range(page.ROWS + 1):
        office.write(number)
        office.write(10_000 + number, "failed", age=number)
    shown = office.get("status")
    assert (shown["backlog"]["waiting"], shown["backlog"]["atLeast"]) == (condition.MOST, True)
    assert shown["failed"] == {"count": condition.MOST, "atLeast": True}


def test_status_shows_what_the_last_token_says_and_what_is_wrong_with_it() -> None:
    """Claims, never the token; in one sentence whether Defender accepts it, also if it does."""
    shown = Office(claims=CLAIMS).get("status")
    assert shown["token"] == {
        "audience": CLAIMS.audience,
        "roles": [permission.ROLE],
        "application": CLAIMS.application,
        "tenant": CLAIMS.tenant,
        "expires": "2100-01-01T00:00:00Z",
    }
    assert shown["tokenProblem"] is None
    assert shown["permission"] == (
        "The token has the role Alert.ReadWrite.All, so calls are permitted; it is valid until 2100-01-01T00:00:00Z."
    )
    lacking = Office(claims=replace(CLAIMS, roles=())).get("status")
    assert permission.ROLE in lacking["tokenProblem"] == lacking["permission"]
    assert "refresh=true" in Office().get("status")["permission"]


@pytest.mark.parametrize(("status", "denies"), [(401, True), (403, True), (429, False), (503, False)])
def test_status_says_that_defender_denies_what_the_token_permits(status: int, *, denies: bool) -> None:
    """In a pause that a 401 or 403 began; another pause, or the operator's, says nothing of permission."""
    office = Office(claims=CLAIMS)
    office.defender.says = lambda *_: answer_with(status)
    office.begin(lambda: office.webhook.receive(json.dumps(body(1)).encode(), {}, ORIGIN, sender=""))
    office.world.run(10)
    answers = office.start("GET", "status", refresh="true")
    office.world.run(5)
    shown = json.loads(answers[0].body)
    assert shown["pause"]["reason"].startswith(str(status))
    assert shown["tokenProblem"] is None
    assert ("permitted" in shown["permission"]) is not denies
    assert (f"although the token has the role {permission.ROLE}" in shown["permission"]) is denies


def test_status_asks_for_a_token_only_if_asked_to() -> None:
    """With `refresh=true` a token that does not come is shown as text; without it nobody is asked."""
    office = Office()
    office.host.tokens = False
    assert office.get("status", refresh="false")["tokenProblem"] is None
    assert "token endpoint" in office.get("status", refresh="true")["tokenProblem"]


# The log


def test_each_change_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """One JSON object with step `operator` and what was done; a list writes none. No payload, no key."""
    office = Office()
    failed = office.write(1, "failed", title="Secret title")
    stored = refuse(office)
    caplog.set_level(logging.INFO)
    for path in ["alerts", f"alerts/{failed}", "refused", f"refused/{stored}", "status"]:
        office.get(path)
    assert caplog.messages == []
    expected = {
        f"alerts/{failed}/replay": {"operation": "replay", "alert": failed, "state": "waiting"},
        "alerts/replay?status=failed": {"operation": "replay failed", "replayed": 0, "remaining": 0},
        f"refused/{stored}/replay": {"operation": "replay refused", "refusal": stored, "status": 422},
        "pause?reason=a bad rule": {"operation": "pause", "reason": "a bad rule"},
        "discard?title=Secret title": {"operation": "discard", "discarded": 1, "remaining": 0},
        "resume": {"operation": "resume"},
    }
    for request, fields in expected.items():
        caplog.clear()
        path, _, query = request.partition("?")
        office.ask("POST", path, **dict(parse_qsl(query)), code=KEY)
        (line,) = [json.loads(message) for message in caplog.messages]
        assert line["step"] == "operator"
        assert line | fields == line
        assert KEY not in caplog.text
        assert "Secret title" not in caplog.text


def test_rows_moved_aside_are_listed() -> None:
    """Where each stood, which column is to blame, in pages; nothing of what they hold."""
    office = Office()
    for number in range(3):
        office.world.table.commit([Insert(f"todo-{number}", {"title": "secret"})])
    office.tick()
    shown = [row for rows_of_a_page in office.pages("unreadable", "rows", top=2) for row in rows_of_a_page]
    assert sorted(row["row"] for row in shown) == ["todo-0", "todo-1", "todo-2"]
    assert {row["column"] for row in shown} == {"machineId"}
    assert "secret" not in json.dumps(shown)


@pytest.mark.parametrize(("rows_aside", "shown"), [(3, (3, False)), (200, (200, False)), (230, (200, True))])
def test_status_counts_the_rows_that_were_moved_aside(rows_aside: int, shown: tuple[int, bool]) -> None:
    """Nobody would ask for a list of what nobody knows to be there; up to 200 are counted, by their keys."""
    office = Office()
    for number in range(rows_aside):
        office.world.table.commit([Insert(f"aside-{number:014.3f}-x", {"title": "T", "movedFrom": "todo-x"})])
    counted = office.get("status")["unreadable"]
    assert (counted["count"], counted["atLeast"]) == shown
    assert {keys.ASIDE, keys.FAILED} <= office.host.asked_for_keys


def test_a_corrected_row_is_put_back() -> None:
    """Once its columns were corrected in the table the row goes back, and its alert is sent."""
    office = Office()
    office.do("pause")
    office.post(body(1))
    (row,) = office.table.query(keys.TODO, keys.TODO_END)
    alert_key = keys.alert_key(keys.waiting_alert(row.key))
    office.table.commit(
        [Delete(alert_key, "*"), Replace(row.key, {**row.values, "attempts": "many"}, row.etag)]
    )
    office.tick()
    (moved,) = office.get("unreadable")["rows"]
    path = f"unreadable/{moved['id']}/replay"
    assert "attempts" in problem(office.ask("POST", path), 409)["detail"]
    stored = office.table.get(keys.ASIDE + moved["id"])
    assert stored
    office.table.commit([Replace(stored.key, {**stored.values, "attempts": 0}, stored.etag)])
    assert office.do(path)["alert"]["status"] == "waiting"
    assert office.get("unreadable")["rows"] == []
    office.do("resume")
    office.tick()
    assert office.states() == {"created": 1}
    problem(office.ask("POST", path), 404)
