"""The readings of a payload's clues: texts under the names of a field, of which the most telling name counts.

Of two different texts under names that count the same none is taken: a clue that may be wrong is worse than none.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from shared.payload import clue_values as values
from shared.payload.paths import Place, shown


class Reading(NamedTuple):
    """A text under a name of a clue: how much the name counts, 0 is the most; and where it stands."""

    rank: int
    text: str
    place: Place


class Best(NamedTuple):
    """The value that counts, and its place."""

    value: str
    place: Place


class Readings:
    """The readings of a payload by their field, and the places of the clues that were taken of them."""

    def __init__(self, by_field: Mapping[str, list[Reading]]) -> None:
        self._by_field = {
            field: sorted(readings, key=lambda reading: reading.rank) for field, readings in by_field.items()
        }
        self.places: dict[str, str] = {}
        self._noted: list[Place] = []

    def of(self, field: str) -> list[Reading]:
        """Return the readings of a field, the most telling first."""
        return self._by_field.get(field, [])

    def best(self, field: str, form: Callable[[str], str] = values.text) -> Best | None:
        """Return what counts most of the readings that have a form; None if there is none, or if two differ."""
        best: list[Best] = []
        rank = -1
        for reading in self.of(field):
            if best and reading.rank > rank:
                break
            if value := form(reading.text):
                best.append(Best(value, reading.place))
                rank = reading.rank
        return best[0] if len({each.value.lower() for each in best}) == 1 else None

    def take(self, clue: str, form: Callable[[str], str] = values.text, *fields: str) -> str:
        """Return the best of the first of some fields that has any, and note its place as that of a clue."""
        for field in fields or (clue,):
            if any(form(reading.text) for reading in self.of(field)):
                best = self.best(field, form)
                return self.note(clue, best) if best else ""
        return ""

    def note(self, clue: str, best: Best) -> str:
        """Note the place of a value as that of a clue, and return the value."""
        self.places[clue] = shown(best.place)
        self._noted.append(best.place)
        return best.value

    def is_beside(self, place: Place) -> bool:
        """Say whether a place is in an object with one that was noted."""
        return any(are_beside(place, noted) for noted in self._noted)

    def has(self, *fields: str) -> bool:
        """Say whether there is any text of one of some fields."""
        return any(values.text(reading.text) for field in fields for reading in self.of(field))


def are_beside(place: Place, other: Place) -> bool:
    """Say whether two places are in one object."""
    return place is not None and other is not None and place[0] == other[0]
