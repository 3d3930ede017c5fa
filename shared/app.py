"""The parts of this process, such as its webhook, built from its settings at first use."""

import functools
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from shared import identity, log, settings
from shared.clients.create_alert import CreateAlert
from shared.clients.defender import Defender
from shared.clients.graph import Graph
from shared.errors import SettingsError
from shared.ledger import keys, settlement
from shared.mapping import mappings as mapping
from shared.operations import tryout
from shared.operations.routes import Operator
from shared.sending import stages, window
from shared.sending.api import Caller, Reference
from shared.sending.dispatcher import Tokens
from shared.sending.entity import Creates, Entity
from shared.sending.outcome import Clocks
from shared.sending.search import Hunts, Search
from shared.sending.stages import Part
from shared.settings import Settings
from shared.table import azure
from shared.table.patience import PatientTable
from shared.threads import Readers, Threads
from shared.web.reply import Reply
from shared.webhook.health import FAIL
from shared.webhook.receive import Webhook

_T = TypeVar("_T")
_P = ParamSpec("_P")
READERS = 16
"""How many rows a host reads side by side."""


def _once(make: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return `make` as a function that runs once, also if several threads call it first, and remembers its result."""
    remembered, lock = functools.cache(make), threading.Lock()

    @functools.wraps(make)
    def get(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with lock:
            return remembered(*args, **kwargs)  # type: ignore[arg-type]  # hashable, as every argument here

    return get


@_once
def webhook() -> Webhook:
    """Return the webhook of this process. Raise `SettingsError` that names every wrong setting."""
    return assemble(settings.current(), workers=_worker_threads())


def health() -> Reply:
    """Answer health: `fail`, without detail, also if its settings are wrong."""
    try:
        return webhook().health()
    except SettingsError as error:
        log.problem("settings", error)
        return FAIL


@_once
def operator() -> Operator:
    """Return what the operator works with in this process. Raise `SettingsError` as `webhook` does."""
    served = webhook()
    configured = served.settings
    hunting = _graph_tokens(configured)
    search = tryout.Search(graph(configured), hunting, _search_policy(configured))
    defender = tokens(configured.defender_token_scope, configured.client_id)
    return Operator(served, defender.last, search, hunting.last)


@_once
def graph(configured: Settings) -> Graph:
    """Return this process's connections to Microsoft Graph."""
    return Graph(configured.graph_api_url, deadline=configured.find_events_timeout_seconds)


@_once
def tokens(
    scope: str, client_id: str | None, scope_setting: str = "DEFENDER_TOKEN_SCOPE"
) -> identity.TokenSource:
    """Return this process's source of tokens for Defender, or for the API of another setting. It asks for none yet."""
    return identity.TokenSource(scope, environ=os.environ, client_id=client_id, scope_setting=scope_setting)


def assemble(configured: Settings, *, workers: int, rules: settlement.Rules | None = None) -> Webhook:
    """Put a webhook together. At most half of the worker threads may wait for an answer at once.

    `rules` replaces those of the settings, for tests that cannot wait for minutes.
    """
    rules = rules or settlement.Rules(configured.not_found_retry_minutes, configured.give_up_hours)
    chance = random.Random()  # noqa: S311 - spreads hosts, hides nothing
    clocks = Clocks(time.monotonic, time.time, time.sleep)
    host = stages.Host(_table(configured, chance), clocks, Threads(), chance)
    services = Services(
        defender=Defender(configured.defender_api_url, deadline=configured.defender_timeout_seconds),
        tokens=tokens(configured.defender_token_scope, configured.client_id),
        hunting=graph(configured),
        creating=CreateAlert(configured.graph_api_url, deadline=configured.defender_timeout_seconds),
        graph_tokens=_graph_tokens(configured),
    )
    dispatcher, *others = stages.build(host, parts(configured, rules, services))
    mappings = mapping.load(configured.mappings_path)
    for broken in mappings.broken:
        log.problem("mapping broken", SettingsError([broken]))
    return Webhook(
        settings=configured,
        mappings=mappings,
        dispatcher=dispatcher,
        others=tuple(others),
        clocks=clocks,
        permits=threading.BoundedSemaphore(max(1, workers // 2)),
    )


@dataclass(frozen=True, slots=True)
class Services:
    """The services that alerts are sent to, and the tokens for them."""

    defender: Caller
    tokens: Tokens
    hunting: Hunts
    creating: Creates
    graph_tokens: Tokens


def parts(configured: Settings, rules: settlement.Rules, services: Services) -> list[Part]:
    """Return the stages that the settings ask for: each after those that it passes alerts on to."""
    on = [
        Part(
            Reference(services.defender, rules, configured.rate_limit_window_seconds),
            services.tokens,
            _policy(configured),
        )
    ]
    without_event = configured.no_event == "entity"
    if without_event:
        policy = window.Policy(
            calls=configured.entity_alert_calls,
            window=configured.entity_alert_window_seconds,
            margin=configured.rate_limit_margin_seconds,
            deadline=configured.defender_timeout_seconds,
            stage=keys.ENTITY,
        )
        on.append(Part(Entity(services.creating, rules), services.graph_tokens, policy))
    if configured.find_events != "false":
        minutes, grade = configured.find_events_retry_minutes, configured.find_events_grade
        api = Search(services.hunting, rules, minutes, grade, without_event)
        on.append(Part(api, services.graph_tokens, _search_policy(configured)))
    return on


def _policy(configured: Settings) -> window.Policy:
    return window.Policy(
        calls=configured.rate_limit_calls,
        window=configured.rate_limit_window_seconds,
        margin=configured.rate_limit_margin_seconds,
        deadline=configured.defender_timeout_seconds,
    )


def _search_policy(configured: Settings) -> window.Policy:
    return window.Policy(
        calls=configured.find_events_calls,
        window=configured.find_events_window_seconds,
        margin=configured.rate_limit_margin_seconds,
        deadline=configured.find_events_timeout_seconds,
        stage=keys.SEARCH,
    )


def _graph_tokens(configured: Settings) -> identity.TokenSource:
    return tokens(configured.graph_token_scope, configured.client_id, "GRAPH_TOKEN_SCOPE")


def _table(configured: Settings, chance: random.Random) -> PatientTable:
    """Return the table that the settings name."""
    storage = configured.storage
    requests = azure.AzureTable(
        storage,
        name=configured.alerts_table,
        partition=configured.rate_limit_scope,
        credential=functools.partial(
            identity.SharedCredential, os.environ, storage.client_id, storage.client_setting
        ),
    )
    return PatientTable(requests, time.monotonic, time.sleep, chance, readers=Readers(READERS))


def _worker_threads() -> int:
    """Return how many threads the Functions worker runs synchronous functions in."""
    asked = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else min(32, (os.cpu_count() or 1) + 4)
