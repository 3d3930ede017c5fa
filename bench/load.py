"""Hosts under load: how fast they accept a burst of deliveries, and the memory that a host gains in thousands of them.

The burst: 64 senders post single-alert deliveries to 4 hosts while the window is full, as fast as they can. The floor
commits the same transactions with the SDK alone, from 4 processes of 16 threads each, without an HTTP server: so the
local host's own cost counts against us.

The memory: what a host's process itself holds (`RssAnon`: on Linux only) after 10,000 deliveries of eight senders,
beyond what it held after 100.
"""

import http.client
import json
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from azure.data.tables import TableClient

from bench.bare import Floor, accepted
from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields, inside
from dev.stack.stack import Host, Stack
from shared.ledger import keys

HOSTS, SENDERS = 4, 64
THREADS = SENDERS // HOSTS
_FEW = 8  # senders, while memory is watched
_WAITS = 202
_NOTHING = f"/api/deliveries/{keys.delivery_id(0.0)}"  # lets a host ask the table, and write nothing
_ASKED = 20  # requests of each sender to the table, when all are at it
_READY_SECONDS = 12.0  # until every process is up


def measure(form: Form) -> Report:
    """Measure floor and burst by turns, three times each; then watch a host's memory."""
    deliveries, rounds = form.pick((2000, 3), (192, 1))
    floors, bursts = [], []
    for _ in range(rounds):
        floors.append(_floor(deliveries))
        bursts.append(_burst(deliveries))
    rates, refused, lost = zip(*bursts, strict=True)
    nearly, none = Goal("at least", 0.85, of_floor=True), Goal("at most", 0)
    note = f"{SENDERS} senders, {HOSTS} hosts, median of {rounds}"
    figures = [
        Figure(f"burst of {deliveries:,}, accepted", median(rates), "/s", median(floors), nearly, note),
        Figure("burst, answers that are no 2xx", sum(refused), goal=none),
        Figure("burst, accepted and lost", sum(lost), goal=none),
    ]
    held: dict[int, float] = {}
    if sys.platform.startswith("linux"):
        first, last = form.pick((100, 10_000), (100, 600))
        held = _held([first + round((last - first) * step / 10) for step in range(11)])
        name, note = f"memory a host gains, {first:,} to {last:,} deliveries", f"from {held[first]:.1f} MiB"
        figures.append(Figure(name, held[last] - held[first], "MiB", None, Goal("at most", 5), note))
    return Report(tuple(figures), {"floor": floors, "ours": bursts, "MiB after deliveries": held})


def _burst(deliveries: int) -> tuple[float, int, int]:
    """Return deliveries accepted a second, how many were not, and how many of the accepted the table does not hold."""
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
                wire.ask("GET", _NOTHING)
            for _ in range(_ASKED):
                wire.ask("GET", _NOTHING)
            began.wait()
            start = time.monotonic()
            answers.extend(wire.post(fields(number, "burst")) for number in numbers)
            spans.append((start, time.monotonic()))
            wire.close()

        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(send, range(SENDERS)))
        seconds = max(end for _, end in spans) - min(start for start, _ in spans)
        accepted = sum(status // 100 == 2 for status in answers)  # noqa: PLR2004 - HTTP
        lost = max(0, answers.count(_WAITS) - _written(stack))
        return accepted / seconds, len(answers) - accepted, lost


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


def _written(stack: Stack) -> int:
    """Return how many alerts of the burst the table holds."""
    expected = "Encoded PowerShell, on burst-"
    connection = stack.settings["AzureWebJobsStorage"]
    with TableClient.from_connection_string(connection, "DefenderAlerts") as table:
        rows = table.query_entities("RowKey ge 'alert-' and RowKey lt 'alert.'", select=["description"])
        return sum(row["description"].startswith(expected) for row in rows)


def _held(marks: list[int]) -> dict[int, float]:
    """Return the MiB that a host holds after so many deliveries."""
    held = {}
    with Stack(hosts=1, window=3600.0) as stack, ThreadPoolExecutor(_FEW) as pool:
        host = stack.hosts[0]

        def send(part: range) -> None:
            wire = Wire(host, stack.keys["default"])
            for number in part:
                if (status := wire.post(fields(number, "memory"))) not in (200, 202):
                    raise BenchError(f"not accepted: {status}")
            wire.close()

        for before, mark in zip([0, *marks], marks, strict=False):
            numbers = range(before, mark)
            list(pool.map(send, [numbers[sender::_FEW] for sender in range(_FEW)]))
            held[mark] = resident(Path(f"/proc/{host.process.pid}/status").read_text()) / 2**20
    return held


def resident(status: str) -> int:
    """Return the bytes of a process's own memory from its `/proc/…/status`."""
    if not (held := re.search(r"^RssAnon:\s*(\d+)", status, re.MULTILINE)):
        raise BenchError("this kernel does not tell RssAnon")
    return int(held[1]) * 1024


class Wire(http.client.HTTPConnection):
    """A connection to a host. It posts with the function key `key`."""

    def __init__(self, host: Host, key: str) -> None:
        super().__init__(urlsplit(host.url).netloc, timeout=120)
        self._headers = {"content-type": "application/json", "x-functions-key": key}

    def post(self, body: object) -> int:
        """Post a body as JSON to the webhook; return the answer's status."""
        return self.ask("POST", "/api/alerts", json.dumps(body))

    def ask(self, method: str, path: str, body: str | None = None) -> int:
        """Ask for a path; return the answer's status."""
        self.request(method, path, body, self._headers)
        answer = self.getresponse()
        answer.read()
        return answer.status


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
        list(pool.map(lambda _: [runs[number]() for number in work], range(THREADS)))
    return time.monotonic()


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
