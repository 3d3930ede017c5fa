"""Payloads on the operator's page: shown without losing a digit, and opened whatever they hold."""

import json

from playwright.sync_api import Route, expect

from dev.samples import eight_fields, event
from tests.checks.console import Console

NUMBERS = '"digits": [9007199254740993, 1.10, 1E2, -0.0], "10": true, "2": null'


def test_numbers_are_shown_as_they_came(console: Console) -> None:
    """Not one digit is lost of what a float cannot hold, and names stay in their order."""
    page = console.page
    body = {**eight_fields(event(80), "Digits"), "reportId": "ID"}
    payload = json.dumps(body).replace('"ID"', "9007199254740993").removesuffix("}") + f", {NUMBERS}}}"
    console.go("Try a payload")
    page.get_by_label("Payload", exact=True).fill(payload)
    console.press("Try")
    shown = page.get_by_label("The payload")
    expect(shown).to_contain_text('"reportId": 9007199254740993 ← reportId')
    assert "".join(shown.inner_text().split()).endswith("".join(NUMBERS.split()) + "}")


def test_a_payload_that_is_too_deep_is_opened(console: Console) -> None:
    """What a sender nests deeper than any stack is shown as it came, with its reasons and its replay."""
    page = console.page
    deep = b"[" * 6_000 + b"]" * 6_000
    assert console.stack.post(deep).status_code == 400
    console.go("Refused")
    row = page.get_by_role("list", name="Refused payloads").get_by_role("listitem").first
    row.get_by_role("button").first.click()
    expect(row.get_by_role("button", name="Replay")).to_be_visible()
    assert "null" not in row.inner_text()
    row.get_by_text("Payload", exact=True).click()
    expect(row.get_by_label("The payload")).to_have_text(deep.decode())


def test_a_payload_that_is_refused_again_is_not_marked_as_replayed(console: Console) -> None:
    """The dialog shows why, and the row stays as it was, because the payload is still there."""
    page = console.page
    console.stack.post({"nothing": "of use"})
    console.go("Refused")
    row = page.get_by_role("list", name="Refused payloads").get_by_role("listitem").first
    row.get_by_role("button").first.click()
    row.get_by_role("button", name="Replay").click()
    assert "It is refused again" in console.agree("Replay")
    expect(page.locator("dialog")).to_have_count(0)
    expect(row.get_by_text("replayed", exact=True)).to_have_count(0)


def test_the_last_try_is_the_one_that_is_shown(console: Console) -> None:
    """An answer that comes late does not take the place of what was asked after it."""
    page = console.page
    held: list[Route] = []
    page.route(
        "**/operations/dry-run",
        lambda route: held.append(route) if "first" in str(route.request.post_data) else route.continue_(),
    )
    console.go("Try a payload")
    for name in ("first", "second"):
        page.get_by_label("Payload", exact=True).fill(json.dumps({"name": name}))
        console.press("Try")
    expect(page.get_by_label("The payload")).to_contain_text("second")
    with page.expect_response("**/operations/dry-run"):
        held[0].continue_()
    expect(page.get_by_label("The payload")).to_contain_text("second")
