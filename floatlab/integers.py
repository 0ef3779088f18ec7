"""What is a op b, to the last bit? The exact result of float64 operands, on Python integers.

The fast routes of `floatlab.operations` end where float64 does: products below its smallest number, sums above its
largest, and results of 52 or 53 bits, for which it has no bits to spare. What is left is done here, one element
at a time, by integers that have no ends.

A result is a pair (n, e) that stands for n * 2^e. Quotients and roots go on forever, so they are *rounded to odd*: cut
off after more bits than anyone will look at, with the last bit set to say that there was more ::

    2 / 3 = 0.10101010101010...     n = 1010101010 1      e = -11      the last bit stands for all the rest
"""

from __future__ import annotations

import math
from collections.abc import Callable

from floatlab.formats import FloatFormat

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
    drop = max(free, fmt.emin - fmt.mantissa_bits - e)
    given = (negative, rounding, random_integer, random_bits)
    kept, inexact = _cut(size, drop, *given, by_code=_code_is_odd(fmt, rounding, drop + e))
    above = kept
    if drop > free:
        above, _ = _cut(size, free, *given, by_code=_code_is_odd(fmt, rounding, free + e))
    tiny = above.bit_length() + max(free, 0) + e <= fmt.emin
    if kept.bit_length() + max(drop, 0) + e > 1024:
        value = math.inf
    else:
        value = math.ldexp(kept, max(drop, 0) + e)
    return -value if negative else value, inexact, tiny


def _code_is_odd(fmt: FloatFormat, rounding: str, exponent: int) -> bool | None:
    """Return, for a count of 1 in units of 2^exponent, whether its code is odd, where that decides; else None.

    At precision 1 the count is always 1, so `to_odd` and the ties of P3109 look at the code, the exponent field.
    """
    if fmt.mantissa_bits or not (rounding == "to_odd" or fmt.specials.startswith("p3109")):
        return None
    assert fmt.bias is not None
    return (exponent + fmt.bias) % 2 == 1


def _cut(
    size: int,
    drop: int,
    negative: bool,
    rounding: str,
    random_integer: int,
    random_bits: int,
    by_code: bool | None = None,
) -> tuple[int, bool]:
    """Return size / 2^drop rounded to an integer, and whether anything was lost; a negative drop loses nothing."""
    if drop <= 0:
        return size, False
    kept, unit = size >> drop, 1 << drop
    rest = size - (kept << drop)
    odd = kept & 1 == 1 if by_code is None or kept == 0 else by_code
    R, N = random_integer, random_bits
    match rounding:
        case "nearest_even":
            up = 2 * rest > unit or (2 * rest == unit and odd)
        case "nearest_away":
            up = 2 * rest >= unit
        case "nearest_zero":
            up = 2 * rest > unit
        case "toward_positive":
            up = rest > 0 and not negative
        case "toward_negative":
            up = rest > 0 and negative
        case "to_odd":
            up = rest > 0 and not odd
        case "stochastic":
            up = (rest << N >> drop) + R >= 1 << N
        case "stochastic_b":
            up = (rest << N + 1 >> drop) + 2 * R + 1 >= 1 << N + 1
        case "stochastic_c":
            up = _cut(rest << N, drop, False, "nearest_even", 0, 0)[0] + R >= 1 << N
        case _:  # toward_zero
            up = False
    return kept + up, rest > 0
