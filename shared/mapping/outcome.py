"""What a delivery becomes: alerts, refused events, or the reason why nothing is to be raised."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.alerts.alert import Alert
from shared.errors import Problem
from shared.payload.clue_choice import ClueScan


@dataclass(frozen=True, slots=True)
class Evidence:
    """By what a search could find an event that has no whole reference: its clues, and where they were read.

    `lost` has a sentence for each key of a reference that lost something on its way.
    """

    scan: ClueScan
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """One event that became an alert. `event` counts from 0 over the delivery.

    `time_truncated`: its time certainly lost digits on its way, so a 404 will stay one. `origins` names, for
    each field, the place or the parameter its value came from.
    """

    event: int
    alert: Alert
    notes: tuple[str, ...] = ()
    time_truncated: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that cannot become an alert, with everything that is wrong with it."""

    event: int
    problems: tuple[Problem, ...]
    origins: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a delivery becomes.

    `ignored` says why nothing is to be raised, `reply` is the body its sender then expects. `steps` say, for
    people, how the payload was opened and recognised. `refused_status` is the HTTP status of a refused delivery where
    its sender would repeat a 422 (Event Grid, CloudEvents).
    """

    source: str | None
    alerts: tuple[Mapped, ...] = ()
    refused: tuple[Refused, ...] = ()
    ignored: str | None = None
    reply: dict[str, Any] | None = None
    steps: tuple[str, ...] = ()
    refused_status: int | None = None
