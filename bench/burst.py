"""A burst: 64 senders post single-alert deliveries to 4 hosts while the window is full, as fast as they can.

The floor commits the same transactions bare, from 4 processes of 16 threads each, without any HTTP server in
between: so what the local host costs counts against us.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from azure.data.tables import TableClient

from bench.bare import Floor, accepted
from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields, inside
from bench.wire import Wire
from dev.stack.stack import Stack
from shared.ledger import keys

HOSTS, SENDERS = 4, 64
THREADS = SENDERS // HOSTS
_WAITS = 202
_NOTHING = f"/api/deliveries/{keys.delivery_id(0.0)}"  # lets a host ask the table, and write nothing
_ASKED = 20  # requests of each sender to the table, when all are at it
_READY_SECONDS = 12.0  # until every process is up


def measure(form: Form) -> Report:
    """Measure floor and burst by turns, three times each."""
    deliveries, rounds = form.pick((2000, 3), (192, 1))
    floors, bursts = [], []
    for _ in range(rounds):
        floors.append(_floor(deliveries))
        bursts.append(_burst(deliveries))
    ours, floor = median(burst.rate for burst in bursts), median(floors)
    nearly, none = Goal("at least", 0.85, of_floor=True), Goal("at most", 0)
    note = f"{SENDERS} senders, {HOSTS} hosts, median of {rounds}"
    figures = (
        Figure(f"burst of {deliveries:,}, accepted", ours, "/s", floor, nearly, note),
        Figure("burst, answers that are no 2xx", sum(burst.refused for burst in bursts), goal=none),
        Figure("burst, accepted and lost", sum(burst.lost for burst in bursts), goal=none),
    )
    return Report(figures, {"floor": floors, "ours": bursts})


@dataclass(frozen=True, slots=True)
class Burst:
    """Deliveries accepted a second, how many were not, and how many of the accepted the table does not hold."""

    rate: float
    refused: int
    lost: int


def _burst(deliveries: int) -> Burst:
    settings = {"PYTHON_THREADPOOL_THREAD_COUNT": str(THREADS)}
    with Stack(hosts=HOSTS, window=3600.0, settings=settings) as stack:
        stack.post([fields(number) for number in range(15)]).raise_for_status()  # the window is full
        turns, began = [threading.Event() for _ in range(SENDERS + 1)], threading.Barrier(SENDERS)
        turns[0].set()
        numbers = iter(range(deliveries))
        spans: list[tuple[float, float]] = []
        answers: list[int] = []

        def send(sender: int) -> None:
            wire = Wire(stack.hosts[sender % HOSTS], stack.keys["default"])
            # Connections first, one more at a time, as the floor has its: a busy Node accepts few a second.
            turns[sender].wait()
            wire.post(fields(sender, "warm-up"))
            turns[sender + 1].set()
            while not turns[SENDERS].is_set():
                wire.get(_NOTHING)
            for _ in range(_ASKED):
                wire.get(_NOTHING)
            began.wait()
            start = time.monotonic()
            answers.extend(wire.post(fields(number, "burst")) for number in _shared(numbers))
            spans.append((start, time.monotonic()))
            wire.close()

        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(send, range(SENDERS)))
        seconds = max(end for _, end in spans) - min(start for start, _ in spans)
        accepted = sum(status // 100 == 2 for status in answers)  # noqa: PLR2004 - HTTP
        lost = max(0, answers.count(_WAITS) - _written(stack))
        return Burst(accepted / seconds, len(answers) - accepted, lost)


def _floor(deliveries: int) -> float:
    """Return transactions a second from as many processes and threads, bare."""
    with Stack(hosts=0, window=3600.0) as stack, ThreadPoolExecutor(HOSTS) as pool:
        at = time.monotonic() + _READY_SECONDS  # all begin together
        spans = pool.map(
            lambda number: inside(
                __name__, f"floor-{number}", str(deliveries // HOSTS), str(at), settings=stack.settings
            ),
            range(HOSTS),
        )
        ends = [float(end) for end in spans]
    return deliveries / (max(ends) - at)


def _shared(numbers: Iterator[int]) -> Iterator[int]:
    while (number := next(numbers, None)) is not None:
        yield number


def _written(stack: Stack) -> int:
    """Return how many alerts of the burst the table holds."""
    expected = "Encoded PowerShell, on burst-"
    connection = stack.settings["AzureWebJobsStorage"]
    with TableClient.from_connection_string(connection, "DefenderAlerts") as table:
        rows = table.query_entities("RowKey ge 'alert-' and RowKey lt 'alert.'", select=["description"])
        return sum(row["description"].startswith(expected) for row in rows)


def main(partition: str, transactions: int, at: float) -> float:
    """Commit so many transactions bare from 16 threads, beginning at a time; return when the last had ended."""
    floor = Floor.open()
    runs = [
        floor.waiting(*accepted(fields(number, partition), time.time()), snapshot=False)
        for number in range(transactions + THREADS)
    ]
    work = iter(range(THREADS, len(runs)))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: runs[number](), range(THREADS)))  # connections
        if time.monotonic() > at:
            raise BenchError("a process of the floor was not up in time")
        time.sleep(at - time.monotonic())
        list(pool.map(lambda _: [runs[number]() for number in _shared(work)], range(THREADS)))
    return time.monotonic()


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
