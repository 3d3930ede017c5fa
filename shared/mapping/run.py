"""Mapping one delivery: it is opened, recognised and scanned; its events get their fields.

    documents ── unwrap envelopes ── recognise the source ── scan ── events ── fields ── query string ── defaults
         ── check

A string with JSON counts as that JSON, an envelope as its contents, and an array as its elements.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from shared import errors
from shared.alerts import alert
from shared.errors import Problem
from shared.mapping import events, own, python
from shared.mapping.budget import Budget
from shared.mapping.clues import ClueReader
from shared.mapping.event import Event
from shared.mapping.fields import Draft
from shared.mapping.outcome import Mapped, Outcome, Refused
from shared.mapping.recognition import Recognition, is_empty, single
from shared.mapping.slips import Slips
from shared.mapping.source import Source
from shared.payload import names, scan, states
from shared.payload.body import Number
from shared.payload.grouping import MACHINE, Group
from shared.payload.paths import Node, Place, find
from shared.payload.reader import Reader

STEPS, STEPS_PER_EVENT = 400_000, 4_000
"""What a delivery may cost, in values walked over and the like: half a million take about a second."""

Envelopes = tuple[tuple[Source, Node], ...]
"""The envelopes that were opened to come to a document, the outermost first."""

_SOME = 5  # places of device ids that are followed
_MAX_LEVELS = 12  # envelopes, arrays and JSON in strings around a document
_OF_A_REFERENCE = {*names.KEYS, "payload"}  # problems that another route may solve


class Run:
    """The mapping of one delivery."""

    def __init__(
        self,
        recognition: Recognition,
        generic: Source,
        *,
        defaults: Mapping[str, str],
        max_alerts: int,
        now: float | None,
        named: str | None = None,
        clues: bool = False,
        made: frozenset[str] = frozenset(),
    ) -> None:
        self._recognition = recognition
        self._generic = generic
        self._defaults = defaults
        self._max_alerts = max_alerts
        self._now = now
        self._marks = own.Marks(made)
        self._named = named
        self._reader = Reader(Budget(STEPS + STEPS_PER_EVENT * max_alerts).spend)
        self._clues = ClueReader()
        self._tells_clues = clues
        self._events = 0
        self._sources: dict[str, None] = {}
        self.steps: dict[str, None] = {}
        self._slips = Slips()
        self._alerts: list[Mapped] = []
        self._refused: list[Refused] = []
        self._ignored: list[str] = []
        self._reply: dict[str, Any] | None = None
        self._refused_status: int | None = None

    def node(self, value: Any, place: Place) -> Node:
        """Return a value of the delivery with its place."""
        return Node(value, place, self._reader)

    def outcome(self, named: Source | None) -> Outcome:
        """Return the outcome."""
        nothing = not self._alerts and not self._refused
        return Outcome(
            "+".join(self._sources) or (named.name if named else None),
            tuple(self._alerts),
            tuple(self._refused),
            (self._ignored or ["The payload contains no event."])[0] if nothing else None,
            self._reply if nothing else None,
            (*self.steps, *self._slips.notes()),
            self._refused_status,
        )

    def open(self, document: Node, named: Source | None, around: Envelopes, level: int = 0) -> None:
        """Open a document, and map its contents. `around` are the envelopes that were opened before."""
        value = document.value
        deeper = level < _MAX_LEVELS
        if deeper and isinstance(value, str) and not isinstance(value, Number):
            loose = "eport" in value or "EPORT" in value
            if (inner := self._reader.inside(value, loose=loose)) is not None:
                self.open(self.node(inner, document.place), named, around, level + 1)
                return
        elif deeper and isinstance(value, list) and not python.is_whole(document):
            for index, item in enumerate(value):
                self.open(document.inside(item, index), named, around, level + 1)
            return
        elif isinstance(value, dict | list):
            self._recognise(document, named, around, level)
            return
        self._refused.append(Refused(self._next(), (_unknown(document.value),)))

    def _recognise(self, document: Node, named: Source | None, around: Envelopes, level: int) -> None:
        """Map a document by its source, or go on with its contents."""
        source = self._recognition.source(document, named, envelopes=level < _MAX_LEVELS)
        if source and source.is_envelope:
            self._unwrap(document, source, named, around, level)
        elif source:
            self._map(document, source, around)
        elif not is_empty(document.value):
            for yours in self._recognition.yours():
                self.steps[
                    f"{yours.name} (yours) does not recognise it: none of its conditions (recognise) holds"
                ] = None
            if inner := single(document) if level < _MAX_LEVELS else None:
                self.steps["opened: a wrapper with one entry"] = None
                self.open(inner, named, around, level + 1)
            else:
                self._map(document, self._generic, around)

    def _unwrap(
        self,
        document: Node,
        envelope: Source,
        named: Source | None,
        around: Envelopes,
        level: int,
    ) -> None:
        if self._is_closed(envelope, document, document):
            return
        self.steps[f"opened: {envelope.title}"] = None
        self._refused_status = self._refused_status or envelope.status
        function = python.INSIDE.get(envelope.name)
        inside = function(document) if function else document.find(*(path.text for path in envelope.envelope))
        for node in inside:
            self.open(node, named, (*around, (envelope, document)), level + 1)

    def _map(self, document: Node, source: Source, around: Envelopes) -> None:
        self.steps[f"read as {source.name}: {source.title}"] = None
        self._sources[source.name] = None
        if self._is_closed(source, document, document):
            return
        if self._is_watched(source) and source.recognise and not self._recognition.holds(source, document):
            self.steps[f"{source.name} does not recognise it: none of its conditions (recognise) holds"] = (
                None
            )
        source = source.within([envelope for envelope, _ in around])
        whole = functools.cache(lambda: scan.scan(document))
        for event, scanned in events.of(source, document):
            lookalikes = functools.partial(_given, scanned) if scanned else whole
            self._event(source, document, event, lookalikes, around)

    def _event(
        self,
        source: Source,
        document: Node,
        event: Event,
        lookalikes: Callable[[], scan.Scan],
        envelopes: Envelopes,
    ) -> None:
        number = self._next()
        if event.alert is not document and self._says_closed(source, document, event.alert):
            return
        draft = Draft(
            source, event, document, lookalikes=lookalikes, given=self._defaults, envelopes=envelopes
        )
        group = event.group or Group()
        where = _around(document, event.alert, group)
        if over := states.closed(where, self._reader):
            self._ignored.append(f"The payload says that its alert has ended: {over}.")
        elif not draft.complete and (
            test := self._test(where, lambda: self._clues.is_dated(source, document, event, draft))
        ):
            self._ignored.append(f"The payload says that it is a test: {test}.")
        elif any(own.is_manual(at) or self._marks.are_in(at) for at in _along(document, event)):
            self._ignored.append(own.MADE)
        elif any(map(own.is_their_row, _along(document, event))):
            self._ignored.append(own.DEFENDERS)
        elif not draft.complete and (theirs := _defenders(document, event)):
            self._beside(source, document, event.alert, theirs, envelopes)
        else:
            if self._is_watched(source):
                self._slips.add(draft.slips(), number)
            self._add(number, source, document, event, draft)

    def _test(self, where: list[states.Where], names_event: Callable[[], bool]) -> str | None:
        """Return why an event is a test message. A sentence says so only where nothing names a device and a time."""
        sentence = states.tells_test(where, self._reader)
        return states.test(where, self._reader) or (sentence if sentence and not names_event() else None)

    def _add(self, number: int, source: Source, document: Node, event: Event, draft: Draft) -> None:
        checked = draft.checked(self._now)
        notes, problems, cut = checked.notes, checked.problems, checked.time_truncated
        evidence = self._clues.of(source, document, event, draft) if self._tells_clues else None
        if made := checked.alert:
            self._alerts.append(Mapped(number, made, notes, cut, draft.origins, evidence, source.name))
        else:
            texts = checked.texts if {problem.field for problem in problems} <= _OF_A_REFERENCE else {}
            self._refused.append(
                Refused(number, problems, draft.origins, evidence, notes, texts, draft.remedy, source.name)
            )

    def _beside(
        self, source: Source, document: Node, at: Node, theirs: list[Node], envelopes: Envelopes
    ) -> None:
        """Ignore Defender's own alert, and map whatever else in the document has a whole reference."""
        scanned = scan.scan(document, {id(node.value) for node in theirs})
        others = (
            [group for group in scanned.groups if group.event]
            if at.value is document.value is not theirs[0].value
            else []
        )
        if not others:
            self._ignored.append(own.DEFENDERS)
        self._events -= bool(others)
        for group in others:
            self._event(
                source, document, Event(document, group=group), functools.partial(_given, scanned), envelopes
            )

    def _is_watched(self, source: Source) -> bool:
        """Say whether mistakes in a source's file are reported: it is the user's own, or the sender named it."""
        return not source.ours or source.name == self._named

    def _is_closed(self, source: Source, document: Node, at: Node) -> bool:
        if self._says_closed(source, document, at):
            self._next()
            self._sources[source.name] = None
            return True
        return False

    def _says_closed(self, source: Source, document: Node, at: Node) -> bool:
        for rule in source.closed:
            if rule.holds(document, at):
                self._ignored.append(rule.text)
                reply = {
                    name: nodes[0].value
                    for name, path in rule.reply.items()
                    if (nodes := find(path, document))
                }
                self._reply = self._reply or reply or None
                return True
        return False

    def _next(self) -> int:
        """Return the number of the next event. Raises `PayloadTooLarge` if it is one too many."""
        if self._events >= self._max_alerts:
            raise errors.PayloadTooLarge(
                f"The body carries more than {self._max_alerts:,} events (MAX_ALERTS_PER_DELIVERY)."
                " Send fewer at a time."
            )
        self._events += 1
        return self._events - 1


def _defenders(document: Node, event: Event) -> list[Node]:
    """Return the alerts of Defender around an event or around its device id; the outermost first."""
    return [node for node in _along(document, event) if own.is_defenders(node)]


def _along(document: Node, event: Event) -> list[Node]:
    """Return a document, the alert of an event, and the nodes to its device id, none in a text that quotes somebody."""
    group = event.group or Group()
    findings = [*group.keys.get(MACHINE, {}).values(), *group.wrong.values()]
    nodes = [node for finding in findings[:_SOME] for node in document.along(finding.place, loose=False)]
    return list({id(node.value): node for node in (document, event.alert, *nodes)}.values())


def _around(document: Node, at: Node, group: Group) -> list[states.Where]:
    """Return the objects that may give an alert's state, from the outside in."""
    group = Group() if group.quoted else group  # a sentence that an alert quotes says nothing of its state
    objects = [value for value in (document.value, *group.around, at.value) if isinstance(value, dict)]
    where = [
        states.Where(value, alert=value is not group.row and states.is_alert(value, document.reader))
        for value in objects
    ]
    if not group.row or not states.is_event(group.row, objects, document.reader):
        return [*where, states.Where(group.row)] if group.row else where
    return [subject for subject in where if subject.values is not group.row]


def _given(scanned: scan.Scan) -> scan.Scan:
    return scanned


def _unknown(document: Any) -> Problem:
    return Problem(
        "payload",
        f"{alert.shown(document)} is not an event. Send an object with {', '.join(alert.FIELDS)}, or the payload of a"
        " SIEM as it posts it.",
    )
