"""The verdict: the right event or an honest no, never another one."""

from collections import Counter

import pytest

from shared.payload.clues import SECOND
from shared.search import devices, facts, query, tables, verdict
from tests.checks import hunting, worlds

SEEDS = 3_000
ENGINE_SEEDS = 60


def rows_of(world: worlds.World) -> list[facts.Row]:
    """Return the rows of a world as its engine brings them; none where nothing can be asked."""
    asked = query.build(world.clues)
    return list(hunting.Tenant(world.records()).run(asked)) if asked else []


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
    found: dict[tuple[str, str], dict[str, str]] = {}
    for record in world.known:
        time = f"{record['Timestamp']}0Z"
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
            if key not in found or (time > found[key]["Timestamp"]) != late:
                found[key] = row
        elif record["Table"] == "DeviceInfo" and host.identity != "address":
            merged = str(record["MergedToDeviceId"])
            row = found.setdefault((device, name), {"Row": "device", "DeviceId": device, "DeviceName": name})
            row |= {"MergedToDeviceId": merged, "Since": min(row.get("Since", time), time)}
            row["Timestamp"] = max(row.get("Timestamp", time), time)
    return list(found.values())


def outcome(world: worlds.World, rows: list[facts.Row]) -> str:
    """Return what the verdict on a world's rows is: right, wrong, or the honest no that it is."""
    said = verdict.judge(world.clues, rows, age=world.age)
    if said.match is None:
        assert said.reason
        assert said.outcome != "match"
        return said.outcome
    assert said.outcome == "match"
    return "right" if world.is_right(said.match.row) else "wrong"


def test_the_right_event_or_an_honest_no_never_another_one() -> None:
    """In thousands of worlds with decoys beside every event, what is found is the event that is meant."""
    counted: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = worlds.made(seed)
        counted[found := outcome(world, shortcut(world))] += 1
        assert found != "wrong", f"seed {seed}"
    assert counted["right"] > SEEDS // 4
    assert min(counted["ambiguous"], counted["none"]) > SEEDS // 50


@pytest.mark.parametrize("seed", range(ENGINE_SEEDS))
def test_the_query_and_the_verdict_together_find_no_other_event(seed: int) -> None:
    """The same with the query run for real; and what the verdict finds among all events the query brings as well."""
    world = worlds.made(seed)
    rows = rows_of(world)
    found = outcome(world, rows)
    assert found != "wrong"
    if query.build(world.clues):
        assert found == outcome(world, shortcut(world))
