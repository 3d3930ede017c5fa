"""The app on one host, and what its callers do."""

import functools
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dev.virtual.world import EPOCH
from shared.ledger import record
from shared.mapping import mappings as mapping
from shared.sending import window
from shared.sending.dispatcher import Dispatch
from shared.sending.outcome import Clocks, Outcomes
from shared.settings import Settings
from shared.webhook.receive import Webhook

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dev.virtual.host import Host
    from shared.web.reply import Reply

ORIGIN = "https://app.example"


@dataclass
class App:
    """The app on one host, and what its callers do."""

    host: "Host"
    webhook: Webhook

    @classmethod
    def on(
        cls, host: "Host", settings: Settings | None = None, mappings: mapping.Mappings | None = None
    ) -> "App":
        """Start the app on a host."""
        return cls(host, host.webhook(settings or Settings(), mappings))

    def post(self, payload: Any, *, sender: str = "", **query: str) -> "Future[Reply]":
        """Post a payload to the webhook, as a sender."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.host.ask(lambda: self.webhook.receive(body, query, ORIGIN, sender=sender))

    def status(self, delivery: str) -> "Future[Reply]":
        """Ask for a delivery's status."""
        return self.host.ask(lambda: self.webhook.status(delivery, ORIGIN))

    def health(self) -> "Future[Reply]":
        """Ask for its health."""
        return self.host.ask(self.webhook.health)

    def tick(self) -> "Future[None]":
        """Let the timer fire once."""
        return self.host.submit(self.webhook.dispatch)

    def timer(self, every: float = 30.0) -> None:
        """Let the timer fire as the platform does: never before the last run has ended."""

        def line() -> None:
            while True:
                self.webhook.dispatch()
                self.host.world.sleep(every - (self.host.world.now - EPOCH) % every)

        self.host.spawn(line)


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
        rules=record.Rules(settings.not_found_retry_minutes, settings.give_up_hours),
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
