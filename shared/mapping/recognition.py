"""Finding a document's source: of those that recognise it, the one of the highest priority."""

from collections.abc import Iterable, Iterator
from typing import Any

from shared.mapping import python
from shared.mapping.conditions import Condition
from shared.mapping.source import Source
from shared.payload import names, scan
from shared.payload.paths import Node, find, path

_ANYTHING = Condition("", path("/"), ())
_SOME = 20  # elements of an array whose names are read


class Recognition:
    """The conditions of all sources, found by the names that a document has at its top."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._order = sorted(sources, key=lambda source: (-source.priority, source.ours, source.name))
        self._conditions: dict[str, list[tuple[int, Condition]]] = {}
        self._always: list[tuple[int, Condition]] = []
        for rank, source in enumerate(self._order):
            if source.name in python.INSIDE:
                self._always.append((rank, _ANYTHING))
            for condition in source.recognise:
                words = set(_first_words(condition))
                for word in words:
                    self._conditions.setdefault(word, []).append((rank, condition))
                if not words:
                    self._always.append((rank, condition))

    def source(self, document: Node, named: Source | None, *, envelopes: bool) -> Source | None:
        """Return the source of a document, or None. A named source is used, unless there is an envelope."""
        if isinstance(document.value, list) and document.reader.pairs(document.value) is not None:
            return named
        words = _words(document)
        candidates = [entry for word in words for entry in self._conditions.get(word, ())] + self._always
        for rank, condition in sorted(candidates, key=lambda entry: entry[0]):
            source = self._order[rank]
            if source.is_envelope:
                if envelopes and condition.holds(document, document) and _opens(source, document):
                    return source
            elif named is None and condition.holds(document, document):
                return source
        return named

    def holds(self, source: Source, document: Node) -> bool:
        """Say whether one of a source's conditions holds for a document."""
        return any(condition.holds(document, document) for condition in source.recognise)

    def yours(self) -> list[Source]:
        """Return the sources of the user's own that recognise payloads by themselves."""
        return [source for source in self._order if not source.ours and source.recognise]


def _first_words(condition: Condition) -> Iterator[str]:
    """Yield words of which a document has one at its top if a condition holds; none if that is unknown."""
    prefix = condition.prefix.names
    positive = [term for term in condition.terms if not term.negated]
    if not positive:
        return
    names_of = (*prefix, *positive[0].path.names)
    for end in range(1, len(names_of) + 1):
        yield names.word("".join(names_of[:end]))


def _words(document: Node) -> set[str]:
    """Return the words of a document's keys, or of its elements' keys."""
    value, _, reader = document
    if isinstance(value, dict):
        return set(reader.index(value))
    if isinstance(value, list):
        return {word for item in value[:_SOME] if isinstance(item, dict) for word in reader.index(item)}
    return set()


def _opens(source: Source, document: Node) -> bool:
    """Say whether an envelope has contents: an object, a list, or a text that holds one.

    With a whole reference beside its contents it is no envelope.
    """
    if source.status or any(
        condition.holds(document, document) for rule in source.closed for condition in rule.where
    ):
        return True
    if function := python.INSIDE.get(source.name):
        return bool(function(document))
    contents = next((nodes for path in source.envelope if (nodes := find(path, document))), None)
    if not contents:
        return False
    value = contents[0].value
    if isinstance(value, str):
        return document.reader.inside(value) is not None
    return isinstance(value, dict | list) and not any(
        group.complete for group in scan.scan(document, {id(node.value) for node in contents}).groups
    )


def is_empty(values: Any) -> bool:
    """Say whether an object is a reply or a batch with nothing in it: `{"records": []}`."""
    if not isinstance(values, dict):
        return False
    return any(value == [] and names.named_as("lists", name) for name, value in values.items()) and not any(
        isinstance(value, dict | list) and value for value in values.values()
    )


def single(document: Node) -> Node | None:
    """Return the only contents of a wrapper: an object or a list, also in a text; None if there are others or none."""
    if not isinstance(document.value, dict) or len(document.value) != 1:
        return None
    [(name, value)] = document.value.items()
    if names.named_as("parts", name):
        return None
    inner = document.reader.inside(value) if isinstance(value, str) and value[:1] in '{["' else value
    return document.inside(inner, name) if isinstance(inner, dict | list) and inner else None
