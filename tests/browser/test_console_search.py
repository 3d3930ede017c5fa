"""The search of events on the operator's page: what was found, and what a person can do where it was not."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.stack.stack import Stack
from tests.checks.console import Console

EVENT = {
    "table": "DeviceProcessEvents",
    "device": "pc-0815.contoso.example",
    "time": "2026-03-04T05:06:07.8912345Z",
    "FileName": "rundll32.exe",
    "ProcessCommandLine": "rundll32.exe a.dll,Run",
    "SHA1": "c" * 40,
    "ProcessId": 4711,
}


def notable(title: str, device: str) -> dict[str, Any]:
    """Return what Splunk posts: no reference, but a device, a time and a command line."""
    result = {
        "host": device,
        "UtcTime": "2026-03-04 05:06:07.891",
        "CommandLine": "rundll32.exe a.dll,Run",
        "severity": "high",
    }
    return {"sid": "scheduler__1", "search_name": title, "result": result}


@pytest.fixture(scope="module")
def searching(start_stack: Callable[..., Stack]) -> Stack:
    """Run a stack that searches once, in a world with one event; its table takes seconds to make."""
    stack = start_stack(settings={"FIND_EVENTS": "true", "FIND_EVENTS_RETRY_MINUTES": ""})
    stack.simulator("POST", "world", {"events": [EVENT]})
    return stack


@pytest.fixture
def console(searching: Stack, open_page: Callable[..., Page]) -> Console:
    """Open the page, signed in."""
    return Console(open_page(), searching).signed_in()


def test_a_match_is_shown_and_marked_as_wrong(console: Console) -> None:
    """Grade, what agrees, candidates and clues; marked as wrong it says what to do in Defender, and stays marked."""
    page = console.page
    console.stack.post(notable("Found by search", "PC-0815"), query={"source": "splunk"})
    console.settle()
    row = console.alert("Found by search")
    expect(row).to_contain_text("created")
    row.get_by_role("button", name="Found by search").click()
    expect(row.get_by_text("exact", exact=True)).to_be_visible()
    expect(row).to_contain_text("commandLine")
    expect(row.get_by_role("table", name="Candidates")).to_contain_text("ProcessCreated")
    expect(row.get_by_role("table", name="Clues")).to_contain_text("rundll32.exe a.dll,Run")
    assert console.found_by_axe() == []
    row.get_by_role("button", name="Wrong match").click()
    assert "close the alert" in console.agree("Wrong match")
    expect(row).to_contain_text("marked as wrong")
    expect(row.get_by_role("button", name="Wrong match")).to_have_count(0)
    console.go("Overview")
    stage = page.get_by_role("region", name="Stage search")
    expect(stage).to_contain_text("events are searched and raised")
    expect(stage).to_contain_text("ThreatHunting.Read.All")


def test_where_no_event_was_found_a_person_searches_again_or_gives_it(console: Console) -> None:
    """It failed; searched again it waits; a row without a field is refused by name, and a whole one is taken."""
    console.stack.post(notable("Not found by search", "pc-0999"), query={"source": "splunk"})
    console.settle()
    row = console.alert("Not found by search")
    expect(row).to_contain_text("event not found yet")
    row.get_by_role("button", name="Not found by search").click()
    expect(row).to_contain_text(re.compile("EventNotFound"))
    row.get_by_role("button", name="Search again").click()
    expect(console.dialog).to_contain_text("searched again by advanced hunting")
    assert "waiting" in console.agree("Search again")
    row.get_by_role("button", name="Give reference").click()
    given = {"DeviceId": "e858afbbdcee1a68d1eef96f4b4f732a89ea313d", "Timestamp": EVENT["time"]}
    console.dialog.get_by_label("Row").fill(json.dumps(given))
    console.dialog.get_by_role("button", name="Give reference").click()
    expect(console.dialog.get_by_role("status")).to_contain_text("reportId")
    console.dialog.get_by_label("Row").fill(json.dumps({**given, "ReportId": "20777"}))
    assert "It has its reference" in console.agree("Give reference")
    expect(row.get_by_text("operator", exact=True)).to_be_visible()


def test_a_payload_is_searched_without_raising_it(console: Console) -> None:
    """*Search for the event* asks first, and shows verdict, reference and candidates."""
    page = console.page
    console.go("Try a payload")
    page.get_by_label("Payload", exact=True).fill(json.dumps(notable("Only tried", "PC-0815")))
    page.get_by_label("Source", exact=True).fill("splunk")
    console.press("Search for the event")
    expect(console.dialog).to_contain_text("Nothing is raised or stored")
    console.agree("Search for the event")
    expect(page.get_by_role("table", name="Candidates")).to_contain_text("ProcessCreated")
    expect(page.locator("#view")).to_contain_text("exact")
    assert console.stack.operate("GET", "alerts?title=Only%20tried").json()["alerts"] == []


def test_what_a_trial_found_stands_at_the_refused_payload(
    start_stack: Callable[..., Stack], open_page: Callable[..., Page]
) -> None:
    """The grade in the list, the match and its event inside; the overview counts it, and nothing was raised."""
    stack = start_stack(settings={"FIND_EVENTS": "trial", "FIND_EVENTS_RETRY_MINUTES": ""})
    stack.simulator("POST", "world", {"events": [EVENT]})
    stack.post(notable("Only a trial", "PC-0815"), query={"source": "splunk"})
    stack.dispatch()
    console = Console(open_page(), stack).signed_in()
    page = console.page
    stage = page.get_by_role("region", name="Stage search")
    expect(stage).to_contain_text("trial: nothing is raised")
    outcomes = page.get_by_role("table", name="The last alerts that ended")
    expect(outcomes.get_by_role("row").nth(1)).to_contain_text("searched a trial")
    console.go("Refused")
    row = page.get_by_role("list", name="Refused payloads").get_by_role("listitem").first
    expect(row).to_contain_text("a trial found its event: exact")
    row.get_by_role("button").first.click()
    expect(row).to_contain_text("A trial's search")
    expect(row).to_contain_text("ProcessCreated")
    assert console.found_by_axe() == []
    row.get_by_role("link", name="All about this search").click()
    expect(page.get_by_role("table", name="Candidates")).to_contain_text("ProcessCreated")
    expect(page.get_by_text("a trial: nothing is raised")).to_be_visible()
