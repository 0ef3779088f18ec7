"""How is a number kept in float64 so that rounding it later rounds the exact one? By rounding to odd.

A number that is no float64 lies between two that are neighbours, and of these the last bit of one is 1. That one is
taken: its last bit says that there was more ::

    exact       1.0101|0000001         1.0101|1111111          1.0100|0000000
    to odd      1.0101                 1.0101                  1.0100            the last one is exact

No value of a shorter format, and no midpoint between two, has 53 bits or ends in a 1 there. So the odd number lies on
the same side of each of them as the exact one, and is rounded to the same value, in every mode, by any format of at
most 51 bits.

Source: S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to
odd", IEEE Transactions on Computers 57 (2008).
"""

from __future__ import annotations

import math

import numpy as np

from floatlab.backend import Array, Elementwise, is_gpu_array

__all__ = ["NUDGED", "Exact", "from_ratio", "integer_to_odd", "nudge", "ratio_to_odd"]

Exact = tuple[int, int]  # (n, e) stands for n * 2^e

_LARGEST = float(np.finfo(np.float64).max)  # its last bit is 1: it is odd


# The same for one number of a GPU.
NUDGED = """
__device__ inline double nudged(double nearest, double error) {
    if (!(error < 0 || error > 0)) return nearest;
    long long word = __double_as_longlong(nearest);
    long long step = (__double_as_longlong(error) ^ word) >> 63 | 1;  // +1 away from zero, -1 towards it
    return __longlong_as_double(word & 1 ? word : word + step);
}
"""
_NUDGE = Elementwise(
    "float64 nearest, float64 error", "float64 r", "r = nudged(nearest, error)", "floatlab_nudge", NUDGED
)


def nudge(nearest: Array, error: Array) -> Array:
    """Turn the nearest float64 into the exact number rounded to odd; in place, and return it.

    Parameters
    ----------
    nearest : array of float64
        The float64 numbers nearest to the exact ones.
    error : array of float64
        Of the sign of what is missing. 0 or NaN, which an infinity leaves: nothing is.

    Examples
    --------
    >>> [float(x).hex() for x in nudge(np.array([1.0, 1.0, 1.0]), np.array([1e-20, -1e-20, 0.0]))]
    ['0x1.0000000000001p+0', '0x1.fffffffffffffp-1', '0x1.0000000000000p+0']
    """
    if is_gpu_array(nearest):
        _NUDGE(nearest, error, nearest)
        return nearest
    inexact = np.abs(error) > 0
    if inexact.any():
        # Neighbours of one sign have neighbouring words. If the nearer one is even, the odd one lies a step in the
        # direction of the error.
        words = nearest.view(np.int64)
        step = (error.view(np.int64) ^ words) >> 63 | 1  # +1 away from zero, -1 towards it
        step *= inexact & ((words & 1) == 0)
        words += step
    return nearest


def integer_to_odd(n: int, exponent: int) -> float:
    """Return n * 2^exponent rounded to odd in float64; beyond its range, the largest float64, which is odd.

    >>> integer_to_odd(2**60 + 1, -60).hex(), integer_to_odd(-3, 2000)
    ('0x1.0000000000001p+0', -1.7976931348623157e+308)
    """
    size = abs(n)
    if n == 0:
        return 0.0
    if size.bit_length() + exponent > 1024:
        return -_LARGEST if n < 0 else _LARGEST
    drop = max(size.bit_length() - 53, -1074 - exponent, 0)
    kept = size >> drop
    result = math.ldexp(kept | (kept << drop != size), exponent + drop)
    return -result if n < 0 else result


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


def ratio_to_odd(n: int, d: int) -> float:
    """Return n / d rounded to odd in float64; d > 0.

    >>> ratio_to_odd(1, 3).hex(), ratio_to_odd(-3, 4)
    ('0x1.5555555555555p-2', -0.75)
    """
    return integer_to_odd(*from_ratio(n, d))
