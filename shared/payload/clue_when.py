"""When the event of a payload was: its own time, that of a start, from and to, or that of its detection."""

from dataclasses import replace

from shared.alerts.text import shown as written
from shared.payload import clue_times
from shared.payload.clue_readings import Readings, are_beside
from shared.payload.clues import When
from shared.payload.paths import Place, shown

_NO_ZONE = "none/of these"


def read(readings: Readings, *, start: bool) -> When | None:
    """Return the time of the event. `start` says that the event can be the start of a program."""
    return (
        _time(readings, "own_time", own=True)
        or (_time(readings, "process_start", own=True) if start else None)
        or _span(readings)
        or _time(readings, "time")
        or _time(readings, "date")
        or _joined(readings)
    )


def unread(readings: Readings) -> tuple[str, ...]:
    """Return the texts that should be the time and say no moment, or another one, each with its place."""
    texts: dict[str, None] = {}
    for field in ("own_time", "from_time", "time", "date"):
        for reading in readings.of(field):
            zone = _zone(readings, reading.place).replace(_NO_ZONE, "")
            if not clue_times.read(reading.text, own=False, zone=zone):
                where = f"{shown(reading.place)} in the zone {zone}" if zone else shown(reading.place)
                texts[f"{written(reading.text)} at {where}"] = None
    for reading in readings.of("process_start"):
        texts[f"only when a process began, at {shown(reading.place)}"] = None
    return tuple(texts)


def span(readings: Readings) -> When | None:
    """Return the time from the earliest to the latest of several events."""
    for field in ("own_time", "time", "from_time", "date"):
        whens = [
            when
            for reading in readings.of(field)
            if (when := clue_times.read(reading.text, own=False, zone=_zone(readings, reading.place)))
        ]
        if whens:
            first, last = min(whens, key=lambda when: when.start), max(whens, key=lambda when: when.end)
            readings.places["when"] = ", ".join(
                dict.fromkeys(shown(reading.place) for reading in readings.of(field))
            )
            return replace(first, end=last.end, step=max(first.step, last.step))
    return None


def _time(readings: Readings, field: str, *, own: bool = False) -> When | None:
    """Return the time of the best name under which there is one moment; of two spellings the more exact one."""
    by_rank: dict[int, dict[When, Place]] = {}
    for reading in readings.of(field):
        if when := clue_times.read(reading.text, own=own, zone=_zone(readings, reading.place)):
            by_rank.setdefault(reading.rank, {}).setdefault(when, reading.place)
    for _, all_ in sorted(by_rank.items()):
        beside = {when: place for when, place in all_.items() if readings.is_beside(place)}
        moments = all_ if len({when.start for when in all_}) == 1 else beside  # of an alert and of its event
        if len({when.start for when in moments}) == 1:
            when, place = min(moments.items(), key=lambda moment: moment[0].step)
            readings.places["when"] = shown(place)
            return when
    return None


def _zone(readings: Readings, place: Place) -> str:
    """Return the zone of a time that names none: that of the event, or one beside it."""
    zones = {
        reading.text.strip()
        for reading in readings.of("zone")
        if reading.rank == 0 or are_beside(reading.place, place)
    }
    return next(iter(zones)) if len(zones) == 1 else _NO_ZONE if zones else ""


def _span(readings: Readings) -> When | None:
    """Return the time from the first to the last activity; of a first alone that."""
    first = _time(readings, "from_time")
    place = readings.places.get("when", "")
    last = _time(readings, "to_time") if first else None
    if not first or not last or last.start <= first.start:
        readings.places["when"] = place
        return first
    readings.places["when"] = f"{place}, {readings.places['when']}"
    return replace(first, end=last.end, step=max(first.step, last.step))


def _joined(readings: Readings) -> When | None:
    """Return the time whose date and clock stand in two entries of one object."""
    date, clock = readings.best("date"), readings.best("time")
    if not date or not clock or not are_beside(date.place, clock.place):
        return None
    zone = _zone(readings, clock.place)
    when = clue_times.read(f"{date.value} {clock.value}", own=False, zone=zone)
    if when:
        readings.places["when"] = f"{shown(date.place)}, {shown(clock.place)}"
    return when
