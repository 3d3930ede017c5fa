"""The gateway of this process, put together from its settings and the real edges at the first use."""

import concurrent.futures
import functools
import os
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from shared import identity, log, settings
from shared.clients.defender import Defender
from shared.errors import SettingsError
from shared.ledger import record
from shared.mapping import mappings as mapping
from shared.operations.routes import Operator
from shared.sending import window
from shared.sending.dispatcher import Dispatch
from shared.sending.outcome import Clocks, Outcomes
from shared.settings import Settings
from shared.table import azure
from shared.table.patience import PatientTable
from shared.web.reply import Reply
from shared.webhook.gateway import FAIL, Gateway

if TYPE_CHECKING:
    from concurrent.futures import Future

_T = TypeVar("_T")
READERS = 8
"""How many rows a host reads side by side."""


class Threads:
    """Calls run in threads of their own, so that they go on when their webhook has answered; reads, side by side."""

    def __init__(self, most: int, name: str = "call") -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(most, thread_name_prefix=name)

    def submit(self, run: Callable[[], _T]) -> "Future[_T]":
        """Start something."""
        return self._pool.submit(run)

    def wait(self, futures: Iterable["Future[_T]"], seconds: float, *, everyone: bool = False) -> None:
        """Wait until one of them (or everyone) is done, at most so many seconds."""
        when = concurrent.futures.ALL_COMPLETED if everyone else concurrent.futures.FIRST_COMPLETED
        concurrent.futures.wait(list(futures), max(0.0, seconds), return_when=when)


@functools.cache
def gateway() -> Gateway:
    """Return the gateway of this process. Raise `SettingsError` that names every wrong setting."""
    return assemble(settings.current(), workers=_worker_threads())


def health() -> Reply:
    """Answer whether this process serves: `fail`, and no detail, also where its settings are wrong."""
    try:
        return gateway().health()
    except SettingsError as error:
        log.problem("settings", error)
        return FAIL


@functools.cache
def operator() -> Operator:
    """Return what the operator works with in this process. Raise `SettingsError` as `gateway` does."""
    served = gateway()
    return Operator(served, tokens(served.settings.defender_token_scope).last)


@functools.cache
def tokens(scope: str) -> identity.TokenSource:
    """Return this process's one source of tokens for a scope."""
    return identity.TokenSource(scope, environ=os.environ)


def assemble(found: Settings, *, workers: int, rules: record.Rules | None = None) -> Gateway:
    """Put a gateway together. At most half of the worker threads may wait for Defender at once.

    `rules` replaces those of the settings: a rehearsal of failures cannot wait for minutes.
    """
    policy = window.Policy(
        calls=found.rate_limit_calls,
        window=found.rate_limit_window_seconds,
        margin=found.rate_limit_margin_seconds,
        deadline=found.defender_timeout_seconds,
    )
    clocks = Clocks(time.monotonic, time.time, time.sleep)
    permits = max(1, workers // 2)
    chance = random.Random()  # noqa: S311 - spreads hosts, hides nothing
    requests = azure.AzureTable(
        found.storage,
        name=found.alerts_table,
        partition=found.rate_limit_scope,
        credential=functools.partial(identity.credential, os.environ, found.storage.client_id),
    )
    table = PatientTable(requests, time.monotonic, time.sleep, chance, readers=Threads(READERS, "read"))
    outcomes = Outcomes(
        table=table,
        defender=Defender(found.defender_api_url, deadline=found.defender_timeout_seconds),
        policy=policy,
        rules=rules or record.Rules(found.not_found_retry_minutes, found.give_up_hours),
        clocks=clocks,
    )
    dispatcher = Dispatch(
        table=table,
        outcomes=outcomes,
        tokens=tokens(found.defender_token_scope),
        clocks=clocks,
        workers=Threads(permits + policy.calls),
        chance=chance,
    )
    mappings = mapping.load(found.mappings_path)
    for broken in mappings.broken:
        log.problem("mapping broken, ours of that name is used if there is one", SettingsError([broken]))
    return Gateway(
        settings=found,
        mappings=mappings,
        dispatcher=dispatcher,
        clocks=clocks,
        permits=threading.BoundedSemaphore(permits),
    )


def _worker_threads() -> int:
    """Return how many threads the Functions worker runs synchronous functions in."""
    asked = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else min(32, (os.cpu_count() or 1) + 4)
