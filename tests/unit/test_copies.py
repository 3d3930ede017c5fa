"""Copies of alerts of large deliveries: they never say anything else than the alerts' own rows."""

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from dev import samples
from shared.alerts import alert
from shared.ledger import keys, lookup, record, retention, rows, settlement
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import Insert, Operation
from tests.checks.sound import unsound
from tests.checks.strict_table import StrictTable
from tests.checks.virtual import EPOCH, answer_with

if TYPE_CHECKING:
    from collections.abc import Callable

_ALERTS = 14
_DAY = 86_400.0


def _alert(event: int) -> alert.Alert:
    made = alert.check(samples.eight_fields(samples.event(event), "A rule")).alert
    assert made
    return made


@dataclass
class Past:
    """A few alerts that large and small deliveries bring again and again, and what becomes of them."""

    chance: random.Random
    now: float = EPOCH
    deliveries: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alerts = [_alert(event) for event in range(_ALERTS)]
        self.table = StrictTable(clock=lambda: self.now)

    def accept(self) -> None:
        """Let a delivery bring some of the alerts: new ones wait, and ended ones are accepted anew or named."""
        share = self.chance.choice([0.3, 0.8, 1.0])
        brought = tuple(made.id for made in self.alerts if self.chance.random() < share)
        delivery = Delivery(keys.delivery_id(self.now), "defender", self.now, brought)
        others = []
        for made in (each for each in self.alerts if each.id in brought):
            entry = record.accept(made, source="defender", delivery=delivery.id, now=self.now)
            entry, known = replace(entry, many=len(brought) > record.FEW), self.entry(made.id)
            if known is None:
                self.table.commit(rows.insert(entry))
            elif known.state in ("failed", "discarded") and self.chance.random() < 0.7:
                self.table.commit(rows.move(known, entry, alert="*"))
            elif named := retention.name(known, now=self.now):
                self.table.commit(rows.note(named, self._etag(made.id)))
                others += [named.delivery] if named.many else []
        delivery = replace(delivery, others=tuple(dict.fromkeys(others)))
        self.table.commit([rows.insert_delivery(delivery)])
        self.deliveries.append(delivery)

    def send(self) -> None:
        """Let Defender answer a call for an alert."""
        if known := self.one("waiting"):
            status = self.chance.choice([200, 400, 400, 404, 429])
            held = record.hold(known, "attempt", now=self.now, lease=150.0)
            self.table.commit(rows.move(known, held, waiting="*"))
            after = settlement.settle(held, answer_with(status), now=self.now, rules=settlement.Rules())
            self.table.commit(rows.move(held, after, waiting="*"))

    def discard(self) -> None:
        """Let the operator discard an alert."""
        if known := self.one("waiting", "failed"):
            self.table.commit(rows.move(known, record.discard(known, now=self.now), alert="*"))

    def replay(self) -> None:
        """Let the operator replay an alert."""
        if known := self.one("failed", "discarded"):
            self.table.commit(rows.move(known, record.replay(known, now=self.now), alert="*"))

    def purge(self) -> None:
        """Let time pass, and what is old be deleted."""
        self.now += self.chance.choice([600.0, _DAY])
        retention.purge(self.table, 3 * _DAY)
        there = {row.key for row in self.table.query(keys.DELIVERY, keys.DELIVERY_END)}
        self.deliveries = [each for each in self.deliveries if keys.delivery_key(each.id) in there]

    def entry(self, alert_id: str) -> Entry | None:
        """Return an alert as it stands."""
        row = self.table.get(keys.alert_key(alert_id))
        return rows.read(row) if row else None

    def one(self, *states: str) -> Entry | None:
        """Return some alert in one of these states."""
        entries = [entry for made in self.alerts if (entry := self.entry(made.id)) and entry.state in states]
        return self.chance.choice(entries) if entries else None

    def wrong(self) -> list[str]:
        """Return what copies say otherwise than the alerts' own rows, and copies of deliveries that are gone."""
        there = tuple(keys.copies(each.id)[0] for each in self.deliveries)
        copies = [row.key for row in self.table.query(keys.COPY, keys.COPY + "~")]
        return [key for key in copies if not key.startswith(there)] + [
            f"{each.id}: {alert_id}"
            for each in self.deliveries
            for alert_id, copy in lookup.copied(self.table, each).items()
            if copy != self.entry(alert_id)
        ]

    def _etag(self, alert_id: str) -> str:
        row = self.table.get(keys.alert_key(alert_id))
        assert row
        return row.etag


def _live(seed: int) -> list[str]:
    """Let many things happen in some order; return what was wrong after the first step after which anything was."""
    past = Past(random.Random(seed))
    steps: list[Callable[[], None]] = [
        past.accept,
        past.send,
        past.send,
        past.discard,
        past.replay,
        past.purge,
    ]
    for _ in range(200):
        past.now += 60.0
        past.chance.choice(steps)()
        orphans = [each for each in unsound(past.table) if keys.COPY in each]
        if wrong := past.wrong() + orphans:
            return wrong
    return []


@pytest.mark.parametrize("seed", range(12))
def test_copies_say_what_the_alerts_say(seed: int) -> None:
    """After any acceptance, call, failure, replay, discard and purge, in any order."""
    assert _live(seed) == []


def test_a_move_that_forgets_the_old_copy_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of the property: an alert that is accepted anew leaves the copy of its former delivery as it was."""
    whole = rows.move

    def forgetful(*entries: Entry, **locks: Any) -> list[Operation]:
        return [
            operation
            for operation in whole(*entries, **locks)
            if not operation.key.startswith(keys.COPY) or "state" in getattr(operation, "values", {})
        ]

    monkeypatch.setattr(rows, "move", forgetful)
    assert any(_live(seed) for seed in range(12))


def test_a_move_of_a_small_delivery_writes_no_more_rows() -> None:
    """An alert's own row and its waiting row, and one in the list of failed ones; of a large one its copy as well."""
    entry = record.accept(_alert(1), source="defender", delivery=keys.delivery_id(EPOCH), now=EPOCH)
    failed = replace(entry, state="failed", waits="", ended=EPOCH, error={"status": 400})
    written = rows.move(entry, failed, waiting="*")
    large = rows.move(replace(entry, many=True), replace(failed, many=True), waiting="*")
    assert [each.key.partition("-")[0] for each in written] == ["alert", "todo", "failed"]
    assert [each.key.partition("-")[0] for each in large] == ["alert", "todo", "failed", "copy"]
    inserted = [rows.insert(replace(entry, many=many)) for many in (False, True)]
    assert [[each.key.partition("-")[0] for each in operations] for operations in inserted] == [
        ["alert", "todo"],
        ["alert", "todo", "copy"],
    ]
    assert all(isinstance(each, Insert) for each in inserted[0])
