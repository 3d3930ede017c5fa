"""What the project's own payloads become when searches and alerts on entities are on."""

import functools
from collections import Counter

import pytest

from shared.entity import entities
from shared.mapping import mappings as mapping
from shared.mapping.outcome import Evidence, Refused
from shared.payload.clue_choice import ClueScan
from shared.payload.clues import Clues
from tests.checks import routes

COUNTS = functools.cache(routes.counts)
MOST_REFUSED, MOST_REFUSED_WITHOUT_TRAPS = 0.05, 0.025


def test_the_page_has_the_present_table() -> None:
    """The table for senders is what the command writes."""
    _, _, rest = routes.PAGE.read_text("utf-8").partition(routes.BEGIN)
    written, end, _ = rest.partition(routes.END)
    assert end
    assert written == routes.table(*COUNTS())


def test_few_payloads_are_refused() -> None:
    """All others become an alert of one of the two kinds, perhaps after a search, or are ignored for a reason."""
    by_source, traps = COUNTS()
    all_ = sum(by_source.values(), Counter[str]())
    assert set(all_) == set(routes.ROUTES)
    assert all_["refused"] <= MOST_REFUSED * all_.total()
    without = all_ - traps
    assert without["refused"] <= MOST_REFUSED_WITHOUT_TRAPS * without.total()


def test_traps_are_whole_kinds_of_cases() -> None:
    """A kind is a trap with all its cases, also those that become an alert: none is picked by what becomes of it."""
    kinds = {name: case["kind"] for name, case in routes._expected().items()}
    field = {path.name: routes.is_trap(path) for path in routes.payloads() if path.parent.name == "field"}
    assert set(routes.TRAPS) <= set(kinds.values())
    assert all(trap == (kinds[name] in routes.TRAPS) for name, trap in field.items())
    assert not any(routes.is_trap(path) for path in routes.payloads() if "mappings" in path.parts)
    _, traps = COUNTS()
    assert traps["reference"] > traps["refused"] / 2
    assert traps["entity"] + traps["search"] > 0


def test_what_is_refused_says_what_is_missing() -> None:
    """Of each payload that takes no route it is named: most lack a time, or anything that Defender knows."""
    mappings = mapping.load()
    refused = [
        lacks for _, way, lacks in (routes.route(p, mappings) for p in routes.payloads()) if way == "refused"
    ]
    assert refused
    assert all(refused)


@pytest.mark.parametrize("clues", [None, Clues()])
def test_a_refused_event_lacks_something(clues: Clues | None) -> None:
    """Without clues, or without enough of them, an event takes neither other route."""
    evidence = Evidence(ClueScan(clues, {})) if clues else None
    lacks = routes.missing(Refused(0, (), evidence=evidence, texts={"title": "x"}))
    assert lacks == (("one event",) if clues is None else tuple(p.field for p in entities.missing(Clues())))
