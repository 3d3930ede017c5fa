"""Payloads in the shapes that real senders post, made around events of our own invention.

The shapes (keys, nesting, types, number forms) are those of the vendors' documentation; every name and id is
made up. A payload is what the sender would put into its POST, ready for `json.dumps`.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

_TENANT = "5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11"


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
        "machineId": of.machine_id,
        "eventTime": of.event_time,
        "reportId": int(of.report_id) if number else of.report_id,
        "severity": severity,
        "category": "Execution",
        "title": title,
        "description": f"{title}, on {of.device}.",
        "recommendedAction": "Ask the user of the device; isolate it if they know nothing of it.",
    }


def streaming_record(of: Event) -> dict[str, Any]:
    """Return a record of Defender's streaming API, as it goes into an event hub."""
    return {
        "time": of.event_time[:17] + "58.1234567Z",
        "tenantId": _TENANT,
        "operationName": "Publish",
        "category": "AdvancedHunting-DeviceProcessEvents",
        "_TimeReceivedBySvc": of.event_time[:17] + "57.7654321Z",
        "properties": {
            "DeviceId": of.machine_id,
            "DeviceName": of.device,
            "ReportId": int(of.report_id),
            "Timestamp": of.event_time,
            "ActionType": "ProcessCreated",
            "FileName": "rundll32.exe",
            "FolderPath": "C:\\Windows\\System32\\rundll32.exe",
            "ProcessId": 9_120,
            "ProcessCommandLine": "rundll32.exe C:\\Users\\Public\\a.dll,Start",
            "AccountName": "j.doe",
            "InitiatingProcessFileName": "winword.exe",
            "InitiatingProcessId": 4_242,
            "AdditionalFields": None,
        },
        "Tenant": "DefaultTenant",
    }


def streaming(*events: Event) -> dict[str, Any]:
    """Return a batch of the streaming API: several records in one message."""
    return {"records": [streaming_record(of) for of in events]}


def hunting_reply(*events: Event) -> dict[str, Any]:
    """Return Microsoft Graph's reply to `runHuntingQuery`; `ReportId` made text by the query."""
    columns = {"Timestamp": "DateTime", "DeviceId": "String", "ReportId": "String", "DeviceName": "String"}
    return {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.security.huntingQueryResults",
        "schema": [{"name": name, "type": kind} for name, kind in columns.items()],
        "results": [
            {
                "Timestamp": of.event_time,
                "DeviceId": of.machine_id,
                "ReportId": of.report_id,
                "DeviceName": of.device,
            }
            for of in events
        ],
    }


def splunk(search: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return what Splunk's webhook alert action posts: the search, and the first row of its result."""
    return {
        "sid": "scheduler__admin__search__RMD5a1f0c7e_at_1772600760_42",
        "search_name": search,
        "app": "search",
        "owner": "admin",
        "results_link": "https://splunk.contoso.example/app/search/@go?sid=RMD5a1f0c7e_at_1772600760_42",
        "result": result,
    }


def splunk_plain(of: Event, search: str) -> dict[str, Any]:
    """Return a row of a search that names its columns as advanced hunting does; Splunk makes all text."""
    return splunk(
        search,
        {
            "DeviceId": of.machine_id,
            "ReportId": of.report_id,
            "Timestamp": of.event_time,
            "DeviceName": of.device,
            "severity": "high",
            "count": "1",
        },
    )


def splunk_dotted(of: Event, search: str) -> dict[str, Any]:
    """Return a row of streamed records as the Microsoft add-ons index them: one column for each path."""
    record = streaming_record(of)
    properties = {
        f"properties.{name}": str(value) for name, value in record["properties"].items() if value is not None
    }
    return splunk(search, {"_time": "1772600760", "category": record["category"], **properties})


def splunk_raw(of: Event, search: str) -> dict[str, Any]:
    """Return a row that carries the streamed record as it was, in a string."""
    return splunk(
        search,
        {
            "_time": "1772600760",
            "_raw": json.dumps(streaming_record(of)),
            "host": "eventhub",
            "index": "defender",
            "sourcetype": "mscs:azure:eventhub:defender:advancedhunting",
        },
    )
