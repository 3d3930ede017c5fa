"""The project's own set of payloads: every clue, and nothing else, is read in each."""

from collections import Counter

import pytest

from dev.simulator.schema import TABLES
from shared.search import query
from tests.checks import clueset

CASES = clueset.cases()
OF_DEVICE = {"table", "device", "time", "IPAddress", "DeviceId"}
LEAST, PRODUCTS, MOST_FOUND = 120, 25, 0.9


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.product}/{case.name}")
def test_the_clues_of_a_payload(case: clueset.Case) -> None:
    """The clues, their places and whose the time is are what the payload says, and no other clue is read."""
    clues = clueset.scan(case)
    assert clueset.flat(clues) == case.clues
    assert (clues.clues.when is not None and clues.clues.when.own) is case.own


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.event], ids=lambda case: f"{case.product}/{case.name}"
)
def test_a_payload_that_tells_of_an_event_can_be_searched(case: clueset.Case) -> None:
    """Where an event is meant, the clues are enough for a query, which reads the event's table."""
    built = query.build(clueset.scan(case).clues)
    assert built is not None
    assert case.event is not None
    assert case.event["table"] in built.text


def test_the_set_is_of_many_products_and_some_of_it_cannot_be_found() -> None:
    """The set is large enough to tell something, and has honest ends, each with its reason."""
    products = Counter(case.product for case in CASES)
    findable = sum(case.event is not None for case in CASES)
    assert len(CASES) >= LEAST
    assert len(products) >= PRODUCTS
    assert findable <= MOST_FOUND * len(CASES)
    assert all(case.why for case in CASES if case.event is None)


def test_an_event_of_the_set_has_columns_of_its_table() -> None:
    """What a case says of its event can be a row: the table and the columns are Defender's."""
    for case in CASES:
        if case.event:
            columns = {column.split(": ")[0] for column in TABLES[case.event["table"]].split(", ")}
            assert case.event.keys() - OF_DEVICE <= columns, case.name
