"""What is known about each elementary function? One entry of a table each.

An entry has the function in float64: fast, with last bits that depend on the processor, and, where there is such a
one, by operations that are alike on every processor. And it lists *cases*: arguments at which no number of digits would
tell the result from a float64. The result is exact there (exp(0), log2(8)), or infinite (log(0)), or so near a float64
that only the side matters (tanh(30), sin(1e-20)). That is given rounded to odd, as the odd one of the two float64
numbers around the exact result; every format of at most 24 bits rounds it as it would round the exact result (see
`floatlab.functions.multiprecision`)::

    tanh(30) = 1 - 2e-26      0.1111 1111 ... 1111      the float64 below 1, which is odd

A new function is one entry here and one in `floatlab.functions.multiprecision`. Functions of two numbers are in
`floatlab.functions.pairs`.

See Also
--------
floatlab.functions.pairs : functions of two numbers
floatlab.functions.multiprecision : their digits

References
----------
IEEE 754-2019, section 9.2 (special values).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from floatlab.functions.float64 import (
    cos64,
    erf64,
    exp64,
    expm1_64,
    gelu64,
    log1p64,
    log64,
    sigmoid64,
    sin64,
    softplus64,
    tanh64,
)
from floatlab.functions.multiprecision import nearest

__all__ = [
    "LARGEST",
    "SMALL",
    "SMALLEST",
    "TABLE",
    "Case",
    "Function",
    "above",
    "beside_one",
    "exactly",
    "in_digits",
    "inward",
    "outward",
    "values_of",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SMALLEST, LARGEST = 2.0**-1074, float(np.finfo(np.float64).max)
_BELOW_ONE, _ABOVE_ONE = 1 - 2.0**-53, 1 + 2.0**-52


# -- the table of functions ------------------------------------------------------------------------
# A case is a condition on x and the result there. Cases are tried in order, on finite x only.

Condition = Callable[..., Bools]
Value = Callable[..., Floats] | float


class Case(NamedTuple):
    """What f(x) is where it needs no computation: exact (a pole's infinity is, too), or rounded to odd.

    `nearest` is f(x) rounded to the nearest float64, where that is known without digits as well.
    """

    where: Condition
    value: Value
    nearest: Value | None = None


def exactly(where: Condition, value: Value) -> Case:
    """Return a case in which the result is a float64."""
    return Case(where, value, value)


def values_of(value: Value, xs: tuple[Floats, ...]) -> Floats | float:
    """Return the value of a case at these arguments."""
    return value(*xs) if callable(value) else value


@dataclass(frozen=True)
class Function:
    """One entry of the table. Its parts take one array, or two of the same length.

    Attributes
    ----------
    kernel
        The function in float64, for infinities and NaNs as well, with a relative error below 2**-44 wherever the
        result is not subnormal. Makes a new array.
    cases
        Where the result is exact, infinite, or nearer to a float64 than 2**-53 of it.
    primitive
        The function in float64 by operations that give the same bits on every CPU, or None.
    untrusted
        Where the kernel's error is not as small as that, given the arguments and its result; None: nowhere.
    """

    kernel: Callable[..., Floats]
    cases: tuple[Case, ...]
    primitive: Callable[..., Floats] | None = None
    untrusted: Callable[..., Bools] | None = None


def in_digits(name: str, kernel: Callable[..., Floats], cases: tuple[Case, ...]) -> Function:
    """Return a function whose float64 form is the correctly rounded one, to nearest, one number at a time."""

    def primitive(*xs: Floats) -> Floats:
        y = kernel(*xs)
        settled = np.isnan(y)
        for x in xs:
            settled |= ~np.isfinite(x)
        for case in cases:
            if case.nearest is not None:
                here = ~settled & case.where(*xs)
                y[here] = values_of(case.nearest, tuple(x[here] for x in xs))
                settled |= here
        rest = np.flatnonzero(~settled)
        y[rest] = [nearest(name, *numbers) for numbers in zip(*(x[rest].tolist() for x in xs), strict=True)]
        return y

    return Function(kernel, cases, primitive)


def _beside(v: Floats, outward: Bools) -> Floats:
    """Return the odd one of v and its neighbour: what lies between them, rounded to odd."""
    size = np.abs(v).view(np.int64)
    return np.copysign(np.where(outward, size | 1, np.maximum(size, 1) - 1 | 1).view(np.float64), v)


def outward(v: Floats) -> Floats:
    """Return what lies between v and its neighbour away from 0, rounded to odd."""
    return _beside(v, np.ones(v.shape, bool))


def inward(v: Floats) -> Floats:
    """Return what lies between v and its neighbour towards 0, rounded to odd."""
    return _beside(v, np.zeros(v.shape, bool))


def above(v: Floats) -> Floats:
    """Return what lies between v and the next larger number, rounded to odd; v is not 0."""
    return _beside(v, v > 0)


def _below(v: Floats) -> Floats:
    return _beside(v, v < 0)


def beside_one(up: Bools) -> Floats:
    """Return the odd neighbour of 1, above it or below it."""
    return np.where(up, _ABOVE_ONE, _BELOW_ONE)


def _at(point: float, value: Value) -> Case:
    return exactly(lambda x: x == point, value)


def _within(bound: float, value: Value) -> Case:
    return Case(lambda x: np.abs(x) < bound, value)


def _beyond(bound: float, value: Value) -> Case:
    """For x > bound, or x < bound where the bound is negative."""
    return Case((lambda x: x > bound) if bound > 0 else (lambda x: x < bound), value)


def _outside(bound: float, size: float) -> Case:
    """For |x| > bound: a number with the sign of x."""
    return Case(lambda x: np.abs(x) > bound, lambda x: np.copysign(size, x))


def _is_power_of_two(x: Floats) -> Bools:
    return np.equal(np.frexp(x)[0], 0.5)


_POWERS_OF_TEN = np.array([float(10**k) for k in range(23)])  # all that are float64 numbers


def _sigmoid(x: Floats) -> Floats:
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


def _softplus(x: Floats) -> Floats:
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)


def _root_is_short(x: Floats) -> Bools:
    root = np.sqrt(x)  # of at most 26 bits: then its square is exact
    short: Bools = (x >= 2.0**-960) & (root.view(np.int64) & (1 << 27) - 1 == 0) & (root * root == x)
    return short


def _cube_root_is_short(x: Floats) -> Bools:
    root = np.cbrt(x)  # of at most 17 bits: then its cube is exact
    short: Bools = (root.view(np.int64) & (1 << 36) - 1 == 0) & (root * root * root == x)
    return short


# Where a case begins: a factor 1 + t is nearer to 1 than half a float64 step can show when |t| < 2^-53.
SMALL = 2.0**-27  # for t = x² / 2, x² / 3 ...
_SMALLER = 2.0**-54  # for t = x, x / 2 ...
_ZERO = _at(0.0, lambda x: x)  # with its sign
_BESIDE_ONE = _within(_SMALLER, lambda x: beside_one(x > 0))
_OVERFLOW = _beyond(709.8, LARGEST)  # the log of the largest float64 is 709.78
_UNDERFLOW = _beyond(-746.0, SMALLEST)  # exp(-746) is a fifth of the smallest float64

TABLE: dict[str, Function] = {
    "exp": Function(np.exp, (_at(0.0, 1.0), _BESIDE_ONE, _OVERFLOW, _UNDERFLOW), exp64),
    "exp2": Function(
        np.exp2,
        (
            Case(
                lambda x: (x == np.rint(x)) & (x >= -1074) & (x <= 1024),
                lambda x: np.where(x == 1024, LARGEST, np.ldexp(1.0, x.astype(np.int32))),
            ),
            _BESIDE_ONE,
            _beyond(1024.0, LARGEST),
            _beyond(-1074.0, SMALLEST),
        ),
    ),
    "expm1": Function(
        np.expm1, (_ZERO, _within(_SMALLER, above), _OVERFLOW, _beyond(-40.0, -_BELOW_ONE)), expm1_64
    ),
    "log": Function(np.log, (_at(0.0, -np.inf), _at(1.0, 0.0)), log64),
    "log2": Function(np.log2, (_at(0.0, -np.inf), Case(_is_power_of_two, lambda x: np.frexp(x)[1] - 1.0))),
    "log10": Function(
        np.log10,
        (_at(0.0, -np.inf), Case(lambda x: np.isin(x, _POWERS_OF_TEN), lambda x: np.rint(np.log10(x)))),
    ),
    "log1p": Function(np.log1p, (_ZERO, _at(-1.0, -np.inf), _within(_SMALLER, _below)), log1p64),
    "sin": Function(np.sin, (_ZERO, _within(SMALL, inward)), sin64),
    "cos": Function(np.cos, (_at(0.0, 1.0), _within(SMALL, _BELOW_ONE)), cos64),
    "tan": Function(np.tan, (_ZERO, _within(SMALL, outward))),
    "sinh": Function(np.sinh, (_ZERO, _within(SMALL, outward), _outside(711.0, LARGEST))),
    "cosh": Function(
        np.cosh,
        (_at(0.0, 1.0), _within(SMALL, _ABOVE_ONE), _beyond(711.0, LARGEST), _beyond(-711.0, LARGEST)),
    ),
    "tanh": Function(np.tanh, (_ZERO, _within(SMALL, inward), _outside(20.0, _BELOW_ONE)), tanh64),
    "sigmoid": Function(
        _sigmoid,
        (
            _at(0.0, 0.5),
            _within(_SMALLER, lambda x: beside_one(x > 0) / 2),
            _beyond(40.0, _BELOW_ONE),
            _UNDERFLOW,
        ),
        sigmoid64,
    ),
    "softplus": Function(_softplus, (_beyond(40.0, outward), _UNDERFLOW), softplus64),
    "erf": Function(erf64, (_ZERO, _outside(6.0, _BELOW_ONE)), erf64),
    "gelu": Function(
        gelu64,
        (_ZERO, _within(_SMALLER, lambda x: above(x / 2)), _beyond(9.0, inward), _beyond(-39.0, -SMALLEST)),
        gelu64,
    ),
    "sqrt": Function(np.sqrt, (_ZERO, Case(_root_is_short, np.sqrt)), np.sqrt),
    "rsqrt": Function(
        lambda x: 1.0 / np.sqrt(x),
        (
            _at(0.0, lambda x: np.copysign(np.inf, x)),
            Case(lambda x: _is_power_of_two(x) & (np.frexp(x)[1] % 2 == 1), lambda x: 1.0 / np.sqrt(x)),
        ),
    ),
    "reciprocal": Function(
        np.reciprocal,
        (
            _at(0.0, lambda x: np.copysign(np.inf, x)),
            Case(lambda x: _is_power_of_two(np.abs(x)) & (np.abs(x) > 2.0**-1022), np.reciprocal),
        ),
        np.reciprocal,
    ),
    "cbrt": in_digits("cbrt", np.cbrt, (_ZERO, exactly(_cube_root_is_short, np.cbrt))),
    "arcsin": in_digits("arcsin", np.arcsin, (_ZERO, _within(SMALL, outward))),
    "arccos": in_digits("arccos", np.arccos, (_at(1.0, 0.0),)),
    "arctan": in_digits("arctan", np.arctan, (_ZERO, _within(SMALL, inward))),
    "arcsinh": in_digits("arcsinh", np.arcsinh, (_ZERO, _within(SMALL, inward))),
    "arccosh": in_digits("arccosh", np.arccosh, (_at(1.0, 0.0),)),
    "arctanh": in_digits(
        "arctanh",
        np.arctanh,
        (_ZERO, exactly(lambda x: np.abs(x) == 1, lambda x: np.copysign(np.inf, x)), _within(SMALL, outward)),
    ),
    "deg2rad": in_digits("deg2rad", np.deg2rad, (_ZERO,)),
    "rad2deg": in_digits("rad2deg", np.rad2deg, (_ZERO,)),
}
