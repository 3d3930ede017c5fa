"""The texts at a place of a source file, each with where it stands in the sender's payload."""

from collections.abc import Iterator

from shared.mapping.source import Place
from shared.payload.paths import Node, find
from shared.payload.paths import Place as Where
from shared.payload.values import texts as texts_of

_MAX_TEXT = 4_096


def texts(place: Place, document: Node, alert: Node) -> Iterator[tuple[str, tuple[Where, ...]]]:
    """Yield the texts at a place, which counts from an alert within a document; a template has several places."""
    if place.only and not place.only.holds(document, alert):
        return
    nodes = [find(path, document if path.absolute else alert) for path in place.paths]
    if place.template is None:
        for node in (node for at_path in nodes for node in at_path):
            for text in texts_of(node.value):
                yield text, (node.place,)
        return
    firsts = [next((text for node in at_path for text in texts_of(node.value)), None) for at_path in nodes]
    if all(firsts):
        pieces = place.template.split("{}")
        filled = "".join(f"{piece}{text}" for piece, text in zip(pieces, [*firsts, ""], strict=True))
        yield filled[:_MAX_TEXT], tuple(at_path[0].place for at_path in nodes)
