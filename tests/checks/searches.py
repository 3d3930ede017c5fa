"""Searches without Graph: a script says what each call is answered, and the calls are there to be looked at."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from shared.clients.graph import Result
from shared.ledger import keys
from shared.operations.tryout import Search
from shared.sending import window

TOKEN = "a-token-for-graph"


@dataclass
class Script:
    """Answers calls of hunting, one after the other; `tokens` counts those that were asked for."""

    results: Iterable[Result] = ()
    during: Callable[[], None] = lambda: None
    queries: list[str] = field(default_factory=list)
    tokens: int = 0

    def hunt(self, query: str, timespan: str, columns: Collection[str], token: str) -> Result:
        """Answer a call with the next result."""
        assert timespan
        assert columns
        assert token == TOKEN
        self.queries.append(query)
        self.during()
        self.results = iter(self.results)
        return next(self.results)

    def token(self, *, timeout: float) -> str:
        """Give a token."""
        assert timeout > 0
        self.tokens += 1
        return TOKEN


def searching(script: Script | None = None, *, deadline: float = 60.0) -> Search:
    """Return what the operator's try needs; without a script no call is expected."""
    script = script or Script()
    return Search(script, script, window.Policy(deadline=deadline, stage=keys.SEARCH))
