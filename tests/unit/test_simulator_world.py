"""The made tenant of hunting: its devices, its day, and the decoys beside the events that somebody asks for."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from dev.simulator.rules import Rejected
from dev.simulator.tenant import Tenant
from dev.simulator.world import DEVICES, EVENTS, Device, World
from shared.search import devices

TIME = "2026-03-04T05:06:07.8912345Z"
NEAR = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SPAN = (NEAR - timedelta(days=2), NEAR + timedelta(days=2))
EVENT = {
    "table": "DeviceProcessEvents",
    "device": "pc-1.contoso.example",
    "time": TIME,
    "FileName": "tool.exe",
    "SHA1": "c" * 40,
    "ProcessId": 4711,
    "ProcessCommandLine": "tool.exe /run",
}


def test_a_seed_makes_the_same_day_again() -> None:
    """The day has 40 devices with as many events each, tells the same for a seed, and no two of one microsecond."""
    start = devices.moment("2026-03-04T00:00:00.0000000Z") or 0
    first, again, other = (list(World(seed).day(start)) for seed in (0, 0, 1))
    assert first == again != other
    events = [record for record in first if str(record["Table"]).endswith("Events")]
    assert len({record["DeviceId"] for record in events}) == DEVICES
    assert set(Counter(record["DeviceId"] for record in events).values()) == {EVENTS}
    assert len({str(record["Timestamp"])[:26] for record in first}) == len(first)


def test_every_event_has_its_decoys() -> None:
    """Beside it: other hashes on its device, the same on another device, the same on one whose name begins alike."""
    records, [reference] = World().place([EVENT])
    itself, other, elsewhere, twin = [each for each in records if each["Table"] == EVENT["table"]]
    assert reference == (itself["DeviceId"], TIME, str(itself["ReportId"]))
    assert itself["Timestamp"] == TIME
    assert other["DeviceId"] == itself["DeviceId"]
    assert other["FileName"] == itself["FileName"]
    assert not {other[name] for name in ("SHA1", "ProcessId", "ProcessCommandLine")} & {
        itself[name] for name in ("SHA1", "ProcessId", "ProcessCommandLine")
    }
    for decoy in (elsewhere, twin):
        assert decoy["DeviceId"] != itself["DeviceId"]
        assert decoy["SHA1"] == itself["SHA1"]
    assert twin["DeviceName"] == "pc-10.contoso.example"
    assert len({str(each["Timestamp"]) for each in (itself, other, elsewhere, twin)}) == 4


def test_somebody_else_had_the_address() -> None:
    """A device that is not the event's had its address the day before, and has another now."""
    records, _ = World().place([{**EVENT, "IPAddress": "10.1.2.3"}])
    having = {
        (record["DeviceName"], str(record["Timestamp"])[:10])
        for record in records
        if '"10.1.2.3"' in str(record.get("IPAddresses"))
    }
    assert having == {("pc-1.contoso.example", "2026-03-04"), ("pc-10.contoso.example", "2026-03-02")}


def test_a_device_has_one_address_whatever_its_events_say() -> None:
    """What one event knows of a device holds for all of those that are placed with it."""
    network = {
        "table": "DeviceNetworkEvents",
        "device": EVENT["device"],
        "time": "2026-03-04T06:00:00Z",
        "LocalIP": "10.1.2.3",
    }
    records, _ = World().place([EVENT, network])
    addresses = {
        record["IPAddresses"]
        for record in records
        if record["Table"] == "DeviceNetworkInfo" and record["DeviceName"] == EVENT["device"]
    }
    assert len(addresses) == 1
    assert '"10.1.2.3"' in str(addresses)


def test_an_event_that_comes_twice_is_one() -> None:
    """Two products tell of one event: it is there once. Two events in one place are a slip."""
    world = World()
    records, [first, again] = world.place([EVENT, EVENT])
    assert first == again
    assert records
    assert world.place([EVENT]) == ([], [first])
    [alike, *others], _ = World().place([EVENT], recorded=False)
    assert others == records[1:]
    assert {name for name in alike if alike[name] != records[0][name]} == {
        "Timestamp",
        "ReportId",
        "ProcessId",
        "ProcessCommandLine",
    }
    with pytest.raises(ValueError, match="another event of pc-1"):
        world.place([{**EVENT, "SHA1": "d" * 40}])
    for changes, words in (({"time": "yesterday"}, "no time"), ({"RemoteIP": "10.1.1.1"}, "has no RemoteIP")):
        with pytest.raises(ValueError, match=words):
            World().place([{**EVENT, **changes}])


def test_a_device_is_what_is_known_of_it() -> None:
    """Ids and address follow from the name, unless an event names them."""
    made = Device.named("pc-1.contoso.example")
    assert made == Device.named("pc-1.contoso.example") != Device.named("pc-2.contoso.example")
    records, [reference] = World().place([{**EVENT, "DeviceId": "a" * 40}])
    assert reference[0] == records[0]["DeviceId"] == "a" * 40
    assert {record["DeviceId"] for record in records if record["DeviceName"] != EVENT["device"]}.isdisjoint(
        {"a" * 40}
    )


def test_the_seventh_digit_comes_back() -> None:
    """The engine counts microseconds; a time comes back whole, as text with all digits and raw without its zeros."""
    records, _ = World().place([EVENT])
    tenant = Tenant(records)
    query = 'DeviceProcessEvents | where SHA1 == "{}" and DeviceName =~ "pc-1.contoso.example" | project {}'
    for shown in ("Timestamp", "Timestamp = tostring(Timestamp)"):
        assert tenant.run(query.format("c" * 40, shown), *SPAN).rows == [{"Timestamp": TIME}]
    tenant = Tenant()
    tenant.add([{**records[0], "Timestamp": "2026-03-04T05:06:07.5000000Z"}])
    assert tenant.run(query.format("c" * 40, "Timestamp"), *SPAN).rows == [
        {"Timestamp": "2026-03-04T05:06:07.5Z"}
    ]
    with pytest.raises(ValueError, match="seventh digit"):
        tenant.add([{**records[0], "Timestamp": "2026-03-04T05:06:07.5000001Z"}])


def test_an_answer_says_the_types_of_its_columns() -> None:
    """A long number is one, a text is never null, and what is no text can be."""
    records, _ = World().place([EVENT])
    answer = Tenant(records).run(
        "DeviceProcessEvents | where ProcessId == 4711 | project ReportId, MD5, ProcessCreationTime | take 1",
        *SPAN,
    )
    assert answer.types == {"ReportId": "Int64", "MD5": "String", "ProcessCreationTime": "DateTime"}
    assert answer.rows[0] | {"ReportId": 0} == {"ReportId": 0, "MD5": "", "ProcessCreationTime": None}


def test_a_slip_is_reported() -> None:
    """A column that a table does not have, and a query that the engine does not run, are errors that say so."""
    with pytest.raises(ValueError, match="DeviceInfo has no SHA1"):
        Tenant([{"Table": "DeviceInfo", "Timestamp": TIME, "SHA1": "c"}])
    with pytest.raises(Rejected, match="Nothing"):
        Tenant().run("DeviceInfo | where Nothing == 1", *SPAN)
