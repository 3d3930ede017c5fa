"""What is left of a reference finds its event: the right one or an honest no, never another one."""

from dataclasses import replace
from random import Random

import pytest

from shared.payload.clues import SECOND, Clues, Host, When
from shared.search import devices, facts, query, tables, verdict
from tests.checks import hunting, worlds

SEEDS = range(600)
ENGINE_SEEDS = range(12)
AGES = (5, 60, 300, 700, 4_000)


def made(seed: int, unit: int = 1) -> worlds.World:
    """Return a world in which what is left of the right event's reference is asked for, with its decoys.

    Report ids come again: minutes away on the same device, at the same time on another one; other events have the
    time to all but the last digit, or all of it. The right one may not be searchable while it is young. `unit` is how
    many ticks an engine can tell apart.
    """
    random = Random(seed)
    world = worlds.made(seed)
    right = replace(world.right, at=world.right.at + random.choice([0, 3, 123, 1_001]) * unit)
    again = random.choice([3, 20, 90, 500, 800]) * random.choice([-1, 1]) * SECOND
    other = f"{random.getrandbits(160):040x}"
    nearly = random.choice([-9, 7, 500, 20_000]) * unit
    decoys = [
        replace(right, at=right.at + again, searchable=True),
        replace(right, device=other, name="pc-2.contoso.example", searchable=True),
        replace(
            right,
            at=right.at + nearly,
            report=77,
            action=random.choice(["Other", right.action]),
            searchable=True,
        ),
    ]
    chosen = random.sample(decoys, random.randrange(len(decoys) + 1))
    same_time = replace(right, report=78, action="Other", searchable=True)
    chosen += [same_time] if random.random() < 0.2 else []
    age = random.choice(AGES)
    world.right = replace(right, searchable=age >= verdict.YOUNG or random.random() < 0.6)
    world.events = [event for event in world.events if event.report != right.report] + [world.right, *chosen]
    world.clues, world.age = left(random, right), age
    return world


def left(random: Random, right: worlds.Event) -> Clues:
    """Return the clues that a lossy reference of an event leaves."""
    hosts = (Host("id", right.device),)
    step = random.choice([1, 10_000, SECOND])
    written = right.at - right.at % step
    when = When(written, written, step, own=True)
    if step == 1:
        return Clues(hosts, when, event_time=query.iso(right.at))
    return Clues(hosts, when, report_id=str(right.report))


def searched(world: worlds.World) -> list[facts.Row]:
    """Return the rows that a search brings: those of every table that have the report id, or nearly the time."""
    when, clues = world.clues.when, world.clues
    assert when is not None
    around = (query._NEAR if when.step < SECOND else query._AROUND) * SECOND
    exact = devices.moment(clues.event_time)
    events = [event for event in world.events if event.searchable and event.device == clues.hosts[0].value]
    known: facts.Row = {"Row": "device", "DeviceId": clues.hosts[0].value, "DeviceName": world.right.name}
    return [known] + [
        event.row()
        for event in events
        if abs(when.apart(event.at)) <= around
        and (abs(event.at - exact) <= 10_000 if exact is not None else str(event.report) == clues.report_id)
    ]


def outcome(world: worlds.World, rows: list[facts.Row]) -> str:
    """Return what the verdict is: right, wrong, or the honest no."""
    judged = verdict.judge(world.clues, rows, age=world.age)
    if judged.match is None:
        return judged.outcome
    row, right = judged.match.row, world.right
    same = (row["DeviceId"], row["Timestamp"], row["ReportId"], row["ActionType"])
    return (
        "right" if same == (right.device, query.iso(right.at), str(right.report), right.action) else "wrong"
    )


def test_what_is_left_of_a_reference_finds_the_right_event_or_none() -> None:
    """With a report id that comes again, times a tick apart and events that are not searchable yet, none is wrong."""
    outcomes = [outcome(world, searched(world)) for world in map(made, SEEDS)]
    assert "wrong" not in outcomes
    assert outcomes.count("right") > len(SEEDS) // 2


@pytest.mark.parametrize("name", ["_is_near", "_surely"])
def test_a_careless_verdict_takes_another_event(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worlds have a decoy for a report id that is believed anywhere, and for an event that is not awaited."""
    monkeypatch.setattr(verdict, name, lambda *_: True)
    assert "wrong" in [outcome(world, searched(world)) for world in map(made, SEEDS)]


def test_a_time_that_is_not_compared_to_the_last_digit_loses_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event a few ticks away hides the right one, if it counts as one that has the time."""
    careful = [outcome(world, searched(world)) for world in map(made, SEEDS)]
    careless = {**facts._COMPARE, "event_time": lambda _clue, _row: True}
    monkeypatch.setattr(facts, "_COMPARE", careless)
    judged = [outcome(world, searched(world)) for world in map(made, SEEDS)]
    assert ("right", "ambiguous") in zip(careful, judged, strict=True)


@pytest.mark.parametrize("seed", ENGINE_SEEDS)
def test_the_query_brings_the_event(seed: int) -> None:
    """Run for real, the query finds what the verdict needs: the outcome is as by all rows there are."""
    world = made(seed, unit=10)
    asked = query.build(world.clues)
    assert asked is not None
    assert outcome(world, list(hunting.run(hunting.Tenant(world.records()), asked))) == outcome(
        world, searched(world)
    )


def test_an_exact_time_alone_is_looked_for_in_every_table() -> None:
    """Microsoft's parser takes the query, and each table is asked for the time, to the millisecond around it."""
    time = "2026-03-04T05:06:07.8912345Z"
    moment = devices.moment(time) or 0
    clues = Clues((Host("id", "a" * 40),), When(moment, moment, 1, own=True), event_time=time)
    asked = query.build(clues)
    assert asked is not None
    assert all(table in asked.text for table, _ in tables.TABLES.values())
    assert asked.text.count("between (datetime(2026-03-04T05:06:07.8902345Z)") == len(tables.TABLES)
    [checked] = hunting.check([asked.text])
    assert checked.errors == ()


def test_a_report_id_counts_only_at_the_events_own_time() -> None:
    """Where the time is another's, a report id names no event, and still excludes those that have a different one."""
    row = {"ReportId": "7", "Timestamp": "2026-03-04T05:06:07.0000000Z"}
    moment = devices.moment(row["Timestamp"]) or 0
    for own in (True, False):
        clues = Clues(when=When(moment, moment, SECOND, own=own), report_id="7")
        compared = facts.compare(clues, row)
        assert ("report_id" in facts.strong(clues, compared, row)) is own
        assert facts.compare(replace(clues, report_id="8"), row).differ == {"report_id"}


@pytest.mark.parametrize(
    ("time", "same"),
    [("2026-03-04T05:06:07.8912345Z", True), ("2026-03-04T05:06:07.8912346Z", False)],
)
def test_an_exact_time_is_compared_to_the_last_digit(time: str, same: bool) -> None:
    """An event a tick away is another one."""
    compared = facts.compare(Clues(event_time=time), {"Timestamp": "2026-03-04T05:06:07.8912345Z"})
    assert ("event_time" in compared.agree) is same
    assert ("event_time" in compared.differ) is not same
