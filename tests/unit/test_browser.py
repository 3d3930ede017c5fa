"""The browser of the tests: what is tried, and what is said where none runs."""

from typing import Any

import pytest
from playwright.sync_api import Error

from dev import browser


class Broken:
    """A Playwright whose browsers do not start; it remembers which it was asked for."""

    def __init__(self) -> None:
        self.chromium = self
        self.asked: list[str] = []

    def launch(self, *, executable_path: str, **_: Any) -> None:
        """Fail as a browser does that misses a library."""
        self.asked.append(executable_path)
        raise Error("error while loading shared libraries: libnss3.so\nmore")


def test_each_browser_is_tried_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not start is no end: the next is tried, and in the end each is named with its reason."""
    monkeypatch.setattr(browser, "_found", lambda: iter([("/a/chromium", {}), ("/b/chrome", {})]))
    broken: Any = Broken()
    with pytest.raises(browser.NoBrowser, match=r"/a/chromium: .*libnss3.so; /b/chrome: .*libnss3.so$"):
        browser.launch(broken)
    assert broken.asked == ["/a/chromium", "/b/chrome"]


def test_without_any_browser_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be tried, the reason says what could be installed."""
    monkeypatch.setattr(browser, "_found", lambda: iter(()))
    broken: Any = Broken()
    with pytest.raises(browser.NoBrowser, match="no Chrome or Chromium is installed"):
        browser.launch(broken)


def test_another_machine_takes_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packed Chromium is for Linux on x86-64; elsewhere only the programs of the PATH are tried."""
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name == "chromium" else None)
    assert list(browser._found()) == [("/bin/chromium", {})]
