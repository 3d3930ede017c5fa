"""The log: one JSON object a line, nothing secret in it, and the documented KQL reads only what is there."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from dev.samples import eight_fields, event
from shared import log
from shared.ledger import retention
from shared.operations.routes import Operator, handle
from shared.web import reply
from tests.checks import kql
from tests.checks.app import App
from tests.checks.searches import searching
from tests.checks.virtual import Defender, Fault, Host, World, answer_with

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
QUERIES = DOCS.with_name("queries.kql")
SECRET_TITLE = "A title that no log may show"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Let one alert meet each thing that can happen to it, and give the log's lines."""
    caplog.set_level(logging.INFO, logger="defender-alert-webhook")
    world = World(1)
    answers = iter(
        [
            answer_with(200),
            answer_with(400),
            answer_with(404),
            answer_with(503),
            *[answer_with(200)] * 20,
        ]
    )
    defender = Defender(world, lambda _before, _body: next(answers))
    host = Host(world, arrive=defender)
    app = App.on(host)
    for number in range(4):
        app.post(eight_fields(event(number), f"{SECRET_TITLE} {number}", "High"))
        world.run()
    app.post(eight_fields(event(0), f"{SECRET_TITLE} 0", "High"))
    app.post({"nothing": "of use"})
    world.run()
    for _ in range(3):
        app.tick()
        world.run(120)
    operator = Operator(app.webhook, lambda: None, searching())
    for path in ("pause?reason=test", "resume", "alerts/replay?status=failed", "discard?title=x"):
        name = path.partition("?")[0]
        host.ask(lambda name=name, path=path: handle(operator, "POST", name, f"https://x/{path}"))  # type: ignore[misc]  # bound now
        world.run()
    host.script = lambda request: Fault("lost") if request.kind != "call" else None
    app.post(eight_fields(event(9), f"{SECRET_TITLE} 9", "High"))
    world.run()
    host.script = None
    world.at(world.now + 40 * 86_400, lambda: host.spawn(lambda: retention.purge(host.table, 30 * 86_400)))
    world.run()
    return [
        json.loads(record.getMessage())
        for record in caplog.records
        if record.name == "defender-alert-webhook"
    ]


def test_every_line_is_an_object_that_names_its_step(lines: list[dict[str, Any]]) -> None:
    """Each documented step was seen, and no undocumented one."""
    documented = set(
        re.findall(r"^\| `([a-z ]+)` \|", DOCS.read_text("utf-8").partition("## Logs")[2], re.MULTILINE)
    )
    seen = {line["step"] for line in lines if "error" not in line}
    assert seen == documented


def test_no_line_holds_payload_or_token(lines: list[dict[str, Any]]) -> None:
    """Neither what a payload says nor a token reaches the log."""
    text = json.dumps(lines)
    assert SECRET_TITLE not in text
    assert event(1).machine_id not in text
    assert "of use" not in text
    assert "Bearer" not in text


def test_no_text_in_a_line_is_long(caplog: pytest.LogCaptureFixture) -> None:
    """A sender may claim a source of six thousand characters, and an error may quote as much: the log keeps 500."""
    caplog.set_level(logging.INFO, logger="defender-alert-webhook")
    log.step("refused", source="s" * 6_000, status=422)
    log.problem("table", ValueError("v" * 6_000), refusal="r" * 6_000)
    for record in caplog.records:
        line = json.loads(record.getMessage())
        assert max(len(value) for value in line.values() if isinstance(value, str)) == 500


def test_what_an_entry_says_of_itself_is_in_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever can describe itself can be logged; a field of the call goes before one of the same name."""

    class Described:
        def log_fields(self) -> dict[str, str]:
            return {"alert": "a", "state": "s"}

    caplog.set_level(logging.INFO, logger="defender-alert-webhook")
    log.step("taken", entry=Described(), state="t")
    (record,) = caplog.records
    assert json.loads(record.getMessage()) == {"step": "taken", "alert": "a", "state": "t"}


def test_an_error_nobody_foresaw_tells_where_and_not_what(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may quote a payload: neither the answer nor the log has it; the log has the way there."""

    def broken() -> reply.Reply:
        raise ValueError(SECRET_TITLE)

    answer = reply.guarded(broken)
    assert answer.status == 500
    (record,) = caplog.records
    assert SECRET_TITLE not in answer.body + caplog.text
    assert "Traceback" not in answer.body + caplog.text
    line = json.loads(record.getMessage())
    assert (line["step"], line["error"]) == ("unforeseen", "ValueError")
    assert line["where"][-1].endswith("broken")


def test_the_documented_queries_read_only_what_the_log_holds(lines: list[dict[str, Any]]) -> None:
    """Every KQL to paste stands below one comment, parses, and names only fields and steps that were seen here."""
    queries = QUERIES.read_text("utf-8").split("\n\n")
    assert len(queries) >= 5
    assert all(re.match(r"// [A-Z].+\n(?!//)", query) for query in queries)
    fields = {name for line in lines for name in line}
    steps = {line["step"] for line in lines}
    for query, checked in zip(queries, kql.check(queries), strict=True):
        assert checked.errors == (), query
        assert checked.fields <= fields, query
        assert checked.steps <= steps, query
