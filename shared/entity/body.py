"""The body of a `createAlert` call, from clues and the five texts of an alert.

clues ─┬─ what the API has an identifier for ── entityDefinitions
       └─ the rest, such as a command line ──── lines at the end of the description
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.alerts import mark, untold, vocabulary
from shared.alerts.text import cut, units
from shared.entity import entities
from shared.entity.entities import Entity
from shared.payload.clues import SECOND, Clues, When

DESCRIPTION = 5_000
"""UTF-16 units of a description."""
CATEGORIES: Mapping[str, str] = {
    "CommandAndControl": "CommandAndControl",
    "Collection": "Collection",
    "CredentialAccess": "CredentialAccess",
    "DefenseEvasion": "DefenseEvasion",
    "Discovery": "Discovery",
    "Exfiltration": "Exfiltration",
    "Execution": "Execution",
    "InitialAccess": "InitialAccess",
    "LateralMovement": "LateralMovement",
    "Persistence": "Persistence",
    "PrivilegeEscalation": "PrivilegeEscalation",
    "Ransomware": "Impact",
    "Exploit": "Execution",
    "Malware": "Execution",
    "General": "Execution",
    "SuspiciousActivity": "Execution",
}
"""The tactic of ATT&CK for each category of an alert. The last four have no equal; the description names them.

A category that another version stored, and this one does not know, is as the last.
"""

_ADDED = 2_500  # units of the description that our lines have at least
_SHORT, _LINK = 200, 1_000
_TECHNIQUES = 50
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LABELS = {
    "account_upn": "User",
    "account_sid": "SID",
    "file_path": "File",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "md5": "MD5",
    "process_name": "Done by",
    "process_id": "Process id",
    "parent_name": "Started by",
    "remote_ip": "Address",
    "remote_port": "Port",
    "remote_url": "URL",
    "registry_key": "Registry key",
    "registry_value": "Registry value",
    "report_id": "Report id",
    "outcome": "Outcome",
    "command_line": "Command line",
}
"""The facts that a description tells if no entity has them: the longest last, as what is too long is cut there."""


def build(
    clues: Clues,
    texts: Mapping[str, str],
    *,
    alert: str,
    source: str,
    own_id: str = "",
    link: str = "",
    techniques: Sequence[str] = (),
    informational: bool = False,
) -> dict[str, Any]:
    """Return the `createAlertInput` of an alert. `entities.missing` says before whether clues are enough.

    `texts` are five of the alert's fields, as `alert.check` gives them; `alert` is its id. `source`, `own_id` and
    `link` are the name of the product, its own id of the alert and its page; `informational` that it calls it so.
    """
    named = entities.of(clues)
    category = CATEGORIES.get(texts["category"], CATEGORIES[vocabulary.NO_EQUAL])
    lines = [mark.line(_line(source)[:_SHORT], alert)]
    if own_id:
        lines.append(f"Alert at the source: {_line(own_id)[:_SHORT]}")
    if link and units(link) <= _LINK:
        lines.append(f"Link: {_line(link)}")
    if clues.when:
        lines.append(f"Time at the source: {_time(clues.when)}")
    if category != texts["category"]:
        lines.append(f"Category: {_line(texts['category'])[:_SHORT]}")
    lines += _left_over(clues, named)
    known = dict.fromkeys(name for name in techniques if _TECHNIQUE.fullmatch(name))
    return {
        "title": untold.without_event(texts["title"]),
        "description": _described(untold.without_event(texts["description"]), "\n".join(lines)),
        "severity": "informational" if informational else texts["severity"].lower(),
        "category": category,
        "recommendedActions": untold.without_event(texts["recommendedAction"]),
        "mitreTechniques": list(known)[:_TECHNIQUES],
        "entityDefinitions": [entity.body() for entity in named],
    }


def _described(text: str, lines: str) -> str:
    """Return a description with our lines below it. Of the two, each has the room that the other leaves it."""
    below = cut(lines, max(_ADDED, DESCRIPTION - units(text) - 2))
    return f"{cut(text, DESCRIPTION - units(below) - 2)}\n\n{below}"


def _left_over(clues: Clues, named: Sequence[Entity]) -> Iterator[str]:
    """Yield a line for each clue that no entity has."""
    values = {entity.value for entity in named}
    for host in (*clues.hosts, *clues.named):
        if host.value not in values:
            yield f"Device: {_line(host.value)}"
    if clues.account_name:
        domain = f"{clues.account_domain}\\" if clues.account_domain else ""
        yield f"Account: {_line(domain + clues.account_name)}"
    if clues.file_name and not clues.file_path:
        yield f"File: {_line(clues.file_name)}"
    for fact, label in _LABELS.items():
        value = getattr(clues, fact)
        if value and value not in values:
            yield f"{label}: {_line(value)}"


def _line(text: str) -> str:
    """Return a text in one line: what is not printable is written as an escape, so that it can imitate no line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _time(when: When) -> str:
    """Return a time in ISO 8601, or its two ends."""
    return " to ".join(map(_moment, dict.fromkeys((when.start, when.end))))


def _moment(ticks: int) -> str:
    seconds, fraction = divmod(ticks, SECOND)
    digits = f".{fraction:07}".rstrip("0").rstrip(".")
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{digits}Z"
