"""What does a float64 operation lose? Sums, products, quotients and roots, each with its error.

The nearest float64 to a sum and what is missing to the exact sum are both float64 numbers, and a few more operations
find the second; the same holds for a product, and for what a quotient or a root leaves over. So the pair of them *is*
the exact result (a quotient's or a root's error is known by its sign, which is all that rounding needs).

It holds for operands between 2^-300 and 2^300 and zeros, of which no error can leave the range of float64.

See Also
--------
floatlab.operations : what the pairs are rounded to
floatlab.sums.exact : the same for sums of many products

References
----------
D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2 (the error of a sum).
T. J. Dekker, "A floating-point technique for extending the available precision", Numerische Mathematik 18 (1971),
    224-242 (the error of a product; the cut into halves is G. W. Veltkamp's).
S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd",
    IEEE Transactions on Computers 57 (2008), 462-471 (the fused multiply-add).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module
from floatlab.rounding.odd import nudge

__all__ = ["NATIVE", "STEPS", "is_extreme", "plain_fma", "two_product", "two_sum", "with_error"]

_SPLIT = 2.0**27 + 1.0  # cuts 53 bits into 26 and 26; the signs hold the missing bit
_SMALLEST, _LARGEST = 2.0**-300, 2.0**300


def is_extreme(x: Array) -> Array:
    """Return where a number is outside the range in which errors are sure to be float64 numbers.

    >>> is_extreme(np.array([1.0, 0.0, 1e-300])).tolist()
    [False, False, True]
    """
    size = array_module(x).abs(x)
    return (size > _LARGEST) | ((size < _SMALLEST) & (size > 0))


def _fma(a: Array, b: Array, c: Array, dtype: np.dtype[Any]) -> Array:
    xp = array_module(a)
    total = xp.multiply(a, b, dtype=dtype)
    return xp.add(total, c, out=total if total.ndim else None)


NATIVE: dict[str, Callable[..., Array]] = {  # the operations with the carrier's own roundings
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "sqrt": np.sqrt,
    "fma": _fma,
}


def plain_fma(a: Array, b: Array, c: Array) -> Array:
    """Return a * b + c with the float64 roundings of both: right for infinities, NaNs, and zeros of exact products."""
    xp, product = array_module(a), a * b
    # A finite product beyond float64 is not an infinity.
    beyond = xp.isinf(product) & xp.isfinite(a) & xp.isfinite(b)
    return xp.where(beyond, xp.copysign(1.0, product), product) + c


def two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the nearest float64 to x + y, and what is missing (Knuth)."""
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


def _halves(x: Array) -> tuple[Array, Array]:
    raised = x * _SPLIT
    high = raised - (raised - x)
    return high, x - high


def two_product(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the nearest float64 to x * y, and what is missing (Veltkamp, Dekker)."""
    product = x * y
    (a, b), (c, d) = _halves(x), _halves(y)
    return product, b * d - (((product - a * c) - b * c) - a * d)


def with_error(name: str, xs: list[Array]) -> tuple[Array, Array]:
    """Return the nearest float64 to the result, and a number of the sign of what is missing (0 or NaN: nothing is)."""
    match name:
        case "add":
            return two_sum(*xs)
        case "subtract":
            return two_sum(xs[0], -xs[1])
        case "multiply":
            return two_product(*xs)
        case "divide":
            a, b = xs
            quotient = a / b
            product, rest = two_product(quotient, b)
            remainder = (a - product) - rest  # exact: a remainder is no longer than its dividend
            return quotient, remainder * array_module(b).sign(b)
        case "sqrt":
            root = array_module(xs[0]).sqrt(xs[0])
            square, rest = two_product(root, root)
            return root, (xs[0] - square) - rest
    # fma, by Boldo and Melquiond: the exact result is high + (low + lower), the latter rounded to odd.
    a, b, c = xs
    product, rest = two_product(a, b)
    middle, lower = two_sum(c, rest)
    high, low = two_sum(product, middle)
    nearest, error = two_sum(high, nudge(*two_sum(lower, low)))
    ordinary = (abs(nearest) < np.inf) & (nearest != 0)  # infinities have no rest, and zeros need their sign
    return array_module(nearest).where(ordinary, nearest, plain_fma(a, b, c)), error


def _directed(moves: Callable[[Array, Array], Array], goal: float) -> Callable[[Array, Array], Array]:
    def step(nearest: Array, error: Array) -> Array:
        xp = array_module(nearest)
        return xp.where(moves(nearest, error), xp.nextafter(nearest, goal), nearest)

    return step


# From the nearest float64 and the sign of what is missing to the float64 that a mode wants, for the modes where the
# sign is enough.
STEPS: dict[str, Callable[[Array, Array], Array]] = {
    "nearest_even": lambda nearest, error: nearest,
    "toward_positive": _directed(lambda nearest, error: error > 0, np.inf),
    "toward_negative": _directed(lambda nearest, error: error < 0, -np.inf),
    "toward_zero": _directed(lambda nearest, error: (abs(error) > 0) & ((error < 0) != (nearest < 0)), 0.0),
    "to_odd": nudge,
}
