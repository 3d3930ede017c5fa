"""Alerts whose event is still to be found: their ids, their clues as JSON, and their rows beside an older version's."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger import backlog, columns, keys, lookup, record, retention, rows
from shared.ledger.record import Delivery, Entry
from shared.payload.clues import FACTS, Clues, Host, When
from shared.search import stored as written
from tests.checks.strict_table import StrictTable
from tests.checks.virtual import EPOCH

TEXTS = {
    "severity": "High",
    "category": "Execution",
    "title": "Encoded PowerShell",
    "description": "A rule of the SIEM.",
    "recommendedAction": "Look at it.",
}
AT = 17_687_904_000_000_000
CLUES = Clues(
    hosts=(Host("name", "pc-1.contoso.example"), Host("address", "10.0.0.5")),
    when=When(AT, AT + 9, 10, own=True),
    kinds=("process",),
    sha1="a" * 40,
    command_line='powershell -enc "ü"',
)
ALL = st.builds(
    Clues,
    hosts=st.lists(st.builds(Host, st.sampled_from(["id", "entra", "name", "address"]), st.text())).map(
        tuple
    ),
    when=st.none() | st.builds(When, st.integers(), st.integers(), st.integers(), own=st.booleans()),
    kinds=st.lists(st.sampled_from(["process", "file", "logon"])).map(tuple),
    named=st.lists(st.builds(Host, st.sampled_from(["id", "name"]), st.text())).map(tuple),
    **{name: st.text() for name in FACTS},
)


def _entry(clues: Clues = CLUES, source: str = "splunk", **texts: str) -> Entry:
    made = written.alert({**TEXTS, **texts}, clues, source=source)
    return record.accept(
        made, source=source, delivery="d", now=EPOCH, stage=keys.SEARCH, clues=written.write(clues)
    )


def _stored(table: StrictTable, entry: Entry) -> Entry:
    row = table.get(keys.alert_key(entry.alert.id))
    assert row
    return rows.read(row)


@given(ALL)
def test_clues_are_read_as_they_were_written(clues: Clues) -> None:
    """Through JSON, all clues come back, whichever are known."""
    assert written.read(json.loads(json.dumps(written.write(clues)))) == clues


@pytest.mark.parametrize(
    "change",
    [
        {"sha512": "a"},
        {"sha1": 7},
        {"kinds": ["dream"]},
        {"hosts": [{"identity": "mac", "value": "x"}]},
        {"hosts": ["pc-1"]},
        {"when": {"start": AT}},
        {"when": {"start": AT, "end": AT, "step": 1.5, "own": True}},
    ],
    ids=str,
)
def test_clues_that_this_version_does_not_know_are_not_read_in_part(change: Mapping[str, Any]) -> None:
    """A clue left out could lead to another event."""
    with pytest.raises(ValueError, match="not those of this version"):
        written.read({**written.write(CLUES), **change})


def test_the_same_payload_is_one_search() -> None:
    """The id is the same for the same source, title and clues, and another one if any of them differs."""
    others = [
        _entry(source="wazuh"),
        _entry(title="Another rule"),
        _entry(replace(CLUES, hosts=CLUES.hosts[:1])),
        _entry(replace(CLUES, when=When(AT, AT, 10, own=True))),
        _entry(replace(CLUES, sha1="b" * 40)),
        _entry(replace(CLUES, sha1="", sha256="a" * 40)),
    ]
    ids = {entry.alert.id for entry in others}
    assert len(ids) == len(others)
    assert _entry().alert.id not in ids
    assert _entry(severity="Low", description="Other words.").alert.id == _entry().alert.id


def test_clues_too_long_to_be_kept_whole_do_not_fit() -> None:
    """What fits is stored whole; what does not is never cut."""
    short, long = replace(CLUES, command_line="x" * 31_000), replace(CLUES, command_line="ü" * 6_000)
    assert (written.fits(written.write(short)), written.fits(written.write(long))) == (True, False)
    table = StrictTable(lambda: EPOCH)
    table.commit(rows.insert(_entry(short)))
    stored = _stored(table, _entry(short))
    assert stored.clues is not None
    assert written.read(stored.clues) == short


def test_it_waits_in_the_queue_of_the_search() -> None:
    """Accepted, taken, put back and replayed it is in the search's ranges, and in no other stage's backlog."""
    table = StrictTable(lambda: EPOCH)
    entry = _entry()
    table.commit(rows.insert(entry))
    stored = table.query("", "~")
    assert [waiting.entry for waiting in backlog.read(stored, EPOCH, 9, keys.SEARCH).waiting] == [entry]
    assert backlog.read(stored, EPOCH, 9).count == 0
    held = record.hold(entry, "attempt", now=EPOCH, lease=9.0)
    assert held.waits == keys.SEARCH.later_key(EPOCH + 9.0, entry.alert.id)
    table.commit(rows.move(entry, held, waiting="*"))
    assert _stored(table, entry) == held
    assert record.put_back(held) == entry
    again = record.replay(record.discard(entry, now=EPOCH), now=EPOCH)
    assert again.waits == entry.waits
    lost = replace(held, waits="")
    assert lookup.waiting_key(table, lost.alert.id, lost.stage) == held.waits


@pytest.mark.parametrize("name", ["entity", "search"])
def test_an_older_version_keeps_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It reads the row, even of a stage that it has never heard of, and writes stage and clues back unchanged."""
    table = StrictTable(lambda: EPOCH)
    entry = _entry()
    entry = replace(entry, stage=keys.stage(name))
    entry = record.due_at(entry, entry.due)
    table.commit(rows.insert(entry))
    with monkeypatch.context() as older:
        known = tuple(column for column in rows._ENTRY if column.name not in ("stage", "clues"))
        older.setattr(rows, "_ENTRY", known)
        seen = _stored(table, entry)
        assert (seen.stage, seen.clues, seen.waits) == (keys.REFERENCE, None, entry.waits)
        assert seen.alert.id == entry.alert.id
        table.commit(rows.move(seen, record.discard(seen, now=EPOCH), alert="*"))
    after = _stored(table, entry)
    assert (after.state, after.stage, after.clues) == ("discarded", entry.stage, entry.clues)
    left = [keys.alert_key(entry.alert.id), keys.ended_key(EPOCH, entry.alert.id)]
    assert [row.key for row in table.query("", "~")] == left


def test_a_row_of_an_older_version_is_of_the_reference() -> None:
    """A row without the columns belongs to the stage that older versions know, and has no clues."""
    table = StrictTable(lambda: EPOCH)
    entry = replace(_entry(), stage=keys.REFERENCE, clues=None)
    entry = record.due_at(entry, entry.due)
    table.commit(rows.insert(entry))
    row = table.get(keys.alert_key(entry.alert.id))
    assert row
    values = {name: value for name, value in row.values.items() if name not in ("stage", "clues")}
    assert rows.read(replace(row, values=values)) == entry
    assert columns.unknown(rows._ENTRY, row).keys() == set(entry.alert.body())


def test_a_search_that_failed_goes_with_its_delivery() -> None:
    """After its retention nothing of it is left, neither its row nor its place in the list of failed alerts."""
    now = EPOCH
    table = StrictTable(lambda: now)
    delivery = keys.delivery_id(now)
    entry = replace(_entry(), delivery=delivery)
    failed = replace(entry, state="failed", waits="", ended=now, error={"code": "EventNotFound"})
    brought = rows.insert_delivery(Delivery(delivery, "splunk", now, (entry.alert.id,)))
    table.commit([*rows.insert(entry), brought])
    table.commit(rows.move(entry, failed, waiting="*"))
    assert len(table.query("", "~")) == 3
    now += 2 * 86_400
    assert retention.purge(table, 86_400) is None
    assert table.query("", "~") == []
