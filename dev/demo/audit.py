"""Comparing the webhook's answers with the calls in the simulator's own log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dev.samples import Event

Outcome = Literal["created", "merged", "repeated", "not found"]


@dataclass(frozen=True, slots=True)
class Expected:
    """An event in a delivery, and its expected result.

    `merged`: into an open alert of the same device and title. `repeated`: sent before, so known or merged.
    """

    event: Event
    outcome: Outcome = "created"


class Audit:
    """Checks that every arrival at Defender belongs to one alert of one answer, and matches it."""

    def __init__(self) -> None:
        self.calls = 0
        self._accounted: set[int] = set()

    def compare(
        self,
        expected: Sequence[Expected],
        alerts: Sequence[Mapping[str, Any]],
        arrivals: Iterable[Mapping[str, Any]],
        defenders: Mapping[str, Mapping[str, Any]],
    ) -> list[str]:
        """Return what is wrong with an answer's `alerts`, given the log and Defender's own alerts by id."""
        log = [arrival for arrival in arrivals if arrival["sequence"] not in self._accounted]
        wrong = []
        if len(alerts) != len(expected):
            wrong.append(f"{len(alerts)} alerts were answered for {len(expected)} events")
        for each in expected:
            mine = [alert for alert in alerts if _key(alert["request"]) == each.event.key]
            if len(mine) != 1:
                wrong.append(f"{each.event.device}: {len(mine)} alerts were answered for one event")
                continue
            title = mine[0]["request"]["title"]
            calls = [call for call in log if (_key(call), call["title"]) == (each.event.key, title)]
            self._accounted |= {call["sequence"] for call in calls}
            self.calls += len(calls)
            problems = [*_unexpected(each.outcome, mine[0]), *_differs(mine[0], calls, defenders)]
            wrong += [f"{each.event.device}: {problem}" for problem in problems]
        return wrong

    def unaccounted(self, arrivals: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return what is wrong with the whole log: arrivals that no answer accounts for, or too many."""
        wrong = []
        for arrival in arrivals:
            if arrival["sequence"] not in self._accounted:
                wrong.append(f"Defender saw a call that no answer tells of: {arrival['title']!r}")
            if arrival["overLimit"]:
                wrong.append(f"Defender saw a call too many: {arrival['title']!r}")
        return wrong


def _unexpected(outcome: Outcome, alert: Mapping[str, Any]) -> list[str]:
    created = alert["status"] == "created"
    error = alert["error"] or {}
    as_expected = {
        "created": created and not alert["merged"] and not alert["duplicate"],
        "merged": created and alert["merged"],
        "repeated": created and (alert["merged"] or alert["duplicate"]),
        "not found": alert["status"] == "failed" and error.get("status") == 404,  # noqa: PLR2004 - HTTP's
    }
    if as_expected[outcome]:
        return []
    return [f"it should be {outcome}, but is {alert['status']} ({error.get('message') or 'no error'})"]


def _differs(
    alert: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], defenders: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    wrong = []
    if len(calls) != (0 if alert["duplicate"] else 1):
        wrong.append(f"Defender was called {len(calls)} times for it")
    if alert["status"] != "created":
        statuses = [call["status"] for call in calls]
        if statuses != [alert["error"]["status"]]:
            wrong.append(f"the answer says HTTP {alert['error']['status']}, Defender {statuses}")
        return wrong
    ours = alert["alert"]
    theirs = defenders.get(ours["id"], {})
    if any(call["alertId"] != ours["id"] or call["merged"] != alert["merged"] for call in calls):
        wrong.append(f"Defender's log has another alert than {ours['id']} for it")
    if not str(alert["portalUrl"]).endswith(ours["id"]):
        wrong.append(f"the portal link {alert['portalUrl']} leads elsewhere")
    return wrong + [
        f"{field} is {ours[field]!r} in the answer, {theirs.get(field)!r} in Defender"
        for field in ("id", "machineId", "title", "severity", "category")
        if ours[field] != theirs.get(field)
    ]


def _key(fields: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return (fields["machineId"], fields["eventTime"], fields["reportId"])
