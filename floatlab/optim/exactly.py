"""Has float64's own rounding turned a result? Where it could have, the operation is evaluated exactly.

An operation of the workbench is evaluated in float64 and then rounded to its format. Float64's roundings, of a
relative 2^-53 each, can be seen only where they end next to a tie of the format, or in a directed mode next to a value
of it. For a factor such as 0.9 that is not rare: 0.9 times a multiple of ten is all but a multiple of nine. Such
elements are found by their last bits in float64. They are computed once more as a sum of float64 numbers that is the
exact result (the errors of sums, products and quotients are float64 numbers), and rounded to odd: to the odd one of
the two float64 around it, which every format of 51 bits or fewer rounds as it would the exact result. The few of which
the sum cannot tell are fractions. Where the format is float64 itself, all elements are computed so.

References
----------
S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd",
    IEEE Transactions on Computers 57 (2008), 462-471.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.formats import FloatFormat
from floatlab.operations.error_free import is_extreme, two_product, two_sum, with_error
from floatlab.rounding.odd import nudge

__all__ = ["settle"]

Array = NDArray[Any]
Operand = Array | float
Parts = tuple[list[Array], Array | float]  # an exact sum, but for an error of at most so much

_LEAST_ROOM = 13  # so many bits below a tie make it rare that a number is next to one
_FEW = 8  # for so few, fractions are faster
_CHUNK = 8192
_WINDOW = 2**11  # in units of the last place of float64


def settle(
    name: str,
    operands: tuple[Operand, ...],
    result: Array,
    fmt: FloatFormat,
    is_nearest: bool,
    largest: Array | None,
) -> None:
    """Change those elements of `result`, in place, whose roundings in float64 could be seen in the format.

    Parameters
    ----------
    name : str
        An operation of the workbench.
    operands : tuple of array or float
        What it was given.
    result : array
        What float64 gives, contiguous.
    fmt : FloatFormat
        What it is rounded to.
    is_nearest : bool
        Whether in a mode that looks at ties alone.
    largest : array or None
        The operand that `result` may be much smaller than, after which its error is larger too; None where a single
        operation of float64 has made it.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> x, y, factor = np.ones(1), np.ones(1), 2.0**-24 * (1.0 + 2.0**-52)
    >>> result = x + factor * y  # the tie of float32, 1 + 2^-24; the exact sum lies above
    >>> settle("add", (x, y, factor), result, get_format("float32"), True, x)
    >>> result > 1.0 + 2.0**-24
    array([ True])
    """
    odd = fmt.precision < 53
    flat, size = result.reshape(-1), result.size
    columns = [x.reshape(-1) if isinstance(x, np.ndarray) and x.size == size else x for x in operands]
    compared = None if largest is None else largest.reshape(-1)
    for start in range(0, size, _CHUNK):  # small enough for the cache
        here = slice(start, start + _CHUNK)
        part = flat[here]
        if 52 - fmt.precision < _LEAST_ROOM:
            places = np.flatnonzero(np.isfinite(part))
        else:
            places = _beside(part, fmt, is_nearest, None if compared is None else compared[here])
        if not places.size:
            continue
        if name in _FAST and odd and _is_short(columns):
            arrays = [x[here][places].astype(np.float64) for x in columns[:-1]]  # type: ignore[index]
            part[places] = _FAST[name](*arrays, float(columns[-1]), part[places])
        else:
            chosen = [
                x[here][places].astype(np.float64, copy=False) if isinstance(x, np.ndarray) else float(x)
                for x in columns
            ]
            part[places] = _exactly(name, chosen, part[places], odd)


def _beside(flat: Array, fmt: FloatFormat, is_nearest: bool, largest: Array | None) -> Array:
    """Return where a number lies next to what a rounding goes by: ties, or values and ties."""
    room = 52 - fmt.precision  # this many bits of a tie are zeros
    tie, mask = (1 << room, (2 << room) - 1) if is_nearest else (0, (1 << room) - 1)
    size = np.abs(flat)
    if largest is None:  # the nearest float64 lies on its side of the tie, unless it is the tie
        near = (flat.view(np.int64) & mask) == tie
        near |= size < fmt.smallest_normal  # where ties lie elsewhere
        near &= size > 0.0
    else:  # some roundings, of numbers up to 2^8 times as large
        bits = flat.view(np.int64) + (_WINDOW - tie)
        bits &= mask
        near = bits <= 2 * _WINDOW
        bound = np.abs(largest) * 2.0**-8
        near |= size < np.maximum(bound, fmt.smallest_normal, out=bound)
    if not near.any():
        return _NOWHERE
    near &= size < np.inf  # and no NaN
    if largest is not None:
        near &= (size > 0.0) | (largest != 0.0)
    return np.flatnonzero(near)


_NOWHERE = np.empty(0, np.intp)


def _is_short(columns: list[Operand]) -> bool:
    """Whether all arrays hold float32 numbers, and the factor is an ordinary number."""
    *arrays, factor = columns
    short = all(isinstance(x, np.ndarray) and x.dtype == np.float32 for x in arrays)
    return short and not isinstance(factor, np.ndarray) and 2.0**-300 < abs(factor) < 2.0**300


def _scaled(x: Array, factor: float, plain: Array) -> Array:
    """Return float32 numbers times a factor, rounded to odd: the most frequent case, in few steps."""
    high = float((np.float64(factor).view(np.int64) & -(1 << 24)).view(np.float64))  # of 29 bits
    error = (x * high - plain) + x * (factor - high)  # both products are exact, and so is the difference
    return nudge(plain, error)


def _summed(x: Array, y: Array, factor: float, plain: Array) -> Array:
    """Return x + factor * y, of float32 numbers, rounded to odd: the second most frequent case.

    Where neither term is much smaller than the sum, x - plain is exact, and all but cancels the product.
    """
    high = float((np.float64(factor).view(np.int64) & -(1 << 24)).view(np.float64))  # of 29 bits
    product = y * high
    nearest, rest = two_sum(plain, ((x - plain) + product) + y * (factor - high))
    found = nudge(nearest, rest)
    size = np.abs(plain) * 2.0**-20
    for i in np.flatnonzero(~((np.abs(x) > size) & (np.abs(product) > size))):
        found[i] = _by_fractions("add", [x[i], y[i], factor], plain[i], True)
    return found


_FAST: dict[str, Callable[..., Array]] = {"scale": _scaled, "add": _summed}


def _exactly(name: str, operands: list[Operand], plain: Array, odd: bool) -> Array:
    """Return the exact results, rounded to odd or to nearest; `plain` are those of float64, and finite."""
    if plain.size <= _FEW:
        rows = np.broadcast_arrays(plain, *operands)
        return np.array(
            [_by_fractions(name, xs, value, odd) for value, *xs in zip(*map(np.ravel, rows), strict=True)]
        )
    xs = [np.broadcast_to(x, plain.shape) for x in operands]
    with np.errstate(all="ignore"):
        if name in _SINGLE:
            single, order = _SINGLE[name]
            high, rest = with_error(single, [xs[i] for i in order])
            found = nudge(high, rest) if odd else high
            is_open = np.zeros(plain.shape, bool)
        else:
            found, is_open = _from_parts(*_PARTS[name](*xs), odd)
        for x in operands:
            if np.ndim(x) == 0 or np.max(np.abs(x)) > 2.0**200 or np.min(np.abs(x)) < 2.0**-200:
                is_open |= is_extreme(np.asarray(x)) | ~np.isfinite(x)
        is_open |= ~np.isfinite(found)
        found = np.where(found == 0.0, plain, found)  # whose zeros have their signs
    for i in np.flatnonzero(is_open):
        found[i] = _by_fractions(name, [x[i] for x in xs], plain[i], odd)
    return found


def _from_parts(parts: list[Array], unknown: Array | float, odd: bool) -> tuple[Array, Array]:
    """Return the sum of parts, rounded to odd or to nearest, and where that is not certain."""
    high, rest, slack = _added(parts)
    slack = slack + unknown
    if not odd:
        return high + rest, (high + (rest - slack)) != (high + (rest + slack))
    is_open = (slack > 0) & (abs(rest) <= slack) | (abs(rest) > 2.0**-52 * abs(high))
    return nudge(high, rest), is_open


def _added(parts: list[Array]) -> tuple[Array, Array, Array]:
    """Return the sum of some numbers as high + rest, and how much the rest may be wrong by."""
    high, errors = parts[0], []
    for part in parts[1:]:
        high, error = two_sum(high, part)
        errors.append(error)
    low, tail, size = np.zeros_like(high), np.zeros_like(high), np.zeros_like(high)
    for error in errors:
        low, lost = two_sum(low, error)
        tail, size = tail + lost, size + abs(lost)
    high, low = two_sum(high, low)
    rest = low + tail
    return high, rest, np.where(size > 0, 2.0**-50 * (abs(rest) + size), 0.0)


def _add_product(x: Array, y: Array, z: Array, factor: Array) -> Parts:
    product, error = two_product(y, z)
    return [x, *two_product(product, factor), *two_product(error, factor)], 0.0


def _blend(x: Array, y: Array, share: Array) -> Parts:
    return [x, *two_product(x, -share), *two_product(y, share)], 0.0


def _add_quotient(x: Array, y: Array, z: Array, factor: Array) -> Parts:
    dividend, more = two_product(y, factor)
    quotient = dividend / z
    product, error = two_product(quotient, z)
    second = (((dividend - product) - error) + more) / z
    return [x, quotient, second], 2.0**-50 * abs(second)


# What one operation of float64 evaluates, and the error of which is a float64 number: its name, and the operands.
_SINGLE: dict[str, tuple[str, tuple[int, ...]]] = {
    "scale": ("multiply", (0, 1)),
    "multiply": ("multiply", (0, 1)),
    "divide": ("divide", (0, 1)),
    "sqrt": ("sqrt", (0,)),
    "shift": ("add", (0, 1)),
    "add": ("fma", (1, 2, 0)),
}

_PARTS: dict[str, Callable[..., Parts]] = {
    "add_product": _add_product,
    "add_quotient": _add_quotient,
    "blend": _blend,
}

_FRACTIONS: dict[str, Callable[..., Fraction]] = {
    "scale": lambda x, factor: x * factor,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "shift": lambda x, constant: x + constant,
    "add": lambda x, y, factor: x + factor * y,
    "add_product": lambda x, y, z, factor: x + factor * y * z,
    "add_quotient": lambda x, y, z, factor: x + factor * y / z,
    "blend": lambda x, y, share: x + share * (y - x),
}


def _by_fractions(name: str, xs: list[Any], plain: float, odd: bool) -> float:
    """Return one exact result, rounded to odd or to nearest; what is not finite is `plain`, that of float64."""
    if not all(map(math.isfinite, xs)):
        return float(plain)
    exact = [Fraction(float(x)) for x in xs]
    if name == "sqrt":  # float64's own is the nearest
        nearest, error = float(plain), exact[0] - Fraction(float(plain)) ** 2
    else:
        total = _FRACTIONS[name](*exact)
        if total == 0:
            return float(plain)
        try:
            nearest = total.numerator / total.denominator
        except OverflowError:
            return math.inf if total > 0 else -math.inf
        error = total - Fraction(nearest)
    if odd and error and math.frexp(nearest)[0] * 2.0**53 % 2.0 == 0.0:
        return math.nextafter(nearest, math.inf if error > 0 else -math.inf)
    return nearest
