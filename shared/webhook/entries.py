"""From the outcome of mapping to entries: alerts with a reference, and alerts whose event is to be searched."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from shared.alerts.text import cut
from shared.entity import entities, once
from shared.errors import Problem
from shared.ledger import keys, record
from shared.ledger.record import Entry
from shared.mapping.outcome import Evidence, Mapped, Outcome, Refused
from shared.payload import names
from shared.search import query, stored

_COMMAND = 4_000  # UTF-16 units, of which JSON may make six times as many


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a delivery: its outcome with what stays refused, events to search, and alerts on entities."""

    outcome: Outcome
    searches: tuple[Refused, ...] = ()
    entities: tuple[Refused, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether all of it is refused."""
        return not (self.outcome.alerts or self.searches or self.entities)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the entries of one delivery, accepted `now` (UTC seconds); `trial`: nothing is to be raised of them.

    Each has the source of its event; `source` is that of the delivery, for an event that names none.
    """

    source: str
    delivery: str
    now: float
    sender: str
    trial: bool = False

    def mapped(self, mapped: Mapped, *, search: bool = False) -> Entry:
        """Return the entry of an alert; with `search` one whose reference lost something is searched first."""
        if search and mapped.evidence and can_search(mapped.evidence):
            body = mapped.alert.body()
            given = {name: body.pop(name) for name in names.KEYS}
            notes = (*mapped.notes, *mapped.evidence.lost)
            return self._searched(body, mapped, mapped.evidence, notes, given)
        return record.accept(
            mapped.alert,
            source=mapped.source or self.source,
            delivery=self.delivery,
            now=self.now,
            notes=mapped.notes,
            truncated=mapped.time_truncated,
            sender=self.sender,
        )

    def search(self, refused: Refused) -> Entry:
        """Return the entry of an event without a reference that can be searched, see `split`."""
        if refused.evidence is None:
            raise ValueError("an event without clues cannot be searched")
        return self._searched(dict(refused.texts), refused, refused.evidence, refused.notes, None)

    def without_event(self, refused: Refused) -> Entry:
        """Return the entry of an event that becomes an alert on the entities it names, see `split`."""
        if refused.evidence is None:
            raise ValueError("an event without clues names no entities")
        evidence = refused.evidence
        source, own_id = refused.source or self.source, evidence.about.own_id
        return record.accept(
            once.alert(refused.texts, evidence.scan.clues, source=source, own_id=own_id),
            source=source,
            delivery=self.delivery,
            now=self.now,
            notes=refused.notes,
            sender=self.sender,
            stage=keys.ENTITY,
            clues=_written(_shortened(evidence)),
        )

    def _searched(
        self,
        texts: dict[str, str],
        event: Mapped | Refused,
        evidence: Evidence,
        notes: Sequence[str],
        given: dict[str, str] | None,
    ) -> Entry:
        source, clues = event.source or self.source, evidence.scan.clues
        accepted = record.accept(
            stored.alert(texts, clues, source=source, trial=self.trial),
            source=source,
            delivery=self.delivery,
            now=self.now,
            notes=notes,
            sender=self.sender,
            stage=keys.SEARCH,
            clues=_written(evidence) | ({stored.GIVEN: given} if given else {}),
        )
        return replace(accepted, trial=self.trial)


def can_search(evidence: Evidence) -> bool:
    """Tell whether an event can be searched by its clues."""
    return query.build(evidence.scan.clues) is not None and stored.fits(_written(evidence))


def names_entities(evidence: Evidence) -> bool:
    """Tell whether an alert can be created on the entities of clues."""
    return not entities.missing(evidence.scan.clues) and stored.fits(_written(_shortened(evidence)))


def split(outcome: Outcome, can: Callable[[Evidence], bool]) -> tuple[Outcome, tuple[Refused, ...]]:
    """Return an outcome without the refused events that lack only a reference, and `can` do without one, and those."""
    chosen = tuple(
        event for event in outcome.refused if event.texts and event.evidence and can(event.evidence)
    )
    left = tuple(event for event in outcome.refused if event not in chosen) if chosen else outcome.refused
    return replace(outcome, refused=left), chosen


def explained(refused: Refused) -> Refused:
    """Return a refused event that also says what it lacks for an alert on entities."""
    if refused.evidence is None:
        return refused
    lacks = entities.missing(refused.evidence.scan.clues, refused.evidence.scan.unread)
    if refused.texts and not lacks:
        lacks = (
            Problem(
                "payload", "is too long: what it says of its event cannot be stored. Send shorter texts."
            ),
        )
    more = [
        replace(each, detail=f"For an alert without an event the payload {each.detail}") for each in lacks
    ]
    return replace(refused, problems=(*refused.problems, *more))


def of(wanted: Wanted, maker: Maker, *, search: bool) -> list[Entry]:
    """Return the entries of a delivery in the order of its events; with `search` also lossy references are searched."""
    made = {mapped.event: maker.mapped(mapped, search=search) for mapped in wanted.outcome.alerts}
    made |= {event.event: maker.search(event) for event in wanted.searches}
    made |= {event.event: maker.without_event(event) for event in wanted.entities}
    return [made[number] for number in sorted(made)]


def _shortened(evidence: Evidence) -> Evidence:
    """Return evidence with as much of a command line as a description tells: Windows takes more than a row does."""
    clues = evidence.scan.clues
    shorter = replace(clues, command_line=cut(clues.command_line, _COMMAND))
    return replace(evidence, scan=replace(evidence.scan, clues=shorter))


def planned(wanted: Wanted, sender: str) -> list[tuple[Refused, Entry]]:
    """Return the events that are to be searched or raised on entities, each with the entry that a POST would make."""
    maker = Maker(wanted.outcome.source or "", "", 0.0, sender)
    searches = [(event, maker.search(event)) for event in wanted.searches]
    return [*searches, *((event, maker.without_event(event)) for event in wanted.entities)]


def _written(evidence: Evidence) -> dict[str, Any]:
    about = {name: value for name, value in asdict(evidence.about).items() if value}
    return stored.write(evidence.scan.clues) | ({stored.ABOUT: about} if about else {})
