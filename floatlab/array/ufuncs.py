"""What do the ufuncs return that compute nothing new? Comparisons, signs, the larger of two, and neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from floatlab.array.calls import as_operand, as_python, is_number, of_format
from floatlab.array.core import FloatArray
from floatlab.array.exactly import COMPARISONS, compare, nearest
from floatlab.array.protocols import UFUNCS
from floatlab.array.stand_ins import elementwise
from floatlab.array.storage import common_format
from floatlab.backend import Array
from floatlab.codes.neighbours import next_down, next_up, spacing
from floatlab.rounding.quantize import quantize

__all__: list[str] = []


def _question(name: str) -> Callable[..., Any]:
    """Return the stand-in of a question to each number; the answer is a plain array of bool."""
    function = getattr(np, name)

    def compute(*operands: Any) -> Any:
        with np.errstate(invalid="ignore"):  # signaling NaNs
            return function(*map(nearest, operands))

    return elementwise(name, compute)


def _choice(name: str) -> Callable[..., Any]:
    """Return the stand-in of a function whose results are values of the format, or are rounded to it if not."""
    function = getattr(np, name)

    def compute(*operands: Any) -> FloatArray:
        fmt = common_format(name, operands)
        with np.errstate(all="ignore"):
            values = function(*(of_format(name, x, fmt) for x in operands))
        return FloatArray._wrap(quantize(values, fmt), fmt)

    return elementwise(name, compute)


# -- signs ---------------------------------------------------------------------------------------------------
# Negation, absolute value and copysign change the sign bit and nothing else, of NaNs too (IEEE 754-2019, 5.5.1).


def _negate(x: FloatArray) -> FloatArray:
    fmt = x.format
    if not fmt.signed:  # there is nothing below zero: the overflow policy says what is delivered
        return FloatArray._wrap(quantize(np.negative(x.values), fmt), fmt)
    if not x._coded:
        values = np.negative(x._data)
        return FloatArray._wrap(values if fmt.has_negative_zero else quantize(values, fmt), fmt)
    return x._like(np.where(_has_no_sign(x), x._data, x._data ^ fmt.code_dtype.type(fmt.sign_mask)))


def _absolute(x: FloatArray) -> FloatArray:
    if not x.format.signed:
        return x.copy()
    if not x._coded:
        return x._like(np.absolute(x._data))
    size = x._data & x.format.code_dtype.type((1 << x.format.magnitude_bits) - 1)
    return x._like(np.where(_has_no_sign(x), x._data, size))


def _has_no_sign(x: FloatArray) -> Array:
    """Return where the sign bit of a code is no sign: of the one zero, and of the NaN in the place of -0."""
    if x.format.has_negative_zero:
        return np.zeros(x.shape, bool)
    return x._data & x.format.code_dtype.type((1 << x.format.magnitude_bits) - 1) == 0


def _is_negative(x: FloatArray) -> Array:
    if x._coded and x.format.signed:
        return (x._data & x.format.code_dtype.type(x.format.sign_mask) != 0) & ~_has_no_sign(x)
    return np.signbit(x.values)


def _copysign(a: Any, b: Any) -> FloatArray:
    fmt = common_format("copysign", (a, b))
    x = as_operand("copysign", a, fmt)
    sign = np.signbit(nearest(b)) if is_number(b) else _is_negative(as_operand("copysign", b, fmt))
    change = _is_negative(x) != sign
    if not fmt.signed:
        return FloatArray._wrap(quantize(np.where(change, -x.values, x.values), fmt), fmt)
    return x._like(np.where(change, _negate(x)._data, x._data))


# -- the larger and the smaller of two -------------------------------------------------------------------------
# A plain number is compared as it is, and rounded only where it wins.


def _extremum(name: str, function: Any, order: str) -> Callable[..., Any]:
    """Return what computes a maximum or minimum; `function` knows what is done with zeros and NaNs."""

    def compute(a: Any, b: Any) -> FloatArray:
        fmt = common_format(name, (a, b))
        x, y = of_format(name, a, fmt), of_format(name, b, fmt)
        with np.errstate(invalid="ignore"):
            if _is_rounded(a, x) or _is_rounded(b, y):  # no value of the format, so that there are no ties
                values: Array = np.where(compare(order, a, b), x, y)
                own, bound = (x, y) if isinstance(a, FloatArray) else (y, x)
                values = np.where(own != own, bound if name.startswith("f") else own, values)
            else:
                values = function(x, y)
        return FloatArray._wrap(quantize(values, fmt), fmt)

    return compute


def _is_rounded(x: Any, rounded: Array) -> bool:
    """Whether x is a number that is not what it was rounded to."""
    if not is_number(x):
        return False
    number = as_python(x)
    return bool(float(rounded) != number and number == number)


def _larger(a: Array, b: Array) -> Array:
    """The larger of the two, or NaN; +0 is larger than -0 (IEEE 754-2019, 9.6: maximum)."""
    return np.where(a == b, np.where(np.signbit(a), b, a), np.maximum(a, b))


def _smaller(a: Array, b: Array) -> Array:
    return np.where(a == b, np.where(np.signbit(a), a, b), np.minimum(a, b))


def _larger_number(a: Array, b: Array) -> Array:
    return np.where(a != a, b, np.where(b != b, a, _larger(a, b)))


def _smaller_number(a: Array, b: Array) -> Array:
    return np.where(a != a, b, np.where(b != b, a, _smaller(a, b)))


def _next_after(a: Any, b: Any) -> FloatArray:
    fmt = common_format("nextafter", (a, b))
    x = of_format("nextafter", a, fmt)
    goal = b if is_number(b) else of_format("nextafter", b, fmt)  # a direction, which is not rounded
    same, up, down = (compare(order, x, goal) for order in ("equal", "less", "greater"))
    with np.errstate(invalid="ignore"):  # signaling NaNs
        # At zero the goal has the sign.
        there = np.copysign(np.abs(x), np.where(np.signbit(nearest(goal)), -1, 1))
        values = np.where(
            up, next_up(x, fmt), np.where(down, next_down(x, fmt), np.where(same, there, np.nan))
        )
        return FloatArray._wrap(values.astype(fmt.value_dtype), fmt)


def _spacing(x: FloatArray) -> FloatArray:
    return FloatArray._wrap(quantize(spacing(x.values, x.format), x.format), x.format)


# -- which ufuncs ----------------------------------------------------------------------------------------------

_QUESTIONS = (
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "logical_not",
    "logical_and",
    "logical_or",
    "logical_xor",
)
_COMPUTED: dict[str, Callable[..., Any]] = {
    **{name: partial(compare, name) for name in COMPARISONS},
    "negative": _negate,
    "positive": FloatArray.copy,
    "conjugate": FloatArray.copy,
    "absolute": _absolute,
    "fabs": _absolute,
    "copysign": _copysign,
    "maximum": _extremum("maximum", _larger, "greater"),
    "minimum": _extremum("minimum", _smaller, "less"),
    "fmax": _extremum("fmax", _larger_number, "greater"),
    "fmin": _extremum("fmin", _smaller_number, "less"),
    "nextafter": _next_after,
    "spacing": _spacing,
}
UFUNCS.fill(_QUESTIONS, _question)
UFUNCS.fill(("sign", "floor", "ceil", "trunc", "rint"), _choice)
UFUNCS.fill(_COMPUTED, lambda name: elementwise(name, _COMPUTED[name]))
