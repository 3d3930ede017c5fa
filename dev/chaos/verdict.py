"""The outcomes of the alerts of each fault, compared with Defender's log, Defender's alerts and the table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.chaos.senders import Sent
from dev.simulator.judge import violations
from shared.alerts.alert import Alert
from shared.ledger.record import Entry

Arrival = Mapping[str, Any]
_UNAVAILABLE = 503


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
    `repeated`: calls for an alert that Defender had already. `refused`: answers of 503 that senders heard.
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
    refused: int
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether all promises were kept, and the fault happened at all."""
        return not (self.lost or self.over or self.wrong) and self.struck > 0 and self.accepted == self.alerts


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence at the end.

    `log` and `defenders` are the simulator's arrivals and alerts; `entries` the table's, by alert id; `calls` and
    `window` the limit.
    """

    log: Sequence[Arrival]
    defenders: Sequence[Mapping[str, Any]]
    entries: Mapping[str, Entry]
    calls: int
    window: float

    @property
    def excess(self) -> list[Arrival]:
        """The calls too many, of all hosts together."""
        judged = [arrival for arrival in self.log if arrival["judged"]]
        late = violations((arrival["at"] for arrival in judged), self.calls, self.window)
        return [arrival for arrival in judged if arrival["at"] in late]


def judge(case: Case, evidence: Evidence) -> Verdict:
    """Return the outcomes of the alerts of one fault. Titles are unique in all cases."""
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
    unheard = [sent.alerts[0]["title"] for sent in case.sent if sent.outcome is None]
    wrong += [f"{title}: its sender never heard the end" for title in unheard]
    wrong += [lie for sent in case.sent if sent.outcome for lie in _lies(sent.outcome, created)]
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
        refused=sum(sent.heard.count(_UNAVAILABLE) for sent in case.sent),
        wrong=tuple(wrong),
    )


def _lies(outcome: Mapping[str, Any], created: set[str]) -> list[str]:
    """Return what a sender was answered that is not so."""
    return [
        f"{alert['request']['title']}: its sender heard {alert['status']}, which is not so"
        for alert in outcome.get("alerts", [])
        if (alert["status"] == "created") != (alert["request"]["title"] in created)
    ]
