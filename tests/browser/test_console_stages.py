"""Stages on the operator's page: what waits in them, is paused, switched off or discarded; alerts without an event."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.samples import eight_fields, event
from dev.stack.stack import Stack
from shared.alerts.alert import Alert
from shared.ledger import keys, record, rows
from tests.checks.console import Console, table_of


def notable(title: str, device: str = "pc-0999") -> dict[str, Any]:
    """Return what Splunk posts of an event that nobody will find."""
    result = {"host": device, "UtcTime": "2026-03-04 05:06:07.891", "CommandLine": "rundll32.exe a.dll,Run"}
    return {"sid": "scheduler__1", "search_name": title, "result": result}


@pytest.fixture(scope="module")
def staged(start_stack: Callable[..., Stack]) -> Stack:
    """Run a stack that searches once, in a world without events, and raises alerts on entities instead."""
    settings = {"FIND_EVENTS": "true", "FIND_EVENTS_RETRY_MINUTES": "", "NO_EVENT": "entity"}
    return start_stack(window=2, settings=settings)


@pytest.fixture
def console(staged: Stack, open_page: Callable[..., Page]) -> Console:
    """Open the page, signed in."""
    return Console(open_page(), staged).signed_in()


@pytest.fixture
def paused(staged: Stack) -> Iterator[None]:
    """Pause every stage for one test."""
    staged.operate("POST", "pause")
    yield
    staged.operate("POST", "discard?source=splunk")
    staged.operate("POST", "discard?source=defender")
    staged.operate("POST", "resume")


def test_an_alert_on_entities_says_what_it_is(console: Console) -> None:
    """Its route, its portal link, and why it is on no event; the overview has it among the outcomes."""
    page = console.page
    console.stack.post(notable("On entities"), query={"source": "splunk"})
    console.settle()
    outcome = page.get_by_role("table", name="The last alerts that ended").get_by_role("row")
    expect(outcome.filter(has_text="On entities")).to_contain_text("created on entities")
    row = console.alert("On entities")
    expect(row).to_contain_text("without an event")
    row.get_by_role("button", name="On entities").click()
    expect(row).to_contain_text("without an event")
    expect(row).to_contain_text("the devices, users and addresses that the payload names")
    expect(row.get_by_role("table", name="Clues")).to_contain_text("rundll32.exe a.dll,Run")
    expect(row.get_by_role("link", name="Open in Defender")).to_have_attribute(
        "href", re.compile("^https://security.microsoft.com/alerts/ma")
    )
    expect(row.get_by_text(re.compile("^No event was found"))).to_be_visible()
    expect(row.get_by_role("button", name="Replay")).to_have_count(0)
    assert console.found_by_axe() == []


def test_a_stage_is_paused_and_resumed_alone(console: Console) -> None:
    """The others go on; the stage says that it rests, why, and goes on where somebody resumes it."""
    page = console.page
    stage = page.get_by_role("region", name="Stage search")
    expect(stage).to_contain_text("running")
    stage.get_by_role("button", name="Pause search").click()
    expect(console.dialog).to_contain_text("Nothing is searched until somebody resumes")
    console.dialog.get_by_label("Reason").fill("hunting is needed elsewhere")
    assert console.agree("Pause search") == "Paused: hunting is needed elsewhere."
    expect(stage).to_contain_text("paused This stage rests: hunting is needed elsewhere")
    expect(page.get_by_text("Defender may be called.")).to_be_visible()
    expect(page.get_by_role("region", name="Stage entity")).to_contain_text("running")
    stage.get_by_role("button", name="Resume search").click()
    assert console.agree("Resume search") == "Resumed."
    expect(stage).to_contain_text("running")


@pytest.mark.usefixtures("paused")
def test_a_stage_that_is_off_shows_what_waits_in_it(open_page: Callable[..., Page], staged: Stack) -> None:
    """The settings have switched the search off while something waited for it."""
    staged.post(notable("Waits for a search"), query={"source": "splunk"})
    host = staged.start_host("--no-timers", FIND_EVENTS="false", NO_EVENT="fail")
    try:
        console = Console(open_page(), staged, host).signed_in()
        stage = console.page.get_by_role("region", name="Stage search")
        expect(stage).to_contain_text("off The settings switch this stage off")
        expect(stage).to_contain_text("1, 0 under way")
        expect(console.page.get_by_role("region", name="Stage entity")).to_have_count(0)
        assert console.found_by_axe() == []
        stage.get_by_role("link", name="discarded").click()
        expect(console.page.get_by_label("Status")).to_have_value("waiting")
        expect(console.page.get_by_role("listitem").filter(has_text="Waits for a search")).to_be_visible()
    finally:
        staged.kill(host)


@pytest.mark.usefixtures("paused")
def test_what_fits_is_discarded_together(console: Console) -> None:
    """By title, severity, source, sender and device: how many, the question, the answer; nothing else is touched."""
    page = console.page
    for number in range(3):
        console.stack.post(eight_fields(event(200 + number), "A rule's flood", "Low"))
    console.stack.post(eight_fields(event(203), "A rule's flood", "High"))
    console.stack.post(eight_fields(event(204), "Something else", "Low"))
    console.go("Alerts")
    console.press("Discard what fits")
    expect(page.get_by_role("status").first).to_contain_text("Give a title, or another filter")
    page.get_by_label("Title").fill("Nobody's title")
    console.press("Discard what fits")
    expect(page.get_by_role("status").first).to_have_text("No waiting alert fits.")
    page.get_by_label("Title").fill("A rule's flood")
    page.get_by_label("Severity").select_option("Low")
    page.get_by_label("Source").fill("defender")
    page.get_by_label("Sender").fill(console.stack.operate("GET", "senders").json()["senders"][0]["sender"])
    console.press("Discard what fits")
    expect(console.dialog).to_contain_text("3 alerts wait or are being sent, and fit this.")
    expect(console.dialog).to_contain_text("A rule's flood")
    assert console.found_by_axe() == []
    assert console.agree("Discard what fits") == "3 alerts discarded; 0 being sent."
    shown = page.get_by_role("list", name="Alerts").get_by_role("listitem")
    expect(shown.filter(has_text="discarded")).to_have_count(3)
    left = console.stack.operate("GET", "alerts?status=waiting").json()["alerts"]
    assert {(each["request"]["title"], each["request"]["severity"]) for each in left} == {
        ("A rule's flood", "High"),
        ("Something else", "Low"),
    }
    page.get_by_label("Severity").select_option("")
    page.get_by_label("Device").fill(event(203).machine_id)
    console.press("Discard what fits")
    expect(console.dialog).to_contain_text("1 alert waits or is being sent, and fits this.")
    assert console.agree("Discard what fits") == "1 alert discarded; 0 being sent."


@pytest.mark.usefixtures("paused")
def test_what_waits_without_a_key_is_discarded(console: Console) -> None:
    """Senders that the app cannot tell apart, because no function key came, are one row with the same action."""
    page = console.page
    table = table_of(console.stack)
    alert = Alert.from_body(eight_fields(event(210), "Nobody's alert"))
    now = time.time()
    delivery = record.Delivery(keys.delivery_id(now), "defender", now, (alert.id,))
    entry = record.accept(alert, source="defender", delivery=delivery.id, now=now)
    table.commit([*rows.insert(entry), rows.insert_delivery(delivery)], mark="test", seconds=10)
    table.close()
    console.stack.post(eight_fields(event(211), "Somebody's alert"))
    console.go("Senders")
    row = page.get_by_role("row").filter(has_text="without a key")
    row.get_by_role("button", name="Discard what waits of senders without a key").click()
    expect(console.dialog).to_contain_text("1 waiting alert of senders without a key")
    assert console.agree("Discard what waits") == "1 alert discarded; 0 being sent."
    waiting = console.stack.operate("GET", "alerts?status=waiting").json()["alerts"]
    assert [each["request"]["title"] for each in waiting] == ["Somebody's alert"]
    expect(row.get_by_role("button")).to_have_count(0)
    row.get_by_role("link").click()
    expect(page.get_by_label("Sender", exact=True)).to_have_value("-")
    expect(page.get_by_role("list", name="Alerts").get_by_role("listitem")).to_have_count(1)


def test_an_alert_that_may_have_been_created_is_replayed_with_a_warning(console: Console) -> None:
    """The call began and nobody knows its answer: the hint says what to do, and so does the question."""
    lost = {"kind": "reset", "on": "entity", "title": "Answer lost*", "afterProcessing": True}
    console.stack.simulator("PUT", "switches", {"faults": [lost]})
    console.stack.post(notable("Answer lost"), query={"source": "splunk"})
    console.settle()
    console.stack.simulator("PUT", "switches", {"faults": []})
    row = console.alert("Answer lost")
    row.get_by_role("button", name="Answer lost").click()
    for text in ("AnswerUnknown", "Look in Defender for an alert with this title"):
        expect(row).to_contain_text(text)
    row.get_by_role("button", name="Replay").click()
    expect(console.dialog).to_contain_text("may create a second alert: look into the portal first")
    expect(console.dialog.get_by_role("link", name="Open in Defender")).to_have_attribute(
        "href", "https://security.microsoft.com/alerts"
    )
    assert console.found_by_axe() == []
    assert "It was replayed" in console.agree("Replay")
    console.go("Overview")
    stage = console.page.get_by_role("region", name="Stage entity")
    expect(stage.get_by_text("This stage rests")).to_be_visible()
