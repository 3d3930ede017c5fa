"""The operator's page in a browser, as a person uses it: by roles and names."""

import time
from typing import Self

from playwright.sync_api import Locator, Page, expect

from dev.samples import eight_fields, event
from dev.stack.stack import Host, Stack
from shared.settings import StorageSettings
from shared.table.azure import AzureTable

NAMES = ("machineId", "eventTime", "reportId")
_TRIES = 60
_AXE = """axe.run().then((found) =>
  found.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html).join(" ")}`))"""


def table_of(stack: Stack) -> AzureTable:
    """Return the table of a running stack, to be closed by whoever asks."""
    settings = stack.settings
    return AzureTable(
        StorageSettings(connection_string=settings["AzureWebJobsStorage"]),
        name="DefenderAlerts",
        partition=settings["RATE_LIMIT_SCOPE"],
        credential=lambda: None,
    )


class Console:
    """The page of a stack's first host, or of another one."""

    def __init__(self, page: Page, stack: Stack, host: Host | None = None) -> None:
        self.page = page
        self.stack = stack
        self.host = host or stack.hosts[0]
        self.key = next(iter(stack.keys.values()))

    def signed_in(self) -> Self:
        """Open the page and sign in with the stack's first key."""
        self.page.goto(f"{self.host.url}/api/console")
        self.sign_in(self.key)
        expect(self.page.get_by_role("heading", name="Overview")).to_be_visible()
        return self

    def sign_in(self, key: str) -> None:
        """Type a key and sign in."""
        self.page.get_by_label("Key", exact=True).fill(key)
        self.press("Sign in")

    def go(self, part: str) -> None:
        """Follow a link of the navigation."""
        self.page.get_by_role("navigation").get_by_role("link", name=part, exact=True).click()

    def renew(self) -> None:
        """Let the overview renew itself now, as it does when somebody comes back to it."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def press(self, name: str) -> None:
        """Press the one button of this name."""
        self.page.get_by_role("button", name=name, exact=True).click()

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.get_by_role("dialog")

    def agree(self, name: str) -> str:
        """Agree to what the dialog asks; close it, and return the answer that it showed."""
        self.dialog.get_by_role("button", name=name, exact=True).click()
        close = self.dialog.get_by_role("button", name="Close")
        expect(close).to_be_visible()
        answer = self.dialog.get_by_role("status").inner_text()
        close.click()
        return answer

    def found_by_axe(self) -> list[str]:
        """Return what axe finds wrong with the page as it is now."""
        found: list[str] = self.page.evaluate(_AXE)
        return found

    def post(self, number: int, title: str, *, known: bool = True, severity: str = "High") -> None:
        """Post an alert as a sender does, on an event that Defender knows or does not know."""
        alert = eight_fields(event(number), title, severity)
        if known:
            self.stack.simulator("POST", "events", {"known": [{name: alert[name] for name in NAMES}]})
        self.stack.post(alert)

    def settle(self) -> None:
        """Let everything end that waits, also where a busy machine answered before its search."""
        for _ in range(_TRIES):
            if not self.stack.operate("GET", "alerts?status=waiting").json()["alerts"]:
                return
            self.stack.dispatch()
            time.sleep(1)  # a call of this or an earlier round may be under way
        raise AssertionError("Something still waits.")

    def alert(self, title: str) -> Locator:
        """Return the row of an alert in the list, after a look at the list."""
        self.go("Alerts")
        return self.page.get_by_role("list", name="Alerts").get_by_role("listitem").filter(has_text=title)
