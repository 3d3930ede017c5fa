"""A made tenant: some 40 devices, a day of what machines do, and the events that somebody asks for, each with decoys.

    world = World(seed=0)
    records = [*world.day(start), *(record for placed in world.place(events) for record in placed.records)]

Beside an event there are, within two minutes: one like it with other hashes and values on its device, the same one on
another device, and the same one on a device whose name only begins like its own. And somebody else had its address.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from dev.simulator.schema import COLUMNS, Record
from shared.payload.clues import SECOND
from shared.search import devices, query

DEVICES = 40
EVENTS = 24
"""Events of a device in a day."""
DOMAIN = "contoso.example"
MINUTE = 60 * SECOND
_PROGRAMS = (
    "svchost.exe",
    "chrome.exe",
    "explorer.exe",
    "powershell.exe",
    "cmd.exe",
    "outlook.exe",
    "msiexec.exe",
)
_HASHES = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "MD5": hashlib.md5}
_NUMBERS = ("ProcessId", "InitiatingProcessId")
_UNIQUE = (
    "CommandLine", "RemoteIP", "RemoteUrl", "RegistryKey", "AccountName", "AccountSid", "AccountUpn", *_HASHES
)  # fmt: skip
_ACTIONS = {
    "DeviceProcessEvents": "ProcessCreated",
    "DeviceFileEvents": "FileCreated",
    "DeviceImageLoadEvents": "ImageLoaded",
    "DeviceNetworkEvents": "ConnectionSuccess",
    "DeviceRegistryEvents": "RegistryValueSet",
    "DeviceLogonEvents": "LogonSuccess",
    "DeviceEvents": "AntivirusDetection",
}


@dataclass(frozen=True, slots=True)
class Device:
    """A device: its FQDN, and what follows from that unless it is given."""

    name: str
    id: str = ""
    entra: str = ""
    address: str = ""

    @classmethod
    def named(cls, name: str, **known: str) -> "Device":
        """Return the device of a name, with an id, an Entra id and an address that are always the same."""
        digest = _digest("SHA1", name)
        address = ".".join(str(int(digest[place : place + 2], 16)) for place in (0, 2, 4))
        made = {"id": digest, "entra": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "address": f"10.{address}"}
        return cls(name, **(made | {key: value for key, value in known.items() if value}))


@dataclass(frozen=True, slots=True)
class Event:
    """An event that somebody asks for: its table, its device's name, its time in ISO 8601 with a Z, and its columns.

    `known` is what is known of the device: `id`, `entra` and `address`.
    """

    table: str
    device: str
    time: str
    columns: Mapping[str, object]
    known: Mapping[str, str]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Event":
        """Return an event of JSON: `table`, `device`, `time`, its columns, and perhaps a device's column or two."""
        columns = {name: value for name, value in given.items() if name not in ("table", "device", "time")}
        table, of_device = given["table"], ("IPAddress", "DeviceId", "AadDeviceId")
        if unknown := columns.keys() - COLUMNS.get(table, {}).keys() - set(of_device):
            raise ValueError(f"{table} has no {', '.join(sorted(unknown))}")
        address = columns.pop("IPAddress", "") or columns.get("LocalIP", "")
        known = {
            "id": columns.pop("DeviceId", ""),
            "entra": columns.pop("AadDeviceId", ""),
            "address": address,
        }
        return cls(table, given["device"], given["time"], columns, known)


@dataclass(frozen=True, slots=True)
class Placed:
    """An event in the world: its records with those of its decoys, and its reference as Defender's API names it."""

    records: tuple[Record, ...]
    reference: tuple[str, str, str]


class World:
    """Makes records, the same ones for a seed. No two events of its own have one microsecond."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._taken: set[int] = set()
        self._known: dict[str, dict[str, str]] = {}
        self._placed: dict[tuple[str, str, str], tuple[Mapping[str, object], tuple[str, str, str]]] = {}
        self._reports = 1_000
        self.devices = [
            Device.named(f"{kind}-{number:03}.{DOMAIN}")
            for number in range(DEVICES // 4)
            for kind in ("pc", "laptop", "srv", "vdi")
        ]

    def day(self, start: int) -> Iterator[Record]:
        """Yield a day of all devices, from a moment in ticks since 1970: what they report, and what happens on them."""
        for device in self.devices:
            for hour in range(0, 25, 6):
                yield from self.reports(device, start + hour * 60 * MINUTE)
            for _ in range(EVENTS):
                table = self._random.choice(list(_ACTIONS))
                at = self._free(start + self._random.randrange(24 * 60 * MINUTE))
                yield self._record(table, device, at, self._ordinary(table, device))

    def reports(self, device: Device, at: int, *, address: str = "", merged: str = "") -> Iterator[Record]:
        """Yield what a device tells of itself at a moment."""
        cards = [{"IPAddress": address or device.address, "SubnetPrefix": 24, "AddressType": "Private"}]
        of_network = {"MacAddress": "00-00-5E-00-53-01", "IPAddresses": json.dumps(cards)}
        of_device = {"AadDeviceId": device.entra, "MergedToDeviceId": merged, "OnboardingStatus": "Onboarded"}
        yield self._record("DeviceInfo", device, self._free(at), of_device)
        yield self._record("DeviceNetworkInfo", device, self._free(at), of_network)

    def place(self, events: Sequence[Event]) -> list[Placed]:
        """Return events with their decoys, and with what the devices of all of them report around their times.

        One that is there already is that, without records, as several products tell of one event.
        """
        for event in events:
            known = {name: value for name, value in event.known.items() if value}
            self._known[event.device] = self._known.get(event.device, {}) | known
        return [
            self._place(event, Device.named(event.device, **self._known[event.device])) for event in events
        ]

    def _place(self, event: Event, device: Device) -> Placed:
        at = devices.moment(event.time)
        if at is None:
            raise ValueError(f"{event.time!r} is no time in ISO 8601 with a Z")
        key = (event.table, device.id, event.time)
        if key in self._placed:
            columns, reference = self._placed[key]
            if columns != event.columns:
                raise ValueError(f"there is another event of {event.device} in {event.table} at {event.time}")
            return Placed((), reference)
        self._taken.add(at // 10)
        columns = event.columns
        itself = self._record(event.table, device, at, columns)
        label, _, domain = device.name.partition(".")
        twin = Device.named(f"{label}0.{domain}" if len(label) < devices.NETBIOS else f"a-{device.name}")
        elsewhere = self._random.choice([each for each in self.devices if each.name != device.name])
        records = [
            itself,
            self._record(event.table, device, self._free(at + 97 * SECOND), _other(columns)),
            self._record(event.table, elsewhere, self._free(at + 11 * SECOND), columns),
            self._record(event.table, twin, self._free(at - 13 * SECOND), columns),
        ]
        for each in (device, twin, elsewhere):
            for moment in (at - 50 * MINUTE, at + 50 * MINUTE):
                records += self.reports(each, moment)
        records += self.reports(twin, at - 30 * 60 * MINUTE, address=device.address)
        reference = (device.id, event.time, str(itself["ReportId"]))
        self._placed[key] = (columns, reference)
        return Placed(tuple(records), reference)

    def _record(self, table: str, device: Device, at: int, columns: Mapping[str, object]) -> Record:
        self._reports += 1
        action = {"ActionType": _ACTIONS[table]} if table in _ACTIONS else {}
        return {
            "Table": table,
            "Timestamp": query.iso(at),
            "DeviceId": device.id,
            "DeviceName": device.name,
            "ReportId": self._reports,
            **action,
            **columns,
        }

    def _free(self, at: int) -> int:
        """Return a moment, or one soon after it, of a microsecond in which nothing is yet."""
        while at // 10 in self._taken:
            at += 10
        self._taken.add(at // 10)
        return at

    def _ordinary(self, table: str, device: Device) -> Mapping[str, object]:
        """Return what a table says of an event that nobody asks for."""
        random, program = self._random, self._random.choice(_PROGRAMS)
        said: dict[str, object] = {
            **{name: _digest(name, program) for name in _HASHES},
            "FileName": program,
            "FolderPath": f"C:\\Windows\\System32\\{program}",
            "ProcessCommandLine": f"{program} -k {random.randrange(10**6)}",
            "ProcessId": random.randrange(1_000, 20_000),
            "RemoteIP": f"198.51.100.{random.randrange(1, 255)}",
            "RemotePort": 443,
            "RemoteUrl": f"cdn{random.randrange(20)}.fabrikam.example",
            "RegistryKey": f"HKEY_LOCAL_MACHINE\\SOFTWARE\\Fabrikam\\{random.randrange(10**4)}",
            "AccountName": f"user-{device.name.partition('.')[0]}",
            "AccountSid": f"S-1-5-21-100-200-300-{1_200 + self.devices.index(device)}",
        }
        acting = {f"Initiating{name}": value for name, value in said.items() if name.startswith("Process")}
        return {name: value for name, value in (said | acting).items() if name in COLUMNS[table]}


def _other(columns: Mapping[str, object]) -> Mapping[str, object]:
    """Return the columns of another event of the same program: other hashes, other values."""
    changed = dict(columns)
    for name, value in columns.items():
        if name.endswith(_NUMBERS) and isinstance(value, int):
            changed[name] = value + 4
        elif value and isinstance(value, str) and name.endswith(_UNIQUE):
            changed[name] = _else(name, value)
    return changed


def _else(name: str, value: str) -> str:
    """Return a value of a column that is another one of the same form."""
    for kind in ("SHA256", "SHA1", "MD5"):
        if name.endswith(kind):
            return _digest(kind, value)
    if name == "RemoteIP":
        return f"203.0.113.{int(_digest('MD5', value)[:2], 16) % 254 + 1}"
    if name.endswith("CommandLine"):
        return f"{value.partition(' ')[0]} /other"
    return f"other-{value}" if not name.endswith("Key") else f"{value}\\Other"


def _digest(kind: str, text: str) -> str:
    return _HASHES[kind](text.encode()).hexdigest()
