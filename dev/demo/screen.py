"""What the demo shows: one line for each alert or refusal, and on a terminal how the window empties."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

_COLUMNS = {
    "sender": 19, "became": 9, "ms": 5, "window": 6, "severity": 8, "title": 24, "Defender's alert": 0,
}  # fmt: skip
_COLOURS = {
    **dict.fromkeys(("created", "merged", "known", "entity"), "green"),
    **dict.fromkeys(("full", "waiting", "searching"), "yellow"),
    "refused": "magenta",
}


class Screen:
    """A terminal, or a file: then without colours. `limit` is the window's number of calls."""

    def __init__(self, limit: int) -> None:
        self._console = Console(highlight=False)
        self._limit = limit
        self.status = self._console.status("", spinner="line")
        """What stands below the lines on a terminal, within `with screen.status:`."""

    def say(self, text: str, style: str = "") -> None:
        """Show a sentence."""
        self._console.print(Text(text, style), soft_wrap=True)

    def head(self) -> None:
        """Name the columns of the lines to come."""
        self._row(list(_COLUMNS), ["dim"] * len(_COLUMNS))

    def line(self, cells: Sequence[str], *, seconds: float, used: int) -> None:
        """Show what became of an alert (or of a delivery without alerts), after `seconds`.

        `cells` are the sender, the word for it, severity, title, and Defender's alert or what was answered.
        """
        sender, became, *last = cells
        row = [sender, became, f"{seconds * 1000:.0f}", f"{used}/{self._limit}", *last]
        self._row(row, ["", _COLOURS.get(became, "red"), "dim", "yellow", "", "", ""])

    def problem(self, text: str) -> None:
        """Show a mismatch."""
        self.say(f"  MISMATCH {text}", "bold red")

    def window(self, used: int, note: str) -> None:
        """Show how many calls the window holds now, and what is waited for."""
        self.status.update(f"The window: {used} of {self._limit} calls. {note}")

    def _row(self, cells: list[str], styles: list[str]) -> None:
        row = Text()
        for cell, style, width in zip(cells, styles, _COLUMNS.values(), strict=True):
            column = Text(" ".join(cell.split()), style)
            column.truncate(width or len(column), overflow="ellipsis", pad=True)
            row.append_text(column).append(" ")
        row.rstrip()
        self._console.print(row, soft_wrap=True)
