"""What others send, on the operator's page: hostile texts stay texts, and many alerts stay a page."""

import json
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from dev.samples import eight_fields, event
from dev.stack.stack import Stack
from shared.alerts.alert import Alert
from shared.ledger import keys, record, rows
from shared.ledger.record import Delivery
from tests.checks.console import Console, table_of

HOSTILE = [
    "<img src=x onerror=\"document.title='taken'\">",
    "<script>document.title='taken'</script>",
    "</pre></textarea><svg onload=document.title='taken'>",
    "\u202egnp.exe\u202c right to left \u2066mark\u2069",
    "javascript:document.title='taken'",
    "{{7*7}} ${document.title='taken'} %3Cb%3E",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \U0001f469\u200d\U0001f4bb e\u0301\u0300\u0302\u0303",
    "W" * 4_096,
]
MANY = 10_000


@pytest.fixture(scope="module")
def full(start_stack: Callable[..., Stack]) -> Stack:
    """Run a stack in whose table ten thousand alerts have ended, each a second before the next."""
    stack = start_stack(settings={"NOT_FOUND_RETRY_MINUTES": ""})
    table = table_of(stack)
    now = time.time() - 3_600
    writes = []
    for number in range(MANY):
        alert = Alert.from_body(eight_fields(event(number), f"One of many {number}", "Low"))
        at = now - number
        home = Delivery(keys.delivery_id(at), "splunk", at, (alert.id,))
        entry = record.accept(alert, source="splunk", delivery=home.id, now=at)
        writes += [*rows.note(record.discard(entry, now=now), None), rows.insert_delivery(home)]
    for first in range(0, len(writes), 100):
        table.commit(writes[first : first + 100], mark="many", seconds=60)
    table.close()
    return stack


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_stays_a_text(console: Console, text: str) -> None:
    """In each field of an alert and of a refused payload it is shown as it is, and does and turns nothing."""
    page = console.page
    fields = {"title": f"T {text}", "description": f"D {text}", "recommendedAction": f"R {text}"}
    console.stack.post({**eight_fields(event(70), "x"), **fields})
    console.stack.post({"search_name": text, "sid": text, "result": {text: text}}, query={"source": "splunk"})
    rows_shown = page.get_by_role("list", name="Alerts").get_by_role("listitem")
    console.go("Alerts")
    rows_shown.first.get_by_role("button").first.click()
    description = rows_shown.first.locator("dd").filter(has_text="D ").last
    expect(description).to_be_visible()
    console.go("Refused")
    refused = page.get_by_role("list", name="Refused payloads").get_by_role("listitem").first
    refused.get_by_role("button").first.click()
    refused.get_by_text("Payload", exact=True).click()
    expect(refused.get_by_label("The payload")).to_be_visible()
    console.go("Try a payload")
    page.get_by_label("Payload", exact=True).fill(json.dumps({**eight_fields(event(70), "x"), **fields}))
    console.press("Try")
    expect(page.get_by_role("table", name="Fields and where they come from")).to_contain_text("D ")
    made = page.evaluate(
        "[...document.querySelectorAll('main img, main script, main svg, main iframe')].length"
    )
    assert (made, "taken" in page.title()) == (0, False)
    assert "\u202e" not in page.evaluate("document.querySelector('table').textContent")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert console.found_by_axe() == []


def test_a_sign_that_turns_the_text_is_seen(console: Console) -> None:
    """A right-to-left mark is shown by its number, so that a name cannot pretend another ending."""
    console.post(71, "invoice\u202efdp.exe", known=False)
    console.go("Try a payload")
    console.page.get_by_label("Payload", exact=True).fill(json.dumps({"search_name": "invoice\u202efdp.exe"}))
    console.press("Try")
    expect(console.page.get_by_label("The payload")).to_contain_text("invoice[U+202E]fdp.exe")


def test_ten_thousand_alerts_are_a_page_and_the_next(open_page: Callable[..., Page], full: Stack) -> None:
    """Fifty at a time, the newest first; a filter finds one among all of them."""
    console = Console(open_page(), full).signed_in()
    page = console.page
    items = page.get_by_role("list", name="Alerts").get_by_role("listitem")
    console.go("Alerts")
    expect(items).to_have_count(50)
    titles = [f"One of many {number}" for number in range(50)]
    assert [
        text for text, title in zip(items.all_inner_texts(), titles, strict=True) if title not in text
    ] == []
    console.press("More")
    expect(items).to_have_count(100)
    assert len(set(items.all_inner_texts())) == 100
    page.get_by_label("Title").fill("One of many 9876")
    console.press("Show")
    expect(items).to_have_count(1)
    console.go("Overview")
    expect(page.get_by_text("No alert has ended yet.")).to_be_visible()
    assert console.found_by_axe() == []
