"""Opening values that stand for objects in a payload: texts that hold JSON, lists of names and values."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.payload import grids, names, pairs, texts
from shared.payload.pairs import Entry


class Reader:
    """Opens texts and lists, and remembers the results. `spend` counts the steps, and may raise."""

    def __init__(self, spend: Callable[[int], None]) -> None:
        self.spend = spend
        self._texts: dict[str, Any] = {}
        self._loose: dict[str, Any] = {}
        # Both by id(); what is stored keeps its id.
        self._pairs: dict[int, tuple[list[Any], list[Entry] | None]] = {}
        self._named: dict[int, tuple[list[Any], dict[str, list[Entry]]]] = {}
        self._indexes: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}  # the same

    def inside(self, text: str, *, loose: bool = False) -> Any:
        """Return what a text holds: JSON, or with `loose` also assignments and tables; None if nothing."""
        if len(text) < texts.SHORTEST:
            return None
        if text not in self._texts:
            self.spend(1 + (len(text) >> 4))
            self._texts[text] = texts.structured(text)
        inner = self._texts[text]
        if inner is None and loose:
            if text not in self._loose:
                self.spend(4 + (len(text) >> 4))
                self._loose[text] = texts.loose(text)
            inner = self._loose[text]
        return inner

    def pairs(self, items: list[Any]) -> list[Entry] | None:
        """Return the entries of a list of names and values; None if it is another list."""
        if id(items) not in self._pairs:
            self.spend(2 + 4 * len(items) if items and isinstance(items[0], dict | list) else 2)
            self._pairs[id(items)] = items, pairs.pairs(items)
        return self._pairs[id(items)][1]

    def rows(self, items: list[Any]) -> list[dict[str, Any]] | None:
        """Return the rows of a list of texts that are the lines of a table of events, its header first; else None."""
        first = [
            item for item in items[:2] if isinstance(item, str)
        ]  # one may tell the type, as of ConvertTo-Csv
        if not any("eport" in item or "EPORT" in item for item in first):
            return None
        if len(items) < 2 or not all(isinstance(item, str) for item in items):  # noqa: PLR2004
            return None
        self.spend(len(items) + sum(map(len, items[: grids.MAX_ROWS])) // 16)
        rows: Any = grids.of_lines(items)
        is_of_events = isinstance(rows, list) and not names.of_key("reportId").isdisjoint(
            map(names.word, rows[0])
        )
        return rows if is_of_events else None

    def named(self, items: list[Any]) -> Mapping[str, list[Entry]]:
        """Return the entries of a list of names and values by the words of their names; none of another list."""
        if id(items) not in self._named:
            by_word: dict[str, list[Entry]] = {}
            for entry in self.pairs(items) or ():
                by_word.setdefault(names.word(entry[0]), []).append(entry)
            self._named[id(items)] = items, by_word
        return self._named[id(items)][1]

    def index(self, where: dict[str, Any]) -> dict[str, str]:
        """Return the keys of an object by their words; of keys with the same word, the first that is not empty."""
        known = self._indexes.get(id(where))
        if known is None:
            self.spend(1 + len(where))
            by_word: dict[str, str] = {}
            for name, value in where.items():
                if not is_empty(value):
                    by_word.setdefault(names.word(name), name)
            self._indexes[id(where)] = known = where, by_word
        return known[1]


def is_empty(value: object) -> bool:
    """Say whether a value is empty: null, blank text, an empty list or object."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})
