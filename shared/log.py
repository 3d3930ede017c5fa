"""The log an operator reads: one line per step, each line's message one JSON object.

The Functions worker forwards the formatted message only, so fields live inside it and KQL reads them with
`parse_json(message)`. No payload content, no token, no key.
"""

import json
import logging
import traceback
from pathlib import Path
from typing import Any

from shared.clients.defender import Answer
from shared.ledger.record import Entry

_log = logging.getLogger("defender-alert-webhook")


def step(
    name: str,
    *,
    entry: Entry | None = None,
    answer: Answer | None = None,
    **fields: str | float | bool | None,
) -> None:
    """Log one step on the way of an alert."""
    if not _log.isEnabledFor(logging.INFO):
        return
    line: dict[str, Any] = {"step": name}
    if entry:
        line |= {
            "alert": entry.alert.id,
            "delivery": entry.delivery,
            "source": entry.source,
            "severity": entry.alert.severity,
            "state": entry.state,
            "attempt": entry.attempts,
        }
    if answer:
        line |= {
            "answer": answer.kind,
            "status": answer.status,
            "code": (answer.error or {}).get("code"),
            "milliseconds": round(answer.seconds * 1000),
        }
    _log.info(json.dumps(line | fields))


def problem(name: str, error: Exception, **fields: str | float | bool | None) -> None:
    """Log something that an operator should know, without internals."""
    line = {"step": name, "error": type(error).__name__, "detail": str(error)[:500]}
    line["cause"] = str(error.__cause__ or "")[:500]
    _log.warning(json.dumps(line | fields))


def unforeseen(error: Exception) -> None:
    """Log an error that nobody foresaw: its kind and where it arose, not its text, which may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error(json.dumps({"step": "unforeseen", "error": type(error).__name__, "where": where}))
