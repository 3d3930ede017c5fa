"""What a dry run and `make map` show of an event without a whole reference: its clues, what was lost, the query."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dev import map as shows
from shared.errors import UnmappedError
from shared.ledger import keys, rows
from shared.mapping import mappings as mapping
from shared.mapping.outcome import Evidence, Outcome
from shared.payload import body as payload
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import SECOND, Clues, Host, When
from shared.search import devices
from shared.settings import Settings
from shared.web import delivery, evidence
from tests.checks import virtual
from tests.checks.contract import Contract
from tests.checks.virtual import ORIGIN, Defender, World

AT = devices.moment("2026-07-19T14:55:51.5810000Z") or 0
MACHINE = "3d583074bdc1fb8ec27a43da2c777b684b0f535b"
NOTABLE = {
    "sid": "scheduler__1",
    "search_name": "Rundll32",
    "result": {"host": "pc-1", "UtcTime": "2026-07-19 14:55:51.581", "CommandLine": "a.exe /x"},
}
CUT = {"DeviceId": MACHINE, "Timestamp": "2026-07-19T14:55:51Z", "ReportId": "20776", "title": "T"}
OURS = mapping.load()
SCHEMAS = "#/components/schemas"


def apply(value: Any) -> Outcome:
    """Map a value as it would arrive."""
    documents = payload.read(json.dumps(value).encode(), max_bytes=1_048_576)
    return OURS.apply(documents, source=None, defaults={}, max_alerts=100, clues=True)


def listed(clues: Clues, **places: str) -> list[tuple[str, str, str]]:
    """Return clues as they are shown."""
    return [(clue["name"], clue["value"], clue["place"]) for clue in evidence.clues(ClueScan(clues, places))]


def test_a_dry_run_of_a_refused_payload_shows_the_clues_and_the_query() -> None:
    """Each clue has its name, its value and the path where it was read; the query names the device and the facts."""
    error = delivery.unmapped(apply(NOTABLE), dry=True)
    assert isinstance(error, UnmappedError)
    [refused] = error.extensions["refused"]
    assert refused["clues"] == [
        {"name": "device", "value": "pc-1", "place": "result.host"},
        {"name": "time", "value": "2026-07-19T14:55:51.581Z", "place": "result.UtcTime"},
        {"name": "commandLine", "value": "a.exe /x", "place": "result.CommandLine"},
    ]
    assert '"pc-1"' in refused["query"]
    assert '"a.exe /x"' in refused["query"]
    assert refused["lost"] == []
    assert Contract.read().schema_breaches(f"{SCHEMAS}/RefusedEvent", refused) == []


def test_a_post_that_is_not_dry_shows_none() -> None:
    """What is stored of a refused payload, and answered, is what it was: problems and remedy only."""
    [refused] = delivery.unmapped(apply(NOTABLE)).extensions["refused"]
    assert set(refused) == {"event", "problems", "remedy"}
    assert all(
        set(event) == {"event", "problems", "remedy"}
        for event in delivery.refused_events(apply(NOTABLE).refused)
    )


def test_a_dry_run_says_what_a_reference_lost() -> None:
    """An alert with a cut time says so, and by what its event could be found; a whole one does not."""
    document = json.loads(
        delivery.valid(apply([CUT, {**CUT, "Timestamp": "2026-07-19T14:55:51.5813247Z"}])).body
    )
    cut, whole = document["alerts"]
    assert "was cut to seconds" in cut["lost"][0]
    assert [clue["name"] for clue in cut["clues"]] == ["device", "time", "reportId"]
    assert "ReportId == 20776" in cut["query"]
    assert not {"lost", "clues", "query"} & set(whole)
    assert Contract.read().schema_breaches(f"{SCHEMAS}/DryRun", document) == []


def test_a_refused_part_of_a_dry_run_shows_its_clues() -> None:
    """Beside an alert that is valid, the refused events show by what they could be found."""
    document = json.loads(delivery.valid(apply([CUT, NOTABLE])).body)
    [refused] = document["refused"]
    assert refused["clues"]
    assert Contract.read().schema_breaches(f"{SCHEMAS}/DryRun", document) == []


@pytest.mark.parametrize("dry", [{"dryRun": "true"}, {}])
def test_only_a_dry_run_shows_clues_and_it_hunts_and_stores_nothing(dry: dict[str, str]) -> None:
    """Posted, the same payload is refused and stored with its problems alone, as any other is."""
    world = World()
    defender = Defender(world)
    host = virtual.Host(world, arrive=defender)
    webhook = host.webhook(Settings())
    answer = host.ask(lambda: webhook.receive(json.dumps(NOTABLE).encode(), dry, ORIGIN))
    world.run(60)
    [refused] = json.loads(answer.result(timeout=0).body)["refused"]
    stored = world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert defender.arrivals == []
    assert ("clues" in refused, len(stored)) == ((True, 0) if dry else (False, 1))
    assert not stored or "clues" not in str(rows.read_refused(stored[0]).refused)


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        (When(AT, AT, 1, own=True), "2026-07-19T14:55:51.5810000Z"),
        (When(AT, AT, 10_000, own=True), "2026-07-19T14:55:51.581Z"),
        (When(AT, AT, SECOND // 10, own=True), "2026-07-19T14:55:51.5Z"),
        (When(AT - AT % SECOND, AT - AT % SECOND, SECOND, own=False), "2026-07-19T14:55:51Z"),
        (When(AT, AT + SECOND, 10_000, own=False), "2026-07-19T14:55:51.581Z/2026-07-19T14:55:52.581Z"),
    ],
)
def test_a_time_is_shown_with_the_digits_it_has(when: When, shown: str) -> None:
    """Nobody reads a precision into a time that it does not have."""
    assert listed(Clues(when=when), when="at") == [("time", shown, "at")]


def test_both_ends_of_a_connection_have_their_own_places() -> None:
    """Of two devices that can have the event each is shown where it was read."""
    hosts = (Host("name", "pc-1"), Host("address", "10.0.0.5"))
    assert listed(Clues(hosts=hosts), hosts="src, dest.ip") == [
        ("device", "pc-1", "src"),
        ("device", "10.0.0.5", "dest.ip"),
    ]


def test_a_long_text_is_shortened_in_the_answer_only() -> None:
    """A command line of thousands of characters does not fill the answer; the query has its beginning."""
    clues = Clues((Host("id", MACHINE),), When(AT, AT, 1, own=True), command_line="x" * 5_000)
    shown = evidence.shown(Evidence(ClueScan(clues, {})))
    [text] = [clue["value"] for clue in shown["clues"] if clue["name"] == "commandLine"]
    assert len(text) <= evidence._LONGEST
    assert text.endswith("…")
    assert "x" * 150 in shown["query"]


@pytest.mark.parametrize(
    ("clues", "says"),
    [
        (Clues(), "no device"),
        (Clues(hosts=(Host("name", "pc-1"),)), "no time"),
        (Clues(hosts=(Host("name", "pc-1"),), when=When(AT, AT, 1, own=True)), "nothing that distinguishes"),
    ],
)
def test_where_there_is_no_query_it_is_said_why(clues: Clues, says: str) -> None:
    """The clues are shown even where they do not suffice; `make map` says what is missing."""
    assert evidence.shown(Evidence(ClueScan(clues, {})))["query"] is None
    assert says in evidence.missing(ClueScan(clues, {}))


@pytest.mark.parametrize(
    "text", ["0001-01-02T00:00:00Z", "1601-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"]
)
def test_a_time_for_never_asks_nothing(text: str) -> None:
    """A clock that was never set is no time to look at, and no error."""
    [refused] = delivery.refused_events(apply({**CUT, "Timestamp": text, "ReportId": "no"}).refused, dry=True)
    assert refused["query"] is None
    [alert] = json.loads(delivery.valid(apply({**CUT, "Timestamp": text[:19] + "Z"})).body)["alerts"]
    assert alert["query"] is None


def printed(tmp_path: Path, value: Any) -> str:
    """Return what `make map` prints of a payload."""
    (tmp_path / "payload.json").write_text(json.dumps(value), "utf-8")
    with (tmp_path / "out").open("w", encoding="utf-8") as out:
        console = Console(file=out, highlight=False, width=200, color_system=None)
        shows.main([str(tmp_path / "payload.json")], {}, console)
    return (tmp_path / "out").read_text("utf-8")


def test_make_map_shows_the_clues_and_the_query(tmp_path: Path) -> None:
    """Clues stand with their places, then the KQL; without one it says what is missing."""
    text = printed(tmp_path, NOTABLE)
    assert any(line.split() == ["device", "pc-1", "←", "result.host"] for line in text.splitlines())
    assert "union Events, Devices" in text
    assert "no query  the payload names no device" in printed(tmp_path, {"sid": "s", "search_name": "x"})


def test_make_map_says_what_a_reference_lost(tmp_path: Path) -> None:
    """A cut time is noted beside the alert that would be sent."""
    assert "lost  eventTime: 2026-07-19T14:55:51Z was cut to seconds" in printed(tmp_path, CUT)
    assert "lost" not in printed(tmp_path, {**CUT, "Timestamp": "2026-07-19T14:55:51.5813247Z"})
