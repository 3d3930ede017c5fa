"""Keys near an event that belong to something else. Each function removes them, and returns them."""

from collections.abc import Sequence

from shared.payload import names
from shared.payload.grouping import MACHINE, REPORT, TIME, Finding, Group
from shared.payload.paths import Place


def dotted_times(own: Group) -> list[Finding]:
    """Remove the times whose dotted keys belong to another object than those of the report id."""
    reports = {_prefix(finding.place) for finding in own.keys.get(REPORT, {}).values()}
    times = own.keys.get(TIME, {}) if reports else {}
    removed = {text: finding for text, finding in times.items() if _prefix(finding.place) not in reports}
    for text in removed:
        del times[text]
    if removed and not times:
        del own.keys[TIME]
    return list(removed.values())


def times(own: Group | None, groups: Sequence[Group]) -> list[tuple[str, Finding]]:
    """Remove the times around and beside an event that has none, each with its canonical text.

    If the event lacks only its time, these are all times outside of another bag of the same alert; otherwise those
    under the name that every product uses for times.
    """
    removed: list[tuple[str, Finding]] = []
    timeless = [group for group in groups if group.event and TIME not in group.keys]
    whole = [group for group in timeless if MACHINE in group.keys]
    for group in groups if timeless else ():
        if group.event or TIME not in group.keys:
            continue
        if group.bag and group is not own and all(other.bag for other in timeless):
            continue
        for text, finding in group.keys.pop(TIME).items():
            if whole or (finding.place and names.is_anybodys(str(finding.place[1]))):
                removed.append((text, finding))
            else:
                group.add(TIME, {text: finding})
    return removed


def devices(own: Group, groups: Sequence[Group]) -> list[Finding]:
    """Remove device ids that do not belong to the event's device, if an event beside them has none."""
    if not any(group.event and MACHINE not in group.keys for group in groups):
        return []
    others = [group for group in groups if group is not own and not group.event and not group.lends]
    return [finding for group in others for finding in group.keys.pop(MACHINE, {}).values()]


def _prefix(place: Place) -> str:
    """Return the path in a dotted key: `event` of `event.Timestamp`."""
    return str(place[1]).rpartition(".")[0] if place else ""
