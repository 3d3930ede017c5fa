"""The browser of the tests: what is tried, and what is said where none runs."""

from typing import Any

import pytest
from playwright.sync_api import Error

from tests.checks import browser


class Broken:
    """A Playwright whose browsers do not start; it remembers which it was asked for."""

    def __init__(self) -> None:
        self.chromium = self
        self.asked: list[str] = []

    def launch(self, *, executable_path: str, **_: Any) -> None:
        """Fail as a browser does that misses a library."""
        self.asked.append(executable_path)
        raise Error("error while loading shared libraries: libnss3.so\nmore")


def test_each_browser_is_tried_and_named() -> None:
    """One that does not start is no end: the next is tried, and in the end each is named with its reason."""
    broken: Any = Broken()
    with pytest.raises(browser.NoBrowser, match=r"/a/chromium: .*libnss3.so; /b/chrome: .*libnss3.so$"):
        browser.launch(broken, [("/a/chromium", {}), ("/b/chrome", {})])
    assert broken.asked == ["/a/chromium", "/b/chrome"]


def test_without_any_browser_it_is_said() -> None:
    """Where nothing can be tried, the reason says what could be installed."""
    broken: Any = Broken()
    with pytest.raises(browser.NoBrowser, match="no Chrome or Chromium is installed"):
        browser.launch(broken, [])
