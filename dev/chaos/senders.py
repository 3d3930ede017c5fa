"""Senders that behave like Logic Apps: each posts a delivery until it is accepted, then polls until it has ended."""

import functools
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from dev.stack.stack import Host, Stack

LIMIT_SECONDS = 240.0  # for a delivery to be accepted, and again for it to end
_POSTING, _ASKING = 24, 4  # at once
_AGAIN_SECONDS = 1.0  # Logic Apps waits five and more
_POLL_SECONDS = 0.5
_ACCEPTED, _ERRORS = 202, 500
_TRY_AGAIN = (408, 429)


@dataclass(slots=True)
class Sent:
    """One delivery: what it carries, by the function key of which name it is sent, and what its sender heard.

    `heard` are the statuses of all its POSTs, 0 where the connection broke; `accepted` is set at the first
    answer that takes it; `outcome` is the last answer about it, None as long as it has not ended; `over` is set when
    its sender does nothing more. `payload` is what is posted, if it is not the alerts themselves.
    """

    alerts: Sequence[Mapping[str, str]]
    heard: list[int] = field(default_factory=list)
    accepted: threading.Event = field(default_factory=threading.Event)
    outcome: Mapping[str, Any] | None = None
    over: threading.Event = field(default_factory=threading.Event)
    key: str | None = None
    payload: Any = None


class Senders:
    """Many senders at once; a load balancer spreads them over the hosts that are alive."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._posting = ThreadPoolExecutor(_POSTING, thread_name_prefix="post")
        # Few, and in the order of acceptance: hundreds that ask all the time would be the load themselves.
        self._asking = ThreadPoolExecutor(_ASKING, thread_name_prefix="ask")
        self._dice = random.Random(0)
        self._stopping = threading.Event()

    def send(
        self,
        alerts: Sequence[Mapping[str, str]],
        host: Host | None = None,
        *,
        key: str | None = None,
        payload: Any = None,
    ) -> Sent:
        """Send a delivery; its first try goes to `host`, if given."""
        sent = Sent(alerts, key=key, payload=payload)
        self._posting.submit(self._post, sent, host)
        return sent

    def ask_again(self, sent: Sent) -> None:
        """Ask once more for a delivery that was over, until it has ended anew."""
        delivery = (sent.outcome or {}).get("id", "")
        sent.outcome = None
        sent.over.clear()
        self._asking.submit(self._follow, sent, f"/api/deliveries/{delivery}")

    def close(self) -> None:
        """Let no sender try again, and wait for all."""
        self._stopping.set()
        self._posting.shutdown(cancel_futures=True)
        self._asking.shutdown(cancel_futures=True)

    def _post(self, sent: Sent, host: Host | None) -> None:
        payload = sent.payload or (list(sent.alerts) if len(sent.alerts) > 1 else sent.alerts[0])
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            answer = self._ask(functools.partial(self._stack.post, payload, key=sent.key), host)
            host = None
            sent.heard.append(answer.status_code if answer is not None else 0)
            if answer is not None and _is_final(answer):
                sent.accepted.set()
                if location := answer.headers.get("location"):
                    self._asking.submit(self._follow, sent, urlsplit(location).path)
                    return
                sent.outcome = answer.json()
                break
            if self._stopping.wait(_AGAIN_SECONDS):
                break
        sent.over.set()

    def _follow(self, sent: Sent, path: str) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end and not self._stopping.is_set():
            answer = self._ask(functools.partial(self._stack.get, path))
            if answer is not None and answer.status_code != _ACCEPTED and _is_final(answer):
                sent.outcome = answer.json()
                break
            self._stopping.wait(_POLL_SECONDS)
        sent.over.set()

    def _ask(
        self, request: Callable[..., requests.Response], host: Host | None = None
    ) -> requests.Response | None:
        """Return the answer of `host`, else of any; None where the connection broke, or nobody was there."""
        try:
            return request(host=host or self._dice.choice(list(self._stack.hosts)))
        except (requests.RequestException, LookupError):
            return None


def _is_final(answer: requests.Response) -> bool:
    """Say whether an answer is final for a sender: accepted, or refused."""
    return answer.status_code < _ERRORS and answer.status_code not in _TRY_AGAIN
