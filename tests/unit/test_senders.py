"""The pages of `docs/senders/`: what they tell a user to paste carries the three keys to an alert, byte for byte."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.alert import FIELDS, Alert
from shared.mapping import mappings as mapping
from shared.mapping.outcome import Outcome
from shared.payload import body as payload
from shared.webhook import entries
from tests.checks import kql

ROOT = Path(__file__).parents[2]
SENDERS = ROOT / "docs" / "senders"
INDEX = SENDERS / "README.md"
PAGES = sorted(set(SENDERS.glob("*.md")) - {INDEX})
SECTIONS = [
    "Set up", "What carries the three keys", "The key", "Its own retry", "Check with dryRun",
    "What is refused, and why",
]  # fmt: skip
OURS = mapping.load()
DEVICE, REPORT, TIME = (
    "7be1f0c2d94a35e86f170b4c29d8a3e5f6017c48",
    "639087552183904417",
    "2026-03-11T08:14:52.7301940Z",
)
VALUES = {"DeviceId": DEVICE, "ReportId": REPORT, "Timestamp": TIME, "now": "2026-03-11T09:00:00Z"}
"""The report id does not survive a float; the time ends in a zero, which a date would drop."""
ORIGINAL = {
    "category": "AdvancedHunting-DeviceProcessEvents",
    "properties": {"DeviceId": DEVICE, "ReportId": int(REPORT), "Timestamp": TIME},
}
SIGNAL = {"properties": {"DeviceId": [DEVICE], "ReportId": [REPORT], "Timestamp": [TIME]}}
KIBANA = [{"@timestamp": "2026-03-11T08:14:52.730Z", "event": {"original": json.dumps(ORIGINAL)}}]


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def filled(template: str) -> str:
    """Return a template as its product sends it: the placeholders of Mustache, workflows, SOAR, Datadog and ours."""

    def value(match: re.Match[str]) -> str:
        word = re.findall(r"\w+", match[0])[-1]
        return VALUES.get(word, f"a {word}")

    template = template.replace("{{{context.alerts.asJSON}}}", json.dumps(KIBANA))
    template = template.replace("$SECURITY_SIGNAL_ATTRIBUTES", json.dumps(SIGNAL))
    template = re.sub(r"\$([A-Z_]+)", r"a \1", template)
    return re.sub(r"\{\{[\w.]+\}\}|@\{[^}]+\}|\[(?:Event|Alert)\.\w+\]|<[\w ]+>", value, template)


def mapped(body: str, source: str | None = None) -> Outcome:
    """Return what a body becomes; the query string gives a severity, as the pages say it may."""
    documents = payload.read(body.encode(), max_bytes=100_000)
    return OURS.apply(documents, source=source, defaults={"severity": "Low"}, max_alerts=100)


def the_alert(outcome: Outcome) -> Alert:
    """Return the one alert of an outcome that refused nothing."""
    assert not outcome.refused, outcome.refused
    (only,) = outcome.alerts
    assert not only.time_truncated
    return only.alert


def assert_keys(outcome: Outcome) -> None:
    """Demand one alert with the three keys as they were put in."""
    body = the_alert(outcome).body()
    assert (body["machineId"], body["reportId"], body["eventTime"]) == (DEVICE, REPORT, TIME)
    assert all(body.values())


def templates() -> Iterator[Any]:
    """Yield each JSON block of each page."""
    for page in PAGES:
        for number, block in enumerate(blocks(page, "json")):
            yield pytest.param(page, block, id=f"{page.stem}-{number}")


def queries() -> list[str]:
    """Return every KQL block of every page."""
    return [query for page in [INDEX, *PAGES] for query in blocks(page, "kusto")]


def last_columns(query: str, command: str) -> list[str]:
    """Return the names of the columns that the last `| command` of a query leaves."""
    (*_, last) = re.findall(rf"^\| {command} (.*)$", query, re.MULTILINE)
    return re.findall(r"(?:^|[ ,])(\w+)(?= =|,| |$)(?!\()", re.sub(r"= *[^,]+", "", last))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_every_section(page: Path) -> None:
    """Each page answers the same six questions, names its key and the dry run, and shows something to paste."""
    text = page.read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert text.splitlines()[1].startswith("You need ")
    assert "dryRun=true" in text
    dry_run = text.partition("## Check with dryRun")[2].partition("\n## ")[0]
    assert "with the keys of a real event" in " ".join(dry_run.split()) or "<DeviceId>" not in dry_run
    assert "README.md#one-key-for-each-sender" in text
    assert "x-functions-key" in text or "code=" in text
    assert blocks(page, "json")


def test_the_index_names_every_page_and_the_readme_the_index() -> None:
    """No page is lost, and the first thing of the index is the first alert."""
    text = INDEX.read_text("utf-8")
    assert sorted(re.findall(r"^\| \[.*?\]\(([\w-]+\.md)\)", text, re.MULTILINE)) == [
        page.name for page in PAGES
    ]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[0] == "The first alert"
    assert "(docs/senders/README.md)" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """What a page links to is there, the heading too."""
    for target, _, heading in (
        link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))
    ):
        path = (page.parent / target) if target else page
        assert path.is_file(), target
        headings = re.findall(r"^## (.*)$", path.read_text("utf-8"), re.MULTILINE)
        assert not heading or heading in [
            re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
        ]


@pytest.mark.parametrize(("page", "template"), list(templates()))
def test_a_template_carries_the_keys(page: Path, template: str) -> None:
    """Filled as its product fills it, recognised by itself, each template is one alert with the keys byte-exact."""
    document = json.loads(filled(template))
    body = document["inputs"]["body"] if "inputs" in document else document
    outcome = mapped(json.dumps(body))
    assert_keys(outcome)
    if page.stem in OURS.sources and not body.keys() >= set(FIELDS):
        assert page.stem in (outcome.source, "generic")
        assert_keys(mapped(json.dumps(body), page.stem))


def assert_searched(body: str, source: str | None = None) -> None:
    """Demand one event that is searched: only its reference is missing, and its clues make a query."""
    documents = payload.read(body.encode(), max_bytes=100_000)
    defaults = {"severity": "Low"}
    outcome = OURS.apply(documents, source=source, defaults=defaults, max_alerts=100, clues=True)
    left, searches = entries.split(outcome, entries.can_search)
    assert not left.alerts, left.alerts
    assert not left.refused, left.refused
    (event,) = searches
    assert event.evidence
    assert event.evidence.scan.clues.hosts
    assert event.evidence.scan.clues.command_line


@pytest.mark.parametrize(
    ("page", "body"),
    [pytest.param(page, body, id=page.stem) for page in PAGES for body in blocks(page, "json search")],
)
def test_a_payload_without_a_reference_has_its_clues(page: Path, body: str) -> None:
    """What a page says is searched with `FIND_EVENTS` is so, recognised by itself or named."""
    assert_searched(body)
    assert_searched(body, page.stem)


def test_clues_of_scripts_and_searches_are_those_that_are_read() -> None:
    """The names that the pages of QRadar and Splunk give to clues are known by them."""
    qradar = {
        "ruleName": "A rule",
        "hostname": "ws-1",
        "eventTimestamp": TIME,
        "commandLine": "a.exe -b",
        "sha256": "5e" * 32,
    }
    assert all(f"`{name}`" in (SENDERS / "qradar.md").read_text("utf-8") for name in list(qradar)[1:])
    assert_searched(json.dumps(qradar), "qradar")
    (search,) = blocks(SENDERS / "splunk.md", "spl search")
    columns = search.strip().splitlines()[-1].removeprefix("| table ").split()
    sent = dict(
        zip(
            columns, ["2026-03-11T08:14:52.730194+00:00", "ws-1", "a.exe -b", "5e" * 32, "j.doe"], strict=True
        )
    )
    assert columns == ["event_time", "dest", "process", "process_hash", "user"]
    assert_searched(json.dumps({"sid": "1", "search_name": "A search", "result": sent}), "splunk")


def test_a_filler_that_loses_a_digit_is_noticed() -> None:
    """The check can fail: a report id through a float is refused or differs."""
    (template, *_) = blocks(SENDERS / "generic.md", "json")
    broken = filled(template).replace(f'"{REPORT}"', str(float(REPORT)))
    with pytest.raises(AssertionError):
        assert_keys(mapped(broken))


def test_the_first_alert_is_what_its_query_packs() -> None:
    """The KQL packs exactly the eight fields; what it packs of a row is that row's alert."""
    (query,) = blocks(INDEX, "kusto")
    row = VALUES | {"DeviceName": "pc-1", "FileName": "a.exe"}
    (packed,) = re.findall(r"tostring\(bag_pack\((.*)\)\)\s*$", query, re.DOTALL)
    body = {}
    for name, expression in re.findall(r'^ *"(\w+)", (.*?),?$', packed, re.MULTILINE):
        parts = re.findall(r'"([^"]*)"|(\w+)\b(?!\()', expression)
        body[name] = "".join(literal or (row[column] if column else "") for literal, column in parts)
    assert sorted(body) == sorted(FIELDS)
    assert re.search(r'"reportId", tostring\(ReportId\)', packed)
    assert re.search(r'"eventTime", tostring\(Timestamp\)', packed)
    outcome = mapped(json.dumps(body))
    assert_keys(outcome)
    assert the_alert(outcome).body() == body
    assert body["description"] == "A test with a.exe on pc-1."


def test_every_query_is_sound_kql_and_keeps_the_keys_as_text() -> None:
    """Microsoft's language service finds nothing wrong, and no query leaves the two long keys to be rewritten."""
    asked = queries()
    assert len(asked) >= 8
    for query, checked in zip(asked, kql.check(asked), strict=True):
        assert checked.errors == (), query
        assert "tostring(ReportId)" in query
        assert "tostring(Timestamp)" in query


@pytest.mark.parametrize(
    "query", [query for query in queries() if "| project DeviceId" in query or "| project TimeG" in query]
)
def test_a_row_of_a_query_is_an_alert(query: str) -> None:
    """What the query projects is enough, posted as it is."""
    columns = last_columns(query, "project")
    row = {column: VALUES.get(column, f"a {column}") for column in columns}
    assert_keys(mapped(json.dumps(row)))


def test_the_packed_detail_of_sentinel_is_what_its_template_holds() -> None:
    """The queries pack device, report id and time in the order and with the mark that the sample shows."""
    page = SENDERS / "sentinel.md"
    packing = "DefenderEvent = strcat(DeviceId, '|', tostring(ReportId), '|', tostring(Timestamp))"
    assert sum(packing in query for query in blocks(page, "kusto")) == 2
    assert "<DeviceId>|<ReportId>|<Timestamp>" in blocks(page, "json")[0]


@pytest.mark.parametrize("search", blocks(SENDERS / "splunk.md", "spl"))
def test_a_row_of_a_splunk_search_is_an_alert(search: str) -> None:
    """The columns a search leaves, each as text in `result`, are enough."""
    last = search.strip().splitlines()[-1]
    columns = (
        re.findall(r"\w+", last.removeprefix("| table"))
        if "| table" in last
        else re.findall(r"(?:as|by) (\w+)", last)
    )
    row = {column: VALUES.get(column, f"a {column}") for column in columns}
    outcome = mapped(json.dumps({"sid": "1", "search_name": "A search", "result": row}), "splunk")
    assert_keys(outcome)
    assert the_alert(outcome).title == "A search"


def run_script(script: str, arguments: list[str]) -> tuple[str | None, str]:
    """Run a page's script with the arguments after the URL of a receiver; return the key and the body that it posts."""
    posted: list[tuple[str | None, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            posted.append((self.headers["x-functions-key"], body))
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parameter's name there
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/api/alerts"
        command = [sys.executable, "-c", script, *(url if part == "URL" else part for part in arguments)]
        directly = {**os.environ, "no_proxy": "127.0.0.1"}
        subprocess.run(command, env=directly, check=True, timeout=60, capture_output=True)  # noqa: S603 - our page's script
        thread.join(60)
    (only,) = posted
    return only


def test_the_script_for_qradar_posts_the_keys() -> None:
    """The script, run with the parameters in the page's order, posts one alert's keys and its own key."""
    (script,) = blocks(SENDERS / "qradar.md", "python")
    key, body = run_script(script, ["URL", "the-key", "Office child process", DEVICE, REPORT, TIME])
    assert key == "the-key"
    assert_keys(mapped(body, "qradar"))
    assert the_alert(mapped(body, "qradar")).title == "Office child process"


def test_the_script_for_wazuh_posts_the_alert_as_it_is(tmp_path: Path) -> None:
    """Run as Wazuh's integrator runs it: file of the alert, key, URL."""
    (script,) = blocks(SENDERS / "wazuh.md", "python")
    file = tmp_path / "alert.json"
    file.write_text(filled(blocks(SENDERS / "wazuh.md", "json")[0]), "utf-8")
    assert run_script(script, [str(file), "the-key", "URL"]) == ("the-key", file.read_text("utf-8"))
