"""Entries and their rows: what an answer makes of them, the order of the backlog, what fits a table."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev import samples
from shared.alerts import alert
from shared.alerts.alert import FIELDS, Alert
from shared.clients.answer import Answer
from shared.errors import Conflict, Unreadable
from shared.ledger import backlog, keys, record, rows, settlement
from shared.ledger.keys import Stage
from shared.ledger.record import Delivery, Entry
from shared.ledger.settlement import Rules
from shared.table.protocol import Delete, Insert, Replace, Row, Value
from tests.checks.sound import unsound
from tests.checks.strict_table import StrictTable
from tests.checks.virtual import EPOCH, answer_with

NOW = EPOCH
LEASE = 150.25
RULES = Rules()


def _entry(event: int = 1, severity: str = "High", *, now: float = NOW, **fields: Any) -> Entry:
    made = alert.check(samples.eight_fields(samples.event(event), "A rule", severity)).alert
    assert made
    return record.accept(made, source="defender", delivery="d", now=now, **fields)


def _held(entry: Entry | None = None) -> Entry:
    return record.hold(entry or _entry(), "attempt", now=NOW, lease=LEASE)


def _row(entry: Entry) -> Row:
    (operation, _) = rows.insert(replace(entry, waits=entry.waits or "none"))
    assert isinstance(operation, Insert)
    return Row(operation.key, {**operation.values, "waits": entry.waits}, "etag", NOW)


# Waiting


@pytest.mark.parametrize(("severity", "minutes"), [("High", 0), ("Medium", 240), ("Low", 1440)])
def test_an_accepted_alert_waits_in_the_order_of_its_severity(severity: str, minutes: int) -> None:
    """`due` is the acceptance plus 0 hours for High, 4 for Medium, 24 for Low, and the row's key begins with it."""
    entry = _entry(severity=severity)
    assert entry.due == NOW + minutes * 60
    assert entry.waits == f"todo-{NOW + minutes * 60:014.3f}-{entry.alert.id}"
    assert (entry.state, entry.attempts, entry.has_ended) == ("waiting", 0, False)


def test_a_taken_alert_waits_for_the_end_of_its_lease() -> None:
    """A take counts the attempt and moves the row to where a dead holder's alert comes back by itself."""
    held = _held()
    assert (held.state, held.attempt, held.attempts) == ("sending", "attempt", 1)
    assert held.waits == f"later-{NOW + LEASE:014.3f}-{held.alert.id}"
    assert held.next_attempt is None


def test_putting_back_is_as_if_nothing_had_happened() -> None:
    """A take without a call leaves the entry as it was, in its old place."""
    entry = _entry(severity="Low")
    assert record.put_back(_held(entry)) == entry


def test_the_backlog_is_in_order_of_due() -> None:
    """Most urgent first, whichever row it waits in; retries whose time has not come are left out; ties go by id."""
    due_again = settlement.settle(
        _held(_entry(1, now=NOW - 500)), answer_with(404), now=NOW - 100, rules=RULES
    )
    not_yet = settlement.settle(_held(_entry(2, now=NOW - 600)), answer_with(404), now=NOW - 10, rules=RULES)
    entries = [_entry(3, "Low"), _entry(4), _entry(5, "Medium"), _entry(6), due_again, not_yet]
    rows = sorted((_under(_row(entry), entry.waits) for entry in entries), key=lambda row: row.key)
    order = [waiting.entry for waiting in backlog.read(rows, NOW, 10).waiting]
    assert order == [
        due_again,
        *sorted([entries[1], entries[3]], key=lambda entry: entry.alert.id),
        entries[2],
        entries[0],
    ]
    assert [waiting.entry for waiting in backlog.read(rows, NOW, 2).waiting] == order[:2]
    assert not_yet in [waiting.entry for waiting in backlog.read(rows, NOW + 60, 10).waiting]


@pytest.mark.parametrize(
    "change",
    [
        {"due": "soon"},
        {"due": None},
        {"accepted": "x"},
        {"tries": "{"},
        {"tries": 7},
        {"waits": "todo-0"},
        {"title": None},
    ],
    ids=str,
)
def test_a_row_that_cannot_be_read_hides_no_other(change: dict[str, Any]) -> None:
    """A row that somebody wrote or changed by hand is named and passed over; a copy under another key as well."""
    good = [_under(_row(entry), entry.waits) for entry in (_entry(3), _entry(4))]
    bad = _under(_row(_entry(5)), _entry(5).waits)
    values = {name: value for name, value in {**bad.values, **change}.items() if value is not None}
    all_rows = [replace(bad, values=values), _under(good[0], "todo-0000000000.000-copy"), *good]
    head = backlog.read(all_rows, NOW, 2)
    assert {waiting.entry.waits for waiting in head.waiting} == {row.key for row in good}
    assert {row.key for row in head.unreadable} <= {row.key for row in all_rows[:2]}
    assert (head.count, head.oldest) == (4, NOW)
    with pytest.raises(Unreadable, match="correct or remove"):
        rows.read(all_rows[0])


def _under(row: Row, key: str) -> Row:
    """Return the same row under another key."""
    return replace(row, key=key)


@pytest.mark.parametrize("stage", [keys.REFERENCE, keys.SEARCH], ids=lambda stage: stage.name)
def test_no_prefix_sorts_among_those_of_a_snapshot(stage: Stage) -> None:
    """One query of a stage reads from `later-` to `todo.`, 31 rows: no row of another stage or kind may lie there.

    The range of the stage `reference` is that of older versions, which would take everything in it for their own.
    """
    common = {
        value
        for name, value in vars(keys).items()
        if name.isupper() and isinstance(value, str) and not value.endswith(".")
    }
    assert {
        "alert-",
        "aside-",
        "delivery-",
        "failed-",
        "kept-",
        "trial-",
        "turn-",
        "window-resumed",
    } <= common
    prefixes = common | {keys.SEARCH.prefix + prefix for prefix in common}
    first, end = stage.span(keys.LATER, keys.TODO_END)
    between = [prefix for prefix in sorted(prefixes) if first <= prefix < end]
    assert between == [
        stage.prefix + prefix
        for prefix in ("later-", "slot-", "slot-pause", "slot-stop", "slot-tables", "todo-")
    ]
    for key in (stage.pause, stage.stop, stage.slot_key(0), stage.slot_key(14)):
        assert stage.slots[0] <= key < stage.slots[1]
    waits = (stage.todo_key(NOW, "a"), stage.later_key(NOW, "a"))
    assert [first <= key < end for key, (first, end) in zip(waits, stage.waiting, strict=True)] == [
        True,
        True,
    ]
    assert all(map(keys.is_waiting_key, waits))


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=2))
def test_keys_sort_as_their_times(times: list[float]) -> None:
    """The text of a time sorts as the time itself, to the millisecond."""
    earlier, later = sorted(times)
    assert keys.stamp(earlier) <= keys.stamp(later)
    assert keys.delivery_time(earlier) <= keys.delivery_time(later)
    assert float(keys.stamp(earlier)) == pytest.approx(earlier, abs=0.0006)


# Answers


def test_created_ends_an_alert() -> None:
    """Created: ended, with Defender's alert, without an error from before."""
    failed_before = replace(_held(), error={"status": 404}, not_found=1)
    after = settlement.settle(failed_before, answer_with(200), now=NOW + 1, rules=RULES)
    assert (after.state, after.ended, after.waits, after.error) == ("created", NOW + 1, "", None)
    assert after.created == {"id": "da200", "status": "New"}


@pytest.mark.parametrize("status", [400, 405, 409, 410, 413, 415, 422])
def test_any_other_4xx_fails_an_alert(status: int) -> None:
    """A rejection is final, and stored with Defender's words."""
    after = settlement.settle(_held(), answer_with(status), now=NOW + 1, rules=RULES)
    assert (after.state, after.ended, after.waits) == ("failed", NOW + 1, "")
    assert after.error
    assert after.error["target"] == "43f4cb08"


def test_a_404_is_tried_again_as_often_as_asked() -> None:
    """After 1, 5 and 15 minutes, then it has failed; unavailable answers in between do not count."""
    entry, waits = _entry(), []
    for answer in (answer_with(404), answer_with(500), answer_with(404), answer_with(404)):
        entry = settlement.settle(_held(entry), answer, now=NOW, rules=RULES)
        assert entry.state == "waiting"
        assert entry.next_attempt
        waits.append((entry.next_attempt - NOW) / 60)
        assert entry.waits == f"later-{entry.next_attempt:014.3f}-{entry.alert.id}"
    assert waits == [1, 1, 5, 15]
    assert settlement.settle(_held(entry), answer_with(404), now=NOW, rules=RULES).state == "failed"


@pytest.mark.parametrize(
    ("fields", "rules"),
    [({"truncated": True}, RULES), ({}, Rules(not_found_retry_minutes=()))],
    ids=["truncated", "no retries"],
)
def test_a_404_can_be_final(fields: dict[str, Any], rules: Rules) -> None:
    """A time known to be truncated, or no minutes to retry after: the first 404 fails the alert."""
    after = settlement.settle(_held(_entry(**fields)), answer_with(404), now=NOW, rules=rules)
    assert after.state == "failed"


@pytest.mark.parametrize("hours", [0, 100])
def test_a_429_keeps_the_alerts_place(hours: int) -> None:
    """The pause is for everyone; the alert goes back to where it waited, however old, with the 429 as its error."""
    entry = _entry(severity="Medium")
    after = settlement.settle(
        _held(entry), answer_with(429, retry_after=60.0), now=NOW + hours * 3600, rules=RULES
    )
    assert (after.waits, after.due, after.state, after.unavailable) == (entry.waits, entry.due, "waiting", 0)
    assert after.error
    assert after.error["status"] == 429


@pytest.mark.parametrize(
    "answer",
    [
        answer_with(500),
        answer_with(503),
        answer_with(401),
        answer_with(403),
        answer_with(408),
        answer_with(502, raw=b"<html>"),
        answer_with(302, raw=b""),
    ],
    ids=lambda answer: str(answer.status),
)
def test_an_unavailable_answer_says_nothing_about_the_alert(answer: Answer) -> None:
    """It keeps its due and waits 1, 2, 4, 8, then every 15 minutes, so that the next one probes."""
    entry, waits = _entry(), []
    for _ in range(6):
        entry = settlement.settle(_held(entry), answer, now=NOW, rules=RULES)
        assert (entry.state, entry.due) == ("waiting", NOW)
        assert entry.next_attempt
        waits.append((entry.next_attempt - NOW) / 60)
    assert waits == [1, 2, 4, 8, 15, 15]


def test_it_is_given_up_in_the_end() -> None:
    """An unavailable answer is the last when GIVE_UP_HOURS lie between its tries; a replay begins anew."""
    answer, last = answer_with(500), NOW + 100 * 3600
    held = replace(_held(), unavailable=195)  # 1 + 2 + 4 + 8 + 191 * 15 minutes
    assert settlement.settle(replace(held, unavailable=194), answer, now=last, rules=RULES).state == "waiting"
    failed = settlement.settle(held, answer, now=last, rules=RULES)
    assert (failed.state, failed.ended) == ("failed", last)
    again = record.replay(failed, now=last + 10)
    assert (again.state, again.accepted, again.due, again.ended) == ("waiting", last + 10, last + 10, None)
    assert (again.not_found, again.unavailable, again.next_attempt, again.tries) == (0, 0, None, failed.tries)
    assert settlement.settle(_held(again), answer, now=last + 3600, rules=RULES).state == "waiting"


def test_a_second_success_without_an_alert_is_the_last() -> None:
    """Others between them do not count, and a replay begins anew: the operator has seen that there is no alert."""
    entry, empty = _entry(), answer_with(204, raw=b"")
    for answer in (empty, answer_with(503), answer_with(404), empty):
        assert entry.state == "waiting"
        entry = settlement.settle(_held(entry), answer, now=NOW + 1, rules=RULES)
    assert entry.state == "failed"
    again = record.replay(entry, now=NOW + 2)
    again = settlement.settle(_held(again), empty, now=NOW + 3, rules=RULES)
    assert again.state == "waiting"
    assert settlement.settle(_held(again), empty, now=NOW + 4, rules=RULES).state == "failed"


def test_the_first_and_last_tries_are_stored() -> None:
    """Of many tries the first four and the last four stay, each with what Defender said."""
    entry = _entry()
    for number in range(20):
        entry = settlement.settle(_held(entry), answer_with(500), now=NOW + number, rules=RULES)
    assert [attempt["number"] for attempt in entry.tries] == [1, 2, 3, 4, 17, 18, 19, 20]
    assert entry.tries[0] == {
        "number": 1,
        "at": NOW,
        "answer": "unavailable",
        "status": 500,
        "code": "Code500",
        "message": "It is 500.",
        "target": "43f4cb08",
        "seconds": 0.5,
    }


def test_a_discarded_alert_has_ended() -> None:
    """Discarded by the operator: no waiting row, a time of its end, and it can be replayed."""
    discarded = record.discard(_entry(), now=NOW + 5)
    assert (discarded.state, discarded.waits, discarded.ended) == ("discarded", "", NOW + 5)
    assert record.replay(discarded, now=NOW + 9).waits.startswith("todo-")


# Rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SMALL = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none(), st.booleans()), max_size=4)


TIME = st.floats(1.0, 4e9)
COUNT = st.integers(0, 100)
ENTRIES = st.builds(
    Entry,
    alert=st.builds(Alert, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT),
    state=st.sampled_from(["waiting", "sending"]),
    source=TEXT,
    delivery=TEXT,
    accepted=TIME,
    due=TIME,
    waits=TIME.map(lambda time: f"later-{keys.stamp(time)}-x"),
    time_truncated=st.booleans(),
    notes=st.lists(TEXT, max_size=3).map(tuple),
    attempt=TEXT,
    attempts=COUNT,
    tries=st.lists(SMALL, max_size=3).map(tuple),
    not_found=COUNT,
    unavailable=COUNT,
    next_attempt=st.none() | TIME,
    ended=st.none() | TIME,
    error=st.none() | SMALL,
    created=st.none() | SMALL,
    merged=st.booleans(),
    named=st.none() | TIME,
    sender=TEXT,
)


@settings(max_examples=60)
@given(entry=ENTRIES, state=st.sampled_from(["created", "failed", "discarded"]))
def test_an_entry_is_read_as_it_was_written(entry: Entry, state: record.State) -> None:
    """Whatever an entry holds comes back from its row, from the waiting row as from the alert's own."""
    table = StrictTable(clock=lambda: NOW)
    table.commit(rows.insert(entry))
    assert [rows.read(row) for row in table.query("", "~")] == [entry, entry]
    ended = replace(entry, state=state, waits="")
    table.commit(rows.note(ended, "*"))
    row = table.get(keys.alert_key(entry.alert.id))
    assert row
    assert rows.read(row) == ended


@pytest.mark.parametrize(("state", "waits"), [("waiting", ""), ("sending", ""), ("created", "todo-1-x")])
def test_a_state_that_its_waiting_row_contradicts_cannot_be_read(state: str, waits: str) -> None:
    """What waits has a waiting row, and what has ended has none: the column that names it is to blame."""
    row = _row(_entry())
    with pytest.raises(Unreadable) as caught:
        rows.read(replace(row, values={**row.values, "state": state, "waits": waits}))
    assert caught.value.column == "waits"


@settings(max_examples=20)
@given(entry=ENTRIES)
def test_a_row_without_a_column_that_has_a_default_is_read(entry: Entry) -> None:
    """A version that adds a column reads the backlog of the version before: what is missing has its default."""
    row = _row(entry)
    first = (*FIELDS, "state", "source", "delivery", "accepted", "due", "waits")
    old = replace(row, values={name: row.values[name] for name in first})
    assert rows.read(old) == Entry(
        entry.alert, entry.state, entry.source, entry.delivery, entry.accepted, entry.due, entry.waits
    )


@pytest.mark.parametrize("column", [*FIELDS, "state", "source", "delivery", "accepted", "due", "waits"])
def test_a_row_without_what_it_must_have_cannot_be_read(column: str) -> None:
    """There is no alert without its fields, and none without its place: the error names the column."""
    row = _row(_entry())
    values = {name: value for name, value in row.values.items() if name != column}
    with pytest.raises(Unreadable) as caught:
        rows.read(replace(row, values=values))
    assert (caught.value.key, caught.value.column) == (row.key, column)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("title", 7),
        ("due", "soon"),
        ("accepted", math.nan),
        ("attempts", True),
        ("merged", 1),
        ("tries", "{}"),
        ("tries", "no JSON"),
        ("created", "[1]"),
        ("error", "[" * 100_000),
        ("sender", 0.5),
    ],
)
def test_a_value_that_cannot_be_read_names_its_column(column: str, value: Any) -> None:
    """Whoever corrects a row by hand reads which of its columns is wrong."""
    row = _row(_entry())
    with pytest.raises(Unreadable) as caught:
        rows.read(replace(row, values={**row.values, column: value}))
    assert caught.value.column == column
    assert repr(column) in caught.value.detail


def test_columns_of_a_newer_version_stay() -> None:
    """While two versions run beside each other, the older one writes a row again without a loss."""
    entry = _entry()
    table = _table(entry)
    newer: dict[str, Value] = {"route": "entity", "score": 0.5}
    for row in table.query("", "~"):
        table.commit([Replace(row.key, {**row.values, **newer, "mark": "a write's own"}, row.etag)])
    (row,) = table.query(keys.TODO, keys.TODO_END)
    read = rows.read(row)
    table.commit(rows.move(read, record.hold(read, "a", now=NOW, lease=LEASE), waiting=row.etag))
    for row in table.query("", "~"):
        assert {name: row.values.get(name) for name in newer} == newer
        assert "mark" not in row.values


def test_a_delivery_is_read_as_it_was_written() -> None:
    """A delivery's alerts, duplicates, notes and refused come back; its id is of 128 random bits behind its time."""
    ids = [_entry(event).alert.id for event in range(3)]
    delivery = Delivery(
        id=keys.delivery_id(NOW),
        source=None,
        accepted=NOW,
        alerts=tuple(ids),
        notes={ids[1]: ("severity differs",)},
        duplicates=(ids[1],),
        refused=({"event": 3, "problems": [{"field": "eventTime", "detail": "missing"}]},),
        sender="0123456789",
    )
    table = StrictTable(clock=lambda: NOW)
    table.commit([rows.insert_delivery(delivery)])
    (row,) = table.query("", "~")
    assert rows.read_delivery(row) == delivery
    assert keys.is_delivery_id(delivery.id)
    assert delivery.id.startswith(keys.delivery_time(NOW))
    assert len(delivery.id.partition("-")[2]) == 32
    assert len({keys.delivery_id(NOW) for _ in range(100)}) == 100


def test_the_largest_delivery_fits() -> None:
    """A thousand alerts, all duplicates, all with notes, refused in part: the delivery's row is within the limits."""
    ids = tuple(f"{number:032x}" for number in range(1000))
    refused = tuple(
        {"event": number, "problems": [{"field": "f", "detail": "d" * 500}]} for number in range(1000)
    )
    delivery = Delivery(
        keys.delivery_id(NOW), "s", NOW, ids, dict.fromkeys(ids, ("é" * 200,) * 5), ids, refused
    )
    table = StrictTable(clock=lambda: NOW)
    table.commit([rows.insert_delivery(delivery)])
    read = rows.read_delivery(table.query("", "~")[0])
    assert (read.alerts, read.duplicates) == (ids, ids)
    assert read.notes
    assert read.refused


def test_a_refused_payload_is_read_as_it_was_written() -> None:
    """A refused payload comes back with its reasons; of a long one the first 60 KiB, and how long it was."""
    refused = record.RefusedPayload(
        id=keys.refused_id(NOW),
        at=NOW,
        source="splunk",
        status=422,
        detail="no event",
        refused=({"event": 0, "problems": []},),
        query={"source": "splunk"},
        payload=b"\xff\x00" * 50_000,
        bytes=100_000,
        sender="0123456789",
    )
    table = StrictTable(clock=lambda: NOW)
    table.commit([rows.insert_refused(refused)])
    (row,) = table.query(keys.REFUSED, keys.REFUSED_END)
    assert rows.read_refused(row) == replace(refused, payload=refused.payload[: 60 * 1024])


LONG = st.sampled_from(["x" * 40_000, "é" * 40_000, "😀" * 20_000, '"' * 40_000, "\\" * 20_000])


@settings(max_examples=30)
@given(
    created=st.dictionaries(TEXT, LONG | st.integers(), max_size=30) | st.just({"id": "x" * 50_000}),
    error=st.fixed_dictionaries({"status": st.just(500), "message": LONG, "code": LONG}),
    notes=st.lists(LONG, max_size=5),
    attempts=st.integers(1, 30),
)
def test_whatever_comes_from_outside_fits(
    created: dict[str, Any], error: dict[str, Any], notes: list[str], attempts: int
) -> None:
    """However long Defender's words and our notes are, a failed entry's rows are within the table's limits."""
    entry = replace(_held(), notes=tuple(notes), created={"id": "da1"} | created, error=error)
    entry = replace(entry, tries=({"message": "x" * 300, "at": 1.0},) * min(attempts, 8))
    table = StrictTable(clock=lambda: NOW)
    table.commit(rows.insert(entry))
    failed = replace(entry, state="failed", waits="", ended=NOW)
    table.commit(rows.move(entry, failed, waiting="*"))
    assert rows.read(table.query(keys.FAILED, keys.FAILED_END)[0]).state == "failed"


def test_of_a_large_object_the_small_members_stay() -> None:
    """Defender's alert keeps its id, and every member that fits; a hundred thousand members take no time."""
    created = {"evidence": ["x" * 100] * 1000, "id": "da1", "title": "T" * 500, "status": "New"}
    (operation, _) = rows.insert(replace(_entry(), created=created))
    assert isinstance(operation, Insert)
    assert json.loads(str(operation.values["created"])) == {"id": "da1", "title": "T" * 500, "status": "New"}
    many = {f"member {number}": number for number in range(100_000)} | {"id": "da" + "1" * 50}
    (operation, _) = rows.insert(replace(_entry(), created=many))
    assert isinstance(operation, Insert)
    written = str(operation.values["created"])
    assert 30_000 < len(written) <= 32_000
    assert json.loads(written)["id"] == many["id"]


def test_without_the_answer_only_ids_and_status_stay() -> None:
    """What is written where the table refuses an answer's text: Defender's id, the status, nothing of its words."""
    entry = settlement.settle(_held(), answer_with(200), now=NOW, rules=RULES)
    assert settlement.without_answer(entry).created == {"id": "da200"}
    failed = settlement.settle(_held(), answer_with(400), now=NOW, rules=RULES)
    plain = settlement.without_answer(failed)
    assert (plain.error, plain.tries, plain.state) == ({"status": 400}, (), "failed")
    assert settlement.without_answer(plain) == plain


# Moves


def _table(*entries: Entry) -> StrictTable:
    table = StrictTable(clock=lambda: NOW)
    for entry in entries:
        table.commit(rows.insert(entry))
    return table


def _etag(table: StrictTable, key: str) -> str:
    row = table.get(key)
    assert row
    return row.etag


def test_an_alert_is_accepted_once() -> None:
    """A second insert of the same alert is a conflict, whatever has become of the first."""
    entry = _entry()
    table = _table(entry)
    with pytest.raises(Conflict):
        table.commit(rows.insert(_entry(severity="Low")))
    created = settlement.settle(_held(entry), answer_with(200), now=NOW, rules=RULES)
    table.commit(rows.move(entry, created, waiting="*"))
    with pytest.raises(Conflict):
        table.commit(rows.insert(entry))


def test_the_waiting_row_is_the_lock() -> None:
    """Of two takes of the same waiting row one lands; a holder whose alert was taken again changes nothing."""
    entry = _entry()
    table = _table(entry)
    seen = _etag(table, entry.waits)
    first = _held(entry)
    table.commit(rows.move(entry, first, waiting=seen))
    with pytest.raises(Conflict):
        table.commit(rows.move(entry, replace(first, attempt="other"), waiting=seen))
    lock = _etag(table, first.waits)
    second = record.hold(first, "second", now=NOW + LEASE, lease=LEASE)
    table.commit(rows.move(first, second, waiting=lock))
    after = settlement.settle(first, answer_with(500), now=NOW + LEASE, rules=RULES)
    with pytest.raises(Conflict):
        table.commit(rows.move(first, after, waiting=lock))
    assert unsound(table) == []


def test_a_lock_is_of_one_time() -> None:
    """Whoever saw an alert before it was taken and put back in its very place has seen an older state of it."""
    entry = _entry()
    table = _table(entry)
    seen = _etag(table, entry.waits)
    held = _held(entry)
    table.commit(rows.move(entry, held, waiting=seen))
    back = settlement.settle(held, answer_with(429), now=NOW, rules=RULES)
    table.commit(rows.move(held, back, waiting=_etag(table, held.waits)))
    assert back.waits == entry.waits
    with pytest.raises(Conflict):
        table.commit(rows.move(entry, _held(entry), waiting=seen))


def test_an_alert_without_a_waiting_row_is_locked_by_its_own() -> None:
    """Of two replays of a failed alert one lands, though nobody deletes a waiting row."""
    entry = _entry()
    table = _table(entry)
    failed = settlement.settle(_held(entry), answer_with(400), now=NOW, rules=RULES)
    table.commit(rows.move(entry, failed, waiting="*"))
    seen = _etag(table, keys.alert_key(entry.alert.id))
    discarded = replace(failed, state="discarded", error=None)
    table.commit(rows.move(failed, discarded, alert=seen))
    with pytest.raises(Conflict):
        table.commit(rows.move(discarded, record.replay(discarded, now=NOW), alert=seen))


def test_a_move_needs_a_lock() -> None:
    """Nothing is moved by whoever has seen neither row."""
    with pytest.raises(ValueError, match="ETag"):
        rows.move(_entry(), _held())


def test_every_move_keeps_the_rows_in_step() -> None:
    """Through waiting, sending, failed, replayed, discarded and created the rows of an alert are always sound."""
    entry = _entry()
    table = _table(entry)
    steps = [
        _held(entry),
        settlement.settle(_held(entry), answer_with(404), now=NOW, rules=RULES),
        replace(_held(entry), attempts=2),
        settlement.settle(_held(entry), answer_with(400), now=NOW + 1, rules=RULES),
        record.replay(entry, now=NOW + 2),
        record.discard(entry, now=NOW + 3),
        record.replay(entry, now=NOW + 4),
        settlement.settle(_held(entry), answer_with(200), now=NOW + 5, rules=RULES),
    ]
    for before, after in zip([entry, *steps], steps, strict=False):
        lock = _etag(table, keys.alert_key(entry.alert.id))
        table.commit(rows.move(before, after, alert=lock))
        assert unsound(table) == []
        assert len(table.query("f", "~")) == (0 if after.state in ("created", "discarded") else 1)
        named = [row.key for row in table.query(keys.ENDED, keys.ENDED_END)]
        assert (keys.ended_key(after.ended, entry.alert.id) in named) == (
            after.state in ("created", "discarded")
        )


def test_a_retry_at_the_leases_end_is_one_row() -> None:
    """Where the retry's time is the lease's end to the millisecond, the row is written over, not twice in one go."""
    held = _held()
    minutes = Rules(not_found_retry_minutes=(2.5,))
    after = settlement.settle(held, answer_with(404), now=NOW + LEASE - 150.0, rules=minutes)
    assert after.waits == held.waits
    table = _table(held)
    table.commit(rows.move(held, after, waiting=_etag(table, held.waits)))
    assert unsound(table) == []
    assert rows.read(table.query(keys.LATER, keys.LATER_END)[0]) == after


def test_a_transactions_size_is_not_underestimated() -> None:
    """What `size` says of operations is at least what the SDK sends of them, and not absurdly more."""
    long = replace(_entry().alert, description="😀" * 2048, recommended_action='"\n' * 2000)
    entry = replace(_entry(), alert=long)
    operations = rows.insert(entry)
    sent = sum(
        len(json.dumps(dict(operation.values)))
        for operation in operations
        if isinstance(operation, Insert | Replace)
    )
    assert sent <= rows.size(operations) <= sent + 2000
    assert math.isfinite(rows.size([Delete("alert-1", "*")]))
