"""Conditions in a source file, and whether a document meets them.

path               is there and not empty
path = a, b        is one of these words
path ~ text        contains this text
!path              is not there; also before the other two
one & other        both hold, for the same element if the paths begin alike and go through a list
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.payload import names
from shared.payload.paths import Node, Path, find, path

_SIGN = re.compile(r"[^`=~]*(?:`[^`]*`[^`=~]*)*")
_MAX_VALUES = 200


@dataclass(frozen=True)
class Term:
    """One part of a condition. `words` are allowed values; `contains` a text in the value; neither: it is there."""

    path: Path
    negated: bool = False
    words: frozenset[str] | None = None
    contains: str | None = None

    def holds(self, node: Node) -> bool:
        """Say whether it holds at a node; `path` counts from there."""
        nodes = find(self.path, node)
        texts = (text for inner in nodes for text in _texts(inner.value))
        if self.words is not None:
            truth = any(names.word(text) in self.words for text in texts)
        elif self.contains is not None:
            truth = any(self.contains in text.lower() for text in texts)
        else:
            truth = bool(nodes)
        return truth is not self.negated


@dataclass(frozen=True)
class Condition:
    """A condition: terms that hold for the same element below `prefix`."""

    text: str
    prefix: Path
    terms: tuple[Term, ...]
    elsewhere: tuple[Term, ...] = ()
    """Terms that begin at the document while the others do not."""

    def holds(self, document: Node, alert: Node) -> bool:
        """Say whether it holds for an alert within a document."""
        if not all(term.holds(document) for term in self.elsewhere):
            return False
        start = document if self.prefix.absolute else alert
        elements = find(self.prefix, start) if self.prefix.names else [start]
        return any(
            all(term.holds(element) for term in self.terms)
            for node in elements
            for element in node.elements()
        )


def condition(text: str) -> Condition:
    """Read a condition. Raises `ValueError` with what is wrong."""
    terms = [_term(piece) for piece in _split(text, "&")]
    absolute = all(term.path.absolute for term in terms)
    here = [term for term in terms if term.path.absolute == absolute]
    elsewhere = tuple(term for term in terms if term.path.absolute != absolute)
    shared: list[str] = []
    for column in zip(*(term.path.names for term in here), strict=False) if len(here) > 1 else ():
        if len(set(map(names.word, column))) > 1 or any(
            len(term.path.names) == len(shared) + 1 for term in here
        ):
            break
        shared.append(column[0])
    inner = tuple(
        replace(term, path=replace(term.path, names=term.path.names[len(shared) :], absolute=False))
        for term in here
    )
    return Condition(text, Path(".".join(shared), tuple(shared), absolute), inner, elsewhere)


def _term(text: str) -> Term:
    stripped = text.strip()
    negated = stripped.startswith("!")
    stripped = stripped.removeprefix("!").strip()
    end = _SIGN.match(stripped).end()  # type: ignore[union-attr]  # matches the empty string too
    where, sign, value = path(stripped[:end]), stripped[end : end + 1], stripped[end + 1 :].strip()
    if not sign:
        return Term(where, negated)
    if not value.replace("`", ""):
        raise ValueError(f"{text.strip()!r} has no value after {sign}")
    if sign == "~":
        return Term(where, negated, contains=value.strip("`").lower())
    return Term(
        where, negated, words=frozenset(names.word(word.strip().strip("`")) for word in _split(value, ","))
    )


def _split(text: str, sign: str) -> list[str]:
    """Return the pieces of a text between signs that are not quoted. Raises `ValueError` for an empty one."""
    pieces = [""]
    quoted = False
    for character in text:
        quoted ^= character == "`"
        if character == sign and not quoted:
            pieces.append("")
        else:
            pieces[-1] += character
    if quoted or not all(piece.strip() for piece in pieces):
        raise ValueError(
            f"{text!r} has an open backtick" if quoted else f"{text!r} has nothing before or after a {sign}"
        )
    return pieces


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, list):
        return [text for item in value[:_MAX_VALUES] for text in _texts(item)]
    return ()
