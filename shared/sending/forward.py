"""From one stage to the next: the alert that a search has led to is accepted in the stage *reference* or *entity*.

    search's outcome ─┬─ a slot is open, nothing more urgent waits ─ one transaction with its acquire ─ call
                      ├─ else ─ one transaction: the alert waits, in its sender's turn
                      └─ the alert is known ─ one transaction: the rules for known alerts (`known`)

The search ends in that transaction, so an alert waits in exactly one stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import log
from shared.errors import Conflict, TokenError
from shared.ledger import keys, rows
from shared.ledger.record import Entry
from shared.sending import known
from shared.table.protocol import Operation

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

_TOKEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Forward:
    """Accepts alerts in the stage of a dispatcher, and sends them at once if its window allows it."""

    dispatcher: "Dispatch"

    def accept(self, onward: Entry, beside: Sequence[Operation]) -> Entry:
        """Accept an alert in one transaction with what is written `beside` it; return it as it stands then.

        Raise `Conflict` or a `TableError`: nothing is written, or what was written is found there the next time.
        """
        try:
            return self._new(onward, beside)
        except Conflict:
            row = self.dispatcher.table.get(keys.alert_key(onward.alert.id))
            if row is None:
                raise
        if row.values.get("link") == onward.link and row.values.get("delivery") == onward.delivery:
            return rows.read(row)  # ours landed, and nobody heard of it
        return known.join(self.dispatcher.table, onward, row, beside)

    def _new(self, onward: Entry, beside: Sequence[Operation]) -> Entry:
        dispatcher = self.dispatcher
        token = self._token()
        snapshot = dispatcher.snapshot()
        if token is not None and snapshot.has_room(onward.due):
            sending = dispatcher.acquire(
                snapshot.view,
                dispatcher.choose(snapshot.view.open),
                onward,
                lambda held: [*beside, *rows.insert(held)],
            )
            log.step("accepted", entry=onward)
            return dispatcher.outcomes.finish(sending, token).entry
        plan = dispatcher.plan([onward], snapshot)
        (waiting,) = plan.entries
        if not dispatcher.commit(plan, [*beside, *rows.insert(waiting)]):
            dispatcher.turns.give_back(plan)
            dispatcher.turns.read_again(dispatcher.table, plan)
            raise Conflict
        log.step("accepted", entry=waiting)
        return waiting

    def _token(self) -> str | None:
        try:
            return self.dispatcher.token(_TOKEN_SECONDS)
        except TokenError as error:
            log.problem("no token", error)
            return None
