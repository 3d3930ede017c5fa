"""The run of the demo: it posts each act, and compares every answer with Defender's own log."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from textwrap import shorten
from typing import Any, NamedTuple

import requests

from dev.demo.acts import SEARCHES, Delivery, afterwards, each_sender, fill, searches
from dev.demo.audit import LOGS, Audit, Logs
from dev.demo.screen import Screen, used
from dev.simulator.judge import fullest
from dev.stack.stack import Stack

CALLS = 15
MERGED_SECONDS = 6  # the app calls an alert merged when it is clearly older than the call
SLOW_SECONDS = 9  # of the first search: a sender is answered within eight
_WAITING = (HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS)
_PROBLEM = "application/problem+json"
_TRIES = 20
_REASON_WIDTH = 78
_NAMES = {"log": "calls", "searches": "searches", "creations": "alerts on entities"}
_NEXT = """
What next?
  make start                    keeps all this running, with the operator's page and a line to paste
  make map FILE=payload.json    shows what a payload of yours becomes, and why
  docs/deploy.md                brings it to Azure; docs/senders has a page for each product"""


class Posted(NamedTuple):
    """A delivery, the latest answer about it, and when it was posted (monotonic seconds)."""

    delivery: Delivery
    answer: requests.Response
    at: float


class Demo:
    """Posts deliveries, shows the result of each, and compares it."""

    def __init__(self, stack: Stack, window: float, screen: Screen) -> None:
        self.mismatches = 0
        self._stack = stack
        self._window = window
        self._screen = screen
        self._audit = Audit()
        self._posted = 0
        self._became: Counter[str] = Counter()

    def run(self) -> None:
        """Run the acts and sum up."""
        started = time.monotonic()
        say = self._screen.say
        say(f"The senders post; {len(self._stack.hosts)} hosts share one window.", "bold")
        self._play(each_sender())
        say("A search with many hits takes what is left of the window; the next two find it full.", "bold")
        late = self._play(fill(CALLS - self._used()))
        say("Both come back when the answer said so.", "bold")
        for posted in late:
            self._settle(posted)
        self._wait(started + MERGED_SECONDS)
        say("Another event of an alert that is still open, and the very first payload once more.", "bold")
        self._play(afterwards())
        say("Alerts that name no event: the app searches for it. The first answer is slow.", "bold")
        slow = {"kind": "slow", "on": "hunting", "times": 1, "delay": SLOW_SECONDS}
        self._stack.simulator("PUT", "switches", {"faults": [slow]})
        events = [event for each in SEARCHES for event in each["events"]]
        for posted in self._play(searches(self._stack.simulator("POST", "world", {"events": events}))):
            self._settle(posted)
        self._sum_up(time.monotonic() - started)

    def _play(self, deliveries: Sequence[Delivery]) -> list[Posted]:
        """Post each delivery and show its result; return those that have to wait."""
        waiting = []
        for delivery in deliveries:
            host = self._stack.hosts[self._posted % len(self._stack.hosts)]
            self._posted += 1
            at = time.monotonic()
            answer = self._stack.post(delivery.payload, host=host, key=delivery.sender, query=delivery.query)
            posted = Posted(delivery, answer, at)
            if self._posted == 1:
                self._screen.shown(f"{delivery.sender} posts the first payload:", delivery.payload)
                self._screen.shown(f"and is answered {answer.status_code}, in short:", _short(answer.json()))
                self._screen.head()
            if answer.status_code in _WAITING:
                self._show_waiting(posted)
                waiting.append(posted)
            else:
                self._show(posted)
                if delivery.full:
                    self._report([f"{delivery.sender}: the window should have been full"])
        return waiting

    def _settle(self, posted: Posted) -> None:
        """Follow a waiting delivery to its end, as its sender would: poll (202) or post again (429)."""
        delivery, answer, at = posted
        answered = at + answer.elapsed.total_seconds()
        for _ in range(_TRIES):
            self._wait(answered + float(answer.headers["Retry-After"]))
            answered = time.monotonic()
            if answer.status_code == HTTPStatus.ACCEPTED:
                answer = self._stack.get(answer.headers["Location"])
            else:
                answer = self._stack.post(delivery.payload, key=delivery.sender, query=delivery.query)
            if answer.status_code not in _WAITING:
                break
        self._show(Posted(delivery, answer, at))

    def _show(self, posted: Posted) -> None:
        """Show an answer that is final, and compare it with Defender's log."""
        delivery, answer, _ = posted
        document = answer.json()
        alerts = document.get("alerts", [])
        for alert in alerts:
            self._line(posted, *_became(alert), alert["request"])
            self._say(_search(alert), "cyan")
        if not alerts:
            self._line(posted, "refused", f"HTTP {answer.status_code}")
            self._say(_reasons(document), "magenta")
        self._report(self._audit.compare(delivery.expected, alerts, self._logs()))
        if bool(delivery.expected) != (answer.status_code == HTTPStatus.OK):
            self._report([f"{delivery.sender}: HTTP {answer.status_code} was not expected"])
        if not answer.ok and answer.headers["content-type"] != _PROBLEM:
            self._report([f"{delivery.sender}: a refusal must be a problem document"])

    def _show_waiting(self, posted: Posted) -> None:
        """Show that a delivery has to wait. It is compared when it has ended."""
        delivery, answer, _ = posted
        after = answer.headers.get("Retry-After", "")
        accepted = answer.status_code == HTTPStatus.ACCEPTED
        detail = f"HTTP {answer.status_code}, again in {after} s"
        alerts = answer.json().get("alerts", [])
        waits = {(alert["waitingFor"] or {}).get("what") for alert in alerts}
        word = "searching" if "event" in waits else "waiting" if accepted else "full"
        self._line(posted, word, detail)
        if not delivery.full and not (
            waits and waits <= {"answer", "event"}
        ):  # a host's timer may have been faster
            self._report([f"{delivery.sender}: it had to wait, though the window was open"])
        if not after.isdecimal() or not 0 < int(after) <= self._window + 1:
            self._report([f"{delivery.sender}: Retry-After is {after!r}"])
        if accepted and not answer.headers.get("Location", "").startswith("http"):
            self._report([f"{delivery.sender}: a 202 needs an absolute Location"])

    def _line(
        self, posted: Posted, became: str, detail: str, request: Mapping[str, str] | None = None
    ) -> None:
        self._became[became] += 1
        alert = request or {}
        self._screen.line(
            [posted.delivery.sender, became, alert.get("severity", ""), alert.get("title", ""), detail],
            seconds=time.monotonic() - posted.at,
            calls=self._used(),
        )

    def _wait(self, end: float) -> None:
        """Wait until `end` on the monotonic clock, and show how the window empties meanwhile."""
        while (left := end - time.monotonic()) > 0:
            self._screen.window(self._used(), f"The next try in {left:.0f} s.")
            time.sleep(min(left, 0.25))

    def _used(self) -> int:
        """Return how many calls Defender has seen within the window that ends now."""
        return used(self._stack.simulator("GET", "log"), self._window)

    def _logs(self) -> Logs:
        return {name: self._stack.simulator("GET", name) for name in LOGS}

    def _say(self, reasons: Iterable[str], style: str) -> None:
        for reason in reasons:
            self._screen.say(f"  {shorten(reason, _REASON_WIDTH, placeholder=' …')}", style)

    def _report(self, mismatches: Iterable[str]) -> None:
        for mismatch in mismatches:
            self.mismatches += 1
            self._screen.problem(mismatch)

    def _sum_up(self, seconds: float) -> None:
        """Show the totals, and the calls in the log that no answer accounts for."""
        logs = self._logs()
        self._report(self._audit.unaccounted(logs))
        most = {
            name: fullest((arrival["at"] for arrival in logs[name] if arrival["judged"]), self._window)
            for name in self._audit.told
        }
        for name, calls in most.items():
            if calls > CALLS:
                self._report([f"up to {calls} of {name} came in {self._window:g} s, {CALLS} are allowed"])
        say = self._screen.say
        became = ", ".join(f"{count} {word}" for word, count in self._became.items())
        say(f"Posted {self._posted} deliveries in {seconds:.0f} s: {became}.", "bold")
        for name, words in _NAMES.items():
            told = len(self._audit.told[name])
            say(f"Defender's own log: {len(logs[name])} {words}; the answers tell of {told}.")
        say(f"At most {most['log']} calls in any {self._window:g} s, {CALLS} are allowed.")
        if self.mismatches:
            self._screen.problem(f"{self.mismatches} of these lines do not agree with Defender's log.")
        else:
            say("Every line agrees with Defender's log.", "bold green")
        say(_NEXT)


def _short(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an answer that a sender looks at first."""
    alerts = [{name: alert[name] for name in ("id", "status", "portalUrl")} for alert in document["alerts"]]
    return {"id": document["id"], "status": document["status"], "alerts": alerts}


def _became(alert: Mapping[str, Any]) -> tuple[str, str]:
    """Return the word for an alert's result, and the alert's id or Defender's words."""
    if alert["status"] != "created":
        error = alert["error"] or {}
        missing = error.get("status") == HTTPStatus.NOT_FOUND
        return "not found" if missing else alert["status"], f"{error.get('code')}: {error.get('message')}"
    word = "known" if alert["duplicate"] else "merged" if alert["merged"] else "created"
    return "entity" if alert["route"] == "entity" else word, alert["alert"]["id"]


def _search(alert: Mapping[str, Any]) -> list[str]:
    """Return what a search found: how sure it is, and what agrees; or why an alert has no event."""
    if match := alert["match"]:
        return [f"found, {match['grade']}; what agrees: {', '.join(match['agree'])}"]
    return [note for note in alert["notes"] if note.startswith("No event")]


def _reasons(document: Mapping[str, Any]) -> list[str]:
    """Return what a problem document says is wrong."""
    refused = document.get("refused", [])
    lines = [f"{each['field']}: {each['detail']}" for event in refused for each in event["problems"]]
    return [*lines, *(event["remedy"] for event in refused if event["remedy"])] or [str(document["detail"])]
