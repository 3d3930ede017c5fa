"""Secrets in JSON, whole or broken."""

import json
import re
from collections.abc import Callable

from shared.webhook.masking.structure import Frame, Structure

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]++', re.DOTALL)
_BLANK = re.compile(r"[\ufeff\s]*")


def begins(text: str) -> bool:
    """Tell whether a text begins as JSON does."""
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"')


def is_whole(text: str) -> bool:
    """Tell whether a text is one JSON value, or several in a row."""
    decoder = json.JSONDecoder(strict=False)
    at, end = 0, len(text)
    try:
        while at < end:
            blank = _BLANK.match(text, at)
            at = blank.end() if blank else at
            if at < end:
                _, at = decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return False
    return True


def masked(text: str, mask: str, inside: Callable[[str], str]) -> str:
    """Return JSON with its secrets masked; `inside` masks the texts in it."""
    structure = Structure(text, f'"{mask}"', inside, lambda within: json.dumps(within, ensure_ascii=False))
    for token in _TOKEN.finditer(text):
        sign = token[0]
        frame = structure.open[-1]
        if sign in ("{", "["):
            structure.open.append(Frame(token.start(), sign == "{"))
        elif sign in ("}", "]"):
            if len(structure.open) > 1:
                structure.close(token.end())
        elif sign == ",":
            frame.key = None
        elif sign != ":":
            scalar = _scalar(sign)
            if frame.is_object and frame.key is None:
                frame.key = scalar
            else:
                structure.value(token.start(), token.end(), scalar)
    return structure.result()


def _scalar(token: str) -> str:
    """Return what a token of JSON says: the characters of a string, or the word as it stands."""
    if not token.startswith('"'):
        return token
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token.strip('"')
