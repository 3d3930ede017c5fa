"""Answers and tokens that are spoiled in one way each: faults for a simulator in this process."""

from dataclasses import replace
from typing import Any

from dev.simulator.faults import Fault
from dev.stack import token_endpoint
from dev.stack.token_endpoint import Grant

HUGE = 50 << 20
"""Bytes of an answer that is larger than Graph lets one be."""


def expires(seconds: int) -> Fault:
    """Return the fault of a token that expires in so many seconds, which may be negative."""
    return Fault("altered", on="token", change=lambda grant: replace(grant, lifetime=seconds))


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


WRONG_AUDIENCE = Fault("altered", on="token", change=_other_audience)
NO_ROLE = Fault("altered", on="token", change=lambda grant: replace(grant, roles=()))
OTHER_TENANT = Fault(
    "altered", on="token", change=lambda grant: replace(grant, tenant=token_endpoint.OTHER_TENANT)
)
LARGE = Fault("altered", on="hunting", change=lambda answer: answer | {"padding": "x" * HUGE})
ROUNDED = Fault(
    "altered",
    on="hunting",
    change=lambda answer: answer | {"results": [row | {"ReportId": 1.5e300} for row in answer["results"]]},
)
"""Report ids are numbers, as a client rounds them that has no long ones."""
SMALL_LETTERS = Fault("altered", on="hunting", change=_in_small_letters)
