"""Sources that must compute, in plain Python: one function each, found by the source's name."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from shared.mapping.event import Event
from shared.mapping.python import api_reply, cef, devo, google_secops, ocsf, sentinel
from shared.payload.paths import Node

EVENTS: Mapping[str, Callable[[Node], Iterator[Event]]] = {
    "arcsight": cef.events,
    "cef": cef.events,
    "devo": devo.events,
    "google-secops": google_secops.events,
    "ocsf": ocsf.events,
    "sentinel": sentinel.events,
}


def inside(name: str, document: Node) -> Sequence[Node] | None:
    """Return what is inside an envelope that must compute; None if the file of that name says it itself."""
    return api_reply.inside(document) if name == "api-reply" else None


def is_whole(document: Node) -> bool:
    """Say whether a list is one document: names and values, or the entities of one incident."""
    return (
        document.reader.pairs(document.value) is not None
        or sentinel.are_entities(document.value)
        or api_reply.are_frames(document.value)
    )
