"""Look-alikes: for each value another one of the same form, so that what reads forms reads it the same.

A word that mapping itself knows stays, because mapping may depend on it; every other word gets a made-up one of the
same length and case. Times move by the same whole minutes, numbers keep their digits, ids their alphabet. The same
value has the same look-alike wherever it stands, in capitals as well; all of it follows from the seed.
"""

import hashlib
import ipaddress
import math
import re
import unicodedata
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

_FIRST_YEAR = 2000  # what is older is a placeholder for no time
_EPOCH = (946_684_800, 4_102_444_800)  # seconds: 2000 to 2100
_EPOCH_DIGITS = (10, 13, 16, 19)
_PLAIN_DIGITS = 4  # numbers up to 9999 stay: scores, ports, codes of events, years
_LATTICE = 10**7  # a multiple of 2^7: adding it to a number of 18 digits commutes with rounding to a float
_EXACT = 2**53
_LONGEST_NUMBER = 19
_ID_DIGITS, _ID_PREFIX = 5, 3  # INC0012345, da6390…: the letters are the kind of the id
_HUMP, _TRIES = 4, 50
_VOWELS, _CONSONANTS, _HEX = "aeiou", "bdfghklmnprstvwz", "abcdef"
_UNUSUAL = {"Lu": "ÄÖÜÉÑ", "Ll": "äöüéñ"}
_OTHER_LETTERS = "天地山川田中木火土金"
_ENDINGS = frozenset(
    "com net org edu gov mil int io co local lan corp internal intranet home example test invalid de fr uk us eu"
    " ch at nl be it es pl jp cn in br au ca dev app cloud info biz".split()
)
_TAGS = "html|head|body|table|thead|tbody|tfoot|tr|td|th|br|hr|p|div|span|ul|ol|li|pre|code|strong|em|b|i|u|a|h[1-6]"
_START, _END = r"(?<![^\W_])", r"(?![^\W_])"
_KEPT = "|".join(
    (
        r"\{\{\s*[$.\w]{1,80}\s*\}\}|\$[A-Za-z_][\w.]{0,80}\$|\$\{[A-Za-z_][\w.]{0,80}\}",  # nobody filled it
        rf"</?(?i:{_TAGS})\b|&(?:quot|amp|lt|gt|apos|nbsp|#\d{{1,4}});",
        r"%(?i:0[9AD]|2[0-9A-F]|3[A-F]|40|5[B-F]|60|7[B-F])",  # punctuation of a URL
        rf"{_START}(?i:TA?)\d{{4}}(?:\.\d{{3}})?{_END}",  # tactics and techniques of ATT&CK
        rf"{_START}P(?:\d{{1,4}}D)?T?(?:\d{{1,4}}[HMS]){{1,3}}{_END}",  # a duration
    )
)
_FORMS = {
    "kept": _KEPT,
    "hex": rf"{_START}[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}{_END}"
    rf"|{_START}(?:[0-9a-fA-F]{{2}}[:-]){{5}}[0-9a-fA-F]{{2}}{_END}|{_START}[0-9a-fA-F]{{16,}}{_END}",
    "mail": r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9][\w-]{0,63}(?:\.[\w-]{1,63}){0,8}",
    "domain": r"(?<![\w\\:.-])[A-Za-z][\w.-]{0,62}\\{1,2}[A-Za-z][\w.$-]{0,62}(?![\w\\:.-])",
    "ip6": r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4})?(?![\w:])",
    "ip4": r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)",
    "time": rf"{_START}\d{{4}}-\d\d-\d\d(?:[Tt]| {{1,2}})\d\d:\d\d(?::\d\d(?:[.,]\d{{1,30}})?)?|{_START}\d{{8}}T\d{{6}}",
    "date": rf"{_START}\d{{4}}-\d\d-\d\d{_END}",
    "sid": rf"{_START}S-1-\d{{1,3}}(?:-\d{{1,12}}){{1,8}}{_END}",
    "number": rf"{_START}\d{{1,40}}(?:\.\d{{1,40}})?(?:[eE]\+\d{{1,3}})?{_END}(?!-\w)",
    "word": r"[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)*",
}
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
    found = [part for token in re.findall(r"\w+", text) for part in token.split("_") if part]
    return {word.lower() for one in found for word in (one, *_HUMPS.findall(one))}


class LookAlikes:
    """The look-alikes of one payload. `known` are the words that stay, in small letters."""

    def __init__(self, seed: bytes, known: Collection[str]) -> None:
        self._seed = seed
        self._known = frozenset(known)
        self._made: dict[tuple[str, bool], str] = {}
        self._taken: set[str] = set()
        self._addresses: dict[str, str] = {}
        self._shift = timedelta(minutes=60 + self._draw("time") % 600)
        start = self._draw("fraction") % 8 + 1
        self._fraction = str.maketrans("123456789", "123456789"[start:] + "123456789"[:start])

    def text(self, text: str, *, personal: bool = False) -> str:
        """Return a text with a look-alike in the place of each value. In a `personal` one no word is known."""
        pattern = _EMBEDDED if '{"' in text or '\\"' in text else _TOKEN
        return pattern.sub(lambda found: self._token(found, personal=personal), text)

    def number(self, text: str) -> str:
        """Return a number of as many digits, near enough that whatever was rounded of it still agrees."""
        sign, digits = (text[:1], text[1:]) if text[:1] in "+-" else ("", text)
        if "e" in digits.lower():
            return sign + self._exponent(digits)
        whole, point, fraction = digits.partition(".")
        moved = self._whole(whole)
        if self._is_epoch(whole) or len(fraction.strip("0")) >= _PLAIN_DIGITS:
            fraction = fraction.translate(self._fraction)
        return sign + moved + point + fraction

    def _token(self, found: re.Match[str], *, personal: bool) -> str:
        text, kind = found[0], found.lastgroup
        if kind == "hex":
            return self._like(text, hexadecimal=True)
        if kind in ("mail", "domain"):
            return re.sub(r"[\w.-]+", lambda part: self._dotted(part[0], personal=True), text)
        if kind in ("ip4", "ip6"):
            return self._address(text)
        if kind == "time":
            return self._time(text)
        if kind == "sid":
            return re.sub(r"\d{5,}", lambda part: self._like(part[0]), text)
        if kind == "number":
            return self.number(text)
        return self._dotted(text, personal=personal) if kind == "word" else text

    def _dotted(self, text: str, *, personal: bool) -> str:
        """Return a name of several parts, such as `ws-0412.contoso.example`, `attack.execution` or `a_b`."""
        labels = text.split(".")
        made = [self._label(label, personal=personal) for label in labels]
        if len(made) > 1 and labels[-1].lower() in _ENDINGS and made[:-1] != labels[:-1]:
            made[-1] = "example"
        return ".".join(made)

    def _label(self, text: str, *, personal: bool) -> str:
        parts = _PART.split(text)
        digits = sum(map(str.isdigit, text))
        if len(parts) == 1 and text.isdigit():
            return self._like(text) if personal else self._whole(text)
        unknown = any(not part.isdigit() and not self._is_known(part) for part in parts[::2])
        numbered = "-" in text and digits > 1  # pc-017
        if text.replace("-", "").replace("_", "").isdigit():
            unknown, numbered = False, digits > _PLAIN_DIGITS + 2
        secret = personal or unknown or numbered
        return "".join(
            part if index % 2 or not part else self._part(part, secret=secret, personal=personal)
            for index, part in enumerate(parts)
        )

    def _part(self, text: str, *, secret: bool, personal: bool) -> str:
        if text.isdigit():
            return self._like(text) if secret or len(text) > _PLAIN_DIGITS else text
        if personal:
            return self._like(text)
        if self._is_known(text):
            return text
        if numbered := _ID.fullmatch(text):
            return numbered[1] + self._like(numbered[2])
        humps = _HUMPS.findall(text)
        if "".join(humps) == text and any(len(one) >= _HUMP and one.lower() in self._known for one in humps):
            return "".join(one if one.lower() in self._known else self._like(one) for one in humps)
        return self._like(text)

    def _is_known(self, text: str) -> bool:
        if not text or text.lower() in self._known:
            return True
        humps = _HUMPS.findall(text)
        return (
            len(humps) > 1
            and "".join(humps) == text
            and all(len(one) > 1 and not one.isdigit() and one.lower() in self._known for one in humps)
        )

    def _like(self, text: str, *, hexadecimal: bool = False) -> str:
        """Return made-up letters and digits in the place of a text's own; what says nothing stays."""
        plain = text.lower()
        if (plain, hexadecimal) not in self._made and set(plain) - set("0-:"):
            made = next(
                (one for turn in range(_TRIES) if self._is_new(one := self._spelled(plain, turn, hexadecimal), plain)),
                self._spelled(plain, 0, hexadecimal),
            )
            self._taken.add(made)
            self._made[plain, hexadecimal] = made
        made = self._made.get((plain, hexadecimal), text)
        if len(made) != len(text):
            return made
        return "".join(new.upper() if old.isupper() else new for old, new in zip(text, made, strict=True))

    def _is_new(self, made: str, plain: str) -> bool:
        return made != plain and made not in self._taken and made not in self._known

    def _spelled(self, plain: str, turn: int, hexadecimal: bool) -> str:
        drawn = hashlib.shake_256(self._seed + f"{turn} {plain}".encode("utf-8", "replace")).digest(len(plain))
        made: list[str] = []
        for letter, number in zip(plain, drawn, strict=True):
            if letter.isdigit():
                made.append(str(number % 9 + 1) if letter != "0" or made else "0")
            elif not letter.isalpha():
                made.append(letter)
            elif hexadecimal:
                made.append(_HEX[number % len(_HEX)])
            elif letter.isascii():
                choice = _VOWELS if made and made[-1] in _CONSONANTS else _CONSONANTS
                made.append(choice[number % len(choice)])
            else:
                choice = _UNUSUAL.get(unicodedata.category(letter), _OTHER_LETTERS)
                made.append(choice[number % len(choice)])
        return "".join(made)

    def _address(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:  # a version, or a time without its date
            return re.sub(r"\w+", lambda part: self._dotted(part[0], personal=False), text)
        if address.is_loopback or address.is_unspecified or text == "255.255.255.255":
            return text
        if address.compressed not in self._addresses:
            number = self._draw(address.compressed) + len(self._addresses)
            four, six = f"192.0.2.{number % 254 + 1}", f"2001:db8::{number % 0xFFFF + 1:x}"
            while (made := four if address.version == 4 else six) in self._addresses.values():  # noqa: PLR2004
                number += 1
                four = f"{('192.0.2', '198.51.100', '203.0.113')[number // 254 % 3]}.{number % 254 + 1}"
                six = f"2001:db8::{number % 0xFFFF + 1:x}"
                if len(self._addresses) > 700:  # noqa: PLR2004  # there are 762 for examples
                    break
            self._addresses[address.compressed] = made
        return self._addresses[address.compressed]

    def _time(self, text: str) -> str:
        compact = "-" not in text
        try:
            moment = datetime.strptime(text, "%Y%m%dT%H%M%S") if compact else datetime.fromisoformat(text[:10])  # noqa: DTZ007
            if moment.year < _FIRST_YEAR:
                return text
            if compact:
                return (moment - self._shift).strftime("%Y%m%dT%H%M%S")
            clock = re.search(r"(\d\d):(\d\d)", text)
            moment += timedelta(hours=int(clock[1]), minutes=int(clock[2]))  # type: ignore[index]  # the form has it
        except ValueError:
            return text
        moved = moment - self._shift
        at = clock.start() if clock else 0
        head, dot, fraction = text[at + 5 :].replace(",", ".").partition(".")
        return (
            f"{moved:%Y-%m-%d}{text[10:at]}{moved:%H:%M}{head}"
            + (text[at + 5 + len(head)] if dot else "")
            + fraction.translate(self._fraction)
        )

    def _is_epoch(self, digits: str) -> bool:
        return len(digits) in _EPOCH_DIGITS and _EPOCH[0] <= int(digits[:10]) < _EPOCH[1]

    def _whole(self, digits: str) -> str:
        if len(digits) <= _PLAIN_DIGITS:
            return digits
        if digits[0] == "0" or len(digits) > _LONGEST_NUMBER:
            return self._like(digits)
        if self._is_epoch(digits):
            return str(int(digits[:10]) - int(self._shift.total_seconds())) + digits[10:].translate(self._fraction)
        number = int(digits)
        return str(self._near(number) if number >= _EXACT else self._elsewhere(number))

    def _near(self, number: int) -> int:
        """Return a number that is as far from the nearest float as this one, in binary and in decimal digits."""
        rounded = float(number)
        for turn in range(_TRIES * 20):
            step = (self._draw(f"{turn} {rounded!r}") % 10**9 + 1) * _LATTICE
            moved, there = number - step, rounded - step
            same_size = math.frexp(there)[1] == math.frexp(rounded)[1] and len(str(moved)) == len(str(number))
            if same_size and Decimal(repr(there)) == Decimal(repr(rounded)) - step:
                return moved
        return number

    def _elsewhere(self, number: int) -> int:
        """Return another number of as many digits; no two have the same."""
        low = 10 ** (len(str(number)) - 1)
        span = 9 * low
        factor = self._draw(f"factor {low}") % span | 1
        while math.gcd(factor, span) > 1:
            factor += 2
        moved = number
        while True:
            moved = low + ((moved - low) * factor + self._draw(f"start {low}")) % span
            if moved < _EXACT:
                return moved

    def _exponent(self, text: str) -> str:
        mantissa, exponent = re.split("[eE]", text)
        number = Decimal(text)
        if number != number.to_integral_value() or not 10**_PLAIN_DIGITS <= number < 10**_LONGEST_NUMBER:
            return text
        moved = self._whole(str(int(number)))
        shown = len(mantissa.replace(".", ""))
        return (moved[:1] + "." + moved[1:shown]).rstrip(".") + text[len(mantissa) :] if exponent else text

    def _draw(self, what: str) -> int:
        return int.from_bytes(hashlib.sha256(self._seed + what.encode()).digest()[:8])
