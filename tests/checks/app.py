"""The app on one host in simulated time, and what its callers do."""

import json
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

from shared.mapping import mappings as mapping
from shared.mapping.outcome import Outcome
from shared.settings import Settings
from shared.web.reply import Reply
from shared.webhook.receive import Webhook
from tests.checks.virtual import EPOCH, ORIGIN, Host


class Remembering(mapping.Mappings):
    """Mappings that map each delivery once, for worlds in which the same is posted again and again."""

    def __init__(self) -> None:
        ours = mapping.load()
        super().__init__(ours.sources, ours.broken)
        self._outcomes: dict[str, Outcome] = {}

    def apply(self, documents: list[Any], **given: Any) -> Outcome:
        """Return what the same documents became before, under the same conditions, or map them."""
        asked = repr((documents, sorted(given.items())))
        if asked not in self._outcomes:
            self._outcomes[asked] = super().apply(documents, **given)
        return self._outcomes[asked]


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
