"""The verdict: the right event or an honest no, never another one."""

from collections import Counter
from collections.abc import Sequence

import pytest

from shared.payload import clue_scan
from shared.payload.clues import FACTS, SECOND, Clues, When
from shared.payload.paths import Node
from shared.payload.reader import Reader
from shared.search import devices, facts, query, tables, verdict
from tests.checks import hunting, worlds

SEEDS = 6_000
ENGINE_SEEDS = 40


def rows_of(world: worlds.World) -> list[facts.Row]:
    """Return the rows of a world as its engine brings them; none where nothing can be asked."""
    asked = query.build(world.clues)
    return list(hunting.run(hunting.Tenant(world.records()), asked)) if asked else []


def shortcut(world: worlds.World) -> list[facts.Row]:
    """Return what an engine would bring at least and more, without one: all events in time, and all devices."""
    when = world.clues.when
    assert when is not None
    around = (query._NEAR if when.own and when.step < SECOND else query._AROUND) * SECOND
    events = [
        row
        for event in world.events
        if event.searchable
        and event.kind in tables.kinds(world.clues)
        and abs(when.apart(event.at)) <= around
        for row in [event.row()]
    ]
    return [*events, *known_of(world)]


def known_of(world: worlds.World) -> list[facts.Row]:
    """Return the rows about devices that the query of a world brings."""
    [host] = world.clues.hosts
    newest: dict[tuple[str, str], dict[str, str]] = {}
    for record in world.known:
        time = str(record["Timestamp"])
        device, name = str(record["DeviceId"]), str(record["DeviceName"])
        if record["Table"] == "DeviceNetworkInfo" and host.identity == "address":
            late = (devices.moment(time) or 0) > world.clues.when.end  # type: ignore[union-attr]
            row = {
                "Row": "after" if late else "before",
                "Timestamp": time,
                "DeviceId": device,
                "DeviceName": name,
            }
            row["IPAddresses"] = str(record["IPAddresses"])
            key = (device, row["Row"])
            if key not in newest or (time > newest[key]["Timestamp"]) != late:
                newest[key] = row
        elif record["Table"] == "DeviceInfo" and host.identity != "address":
            merged = str(record["MergedToDeviceId"])
            row = newest.setdefault((device, name), {"Row": "device", "DeviceId": device, "DeviceName": name})
            row |= {"MergedToDeviceId": merged, "Since": min(row.get("Since", time), time)}
            row["Timestamp"] = max(row.get("Timestamp", time), time)
    return list(newest.values())


def outcome(world: worlds.World, rows: list[facts.Row]) -> str:
    """Return what the verdict on a world's rows is: right, wrong, or the honest no that it is."""
    judged = verdict.judge(world.clues, rows, age=world.age)
    if judged.match is None:
        assert judged.reason
        assert judged.outcome != "match"
        return judged.outcome
    assert judged.outcome == "match"
    return "right" if world.is_right(judged.match.row) else "wrong"


def test_the_right_event_or_an_honest_no_never_another_one() -> None:
    """In thousands of worlds with decoys beside every event, what is found is the event that is meant."""
    counted: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = worlds.made(seed)
        counted[ending := outcome(world, shortcut(world))] += 1
        assert ending != "wrong", f"seed {seed}"
    assert counted["right"] > SEEDS // 5
    assert min(counted["ambiguous"], counted["none"]) > SEEDS // 50


@pytest.mark.parametrize("seed", range(ENGINE_SEEDS))
def test_the_query_and_the_verdict_together_find_no_other_event(seed: int) -> None:
    """The same with the query run for real; and what the verdict finds among all events the query brings as well."""
    world = worlds.made(seed)
    rows = rows_of(world)
    ending = outcome(world, rows)
    assert ending != "wrong"
    if query.build(world.clues):
        assert ending == outcome(world, shortcut(world))


def test_a_payload_becomes_a_match() -> None:
    """From a SIEM's payload to the event: clues, query, rows and verdict, with a like event beside it."""
    payload = {
        "host": {"name": "PC-1"},
        "process": {
            "start": "2026-03-04T05:06:07.890Z",
            "command_line": "tool.exe /run",
            "hash": {"sha1": "c" * 40},
        },
    }
    clues = clue_scan.read(Node(payload, None, Reader(lambda _: None))).clues
    right = {
        "Table": "DeviceProcessEvents",
        "Timestamp": "2026-03-04T05:06:07.891234",
        "DeviceId": "a" * 40,
        "DeviceName": "pc-1.contoso.example",
        "ReportId": 2**62 + 1,
        "ActionType": "ProcessCreated",
        "SHA1": "c" * 40,
        "ProcessCommandLine": "tool.exe /run",
    }
    like = {
        **right,
        "Timestamp": "2026-03-04T05:06:27",
        "ReportId": 7,
        "ProcessCommandLine": "tool.exe /stop",
    }
    asked = query.build(clues)
    assert asked is not None
    judged = verdict.judge(clues, hunting.run(hunting.Tenant([like, right]), asked), age=4_000)
    assert judged.grade == "exact"
    assert judged.match is not None
    assert verdict.reference(judged.match.row) == {
        "machineId": "a" * 40,
        "eventTime": "2026-03-04T05:06:07.8912340Z",
        "reportId": str(2**62 + 1),
    }


def any_fact(_clues: Clues, compared: facts.Compared, _row: facts.Row) -> frozenset[str]:
    """Let every fact name an event, the name of a program too."""
    return compared.agree


def first_that_agrees(_when: When, candidates: Sequence[verdict.Candidate]) -> verdict.Verdict:
    """Take the first of several events that have a fact."""
    having = [
        candidate for candidate in candidates if candidate.agree & facts.STRONG and not candidate.differ
    ]
    if having:
        return verdict.Verdict("match", grade="exact", match=having[0])
    return verdict.Verdict("none", "none")


def nearest_of_all(_when: When, candidates: Sequence[verdict.Candidate]) -> verdict.Verdict:
    """Take the nearest event, whatever it is."""
    if not candidates:
        return verdict.Verdict("none", "none")
    return verdict.Verdict(
        "match", grade="exact", match=min(candidates, key=lambda candidate: abs(candidate.apart))
    )


def first_twin(_when: When, twins: Sequence[facts.Row]) -> facts.Row:
    """Take the first of twins instead of the nearest."""
    return min(twins, key=lambda row: row.get("Timestamp") or "")


def any_name(_name: str, row: facts.Row) -> bool:
    """Take a device whose name only contains the one that is looked for."""
    return _name.lower() in (row.get("DeviceName") or "").lower()


def any_old_row(row: str, _pick: str, _span: str, address: str) -> str:
    """Ask for any row with an address, however old."""
    return (
        f"(DeviceNetworkInfo\n| where IPAddresses contains {address}"
        f'\n| project Row = "{row}", DeviceId, DeviceName, IPAddresses, Timestamp = tostring(Timestamp))'
    )


def all_events(_host: object, _when: When, _known: object, events: Sequence[facts.Row]) -> devices.Device:
    """Take the events of every device that the query brought."""
    return devices.Device("one", events=tuple(events))


CARELESS: dict[str, list[tuple[object, str, object]]] = {
    "no strong fact is needed": [
        (facts, "STRONG", frozenset(FACTS)),
        (facts, "strong", any_fact),
        (verdict, "_chosen", first_that_agrees),
    ],
    "no check for ambiguity": [(verdict, "_chosen", first_that_agrees)],
    "a contradicting fact is ignored": [(facts, "contradicts", lambda compared, row: frozenset())],
    "the nearest event, whatever it is": [(verdict, "_chosen", nearest_of_all)],
    "the first twin instead of the nearest": [(verdict, "_nearest", first_twin)],
    "a young event is taken at once": [(verdict, "YOUNG", 0)],
    "a time with a fraction is not believed": [(verdict, "_is_near", lambda when, other: True)],
}
LOSING: dict[str, list[tuple[object, str, object]]] = {
    "names by contains": [
        (query, "_named", lambda name, texts: f"DeviceName contains {texts.name(name)}"),
        (devices, "has_name", any_name),
    ],
    "a window of a day": [(query, "_NEAR", 86_400), (query, "_AROUND", 86_400)],
    "any old row with the address": [
        (query, "_holders", any_old_row),
        (devices, "_is_fresh", lambda *_: True),
    ],
    "a raw time": [(query, "_REFERENCE", query._REFERENCE.replace("tostring(Timestamp)", "Timestamp"))],
}


@pytest.mark.parametrize("carelessness", CARELESS)
def test_a_careless_verdict_finds_another_event(carelessness: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worlds have a decoy for each carelessness of a verdict: with it another event is found."""
    for owner, name, value in CARELESS[carelessness]:
        monkeypatch.setattr(owner, name, value)
    made = map(worlds.made, range(SEEDS))
    assert any(outcome(world, shortcut(world)) == "wrong" for world in made)


@pytest.mark.parametrize("carelessness", LOSING)
def test_a_careless_query_loses_the_event(carelessness: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worlds have a trap for each carelessness of a query: the right event is missed, or another found."""

    def is_caught(seed: int) -> bool:
        world = worlds.made(seed)
        if outcome(world, shortcut(world)) != "right":
            return False
        with monkeypatch.context() as patched:
            for owner, name, value in LOSING[carelessness]:
                patched.setattr(owner, name, value)
            return outcome(world, rows_of(world)) != "right"

    assert any(map(is_caught, range(SEEDS)))


def test_the_events_of_another_device_are_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same event on a like device is found, or hides the right one, if nobody asks for the device."""
    careful = [outcome(world, shortcut(world)) for world in map(worlds.made, range(500))]
    monkeypatch.setattr(devices, "resolve", all_events)
    careless = [outcome(world, shortcut(world)) for world in map(worlds.made, range(500))]
    assert "wrong" in careless
    assert ("right", "ambiguous") in zip(careful, careless, strict=True)
