"""What a POST sends itself: as much as the windows allow, within `INLINE_SECONDS`."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log
from shared.errors import TableError, TokenError
from shared.ledger import lookup
from shared.ledger.record import Entry
from shared.web.delivery import DeliveryAlert
from shared.webhook.memory import Memory
from shared.webhook.permits import Permits

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch, Flights
    from shared.sending.outcome import Clocks
    from shared.sending.snapshot import Snapshot

TRIES = 3
_TOKEN_SECONDS = 5.0
_TOKEN_SECONDS_WITHOUT = 1.0  # a permit


@dataclass(slots=True)
class Room:
    """One stage as a POST sees it: its dispatcher, its last snapshot, and a token for its API.

    Without a token nothing is sent: its window is full, or the identity gave none.
    """

    dispatcher: "Dispatch"
    snapshot: "Snapshot | None" = None
    token: str | None = None

    @property
    def name(self) -> str:
        """The name of the stage."""
        return self.dispatcher.policy.stage.name

    @property
    def now(self) -> "Snapshot | None":
        """The last snapshot, with the pause that the answers to this host's calls have asked for since."""
        if self.snapshot is None:
            return None
        heard = self.dispatcher.outcomes.heard
        view = replace(self.snapshot.view, now=self.dispatcher.table.now())
        if view.asked and view.asked.probed and heard.until > view.now:
            view = replace(view, asked=None)  # the probe was ours, and this is its answer
        return replace(self.snapshot, view=view.quiet_until(heard))


@dataclass(frozen=True, slots=True)
class Inline:
    """The sending of one POST. It waits for answers until `ends`, in monotonic seconds."""

    clocks: "Clocks"
    permits: Permits
    memory: Memory
    ends: float

    def room(self, dispatcher: "Dispatch") -> Room:
        """Return what may be sent in a stage. Raise `TableError`."""
        snapshot = self.memory.full(dispatcher.policy.stage, dispatcher.table.now())
        room = Room(dispatcher, snapshot)
        if snapshot is None:
            try:
                with self._waiting(_TOKEN_SECONDS_WITHOUT) as seconds:
                    room.token = dispatcher.token(min(_TOKEN_SECONDS, seconds))
            except TokenError as error:
                log.problem("no token", error)
            self.look(room)
        return room

    def look(self, room: Room) -> "Snapshot":
        """Return a new snapshot of a stage."""
        room.snapshot = room.dispatcher.snapshot()
        self.memory.note(room.snapshot)
        return room.snapshot

    def wait(self, dispatcher: "Dispatch", flights: "Flights") -> dict[str, Entry]:
        """Wait for answers while there is time; return the alerts with their outcomes, by the ids that were sent."""
        with self._waiting(0.0) as seconds:
            dispatcher.wait(flights, seconds)
        return {
            sending.entry.alert.id: flight.result().entry if flight.done() else sending.entry
            for flight, sending in flights.items()
        }

    def send(
        self, first: Room, others: "Sequence[Dispatch]", alerts: Sequence[DeliveryAlert]
    ) -> list[DeliveryAlert]:
        """Send what the windows allow, most urgent first, of all deliveries; return this delivery's alerts.

        The calls of the `first` stage start before the others' tokens are asked for.
        """
        flights: Flights = {}
        dispatched: dict[str, Entry] = {}
        for dispatcher in (first.dispatcher, *others):
            if self.clocks.monotonic() >= self.ends:
                break
            try:
                room = first if dispatcher is first.dispatcher else self.room(dispatcher)
                mine = [alert for alert in alerts if alert.entry.stage.name == room.name]
                dispatched |= self._start(room, mine, flights)
            except TableError as error:
                log.problem("accepted, not sent yet", error)
        sent = dispatched | (self.wait(first.dispatcher, flights) if flights else {})
        return [
            DeliveryAlert.of(
                asked := alert.entry.alert.id,
                sent.get(asked, alert.entry),
                duplicate=alert.duplicate,
                notes=alert.notes,
            )
            for alert in alerts
        ]

    def _start(self, room: Room, alerts: Sequence[DeliveryAlert], flights: "Flights") -> dict[str, Entry]:
        """Start calls of a stage, and add those for this delivery to `flights`; return what others have sent of it."""
        token = room.token
        if token is None or room.snapshot is None or not room.snapshot.view.open:
            return {}
        ours = {alert.entry.alert.id for alert in alerts if not alert.entry.has_ended}
        new = {alert.entry.alert.id for alert in alerts if not alert.duplicate}
        for _ in range(TRIES):
            snapshot = self.look(room)
            if not snapshot.acquires or self.clocks.monotonic() >= self.ends:
                break
            started = room.dispatcher.start(snapshot, token, self.ends)
            flights |= {
                flight: sending for flight, sending in started.items() if sending.entry.alert.id in ours
            }
            if len(started) == snapshot.acquires == len(snapshot.waiting):
                break
        if not snapshot.whole or len(snapshot.waiting) >= len(new):
            return {}
        # What waits no more was acquired by a dispatcher.
        new -= {sending.entry.alert.id for sending in flights.values()}
        waiting = {waiting.entry.alert.id for waiting in snapshot.waiting}
        return lookup.find(room.dispatcher.table, sorted(new - waiting)).entries

    @contextlib.contextmanager
    def _waiting(self, without: float) -> "Iterator[float]":
        """Yield for how many seconds this POST may wait for answers: at most `without`, if it has no permit.

        Without a permit it calls all the same, and a later poll shows the outcome.
        """
        left = max(0.0, self.ends - self.clocks.monotonic())
        if not self.permits.acquire(blocking=False):
            yield min(without, left)
            return
        try:
            yield left
        finally:
            self.permits.release()
