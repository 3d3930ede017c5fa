"""What the senders of the demo post, in four acts, and the expected results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev import samples
from dev.demo.audit import Expected
from dev.samples import Event, event

SEARCHES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("searches.json").read_bytes())
"""Alerts that name no event, and the events in Defender; those that become alerts on entities say `because`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST of the demo, and its expected result. Without an expected event it must be refused."""

    sender: str
    payload: Any
    expected: tuple[Expected, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    full: bool = False  # it may find the window full


def known(deliveries: Sequence[Delivery]) -> list[dict[str, str]]:
    """Return the events of deliveries that Defender is expected to know."""
    expected = [each for delivery in deliveries for each in delivery.expected]
    return [each.event.reference for each in expected if each.event and each.outcome != "not found"]


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
_FIRST = Delivery(
    "Logic Apps", samples.eight_fields(event(1), "Encoded PowerShell", "High"), expect(event(1))
)


def each_sender() -> list[Delivery]:
    """Return the first act: eleven calls to Defender."""
    large = event(2, report_id=9_007_199_254_740_993)  # a double would lose its last digit
    unknown = event(900)
    streamed = (*expect(event(3), event(4)), Expected(unknown, "not found"))
    rare = {**_URL, "title": "Rare process", "severity": "Low"}
    office = {**_URL, "title": "Office started rundll32"}
    return [
        _FIRST,
        Delivery("Power Automate", samples.eight_fields(large, "Sign-in tool", number=True), expect(large)),
        Delivery("Defender streaming", samples.streaming(event(3), event(4), unknown), streamed, office),
        Delivery(
            "Advanced hunting", samples.hunting_reply(event(5), event(6)), expect(event(5), event(6)), rare
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
    note, admin = event(40), event(41)
    beacon = {**_URL, "title": "Beaconing", "severity": "Medium"}
    posted_note = samples.splunk_plain(note, "Ransom note")
    posted_admin = samples.eight_fields(admin, "New local admin", "High")
    return [
        Delivery("Advanced hunting", samples.hunting_reply(*rows), expect(*rows), beacon),
        Delivery("Splunk, columns", posted_note, expect(note), _URL, full=True),
        Delivery("Logic Apps", posted_admin, expect(admin), full=True),
    ]


def afterwards() -> list[Delivery]:
    """Return the last act: a second event of an open alert, and the very first payload once more."""
    again = event(50, device=event(1).device)
    posted = samples.eight_fields(again, "Encoded PowerShell", "High")
    return [
        Delivery("Logic Apps", posted, (Expected(again, "merged"),)),
        Delivery(_FIRST.sender, _FIRST.payload, (Expected(event(1), "repeated"),)),
    ]


def searches(references: Sequence[Mapping[str, str]]) -> list[Delivery]:
    """Return the act of alerts that name no event; `references` are those of all the events in Defender."""
    left = iter(references)
    deliveries = []
    for each in SEARCHES:
        there = [(next(left), event["device"]) for event in each["events"]]
        of = [Event(ref["machineId"], ref["eventTime"], ref["reportId"], device) for ref, device in there]
        is_found = "because" not in each
        expected = Expected(
            of[0] if is_found else None, searched=each["device"], because=each.get("because", "")
        )
        deliveries.append(Delivery(each["sender"], each["payload"], (expected,)))
    return deliveries
