"""A browser for the page's tests, and what each page must not do: break its own policy, or log an error."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dev.stack.stack import Stack
from tests.checks import browser as browsers
from tests.checks.console import Console

_MS = 20_000
_WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
expect.set_options(timeout=_MS)  # the overview may show what is five seconds old, and renews every five


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser. Where there is none the tests are skipped, unless REQUIRE_BROWSER is set."""
    with sync_playwright() as playwright:
        try:
            running = browsers.launch(playwright)
        except browsers.NoBrowser as error:
            if os.environ.get("REQUIRE_BROWSER"):
                raise
            pytest.skip(f"no browser runs here: {error}")
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages, each as in a browser of its own. At the end none may have broken the policy or met an error."""
    pages: list[Page] = []
    errors: list[str] = []

    def start(**options: Any) -> Page:
        page = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options).new_page()
        page.set_default_timeout(_MS)
        page.add_init_script(_WATCH)
        page.add_init_script(path=browsers.AXE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        pages.append(page)
        return page

    yield start
    violations = [violation for page in pages for violation in page.evaluate("window.violations")]
    for page in pages:
        page.context.close()
    assert violations == []
    assert errors == []


@pytest.fixture(scope="module")
def stack(start_stack: Callable[..., Stack]) -> Stack:
    """Run a stack whose Defender knows no event but those it is told, and whose window is short."""
    return start_stack(
        hosts=0,
        window=2,
        known_events="registered",
        settings={"NOT_FOUND_RETRY_MINUTES": "", "INLINE_SECONDS": "8"},
    )


@pytest.fixture
def console(stack: Stack, open_page: Callable[..., Page]) -> Console:
    """Open the page of a running app, signed in."""
    if not stack.hosts:
        stack.start_host("--no-timers")
    return Console(open_page(), stack).signed_in()
