"""The clues of events without a whole reference: its exact parts, what a source's file names, and the scan's.

If the device id and the time are left, and the report id or all digits of the time, the event is searched by these
alone, because other clues could only mislead. A report id without its time identifies no event, because ids are used
again: it only excludes others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.mapping import about, places, python
from shared.mapping.budget import Budget, TooManySteps
from shared.mapping.clue_fields import HOST, NAMES, READ_AS
from shared.mapping.defaults import Row
from shared.mapping.event import Event
from shared.mapping.exactness import MACHINE, REPORT, TIME, Exactness
from shared.mapping.fields import Draft
from shared.mapping.outcome import Evidence
from shared.mapping.source import Source
from shared.payload import clue_scan, clue_times, clue_values, hunting, names
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import FACTS, Clues, Host
from shared.payload.grouping import Group
from shared.payload.paths import Node, Place, find, shown
from shared.payload.reader import Reader

STEPS = 100_000
"""What the clues of a delivery may cost, in values walked over and the like."""

_TOLD = frozenset(("timestamp", "time", "createdat", "createdtime", "triggeredat", "triggertime", "firedat"))
_HEADERS = {
    **dict.fromkeys(("alert", "detection", "incident", "notification", "trigger"), _TOLD),
    "search": _TOLD - {"createdat", "createdtime"},  # when somebody made the search
}
"""Objects around several events that have the alert's time, and the names of that."""
_NOTHING = ClueScan(Clues(), {})


class ClueReader:
    """Reads the clues of one delivery, within its own budget; beyond it an event has no clues, without an error."""

    def __init__(self, steps: int = STEPS) -> None:
        self._reader = Reader(Budget(steps).spend)
        self._left_out: tuple[Any, frozenset[Place]] = (None, frozenset())  # of the last document
        self._headers: tuple[Any, list[Node]] = (None, [])  # the same
        self._sent: dict[int, tuple[Node, ClueScan]] = {}  # by id() of what is stored

    def of(self, source: Source, document: Node, event: Event, draft: Draft) -> Evidence | None:
        """Return the clues to an event; None if its reference is whole, or there is no event.

        Of what is not exactly one event, or has none in Defender, no device is one to search on.
        """
        found = self._of(source, document, event, draft)
        return found and replace(found, about=about.of(document, event, draft))

    def is_dated(self, source: Source, document: Node, event: Event, draft: Draft) -> bool:
        """Tell whether the clues of an event name a device and a time."""
        evidence = self.of(source, document, event, draft)
        clues = evidence.scan.clues if evidence else Clues()
        return bool(clues.when and (clues.hosts or clues.named))

    def _of(self, source: Source, document: Node, event: Event, draft: Draft) -> Evidence | None:
        left = draft.exactness
        table = Row(event.group or Group(), event.alert).table()
        is_state = table is not None and hunting.tells_of_no_event(table)
        if is_state or any(rule.holds(document, event.alert) for rule in source.refuse):
            return None
        if not draft.is_one_event:
            scan = self._scan(source, document, event, several=True)
            return Evidence(scan if scan.clues.named else _only_devices(self._scan(source, document, event)))
        if draft.has_no_event:
            return Evidence(_not_searched(self._scan(source, document, event)))
        if left.whole:
            return None
        is_named = left.time and MACHINE in left.exact and (REPORT in left.exact or TIME in left.exact)
        scan = _NOTHING if is_named else self._scan(source, document, event)
        if not scan.clues.when and scan.clues != Clues():
            scan = self._dated(scan, [node for _, node in draft.envelopes])
        with_reference = _with_reference(scan, left, draft.origins)
        if not scan.clues.when and with_reference.clues != Clues() and not with_reference.clues.when:
            dated = self._dated(with_reference, self._around(document, event))
            with_reference = _not_searched(dated) if dated.clues.when else with_reference
        return Evidence(with_reference, left.lost)

    def _scan(self, source: Source, document: Node, event: Event, *, several: bool = False) -> ClueScan:
        if event.part is None:
            return _NOTHING
        part, top, alert = (
            Node(node.value, node.place, self._reader) for node in (event.part, document, event.alert)
        )
        try:
            named = _named(source, top, alert)
            scan = clue_scan.read(part, self._ignored(source, top), named, several=several)
        except TooManySteps:
            return _NOTHING
        return scan if several else _with_device(scan, named.get(HOST, ()))

    def _dated(self, scan: ClueScan, envelopes: Sequence[Node]) -> ClueScan:
        """Return clues without a time with that of the innermost envelope that has one: it sent the alert then."""
        for node in reversed(envelopes):
            sent = self._scanned(node)
            if when := sent.clues.when:
                clues = replace(scan.clues, when=replace(when, own=False))
                return replace(scan, clues=clues, places={**scan.places, "when": sent.places["when"]})
        return scan

    def _scanned(self, node: Node) -> ClueScan:
        """Return the clues that stand in an object itself. It is read once, however many events are in it."""
        if not isinstance(node.value, dict):
            return _NOTHING
        if id(node.value) not in self._sent:
            flat = {name: value for name, value in node.value.items() if isinstance(value, str | int | float)}
            try:
                scanned = clue_scan.read(Node(flat, node.place, self._reader))
            except TooManySteps:
                scanned = _NOTHING
            self._sent[id(node.value)] = node, scanned
        return self._sent[id(node.value)][1]

    def _around(self, document: Node, event: Event) -> list[Node]:
        """Return what stands around one of several events and has the alert's own time, the nearest to it last."""
        if event.part is None or event.part.value is document.value or not isinstance(document.value, dict):
            return []
        if self._headers[0] is not document.value:
            self._headers = document.value, [document, *_headers(document)]
        return self._headers[1]

    def _ignored(self, source: Source, document: Node) -> frozenset[Place]:
        """Return the places of a document that hold no clue, as its source says."""
        if self._left_out[0] is not document.value:
            nodes = [node for path in source.ignore for node in find(path, document)]
            self._left_out = document.value, frozenset(node.place for node in nodes)
        return self._left_out[1]


def _headers(document: Node) -> list[Node]:
    """Return the objects in a document that have the time of its alert, with nothing but that."""
    return [
        Node(
            {key: text for key, text in value.items() if names.word(key) in _HEADERS[word]},
            document.inside(value, name).place,
            document.reader,
        )
        for name, value in document.value.items()
        if isinstance(value, dict) and (word := names.word(name)) in _HEADERS
    ]


def _not_searched(scan: ClueScan) -> ClueScan:
    """Return clues whose devices are named, so that none is searched."""
    places = {"named": scan.places.get("hosts", ""), **scan.places}
    clues = replace(scan.clues, hosts=(), named=scan.clues.hosts or scan.clues.named)
    return replace(scan, clues=clues, places=places)


def _only_devices(scan: ClueScan) -> ClueScan:
    """Return the devices and the time of clues, whose other facts may be of several events."""
    clues, places = _not_searched(scan).clues, _not_searched(scan).places
    left = {name: places[name] for name in ("named", "when") if name in places and getattr(clues, name)}
    return replace(scan, clues=Clues(named=clues.named, when=clues.when), places=left)


def _named(source: Source, document: Node, alert: Node) -> dict[str, list[tuple[str, Place]]]:
    """Return the texts at the first place of each clue that a source's file names, by the fields of the scan."""
    named: dict[str, list[tuple[str, Place]]] = {}
    function = python.CLUES.get(source.name) if source.ours else None
    computed = function(alert) if function else {}
    for name, fields in READ_AS.items():
        at_places = [list(places.texts(place, document, alert)) for place in source.fields.get(name, ())]
        at_places += [[(node.value, (node.place,))] for node in [computed.get(name)] if node]
        texts = [(text, at[0]) for text, at in next(filter(None, at_places), [])]
        for field in fields if texts else ():
            known = named.setdefault(field, [])
            known += [(clue_values.base(text) if field in NAMES else text, place) for text, place in texts]
    return named


def _with_device(scan: ClueScan, texts: Sequence[tuple[str, Place]]) -> ClueScan:
    """Return clues with the device that a source's file names, if it names exactly one: it decides."""
    hosts = {
        host: place
        for text, place in texts
        for host in [clue_values.device(text) or clue_values.entra(text) or clue_values.host(text)]
        if host
    }
    if len(hosts) != 1:
        return scan
    [(host, place)] = hosts.items()
    clues = replace(scan.clues, hosts=(host,), named=())
    return replace(scan, clues=clues, places={**scan.places, "hosts": shown(place)})


def _with_reference(scan: ClueScan, left: Exactness, origins: Mapping[str, str]) -> ClueScan:
    """Return clues in which the exact parts of a reference replace others, because they are Defender's own."""
    if MACHINE not in left.exact:
        return scan
    clues = replace(scan.clues, hosts=(Host("id", left.exact[MACHINE]),), named=())
    at = dict(scan.places) | {"hosts": origins.get(MACHINE, "")}
    if left.time:
        clues = replace(clues, when=clue_times.read(left.time, own=True), event_time=left.exact.get(TIME, ""))
        at["when"] = at["event_time"] = origins.get(TIME, "")
    others = any(getattr(clues, fact) for fact in FACTS if fact != "report_id")
    clues = replace(clues, report_id=left.exact.get(REPORT, "") if left.time or others else "")
    if clues.report_id:
        at["report_id"] = origins.get(REPORT, "")
    return replace(scan, clues=clues, places=at)
