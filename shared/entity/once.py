"""The identity of an alert that has no event: `createAlert` merges nothing, so the same alert must cost one call."""

import hashlib
import json
from collections.abc import Mapping

from shared.alerts.alert import WITHOUT_EVENT, Alert
from shared.entity import entities
from shared.payload.clues import SECOND, Clues

_HOUR = 3_600 * SECOND


def alert(texts: Mapping[str, str], clues: Clues, *, source: str, own_id: str) -> Alert:
    """Return an alert without a reference, whose id is `identity`; `texts` are its other five fields."""
    report = WITHOUT_EVENT + identity(clues, source=source, own_id=own_id, title=texts["title"])
    return Alert.from_body({**texts, "machineId": "", "eventTime": "", "reportId": report})


def identity(clues: Clues, *, source: str, own_id: str, title: str) -> str:
    """Return 32 hex digits that are the same for the same alert: of one source and one id that it gave itself.

    Without such an id it is that of a title, its entities and its account in the hour of its time.
    """
    named: list[object] = ["id", source, own_id]
    if not own_id:
        hour = clues.when.start // _HOUR if clues.when else None
        seen = entities.of(clues)
        named = ["seen", source, title, sorted(seen), hour]
        if clues.account_name and all(entity.type != "user" for entity in seen):
            named.append(f"{clues.account_domain}\\{clues.account_name}".lower())
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]
