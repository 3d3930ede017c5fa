"""Answers and tokens that are spoiled in one way each: faults for a simulator in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from dev.simulator.faults import Fault
from dev.simulator.reply import Reply, json_reply
from dev.stack import token_endpoint
from dev.stack.token_endpoint import Grant

HUGE = 50 << 20
"""Bytes of an answer that is larger than Graph lets one be."""


@dataclass(frozen=True, kw_only=True)
class Altered(Fault):
    """The real answer's JSON, or the token of the real claims, as `change` returns it."""

    kind: str = "slow"  # by no second
    change: Callable[[Any], Any]

    def bend(self, answer: Reply) -> Reply:
        """Return what the caller sees in the place of the real answer."""
        if self.on == "token" or answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            return answer
        return json_reply(answer.status or 0, self.change(json.loads(answer.body)))

    def alter(self, grant: Grant) -> Grant:
        """Return the claims of the token."""
        altered: Grant = self.change(grant)
        return altered


def expires(seconds: int) -> Fault:
    """Return the fault of a token that expires in so many seconds, which may be negative."""
    return Altered(on="token", change=lambda grant: replace(grant, lifetime=seconds))


def _other_audience(grant: Grant) -> Grant:
    (other,) = {token_endpoint.AUDIENCE, token_endpoint.GRAPH_AUDIENCE} - {grant.audience}
    return replace(grant, audience=other)


def _in_small_letters(document: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose names begin in small letters, with an annotation beside each value."""
    results = [
        {
            key: value
            for name, text in row.items()
            for key, value in ((f"{_small(name)}@odata.type", "#String"), (_small(name), text))
        }
        for row in document["results"]
    ]
    return {"Schema": [{"Name": "x", "Type": "String"}], "Results": results}


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


WRONG_AUDIENCE = Altered(on="token", change=_other_audience)
NO_ROLE = Altered(on="token", change=lambda grant: replace(grant, roles=()))
OTHER_TENANT = Altered(on="token", change=lambda grant: replace(grant, tenant=token_endpoint.OTHER_TENANT))
LARGE = Altered(on="hunting", change=lambda answer: answer | {"padding": "x" * HUGE})
ROUNDED = Altered(
    on="hunting",
    change=lambda answer: answer | {"results": [row | {"ReportId": 1.5e300} for row in answer["results"]]},
)
"""Report ids are numbers, as a client rounds them that has no long ones."""
SMALL_LETTERS = Altered(on="hunting", change=_in_small_letters)
