"""Which results are sure without exact arithmetic? Those that lie between two numbers of one rounding.

Rounding is monotone: if an exact result lies between two numbers that round to the same one, it does too. So each
operation is evaluated twice, a little too low and a little too high, in the same float arithmetic that would give it
unsurely once. Where both ends become the same bits, these are the exact result, rounded once; only the rest is worth
exactly.py. How the ends are found ::

    a product with a scalar      float64 times the scalar, made smaller and larger by some 2^-51
    x + c                        the two numbers of the format around c, added to x
    x + factor * term            the same: the term, too small and too large by a few units of the format; many elements
                                 are not sure where the term is no smaller than x
    the same, and blend          float64's result, less and plus a bound of its error
    in float64 itself            the term with its own error: some forty operations, for all that is left

Where the scalar is a number of the format, a single operation is NumPy's own, which is the exact result, rounded once.

References
----------
S. A. Figueroa, "When is double rounding innocuous?", SIGNUM Newsletter 30 (1995), 21-26.
A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM Transactions on
    Mathematical Software 17 (1991), 410-423 (the test by two ends).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.formats import FloatFormat
from floatlab.operations.error_free import two_sum
from floatlab.optim.evaluation import FUSED, SINGLE, evaluate
from floatlab.optim.exactly import settle
from floatlab.optim.stand_in import stand_in
from floatlab.optim.terms import enclose_float64, float32_term

__all__ = ["BLOCK", "Room", "round_once"]

Array = NDArray[Any]
Operands = tuple[Any, ...]  # arrays and scalars

BLOCK = 1 << 18  # elements at a time, so that what is worked in stays in the cache
_PIECE = (
    1 << 13
)  # the same, where there are many temporary arrays: the C library hands larger ones back each time
_LARGE = 1 << 14  # from here on it is passes that cost, and below it is calls
_MANY = 8  # where more than one in so many elements is not sure, another way is faster

_FLOAT32 = np.dtype(np.float32)
_UNIT = {_FLOAT32: 2.0**-24, np.dtype(np.float64): 2.0**-53}
# A sum of this size or more does not see what a product has lost by underflow, times a factor of at most 2^10.
_SMALL = {_FLOAT32: 2.0**-85, np.dtype(np.float64): 2.0**-900}


class Room:
    """Where a block is worked on: the evaluation in float64, and the two ends in the format.

    Parameters
    ----------
    work, term : array of float64
        For `evaluate`.
    low, high : array of the format
        For the ends; all four are flat, and of the size of the block.
    """

    def __init__(self, work: Array, term: Array, low: Array, high: Array) -> None:
        self.work, self.term, self.low, self.high = work, term, low, high
        bits = np.dtype(f"i{low.itemsize}")
        self._low_bits, self._high_bits = low.view(bits), high.view(bits)
        self._differ = np.empty(low.shape, bool)

    def compare(self) -> Array:
        """Return whether the ends have different bits: 0 and -0 have, and a NaN is itself."""
        return np.not_equal(self._low_bits, self._high_bits, out=self._differ)


def round_once(name: str, operands: Operands, fmt: FloatFormat, room: Room, out: Array) -> bool:
    """Put the exact result of an operation, rounded once to nearest, into `out`; return False where it cannot.

    Parameters
    ----------
    name : str
        An operation of the workbench.
    operands : tuple of array or float
        Flat arrays of the format's own NumPy type, of one size, and last the scalar, if there is one. False is returned
        for a scalar that is not of an ordinary size.
    fmt : FloatFormat
        float32 or float64.
    room : Room
        Of the size of the arrays.
    out : array
        May be one of the operands.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> x, y = np.float32([1.0, 1.0]), np.float32([1.0, 3.0])
    >>> room = Room(np.empty(2), np.empty(2), np.empty(2, np.float32), np.empty(2, np.float32))
    >>> round_once("add", (x, y, 2.0**-24 * (1.0 + 2.0**-52)), get_format("float32"), room, x)
    True
    >>> x  # the first lies just above a tie
    array([1.0000001, 1.0000002], dtype=float32)
    """
    scalar = operands[-1]
    if not isinstance(scalar, np.ndarray):
        if scalar != 0.0 and not 2.0**-100 < abs(scalar) < 2.0**10:
            return False
        if name in FUSED:
            exact = name == "add" and _keeps(scalar, out.dtype)
        else:
            exact = float(out.dtype.type(scalar)) == scalar
        if not exact:
            if scalar == 0.0:
                return False
            if name == "scale":
                np.copyto(room.work, operands[0])
                np.multiply(room.work, stand_in(float(scalar)), out=out, casting="same_kind")
                return True
            with np.errstate(all="ignore"):
                _between_ends(name, operands, fmt, room)
            np.copyto(out, room.low)
            return True
    _native(name, operands, room, out)
    return True


def _keeps(factor: float, dtype: np.dtype[Any]) -> bool:
    """Whether a product with the factor is exact, and the sum with it has one rounding that can be seen."""
    return factor in (0.0, 1.0, -1.0) or (dtype == _FLOAT32 and abs(math.frexp(factor)[0]) == 0.5)


def _native(name: str, operands: Operands, room: Room, out: Array) -> None:
    """Evaluate what NumPy rounds once, or in float64 and then to float32 without a trace of the first rounding."""
    if name != "add":
        SINGLE[name](*operands, out=out)
        return
    x, y, factor = operands
    if abs(factor) == 1.0:
        (np.add if factor == 1.0 else np.subtract)(x, y, out=out)
    else:
        np.copyto(out, evaluate(name, operands, room.work, room.term), casting="same_kind")


def _between_ends(name: str, operands: Operands, fmt: FloatFormat, room: Room) -> None:
    """Put the results into `room.low`."""
    is_float32 = room.low.dtype == _FLOAT32
    differ = None
    if name != "blend" and name in FUSED and (not is_float32 or room.low.size > _LARGE):
        differ = _ends_of_sum(name, operands, room)
    if not is_float32:
        places = slice(None) if differ is None else differ.nonzero()[0]
        room.low[places] = _with_errors(name, _taken(operands, places), fmt)
    elif differ is None or np.count_nonzero(differ) * _MANY > differ.size:
        differ = _ENDS.get(name, _ends_of_work)(name, operands, room)
        _decide(name, operands, fmt, differ.nonzero()[0], room)
    else:
        for places in _pieces(differ.nonzero()[0]):
            taken = _taken(operands, places)
            own = Room(*(np.empty(places.size, x.dtype) for x in (room.work, room.work, room.low, room.low)))
            differ = _ends_of_work(name, taken, own, each=True)
            _decide(name, taken, fmt, differ.nonzero()[0], own)
            room.low[places] = own.low


def _pieces(x: Array) -> Iterator[Array]:
    return (x[start : start + _PIECE] for start in range(0, x.size, _PIECE))


def _taken(operands: Operands, places: Array | slice) -> Operands:
    return tuple(x[places] if isinstance(x, np.ndarray) else x for x in operands)


def _decide(name: str, operands: Operands, fmt: FloatFormat, places: Array, room: Room) -> None:
    """Put into `room.low` which of two ends is the result, for float32 numbers."""
    for here in _pieces(places):
        is_open = _choose(name, operands, here, room) if name in FUSED else np.True_
        if is_open.any():
            _settle_some(name, operands, fmt, here[is_open] if is_open.ndim else here, room.low)


def _choose(name: str, operands: Operands, places: Array, room: Room) -> Array:
    """Choose by the side of the middle of the ends, and return where that is not certain.

    x - middle all but cancels the term, so that the sign of their sum is found with float64's own errors.
    """
    low, high = room.low[places], room.high[places]
    xs = [x[places].astype(np.float64) if isinstance(x, np.ndarray) else x for x in operands]
    term, tail = float32_term(name, xs)
    middle = np.add(low, high, dtype=np.float64)
    middle *= 0.5
    gap, error = two_sum(xs[0], -middle)
    gap += term
    side = gap + (tail + error)
    slack = 2.0**-98 * (abs(xs[0]) + abs(term)) + 2.0**-50 * abs(gap)
    room.low[places] = np.where(side > 0.0, np.maximum(low, high), np.minimum(low, high))
    is_open: Array = ~(abs(side) > slack)
    is_open |= abs(low.view(np.int32) - high.view(np.int32)) != 1  # not neighbours
    return is_open


def _settle_some(name: str, operands: Operands, fmt: FloatFormat, places: Array, result: Array) -> None:
    """Compute some of the results exactly."""
    taken = _taken(operands, places)
    work = evaluate(name, taken, np.empty(places.size), np.empty(places.size))
    settle(name, taken, work, fmt, True, taken[0] if name in FUSED else None)
    result[places] = work


def _with_errors(name: str, operands: Operands, fmt: FloatFormat) -> Array:
    """Return the results of a fused operation of float64 numbers."""
    x = operands[0]
    result = np.empty_like(x)
    for start in range(0, result.size, _PIECE):
        here = slice(start, start + _PIECE)
        piece = tuple(y[here] if isinstance(y, np.ndarray) else y for y in operands)
        found, is_open = enclose_float64(name, piece)
        places = is_open.nonzero()[0]
        if places.size:
            _settle_some(name, piece, fmt, places, found)
        result[here] = found
    return result


# -- the ends --------------------------------------------------------------------------------------


def _ends_of_quotient(name: str, operands: Operands, room: Room) -> Array:
    """Enclose ``x / divisor`` of float32 numbers, in float64.

    The reciprocal, the ends' factors and their products have a relative error of at most 2^-53 each: three of 2^-50.
    """
    x, divisor = operands
    np.copyto(room.work, x)
    np.multiply(room.work, (1.0 - 2.0**-50) / divisor, out=room.low, casting="same_kind")
    np.multiply(room.work, (1.0 + 2.0**-50) / divisor, out=room.high, casting="same_kind")
    return room.compare()


def _ends_of_shift(name: str, operands: Operands, room: Room) -> Array:
    """Enclose ``x + constant`` of float32 numbers by the two around the constant."""
    x, constant = operands
    nearest = np.float32(constant)
    beyond = np.nextafter(nearest, np.float32(np.inf if float(nearest) < constant else -np.inf))
    np.add(x, nearest, out=room.low)
    np.add(x, beyond, out=room.high)
    return room.compare()


def _ends_of_work(name: str, operands: Operands, room: Room, each: bool = False) -> Array:
    """Enclose a fused operation of float32 numbers by float64's result, less and plus a bound of its error.

    The term has at most three roundings and the sum one, of 2^-53 each, and the ends have theirs: four of 2^-53. The
    bound is that of the largest term and the largest result of the block, and a few results that are much smaller are
    not sure; or that of each element.
    """
    work = evaluate(name, operands, room.work, room.term)
    size = np.abs if each else _length
    bound = 2.0**-50 * (size(work) + size(room.term))
    np.subtract(work, bound, out=room.low, casting="same_kind")
    np.add(work, bound, out=room.high, casting="same_kind")
    return room.compare()


def _length(x: Array) -> float:
    """Return the Euclidean norm of the finite ones: no number is larger, but for the norm's own rounding."""
    square = float(np.dot(x, x))
    if not math.isfinite(square):
        finite = x[np.isfinite(x)]
        square = float(np.dot(finite, finite))
    return math.sqrt(square)


_ENDS: dict[str, Callable[[str, Operands, Room], Array]] = {
    "divide": _ends_of_quotient,
    "shift": _ends_of_shift,
}


def _ends_of_sum(name: str, operands: Operands, room: Room) -> Array | None:
    """Enclose ``x + factor * term`` in the format itself, the term being y, y * z or y / z; None if it may overflow.

    Term and product have a rounding each, and the factor's ends one: with three units all is enclosed. A sum that is
    so small that a product's underflow could be seen is not sure, unless y, and so the product, is 0.
    """
    x, y, factor = operands[0], operands[1], operands[-1]
    term = y
    if name != "add":
        term = (np.multiply if name == "add_product" else np.divide)(y, operands[2], out=room.high)
    if not math.isfinite(np.dot(term, term)):
        return None
    dtype = room.low.dtype
    np.multiply(term, dtype.type(factor * (1.0 - 3.0 * _UNIT[dtype])), out=room.low)
    np.multiply(term, dtype.type(factor * (1.0 + 3.0 * _UNIT[dtype])), out=room.high)
    np.add(x, room.low, out=room.low)
    np.add(x, room.high, out=room.high)
    differ = room.compare()
    size = np.abs(room.low, out=room.high)
    if not size.min() >= _SMALL[dtype]:
        differ |= (size < _SMALL[dtype]) & (y != 0.0)
    return differ
