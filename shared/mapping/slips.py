"""Notes about places of a source's file at which nothing was found, each with the events that it concerns."""

from collections.abc import Iterable, Iterator

_SHOWN = 5


class Slips:
    """The notes of one delivery."""

    def __init__(self) -> None:
        self._events: dict[str, list[int]] = {}
        self._read = 0

    def add(self, notes: Iterable[str], event: int) -> None:
        """Add the notes of an event, by its number."""
        self._read += 1
        for note in notes:
            self._events.setdefault(note, []).append(event)

    def notes(self) -> Iterator[str]:
        """Yield each note once; one that does not concern all events names those that it does."""
        for note, events in self._events.items():
            if len(events) == self._read:
                yield note
                continue
            more = f" and {len(events) - _SHOWN} more" if len(events) > _SHOWN else ""
            numbers = ", ".join(map(str, events[:_SHOWN]))
            yield f"event{'s' if len(events) > 1 else ''} {numbers}{more}: {note}"
