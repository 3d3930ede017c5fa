"""The outcomes of the alerts of each fault, compared with Defender's log, Defender's alerts and the table."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dev.chaos.senders import Sent
from dev.simulator.judge import violations
from shared.clients.create_alert import UNKNOWN
from shared.ledger.record import Entry
from shared.sending.pause import ACCESS_PAUSE_SECONDS, FIRST_PAUSE_SECONDS

Arrival = Mapping[str, Any]
UNDER_WAY_SECONDS = 1.0  # for so long after an answer a call may come that was under way
_CLEAR = range(300, 500)  # the statuses that say that nothing was created
_UNAVAILABLE = 503


@dataclass(slots=True)
class Case:
    """One fault: its deliveries, how often it struck, whether answers may be `unheard`, what else is `wrong`."""

    fault: str
    sent: list[Sent] = field(default_factory=list)
    struck: int = 0
    unheard: bool = False
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
class Seen:
    """The calls that one API saw, of which so many (`calls`) may come in a `window`; `once`: it merges nothing."""

    log: Sequence[Arrival]
    calls: int
    window: float
    once: bool = False

    @property
    def excess(self) -> list[Arrival]:
        """The calls too many, of all hosts together."""
        judged = [arrival for arrival in self.log if arrival["judged"]]
        late = violations((arrival["at"] for arrival in judged), self.calls, self.window)
        return [arrival for arrival in judged if arrival["at"] in late]

    @property
    def wrong(self) -> Iterator[str]:
        """What no call may be, in sentences."""
        yield from (f"{call['title']}: a call too many in a window" for call in self.excess)
        for number, earlier in enumerate(self.log):
            pause, unclear = self._pause(earlier), self.once and (earlier["status"] or 0) not in _CLEAR
            for call in self.log[number + 1 :] if pause or unclear else ():
                if UNDER_WAY_SECONDS < call["at"] - earlier["at"] < pause:
                    yield f"{call['title']}: called in a pause"
                if unclear and call["title"] == earlier["title"]:
                    yield f"{call['title']}: called again, although it may have been created"

    def _pause(self, arrival: Arrival) -> float:
        """Return for how many seconds at the least nobody calls after the answer to a call."""
        status = arrival["status"] or 0
        least = FIRST_PAUSE_SECONDS if self.once and status >= _CLEAR.stop else 0.0
        return float(arrival["retryAfter"] or (ACCESS_PAUSE_SECONDS if status in (401, 403) else least))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence at the end: the `apis` with their calls, the alerts `made` by any, and the table's by title."""

    apis: Sequence[Seen]
    made: Sequence[Mapping[str, Any]]
    entries: Mapping[str, Entry]


def judge(case: Case, evidence: Evidence) -> Verdict:
    """Return the outcomes of the alerts of one fault. Titles are unique in all cases."""
    alerts = [alert for sent in case.sent for alert in sent.alerts]
    accepted = [alert for sent in case.sent if sent.accepted.is_set() for alert in sent.alerts]
    titles = {alert["title"] for alert in alerts}
    made = Counter(alert["title"] for alert in evidence.made)
    log = [call for api in evidence.apis for call in api.log]
    calls = {title: [call for call in log if call["title"] == title] for title in titles}
    wrong = [*case.wrong, *(f"{title}: created {made[title]} times" for title in titles if made[title] > 1)]
    failed, lost = 0, []
    for alert in accepted:
        entry = evidence.entries.get(alert["title"])
        error = (entry and entry.state == "failed" and entry.error) or {}
        if made[alert["title"]]:
            if not entry or not (entry.state == "created" or error.get("code") == UNKNOWN):
                wrong.append(f"{alert['title']}: created, but the table says {entry and entry.state}")
        elif error:
            failed += 1
        else:
            lost.append(alert["title"])
    wrong += [f"{title}: lost" for title in lost]
    unheard = [sent.alerts[0]["title"] for sent in case.sent if sent.outcome is None]
    wrong += [f"{title}: its sender never heard the end" for title in unheard]
    for heard in (heard for sent in case.sent for heard in (sent.outcome or {}).get("alerts", [])):
        title = heard["request"]["title"]
        if not _is_so(heard, calls[title], unheard=case.unheard):
            wrong.append(f"{title}: its sender heard {heard['status']}, {heard['error']}, which is not so")
    return Verdict(
        fault=case.fault,
        struck=case.struck,
        deliveries=len(case.sent),
        alerts=len(alerts),
        accepted=len(accepted),
        created=sum(made[alert["title"]] > 0 for alert in accepted),
        failed=failed,
        lost=len(lost),
        over=sum(call["title"] in titles for api in evidence.apis for call in api.excess),
        repeated=sum(len([call for call in calls[title] if call["alertId"]][1:]) for title in titles),
        refused=sum(sent.heard.count(_UNAVAILABLE) for sent in case.sent),
        wrong=tuple(wrong),
    )


def _is_so(heard: Mapping[str, Any], calls: Sequence[Arrival], *, unheard: bool) -> bool:
    """Tell whether what a sender heard of an alert at last is what the logs of its calls say."""
    ids = {call["alertId"] for call in calls if call["alertId"]}
    if heard["status"] == "created":
        return heard["alert"]["id"] in ids
    error, last = heard["error"] or {}, {call["status"] for call in calls[-1:]}
    is_unknown = error.get("code") == UNKNOWN
    statuses = last | {None} if unheard else last
    if (ids and not is_unknown) or not error.get("hint") or error.get("status") not in statuses:
        return False
    return heard["route"] != "entity" or is_unknown or error["status"] in (400, 404, 409)
