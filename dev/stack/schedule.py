"""When a timer function is due: NCRONTAB expressions of six fields, in UTC."""

import itertools
import re
from datetime import UTC, datetime, timedelta

Schedule = tuple[list[int], ...]

_LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))  # second … month, weekday from Sunday
_ITEM = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?")


def parse_schedule(text: str) -> Schedule:
    """Read six fields: each is `*`, `n` or `a-b`, perhaps with `/step`, or a list of these. Raise ValueError."""
    parts = text.split()
    if len(parts) != len(_LIMITS):
        raise ValueError(f"the schedule {text!r} has {len(parts)} fields instead of six")
    fields = []
    for (low, high), part in zip(_LIMITS, parts, strict=True):
        values: set[int] = set()
        for item in part.split(","):
            match = _ITEM.fullmatch(item)
            first, last, step = match.groups() if match else ("-1", None, None)
            start = int(first or low)
            end = int(last) if last else start if first and not step else high
            if not low <= start <= end <= high:
                raise ValueError(f"{item!r} in the schedule {text!r} is not within {low} to {high}")
            values.update(range(start, end + 1, int(step or 1)))
        fields.append(sorted(values))
    return tuple(fields)


def next_time(schedule: Schedule, after: datetime) -> datetime:
    """Return the first moment (UTC) after `after` that fits; both day and weekday must fit."""
    seconds, minutes, hours, days, months, weekdays = schedule
    for date in (after.date() + timedelta(days=n) for n in range(9 * 366)):  # a leap day is within 8 years
        if date.month in months and date.day in days and date.isoweekday() % 7 in weekdays:
            for hour, minute, second in itertools.product(hours, minutes, seconds):
                moment = datetime(date.year, date.month, date.day, hour, minute, second, tzinfo=UTC)
                if moment > after:
                    return moment
    raise ValueError("the schedule never comes")
