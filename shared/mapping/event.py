"""One event before it becomes an alert: the product's alert around it, and its reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import Problem
from shared.payload.grouping import Group
from shared.payload.paths import Node


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as a source's function yields it, and the pipeline for all other sources.

    The paths of `fields` begin at `alert`. The reference is searched in `within`; keys that the function itself knows
    are in `reference` (by the API's names) and are preferred. `values` are texts that the function found; the file's
    own paths are preferred. `notes` say that values lost digits. `problems` refuse the event. `part` is the part of the
    payload that concerns only this event: its clues are read there.
    """

    alert: Node
    within: Sequence[Node] = ()
    reference: Mapping[str, Node] = field(default_factory=dict)
    values: Mapping[str, Node] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    group: Group | None = None
    part: Node | None = None
