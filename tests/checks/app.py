"""The app on one host in simulated time, and what its callers do."""

import json
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

from shared.mapping import mappings as mapping
from shared.settings import Settings
from shared.web.reply import Reply
from shared.webhook.receive import Webhook
from tests.checks.virtual import EPOCH, ORIGIN, Host


@dataclass
class App:
    """The app on one host, and what its callers do."""

    host: Host
    webhook: Webhook

    @classmethod
    def on(
        cls, host: Host, settings: Settings | None = None, mappings: mapping.Mappings | None = None
    ) -> Self:
        """Start the app on a host."""
        return cls(host, host.webhook(settings or Settings(), mappings))

    def post(self, payload: Any, *, sender: str = "", **query: str) -> Future[Reply]:
        """Post a payload to the webhook, as a sender."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.host.ask(lambda: self.webhook.receive(body, query, ORIGIN, sender=sender))

    def status(self, delivery: str) -> Future[Reply]:
        """Ask for a delivery's status."""
        return self.host.ask(lambda: self.webhook.status(delivery, ORIGIN))

    def health(self) -> Future[Reply]:
        """Ask for its health."""
        return self.host.ask(self.webhook.health)

    def tick(self) -> Future[None]:
        """Let the timer fire once."""
        return self.host.submit(self.webhook.dispatch)

    def timer(self, every: float = 30.0) -> None:
        """Let the timer fire as the platform does: never before the last run has ended."""

        def line() -> None:
            while True:
                self.webhook.dispatch()
                self.host.world.sleep(every - (self.host.world.now - EPOCH) % every)

        self.host.spawn(line)
