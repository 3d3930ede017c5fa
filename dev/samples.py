"""Payloads in the shapes of real senders, with invented events.

The shapes (keys, nesting, types, number forms) are those of the vendors' documentation; every name and id is
made up; `samples.json` holds them. A payload is the content of the sender's POST, for `json.dumps`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SHAPES = json.loads(Path(__file__).with_suffix(".json").read_bytes())


@dataclass(frozen=True, slots=True)
class Event:
    """What names an event in Defender's advanced hunting, digit for digit, and the device's name."""

    machine_id: str
    event_time: str
    report_id: str
    device: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return machineId, eventTime and reportId."""
        return (self.machine_id, self.event_time, self.report_id)

    @property
    def reference(self) -> dict[str, str]:
        """Return the same by the names of Defender's API."""
        return dict(zip(("machineId", "eventTime", "reportId"), self.key, strict=True))


def event(number: int, *, device: str | None = None, report_id: int | None = None) -> Event:
    """Return the event of this number; the same number is the same event. `device` puts it on that device."""
    device = device or f"pc-{number:03}.contoso.example"
    return Event(
        machine_id=hashlib.sha1(device.encode(), usedforsecurity=False).hexdigest(),
        event_time=f"2026-03-04T05:{number // 60 % 60:02}:{number % 60:02}.{7_115_183 + number:07}Z",
        report_id=str(report_id or 20_776 + number),
        device=device,
    )


def eight_fields(of: Event, title: str, severity: str = "Medium", *, number: bool = False) -> dict[str, Any]:
    """Return the fields by the API's names, as Logic Apps and Power Automate send them.

    `number` writes the report id as a JSON number, as a flow does that took it from a hunting row unquoted.
    """
    return {
        **of.reference,
        "reportId": int(of.report_id) if number else of.report_id,
        "severity": severity,
        "category": "Execution",
        "title": title,
        "description": f"{title}, on {of.device}.",
        "recommendedAction": "Ask the user of the device; isolate it if they know nothing of it.",
    }


def streaming_record(of: Event) -> dict[str, Any]:
    """Return a record of Defender's streaming API, as it goes into an event hub."""
    return _made(
        "streaming",
        of,
        queued=of.event_time[:17] + "58.1234567Z",
        received=of.event_time[:17] + "57.7654321Z",
    )


def streaming(*events: Event) -> dict[str, Any]:
    """Return a batch of the streaming API: several records in one message."""
    return {"records": [streaming_record(of) for of in events]}


def hunting_reply(*events: Event) -> dict[str, Any]:
    """Return Microsoft Graph's reply to `runHuntingQuery`; `ReportId` made text by the query."""
    return _made("hunting", rows=[_made("hunting row", of) for of in events])


def splunk(search: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return what Splunk's webhook alert action posts: the search, and the first row of its result."""
    return _made("splunk", search=search, result=result)


def splunk_plain(of: Event, search: str) -> dict[str, Any]:
    """Return a row of a search that names its columns as advanced hunting does; Splunk makes all text."""
    return splunk(search, _made("splunk plain", of))


def splunk_dotted(of: Event, search: str) -> dict[str, Any]:
    """Return a row of streamed records as the Microsoft add-ons index them: one column for each path."""
    record = streaming_record(of)
    properties = {
        f"properties.{name}": str(value) for name, value in record["properties"].items() if value is not None
    }
    return splunk(search, {"_time": "1772600760", "category": record["category"], **properties})


def splunk_raw(of: Event, search: str) -> dict[str, Any]:
    """Return a row that carries the streamed record as it was, in a string."""
    return splunk(search, _made("splunk raw", record=json.dumps(streaming_record(of))))


def _made(shape: str, of: Event | None = None, **values: object) -> dict[str, Any]:
    """Return a shape of `samples.json` with values in the places that name them: `<device>`."""
    if of:
        values |= {**of.reference, "device": of.device, "reportNumber": int(of.report_id)}
    made: dict[str, Any] = _filled(_SHAPES[shape], {f"<{name}>": value for name, value in values.items()})
    return made


def _filled(shape: Any, values: Mapping[str, object]) -> Any:
    if isinstance(shape, dict):
        return {name: _filled(inner, values) for name, inner in shape.items()}
    if isinstance(shape, list):
        return [_filled(inner, values) for inner in shape]
    return values.get(shape, shape) if isinstance(shape, str) else shape
