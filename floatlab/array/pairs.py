"""What is hypot(a, b), a to the power of b, the angle of (x, y)? Functions of two arrays, rounded once.

Operands and options are those of `floatlab.add`: FloatArrays of one format, and plain numbers.
"""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import is_number, operation
from floatlab.array.core import FloatArray
from floatlab.array.elementwise import reciprocal, square
from floatlab.array.protocols import UFUNCS
from floatlab.array.stand_ins import elementwise
from floatlab.functions.evaluate import evaluate_pair
from floatlab.sums.signatures import OperationOptions, of_two

__all__ = ["arctan2", "hypot", "logaddexp", "logaddexp2", "power"]


def _pair(
    name: str, operands: tuple[Any, ...], fmt: Any, options: OperationOptions, exponent: float | None = None
) -> Any:
    call = operation(name, operands, fmt, options)
    a, b = call.values if exponent is None else (*call.values, exponent)
    return call.run(evaluate_pair, name, a, b, call.fmt)


@of_two
def hypot(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return the square root of a * a + b * b, rounded once; see `add`. It is infinite if a or b is, even with a NaN.

    The squares overflow nowhere. In formats of more than 24 bits of precision this and the other functions of two
    arguments return the nearest float64, in every mode, without flags.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.hypot(fl.array([3.0, 60000.0], "fp16"), fl.array([4.0, 25000.0], "fp16"))
    FloatArray([    5., 64992.], format=float16)
    """
    return _pair("hypot", (a, b), fmt, options)


@of_two
def arctan2(y: Any, x: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return the angle of the point (x, y) in radians, from -pi to pi, rounded once; see `add`.

    Zeros count with their sign, and infinities as points of the diagonals (IEEE 754-2019, 9.2.1, atan2).

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.arctan2([0.0, -0.0, 1.0], [-1.0, -1.0, 0.0], "fp16").tolist()
    [3.140625, -3.140625, 1.5703125]
    """
    return _pair("arctan2", (y, x), fmt, options)


@of_two
def power(x: Any, y: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return x to the power of y, rounded once; see `add`.

    A plain number as the exponent of a FloatArray is taken exactly if it is an integer or 1/2, in any format; other
    numbers are rounded to the format first, like every operand.

    Special values are those of pow in IEEE 754-2019, 9.2.1: x**0 and 1**y are 1, even for a NaN; zero to a negative
    power is an infinity and raises divide_by_zero; a negative number to a power that is no integer is NaN and raises
    invalid. So ``x ** 0.5`` differs from ``sqrt(x)`` for -0, which gives +0, and for -infinity, which gives +infinity.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.array([1.5, -2.0, 0.0], "e4m3") ** 3
    FloatArray([ 3.5, -8. ,  0. ], format=float8_e4m3fn)
    >>> fl.power(2.0, [-3.0, 0.5], "fp16").tolist()
    [0.125, 1.4140625]
    """
    exponent = _exact_exponent(y) if isinstance(x, FloatArray) else None
    if exponent == 2:
        return square(x, fmt, **options)
    if exponent == -1:
        return reciprocal(x, fmt, **options)
    operands = (x, y) if exponent is None else (x,)
    return _pair("power", operands, fmt, options, exponent)


def _exact_exponent(y: Any) -> float | None:
    """Return an exponent that needs no rounding to a format: an integer that float64 holds, or 1/2."""
    if not is_number(y) or not -(2**53) <= y <= 2**53:  # neither is a NaN
        return None
    return float(y) if y in (math.floor(y), 0.5) else None


@of_two
def logaddexp(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return log(exp(a) + exp(b)), rounded once; see `add`. The exponentials overflow nowhere.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.logaddexp([1000.0, 0.0], [1000.0, -float("inf")], "fp16").tolist()
    [1000.5, 0.0]
    """
    return _pair("logaddexp", (a, b), fmt, options)


@of_two
def logaddexp2(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return log2(2**a + 2**b), rounded once; see `add` and `logaddexp`.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.logaddexp2(3.0, 3.0, "fp16").item()
    4.0
    """
    return _pair("logaddexp2", (a, b), fmt, options)


UFUNCS.fill(__all__, lambda name: elementwise(name, globals()[name]))
UFUNCS[np.float_power] = elementwise("float_power", power)
