"""The clues of events without a whole reference: its exact parts, what a source's file names, and the scan's.

If the device id and the time are left, and the report id or all digits of the time, the event is searched by these
alone, because other clues could only mislead. A report id without its time identifies no event, because ids are used
again: it only excludes others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from shared.mapping import places
from shared.mapping.budget import Budget, TooManySteps
from shared.mapping.clue_names import READ_AS
from shared.mapping.event import Event
from shared.mapping.exactness import MACHINE, REPORT, TIME, Exactness
from shared.mapping.fields import Draft
from shared.mapping.outcome import Evidence
from shared.mapping.source import Source
from shared.payload import clue_scan, clue_values
from shared.payload.clue_scan import ClueScan
from shared.payload.clues import FACTS, Clues, Host
from shared.payload.paths import Node, Place, find
from shared.payload.reader import Reader

STEPS = 200_000
"""What the clues of a delivery may cost, in values walked over and the like."""

_NOTHING = ClueScan(Clues(), {})


class ClueReader:
    """Reads the clues of one delivery, within its own budget; beyond it an event has no clues, without an error."""

    def __init__(self, steps: int = STEPS) -> None:
        self._reader = Reader(Budget(steps).spend)

    def of(self, source: Source, document: Node, event: Event, draft: Draft) -> Evidence | None:
        """Return the clues to an event; None if its reference is whole, or if it is not exactly one event."""
        left = draft.exactness
        if left.whole or not draft.is_one_event:
            return None
        is_named = left.time and MACHINE in left.exact and (REPORT in left.exact or TIME in left.exact)
        scan = _NOTHING if is_named else self._scan(source, document, event)
        return Evidence(_with_reference(scan, left, draft.origins), left.lost)

    def _scan(self, source: Source, document: Node, event: Event) -> ClueScan:
        if event.part is None:
            return _NOTHING
        part, top, alert = (
            Node(node.value, node.place, self._reader) for node in (event.part, document, event.alert)
        )
        try:
            leave = [node.place for path in source.ignore for node in find(path, top)]
            return clue_scan.read(part, leave, dict(_named(source, top, alert)))
        except TooManySteps:
            return _NOTHING


def _named(source: Source, document: Node, alert: Node) -> Iterator[tuple[str, Sequence[tuple[str, Place]]]]:
    """Yield the texts at the first place of each clue that a source's file names, under the names of the scan."""
    for name, read_as in READ_AS.items():
        for place in source.fields.get(name, ()):
            if texts := [(text, at[0]) for text, at in places.texts(place, document, alert) if text.strip()]:
                for field in _device(texts[0][0]) if name == "device" else read_as:
                    yield field, texts
                break


def _device(text: str) -> tuple[str, ...]:
    """Return what kind of name a device has: an id of Defender or of Entra, or a host name."""
    if clue_values.device(text.strip()):
        return ("device_id",)
    return ("entra_id",) if clue_values.entra(text.strip()) else ("host",)


def _with_reference(scan: ClueScan, left: Exactness, origins: Mapping[str, str]) -> ClueScan:
    """Return clues in which the exact parts of a reference replace others, because they are Defender's own."""
    if MACHINE not in left.exact:
        return scan
    clues = replace(scan.clues, hosts=(Host("id", left.exact[MACHINE]),))
    at = dict(scan.places) | {"hosts": origins.get(MACHINE, "")}
    if left.time:
        clues = replace(
            clues, when=clue_values.time(left.time, own=True), event_time=left.exact.get(TIME, "")
        )
        at["when"] = at["event_time"] = origins.get(TIME, "")
    if REPORT in left.exact and (left.time or any(getattr(clues, fact) for fact in FACTS)):
        clues = replace(clues, report_id=left.exact[REPORT])
        at["report_id"] = origins.get(REPORT, "")
    return ClueScan(clues, at)
