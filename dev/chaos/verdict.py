"""What became of the alerts of each fault, held against Defender's log, Defender's alerts and the table."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dev.chaos.senders import Sent
from dev.simulator.judge import violations
from shared.alerts.alert import Alert
from shared.ledger import Entry

Arrival = Mapping[str, Any]


@dataclass(slots=True)
class Case:
    """One fault: the deliveries that met it, how often it struck, and what is wrong apart from the counts."""

    fault: str
    sent: list[Sent] = field(default_factory=list)
    struck: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of the campaign's table; every count is of alerts, or of calls.

    `lost`: accepted, and neither created nor failed with a reason. `over`: calls too many in a rolling window.
    `repeated`: calls for an alert that Defender had already. `direct`: calls made without the table.
    """

    fault: str
    struck: int
    deliveries: int
    alerts: int
    accepted: int
    created: int
    failed: int
    lost: int
    over: int
    repeated: int
    direct: int
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything that was promised was kept, and the fault was there at all."""
        return not (self.lost or self.over or self.wrong) and self.struck > 0 and self.accepted == self.alerts


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to judge by, at the end of all.

    `log` and `defenders` are the simulator's arrivals and alerts; `entries` the table's, by alert id; `direct`
    are the sequence numbers of the arrivals that were called without the table; `calls` and `window` the limit.
    """

    log: Sequence[Arrival]
    defenders: Sequence[Mapping[str, Any]]
    entries: Mapping[str, Entry]
    direct: frozenset[int]
    calls: int
    window: float

    @property
    def excess(self) -> list[Arrival]:
        """The calls too many: of all hosts together through the window, and of each host directly."""
        groups: dict[str, list[Arrival]] = {}
        for arrival in self.log:
            if arrival["judged"]:
                window = str(arrival["appId"]) if arrival["sequence"] in self.direct else "shared"
                groups.setdefault(window, []).append(arrival)
        found = []
        for group in groups.values():
            late = {one.excess for one in violations((a["at"] for a in group), self.calls, self.window)}
            found += [arrival for arrival in group if arrival["at"] in late]
        return found


def judge(case: Case, evidence: Evidence) -> Verdict:
    """Return what became of the alerts of one fault. Titles are unique in all cases."""
    alerts = [alert for sent in case.sent for alert in sent.alerts]
    accepted = [alert for sent in case.sent if sent.accepted.is_set() for alert in sent.alerts]
    titles = {alert["title"] for alert in alerts}
    created = {alert["title"] for alert in evidence.defenders}
    arrivals = [arrival for arrival in evidence.log if arrival["title"] in titles]
    answered = Counter(arrival["title"] for arrival in arrivals if arrival["alertId"])
    wrong = list(case.wrong)
    failed, lost = 0, []
    for alert in accepted:
        entry = evidence.entries.get(Alert.from_body(alert).id)
        if alert["title"] in created:
            if entry and entry.state != "created":
                wrong.append(f"{alert['title']}: created, but the table says {entry.state}")
        elif entry and entry.state == "failed" and entry.error:
            failed += 1
        else:
            lost.append(alert["title"])
    wrong += [f"{title}: lost" for title in lost]
    wrong += [f"{_first(sent)}: its sender never heard the end" for sent in case.sent if sent.told is None]
    wrong += [lie for sent in case.sent if sent.told for lie in _lies(sent.told, created)]
    return Verdict(
        fault=case.fault,
        struck=case.struck,
        deliveries=len(case.sent),
        alerts=len(alerts),
        accepted=len(accepted),
        created=sum(alert["title"] in created for alert in accepted),
        failed=failed,
        lost=len(lost),
        over=sum(arrival["title"] in titles for arrival in evidence.excess),
        repeated=sum(times - 1 for times in answered.values()),
        direct=sum(arrival["sequence"] in evidence.direct for arrival in arrivals),
        wrong=tuple(wrong),
    )


def direct_calls(log: Iterable[Arrival], journals: Mapping[str, Sequence[str]]) -> frozenset[int]:
    """Return the sequence numbers of the arrivals that a host called without the table.

    `journals` are the hosts' log lines by the client id that a host calls with. A call comes right after the line
    that announces it: taken, or called directly.
    """
    announced: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for client, lines in journals.items():
        for line in lines:
            moment, _, said = line.partition(" INFO defender-alert-webhook: ")
            step = json.loads(said) if said else {}
            is_direct = step.get("step") == "direct call"
            if is_direct or (step.get("step") == "taken" and step["delivery"]):
                at = datetime.strptime(moment, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
                announced.setdefault((client, step["alert"]), []).append((at, is_direct))
    found = set()
    for arrival in log:
        if arrival["title"] is None:
            continue
        steps = announced.get((str(arrival["appId"]), _alert_id(arrival)), [])
        kinds = {kind for _, kind in steps}
        at = datetime.fromisoformat(arrival["wall"]).timestamp()
        before = [kind for announced_at, kind in steps if announced_at <= at]
        if kinds == {True} or (before and before[-1]):
            found.add(arrival["sequence"])
    return frozenset(found)


def _alert_id(arrival: Arrival) -> str:
    named = (arrival["machineId"], arrival["eventTime"], arrival["reportId"])
    return Alert(
        *named, severity="", category="", title=arrival["title"], description="", recommended_action=""
    ).id


def _lies(told: Mapping[str, Any], created: set[str]) -> list[str]:
    """Return what a sender was told that is not so."""
    return [
        f"{alert['request']['title']}: its sender heard {alert['status']}, which is not so"
        for alert in told.get("alerts", [])
        if (alert["status"] == "created") != (alert["request"]["title"] in created)
    ]


def _first(sent: Sent) -> str:
    return sent.alerts[0]["title"]
