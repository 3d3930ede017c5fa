"""Recognition by an index gives what asking every condition in order would give."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev import outcomes
from shared.errors import WebhookError
from shared.mapping import mappings as mapping
from shared.mapping import python, recognition
from shared.mapping.recognition import Recognition
from shared.mapping.source import Source
from shared.payload import body as payload
from shared.payload.paths import Node
from shared.payload.reader import Reader
from tests.checks import approve

OURS = mapping.load()
ORDER = sorted(OURS.sources.values(), key=lambda source: (-source.priority, source.ours, source.name))


def node(value: Any) -> Node:
    """Return a value with a reader that counts nothing."""
    return Node(value, None, Reader(lambda _: None))


def by_all(document: Node, named: Source | None, *, envelopes: bool) -> Source | None:
    """Return the source of a document: the first in order of which one condition holds."""
    if isinstance(document.value, list) and document.reader.pairs(document.value) is not None:
        return named
    for source in ORDER:
        if source.is_envelope and not envelopes:
            continue
        if not source.is_envelope and named is not None:
            continue
        holds = source.name in python.INSIDE or any(
            condition.holds(document, document) for condition in source.recognise
        )
        if holds and (not source.is_envelope or recognition._opens(source, document)):
            return source
    return named


def differing(documents: list[Any], asked: Recognition) -> list[tuple[str | None, str | None, Any]]:
    """Return the documents that the index gives to another source than all conditions do, and to which."""
    differences: list[tuple[str | None, str | None, Any]] = []
    for document in documents:
        for named, envelopes in ((None, True), (None, False), (OURS.sources["splunk"], True)):
            quick = asked.source(node(document), named, envelopes=envelopes)
            sure = by_all(node(document), named, envelopes=envelopes)
            if quick is not sure:
                differences.append((quick.name if quick else None, sure.name if sure else None, document))
    return differences


def _parts(value: Any) -> Iterator[Any]:
    """Yield the objects and whole lists in a value: each could be a document; other lists are taken apart before."""
    if isinstance(value, dict) or (isinstance(value, list) and python.is_whole(node(value))):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _parts(inner)


def _documents() -> list[Any]:
    parts: list[Any] = []
    for pair in approve.pairs():
        try:
            documents = payload.read(pair.payload.read_bytes(), max_bytes=outcomes.MAX_BYTES)
        except WebhookError:
            continue
        parts += (part for document in documents for part in _parts(document))
    return parts


DOCUMENTS = _documents()


def _names(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


NAMES = sorted(
    {name for document in DOCUMENTS for name in _names(document)}
    | {
        name
        for source in ORDER
        for condition in source.recognise
        for term in (*condition.terms, *condition.elsewhere)
        for name in (*condition.prefix.names, *term.path.names)
    }
)
TEXTS = ["", "x", "High", "resolved", "acme", '{"alerts": [{"labels": {}, "startsAt": 1}]}', "a=1, b=2"]
VALUES = st.recursive(
    st.none() | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)


def test_every_part_of_every_payload_is_given_to_the_same_source() -> None:
    """Over all approved payloads, and every object within them, the index changes nothing."""
    assert len(DOCUMENTS) > 1_000
    assert differing(DOCUMENTS, OURS.recognition) == []


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=6))
def test_any_object_of_known_names_is_given_to_the_same_source(document: Any) -> None:
    """Objects made of the names that conditions and payloads have."""
    assert differing([document], OURS.recognition) == []


def test_an_index_that_forgets_is_noticed() -> None:
    """The two properties can fail: without one of its words the index gives documents away."""
    doctored = Recognition(OURS.sources.values())
    del doctored._conditions["machineid"]
    assert (None, "defender", {"machineId": "x"}) in differing([{"machineId": "x"}], doctored)
    doctored._conditions.clear()
    assert len(differing(DOCUMENTS[:100], doctored)) > 10


def test_the_index_spares_most_conditions() -> None:
    """A body of the eight fields is compared with few conditions: the others' names are not there."""
    words = {"machineid", "eventtime", "reportid", "severity", "category", "title", "description"}
    asked = sum(len(OURS.recognition._conditions.get(word, ())) for word in words)
    assert asked + len(OURS.recognition._always) < sum(len(source.recognise) for source in ORDER) / 4


@pytest.mark.parametrize(
    "source", [source for source in ORDER if source.recognise], ids=lambda source: source.name
)
def test_every_source_recognises_a_payload_of_its_own(source: Source) -> None:
    """No source waits in vain: it recognises one of the payloads that are approved of it."""
    known = [
        json.loads(pair.expected())
        for pair in approve.pairs()
        if pair.payload.parent.name == source.name and "source" not in pair.query
    ]
    named = [str(pair.get("source")).split("+") for pair in known]
    opened = [step for pair in known for step in pair.get("steps", ())]
    assert any(source.name in names for names in named) or f"opened: {source.title}" in opened


def test_the_users_own_source_is_asked_before_ours_of_its_priority(tmp_path: Any) -> None:
    """Among equals the user's file wins, then the name decides; a higher priority wins over both."""
    for name, priority in (("zeta", 30), ("alpha", 30), ("omega", 31)):
        entries = {"title": name, "priority": priority, "recognise": f"machineId & {name}"}
        (tmp_path / f"{name}.json").write_text(json.dumps(entries), "utf-8")
    ask = mapping.load(tmp_path).recognition.source
    asked = []
    for document in (
        {"machineId": "x"},
        {"machineId": "x", "zeta": "1", "alpha": "1"},
        dict.fromkeys(("machineId", "zeta", "alpha", "omega"), "1"),
    ):
        source = ask(node(document), None, envelopes=True)
        asked.append(source and source.name)
    assert asked == ["defender", "alpha", "omega"]
