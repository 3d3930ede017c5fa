"""Secrets in tables that are texts: lines of cells between tabs, commas, semicolons or bars.

user,password,host      | Name     | Value |
bob,…,pc-1              | password | …     |
"""

import re
from collections.abc import Iterator

from shared.webhook.masking.names import names_secret

_CELL = {
    sign: re.compile(rf"""(?:[ ]*+"(?:[^"\n]|"")*+"[ ]*+(?=[{sign}\r\n]|\Z)|[^{sign}\r\n]*+)""")
    for sign in ("\t", "|", ";", ",")
}
_NAMED = re.compile(r"""\s*"?[\w.\-]+(?: [\w.\-]+){0,2}"?\s*""")
_RULE = re.compile(r"[|:\- ]*--[|:\- ]*")
_PAIR = 2  # cells: a name and its value, but in the head of a table that has a rule


def masked(text: str, mask: str) -> str:
    """Return a text with the secrets in its tables masked: columns by their head, values by the name before them."""
    lines = text.split("\n")
    if len(lines) == 1 and "|" not in text and "\t" not in text:
        return text
    sign, width, places = "", 0, list[int]()
    for number, line in enumerate(lines):
        cells = list(_cells(line, sign)) if places else []
        if places and len(cells) == width:
            if not _RULE.fullmatch(line.strip()):
                lines[number] = _without(line, [cells[place] for place in places], mask)
            continue
        below = lines[number + 1] if number + 1 < len(lines) else ""
        sign, width, places = _head(line, below)
        if width == _PAIR and not _is_ruled(sign, below):
            if places[:1] == [0] and sign in "|\t":
                lines[number] = _without(line, [list(_cells(line, sign))[1]], mask)
            places = []
    return "\n".join(lines)


def _head(line: str, below: str) -> tuple[str, int, list[int]]:
    """Return the sign between the names in a line, their number, and the places of those that are secrets'."""
    for sign in _CELL:
        if sign not in line:
            continue
        cells = [line[start:end] for start, end in _cells(line, sign)]
        places = [number for number, cell in enumerate(cells) if names_secret(cell.strip(' "\r'))]
        pair = len(cells) == _PAIR and not _is_ruled(sign, below)
        if places and (pair or all(_NAMED.fullmatch(cell) for cell in cells)) and len(cells) > 1:
            return sign, len(cells), places
    return "", 0, []


def _is_ruled(sign: str, below: str) -> bool:
    return sign == "|" and _RULE.fullmatch(below.strip()) is not None


def _cells(line: str, sign: str) -> Iterator[tuple[int, int]]:
    """Yield where each cell of a line begins and ends; a bar at an end of the line has none beyond it."""
    at, end = 0, len(line.rstrip("\r"))
    if sign == "|":
        at, end = (
            len(line) - len(line.lstrip(" ").removeprefix("|")),
            len(line.rstrip(" \r").removesuffix("|")),
        )
    while at <= end:
        match = _CELL[sign].match(line, at, end)
        if match is None:
            return
        yield match.span()
        at = match.end() + 1


def _without(line: str, cells: list[tuple[int, int]], mask: str) -> str:
    """Return a line with the mask in the place of what some of its cells say."""
    parts, at = [], 0
    for start, end in cells:
        said = line[start:end].strip(' "')
        if said:
            first = line.index(said, start)
            parts += [line[at:first], mask]
            at = first + len(said)
    return "".join([*parts, line[at:]])
