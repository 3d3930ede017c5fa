"""Rows that cannot be read: they stop no other, they are found again, and health tells while nobody moves them."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from dev import samples
from shared.alerts import alert
from shared.errors import NotFound, NotNow, TableRefused
from shared.ledger import aside, backlog, keys, record, rows
from shared.operations import replay
from shared.table.protocol import Delete, Insert, Replace, Row
from tests.checks.app import App
from tests.checks.sound import unsound
from tests.checks.strict_table import StrictTable
from tests.checks.virtual import EPOCH, Defender, Faults, Host, World

QUICK = Faults(table_delay=(0.005, 0.02), call_delay=(0.05, 0.2), answer_delay=(0.05, 0.2))


def _payload(event: int) -> dict[str, Any]:
    return samples.eight_fields(samples.event(event), f"Rule {event}", "High")


def _entry(event: int, now: float) -> record.Entry:
    made = alert.check(_payload(event)).alert
    assert made
    return record.accept(made, source="defender", delivery="before", now=now)


def _app(world: World, defender: Defender) -> App:
    return App.on(Host(world, QUICK, arrive=defender))


def _spoil(world: World, key: str, **values: Any) -> None:
    row = world.table.get(key)
    assert row
    world.table.commit([Replace(key, {**row.values, **values}, row.etag)])


def _moved(world: World) -> list[aside.Aside]:
    return [aside.read(row) for row in world.table.query(keys.ASIDE, keys.ASIDE_END)]


@pytest.mark.parametrize("count", [16, 600])
@pytest.mark.parametrize("prefix", [keys.TODO, keys.LATER])
def test_what_cannot_be_read_does_not_stop_what_can(
    count: int, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However many such rows stand at the head, one tick sends all that wait behind, and moves them aside."""
    world = World()
    defender = Defender(world)
    for number in range(count):
        world.table.commit([Insert(f"{prefix}{number:014.3f}-x", {"due": 0.0, "title": f"T{number}"})])
    for event in range(15):
        world.table.commit(rows.insert(_entry(event, world.now)))
    with caplog.at_level(logging.WARNING, "defender-alert-webhook"):
        world.finish(_app(world, defender).tick())
    assert len(defender.arrivals) == 15
    assert {row.key for row in _moved(world)} == {f"{prefix}{number:014.3f}-x" for number in range(count)}
    lines = [json.loads(line.getMessage()) for line in caplog.records]
    assert [line["step"] for line in lines] == ["row moved aside"] * count
    assert unsound(world.table) == []


def test_health_tells_of_rows_that_nobody_moves() -> None:
    """Such rows in the way for longer than a few ticks mean that no dispatcher works."""
    world = World()
    app = _app(world, Defender(world))
    for prefix in (keys.TODO, keys.LATER):
        key = f"{prefix}{world.now:014.3f}-x"
        world.table.commit([Insert(key, {"title": "T"})])
        assert world.finish(app.health()).status == 200
        world.run(301 + 301)
        assert world.finish(app.health()).status == 503
        world.finish(app.tick())
        world.run(301)
        assert world.finish(app.health()).status == 200


def test_one_known_alert_that_cannot_be_read_does_not_take_the_rest_along() -> None:
    """Its row is moved aside and it is accepted again; every alert of the delivery is answered for."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    world.finish(app.post(_payload(1)))
    known = _entry(1, world.now).alert.id
    _spoil(world, keys.alert_key(known), attempts="many")
    reply = world.finish(app.post([_payload(1), _payload(2)]))
    assert [item["status"] for item in json.loads(reply.body)["alerts"]] == ["created", "created"]
    assert sorted(arrival.body["title"] for arrival in defender.arrivals) == ["Rule 1", "Rule 1", "Rule 2"]
    (moved,) = _moved(world)
    assert (moved.key, moved.column) == (keys.alert_key(known), "attempts")
    assert unsound(world.table) == []


def test_a_single_known_alert_that_cannot_be_read_is_accepted_anew() -> None:
    """The straight way meets it as well: no 500, and one call."""
    world = World()
    defender = Defender(world)
    app = _app(world, defender)
    world.finish(app.post(_payload(1)))
    _spoil(world, keys.alert_key(_entry(1, world.now).alert.id), state=7)
    assert world.finish(app.post(_payload(1))).status == 200
    assert len(defender.arrivals) == 2


def test_a_delivery_answers_for_the_alerts_that_can_be_read() -> None:
    """Its status shows them, and names the one that cannot be read as refused, not as created."""
    world = World()
    app = _app(world, Defender(world))
    posted = json.loads(world.finish(app.post([_payload(1), _payload(2)])).body)
    _spoil(world, keys.alert_key(posted["alerts"][1]["id"]), tries="no JSON")
    reply = world.finish(app.status(posted["id"]))
    document = json.loads(reply.body)
    assert (reply.status, document["status"]) == (200, "partial")
    assert [item["id"] for item in document["alerts"]] == [posted["alerts"][0]["id"]]
    (refused,) = document["refused"]
    assert refused["event"] == 1
    assert "'tries'" in refused["problems"][0]["detail"]


def test_the_failed_are_replayed_past_rows_that_cannot_be_read() -> None:
    """They stand at the head of the failed: they are passed by, and moved aside."""
    entry = _entry(1, EPOCH)
    failed = replace(entry, state="failed", waits="", ended=EPOCH)
    world = World()
    app = _app(world, Defender(world))
    world.table.commit([Insert(f"{keys.FAILED}0-{number}", {"title": "T"}) for number in range(3)])
    world.table.commit(rows.insert(entry))
    world.table.commit(rows.move(entry, failed, waiting="*"))
    assert world.finish(app.host.submit(lambda: replay.failed(app.webhook.dispatcher, 1).replayed)) == 1
    assert world.table.query(keys.FAILED, keys.FAILED_END) == []
    assert len(_moved(world)) == 3


def _table(*spoilt: str) -> tuple[StrictTable, list[Row]]:
    table = StrictTable(clock=lambda: EPOCH)
    for key in spoilt:
        table.commit([Insert(key, {"title": "T", "n": 7, "b": b"\0"})])
    return table, table.query("", "~")


def test_a_row_moved_aside_is_whole() -> None:
    """It keeps all its properties, and says where it stood, what is wrong with it and when it was moved."""
    table, spoilt = _table("todo-0")
    assert aside.move(table, spoilt) == 1
    (row,) = table.query("", "~")
    assert {name: row.values[name] for name in ("title", "n", "b")} == {"title": "T", "n": 7, "b": b"\0"}
    moved = aside.read(row)
    assert (moved.key, moved.column, moved.at) == ("todo-0", "machineId", EPOCH)
    assert row.key == keys.ASIDE + moved.id
    assert aside.read(Row("aside-1", {}, "", 1.0)).key == ""


def test_what_this_version_can_read_names_no_column() -> None:
    """A row that an older version could not read is shown without a culprit."""
    entry = _entry(1, EPOCH)
    table = StrictTable(clock=lambda: EPOCH)
    table.commit(rows.insert(entry))
    waiting = table.get(entry.waits)
    assert waiting
    aside.move(table, [waiting])
    (row,) = table.query(keys.ASIDE, keys.ASIDE_END)
    assert (aside.read(row).key, aside.read(row).column) == (entry.waits, "")


def test_a_row_that_changed_meanwhile_is_left_alone() -> None:
    """Whoever corrects a row just then is not overtaken, and the others are moved all the same."""
    table, spoilt = _table("todo-0", "todo-1", "todo-2")
    table.commit([Replace("todo-1", {"title": "corrected"}, "*")])
    assert aside.move(table, spoilt) == 3
    row = table.get("todo-1")
    assert row
    assert row.values == {"title": "corrected"}
    assert len(table.query(keys.ASIDE, keys.ASIDE_END)) == 2


class Refusing(StrictTable):
    """A table that refuses to write one of the rows anew."""

    def commit(self, operations: Any) -> dict[str, str]:
        """Write, but not that row."""
        if any(
            isinstance(operation, Insert) and operation.values.get("title") == "worst"
            for operation in operations
        ):
            raise TableRefused("too large")
        return super().commit(operations)


def test_a_row_that_cannot_be_moved_keeps_no_other() -> None:
    """Where the table refuses one, the others go, and the dispatcher learns how many did."""
    table = Refusing(clock=lambda: EPOCH)
    StrictTable.commit(table, [Insert("todo-0", {"title": "worst"}), Insert("todo-1", {"title": "bad"})])
    assert aside.move(table, table.query("", "~")) == 1
    assert [row.key for row in table.query(keys.TODO, keys.TODO_END)] == ["todo-0"]
    assert aside.move(table, table.query(keys.TODO, keys.TODO_END)) == 0
    assert aside.move(table, []) == 0


def test_no_number_at_all_is_no_place_in_the_order() -> None:
    """A `due` that is no number sorts last, whatever else is there."""
    good = _entry(1, EPOCH)
    table = StrictTable(clock=lambda: EPOCH)
    table.commit(rows.insert(good))
    table.commit([Insert("todo-0", {"due": float("nan"), "accepted": float("nan")})])
    waiting = backlog.read(table.query(keys.TODO, keys.TODO_END), EPOCH, 5)
    assert [place.entry for place in waiting.waiting] == [good]
    assert [row.key for row in waiting.unreadable] == ["todo-0"]
    assert waiting.oldest == EPOCH


# Alerts are put right


def _waiting(table: StrictTable) -> list[str]:
    return [row.key for area in keys.WAITING for row in table.query(*area)]


def test_an_alert_whose_waiting_row_cannot_be_read_is_sent_all_the_same() -> None:
    """The row is moved aside, and written anew from the alert's own row: nobody has to post or replay it."""
    world = World()
    defender = Defender(world)
    entry = _entry(1, world.now)
    world.table.commit(rows.insert(entry))
    _spoil(world, entry.waits, attempts="many")
    world.finish(_app(world, defender).tick())
    assert len(defender.arrivals) == 1
    assert [moved.key for moved in _moved(world)] == [entry.waits]
    assert unsound(world.table) == []


def test_a_row_is_not_written_anew_for_an_alert_that_waits_elsewhere() -> None:
    """A copy of a waiting row that nobody can read is only moved aside: its alert is sent once."""
    entry = _entry(1, EPOCH)
    table = StrictTable(clock=lambda: EPOCH)
    table.commit(rows.insert(entry))
    copy = keys.REFERENCE.todo_key(EPOCH - 5, entry.alert.id)
    table.commit([Insert(copy, {"title": "T"})])
    row = table.get(copy)
    assert row
    assert aside.move(table, [row]) == 1
    assert _waiting(table) == [entry.waits]


def _aside(table: StrictTable, key: str) -> str:
    """Move a row aside, and return its id there."""
    row = table.get(key)
    assert row
    moved = keys.ASIDE + "0000000001.000-0000000000000001"
    table.commit([Insert(moved, {**row.values, "movedFrom": key}), Delete(key, row.etag)])
    return moved.removeprefix(keys.ASIDE)


@pytest.mark.parametrize("lost", ["waiting", "alert", "both"])
def test_a_corrected_row_is_put_back(lost: str) -> None:
    """By the operator's replay its alert waits again, in one place, whichever of its rows were lost; once."""
    entry = _entry(1, EPOCH)
    table = StrictTable(clock=lambda: EPOCH)
    table.commit(rows.insert(entry))
    if lost == "both":
        table.commit([Delete(entry.waits, "*")])
    moved = _aside(table, entry.waits if lost == "waiting" else keys.alert_key(entry.alert.id))
    again = replay.unreadable(table, moved)
    assert again
    assert (again.state, again.alert) == ("waiting", entry.alert)
    assert _waiting(table) == [again.waits]
    assert unsound(table) == []
    with pytest.raises(NotFound):
        replay.unreadable(table, moved)


@pytest.mark.parametrize("state", ["failed", "created", "discarded"])
def test_a_corrected_row_of_an_ended_alert_is_put_back_as_it_was(state: record.State) -> None:
    """It has ended: it is not sent again, and a failed one is listed again."""
    created = {"id": "da1"} if state == "created" else None
    error = {"status": 400} if state == "failed" else None
    entry = _entry(1, EPOCH)
    ended = replace(entry, state=state, waits="", ended=EPOCH, created=created, error=error)
    table = StrictTable(clock=lambda: EPOCH)
    table.commit(rows.note(ended, None))
    for key in [keys.alert_key(entry.alert.id), keys.failed_key(EPOCH, entry.alert.id)][
        : 1 + (state == "failed")
    ]:
        moved = _aside(table, key)
        assert replay.unreadable(table, moved) == ended
        assert table.query(keys.ASIDE, keys.ASIDE_END) == []
        assert unsound(table) == []


def test_a_row_that_is_not_needed_is_removed() -> None:
    """Where the alert stands and waits, its old row changes nothing."""
    entry = _entry(1, EPOCH)
    table = StrictTable(clock=lambda: EPOCH)
    table.commit(rows.insert(entry))
    moved = _aside(table, entry.waits)
    table.commit([rows.restore(entry, "*")])
    assert replay.unreadable(table, moved) == entry
    assert table.query(keys.ASIDE, keys.ASIDE_END) == []
    assert _waiting(table) == [entry.waits]


def test_a_row_that_still_cannot_be_read_stays_aside() -> None:
    """The operator learns which column of which row to correct."""
    table, spoilt = _table("todo-0")
    aside.move(table, spoilt)
    (row,) = table.query(keys.ASIDE, keys.ASIDE_END)
    with pytest.raises(NotNow, match=f"machineId.*{row.key}"):
        replay.unreadable(table, row.key.removeprefix(keys.ASIDE))
    assert len(table.query(keys.ASIDE, keys.ASIDE_END)) == 1
