"""Comparing the webhook's answers with the calls in the simulator's own logs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dev.samples import Event

Outcome = Literal["created", "merged", "repeated", "not found"]
Logs = Mapping[str, Sequence[Mapping[str, Any]]]
"""What the simulator says it saw and made, by the names in LOGS."""
LOGS = ("log", "searches", "creations", "alerts", "entityAlerts")


@dataclass(frozen=True, slots=True)
class Expected:
    """An event in a delivery, and its expected result.

    `merged`: into an open alert of the same device and title. `repeated`: sent before, so known or merged. `searched`
    is the name of the device by which its event is searched. Without an event an alert on entities is expected,
    whose answer says `because`.
    """

    event: Event | None
    outcome: Outcome = "created"
    searched: str = ""
    because: str = ""


class Audit:
    """Checks that every arrival at the simulator belongs to one alert of one answer, and matches it."""

    def __init__(self) -> None:
        self.told: dict[str, set[int]] = {name: set() for name in LOGS[:3]}
        """The arrivals that answers tell of, by their log."""

    def compare(
        self, expected: Sequence[Expected], alerts: Sequence[Mapping[str, Any]], logs: Logs
    ) -> list[str]:
        """Return what is wrong with an answer's `alerts`, given the simulator's logs."""
        wrong = []
        if len(alerts) != len(expected):
            wrong.append(f"{len(alerts)} alerts were answered for {len(expected)} events")
        for each in expected:
            name = each.event.device if each.event else each.searched or "no device"
            mine = [alert for alert in alerts if not each.event or _key(alert["request"]) == each.event.key]
            if len(mine) != 1:
                wrong.append(f"{name}: {len(mine)} alerts were answered for one event")
                continue
            problems = [*self._of_search(each, mine[0], logs), *self._of_alert(each, mine[0], logs)]
            wrong += [f"{name}: {problem}" for problem in problems]
        return wrong

    def unaccounted(self, logs: Logs) -> Iterator[str]:
        """Yield what is wrong with the whole logs: arrivals that no answer accounts for, or too many."""
        for name, told in self.told.items():
            for arrival in logs[name]:
                what = repr(arrival["title"] or arrival["query"])
                if arrival["sequence"] not in told:
                    yield f"Defender saw a call that no answer tells of: {what}"
                if arrival["overLimit"]:
                    yield f"Defender saw a call too many: {what}"

    def _take(self, name: str, arrivals: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the arrivals that no other alert accounts for; from now on this one does."""
        left = [arrival for arrival in arrivals if arrival["sequence"] not in self.told[name]]
        self.told[name] |= {arrival["sequence"] for arrival in left}
        return left

    def _of_search(self, each: Expected, alert: Mapping[str, Any], logs: Logs) -> Iterator[str]:
        if not each.searched:
            return
        mine = [search for search in logs["searches"] if each.searched in str(search["query"]).lower()]
        statuses = [search["status"] for search in self._take("searches", mine)]
        if statuses != [200]:
            yield f"it should be searched once, and Graph answered {statuses}"
        if bool(alert["match"]) != bool(each.event):
            yield f"the answer's match is {alert['match']!r}"

    def _of_alert(self, each: Expected, alert: Mapping[str, Any], logs: Logs) -> Iterator[str]:
        title = alert["request"]["title"]
        if each.event:
            named = [call for call in logs["log"] if (_key(call), call["title"]) == (each.event.key, title)]
            calls, made = self._take("log", named), logs["alerts"]
            fields: tuple[str, ...] = ("id", "machineId", "title", "severity", "category")
        else:
            named = [call for call in logs["creations"] if call["title"] == title]
            calls, made = self._take("creations", named), logs["entityAlerts"]
            fields = ("id",)
            if not any(each.because in note for note in alert["notes"] or [""]):
                yield f"the answer does not say why it has no event: {each.because}"
        if alert["route"] != ("reference" if each.event else "entity"):
            yield f"it should not go by the route {alert['route']}"
        yield from _unexpected(each.outcome, alert)
        titled = {theirs["id"]: theirs for theirs in made if theirs["title"] == title}
        yield from _differs(alert, calls, titled, fields)


def _unexpected(outcome: Outcome, alert: Mapping[str, Any]) -> Iterator[str]:
    created = alert["status"] == "created"
    error = alert["error"] or {}
    as_expected = {
        "created": created and not alert["merged"] and not alert["duplicate"],
        "merged": created and alert["merged"],
        "repeated": created and (alert["merged"] or alert["duplicate"]),
        "not found": alert["status"] == "failed" and error.get("status") == 404,  # noqa: PLR2004 - HTTP's
    }
    if not as_expected[outcome]:
        yield f"it should be {outcome}, but is {alert['status']} ({error.get('message') or 'no error'})"


def _differs(
    alert: Mapping[str, Any],
    calls: Sequence[Mapping[str, Any]],
    defenders: Mapping[str, Mapping[str, Any]],
    fields: Sequence[str],
) -> Iterator[str]:
    if len(calls) != (0 if alert["duplicate"] else 1):
        yield f"Defender was called {len(calls)} times for it"
    if alert["status"] != "created":
        statuses = [call["status"] for call in calls]
        if statuses != [alert["error"]["status"]]:
            yield f"the answer says HTTP {alert['error']['status']}, Defender {statuses}"
        return
    ours = alert["alert"]
    theirs = defenders.get(ours["id"], {})
    if any(call["alertId"] != ours["id"] or call["merged"] != alert["merged"] for call in calls):
        yield f"Defender's log has another alert than {ours['id']} for it"
    if not str(alert["portalUrl"]).endswith(theirs.get("alertWebUrl", ours["id"])):
        yield f"the portal link {alert['portalUrl']} leads elsewhere"
    for field in fields:
        if ours.get(field) != theirs.get(field):
            yield f"{field} is {ours.get(field)!r} in the answer, {theirs.get(field)!r} in Defender"


def _key(fields: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return (fields["machineId"], fields["eventTime"], fields["reportId"])
