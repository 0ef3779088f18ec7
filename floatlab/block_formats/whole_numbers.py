"""What is x / scale, rounded once to a whole number? In every mode, and exactly, ties included.

A mode asks on which side of a mark the quotient lies: of a whole number, of the middle between two, or of one of the
2^N parts of stochastic rounding. Marks are float64 numbers, and rounding to nearest keeps the order of numbers. So a
float64 quotient that is no mark itself lies on the right side of all of them, and only one that has landed on a mark
needs another look ::

    exact      2.4999999999999999999      2.5      2.5000000000000000001
    float64                   2.5                                            all three: a mark

There the quotient is taken rounded to odd (`floatlab.rounding.odd`), which never lands on a mark by rounding. For
float32 numbers and a float32 scale a quotient next to a middle is at least 2^-25 away from it, and nothing has to be
looked at twice up to a quotient of 2^28: with x = X 2^a, scale = S 2^b, X and S below 2^24, x / scale differs from
M / 2 by (2 X 2^(a-b) - M S) / (2 S). If that is not 0, its numerator is at least 1 where a - b >= -1, and else at least
2^(a-b+1), which makes a part 1 / X of the quotient.

Source: IEEE 754-2019, sections 4.3 (the directions) and 5.9 (to integral values).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from floatlab.backend import Array
from floatlab.operations.operate import operate
from floatlab.rounding.modes import Discarded, Mode, Ratio, goes_up

__all__ = ["MARKED", "depth_of", "is_short", "quotients", "round_fraction", "round_whole"]

MARKED = 28  # up to 2^28, the float64 quotient of two float32 numbers cannot hide a middle

# What NumPy knows by itself.
_DIRECT = {
    "nearest_even": np.rint,
    "toward_zero": np.trunc,
    "toward_positive": np.ceil,
    "toward_negative": np.floor,
}


def depth_of(mode: Mode, bits: int) -> int:
    """Return how fine the marks of a mode are: they are multiples of 2^-depth.

    >>> from floatlab.rounding.modes import MODES
    >>> depth_of(MODES["nearest_even"], 0), depth_of(MODES["stochastic"], 16)
    (1, 17)
    """
    return bits + 1 if mode.variant is not None else 1


def is_short(x: Array, scale: Array, depth: int) -> bool:
    """Whether float64 quotients of these numbers are sure to lie on the right side of every middle, up to 2^28."""
    return depth == 1 and x.dtype.itemsize <= 4 and scale.dtype.itemsize <= 4


def quotients(x: Array, scale: Array, depth: int, short: bool, out: Array) -> Array:
    """Put x / scale into `out`, a float64 array, on the right side of every multiple of 2^-depth; return it.

    Below 2^(52 - depth) in size, that is; beyond, only by its size. `short` says that float64 is enough.

    >>> q = quotients(np.array([5.0, 0.5]), np.array(0.1), 1, False, np.empty(2))  # 0.1 is a little more than a tenth
    >>> bool(q[0] < 50), bool(q[1] < 5)
    (True, True)
    """
    np.copyto(out, x)  # or float32 numbers would be divided in float32
    np.divide(out, scale, out=out)
    if short:
        return out
    marks = out * 2.0**depth
    places = marks == np.rint(marks)
    if places.any():
        at = np.broadcast_to(scale, x.shape)[places]
        out[places] = operate("divide", (x[places], at), "float64", rounding="to_odd")
    return out


class _Fraction(NamedTuple):
    """The part of a unit that goes, in an array; scaling by a power of two is exact."""

    part: Array

    def floor(self, n: int) -> Array:
        return np.floor(self.part * 2.0**n)

    def even(self, n: int) -> Array:
        return np.rint(self.part * 2.0**n)


def round_whole(q: Array, mode: Mode, integers: Array | None = None, bits: int = 0) -> Array:
    """Round finite float64 numbers to whole ones; in place, and return them.

    Parameters
    ----------
    q : array of float64
        What is rounded.
    mode : Mode
        Ties go to the even number, up or down in size, as the mode says; "to_odd" makes what is inexact odd.
    integers, bits : array, int
        R and N of a stochastic mode.

    Examples
    --------
    >>> from floatlab.rounding.modes import MODES
    >>> [round_whole(np.array([-2.5, 0.5, 1.2]), MODES[m]).tolist() for m in ("nearest_even", "nearest_away", "to_odd")]
    [[-2.0, 0.0, 1.0], [-3.0, 1.0, 1.0], [-3.0, 1.0, 1.0]]
    """
    direct = _DIRECT.get(mode.name)
    if direct is not None:
        direct(q, out=q)
        return q
    size = np.abs(q)
    count = np.floor(size)
    size -= count
    if mode.goes_up is not None:
        half = 0.5 * count
        up = mode.goes_up(Discarded(size - 0.5, size > 0, half != np.floor(half), np.signbit(q)))
    else:
        assert mode.carries is not None and integers is not None
        up = mode.carries(_Fraction(size), integers.astype(np.float64), bits)
    count += up
    return np.copysign(count, q, out=q)


def round_fraction(value: Fraction, mode: Mode, integer: int = 0, bits: int = 0) -> int:
    """Round any fraction to a whole number: the same on Python's integers, without an end.

    >>> from floatlab.rounding.modes import MODES
    >>> round_fraction(Fraction(-5, 2), MODES["nearest_even"]), round_fraction(Fraction(2**80 + 1, 2), MODES["to_odd"])
    (-2, 604462909807314587353089)
    """
    whole, rest = divmod(abs(value.numerator), value.denominator)
    whole += goes_up(Ratio(rest, value.denominator), whole & 1 == 1, value < 0, mode, integer, bits)
    return -whole if value < 0 else whole
