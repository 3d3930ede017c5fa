"""The outcome of mapping a delivery: alerts, refused events, or the reason why it asks for no alert."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.alerts.alert import Alert
from shared.errors import Problem
from shared.payload.clue_choice import ClueScan


@dataclass(frozen=True, slots=True)
class About:
    """What a source says about its own alert: its id of it, its page, the techniques of ATT&CK, its lowest severity."""

    own_id: str = ""
    link: str = ""
    techniques: tuple[str, ...] = ()
    informational: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a search could find an event that has no whole reference: its clues, and where they were read.

    `lost` has a sentence for each key of a reference that lost something on its way; `about` is for an alert without
    an event.
    """

    scan: ClueScan
    lost: tuple[str, ...] = ()
    about: About = About()


@dataclass(frozen=True, slots=True)
class Mapped:
    """One event that became an alert. `event` counts from 0 over the delivery.

    `time_truncated`: its time certainly lost digits, so trying again after a 404 is useless. `origins` names, for
    each field, the place or the parameter its value came from. `source` is the name of its own source.
    """

    event: int
    alert: Alert
    notes: tuple[str, ...] = ()
    time_truncated: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that cannot become an alert, with all its problems.

    `texts` are its five fields beside the reference, checked, if nothing but its reference is wrong. `remedy` is the
    query or template with which its sender would name the event; empty where there is none. `source` is the name of
    its own source.
    """

    event: int
    problems: tuple[Problem, ...]
    origins: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None
    notes: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a delivery becomes.

    `ignored` says why it asks for no alert; `reply` is the body that its sender then expects. `steps` say how the
    payload was opened and recognised. `refused_status` is the HTTP status of a refused payload where the sender
    would repeat a 422 (Event Grid, CloudEvents).
    """

    source: str | None
    alerts: tuple[Mapped, ...] = ()
    refused: tuple[Refused, ...] = ()
    ignored: str | None = None
    reply: dict[str, Any] | None = None
    steps: tuple[str, ...] = ()
    refused_status: int | None = None
