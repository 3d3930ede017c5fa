"""What in a structure is a secret, of JSON or of XML alike: by its own name, by a member beside it, by its column.

{"password": …}     {"name": "password", "value": …}     {"cs1Label": "Password", "cs1": …}
["Cookie", …]       {"columns": ["password", …], "rows": [[…, …]]}
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shared.webhook.masking.names import (
    is_called_value,
    is_name,
    is_secret,
    is_title,
    is_value,
    names_secret,
    plain,
)

_TABLES = 20  # so many lists of names in one object are taken for the head of a table


@dataclass(slots=True)
class Item:
    """A value and its place; `scalar` is its text, `inner` what it holds if it is an object or a list."""

    start: int
    end: int
    scalar: str | None
    inner: "Frame | None"
    name: str = ""
    hidden: bool = False


@dataclass(slots=True)
class Frame:
    """An object or a list that is open, or was: the name that waits for its value, and its items until now."""

    start: int
    is_object: bool
    key: str | None = None
    items: list[Item] = field(default_factory=list)
    names_secret: bool = False
    titles_secret: bool = False

    @property
    def lists(self) -> Iterator[tuple[str, "Frame"]]:
        """The lists in it that are not hidden, each with its name."""
        shown = ((item.name, item.inner) for item in self.items if not item.hidden)
        return ((name, inner) for name, inner in shown if inner and not inner.is_object)

    @property
    def places(self) -> list[int]:
        """The places in a list at which the name of a secret stands."""
        return [
            number
            for number, item in enumerate(self.items)
            if (
                names_secret(item.scalar)
                if item.scalar is not None
                else item.inner and item.inner.is_only_name
            )
        ]

    @property
    def is_only_name(self) -> bool:
        """Whether it names a secret that stands elsewhere."""
        return self.is_object and self.names_secret and not any(is_value(item.name) for item in self.items)


@dataclass(slots=True)
class Structure:
    """A text with structure, and the edits that mask it: each a place and what stands there instead.

    `inside` masks a text within it, and `write` turns one into the form that it has here.
    """

    text: str
    mask: str
    inside: Callable[[str], str]
    write: Callable[[str], str]
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    open: list[Frame] = field(default_factory=lambda: [Frame(0, is_object=False)])

    def value(self, start: int, end: int, scalar: str | None, inner: Frame | None = None) -> None:
        """Take note of a whole value: its place, its text, or what it holds."""
        parent = self.open[-1]
        item = Item(start, end, scalar, inner)
        parent.items.append(item)
        if parent.is_object:
            key, parent.key = parent.key or "", None
            item.name = plain(key)
            is_pair = item.name == "auth" and inner is not None and not inner.is_object
            if is_secret(key) or is_pair:
                self.hide(item)
                return
            if inner and inner.is_only_name:
                parent.names_secret = True
            if scalar is not None and (is_name(item.name) or is_title(item.name)) and names_secret(scalar):
                parent.names_secret |= is_name(item.name)
                parent.titles_secret = True
        if scalar is not None and inner is None:
            self._mask_inside(item, scalar)

    def close(self, end: int, scalar: str | None = None) -> None:
        """Close the innermost object or list, and take it for a value of what it is in."""
        frame = self.open.pop()
        self._resolve(frame)
        self.value(frame.start, end, scalar, frame)

    def result(self) -> str:
        """Return the text with its edits; one inside another counts no more."""
        while len(self.open) > 1:
            self.close(len(self.text))
        self._resolve(self.open[0])
        parts, at = [], 0
        for start, end, new in sorted(self.edits, key=lambda edit: (edit[0], -edit[1], edit[2] != self.mask)):
            if start >= at:
                parts += [self.text[at:start], new]
                at = end
        return "".join([*parts, self.text[at:]])

    def hide(self, item: Item) -> None:
        """Put the mask in the place of a value."""
        item.hidden = True
        if item.start < item.end:
            self.edits.append((item.start, item.end, self.mask))

    def _resolve(self, frame: Frame) -> None:
        """Hide the items of a whole object or list that others of it name."""
        if frame.is_object:
            labels = {
                item.name.removesuffix("label")
                for item in frame.items
                if item.name.endswith("label") and item.scalar is not None and names_secret(item.scalar)
            }
            for item in frame.items:
                named = frame.names_secret and is_value(item.name)
                titled = frame.titles_secret and is_called_value(item.name)
                if named or titled or (item.name and item.name in labels):
                    self.hide(item)
        tables = 0
        for _, head in list(frame.lists):
            if places := head.places:
                tables += 1
                columns = list(_columns(frame, head)) if tables <= _TABLES else []
                self._hide_places(head, places, columns)

    def _hide_places(self, head: Frame, places: list[int], columns: list[Frame]) -> None:
        """Hide what the names at some places of a list name: the columns of a table, or what follows each name."""
        hidden = -1
        for place in places:
            for row in columns:
                self.hide(row.items[place])
            if not columns and place != hidden and place + 1 < len(head.items):
                hidden = place + 1
                self.hide(head.items[hidden])

    def _mask_inside(self, item: Item, scalar: str) -> None:
        masked = self.inside(scalar)
        if masked != scalar:
            self.edits.append((item.start, item.end, self.write(masked)))


def _columns(frame: Frame, head: Frame) -> Iterator[Frame]:
    """Yield the lists beside or below a list of names that have a value for each of them."""
    width = len(head.items)
    if frame.is_object:
        for other_name, other in frame.lists:
            if other is not head and is_value(other_name) and len(other.items) == width:
                yield other
            rows = (row for _, row in other.lists if other is not head)
            yield from (row for row in rows if len(row.items) == width)
    elif width > 2 and next(frame.lists)[1] is head:  # noqa: PLR2004 - two are a name and its value
        yield from (row for _, row in frame.lists if row is not head and len(row.items) == width)
