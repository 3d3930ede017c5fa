"""How a sender follows a 202, and how a test waits for Defender's log."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import requests

from dev.stack.stack import Stack

_Log = TypeVar("_Log")
_SECONDS = 120
_LOOK_SECONDS = 0.02
_POLL_SECONDS = 0.2  # sooner than Retry-After says, to save time


def follow(stack: Stack, location: str) -> list[requests.Response]:
    """Ask for a delivery as Logic Apps and Power Automate do, until the answer is no 202; return all answers.

    `TimeoutError` after two minutes.
    """
    answers = [stack.get(location)]
    end = time.monotonic() + _SECONDS
    while answers[-1].status_code == HTTPStatus.ACCEPTED:
        if time.monotonic() > end:
            raise TimeoutError(f"{location} has not ended: {answers[-1].text}")
        time.sleep(_POLL_SECONDS)
        answers.append(stack.get(location))
    return answers


def wait_for(log: Callable[[], _Log], condition: Callable[[_Log], bool], limit: float = 60.0) -> _Log:
    """Wait until a log fulfils a condition, and return it. `TimeoutError` after `limit` seconds."""
    end = time.monotonic() + limit
    while not condition(known := log()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit} s: {known}")
        time.sleep(_LOOK_SECONDS)
    return known


def wait_for_calls(stack: Stack, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Wait until Defender's log fulfils a condition, and return it. `TimeoutError` after a minute."""
    return wait_for(lambda: stack.simulator("GET", "log"), condition)
