"""What is a op b, to the last bit? The exact result of float64 operands, on Python integers.

The fast routes of `floatlab.operations.operate` end where float64 does: products below its smallest number, sums
above its largest, and results of 52 or 53 bits, for which it has no bits to spare. What is left is done here, one
element at a time, by integers that have no ends.

A result is a pair (n, e) that stands for n * 2^e. Quotients and roots go on forever, so they are *rounded to odd*: cut
off after more bits than anyone will look at, with the last bit set to say that there was more ::

    2 / 3 = 0.10101010101010...     n = 1010101010 1      e = -11      the last bit stands for all the rest
"""

from __future__ import annotations

import math
from collections.abc import Callable

from floatlab.formats import FloatFormat
from floatlab.rounding.modes import MODES, Mode, Ratio, decides_by_code, goes_up

__all__ = ["EXACT", "Exact", "from_ratio", "round_integer"]

Exact = tuple[int, int]


def _split(x: float) -> Exact:
    """Return (n, e) with x = n * 2^e, exactly."""
    mantissa, exponent = math.frexp(x)
    return int(mantissa * 2.0**53), exponent - 53


def _sum(x: Exact, y: Exact) -> Exact:
    (n, e), (m, f) = x, y
    return ((n << e - f) + m, f) if e > f else (n + (m << f - e), e)


def add(bits: int, a: float, b: float) -> Exact:
    """Return a + b.

    >>> n, e = add(53, 0.5, 2.0)
    >>> n * 2.0**e
    2.5
    """
    return _sum(_split(a), _split(b))


def subtract(bits: int, a: float, b: float) -> Exact:
    """Return a - b."""
    return _sum(_split(a), _split(-b))


def multiply(bits: int, a: float, b: float) -> Exact:
    """Return a * b."""
    (n, e), (m, f) = _split(a), _split(b)
    return n * m, e + f


def fma(bits: int, a: float, b: float, c: float) -> Exact:
    """Return a * b + c."""
    return _sum(multiply(bits, a, b), _split(c))


def divide(bits: int, a: float, b: float) -> Exact:
    """Return a / b, rounded to odd at `bits` bits or more; neither operand is zero."""
    (n, e), (m, f) = _split(a), _split(b)
    shift = max(bits + abs(m).bit_length() - abs(n).bit_length(), 0)
    quotient, rest = divmod(abs(n) << shift, abs(m))
    odd = quotient << 1 | (rest != 0)
    return odd if (n < 0) == (m < 0) else -odd, e - f - shift - 1


def from_ratio(numerator: int, denominator: int) -> Exact:
    """Return a rational number, rounded to odd at 128 bits or more: more than any rounding looks at.

    >>> from_ratio(-3, 8)
    (-3, -3)
    """
    size = abs(numerator)
    if denominator & (denominator - 1) == 0:  # a power of two
        return numerator, 1 - denominator.bit_length()
    shift = 128 + denominator.bit_length() - size.bit_length()
    quotient, rest = divmod(size << max(shift, 0), denominator << max(-shift, 0))
    odd = quotient << 1 | (rest != 0)
    return -odd if numerator < 0 else odd, -shift - 1


def sqrt(bits: int, x: float) -> Exact:
    """Return the square root of x > 0, rounded to odd at `bits` bits or more."""
    n, e = _split(x)
    shift = bits * 2 + (e & 1)  # the exponent must be even
    n, e = n << shift, e - shift
    root = math.isqrt(n)
    return root << 1 | (root * root != n), e // 2 - 1


EXACT: dict[str, Callable[..., Exact]] = {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "sqrt": sqrt,
    "fma": fma,
}


def round_integer(
    n: int, e: int, fmt: FloatFormat, rounding: str, random_integer: int = 0, random_bits: int = 0
) -> tuple[float, bool, bool]:
    """Round n * 2^e to a format, as if its exponent had no upper end.

    Returns
    -------
    value : float
        The rounded number; an infinity if it is beyond float64.
    inexact : bool
        Whether it differs from n * 2^e.
    tiny : bool
        Whether, rounded as if the exponent had no lower end either, it is below the smallest normal value.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> round_integer(5, -2, get_format("fp4"), "nearest_even")
    (1.0, True, False)
    """
    size, negative = abs(n), n < 0
    free = size.bit_length() - fmt.precision  # bits that go if the exponent has no lower end
    drop = max(free, fmt.etiny - e)
    given = (e, negative, fmt, MODES[rounding], random_integer, random_bits)
    kept, inexact = _cut(size, drop, *given)
    above = kept
    if drop > free:
        above, _ = _cut(size, free, *given)
    tiny = above.bit_length() + max(free, 0) + e <= fmt.emin
    if kept.bit_length() + max(drop, 0) + e > 1024:
        value = math.inf
    else:
        value = math.ldexp(kept, max(drop, 0) + e)
    return -value if negative else value, inexact, tiny


def _cut(
    size: int,
    drop: int,
    exponent: int,
    negative: bool,
    fmt: FloatFormat,
    mode: Mode,
    random_integer: int,
    bits: int,
) -> tuple[int, bool]:
    """Return size / 2^drop rounded to an integer, and whether anything was lost; a negative drop loses nothing."""
    if drop <= 0:
        return size, False
    kept = size >> drop
    v = Ratio(size - (kept << drop), 1 << drop)
    odd = kept & 1 == 1
    if kept and decides_by_code(mode, fmt):
        assert fmt.bias is not None
        odd = (drop + exponent + fmt.bias) % 2 == 1
    return kept + goes_up(v, odd, negative, mode, random_integer, bits), v.rest > 0
