"""`make demo`: the main job for real, on this machine, in about ninety seconds.

Several senders post what they really send to two hosts of the app, which share one window. Every line shown
is taken from an answer and held against the simulator's own log; a mismatch is shown, and the exit code is 1.
"""

import argparse
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from textwrap import shorten
from typing import Any

import requests

from dev import samples
from dev.demo.audit import Audit, Expected
from dev.demo.screen import Screen
from dev.samples import event
from dev.simulator.judge import fullest
from dev.stack.child import ChildError
from dev.stack.stack import Stack

CALLS = 15
MERGED_SECONDS = 6  # the app calls an alert merged when it is clearly older than the call
_WAITING = (HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS)
_PROBLEM = "application/problem+json"
_TRIES = 20
_REASON_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST of the demo, and what must become of it. With no event expected it must be refused."""

    sender: str
    payload: Any
    expected: tuple[Expected, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    full: bool = False  # it may find the window full


def expect(*events: samples.Event) -> tuple[Expected, ...]:
    """Return the expectation that these events become new alerts."""
    return tuple(Expected(each) for each in events)


# What a payload without a title, severity or advice gets from its sender's URL.
_URL = {
    "severity": "High",
    "category": "Execution",
    "description": "rundll32.exe was started by winword.exe.",
    "recommendedAction": "Isolate the device.",
}
_LOGIC_APP = Delivery(
    "Logic Apps", samples.eight_fields(event(1), "Encoded PowerShell", "High"), expect(event(1))
)
_LARGE = event(2, report_id=9_007_199_254_740_993)  # a double would lose its last digit


def one_of_each() -> list[Delivery]:
    """Return the first act: eleven calls to Defender."""
    unknown = event(900)
    return [
        _LOGIC_APP,
        Delivery("Power Automate", samples.eight_fields(_LARGE, "Sign-in tool", number=True), expect(_LARGE)),
        Delivery(
            "Defender streaming",
            samples.streaming(event(3), event(4), unknown),
            (*expect(event(3), event(4)), Expected(unknown, "not found")),
            {**_URL, "title": "Office started rundll32"},
        ),
        Delivery(
            "Advanced hunting",
            samples.hunting_reply(event(5), event(6)),
            expect(event(5), event(6)),
            {**_URL, "title": "Rare process", "severity": "Low"},
        ),
        Delivery("Splunk, columns", samples.splunk_plain(event(7), "New service"), expect(event(7)), _URL),
        Delivery("Splunk, dotted", samples.splunk_dotted(event(8), "LSASS was read"), expect(event(8)), _URL),
        Delivery("Splunk, _raw", samples.splunk_raw(event(9), "Shadow copies"), expect(event(9)), _URL),
        Delivery("Splunk, count only", samples.splunk("Failed logons", {"src": "192.0.2.7", "count": "8"})),
        Delivery("Logic Apps, cut off", b'{"machineId": "'),
    ]


def fill(free: int) -> list[Delivery]:
    """Return a delivery that takes what is left of the window, and two that find it full."""
    rows = [event(number) for number in range(20, 20 + free)]
    late = [event(40), event(41)]
    return [
        Delivery(
            "Advanced hunting",
            samples.hunting_reply(*rows),
            expect(*rows),
            {**_URL, "title": "Beaconing", "severity": "Medium"},
        ),
        Delivery(
            "Splunk, columns", samples.splunk_plain(late[0], "Ransom note"), expect(late[0]), _URL, full=True
        ),
        Delivery(
            "Logic Apps",
            samples.eight_fields(late[1], "New local admin", "High"),
            expect(late[1]),
            full=True,
        ),
    ]


def afterwards() -> list[Delivery]:
    """Return the last act: a second event of an open alert, and the very first payload once more."""
    again = event(50, device=event(1).device)
    return [
        Delivery(
            "Logic Apps",
            samples.eight_fields(again, "Encoded PowerShell", "High"),
            (Expected(again, "merged"),),
        ),
        Delivery(_LOGIC_APP.sender, _LOGIC_APP.payload, (Expected(event(1), "repeated"),)),
    ]


class Demo:
    """Posts deliveries, shows what became of each, and keeps account."""

    def __init__(self, stack: Stack, window: float, screen: Screen) -> None:
        self.mismatches = 0
        self._stack = stack
        self._window = window
        self._screen = screen
        self._audit = Audit()
        self._posted = 0
        self._became: Counter[str] = Counter()

    def run(self) -> None:
        """Play the acts and sum up."""
        started = time.monotonic()
        say = self._screen.say
        say(f"The senders post; {len(self._stack.hosts)} hosts share one window.", "bold")
        self._screen.head()
        self._play(one_of_each())
        say("A search with many hits takes what is left of the window; the next two find it full.", "bold")
        late = self._play(fill(CALLS - self._used()))
        say("Both come back when they were told to.", "bold")
        for delivery, answer, posted in late:
            self._settle(delivery, answer, posted)
        self._wait(started + MERGED_SECONDS)
        say("Another event of an alert that is still open, and the very first payload once more.", "bold")
        self._play(afterwards())
        self._sum_up(time.monotonic() - started)

    def _play(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, requests.Response, float]]:
        """Post each delivery and show what became of it; return those that have to wait, and since when."""
        waiting = []
        for delivery in deliveries:
            host = self._stack.hosts[self._posted % len(self._stack.hosts)]
            self._posted += 1
            posted = time.monotonic()
            answer = self._stack.post(delivery.payload, host=host, key=delivery.sender, query=delivery.query)
            if answer.status_code in _WAITING:
                self._show_waiting(delivery, answer, posted)
                waiting.append((delivery, answer, posted))
            else:
                self._show(delivery, answer, posted)
                if delivery.full:
                    self._report([f"{delivery.sender}: the window should have been full"])
        return waiting

    def _settle(self, delivery: Delivery, answer: requests.Response, posted: float) -> None:
        """See a delivery that has to wait to its end, as its sender would: poll (202) or post again (429)."""
        told = posted + answer.elapsed.total_seconds()
        for _ in range(_TRIES):
            self._wait(told + float(answer.headers["Retry-After"]))
            told = time.monotonic()
            if answer.status_code == HTTPStatus.ACCEPTED:
                answer = self._stack.get(answer.headers["Location"])
            else:
                answer = self._stack.post(delivery.payload, key=delivery.sender, query=delivery.query)
            if answer.status_code not in _WAITING:
                break
        self._show(delivery, answer, posted)

    def _show(self, delivery: Delivery, answer: requests.Response, posted: float) -> None:
        """Show an answer that is the last word, and compare it with Defender's log."""
        seconds = time.monotonic() - posted
        document = answer.json()
        alerts = document.get("alerts", [])
        arrivals = self._stack.simulator("GET", "log")
        defenders = {alert["id"]: alert for alert in self._stack.simulator("GET", "alerts")}
        for alert in alerts:
            became, told = _became(alert)
            self._line(delivery.sender, became, told, seconds, alert["request"])
        if not alerts:
            self._line(delivery.sender, "refused", f"HTTP {answer.status_code}", seconds, {})
            for reason in _reasons(document):
                self._screen.say(f"  {reason}", "magenta")
        self._report(self._audit.compare(delivery.expected, alerts, arrivals, defenders))
        if bool(delivery.expected) != (answer.status_code == HTTPStatus.OK):
            self._report([f"{delivery.sender}: HTTP {answer.status_code} was not expected"])
        if not answer.ok and answer.headers["content-type"] != _PROBLEM:
            self._report([f"{delivery.sender}: a refusal must be a problem document"])
        self._screen.delivered()

    def _show_waiting(self, delivery: Delivery, answer: requests.Response, posted: float) -> None:
        """Show that a delivery has to wait. It is compared when it has ended."""
        after = answer.headers.get("Retry-After", "")
        accepted = answer.status_code == HTTPStatus.ACCEPTED
        told = f"HTTP {answer.status_code}, again in {after} s"
        self._line(delivery.sender, "waiting" if accepted else "full", told, time.monotonic() - posted, {})
        sending = [
            (alert["waitingFor"] or {}).get("what") == "answer" for alert in answer.json().get("alerts", [])
        ]
        if not delivery.full and not (sending and all(sending)):  # a host's timer may have been faster
            self._report([f"{delivery.sender}: it had to wait, though the window was open"])
        if not after.isdecimal() or not 0 < int(after) <= self._window + 1:
            self._report([f"{delivery.sender}: Retry-After is {after!r}"])
        if accepted and not answer.headers.get("Location", "").startswith("http"):
            self._report([f"{delivery.sender}: a 202 needs an absolute Location"])

    def _line(self, sender: str, became: str, told: str, seconds: float, request: Mapping[str, str]) -> None:
        self._became[became] += 1
        self._screen.line(
            sender,
            became,
            severity=request.get("severity", ""),
            title=request.get("title", ""),
            told=told,
            seconds=seconds,
            used=self._used(),
        )

    def _wait(self, end: float) -> None:
        """Wait until `end` on the monotonic clock, and show how the window empties meanwhile."""
        while (left := end - time.monotonic()) > 0:
            self._screen.window(self._used(), f"the next try in {left:.0f} s")
            time.sleep(min(left, 0.25))

    def _used(self) -> int:
        """Return how many calls Defender has seen within the window that ends now."""
        since = time.monotonic() - self._window
        return sum(arrival["at"] > since for arrival in self._stack.simulator("GET", "log"))

    def _report(self, mismatches: Iterable[str]) -> None:
        for mismatch in mismatches:
            self.mismatches += 1
            self._screen.problem(mismatch)

    def _sum_up(self, seconds: float) -> None:
        """Show the totals, and what the log has that no answer told of."""
        log = self._stack.simulator("GET", "log")
        most = fullest((arrival["at"] for arrival in log if arrival["judged"]), self._window)
        self._report(self._audit.unaccounted(log))
        if self._stack.simulator("GET", "violations") or most > CALLS:
            self._report([f"up to {most} calls came in {self._window:g} s, {CALLS} are allowed"])
        say = self._screen.say
        became = ", ".join(f"{count} {word}" for word, count in self._became.items())
        say(f"Posted {self._posted} deliveries in {seconds:.0f} s: {became}.", "bold")
        say(f"Defender's own log: {len(log)} calls; the answers tell of {self._audit.calls}.")
        say(f"At most {most} calls in any {self._window:g} s, {CALLS} are allowed.")
        if self.mismatches:
            self._screen.problem(f"{self.mismatches} of these lines do not agree with Defender's log.")
        else:
            say("Every line agrees with Defender's log.", "bold green")


def _became(alert: Mapping[str, Any]) -> tuple[str, str]:
    """Return the word for what became of an alert, and the alert's id or Defender's words."""
    if alert["status"] != "created":
        error = alert["error"] or {}
        found = error.get("status") != HTTPStatus.NOT_FOUND
        return (alert["status"] if found else "not found"), f"{error.get('code')}: {error.get('message')}"
    word = "known" if alert["duplicate"] else "merged" if alert["merged"] else "created"
    return word, alert["alert"]["id"]


def _reasons(document: Mapping[str, Any]) -> list[str]:
    """Return what a problem document says is wrong."""
    problems = [problem for refused in document.get("refused", []) for problem in refused["problems"]]
    reasons = [f"{each['field']}: {each['detail']}" for each in problems] or [str(document.get("detail"))]
    return [shorten(reason, _REASON_WIDTH, placeholder=" …") for reason in reasons]


def main() -> None:
    """Run the demo. Exits 1 after a mismatch, or if the stack does not start."""
    parser = argparse.ArgumentParser(prog="make demo", description=main.__doc__)
    parser.add_argument("--window", type=float, default=60.0, help="seconds; Defender's is %(default)s")
    window = parser.parse_args().window
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    deliveries = [*one_of_each(), *fill(1), *afterwards()]
    known = [
        dict(zip(("machineId", "eventTime", "reportId"), each.event.key, strict=True))
        for delivery in [*one_of_each(), *fill(CALLS), *afterwards()]
        for each in delivery.expected
        if each.outcome != "not found"
    ]
    keys = {delivery.sender: secrets.token_urlsafe(24) for delivery in deliveries}
    settings = {"NOT_FOUND_RETRY_MINUTES": ""}  # nobody wants to watch it look again for a quarter of an hour
    screen = Screen(CALLS, len(deliveries))
    screen.say("Starting Azurite, the Defender simulator with its token endpoint, and two hosts …")
    try:
        with Stack(
            hosts=2, calls=CALLS, window=window, keys=keys, settings=settings, known_events="registered"
        ) as stack:
            stack.simulator("POST", "events", {"known": known})
            demo = Demo(stack, window, screen)
            with screen:
                demo.run()
    except (ChildError, requests.RequestException) as error:
        sys.exit(f"make demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if demo.mismatches else 0)


if __name__ == "__main__":
    main()
