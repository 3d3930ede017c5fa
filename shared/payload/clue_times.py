"""Reads a time of a clue in any form that says one moment, with the precision in which it was written."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.payload.clues import SECOND, When

_DIGITS = 7
_MINUTE = 60 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = (946_684_800, 4_102_444_800)  # 2000 to 2100: their units never overlap
_FILETIME = 11_644_473_600  # seconds from 1601 to 1970
_DOTNET = 62_135_596_800  # seconds from 0001 to 1970
_NUMBER = re.compile(r"(\d{9,19})(?:\.(\d{1,9}))?", re.ASCII)
_DATE = re.compile(r"\\?/Date\((\d{12,13})(?:[+-]\d{4})?\)\\?/", re.ASCII)
_CLOCK = r"(?P<clock>\d\d?:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?(?: ?(?P<half>[AaPp][Mm]))?"
_ZONE = r"(?: ?(?:\((?:UTC|GMT)\)|(?P<zone>Z|z|UTC|GMT|CES?T|[+-]\d\d(?:[:.]?\d\d)?)))?(?: \(UTC\))?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = r"(?P<month>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6})"
_DAY = r"(?P<day>\d\d?)(?:st|nd|rd|th)?"
_WEEK = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? )?"
_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"(?P<year>\d{{4}})(?P<s>[-/])(?P<month>\d\d)(?P=s){_DAY}(?:T| {{1,2}}){_CLOCK}{_ZONE}",
        rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)T?(?P<clock>\d{{6}})(?:[.,](?P<fraction>\d{{1,9}}))?{_ZONE}",
        rf"{_WEEK}{_DAY}[ -]{_NAMED}[ -](?P<year>\d{{4}}),? {_CLOCK}{_ZONE}",
        rf"{_WEEK}{_NAMED} {{1,2}}{_DAY},? (?P<year>\d{{4}}),?(?: @| at)? {_CLOCK}{_ZONE}",
        rf"{_WEEK}{_NAMED} {{1,2}}{_DAY},? {_CLOCK}{_ZONE} (?P<year>\d{{4}})(?: (?P<behind>UTC|GMT))?",
        rf"{_DAY}/{_NAMED}/(?P<year>\d{{4}}):{_CLOCK}{_ZONE}",
        rf"(?P<month>\d\d?)/{_DAY}/(?P<year>\d{{4}}),? {_CLOCK}{_ZONE}",
        rf"{_DAY}\.(?P<month>\d\d?)\.(?P<year>\d{{4}}),? {_CLOCK}{_ZONE}",
    )
)
_FOLLOWED = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\S+(?:Z|[+-]\d\d:\d\d))(?: [A-Za-z]+)+", re.ASCII
)  # in a log line
_CENTRAL = {"CET": 1, "CEST": 2}  # no other zone has these names
_COUNTRY = 6  # index of the form in which a country decides what is day and what is month
_MAX = 60
_MOST_MONTHS = 12


def read(text: str, *, own: bool, zone: str = "") -> When | None:
    """Return a time with its precision, None if it is not one moment. `zone` is that of a time that names none."""
    text = text.strip()
    if len(text) > _MAX:
        return None
    if inner := _DATE.fullmatch(text) or _FOLLOWED.fullmatch(text):
        text = inner[1]
    if number := _NUMBER.fullmatch(text):
        return _from_number(number[1], number[2] or "", own=own) or _written(text, own=own, zone=zone)
    return _written(text, own=own, zone=zone)


def _from_number(whole: str, decimals: str, *, own: bool) -> When | None:
    """Return the time of a number: seconds to nanoseconds since 1970, or ticks as Windows and .NET count them."""
    number = int(whole)
    for power in (0, 3, 6, 9):
        if _YEARS[0] * 10**power <= number < _YEARS[1] * 10**power:
            digits = power + len(decimals)
            ticks = int(whole + decimals) * SECOND // 10**digits
            return When(ticks, ticks, 10 ** (_DIGITS - min(digits, _DIGITS)), own)
    for start in (_FILETIME, _DOTNET):
        if (_YEARS[0] + start) * SECOND <= number < (_YEARS[1] + start) * SECOND:
            ticks = number - start * SECOND
            return When(ticks, ticks, 1, own)
    return None


def _written(text: str, *, own: bool, zone: str) -> When | None:
    for index, form in enumerate(_FORMS):
        if read := form.fullmatch(text):
            parts = read.groupdict()
            if index == _COUNTRY and int(parts["day"]) <= _MOST_MONTHS:
                return None  # 3/4/2026 is in March or in April
            return _from_parts(parts, zone, own=own)
    return None


def _from_parts(parts: dict[str, str | None], zone: str, *, own: bool) -> When | None:
    month = (parts["month"] or "").lower()
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
    clock = (parts["clock"] or "").replace(":", "").zfill(4 if (parts["clock"] or "").count(":") == 1 else 6)
    hour, minute, second = int(clock[:2]), int(clock[2:4]), int(clock[4:] or 0)
    if half := (parts.get("half") or "").lower():
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        moment = datetime(
            int(parts["year"] or 0), number, int(parts["day"] or 0), hour, minute, second, tzinfo=UTC
        )
        moment = _utc(moment, parts["zone"] or parts.get("behind") or zone)
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
    except (ValueError, KeyError, OverflowError, OSError):  # no such time or zone
        return None
    if not _YEARS[0] <= seconds < _YEARS[1]:
        return None
    fraction = (parts["fraction"] or "")[:_DIGITS]
    ticks = seconds * SECOND + int(fraction.ljust(_DIGITS, "0"))
    return When(ticks, ticks, 10 ** (_DIGITS - len(fraction)) if len(clock) > len("hhmm") else _MINUTE, own)


def _utc(moment: datetime, zone: str) -> datetime:
    """Return a moment in UTC that a clock of a zone showed. Raises `ValueError` or `OSError` if there is no such."""
    zone = zone.strip()
    if zone.upper() in ("", "Z", "UTC", "GMT"):
        return moment
    if zone.upper() in _CENTRAL:
        there = moment.replace(tzinfo=ZoneInfo("Europe/Berlin"))
        if there.utcoffset() != timedelta(hours=_CENTRAL[zone.upper()]):
            raise ValueError("is not the zone of that day")  # some write CET the whole year
        return there.astimezone(UTC)
    if offset := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d\d?)[:.]?(\d\d)?", zone, re.ASCII):
        apart = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return moment - apart if offset[1] == "+" else moment + apart
    if "/" not in zone:
        raise ValueError("is no zone of one offset")  # EST is one of America, and one of Australia
    return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
