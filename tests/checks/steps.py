"""How many steps a regular expression takes on a text: its own parse tree, walked with backtracking and counted.

The real engine takes no more: it only leaves out starts that cannot match. A bounded repetition counts as a short one,
because what it costs does not grow with the text. `superlinear` makes texts of the pattern's own characters, repeated,
and tells one on which four times the length takes more than some four times the steps.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from re import _constants, _parser
from typing import Any

sre: Any = _constants  # whose names the parser makes at run time
parser: Any = _parser

_BOUND = 5  # what a repetition of at most so and so many counts as
_SHORT, _LONG = 12, 48
_MOST = 400  # steps of a character: more is as good as endless
_CHARACTERS = 7
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_FOREIGN = "\x01"


class TooManyStepsError(Exception):
    """A text took so many steps that counting on is useless."""


class Steps:
    """A pattern that counts."""

    def __init__(self, pattern: "re.Pattern[str]") -> None:
        self.tree = parser.parse(pattern.pattern, pattern.flags)
        self._ignore_case = bool(pattern.flags & re.IGNORECASE)
        self._dotall = bool(pattern.flags & re.DOTALL)
        self._multiline = bool(pattern.flags & re.MULTILINE)
        self._count = self._most = 0

    def match(self, text: str) -> int:
        """Return the steps of an attempt at the beginning of a text."""
        self._begin(text)
        next(self._sequence(self.tree, 0, text, 0), None)
        return self._count

    def every(self, text: str) -> int:
        """Return the steps of finding every match in a text."""
        self._begin(text)
        at = 0
        while at <= len(text):
            end = next(self._sequence(self.tree, 0, text, at), None)
            at = at + 1 if end is None or end == at else end
        return self._count

    def fullmatch(self, text: str) -> int:
        """Return the steps of an attempt that must reach the end of a text."""
        self._begin(text)
        for end in self._sequence(self.tree, 0, text, 0):
            if end == len(text):
                break
        return self._count

    def end(self, text: str, at: int) -> int | None:
        """Return where a match that begins at a place ends, None if there is none."""
        self._begin(text)
        return next(self._sequence(self.tree, 0, text, at), None)

    def _begin(self, text: str) -> None:
        self._count, self._most = 0, _MOST * (len(text) + 10)

    def _sequence(self, nodes: Sequence[Any], index: int, text: str, at: int) -> Iterator[int]:
        if index == len(nodes):
            yield at
            return
        kind, what = nodes[index]
        for end in self._node(kind, what, text, at):
            yield from self._sequence(nodes, index + 1, text, end)

    def _node(self, kind: Any, what: Any, text: str, at: int) -> Iterator[int]:
        self._spend()
        if _is_one(kind):
            yield from [at + 1] if at < len(text) and self._takes(kind, what, text[at]) else []
        elif kind in _REPEATS:
            yield from self._repeat(kind, what, text, at)
        elif kind in (sre.ASSERT, sre.ASSERT_NOT):
            yield from [at] if self._holds(what, text, at) is (kind is sre.ASSERT) else []
        elif kind is sre.AT:
            yield from [at] if self._stands(what, text, at) else []
        elif kind is sre.ATOMIC_GROUP:
            yield from itertools.islice(self._sequence(what, 0, text, at), 1)
        else:
            for branch in _inside(kind, what):
                yield from self._sequence(branch, 0, text, at)

    def _holds(self, what: Any, text: str, at: int) -> bool:
        """Say whether a look-ahead or look-behind holds."""
        direction, inner = what
        start = at if direction > 0 else at - inner.getwidth()[0]
        return start >= 0 and next(self._sequence(inner, 0, text, start), None) is not None

    def _repeat(self, kind: Any, what: Any, text: str, at: int) -> Iterator[int]:
        least, most, inner = what
        if most is not sre.MAXREPEAT:
            least, most = min(least, _BOUND), min(most, _BOUND)
        if kind is sre.POSSESSIVE_REPEAT:
            yield from list(self._ends(most, inner, text, at))[least:][-1:]
        elif len(inner) == 1 and _is_one(inner[0][0]):
            ends = list(self._ends(most, inner, text, at))[least:]
            for end in ends if kind is sre.MIN_REPEAT else reversed(ends):
                self._spend()
                yield end
        else:
            yield from self._nested(least, most, inner, text, at, lazy=kind is sre.MIN_REPEAT)

    def _ends(self, most: int, inner: Any, text: str, at: int) -> Iterator[int]:
        """Yield where none, one, two … repetitions end that are never tried another way."""
        yield at
        for _ in itertools.count() if most is sre.MAXREPEAT else range(most):
            end = next(self._sequence(inner, 0, text, at), None)
            if end is None or end == at:
                return
            yield (at := end)

    def _nested(self, least: int, most: int, inner: Any, text: str, at: int, *, lazy: bool) -> Iterator[int]:
        if lazy and least <= 0:
            yield at
        if most is sre.MAXREPEAT or most > 0:
            left = most if most is sre.MAXREPEAT else most - 1
            for end in self._sequence(inner, 0, text, at):
                if end != at:
                    yield from self._nested(least - 1, left, inner, text, end, lazy=lazy)
        if not lazy and least <= 0:
            yield at

    def _takes(self, kind: Any, what: Any, character: str) -> bool:
        if self._ignore_case:
            return any(
                _takes(kind, what, variant, self._dotall)
                for variant in {character.lower(), character.upper()}
            )
        return _takes(kind, what, character, self._dotall)

    def _stands(self, what: Any, text: str, at: int) -> bool:
        if what in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            return at == 0 or (self._multiline and text[at - 1] == "\n")
        if what in (sre.AT_END, sre.AT_END_STRING):
            return at == len(text) or (what is sre.AT_END and text[at:] == "\n")
        before, after = at > 0 and _is_word(text[at - 1]), at < len(text) and _is_word(text[at])
        return (before != after) is (what is sre.AT_BOUNDARY)

    def _spend(self) -> None:
        self._count += 1
        if self._count > self._most:
            raise TooManyStepsError


def _inside(kind: Any, what: Any) -> list[Any]:
    """Return the contents of a node: the branches of an alternative, or the one part of a group or a repetition."""
    if kind is sre.BRANCH:
        return list(what[1])
    if kind in _REPEATS:
        return [what[2]]
    if kind in (sre.ASSERT, sre.ASSERT_NOT):
        return [what[1]]
    if kind is sre.ATOMIC_GROUP:
        return [what]
    if kind is sre.SUBPATTERN:
        return [what[3]]
    if kind is sre.AT or _is_one(kind):
        return []
    raise NotImplementedError(kind)


def _is_one(kind: Any) -> bool:
    """Say whether a node takes exactly one character."""
    return kind in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN, sre.RANGE, sre.CATEGORY)


def _takes(kind: Any, what: Any, character: str, dotall: bool) -> bool:
    if kind is sre.LITERAL:
        return bool(ord(character) == what)
    if kind is sre.NOT_LITERAL:
        return bool(ord(character) != what)
    if kind is sre.ANY:
        return dotall or character != "\n"
    if kind is sre.RANGE:
        return bool(what[0] <= ord(character) <= what[1])
    if kind is sre.CATEGORY:
        name = str(what)
        held = {"DIGIT": character.isdigit(), "SPACE": character.isspace(), "WORD": _is_word(character)}
        return held[name.rpartition("_")[2]] is not ("NOT" in name)
    negated = what[0][0] is sre.NEGATE
    return any(_takes(name, item, character, dotall) for name, item in what[negated:]) is not negated


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def superlinear(pattern: "re.Pattern[str]", way: str) -> str | None:
    """Return a text on which a pattern takes more than linear steps, by match, fullmatch or every; None if none."""
    steps = Steps(pattern)
    count = getattr(steps, way)
    sample = _sample(steps.tree)
    characters = [*[*dict.fromkeys(_characters(steps.tree))][:_CHARACTERS], _FOREIGN]
    pumps = [*characters, *map("".join, itertools.permutations(characters, 2)), sample, sample[:-1]]
    starts = sorted({"", sample[:-1], sample[: len(sample) // 2]})
    for pump, start, end in itertools.product(filter(None, dict.fromkeys(pumps)), starts, ("", _FOREIGN)):
        text = start + pump * _LONG + end
        try:
            short, long = count(start + pump * _SHORT + end), count(text)
        except TooManyStepsError:
            return text
        if long > 6 * short + 200:
            return text
    return None


def _characters(nodes: Any) -> Iterator[str]:
    """Yield characters that a pattern asks for, those of its groups and repetitions first."""
    for kind, what in nodes:
        for inner in _inside(kind, what):
            yield from _characters(inner)
    for kind, what in nodes:
        if _is_one(kind):
            yield _example(kind, what)
        if kind is sre.IN:
            yield from (chr(inner) for name, inner in what if name is sre.LITERAL)


def _example(kind: Any, what: Any) -> str:
    """Return a character that a node takes."""
    if kind is sre.LITERAL:
        return chr(what)
    firsts = (
        [
            chr(item[0] if name is sre.RANGE else item)
            for name, item in what
            if name in (sre.RANGE, sre.LITERAL)
        ]
        if kind is sre.IN
        else []
    )
    likely = ["a", "A", "0", " ", "\n", *firsts, *map(chr, range(0x250))]
    return next(character for character in likely if _takes(kind, what, character, dotall=False))


def _sample(nodes: Any) -> str:
    """Return a short text that a pattern is likely to match."""
    sample = ""
    for kind, what in nodes:
        if _is_one(kind):
            sample += _example(kind, what)
        elif kind not in (sre.ASSERT, sre.ASSERT_NOT):
            times = max(1, min(what[0], _BOUND)) if kind in _REPEATS else 1
            sample += "".join(_sample(inner) * times for inner in _inside(kind, what)[:1])
    return sample
