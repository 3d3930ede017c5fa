"""`make console-pictures`: takes the pictures of the operator's page that the docs show."""

import argparse
import json
import secrets
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

from dev import samples, setup
from dev.demo.acts import Delivery, each_sender, known
from dev.stack.child import ChildError
from dev.stack.stack import Stack
from shared.senders import fingerprint
from tests.checks import browser
from tests.checks.console import Console

FOLDER = setup.ROOT / "docs" / "pictures"
_SIZE: ViewportSize = {"width": 1100, "height": 800}
_OPERATOR = "operator"


def main() -> None:
    """Start a stack, let the demo's senders post to it, and take the pictures into docs/pictures."""
    argparse.ArgumentParser(prog="make console-pictures", description=main.__doc__).parse_args()
    deliveries = each_sender()
    keys = {name: secrets.token_urlsafe(24) for name in (_OPERATOR, *(each.sender for each in deliveries))}
    named = {
        name.replace(",", ""): {"keys": [fingerprint({"x-functions-key": key}, {})]}
        for name, key in keys.items()
    }
    settings = {"NOT_FOUND_RETRY_MINUTES": "", "SENDERS": json.dumps(named)}
    FOLDER.mkdir(exist_ok=True)
    try:
        with (
            Stack(keys=keys, settings=settings, known_events="registered") as stack,
            sync_playwright() as playwright,
        ):
            _post(stack, deliveries)
            with browser.launch(playwright) as running:
                page = running.new_context(viewport=_SIZE, locale="en-GB", color_scheme="light").new_page()
                for name in _pictures(Console(page, stack)):
                    print(f"docs/pictures/{name.name}")  # noqa: T201 - a command
    except (ChildError, browser.NoBrowser) as error:
        sys.exit(f"make console-pictures: {error}")


def _post(stack: Stack, deliveries: list[Delivery]) -> None:
    """Let each sender post; Defender knows the events that it is expected to know."""
    stack.simulator("POST", "events", {"known": known(deliveries)})
    for delivery in deliveries:
        stack.post(delivery.payload, key=delivery.sender, query=delivery.query)


def _pictures(console: Console) -> list[Path]:
    """Take a picture of each part that the docs show; return the files."""
    taken, page = [], console.page

    def take(name: str) -> None:
        taken.append(FOLDER / f"console-{name}.png")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=taken[-1])

    console.signed_in()
    page.get_by_role("list", name="Slots").wait_for()
    take("overview")
    console.go("Alerts")
    page.get_by_label("Status").select_option("failed")
    console.press("Show")
    page.get_by_role("list", name="Alerts").get_by_role("button").first.click()
    page.get_by_text("What to do").wait_for()
    page.evaluate("scrollTo(0, document.querySelector('.rows').offsetTop - 12)")
    take("alert")
    console.go("Try a payload")
    payload = page.get_by_label("Payload", exact=True)
    payload.fill(json.dumps(samples.splunk_plain(samples.event(7), "New service"), indent=2))
    console.press("Try")
    page.locator("mark").first.wait_for()
    page.get_by_role("heading", name="What it becomes").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.querySelector('#view h3').offsetTop - 12)")
    take("try")
    return taken


if __name__ == "__main__":
    main()
