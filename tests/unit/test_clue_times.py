"""The times of clues: any form that says one moment, with its precision, and nothing else."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payload import clue_times
from shared.payload.clues import SECOND
from shared.search import devices

AT = devices.moment("2026-03-04T05:06:07Z") or 0
MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("text", "fraction", "step"),
    [
        ("2026-03-04T05:06:07Z", 0, SECOND),
        ("2026-03-04T05:06:07.1234567Z", 1_234_567, 1),
        ("2026-03-04T05:06:07.123456789Z", 1_234_567, 1),
        ("2026-03-04 05:06:07,5 +0000", 5_000_000, SECOND // 10),
        ("2026-03-04T07:06:07+02:00", 0, SECOND),
        ("2026-03-03T21:36:07-0730", 0, SECOND),
        ("2026-03-04 05:06:07", 0, SECOND),
        ("2026-03-04 05:06:07 UTC", 0, SECOND),
        ("2026/03/04 05:06:07", 0, SECOND),
        ("20260304T050607Z", 0, SECOND),
        ("20260304050607", 0, SECOND),
        ("Wed, 04 Mar 2026 05:06:07 +0000", 0, SECOND),
        ("4 March 2026 05:06:07", 0, SECOND),
        ("04-Mar-2026 05:06:07", 0, SECOND),
        ("Wed Mar  4 05:06:07 2026", 0, SECOND),
        ("Wed Mar  4 05:06:07 2026 UTC", 0, SECOND),
        ("Wed Mar 4 05:06:07 UTC 2026", 0, SECOND),
        ("Mar 04 2026 05:06:07.250", 2_500_000, SECOND // 1_000),
        ("Mar 4, 2026 @ 05:06:07.250", 2_500_000, SECOND // 1_000),
        ("March 4, 2026 5:06:07 AM", 0, SECOND),
        ("04/Mar/2026:05:06:07 +0000", 0, SECOND),
        ("04.03.2026 05:06:07", 0, SECOND),
        ("1772600767", 0, SECOND),
        ("1772600767.5", 5_000_000, SECOND // 10),
        ("1772600767250", 2_500_000, SECOND // 1_000),
        ("1772600767250000", 2_500_000, 10),
        ("1772600767123456789", 1_234_567, 1),
        ("134170743671234567", 1_234_567, 1),
        ("639081975671234567", 1_234_567, 1),
        ("2026-03-04T05:06:07Z related to this", 0, SECOND),
        ("2026-03-04 06:06:07 CET", 0, SECOND),
        ("/Date(1772600767250)/", 2_500_000, SECOND // 1_000),
    ],
)
def test_a_time_in_any_form(text: str, fraction: int, step: int) -> None:
    """Forms of many products, of Windows and of .NET say the same moment, as exactly as they are written."""
    when = clue_times.read(text, own=True)
    assert when is not None
    assert (when.start, when.end, when.step) == (AT + fraction, AT + fraction, step)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "3/4/2026 05:06:07",
        "05:06:07",
        "2026-03-04",
        "2026-02-30T05:06:07Z",
        "Mar  4 05:06:07",
        "2026-03-04 05:06:07 CST",
        "2026-03-04 05:06:07 CEST",
        "2026-07-04 05:06:07 CET",
        "2026-03-04T05:06:07Z to 2026-03-05T05:06:07Z",
        "2026-03-04T05:06:07 related",
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "12345",
        "9999999999999999999",
        "2026-03-04T25:06:07Z",
    ],
)
def test_what_is_not_one_moment_is_no_time(text: str) -> None:
    """A day, a clock, a date of a country, a zone of several offsets or of other days, a placeholder: none is."""
    assert clue_times.read(text, own=True) is None


def test_a_month_and_a_day_that_can_be_distinguished() -> None:
    """No month is the fourteenth, so this date is of one country only."""
    when = clue_times.read("3/14/2026 5:06:07 PM", own=False)
    assert when is not None
    assert when.start == devices.moment("2026-03-14T17:06:07Z")


@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("", AT),
        ("UTC", AT),
        ("+01:00", AT - 60 * MINUTE),
        ("-0530", AT + 330 * MINUTE),
        ("GMT+2", AT - 120 * MINUTE),
        ("Europe/Berlin", AT - 60 * MINUTE),
        ("CST", None),
        ("CET", AT - 60 * MINUTE),
        ("CEST", None),
        ("Nowhere/Land", None),
        ("../x", None),
    ],
)
def test_a_zone_counts_where_a_time_names_none(zone: str, at: int | None) -> None:
    """An offset or a place is a zone; an abbreviation that several zones have leaves the time unknown."""
    when = clue_times.read("2026-03-04 05:06:07", own=False, zone=zone)
    assert (when.start if when else None) == at
    named = clue_times.read("2026-03-04T05:06:07Z", own=False, zone=zone)
    assert named is not None
    assert named.start == AT


def test_a_time_of_minutes_is_as_exact_as_that() -> None:
    """Without seconds, any second of the minute is meant."""
    when = clue_times.read("2026-03-04 05:06Z", own=False)
    assert when is not None
    assert when.apart(AT) == 0
    assert when.step == MINUTE


@given(st.integers(946_684_800 * SECOND, 4_102_444_799 * SECOND))
def test_every_moment_is_read_as_it_was_written(ticks: int) -> None:
    """Seconds, ISO text and Windows' own count of one moment are the same time, to the last digit."""
    seconds, rest = divmod(ticks, SECOND)
    iso = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:07}Z"
    for text in (iso, f"{seconds}.{rest:07}", f"{seconds}{rest:07}00", str(ticks + 11_644_473_600 * SECOND)):
        when = clue_times.read(text, own=True)
        assert when is not None
        assert (when.start, when.step) == (ticks, 1)


@given(st.text(max_size=70) | st.from_regex(r"[0-9/.:T Z+-]{8,40}", fullmatch=True))
def test_any_text_can_be_read(text: str) -> None:
    """No text raises."""
    clue_times.read(text, own=False, zone=text)
