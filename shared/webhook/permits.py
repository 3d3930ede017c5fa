"""Who may wait: a webhook that waits for Defender holds a thread of its worker."""

from typing import Protocol


class Permits(Protocol):
    """How many webhooks may wait for an answer of Defender at once, not how many may call; a semaphore."""

    def acquire(self, *, blocking: bool) -> bool:
        """Take a permit if there is one."""

    def release(self) -> None:
        """Return it."""
