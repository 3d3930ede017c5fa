"""Permits to wait: a POST that waits for Defender occupies a thread of its worker."""

from typing import Protocol


class Permits(Protocol):
    """A semaphore: how many POSTs may wait for Defender at once. It does not limit calls."""

    def acquire(self, *, blocking: bool) -> bool:
        """Take a permit if there is one."""

    def release(self) -> None:
        """Return it."""
