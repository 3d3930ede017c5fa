"""Grouping: which findings of a payload belong to one event. Nothing is guessed.

an event     is what stands around one report id; if elements of an array have one each, each is an event, and all
             share what stands outside of the array
agreement    equal values are one; of a time and its truncated copy, or a report id and its rounded one, the exact
             one is used
own time     a time outside of an event that has its own is the envelope's, unless its name is Timestamp
conflict     any other difference is reported, with both places
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.alerts import alert
from shared.payload import digits, names
from shared.payload.paths import Place, shown

MACHINE, TIME, REPORT = names.KEYS

_MOST = 50  # different values of one key that are compared; two are a conflict
_MAX_TEXTS = 8  # texts of one field of one event
_MAX_SHOWN = 3
_SECONDS = len("2018-08-03T16:45:21")


@dataclass(frozen=True, slots=True)
class Finding:
    """A value under a known name. `own`: it is the name that Defender itself uses."""

    value: str
    place: Place
    own: bool = False


Text = tuple[int, int, str, Place]
"""A text of a field: the rank of its name (0 is the most telling), how far outside it stands, itself, its place."""


@dataclass(slots=True)
class Group:
    """Findings that belong together: values of the keys by their canonical form, and texts with their rank.

    `wrong` are values that cannot be a key's; `row` is the object in which the report id stands, `around` the objects
    around it, from the outside. `bag`: it is an object of labels or custom fields; `lends`: its device may be that
    of an event beside it; `quoted`: it is of a sentence, which may quote anybody. The order of keys does not matter.
    """

    keys: dict[str, dict[str, Finding]] = field(default_factory=dict)
    wrong: dict[str, Finding] = field(default_factory=dict)
    texts: dict[str, list[Text]] = field(default_factory=dict)
    row: dict[str, Any] = field(default_factory=dict)
    around: tuple[Any, ...] = ()
    bag: bool = False
    lends: bool = True
    quoted: bool = False

    def add(self, name: str, values: Mapping[str, Finding]) -> None:
        """Add values of a key; equal ones are one."""
        mine = self.keys.setdefault(name, {})
        for text, finding in values.items():
            if text in mine:
                mine[text] = _nearer(mine[text], finding)
            elif len(mine) < _MOST:
                mine[text] = finding

    def reject(self, name: str, finding: Finding) -> None:
        """Note a value that the key cannot have."""
        self.wrong[name] = _nearer(self.wrong.get(name, finding), finding)

    def add_texts(self, name: str, texts: Iterable[Text]) -> None:
        """Add texts of a field."""
        mine = self.texts.setdefault(name, [])
        mine += texts
        if len(mine) > _MAX_TEXTS:
            mine[:] = sorted(mine, key=order)[:_MAX_TEXTS]

    def prefer_own_times(self) -> None:
        """Drop the times under other names, if there is one under Defender's own."""
        times = self.keys.get(TIME, {})
        if any(finding.own for finding in times.values()):
            self.keys[TIME] = {text: finding for text, finding in times.items() if finding.own}

    @property
    def event(self) -> tuple[frozenset[str], frozenset[str]] | None:
        """The identity of the event; None without a report id."""
        reports = self.keys.get(REPORT)
        return (frozenset(reports), frozenset(self.keys.get(MACHINE, ()))) if reports else None

    @property
    def complete(self) -> bool:
        """Say whether it has each of the three keys."""
        return self.values().keys() >= set(names.KEYS) and not self.wrong

    def values(self) -> dict[str, Finding]:
        """Return the value of each key that has exactly one (see `differ`); without a report id, no time."""
        findings: dict[str, Finding] = {}
        for name in names.KEYS:
            values = self.exact(name)
            if name == TIME and REPORT not in self.keys and REPORT not in self.wrong:
                values = {text: finding for text, finding in values.items() if self._beside_device(finding)}
            if len(values) == 1:
                findings[name] = next(iter(values.values()))
            elif not values and name in self.wrong:
                findings[name] = self.wrong[name]
        return findings

    def _beside_device(self, time: Finding) -> bool:
        """Say whether a time stands in the object with the device id, under Defender's own name."""
        beside = {finding.place and finding.place[0] for finding in self.keys.get(MACHINE, {}).values()}
        return time.own and (not beside or (time.place and time.place[0]) in beside)

    def differ(self) -> dict[str, str]:
        """Return a sentence for each key that has several values, with their places."""
        sentences: dict[str, str] = {}
        for name in names.KEYS:
            values = self.exact(name)
            if len(values) > 1 and (name != TIME or self.event):
                places = sorted(
                    (shown(finding.place), alert.shown(finding.value)) for finding in values.values()
                )
                pieces = "; ".join(f"{value} at {place}" for place, value in places[:_MAX_SHOWN])
                sentences[name] = f"has different values: {pieces}."
        return sentences

    def exact(self, name: str) -> Mapping[str, Finding]:
        """Return the values of a key without the copies that lost digits."""
        values = self.keys.get(name, {})
        if len(values) < 2:  # noqa: PLR2004  # nothing to compare
            return values
        return {
            text: finding
            for text, finding in values.items()
            if not any(digits.lost(name, text, other) for other in values)
        }


def of_array(groups: Sequence[Group], spend: Callable[[int], None]) -> list[Group]:
    """Return the groups of an array: one for each event, with the findings of the other elements."""
    events: dict[Any, Group] = {}
    alike: dict[Any, Any] = {}
    others: list[Group] = []
    for group in groups:
        if not (event := group.event):
            others.append(group)
            continue
        times = frozenset(group.keys.get(TIME, ()))
        first = alike.setdefault((event, frozenset(time[:_SECONDS] for time in times)), (event, times))
        if first in events and all(
            any(digits.alike(time, other) for other in first[1]) for time in times - first[1]
        ):
            events[first] = _merged([events[first], group], spend) if times - first[1] else events[first]
        else:
            events.setdefault((event, times), group)
    return _as_told(shared(list(events.values()), others, spend), groups)


def of_object(entries: Sequence[list[Group]], spend: Callable[[int], None]) -> list[Group]:
    """Return the groups of an object's entries. Different events in two entries conflict."""
    joined: list[Group] = []
    others: list[Group] = []
    for groups in entries:
        if not groups or not groups[0].event:
            others += groups
        else:
            joined = _matched(joined, groups, spend) if joined else groups
    return _as_told(shared(joined, others, spend), [group for groups in entries for group in groups])


def _as_told(joined: list[Group], of: Sequence[Group]) -> list[Group]:
    """Return joined groups, marked as quoted if all are that their keys are of."""
    with_keys = [group.quoted for group in of if group.keys or group.wrong]
    if with_keys and all(with_keys):
        for group in joined:
            group.quoted = True
    return joined


def without_quoted(entries: list[list[Group]]) -> list[list[Group]]:
    """Return groups without the keys that only a sentence gives, where an event is whole without it."""
    each = [group for groups in entries for group in groups]
    if not any(group.quoted for group in each) or not any(
        group.complete for group in each if not group.quoted
    ):
        return entries
    return [[Group(texts=group.texts) if group.quoted else group for group in groups] for groups in entries]


def shared(events: list[Group], others: Sequence[Group], spend: Callable[[int], None]) -> list[Group]:
    """Return events with the findings outside of them, if they lack these or differ from them."""
    if not others:
        return events
    outer = _merged(others, spend)
    if not events:
        return [outer]
    differ = {name: _differing(name, values, events) for name, values in outer.keys.items()}
    spend(len(events) * (1 + sum(map(len, outer.keys.values()))))
    return [_completed(group, outer, differ) for group in events]


def complete(group: Group, others: Sequence[Group], spend: Callable[[int], None]) -> list[Group]:
    """Return a group with the findings outside of it, whether it is an event or not."""
    if not others:
        return [group]
    outer = _merged(others, spend)
    return [
        _completed(
            group, outer, {name: _differing(name, values, [group]) for name, values in outer.keys.items()}
        )
    ]


def order(text: Text) -> tuple[int, int, list[int], str]:
    """Return the sort key of texts: the most specific name, the nearest, the first of a list."""
    rank, outside, value, place = text
    indexes: list[int] = []
    while place:
        place, step = place
        if isinstance(step, int):
            indexes.append(step)
    return rank, outside, indexes[::-1], value


def _nearer(first: Finding, second: Finding) -> Finding:
    """Return the one of two equal findings that has the shorter place."""
    if first.place is second.place:
        return first
    return min(first, second, key=lambda finding: (len(place := shown(finding.place)), place))


def _matched(some: list[Group], others: list[Group], spend: Callable[[int], None]) -> list[Group]:
    if len(some) < len(others):
        some, others = others, some
    same = {group.event: group for group in others}
    if len(some) > 1 and same.keys() <= {group.event for group in some}:
        return [
            _merged([group, same[group.event]], spend) if group.event in same else group for group in some
        ]
    return [_merged([*some, *others], spend)]


def _differing(name: str, values: Mapping[str, Finding], events: Sequence[Group]) -> dict[str, Finding]:
    """Return the values outside of all events that none of the events has."""
    inside = [set(group.keys.get(name, ())) for group in events]
    known = set[str]().union(*inside)
    if name != TIME:
        return {text: finding for text, finding in values.items() if text not in known}
    return {
        text: finding
        for text, finding in values.items()
        if finding.own and not any(digits.alike(text, time) for time in known)
    }


def _completed(group: Group, outer: Group, differ: Mapping[str, Mapping[str, Finding]]) -> Group:
    keys = dict(group.keys)
    for name, values in outer.keys.items():
        mine = keys.get(name)
        if not mine:
            keys[name] = dict(values)
        elif name == TIME:
            copies = {
                text: finding
                for text, finding in values.items()
                if any(digits.alike(text, time) for time in mine)
            }
            keys[name] = {**mine, **copies, **differ[name]}
        elif differ[name]:
            keys[name] = {**mine, **differ[name]}
    completed = Group(
        keys,
        outer.wrong | group.wrong,
        {name: [*texts] for name, texts in group.texts.items()},
        group.row,
        group.around,
        group.bag,
        quoted=group.quoted,
    )
    for name, texts in outer.texts.items():
        completed.add_texts(name, ((rank, outside + 1, text, place) for rank, outside, text, place in texts))
    return completed


def _merged(groups: Sequence[Group], spend: Callable[[int], None]) -> Group:
    if len(groups) == 1:
        return groups[0]
    joined = Group(lends=any(group.lends for group in groups))
    for group in groups:
        spend(1 + sum(map(len, group.keys.values())))
        for name, values in group.keys.items():
            joined.add(name, values)
        for name, texts in group.texts.items():
            joined.add_texts(name, texts)
        for name, finding in group.wrong.items():
            joined.reject(name, finding)
        if group.event and len(group.row) > len(joined.row):
            joined.row, joined.around, joined.bag = group.row, group.around, group.bag
    return joined
