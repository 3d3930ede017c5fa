"""Clearing away what is past its retention."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from dev import samples
from shared.alerts import alert
from shared.errors import Conflict
from shared.ledger import aside, keys, record, retention, rows, settlement
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import Delete, Insert, Operation, Replace, Row
from tests.checks.app import App
from tests.checks.sound import unsound
from tests.checks.strict_table import StrictTable
from tests.checks.virtual import EPOCH, Defender, Faults, Host, World, answer_with

DAY = 86_400.0
MONTH = 30 * DAY
RULES = settlement.Rules()


@dataclass
class CountingTable(StrictTable):
    """A table that counts requests, and can be made to meet conflicts."""

    queries: int = 0
    payloads: int = 0  # rows of refused payloads that were read whole
    commits: list[Sequence[Operation]] = field(default_factory=list)
    conflicts: set[int] = field(default_factory=set)
    before_commit: Callable[[], object] | None = None

    def get(self, key: str) -> Row | None:
        """Count, and read."""
        self.queries += 1
        return super().get(key)

    def query(
        self, start: str, end: str, *, after: bool = False, limit: int | None = None, keys_only: bool = False
    ) -> list[Row]:
        """Count, and read."""
        self.queries += 1
        stored = super().query(start, end, after=after, limit=limit, keys_only=keys_only)
        self.payloads += sum(row.key.startswith(keys.REFUSED) for row in stored if not keys_only)
        return stored

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Note, and write; the transactions numbered in `conflicts` meet one."""
        if self.before_commit:
            meanwhile, self.before_commit = self.before_commit, None
            meanwhile()
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
        held = record.hold(entry, "attempt", now=self.now, lease=150.0)
        after = settlement.settle(held, answer_with(status), now=self.now, rules=RULES)
        self.table.commit(rows.move(entry, after, waiting="*"))

    def entry(self, alert_id: str) -> Entry:
        """Return an alert as it stands."""
        row = self.table.get(keys.alert_key(alert_id))
        assert row
        return rows.read(row)

    def refuse(self, sender: str = "", *, times: int = 1) -> None:
        """Let payloads of a sender be refused and stored, a second apart."""
        for _ in range(times):
            self.now += 1.0
            refused_id = keys.refused_id(self.now, sender)
            refused = record.RefusedPayload(
                refused_id, self.now, "", 422, "no event", (), {}, b"{}", 2, sender
            )
            self.table.commit([rows.insert_refused(refused)])

    def purge_all(self, seconds: float = MONTH, *, requests: int = 1_000_000) -> int:
        """Purge until nothing is left to do, in pieces that end after so many requests; return how many pieces."""
        pieces, start = 0, keys.DELIVERY
        while start and pieces < 1_000:
            end = self.table.queries + len(self.table.commits) + requests
            over = functools.partial(self._is_over, end)
            pieces, start = pieces + 1, retention.purge(self.table, seconds, start, over=over) or ""
        return pieces

    def _is_over(self, end: int) -> bool:
        return self.table.queries + len(self.table.commits) >= end

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


def test_a_failed_alert_that_was_discarded_goes_in_its_time() -> None:
    """It counts from the discard; its delivery, its row and its name go together, and nothing of it stays listed."""
    past = Past()
    (alert_id,) = past.deliver(400).alerts
    past.now += 10 * DAY
    failed = past.entry(alert_id)
    past.table.commit(rows.move(failed, record.discard(failed, now=past.now), alert="*"))
    assert past.keys(keys.FAILED) == []
    assert len(past.keys(keys.ENDED)) == 1
    past.now += 25 * DAY
    past.purge_all()
    assert past.entry(alert_id).state == "discarded"
    assert unsound(past.table) == []
    past.now += 6 * DAY
    past.purge_all()
    assert past.keys() == []


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
    for _ in range(105):
        past.deliver(None)
    past.now += 1.0
    ended = [past.deliver(200).id for _ in range(30)]
    past.now += 31 * DAY
    past.purge_all()
    assert not set(map(keys.delivery_key, ended)) & set(past.keys())
    assert len(past.keys(keys.DELIVERY)) == 105
    assert unsound(past.table) == []


def test_it_goes_in_small_pieces() -> None:
    """A piece ends when its time is over, wherever it is; the next one goes on there, and all of them do it all."""
    past = Past()
    for _ in range(20):
        past.deliver(200, alerts=60)
    for _ in range(5):
        past.deliver(None)
    past.refuse(times=350)
    past.now += 31 * DAY
    past.table.queries = 0
    past.table.commits.clear()
    assert past.purge_all(requests=70) >= 10
    assert past.table.queries + len(past.table.commits) < 20 * 60 + 200
    assert len(past.keys()) == 5 * 3
    assert unsound(past.table) == []


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


def _large(past: Past, alerts: int, status: int) -> Delivery:
    """Let a large delivery be accepted, and its alerts end."""
    delivery = past.deliver(None, alerts=alerts)
    for alert_id in delivery.alerts:
        entry = replace(past.entry(alert_id), many=True)
        past.end(entry, status)
    return delivery


@pytest.mark.parametrize("older", [0, 30])
def test_copies_go_with_their_alerts(older: int) -> None:
    """A hundred failed alerts, their list and copies take several transactions; an older version wrote no copies."""
    past = Past()
    delivery = _large(past, 100, 400)
    past.table.commit(
        [Delete(key, "*") for key in past.keys(keys.COPY)[:older]] or [Insert("window-resumed", {})]
    )
    assert len(past.keys(keys.COPY)) == 100 - older
    past.now += 31 * DAY
    past.table.commits.clear()
    past.table.conflicts = {2}
    retention.purge(past.table, MONTH)
    assert past.keys(keys.DELIVERY) == [keys.delivery_key(delivery.id)]
    left = past.keys(keys.ALERT)
    assert 0 < len(left) < 100
    assert {keys.waiting_alert(key) for key in past.keys(keys.COPY)} <= {
        key.removeprefix(keys.ALERT) for key in left
    }
    past.purge_all()
    assert past.keys(keys.COPY) == past.keys(keys.ALERT) == past.keys(keys.DELIVERY) == []
    assert all(len(operations) <= 100 for operations in past.table.commits)


def test_what_names_another_delivery_goes_with_its_own() -> None:
    """Alerts that were accepted again stay with the second delivery; of the first nothing is left."""
    past = Past()
    first = _large(past, 20, 400)
    past.now += 10 * DAY
    second = Delivery(keys.delivery_id(past.now), "defender", past.now, first.alerts)
    for alert_id in first.alerts:
        failed = past.entry(alert_id)
        anew = record.accept(failed.alert, source="defender", delivery=second.id, now=past.now)
        anew = replace(anew, many=True)
        past.table.commit(rows.move(failed, anew, alert="*"))
        past.end(anew, 200)
    past.table.commit([rows.insert_delivery(second)])
    assert len(past.keys(keys.COPY)) == 40
    past.now += 21 * DAY
    past.purge_all()
    assert past.keys(keys.COPY) == [keys.copy_key(second.id, alert) for alert in sorted(first.alerts)]
    assert past.keys(keys.DELIVERY) == [keys.delivery_key(second.id)]
    assert unsound(past.table) == []
    past.now += 10 * DAY
    past.purge_all()
    assert past.keys() == []


def test_copies_of_a_delivery_that_was_never_completed_are_purged() -> None:
    """Its alerts name a delivery that never came: their copies are under that one's id."""
    past = Past()
    part = past.deliver(None, alerts=10)
    whole = keys.delivery_id(past.now)
    for alert_id in part.alerts:
        past.end(replace(past.entry(alert_id), delivery=whole, many=True), 400)
    assert len(past.keys(keys.COPY + whole)) == 10
    past.now += 31 * DAY
    past.purge_all()
    assert past.keys() == []


def test_an_alert_that_changes_meanwhile_stays() -> None:
    """An alert that is replayed between the read and the delete is not lost."""
    past = Past()
    delivery = past.deliver(400)
    past.now += 31 * DAY
    row = past.table.get(keys.alert_key(delivery.alerts[0]))
    assert row
    replayed = record.replay(rows.read(row), now=past.now)

    def replay() -> bool:
        """Be asked whether the time is over just before the delivery's turn."""
        past.table.before_commit = lambda: StrictTable.commit(
            past.table, rows.move(rows.read(row), replayed, alert=row.etag)
        )
        return False

    retention.purge(past.table, MONTH, over=replay)
    assert unsound(past.table) == []
    assert len(past.keys(keys.TODO)) == 1
    assert past.keys(keys.DELIVERY) == [keys.delivery_key(delivery.id)]


def _again(past: Past, alert_id: str, *, note: bool = True) -> Delivery:
    """Let a delivery name an alert that is known and has ended."""
    row = past.table.get(keys.alert_key(alert_id))
    assert row
    if note and (named := retention.name(rows.read(row), now=past.now)):
        past.table.commit(rows.note(named, row.etag))
    again = Delivery(keys.delivery_id(past.now), "defender", past.now, (alert_id,), {}, (alert_id,))
    past.table.commit([rows.insert_delivery(again)])
    return again


@pytest.mark.parametrize("status", [200, 400])
def test_an_alert_stays_while_a_younger_delivery_names_it(status: int) -> None:
    """Whoever asks for a delivery within the retention gets its alerts; with the last one they go."""
    past = Past()
    first = past.deliver(status)
    past.now += 10 * DAY
    again = _again(past, first.alerts[0])
    past.now += 21 * DAY
    past.purge_all()
    assert past.keys(keys.DELIVERY) == [keys.delivery_key(first.id), keys.delivery_key(again.id)]
    assert past.keys(keys.ALERT) == [keys.alert_key(first.alerts[0])]
    assert unsound(past.table) == []
    past.now += 10 * DAY
    past.purge_all()
    assert past.keys() == []


def test_naming_is_noted_once_an_hour() -> None:
    """A sender that repeats itself costs one write an hour, and its last naming counts as if it were noted."""
    past = Past()
    first = past.deliver(200)
    writes = past.table.writes
    for _ in range(60):
        past.now += 120.0
        _again(past, first.alerts[0])
    assert past.table.writes - writes == 60 + 2
    past.now += 30 * DAY - 1.0
    past.purge_all()
    assert past.keys(keys.ALERT) == [keys.alert_key(first.alerts[0])]
    assert len(past.keys(keys.DELIVERY)) == 2
    past.now += 3601.0
    past.purge_all()
    assert past.keys() == []


def test_duplicates_deliveries_do_not_pile_up() -> None:
    """What only names an alert that goes on being named is purged in its own time."""
    past = Past()
    first = past.deliver(200)
    for _ in range(100):
        past.now += DAY
        _again(past, first.alerts[0])
        past.purge_all()
    assert len(past.keys(keys.DELIVERY)) == 1 + 31  # the first, and those that are at most 30 days old
    assert len(past.keys(keys.ALERT)) == 1


def test_an_alert_accepted_anew_goes_with_the_delivery_that_brought_it_last() -> None:
    """The first delivery goes in its time; the alert stays as long as the second."""
    past = Past()
    first = past.deliver(400)
    past.now += 10 * DAY
    row = past.table.get(keys.alert_key(first.alerts[0]))
    assert row
    failed = rows.read(row)
    second = Delivery(keys.delivery_id(past.now), "defender", past.now, first.alerts)
    anew = record.accept(failed.alert, source="defender", delivery=second.id, now=past.now)
    past.table.commit([*rows.move(failed, anew, alert=row.etag), rows.insert_delivery(second)])
    past.end(anew, 200)
    past.now += 21 * DAY
    past.purge_all()
    assert past.keys(keys.DELIVERY) == [keys.delivery_key(second.id)]
    assert unsound(past.table) == []
    past.now += 10 * DAY
    past.purge_all()
    assert past.keys() == []


def test_what_a_delivery_that_was_never_completed_brought_is_purged() -> None:
    """Of a delivery in two transactions the second may never come: its first part has a row of its own."""
    past = Past()
    part = past.deliver(200)
    row = past.table.get(keys.alert_key(part.alerts[0]))
    assert row
    past.table.commit([Replace(row.key, {**row.values, "delivery": keys.delivery_id(past.now)}, "*")])
    past.now += 31 * DAY
    past.purge_all()
    assert past.keys() == []


def test_of_refused_payloads_the_newest_thousand_stay() -> None:
    """Refused payloads go when they are past the retention, or when a thousand newer ones are there."""
    past = Past()
    past.refuse(times=40)
    past.now += DAY
    past.refuse(times=retention.REFUSED_ROWS + 30)
    newest = past.keys(keys.REFUSED)[-retention.REFUSED_ROWS :]
    past.purge_all()
    assert past.keys(keys.REFUSED) == newest
    past.now += 31 * DAY
    past.refuse()
    past.purge_all()
    assert len(past.keys(keys.REFUSED)) == 1


def test_noise_does_not_wash_out_the_rare() -> None:
    """Of each sender the newest fifty stay, even above the thousand; the noisy one has none beyond it."""
    past = Past()
    rare, noisy, both = "aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"
    past.refuse(rare, times=70)
    past.refuse(both, times=30)
    past.refuse(noisy, times=3000)
    past.refuse(both, times=30)
    past.purge_all()
    left = [keys.refused_sender(key) for key in past.keys(keys.REFUSED)]
    assert left == [rare] * 50 + [both] * 20 + [noisy] * 970 + [both] * 30


def test_a_flood_of_refused_payloads_is_read_once() -> None:
    """Ten thousand too many cost some ten requests of a thousand keys, without the payloads, and a hundred deletes."""
    past = Past()
    past.refuse("bbbbbbbbbb", times=11_000)
    past.table.queries = past.table.payloads = 0
    past.table.commits.clear()
    assert past.purge_all() == 1
    assert past.table.payloads == 0
    assert len(past.keys(keys.REFUSED)) == 1_000
    assert past.table.queries <= 20
    assert len(past.table.commits) <= 101


def test_a_refused_payload_that_was_replayed_meanwhile_keeps_no_other() -> None:
    """Where one of a transaction's rows is gone, the others are deleted all the same."""
    past = Past()
    past.refuse(times=30)
    past.now += 31 * DAY
    first = past.keys(keys.REFUSED)[0]
    past.table.before_commit = lambda: StrictTable.commit(past.table, [Delete(first, "*")])
    past.purge_all()
    assert past.keys() == []


def test_rows_moved_aside_go_in_their_time() -> None:
    """They wait for the operator for as long as everything else is stored."""
    past = Past()
    for number in range(120):
        past.table.commit([Insert(f"todo-{number}", {"title": "T"})])
    while spoilt := past.table.query(keys.TODO, keys.TODO_END):
        aside.move(past.table, spoilt)
    past.now += 29 * DAY
    past.purge_all()
    assert len(past.keys(keys.ASIDE)) == 120
    past.now += 2 * DAY
    past.purge_all()
    assert past.keys() == []


def test_names_of_ends_go_in_their_time() -> None:
    """Also that of an alert which stays, because it was accepted again since."""
    past = Past()
    past.deliver(alerts=3)
    assert len(past.keys(keys.ENDED)) == 3
    past.now += 31 * DAY
    past.purge_all()
    assert past.keys() == []


@pytest.mark.parametrize("tokens", [True, False])
def test_a_piece_on_a_slow_table_does_not_hold_the_timer(*, tokens: bool) -> None:
    """With seconds for each request a piece ends soon after its time; and it is done though no token comes."""
    world = World()
    app = App.on(Host(world, Faults(), arrive=Defender(world)))
    for number in range(300):
        refused_id = keys.refused_id(world.now + number)
        refused = record.RefusedPayload(refused_id, world.now, "", 422, "no event", (), {}, b"{}", 2)
        world.table.commit([rows.insert_refused(refused)])
    for number in range(60):
        delivery = Delivery(keys.delivery_id(world.now), "defender", world.now, (f"{number:032}",))
        world.table.commit([rows.insert_delivery(delivery)])
    world.now += 31 * DAY
    made = alert.check(samples.eight_fields(samples.event(1), "A rule")).alert
    assert made
    world.table.commit(rows.insert(record.accept(made, source="", delivery="d", now=world.now)))
    app.host.tokens = tokens
    world.finish(app.tick())
    world.now += retention.FIRST_SECONDS
    world.partition.seconds = 2.0
    before = len(world.table.query("", "~"))
    ticks = itertools.count()
    while world.table.query(keys.REFUSED, keys.REFUSED_END):
        assert next(ticks) < 100
        began = world.now
        world.finish(app.tick())
        assert (
            world.now - began <= 6 + 4 + retention.PIECE_SECONDS + 4
        )  # token, snapshot, piece, its last request
        assert world.now - began > 0
    assert len(world.table.query("", "~")) < before - 350


def test_the_schedule() -> None:
    """Not at the host's start, then after ten minutes, at once while there is more, then every six hours."""
    past = Past()
    past.deliver(200)
    past.refuse(times=5)
    past.now += 31 * DAY
    schedule = retention.Schedule()
    past.table.queries = 0
    hour: list[float] = []

    def run() -> int:
        before = past.table.queries
        times = iter([past.now, *hour])
        schedule.run(past.table, 30.0, lambda: next(times, past.now))
        return past.table.queries - before

    assert run() == 0
    past.now += 599
    assert run() == 0
    past.now += 1
    hour.append(past.now + retention.PIECE_SECONDS)  # the time is over when it is first looked at
    assert run() == 0
    assert past.keys() != []
    hour.clear()
    assert run() > 0
    assert past.keys() == []
    past.now += 6 * 3600 - 1
    assert run() == 0
    past.now += 1
    assert run() > 0
