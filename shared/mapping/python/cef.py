"""CEF and LEEF in JSON, and ArcSight's events: custom strings are named by labels, a line has a header before them."""

from collections.abc import Iterator

from shared.mapping.event import Event
from shared.payload import texts
from shared.payload.paths import Merged, Node, Place

_LINES = ("message", "_raw", "raw", "rawMessage", "syslog_message", "msg", "payload")
_ALERTS = ("cef", "leef", "network_events", "endpoint_events", "audit_events", "event")
_EXTENSIONS = ("AdditionalExtensions", "Extensions", "Extension", "cefExtensions", "Attributes")
_HEADERS = {
    "CEF:": (
        "DeviceVendor",
        "DeviceProduct",
        "DeviceVersion",
        "DeviceEventClassID",
        "Activity",
        "LogSeverity",
    ),
    "LEEF:": ("vendor", "product", "version", "event_id"),
}


def events(document: Node) -> Iterator[Event]:
    """Yield the one event of a line, or of an object with the fields of CEF or LEEF."""
    alert = document.first(*_ALERTS) or document
    own = alert.value if isinstance(alert.value, dict) else document.value
    values: dict[str, object] = {}
    places: dict[str, Place] = {}
    within = [document]
    for node in (node for name in _LINES for node in document.find(name)):
        kind = next((kind for kind in _HEADERS if kind in str(node.value)), None)
        if kind:
            header, fields = _split(str(node.value), kind)
            values = {**fields, **header}
            places = dict.fromkeys(values, node.place)
            within = [Node(Merged(fields, places), node.place, node.reader), document]
            break
    if more := alert.first(*_EXTENSIONS):
        fields = texts.assigned(more.value) if isinstance(more.value, str) else more.value
        if isinstance(fields, dict):
            values = {**fields, **values}
            at: dict[str, Place] = {name: (more.place, name) for name in fields}
            places = {**at, **places}
            within = [Node(fields, more.place, more.reader), document]
    places = {name: place for name, place in places.items() if name not in own}
    yield Event(Node(Merged({**values, **own}, places), alert.place, alert.reader), within)


def _split(line: str, kind: str) -> tuple[dict[str, str], dict[str, object]]:
    """Return the header of a line by the names of its parts, and the fields of its extension."""
    names = _HEADERS[kind]
    parts = line[line.index(kind) :].split("|", len(names) + 1)
    header = {name: part.strip() for name, part in zip(names, parts[1:], strict=False) if part.strip()}
    if severity := header.get("LogSeverity"):
        header["LogSeverity"] = severity.split("/")[0]
    return header, texts.assigned(parts[-1]) if len(parts) > len(names) + 1 else {}
