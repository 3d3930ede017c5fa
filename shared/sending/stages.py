"""The stages of one host: for each API a dispatcher with its own window, queue and pause."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.sending import window
from shared.sending.api import Api
from shared.sending.dispatcher import Dispatch, Tokens, Workers
from shared.sending.forward import Forward
from shared.sending.outcome import Clocks, Outcomes
from shared.sending.turns import Turns
from shared.table.patience import PatientTable


@dataclass(frozen=True, slots=True)
class Host:
    """What all stages of a host share."""

    table: PatientTable
    clocks: Clocks
    workers: Workers
    chance: random.Random


@dataclass(frozen=True, slots=True)
class Part:
    """One stage: its API, the tokens for it, and the rules of its window."""

    api: Api[Any]
    tokens: Tokens
    policy: window.Policy


def build(host: Host, parts: Sequence[Part]) -> list[Dispatch]:
    """Return a dispatcher for each stage; each can pass alerts on to those before it."""
    turns = Turns()
    policies = {part.policy.stage.name: part.policy for part in parts}
    dispatchers: list[Dispatch] = []
    for part in parts:
        outcomes = Outcomes(
            host.table,
            part.api,
            part.policy,
            host.clocks,
            next={each.policy.stage.name: Forward(each) for each in dispatchers},
        )
        dispatchers.append(
            Dispatch(
                host.table,
                outcomes,
                part.tokens,
                host.clocks,
                host.workers,
                host.chance,
                turns=turns,
                others=policies,
            )
        )
    return dispatchers
