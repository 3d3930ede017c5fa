"""Anonymising a payload: its shape and the names of its keys stay, its values are replaced by look-alikes.

Words on which mapping may depend stay: every word in our tables, sources and code, and in the user's own mappings.
All other values are replaced (`lookalike.py`), also within JSON in strings, base64 and texts; under the names of
people, devices and command lines the known words as well.
"""

import ast
import base64
import functools
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from dev import outcomes
from dev.lookalike import LookAlikes, words
from shared.errors import WebhookError
from shared.mapping.mappings import Mappings
from shared.payload import body as payload
from shared.payload.body import Number

_SHARED = Path(__file__).resolve().parent.parent / "shared"
_PACKAGES = ("alerts", "payload", "mapping")  # what a mapping can depend on
_PROSE = re.compile(r"(?:[A-Za-z']+,? ){4}.*[.:?!](?:\s|$)", re.DOTALL)  # a sentence is for people
_READABLE = (
    "a an and are as at by for from has in into is it new not of on or that the this to was with exe dll"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # of JSON
_IDENTIFIER = re.compile(r"[^0-9a-z]+")
_LISTS = json.loads(Path(__file__).with_suffix(".json").read_bytes())
_PERSONAL, _PERSONAL_INSIDE = frozenset(_LISTS["personal"]), frozenset(_LISTS["personal inside"])
_PERSONAL_ENDS = tuple(_LISTS["personal ends"])
_NAMES, _VALUES = ("key", "name", "field", "type", "label", "id"), ("value", "values", "v", "val", "content")
_CODES = frozenset(_LISTS["codes"])  # numbers that say what kind of thing it is
_CODE_DIGITS = 6
_NUMBER = "\udc00"  # half a pair, which no payload can have
_WRITTEN = re.compile(f'"{_NUMBER}([^"]*)"')


def anonymise(body: bytes, own: Path | None = None) -> str:
    """Return the JSON of a body with look-alikes for its values, one line for each of several documents.

    `own` is a folder of the user's mappings. Raises `WebhookError` if the body cannot be read.
    """
    documents = payload.read(body, max_bytes=len(body))
    made = _Payload(hashlib.sha256(body).digest(), known_words(own))
    done = [made.value(document, "", personal=False) for document in documents]
    return "\n".join(_json(document, 2 if len(done) == 1 else None) for document in done)


def gist(body: bytes, query: Mapping[str, str], mappings: Mappings) -> dict[str, Any]:
    """Return the outcome of a body without any value, to compare it with that of its anonymised copy."""
    try:
        outcome = outcomes.outcome_of(body, query, mappings)
    except WebhookError as error:
        return {"status": error.status}
    refused = [(each.event, sorted({problem.field for problem in each.problems})) for each in outcome.refused]
    return {
        "source": outcome.source,
        "ignored": outcome.ignored is not None,
        "raised": [(each.event, each.alert.severity, each.alert.category) for each in outcome.alerts],
        "refused": refused,
    }


@functools.cache
def known_words(own: Path | None = None) -> frozenset[str]:
    """Return the words that mapping may depend on, in small letters."""
    folders = [_SHARED / package for package in _PACKAGES]
    files = [path for folder in (*folders, own) if folder for path in sorted(folder.rglob("*"))]
    texts = (text for path in files for text in _texts(path) if not _PROSE.match(text))
    return frozenset(words(_READABLE)).union(*map(words, texts))


def _texts(path: Path) -> Iterator[str]:
    if path.suffix == ".json":
        with suppress(ValueError):  # a broken mapping of the user's own is told elsewhere
            yield from map(json.loads, _STRING.findall(path.read_text("utf-8")))
    elif path.suffix == ".py":
        tree = ast.parse(path.read_bytes())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield node.value


class _Payload:
    """One payload on its way to be anonymised."""

    def __init__(self, seed: bytes, known: frozenset[str]) -> None:
        self._like = LookAlikes(seed, known)

    def value(self, value: Any, name: str, *, personal: bool) -> Any:
        """Return a value with look-alikes. `name` is its key."""
        if isinstance(value, dict):
            return self._object(value, name)
        if isinstance(value, list):
            return [self.value(item, name, personal=personal) for item in value]
        if isinstance(value, Number):
            return _NUMBER + self._number(value, name)
        return self._text(value, name, personal=personal) if isinstance(value, str) else value

    def _object(self, where: dict[str, Any], around: str) -> dict[str, Any]:
        names = {_plain(name): value for name, value in where.items() if isinstance(value, str)}
        keys = set(map(_plain, where))
        is_pair = not (keys.isdisjoint(_NAMES) or keys.isdisjoint(_VALUES))
        label = next((names[plain] for plain in _NAMES if plain in names), "") if is_pair else ""
        return {
            self._like.name(name): self.value(
                value,
                name,
                personal=_is_personal(name, around) or (_plain(name) in _VALUES and _is_personal(label, "")),
            )
            for name, value in where.items()
        }

    def _number(self, text: str, name: str) -> str:
        code = _plain(name) in _CODES and len(text) <= _CODE_DIGITS
        return text if code else self._like.number(text)

    def _text(self, text: str, name: str, *, personal: bool) -> str:
        start = text.lstrip()[:1]
        if start in ("{", "[", '"') and (inner := payload.parse(text)) is not None:
            return _json(self.value(inner, name, personal=personal))
        if "%" in text and quote_plus(inner := unquote_plus(text)).lower() == text.lower():
            return quote_plus(self._text(inner, name, personal=personal))
        if start in ("{", "[") and "&quot;" in text:
            return html.escape(self._text(html.unescape(text), name, personal=personal))
        if (inner := _from_base64(text)) is not None:
            return base64.b64encode(self._text(inner, name, personal=personal).encode()).decode()
        return (
            self._number(text, name) if _WHOLE.fullmatch(text) else self._line(text, name, personal=personal)
        )

    def _line(self, text: str, name: str, *, personal: bool) -> str:
        """Return a text that is no form of its own: prose, or a log line with JSON in it."""
        start, end = text.find("{"), text.rfind("}") + 1
        inner = payload.parse(text[start:end]) if 0 < start < end else None
        if inner is None:
            return self._like.text(text, personal=personal)
        before, after = (self._like.text(part, personal=personal) for part in (text[:start], text[end:]))
        return before + _json(self.value(inner, name, personal=personal)) + after


_WHOLE = re.compile(r"\d+(?:\.0+)?", re.ASCII)  # also as a tool writes it that keeps all numbers as floats


def _is_personal(name: str, around: str) -> bool:
    plain = _plain(name)
    if plain in _PERSONAL_INSIDE:
        return bool(around) and _is_personal(around, "")
    return plain in _PERSONAL or plain.endswith(_PERSONAL_ENDS)


def _plain(name: str) -> str:
    return _IDENTIFIER.sub("", name.lower())


def _from_base64(text: str) -> str | None:
    """Return the readable text that is encoded, or None: a word is no base64 by chance."""
    if not _BASE64.fullmatch(text) or len(text) % 4:
        return None
    try:
        inner = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return None
    return inner if all(letter.isprintable() or letter in "\r\n\t" for letter in inner) else None


def _json(value: Any, indent: int | None = None) -> str:
    """Return JSON with numbers as they were written: texts that begin with `_NUMBER`."""
    return _WRITTEN.sub(r"\1", json.dumps(value, ensure_ascii=False, indent=indent))
