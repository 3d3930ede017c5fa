"""The workbook and the rules, run over lines that the app logs: their queries find what happened."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.checks import workbook
from tests.checks.virtual import Defender
from tests.checks.workbook import Table, Traces


@pytest.fixture(scope="module")
def story() -> tuple[Traces, Defender]:
    """Return the log of an afternoon, and what Defender saw of it."""
    lines, defender = workbook.afternoon()
    return Traces(lines), defender


def shown(traces: Traces) -> dict[str, Table]:
    """Return what each tile of the workbook shows, by its name."""
    return {
        item["name"]: traces.ask(item["content"]["query"])
        for item in workbook.deployed()[0]
        if item["type"] == 3
    }


def column(table: Table, name: str) -> Iterator[object]:
    """Yield the values of a column."""
    yield from (row[table.columns.index(name)] for row in table.rows)


def test_the_workbook_shows_what_defender_saw(story: tuple[Traces, Defender]) -> None:
    """Alerts by state and source, calls by answer, and what failed are the calls and alerts that there were."""
    traces, defender = story
    tiles = shown(traces)
    titles = Counter(arrival.body["title"] for arrival in defender.arrivals)
    failed = titles.pop("Beaconing") + titles.pop("Rare process") // 4  # a call, and three more after it
    assert failed > 4
    states: dict[str, int] = dict(tiles["outcomes"].rows)
    assert states["created"] == sum(titles.values()) > 300
    assert states["failed"] == failed == len(tiles["failed"].rows)
    assert sum(row[1] for row in tiles["sources"].rows) == states["created"]
    assert {row[0] for row in tiles["sources"].rows} == {"splunk", "advanced-hunting", "defender"}
    calls = dict(zip(column(tiles["answers"], "status"), column(tiles["answers"], "calls"), strict=True))
    assert sum(int(str(count)) for count in calls.values()) == len(defender.arrivals)
    assert set(calls) == {200, 400, 404}
    assert set(column(tiles["failed"], "code")) == {"InvalidInput", "ResourceNotFound"}


def test_the_workbook_shows_a_full_window_and_its_backlog(story: tuple[Traces, Defender]) -> None:
    """No minute has more calls than are allowed, some have as many, and meanwhile alerts wait for minutes."""
    tiles = shown(story[0])
    assert max(int(str(calls)) for calls in column(tiles["quota"], "calls")) == 15
    assert set(column(tiles["quota"], "allowed")) == {15}
    assert max(int(str(count)) for count in column(tiles["backlog"], "waiting")) >= 16
    assert max(float(str(age or 0)) for age in column(tiles["oldest"], "oldestMinutes")) > 5


def test_the_workbook_names_the_senders_of_refused_payloads(story: tuple[Traces, Defender]) -> None:
    """One row for the search that sends no event, with its status and how often."""
    (row,) = shown(story[0])["refused"].rows
    assert row[:3] == ("splunk", "splunk", 422)
    assert row[3] > 5


def test_a_rule_fires_once_its_alert_has_failed(story: tuple[Traces, Defender]) -> None:
    """The first evaluation after the first failure finds it; a rule about what did not happen never fires."""
    traces, rules = story[0], workbook.deployed()[1]
    at, found = traces.fired(rules["failed"])
    first = min(traces.ask(rules["failed"]["criteria"]["allOf"][0]["query"]).rows)
    assert found.rows == [first]
    assert 0 <= (at - first[0]).total_seconds() < 15 * 60
    with pytest.raises(LookupError):
        traces.fired(rules["no-permission"])


def test_the_pictures_say_where_they_are_from(story: tuple[Traces, Defender]) -> None:
    """Both name the simulator, and show every tile, and the rule's own words, once."""
    book, mail = workbook.workbook(story[0]), workbook.mail(story[0])
    for page in (book, mail):
        assert "Drawn from the simulator's figures" in page
    titles = [item["content"]["title"] for item in workbook.deployed()[0] if item["type"] == 3]
    assert all(book.count(f"<h2>{title}</h2>") == 1 for title in titles)
    assert book.count("<svg ") == 3
    assert workbook.deployed()[1]["failed"]["description"] in mail
