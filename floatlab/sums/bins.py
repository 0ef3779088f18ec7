"""What do the numbers of a row add up to, exactly? A bin for each exponent, and few numbers in the place of many.

Numbers of one sign and one exponent are multiples of one unit, so float64 adds many of them without an error. A row is
therefore added up into bins, one for each pair of the two, in a single pass and in constant memory ::

    sign exponent mantissa           bin 0 10000001:  1.5000 * 2^2 + 1.2500 * 2^2 + ...     exact
    0    10000001 1000...            bin 1 01111111: -1.1250       - 1.7500       - ...     exact

No order matters, and what is left is, most often, a hundred numbers whose sum is that of the row. Those are added by
Shewchuk's algorithm (`math.fsum`), which rounds their exact sum once, or as Python integers.

How many numbers a bin holds: a float32 has 24 bits, so 2^29 of them reach 2^53 units. A float64 has 53, and is cut into
a high and a low part first, of 26 and 27 bits; 2^26 low parts reach 2^53 units. After so many a row gets new bins.

See Also
--------
floatlab.sums.exact : exact sums of products

References
----------
U. Kulisch, "Computer Arithmetic and Validity", 2nd edition (2013) (exact sums in constant memory, in any order).
J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric predicates", Discrete &
    Computational Geometry 18 (1997), 305-363 (the algorithm of `math.fsum`).
"""

from __future__ import annotations

import math

import numpy as np

from floatlab.backend import Array, blocks

__all__ = ["LOWEST", "few_numbers", "is_mark", "nudged", "row_as_integer", "row_to_odd"]

_SHORT = 1 << 8  # so many numbers are added up one by one in the time that bins take
_BLOCK = 1 << 16  # numbers whose bins are found while they are in the cache
_MOST = 1 << 26  # numbers in a bin: see above
_LOW = np.uint64((1 << 27) - 1)  # the bits of a float64's low part
LOWEST = -1074  # every float64 is a multiple of 2^LOWEST


def few_numbers(row: Array) -> list[float]:
    """Return numbers that add up to what the row does, exactly: no more than signs and exponents ask for.

    An infinity or a NaN among them says that the row has one, or numbers too near to float64's end for its bins.

    Parameters
    ----------
    row : array of float16, float32 or float64, shape (K,)

    Examples
    --------
    >>> few_numbers(np.array([0.5, 0.1]))
    [0.5, 0.1]
    >>> few_numbers(np.tile(np.float32([1.0, 1.5, -1e30, 1e30]), 1000)) == [
    ...     1000.0, 1500.0, 1000 * float(np.float32(1e30)), -1000 * float(np.float32(1e30))]
    True
    """
    if len(row) <= _SHORT:
        return row.tolist()
    bins_of = _bins_of_float64 if row.dtype == np.float64 else _bins_of_float32
    found: list[float] = []
    for part in blocks(len(row), _MOST):
        bins = bins_of(row[part])
        found += bins[bins != 0].tolist()  # or a NaN
    return found


def _bins_of_float32(row: Array) -> Array:
    """Add up numbers by sign, exponent and the first bit of the mantissa: by more bins, so that fewer wait in line."""
    bins = np.zeros(1 << 10)
    for part in blocks(len(row), _BLOCK):
        numbers = row[part].astype(np.float32, copy=False)
        bins += np.bincount(numbers.view(np.uint32) >> 22, numbers, len(bins))
    return bins


def _bins_of_float64(row: Array) -> Array:
    """Add up the high and the low parts of numbers by sign and exponent."""
    bins = np.zeros((2, 1 << 12))
    for part in blocks(len(row), _BLOCK):
        numbers = row[part]
        words = numbers.view(np.uint64)
        places = (words >> 52).view(np.int64)
        high = (words & ~_LOW).view(np.float64)
        bins[0] += np.bincount(places, high, bins.shape[1])
        bins[1] += np.bincount(places, numbers - high, bins.shape[1])
    return bins


def row_to_odd(row: Array, grid_bits: int) -> float:
    """Return a float64 that rounds as the exact sum of a row does, at marks of at most so many bits (52 or fewer).

    With ``grid_bits=0`` it is the float64 nearest to the sum. NaN where that cannot be had: see `few_numbers`.

    Examples
    --------
    >>> row_to_odd(np.array([1.0, 2.0**-60, -1.0]), 25), row_to_odd(np.array([1.0, 2.0**-60]), 25).hex()
    (8.673617379884035e-19, '0x1.0000000000001p+0')
    """
    numbers = few_numbers(row)
    try:
        total = math.fsum(numbers)
        if not math.isfinite(total):
            return math.nan
        if not is_mark(total, grid_bits):
            return total
        numbers.append(-total)
        return nudged(total, math.fsum(numbers))
    except (OverflowError, ValueError):  # beyond float64 on the way, or infinities of both signs
        return math.nan


def is_mark(nearest: float, grid_bits: int) -> bool:
    """Return whether a float64 is one of the numbers of so many bits.

    If it is the nearest to an exact number and none of them, both lie between the same two of them.

    >>> is_mark(1.5, 2), is_mark(1.25, 2)
    (True, False)
    """
    return not math.ldexp(math.frexp(nearest)[0], grid_bits) % 1.0


def nudged(mark: float, lost: float) -> float:
    """Return the neighbour of a mark on the side of what it lacks, which is rounding to odd; itself if that is nothing.

    >>> nudged(1.0, -1e-30).hex(), nudged(1.0, 0.0)
    ('0x1.fffffffffffffp-1', 1.0)
    """
    return math.nextafter(mark, math.copysign(math.inf, lost)) if lost else mark


def row_as_integer(row: Array) -> int | None:
    """Return the exact sum of a row in units of 2^LOWEST; None where this way does not lead to it: see `few_numbers`.

    >>> row_as_integer(np.array([1.0, 2.0**-1074])) == 2**1074 + 1
    True
    """
    total = 0
    for number in few_numbers(row):
        if not math.isfinite(number):
            return None
        numerator, denominator = number.as_integer_ratio()
        total += numerator << 1 - denominator.bit_length() - LOWEST
    return total
