"""The window, held by many instances at once against a judge that counts every call."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from dev import samples
from dev.simulator.judge import fullest, violations
from dev.stack.stack import Host, Stack
from tests.checks.sender import wait_for_calls

INSTANCES = 8
CALLS = 15
WINDOW_SECONDS = 3.0
ALERTS = 72


def test_eight_saturated_instances_never_exceed_any_rolling_window(
    start_stack: Callable[..., Stack],
) -> None:
    """Whatever the network delays: no 429, no window over full, by the judge's word and by its log scanned anew."""
    stack = start_stack(
        hosts=INSTANCES,
        calls=CALLS,
        window=WINDOW_SECONDS,
        # Between our send and Defender's count every call is delayed on its own; so they overtake each other.
        defender=("--transit", "0,1"),
        settings={"DEFENDER_TIMEOUT_SECONDS": "10", "INLINE_SECONDS": "1"},
    )
    alerts = [samples.eight_fields(samples.event(n), f"Saturation {n}") for n in range(ALERTS)]

    def post(alert: dict[str, str], host: Host) -> requests.Response:
        return stack.post(alert, host=host)

    with ThreadPoolExecutor(INSTANCES) as senders:
        answers = list(senders.map(post, alerts, itertools.cycle(stack.hosts)))
    assert {answer.status_code for answer in answers} == {200, 202}  # there were more than fit
    for host in stack.hosts:
        stack.dispatch(host)  # all eight want every slot that opens

    log = wait_for_calls(stack, lambda log: len(log) >= ALERTS and all(call["status"] for call in log))
    assert [call["status"] for call in log] == [200] * ALERTS  # each was called once, and none too early
    assert len({call["title"] for call in log}) == ALERTS
    assert stack.simulator("GET", "violations") == []
    times = [call["at"] for call in log]
    assert violations(times, CALLS, WINDOW_SECONDS) == []
    assert fullest(times, WINDOW_SECONDS) == CALLS  # or nothing was tried
    busy = [host for host in stack.hosts if '"step": "answered"' in host.process.log.read_text()]
    assert len(busy) > INSTANCES / 2  # and it was many instances that tried
