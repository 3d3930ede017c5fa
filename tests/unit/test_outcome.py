"""Writing an outcome down: what keeps it from the table, and how often the table is asked meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dev import samples
from shared.alerts import alert
from shared.clients.answer import Answer
from shared.errors import Conflict
from shared.ledger import keys, record, rows, settlement
from shared.sending import window
from shared.sending.api import Reference
from shared.sending.outcome import Clocks, Outcomes, Sending
from shared.table.protocol import Insert, Operation, Row
from tests.checks.virtual import EPOCH, answer_with

POLICY = window.Policy()


class Stubborn:
    """A table in which every write meets a conflict, and the one alert is as it was before its call."""

    def __init__(self, held: record.Entry) -> None:
        (written, _) = rows.insert(held)
        assert isinstance(written, Insert)
        self._row = Row(written.key, written.values, "etag", EPOCH)
        self.commits = 0

    def now(self) -> float:
        """Return the same time always."""
        return EPOCH

    def get(self, key: str) -> Row | None:
        """Return the alert's row."""
        return self._row if key.startswith((keys.ALERT, keys.LATER)) else None

    def get_all(self, keys: Sequence[str]) -> list[Row | None]:
        """Return the rows with these keys."""
        return [self.get(key) for key in keys]

    def side_by_side(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return what each call returns."""
        return [call() for call in calls]

    def query(self, *_: Any, **__: Any) -> list[Row]:
        """Return nothing."""
        return []

    def commit(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Refuse to write; end a loop that would not end by itself."""
        del operations
        self.commits += 1
        if self.commits > 10_000:
            raise AssertionError
        raise Conflict


@dataclass
class Created:
    """A Defender that creates every alert."""

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Answer at once."""
        del body, token
        return answer_with(200)


def test_an_outcome_that_always_meets_a_conflict_does_not_flood_the_table() -> None:
    """Between two tries some time passes, so that a lease of 150 s holds some hundred tries, and then it ends."""
    now = [0.0]
    clocks = Clocks(lambda: now[0], lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds))
    made = alert.check(samples.eight_fields(samples.event(1), "A rule", "High")).alert
    assert made
    entry = record.accept(made, source="defender", delivery="d", now=EPOCH)
    held = record.hold(entry, "attempt", now=EPOCH, lease=POLICY.lease)
    table = Stubborn(held)
    outcomes = Outcomes(table, Reference(Created(), settlement.Rules(), 60.0), POLICY, clocks)
    start = window.Start.now(clocks.monotonic, clocks.wall)
    slot = window.Held("slot-00", "attempt", "etag")
    finished = outcomes.finish(Sending(held, "etag", slot, None, start, EPOCH), "token")
    assert finished.entry == held
    assert 100 < table.commits < 1_000
    assert POLICY.lease <= now[0] < POLICY.lease + 2
