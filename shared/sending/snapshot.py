"""The window and the head of the backlog, as one query saw them."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.ledger import backlog, record
from shared.ledger.record import Entry, Waiting
from shared.sending import window


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The window and the most urgent of the backlog, as one query saw them.

    `backlog` also knows how many wait for a time, since when, and which rows cannot be read. `on` are the names of the
    stages that are on. `whole`: nothing waits for a slot beyond what was read. `remembered`: more may wait by now.
    """

    view: window.View
    backlog: backlog.Backlog
    on: Collection[str]
    whole: bool
    remembered: bool = False

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """What may be sent, the most urgent first."""
        return self.backlog.waiting

    def turn_in(self, due: float) -> float:
        """Return the seconds until the turn of an alert that is due then (UTC seconds), as far as it was read."""
        return self.view.turn_in(sum(waiting.entry.due < due for waiting in self.waiting))

    def has_room(self, due: float) -> bool:
        """Tell whether an alert that is due then (UTC seconds) may be called now: nothing more urgent waits."""
        return bool(self.view.open) and not (self.waiting and self.waiting[0].entry.due <= due)

    def behind(self, entry: Entry) -> float:
        """Return how many seconds sending was behind when an alert was accepted: how long it was the turn of the first.

        What is tried again does not count, as it waited for its retry, nor does what a lower severity has to wait.
        """
        stage = self.view.stage
        new = (
            waiting.entry
            for waiting in self.waiting
            if not (stage.is_later(waiting.entry.waits) or _was_retried(waiting.entry))
        )
        first = next(new, None) if entry.stage == stage else None
        return max(0.0, min(entry.accepted - record.turn(first), entry.due - first.due)) if first else 0.0

    @property
    def acquires(self) -> int:
        """How many slots may be acquired with it: one if the first call is to be a pause's probe."""
        return min(len(self.view.open), len(self.waiting), 1 if self.view.pause else len(self.view.open))


def _was_retried(entry: Entry) -> bool:
    """Tell whether an alert has waited for a retry since it was accepted; it keeps its old place all the same."""
    return bool(entry.not_found or entry.unavailable or entry.lost)
