"""CEF in JSON, and ArcSight's events: custom strings are named by their labels, a line has a header before them."""

from collections.abc import Iterator

from shared.mapping.event import Event
from shared.payload import texts
from shared.payload.paths import Node

_LINES = ("message", "_raw", "raw", "rawMessage", "syslog_message", "msg")
_HEADER = (
    "version",
    "DeviceVendor",
    "DeviceProduct",
    "DeviceVersion",
    "DeviceEventClassID",
    "Activity",
    "LogSeverity",
)


def events(document: Node) -> Iterator[Event]:
    """Yield the one event of a line, or of an object with the fields of CEF."""
    alert = document.first("cef", "network_events", "endpoint_events", "audit_events", "event") or document
    if not isinstance(alert.value, dict):
        alert = document
    line = next((node for name in _LINES for node in document.find(name) if "CEF:" in str(node.value)), None)
    within = [document]
    if line is not None:
        header, extension = _split(str(line.value))
        fields = texts.assigned(extension)
        alert = Node({**fields, **header, **_plain(alert)}, alert.place, alert.reader)
        within = [Node(fields, line.place, line.reader), document]
    more = document.first("AdditionalExtensions", "Extensions", "Extension", "cefExtensions")
    if more is not None and isinstance(more.value, str):
        fields = texts.assigned(more.value)
        alert = Node({**fields, **_plain(alert)}, alert.place, alert.reader)
        within = [Node(fields, more.place, more.reader), document]
    elif more is not None and isinstance(more.value, dict):
        alert = Node({**more.value, **_plain(alert)}, alert.place, alert.reader)
    yield Event(alert, within)


def _split(line: str) -> tuple[dict[str, str], str]:
    """Return the header of a line of CEF by the names of its parts, and its extension."""
    parts = line[line.index("CEF:") :].split("|", len(_HEADER))
    header = {name: part.strip() for name, part in zip(_HEADER[1:], parts[1:], strict=False)}
    if severity := header.get("LogSeverity"):
        header["LogSeverity"] = severity.split("/")[0]
    return header, parts[-1] if len(parts) > len(_HEADER) else ""


def _plain(alert: Node) -> dict[str, object]:
    return alert.value if isinstance(alert.value, dict) else {}
