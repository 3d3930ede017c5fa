"""The workbook and the mails of the alert rules, drawn from a simulated afternoon; the docs show the pictures.

    python -m tests.checks.workbook

The figures are those of the workbook's own queries, run by DuckDB over the lines that the app logs in simulated time.
What Azure draws of them looks different.
"""

import html
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb_kql
from playwright.sync_api import sync_playwright

from dev import samples, setup
from shared.clients.answer import Answer
from tests.checks import arm, browser
from tests.checks.app import App
from tests.checks.virtual import EPOCH, Defender, Faults, Host, World, answer_with

HOURS = 3
RULE = "failed"
"""The rule whose mail is shown: it stands behind the app's name in its own."""
_DOCUMENT = json.loads((setup.ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
_APP, _HOST = "defender-alerts", "defaultHostName"
_PICTURES = setup.ROOT / "docs" / "pictures"
_SAID = "Drawn from the simulator's figures, by the queries of the template. Azure draws it in its own way."
_STYLE = """
body {font: 14px sans-serif; margin: 16px; color: #222; background: #fff}
h1 {font-size: 20px; margin: 0}
h2 {font-size: 14px; margin: 0 0 6px}
p {margin: 4px 0 12px}
.tiles {display: flex; flex-wrap: wrap; gap: 12px}
section {border: 1px solid #ccc; padding: 10px; box-sizing: border-box; overflow: hidden}
.w100 {width: 100%}
.w50 {width: calc(50% - 6px)}
table {border-collapse: collapse; font-size: 12px; margin-bottom: 12px}
th, td {text-align: left; border-bottom: 1px solid #ddd; padding: 3px 10px 3px 0; vertical-align: top}
svg {width: 100%; height: 120px; overflow: visible; margin: 4px 0}
polyline {fill: none; stroke-width: 2; vector-effect: non-scaling-stroke}
i {display: inline-block; width: 10px; height: 10px; margin: 0 6px 0 12px}
.pie {width: 96px; height: 96px; border-radius: 50%; float: left; margin-right: 16px}
"""
_COLOURS = ("#2563b0", "#b04a25", "#2e7d4f", "#7a4fa3", "#8a6d00")
_ROWS = 8

Row = tuple[Any, ...]
Line = tuple[datetime, int, str]
"""One line of the log: its time, its level (1: information, 2: warning), and its message."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a query answers."""

    columns: tuple[str, ...]
    rows: list[Row]


class Log(logging.Filter):
    """Collects what the app logs, with the time of a world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.lines = world, list[Line]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Collect a line, and let nobody else see it."""
        at = datetime.fromtimestamp(self.world.now, UTC).replace(tzinfo=None)
        self.lines.append((at, 1 if record.levelno < logging.WARNING else 2, record.getMessage()))
        return False


def afternoon() -> tuple[list[Line], Defender]:
    """Let senders post for some hours, with a burst, unknown events and payloads without one; return the log."""
    world = World(7)
    defender = Defender(world, _answer)
    host = Host(world, Faults(), arrive=defender)
    app, log, logger = App.on(host), Log(world), logging.getLogger("defender-alert-webhook")
    level = logger.level
    logger.addFilter(log)
    logger.setLevel(logging.INFO)
    try:
        app.timer()
        world.spawn(lambda: _post(app, world))
        world.run(HOURS * 3600)
    finally:
        logger.removeFilter(log)
        logger.setLevel(level)
    return log.lines, defender


def _answer(_: int, body: Mapping[str, str]) -> Answer:
    """Answer as Defender does: it does not know some events, and rejects a field of others."""
    rejected = {"Rare process": (404, "ResourceNotFound"), "Beaconing": (400, "InvalidInput")}
    if body["title"] not in rejected:
        return answer_with(200)
    status, code = rejected[body["title"]]
    return answer_with(status, raw=json.dumps({"error": {"code": code, "message": code}}).encode())


def _post(app: App, world: World) -> None:
    """Post alerts at random, and once many at the same time."""
    titles = (
        "Encoded PowerShell",
        "New service",
        "LSASS was read",
        "Shadow copies",
        "Office started rundll32",
    )
    for number in range(100_000):
        world.sleep(world.random.expovariate(1 / 40))
        of, title = samples.event(number), titles[number % len(titles)]
        if number == 90:
            rows = samples.hunting_reply(*(samples.event(20_000 + row) for row in range(95)))
            app.post(rows, sender="hunting", title="Sign-in tool", severity="Low")
        elif number % 23 == 11:
            app.post(samples.splunk("Failed logons", {"src": "192.0.2.7", "count": "8"}), sender="splunk")
        elif number % 41 == 7:
            app.post(samples.eight_fields(of, ("Rare process", "Beaconing")[number % 2]), sender="logic-apps")
        elif number % 3:
            app.post(samples.splunk_plain(of, title), sender="splunk", severity="High", title=title)
        else:
            app.post(samples.eight_fields(of, title, "Medium"), sender="logic-apps")


def deployed() -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the items of the workbook, and the alert rules by what stands behind the app's name in theirs."""
    given = {"appName": _APP, "alertEmail": "soc@contoso.example", "findEvents": "true"}
    items: list[dict[str, Any]] = []
    rules = {}
    for each in arm.Template(_DOCUMENT, given).resources():
        if each["type"] == "Microsoft.Insights/workbooks":
            items = json.loads(each["properties"]["serializedData"])["items"]
        elif each["type"] == "Microsoft.Insights/scheduledQueryRules":
            shown = re.sub(r"<[^>]+>", _APP, each["properties"]["description"]).replace(
                _HOST, "azurewebsites.net"
            )
            rules[each["name"].removeprefix(f"{_APP}-")] = {**each["properties"], "description": shown}
    return items, rules


class Traces:
    """The table `traces` with the lines of a log."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._connection = duckdb_kql.connect()
        self._connection.execute(
            "CREATE TABLE lines (timestamp TIMESTAMP, severityLevel INTEGER, message VARCHAR)"
        )
        self._connection.executemany("INSERT INTO lines VALUES (?, ?, ?)", [list(line) for line in lines])
        self._connection.execute(
            "CREATE VIEW traces AS SELECT * FROM lines"
            " WHERE timestamp BETWEEN getvariable('since') AND getvariable('until')"
        )

    def ask(self, query: str, since: datetime | None = None, until: datetime | None = None) -> Table:
        """Return what a query finds in a span of time, or in all of it."""
        self._connection.execute("SET VARIABLE since = ?::TIMESTAMP", [since or self._lines[0][0]])
        self._connection.execute("SET VARIABLE until = ?::TIMESTAMP", [until or self._lines[-1][0]])
        answer = duckdb_kql.kql(self._connection, query.partition(" | render ")[0])
        return Table(tuple(column[0] for column in answer.description), answer.fetchall())

    def fired(self, rule: Mapping[str, Any]) -> tuple[datetime, Table]:
        """Return when a rule that counts rows is fulfilled for the first time, and the rows."""
        (condition,) = rule["criteria"]["allOf"]
        every, window = (int(rule[name][2:-1]) for name in ("evaluationFrequency", "windowSize"))
        at = datetime.fromtimestamp(EPOCH, UTC).replace(tzinfo=None)
        while at < self._lines[-1][0]:
            at += timedelta(minutes=every)
            found = self.ask(condition["query"], at - timedelta(minutes=window), at)
            if len(found.rows) > condition["threshold"]:
                return at, found
        raise LookupError("the rule is never fulfilled")


def workbook(traces: Traces) -> str:
    """Return the workbook as a page."""
    tiles = [
        f'<section class="w{item.get("customWidth", "100")}"><h2>{html.escape(item["content"]["title"])}</h2>'
        f"{drawn(item['content'], traces.ask(item['content']['query']))}</section>"
        for item in deployed()[0]
        if item["type"] == 3
    ]
    return _page("Defender alert webhook", f'<div class="tiles">{"".join(tiles)}</div>')


def drawn(content: Mapping[str, Any], table: Table) -> str:
    """Return one tile's answer as its kind of chart, or as a table."""
    if not table.rows:
        return "<p>The query returned no results.</p>"
    if content.get("visualization") == "piechart":
        return _pie(table)
    return _time_chart(table) if "| render timechart" in content["query"] else _table(table)


def mail(traces: Traces) -> str:
    """Return the mail of a rule as a page: who reads it sees what, when, and the rows that it is about."""
    rule = deployed()[1][RULE]
    at, found = traces.fired(rule)
    (condition,) = rule["criteria"]["allOf"]
    told = {
        "Severity": f"Sev{rule['severity']}",
        "Fired": f"{at:%d %B %Y %H:%M} UTC",
        "Affected resource": f"appi-{_APP}",
        "Condition": f"more than {condition['threshold']} rows in {rule['windowSize'][2:-1]} minutes",
        "Search results": f"{len(found.rows)}",
    }
    rows = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in told.items())
    body = f"<p>{html.escape(rule['description'])}</p><table>{rows}</table><h2>What the query found</h2>{_table(found)}"
    return _page(f"Fired: {rule['displayName']}", body)


def _page(title: str, body: str) -> str:
    head = f"<!doctype html><meta charset='utf-8'><style>{_STYLE}</style>"
    return f"{head}<h1>{html.escape(title)}</h1><p>{_SAID}</p>{body}"


def _text(value: object) -> str:
    shown = f"{value:%H:%M:%S}" if isinstance(value, datetime) else "" if value is None else f"{value}"
    return html.escape(shown if len(shown) <= 40 else f"{shown[:39]}…")


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = ("".join(f"<td>{_text(value)}</td>" for value in row) for row in table.rows[:_ROWS])
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _pie(table: Table) -> str:
    total, turned, parts, legend = sum(row[1] for row in table.rows), 0.0, [], []
    for colour, (name, count) in zip(_COLOURS, sorted(table.rows, key=lambda row: -row[1]), strict=False):
        parts.append(f"{colour} {turned:.4f}turn {(turned := turned + count / total):.4f}turn")
        legend.append(f'<i style="background:{colour}"></i> {_text(name)}: {count}')
    return (
        f'<div class="pie" style="background:conic-gradient({",".join(parts)})"></div>{"<br>".join(legend)}'
    )


def _time_chart(table: Table) -> str:
    times = sorted({row[0] for row in table.rows})
    seconds = max(1.0, (times[-1] - times[0]).total_seconds())
    top = max(float(value or 0) for row in table.rows for value in row[1:]) or 1.0
    lines, legend = "", ""
    for place, (name, colour) in enumerate(zip(table.columns[1:], _COLOURS, strict=False), 1):
        points = " ".join(
            f"{(row[0] - times[0]).total_seconds() / seconds:.4f},{1 - float(row[place] or 0) / top:.4f}"
            for row in sorted(table.rows)
        )
        lines += f'<polyline stroke="{colour}" points="{points}"/>'
        legend += f'<i style="background:{colour}"></i>{name}'
    span = f"{times[0]:%H:%M} to {times[-1]:%H:%M}, from 0 to {top:.4g}"
    return f'<svg viewBox="0 0 1 1" preserveAspectRatio="none">{lines}</svg><p>{span}{legend}</p>'


def main() -> None:
    """Draw both pictures into docs/pictures."""
    traces = Traces(afternoon()[0])
    try:
        with sync_playwright() as playwright, browser.launch(playwright) as running:
            page = running.new_page(viewport={"width": 1100, "height": 400})
            for name, text in (("workbook", workbook(traces)), ("rule-mail", mail(traces))):
                page.set_content(text)
                page.screenshot(path=_PICTURES / f"{name}.png", full_page=True)
    except browser.NoBrowser as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
