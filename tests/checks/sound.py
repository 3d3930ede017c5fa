"""What must be true for all rows of a table."""

from collections.abc import Callable
from typing import Any, TypeVar

from dev.memory_table import MemoryTable
from shared.ledger import keys, record, rows
from shared.table.protocol import Row

_T = TypeVar("_T")
_OF_STAGES = tuple(stage.prefix + name for stage in keys.STAGES for name in (keys.SLOT, keys.TURN))
_READ: dict[int, tuple[Row, Any]] = {}


def unsound(table: MemoryTable) -> list[str]:
    """Return what is wrong with a table's rows, by the rules of the ledger.

    An alert that has not ended has exactly one waiting row, which says the same as the alert's; one that has
    ended has none. Exactly the failed have a row in the failed list, and exactly those of large deliveries a copy under
    their delivery. A delivery's alerts exist, and so do those that searches have led to. No alert stands beside
    its own search.
    """
    stored = {row.key: row for row in table.query("", "~")}
    entries = {key: _once(rows.read, row) for key, row in stored.items() if key.startswith(keys.ALERT)}
    wrong = [
        f"{key} has become {entry.link}, which is not there"
        for key, entry in entries.items()
        if entry.state == "matched" and keys.alert_key(entry.link) not in entries
    ]
    wrong += [
        f"{entry.alert.id} stands in both stages"
        for entry in entries.values()
        if entry.stage != keys.SEARCH
        and (search := entries.get(keys.alert_key(entry.link)))
        and not search.has_ended
    ]
    expected = set(entries)
    for key, entry in entries.items():
        if key != keys.alert_key(entry.alert.id):
            wrong.append(f"{key} holds {entry.alert.id}")
        wrong += [f"{key}: {problem}" for problem in _contradictions(entry)]
        for other in _beside(entry):
            expected.add(other)
            if other not in stored:
                wrong.append(f"{key} is {entry.state}, but there is no {other}")
            elif stored[other].values != stored[key].values:
                wrong.append(f"{other} says something else than {key}")
    for key, row in stored.items():
        if key.startswith(keys.DELIVERY):
            alerts = _once(rows.read_delivery, row).alerts
            lost = [alert for alert in alerts if keys.alert_key(alert) not in entries]
            wrong += [f"{key} names {alert}, which is not there" for alert in lost]
        elif key.startswith((*_OF_STAGES, keys.RESUMED, keys.REFUSED, keys.ASIDE, keys.ENDED, keys.TRIAL)):
            continue
        elif key not in expected and not rows.copy_moved(row):
            wrong.append(f"{key} belongs to no alert")
    return wrong


def _once(read: Callable[[Row], _T], row: Row) -> _T:
    """Return what a row holds. It is read once: a write puts another row in its place, and most are judged often."""
    if id(row) not in _READ:
        if len(_READ) > 10_000:
            _READ.clear()
        _READ[id(row)] = row, read(row)  # as long as the row is here no other has its id
    held: _T = _READ[id(row)][1]
    return held


def _beside(entry: record.Entry) -> list[str]:
    """Return the keys of the rows that say the same as an alert's own."""
    beside = [entry.waits] if entry.waits else []
    beside += [keys.failed_key(entry.ended, entry.alert.id)] if entry.state == "failed" else []
    return beside + ([keys.copy_key(entry.delivery, entry.alert.id)] if entry.many else [])


def _contradictions(entry: record.Entry) -> list[str]:
    ended = entry.state not in ("waiting", "sending")
    wrong = []
    if ended != entry.has_ended or ended != (entry.ended is not None):
        wrong.append(f"{entry.state}, waits for {entry.waits!r}, ended {entry.ended}")
    if entry.state == "sending" and not entry.stage.is_later(entry.waits):
        wrong.append(f"sending, but waits as {entry.waits}")
    if entry.stage.is_later(entry.waits) != (
        entry.state == "sending" or (entry.state == "waiting" and entry.next_attempt is not None)
    ):
        wrong.append(f"{entry.state}, next attempt {entry.next_attempt}, waits as {entry.waits}")
    if (entry.created is not None) != (entry.state == "created"):
        wrong.append(f"{entry.state} with Defender's alert {entry.created}")
    if entry.stage == keys.ENTITY and not entry.clues:
        wrong.append("an alert on entities without clues")
    if entry.stage == keys.REFERENCE and entry.clues:
        wrong.append(f"in the stage {entry.stage.name} with the clues {entry.clues}")
    if entry.stage != keys.SEARCH and entry.state in ("matched", "searched"):
        wrong.append(f"{entry.state} in the stage {entry.stage.name} with the clues {entry.clues}")
    if entry.state == "failed" and not entry.error:
        wrong.append("failed without a reason")
    return wrong
