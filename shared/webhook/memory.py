"""What this host remembers for some seconds, so that frequent polls cost few requests to the table."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.errors import Unreadable
    from shared.ledger.keys import Stage
    from shared.ledger.record import Entry
    from shared.sending.snapshot import Snapshot

    Single = Entry | Unreadable | None
    """An alert as it was read by itself: None where it is not stored."""

SECONDS = 5.0
_ANSWERS = 100
_CREATED = 1_000
SINGLE_SECONDS = 900.0
"""For so long it is remembered how a single alert ended, which may be sent again meanwhile by another host."""


@dataclass(slots=True)
class Memory:
    """The last snapshot of each stage, and the last answer of each kind. Each is replaced as a whole."""

    last: dict[str, "Snapshot"] = field(default_factory=dict)
    answers: dict[str, tuple[float, Any]] = field(default_factory=dict)
    created: dict[str, "Entry"] = field(default_factory=dict)
    singles: dict[str, tuple[float, "Single"]] = field(default_factory=dict)

    def note(self, snapshot: "Snapshot") -> None:
        """Remember the snapshot of a POST."""
        self.last = {**self.last, snapshot.view.stage.name: snapshot}

    def full(self, stage: "Stage", now: float) -> "Snapshot | None":
        """Return the last snapshot of a stage if, by it, the window is still full at `now`."""
        snapshot = self.last.get(stage.name)
        if snapshot is None or snapshot.view.open:
            return None
        known = SECONDS if snapshot.view.may_change() else math.inf
        if now > snapshot.view.now + min(snapshot.view.opens_in, known):
            return None
        return replace(snapshot, view=replace(snapshot.view, now=now), remembered=True)

    def learn(self, entries: Iterable["Entry"]) -> None:
        """Remember alerts that were created, by their ids: nothing changes them any more."""
        new = {entry.alert.id: entry for entry in entries if entry.state == "created"}
        self.created = dict([*self.created.items(), *new.items()][-_CREATED:])

    def lately(self, at: float) -> dict[str, tuple[float, "Single"]]:
        """Return what was read of single alerts in the last minutes, and when; `at` is in monotonic seconds."""
        return {alert: read for alert, read in self.singles.items() if 0 <= at - read[0] < SINGLE_SECONDS}

    def read_single(self, singles: Mapping[str, "Single"], at: float) -> None:
        """Remember what single alerts were at a moment."""
        new = {alert: (at, single) for alert, single in singles.items()}
        left = {alert: read for alert, read in self.singles.items() if alert not in new}
        self.singles = dict([*left.items(), *new.items()][-_CREATED:])

    def answer(self, kind: str, at: float, make: Callable[[], Any]) -> Any:
        """Return the last answer of a kind, or a new one after a few seconds; `at` is in monotonic seconds."""
        known = self.answers.get(kind)
        if known and 0 <= at - known[0] < SECONDS:
            return known[1]
        made = make()
        lately = [item for item in self.answers.copy().items() if 0 <= at - item[1][0] < SECONDS]
        self.answers = dict([*lately[-_ANSWERS:], (kind, (at, made))])
        return made

    def forget(self) -> None:
        """Forget everything, because the operator has changed something."""
        self.last = {}
        self.answers = {}
        self.created = {}
        self.singles = {}
