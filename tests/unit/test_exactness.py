"""References that lost something on their way: what is left of them is exact, and finds the event."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mapping import exactness
from shared.mapping import mappings as mapping
from shared.mapping.outcome import Evidence, Outcome
from shared.payload import body as payload
from shared.payload import names
from shared.payload.clues import FACTS, SECOND, Host

MACHINE = "3d583074bdc1fb8ec27a43da2c777b684b0f535b"
TIME, REPORT = "2026-07-19T14:55:51.5813247Z", "639199803770463714"
ROUNDED = str(int(float(REPORT)))
SHA1 = "c" * 40
OURS = mapping.load()


def apply(value: Any) -> Outcome:
    """Map a value as it would arrive."""
    documents = payload.read(json.dumps(value).encode(), max_bytes=1_048_576)
    return OURS.apply(documents, source=None, defaults={}, max_alerts=100, clues=True)


def evidence_of(outcome: Outcome) -> Evidence:
    """Return by what the one event of an outcome could be found, which there must be."""
    refused = [refused.evidence for refused in outcome.refused]
    [evidence] = refused or [mapped.evidence for mapped in outcome.alerts]
    assert evidence is not None
    return evidence


LOSSY: Mapping[str, tuple[Mapping[str, str], Mapping[str, str], tuple[str, ...]]] = {
    "a time cut to seconds": (
        {"Timestamp": TIME[:19] + "Z", "ReportId": REPORT},
        {"report_id": REPORT},
        ("cut to seconds",),
    ),
    "a time cut to milliseconds": (
        {"Timestamp": TIME[:23] + "Z", "ReportId": REPORT},
        {"report_id": REPORT},
        ("cut to milliseconds",),
    ),
    "no report id": ({"Timestamp": TIME}, {"event_time": TIME}, ("it is missing",)),
    "a report id rounded": (
        {"Timestamp": TIME, "ReportId": ROUNDED},
        {"event_time": TIME},
        ("was rounded on the way",),
    ),
    "a report id with an exponent": (
        {"Timestamp": TIME, "ReportId": "6.39199803770464E+17"},
        {"event_time": TIME},
        ("is not an exact number",),
    ),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_what_is_left_of_a_reference_is_all_that_it_is_looked_for_by(kind: str) -> None:
    """The exact keys are the clues, whatever else the payload says; what was lost is shown."""
    keys, facts, lost = LOSSY[kind]
    outcome = apply({"DeviceId": MACHINE, **keys, "sha1": SHA1, "host": "pc-9", "CommandLine": "a.exe"})
    evidence = evidence_of(outcome)
    scan = evidence.scan
    assert scan.clues.when is not None
    assert scan.clues.hosts == (Host("id", MACHINE),)
    assert {fact: value for fact in FACTS if (value := getattr(scan.clues, fact))} == facts
    assert scan.clues.when.own
    assert scan.places["hosts"] == "DeviceId"
    assert scan.places["when"] == "Timestamp"
    assert all(text in " ".join(evidence.lost) for text in lost)
    assert len(evidence.lost) == len(lost)


@pytest.mark.parametrize("digits", [0, 3])
def test_a_cut_time_has_the_precision_that_is_left(digits: int) -> None:
    """The event lies within one unit of the last digit that the payload has."""
    time = TIME[:19] + (TIME[19 : 20 + digits] if digits else "") + "Z"
    when = evidence_of(apply({"DeviceId": MACHINE, "Timestamp": time, "ReportId": REPORT})).scan.clues.when
    assert when is not None
    assert when.step == SECOND // 10**digits


def test_what_lost_digits_is_raised_as_before() -> None:
    """A cut time and a rounded report id still become alerts, with the same body and notes."""
    for keys in (LOSSY["a time cut to seconds"][0], LOSSY["a report id rounded"][0]):
        [mapped] = apply({"DeviceId": MACHINE, **keys}).alerts
        assert mapped.alert.body()["reportId"] == keys["ReportId"]
        assert mapped.alert.body()["eventTime"] == keys["Timestamp"]
        assert mapped.evidence is not None
        assert not set(mapped.notes) & set(mapped.evidence.lost)


def test_a_report_id_without_its_time_is_no_fact_alone() -> None:
    """Report ids come again: where the time is another's, they only exclude events that have a different one."""
    keys = {"DeviceId": MACHINE, "ReportId": REPORT, "time": "2026-07-19T15:00:00Z"}
    assert evidence_of(apply(keys)).scan.clues.report_id == ""
    scan = evidence_of(apply({**keys, "sha1": SHA1})).scan
    assert (scan.clues.report_id, scan.clues.sha1) == (REPORT, SHA1)
    assert scan.clues.when is not None
    assert not scan.clues.when.own


def test_where_nothing_exact_is_left_the_clues_of_the_payload_count() -> None:
    """A rounded report id and a cut time leave the device and the time; the facts beside them name the event."""
    outcome = apply({"DeviceId": MACHINE, "Timestamp": TIME[:23] + "Z", "ReportId": ROUNDED, "sha1": SHA1})
    evidence = evidence_of(outcome)
    assert evidence.scan.clues.hosts == (Host("id", MACHINE),)
    assert (evidence.scan.clues.sha1, evidence.scan.clues.report_id) == (SHA1, "")
    assert len(evidence.lost) == 2


@given(
    st.dictionaries(
        st.sampled_from(names.KEYS), st.text() | st.sampled_from([MACHINE, TIME, REPORT, ROUNDED, "7"])
    )
)
def test_what_is_said_to_be_exact_is(values: dict[str, str]) -> None:
    """A key is exact only as it would be sent, and a reference is whole only if nothing is said to be lost."""
    left = exactness.of(values)
    assert not (left.whole and left.lost)
    assert not left.whole or exactness.MACHINE in left.exact
    assert exactness.of({**values, **left.exact}).exact == left.exact
    assert left.exact.get(exactness.REPORT) != ROUNDED
