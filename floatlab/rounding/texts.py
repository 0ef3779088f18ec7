"""Which number do these letters mean? Decimal and hexadecimal numbers, quotients and powers, taken exactly.

"0.1" is one tenth and not the float64 next to it, "65519.999999999999999" lies below the tie at 65520, "1/3" goes on
for ever, and "2^-24" is what float16 begins with.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

from floatlab.errors import DtypeError

__all__ = ["FAR", "number_of", "scaled"]

FAR = 2000  # powers of ten so far out that no rounding tells them from each other

_SPECIAL = re.compile(r"[+-]?(?:inf|infinity|nan)")
_DECIMAL = re.compile(r"(?P<digits>(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:e(?P<exponent>[+-]?[0-9]+))?")
_HEXADECIMAL = re.compile(r"0x(?P<whole>[0-9a-f]*)\.?(?P<part>[0-9a-f]*)(?:p(?P<power>[+-]?[0-9]+))?")
_POWER = re.compile(r"\s*(?:\*\*|\^)\s*(?P<power>[+-]?[0-9]+)")
_SYMBOL = re.compile(r"\s*(?P<symbol>[*/])\s*")


def number_of(text: str | bytes) -> float | Fraction:
    """Return the number that a text stands for: a fraction, or a float for zeros, infinities and NaN.

    A text is a number, or a product of numbers: "0.1", "1/3", "3 * 2^-24". A number is decimal or hexadecimal, with
    C's exponents, and may be raised to a whole power by "**" or "^". A minus sign counts last, as in Python: "-2^2" is
    -4. A number beyond ``10^±FAR`` on its own is taken as one there, which rounds as it does.

    Raises
    ------
    DtypeError
        For what is no number, for a division by zero, and for products with numbers beyond ``10^±FAR``.

    Examples
    --------
    >>> number_of("1.5e-3"), number_of("0x1.8p-3"), number_of("2^-3"), number_of("-inf")
    (Fraction(3, 2000), Fraction(3, 16), Fraction(1, 8), -inf)
    """
    words = (text.decode("latin-1") if isinstance(text, bytes) else text).strip().lower().replace("−", "-")
    if _SPECIAL.fullmatch(words):
        return float(words)
    negative = words.startswith("-")
    number, place = _factor(text, words, 1 if words.startswith(("-", "+")) else 0)
    while place < len(words):
        between = _SYMBOL.match(words, place)
        if between is None:
            raise _no_number(text)
        factor, place = _factor(text, words, between.end())
        if _is_far(number) or _is_far(factor):
            raise DtypeError(f"The numbers of a product lie within 1e±{FAR}. Got {text!r}. Compute it first.")
        if between["symbol"] == "/" and factor == 0:
            raise DtypeError(f"A number is divided by another than 0. Got {text!r}. Correct it.")
        number = number * factor if between["symbol"] == "*" else number / factor
    if number == 0:
        return -0.0 if negative else 0.0
    return -number if negative else number


def _factor(text: str | bytes, words: str, place: int) -> tuple[Fraction, int]:
    """Return the number at a place of the text, and where it ends."""
    match = _HEXADECIMAL.match(words, place)
    if match is not None and (match["whole"] or match["part"]):
        power = _clipped(match["power"] or "0", 4 * FAR) - 4 * len(match["part"])
        number = Fraction(int(match["whole"] + match["part"], 16)) * Fraction(2) ** power
    else:
        match = _DECIMAL.match(words, place)
        if match is None:
            raise _no_number(text)
        number = scaled(Decimal(match["digits"]), _clipped(match["exponent"] or "0", 10**9))
    raised = _POWER.match(words, match.end())
    if raised is None:
        return number, match.end()
    return _raised(text, number, _clipped(raised["power"], 10**9)), raised.end()


def scaled(number: Decimal, power: int) -> Fraction:
    """Return number * 10^power, or a number that rounds as it does where it lies beyond ``10^±FAR``.

    >>> scaled(Decimal("0.25"), 1)
    Fraction(5, 2)
    """
    if not number:
        return Fraction(0)
    leading = number.adjusted() + power
    if abs(leading) > FAR:
        return _furthest(leading > 0) * (-1 if number.is_signed() else 1)
    return Fraction(number) * Fraction(10) ** power


def _raised(text: str | bytes, number: Fraction, power: int) -> Fraction:
    if number == 0 and power < 0:
        raise DtypeError(f"A number is divided by another than 0. Got {text!r}. Correct it.")
    if number in (0, 1):
        return number if power else Fraction(1)
    size = _log2(number) * power
    if abs(size) > 4 * FAR:
        return _furthest(size > 0)
    if abs(power) > 4 * FAR:  # of a number near 1, whose powers are long before they are far
        raise DtypeError(f"A power in words is at most {4 * FAR}. Got {text!r}. Compute it first.")
    return number**power


def _log2(number: Fraction) -> float:
    return math.log2(number.numerator) - math.log2(number.denominator)


def _is_far(number: Fraction) -> bool:
    return number != 0 and abs(_log2(abs(number))) >= FAR / math.log10(2)


def _furthest(large: bool) -> Fraction:
    return Fraction(10) ** (FAR + 1 if large else -FAR - 1)


def _clipped(digits: str, most: int) -> int:
    """Return a whole number, or the last one that matters; Python refuses to read very many digits."""
    size = digits.lstrip("+-").lstrip("0")
    value = min(int(size or "0"), most) if len(size) < 12 else most
    return -value if digits.startswith("-") else value


def _no_number(text: str | bytes) -> DtypeError:
    return DtypeError(
        f'A number in words is decimal, "0.1" or "1e400", hexadecimal, "0x1.8p-3", a quotient or a power, "1/3" or '
        f'"2^-24", or "inf" or "nan". Got {text!r}. Correct it, or pass a number.'
    )
