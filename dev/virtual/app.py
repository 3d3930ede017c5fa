"""The app on one host: the real webhook with the clocks and connections of the host."""

import functools
import threading
from typing import TYPE_CHECKING

from shared.ledger import settlement
from shared.mapping import mappings as mapping
from shared.sending import window
from shared.sending.dispatcher import Dispatch
from shared.sending.outcome import Clocks, Outcomes
from shared.settings import Settings
from shared.webhook.receive import Webhook

if TYPE_CHECKING:
    from dev.virtual.host import Host

ORIGIN = "https://app.example"


def assemble(host: "Host", settings: Settings, mappings: mapping.Mappings | None = None) -> Webhook:
    """Build the real webhook with the clocks and connections of a host."""
    policy = window.Policy(
        calls=settings.rate_limit_calls,
        window=settings.rate_limit_window_seconds,
        margin=settings.rate_limit_margin_seconds,
        deadline=host.deadline,
    )
    clocks = Clocks(host.monotonic, host.wall, host.world.sleep)
    outcomes = Outcomes(
        table=host.table,
        defender=host,
        policy=policy,
        rules=settlement.Rules(settings.not_found_retry_minutes, settings.give_up_hours),
        clocks=clocks,
    )
    dispatcher = Dispatch(
        table=host.table,
        outcomes=outcomes,
        tokens=host,
        clocks=clocks,
        workers=host,
        chance=host.chance or host.world.random,
    )
    return Webhook(
        settings=settings,
        mappings=mappings or _mappings(),
        dispatcher=dispatcher,
        clocks=clocks,
        permits=threading.BoundedSemaphore(8),
    )


@functools.cache
def _mappings() -> mapping.Mappings:
    return mapping.load()
