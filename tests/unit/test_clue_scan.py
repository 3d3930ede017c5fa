"""The scan for clues: what products tell of an event, under their names, each with the place it came from."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payload import clue_scan, names
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import FACTS, SECOND, Clues, Host
from shared.payload.paths import Node
from shared.payload.reader import Reader
from shared.search import devices

AT = devices.moment("2026-03-04T05:06:07.8900000Z")
SHA1, SHA256, MD5 = "c" * 40, "d" * 64, "e" * 32


def read(value: Any) -> ClueScan:
    """Return the clues in a payload."""
    return clue_scan.read(Node(value, None, Reader(lambda _: None)))


def facts_of(clues: Clues) -> dict[str, str]:
    """Return the facts that clues name."""
    return {fact: value for fact in FACTS if (value := getattr(clues, fact))}


ECS = {
    "@timestamp": "2026-03-04T05:06:30.123Z",
    "host": {"name": "PC-1", "ip": ["10.0.0.5"]},
    "process": {
        "executable": "C:\\Tools\\tool.exe",
        "pid": "4711",
        "command_line": "tool.exe /run",
        "hash": {"sha1": SHA1},
        "parent": {"name": "explorer.exe", "command_line": "explorer.exe /factory", "pid": "12"},
        "start": "2026-03-04T05:06:07.89Z",
    },
    "user": {"name": "ada", "domain": "CONTOSO"},
    "event": {"category": "process", "outcome": "success"},
    "threat": {"indicator": {"file": {"hash": {"sha1": "f" * 40}}}},
}
SYSMON = {
    "Computer": "pc-1.contoso.example",
    "EventData": {
        "UtcTime": "2026-03-04 05:06:07.890",
        "ProcessId": "0x1267",
        "Image": "C:\\Tools\\tool.exe",
        "CommandLine": "tool.exe /run",
        "Hashes": f"SHA1={SHA1.upper()},MD5={MD5.upper()},SHA256={SHA256.upper()}",
        "User": "CONTOSO\\ada",
        "ParentImage": "C:\\Windows\\explorer.exe",
    },
}
PROCESS = {
    "sha1": SHA1,
    "file_name": "tool.exe",
    "file_path": "C:\\Tools\\tool.exe",
    "command_line": "tool.exe /run",
    "process_id": "4711",
    "parent_name": "explorer.exe",
    "account_name": "ada",
    "account_domain": "CONTOSO",
}


def test_an_ecs_process_event() -> None:
    """Of an ECS document the process is read, its own start before the detection, and no parent or indicator for it."""
    result = read(ECS)
    assert facts_of(result.clues) == PROCESS | {"outcome": "success"}
    assert result.clues.hosts == (Host("name", "pc-1"),)
    assert result.clues.kinds == ("process",)
    assert result.clues.when is not None
    assert (result.clues.when.start, result.clues.when.own, result.clues.when.step) == (
        AT,
        True,
        SECOND // 100,
    )
    assert result.places["command_line"] == "process.command_line"
    assert result.places["hosts"] == "host.name"
    assert result.places["when"] == "process.start"


def test_a_sysmon_event_in_a_text() -> None:
    """Ids in hex, hashes in one text, and accounts with their domain are read, also of JSON inside a string."""
    result = read({"message": json.dumps(SYSMON)})
    assert facts_of(result.clues) == PROCESS | {"sha256": SHA256, "md5": MD5}
    assert result.clues.hosts == (Host("name", "pc-1.contoso.example"),)
    assert result.places["sha1"] == "message.EventData.Hashes"


def test_dotted_keys_mean_what_nested_ones_do() -> None:
    """`process.command_line` as one key is the same as a `command_line` in a `process`."""
    flat = {
        "host.name": "PC-1",
        "process.executable": "C:\\Tools\\tool.exe",
        "process.command_line": "tool.exe /run",
        "process.parent.command_line": "explorer.exe /factory",
        "process_parent_name": "explorer.exe",
    }
    assert facts_of(read(flat).clues) == {
        "file_name": "tool.exe",
        "file_path": "C:\\Tools\\tool.exe",
        "command_line": "tool.exe /run",
        "parent_name": "explorer.exe",
    }


def test_both_ends_of_a_connection_are_devices_and_the_initiating_one_comes_first() -> None:
    """Where no host is named but two ends are, each that can be a device is one, and the far end is the remote one."""
    result = read({"src": "10.0.0.5", "dest": "10.0.0.9", "dest_port": "443", "event_time": "1772600767.89"})
    assert result.clues.hosts == (Host("address", "10.0.0.5"), Host("address", "10.0.0.9"))
    assert facts_of(result.clues) == {"remote_ip": "10.0.0.9", "remote_port": "443"}
    assert result.clues.when is not None
    assert result.clues.when.step == SECOND // 100
    assert read({"src": "10.0.0.5", "dest": "8.8.8.8"}).clues.hosts == (Host("address", "10.0.0.5"),)


def test_a_host_that_only_transports_is_taken_if_there_is_no_other() -> None:
    """A collector's host is not the event's, unless nothing else is named."""
    collector = {"collector": {"hostname": "relay-1"}}
    assert read({**collector, "hostname": "pc-1"}).clues.hosts == (Host("name", "pc-1"),)
    assert read(collector).clues.hosts == (Host("name", "relay-1"),)
    assert read({"manager": {"name": "wazuh-1"}, "agent": {"name": "pc-1"}}).clues.hosts == (
        Host("name", "pc-1"),
    )


def test_a_name_may_say_the_zone_of_its_time() -> None:
    """An offset counts, of whatever spelling; a zone of several offsets leaves the time unknown."""
    at = read({"Timestamp": "2026-03-04T05:06:07Z"}).clues.when
    for zone, clock in (("[UTC+2]", 7), ("(UTC-03:00)", 2), ("(GMT +1)", 6), ("[CET]", 6)):
        assert read({f"Timestamp {zone}": f"2026-03-04T{clock:02}:06:07"}).clues.when == at
    for zone in ("[EST]", "(local time)", "[UTC+x]"):
        assert read({f"Timestamp {zone}": "2026-03-04T05:06:07"}).clues.when is None
    assert read({"Timestamp [UTC+2]": "2026-03-04T05:06:07Z"}).clues.when is None


def test_a_device_at_the_other_end_is_named_and_not_searched() -> None:
    """The event was on another device, which is not known: where that is named too, both are."""
    target = {"target": {"DeviceId": "a" * 40, "DeviceName": "srv-9"}}
    assert read({"DeviceId (target)": "a" * 40}).clues == Clues(named=(Host("id", "a" * 40),))
    assert read({**target, "event": {"DeviceName": "pc-1"}}).clues.hosts == ()
    assert set(read({**target, "event": {"DeviceName": "pc-1"}}).clues.named) == {
        Host("name", "pc-1"),
        Host("name", "srv-9"),
    }


def test_a_file_that_a_program_wrote_is_apart_from_the_program() -> None:
    """The file is what the event is about, the program is who acted, and each hash stays with its own."""
    result = read(
        {
            "process": {"name": "tool.exe", "hash": {"sha1": "f" * 40}},
            "file": {"name": "x.dll", "hash": {"sha1": SHA1}},
        }
    )
    assert facts_of(result.clues) == {"file_name": "x.dll", "process_name": "tool.exe", "sha1": SHA1}


def test_of_two_equally_good_values_none_is_taken() -> None:
    """Two hosts, or two command lines, under the same name are no clue; the same one twice is."""
    two = {
        "a": {"hostname": "pc-1", "command_line": "a.exe /x"},
        "b": {"hostname": "pc-2", "command_line": "b.exe /y"},
    }
    assert read(two).clues == Clues(named=(Host("name", "pc-1"), Host("name", "pc-2")))
    same = {"a": {"hostname": "pc-1"}, "b": {"hostname": "PC-1"}}
    assert read(same).clues.hosts == (Host("name", "pc-1"),)


def test_the_fqdn_goes_before_the_short_name_of_the_same_host() -> None:
    """A whole name names one device, a short one may name several."""
    result = read({"host": {"name": "pc-1"}, "computer_name": "pc-1.contoso.example"})
    assert result.clues.hosts == (Host("name", "pc-1.contoso.example"),)
    assert result.places["hosts"] == "computer_name"


@pytest.mark.parametrize(
    ("key", "value", "host"),
    [
        ("MdeDeviceId", "A" * 40, Host("id", "a" * 40)),
        (
            "AadDeviceId",
            "11111111-2222-3333-4444-55555555555A",
            Host("entra", "11111111-2222-3333-4444-55555555555a"),
        ),
        ("hostname", "192.168.1.2", Host("address", "192.168.1.2")),
        ("hostname", "8.8.8.8", None),
        ("hostname", "localhost", None),
        ("hostname", 'pc"; DeviceInfo', None),
        ("hostname", "pc 1", None),
        ("MdeDeviceId", "a" * 32, None),
    ],
)
def test_a_host_has_the_form_of_one(key: str, value: str, host: Host | None) -> None:
    """Ids, names and private addresses name a device; what has no such form names none."""
    assert read({key: value}).clues.hosts == ((host,) if host else ())


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("sid", "S-1-5-21-1-2-3-1104", "scheduler__admin__search"),
        ("registry_key", "HKLM\\Software\\X", "enabled"),
        ("upn", "ada@contoso.example", "ada"),
        ("remote_port", "443", "https"),
        ("process_id", "0x1F", "none"),
        ("remote_ip", "203.0.113.7", "unknown"),
        ("sha1", SHA1, "unknown"),
    ],
)
def test_a_clue_has_the_form_of_one(key: str, good: str, bad: str) -> None:
    """What stands under the name of a clue, but cannot be one, is left out."""
    assert len(facts_of(read({key: good}).clues)) == 1
    assert facts_of(read({key: bad}).clues) == {}


def test_every_name_of_the_table_means_one_clue() -> None:
    """No name stands for two clues, so that the order of the table decides nothing."""
    words = [
        names.word(name)
        for known in names.table("clues")["fields"].values()
        for name in dict.fromkeys(map(names.word, known))
    ]
    assert [word for word in words if words.count(word) > 1] == []


NAMES = [
    *(
        "host",
        "name",
        "process",
        "pid",
        "file",
        "hash",
        "src",
        "dest",
        "x",
        "type",
        "kind",
        "value",
        "$id",
        "$ref",
    ),
    *("tags", "columns", "rows", "cs1", "cs1Label", "parent", "collector", "time", "date", "tz", "Entities"),
    *(name for known in names.table("clues")["fields"].values() for name in known[:3]),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "10.0.0.5",
            "2026-03-04T05:06:07Z",
            "1772600767",
            SHA1,
            "host",
            "process",
            "HKLM\\Software\\X",
            "host:pc-1",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner)
    ),
    max_leaves=25,
)


@given(JSON)
def test_any_payload_can_be_read(value: Any) -> None:
    """Whatever a payload holds, each clue has a place, and there is no error."""
    result = read(value)
    named = {
        *facts_of(result.clues),
        *(["hosts"] if result.clues.hosts else []),
        *(["when"] if result.clues.when else []),
    }
    assert named <= result.places.keys()
    assert all(result.places[name] for name in named if isinstance(value, dict | list))


def test_any_names_can_stand_in_each_other() -> None:
    """Every name of the table, also as an object, a list or a text with JSON in it, gives clues or none."""
    every = {name: "2026" for known in names.table("clues")["fields"].values() for name in known}
    some = dict.fromkeys(list(every)[::40], "2026")
    for value in (every, dict.fromkeys(every, some), [every] * 3, {"message": json.dumps(every)}):
        read(value)


ENTITIES = [
    {"$id": "1", "Type": "process", "ImageFile": {"$ref": "2"}, "ParentProcess": {"$ref": "1"}},
    {"$id": "2", "Type": "file", "Name": "tool.exe", "Host": {"$ref": "1"}},
]
TABLE = {"columns": [{"name": "Computer"}, {"name": "CommandLine"}], "rows": [["pc-1", "tool.exe /run"]]}


@pytest.mark.parametrize(
    "item",
    [
        ECS,
        SYSMON,
        {"message": json.dumps(SYSMON)},
        ENTITIES,
        TABLE,
        {"tags": ["host:pc-1"] * 9},
        {"a": [["x"]]},
    ],
    ids=["ecs", "sysmon", "text", "entities", "table", "tags", "lists"],
)
def test_the_work_is_linear_in_the_payload(item: Any) -> None:
    """Ten times the payload costs at most some ten times the steps, and no step is hidden in entities or tables."""
    spent = []
    for size in (100, 1_000):
        steps: list[int] = []
        value = {"items": [{**item, "n": str(n)} if isinstance(item, dict) else item for n in range(size)]}
        clue_scan.read(Node(value, None, Reader(steps.append)))
        spent.append(sum(steps))
    assert spent[1] < 11 * spent[0]
