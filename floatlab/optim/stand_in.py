"""Which float64 stands in for a factor, so that a product with it is rounded once? The factor, or the one beyond it.

A float32 number times a float64 factor is rounded to float64, and then to float32. The first rounding is seen only
where it ends on a tie of float32. Write the number as X, of 24 bits, and the tie as an odd T, of 25, each times a power
of two: then T / X, times a power of two, all but equals the factor. Scaled so that the factor lies in [2, 4), such
fractions have denominators below 2^24, and lie 2^-48 or more from each other, while a rounding in float64 is less than
2^-50. So there is one of them, as 9/10 for 0.9, or none, and the factor is

    not that close to any     no product is that close to a tie
    the fraction              what float64 takes for a tie is one
    above, or below it        all products that are close to a tie lie above it, or below

In the last case the float64 number beyond the factor, away from the fraction, has its products more than half a unit of
float64 away from the ties, on the right side, and passes no other tie.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

__all__ = ["stand_in"]


@lru_cache(maxsize=4096)
def stand_in(factor: float) -> float:
    """Return a float64 whose products with float32 numbers, rounded to float64, have the rounding of the exact ones.

    Parameters
    ----------
    factor : float
        Of an ordinary size: no product leaves the range of float64.

    Examples
    --------
    >>> stand_in(0.7) < 0.7, stand_in(0.1) > 0.1, stand_in(1.0 / 3.0 + 2.0**-40) == 1.0 / 3.0 + 2.0**-40
    (True, True, True)
    """
    scaled = Fraction(4.0 * math.frexp(abs(factor))[0])  # in [2, 4)
    nearest = scaled.limit_denominator((1 << 24) - 1)
    difference = scaled - nearest
    if difference == 0 or abs(difference) > Fraction(1, 1 << 50):
        return factor
    return math.nextafter(factor, math.copysign(math.inf if difference > 0 else 0.0, factor))
