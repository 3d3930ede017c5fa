"""Tables in texts: CSV, Markdown, Jira's wiki, PowerShell's Format-Table. A row is an object under its header.

Each function is linear in its text. None: the text, or the rows, are no table whose header names a known key.
"""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from shared.payload import names

MAX_ROWS = 1_000

_BAR = re.compile(r"(?<!\\)\|")
_HEADS = "||"  # of Jira's wiki
_DELIMITERS = (",", "\t", ";")
_WORD = re.compile(r"\S+")
_FIRST = 5  # lines in which a header is underlined


def delimited(text: str) -> Any:
    """Return the rows of a text that is a table whose header names a known key."""
    return of_lines(text.replace("\r\n", "\n").split("\n", MAX_ROWS))


def of_lines(lines: Sequence[str]) -> Any:
    """Return the rows of the lines of a table whose header names a known key."""
    lines = [line for line in lines[:MAX_ROWS] if line.strip()]
    if len(lines) < 2:  # noqa: PLR2004  # a header and a row
        return None
    barred = [line.strip() for line in lines if line.count("|") > 1]
    if len(barred) > 1:
        cells = [[cell.strip(" `*") for cell in _barred(line)] for line in barred]
        cells = [row for row in cells if not all(set(cell) <= set(":- ") for cell in row)]
        return (pairs(cells) or table(cells)) if cells else None
    if (aligned := _aligned(lines)) is not None:
        return aligned
    header = next((index for index, line in enumerate(lines) if not line.startswith("#")), 0)
    for delimiter in _DELIMITERS:
        names_in = lines[header][:4_096].split(delimiter)
        if len(names_in) > 1 and any(names.means(cell.strip('" ')) for cell in names_in):
            try:
                return table(list(csv.reader(lines[header:], delimiter=delimiter)))
            except csv.Error:
                return None
    return None


def _barred(line: str) -> list[str]:
    """Return the cells of a row between bars; two bars stand around each name of a header in Jira's wiki."""
    return line.strip("|").split(_HEADS) if line.startswith(_HEADS) else _BAR.split(line.strip("|"))


def _aligned(lines: Sequence[str]) -> list[dict[str, Any]] | None:
    """Return the rows under a header that is underlined with dashes, as PowerShell's Format-Table writes them.

    All rows must have one word in each column: where a cell is empty or has a space, nothing tells where it ends.
    """
    at = next((index for index, line in enumerate(lines[:_FIRST]) if _underlines(line)), 0)
    columns = [word.span() for word in _WORD.finditer(lines[at])] if at else []
    if len(columns) < 2:  # noqa: PLR2004  # else it underlines a heading
        return None
    rows = [[word.group() for word in words] for words in _words(lines[at - 1 :], columns)]
    return table(rows) if rows and len(lines) - at == len(rows) else None


def _underlines(line: str) -> bool:
    return "--" in line and not line.strip("- \r")


def _words(lines: Sequence[str], columns: Sequence[tuple[int, int]]) -> Iterator[list[re.Match[str]]]:
    """Yield the words of each line that has exactly one in each column, without the dashes."""
    ends = [0, *(end for _, end in columns)]
    starts = [*(start for start, _ in columns[1:]), math.inf]
    for line in lines:
        words = list(_WORD.finditer(line)) if not _underlines(line) else []
        if len(words) == len(columns) and all(
            before <= word.start() < end and start < word.end() <= behind
            for word, before, (start, end), behind in zip(words, ends, columns, starts, strict=False)
        ):
            yield words


def pairs(rows: list[list[str]]) -> dict[str, Any] | None:
    """Return rows of a name and a value each as an object; None if they are others."""
    if not all(len(row) == 2 for row in rows) or all(map(names.means, rows[0])):  # noqa: PLR2004  # a pair
        return None
    content = collected((name.strip(" :"), value) for name, value in rows)
    return content if any(map(names.means, content)) else None


def table(rows: list[list[str]]) -> list[dict[str, Any]] | None:
    """Return rows under their header as objects; None where no column has a known name."""
    rows = [row for row in rows if any(row)]
    if len(rows) < 2 or not any(names.means(cell) for cell in rows[0]):  # noqa: PLR2004  # a header and a row
        return None
    return [collected(zip(rows[0], row, strict=False)) for row in rows[1:]]


def collected(entries: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return pairs as an object. A name that is there twice gets a list of its different values."""
    by_name: dict[str, list[str]] = {}
    for name, value in entries:
        values = by_name.setdefault(name, [])
        if value not in values:
            values.append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in by_name.items()}
