"""Reading the bytes of a delivery as JSON, without losing a digit.

A body is UTF-8 (with or without BOM), compressed with gzip, deflate or not at all, and holds one JSON value,
several in a row, one a line (NDJSON), or a form (`application/x-www-form-urlencoded`): with such text in its field
`json` or `payload`, or with the event's fields as its own. The content type is ignored, because senders set it wrongly.
What could change a meaning is an error (encodings, NaN, a key twice with different values). What cannot is accepted: a
superfluous comma before `]`, `}` or the end, as template loops leave it, and raw control characters inside strings.
"""

import itertools
import json
import re
from array import array
from typing import Any

from shared import errors
from shared.payload import compression, form

MAX_DEPTH = 64
"""Levels of objects and arrays inside each other. Real payloads stay below 20."""

MAX_DOCUMENTS = 10_000  # JSON values in a row in one body

_TRIES = 3  # braces of a text that may begin its JSON

_GAP = re.compile(r"[ \t\r\n\x1e]*+,?[ \t\r\n\x1e]*+")
# A string is matched to its end even if the end is missing, so that no character is read twice.
_STRING = r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)'
_STRINGS = re.compile(_STRING, re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*[\]}}])", re.DOTALL)
_CONSTANT = re.compile(rf"{_STRING}|(-?Infinity|NaN)", re.DOTALL)
_LEVELS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # one level deeper, and -1: one up again
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_POWERSHELL = (
    "Windows PowerShell 5.1 posts text this way: pass the body as "
    "([Text.Encoding]::UTF8.GetBytes($json)) and the content type 'application/json; charset=utf-8'"
)
_SIGNATURES = (
    (b"\xff\xfe\x00\x00", "is UTF-32. Send it as UTF-8"),
    (b"\x00\x00\xfe\xff", "is UTF-32. Send it as UTF-8"),
    (b"\xff\xfe", f"is UTF-16 (little endian). Send it as UTF-8. {_POWERSHELL}"),
    (b"\xfe\xff", "is UTF-16 (big endian). Send it as UTF-8"),
)
_MULTIPART = re.compile(rb"\s*--[^\r\n]{1,200}\r?\n(?i:content-)")
_OPENINGS = (
    ("CEF:", "is a CEF line. Send the event as a JSON object"),
    ("LEEF:", "is a LEEF line. Send the event as a JSON object"),
    ("<", "looks like XML, HTML or syslog. Send the event as a JSON object"),
    ("'", "starts with an apostrophe. JSON strings and keys must be in double quotes"),
)


class Number(str):
    """A JSON number with its original text: `Number("20776.0")`.

    It is a `str`, because a float has 53 bits and a report id 64. Text that came in quotes is a plain `str`.
    """

    __slots__ = ()


class _Small(dict[str, Number]):
    """The numbers of up to three digits, made once: half a million of them would take 28 MiB."""

    def __missing__(self, digits: str) -> Number:
        return Number(digits)


_SMALL = _Small((str(number), Number(number)) for number in range(1_000))


def read(body: bytes, *, max_bytes: int, content_encoding: str = "") -> list[Any]:
    """Return the documents of a body (dict, list, str, `Number`, bool or None) in their order; at least one.

    Raises `PayloadTooLarge` above `max_bytes`, and `PayloadError` with what was found, where, and what to do.
    """
    text = _decoded(compression.opened(body, max_bytes=max_bytes, content_encoding=content_encoding))
    if not text.strip():
        raise errors.PayloadError("The body is empty. Send the event as a JSON object.")
    fields = form.opened(text)
    if isinstance(fields, dict):
        return [fields]
    return _documents(text if fields is None else fields)


def parse(text: str) -> Any:
    """Return the JSON value in a string of a payload, or None if it is not exactly one valid value."""
    try:
        value, end = _DECODER.raw_decode(text, _GAP.match(text).end())  # type: ignore[union-attr]  # matches ""
        _refuse_too_deep(text[:end])
    except (ValueError, RecursionError, _NotANumberError, errors.PayloadError):
        return None
    return None if text[end:].strip() else value


def embedded(text: str) -> Any:
    """Return the JSON object inside a text, such as a log line; a list if there are several; None if there is none."""
    values: list[Any] = []
    at, tries = text.find("{"), _TRIES
    while at >= 0 and tries and len(values) < MAX_DOCUMENTS:
        try:
            value, end = _DECODER.raw_decode(text, at)
            _refuse_too_deep(text[at:end])
        except (ValueError, RecursionError, _NotANumberError, errors.PayloadError):
            at, tries = text.find("{", at + 1), tries - 1
        else:
            values.append(value)
            at = text.find("{", end)
    return values[0] if len(values) == 1 else values or None


def _decoded(body: bytes) -> str:
    for signature, problem in _SIGNATURES:
        if body.startswith(signature):
            raise errors.PayloadError(f"The body {problem}.")
    if _MULTIPART.match(body):
        raise errors.PayloadError(
            "The body is multipart/form-data. Send the JSON itself as the body, or as the field json of a form"
            " (application/x-www-form-urlencoded)."
        )
    head = body[:4]
    if b"\x00" in head[:2]:  # JSON starts with an ASCII character: a NUL beside it is the other half
        raise errors.PayloadError("The body is UTF-16 or UTF-32 without a byte order mark. Send it as UTF-8.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = _position(body[: error.start].decode("utf-8-sig", "replace"))
        if error.reason == "unexpected end of data":
            raise errors.PayloadError(
                f"The body ends in the middle of a character, at {where}: it was cut off. Send it whole."
            ) from None
        if compression.is_binary(body):
            raise errors.PayloadError(
                "The body is not text: it is compressed, encrypted or in a binary format. Send the JSON itself, in"
                " UTF-8."
            ) from None
        raise errors.PayloadError(
            f"The body is not UTF-8: byte 0x{body[error.start]:02X} at {where} looks like Windows-1252 or"
            f" Latin-1. Send it as UTF-8. {_POWERSHELL}."
        ) from None


def _documents(text: str) -> list[Any]:
    try:
        documents = _decode_all(text)
    except json.JSONDecodeError as error:
        fixed = _TRAILING_COMMA.sub(lambda match: match.group(1) or "", text)
        try:
            documents = _decode_all(fixed)
        except json.JSONDecodeError:
            raise errors.PayloadError(_explained(text, error)) from None
        except RecursionError:
            raise _too_deep() from None
    except RecursionError:
        raise _too_deep() from None
    _refuse_too_deep(text)
    if _SURROGATE.search(text):
        _refuse_half_pairs(documents)
    return documents


def _decode_all(text: str) -> list[Any]:
    documents: list[Any] = []
    at = len(text) - len(text.lstrip(" \t\r\n\x1e"))
    start = at
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except _NotANumberError as error:
            where = next((m.start() for m in _CONSTANT.finditer(text) if m.group(1)), at)
            raise errors.PayloadError(
                f"{error} at {_position(text[:where])} is not JSON. Send null, or the number as text."
            ) from None
        documents.append(value)
        if len(documents) > MAX_DOCUMENTS:
            raise errors.PayloadTooLarge(
                f"The body holds more than {MAX_DOCUMENTS:,} JSON values in a row. Send fewer at a time."
            )
        if len(documents) > 1 and not isinstance(value, dict | list):
            raise json.JSONDecodeError("Extra data", text, start)
        at = start = _GAP.match(text, end).end()  # type: ignore[union-attr]  # matches the empty string too
    return documents


def _explained(text: str, error: json.JSONDecodeError) -> str:
    opening = text.lstrip()
    for start, problem in _OPENINGS:
        if opening.startswith(start):
            return f"The body {problem}."
    if form.begins(text):
        return (
            "The body looks like a form or a log line. Send the event as a JSON object; of a form, put it into the"
            " field json."
        )
    where = f"line {error.lineno}, column {error.colno}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return (
            f"The body ends in the middle of the JSON, at {where}: it was cut off. Send it whole; some SIEMs"
            " cut long fields, and an unescaped quotation mark looks the same."
        )
    return (
        f"The body is not JSON: {error.msg} at {where}, near {_shown(text[error.pos : error.pos + 20])}."
        ' Quotation marks and backslashes inside text are written \\" and \\\\.'
    )


def _refuse_too_deep(text: str) -> None:
    """Raise `PayloadError` if more than `MAX_DEPTH` objects and arrays of this valid JSON are inside each other."""
    brackets = _STRINGS.sub("", text).encode(errors="replace").translate(_LEVELS, _NO_BRACKETS)
    if max(itertools.accumulate(array("b", brackets)), default=0) > MAX_DEPTH:
        raise _too_deep()


def _refuse_half_pairs(value: Any) -> None:
    """Raise `PayloadError` for half a surrogate pair: JSON can write it, UTF-8 and the table cannot."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        key, item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend((key, name) for name in item)
            waiting.extend(item.items())
        elif isinstance(item, list):
            waiting.extend((key, inner) for inner in item)
        elif isinstance(item, str) and not _encodable(item):
            raise errors.PayloadError(
                f"Near the key {_shown(key)} is half a surrogate pair (\\ud800 to \\udfff): its text was"
                " cut in the middle of a character, an emoji for instance. Cut it elsewhere or leave it out."
            )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> errors.PayloadError:
    return errors.PayloadError(f"The JSON is nested more than {MAX_DEPTH} levels deep. Send the event flat.")


def _position(before: str) -> str:
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _shown(text: str) -> str:
    short = text if len(text) <= 40 else text[:40] + "…"  # noqa: PLR2004  # enough to recognise it
    return json.dumps(short, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


class _NotANumberError(Exception):
    """NaN and Infinity, which Python's decoder would take."""


def _no_constant(constant: str) -> Any:
    raise _NotANumberError(constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        for key, value in pairs:
            # Numbers are compared as they were written, and never with text: 1 is not "1".
            if (type(value), value) != (type(entries[key]), entries[key]):
                raise errors.PayloadError(
                    f"The key {_shown(key)} occurs twice with different values. Send it once."
                )
    return entries


_DECODER = json.JSONDecoder(
    parse_int=_SMALL.__getitem__,
    parse_float=Number,
    parse_constant=_no_constant,
    object_pairs_hook=_object,
    strict=False,
)
