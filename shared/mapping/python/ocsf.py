"""OCSF: a finding or an activity. Its ids and times belong to an event of Defender only if Defender made it."""

from collections.abc import Iterator

from shared.mapping import references
from shared.mapping.event import Event
from shared.payload.paths import Node
from shared.payload.values import texts as texts_of

_INSIDE = ("unmapped", "raw_data", "enrichments", "observables", "evidences.data")
_MAKERS = (
    "metadata.product.name",
    "metadata.product.vendor_name",
    "metadata.log_name",
    "metadata.log_provider",
)
_DEVICES = ("device.uid", "device.uid_alt", "evidences.device.uid", "resources.uid")
_TIMES = ("metadata.original_time", "time_dt", "time")
_CUT = (
    "OCSF keeps milliseconds, so Defender will probably not find the event. Send the exact Timestamp in unmapped or"
    " raw_data"
)
_DEVICE_ID = 40  # hex digits
_MAX_REPORT_ID = 19


def events(document: Node) -> Iterator[Event]:
    """Yield the one event of a finding."""
    within = [node for path in _INSIDE for node in document.find(path)] or [document.inside({})]
    values: dict[str, Node] = {}
    notes: dict[str, str] = {}
    devices = [
        node for path in _DEVICES for node in document.find(path) if len(str(node.value)) == _DEVICE_ID
    ]
    different = list(dict.fromkeys(text for node in devices for text in texts_of(node.value)))
    if different:
        values["machineId"] = devices[0] if len(different) == 1 else devices[0].inside(different)
    if any(
        "Defender" in text
        for path in _MAKERS
        for node in document.find(path)
        for text in texts_of(node.value)
    ):
        if time := document.first(*_TIMES):
            values["eventTime"] = time
            notes = {"eventTime": _CUT} if references.is_short(str(time.value)) else {}
        ids = [node for path in ("metadata.uid", "metadata.event_code") for node in document.find(path)]
        report = next(
            (node for node in ids if len(str(node.value)) <= _MAX_REPORT_ID and str(node.value).isdigit()),
            None,
        )
        if report:
            values["reportId"] = report
    yield Event(document, within, values=values, notes=notes)
