"""Moving all times and numbers of a payload in one way: equal or rounded values stay equal or rounded.

Every time moves by the same whole minutes, in whatever form it is written, and the digits of its fraction change
places. A number becomes another one of as many digits; one that a float cannot hold moves so that its rounded
copies stay its rounded copies.
"""

import hashlib
import math
import re
from datetime import datetime, timedelta
from decimal import Decimal

PLAIN_DIGITS = 4
"""Numbers up to 9999 stay: scores, ports, codes of events, years."""

_FIRST_YEAR = 2000  # what is older is a placeholder for no time
_EPOCH = (946_684_800, 4_102_444_800)  # seconds: 2000 to 2100
_EPOCH_DIGITS = (10, 13, 16, 19)
_LONGEST_NUMBER = 19
_LATTICE = 10**7  # also a multiple of 2^7, the distance of floats of 18 digits
_EXACT = 2**53
_TRIES = 1_000


class Moves:
    """How the times and numbers of one payload move, as follows from its seed."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._shift = timedelta(minutes=60 + self._draw("time") % 600)
        start = self._draw("fraction") % 8 + 1
        self._digits = str.maketrans("123456789", "123456789"[start:] + "123456789"[:start])

    def time(self, text: str) -> str:
        """Return a time of another minute in the same form, its zone as it was. What is no time of today stays."""
        digits = re.sub(r"\D", "", text)[:12]
        try:
            moment = datetime.strptime(digits, "%Y%m%d%H%M")  # noqa: DTZ007  # in its own zone
        except ValueError:
            return text
        if moment.year < _FIRST_YEAR:
            return text
        moved = iter(f"{moment - self._shift:%Y%m%d%H%M}")
        whole, dot, fraction = re.split(r"([.,]|$)", text, maxsplit=1)
        return re.sub(r"\d", lambda old: next(moved, old[0]), whole) + dot + fraction.translate(self._digits)

    def number(self, text: str) -> str:
        """Return another number in the same form. Small ones stay."""
        sign, digits = (text[:1], text[1:]) if text[:1] in "+-" else ("", text)
        if "e" in digits.lower():
            return sign + self._with_exponent(digits)
        whole, point, fraction = digits.partition(".")
        if _is_epoch(whole) or len(fraction.strip("0")) >= PLAIN_DIGITS:  # 52.520008 is a place
            fraction = fraction.translate(self._digits)
        return sign + self._whole(whole) + point + fraction

    def _whole(self, digits: str) -> str:
        if len(digits) <= PLAIN_DIGITS:
            return digits
        if digits[0] == "0" or len(digits) > _LONGEST_NUMBER:
            return digits.translate(self._digits)
        if _is_epoch(digits):
            seconds = int(digits[:10]) - int(self._shift.total_seconds())
            return str(seconds) + digits[10:].translate(self._digits)
        number = int(digits)
        return str(self._near(number) if number >= _EXACT else self._elsewhere(number))

    def _with_exponent(self, text: str) -> str:
        mantissa = re.split("[eE]", text)[0]
        number = Decimal(text)
        if number != number.to_integral_value() or not 10**PLAIN_DIGITS <= number < 10**_LONGEST_NUMBER:
            return text
        digits = iter(self._whole(str(int(number))))
        return re.sub(r"\d", lambda _: next(digits, "0"), mantissa) + text[len(mantissa) :]

    def _near(self, number: int) -> int:
        """Return a number that is as far from its nearest float as this one, in binary and in decimal digits."""
        rounded, least = float(number), 10 ** (len(str(number)) - 1)
        for turn in range(_TRIES):
            step = (self._draw(f"{turn} {rounded!r}") % 10**9 + 1) * _LATTICE
            there = rounded - step
            same_size = math.frexp(there)[1] == math.frexp(rounded)[1] and there >= least
            if same_size and Decimal(repr(there)) == Decimal(repr(rounded)) - step:
                return number - step
        return number

    def _elsewhere(self, number: int) -> int:
        """Return another number of as many digits; no two have the same."""
        low = int(10 ** (len(str(number)) - 1))
        span = 9 * low
        factor = self._draw(f"factor {low}") % span | 1
        while math.gcd(factor, span) > 1:
            factor += 2
        moved = number
        while (moved := low + ((moved - low) * factor + self._draw(f"start {low}")) % span) >= _EXACT:
            pass
        return moved

    def _draw(self, purpose: str) -> int:
        return int.from_bytes(hashlib.sha256(self._seed + purpose.encode()).digest()[:8], "big")


def _is_epoch(digits: str) -> bool:
    return len(digits) in _EPOCH_DIGITS and _EPOCH[0] <= int(digits[:10]) < _EPOCH[1]
