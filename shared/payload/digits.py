"""Values of a key that lost digits on the way: times cut off, report ids rounded to a float."""

from decimal import Decimal

from shared.alerts import alert
from shared.payload import names

MACHINE, TIME, _ = names.KEYS

_EXACT_DIGITS = 15  # a float keeps any number of so many digits
_EXACT = 2**53  # and any number up to here


def agree(name: str, first: str, second: str) -> bool:
    """Say whether two values of a key mean the same: equal, or one is the other with digits lost."""
    here, there = (alert.canonical(name, value) for value in (first, second))
    return (
        here is not None
        and there is not None
        and (here == there or lost(name, here, there) or lost(name, there, here))
    )


def exact(name: str, original: str, copy: str) -> bool:
    """Say whether `original` is `copy` with the digits that the copy lost."""
    if original == copy:
        return False
    here, there = (alert.canonical(name, value) for value in (original, copy))
    return here is not None and there is not None and lost(name, there, here)


def lost(name: str, copy: str, of: str) -> bool:
    """Say whether a canonical value is a copy of another that lost digits: a time cut off, a report id rounded."""
    if copy == of or name == MACHINE:
        return False
    if name == TIME:
        return of.startswith(copy.removesuffix("Z"))
    return float(copy) == float(of) and len(copy) > _EXACT_DIGITS and Decimal(copy) in _floats(of)


def _floats(number: str) -> tuple[Decimal, Decimal]:
    """Return how tools write a number that they store as a float: its shortest text, or all its digits."""
    return Decimal(repr(float(number))), Decimal(float(number))


def alike(time: str, other: str) -> bool:
    """Say whether one of two times is the other with digits cut off."""
    here, there = time.removesuffix("Z"), other.removesuffix("Z")
    return here.startswith(there) or there.startswith(here)


def is_rounded(report: str) -> bool:
    """Say whether a canonical report id was probably kept as a float, which rounds numbers above 2^53."""
    return int(report) > _EXACT and Decimal(report) in _floats(report)
