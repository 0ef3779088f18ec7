"""Which value is n * 2^e? Any integer times a power of two rounded once, on Python integers, which have no ends.

A fraction goes on forever, so it is *rounded to odd* first: cut off after more bits than anyone will look at, with the
last bit set to say that there was more ::

    2 / 3 = 0.10101010101010...     n = 1010101010 1      e = -11      the last bit stands for all the rest
"""

from __future__ import annotations

import math

from floatlab.formats import FloatFormat
from floatlab.rounding.modes import MODES, Mode, Ratio, decides_by_code, goes_up

__all__ = ["Exact", "from_ratio", "round_integer"]

Exact = tuple[int, int]  # (n, e) stands for n * 2^e


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
