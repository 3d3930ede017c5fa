"""Senders as Logic Apps are: each posts a delivery until somebody takes it, then asks until it has ended."""

import functools
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from dev.stack import Host, Stack

LIMIT_SECONDS = 240.0  # for a delivery to be accepted, and again for it to end
_AGAIN_SECONDS = 1.0  # Logic Apps waits five and more
_POLL_SECONDS = 0.5
_ACCEPTED, _FAILED, _ERRORS = 202, 422, 500
_TRY_AGAIN = (408, 429)


@dataclass(slots=True)
class Sent:
    """One delivery: what it carries, and what its sender heard.

    `heard` are the statuses of all its POSTs, 0 where the connection broke; `accepted` is set at the first
    answer that takes it; `told` is the last word about it, None as long as it has not ended.
    """

    alerts: Sequence[Mapping[str, str]]
    heard: list[int] = field(default_factory=list)
    accepted: threading.Event = field(default_factory=threading.Event)
    told: Mapping[str, Any] | None = None


class Senders:
    """Many senders at once; a load balancer spreads them over the hosts that are alive."""

    def __init__(self, stack: Stack, most: int) -> None:
        self._stack = stack
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="sender")
        self._dice = random.Random(0)
        self._stopping = threading.Event()

    def send(
        self, alerts: Sequence[Mapping[str, str]], host: Host | None = None
    ) -> tuple[Sent, "Future[None]"]:
        """Send a delivery; its first try goes to `host`, if given. The future ends when the delivery has."""
        sent = Sent(alerts)
        return sent, self._pool.submit(self._send, sent, host)

    def ask_again(self, sent: Sent) -> "Future[None]":
        """Ask once more for a delivery that has ended, until it has ended anew."""
        return self._pool.submit(self._ask_again, sent, (sent.told or {}).get("id", ""))

    def close(self) -> None:
        """Let nobody try again, and wait for all."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _send(self, sent: Sent, host: Host | None) -> None:
        payload = list(sent.alerts) if len(sent.alerts) > 1 else sent.alerts[0]
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            answer = self._ask(functools.partial(self._stack.post, payload), host)
            host = None
            sent.heard.append(answer.status_code if answer is not None else 0)
            if answer is not None and _is_final(answer):
                sent.accepted.set()
                location = answer.headers.get("location", "")
                sent.told = self._follow(urlsplit(location).path) if location else answer.json()
                return
            if self._stopping.wait(_AGAIN_SECONDS):
                return

    def _ask_again(self, sent: Sent, delivery: str) -> None:
        sent.told = self._follow(f"/api/deliveries/{delivery}")

    def _follow(self, path: str) -> Mapping[str, Any] | None:
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end and not self._stopping.wait(_POLL_SECONDS):
            answer = self._ask(functools.partial(self._stack.get, path))
            if answer is not None and answer.status_code != _ACCEPTED and _is_final(answer):
                told: Mapping[str, Any] = answer.json()
                return told
        return None

    def _ask(
        self, request: Callable[..., requests.Response], host: Host | None = None
    ) -> requests.Response | None:
        """Return the answer of `host`, else of any; None where the connection broke, or nobody was there."""
        try:
            return request(host=host or self._dice.choice(list(self._stack.hosts)))
        except (requests.RequestException, LookupError):
            return None


def _is_final(answer: requests.Response) -> bool:
    """Say whether a sender is content with an answer: taken, or refused for good."""
    return answer.status_code < _ERRORS and answer.status_code not in _TRY_AGAIN
