"""A delivery's way through the whole stack, as its sender sees it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import urlsplit

from requests import Response

from dev import samples
from dev.stack.azurite import Azurite
from dev.stack.proxy import Fault, Moment, Proxy
from dev.stack.stack import Host, Stack
from tests.checks.sender import follow


class Counter:
    """Counts what passes a proxy on its way to the table."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, moment: Moment, request: bytes) -> Fault | None:
        """Note a request: a query or a transaction."""
        if moment == "request":
            self.seen.append("transaction" if b"/$batch" in request.partition(b"\r\n")[0] else "query")
        return None

    def take(self) -> list[str]:
        """Return what passed since the last time."""
        seen, self.seen = self.seen, []
        return seen


def test_a_delivery_that_waits_can_be_followed_to_its_end_without_a_key(
    start_stack: Callable[..., Stack],
) -> None:
    """202 carries an absolute `Location` and `Retry-After`, and so does every 202 there; never a redirect."""
    stack = start_stack(calls=1, window=3)
    assert stack.post(samples.eight_fields(samples.event(1), "Followed 1")).status_code == 200
    accepted = stack.post(samples.eight_fields(samples.event(2), "Followed 2"))
    stack.dispatch()
    location = accepted.headers["location"]
    polls = follow(stack, location)  # asks without any key

    assert f"{urlsplit(location).scheme}://{urlsplit(location).netloc}" == stack.hosts[0].url
    waiting = [accepted, *polls[:-1]]
    assert len(waiting) > 1
    assert {answer.status_code for answer in waiting} == {202}
    assert {answer.headers["location"] for answer in waiting} == {location}
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in waiting)
    assert accepted.json()["alerts"][0]["waitingFor"]["what"] == "slot"
    assert polls[-1].status_code == 200
    ended = polls[-1].json()
    assert (ended["id"], ended["status"]) == (accepted.json()["id"], "created")
    arrival = stack.simulator("GET", "log")[-1]
    assert ended["alerts"][0]["alert"]["id"] == arrival["alertId"]


def test_one_alert_posted_at_once_to_two_hosts_is_one_call(start_stack: Callable[..., Stack]) -> None:
    """Whoever comes second hears `duplicate: true`, and both hear of the same alert in Defender."""
    stack = start_stack(hosts=2)
    alerts = [samples.eight_fields(samples.event(n), f"Twin {n}") for n in range(8)]
    together = Barrier(2)

    def post(alert: dict[str, str], host: Host) -> Response:
        together.wait()
        return stack.post(alert, host=host)

    def ended(answer: Response) -> Response:
        return follow(stack, answer.headers["location"])[-1] if answer.status_code == 202 else answer

    with ThreadPoolExecutor(2) as senders:
        for alert in alerts:
            answers = [ended(answer) for answer in senders.map(post, [alert] * 2, stack.hosts)]
            assert [answer.status_code for answer in answers] == [200, 200]
            shown = [answer.json()["alerts"][0] for answer in answers]
            assert sorted(alert["duplicate"] for alert in shown) == [False, True]
            assert shown[0]["alert"]["id"] == shown[1]["alert"]["id"]
    assert [call["title"] for call in stack.simulator("GET", "log")] == [alert["title"] for alert in alerts]


def test_an_alert_that_is_being_sent_is_known_to_the_other_host(start_stack: Callable[..., Stack]) -> None:
    """While Defender still thinks about the first, the second one costs no call and waits for the same answer."""
    stack = start_stack(hosts=2, settings={"INLINE_SECONDS": "1"})
    first, second = stack.hosts
    alert = samples.eight_fields(samples.event(1), "Being sent")
    stack.simulator("PUT", "switches", {"faults": [{"kind": "slow", "delay": 5, "times": 1}]})
    sent = stack.post(alert, host=first)
    again = stack.post(alert, host=second)
    assert [sent.status_code, again.status_code] == [202, 202]
    assert [answer.json()["alerts"][0]["duplicate"] for answer in (sent, again)] == [False, True]
    assert again.json()["alerts"][0]["waitingFor"]["what"] == "answer"
    ends = [follow(stack, answer.headers["location"])[-1].json() for answer in (sent, again)]
    assert [end["status"] for end in ends] == ["created", "created"]
    assert ends[0]["alerts"][0]["alert"] == ends[1]["alerts"][0]["alert"]
    assert len(stack.simulator("GET", "log")) == 1
    late = stack.post(alert, host=second)
    assert late.status_code == 200
    assert late.json()["alerts"][0]["duplicate"]
    assert len(stack.simulator("GET", "log")) == 1


def test_several_alerts_in_one_delivery_share_one_answer(start_stack: Callable[..., Stack]) -> None:
    """More events than slots, an equal pair and a broken one: one delivery, every alert called once."""
    stack = start_stack(calls=5, window=2)
    events = [samples.event(n) for n in range(12)]
    rows = samples.hunting_reply(*events, events[3])
    del rows["results"][7]["ReportId"]
    accepted = stack.post(rows, query={"severity": "High"})
    assert accepted.status_code == 202
    stack.dispatch()
    ended = follow(stack, accepted.headers["location"])[-1]
    assert ended.status_code == 200
    document = ended.json()
    assert document["status"] == "partial"  # of the broken one nothing can become
    assert [refused["event"] for refused in document["refused"]] == [7]
    good = [event.report_id for event in events if event is not events[7]]
    assert [alert["request"]["reportId"] for alert in document["alerts"]] == good
    assert {alert["status"] for alert in document["alerts"]} == {"created"}
    log = stack.simulator("GET", "log")
    assert sorted(call["reportId"] for call in log) == sorted(good)
    assert stack.simulator("GET", "violations") == []


def test_the_table_is_asked_no_more_than_the_design_says(
    start_stack: Callable[..., Stack], azurite: Azurite
) -> None:
    """Straight: a query and two transactions. Waiting: a query and one, or just one while the window is known full."""
    counter = Counter()
    with Proxy(azurite.port, watch=counter) as proxy:
        stack = start_stack(hosts=0, calls=2)
        stack.start_host("--no-timers", AzureWebJobsStorage=proxy.through(azurite.connection_string))

        def post(number: int) -> int:
            return stack.post(samples.eight_fields(samples.event(number), f"Counted {number}")).status_code

        assert post(1) == 200  # makes the table, learns its time
        counter.take()
        assert post(2) == 200
        assert counter.take() == ["query", "transaction", "transaction"]
        assert post(3) == 202
        assert counter.take() == ["query", "transaction"]
        assert post(4) == 202
        assert counter.take() == ["transaction"]
        stack.kill(stack.hosts[0])
