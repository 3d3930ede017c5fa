"""The short form of `make chaos`, and that its verdicts can be bad."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import pytest

from dev import samples
from dev.chaos.campaign import STAGES, rehearse
from dev.chaos.senders import Sent
from dev.chaos.verdict import Case, Evidence, Seen, Verdict, judge
from shared.alerts.alert import Alert
from shared.clients.create_alert import UNKNOWN
from shared.ledger import record

CLIENT = "a7c4e0d2-58b1-4c7e-8a39-d20f6b1e9c33"
BODY = samples.eight_fields(samples.event(1), "A fault, 1", "High")
ALERT = Alert.from_body(BODY)


@pytest.mark.slow
def test_nothing_is_lost_and_no_call_is_one_too_many() -> None:
    """Whatever fails: every accepted alert ends, created or failed with a reason, and the window holds."""
    with ThreadPoolExecutor(2) as lanes:  # the stages have nothing in common, and mostly wait
        verdicts = list(chain.from_iterable(lanes.map(partial(rehearse, short=True), STAGES[:-1])))
    assert len(verdicts) > len(STAGES)
    assert [verdict for verdict in verdicts if not verdict.holds] == []


REJECTED = {"status": 400, "code": "BadRequest", "hint": "Change the alert."}


def case(*, error: dict[str, Any] | None = None, route: str = "reference") -> Case:
    """Return a case of one delivery that was accepted, and what its sender heard at last: created, or the error."""
    made = {"status": "failed", "alert": None} if error else {"status": "created", "alert": {"id": "da1"}}
    heard = {"request": BODY, "route": route, "error": error, **made}
    sent = Sent([BODY], accepted=threading.Event(), outcome={"alerts": [heard]})
    sent.accepted.set()
    return Case("A fault", [sent], struck=1)


def arrival(sequence: int, at: float, *, client: str = CLIENT, **others: Any) -> dict[str, Any]:
    """Return a call as the simulator logs it: `at` on the monotonic clock, one hour after midnight by the wall."""
    return {
        **BODY,
        "sequence": sequence,
        "at": at,
        "wall": f"2026-03-04T01:00:{at:02.0f}+00:00",
        "appId": client,
        "judged": True,
        "status": 200,
        "retryAfter": None,
        "alertId": "da1",
        **others,
    }


def entry(state: record.State, **others: Any) -> record.Entry:
    """Return what the table says of the alert."""
    accepted = record.accept(ALERT, source="defender", delivery="d", now=0.0)
    return replace(accepted, state=state, **others)


def evidence(
    *calls: dict[str, Any],
    state: record.State = "created",
    error: dict[str, Any] | None = None,
    window: float = 10.0,
    once: bool = False,
) -> Evidence:
    """Return what is there after these calls in a window of one call: each with an alert's id has made one alert."""
    made = [call for call in calls if call["alertId"]]
    entries = {BODY["title"]: entry(state, error=error)}
    return Evidence([Seen(calls, 1, window, once=once)], made if once else made[:1], entries)


EVIDENCE = evidence(arrival(0, 1.0))
REFUSED = evidence(arrival(0, 1.0, status=400, alertId=None), state="failed", error=REJECTED)


def test_a_held_promise_is_recognised() -> None:
    """Created, answered so, called once: all holds."""
    verdict = judge(case(), EVIDENCE)
    assert verdict.holds
    assert (verdict.accepted, verdict.created, verdict.repeated, verdict.over) == (1, 1, 0, 0)


def test_an_alert_that_nobody_has_is_lost() -> None:
    """Accepted, but neither in Defender nor failed with a reason; one that failed with a reason is not lost."""
    for state in ("waiting", "sending", "failed"):
        gone = evidence(arrival(0, 1.0, status=400, alertId=None), state=state)
        verdict = judge(case(error=REJECTED), gone)
        assert (verdict.lost, verdict.holds) == (1, False)
    verdict = judge(case(error=REJECTED), REFUSED)
    assert (verdict.failed, verdict.lost, verdict.holds) == (1, 0, True)
    assert not judge(case(), replace(EVIDENCE, entries={})).holds


def test_a_wrong_or_missing_answer_to_a_sender_is_noticed() -> None:
    """What a sender hears at last is held against the log: the state, the alert's id, the status, and a hint."""
    assert not judge(case(error=REJECTED), EVIDENCE).holds
    assert not judge(case(), REFUSED).holds
    assert not judge(case(), evidence(arrival(0, 1.0, alertId="da2"))).holds
    assert not judge(case(error=REJECTED | {"status": 404}), REFUSED).holds
    assert not judge(case(error=REJECTED | {"hint": ""}), REFUSED).holds
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
    log = arrival(0, 1.0), arrival(1, 10.0, client="another")
    assert (judge(case(), evidence(*log)).over, judge(case(), evidence(*log)).repeated) == (1, 1)
    assert not judge(case(), evidence(*log)).holds
    assert judge(case(), evidence(*log, window=5.0)).over == 0


# Alerts without an event, each of which costs one call

ANSWER_UNKNOWN = {"status": 503, "code": UNKNOWN, "hint": "Look in Defender."}


def of_entities(
    *calls: dict[str, Any], error: dict[str, Any] | None = None, unheard: bool = False
) -> tuple[Verdict, list[str]]:
    """Return what is said of an alert after these calls: the verdict, and what is wrong with the calls alone."""
    given = evidence(*calls, state="failed" if error else "created", error=error, window=0.1, once=True)
    return judge(replace(case(error=error, route="entity"), unheard=unheard), given), list(
        given.apis[0].wrong
    )


def test_one_call_and_an_unknown_answer_hold() -> None:
    """Created by one call, also after a 429; or failed as the answer is unknown, whether or not Graph created it."""
    later = arrival(1, 9.0, status=201)
    for calls in ([later], [arrival(0, 1.0, status=429, retryAfter="4", alertId=None), later]):
        verdict, wrong = of_entities(*calls)
        assert (verdict.holds, verdict.created, wrong) == (True, 1, [])
    for made in ("ma1", None):
        verdict, wrong = of_entities(arrival(0, 1.0, status=503, alertId=made), error=ANSWER_UNKNOWN)
        assert (verdict.holds, verdict.lost, wrong) == (True, 0, [])


def test_a_doubled_call_is_found() -> None:
    """A second call after one that created the alert, or may have: with its alert or without one."""
    verdict, wrong = of_entities(arrival(0, 1.0, status=201), arrival(1, 20.0, status=201))
    assert verdict.wrong == ("A fault, 1: created 2 times",)
    assert (verdict.repeated, len(wrong)) == (1, 1)
    for status in (503, None):
        lost = arrival(0, 1.0, status=status, alertId=None)
        assert of_entities(lost, arrival(1, 20.0, status=201))[1] == [
            "A fault, 1: called again, although it may have been created"
        ]


def test_a_lost_call_is_found() -> None:
    """No call came, and no host died that may have been about to make it; or one was given up that was turned away."""
    unknown = ANSWER_UNKNOWN | {"status": None}
    assert not of_entities(error=unknown)[0].holds
    assert of_entities(error=unknown, unheard=True)[0].holds
    for status in (403, 429, 503):
        turned_away = arrival(0, 1.0, status=status, alertId=None)
        assert not of_entities(turned_away, error=REJECTED | {"status": status})[0].holds
    assert not of_entities(arrival(0, 1.0, status=201), error=unknown)[0].holds


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [({"status": 429, "retryAfter": "4"}, 4), ({"status": 403}, 60), ({"status": 503}, 5)],
)
def test_a_call_in_a_pause_is_found(answer: dict[str, Any], seconds: int) -> None:
    """Any alert's call between an answer that asks for a pause and the pause's end, but for those under way."""
    asks = arrival(0, 1.0, alertId=None, **answer) | {"title": "Another"}
    assert of_entities(asks, arrival(1, 0.9 + seconds, status=201))[1] == ["A fault, 1: called in a pause"]
    for at in (1.5, 1.1 + seconds):
        assert of_entities(asks, arrival(1, at, status=201))[1] == []


def test_503s_are_counted() -> None:
    """What a sender heard before it was accepted is part of the table."""
    tried = case()
    tried.sent[0].heard += [503, 503, 200]
    assert judge(tried, EVIDENCE).refused == 2
