"""The eight fields: what passes untouched, what is converted exactly, and what is refused with its reason."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts import alert
from shared.alerts.alert import Alert
from shared.payload.body import Number

GOOD: dict[str, object] = {
    "machineId": "a823b898bd0e783dad3c4012b9930e03139a06bf",
    "eventTime": "2018-08-03T16:45:21.7115183Z",
    "reportId": "20776",
    "severity": "Low",
    "category": "Exploit",
    "title": "A title",
    "description": "A description",
    "recommendedAction": "An action",
}
FRACTIONS = st.from_regex(r"(\.[0-9]{1,7})?", fullmatch=True)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2099, 1, 1)).map(  # noqa: DTZ001  # naive on purpose
    lambda time: time.replace(microsecond=0)
)


def checked(**values: object) -> Alert:
    """Check a good alert with some values changed; it must pass."""
    result = alert.check(GOOD | values)
    assert result.problems == ()
    assert result.alert is not None
    return result.alert


def problem(**values: object) -> str:
    """Check a good alert with one value changed; it must be refused for that field alone."""
    result = alert.check(GOOD | values)
    assert result.alert is None
    [(field, detail)] = [(problem.field, problem.detail) for problem in result.problems]
    assert [field] == list(values)
    return detail


def note(**values: object) -> str:
    """Check a good alert with some values changed; it must pass with notes."""
    result = alert.check(GOOD | values)
    assert result.alert is not None
    return "\n".join(result.notes)


def test_a_good_alert_passes_untouched() -> None:
    """What Defender would take is sent as it came, in the documented order, without a note."""
    result = alert.check(GOOD)
    assert result.alert is not None
    assert result.alert.body() == GOOD
    assert list(result.alert.body()) == list(alert.FIELDS)
    assert result.notes == ()
    assert Alert.from_body(result.alert.body()) == result.alert


def test_every_problem_is_reported_at_once() -> None:
    """Nothing stops at the first problem: eight bad fields give eight problems, in the order of the fields."""
    for bad in ({}, dict.fromkeys(alert.FIELDS, True), {field: {"a": 1} for field in alert.FIELDS}):
        result = alert.check(bad)
        assert result.alert is None
        assert [problem.field for problem in result.problems] == list(alert.FIELDS)
        assert all("Accepted: " in problem.detail for problem in result.problems)


@pytest.mark.parametrize("field", alert.FIELDS)
@pytest.mark.parametrize("value", [None, "", "  ", [], {}, False, True, ["a"], {"a": 1}])
def test_what_is_no_text_is_refused(field: str, value: object) -> None:
    """Nulls, blanks, booleans, arrays and objects are a problem of that field."""
    assert problem(**{field: value})


@given(st.dictionaries(st.sampled_from(alert.FIELDS), st.text() | st.booleans() | st.text().map(Number)))
def test_any_values_are_an_alert_or_problems(values: dict[str, object]) -> None:
    """Whatever the values, the check ends; what it says can be sent, and what it took it takes again as is."""
    result = alert.check(GOOD | values)
    assert bool(result.problems) != (result.alert is not None)
    for text in (*result.notes, *(problem.detail for problem in result.problems)):
        assert text.encode()
    if result.alert:
        assert json.dumps(result.alert.body(), ensure_ascii=False).encode()
        assert alert.check(result.alert.body()).alert == result.alert


def test_the_id_names_event_and_title_and_nothing_else() -> None:
    """Equal machine, time, report and title give one id of 32 hex digits; other fields do not count."""
    original = checked()
    assert len(original.id) == 32
    assert int(original.id, 16)
    assert (
        checked(severity="High", description="other", recommendedAction="other", category="Malware").id
        == original.id
    )
    others = [
        checked(machineId="b" * 40),
        checked(eventTime="2018-08-03T16:45:21.7115184Z"),
        checked(reportId="20777"),
        checked(title="Another"),
    ]
    assert len({original.id, *(other.id for other in others)}) == 5


def test_the_id_has_no_ambiguous_border() -> None:
    """No two different alerts share an id because one field's end looks like another's start."""
    original, other = checked(), checked()
    shifted = Alert.from_body({**original.body(), "reportId": "20776 A", "title": "title"})
    assert Alert.from_body({**other.body(), "reportId": "20776", "title": "A title"}).id != shifted.id


# ── eventTime ──────────────────────────────────────────────────────────────────────────────────────────────


@given(TIMES, FRACTIONS)
def test_utc_iso_passes_untouched(time: datetime, fraction: str) -> None:
    """UTC ISO 8601 with zero to seven fractional digits is a key and goes through as the text it is."""
    text = f"{time.isoformat()}{fraction}Z"
    assert checked(eventTime=text).event_time == text


@given(
    TIMES,
    FRACTIONS,
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
    st.sampled_from([":", "", "."]),
)
def test_offsets_become_utc_without_losing_a_digit(
    time: datetime, fraction: str, minutes: int, between: str, colon: str
) -> None:
    """+05:30, +0530 and +05.30 are taken off; the fraction stays as it is."""
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02}{colon}{abs(minutes) % 60:02}"
    local = (time + timedelta(minutes=minutes)).isoformat(between)
    result = alert.check(GOOD | {"eventTime": f"{local}{fraction}{zone}"})
    assert result.alert is not None
    assert result.alert.event_time == f"{time.isoformat()}{fraction}Z"
    assert result.notes[0].startswith("eventTime: ")


@given(TIMES.filter(lambda time: time.year >= 2000), st.integers(0, 9_999_999), st.booleans())
def test_epochs_are_converted_exactly(time: datetime, ticks: int, as_number: bool) -> None:
    """Seconds, ms, µs and ns since 1970, as number or text, give the same time to the last digit."""
    seconds = int(time.replace(tzinfo=UTC).timestamp())
    total = seconds * 10**7 + ticks
    fraction = f".{ticks:07}".rstrip("0").rstrip(".")
    for power in (0, 3, 6, 9):
        whole, rest = divmod(total * 100, 10 ** (9 - power))
        written = f"{whole}.{rest:0{9 - power}}" if rest else str(whole)
        value = Number(written) if as_number else written
        assert checked(eventTime=value).event_time == f"{time.isoformat()}{fraction}Z"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2018-08-03 16:45:21.7115183", "2018-08-03T16:45:21.7115183Z"),
        ("2018-08-03T16:45:21.7115183+00:00", "2018-08-03T16:45:21.7115183Z"),
        ("2025-04-11 20:51:04.058183200", "2025-04-11T20:51:04.0581832Z"),
        ("2025-02-04T21:41:42.853014+01.00", "2025-02-04T20:41:42.853014Z"),
        ("2023-03-10 04:47:22.632009+00:00", "2023-03-10T04:47:22.632009Z"),
        ("2025-02-10T11:50:16.000+05:30", "2025-02-10T06:20:16.000Z"),
        ("2021-10-13T09:51:03,157-07", "2021-10-13T16:51:03.157Z"),
        ("2021-12-31T23:30:00.5-0100", "2022-01-01T00:30:00.5Z"),
        ("2018-08-03t16:45:21z", "2018-08-03T16:45:21Z"),
        ("2018-08-03 16:45:21 UTC", "2018-08-03T16:45:21Z"),
        (" 2018-08-03T16:45:21Z ", "2018-08-03T16:45:21Z"),
        (Number("1.657198004612E12"), "2022-07-07T12:46:44.612Z"),
        (Number("1657198004.6123456"), "2022-07-07T12:46:44.6123456Z"),
    ],
)
def test_other_forms_of_time(written: str, sent: str) -> None:
    """Forms that real products print, and what Defender gets."""
    assert checked(eventTime=written).event_time == sent


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2025-04-11T20:51:04.058183201Z", "9 fractional digits"),
        (Number("1657198004612345601"), "finer than 100 ns"),
        ("2018-02-30T00:00:00Z", "that does not exist"),
        ("2018-08-03T24:00:00Z", "that does not exist"),
        ("2018-08-03T16:45:60Z", "that does not exist"),
        ("0001-01-01T00:00:00Z", "no time"),
        ("0001-01-01T00:00:01+05:00", "that does not exist"),
        ("2018-08-03T16:45:21+99:00", "offset"),
        ("8/3/2018 4:45:21 PM", "PowerShell"),
        ("07/18/2026 14:55:51", "without the fraction"),
        ("18.07.2026 14:55:51", "PowerShell"),
        ("2026/07/18 14:55:51", "PowerShell"),
        ("Jul 18, 2026 2:55:51 PM", "written for people"),
        ("Saturday, July 18, 2026 2:55:51 PM", "written for people"),
        ("Sat, 18 Jul 2026 14:55:51 GMT", "written for people"),
        ("18 Jul 2026 14:55:51", "written for people"),
        ("@{value=07/18/2026 14:55:51; DateTime=Saturday, July 18, 2026 2:55:51 PM}", "tostring(Timestamp)"),
        ("/Date(-62135596800000)/", "no time"),
        ("/Date(1784386551)/", "between the years"),
        ("/Date(1784386551581x)/", "cannot be read as an exact time"),
        ("2018-08-03", "cannot be read as an exact time"),
        ("2018-08-03T16:45Z", "cannot be read as an exact time"),
        ("٢٠١٨-08-03T16:45:21Z", "cannot be read as an exact time"),
        ("2018-08-03T16:45:21Z\n2018", "cannot be read as an exact time"),
        (Number("20776"), "between the years 2000 and 2100"),
        (Number("639199803770463714"), "between the years 2000 and 2100"),
        ("none", "cannot be read as an exact time"),
    ],
)
def test_times_that_are_no_exact_time_are_refused(written: str, expected: str) -> None:
    """What would have to be guessed, or does not exist, is refused with the reason."""
    assert expected in problem(eventTime=written)


def test_a_time_without_a_zone_is_utc_with_a_note() -> None:
    """Defender's own times are UTC; a copy that lost the Z is taken as such, and that is said."""
    assert "read as UTC" in note(eventTime="2018-08-03T16:45:21.7115183")


@pytest.mark.parametrize(
    ("written", "truncated"),
    [
        (Number("1657198004"), True),
        ("1657198004612", True),
        ("1657198004.612", True),
        ("1657198004612.5", False),
        ("1657198004612345", False),
        ("2018-08-03T16:45:21Z", False),
        ("2018-08-03T16:45:21.711Z", False),
    ],
)
def test_epoch_seconds_and_milliseconds_count_as_truncated(written: str, truncated: bool) -> None:
    """Epochs of a millisecond or coarser were printed by somebody who cut; ISO text may be Defender's own."""
    result = alert.check(GOOD | {"eventTime": written})
    assert result.alert is not None
    assert result.time_truncated is truncated


@pytest.mark.parametrize(
    "written",
    [
        *("/Date(1784386551581)/", "/Date(1784386551581+0200)/", "/Date(1784386551581-0700)/"),
        *(
            "\\/Date(1784386551581)\\/",
            "Date(1784386551581)",
            "new Date(1784386551581)",
            " /Date(1784386551581)/ ",
        ),
    ],
)
def test_a_date_of_dotnet_is_cut_to_milliseconds(written: str) -> None:
    """Its number is UTC whatever offset stands behind it; the problem says what cut it, and how to send it."""
    result = alert.check(GOOD | {"eventTime": written})
    assert result.alert is not None
    assert result.alert.event_time == "2026-07-18T14:55:51.581Z"
    assert result.time_truncated
    assert ".NET and PowerShell cut it to milliseconds" in result.notes[0]
    assert "ToString('o')" in result.notes[0]


def test_a_date_object_is_explained() -> None:
    """What ConvertTo-Json makes of a date of PowerShell 5.1 is no text, and the problem says what it is."""
    dated = {
        "value": "/Date(1784386551581)/",
        "DisplayHint": 2,
        "DateTime": "Saturday, July 18, 2026 2:55:51 PM",
    }
    assert "date object of PowerShell" in problem(eventTime=dated)
    assert "an object is not text" in problem(machineId=dated)
    assert "an object is not text" in problem(eventTime={"value": "x"})


NOW = datetime(2026, 7, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(days=30, minutes=1), "is 30 days ago, but Defender finds events of the last 30 days only"),
        (timedelta(days=2_000), "is 2,000 days ago"),
        (timedelta(days=30), None),
        (timedelta(), None),
        (-timedelta(minutes=10), None),
        (-timedelta(minutes=11), "is 11 minutes in the future"),
        (-timedelta(hours=5), "is 5 hours in the future"),
    ],
)
def test_a_time_that_defender_cannot_find_gets_a_note(ago: timedelta, expected: str | None) -> None:
    """Older than 30 days or more than 10 minutes ahead; it is sent all the same, for the clock may be ours."""
    time = (NOW - ago).isoformat()[:19] + ".1234567Z"
    for values in (GOOD, GOOD | {"title": None}):
        notes = alert.check(values | {"eventTime": time}, now=NOW.timestamp()).notes
        assert [
            note for note in notes if expected is None or f"eventTime: {time} {expected}" not in note
        ] == []
        assert bool(notes) is (expected is not None)
    assert alert.check(GOOD | {"eventTime": time}).notes == ()


# ── what nobody can see or fill ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("field", ["machineId", "eventTime", "reportId"])
@pytest.mark.parametrize("character", [*"\u200b\ufeff\u00a0\u202e\u2060\u00ad"])
def test_a_key_loses_what_nobody_can_see_at_its_ends(field: str, character: str) -> None:
    """Zero-width spaces, BOMs and their like come along when a value is copied: they go, with a note."""
    values = {field: f"{character}{GOOD[field]}{character}"}
    assert checked(**values).body() == GOOD
    assert alert.canonical(field, values[field]) == GOOD[field]
    assert f"{field}: removed an invisible character: U+{ord(character):04X}" in note(**values)
    assert alert.check(GOOD | {field: f" {GOOD[field]}\n"}).notes == ()


@pytest.mark.parametrize("field", ["machineId", "eventTime", "reportId"])
def test_a_key_with_an_invisible_character_inside_is_refused_by_name(field: str) -> None:
    """Inside, it may stand for something that is lost: the problem names it, and shows it as an escape."""
    good = str(GOOD[field])
    detail = problem(**{field: f"{good[:2]}\u200b{good[2:]}"})
    assert "an invisible character: U+200B (zero width space)" in detail
    assert "\\u200b" in detail
    assert "\u200b" not in detail


@pytest.mark.parametrize("field", ["machineId", "eventTime", "reportId", "severity"])
@pytest.mark.parametrize(
    "written", ["{{event.id}}", "$result.id$", "${id}", "%(id)s", "<id>", "[[id]]", "#{id}", "{id}"]
)
def test_an_unfilled_placeholder_is_reported_as_one(field: str, written: str) -> None:
    """A key or severity that is a placeholder is refused as what it is."""
    assert "a placeholder that the sender did not fill" in problem(**{field: written})


# ── reportId ───────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 2**63 - 1), st.sampled_from([str, Number]))
def test_report_ids_are_exact(number: int, kind: type[str]) -> None:
    """Every 64-bit number goes through digit by digit, as number or as text."""
    assert checked(reportId=kind(number)).report_id == str(number)


@given(st.integers(1, 2**63 - 1), st.integers(0, 25))
def test_exponents_and_decimals_are_exact_or_refused(number: int, power: int) -> None:
    """A whole number in another notation becomes its digits, with a note that shows both.

    Above 2^53 only if all of them are written: what is short of some was rounded.
    """
    written = f"{Decimal(number).scaleb(-power):E}".replace("E+0", "") if power else f"{number}.0"
    written = f"{number / Decimal(10) ** power:f}E+{power}" if power else written
    result = alert.check(GOOD | {"reportId": Number(written)})
    # A spreadsheet writes E+ after it cut the digits off: of 41,827 it keeps 4.18E+04, which is another event.
    if (number > 2**53 or "e+" in written.lower()) and len(Decimal(written).as_tuple().digits) < len(
        str(number)
    ):
        assert result.alert is None
        assert "last digits are lost" in result.problems[0].detail
        return
    assert result.alert is not None
    assert result.alert.report_id == str(number)
    assert f"{written} became {number}" in "\n".join(result.notes)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("20776.0", "20776"),
        ("1.2345E10", "12345000000"),
        ("2.0776E+04", "20776"),
        ("0020776", "20776"),
        ("0", "0"),
    ],
)
def test_forms_of_report_ids(written: str, sent: str) -> None:
    """Forms that SIEM exports have, and what Defender gets."""
    assert checked(reportId=written).report_id == sent


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1.5", "not a whole number"),
        ("4.18E+04", "last digits are lost"),
        ("1E-5", "not a whole number"),
        ("-1", "negative"),
        (str(2**63), "64-bit"),
        ("1e99", "64-bit"),
        ("1e999999999", "not a whole number"),
        ("9" * 1000, "not a whole number"),
        ("20,776", "not a whole number"),
        ("0x10", "not a whole number"),
        ("٢٠", "not a whole number"),
        ("NaN", "not a whole number"),
        ("True", "not a whole number"),
        ("9b2f7f3e-6b1c-4d6e-8f5a-0c1d2e3f4a5b", "email"),
        ("9b2f7f3e-6b1c-4d6e-8f5a-0c1d2e3f4a5b-1-2", "not a whole number"),
    ],
)
def test_report_ids_that_are_no_report_id_are_refused(written: str, expected: str) -> None:
    """What is no 64-bit whole number is refused, never rounded."""
    assert expected in problem(reportId=written)


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        (20776, False),
        (2**53, False),
        (9007199254740993, False),
        (9007199254740994, True),
        (639199803770463714, False),
        (639199803770463700, True),
    ],
)
def test_a_rounded_report_id_is_noted(number: int, rounded: bool) -> None:
    """Above 2^53, a number that is equal to its own shortest floating-point text was probably rounded."""
    assert ("probably rounded on the way" in note(reportId=Number(number))) is rounded


# ── machineId ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_device_id_in_capitals_is_lowered_with_a_note() -> None:
    """Defender's device ids are lower-case; capitals are a SIEM's doing."""
    assert checked(machineId="A823B898BD0E783DAD3C4012B9930E03139A06BF").machine_id == GOOD["machineId"]
    assert "small letters" in note(machineId="A823B898BD0E783DAD3C4012B9930E03139A06BF")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("4fa5dd22-930c-5893-8805-e82ef7775c64", "Entra"),
        ("{4FA5DD22-930C-5893-8805-E82EF7775C64}", "Entra"),
        ("0123456789abcdef0123456789abcdef", "another product"),
        ("a" * 64, "64 hex digits"),
        ("DESKTOP-1", "not the device id"),
        ("a" * 39 + "g", "not the device id"),
        (Number("1"), "1 hex digits"),
    ],
)
def test_device_ids_of_others_are_explained(written: str, expected: str) -> None:
    """An id of Entra or of another product is refused with what it is."""
    assert expected in problem(machineId=written)


# ── severity and category ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "sent", "noted"),
    [
        ("High", "High", False),
        ("hIGH", "High", False),
        ("moderate", "Medium", True),
        ("Informational", "Low", True),
        ("critical", "High", True),
        ("Very High", "High", True),
        ("Sev2", "Medium", True),
    ],
)
def test_severities(written: str, sent: str, noted: bool) -> None:
    """Words in any case and spacing become one of three; a note says if it was another word."""
    assert checked(severity=written).severity == sent
    assert bool(note(severity=written)) is noted


@pytest.mark.parametrize("written", ["7", "7.5", "weird", "high" + " " * 200 + "x", "-1"])
def test_unknown_severities_are_refused(written: str) -> None:
    """A number on no known scale and a word nobody knows are reported, with the three that are accepted."""
    assert "Low, Medium, High" in problem(severity=written)


@pytest.mark.parametrize("category", alert.CATEGORIES)
def test_categories_by_name(category: str) -> None:
    """Defender's own names pass, in any case and spacing."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in category).strip()
    for written in (category, spaced, spaced.lower(), spaced.replace(" ", "_"), category.upper()):
        assert checked(category=written).category == category


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("command & control", "CommandAndControl"),
        ("TA0006", "CredentialAccess"),
        ("Unheard, Initial Access", "InitialAccess"),
        ("Impact", "SuspiciousActivity"),
        ("credential theft", "CredentialAccess"),
    ],
)
def test_other_categories(written: str, sent: str) -> None:
    """Tactics and other words find their equal; without one it is SuspiciousActivity. A note says so."""
    assert checked(category=written).category == sent
    assert f"became {sent}" in note(category=written)


# ── texts ──────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.sampled_from(list(alert.MAX_LENGTHS)), st.text(min_size=200, max_size=500), st.integers(1, 30))
def test_long_texts_are_cut_to_fit(field: str, text: str, times: int) -> None:
    """A text never exceeds its limit in UTF-16 units; what was cut ends in an ellipsis and is noted."""
    result = alert.check(GOOD | {field: text * times})
    if result.alert:
        sent = result.alert.body()[field]
        assert 0 < alert.units(sent) <= alert.MAX_LENGTHS[field]
        assert any("cut from" in note for note in result.notes) == sent.endswith("…") or "…" in text


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("  a \t b\r\nc  ", "a b c"),
        ("a\x00b\x1fc\x7fd\x85e", "a b c d e"),
        ("\ufeffa\uffff", "a"),
        ("LSASS \u202ewas\u202c re\u200bad", "LSASS was read"),
        ("\u2066a\u2069\u00ad\u2060b\U000e0041\U000e007f", "ab"),
        ("\U0001f469\u200d\U0001f4bb runs cmd", "\U0001f469\u200d\U0001f4bb runs cmd"),
        ("a\u2028b", "a b"),
        ("a\ud83d", "a\ufffd"),
        (Number("4688"), "4688"),
    ],
)
def test_titles_are_one_clean_line(written: str, sent: str) -> None:
    """A title has no control character, no half character and no line break."""
    assert checked(title=written).title == sent


def test_descriptions_keep_their_lines() -> None:
    """Line breaks of any kind stay as line feeds, tabs stay, control characters go."""
    assert checked(description="\r\na\r\nb\rc\td\x00\u2029e\n").description == "a\nb\nc\td \ne"


@pytest.mark.parametrize("field", ["title", "description", "recommendedAction"])
def test_invisible_characters_leave_a_text_with_a_note(field: str) -> None:
    """What turns the direction of a text, or hides in it, is not sent, and the note names it."""
    assert checked(**{field: "a\u202eb"}).body()[field] == "ab"
    assert "removed an invisible character: U+202E (right-to-left override)" in note(**{field: "a\u202eb"})


@pytest.mark.parametrize("text", ["\x00", "\x07 \ufeff", "\u200b", "\u202e\u00ad\u200d"])
def test_texts_without_a_printable_character_are_refused(text: str) -> None:
    """Control characters alone are no text."""
    assert "no printable character" in problem(title=text)
