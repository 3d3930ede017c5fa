"""Made worlds for a search: devices, a day's events with decoys beside the right one, and what a SIEM tells of it.

world = World.made(seed)
rows = world.rows()          # what a query without any filter but time and device would bring
world.is_right(row)          # the event that is meant, or its twin
"""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from dev.simulator.schema import ACTIONS
from dev.simulator.world import Device
from dev.simulator.world import World as Builder
from shared.payload.clues import FACTS, SECOND, Clues, Host, Kind, When
from shared.search import devices, facts, query, tables
from tests.checks.hunting import Record

START = devices.moment("2026-03-04T12:00:00.0000000Z") or 0
MINUTE = 60 * SECOND
KINDS: tuple[Kind, ...] = ("process", "file", "image", "network", "registry", "logon", "other")
DOMAIN, OTHER_DOMAIN = "contoso.example", "fabrikam.example"
CLUE_OF = {
    "SHA1": "sha1",
    "SHA256": "sha256",
    "FileName": "file_name",
    "FolderPath": "file_path",
    "CommandLine": "command_line",
    "ProcessId": "process_id",
    "ParentName": "parent_name",
    "RemoteIP": "remote_ip",
    "RemoteUrl": "remote_url",
    "RemotePort": "remote_port",
    "RegistryKey": "registry_key",
    "RegistryValueName": "registry_value",
    "AccountName": "account_name",
    "AccountSid": "account_sid",
}
NEEDED = {
    "process": (),
    "file": ("file_name",),
    "image": ("file_name",),
    "other": ("file_name",),
    "network": ("remote_ip",),
    "registry": ("registry_key",),
    "logon": ("account_name",),
}
"""What a payload of a kind of event names at least: without it another kind of event would be looked for."""

LIKE = (
    ("SHA1", "SHA256", "FileName", "FolderPath", "ParentName", "AccountName", "AccountSid"),
    ("FileName", "FolderPath", "RemoteIP", "RemoteUrl", "RemotePort", "AccountName"),
    ("FileName", "FolderPath", "RegistryKey", "RegistryValueName"),
    ("SHA1", "FileName", "RemoteIP", "RemotePort", "RegistryKey", "AccountSid", "AccountName"),
)
COMMAND = ("CommandLine", "SHA1", "FileName", "FolderPath", "ParentName")
"""What events of one program have in common, or those that reach one address or one key.

`COMMAND`: and of one command line, which another process has as well: there the payload names the process by its id.
"""


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its kind, its moment in ticks, its device, what its table says of it, and whether it is searchable."""

    kind: Kind
    at: int
    device: str
    name: str
    report: int
    action: str
    columns: dict[str, str]
    searchable: bool = True

    def record(self) -> Record:
        """Return the record in the event's table."""
        table, where = tables.TABLES[self.kind]
        values = {where[name]: value for name, value in self.columns.items() if name in where}
        return {
            "Table": table,
            "Timestamp": query.iso(self.at),
            "DeviceId": self.device,
            "DeviceName": self.name,
            "ReportId": self.report,
            "ActionType": self.action,
            **values,
        }

    def row(self) -> dict[str, str]:
        """Return the event as a row of a search shows it."""
        table, where = tables.TABLES[self.kind]
        record = self.record()
        shown = {name: str(record.get(column, "")) for name, column in where.items()}
        return {
            "Row": "event",
            "Table": table,
            "Timestamp": query.iso(self.at),
            "ReportId": str(self.report),
            "DeviceId": self.device,
            "DeviceName": self.name,
            "ActionType": self.action,
            **shown,
        }


@dataclass(slots=True)
class World:
    """Devices with their events, the one that is meant, the clues to it, and how old it is when it is looked for."""

    clues: Clues
    right: Event
    age: float
    events: list[Event] = field(default_factory=list)
    known: list[Record] = field(default_factory=list)
    builder: Builder = field(default_factory=Builder)

    def records(self) -> list[Record]:
        """Return the records of everything that is searchable."""
        return [*self.known, *(event.record() for event in self.events if event.searchable)]

    def is_right(self, row: facts.Row) -> bool:
        """Say whether a row is the event that is meant, to the last digit, or a twin of it that is as near in time."""
        when = self.clues.when
        assert when is not None
        events = {str(event.report): event for event in self.events}
        event, right = events[row["ReportId"] or ""], self.right.row()
        return (
            row["Timestamp"] == query.iso(event.at)
            and abs(when.apart(event.at)) <= abs(when.apart(self.right.at))
            and all(row.get(name, "") == right[name] for name in right.keys() - {"Timestamp", "ReportId"})
        )


def made(seed: int) -> World:
    """Return the world of a seed."""
    random = Random(seed)
    kind = random.choice(KINDS)
    target = _id(random)
    name = random.choice(["pc-1", "srv-db", "workstation-0001"]) + f".{DOMAIN}"
    right = Event(
        kind,
        START + random.randrange(10**6) * 10,
        target,
        name,
        1_000,
        ACTIONS[tables.TABLES[kind][0]],
        _columns(random),
    )
    recorded = random.random() < 0.9
    same_command = not recorded and random.random() < 0.3
    if recorded:
        events = [right, *_decoys(random, right)]
    else:
        events = [right, *_likes(random, right, (COMMAND,) if same_command else LIKE)]
    clues = _clues(random, right, ("process_id",) if same_command else ())
    world = World(clues, right, random.choice([5, 60, 300, 700, 4_000]), events)
    _add_devices(random, world)
    _hide(random, world, recorded=recorded)
    return world


def _id(random: Random) -> str:
    return f"{random.getrandbits(160):040x}"


def _columns(random: Random) -> dict[str, str]:
    """Return what a table can say of an event, for every kind of it."""
    person = random.randrange(1_100, 1_200)
    program = random.choice(["cmd.exe", "rundll32.exe", "tool.exe"])
    return {
        "SHA1": f"{random.getrandbits(160):040x}",
        "SHA256": random.choice(["", f"{random.getrandbits(256):064x}"]),
        "FileName": program,
        "FolderPath": f"C:\\Tools\\{program}",
        "CommandLine": f"{program} /run {random.randrange(10**6)}",
        "ProcessId": str(random.randrange(1_000, 9_000)),
        "ParentName": random.choice(["explorer.exe", "services.exe"]),
        "RemoteIP": f"203.0.113.{random.randrange(1, 250)}",
        "RemoteUrl": f"host{random.randrange(50)}.fabrikam.example",
        "RemotePort": random.choice(["443", "8080"]),
        "RegistryKey": f"HKEY_LOCAL_MACHINE\\SOFTWARE\\Contoso\\{random.randrange(10**4)}",
        "RegistryValueName": "Run",
        "AccountName": f"user{person}",
        "AccountSid": random.choice([f"S-1-5-21-1-2-3-{person}", "S-1-5-18"]),
    }


def _likes(random: Random, right: Event, like: tuple[tuple[str, ...], ...]) -> list[Event]:
    """Return what else happens that has something in common with an event that nobody recorded."""
    events = []
    for number, names in enumerate(random.sample(like, min(len(like), random.choice([1, 1, 2])))):
        columns = _columns(random) | {name: right.columns[name] for name in names}
        apart = random.choice([8, 31, 55, 100, 400, 850]) * random.choice([-1, 1]) * SECOND
        events.append(
            replace(right, at=right.at + apart + 10 * number, report=2_000 + number, columns=columns)
        )
    return events


def _decoys(random: Random, right: Event) -> list[Event]:
    """Return events that are easily taken for the right one: they share some of what is said of it, or all."""
    events = []
    for number in range(random.randrange(1, 9)):
        other = _columns(random)
        shared = random.sample(sorted(right.columns), random.choice([1, 1, 2, 5, len(right.columns)]))
        columns = other | {name: right.columns[name] for name in shared}
        if right.kind == "process" and "CommandLine" in shared:
            columns["ProcessId"] = other["ProcessId"]  # two starts of a process have two ids
        apart = random.choice([3, 6, 20, 55, 100, 200, 500, 850]) * random.choice([-1, 1]) * SECOND
        action = random.choice(
            [right.action, right.action, "LogonFailed" if right.kind == "logon" else right.action]
        )
        events.append(
            replace(
                right,
                at=right.at + apart + 10 * number,
                report=2_000 + number,
                columns=columns,
                action=action,
            )
        )
    return events


def _clues(random: Random, right: Event, also: tuple[str, ...]) -> Clues:
    """Return what a SIEM tells of an event: some facts, a time that is exact, cut, late or of a clock that is off."""
    _, where = tables.TABLES[right.kind]
    named = {CLUE_OF[name]: value for name, value in right.columns.items() if name in where and value}
    few = {*random.sample(sorted(named), random.randrange(1, len(named) + 1)), *NEEDED[right.kind], *also}
    some: dict[str, Any] = {name: value for name, value in named.items() if name in few}
    hint: tuple[Kind, ...] = (
        (right.kind,) if right.kind in ("file", "image", "other") or random.random() < 0.5 else ()
    )
    host = random.choice(["id", "fqdn", "short", "address"])
    short = right.name.partition(".")[0].upper()[: devices.NETBIOS]
    hosts = {
        "id": Host("id", right.device),
        "fqdn": Host("name", right.name),
        "short": Host("name", short.lower()),
        "address": Host("address", "10.0.0.5"),
    }
    return replace(Clues(), hosts=(hosts[host],), when=_when(random, right.at), kinds=hint, **some)


def _when(random: Random, at: int) -> When:
    step = random.choice([1, 10_000, 10_000, SECOND, SECOND, SECOND, MINUTE])
    own = random.random() < 0.6
    written = at + (0 if own else random.randrange(0, 600) * SECOND)
    if random.random() < 0.3:
        written += random.choice([-4, -2, -1, 1, 2, 4]) * MINUTE + 30 * SECOND
    written -= written % step
    lasts = 0 if own or random.random() < 0.8 else random.randrange(1, 900) * SECOND
    return When(written - lasts, written, step, own=own)


def _add_devices(random: Random, world: World) -> None:
    """Add what devices tell of themselves, and others that are easily taken for the right one."""
    right = world.right
    label = right.name.partition(".")[0]
    _tell(world, right.device, right.name, "10.0.0.5", (-3_000, 3_000))
    chosen = random.choice(["alone", "ten", "domains", "renamed", "anew", "merged", "netbios", "moved"])
    other = _id(random)
    if chosen == "ten":
        _tell(world, other, f"{label}0.{DOMAIN}", "10.0.0.50", (-3_000, 3_000))
        _copy(world, other, f"{label}0.{DOMAIN}")
    elif chosen == "domains":
        _tell(world, other, f"{label}.{OTHER_DOMAIN}", "10.0.0.6", (-3_000, 3_000))
        _copy(world, other, f"{label}.{OTHER_DOMAIN}")
    elif chosen == "renamed":  # it had the name of the right one, and has another now
        _tell(world, other, right.name, "10.0.0.7", (-9_000, -4_000))
        _tell(world, other, f"old-{label}.{DOMAIN}", "10.0.0.7", (-1_000, 3_000))
        _copy(world, other, f"old-{label}.{DOMAIN}")
    elif chosen == "anew":
        _tell(world, other, right.name, "10.0.0.8", (-9_000, -4_000))
    elif chosen == "merged":
        _tell(world, other, right.name, "10.0.0.8", (-9_000, -1_000), merged=right.device)
    elif chosen == "netbios":
        _tell(world, other, f"{label}2.{DOMAIN}", "10.0.0.9", (-3_000, 3_000))
        _copy(world, other, f"{label}2.{DOMAIN}")
    elif chosen == "moved":  # it had the address before
        _tell(world, other, f"guest.{DOMAIN}", "10.0.0.5", (-9_000, -4_000))
        _tell(world, other, f"guest.{DOMAIN}", "10.0.0.77", (-2_000, 3_000))
        _copy(world, other, f"guest.{DOMAIN}")


def _tell(
    world: World, device: str, name: str, address: str, seconds: tuple[int, int], *, merged: str = ""
) -> None:
    """Let a device tell its name and its address at both ends of a span around the right event."""
    for moment in seconds:
        at = world.right.at + moment * SECOND
        world.known += world.builder.reports(Device(name, device, "", address), at, merged=merged)


def _copy(world: World, device: str, name: str) -> None:
    """Let the right event, and nothing that would make it doubtful, happen on another device as well."""
    at = world.right.at + 7 * SECOND
    world.events.append(replace(world.right, at=at, device=device, name=name, report=3_000))


def _hide(random: Random, world: World, *, recorded: bool) -> None:
    """Let the right event not be searchable although others are: while it is young, or because nobody recorded it.

    What happened within seconds of the time that the payload tells is searchable together with it.
    """
    when = world.clues.when
    assert when is not None
    if recorded and (world.age >= 600 or random.random() < 0.4):
        return
    hidden = {world.right.report, *((3_000,) if not recorded else ())}
    hidden |= {event.report for event in world.events if _is_close(when, event.at)}
    world.events = [replace(event, searchable=event.report not in hidden) for event in world.events]
    world.right = next(event for event in world.events if event.report == 1_000)


def _is_close(when: When, at: int) -> bool:
    """Tell whether a moment is within seconds of a time, or of one end of a span."""
    ends = (replace(when, start=end, end=end) for end in (when.start, when.end))
    return any(abs(end.apart(at)) <= 6 * SECOND for end in ends)


assert set(CLUE_OF.values()) <= set(FACTS)
