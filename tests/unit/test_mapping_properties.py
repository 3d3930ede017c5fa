"""What holds of every mapping and any payload: an outcome, in bounds, whatever the order, through every wrapper."""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev import outcomes
from shared import errors
from shared.alerts import alert
from shared.errors import Problem
from shared.mapping import mappings as mapping
from shared.mapping.outcome import Outcome, Refused
from shared.payload import body as payload
from shared.payload.body import Number
from tests.checks import approve, places
from tests.checks.approve import Pair


def _is_json(pair: Pair) -> bool:
    try:
        json.loads(pair.payload.read_bytes())
    except ValueError:
        return False
    return True


OURS = mapping.load()
ALL = list(approve.pairs())
PAIRS = [pair for pair in ALL if pair.payload.suffix == ".json" and _is_json(pair)]
MACHINE, TIME, REPORT = (
    "3d583074bdc1fb8ec27a43da2c777b684b0f535b",
    "2026-07-19T14:55:51.5813247Z",
    "639199803770463714",
)
ROW = {"DeviceId": MACHINE, "Timestamp": TIME, "ReportId": int(REPORT), "ActionType": "ProcessCreated"}
BODY = {
    "machineId": MACHINE,
    "eventTime": TIME,
    "reportId": REPORT,
    "severity": "High",
    "category": "Malware",
    "title": "T",
    "description": "D",
    "recommendedAction": "A",
}
RECORD = {
    "category": "AdvancedHunting-DeviceProcessEvents",
    "time": "2026-07-19T15:00:00Z",
    "properties": ROW,
}
CLOUD = {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "time": "2026-07-19T15:00:00Z"}
GRID = {"id": "1", "topic": "/t", "subject": "s", "eventType": "E", "eventTime": "2026-07-19T15:00:00Z"}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda inner: inner,
    "array": lambda inner: [inner],
    "text": json.dumps,
    "text in text": lambda inner: json.dumps(json.dumps(inner)),
    "body": lambda inner: {"headers": {"a": "b"}, "body": inner},
    "Body as text": lambda inner: {"Body": json.dumps(inner)},
    "body as text in text": lambda inner: {"body": json.dumps(json.dumps(inner))},
    "event hub": lambda inner: {"body": inner, "x-opt-enqueued-time": 1_784_386_923_590},
    "records": lambda inner: {"records": [inner]},
    "records as text": lambda inner: {"records": json.dumps([inner])},
    "data": lambda inner: {"data": inner},
    "value of a list": lambda inner: {"value": [inner]},
    "cloud event": lambda inner: {**CLOUD, "data": inner},
    "cloud event, text": lambda inner: {**CLOUD, "data": json.dumps(inner)},
    "cloud event, base64": lambda inner: {**CLOUD, "data_base64": _base64(inner)},
    "cloud events": lambda inner: [{**CLOUD, "data": inner}],
    "event grid": lambda inner: [{**GRID, "data": inner}],
    "event grid, text": lambda inner: [{**GRID, "data": json.dumps(inner)}],
    "Logic Apps content": lambda inner: {"$content-type": "x", "$content": _base64(inner)},
    "Service Bus": lambda inner: {"ContentData": _base64(inner), "MessageId": "1"},
    "Pub/Sub": lambda inner: {"message": {"data": _base64(inner)}, "subscription": "s"},
    "unknown": lambda inner: {"vendor": "x", "list": [{"of": {"it": inner}}]},
}


def _base64(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def apply(value: Any, source: str | None = None) -> Outcome:
    """Read and map a value as it would arrive."""
    documents = payload.read(json.dumps(value).encode(), max_bytes=1_048_576)
    return OURS.apply(documents, source=source, defaults={}, max_alerts=100)


def keys(outcome: Outcome) -> tuple[str, str, str]:
    """Return the keys of the one alert of an outcome without refused events."""
    assert outcome.refused == ()
    [mapped] = outcome.alerts
    return mapped.alert.machine_id, mapped.alert.event_time, mapped.alert.report_id


@pytest.mark.parametrize("outer", WRAPPERS)
@pytest.mark.parametrize("inner", WRAPPERS)
def test_the_keys_pass_byte_by_byte_through_every_two_wrappers(outer: str, inner: str) -> None:
    """Envelope in envelope, encoded once or twice: the keys arrive to the digit, whatever the event's own form."""
    for event in (BODY, RECORD, ROW):
        assert keys(apply(WRAPPERS[outer](WRAPPERS[inner](event)))) == (MACHINE, TIME, REPORT)


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        entries = [(name, _shuffled(inner, chance)) for name, inner in value.items()]
        chance.shuffle(entries)
        return dict(entries)
    return [_shuffled(inner, chance) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_the_order_of_keys_is_irrelevant(pair: Pair) -> None:
    """Every real payload with its keys in another order becomes the same."""
    value = json.loads(pair.payload.read_bytes())
    expected = approve.became(pair.payload.read_bytes(), pair.query, OURS)
    for seed in range(3):
        body = json.dumps(_shuffled(value, random.Random(seed))).encode()
        assert approve.became(body, pair.query, OURS) == expected


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


PAYLOADS = [json.loads(pair.payload.read_bytes()) for pair in PAIRS]
NAMES = sorted(set().union(*map(_names, PAYLOADS)))
TEXTS = [
    "",
    "High",
    MACHINE,
    TIME,
    "AdvancedHunting-DeviceEvents",
    "\ud800",
    "[",
    '"{}"',
    "NaN",
    f"{MACHINE}|1|{TIME}",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from(TEXTS) | st.integers().map(Number) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)


def _mutated(value: Any, chance: random.Random, part: Any) -> Any:
    """Return a copy in which things are replaced, renamed, left out or put into arrays, at about one in ten places."""
    kind = chance.randrange(40)
    if kind < 3:
        return (part, [value], json.dumps(value))[kind]
    if isinstance(value, dict):
        return {
            name if chance.randrange(30) else chance.choice(NAMES): _mutated(inner, chance, part)
            for name, inner in value.items()
            if chance.randrange(30)
        }
    if isinstance(value, list):
        return [_mutated(inner, chance, part) for inner in value]
    return Number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _check(outcome: Outcome) -> None:
    """Check what holds of any outcome: all of it can be sent, stored and answered."""
    assert bool(outcome.alerts or outcome.refused) != (outcome.ignored is not None)
    for mapped in outcome.alerts:
        assert alert.check(mapped.alert.body()).alert == mapped.alert
        assert set(mapped.origins) == set(alert.FIELDS)
    for item in outcome.refused:
        assert item.problems
    for text in (
        *(note for mapped in outcome.alerts for note in mapped.notes),
        *(problem.detail for item in outcome.refused for problem in item.problems),
        *outcome.steps,
        outcome.ignored or "",
    ):
        assert text.encode() or text == ""
    assert json.dumps(outcome.reply)
    events = [item.event for item in outcome.alerts] + [item.event for item in outcome.refused]
    assert len(set(events)) == len(events) <= 100


def _apply(documents: list[Any], source: str | None) -> None:
    try:
        outcome = OURS.apply(documents, source=source, defaults={"title": "T"}, max_alerts=100)
    except errors.PayloadTooLarge:
        return
    _check(outcome)


@given(st.lists(JSON, min_size=1, max_size=2), st.sampled_from([None, *OURS.names()]))
def test_any_json_is_an_outcome_or_too_large(documents: list[Any], source: str | None) -> None:
    """Whatever is posted, whoever is said to have sent it, is mapped, refused or ignored."""
    _apply(documents, source)


@given(st.sampled_from(PAYLOADS), JSON, st.randoms(use_true_random=False), st.booleans())
def test_any_distortion_of_a_real_payload_is_an_outcome(
    value: Any, part: Any, chance: random.Random, named: bool
) -> None:
    """Real payloads with parts renamed, replaced, nested or missing never raise anything but "too large"."""
    source = chance.choice(OURS.names()) if named else None
    _apply([_mutated(value, chance, part)], source)


# ── places that people are shown ────────────────────────────────────────────────────────────────────────────


def _mapped(pair: Pair) -> tuple[Outcome, list[Any]] | None:
    """Return what a pair's payload becomes, and its documents; None if it is refused before it is mapped."""
    body = pair.payload.read_bytes()
    try:
        return outcomes.outcome_of(body, pair.query, OURS), payload.read(body, max_bytes=outcomes.MAX_BYTES)
    except errors.WebhookError:
        return None


@pytest.mark.parametrize("pair", ALL, ids=[pair.name for pair in ALL])
def test_every_place_that_is_shown_is_in_the_payload(pair: Pair) -> None:
    """Origins, look-alikes and contradictions name paths of what was sent, and the value stands there."""
    if mapped := _mapped(pair):
        assert places.wrong(*mapped) == []


def test_places_are_shown_at_all() -> None:
    """The property above is about something: each kind of place is shown by some pair."""
    outcomes = [mapped[0] for pair in ALL if (mapped := _mapped(pair))]
    details = [
        problem.detail for outcome in outcomes for item in outcome.refused for problem in item.problems
    ]
    assert sum(len(item.origins) for outcome in outcomes for item in outcome.alerts) > 500
    assert sum("Found instead: " in text for text in details) > 50
    assert sum("has different values: " in text and " at " in text for text in details) > 5


@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [
        ("reportId", "event.Report", "nothing at 'event.Report'"),
        ("reportId", "event[0].ReportId", "nothing at"),
        ("reportId", "[0].event.ReportId", "nothing at"),
        ("machineId", "event.ReportId", "is not made of"),
        ("title", "event.FileName", "is not made of"),
        ("severity", "event.ReportId", "is not made of"),
    ],
)
def test_a_wrong_origin_is_noticed(name: str, place: str, expected: str) -> None:
    """A place that is not there, or holds another value, is found out."""
    value = {"severity": "high", "name": "Recon", "event": {**ROW, "FileName": "x.exe"}}
    outcome = apply(value)
    [mapped] = outcome.alerts
    documents = payload.read(json.dumps(value).encode(), max_bytes=10_000)
    assert places.wrong(outcome, documents) == []
    doctored = replace(mapped, origins={**mapped.origins, name: place})
    [line] = places.wrong(replace(outcome, alerts=(doctored,)), documents)
    assert expected in line


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ('has different values: "1" at a.b; "2" at a.c.', ["nothing at 'a.c'"]),
        ('has different values: "1" at a.b; "2" at a.b.', ['"2" does not stand at']),
        ("is missing. Found instead: a.c is the id of a Log Analytics agent.", ["nothing at 'a.c'"]),
        ("is missing. Found instead: a.b is something.", ["says nothing that we know"]),
        ("is missing. Found instead: a.b is the id of a Log Analytics agent.", []),
        ('has different values: "1" at a.b; "1" at a["b"].', ["nothing at"]),
    ],
)
def test_a_wrong_place_in_a_problem_is_noticed(detail: str, expected: list[str]) -> None:
    """What a problem says of a place is compared with the payload."""
    refused = Refused(0, (Problem("reportId", detail),))
    faults = places.wrong(Outcome("generic", refused=(refused,)), [{"a": {"b": "1"}}])
    assert len(faults) == len(expected)
    assert all(part in line for part, line in zip(expected, faults, strict=True))


# ── sources beside each other ──────────────────────────────────────────────────────────────────────────────


def _with(folder: Path, **entries: Any) -> mapping.Mappings:
    """Return our sources and one of the user's own."""
    (folder / "nightwatch.json").write_text(json.dumps({"title": "Nightwatch", **entries}), "utf-8")
    mappings = mapping.load(folder)
    assert mappings.broken == []
    return mappings


def _became(pair: Pair, mappings: mapping.Mappings) -> dict[str, Any]:
    """Return what a pair becomes, without the hint that a file of the user's own does not recognise it."""
    document: dict[str, Any] = json.loads(approve.text(pair, mappings))
    document["steps"] = [
        step for step in document.get("steps", ()) if "(yours) does not recognise it" not in step
    ]
    return document


def _changed(mappings: mapping.Mappings) -> list[str]:
    """Return the pairs that become something else with these mappings than with ours."""
    return [pair.name for pair in ALL if _became(pair, mappings) != _became(pair, OURS)]


def test_a_source_more_changes_nothing_for_the_others(tmp_path: Path) -> None:
    """A file in MAPPINGS_PATH, however high its priority, is noticed by its own payloads only."""
    mappings = _with(tmp_path, recognise=["product = nightwatch", "nightwatch.hits"], priority=100)
    assert "nightwatch" in mappings.names()
    assert _changed(mappings) == []


def test_a_source_that_takes_all_is_noticed(tmp_path: Path) -> None:
    """The property above can fail: a source that recognises more than its own changes others' pairs."""
    assert len(_changed(_with(tmp_path, recognise="severity", priority=100))) > 10


@pytest.mark.parametrize("pair", ALL, ids=[pair.name for pair in ALL])
def test_no_outcome_lists_the_sources(pair: Pair) -> None:
    """What a sender is answered does not depend on which sources there are: it never names several others."""
    outcome = json.loads(approve.text(pair, OURS))
    if "no source" not in str(outcome.get("error")):
        assert ", ".join(OURS.names()[:3]) not in json.dumps(outcome)
        assert ", ".join(OURS.names()[-3:]) not in json.dumps(outcome)
