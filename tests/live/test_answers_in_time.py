"""The answers come, whatever hangs: each test lets something go only after it has been answered."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from dev import samples
from dev.stack.azurite import Azurite
from dev.stack.stack import Stack
from tests.checks.losing import LosingProxy
from tests.checks.sender import follow, wait_for_calls

Start = Callable[..., Stack]


@contextmanager
def hanging(stack: Stack, on: str) -> Iterator[None]:
    """Let every call to Defender (`alerts`) or to the token endpoint (`token`) hang until the block ends."""
    stack.simulator("PUT", "switches", {"faults": [{"kind": "hang", "on": on}]})
    try:
        yield
    finally:
        stack.simulator("PUT", "switches", {"faults": []})


def alert(number: int) -> dict[str, str]:
    """Return an alert of its own for this number."""
    return samples.eight_fields(samples.event(number), f"In time {number}")


def test_the_webhook_answers_while_defender_hangs(start_stack: Start) -> None:
    """A call that is still running when `INLINE_SECONDS` are over is answered 202; so it is for several alerts."""
    stack = start_stack(settings={"INLINE_SECONDS": "1"})
    with hanging(stack, "alerts"):
        single = stack.post(alert(1))
        several = stack.post([alert(number) for number in range(2, 5)])
        log = wait_for_calls(stack, lambda log: len(log) == 4)
        assert [call["status"] for call in log] == [None] * 4  # not one of them has been answered
    assert [single.status_code, several.status_code] == [202, 202]
    alerts = single.json()["alerts"] + several.json()["alerts"]
    assert [each["waitingFor"]["what"] for each in alerts] == ["answer"] * 4


def test_the_webhook_answers_while_the_token_endpoint_hangs(start_stack: Start) -> None:
    """No token: the alert is accepted and waits; once there is one, it is sent."""
    stack = start_stack(settings={"INLINE_SECONDS": "1"})
    with hanging(stack, "token"):
        accepted = stack.post(alert(1))
        assert accepted.status_code == 202
        assert stack.simulator("GET", "tokens") != {}  # it was asked for
        assert stack.simulator("GET", "log") == []
    stack.dispatch()
    assert follow(stack, accepted.headers["location"])[-1].json()["status"] == "created"


def test_a_slow_token_endpoint_costs_the_sender_no_more_than_a_hanging_one(start_stack: Start) -> None:
    """The webhook does not wait for a token that comes too late, yet the next alert has it."""
    stack = start_stack(settings={"INLINE_SECONDS": "1"})
    stack.simulator("PUT", "switches", {"faults": [{"kind": "slow", "on": "token", "delay": 3}]})
    accepted = stack.post(alert(1))
    assert accepted.status_code == 202
    assert accepted.json()["alerts"][0]["waitingFor"]["what"] == "slot"
    stack.dispatch()
    follow(stack, accepted.headers["location"])
    assert stack.post(alert(2)).status_code == 200
    assert list(stack.simulator("GET", "tokens").values()) == [1]


def _failing_health(stack: Stack) -> int:
    """Ask for the health until it is no longer the one that is remembered for some seconds; return its status."""
    for _ in range(100):
        if (status := stack.get("/api/health").status_code) != 200:
            break
        time.sleep(0.2)  # an answer is remembered for 5 s
    return status


def test_the_webhook_answers_while_the_table_hangs(start_stack: Start, azurite: Azurite) -> None:
    """503 and when to try again, and nothing is called; whoever asks for a state is answered too."""
    with LosingProxy(azurite.port) as proxy:
        stack = start_stack(settings={"AzureWebJobsStorage": proxy.through(azurite.connection_string)})
        assert stack.post(alert(1)).status_code == 200
        proxy.lose("hang", times=1_000)  # until the proxy stops: whatever is answered now was not waited for
        with ThreadPoolExecutor(3) as askers:
            sent = askers.submit(stack.post, alert(2))
            health = askers.submit(_failing_health, stack)
            status = askers.submit(
                stack.get, "/api/deliveries/0000000000000-0123456789abcdef0123456789abcdef"
            )
        assert sent.result().status_code == 503
        assert int(sent.result().headers["retry-after"]) > 0
        assert sent.result().json()["type"].endswith(":table-unavailable")
        assert health.result() == 503
        assert status.result().status_code == 503
        assert proxy.hit >= 3
        proxy.heal()
        assert len(stack.simulator("GET", "log")) == 1
        assert stack.get("/api/health").status_code == 200  # without a restart
        assert stack.post(alert(2)).status_code == 200
        stack.kill(stack.hosts[0])


def test_a_slow_table_does_not_keep_the_sender_of_many_alerts(start_stack: Start, azurite: Azurite) -> None:
    """When `INLINE_SECONDS` are over, no more slots are acquired for the delivery; the timer acquires them."""
    with LosingProxy(azurite.port, seconds=1.0) as proxy:
        stack = start_stack(
            settings={
                "AzureWebJobsStorage": proxy.through(azurite.connection_string),
                "INLINE_SECONDS": "4",
            }
        )
        assert stack.post(alert(0)).status_code == 200
        proxy.lose("slow", times=1_000)
        accepted = stack.post([alert(number) for number in range(1, 13)])
        proxy.heal()
        assert accepted.status_code == 202
        waits = [each["waitingFor"] for each in accepted.json()["alerts"] if each["waitingFor"]]
        assert "slot" in {each["what"] for each in waits}  # though there are enough of them
        stack.dispatch()
        assert follow(stack, accepted.headers["location"])[-1].json()["status"] == "created"
        stack.kill(stack.hosts[0])


def test_health_and_status_answer_while_every_call_hangs(start_stack: Start) -> None:
    """More senders than the host has worker threads, the timer besides: whoever asks for a state is answered."""
    threads = 4
    stack = start_stack(hosts=0, settings={"INLINE_SECONDS": "60", "DEFENDER_TIMEOUT_SECONDS": "90"})
    stack.start_host("--no-timers", PYTHON_THREADPOOL_THREAD_COUNT=str(threads))
    with ThreadPoolExecutor(2 * threads) as senders:
        with hanging(stack, "alerts"):
            posts = [senders.submit(stack.post, alert(number)) for number in range(2 * threads)]
            wait_for_calls(
                stack, lambda log: len(log) >= threads // 2
            )  # half of the threads may wait for Defender
            waiting = next(as_completed(posts)).result()
            stack.dispatch()
            wait_for_calls(
                stack, lambda log: len(log) == 2 * threads
            )  # the timer calls for the rest, in one thread
            assert stack.get("/api/health").status_code == 200
            assert stack.get(waiting.headers["location"]).status_code == 202
            assert {call["status"] for call in stack.simulator("GET", "log")} == {None}
        assert {post.result().status_code for post in posts} == {202}
