"""The query: Microsoft's parser takes it, an engine runs it, and no value changes what it means."""

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.payload.clues import FACTS, SECOND, Clues, Host, Kind, When
from shared.search import devices, facts, query, tables
from tests.checks import hunting

DEVICE, OTHER = "a" * 40, "b" * 40
ENTRA = "11111111-2222-3333-4444-555555555555"
AT = devices.moment("2026-03-04T05:06:07.8900000Z") or 0
WHEN = When(AT, AT, 1, own=True)
HOSTS = {
    "name": Host("name", "pc-1"),
    "fqdn": Host("name", "pc-1.contoso.example"),
    "id": Host("id", DEVICE),
    "entra": Host("entra", ENTRA),
    "address": Host("address", "10.1.2.3"),
}
KNOWN = (
    {
        "Table": "DeviceInfo",
        "Timestamp": "2026-03-04T04:00:00",
        "DeviceId": DEVICE,
        "DeviceName": "pc-1.contoso.example",
        "AadDeviceId": ENTRA,
    },
    {
        "Table": "DeviceNetworkInfo",
        "Timestamp": "2026-03-04T04:00:00",
        "DeviceId": DEVICE,
        "DeviceName": "pc-1.contoso.example",
        "MacAddress": "00-00-5E-00-53-01",
        "IPAddresses": '[{"IPAddress":"10.1.2.3","SubnetPrefix":24,"AddressType":"Private"}]',
    },
)
VALUES = {
    "sha1": "c" * 40,
    "sha256": "d" * 64,
    "md5": "e" * 32,
    "file_name": "tool.exe",
    "process_name": "tool.exe",
    "command_line": 'tool.exe /run "a b"',
    "process_id": "4711",
    "remote_ip": "203.0.113.7",
    "remote_url": "https://files.fabrikam.example/x",
    "registry_key": r"HKLM\Software\Contoso\Run",
    "account_name": "ada",
    "account_sid": "S-1-5-21-1-2-3-1104",
    "report_id": "20776",
}
STORED = {
    "SHA1": VALUES["sha1"],
    "SHA256": VALUES["sha256"],
    "MD5": VALUES["md5"],
    "FileName": VALUES["file_name"],
    "ProcessName": VALUES["process_name"],
    "CommandLine": VALUES["command_line"],
    "ProcessId": 4711,
    "RemoteIP": VALUES["remote_ip"],
    "RemoteUrl": "files.fabrikam.example",
    "RegistryKey": r"HKEY_LOCAL_MACHINE\SOFTWARE\Contoso\Run",
    "AccountName": VALUES["account_name"],
    "AccountSid": VALUES["account_sid"],
}
COLUMN_OF = {
    "sha1": "SHA1",
    "sha256": "SHA256",
    "md5": "MD5",
    "file_name": "FileName",
    "process_name": "ProcessName",
    "command_line": "CommandLine",
    "process_id": "ProcessId",
    "remote_ip": "RemoteIP",
    "remote_url": "RemoteUrl",
    "registry_key": "RegistryKey",
    "account_name": "AccountName",
    "account_sid": "AccountSid",
}
HOSTILE = (
    '"',
    "'",
    "\\",
    '\\"',
    '" or true or "',
    '"; DeviceInfo | take 5; print "',
    "') | take 5 //",
    "x\n| union DeviceInfo",
    "\r\n",
    "\t",
    "\x00",
    "\x1b[0m",
    "",
    " ",
    "*",
    "// comment",
    "é日本\U0001f600",
    "\u2028",
    '@"x"',
    "h'x'",
    "```x```",
    "{0}",
    "x" * 10_000,
    "é" * 10_000,
    '"' * 10_000,
)


def clues_of(kind: Kind, *names: str, host: str = "name") -> Clues:
    """Return clues of one kind of event with some of the facts."""
    some: dict[str, Any] = {name: VALUES[name] for name in names}
    return replace(Clues(), hosts=(HOSTS[host],), when=WHEN, kinds=(kind,), **some)


def built(clues: Clues) -> query.Query:
    """Return the query of clues, which there must be."""
    asked = query.build(clues)
    assert asked is not None
    return asked


def findable(kind: Kind) -> list[str]:
    """Return the facts by which a kind of event can be found."""
    _, columns = tables.TABLES[kind]
    account = ("account_name", "account_sid") if kind == "logon" else ()
    known = [
        fact for fact, column in COLUMN_OF.items() if column in columns and not fact.startswith("account")
    ]
    return [*known, *account, "report_id"]


def record(kind: Kind, fact: str, report: int = 20_776) -> hunting.Record:
    """Return an event of a kind that has one fact and nothing else."""
    table, columns = tables.TABLES[kind]
    column = columns.get(COLUMN_OF.get(fact, ""))
    values: dict[str, object] = {
        "Table": table,
        "Timestamp": "2026-03-04T05:06:07.89",
        "DeviceId": DEVICE,
        "DeviceName": "pc-1.contoso.example",
        "ReportId": report,
    }
    return values | ({column: STORED[COLUMN_OF[fact]]} if column else {})


@cache
def tenant() -> hunting.Tenant:
    """Return the one engine of these tests; each fills it anew."""
    return hunting.Tenant()


def report_ids(clues: Clues, *records: hunting.Record) -> list[str]:
    """Return the report ids of the events that the query of clues finds among records."""
    hunting.clear(tenant())
    tenant().add((*KNOWN, *records))
    return [row["ReportId"] for row in hunting.run(tenant(), built(clues)) if row["Row"] == "event"]


def test_microsofts_parser_takes_every_query() -> None:
    """Each kind of event with each way to name a device is one sound statement that shows nothing but text."""
    asked = [
        clues_of(kind, *findable(kind), host=host) for kind, host in itertools.product(tables.TABLES, HOSTS)
    ]
    queries = [built(clues) for clues in asked]
    for clues, written, checked in zip(
        asked, queries, hunting.check([written.text for written in queries]), strict=True
    ):
        [kind] = clues.kinds
        by_address = clues.hosts[0].identity == "address"
        assert checked.errors == ()
        assert checked.statements == 1
        assert checked.tables == {tables.TABLES[kind][0], "DeviceNetworkInfo" if by_address else "DeviceInfo"}
        assert {column.partition(": ")[2] for column in checked.columns} == {"string"}
        assert {column.partition(": ")[0] for column in checked.columns} <= set(written.columns)
        assert len(written.text) <= query.MAX_QUERY


@pytest.mark.parametrize("kind", tables.TABLES)
def test_each_fact_finds_its_event(kind: Kind) -> None:
    """An event is found by each fact alone, and one without any fact is not."""
    known = findable(kind)
    events = [
        record(kind, fact, 20_776 if fact == "report_id" else number) for number, fact in enumerate(known)
    ]
    other = record(kind, "report_id", 999)
    assert sorted(report_ids(clues_of(kind, *known), *events, other)) == sorted(
        str(event["ReportId"]) for event in events
    )


@pytest.mark.parametrize("host", HOSTS)
def test_each_way_to_name_a_device_finds_its_event(host: str) -> None:
    """An event is found by each name of its device, and the same event of another device is not."""
    mine = record("process", "sha1")
    others = {**mine, "DeviceId": OTHER, "DeviceName": "pc-10.contoso.example", "ReportId": 6}
    assert report_ids(clues_of("process", "sha1", host=host), mine, others) == ["20776"]


def test_a_registry_value_is_found_by_its_key_and_name_in_one_text() -> None:
    """Sysmon writes the value's name behind its key; other values of the key are not looked at."""
    clues = replace(clues_of("registry"), registry_key=r"HKLM\Software\Contoso\Run\Evil")
    mine = {**record("registry", "registry_key"), "RegistryValueName": "evil"}
    assert report_ids(clues, mine, {**mine, "RegistryValueName": "Good", "ReportId": 5}) == ["20776"]


def test_all_tables_at_once_are_one_query() -> None:
    """A report id alone is looked for in every table, within the longest query."""
    clues = Clues(hosts=(HOSTS["id"],), when=WHEN, report_id="20776")
    events = [record(kind, "report_id") for kind in tables.TABLES]
    assert report_ids(clues, *events) == ["20776"] * len(tables.TABLES)
    [checked] = hunting.check([built(clues).text])
    assert checked.errors == ()


def test_a_table_that_the_tenant_has_not_is_left_out() -> None:
    """A search goes on in the other tables, and is none where there is no other."""
    clues = Clues(hosts=(HOSTS["id"],), when=WHEN, sha1=VALUES["sha1"])
    left = query.build(clues, without={"DeviceImageLoadEvents"})
    assert left is not None
    assert "DeviceImageLoadEvents" not in left.text
    assert "DeviceFileEvents" in left.text
    assert query.build(clues_of("process", "sha1"), without={"DeviceProcessEvents"}) is None


@pytest.mark.parametrize(
    ("clues", "why"),
    [
        (Clues(when=WHEN, sha1="c" * 40), "no device"),
        (Clues(hosts=(HOSTS["name"],), sha1="c" * 40), "no time"),
        (Clues(hosts=(HOSTS["name"],), when=WHEN), "no fact"),
        (Clues(hosts=(HOSTS["name"],), when=WHEN, sha1="  ", kinds=("process",)), "a blank fact"),
        (
            Clues(hosts=(HOSTS["name"],), when=When(AT, AT + 4_000 * SECOND, 1, own=True), sha1="c"),
            "an hour and more",
        ),
    ],
)
def test_without_a_device_a_time_or_a_fact_nothing_is_asked(clues: Clues, why: str) -> None:
    """A query that could only find anything is not made."""
    assert query.build(clues) is None


def test_the_span_is_set_and_narrow() -> None:
    """An event is looked for two minutes around its own time with a fraction, else fifteen, and half of it if asked."""
    clues = clues_of("process", "sha1")
    late = {**record("process", "sha1", 7), "Timestamp": "2026-03-04T05:09:07.89"}
    later = {**record("process", "sha1", 8), "Timestamp": "2026-03-04T05:22:07.89"}
    coarse = replace(clues, when=When(AT, AT, SECOND, own=True))
    assert report_ids(clues, record("process", "sha1"), late, later) == ["20776"]
    assert report_ids(coarse, record("process", "sha1"), late, later) == ["20776", "7"]
    assert built(clues).timespan == "2026-02-25T05:06:07.8900000Z/2026-03-05T05:06:07.8900000Z"
    half = query.build(clues, half=True)
    assert half is not None
    assert "let To = datetime(2026-03-04T05:07:07.8900001Z)" in half.text


def test_a_name_is_looked_for_in_the_minute_of_its_time_only() -> None:
    """Names are common: without another fact an event is looked at within a minute of the event's own time."""
    clues = clues_of("process", "file_name")
    late = {**record("process", "file_name", 7), "Timestamp": "2026-03-04T05:07:30"}
    assert report_ids(clues, record("process", "file_name"), late) == ["20776"]
    assert query.build(replace(clues, when=When(AT, AT, 1, own=False))) is None


def test_rows_are_capped_and_the_nearest_come_first() -> None:
    """Of too many events the nearest come, and one more than a search looks at, so that it is seen."""
    events = [
        {**record("process", "sha1", number), "Timestamp": f"2026-03-04T05:07:{number:02}"}
        for number in range(40)
    ]
    assert report_ids(clues_of("process", "sha1"), *reversed(events)) == [
        str(number) for number in range(query.ROWS + 1)
    ]


def test_a_long_text_comes_cut() -> None:
    """Rows bring 4,096 characters of a command line, and it is found by its beginning."""
    long = "tool.exe " + "x" * 9_000
    clues = replace(clues_of("process"), command_line=long)
    hunting.clear(tenant())
    tenant().add([{**record("process", "report_id"), "ProcessCommandLine": long}])
    [row] = hunting.run(tenant(), built(clues))
    assert row["CommandLine"] == long[: facts.LONGEST_TEXT]


def hostile_clues(kind: Kind, value: str) -> Clues:
    """Return clues in which every fact, and the device, is one value."""
    texts: dict[str, Any] = {
        fact: value for fact in FACTS if fact not in ("process_id", "report_id", "outcome")
    }
    return replace(Clues(), hosts=(Host("name", value),), when=WHEN, kinds=(kind,), **texts, process_id="1")


def assert_values_are_only_literals(clues: list[Clues]) -> None:
    """Check that queries keep their meaning: with each text replaced by a harmless one the rest parses the same."""
    queries = [built(hostile).text for hostile in clues]
    harmless = []
    for text in queries:
        statements = text.split(";\n")
        texts = [line for line in statements if line.startswith("let Text")]
        harmless.append(
            ";\n".join([f'let Text{n} = "x"' for n in range(len(texts))] + statements[len(texts) :])
        )
    read = zip(queries, hunting.check(queries), hunting.check(harmless), strict=True)
    for text, checked, plain in read:
        assert text.isascii()
        assert len(text) <= query.MAX_QUERY
        assert checked.errors == plain.errors == ()
        assert checked.statements == 1
        assert (checked.shape, checked.tables) == (plain.shape, plain.tables)


@pytest.mark.slow
def test_hostile_values_change_no_query() -> None:
    """Quotes, KQL, control signs and long texts, in every fact and as the device, are literals and nothing else."""
    assert_values_are_only_literals(
        [hostile_clues(kind, value) for kind in tables.TABLES for value in HOSTILE]
    )


def test_text_that_is_written_into_kql_as_it_is_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above has a value for this carelessness: with it a query means something else."""
    monkeypatch.setattr(
        query.Texts, "name", lambda self, text: self.setdefault(f'"{text}"', f"Text{len(self)}")
    )
    with pytest.raises(AssertionError):
        assert_values_are_only_literals([hostile_clues("process", '"; DeviceInfo | take 5; print "')])


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=10, max_size=20))
def test_no_value_changes_a_query(values: list[str]) -> None:
    """Whatever a payload holds, its values are literals and nothing else."""
    kinds: tuple[Kind, ...] = ("process", "logon", "registry")
    assert_values_are_only_literals(
        [hostile_clues(kind, value) for kind, value in zip(itertools.cycle(kinds), values, strict=False)]
    )


@pytest.mark.parametrize(
    "value", ['"', "\\", '"; DeviceInfo | take 5; print "', "a\n| union b", "*", "é\U0001f600", "\x1b"]
)
def test_a_hostile_value_finds_itself_alone(value: str) -> None:
    """A query with a hostile value finds the event that has it, and no other."""
    clues = replace(clues_of("process"), command_line=value)
    mine = {**record("process", "report_id"), "ProcessCommandLine": value}
    other = {**record("process", "report_id", 5), "ProcessCommandLine": "harmless"}
    assert report_ids(clues, mine, other) == ["20776"]


@pytest.mark.parametrize("value", ['" or true', "A" * 40, "a" * 39, f"{DEVICE}\n", ""])
def test_an_id_of_another_form_is_no_id(value: str) -> None:
    """What stands in a query as an id has the form of one."""
    with pytest.raises(ValueError, match="no id"):
        query.build(replace(clues_of("process", "sha1"), hosts=(Host("id", value),)))
