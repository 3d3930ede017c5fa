"""Which keys of a reference are exact, and which lost digits: a time that was cut, a report id that was rounded."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.alerts import alert
from shared.mapping import references
from shared.payload import names
from shared.payload.digits import is_rounded

MACHINE, TIME, REPORT = names.KEYS

_SECONDS = len("2018-08-03T16:45:21Z")
_SEVEN_DIGITS = len("2018-08-03T16:45:21.7115183Z")


@dataclass(frozen=True, slots=True)
class Exactness:
    """The keys of a reference that are exact, by the API's names, its time in Defender's form, and what it lost.

    `lost` has a sentence for each key that is not exact, if the device id and one of the other two are there. Only a
    time with all seven digits is exact. `whole`: all three are there, and nothing seems lost.
    """

    exact: Mapping[str, str] = field(default_factory=dict)
    time: str = ""
    lost: tuple[str, ...] = ()
    whole: bool = False


def of(values: Mapping[str, object]) -> Exactness:
    """Return which keys of a reference are exact, from values by the API's names."""
    canonical = {
        name: text
        for name in names.KEYS
        if isinstance(value := values.get(name), str) and (text := alert.canonical(name, value))
    }
    time, report = canonical.get(TIME, ""), canonical.get(REPORT, "")
    exact = {MACHINE: canonical[MACHINE]} if MACHINE in canonical else {}
    if len(time) == _SEVEN_DIGITS:
        exact[TIME] = time
    if report and not is_rounded(report):
        exact[REPORT] = report
    lost = (*_of_time(time), *_of_report(values.get(REPORT), report))
    has_two = MACHINE in exact and (time or REPORT in exact)
    return Exactness(exact, time, lost if has_two else (), whole=MACHINE in exact and not lost)


def _of_time(time: str) -> list[str]:
    if not time:
        return ["eventTime: it is missing."]
    if not references.is_short(time):
        return []
    unit = "seconds" if len(time) == _SECONDS else "milliseconds or less"
    return [f"eventTime: {time} was cut to {unit}, unless the event's own ends in zeros."]


def _of_report(value: object, report: str) -> list[str]:
    if not report:
        return [
            f"reportId: {alert.shown(value)} is not an exact number." if value else "reportId: it is missing."
        ]
    if is_rounded(report):
        return [f"reportId: {report} was rounded on the way, as numbers above 2^53 are."]
    return []
