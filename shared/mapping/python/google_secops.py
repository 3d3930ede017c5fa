"""Google SecOps: a detection with its events in UDM, or one event. Only Defender's own events have a report id."""

from collections.abc import Iterator

from shared.errors import Problem
from shared.mapping import references
from shared.mapping.event import Event
from shared.payload import scan
from shared.payload.paths import Node
from shared.payload.values import texts as texts_of

_EVENTS = ("collectionElements.references", "event", "udm", "events", "resultEvents.eventSamples")
_LABELS = (
    "about.labels",
    "about.resource.attribute.labels",
    "principal.labels",
    "target.labels",
    "src.labels",
    "principal.resource.attribute.labels",
    "target.resource.attribute.labels",
    "securityResult.detectionFields",
    "additional.fields",
    "additional",
    "metadata.ingestionLabels",
    "principal.asset.attribute.labels",
    "extensions.fields",
    "rawLog",
    "metadata.rawLog",
)
_ASSETS = (
    "principal.assetId",
    "principal.asset.assetId",
    "principal.asset.productObjectId",
    "target.assetId",
    "target.asset.assetId",
)
_ANOTHER_LOG = (
    "This event is of the log type {}. Only events of Defender (log type MICROSOFT_DEFENDER_ENDPOINT, tables Device*)"
    " have a ReportId and can be raised. Let the rule match those, with the outcomes\n$DeviceId = $e.principal.asset_id"
    "  "
    ' $ReportId = $e.additional.fields["ReportId"]   $Timestamp = $e.additional.fields["Timestamp"]'
)
_MICROSECONDS = (
    "Google SecOps keeps microseconds; Defender's times have up to seven fractional digits. If Defender does not find"
    " the event, send the label Timestamp too"
)
_CUT = "this is cut to milliseconds or less, so Defender will probably not find the event"
_DEVICE_ID = 40  # hex digits
_MAX_REPORT_ID = 19


def events(document: Node) -> Iterator[Event]:
    """Yield the events of a detection that can become alerts; the first event if none can."""
    udms = [
        udm for node in _all(document) for udm in [node.first("event", "udm") or node] if udm.find("metadata")
    ]
    if not udms:
        yield Event(document)
        return
    made = [_event(udm, document) for udm in udms]
    raised = [
        event
        for event in made
        if "reportId" in event.reference or "reportId" in event.values or _names_report(event)
    ]
    yield from raised or made[:1]


def _names_report(event: Event) -> bool:
    return any(group.event for node in event.within for group in scan.scan(node).groups)


def _all(document: Node) -> list[Node]:
    nodes = [node for path in _EVENTS for holder in document.find(path) for node in holder.elements()]
    return nodes or [document]


def _event(udm: Node, document: Node) -> Event:
    within = [node for path in _LABELS for node in udm.find(path)]
    maker = str(udm.value.get("metadata") if isinstance(udm.value, dict) else "")
    ours = "efender" in maker or "DEFENDER" in maker or "AdvancedHunting" in maker
    values: dict[str, Node] = {}
    notes: dict[str, str] = {}
    product_id = udm.first("metadata.productLogId")
    text = str(product_id.value) if product_id else ""
    if product_id and 0 < len(text) <= _MAX_REPORT_ID and text.isdigit():
        values["reportId"] = product_id
    for node in (node for path in _ASSETS for node in udm.find(path)):
        device = str(node.value).removeprefix("DeviceId:")
        if "DeviceId:" in str(node.value) or len(device) == _DEVICE_ID:
            values.setdefault("machineId", Node(device, node.place, node.reader))
    known = (
        ours
        or "reportId" in values
        or any(group.event for node in within for group in scan.scan(node).groups)
    )
    if known and product_id and len(text) == _DEVICE_ID:
        values.setdefault("machineId", product_id)
    if known and (time := udm.first("metadata.eventTimestamp")):
        values["eventTime"] = exact = _exact(time, document) or time
        if exact is time:
            notes["eventTime"] = _CUT if references.is_short(str(time.value)) else _MICROSECONDS
    log = udm.first("metadata.logType")
    problems: tuple[Problem, ...] = ()
    if log and not ours and not known:
        problems = (Problem("reportId", _ANOTHER_LOG.format(next(iter(texts_of(log.value)), "another"))),)
    return Event(udm, within or (udm.inside({}),), values=values, notes=notes, problems=problems)


def _exact(time: Node, document: Node) -> Node | None:
    """Return the time in the detection's outcome, if the event's time is the same with digits lost."""
    for node in document.find("detection.outcomes.Timestamp", "detection.outcomes.eventTime"):
        for text in texts_of(node.value):
            if text.startswith(str(time.value).rstrip("Z")):
                return Node(text, node.place, node.reader)
    return None
