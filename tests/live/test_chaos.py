"""The short form of `make chaos`, and that its verdicts can be bad."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from dev import samples
from dev.chaos.campaign import STAGES, rehearse
from dev.chaos.senders import Sent
from dev.chaos.verdict import Case, Evidence, judge
from shared.alerts.alert import Alert
from shared.ledger import record

CLIENT = "a7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33"
BODY = samples.eight_fields(samples.event(1), "A fault, 1", "High")
ALERT = Alert.from_body(BODY)


def test_nothing_is_lost_and_no_call_is_one_too_many() -> None:
    """Whatever fails: every accepted alert ends, created or failed with a reason, and the window holds."""
    with ThreadPoolExecutor(2) as lanes:  # the stages have nothing in common, and mostly wait
        verdicts = list(chain.from_iterable(lanes.map(partial(rehearse, short=True), STAGES[:-1])))
    assert len(verdicts) > len(STAGES)
    assert [verdict for verdict in verdicts if not verdict.holds] == []


def case(*, last: str = "created") -> Case:
    """Return a case of one delivery that was accepted, and what its sender heard at last."""
    sent = Sent([BODY], accepted=threading.Event(), outcome={"alerts": [{"request": BODY, "status": last}]})
    sent.accepted.set()
    return Case("A fault", [sent], struck=1)


def arrival(sequence: int, at: float, *, client: str = CLIENT) -> dict[str, Any]:
    """Return a call as the simulator logs it: `at` on the monotonic clock, one hour after midnight by the wall."""
    return {
        **BODY,
        "sequence": sequence,
        "at": at,
        "wall": f"2026-03-04T01:00:{at:02.0f}+00:00",
        "appId": client,
        "judged": True,
        "alertId": "da1",
    }


def entry(state: record.State, **others: Any) -> record.Entry:
    """Return what the table says of the alert."""
    accepted = record.accept(ALERT, source="defender", delivery="d", now=0.0)
    return replace(accepted, state=state, **others)


EVIDENCE = Evidence(
    log=[arrival(0, 1.0)],
    defenders=[{"title": BODY["title"]}],
    entries={ALERT.id: entry("created")},
    calls=1,
    window=10.0,
)


def test_a_held_promise_is_recognised() -> None:
    """Created, answered so, called once: all holds."""
    verdict = judge(case(), EVIDENCE)
    assert verdict.holds
    assert (verdict.accepted, verdict.created, verdict.repeated, verdict.over) == (1, 1, 0, 0)


def test_an_alert_that_nobody_has_is_lost() -> None:
    """Accepted, but neither in Defender nor failed with a reason; one that failed with a reason is not lost."""
    for state in ("waiting", "sending", "failed"):
        gone = replace(EVIDENCE, defenders=[], entries={ALERT.id: entry(state)})
        assert (judge(case(last="failed"), gone).lost, judge(case(last="failed"), gone).holds) == (
            1,
            False,
        )
    failing = replace(EVIDENCE, defenders=[], entries={ALERT.id: entry("failed", error={"status": 400})})
    verdict = judge(case(last="failed"), failing)
    assert (verdict.failed, verdict.lost, verdict.holds) == (1, 0, True)


def test_a_wrong_or_missing_answer_to_a_sender_is_noticed() -> None:
    """What a sender hears at last is held against Defender."""
    assert not judge(case(last="failed"), EVIDENCE).holds
    silent = case()
    silent.sent[0].outcome = None
    assert not judge(silent, EVIDENCE).holds


def test_a_delivery_that_nobody_took_and_a_fault_that_never_struck_do_not_hold() -> None:
    """A campaign in which nothing happened proves nothing."""
    refused = case()
    refused.sent[0].accepted.clear()
    assert not judge(refused, EVIDENCE).holds
    assert not judge(replace(case(), struck=0), EVIDENCE).holds


def test_a_call_too_many_is_counted() -> None:
    """Two calls in a window of one are one too many, whichever hosts they come from."""
    twice = replace(EVIDENCE, log=[arrival(0, 1.0), arrival(1, 10.0, client="another")])
    assert (judge(case(), twice).over, judge(case(), twice).repeated) == (1, 1)
    assert not judge(case(), twice).holds
    assert judge(case(), replace(twice, window=5.0)).over == 0


def test_503s_are_counted() -> None:
    """What a sender heard before it was accepted is part of the table."""
    tried = case()
    tried.sent[0].heard += [503, 503, 200]
    assert judge(tried, EVIDENCE).refused == 2
