"""Comparing the scan's reference with the source's, and refusing rows that cannot have one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.alerts import alert
from shared.errors import Problem
from shared.mapping.defaults import Row
from shared.mapping.event import Event
from shared.payload import digits, hunting, names
from shared.payload.grouping import Finding, Group
from shared.payload.values import texts as texts_of

_ADVICE = {
    "machineId": "Nothing says which one is the event's. Send the one DeviceId that belongs to the ReportId, or one"
    " event at a time.",
    "eventTime": "Nothing says which one is the event's. Send the one Timestamp that belongs to the ReportId, or one"
    " event at a time.",
    "reportId": "Nothing says which one is meant. Send one event at a time, or an array of events that have a DeviceId,"
    " ReportId and Timestamp each.",
}
_MILLISECONDS = len("2018-08-03T16:45:21.711Z")


@dataclass(frozen=True, slots=True)
class Taken:
    """The findings of the three keys, the keys that have several values, with a sentence each, and notes."""

    findings: Mapping[str, Finding]
    differ: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def taken(event: Event, group: Group) -> Taken:
    """Return the reference of an event: the source's own, else the scan's, if they do not contradict each other.

    If a value lost digits and the payload has the original, the original is used.
    """
    own = {
        name: Finding(texts[0], node.place)
        for name, node in event.reference.items()
        if len(texts := list(dict.fromkeys(texts_of(node.value)))) == 1
    }
    several = {
        name: f"has different values: {', '.join(map(alert.shown, texts[:3]))}."
        for name, node in event.reference.items()
        if len(texts := list(dict.fromkeys(texts_of(node.value)))) > 1
    }
    scanned, differ = group.values(), group.differ()
    if not own and not several:
        return Taken(
            scanned,
            {name: f"{text} {_ADVICE[name]}" for name, text in differ.items()},
            _notes(group, scanned),
        )
    if not all(
        digits.agree(name, finding.value, scanned[name].value)
        for name, finding in own.items()
        if name in scanned
    ):
        return Taken(own, several)
    findings = dict(own)
    notes = []
    for name, finding in scanned.items():
        if name not in own:
            findings[name] = finding
        elif digits.exact(name, finding.value, own[name].value):
            findings[name] = finding
            notes.append(f"{name}: {alert.shown(own[name].value)} lost digits, so the exact value was used")
    return Taken(
        findings, several | {name: text for name, text in differ.items() if name not in own}, tuple(notes)
    )


def _notes(group: Group, scanned: Mapping[str, Finding]) -> tuple[str, ...]:
    """Return a note for each value that lost digits and whose exact copy was used."""
    return tuple(
        f"{name}: {alert.shown(copy.value)} lost digits, so the exact value was used"
        for name, finding in scanned.items()
        for copy in group.keys.get(name, {}).values()
        if digits.exact(name, finding.value, copy.value)
    )


def is_short(time: str) -> bool:
    """Say whether a time has at most milliseconds, so that it certainly lost digits if its source cuts them."""
    known = alert.canonical(names.KEYS[1], time)
    return known is not None and len(known) <= _MILLISECONDS


def refused(row: Row) -> Iterator[Problem]:
    """Yield why an alert cannot refer to a row of advanced hunting."""
    table = row.table()
    reason = hunting.why_no_event(table) if table else None
    if reason is None and table is None and row.column("NetworkMessageId") and not row.column("DeviceId"):
        reason = (
            "This is an email event: its ReportId is not that of an endpoint event, and Defender cannot raise an alert"
            " from it by reference. Only Device* tables can."
        )
    if reason:
        yield Problem("reportId", reason)
    first, second = row.column("Timestamp"), row.column("Timestamp1")
    if (
        row.column("AlertId")
        and row.column("ReportId")
        and not row.column("ReportId1")
        and first
        and second
        and first != second
    ):
        yield Problem(
            "eventTime",
            f"The row joins an alert and an event: Timestamp is {first}, Timestamp1 is {second}. Nothing says which one"
            " is the event's. Remove the alert's Timestamp before the join: AlertEvidence | project AlertId, DeviceId"
            " | join kind=inner DeviceProcessEvents on DeviceId.",
        )
