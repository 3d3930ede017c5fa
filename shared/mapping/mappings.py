"""Payload → alerts, by the mapping files (`mapping_file.py` says what is in them).

A delivery's documents are opened first: a string that holds JSON is that JSON, an envelope is what its
`unwrap` gives, and an array that nobody recognises as a whole is its elements. An opened document goes to the
source the sender named, else to the one of the highest `priority` whose `when` holds (the user's own before
ours, then by name). Its mapping splits it into events and says where each field stands.

    documents ── open ──┬─ ignore: nothing is to be raised
                        └─ events ──┬─ skip
                                    └─ fields ── query string ── otherwise ── check ──┬─ Mapped
                                                                                      └─ Refused
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared import problems
from shared.alerts import alert
from shared.alerts.alert import Alert
from shared.mapping import expression, hallmark, mapping_file
from shared.mapping.draft import Draft
from shared.mapping.expression import Evaluation, Expression
from shared.mapping.source import Source
from shared.payload import names
from shared.payload.body import Number
from shared.problems import Problem

_MAX_LEVELS = 12  # envelopes, arrays and JSON in strings around a document
_MAX_KEYS = 1_000  # real objects have up to 200
_JSON = Expression("json(@)")


@dataclass(frozen=True, slots=True)
class Mapped:
    """One event that became an alert. `event` counts from 0 over the delivery.

    `time_truncated`: its time certainly lost digits on its way, so a 404 will stay one. `origins` names, for
    each field, the expression or the parameter its value came from.
    """

    event: int
    alert: Alert
    notes: tuple[str, ...] = ()
    time_truncated: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that cannot become an alert, with everything that is wrong with it."""

    event: int
    problems: tuple[Problem, ...]
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a delivery becomes.

    `ignored` says why nothing is to be raised, `reply` is the body its sender then expects. `steps` say, for
    people, how the payload was opened and recognised. `refusal` is the HTTP status of a refusal where the sender
    would repeat a 422 (Event Grid, CloudEvents).
    """

    source: str | None
    alerts: tuple[Mapped, ...] = ()
    refused: tuple[Refused, ...] = ()
    ignored: str | None = None
    reply: dict[str, Any] | None = None
    steps: tuple[str, ...] = ()
    refusal: int | None = None


class Mappings:
    """The mappings in use. `broken` lists what of the user's own could not be read."""

    def __init__(self, sources: Mapping[str, Source], broken: Sequence[Problem] = ()) -> None:
        self.sources = dict(sources)
        self.broken = list(broken)
        self._by_priority = sorted(sources.values(), key=lambda one: (-one.priority, one.ours, one.name))

    def names(self) -> tuple[str, ...]:
        """Return the names of the sources, sorted, without envelopes and what is only there to be extended."""
        known = (one.name for one in self._by_priority if not one.unwrap and (one.when or not one.ours))
        return tuple(sorted(known))

    def apply(
        self, documents: list[Any], *, source: str | None, defaults: Mapping[str, str], max_alerts: int
    ) -> Outcome:
        """Turn the documents of a delivery into alerts, refusals, or the reason why nothing is to be raised.

        `defaults` are values by the API's names that fill what the payload left empty. Raises `RequestError`
        for an unknown source, `PayloadTooLarge` for more than `max_alerts` events or too much work.
        """
        named = self._named(source) if source else None
        run = _Run(self, defaults, max_alerts)
        if named:
            run.steps[f"the request names {named.name}"] = None
        try:
            for document in documents:
                run.open(document, named, ())
        except expression.TooManySteps:
            raise problems.PayloadTooLarge(
                "The body is too large to be mapped in a moment. Send fewer or smaller events at a time."
            ) from None
        return run.outcome(named)

    def recognise(
        self, document: Any, named: Source | None, evaluation: Evaluation, *, envelopes: bool
    ) -> Source | None:
        """Return the mapping for a document, or None. A named one gives way only to an envelope around it."""
        if not isinstance(document, dict | list):
            return None
        words = _words(document)
        for source in (named, *self._by_priority) if named else self._by_priority:
            eligible = envelopes if source.unwrap else source is named or not named
            if eligible and source.when and evaluation.holds(source.when, document, words):
                return source
        return None

    def _named(self, name: str) -> Source:
        found = self.sources.get(name.strip().lower())
        if found is None:
            raise problems.RequestError(
                f"There is no mapping for the source {alert.shown(name)}. Leave source out to have the"
                f" payload recognised, or name one of {', '.join(self.names())}."
            )
        return found


def load(folder: Path | None = None) -> Mappings:
    """Read our mappings and the user's own in `folder`, which win by name.

    What cannot be read of the user's is reported in `Mappings.broken`; it raises nothing.
    """
    return Mappings(*mapping_file.read_all(folder))


def _within(source: Source, around: tuple[Source | None, ...]) -> Source:
    """Return a source that also tells, of a missing field, what the envelopes around say of it."""
    envelopes = [one.missing for one in around if one and one.missing]
    if not envelopes:
        return source
    told = [source.missing, *envelopes]
    return replace(
        source,
        missing={name: " ".join(one[name] for one in told if name in one) for name in set().union(*told)},
    )


def _words(document: Any) -> set[str] | None:
    """Return the words of an object's keys, or what stands for an array; None where there are too many keys."""
    if not isinstance(document, dict):
        return {hallmark.ARRAY}
    return set(map(names.word, document)) if len(document) <= _MAX_KEYS else None


class _Run:
    """One delivery on its way through the mappings."""

    def __init__(self, mappings: Mappings, defaults: Mapping[str, str], max_alerts: int) -> None:
        self._mappings = mappings
        self._defaults = defaults
        self._max_alerts = max_alerts
        self._budget = expression.Budget(max_alerts)
        self._events = 0
        self._sources: dict[str, None] = {}
        self.steps: dict[str, None] = {}
        self._alerts: list[Mapped] = []
        self._refused: list[Refused] = []
        self._ignored: list[str] = []
        self._reply: dict[str, Any] | None = None
        self._refusal: int | None = None

    def outcome(self, named: Source | None) -> Outcome:
        nothing = not self._alerts and not self._refused
        return Outcome(
            "+".join(self._sources) or (named.name if named else None),
            tuple(self._alerts),
            tuple(self._refused),
            (self._ignored or ["The payload carries no event."])[0] if nothing else None,
            self._reply if nothing else None,
            tuple(self.steps),
            self._refusal,
        )

    def open(self, document: Any, named: Source | None, around: tuple[Source | None, ...]) -> None:
        """Find what is inside a document, and map it. `around` is what was opened to come to it."""
        levels = _MAX_LEVELS - len(around)
        evaluation = Evaluation(document, budget=self._budget)
        inside: Any = None
        source = None
        if isinstance(document, str) and not isinstance(document, Number):
            inside = [evaluation.value(_JSON, document)]
            inside = inside if isinstance(inside[0], dict | list | str) else None
        else:
            source = self._mappings.recognise(document, named, evaluation, envelopes=bool(levels))
            if source and source.unwrap and not self._ignores(source, document, evaluation):
                self.steps[f"opened: {source.title}"] = None
                self._refusal = self._refusal or source.refusal
                inside = [evaluation.value(source.unwrap, document)]
            elif source and source.unwrap:
                return
            elif source is None and isinstance(document, list):
                inside = document
        if inside is None or not levels:
            self._map(document, source or named, evaluation, around)
            return
        for one in inside:
            self.open(one, None if source and source is named else named, (*around, source))

    def _map(
        self,
        document: Any,
        source: Source | None,
        evaluation: Evaluation,
        around: tuple[Source | None, ...],
    ) -> None:
        if source is None or source.unwrap or not isinstance(document, dict | list):
            self._refused.append(Refused(self._next(), (self._unknown(document),)))
            return
        self.steps[f"read as {source.name}: {source.title}"] = None
        self._sources[source.name] = None
        if self._ignores(source, document, evaluation):
            return
        source = _within(source, around)
        events = evaluation.value(source.events, document) if source.events else document
        events = events if isinstance(events, list) else [events]
        for event in events:
            skipped = next((rule.text for rule in source.skip if evaluation.holds(rule.when, event)), None)
            if skipped:
                self._next()
                self._ignored.append(skipped)
                continue
            place = document if len(events) == 1 else event
            for draft in Draft(source, event, evaluation, self._defaults, place).apart():
                self._add(self._next(), draft)

    def _add(self, number: int, draft: Draft) -> None:
        checked = draft.checked()
        if checked.alert:
            self._alerts.append(
                Mapped(number, checked.alert, checked.notes, checked.time_truncated, draft.origins)
            )
        else:
            self._refused.append(Refused(number, checked.problems, draft.origins))

    def _ignores(self, source: Source, document: Any, evaluation: Evaluation) -> bool:
        for rule in source.ignore:
            if evaluation.holds(rule.when, document):
                self._next()
                self._sources[source.name] = None
                self._ignored.append(rule.text)
                reply = evaluation.value(rule.reply, document) if rule.reply else None
                self._reply = self._reply or (reply if isinstance(reply, dict) else None)
                return True
        return False

    def _next(self) -> int:
        """Return the number of the next event. Raises `PayloadTooLarge` if it is one too many."""
        if self._events >= self._max_alerts:
            raise problems.PayloadTooLarge(
                f"The body carries more than {self._max_alerts:,} events (MAX_ALERTS_PER_DELIVERY)."
                " Send fewer at a time."
            )
        self._events += 1
        return self._events - 1

    def _unknown(self, document: Any) -> Problem:
        what = (
            "is of no source we know"
            if isinstance(document, dict)
            else f"{alert.shown(document)} is no event"
        )
        return Problem(
            "payload",
            f"{what}. Send an object with {', '.join(alert.FIELDS)}, or one of a known source"
            f" ({', '.join(self._mappings.names())}).",
        )
