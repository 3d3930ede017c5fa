"""The operator's page in a real browser, against the running stack: every action, by role and name."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from dev.samples import eight_fields, event
from dev.stack.stack import Stack
from tests.checks.console import Console


def test_the_key_opens_the_page_and_is_forgotten(console: Console) -> None:
    """Without a key only the form; it is in no address, in the session's storage alone, and gone after signing out."""
    page = console.page
    assert console.key not in page.url
    assert console.key in page.evaluate("JSON.stringify(sessionStorage)")
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.reload()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    console.press("Sign out")
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    expect(page.get_by_role("navigation")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_wrong_key_opens_nothing(console: Console) -> None:
    """The page says that the key is not accepted, and remembers none; a key that is withdrawn signs out."""
    page = console.page
    console.press("Sign out")
    console.sign_in("not-a-key")
    expect(page.get_by_role("status")).to_contain_text("not accepted (401)")
    assert page.evaluate("sessionStorage.length") == 0
    console.sign_in(console.key)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.route("**/api/operations/**", lambda route: route.fulfill(status=401))
    console.go("Senders")
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("not accepted (401)")


def test_nobody_there_for_30_minutes_is_signed_out(open_page: Callable[..., Page], console: Console) -> None:
    """A press of a key counts as somebody; half an hour without one does not."""
    page = open_page()
    page.clock.install()
    waiting = Console(page, console.stack).signed_in()
    page.clock.fast_forward("29:00")
    page.keyboard.press("Shift")
    page.clock.fast_forward("29:00")
    expect(page.get_by_role("navigation")).to_be_visible()
    page.clock.fast_forward("02:00")
    expect(page.get_by_label("Key", exact=True)).to_be_visible()
    assert waiting.key not in page.evaluate("JSON.stringify(sessionStorage)")


def test_the_overview_shows_window_backlog_and_outcomes(console: Console) -> None:
    """Fifteen slots in words, what waits by severity, the newest outcome, the permission; then pause and resume."""
    page = console.page
    console.post(1, "Seen on the overview")
    console.press("Pause")
    expect(console.dialog).to_contain_text("until somebody resumes")
    console.dialog.get_by_label("Reason").fill("a rule raises too much")
    assert console.agree("Pause") == "Paused: a rule raises too much."
    expect(page.get_by_text("Defender is not called: a rule raises too much")).to_be_visible()
    console.post(2, "Waits in the pause", severity="Medium")
    console.press("Check the permission")  # after which nothing is remembered that was asked before
    row = page.get_by_role("table", name="Waiting alerts by severity").get_by_role("row", name="Medium")
    expect(row).to_contain_text("1")
    console.press("Resume")
    assert console.agree("Resume") == "Resumed."
    expect(page.get_by_text("Defender may be called.")).to_be_visible()

    slots = page.get_by_role("list", name="Slots").get_by_role("listitem")
    expect(slots).to_have_count(15)
    expect(slots.filter(has_text="free").first).to_be_visible()
    outcomes = page.get_by_role("table", name="The last alerts that ended")
    expect(outcomes.get_by_role("row").filter(has_text="Seen on the overview")).to_contain_text("created")
    expect(outcomes.get_by_role("link", name="Open in Defender").first).to_have_attribute(
        "href", re.compile("^https://security.microsoft.com/alerts/")
    )
    expect(page.get_by_role("region", name="Permission")).to_contain_text("Alert.ReadWrite.All")


def test_the_overview_asks_two_requests_and_only_while_it_is_seen(
    open_page: Callable[..., Page], console: Console
) -> None:
    """Each renewal is two requests, and another part asks for nothing by itself."""
    page = open_page()
    page.clock.install()
    watching = Console(page, console.stack).signed_in()
    expect(page.get_by_role("list", name="Slots")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    with page.expect_response("**/outcomes"):
        page.clock.fast_forward(5_000)
    assert sorted(asked) == ["outcomes", "status"]
    watching.go("Senders")
    expect(page.get_by_role("heading", name="Senders")).to_be_visible()
    asked.clear()
    page.clock.fast_forward(60_000)
    assert [name for name in asked if name in ("outcomes", "status")] == []


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (403, "Not with this key."),
        (503, "The table is busy."),
        (500, "The setting RATE_LIMIT_CALLS is wrong."),
    ],
)
def test_an_error_is_said_in_its_own_words(console: Console, status: int, detail: str) -> None:
    """What the app says stands on the page with its status, and what was shown before stays."""
    page = console.page
    expect(page.get_by_role("list", name="Slots")).to_be_visible()
    problem = json.dumps({"title": "x", "status": status, "detail": detail})

    def fail(route: Route) -> None:
        route.fulfill(
            status=status, body=problem, headers={"Retry-After": "7"}, content_type="application/problem+json"
        )

    page.route("**/api/operations/**", fail)
    console.renew()
    expect(page.get_by_text(re.compile("could not be renewed"))).to_contain_text(
        f"{detail} ({status}, try again in 7 s)"
    )
    expect(page.get_by_role("list", name="Slots")).to_be_visible()
    console.go("Alerts")
    expect(page.get_by_role("status").first).to_contain_text(detail)


def test_offline_is_said_and_passes(console: Console) -> None:
    """Without a network the overview says so and since when; when it is back, the page renews itself."""
    page = console.page
    expect(page.get_by_role("list", name="Slots")).to_be_visible()
    page.context.set_offline(True)
    console.renew()
    expect(page.get_by_text("This browser is offline")).to_be_visible()
    page.context.set_offline(False)
    console.renew()
    expect(page.get_by_text("This browser is offline")).to_be_hidden()


def test_an_alert_opens_and_is_replayed(console: Console) -> None:
    """A failed alert shows its fields, tries, error and hint; replayed, it waits again, and the page shows it."""
    console.post(10, "Unknown event", known=False)
    row = console.alert("Unknown event")
    row.get_by_role("button", name="Unknown event").click()
    for text in (
        "ResourceNotFound",
        "What to do",
        event(10).machine_id,
        event(10).event_time,
        "not_found (404)",
    ):
        expect(row).to_contain_text(text)
    time = row.locator("time").first
    assert str(time.get_attribute("title")).endswith("Z (UTC)")
    row.get_by_role("button", name="Replay").click()
    expect(console.dialog).to_contain_text("This one alert waits again")
    assert "waiting" in console.agree("Replay")
    expect(row.get_by_role("button", name="Discard")).to_be_visible()
    row.get_by_role("button", name="Discard").click()
    assert "discarded" in console.agree("Discard")
    expect(row).to_contain_text("The operator discarded the alert")


def test_the_failed_are_replayed_together(console: Console) -> None:
    """The overview says how many have failed, asks, and shows how many wait again."""
    console.post(11, "Unknown as well", known=False)
    console.press("Check the permission")  # after which nothing is remembered that was asked before
    console.press("Replay the failed")
    expect(console.dialog).to_contain_text("the oldest failure first, each once")
    assert re.match(r"\d+ alerts? waits? again; 0 failed ones remain", console.agree("Replay the failed"))
    console.stack.dispatch()


def test_alerts_are_filtered(console: Console) -> None:
    """The filters together, by title and status and severity; a link of the overview sets them."""
    page = console.page
    console.post(20, "Filtered one")
    console.post(21, "Filtered two", severity="Low")
    console.go("Alerts")
    rows = page.get_by_role("list", name="Alerts").get_by_role("listitem")
    page.get_by_label("Title").fill("Filtered two")
    page.get_by_label("Status").select_option("created")
    page.get_by_label("Severity").select_option("Low")
    page.get_by_label("Since").fill("2020-01-01T00:00")
    console.press("Show")
    expect(rows).to_have_count(1)
    page.get_by_label("Severity").select_option("High")
    page.get_by_label("Title").press("Enter")
    expect(page.get_by_text("No alert fits.")).to_be_visible()
    page.goto(f"{page.url.partition('#')[0]}#alerts?status=failed")
    expect(page.get_by_label("Status")).to_have_value("failed")


def test_a_refused_payload_is_read_and_replayed(console: Console) -> None:
    """Its reasons and its payload, folded and coloured; replayed, it is refused again, and says why."""
    page = console.page
    console.stack.post({"search_name": "Refused search", "result": {"host": "pc-9", "count": "3"}})
    console.go("Refused")
    row = page.get_by_role("list", name="Refused payloads").get_by_role("listitem").first
    row.get_by_role("button").first.click()
    expect(row).to_contain_text("machineId")
    payload = row.get_by_label("The payload")
    expect(payload).to_be_hidden()
    row.get_by_text("Payload", exact=True).click()
    expect(payload).to_contain_text('"Refused search"')
    row.get_by_role("button", name="Replay").click()
    expect(console.dialog).to_contain_text("This one payload")
    assert "It is refused again" in console.agree("Replay")


def test_a_payload_is_tried_and_then_posted(console: Console) -> None:
    """Each field with its place, marked in the payload, source and why; nothing is stored until it is posted."""
    page = console.page
    alert = eight_fields(event(30), "Tried first")
    console.stack.simulator(
        "POST", "events", {"known": [{name: alert[name] for name in ("machineId", "eventTime", "reportId")}]}
    )
    console.go("Try a payload")
    page.get_by_label("Payload", exact=True).fill(json.dumps({"alert": alert}))
    console.press("Try")
    fields = page.get_by_role("table", name="Fields and where they come from")
    expect(fields.get_by_role("row").filter(has_text="machineId")).to_contain_text("alert.machineId")
    marked = page.locator("mark").filter(has_text="← machineId")
    expect(marked).to_contain_text(event(30).machine_id)
    expect(page.get_by_text("1 to be raised, 0 refused.")).to_be_visible()
    assert console.alert("Tried first").count() == 0
    console.go("Try a payload")
    page.get_by_label("Payload", exact=True).fill(json.dumps(alert))
    console.press("Post it for real")
    expect(console.dialog).to_contain_text("raised in Defender")
    console.dialog.get_by_role("button", name="Cancel").click()
    assert console.stack.operate("GET", "alerts?title=Tried%20first").json()["alerts"] == []
    console.press("Post it for real")
    assert "1 alert: 1 created." in console.agree("Post it for real")
    expect(console.alert("Tried first")).to_contain_text("created")


def test_clues_and_query_of_a_payload_are_shown(console: Console) -> None:
    """A payload without a reference: why it is refused, what it says of its event, and the query for it."""
    page = console.page
    result = {"host": "pc-001", "UtcTime": "2026-03-04 05:06:07.891", "CommandLine": "rundll32.exe a.dll,Run"}
    console.go("Try a payload")
    page.get_by_label("Payload", exact=True).fill(json.dumps({"search_name": "Rundll32", "result": result}))
    page.get_by_label("Source", exact=True).fill("splunk")
    console.press("Try")
    clues = page.get_by_role("table", name="Clues")
    expect(clues.get_by_role("row").filter(has_text="commandLine")).to_contain_text("result.CommandLine")
    page.get_by_text("Query", exact=True).click()
    expect(page.get_by_label("Query")).to_contain_text("DeviceProcessEvents")
    page.get_by_label("Payload", exact=True).fill("no JSON")
    console.press("Try")
    expect(page.get_by_text(re.compile(r"\(400"))).to_be_visible()


def test_what_waits_of_a_sender_is_discarded(console: Console) -> None:
    """The list of senders, how many wait, the question, and how many were discarded."""
    page = console.page
    console.stack.operate("POST", "pause")
    console.post(40, "Waits for its end")
    console.post(41, "Waits for its end")
    console.go("Senders")
    row = page.get_by_role("table", name="Senders").get_by_role("row").nth(1)
    row.get_by_role("button", name=re.compile("^Discard what waits")).click()
    expect(console.dialog).to_contain_text("2 waiting alerts")
    assert console.agree("Discard what waits").startswith("2 alerts discarded")
    console.stack.operate("POST", "resume")
    expect(row.get_by_role("button")).to_have_count(0)


@pytest.mark.parametrize("part", ["Overview", "Alerts", "Refused", "Try a payload", "Senders"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Callable[..., Page], console: Console, part: str, scheme: str) -> None:
    """Names, roles, contrast, headings and landmarks of each part, in both colour schemes, also of what opens."""
    looked = Console(open_page(color_scheme=scheme), console.stack).signed_in()
    page = looked.page
    if part == "Alerts":
        console.post(60, "To be looked at")
    if part == "Refused":
        console.stack.post({"search_name": "Looked at", "result": {"host": "pc-8", "count": "2"}})
    looked.go(part)
    if part in ("Alerts", "Refused"):
        page.get_by_role("listitem").locator("button").first.click()
        expect(page.locator(".inside dl").first).to_be_visible()
    if part == "Try a payload":
        page.get_by_label("Payload", exact=True).fill(json.dumps(eight_fields(event(1), "A title")))
        looked.press("Try")
        expect(page.locator("mark").first).to_be_visible()
    if part == "Overview":
        expect(page.get_by_role("list", name="Slots")).to_be_visible()
        assert looked.found_by_axe() == []
        looked.press("Pause")
    assert looked.found_by_axe() == []


def test_axe_finds_nothing_before_signing_in(console: Console) -> None:
    """The form as well, with the message of a wrong key."""
    console.press("Sign out")
    console.sign_in("wrong")
    expect(console.page.get_by_role("status")).to_contain_text("401")
    assert console.found_by_axe() == []


@pytest.mark.parametrize("width", [360, 3840])
def test_every_part_fits_its_screen(open_page: Callable[..., Page], console: Console, width: int) -> None:
    """At 360 px and at 4K nothing sticks out at the side."""
    console.post(50, "A" * 200)
    page = open_page(viewport={"width": width, "height": 800})
    looked = Console(page, console.stack).signed_in()
    for part in ("Overview", "Alerts", "Refused", "Try a payload", "Senders"):
        looked.go(part)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, part


def test_it_is_used_by_keyboard_alone(open_page: Callable[..., Page], console: Console) -> None:
    """From the form to a pause and back, with Tab, Enter and Escape; the focus is seen and never lost."""
    page = open_page()
    page.goto(f"{console.stack.hosts[0].url}/api/console")
    page.keyboard.type(console.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    pause = page.get_by_role("button", name="Pause")
    expect(pause).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if pause.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(pause).to_be_focused()


def test_the_files_are_served_as_the_page_needs_them(console: Console) -> None:
    """No key for the page and its files, no guess of their kind, no cache; a slash too many leads back."""
    stack = console.stack
    page = stack.get("/api/console")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert stack.get("/api/console/main.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert stack.get("/api/console/static.py").status_code == 404
    assert stack.get("/api/console/").headers["location"] == "../console"


def test_it_can_be_switched_off(start_stack: Callable[..., Stack]) -> None:
    """With CONSOLE=false neither the page nor a file of it is there."""
    stack = start_stack(settings={"CONSOLE": "false"})
    assert [stack.get(path).status_code for path in ("/api/console", "/api/console/main.js")] == [404, 404]
