"""KQL: read by Microsoft's own language service against the tables of Application Insights and one of hunting.

    (checked,) = kql.check(["traces | extend line = parse_json(message) | where line.step == 'tick'"])
    checked.errors, checked.fields, checked.steps  # (), {"step"}, {"tick"}

An unknown table, column, function or operator is an error, and so is a wrong type. What is inside a log line is
dynamic to KQL, so its fields are reported, for a test to compare with what `shared/log.py` writes.
"""

import ast
import json
import logging
import logging.handlers
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dev import setup
from dev.simulator.parser import Parser
from shared import log
from shared.alerts.alert import Alert
from shared.clients.answer import Answer
from shared.ledger import record

# https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete
_COMMON = (
    "timestamp: datetime, itemType: string, customDimensions: dynamic, customMeasurements: dynamic, "
    "operation_Name: string, operation_Id: string, operation_ParentId: string, session_Id: string, "
    "user_Id: string, application_Version: string, client_Type: string, client_IP: string, "
    "cloud_RoleName: string, cloud_RoleInstance: string, appId: string, appName: string, iKey: string, "
    "sdkVersion: string, itemId: string, itemCount: int"
)
_TABLES = {
    "traces": f"message: string, severityLevel: int, {_COMMON}",
    "exceptions": (
        f"problemId: string, type: string, outerType: string, outerMessage: string, severityLevel: int, "
        f"innermostMessage: string, details: dynamic, {_COMMON}"
    ),
    "requests": (
        f"id: string, name: string, url: string, success: string, resultCode: string, duration: real, {_COMMON}"
    ),
    "availabilityResults": (
        f"id: string, name: string, location: string, success: string, message: string, duration: real, {_COMMON}"
    ),
    # https://learn.microsoft.com/defender-xdr/advanced-hunting-deviceprocessevents-table; TimeGenerated in Sentinel
    "DeviceProcessEvents": (
        "TimeGenerated: datetime, Timestamp: datetime, DeviceId: string, DeviceName: string, ReportId: long, "
        "ActionType: string, FileName: string, FolderPath: string, ProcessCommandLine: string, AccountName: string, "
        "InitiatingProcessFileName: string, InitiatingProcessCommandLine: string, AdditionalFields: dynamic"
    ),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """The parts of one query; it is correct if `errors` is empty.

    `fields` are the members it names of a column that is `parse_json(message)`, `steps` the values it compares
    the member `step` with.
    """

    errors: tuple[str, ...]
    fields: frozenset[str]
    steps: frozenset[str]


def check(queries: Sequence[str]) -> list[Checked]:
    """Read queries; return the parts of each, in their order."""
    with closing(Parser(_TABLES, Path(__file__).with_suffix(".js"))) as parser:
        return [
            Checked(tuple(each["errors"]), frozenset(each["fields"]), frozenset(each["steps"]))
            for each in map(parser.check, queries)
        ]


def log_fields() -> dict[str, frozenset[str]]:
    """Return which fields the app's log lines have, by their step.

    `shared/log.py` writes the fields of every line; the call that writes a step adds its own.
    """
    entry = record.accept(Alert("", "", "", "Low", "", "", "", ""), source="", delivery="", now=0.0)
    answer = Answer("created", 200, None, False, None, None, True, True, 0.0)
    written = {
        "step": _fields(lambda: log.step("")),
        "entry": _fields(lambda: log.step("", entry=entry)),
        "answer": _fields(lambda: log.step("", answer=answer)),
        "problem": _fields(lambda: log.problem("", ValueError())),
    }
    by_step: dict[str, frozenset[str]] = {}
    for path in (setup.ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=kind),
                    args=[ast.Constant(value=str() as name), *_],
                    keywords=keywords,
                ):
                    given = {each.arg or "" for each in keywords}
                    parts = [written[kind], *(written[each] for each in given & written.keys())]
                    by_step[name] = by_step.get(name, frozenset()).union(*parts, given - written.keys())
    return by_step


def _fields(write: Callable[[], None]) -> frozenset[str]:
    """Return the members of the one line that `write` writes."""
    logger, lines = logging.getLogger("defender-alert-webhook"), logging.handlers.BufferingHandler(2)
    level, logger.propagate = logger.level, False
    logger.setLevel(logging.INFO)
    logger.addHandler(lines)
    try:
        write()
        return frozenset(json.loads(lines.buffer[0].getMessage()))
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
        logger.propagate = True
