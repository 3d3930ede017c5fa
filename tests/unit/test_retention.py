"""Clearing away what is past its retention."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dev import samples
from dev.memory_table import StrictTable
from dev.virtual import EPOCH, said, unsound
from shared.alerts import alert
from shared.errors import Conflict
from shared.ledger import keys, record, retention, rows
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import Insert, Operation, Replace, Row

DAY = 86_400.0
MONTH = 30 * DAY
RULES = record.Rules()


@dataclass
class CountingTable(StrictTable):
    """A table that counts requests, and can be told to meet conflicts."""

    queries: int = 0
    commits: list[Sequence[Operation]] = field(default_factory=list)
    conflicts: set[int] = field(default_factory=set)

    def get(self, key: str) -> Row | None:
        """Count, and read."""
        self.queries += 1
        return super().get(key)

    def query(
        self, start: str, end: str, *, after: bool = False, limit: int | None = None, keys_only: bool = False
    ) -> list[Row]:
        """Count, and read."""
        self.queries += 1
        return super().query(start, end, after=after, limit=limit, keys_only=keys_only)

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Note, and write; the transactions numbered in `conflicts` meet one."""
        self.commits.append(operations)
        if len(self.commits) in self.conflicts:
            raise Conflict
        return super().commit(operations)


class Past:
    """A table and a time at which things happen."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.table = CountingTable(clock=lambda: self.now)
        self._events = iter(range(1_000_000))

    def deliver(self, status: int | None = 200, *, alerts: int = 1) -> Delivery:
        """Let a delivery be accepted, and its alerts end as Defender says; with None they wait."""
        delivery = Delivery(keys.delivery_id(self.now), "defender", self.now, ())
        ids = []
        for _ in range(alerts):
            entry = self._entry(delivery.id)
            ids.append(entry.alert.id)
            self.table.commit(rows.insert(entry))
            if status is not None:
                self.end(entry, status)
        delivery = Delivery(delivery.id, delivery.source, delivery.accepted, tuple(ids))
        self.table.commit([rows.insert_delivery(delivery)])
        return delivery

    def end(self, entry: Entry, status: int) -> None:
        """Let Defender answer a call for an alert now."""
        held = record.take(entry, "attempt", now=self.now, lease=150.0)
        after = record.settle(held, said(status), now=self.now, rules=RULES)
        self.table.commit(rows.move(entry, after, waiting="*"))

    def refuse(self) -> None:
        """Let a payload be refused and kept."""
        refusal = record.Refusal(keys.refusal_id(self.now), self.now, "", 422, "no event", (), {}, b"{}", 2)
        self.table.commit([rows.insert_refusal(refusal)])

    def purge_all(self, seconds: float = MONTH) -> int:
        """Purge until nothing is left to do; return the number of pieces."""
        pieces, start = 1, retention.purge(self.table, seconds)
        while start:
            pieces, start = pieces + 1, retention.purge(self.table, seconds, start)
        return pieces

    def keys(self, beginning: str = "") -> list[str]:
        """Return the keys of all rows with this beginning."""
        return [row.key for row in self.table.query(beginning, beginning + "~")]

    def _entry(self, delivery: str) -> Entry:
        values = samples.eight_fields(samples.event(next(self._events)), "A rule")
        made = alert.check(values).alert
        assert made
        return record.accept(made, source="defender", delivery=delivery, now=self.now)


def test_what_ended_long_ago_goes_whole() -> None:
    """A delivery older than the retention goes with its created and failed alerts; a younger one stays."""
    past = Past()
    past.deliver(200)
    past.deliver(400)
    past.now += 2 * DAY
    young = past.deliver(400, alerts=3)
    past.now += 29 * DAY
    past.purge_all()
    assert past.keys(keys.DELIVERY) == [keys.delivery_key(young.id)]
    assert len(past.keys()) == 1 + 3 + 3
    assert unsound(past.table) == []


def test_what_waits_or_ended_lately_stays() -> None:
    """A delivery stays as long as one of its alerts waits, or ended within the retention."""
    past = Past()
    past.deliver(None, alerts=2)
    mixed = past.deliver(None)
    past.now += 20 * DAY
    row = past.table.get(keys.alert_key(mixed.alerts[0]))
    assert row
    past.end(rows.read(row), 200)
    before = past.keys()
    past.now += 20 * DAY
    past.purge_all()
    assert past.keys() == before
    past.now += 20 * DAY
    past.purge_all()
    assert len(past.keys()) == 1 + 2 + 2
    assert unsound(past.table) == []


def test_what_must_stay_does_not_keep_the_rest() -> None:
    """However many old deliveries still wait, those behind them are purged, and the purge comes to an end."""
    past = Past()
    for _ in range(2 * retention.PIECE + 5):
        past.deliver(None)
    past.now += 1.0
    ended = [past.deliver(200).id for _ in range(30)]
    past.now += 31 * DAY
    past.purge_all()
    assert not set(map(keys.delivery_key, ended)) & set(past.keys())
    assert len(past.keys(keys.DELIVERY)) == 2 * retention.PIECE + 5
    assert unsound(past.table) == []


def test_it_goes_in_small_pieces() -> None:
    """One piece reads a few hundred rows at most, however much there is to do."""
    past = Past()
    for _ in range(20):
        past.deliver(200, alerts=60)
    past.now += 31 * DAY
    past.table.queries = 0
    start = retention.purge(past.table, MONTH)
    assert start
    assert past.table.queries <= retention.PIECE_ALERTS + 100
    assert 4 <= past.purge_all() <= 6
    assert past.keys() == []


def test_a_row_of_somebody_else_does_not_keep_the_rest() -> None:
    """A delivery or an alert that cannot be read stays where it is; all others are purged."""
    past = Past()
    past.deliver(200)
    spoilt = past.deliver(200)
    past.deliver(400)
    past.table.commit([Insert(keys.delivery_key(keys.delivery_id(past.now)), {"alerts": 7})])
    past.table.commit([Replace(keys.alert_key(spoilt.alerts[0]), {"title": 7}, "*")])
    past.now += 31 * DAY
    past.purge_all()
    assert len(past.keys(keys.DELIVERY)) == 2
    assert past.keys(keys.ALERT) == [keys.alert_key(spoilt.alerts[0])]
    assert past.keys(keys.FAILED) == []


def test_a_large_delivery_goes_alerts_first() -> None:
    """A delivery of 100 failed alerts takes several transactions; a conflict in between leaves nothing dangling."""
    past = Past()
    past.deliver(400, alerts=100)
    past.now += 31 * DAY
    past.table.commits.clear()
    past.table.conflicts = {2}
    retention.purge(past.table, MONTH)
    assert len(past.keys(keys.DELIVERY)) == 1
    assert 0 < len(past.keys(keys.ALERT)) == len(past.keys(keys.FAILED)) < 100
    past.purge_all()
    assert past.keys() == []
    assert all(len(operations) <= 100 for operations in past.table.commits)


def test_an_alert_that_changes_meanwhile_stays() -> None:
    """An alert that is replayed between the look and the delete is not lost."""
    past = Past()
    delivery = past.deliver(400)
    past.now += 31 * DAY
    key = keys.alert_key(delivery.alerts[0])
    row = past.table.get(key)
    assert row
    pieces = retention._delivery(past.table, past.table.query(keys.DELIVERY, "e")[0], past.now - MONTH)
    again = record.replay(rows.read(row), now=past.now)
    past.table.commit(rows.move(rows.read(row), again, alert=row.etag))
    assert retention._delete(past.table, pieces) == 0
    assert unsound(past.table) == []
    assert len(past.keys(keys.TODO)) == 1


def test_a_duplicates_delivery_does_not_need_its_alert() -> None:
    """An alert goes with the delivery that brought it; one that sent it again later is purged in its own time."""
    past = Past()
    first = past.deliver(200)
    past.now += 10 * DAY
    again = Delivery(keys.delivery_id(past.now), "defender", past.now, first.alerts, {}, first.alerts)
    past.table.commit([rows.insert_delivery(again)])
    past.now += 21 * DAY
    past.purge_all()
    assert past.keys() == [keys.delivery_key(again.id)]
    past.now += 10 * DAY
    past.purge_all()
    assert past.keys() == []


def test_of_refused_payloads_the_newest_thousand_stay() -> None:
    """Refused payloads go when they are past the retention, or when a thousand newer ones are there."""
    past = Past()
    for _ in range(40):
        past.refuse()
    past.now += DAY
    for _ in range(retention.REFUSED_ROWS + 30):
        past.refuse()
    past.purge_all()
    assert len(past.keys(keys.REFUSED)) == retention.REFUSED_ROWS
    past.now += 31 * DAY
    past.refuse()
    past.purge_all()
    assert len(past.keys(keys.REFUSED)) == 1


def test_the_schedule() -> None:
    """Not at the host's start, then after ten minutes, at once while there is more, then every six hours."""
    past = Past()
    for _ in range(3 * retention.PIECE):
        past.deliver(200)
    past.now += 31 * DAY
    schedule = retention.Schedule()
    past.table.queries = 0

    def run() -> int:
        before = past.table.queries
        schedule.run(past.table, 30.0, lambda: past.now)
        return past.table.queries - before

    assert run() == 0
    past.now += 599
    assert run() == 0
    past.now += 1
    for pieces in (2, 1, 0):
        assert run() > 0
        assert len(past.keys(keys.DELIVERY)) == pieces * retention.PIECE
    run()
    assert run() == 0
    past.now += 6 * 3600
    assert run() > 0
