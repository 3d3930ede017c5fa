"""One event on its way to an alert: the product's alert around it, and the reference found for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import Problem
from shared.payload.grouping import Group
from shared.payload.paths import Node


@dataclass(frozen=True, slots=True)
class Event:
    """What a source's function gives for each event, and the pipeline for all other sources.

    `alert` is where the paths of `fields` begin. The reference is looked for in `within`; what the function knows
    itself stands in `reference` (by the API's names) and goes before. `values` are texts that the
    function found, behind the file's own paths; `notes` say of them that they lost digits. `problems` refuse the event.
    `part` is what of the payload tells of this event alone: its clues are read there.
    """

    alert: Node
    within: Sequence[Node] = ()
    reference: Mapping[str, Node] = field(default_factory=dict)
    values: Mapping[str, Node] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    group: Group | None = None
    part: Node | None = None
