"""What is a op b, to the last bit? The exact result of float64 operands, on Python integers.

The fast routes of `floatlab.operations.operate` end where float64 does: products below its smallest number, sums
above its largest, and results of 52 or 53 bits, for which it has no bits to spare. What is left is done here, one
element at a time, by integers that have no ends.

A result is a pair (n, e) that stands for n * 2^e, as in `floatlab.rounding.odd`. Quotients and roots go on
forever, so they are *rounded to odd*: cut off after more bits than anyone will look at, with the last bit set to say
that there was more ::

    2 / 3 = 0.10101010101010...     n = 1010101010 1      e = -11      the last bit stands for all the rest
"""

from __future__ import annotations

import math
from collections.abc import Callable

from floatlab.rounding.odd import Exact

__all__ = ["EXACT"]


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
