"""What a body costs to map, in CPU and memory: each is mapped in a fork that ends with it.

The fork inherits what is loaded and remembered, and nothing that another body left behind.
"""

import gc
import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.ground import EVENTS, BenchError
from shared.errors import WebhookError
from shared.mapping.mappings import Mappings
from shared.payload import body as payload

LIMIT = 10.0
"""CPU seconds after which a body is not measured to its end."""

_STATUS = Path("/proc/self/status")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one body, and its outcome. `seconds` equal to the limit mean that it was not finished."""

    seconds: float
    mebibytes: float
    became: str


class _TooLongError(BaseException):
    """The CPU time is over; no `except Exception` on the way keeps it."""


def became(mappings: Mappings, body: bytes) -> str:
    """Map a body as the webhook does, and return its outcome in a few words."""
    try:
        documents = payload.read(body, max_bytes=len(body))
        outcome = mappings.apply(documents, source=None, defaults={}, max_alerts=EVENTS)
    except WebhookError as error:
        return f"{error.status}: {error.detail}"
    return f"{outcome.source}: {len(outcome.alerts)} mapped, {len(outcome.refused)} refused"


def cost(
    mappings: Mappings, body: bytes, *, tries: int = 1, enough: float = 0.0, limit: float = LIMIT
) -> Cost:
    """Return the cost of a body: the best of some tries in CPU, which end once one took at most `enough`.

    Only for a process of one thread: it is forked.
    """
    best = forked(lambda: _cost(mappings, body, limit))
    for _ in range(tries - 1):
        if best.seconds <= enough or best.seconds >= limit:
            break
        again = forked(lambda: _cost(mappings, body, limit))
        best = min(best, again, key=lambda each: each.seconds)
    return best


def forked(work: Callable[[], _T]) -> _T:
    """Return what some work returns in a fork of this process. Raise `BenchError` if it fails there."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=lambda: writer.send(work()))
    child.start()
    writer.close()
    try:
        done: _T = reader.recv()
    except EOFError:
        raise BenchError("the work in the fork failed; its own words are above") from None
    finally:
        child.join()
        reader.close()
    return done


def _cost(mappings: Mappings, body: bytes, limit: float) -> Cost:
    gc.collect()
    held = _peak()
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, limit)
    began = time.process_time()
    try:
        outcome = became(mappings, body)
        seconds = time.process_time() - began
    except _TooLongError:
        outcome, seconds = f"not finished within {limit:g} s", limit
    signal.setitimer(signal.ITIMER_PROF, 0)
    return Cost(round(seconds, 3), round(_peak() - held, 1), outcome)


def _too_long(*_: object) -> None:
    raise _TooLongError


def _peak() -> float:
    """Return the most memory that this process has held so far, in MiB."""
    if _STATUS.exists():  # Linux: ru_maxrss is inherited there
        return int(_STATUS.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
