"""The operator's try: searches for the events of a payload, shows what was found, and raises and stores nothing.

    read ── map ── each event with clues: acquire a slot ── one hunting query ── release the slot ── verdict

Each call of Graph holds a slot of the stage *search* (`trial_slots`). A 429 of Graph ends the searches of this try, and
pauses the stage.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import log
from shared.clients.graph import Result
from shared.errors import Busy, WebhookError
from shared.mapping.outcome import Mapped, Outcome, Refused
from shared.operations import trial_slots
from shared.payload import body as payload
from shared.payload import compression, names
from shared.payload.clues import SECOND, Clues
from shared.search import query as queries
from shared.search import tables, verdict
from shared.search.query import Query
from shared.search.verdict import Verdict
from shared.sending.search import Hunts, asked_by
from shared.sending.window import Policy
from shared.web import evidence
from shared.webhook import asked, returned

if TYPE_CHECKING:
    from shared.sending.dispatcher import Tokens
    from shared.webhook.receive import Webhook

EVENTS = 5
"""Events that one try searches."""
SHOWN = 20
"""Events that one try shows."""
LONGEST_SECONDS = 205.0
"""By when a further call must have ended, without its slot: Azure ends a request after 230 s."""

_TOKEN_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Search:
    """The parts that a try needs beside the webhook; `policy` are the rules of the window in front of Graph."""

    graph: Hunts
    tokens: "Tokens"
    policy: Policy


def answer(
    webhook: "Webhook", search: Search, body: bytes, parameters: Mapping[str, str], content_encoding: str
) -> dict[str, Any]:
    """Try a payload with the parameters of a POST to the webhook, and return what came of each event.

    Raise the webhook's errors of a payload that cannot be read. If the first search cannot begin: `NoSlot`,
    `TokenError` or `TableError`.
    """
    attempt = _Try(webhook, search)
    outcome = _outcome(webhook, body, parameters, content_encoding)
    chosen, remaining = _chosen(sorted((*outcome.alerts, *outcome.refused), key=lambda event: event.event))
    events = [attempt.event(event) for event in chosen]
    matches = sum(event["verdict"] is not None and event["verdict"]["outcome"] == "match" for event in events)
    log.step("operator", operation="try", source=outcome.source, searches=attempt.searches, found=matches)
    return {
        "source": outcome.source,
        "ignored": outcome.ignored,
        "steps": list(outcome.steps),
        "events": events,
        "remaining": remaining,
    }


def judged(
    clues: Clues, hunt: Callable[[Query], Result], without: set[str], now: Callable[[], float]
) -> tuple[Verdict | None, Result | None]:
    """Search for the event of clues; return the verdict and the last answer, or no answer if no query is left.

    A table that the tenant does not have is added to `without`, and the others are searched. `now`: UTC seconds.
    """
    result = None
    while built := queries.build(clues, without=without):
        result = hunt(built)
        if result.kind == "no table" and result.table in tables.NAMES - without:
            without.add(result.table)
            continue
        if result.kind != "rows" or not clues.when:
            return None, result
        age = now() - clues.when.end / SECOND
        return verdict.judge(clues, result.rows, age=age), result
    return None, result


class _Try:
    """The searches of one try."""

    def __init__(self, webhook: "Webhook", search: Search) -> None:
        self.searches = 0
        self._clocks = webhook.clocks
        self._dispatcher = webhook.dispatcher
        self._search = search
        self._ends = self._clocks.monotonic() + LONGEST_SECONDS
        self._without: set[str] = set()
        self._over = ""  # why no further event is searched

    def event(self, event: Mapped | Refused) -> dict[str, Any]:
        """Return one event as it is shown, searched if it has clues and no whole reference."""
        refused = event if isinstance(event, Refused) else None
        shown: dict[str, Any] = {
            "event": event.event,
            "problems": [problem.render() for problem in refused.problems] if refused else [],
            "remedy": (refused.remedy or None) if refused else None,
            "reference": None,
            "lost": [],
            "clues": [],
            "query": None,
            "verdict": None,
            "error": None,
        }
        known = event.evidence
        if known is not None:
            shown |= evidence.shown(known)
            if shown["query"] is None:
                shown["error"] = f"There is no query: {evidence.missing(known.scan)}."
            else:
                shown["verdict"], shown["error"] = self._verdict(known.scan.clues)
        elif isinstance(event, Mapped):
            body = event.alert.body()
            shown["reference"] = {name: body[name] for name in names.KEYS}
        else:
            shown["error"] = (
                "Not searched: it has a whole reference, or is more than one event; see `problems`."
            )
        return shown

    def _verdict(self, clues: Clues) -> tuple[dict[str, Any] | None, str | None]:
        """Return the verdict as it is shown, or why there is none. Raise if the first search cannot begin."""
        if self._over:
            return None, self._over
        try:
            judgement, result = judged(clues, self._hunt, self._without, self._dispatcher.table.now)
        except WebhookError as error:
            if not self.searches:
                raise
            self._over = f"Not searched: {error.detail}"
            return None, self._over
        if judgement:
            return evidence.judged(judgement, sorted(self._without)), None
        if result is None or result.kind == "no table":
            return (
                None,
                f"The tenant does not have the tables of this query: {', '.join(self._missing(result))}.",
            )
        if result.kind != "bad query":
            self._over = "Not searched, because the search of an earlier event failed."
        again = "" if result.wait is None else f" Try again in {math.ceil(result.wait)} s."
        return None, f"{result.message}{again}"

    def _missing(self, result: Result | None) -> list[str]:
        return sorted(self._without | ({result.table} if result else set()))

    def _hunt(self, built: Query) -> Result:
        """Make one call in a slot. Raise `NoSlot`, `TokenError` or `TableError` if it cannot begin."""
        if self.searches and self._clocks.monotonic() + self._search.policy.deadline > self._ends:
            raise Busy("The time of this try is over; send this event alone.", retry_after=1)
        token = self._search.tokens.token(timeout=_TOKEN_SECONDS)
        policy = self._search.policy
        held = trial_slots.acquire(self._dispatcher, policy)
        self.searches += 1
        result = self._search.graph.hunt(built.text, built.timespan, built.columns, token)
        if result.kind == "throttled":
            trial_slots.pause(self._dispatcher, policy, held, asked_by(result))
        if result.status is not None:  # else it may arrive yet, and the lease stands
            trial_slots.release(self._dispatcher, policy, held)
        return result


def _outcome(
    webhook: "Webhook", body: bytes, parameters: Mapping[str, str], content_encoding: str
) -> Outcome:
    """Return what a payload becomes, with the clues of each event. The operator may name any source."""
    wanted = asked.read(parameters)
    if wanted.wrong:
        raise wanted.wrong
    settings = webhook.settings
    opened = compression.opened(body, max_bytes=settings.max_payload_bytes, content_encoding=content_encoding)
    return webhook.mappings.apply(
        payload.read(opened, max_bytes=settings.max_payload_bytes),
        source=wanted.text("source"),
        defaults={name: value for name in asked.DEFAULTS if (value := wanted.text(name))},
        max_alerts=settings.max_alerts_per_delivery,
        now=webhook.clocks.wall(),
        clues=True,
        made=returned.made(webhook.dispatcher.table, opened),
    )


def _chosen(events: Sequence[Mapped | Refused]) -> tuple[list[Mapped | Refused], int]:
    """Return the events to show, of which a few can be searched, and the number of the others."""
    chosen: list[Mapped | Refused] = []
    searched = 0
    for event in events:
        can = event.evidence is not None and queries.build(event.evidence.scan.clues) is not None
        if len(chosen) < SHOWN and (not can or searched < EVENTS):
            chosen.append(event)
            searched += can
    return chosen, len(events) - len(chosen)
