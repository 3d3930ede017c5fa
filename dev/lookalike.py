"""Look-alikes: for each value another one of the same form, so that mapping reads it in the same way.

A word that mapping itself knows stays, because mapping may depend on it; every other word gets a made-up one of the
same length and case. Addresses become those for examples, ids keep their alphabet, times and numbers move (`moved.py`).
The same value has the same look-alike wherever it stands, in capitals as well; all of it follows from the seed.
"""

import hashlib
import ipaddress
import json
import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

from dev.moved import PLAIN_DIGITS, Moves

_ID_DIGITS, _ID_PREFIX = 5, 3  # INC0012345, da6390…: the letters are the kind of the id
_HUMP, _TRIES = 4, 50
_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
_VOWELS, _CONSONANTS, _HEX = "aeiou", "bdfghklmnprstvwz", "abcdef"
_UNUSUAL = {"Lu": "ÄÖÜÉÑ", "Ll": "äöüéñ"}
_OTHER_LETTERS = "天地山川田中木火土金"
_ENDINGS = frozenset(json.loads(Path(__file__).with_name("anonymise.json").read_bytes())["domain endings"])
_BORDERS = str.maketrans({"«": r"(?<![^\W_])", "»": r"(?![^\W_])"})
_FORMS = {
    name: "|".join(forms).translate(_BORDERS)
    for name, forms in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")).items()
}
_NO_NAMES = ("hex", "mail", "domain", "ip4", "ip6", "sid", "number")
_ESCAPE = {"escape": r'\\(?:u[0-9a-fA-F]{4}|[nrtbf"/\\])'}
_TOKEN, _EMBEDDED = (
    re.compile("|".join(f"(?P<{name}>{form})" for name, form in forms.items()))
    for forms in (_FORMS, _ESCAPE | _FORMS)
)
_PART = re.compile(r"([-_.]+)")
_HUMPS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")
_ID = re.compile(rf"([^\W\d_]{{1,{_ID_PREFIX}}})(\d{{{_ID_DIGITS},}})")


def words(text: str) -> set[str]:
    """Return the words of a text in small letters: as they are, and the parts of those written in camel case."""
    names = [part for token in re.findall(r"\w+", text) for part in token.split("_") if part]
    return {word.lower() for name in names for word in (name, *_HUMPS.findall(name))}


def _humps(text: str) -> list[str]:
    """Return the parts of a word in camel case; none of a text that is anything else."""
    humps = _HUMPS.findall(text)
    return humps if "".join(humps) == text else []


class LookAlikes:
    """The look-alikes of one payload. `known` are the words that stay, in small letters."""

    def __init__(self, seed: bytes, known: Collection[str]) -> None:
        self._seed = seed
        self._known = frozenset(known)
        self._made: dict[tuple[str, bool], str] = {}
        self._taken: set[str] = set()
        self._addresses: dict[str, str] = {}
        self._moves = Moves(seed)

    def text(self, text: str, *, personal: bool = False) -> str:
        """Return a text with a look-alike in the place of each value. In a `personal` one no word is known."""
        pattern = _EMBEDDED if '{"' in text or '\\"' in text else _TOKEN
        return pattern.sub(lambda match: self._token(match, personal=personal), text)

    def name(self, text: str) -> str:
        """Return the name of a key as it is, but for addresses, ids and paths, which are values in its place."""
        return _TOKEN.sub(self._named, text) if "\\" not in text else self.text(text)

    def number(self, text: str) -> str:
        """Return another number of the same form."""
        return self._moves.number(text)

    def _named(self, match: re.Match[str]) -> str:
        kind, labels = match.lastgroup, match[0].lower().split(".")
        host = kind == "word" and labels[-1] in _ENDINGS and len(labels) > 1 and not self._is_known(labels[0])
        return self._token(match, personal=False) if host or kind in _NO_NAMES else match[0]

    def _token(self, match: re.Match[str], *, personal: bool) -> str:
        text = match[0]
        match match.lastgroup:
            case "hex":
                made = self._like(text, hexadecimal=True)
            case "mail" | "domain":
                made = re.sub(r"[\w.-]+", lambda part: self._dotted(part[0], personal=True), text)
            case "ip4" | "ip6":
                made = self._address(text)
            case "time":
                made = self._moves.time(text)
            case "sid":
                made = re.sub(r"\d{5,}", lambda part: self._like(part[0]), text)
            case "number":
                made = self.number(text)
            case "word":
                made = self._dotted(text, personal=personal)
            case _:
                made = text
        return made

    def _dotted(self, text: str, *, personal: bool) -> str:
        """Return a name of several parts, such as `ws-0412.contoso.example`, `attack.execution` or `a_b`."""
        labels = text.split(".")
        made = [self._label(label, personal=personal) for label in labels]
        if len(made) > 1 and labels[-1].lower() in _ENDINGS and made[:-1] != labels[:-1]:
            made[-1] = "example"
        return ".".join(made)

    def _label(self, text: str, *, personal: bool) -> str:
        parts = _PART.split(text)
        digits = sum(map(str.isdecimal, text))
        if len(parts) == 1 and text.isdecimal():
            return self._like(text) if personal else self._moves.number(text)
        unknown = any(not part.isdecimal() and not self._is_known(part) for part in parts[::2])
        numbered = "-" in text and digits > 1  # pc-017
        if text.replace("-", "").replace("_", "").isdecimal():
            unknown, numbered = False, digits > PLAIN_DIGITS + 2
        secret = personal or unknown or numbered
        return "".join(
            part if index % 2 or not part else self._part(part, secret=secret, personal=personal)
            for index, part in enumerate(parts)
        )

    def _part(self, text: str, *, secret: bool, personal: bool) -> str:
        if text.isdecimal():
            return self._like(text) if secret or len(text) > PLAIN_DIGITS else text
        if personal:
            return self._like(text)
        if self._is_known(text):
            return text
        if numbered := _ID.fullmatch(text):
            return numbered[1] + self._like(numbered[2])
        humps = _humps(text)
        if any(len(hump) >= _HUMP and hump.lower() in self._known for hump in humps):
            return "".join(hump if hump.lower() in self._known else self._like(hump) for hump in humps)
        return self._like(text)

    def _is_known(self, text: str) -> bool:
        if not text or text.lower() in self._known:
            return True
        humps = _humps(text)
        return len(humps) > 1 and all(
            len(hump) > 1 and not hump.isdecimal() and hump.lower() in self._known for hump in humps
        )

    def _like(self, text: str, *, hexadecimal: bool = False) -> str:
        """Return made-up letters and digits in the place of a text's own; what says nothing stays."""
        plain = text.lower()
        if (plain, hexadecimal) not in self._made and set(plain) - set("0-:"):
            tries = (self._spelled(plain, turn, hexadecimal) for turn in range(_TRIES))
            new = (
                made for made in tries if not (made == plain or made in self._taken or made in self._known)
            )
            made = next(new, self._spelled(plain, 0, hexadecimal))
            self._taken.add(made)
            self._made[plain, hexadecimal] = made
        made = self._made.get((plain, hexadecimal), text)
        if len(made) != len(text):
            return made
        return "".join(new.upper() if old.isupper() else new for old, new in zip(text, made, strict=True))

    def _spelled(self, plain: str, turn: int, hexadecimal: bool) -> str:
        seed = self._seed + f"{turn} {plain}".encode("utf-8", "replace")
        made = ""
        for letter, number in zip(plain, hashlib.shake_256(seed).digest(len(plain)), strict=True):
            if letter.isdecimal():
                choice = "123456789" if letter != "0" or made else "0"
            elif not letter.isalpha():
                choice = letter
            elif hexadecimal:
                choice = _HEX
            elif letter.isascii():
                choice = _VOWELS if made and made[-1] in _CONSONANTS else _CONSONANTS
            else:
                choice = _UNUSUAL.get(unicodedata.category(letter), _OTHER_LETTERS)
            made += choice[number % len(choice)]
        return made

    def _address(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:  # a version, or a time without its date
            return re.sub(r"\w+", lambda part: self._dotted(part[0], personal=False), text)
        if address.is_loopback or address.is_unspecified or text == "255.255.255.255":
            return text
        if address.compressed not in self._addresses:
            taken = set(self._addresses.values())
            made = next((example for example in self._examples(address) if example not in taken), text)
            self._addresses[address.compressed] = made
        return self._addresses[address.compressed]

    def _examples(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[str]:
        """Yield the addresses that are kept for examples, in an order that follows from an address."""
        first = int.from_bytes(hashlib.sha256(self._seed + address.packed).digest()[:2], "big")
        if isinstance(address, ipaddress.IPv6Address):
            return (f"2001:db8::{(first + number) % 0xFFFF + 1:x}" for number in range(0xFFFF))
        return (f"{network}.{(first + number) % 254 + 1}" for network in _NETWORKS for number in range(254))
