"""Memory of a host: what it holds after 10,000 deliveries beyond what it held after 100.

Counted is the process's own memory (`RssAnon`: on Linux only) of a real local host, while eight senders post to it.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields
from bench.wire import Wire
from dev.stack.stack import Stack

SENDERS = 8


def measure(form: Form) -> Report:
    """Post the deliveries and read the host's memory on the way."""
    if not sys.platform.startswith("linux"):
        return Report(())
    first, last = form.pick((100, 10_000), (100, 600))
    marks = [first + round((last - first) * step / 10) for step in range(11)]
    with Stack(hosts=1, window=3600.0) as stack:
        host = stack.hosts[0]
        held = []
        for before, mark in zip([0, *marks], marks, strict=False):
            _post(stack, range(before, mark))
            held.append(resident(Path(f"/proc/{host.process.pid}/status").read_text()))
    figure = Figure(
        f"memory a host gains, {first:,} to {last:,} deliveries",
        (held[-1] - held[0]) / 2**20,
        "MiB",
        goal=Goal("at most", 5),
        note=f"from {held[0] / 2**20:.1f} MiB",
    )
    return Report((figure,), {"deliveries": marks, "bytes": held})


def resident(status: str) -> int:
    """Return the bytes of a process's own memory from its `/proc/…/status`."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "RssAnon":
            return int(value.split()[0]) * 1024
    raise BenchError("this kernel does not tell RssAnon")


def _post(stack: Stack, numbers: range) -> None:
    def send(part: range) -> None:
        wire = Wire(stack.hosts[0], stack.keys["default"])
        for number in part:
            if (status := wire.post(fields(number, "memory"))) not in (200, 202):
                raise BenchError(f"not accepted: {status}")
        wire.close()

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, [numbers[sender::SENDERS] for sender in range(SENDERS)]))
