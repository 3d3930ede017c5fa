"""The event's time as `CreateAlertByReference` needs it: Defender compares every digit, so none may change.

Advanced hunting writes UTC with zero to seven fractional digits, `2018-08-03T16:45:21.7115183Z`. Such text
is sent unchanged. Other forms are converted with integers, never with a float or a `datetime`'s six
digits, and only where no digit is lost.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from shared.alerts.text import trimmed

ACCEPTED = (
    "UTC ISO 8601 as advanced hunting shows it (2018-08-03T16:45:21.7115183Z, up to seven fractional digits),"
    " the same with an offset, or epoch seconds, milliseconds, microseconds or nanoseconds"
)

_DIGITS = 7
_TICKS = 10**_DIGITS  # Defender's unit: 100 ns
_UTC_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?Z", re.ASCII)
_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[Tt]| {1,2})(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,30}))?"
    r" ?(?P<zone>[Zz]|UTC|GMT|(?P<sign>[+-])(?P<hours>\d\d)(?:[:.]?(?P<minutes>\d\d))?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"\d{1,30}(?:\.\d{0,30})?(?:[eE]\+?\d{1,2})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = (946_684_800, 4_102_444_800)  # 2000 to 2100: their seconds, ms, µs and ns never overlap
_UNITS = (("seconds", 0), ("milliseconds", 3), ("microseconds", 6), ("nanoseconds", 9))
_COARSE = 10**4  # ticks in a millisecond
_DOTNET = re.compile(r"(?:new )?\\?/?Date\((-?\d{1,18})(?:[+-]\d{4})?\)\\?/?", re.ASCII)
_LOCAL = re.compile(
    r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4},?\s+\d{1,2}:\d\d.*|\d{4}/\d\d?/\d\d?\s.*", re.ASCII | re.DOTALL
)
_SPOKEN = re.compile(
    r"(?=.*\d:\d\d)[A-Za-z]{3,9}\.?,? .*|\d{1,2} [A-Za-z]{3,9}\.? \d{4}.*", re.ASCII | re.DOTALL
)
_EXACTLY = (
    "Send it as text with all its digits: tostring(Timestamp) in KQL,"
    " (Get-Date $time).ToString('o') in PowerShell"
)
POWERSHELL = f"is a date object of PowerShell, in which the time is cut. {_EXACTLY}"
"""Why a date object cannot be read."""
_FINDABLE_DAYS = 30
_AHEAD_SECONDS = 600


@dataclass(frozen=True, slots=True)
class EventTime:
    """A time in Defender's form. `note` says how it was converted; `truncated`: it certainly lost digits before."""

    text: str
    note: str | None = None
    truncated: bool = False


def read(value: str) -> EventTime:
    """Return the time in Defender's form. Raise `ValueError` with the reason if there is no exact one."""
    text, _ = trimmed(value)
    if _NUMBER.fullmatch(text):
        return _from_epoch(text)
    if dotnet := _DOTNET.fullmatch(text):
        return _from_dotnet(text, dotnet[1])
    match = _ISO.fullmatch(text)
    if not match:
        raise ValueError(_unread(text))
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{match['clock']}")
    except ValueError:
        raise ValueError("is a date or time that does not exist") from None
    if moment == datetime.min:  # noqa: DTZ901  # compared with a time that is naive too
        raise ValueError("is a placeholder for 'no time'")
    if _UTC_ISO.fullmatch(text):
        return EventTime(text)
    fraction, cut = _seven(match["fraction"] or "")
    try:
        moment -= _offset(match)
    except OverflowError:
        raise ValueError("is a date or time that does not exist") from None
    result = moment.isoformat() + (f".{fraction}" if fraction else "") + "Z"
    zone = "" if match["zone"] else ", read as UTC because it has no time zone"
    return EventTime(result, f"{text} became {result}{cut}{zone}")


def unfindable(text: str, now: float) -> str | None:
    """Return why Defender cannot find an event of this time, in its form, at `now` (UTC seconds), or None."""
    age = now - datetime.fromisoformat(text[:19] + "Z").timestamp()
    if age > _FINDABLE_DAYS * 86_400:
        return (
            f"is {age / 86_400:,.0f} days ago, but Defender finds events of the last {_FINDABLE_DAYS} days only:"
            " check that it is the event's own time"
        )
    if age < -_AHEAD_SECONDS:
        minutes = -age / 60
        ahead = f"{minutes:,.0f} minutes" if minutes < 120 else f"{minutes / 60:,.0f} hours"  # noqa: PLR2004
        return f"is {ahead} in the future, so Defender has no such event yet: check that it is UTC, and the clock"
    return None


def _unread(text: str) -> str:
    """Return why a text cannot be read as a time."""
    if text.startswith("@{"):
        return POWERSHELL
    if _LOCAL.fullmatch(text):
        return (
            "cannot be read as an exact time: .NET, PowerShell and spreadsheets write it in this form, with day and"
            f" month in a local order and without the fraction. {_EXACTLY}"
        )
    if _SPOKEN.fullmatch(text):
        return f"cannot be read as an exact time: it is written for people, without the fraction. {_EXACTLY}"
    return "cannot be read as an exact time"


def _from_dotnet(text: str, milliseconds: str) -> EventTime:
    """Return the time of `/Date(1784386551581)/`; an offset after it only says where it was printed."""
    if milliseconds.startswith("-"):
        raise ValueError("is a placeholder for 'no time'")
    if len(milliseconds) not in (12, 13):
        raise ValueError("is no date of .NET between the years 2000 and 2100")
    converted = _from_epoch(milliseconds)
    note = f"{text} became {converted.text}; .NET and PowerShell cut it to milliseconds. {_EXACTLY}"
    return EventTime(converted.text, note, truncated=True)


def _offset(match: re.Match[str]) -> timedelta:
    if not match["sign"]:
        return timedelta()
    hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
    if hours > 18 or minutes > 59:  # noqa: PLR2004  # ISO 8601; no zone is further from UTC
        raise ValueError("has an offset from UTC that does not exist")
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if match["sign"] == "+" else -offset


def _seven(fraction: str) -> tuple[str, str]:
    digits, further = fraction[:_DIGITS], fraction[_DIGITS:]
    if further.strip("0"):
        raise ValueError(
            f"has {len(fraction)} fractional digits; Defender keeps {_DIGITS} and the others are not zero,"
            " so this is not the time of the event as advanced hunting shows it"
        )
    return digits, f" ({len(further)} zeros cut)" if further else ""


def _from_epoch(text: str) -> EventTime:
    number = Decimal(text)
    for unit, power in _UNITS:
        scale = 10**power
        if not _YEARS[0] * scale <= number < _YEARS[1] * scale:
            continue
        ticks = _whole(number, _DIGITS - power)
        if ticks is None:
            raise ValueError(
                f"is epoch {unit} finer than 100 ns; Defender keeps {_DIGITS} fractional digits, so this is"
                " not the time of the event as advanced hunting shows it"
            )
        seconds, remainder = divmod(ticks, _TICKS)
        fraction = f"{remainder:0{_DIGITS}}".rstrip("0")
        moment = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
        result = moment + (f".{fraction}" if fraction else "") + "Z"
        note = f"{text} (epoch {unit}) became {result}"
        coarse = power <= 3 and remainder % _COARSE == 0  # noqa: PLR2004  # milliseconds
        if coarse:
            note += f"; Defender's times have up to {_DIGITS} fractional digits, this one was probably cut"
        return EventTime(result, note, truncated=coarse)
    raise ValueError("is a number, but not an epoch time between the years 2000 and 2100")


def _whole(number: Decimal, power: int) -> int | None:
    """Return a number that is not negative, times ten to a power, or None if that is not a whole number."""
    _, digits, exponent = number.as_tuple()
    shift = int(exponent) + power
    whole = int("".join(map(str, digits)))
    if shift >= 0:
        return whole * int(10**shift)
    whole, remainder = divmod(whole, int(10**-shift))
    return None if remainder else whole


def utc(seconds: float | None) -> str | None:
    """Return a time (UTC seconds) as ISO 8601 with whole seconds, rounded up."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(math.ceil(seconds), UTC).isoformat().replace("+00:00", "Z")
