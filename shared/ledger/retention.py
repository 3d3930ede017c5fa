"""Deletes rows after their retention, in steps of limited time; waiting alerts stay.

deliveries ──► refused payloads ──► rows moved aside ──► names of ends ──► outcomes of a trial   each from the oldest on
"""

import collections
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from shared import log
from shared.errors import Unreadable
from shared.ledger import keys, lookup, record, rows
from shared.ledger.record import Delivery, Entry
from shared.table.protocol import MAX_OPERATIONS, Delete, Operation, Row, Table, try_commit

FIRST_SECONDS = 600.0
EVERY_SECONDS = 6 * 3600.0
PIECE_SECONDS = 5.0
"""How long a piece may take; a request that was begun by then ends."""
REFUSED_ROWS = 1_000
"""So many refused payloads stay, the newest, and beyond them `SENDER_ROWS` of each sender."""
SENDER_ROWS = 50
NAMED_SECONDS = 3600.0
"""How often it is noted at most that deliveries go on naming an alert that has ended."""
_DELIVERIES = 50
_KEYS = 1_000
_DAY = 86_400.0
_PHASES = (keys.DELIVERY, keys.REFUSED, keys.ASIDE, keys.ENDED, keys.TRIAL)


@dataclass(slots=True)
class Schedule:
    """When this host deletes old rows next, and from which row on.

    Not at its start, for an idle tick of the dispatcher is one query; but soon, for a host may not live for hours.
    """

    _next: float | None = None
    _start: str = keys.DELIVERY

    def run(self, table: Table, retention_days: float, monotonic: Callable[[], float]) -> None:
        """Delete one portion if it is time; there may be more for the next tick."""
        now = monotonic()
        if self._next is None:
            self._next = now + FIRST_SECONDS
        if now < self._next:
            return
        start = purge(
            table, retention_days * _DAY, self._start, over=lambda: monotonic() >= now + PIECE_SECONDS
        )
        self._start = start or keys.DELIVERY
        self._next = now + (0.0 if start else EVERY_SECONDS)


def name(entry: Entry, *, now: float) -> Entry | None:
    """Return an ended entry as contained in a delivery accepted now; None if that need not be noted."""
    lately = max(entry.ended or 0.0, entry.named or 0.0)
    if not entry.has_ended or now < lately + NAMED_SECONDS:
        return None
    return replace(entry, named=now)


def purge(
    table: Table, seconds: float, start: str = keys.DELIVERY, *, over: Callable[[], bool] = lambda: False
) -> str | None:
    """Delete deliveries with their alerts, refused payloads and rows moved aside that are older than `seconds`.

    Begin after the row `start`, and stop when the time is `over`. Return the last row that was read, None at the end.
    """
    piece = _Piece(table, table.now() - seconds, over)
    try:
        first = next(number for number, phase in enumerate(_PHASES) if start.startswith(phase))
        for phase in _PHASES[first:]:
            if after := piece.run(phase, start if start.startswith(phase) else phase):
                return after
    finally:
        if piece.gone:
            log.step("purged", rows=piece.gone)
    return None


@dataclass(slots=True)
class _Piece:
    """One portion of work: rows that ended `before` a time (UTC seconds) are deleted. `gone` counts them."""

    table: Table
    before: float
    over: Callable[[], bool]
    gone: int = 0

    def run(self, phase: str, start: str) -> str | None:
        """Do one phase from a row on; return the last row that was read when the time is over, None at its end."""
        if phase == keys.DELIVERY:
            return self._deliveries(start)
        if phase == keys.REFUSED:
            return self._refused()
        if phase in (keys.ASIDE, keys.ENDED):
            return self._old(phase, (phase, phase + keys.stamp(self.before)))
        return self._old(
            phase,
            *(
                (keys.trials(outcome, 0.0)[0], keys.trials(outcome, self.before)[0])
                for outcome in keys.OUTCOMES
            ),
        )

    def _deliveries(self, start: str) -> str | None:
        end = keys.delivery_key(keys.delivery_time(self.before))
        while not self.over():
            deliveries = self.table.query(start, end, after=True, limit=_DELIVERIES)
            for row in deliveries:
                if self.over():
                    return start
                self._delivery(row)
                start = row.key
            if len(deliveries) < _DELIVERIES:
                return None
        return start

    def _delivery(self, row: Row) -> None:
        """Delete a delivery with the alerts that it brought, if all of them may go; its own row last."""
        try:
            pieces = _delivery(self.table, row, self.before)
        except Unreadable:
            return  # it stays, for whoever corrects or removes it
        for piece in filter(None, pieces):
            if not self._delete(piece):
                return  # changed meanwhile: its time comes again

    def _refused(self) -> str | None:
        surplus = _Surplus(self.before)
        for row in self._keys(keys.REFUSED, keys.REFUSED_END):
            surplus.add(row)
            if len(surplus.keys) >= MAX_OPERATIONS:
                self._delete_keys(surplus.keys)
        if not self.over():
            self._delete_keys(surplus.keys)
        return keys.REFUSED if self.over() else None

    def _old(self, phase: str, *ranges: tuple[str, str]) -> str | None:
        """Delete all rows of some ranges."""
        old: list[str] = []
        for first, end in ranges:
            for row in self._keys(first, end):
                old.append(row.key)
                if len(old) == MAX_OPERATIONS:
                    self._delete_keys(old)
        self._delete_keys(old)
        return phase if self.over() else None

    def _keys(self, start: str, end: str) -> Iterator[Row]:
        """Yield the rows of a range, in key order and without values, until the time is over."""
        while not self.over():
            page = self.table.query(start, end, after=True, limit=_KEYS, keys_only=True)
            yield from page
            if len(page) < _KEYS:
                return
            start = page[-1].key

    def _delete_keys(self, old: list[str]) -> None:
        """Delete rows and empty the list. If another host has deleted one of them, delete each by itself."""
        operations: list[Operation] = [Delete(key, "*") for key in old]
        old.clear()
        if operations and not self._delete(operations):
            for operation in operations:
                if self.over():
                    return
                self._delete([operation])

    def _delete(self, operations: list[Operation]) -> bool:
        if not try_commit(self.table, operations):
            return False
        self.gone += len(operations)
        return True


@dataclass(slots=True)
class _Surplus:
    """Which of refused payloads, seen from the oldest on, are too many or too old; `keys` collects them.

    A row is surplus once `REFUSED_ROWS` newer ones were read, `SENDER_ROWS` of them from its sender: so one sender's
    many payloads do not remove the last ones of another. A part of the rows is enough to begin with.
    """

    before: float
    keys: list[str] = field(default_factory=list)
    _newest: collections.deque[tuple[str, str]] = field(default_factory=collections.deque)
    _beyond: dict[str, collections.deque[str]] = field(default_factory=dict)
    _among: collections.Counter[str] = field(default_factory=collections.Counter)

    def add(self, row: Row) -> None:
        """Count the next row."""
        if row.timestamp < self.before:
            self.keys.append(row.key)
            return
        sender = keys.refused_sender(row.key)
        self._newest.append((sender, row.key))
        self._among[sender] += 1
        self._shed(sender)
        if len(self._newest) > REFUSED_ROWS:
            sender, key = self._newest.popleft()
            self._among[sender] -= 1
            self._beyond.setdefault(sender, collections.deque()).append(key)
            self._shed(sender)

    def _shed(self, sender: str) -> None:
        beyond = self._beyond.get(sender, collections.deque())
        while beyond and self._among[sender] + len(beyond) > SENDER_ROWS:
            self.keys.append(beyond.popleft())


def _delivery(table: Table, row: Row, before: float) -> list[list[Operation]]:
    """Return the transactions that delete a delivery and the alerts it brought, its own row last; none if it stays."""
    delivery = rows.read_delivery(row)
    brought = [alert for alert in delivery.alerts if alert not in delivery.duplicates]
    entries = _stored(table, brought)
    links = dict.fromkeys(entry.link for _, entry in entries if entry.state == "matched")
    linked = _stored(table, [link for link in links if link not in brought])
    held = []
    for alert, entry in (*entries, *linked):
        # A search goes together with the alert that it has led to: a later delivery may find that by the search alone.
        if entry.alert.id in links or _holds(table, delivery, entry):
            if not _may_go(entry, before):
                return []
            held.append((alert, entry))
    copies = _copies(table, delivery, [entry for _, entry in held])
    groups: list[list[Operation]] = []
    for alert, entry in held:
        group: list[Operation] = [Delete(alert.key, alert.etag)]
        if lookup.movable(table, entry).state == "failed":  # and is listed
            group.append(Delete(keys.failed_key(entry.ended, entry.alert.id), "*"))
        if (copy := keys.copy_key(entry.delivery, entry.alert.id)) in copies:
            copies.remove(copy)
            group.append(Delete(copy, "*"))
        groups.append(group)
    groups += [[Delete(copy, "*")] for copy in sorted(copies) if copy.startswith(keys.copies(delivery.id)[0])]
    groups.append([Delete(row.key, row.etag)])
    pieces: list[list[Operation]] = [[]]
    for group in groups:
        if len(pieces[-1]) + len(group) > MAX_OPERATIONS:
            pieces.append([])
        pieces[-1] += group
    return pieces


def _stored(table: Table, alerts: Sequence[str]) -> list[tuple[Row, Entry]]:
    """Return the rows of alerts that are there, and the alerts."""
    stored = table.get_all([keys.alert_key(alert) for alert in alerts]) if alerts else []
    return [(row, rows.read(row)) for row in stored if row is not None]


def _copies(table: Table, delivery: Delivery, held: Sequence[Entry]) -> set[str]:
    """Return the keys of copies of a delivery's alerts, also of those that went on to another delivery."""
    homes = {entry.delivery for entry in held if entry.many}
    if len(delivery.alerts) > record.FEW:
        homes.add(delivery.id)
    return {row.key for home in homes for row in table.query(*keys.copies(home), keys_only=True)}


def _holds(table: Table, delivery: Delivery, entry: Entry) -> bool:
    """Tell whether an alert is deleted with this delivery: not if a later delivery contains it and still exists."""
    if entry.delivery == delivery.id:
        return True
    return table.get(keys.delivery_key(entry.delivery)) is None


def _may_go(entry: Entry, before: float) -> bool:
    """Tell whether an alert ended, and the last delivery that names it was accepted, before a time (UTC seconds).

    That time is noted at most once in `NAMED_SECONDS`, so a later delivery may contain it within that time.
    """
    return entry.ended is not None and max(entry.ended, entry.named or 0.0) + NAMED_SECONDS <= before
