"""How is a float32 rounded to few bits? Counted in units of its own power of two, and the count made whole.

The unit of a number is 2^-m of its own power of two, m the mantissa bits, but no less than that of the smallest normal
number. Where units are normal float32 numbers, dividing by one and multiplying again is exact: one rounding is left.
"""

from __future__ import annotations

import numpy as np

from floatlab.backend import Array

__all__ = ["round_by_units"]

_EXPONENT = np.int32(0x7F800000)


def round_by_units(
    x: Array, smallest: Array | np.float32, mantissa_bits: int, words: Array, out: Array | None
) -> Array:
    """Return float32 numbers rounded to nearest even, without a largest value.

    Parameters
    ----------
    x : array of float32
        Finite.
    smallest : array of float32
        The smallest normal number, or one for each row, in a column; its unit is a normal float32.
    mantissa_bits : int
        At least 1.
    words : array of int32
        Of the shape of x, to work in.
    out : array or None
        Where the result goes.

    Examples
    --------
    >>> x = np.float32([0.2, 0.3, 2.6, -5.0])
    >>> round_by_units(x, np.float32(1.0), 1, np.empty(4, np.int32), None).tolist()  # of E2M1
    [0.0, 0.5, 3.0, -4.0]
    """
    np.bitwise_and(x.view(np.int32), _EXPONENT, out=words)
    np.maximum(words, smallest.view(np.int32), out=words)
    np.subtract(words, np.int32(mantissa_bits << 23), out=words)
    units = words.view(np.float32)
    found: Array = np.divide(x, units, out=out)
    np.rint(found, out=found)
    np.multiply(found, units, out=found)
    return found
