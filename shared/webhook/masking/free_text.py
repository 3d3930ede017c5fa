"""Secrets in texts of any form: `name=value`, headers, command lines, forms, URLs, and what is a secret by its form."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote_plus, unquote_plus

from shared.webhook.masking.names import is_called_value, is_name, is_secret, names_secret, plain

_BEFORE_VALUE = re.compile(
    r"""(?<![\w.%\-])(?P<name>[\w.%\-]++(?:\[[\w.\-]*+\])*+)(?P<sign>\\*+["'`]?\s*+(?:=>|[:=])\s*+)"""
)
_QUOTED = re.compile(r"""(?P<open>\\*+["'`])(?:.{0,16384}?(?P=open)|.*+)""", re.DOTALL)
_LINE = re.compile(r"""[^\r\n"'\\]*+""")
_SCHEME = re.compile(
    r"""(?:Bearer|Basic|Negotiate|Token|ApiKey|Splunk|GenieKey)\s++[^\s"'&,;\\]++|\*{3}(?=\s)""",
    re.IGNORECASE,
)
_BARE = re.compile(r"""(?:(?![,;|]\s*+[\w.\-]++\s*+[=:])[^\s&"'<>\\])*+""")
_WORD_BEFORE = re.compile(r"([A-Za-z]{1,20})[ \t]\Z")
_IN_ADDRESS = re.compile(r"""(://[^/\s:@"']{1,200}:)[^/\s@"']{1,500}@""")
_BEARER = re.compile(r"\b(Bearer\s+)[\w.~+/=\-]{16,}", re.IGNORECASE)
_BASIC = re.compile(r"\b(Basic\s+)([A-Za-z0-9+/]{6,}={0,2})", re.IGNORECASE)
_TOKENS = re.compile(
    r"\beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*|(?<=hooks\.slack\.com/services/)[\w/\-]+"
    r"|(?<=PRIVATE KEY-----)(?:(?!-----)[\s\S])+"
)
"""A JSON web token, an address of Slack's that anybody may post to, a private key."""
_USER = re.compile(
    r"""(\bcurl\b[^\r\n]{0,500}?\s(?:-u|--user|--proxy-user)\s+["']?[^\s:"']{1,100}:)[^\s"']+"""
)
_OPTION = re.compile(
    r"""(?:(?<!\S)(?:--?|/)(?P<name>[\w\-]++)|(?P<made>ConvertTo-SecureString(?:\s+-String)?))"""
    r"""(?P<blank>\s++)(?P<value>\\?"[^"\\]*+\\?"|'[^']*+'|(?![\-/])[^\s"']++)""",
    re.IGNORECASE,
)
_PAIR = re.compile(r"""[(\[]\s*+(["'])(?P<name>[\w .\-]{1,60})\1\s*+,\s*+(?P<value>"[^"\\]*+"|'[^'\\]*+')""")
_PART = re.compile(
    r"""^Content-Disposition:[^\r\n]{0,500}?\bname="?(?P<name>[^"\r\n;]{1,100})[^\r\n]{0,500}(?:\r?\n[^\r\n]{1,500}){0,9}"""
    r"""\r?\n\r?\n""",
    re.IGNORECASE | re.MULTILINE,
)
_VALUE = re.compile(r"[\w.\-]{1,60}+(?![\w.\-])")
_ENCODED = re.compile(r"""[^\s"'<>&?=]++""")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def masked(text: str, mask: str, inside: Callable[[str], str]) -> str:
    """Return a text with its secrets masked; `inside` masks what is encoded in it."""
    text = _IN_ADDRESS.sub(rf"\1{mask}@", text)
    text = _BEARER.sub(rf"\1{mask}", text)
    text = _BASIC.sub(lambda match: match[1] + mask if _is_basic(match[2]) else match[0], text)
    text = _TOKENS.sub(mask, text)
    text = _USER.sub(rf"\1{mask}", text)
    if "%" in text:
        text = _ENCODED.sub(lambda match: _decoded(match[0], inside), text)
    if "form-data" in text.lower():
        text = "".join(_parts(text, mask))
    text = _OPTION.sub(lambda match: _option(match, mask), text)
    text = _PAIR.sub(lambda match: _pair(match, mask), text)
    return "".join(_pairs(text, mask))


def _is_basic(word: str) -> bool:
    """Tell whether a word is a user and a password, as the scheme Basic has them."""
    try:
        return b":" in base64.b64decode(word + "=" * (-len(word) % 4))
    except (binascii.Error, ValueError):
        return False


def _decoded(word: str, inside: Callable[[str], str]) -> str:
    """Return a word of a URL or a form, masked as what it says."""
    if not _ESCAPE.search(word):
        return word
    decoded = unquote_plus(word)
    hidden = inside(decoded)
    return word if hidden == decoded else quote_plus(hidden, safe="*")


def _parts(text: str, mask: str) -> Iterator[str]:
    """Yield the parts of a form, the content of each masked whose name is a secret's."""
    at = 0
    for match in _PART.finditer(text):
        if match.start() >= at and is_secret(match["name"]):
            end = text.find("\n--", match.end())
            end = len(text) if end < 0 else end
            yield text[at : match.end()] + mask + "\r" * (text[match.end() : end].endswith("\r"))
            at = end
    yield text[at:]


def _option(match: re.Match[str], mask: str) -> str:
    """Return an option of a command line, its value masked if it is a secret."""
    if match["name"] and not is_secret(match["name"]):
        return match[0]
    value = match.start("value") - match.start()
    return match[0][:value] + _like(match["value"], mask)


def _pair(match: re.Match[str], mask: str) -> str:
    """Return two texts in quotes, the second masked if the first names a secret."""
    if not names_secret(match["name"]):
        return match[0]
    value = match.start("value") - match.start()
    return match[0][:value] + _like(match["value"], mask)


def _pairs(text: str, mask: str) -> Iterator[str]:
    """Yield a text with the values of `name=value` and `name: value` masked where the name is a secret's."""
    labelled = _labelled(text)
    at, named = 0, False
    while match := _BEFORE_VALUE.search(text, at):
        in_url = text[max(0, match.start() - 1) : match.start()] in ("?", "&")
        yield text[at : match.end()]
        at = match.end()
        name, value = plain(match["name"]), _VALUE.match(text, at)
        hidden = (
            is_secret(match["name"], in_url=in_url)
            or (name in labelled)
            or (named and is_called_value(name))
            or _is_two_words(text, match)
        )
        named = is_name(name) and value is not None and is_secret(value[0])
        if hidden:
            end = _end(text, at, match)
            yield _like(text[at:end], mask)
            at = end
    yield text[at:]


def _labelled(text: str) -> set[str]:
    """Return the names, in plain letters, that a label calls a secret, as CEF does: `cs1Label=Password cs1=…`."""
    if "label" not in text.lower():
        return set()
    return {
        plain(match["name"]).removesuffix("label")
        for match in _BEFORE_VALUE.finditer(text)
        if plain(match["name"]).endswith("label")
        and (value := _VALUE.match(text, match.end()))
        and is_secret(value[0])
    }


def _is_two_words(text: str, match: re.Match[str]) -> bool:
    """Tell whether a name is that of a secret together with the word before it: `API key: …`."""
    before = _WORD_BEFORE.search(text, max(0, match.start() - 21), match.start())
    return (
        before is not None
        and match["name"].lower() in ("key", "keys")
        and names_secret(before[1] + match["name"])
    )


def _end(text: str, at: int, match: re.Match[str]) -> int:
    """Return where a secret value ends that begins at `at`, behind its name and sign."""
    name, sign = plain(match["name"]), match["sign"]
    if quoted := _QUOTED.match(text, at):
        return quoted.end()
    if "\n" in sign or (":" in sign and text[at : at + 1] in ("|", ">")):
        return _block_end(text, at, match)
    scheme = _SCHEME.match(text, at)
    if ":" in sign and not scheme and name.endswith(("authorization", "cookie")):
        scheme = _LINE.match(text, at)
    value = scheme or _BARE.match(text, at)
    return value.end() if value else at


def _block_end(text: str, at: int, match: re.Match[str]) -> int:
    """Return where the lines end that belong to a name because they stand further in than it does."""
    depth = match.start() - (text.rfind("\n", 0, match.start()) + 1)
    first = text.rfind("\n", 0, at) + 1 if "\n" in match["sign"] else text.find("\n", at) + 1
    if not first:
        return len(text)
    end = at
    while first < len(text):
        line_end = text.find("\n", first)
        line_end = len(text) if line_end < 0 else line_end
        line = text[first:line_end]
        if line.strip() and len(line) - len(line.lstrip()) <= depth:
            break
        end, first = max(end, line_end), line_end + 1
    return end


def _like(value: str, mask: str) -> str:
    """Return the mask in the quotes that the value stood in."""
    quote = re.match(r"""\\*+["'`]""", value)
    if quote is None:
        return mask if value else ""
    closed = len(value) > len(quote[0]) and value.endswith(quote[0])
    return quote[0] + mask + (quote[0] if closed else "")
