"""What the demo shows: one line for each alert or refusal, and on a terminal how the window empties."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

_COLUMNS = {
    "sender": 19, "became": 9, "ms": 5, "window": 6, "severity": 8, "title": 24, "Defender's alert": 0,
}  # fmt: skip
COLOURS = {
    **dict.fromkeys(("created", "merged", "known", "entity"), "green"),
    **dict.fromkeys(("full", "waiting", "searching", "waits again", "accepted again"), "yellow"),
    **dict.fromkeys(("refused", "partly refused"), "magenta"),
}


def used(log: Sequence[Mapping[str, Any]], window: float) -> int:
    """Return how many calls of the simulator's log fell into the window (seconds) that ends now."""
    since = time.monotonic() - window
    return sum(arrival["at"] > since for arrival in log)


def bar(filled: int, limit: int) -> str:
    """Return the window as a bar."""
    return "█" * min(filled, limit) + "░" * max(0, limit - filled)


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

    def line(self, cells: Sequence[str], *, seconds: float, calls: int) -> None:
        """Show what became of an alert (or of a delivery without alerts), after `seconds`.

        `cells` are the sender, the word for it, severity, title, and Defender's alert or what was answered.
        """
        sender, became, *last = cells
        row = [sender, became, f"{seconds * 1000:.0f}", f"{calls}/{self._limit}", *last]
        self._row(row, ["", COLOURS.get(became, "red"), "dim", "yellow", "", "", ""])

    def shown(self, what: str, document: Any) -> None:
        """Show a payload, or an answer, as JSON."""
        self.say(what, "bold")
        self.say(json.dumps(document, indent=2, ensure_ascii=False), "dim")

    def problem(self, text: str) -> None:
        """Show a mismatch."""
        self.say(f"  MISMATCH {text}", "bold red")

    def window(self, calls: int, note: str) -> None:
        """Show how many calls the window holds now, and what is waited for."""
        self.status.update(f"{bar(calls, self._limit)} {calls} of {self._limit} calls in the window. {note}")

    def _row(self, cells: list[str], styles: list[str]) -> None:
        row = Text()
        for cell, style, width in zip(cells, styles, _COLUMNS.values(), strict=True):
            column = Text(" ".join(cell.split()), style)
            column.truncate(width or len(column), overflow="ellipsis", pad=True)
            row.append_text(column).append(" ")
        row.rstrip()
        self._console.print(row, soft_wrap=True)
