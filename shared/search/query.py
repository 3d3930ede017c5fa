"""One query of advanced hunting that finds a device, and the events on it that may match the clues.

    DeviceInfo, DeviceNetworkInfo ── Devices ─────────────┐
    Device*Events ── near in time, of these devices,      ├── rows of text ── verdict.py
                     with one of the facts ── Events ─────┘

KQL filters and caps, and decides nothing. `runHuntingQuery` takes no parameters, so every value is written into the
text: a JSON string in ASCII, a number, an id, or a time that is read and written again. Only this module writes KQL.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.payload.clues import SECOND, Clues, Host, When
from shared.search import devices, facts, tables

ROWS = 20
"""Devices, and events, that a search looks at; one row more says that there are more."""
MAX_QUERY = 8_000
"""Characters of a query."""
LONGEST = 3_600
"""Seconds from the earliest to the latest time that an event may have."""

_NEAR, _AROUND = 120, 900  # seconds around the event's own time with a fraction, and around any other
_NAMED = 60  # around the event's own time, for an event that has only the name
_BEFORE, _AFTER = 7 * 86_400, 86_400  # seconds in which a device reports its name or its addresses
_ROUNDED = 10_000  # ticks around an exact time
_TEXT = 512  # characters of a literal
_BEGINNING = 200  # characters of a command line
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LISTED = ",\n"
_WRITTEN_TIME = "Timestamp = tostring(Timestamp)"  # seven digits always; a raw time loses its trailing zeros
_OF_EVENTS = ("Row", "Table", "Timestamp", "ReportId", "DeviceId", "DeviceName", "ActionType")
_OF_DEVICES = ("AadDeviceId", "MergedToDeviceId", "Since", "IPAddresses")
_REFERENCE = (
    f'Row = "event", Table, {_WRITTEN_TIME}, ReportId = tostring(ReportId), DeviceId, DeviceName, ActionType'
)
_NEAREST = (
    '| extend Apart = abs(datetime_diff("millisecond", Timestamp, At))'
    f"\n| order by Apart asc, Timestamp asc, ReportId asc\n| take {ROWS + 1}"
)
_LONG = frozenset({"FolderPath", "CommandLine", "RemoteUrl", "RegistryKey", "RegistryValueData", "Details"})
_NUMBERS = frozenset({"ProcessId", "RemotePort", "LocalPort"})
_IDENTITY = "DeviceId, DeviceName, AadDeviceId, MergedToDeviceId"


@dataclass(frozen=True, slots=True)
class Query:
    """A request to `runHuntingQuery`: KQL, the span of time in ISO 8601 that it may read, and the rows' columns."""

    text: str
    timespan: str
    columns: tuple[str, ...]


class Texts(dict[str, str]):
    """The texts of a query, each written once, and the names by which the query calls them."""

    def name(self, text: str) -> str:
        """Return the name of a text. It is written as a JSON string in ASCII, so nothing in it can end the literal.

        A text whose literal is too long is cut.
        """
        text = text[:_TEXT]
        while len(written := json.dumps(text)) > _TEXT:
            text = text[: len(text) * _TEXT // len(written)]
        return self.setdefault(written, f"Text{len(self)}")


def build(clues: Clues, *, without: Collection[str] = (), half: bool = False) -> Query | None:
    """Return the query that finds the event of these clues; None if they have no device, no time or no fact.

    `without` are tables that the tenant does not have; `half` halves the span around the time.
    """
    when = clues.when
    if not when or not clues.hosts or when.end - when.start > LONGEST * SECOND:
        return None
    around = (_NEAR if when.own and when.step < SECOND else _AROUND) // (2 if half else 1)
    texts = Texts()
    who = list(_devices(clues.hosts, texts))
    hosts = " or ".join(dict.fromkeys(_has_host(host, texts) for host in clues.hosts))
    known = [tables.TABLES[kind] for kind in tables.kinds(clues)]
    asked = [
        (table, columns, condition)
        for table, columns in known
        if table not in without and (condition := " or ".join(_facts(clues, when, columns, texts)))
    ]
    if not asked:
        return None
    first, last = when.start - _BEFORE * SECOND, when.end + _AFTER * SECOND
    legs = _LISTED.join(_leg(table, columns, hosts, condition) for table, columns, condition in asked)
    shown = dict.fromkeys(name for _, columns, _ in asked for name in columns)
    statements = [f"let {name} = {text}" for text, name in texts.items()]
    statements += [
        f"let {name} = datetime({iso(ticks)})"
        for name, ticks in (
            ("At", when.start),
            ("End", when.end + when.step),
            ("From", when.start - around * SECOND),
            ("To", when.end + when.step + around * SECOND),
            ("NameFrom", when.start - _NAMED * SECOND),
            ("NameTo", when.end + when.step + _NAMED * SECOND),
            ("First", first),
            ("Last", last),
        )
    ]
    statements += [
        f"let Devices = materialize(union {_LISTED.join(who)}\n| order by Timestamp desc\n| take {ROWS + 1})",
        f"let Events = union {legs}\n{_NEAREST}\n| project {_REFERENCE}, {', '.join(map(_shown, shown))}",
        "union Events, Devices",
    ]
    text = ";\n".join(statements)
    columns = (*_OF_EVENTS, *shown, *_OF_DEVICES)
    return Query(text, f"{iso(first)}/{iso(last)}", columns) if len(text) <= MAX_QUERY else None


def _leg(table: str, columns: Mapping[str, str], hosts: str, condition: str) -> str:
    """Return the part for one table: its rows near in time, of the devices, with a fact."""
    listed = ", ".join(name if name == column else f"{name} = {column}" for name, column in columns.items())
    return (
        f"({table}\n| where Timestamp between (From .. To)\n| where {hosts}\n| where {condition}"
        f'\n| project Table = "{table}", Timestamp, ReportId, DeviceId, DeviceName, ActionType, {listed})'
    )


def _shown(name: str) -> str:
    """Return a row's column as text; a long text is cut."""
    if name in _LONG:
        return f"{name} = substring({name}, 0, {facts.LONGEST_TEXT})"
    return f"{name} = tostring({name})" if name in _NUMBERS else name


def _has_host(host: Host, texts: Texts) -> str:
    """Return the condition that an event belongs to a host: a name must be the device's name at that time."""
    if host.identity == "name":
        return _named(host.value, texts)
    listed = "DeviceId in ((Devices | project DeviceId))"
    if host.identity == "id":
        return (
            f"DeviceId == {_id(host.value)} or {listed} or DeviceId in ((Devices | project MergedToDeviceId))"
        )
    return listed


def _named(name: str, texts: Texts) -> str:
    """Return the condition that a device has a name: a whole FQDN, or the first part of one."""
    whole = f"DeviceName =~ {texts.name(name)}"
    if "." in name:
        return whole
    if len(name) == devices.NETBIOS:  # as NetBIOS cuts it
        return f"DeviceName startswith {texts.name(name)}"
    return f"{whole} or DeviceName startswith {texts.name(name + '.')}"


def _devices(hosts: Collection[Host], texts: Texts) -> Iterator[str]:
    """Yield the parts that find devices: by name or id, and by the address that they had before and after."""
    conditions = []
    for host in hosts:
        if host.identity == "name":
            conditions.append(_named(host.value, texts))
        elif host.identity == "id":
            conditions.append(f"DeviceId == {_id(host.value)} or MergedToDeviceId == {_id(host.value)}")
        elif host.identity == "entra":
            conditions.append(f"AadDeviceId =~ {_id(host.value)}")
        else:
            quoted = texts.name(
                json.dumps(host.value)
            )  # as it stands in a list: 10.1.2.3 is not in 10.1.2.34
            yield _holders("before", "arg_max", "First .. At", quoted)
            yield _holders("after", "arg_min", "End .. Last", quoted)
    if conditions:
        yield (
            f"(DeviceInfo\n| where Timestamp between (First .. Last)\n| where {' or '.join(conditions)}"
            f"\n| summarize Since = min(Timestamp), Timestamp = max(Timestamp) by {_IDENTITY}"
            f'\n| project Row = "device", {_IDENTITY}, Since = tostring(Since), {_WRITTEN_TIME})'
        )


def _holders(row: str, pick: str, span: str, address: str) -> str:
    """Return the part that gives the addresses at one end of a span, of the devices that ever had an address."""
    return (
        f"(DeviceNetworkInfo\n| where Timestamp between ({span})"
        "\n| where DeviceId in ((DeviceNetworkInfo | where Timestamp between (First .. Last)"
        f" | where IPAddresses contains {address} | project DeviceId))"
        f"\n| summarize {pick}(Timestamp, DeviceName, IPAddresses) by DeviceId, MacAddress"
        f'\n| project Row = "{row}", DeviceId, DeviceName, IPAddresses, {_WRITTEN_TIME})'
    )


def _facts(clues: Clues, when: When, columns: Mapping[str, str], texts: Texts) -> Iterator[str]:
    """Yield conditions on an event in a table; it must fulfil at least one."""
    remote = facts.address(clues.remote_ip)
    key = facts.registry(clues.registry_key)[1]
    tests = [
        ("SHA1", "{0} =~ {1}", clues.sha1),
        ("SHA256", "{0} =~ {1}", clues.sha256),
        ("MD5", "{0} =~ {1}", clues.md5),
        ("CommandLine", "{0} startswith {1}", clues.command_line.strip()[:_BEGINNING].rstrip()),
        ("RemoteIP", "{0} == {1}", remote),
        ("RemoteIP", "{0} == {1}", remote and f"::ffff:{remote}"),
        ("RemoteUrl", "{0} contains {1}", facts.url_host(clues.remote_url)),
        ("RegistryKey", "{0} endswith {1}", key[-_BEGINNING:]),
    ]
    above, _, last = key.rpartition("\\")
    if above and "RegistryKey" in columns:  # some products write the value's name behind its key
        named = f"({{0}} endswith {{1}} and RegistryValueName =~ {texts.name(last)})"
        tests.append(("RegistryKey", named, above[-_BEGINNING:]))
    if "LogonType" in columns:
        tests += [
            ("AccountName", "{0} =~ {1}", clues.account_name.strip()),
            ("AccountSid", "{0} =~ {1}", clues.account_sid.strip()),
        ]
    if when.own:
        named = "({0} =~ {1} and Timestamp between (NameFrom .. NameTo))"
        tests += [
            ("FileName", named, facts.base(clues.file_name)),
            ("ProcessName", named, facts.base(clues.process_name)),
        ]
    for name, condition, value in tests:
        if value.strip() and name in columns:
            yield condition.format(columns[name], texts.name(value))
    exact = devices.moment(clues.event_time)
    if exact is not None:  # within a millisecond, as engines may round: which event it is, the verdict says
        yield f"Timestamp between (datetime({iso(exact - _ROUNDED)}) .. datetime({iso(exact + _ROUNDED)}))"
    for column, number in ((columns.get("ProcessId"), clues.process_id), ("ReportId", clues.report_id)):
        if column and _DIGITS.fullmatch(number):
            yield f"{column} == {int(number)}"


def _id(text: str) -> str:
    """Return an id as a literal. Raise `ValueError` if it is neither Defender's nor Entra's."""
    if not _HEX.fullmatch(text):
        raise ValueError("is no id of a device")
    return json.dumps(text)


def iso(ticks: int) -> str:
    """Return a moment in ISO 8601 with seven digits."""
    seconds, fraction = divmod(ticks, SECOND)
    return f"{(_EPOCH + timedelta(seconds=seconds)):%Y-%m-%dT%H:%M:%S}.{fraction:07}Z"
