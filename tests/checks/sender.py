"""How a sender follows a 202."""

import time
from http import HTTPStatus

import requests

from dev.stack.stack import Stack

_SECONDS = 120
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
