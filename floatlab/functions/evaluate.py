"""Which value of a format is f(x), or f(a, b)? Elementary functions, correctly rounded in every mode.

NumPy computes f(x) in float64 quickly, but its last bits depend on the processor. They matter only where the exact
result lies very near a number at which rounding changes its mind: a value of the format, or the middle between two. For
a format of precision p these have at most p + 1 bits, so the bits of NumPy's y show at once whether one is near::

    y =  1.0110 0101 01 | 1001 1101 ... 0110      far from a number of p + 1 bits: y rounds as f(x) does
    y =  1.0110 0101 01 | 0000 0000 ... 0110      too near to tell: a suspect

A suspect (all zeros and ones are, of the rest one in a million for float32) goes through three doors:

1. *A case* of `floatlab.functions.table` or `floatlab.functions.pairs` says what the result is: exp(0), log2(8),
   tanh(30).
2. *Both ends*: y (1 - d) and y (1 + d) enclose f(x). If they round alike, so does f(x).
3. *As many digits as it takes*: `floatlab.functions.multiprecision`.

So the result is the correctly rounded one, on every CPU. The bound d = 2**-44 allows a float64 function an error of
256 ulp; those used here are within 4.

An array of float32 numbers with no more than 11 bits of precision (float16, bfloat16, tf32 and all narrower values;
there are 2^19 of them) is looked up in a table, which is made once by the method above.

See Also
--------
floatlab.functions.multiprecision : the digits
floatlab.functions.float64 : the float64 functions

References
----------
A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17 (1991),
    410-423.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Unpack, overload

import numpy as np

from floatlab.backend import Array, array_module, beside, is_gpu_array
from floatlab.errors import FormatError, ShapeError, check_option, check_switch
from floatlab.formats import get_format
from floatlab.functions.pairs import PAIRS
from floatlab.functions.suspects import (
    WIDEST,
)
from floatlab.functions.table import TABLE
from floatlab.functions.task import task_of
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import as_source
from floatlab.rounding.modes import draws
from floatlab.rounding.options import RoundingOptions, drawing, rule_of
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.system.environment import check_environment

__all__ = ["FUNCTIONS", "FUNCTIONS_OF_TWO", "evaluate", "evaluate_pair"]

FUNCTIONS = tuple(TABLE)
FUNCTIONS_OF_TWO = tuple(PAIRS)
_FLOAT64 = get_format("float64")
# -- the front door ------------------------------------------------------------------------------------


@overload
def evaluate(
    name: str, x: Any, fmt: Any, *, return_flags: Literal[False] = ..., **options: Unpack[RoundingOptions]
) -> Array: ...
@overload
def evaluate(
    name: str, x: Any, fmt: Any, *, return_flags: Literal[True], **options: Unpack[RoundingOptions]
) -> tuple[Array, Flags]: ...
def evaluate(
    name: str, x: Any, fmt: Any, *, return_flags: bool = False, **options: Unpack[RoundingOptions]
) -> Array | tuple[Array, Flags]:
    """Return f(x) for each element, correctly rounded to a format.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS`: exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan, sinh, cosh, tanh, sigmoid,
        softplus, erf, gelu (x times the normal distribution function), sqrt, rsqrt, reciprocal, cbrt, arcsin, arccos,
        arctan, arcsinh, arccosh, arctanh, deg2rad, rad2deg.
    x : array_like
        Real numbers of any kind and shape; they need not be values of the format.
    fmt : str, FloatFormat or dtype
        The format of the result. With more than 24 bits of precision the result is that of the float64 function of
        `floatlab.functions.float64`, where there is one: the same on every CPU, but not always correctly rounded.
        From cbrt on it is the nearest float64, which takes a tenth of a millisecond for each element.
    return_flags : bool
        Whether to return the `Flags` as well. For formats of at most 24 bits of precision.
    **options
        Those of `quantize`. The result at a pole, as of log(0), is treated as an infinity, any other as a finite
        number; with flush_inputs, an x below the format's smallest normal value counts as zero.

    Returns
    -------
    array
        The values, of the shape of `x` and of dtype ``fmt.value_dtype``. Outside the domain they are NaN: log(-1),
        sin(inf).
    Flags
        Only with ``return_flags=True``.

    Raises
    ------
    OptionError, FormatError
        If a name is unknown; if the format has more than 24 bits of precision and there is no such float64
        function, or flags are asked for.
    OverflowPolicyError
        If a result is NaN and the format has none.

    Examples
    --------
    >>> evaluate("exp", [0.0, 1.0, 12.0], "fp16").tolist()
    [1.0, 2.71875, inf]
    >>> evaluate("tanh", 30.0, "e4m3", rounding="toward_zero").item()
    0.9375
    """
    check_environment()
    check_option("function", name, FUNCTIONS)
    return _evaluate(name, fmt, (as_source(x, _FLOAT64),), return_flags, options)


@overload
def evaluate_pair(
    name: str,
    a: Any,
    b: Any,
    fmt: Any,
    *,
    return_flags: Literal[False] = ...,
    **options: Unpack[RoundingOptions],
) -> Array: ...
@overload
def evaluate_pair(
    name: str, a: Any, b: Any, fmt: Any, *, return_flags: Literal[True], **options: Unpack[RoundingOptions]
) -> tuple[Array, Flags]: ...
def evaluate_pair(
    name: str, a: Any, b: Any, fmt: Any, *, return_flags: bool = False, **options: Unpack[RoundingOptions]
) -> Array | tuple[Array, Flags]:
    """Return f(a, b) for each pair of elements, correctly rounded to a format.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS_OF_TWO`: hypot, arctan2, power, logaddexp, logaddexp2.
    a, b : array_like
        Real numbers that float64 holds exactly; their shapes broadcast. They need not be values of the format.
    fmt : str, FloatFormat or dtype
        The format of the result. With more than 24 bits of precision the result is that of float64, rounded to
        nearest, which takes a tenth of a millisecond for each pair.
    return_flags, **options
        As in `evaluate`.

    Returns
    -------
    array
        The values, of dtype ``fmt.value_dtype``. Those at zeros, infinities and NaNs are as IEEE 754-2019, 9.2.1, has
        them for hypot, atan2 and pow: a number to the power of 0 and 1 to any power are 1, even with a NaN.
    Flags
        Only with ``return_flags=True``. Zero to a negative power raises divide_by_zero, a negative number to a power
        that is no integer invalid.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    OptionError, FormatError, OverflowPolicyError
        As `evaluate`.

    Examples
    --------
    >>> evaluate_pair("power", [2.0, 4.0, 0.0, 10.0], [-3.0, 0.5, 0.0, 3.5], "fp16").tolist()
    [0.125, 2.0, 1.0, 3162.0]
    >>> evaluate_pair("hypot", 3.0, 4.0, "e4m3").item()
    5.0
    """
    check_environment()
    check_option("function", name, FUNCTIONS_OF_TWO)
    given = (as_source(a, _FLOAT64), as_source(b, _FLOAT64))
    if is_gpu_array(given[0]) or is_gpu_array(given[1]):
        like = given[0] if is_gpu_array(given[0]) else given[1]
        given = (beside(given[0], like), beside(given[1], like))
    try:
        given = tuple(array_module(given[0]).broadcast_arrays(*given))
    except ValueError:
        raise ShapeError(
            f"The operands of {name} have shapes that broadcast. Got {given[0].shape} and {given[1].shape}. "
            "Reshape one of them."
        ) from None
    return _evaluate(name, fmt, given, return_flags, options)


def _evaluate(
    name: str, fmt: Any, given: tuple[Array, ...], return_flags: bool, options: RoundingOptions
) -> Any:
    """Return the results of a function for arrays of one shape, and its flags if they are wanted."""
    task = task_of(name, rule_of(name, get_format(fmt), options), options.get("overflow"))
    return_flags = return_flags is not False and check_switch("return_flags", return_flags)
    if return_flags and task.fmt.precision > WIDEST:
        raise FormatError(
            f"Flags need a correctly rounded result, which formats of at most {WIDEST} bits have. Got {task.fmt}. "
            "Leave return_flags away."
        )
    shape = given[0].shape
    flat = [x.reshape(-1) for x in given]
    integers = None
    if draws(task.options["rounding"]):
        draw = RandomIntegers(*drawing(options))
        draw.fit(flat[0] if draw.supplied is None else flat[0].reshape(shape))
        integers = draw.block(0, flat[0].size).astype(np.int64)
        task = replace(task, options=task.options | {"random_bits": draw.bits})
    with np.errstate(all="ignore"):
        if not return_flags:
            run = task.run_on_device if is_gpu_array(flat[0]) else task.run
            return run(*flat, integers=integers).reshape(shape)
        values, flags = task.run_with_flags(*flat, integers=integers)
    parts = (getattr(flags, name).reshape(shape) for name in flags.__dataclass_fields__)
    return values.reshape(shape), Flags(*parts)
