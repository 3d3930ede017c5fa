"""The operator's page when something comes late, twice or not at all, or somebody else was first."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from dev.stack.host import MASTER_KEY
from tests.checks.console import Console

ID = "a" * 32
_TRIES = 400
ALERT: dict[str, Any] = {
    "id": ID,
    "status": "failed",
    "route": "reference",
    "sender": None,
    "senderName": None,
    "duplicate": False,
    "merged": False,
    "attempts": 1,
    "waitingFor": None,
    "match": None,
    "request": {"machineId": "b" * 40, "severity": "High", "title": "In trouble"},
    "alert": None,
    "portalUrl": None,
    "error": {"status": 404, "code": "ResourceNotFound", "message": "No.", "target": None, "hint": "Wait."},
    "notes": [],
    "source": "splunk",
    "delivery": "0-0",
    "accepted": "2026-11-28T08:00:00Z",
    "ended": "2026-11-28T08:00:01Z",
    "trial": False,
    "tries": [],
}
CREATED = {**ALERT, "status": "created", "error": None}
REFUSED = {
    "id": "1",
    "at": "2026-11-28T08:00:00Z",
    "source": None,
    "sender": None,
    "status": 400,
    "detail": "Not JSON.",
    "bytes": 1,
    "whole": True,
}


def answer(route: Route, document: Any, status: int = 200) -> None:
    """Answer in the app's place."""
    route.fulfill(status=status, body=json.dumps(document), content_type="application/json")


def hold(page: Page, address: str) -> list[Route]:
    """Hold back what a page asks for at an address, and return the list that holds it."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(address, keep)
    return held


def held_route(page: Page, held: list[Route], number: int = 0) -> Route:
    """Return one of the requests that are held back, once it has come."""
    for _ in range(_TRIES):
        if len(held) > number:
            return held[number]
        page.wait_for_timeout(50)
    raise AssertionError(f"only {len(held)} requests have come")


def overview(open_page: Callable[..., Page], console: Console) -> Page:
    """Open one more page with a clock of its own, which counts in `said` how often its overview has news to say."""
    page = open_page()
    page.clock.install()
    Console(page, console.stack).signed_in()
    expect(page.get_by_role("list", name="Slots")).to_be_visible()
    page.evaluate("""window.said = 0; new MutationObserver(() => { window.said += 1; }).observe(
        document.querySelector("#view [role=status]"), { childList: true, subtree: true })""")
    return page


@pytest.fixture
def listed(console: Console) -> Console:
    """Show one alert that has failed, whatever the app has."""
    page = console.page
    page.route(
        "**/operations/alerts?*", lambda route: answer(route, {"alerts": [ALERT], "continuation": None})
    )
    page.route(f"**/operations/alerts/{ID}", lambda route: answer(route, ALERT))
    console.go("Alerts")
    return console


def test_a_late_401_is_of_the_key_that_was_used(console: Console) -> None:
    """Signed in with another key meanwhile, nobody is signed out by the answer to the first one."""
    page = console.page
    console.press("Sign out")
    console.sign_in(console.stack.keys[MASTER_KEY])
    page.route(
        "**/operations/refused?*", lambda route: answer(route, {"refused": [REFUSED], "continuation": None})
    )
    held = hold(page, "**/operations/refused/1")
    console.go("Refused")
    page.get_by_role("button", name="Not JSON.").click()
    console.press("Sign out")
    console.sign_in(console.key)
    expect(page.get_by_role("heading", name="Refused payloads")).to_be_visible()
    with page.expect_response("**/operations/refused/1"):
        held_route(page, held).fulfill(status=401)
    page.wait_for_timeout(200)
    expect(page.get_by_role("navigation")).to_be_visible()
    expect(page.locator("#message")).to_be_empty()


def test_the_last_key_that_was_typed_counts(console: Console) -> None:
    """A first one whose refusal comes late is not spoken of any more."""
    page, held = console.page, list[Route]()
    page.route(
        "**/operations/status",
        lambda route: (
            held.append(route) if route.request.headers["x-functions-key"] == "first" else route.fallback()
        ),
    )
    console.press("Sign out")
    console.sign_in("first")
    console.sign_in(console.key)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    with page.expect_response("**/operations/status"):
        held_route(page, held).fulfill(status=401)
    page.wait_for_timeout(200)
    expect(page.locator("#message")).to_be_empty()


@pytest.mark.parametrize("key", ["\u043a\u043b\u044e\u0447", "it\u2019s", "a\u200bb"])
def test_a_key_that_cannot_be_one_is_named(console: Console, key: str) -> None:
    """A sign that no header takes is the key's fault, not the network's."""
    console.press("Sign out")
    console.sign_in(key)
    expect(console.page.get_by_role("status")).to_contain_text("no key has")


@pytest.mark.parametrize("part", ["constructor", "__proto__", "toString", "nothing"])
def test_a_part_that_is_not_there_is_the_overview(console: Console, part: str) -> None:
    """Whatever the address names."""
    console.go("Senders")
    console.page.evaluate("(part) => { location.hash = part; }", part)
    expect(console.page.get_by_role("heading", name="Overview")).to_be_visible()


def test_who_was_not_the_first_sees_how_it_stands(listed: Console) -> None:
    """A refusal says why, and the row shows the state that another tab has made, and offers what fits it."""
    page = listed.page
    row = page.get_by_role("list", name="Alerts").get_by_role("listitem")
    row.get_by_role("button", name="In trouble").click()
    expect(row.get_by_role("button", name="Replay")).to_be_visible()
    page.route(f"**/operations/alerts/{ID}", lambda route: answer(route, CREATED))
    page.route(
        f"**/operations/alerts/{ID}/replay", lambda route: answer(route, {"detail": "It is created."}, 409)
    )
    row.get_by_role("button", name="Replay").click()
    listed.dialog.get_by_role("button", name="Replay").click()
    expect(listed.dialog).to_contain_text("It is created. (409)")
    page.keyboard.press("Escape")
    expect(row.get_by_text("created", exact=True).first).to_be_visible()
    expect(row.get_by_role("button", name="Replay")).to_have_count(0)


def test_an_older_answer_does_not_replace_a_newer_one(listed: Console) -> None:
    """Opened twice, a row shows what was asked last."""
    page = listed.page
    held = hold(page, f"**/operations/alerts/{ID}")
    opener = page.get_by_role("button", name="In trouble")
    row = page.get_by_role("list", name="Alerts").get_by_role("listitem")
    for _ in range(3):
        opener.click()
    expect(opener).to_have_attribute("aria-expanded", "true")
    answer(held_route(page, held, 1), CREATED)
    expect(row.get_by_text("created", exact=True).first).to_be_visible()
    with page.expect_response(f"**/operations/alerts/{ID}"):
        answer(held[0], ALERT)
    page.wait_for_timeout(200)
    expect(row.get_by_text("created", exact=True).first).to_be_visible()


def test_what_is_old_is_said_while_no_answer_comes(open_page: Callable[..., Page], console: Console) -> None:
    """Also where the app neither answers nor refuses; a screen reader is told once, not at each renewal."""
    page = overview(open_page, console)
    page.route("**/operations/status", lambda _: None)
    for _ in range(12):
        page.clock.run_for(5_000)
    expect(page.get_by_text("What you see is from")).to_be_visible()
    assert page.evaluate("window.said") == 1


def test_a_failure_that_goes_on_is_said_once(open_page: Callable[..., Page], console: Console) -> None:
    """The same words are not written again every five seconds."""
    page = overview(open_page, console)
    page.route("**/operations/status", lambda route: answer(route, {"detail": "Busy."}, 503))
    for _ in range(4):
        with page.expect_response("**/operations/status"):
            page.clock.run_for(5_000)
    expect(page.get_by_text("Busy. (503)")).to_be_visible()
    assert page.evaluate("window.said") == 1


def test_a_key_that_is_held_down_agrees_to_nothing(listed: Console) -> None:
    """The press that opens a question does not answer it as well."""
    page = listed.page
    asked = hold(page, f"**/operations/alerts/{ID}/replay")
    page.get_by_role("button", name="In trouble").click()
    page.get_by_role("button", name="Replay").focus()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(listed.dialog).to_be_visible()
    page.wait_for_timeout(200)
    assert asked == []
    page.keyboard.press("Enter")
    expect(listed.dialog.get_by_role("button", name="Replay")).to_be_disabled()


def test_what_was_begun_is_told_without_its_dialog_too(console: Console) -> None:
    """Whoever does not wait hears of the answer at the top of the page, which is drawn anew."""
    page = console.page
    held = hold(page, "**/operations/pause*")
    console.press("Pause")
    console.dialog.get_by_role("button", name="Pause", exact=True).click()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    held_route(page, held).continue_()
    expect(page.locator("#message")).to_contain_text("Paused: ")
    console.press("Resume")
    console.agree("Resume")


def test_a_discard_that_is_stopped_says_how_far_it_came(console: Console) -> None:
    """Closed between two portions, it goes on no more, and tells what it has done."""
    page = console.page
    sender = {"sender": "0123456789", "deliveries": 1, "alerts": 900, "refused": 0, "waiting": 900}
    sender |= {"senderName": "splunk", "sources": None, "last": ALERT["accepted"]}
    listed = {"since": ALERT["accepted"], "atLeast": False, "senders": [sender]}
    page.route("**/operations/senders", lambda route: answer(route, listed))
    held = hold(page, "**/operations/discard*")
    console.go("Senders")
    page.get_by_role("button", name="Discard what waits of splunk").click()
    console.dialog.get_by_role("button", name="Discard what waits").click()
    portion = {"discarded": 200, "remaining": 0, "sending": 0, "atLeast": True, "continuation": "x"}
    with page.expect_request("**/operations/discard?*continuation=x*"):
        answer(held_route(page, held), portion)
    page.keyboard.press("Escape")
    answer(held_route(page, held, 1), portion)
    expect(page.locator("#message")).to_contain_text("400 alerts discarded so far … Stopped.")
    assert len(held) == 2


@pytest.mark.parametrize(("holds", "words"), [(True, "It ends at"), (False, "It ended at")])
def test_a_pause_that_is_over_is_told_so(console: Console, holds: bool, words: str) -> None:
    """After its end the next call is its probe, and no time to come is promised."""
    page = console.page
    status = console.stack.operate("GET", "status").json()
    pause = {"reason": "429", "until": ALERT["ended"], "byOperator": False, "holds": holds}
    page.route("**/operations/status", lambda route: answer(route, {**status, "pause": pause}))
    console.renew()
    expect(page.get_by_text("Defender is not called: 429.")).to_contain_text(words)


def test_why_somebody_was_signed_out_is_said_over_a_dialog_too(
    open_page: Callable[..., Page], console: Console
) -> None:
    """A question that was open is closed, and does not take the reason away."""
    page = open_page()
    page.clock.install()
    waiting = Console(page, console.stack).signed_in()
    waiting.press("Pause")
    expect(waiting.dialog).to_be_visible()
    page.clock.fast_forward("31:00")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator("#message")).to_contain_text("30 minutes")


@pytest.mark.parametrize("part", ["Alerts", "Refused"])
def test_more_can_be_asked_for_again(console: Console, part: str) -> None:
    """A failure does not take the rest of the list away."""
    page = console.page
    name = part.lower()
    entry = ALERT if part == "Alerts" else REFUSED
    fails = [False]

    def give(route: Route) -> None:
        if fails[0]:
            answer(route, {"detail": "Busy."}, 503)
        else:
            answer(route, {name: [entry], "continuation": "x"})

    page.route(f"**/operations/{name}?*", give)
    console.go(part)
    rows = page.locator(".rows > li")
    expect(rows).to_have_count(1)
    fails[0] = True
    console.press("More")
    expect(page.locator("#message")).to_contain_text("Busy. (503)")
    fails[0] = False
    console.press("More")
    expect(rows).to_have_count(2)


def test_signs_that_show_nothing_are_seen(console: Console) -> None:
    """Separators, fillers and tags as well as those that turn the direction."""
    signs = "\u034f\u115f\u180e\u2028\u2029\u2800\u3164\ufff9\U000e0041"
    console.go("Try a payload")
    console.page.get_by_label("Payload", exact=True).fill(json.dumps({"search_name": f"a{signs}b"}))
    console.press("Try")
    shown = "".join(f"[U+{ord(sign):04X}]" for sign in signs)
    expect(console.page.get_by_label("The payload")).to_contain_text(f"a{shown}b")
