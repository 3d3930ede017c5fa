"""The events of a document: one for each alert of the source and each reference of the scan."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from shared.mapping import python
from shared.mapping.event import Event
from shared.mapping.source import Source
from shared.payload import names, scan
from shared.payload.grouping import REPORT, Group
from shared.payload.paths import Node, Place, find


def of(source: Source, document: Node) -> list[tuple[Event, scan.Scan | None]]:
    """Return the events of a document, each with the scan around it; None if only some parts were scanned."""
    events = _of(source, document)
    counts = Counter(id(event.alert.value) for event, _ in events)
    return [(replace(event, part=_part(event, document, counts)), scanned) for event, scanned in events]


def _part(event: Event, document: Node, counts: Counter[int]) -> Node | None:
    """Return the part that concerns only one event: a document, an alert, or the object with its report id."""
    if counts.total() == 1:
        return document
    if counts[id(event.alert.value)] == 1:
        return event.alert
    group = event.group or Group()
    place = next((finding.place for finding in group.keys.get(REPORT, {}).values()), None)
    around = document.along(place)[-1:]
    return next((node for node in around if node.value is group.row), None)


def _of(source: Source, document: Node) -> list[tuple[Event, scan.Scan | None]]:
    ignore = [node.place for path in source.ignore for node in find(path, document)]
    if source.ours and (function := python.EVENTS.get(source.name)):
        theirs: list[tuple[Event, scan.Scan | None]] = [
            (replace(event, group=group), None)
            for event in function(document)
            for scanned in [_scanned(event.within or (event.alert,), ignore)]
            for group in scanned.groups or [Group()]
        ]
        if any(_is_whole(event) for event, _ in theirs):
            return theirs
        scanned = scan.scan(document, (), ignore)
        return [
            (Event(document, group=group), scanned) for group in scanned.groups if group.complete
        ] or theirs
    alerts = _alerts(source, document)
    whole = len(alerts) == 1
    outer = None if whole else scan.scan(document, {id(node.value) for node in alerts}, ignore)
    events: list[tuple[Event, scan.Scan | None]] = []
    for at in alerts:
        scanned = scan.scan(document if whole else at, (), ignore)
        groups = scanned.groups if outer is None else scan.completed(scanned.groups, outer, at.reader)
        events += [(Event(at, group=group), scanned) for group in groups or [Group()]]
    return events


def _is_whole(event: Event) -> bool:
    """Say whether an event has its reference, or a problem that says why not."""
    known = {*event.reference, *event.values, *(event.group or Group()).values()}
    return bool(event.problems) or known >= set(names.KEYS)


def _alerts(source: Source, document: Node) -> list[Node]:
    """Return the product's alerts in a document; the document itself if there are none."""
    for path in source.alerts:
        nodes = [
            node
            for holder in find(path, document)
            for node in holder.elements()
            if isinstance(node.value, dict)
        ]
        if nodes:
            return nodes
    return [document]


def _scanned(within: Sequence[Node], ignore: Sequence[Place]) -> scan.Scan:
    """Return the findings of several parts of a payload that belong to one event."""
    return scan.together([scan.scan(node, (), ignore) for node in within], within[0].reader)
