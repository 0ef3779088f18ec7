"""What is f(a, b), element by element? ``+ - * /``, sqrt, fma and the elementary functions.

The functions take FloatArrays, numbers, and with a format named plain arrays as well. FloatArrays in, a
FloatArray out; plain numbers in, plain values out. With a format named, operands may have any formats: the exact
result is rounded once to that one (IEEE 754 calls this a formatOf operation).
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import operation
from floatlab.array.core import FloatArray
from floatlab.array.protocols import UFUNCS
from floatlab.array.stand_ins import elementwise
from floatlab.context import current
from floatlab.errors import check_switch
from floatlab.formats import get_format
from floatlab.functions.evaluate import evaluate
from floatlab.operations.operate import flushed, operate
from floatlab.rounding.flags import is_tracking
from floatlab.rounding.inputs import as_source
from floatlab.sums.signatures import OfOne, OperationOptions, of_one, of_two

__all__ = [
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "cbrt",
    "cos",
    "cosh",
    "deg2rad",
    "divide",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "fma",
    "gelu",
    "log",
    "log1p",
    "log2",
    "log10",
    "multiply",
    "rad2deg",
    "reciprocal",
    "rsqrt",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
]


def _operation(name: str, operands: tuple[Any, ...], fmt: Any, options: OperationOptions) -> Any:
    if fmt is None and not options and not is_tracking():
        own = getattr(operands[0], "_format", None)
        if own is not None and all(type(x) is FloatArray and x._format is own for x in operands):
            # The usual case, in which there is nothing to resolve; small arrays feel the difference.
            values = [x.values if x._coded else x._data for x in operands]
            given = current().of_operation()
            return FloatArray._wrap(operate(name, values, own, formats=(own,) * len(values), **given), own)
    call = operation(name, operands, fmt, options)
    return call.run(operate, name, call.values, call.fmt, formats=call.formats)


def _function(name: str, x: Any, fmt: Any, options: OperationOptions) -> Any:
    call = operation(name, (x,), fmt, options)
    return call.run(evaluate, name, call.values[0], call.fmt)


# -- the functions -------------------------------------------------------------------------------------------


@of_two
def add(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return a + b, rounded once.

    Parameters
    ----------
    a, b : FloatArray, number or array_like
        Shapes broadcast. Without `fmt`: FloatArrays of one format, and numbers, which are rounded to it first. With it:
        any real numbers, taken exactly.
    fmt : str, FloatFormat or dtype, optional
        The format of the result.
    **options
        Those of `quantize`: rounding, overflow, subnormals, flush_inputs, rng, random_bits, random_integers,
        return_flags. What is not given is taken from the context (`floatlab.arithmetic`).

    Returns
    -------
    FloatArray, or array of values where no operand is a FloatArray
    Flags
        Only with ``return_flags=True``.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.add(fl.array([448.0, 1.0], "e4m3"), 0.0625)
    FloatArray([448.,   1.], format=float8_e4m3fn)
    >>> fl.add(0.1, 0.2, "fp16", rounding="toward_zero").item()
    0.2998046875
    """
    return _operation("add", (a, b), fmt, options)


@of_two
def subtract(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return a - b, rounded once; see `add`."""
    return _operation("subtract", (a, b), fmt, options)


@of_two
def multiply(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return a * b, rounded once; see `add`."""
    return _operation("multiply", (a, b), fmt, options)


@of_two
def divide(a: Any, b: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return a / b, rounded once; see `add`. A number over zero is an infinity, and raises divide_by_zero."""
    return _operation("divide", (a, b), fmt, options)


@of_one
def sqrt(x: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return the square root of x, rounded once; see `add`. That of -0 is -0; of less, NaN and invalid."""
    return _operation("sqrt", (x,), fmt, options)


def fma(a: Any, b: Any, c: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return a * b + c, rounded once; see `add`."""
    return _operation("fma", (a, b, c), fmt, options)


@of_one
def square(x: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return x * x, rounded once; see `add`."""
    return _operation("multiply", (x, x), fmt, options)


@of_one
def reciprocal(x: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
    """Return 1 / x, rounded once; see `add`. The 1 is a number, not an operand: it is neither rounded nor flushed."""
    call = operation("reciprocal", (x,), fmt, options)
    (values,), target = call.values, call.fmt
    if check_switch("flush_inputs", call.options["flush_inputs"]):
        values = flushed(as_source(values, get_format("float64")), target)
        call.options["flush_inputs"] = False
    has_one = target.smallest_subnormal <= 1 <= target.max
    known = (target, call.formats[0]) if has_one and call.formats[0] is not None else ()
    return call.run(operate, "divide", (1.0, values), target, formats=known)


def _make(name: str, what: str) -> OfOne:
    def function(x: Any, fmt: Any = None, **options: Unpack[OperationOptions]) -> Any:
        return _function(name, x, fmt, options)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"Return {what}, correctly rounded in formats of up to 24 bits of precision; parameters as in `add`."
    )
    return function


exp = _make("exp", "e to the power of x")
exp2 = _make("exp2", "2 to the power of x")
expm1 = _make("expm1", "exp(x) - 1")
log = _make("log", "the natural logarithm of x")
log2 = _make("log2", "the logarithm of x to base 2")
log10 = _make("log10", "the logarithm of x to base 10")
log1p = _make("log1p", "log(1 + x)")
sin = _make("sin", "the sine of x")
cos = _make("cos", "the cosine of x")
tan = _make("tan", "the tangent of x")
sinh = _make("sinh", "the hyperbolic sine of x")
cosh = _make("cosh", "the hyperbolic cosine of x")
tanh = _make("tanh", "the hyperbolic tangent of x")
sigmoid = _make("sigmoid", "1 / (1 + exp(-x))")
softplus = _make("softplus", "log(1 + exp(x))")
erf = _make("erf", "the error function of x")
gelu = _make("gelu", "x times the normal distribution function of x")
rsqrt = _make("rsqrt", "1 / sqrt(x)")
cbrt = _make("cbrt", "the cube root of x")
arcsin = _make("arcsin", "the angle whose sine is x, in radians")
arccos = _make("arccos", "the angle whose cosine is x, in radians")
arctan = _make("arctan", "the angle whose tangent is x, in radians")
arcsinh = _make("arcsinh", "the number whose hyperbolic sine is x")
arccosh = _make("arccosh", "the number whose hyperbolic cosine is x")
arctanh = _make("arctanh", "the number whose hyperbolic tangent is x")
deg2rad = _make("deg2rad", "x degrees in radians")
rad2deg = _make("rad2deg", "x radians in degrees")


_OWN = ("fma", "rsqrt", "sigmoid", "softplus", "erf", "gelu")  # which NumPy does not have
UFUNCS.fill([name for name in __all__ if name not in _OWN], lambda name: elementwise(name, globals()[name]))
UFUNCS[np.radians], UFUNCS[np.degrees] = UFUNCS[np.deg2rad], UFUNCS[np.rad2deg]
