"""Sources that must compute, in plain Python: one function each, found by the source's name."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from shared.mapping.event import Event
from shared.mapping.python import api_reply, cef, devo, google_secops, ocsf, sentinel, wazuh
from shared.payload.paths import Node

EVENTS: Mapping[str, Callable[[Node], Iterator[Event]]] = {
    "arcsight": cef.events,
    "cef": cef.events,
    "devo": devo.events,
    "leef": cef.events,
    "google-secops": google_secops.events,
    "ocsf": ocsf.events,
    "sentinel": sentinel.events,
}


INSIDE: Mapping[str, Callable[[Node], Sequence[Node]]] = {"api-reply": api_reply.inside}
"""What is inside of envelopes that must compute: nothing, if a document is none."""


CLUES: Mapping[str, Callable[[Node], Mapping[str, Node]]] = {"wazuh": wazuh.clues}
"""Clues that must be computed, by the names that a source's file gives them."""


def is_whole(document: Node) -> bool:
    """Say whether a list is one document: names and values, or the entities of one incident."""
    return (
        document.reader.pairs(document.value) is not None
        or sentinel.are_entities(document.value)
        or api_reply.are_frames(document.value)
    )
