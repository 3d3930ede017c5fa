"""Using the operator's page: errors that pass, a focus that stays, a key that is forgotten, hostile texts anywhere."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from dev.samples import eight_fields, event
from shared.web import static
from tests.checks.console import Console

HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>\u202egnp.exe\u202c"
    + "W" * 300
)
OURS = frozenset(
    {"id", "status", "state", "continuation", "severity", "now", "opens", "accepted", "ended", "at", "until"}
    | {"last", "since", "nextOpens", "delivery", "sender", "route", "payload"}
)
"""Members whose texts nobody but the app writes."""
ADDRESSES = ("portalUrl", "alertWebUrl")


_CONTROLS = """
[...document.querySelectorAll("#view :is(a[href], button, input, select, textarea, summary, [tabindex='0'])")]
  .filter((each) => each.checkVisibility() && !each.disabled)
  .map((each, at) => each.dataset.at = `${at} ${each.textContent.slice(0, 20)}`)"""
_HELD = """(() => {
  const held = document.activeElement, seen = getComputedStyle(held).outlineStyle !== "none";
  return held === document.body ? null : `${seen ? "" : "not seen: "}${held.dataset.at ?? ""}`;
})()"""


def hostile(value: Any, name: str = "") -> Any:
    """Return an answer of the app in which each text of somebody else does what it can."""
    if isinstance(value, dict):
        return {key: hostile(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [hostile(item, name) for item in value]
    if not isinstance(value, str) or name in OURS:
        return value
    return "javascript:document.title='taken'" if name in ADDRESSES else value + HOSTILE


def harmless(console: Console) -> None:
    """Nothing of a text is run, made, hidden or wider than the screen, and axe finds nothing."""
    page = console.page
    assert (
        page.evaluate("document.querySelectorAll('main :is(img, script, svg, iframe), dialog img').length")
        == 0
    )
    assert page.evaluate("[...document.links].filter((each) => !each.href.startsWith('http')).length") == 0
    assert "\u202e" not in page.evaluate("document.body.textContent")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert "taken" not in page.title()
    assert console.found_by_axe() == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1100, "light")])
def test_whatever_the_app_answers_is_a_text(
    open_page: Callable[..., Page], console: Console, width: int, scheme: str
) -> None:
    """In each text of each answer, in each part and in the dialogs, on a narrow screen too."""
    console.post(80, "Hostile everywhere")
    console.post(81, "Hostile and unknown", known=False)
    console.stack.post({"search_name": "Hostile", "result": {"host": "pc-9"}}, query={"source": "splunk"})
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    looked = Console(page, console.stack).signed_in()

    def mangle(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=hostile(answer.json()))

    page.route("**/api/operations/**", mangle)
    looked.go("Senders")
    expect(page.get_by_role("table", name="Senders")).to_be_visible()
    harmless(looked)
    looked.go("Overview")
    expect(page.get_by_role("table", name="The last alerts that ended")).to_contain_text("<img")
    harmless(looked)
    for name in ("Pause", "Replay the failed"):
        looked.press(name)
        harmless(looked)
        page.keyboard.press("Escape")
    for title in ("Hostile everywhere", "Hostile and unknown"):
        row = looked.alert(title)
        row.get_by_role("button").first.click()
        expect(row.locator("dl").first).to_be_visible()
        harmless(looked)
    looked.go("Refused")
    page.get_by_role("listitem").get_by_role("button").first.click()
    page.get_by_text("Payload", exact=True).click()
    harmless(looked)
    looked.go("Try a payload")
    page.get_by_label("Payload", exact=True).fill(json.dumps(eight_fields(event(82), "Hostile")))
    looked.press("Try")
    expect(page.get_by_role("table", name="Fields and where they come from")).to_contain_text("<img")
    harmless(looked)
    for name in ("Post it for real", "Search for the event"):
        looked.press(name)
        harmless(looked)
        page.keyboard.press("Escape")


@pytest.mark.parametrize(("part", "status"), [("Alerts", 403), ("Refused", 503), ("Senders", 0)])
def test_an_error_is_gone_when_it_works_again(console: Console, part: str, status: int) -> None:
    """The link of a part shows it anew, also where it is shown already; the message leaves with the trouble."""
    page = console.page
    problem = json.dumps({"title": "x", "status": status, "detail": "Not now."})

    def fail(route: Route) -> None:
        if status:
            route.fulfill(status=status, body=problem, content_type="application/problem+json")
        else:
            route.abort()

    page.route("**/api/operations/**", fail)
    console.go(part)
    message = page.get_by_role("status").first
    expect(message).to_contain_text(f"Not now. ({status})" if status else "does not answer")
    page.unroute("**/api/operations/**")
    console.go(part)
    expect(message).to_be_empty()
    expect(page.locator("#view")).to_contain_text(re.compile("shown|No |Counted since"))


def test_the_error_of_a_check_leaves_with_the_next_renewal(console: Console) -> None:
    """What the overview could not do is said until it is renewed."""
    page = console.page
    expect(page.get_by_role("list", name="Slots")).to_be_visible()
    page.route("**/operations/status?refresh=true", lambda route: route.fulfill(status=503, body="{}"))
    console.press("Check the permission")
    expect(page.get_by_role("status").first).to_contain_text("(503)")
    console.renew()
    expect(page.get_by_role("status").first).to_be_empty()


def test_a_key_that_is_withdrawn_signs_out_in_a_dry_run_too(console: Console) -> None:
    """Whatever part is shown, the form comes back."""
    page = console.page
    console.go("Try a payload")
    page.route("**/api/operations/**", lambda route: route.fulfill(status=401))
    page.get_by_label("Payload", exact=True).fill("{}")
    console.press("Try")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    expect(page.get_by_role("status").first).to_contain_text("not accepted (401)")
    assert page.evaluate("sessionStorage.length") == 0


def test_the_key_is_nowhere_in_the_page(console: Console) -> None:
    """Once somebody is signed in it is in no field, in no address and in no entry of the history."""
    page = console.page
    for part in ("Alerts", "Refused", "Try a payload", "Senders", "Overview"):
        console.go(part)
        assert console.key not in page.content() + page.url
    assert page.evaluate("document.getElementById('key').value") == ""
    page.go_back()
    assert console.key not in page.url
    console.press("Sign out")
    page.go_back()
    expect(page.get_by_label("Key", exact=True)).to_be_visible()


def test_who_comes_back_after_a_sleep_is_signed_out(open_page: Callable[..., Page], console: Console) -> None:
    """No timer runs while a laptop sleeps: the key press that follows is no sign that somebody was there."""
    page = open_page()
    page.clock.install()
    Console(page, console.stack).signed_in()
    now = page.evaluate("Date.now() / 1000")
    page.clock.pause_at(now + 1)
    page.clock.set_system_time(now + 31 * 60)
    page.keyboard.press("Shift")
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_focus_is_kept_where_a_part_is_drawn_anew(console: Console) -> None:
    """A link of the overview keeps it through a renewal, a row that opens, and an action that is done."""
    page = console.page
    console.post(83, "Kept by the focus")
    console.post(84, "Fails and keeps the focus", known=False)
    outcomes = page.get_by_role("table", name="The last alerts that ended")
    portal = outcomes.get_by_role("row").filter(has_text="Kept by the focus").get_by_role("link").last
    portal.focus()
    before = portal.element_handle()
    page.wait_for_function("(each) => !each.isConnected", arg=before)
    expect(portal).to_be_focused()
    outcomes.get_by_role("link", name="Kept by the focus").press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    row = console.alert("Fails and keeps the focus")
    row.get_by_role("button").first.press("Enter")
    expect(row.locator("dl").first).to_be_visible()
    expect(row.get_by_role("button").first).to_be_focused()
    row.get_by_role("button", name="Replay").press("Enter")
    console.dialog.get_by_role("button", name="Replay").press("Enter")
    console.dialog.get_by_role("button", name="Close").press("Enter")
    expect(row.get_by_role("button", name="Discard")).to_be_visible()
    expect(row.locator(":focus")).to_have_count(1)
    console.stack.dispatch()


@pytest.mark.parametrize(
    ("number", "part"), [(87, "Alerts"), (88, "Refused"), (89, "Try a payload"), (90, "Senders")]
)
def test_every_control_is_reached_with_tab_and_seen(console: Console, number: int, part: str) -> None:
    """From the navigation on, in the order of the page, each with a frame around it; also what a row opens to."""
    page = console.page
    console.post(86, "Reached by keyboard", known=False)
    console.stack.post({"search_name": "Reached", "result": {"host": "pc-9"}}, query={"source": "splunk"})
    console.stack.operate("POST", "pause")
    console.post(number, "Waits for its end")
    console.go(part)
    expect(page.locator("nav [aria-current]")).to_have_text(part)
    if part in ("Alerts", "Refused"):
        page.get_by_role("listitem").locator(".opener").first.click()
        expect(page.locator(".inside .buttons").first).to_be_visible()
    elif part == "Try a payload":
        page.get_by_label("Payload", exact=True).fill(json.dumps(eight_fields(event(1), "A title")))
        console.press("Try")
    expect(page.locator("#view")).not_to_contain_text("Asking")
    expected = page.evaluate(_CONTROLS)
    assert len(expected) > 1
    page.locator("nav a").last.focus()
    reached: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        held = page.evaluate(_HELD)
        if held is None:
            break
        reached.append(held)
    console.stack.operate("POST", "discard?source=defender")
    console.stack.operate("POST", "resume")
    assert [name for name in dict.fromkeys(reached) if name in expected] == expected


def test_a_renewal_behind_a_dialog_loses_no_focus(console: Console) -> None:
    """The button that opened it has the focus again, although it was drawn anew meanwhile."""
    page = console.page
    pause = page.get_by_role("button", name="Pause", exact=True)
    pause.press("Enter")
    before = page.locator("[data-keep=pause]").element_handle()
    page.wait_for_function("(each) => !each.isConnected", arg=before)
    page.keyboard.press("Escape")
    expect(pause).to_be_focused()


def test_an_action_that_fails_says_so_where_it_was_asked(console: Console) -> None:
    """The dialog stays, with the error, and the same button tries again."""
    page = console.page
    expect(page.get_by_role("list", name="Slots")).to_be_visible()
    problem = json.dumps({"title": "x", "status": 503, "detail": "The table is busy."})
    page.route("**/operations/pause", lambda route: route.fulfill(status=503, body=problem))
    console.press("Pause")
    console.dialog.get_by_role("button", name="Pause").click()
    expect(console.dialog.get_by_role("status")).to_have_text("The table is busy. (503)")
    expect(console.dialog.get_by_role("button", name="Pause")).to_be_focused()
    assert console.found_by_axe() == []
    page.keyboard.press("Escape")
    expect(page.get_by_text("Defender may be called.")).to_be_visible()


def test_a_time_is_the_readers_with_utc_on_hover(console: Console) -> None:
    """Berlin is an hour or two ahead of what the title says."""
    console.post(85, "At a time")
    time = console.alert("At a time").locator("time").first
    utc = str(time.get_attribute("datetime"))
    shown = console.page.evaluate(
        """(utc) => new Intl.DateTimeFormat("en-GB",
          { dateStyle: "medium", timeStyle: "medium", timeZone: "Europe/Berlin" }).format(new Date(utc))""",
        utc,
    )
    expect(time).to_have_text(shown)
    expect(time).to_have_attribute("title", f"{utc} (UTC)")


def test_the_policy_is_the_one_that_the_page_needs(console: Console) -> None:
    """The page and each file carry it as it is written, through the host."""
    for name in ("", *static.NAMES):
        answer = console.stack.get(f"/api/console/{name}".rstrip("/"))
        assert answer.headers["content-security-policy"] == static.POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
