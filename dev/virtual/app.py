"""The app on one host: the real webhook with the clocks and connections of the host."""

import dataclasses
import functools
import threading
from typing import TYPE_CHECKING

from shared import app
from shared.ledger import settlement
from shared.mapping import mappings as mapping
from shared.sending import stages
from shared.sending.outcome import Clocks
from shared.settings import Settings
from shared.webhook.receive import Webhook

if TYPE_CHECKING:
    from dev.virtual.host import Host

ORIGIN = "https://app.example"


def assemble(host: "Host", settings: Settings, mappings: mapping.Mappings | None = None) -> Webhook:
    """Build the real webhook with the clocks and connections of a host."""
    rules = settlement.Rules(settings.not_found_retry_minutes, settings.give_up_hours)
    bounded = dataclasses.replace(
        settings, defender_timeout_seconds=host.deadline, find_events_timeout_seconds=host.deadline
    )
    parts = app.parts(bounded, rules, app.Services(host, host, host, host, host))
    clocks = Clocks(host.monotonic, host.wall, host.world.sleep)
    shared = stages.Host(host.table, clocks, host, host.chance or host.world.random)
    dispatcher, *others = stages.build(shared, parts)
    return Webhook(
        settings=settings,
        mappings=mappings or _mappings(),
        dispatcher=dispatcher,
        others=tuple(others),
        clocks=clocks,
        permits=threading.BoundedSemaphore(8),
    )


@functools.cache
def _mappings() -> mapping.Mappings:
    return mapping.load()
