"""Structured contents of texts: JSON, a log line with JSON in it, assignments, a printed map, a table.

Each function is linear in its text. Its result is read like any other part of the payload; None: there is nothing.
"""

import base64
import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from shared import errors
from shared.payload import body, compression, grids, names

SHORTEST = len('{"a":1}')
"""A shorter text holds nothing."""

_BASE64 = frozenset(
    ("ey", "ew", "W3", "Ww", "Wy", "In", "Il", "Ij")
)  # the first letters of { and [ encoded, whatever follows
_GZIP = "H4sI"
_MAX_OPENED = 1_048_576  # bytes
_PYTHON = re.compile(
    r"'((?:[^'\\]|\\.?)*+)(?:'|\Z)|\"(?:[^\"\\]|\\.?)*+(?:\"|\Z)|\b(?:None|True|False|undefined)\b", re.DOTALL
)
_CONSTANTS = {"None": "null", "True": "true", "False": "false", "undefined": "null"}
_RUBY = re.compile(
    r'"((?:[^"\\]|\\.?)*+)(?:"|\Z)|:(\w{1,100})(?= ?=>)|( ?=> ?)|\bnil\b', re.ASCII | re.DOTALL
)
_GO = re.compile(r"(?<![\w.:-])([A-Za-z_][\w.]{0,99}):([^\s\[\]{},;]++)", re.ASCII)
_PHP = re.compile(r"\[([A-Za-z_]\w{0,99})\] => ([^\n]++)", re.ASCII)
_CONSTRUCTED = re.compile(r"\w{1,60}\([^()]{0,4096}=", re.ASCII)  # Event(a=b), of Kotlin and Lombok
_BARE_NAME = re.compile(r"([{,]\s*)([A-Za-z_$][\w$]{0,99}):", re.ASCII)
_MAX_PRINTED = 65_536
_MAX_ASSIGNED = _MAX_LINES = 1_000
_MAX_NAME = 60
_ASSIGNMENT = re.compile(r"(?:^|(?<=[\s,;|^{(\[]))([A-Za-z_@][\w.@/-]{0,99})=", re.ASCII)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"(?=$|[\s,;|^\])}])', re.DOTALL)
_LINE = re.compile(r"\n|[;,|] ?(?=[A-Za-z][\w. -]{0,58}(?: =|:) )", re.ASCII)
_MAX_CLOSED = 12  # maps around a value
_CLOSING = {"}": "{", "]": "[", ")": "("}
_ESCAPED = re.compile(r'\\(["=|])')
_MARKS = " \t\r*_`>~\u2022\u00b7-"
_HEADED = re.compile(
    r"\s*[*_`~]{1,3}([^*_`~\n]{1,60})[*_`~]{1,3}:?\s*\n?(.{1,4096})|([^:\n]{1,60}):?\n(.{1,4096})", re.DOTALL
)
_ROW = re.compile(r"<tr[^<>]*>", re.IGNORECASE)
_CELL = re.compile(r"<t[dh]((?:\s[^<>]*)?)>", re.IGNORECASE)
_SPAN = re.compile(r"\scolspan\s?=\s?[\"']?(\d{1,2})\b", re.ASCII | re.IGNORECASE)
_BREAK = re.compile(r"<br[^<>]{0,20}>|</?(?:p|div|li|tr|h\d)\b[^<>]{0,200}>", re.IGNORECASE)
_ELEMENT = re.compile(
    r"<(?:\w{1,40}:)?(?:\w{1,40} Name=['\"])?([\w.-]{1,100})['\"]?>(?:<!\[CDATA\[)?([^<>\]]{1,4096})(?:\]\]>)?</",
    re.ASCII | re.IGNORECASE,
)
_PRIORITY = re.compile(r"^<\d{1,3}>", re.ASCII)  # of syslog, and no markup
_TERM = re.compile(r"<d[td][^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_LINKED = re.compile(r"<https?://[^<>|]{1,500}\|([^<>|]{1,300})>")
_LINK = re.compile(r"<https?://[^<>]{1,500}>|\[([^\[\]]{1,200})\]\(https?://[^()]{1,500}\)")
_EMOJI = re.compile(r":[a-z0-9_+-]{2,40}:(?=\s|$)")
_RECORD = re.compile(r'["{]|\[\s*["{\[]|[^\n]{0,300}\{"')
_PACKED = ("DeviceId", "ReportId", "Timestamp")


def structured(text: str) -> Any:
    """Return the JSON of a text, also if encoded in base64, in a URL or in HTML; None if there is none."""
    if text[:3] in ("%7B", "%7b", "%5B", "%5b"):
        text = unquote_plus(text)
    if "&quot;" in text:
        text = html.unescape(text)
    start = text[0] if text[:1] > " " else text.lstrip()[:1]
    if start in ("{", "[", '"'):
        parsed = body.parse(text)
        if parsed is None and "'" in text[1:3]:
            parsed = body.parse(_python(text))
        return parsed if isinstance(parsed, dict | list | str) else None
    if text[:2] in _BASE64 or text[:4] == _GZIP:
        return body.parse(_decoded(text) or "")
    return None


def _decoded(text: str) -> str | None:
    """Return the text encoded in base64, also in its URL form and of compressed data; None if there is none."""
    plain = text.strip().replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        opened = compression.opened(raw, max_bytes=_MAX_OPENED) if text[:4] == _GZIP else raw
        return opened.decode("utf-8-sig")
    except (ValueError, errors.PayloadError):
        return None


def loose(text: str) -> Any:
    """Return other structures of a text: JSON within a log line, a table, a printed map, lines and assignments."""
    text = _PRIORITY.sub("", text, count=1) if text[:1] == "<" else text
    if "{" in text and (inner := body.embedded(text) or _printed(text)):
        return inner
    if "<" in text and (inner := _markup(text)):
        return inner
    if (rows := grids.delimited(text)) is not None:
        return rows
    if len(records := _records(text)) > 1:
        return records
    if text[:1] in ("{", "@", "[") or _CONSTRUCTED.match(text):
        text = text.rstrip("}]) \r\n")
    elif "<" in text:
        text = _TAG.sub(" ", _LINKED.sub(r"\1", text))
    readings = (
        listed(text) | assigned(text),
        grids.collected(_GO.findall(text)),
        grids.collected(_PHP.findall(text) if "=> " in text else ()),
    )
    return max(readings, key=lambda reading: sum(map(names.means, reading))) or None


def is_record(text: str) -> bool:
    """Say whether a text is, or holds, a record in JSON."""
    return _RECORD.match(text) is not None


def _printed(text: str) -> Any:
    """Return what a program printed: Ruby and Elixir `{"a" => 1}`, JavaScript `{ a: 'x' }`, or a list of these."""
    start = text.lstrip().removeprefix("%")
    if start[:1] not in ("{", "[") or len(text) > _MAX_PRINTED:
        return None
    parsed = body.parse(_RUBY.sub(_as_json, start)) if "=>" in text else None
    return parsed or body.parse(_python(_BARE_NAME.sub(r'\1"\2":', start)))


def packed(text: str) -> dict[str, str] | None:
    """Return `"DeviceId|ReportId|Timestamp"` as an object with these keys; None if a text has other parts."""
    parts = halves(text)
    return parts if parts and all(parts.values()) else None


def halves(text: str) -> dict[str, str] | None:
    """Return the packed form as an object, of which some parts may be empty; None if a text has other parts."""
    parts = [part.strip() for part in text.split("|", len(_PACKED))]
    return dict(zip(_PACKED, parts, strict=True)) if len(parts) == len(_PACKED) else None


def assigned(text: str) -> dict[str, Any]:
    """Return `a=1, b="x y"` as `{"a": "1", "b": "x y"}`. A name that is there twice gets a list of its values.

    An unquoted value goes on to the next name, as in the extensions of CEF and LEEF.
    """
    return grids.collected(_assignments(text))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    name = _ASSIGNMENT.search(text)
    for _ in range(_MAX_ASSIGNED):
        if not name:
            return
        quoted = _QUOTED.match(text, name.end())
        following = _ASSIGNMENT.search(text, quoted.end() if quoted else name.end())
        value = quoted[1] if quoted else text[name.end() : following.start() if following else len(text)]
        value = value if quoted else _closed(value)
        if value := _ESCAPED.sub(r"\1", value.strip(" \t\r\n,;|^")):
            yield name[1], value
        name = following


def _records(text: str) -> list[dict[str, Any]]:
    """Return what the lines of a text hold of which each names a whole reference: each is an event of its own."""
    lines = text.split("\n", _MAX_LINES)[:_MAX_LINES]
    read = [listed(line) | assigned(line) for line in lines if "eport" in line or "EPORT" in line]
    words = [set(map(names.word, record)) for record in read]
    is_whole = (not any(names.of_key(key).isdisjoint(known) for key in names.KEYS) for known in words)
    return read if all(is_whole) else []


def _closed(value: str) -> str:
    """Return a value without the brackets behind it that close what is around: of `{a={b=1}, c=2}`."""
    value = value.rstrip(" \t\r\n,;|^")
    for _ in range(_MAX_CLOSED):
        opened = _CLOSING.get(value[-1:])
        if not opened or value.count(value[-1]) <= value.count(opened):
            break
        value = value[:-1].rstrip()
    return value


def listed(text: str) -> dict[str, Any]:
    """Return the lines `x: 1` or `x = 1` of a text as `{"x": "1"}`, also several on one line.

    A name that is there twice gets a list of its values.
    """
    lines = _LINE.split(text.replace("\uff1a", ": "), _MAX_LINES)[:_MAX_LINES]
    parts = (line.partition(":" if ":" in line.partition(" = ")[0] else " = ") for line in lines)
    return grids.collected(
        (name.strip(_MARKS), value)
        for name, sign, behind in parts
        if sign
        and 0 < len(name) < _MAX_NAME
        and (value := behind.strip(" \t\r*`{}" if "{{" in behind else " \t\r*`"))
    )


def headed(text: str) -> tuple[str, str] | None:
    """Return the name and the value of a chat card's field: `*Severity:*` and what stands below or behind it."""
    match = _HEADED.fullmatch(text.strip())
    if not match:
        return None
    name, value = (match[1], match[2]) if match[1] else (match[3], match[4])
    return (
        (name.strip(" :"), value.strip(" \t\r\n*_`"))
        if name.strip(" :") and value.strip(" \t\r\n*_`")
        else None
    )


def headline(text: str) -> str:
    """Return the first line of a text without a chat's marks and links."""
    plain = _EMOJI.sub("", _LINK.sub(r"\1", _TAG.sub("", text)))
    line = next((line for line in plain.split("\n", 20) if line.strip(_MARKS + "#")), "")
    return line.strip(_MARKS + "#")


def _python(text: str) -> str:
    """Return an object that Python or JavaScript printed as JSON, as far as possible."""
    return _PYTHON.sub(_of_python, text)


def _of_python(match: re.Match[str]) -> str:
    if match[1] is not None:
        return json.dumps(match[1].replace("\\'", "'"), ensure_ascii=False)
    return _CONSTANTS.get(match[0], match[0])


def _as_json(match: re.Match[str]) -> str:
    """Return a part of a printed Ruby hash as JSON: `:name =>`, `"name"=>`, nil."""
    if match[1] is not None:
        return match[0]
    if match[2]:
        return f'"{match[2]}"'
    return ": " if match[3] else "null"


def _markup(text: str) -> Any:
    """Return what a text in HTML or XML holds: tables, named elements, or lines of names and values."""
    rows = [_cells(row) for row in _ROW.split(text, grids.MAX_ROWS)[1:]]
    rows = [row for row in rows if len(row) > 1]
    if terms := [_plain(term) for term in _TERM.split(text, grids.MAX_ROWS)[1:]]:
        rows = [list(pair) for pair in zip(terms[::2], terms[1::2], strict=False)]
    if rows and (content := grids.pairs(rows) or grids.table(rows)):
        return content
    elements = grids.collected(
        (name, html.unescape(value)) for name, value in _ELEMENT.findall(text) if names.means(name)
    )
    if elements:
        return elements
    attributes = {name: value.rstrip(" />") for name, value in _assignments(text) if names.means(name)}
    if attributes:
        return attributes
    if not _BREAK.search(text):
        return None
    return listed("\n".join(_plain(line) for line in _BREAK.split(text, _MAX_LINES)))


def _cells(row: str) -> list[str]:
    """Return the texts of a row's cells; a cell over several columns is followed by empty ones."""
    cells: list[str] = []
    parts = _CELL.split(row)[1:]
    for attributes, content in zip(parts[::2], parts[1::2], strict=True):
        span = _SPAN.search(attributes)
        cells += [_plain(content), *[""] * (int(span[1]) - 1 if span else 0)]
    return cells


def _plain(text: str) -> str:
    return html.unescape(_TAG.sub(" ", text)).strip()
