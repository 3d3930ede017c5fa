"""Resolving a host: to exactly one device, to none, or to several between which nothing decides."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.payload.clues import SECOND, Host, When
from shared.search import facts
from shared.search.facts import Row

NETBIOS = 15
"""The length at which NetBIOS cuts a name."""

_NAMED = 5
_FRESH = 86_400 * SECOND  # how old the last report of an address may be
_SAME_REPORT = 300 * SECOND  # cards of one report, and clocks of two
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z", re.ASCII)
_DEVICE_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_REPORT_ID = re.compile(r"\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Device:
    """The result for a host: one device with its events, or why there is none.

    `names`: several devices, between which nothing decides. The `reason` does not name them, because senders see it.
    """

    outcome: Literal["one", "none", "several"]
    reason: str = ""
    events: tuple[Row, ...] = ()
    names: tuple[str, ...] = ()


def resolve(host: Host, when: When, known: Sequence[Row], events: Sequence[Row]) -> Device:
    """Return the device that a host is, by the rows about devices, with its rows about events."""
    if host.identity == "name":
        named = [row for row in known if row.get("Row") == "device" and has_name(host.value, row)]
        own = [row for row in events if has_name(host.value, row)]
        names = {(row.get("DeviceName") or "").lower() for row in (*named, *own)}
        ids = {row.get("DeviceId") for row in (*named, *own)}
        if len(names) > 1 and len(ids) > 1:
            return Device("several", "Several devices have the name.", names=tuple(sorted(names)[:_NAMED]))
        if not _is_one_machine(named):
            return Device("several", "Several devices have the name at the same time.")
        return Device("one", events=tuple(own)) if names else _unknown(host)
    if host.identity == "address":
        holders = _holders(host.value, when, known)
        if len(holders) > 1 or "" in holders:
            return Device(
                "several", "More than one device had the address, or it changed devices near that time."
            )
    elif host.identity == "id":
        holders = set(_merged(host.value, known))
    else:
        with_id = [row for row in known if (row.get("AadDeviceId") or "").lower() == host.value]
        if not _is_one_machine(with_id):
            return Device("several", "Several devices have the Entra id at the same time.")
        holders = {row.get("DeviceId") or "" for row in with_id}
    own = [row for row in events if row.get("DeviceId") in holders]
    is_known = bool(own) or any(row.get("DeviceId") in holders for row in known)
    return Device("one", events=tuple(own)) if is_known else _unknown(host)


def has_name(name: str, row: Row) -> bool:
    """Tell whether a row's device has a name: the whole FQDN, its first part, or that part as NetBIOS cuts it."""
    whole = (row.get("DeviceName") or "").lower()
    label = whole.partition(".")[0]
    if "." in name:
        return whole == name.lower()
    return name.lower() in (label, label[:NETBIOS] if len(name) == NETBIOS else label)


def has_reference(row: Row) -> bool:
    """Tell whether a row has a reference: device, time and report id."""
    return (
        _DEVICE_ID.fullmatch(row.get("DeviceId") or "") is not None
        and moment(row.get("Timestamp")) is not None
        and _REPORT_ID.fullmatch(row.get("ReportId") or "") is not None
    )


def moment(text: str | None) -> int | None:
    """Return a row's time in ticks since 1970, None if it cannot be read."""
    parts = _TIME.fullmatch(text or "")
    if not parts:
        return None
    try:
        seconds = int(datetime.fromisoformat(f"{parts[1]}+00:00").timestamp())
    except ValueError:
        return None
    return seconds * SECOND + int((parts[2] or "").ljust(7, "0"))


def _unknown(host: Host) -> Device:
    return Device("none", f"Defender knows no device {host.value} at that time.")


def _is_one_machine(rows: Sequence[Row]) -> bool:
    """Tell whether ids belong to one machine: they follow one another, as after a new installation, or were merged."""
    became = {row.get("DeviceId"): row.get("MergedToDeviceId") for row in rows if row.get("MergedToDeviceId")}
    last: dict[str | None, int] = {}
    for row in sorted(rows, key=lambda row: moment(row.get("Since")) or 0):
        machine = became.get(row.get("DeviceId")) or row.get("DeviceId")
        since, until = moment(row.get("Since")) or 0, moment(row.get("Timestamp")) or 0
        if any(end > since for other, end in last.items() if other != machine):
            return False
        last[machine] = max(until, last.get(machine, 0))
    return True


def _ids(row: Row) -> tuple[str, ...]:
    """Return the id of a device, and the one that it was merged into."""
    return tuple(device for device in (row.get("DeviceId"), row.get("MergedToDeviceId")) if device)


def _merged(wanted: str, known: Sequence[Row]) -> Iterator[str]:
    """Yield an id of a device, and those that were merged with it."""
    yield wanted
    for row in known:
        ids = _ids(row)
        if wanted in ids:
            yield from ids


def _holders(address: str, when: When, known: Sequence[Row]) -> set[str]:
    """Return which devices may have had an address at a time, by id; "" stands for an unknown one."""
    before: set[str] = set()
    after: set[str] = set()
    reported_after: set[str] = set()
    for row in known:
        device, has = row.get("DeviceId") or "", _has_address(address, row)
        if row.get("Row") == "after":
            reported_after.add(device)
            after |= {device} if has else set()
        elif row.get("Row") == "before" and has and _is_fresh(row, when, known):
            before.add(device)
    surely = {device for device in before if device in after or device not in reported_after}
    unsure = (before | after) - surely
    return surely | ({""} if unsure else set())


def _is_fresh(row: Row, when: When, known: Sequence[Row]) -> bool:
    """Tell whether a network card's last report is among the device's last ones, and not long before the time."""
    reported = moment(row.get("Timestamp")) or 0
    last = max(
        moment(other.get("Timestamp")) or 0
        for other in known
        if other.get("Row") == "before" and other.get("DeviceId") == row.get("DeviceId")
    )
    return when.start - reported <= _FRESH and last - reported <= _SAME_REPORT


def _has_address(address: str, row: Row) -> bool:
    try:
        cards = json.loads(row.get("IPAddresses") or "[]")
    except ValueError:
        return False
    wanted = facts.address(address)
    return any(
        isinstance(card, dict) and facts.address(str(card.get("IPAddress") or "")) == wanted
        for card in (cards if isinstance(cards, list) else ())
    )
