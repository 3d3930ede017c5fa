"""Secrets in what is stored of a refused payload, masked by their names: keys, passwords, tokens, cookies.

Everything else stays byte for byte as it came, so that the payload can be replayed. A secret may stand in an object,
in a pair of name and value, in a form, in JSON within a string, in JSON that is broken, in XML or in a URL.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from shared.webhook.secret_names import HINT, is_secret, plain

MASK = "***"
_DEEP = 8
"""Texts within texts that are opened; deeper ones that name a secret are masked whole."""
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]++', re.DOTALL)
_NAMES = {"name", "key", "k", "field", "label", "header", "parameter", "param", "attribute", "property", "id"}
_VALUES = {"value", "val", "v", "values", "content", "text", "data", "stringvalue"}

_BEFORE_VALUE = re.compile(
    r"""(?<![\w.%\-])(?P<name>[\w.%\-]++(?:\[[\w.\-]*+\])*+)(?P<sign>\\*+["'`]?\s*+(?:=>|[:=])\s*+)"""
)
_QUOTED = re.compile(r"""(?P<open>\\*+["'`])(?:.{0,16384}?(?P=open)|.*+)""", re.DOTALL)
_LINE = re.compile(r"""[^\r\n"'\\]*+""")
_SCHEME = re.compile(
    r"""(?:Bearer|Basic|Digest|Negotiate|Token|ApiKey|Splunk|GenieKey)\s++[^\s"'&,;\\]++""", re.IGNORECASE
)
_BARE = re.compile(r"""(?:(?![,;|]\s*+[\w.\-]++\s*+[=:])[^\s&"'<>\\])*+""")
_FORM_VALUE = re.compile(r"""[^\s&"'<>]*+""")
_TAGGED = re.compile(r"(<[^<>/][^<>]{0,300}>)([^<]++)")
_WORD = re.compile(r"[\w.\-]++")
_IN_ADDRESS = re.compile(r"""(://[^/\s:@"']{1,200}:)[^/\s@"']{1,500}@""")
_BEARER = re.compile(r"\b(Bearer\s+)[\w.~+/=\-]{16,}", re.IGNORECASE)


def body(raw: bytes) -> bytes:
    """Return the bytes of a payload with its secrets masked."""
    return text(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def text(sent: str, depth: int = 0) -> str:
    """Return a text of any form with its secrets masked; `depth` counts the texts that it was in."""
    if not HINT.search(sent):
        return sent
    if depth > _DEEP:
        return MASK
    if sent.lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"'):
        masked = _json(sent, depth)
        if _is_json(sent):
            return masked
        sent = masked
    sent = _IN_ADDRESS.sub(rf"\1{MASK}@", sent)
    sent = _BEARER.sub(rf"\1{MASK}", sent)
    sent = _TAGGED.sub(_element, sent)
    return "".join(_pairs(sent, depth))


def named(values: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a URL with their secrets masked."""
    return {name: MASK if is_secret(name, in_url=True) else text(value) for name, value in values.items()}


def problems(refused: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield what is wrong with each event, the values that it quotes masked if they are secrets."""
    for event in refused:
        masked = [{**problem, "detail": text(problem["detail"])} for problem in event["problems"]]
        yield {**event, "problems": masked}


@dataclass(slots=True)
class _Frame:
    """An object or a list that is open: the name that waits for its value, and what names a secret."""

    start: int
    is_object: bool
    key: str | None = None
    names_secret: bool = False
    after_secret: bool = False
    values: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Masked:
    """The edits of one JSON text, each a place and what stands there instead."""

    text: str
    depth: int
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    open: list[_Frame] = field(default_factory=list)

    def value(self, start: int, end: int, scalar: str | None) -> None:
        """Take note of a whole value; `scalar` is its text, None for an object or a list."""
        parent = self.open[-1] if self.open else None
        if parent is None:
            return self._inside(start, end, scalar)
        if not parent.is_object:
            hidden = parent.after_secret
            parent.after_secret = not hidden and scalar is not None and is_secret(scalar)
            return self._hide(start, end) if hidden else self._inside(start, end, scalar)
        key, parent.key = parent.key, None
        if key is not None and is_secret(key):
            return self._hide(start, end)
        name = plain(key or "")
        if name in _NAMES and scalar is not None:
            parent.names_secret |= is_secret(scalar)
        if name in _VALUES:
            parent.values.append((start, end))
        return self._inside(start, end, scalar)

    def close(self, end: int) -> None:
        """Close the innermost object or list, and take it for a value of what it is in."""
        frame = self.open.pop()
        if frame.names_secret:
            for span in frame.values:
                self._hide(*span)
        self.value(frame.start, end, None)

    def result(self) -> str:
        """Return the text with its edits; one inside another counts no more."""
        parts, at = [], 0
        for start, end, new in sorted(
            self.edits, key=lambda edit: (edit[0], -edit[1], edit[2] != f'"{MASK}"')
        ):
            if start >= at:
                parts += [self.text[at:start], new]
                at = end
        return "".join([*parts, self.text[at:]])

    def _hide(self, start: int, end: int) -> None:
        self.edits.append((start, end, f'"{MASK}"'))

    def _inside(self, start: int, end: int, scalar: str | None) -> None:
        if scalar is None or self.text[start] != '"':
            return
        masked = text(scalar, self.depth + 1)
        if masked != scalar:
            self.edits.append((start, end, json.dumps(masked, ensure_ascii=False)))


def _json(sent: str, depth: int) -> str:
    """Return JSON, whole or broken, with its secrets masked."""
    masked = _Masked(sent, depth)
    for token in _TOKEN.finditer(sent):
        sign = token[0]
        frame = masked.open[-1] if masked.open else None
        if sign in ("{", "["):
            masked.open.append(_Frame(token.start(), sign == "{"))
        elif sign in ("}", "]"):
            if frame:
                masked.close(token.end())
        elif sign == ",":
            if frame:
                frame.key = None
        elif sign != ":":
            scalar = _scalar(sign)
            if frame and frame.is_object and frame.key is None:
                frame.key = scalar
            else:
                masked.value(token.start(), token.end(), scalar)
    while masked.open:
        masked.close(len(sent))
    return masked.result()


def _scalar(token: str) -> str:
    """Return what a token of JSON says: the characters of a string, or the word as it stands."""
    if not token.startswith('"'):
        return token
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token.strip('"')


def _is_json(sent: str) -> bool:
    """Tell whether a text is one JSON value, or several in a row."""
    decoder = json.JSONDecoder(strict=False)
    at, end = 0, len(sent)
    try:
        while at < end:
            at = re.compile(r"[\ufeff\s]*").match(sent, at).end()  # type: ignore[union-attr]  # it always matches
            if at < end:
                _, at = decoder.raw_decode(sent, at)
    except (ValueError, RecursionError):
        return False
    return True


def _pairs(sent: str, depth: int) -> Iterator[str]:
    """Yield a text with the values of `name=value` and `name: value` masked where the name is a secret's."""
    at = opened = 0
    while match := _BEFORE_VALUE.search(sent, at):
        in_url = sent[max(0, match.start() - 1) : match.start()] in ("?", "&")
        yield sent[at : match.end()]
        at = match.end()
        if is_secret(match["name"], in_url=in_url):
            end = _end(sent, at, plain(match["name"]), match["sign"])
            yield _like(sent[at:end])
            at = end
        elif "=" in match["sign"] and at >= opened:
            opened = _FORM_VALUE.match(sent, at).end()  # type: ignore[union-attr]  # it always matches
            if "%" in (value := sent[at:opened]):
                whole = unquote_plus(value)
                masked = text(whole, depth + 1)
                if masked != whole:
                    yield quote_plus(masked)
                    at = opened
    yield sent[at:]


def _end(sent: str, at: int, name: str, sign: str) -> int:
    """Return where a secret value ends that begins at `at`."""
    if quoted := _QUOTED.match(sent, at):
        return quoted.end()
    if ":" in sign and name.endswith(("authorization", "cookie")):
        return _LINE.match(sent, at).end()  # type: ignore[union-attr]  # it always matches
    value = _SCHEME.match(sent, at) or _BARE.match(sent, at)
    return value.end() if value else at


def _like(value: str) -> str:
    """Return the mask in the quotes that the value stood in."""
    quote = re.match(r"""\\*+["'`]""", value)
    if quote is None:
        return MASK if value else ""
    closed = len(value) > len(quote[0]) and value.endswith(quote[0])
    return quote[0] + MASK + (quote[0] if closed else "")


def _element(match: re.Match[str]) -> str:
    """Return an element of XML, its text masked where its name or an attribute is that of a secret."""
    secret = match[2].strip() and any(is_secret(word) for word in _WORD.findall(match[1]))
    return match[1] + MASK if secret else match[0]
