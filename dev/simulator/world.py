"""A made tenant: some 40 devices, a day of what machines do, and the events that somebody asks for, each with decoys.

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

from dev.simulator.moments import SECOND, iso, ticks
from dev.simulator.schema import ACTIONS, COLUMNS, Record

DEVICES = 40
EVENTS = 24
"""Events of a device in a day."""
_MINUTE = 60 * SECOND
_DAY = 24 * 60 * _MINUTE
_NETBIOS = 15  # letters of a name, of which Defender shows no more on some devices
_PROGRAMS = ("svchost", "chrome", "explorer", "powershell", "cmd", "outlook", "msiexec")
_HASHES = {"SHA256": hashlib.sha256, "SHA1": hashlib.sha1, "MD5": hashlib.md5}
_OF_PROCESS = ("ProcessId", "InitiatingProcessId", "CommandLine")
_OF_DEVICE = {"DeviceId": "id", "AadDeviceId": "entra", "IPAddress": "address", "LocalIP": "address"}

Reference = tuple[str, str, str]
"""An event as Defender's API names it: machineId, eventTime, reportId."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device: its FQDN, its id in Defender and in Entra, its address."""

    name: str
    id: str
    entra: str
    address: str

    @classmethod
    def named(cls, name: str, known: Mapping[str, str] | None = None) -> "Device":
        """Return the device of a name: what is not known of it follows from that."""
        digest = _digest("SHA1", name)
        address = ".".join(str(int(digest[place : place + 2], 16)) for place in (0, 2, 4))
        made = {"id": digest, "entra": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "address": f"10.{address}"}
        return cls(name, **(made | dict(known or {})))


class World:
    """Makes records, the same ones for a seed; no two of one microsecond, but for events that somebody asks for."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._taken: set[int] = set()
        self._known: dict[str, dict[str, str]] = {}  # of devices, by name
        # by table, device and time
        self._placed: dict[Reference, tuple[Mapping[str, object], Reference]] = {}
        self._records = 1_000
        kinds = ("pc", "laptop", "srv", "vdi")
        names = [f"{kind}-{n:03}.contoso.example" for n in range(DEVICES // len(kinds)) for kind in kinds]
        self._devices = [Device.named(name) for name in names]

    def day(self, start: int) -> Iterator[Record]:
        """Yield a day of all devices, from a moment in ticks since 1970: what they report, and what happens on them."""
        for number, device in enumerate(self._devices):
            for part in range(5):
                yield from self.reports(device, start + part * _DAY // 4)
            for _ in range(EVENTS):
                table, at = self._random.choice(list(ACTIONS)), start + self._random.randrange(_DAY)
                yield self._record(table, device, self._free(at), self._ordinary(table, number))

    def reports(self, device: Device, at: int, *, merged: str = "") -> Iterator[Record]:
        """Yield what a device tells of itself at a moment."""
        cards = [{"IPAddress": device.address, "SubnetPrefix": 24, "AddressType": "Private"}]
        of_network = {"MacAddress": "00-00-5E-00-53-01", "IPAddresses": json.dumps(cards)}
        of_device = {"AadDeviceId": device.entra, "MergedToDeviceId": merged, "OnboardingStatus": "Onboarded"}
        yield self._record("DeviceInfo", device, self._free(at), of_device)
        yield self._record("DeviceNetworkInfo", device, self._free(at), of_network)

    def place(
        self, events: Sequence[Mapping[str, Any]], *, recorded: bool = True
    ) -> tuple[list[Record], list[Reference]]:
        """Return the records of events with those of decoys and of what devices report around, and the references.

        An event has `table`, `device` (a name), `time` (ISO 8601 with a Z) and columns of its table, and perhaps the
        columns of its device. One that is there already is that, as several products tell of one event. With `recorded`
        off nobody recorded the events themselves: their decoys, and one of another process with the same hashes and
        addresses, are all there is.
        """
        for event in events:
            known = {of: event[name] for name, of in _OF_DEVICE.items() if event.get(name)}
            self._known[event["device"]] = self._known.get(event["device"], {}) | known
        records: list[Record] = []
        return records, [self._place(event, records, recorded=recorded) for event in events]

    def _place(self, event: Mapping[str, Any], records: list[Record], *, recorded: bool) -> Reference:
        """Add the records of an event, if it is a new one; return its reference."""
        table, time = event["table"], event["time"]
        device = Device.named(event["device"], self._known[event["device"]])
        apart = {"table", "device", "time", *_OF_DEVICE} - {"LocalIP"}
        columns = {name: value for name, value in event.items() if name not in apart}
        at = ticks(time)
        if at is None or (unknown := columns.keys() - COLUMNS.get(table, {}).keys()):
            raise ValueError(
                f"{time!r} is no time" if at is None else f"{table} has no {', '.join(sorted(unknown))}"
            )
        key = (table, device.id, time)
        if key not in self._placed:
            self._taken.add(at // 10)
            itself = self._record(table, device, at, columns)
            alike = self._record(table, device, self._free(at + 31 * SECOND), _other(columns, _OF_PROCESS))
            records += [itself if recorded else alike, *self._around(device, at, table, columns)]
            self._placed[key] = columns, (device.id, time, str(itself["ReportId"]))
        placed, reference = self._placed[key]
        if placed != columns:
            raise ValueError(f"there is another event of {device.name} in {table} at {time}")
        return reference

    def _around(self, device: Device, at: int, table: str, columns: Mapping[str, object]) -> Iterator[Record]:
        """Yield the decoys of an event, and what its device and theirs report before and after it."""
        label, _, domain = device.name.partition(".")
        twin = Device.named(f"{label}0.{domain}" if len(label) < _NETBIOS else f"a-{device.name}")
        other = self._random.choice(self._devices)
        yield self._record(table, device, self._free(at + 97 * SECOND), _other(columns))
        yield self._record(table, other, self._free(at + 11 * SECOND), columns)
        yield self._record(table, twin, self._free(at - 13 * SECOND), columns)
        for each in (device, twin, other):
            yield from self.reports(each, at - 50 * _MINUTE)
            yield from self.reports(each, at + 50 * _MINUTE)
        yield from self.reports(Device(twin.name, twin.id, twin.entra, device.address), at - _DAY * 5 // 4)

    def _record(self, table: str, device: Device, at: int, columns: Mapping[str, object]) -> Record:
        self._records += 1
        action = {"ActionType": ACTIONS[table]} if table in ACTIONS else {}
        whose = {"DeviceId": device.id, "DeviceName": device.name, "ReportId": self._records}
        return {"Table": table, "Timestamp": iso(at), **whose, **action, **columns}

    def _free(self, at: int) -> int:
        """Return a moment, or one soon after it, of a microsecond in which nothing is yet."""
        while at // 10 in self._taken:
            at += 10
        self._taken.add(at // 10)
        return at

    def _ordinary(self, table: str, person: int) -> Mapping[str, object]:
        """Return what a table says of an event that nobody asks for."""
        random, program = self._random, f"{self._random.choice(_PROGRAMS)}.exe"
        values: dict[str, object] = {
            **{name: _digest(name, program) for name in _HASHES},
            "FileName": program,
            "FolderPath": f"C:\\Windows\\System32\\{program}",
            "ProcessCommandLine": f"{program} -k {random.randrange(10**6)}",
            "ProcessId": random.randrange(1_000, 20_000),
            "RemoteIP": f"198.51.100.{random.randrange(1, 255)}",
            "RemotePort": 443,
            "RemoteUrl": f"cdn{random.randrange(20)}.fabrikam.example",
            "RegistryKey": f"HKEY_LOCAL_MACHINE\\SOFTWARE\\Fabrikam\\{random.randrange(10**4)}",
            "AccountName": f"user-{person}",
            "AccountSid": f"S-1-5-21-100-200-300-{1_200 + person}",
        }
        acting = {f"Initiating{name}": value for name, value in values.items() if name.startswith("Process")}
        return {name: value for name, value in (values | acting).items() if name in COLUMNS[table]}


def _other(columns: Mapping[str, object], of: tuple[str, ...] = ("",)) -> Mapping[str, object]:
    """Return the columns of another event of the same program: other hashes and values, of columns that end so."""
    return {
        name: _another(name, value) if value and name.endswith(of) else value
        for name, value in columns.items()
    }


def _another(name: str, value: object) -> object:
    """Return another value of a column, of the same form; the same where events of one program have the same."""
    if isinstance(value, int):
        return value + 4
    text = str(value)
    if hashed := next((kind for kind in _HASHES if name.endswith(kind)), None):
        return _digest(hashed, text)
    if name.endswith("RemoteIP"):
        return f"203.0.113.{int(_digest('MD5', text)[:2], 16) % 254 + 1}"
    if name.endswith("CommandLine"):
        return f"{text.partition(' ')[0]} /other"
    if name.endswith(("RemoteUrl", "AccountName", "AccountSid", "AccountUpn", "RegistryKey")):
        return f"other.{text}"
    return value


def _digest(kind: str, text: str) -> str:
    return _HASHES[kind](text.encode()).hexdigest()
