"""What a stage asks of its API, and what an answer means for the alert and for the window."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.clients.answer import Answer
from shared.ledger import settlement
from shared.ledger.record import Entry
from shared.log import Described
from shared.sending import pause
from shared.sending.pause import Trouble
from shared.table.protocol import Operation

_A = TypeVar("_A", bound=Described)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an acquire: the entry `after` it, and what the window is told.

    `called` is false if no call was made, `sent` if nothing of it left this machine, `answered` if it may arrive yet.
    `cause` is why everyone pauses. `onward` is an alert to be accepted in the next stage, and `beside` what else
    is written, both in the same transaction.
    """

    after: Entry
    called: bool = True
    sent: bool = True
    answered: bool = True
    cause: Trouble | None = None
    onward: Entry | None = None
    beside: tuple[Operation, ...] = ()


class Api(Protocol[_A]):
    """The API of a stage."""

    def call(self, entry: Entry, missing: Mapping[str, float], token: str) -> _A:
        """Make one call; never raise for anything the network does. `missing` is what the API does not have."""

    def outcome(self, entry: Entry, answer: _A, now: float) -> Outcome:
        """Return what an answer makes of an entry; `now` is the server's time in UTC seconds."""

    def plain(self, answer: _A) -> _A:
        """Return an answer without the API's own words, for a table that refuses them."""


class Caller(Protocol):
    """Makes the call to Defender; see `shared.clients.defender.Defender`."""

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Make one call; never raise for anything the network does."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The API of the stage *reference*: Defender's `CreateAlertByReference`. `window` is its quota's, in seconds."""

    defender: Caller
    rules: settlement.Rules
    window: float

    def call(self, entry: Entry, missing: Mapping[str, float], token: str) -> Answer:
        """Create the alert."""
        del missing
        return self.defender.create_alert(entry.alert.body(), token)

    def outcome(self, entry: Entry, answer: Answer, now: float) -> Outcome:
        """Return what Defender's answer makes of an entry."""
        return Outcome(
            settlement.settle(entry, answer, now=now, rules=self.rules),
            sent=answer.sent,
            answered=answer.answered,
            cause=pause.trouble(answer, self.window) if answer.kind == "unavailable" else None,
        )

    def plain(self, answer: Answer) -> Answer:
        """Return an answer without Defender's own words: its kind, its status, and an id that is text."""
        return answer.plain()
