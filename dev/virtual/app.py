"""The app on one host: the real webhook with the clocks and connections of the host."""

import dataclasses
import functools
import threading
from typing import TYPE_CHECKING

from shared.ledger import keys, settlement
from shared.mapping import mappings as mapping
from shared.sending import stages, window
from shared.sending.api import Reference
from shared.sending.outcome import Clocks
from shared.sending.search import Search
from shared.sending.stages import Part
from shared.settings import Settings
from shared.webhook.receive import Webhook

if TYPE_CHECKING:
    from dev.virtual.host import Host

ORIGIN = "https://app.example"


def assemble(host: "Host", settings: Settings, mappings: mapping.Mappings | None = None) -> Webhook:
    """Build the real webhook with the clocks and connections of a host."""
    rules = settlement.Rules(settings.not_found_retry_minutes, settings.give_up_hours)
    policy = window.Policy(
        calls=settings.rate_limit_calls,
        window=settings.rate_limit_window_seconds,
        margin=settings.rate_limit_margin_seconds,
        deadline=host.deadline,
    )
    clocks = Clocks(host.monotonic, host.wall, host.world.sleep)
    parts = [Part(Reference(host, rules, policy.window), host, policy)]
    if settings.find_events != "false":
        searches = dataclasses.replace(
            policy,
            calls=settings.find_events_calls,
            window=settings.find_events_window_seconds,
            stage=keys.SEARCH,
        )
        api = Search(host, rules, settings.find_events_retry_minutes, settings.find_events_grade)
        parts.append(Part(api, host, searches))
    shared = stages.Host(host.table, clocks, host, host.chance or host.world.random)
    dispatcher, *others = stages.build(shared, parts)
    return Webhook(
        settings=settings,
        mappings=mappings or _mappings(),
        dispatcher=dispatcher,
        search=others[0] if others else None,
        clocks=clocks,
        permits=threading.BoundedSemaphore(8),
    )


@functools.cache
def _mappings() -> mapping.Mappings:
    return mapping.load()
