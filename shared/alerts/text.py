"""Texts for Defender: cut to their limit at whole characters, without invisible characters."""

import json
import re
import unicodedata
from collections.abc import Iterable

GUID = re.compile(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.ASCII | re.IGNORECASE)

_JOINER = "\u200d"  # makes one emoji of several
_MAX_JOINED = 32
_HIDDEN = (
    "\u00ad\u115f\u1160\u17b4\u17b5\u180e\u200b\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f"
)
"""Characters that show nothing, or turn the direction of what follows, and that no script needs."""
_JOINING = (
    "\u0590-\u109f\u1780-\u18af\u1a00-\u1cff\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff"
)
"""Scripts whose letters are joined and parted by U+200D and U+200C: Arabic, those of India, Khmer, Mongolian."""
_EMOJI = "\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff"
_REMOVED = re.compile(
    f"[{_HIDDEN}]|(?<![{_JOINING}])\u200c|(?<![{_JOINING}{_EMOJI}])\u200d|(?<=[{_EMOJI}])\u200d(?![{_EMOJI}])"
)
_UNSEEN = re.compile(f"[{_HIDDEN}\u00a0\u061c\u2007\u200c-\u200f\u202f\ufe00-\ufe0f]")
_ENDS = re.sub(  # every character of the class, as `str.strip` wants them
    "(.)-(.)",
    lambda match: "".join(map(chr, range(ord(match[1]), ord(match[2]) + 1))),
    _UNSEEN.pattern[1:-1] + "\t-\r\x1c-\x20\x85\u1680\u2000-\u200a\u2028\u2029\u205f\u3000",
)
_UNSHOWN = re.compile(f"[{_HIDDEN}\u061c\u200e\u200f\u2028\u2029]")


def shown(value: object) -> str:
    """Return a value as it may stand in an answer or a log: short, one line, printable."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if not isinstance(value, str):
        return json.dumps(value)
    short = value if len(value) <= 60 else value[:60] + "…"  # noqa: PLR2004  # enough to recognise it
    printable = json.dumps(short, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    return _UNSHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", printable)


def units(text: str) -> int:
    """Return a text's length in UTF-16 units, in which Defender and Table Storage count."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` UTF-16 units; what was cut ends in an ellipsis."""
    if units(text) <= limit:
        return text
    short = text[:limit].encode("utf-16-le", "surrogatepass")[: (limit - 1) * 2].decode("utf-16-le", "ignore")
    end = len(short)
    # Not between a letter and its accents, or inside a joined emoji; but never much further back.
    while len(short) - end < _MAX_JOINED and end > 1 and (_joins(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end].rstrip() + "…"


def visible(text: str) -> tuple[str, str | None]:
    """Return a text without the invisible characters that no script and no emoji needs, and the removed ones."""
    hidden = _REMOVED.findall(text) if not text.isascii() else []
    return (_REMOVED.sub("", text), _named(hidden)) if hidden else (text, None)


def trimmed(text: str) -> tuple[str, str | None]:
    """Return a text without white space and invisible characters at its ends, and the removed invisible ones."""
    if text.isascii():
        return text.strip(), None
    inner = text.strip(_ENDS)
    at = text.find(inner) if inner else len(text)
    hidden = _UNSEEN.findall(text[:at]) + _UNSEEN.findall(text[at + len(inner) :])
    return inner, _named(hidden) if hidden else None


def unseen(text: str) -> str | None:
    """Return the invisible characters of a text, as `U+200B (zero width space)`, or None."""
    hidden = _UNSEEN.findall(text) if not text.isascii() else []
    return _named(hidden) if hidden else None


def _named(characters: Iterable[str]) -> str:
    names = [
        f"U+{ord(character):04X} ({unicodedata.name(character, 'no name').lower()})"
        for character in dict.fromkeys(characters)
    ]
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")  # noqa: PLR2004  # enough to look for them


def _joins(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me", "Mc") or character == _JOINER
