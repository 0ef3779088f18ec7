"""What is f(a, b), element by element? ``+ - * /``, sqrt, fma, the elementary functions, and NumPy's ufuncs.

The functions take FloatArrays, numbers, and with a format named plain arrays as well. FloatArrays in, a
FloatArray out; plain numbers in, plain values out. With a format named, operands may have any formats: the exact
result is rounded once to that one (IEEE 754 calls this a formatOf operation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import as_python, is_number, of_format, operation
from floatlab.array.core import UFUNCS, FloatArray, asarray, common_format, has_own_type
from floatlab.array.exactly import COMPARISONS, compare, nearest
from floatlab.backend import Array
from floatlab.codes.neighbours import next_down, next_up, spacing
from floatlab.errors import DtypeError, FloatlabError, ShapeError, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.functions.evaluate import evaluate
from floatlab.operations.operate import flushed, operate
from floatlab.rounding.inputs import as_source
from floatlab.rounding.quantize import quantize
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
    "of_format",
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

_FLOAT64 = get_format("float64")


def _operation(name: str, operands: tuple[Any, ...], fmt: Any, options: OperationOptions) -> Any:
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


# -- NumPy's ufuncs --------------------------------------------------------------------------------------------


def _elementwise(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a ufunc: `compute` on its inputs, with ``out`` and ``outer``."""

    def stand_in(method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kwargs = dict(kwargs)
        out = kwargs.pop("out", None)
        if method == "outer" and len(inputs) == 2:
            a, b = (x if isinstance(x, FloatArray) or is_number(x) else np.asarray(x) for x in inputs)
            inputs = (a[(..., *[None] * np.ndim(b))] if np.ndim(a) else a, b)
        elif method != "__call__":
            return _reduced(name, method, inputs, kwargs, out)
        if kwargs.get("where", True) is True:
            kwargs.pop("where", None)
        for unwanted in ("order", "subok", "casting"):
            kwargs.pop(unwanted, None)
        if kwargs:
            raise DtypeError(
                f"numpy.{name} of FloatArrays takes no {', '.join(kwargs)}. Got {kwargs}. "
                "Use np.where for a choice of elements, and astype for another format."
            )
        try:
            result = compute(*inputs)
        except FloatlabError:
            raise
        except ValueError as error:
            raise _misfit(name, inputs, error) from None
        return result if out is None else _into(name, out[0], result)

    return stand_in


def _misfit(name: str, operands: tuple[Any, ...], error: ValueError) -> ValueError:
    """Return what to raise for shapes that do not broadcast; another error is returned as it is."""
    shapes = [np.shape(x) for x in operands]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return ShapeError(
            f"The operands of {name} have shapes that broadcast. Got {' and '.join(map(str, shapes))}. "
            "Reshape one of them."
        )
    return error


REDUCERS: dict[tuple[str, str], Callable[..., Any]] = {}  # ("add", "reduce"): sum; filled by reductions.py


def _reduced(name: str, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
    if (name, method) not in REDUCERS:
        raise DtypeError(
            f"numpy.{name}.{method} has no meaning of its own in a float format. Got a FloatArray. "
            "Use .values for plain numbers."
        )
    result = REDUCERS[name, method](*inputs, **kwargs)
    return result if out is None else _into(name, out[0], result)


def _into(name: str, out: Any, result: Any) -> Any:
    if isinstance(result, FloatArray) and has_own_type(out, result.format) and out.dtype.isnative:
        _into(name, asarray(out, result.format), result)
        return out
    if isinstance(out, FloatArray) != isinstance(result, FloatArray):
        raise DtypeError(
            f"out is of the kind of the result. Got a {type(out).__name__} for the {type(result).__name__} of {name}. "
            "Leave out away."
        )
    if out.shape != result.shape:
        raise ShapeError(
            f"out has the shape of the result. Got {out.shape} for {result.shape}. Allocate it anew."
        )
    out[...] = result
    return out


def _comparison(name: str) -> Callable[..., Any]:
    """Return the stand-in of a comparison: operands of all kinds, exactly; the result is a plain array of bool."""
    return _elementwise(name, partial(compare, name))


def _question(name: str, function: Any) -> Callable[..., Any]:
    """Return the stand-in of a question to each number; the answer is a plain array of bool."""

    def compute(*operands: Any) -> Any:
        with np.errstate(invalid="ignore"):  # signaling NaNs
            return function(*map(nearest, operands))

    return _elementwise(name, compute)


def _choice(name: str, function: Any) -> Callable[..., Any]:
    """Return the stand-in of a function whose results are values of the format, or are rounded to it if not."""

    def compute(*operands: Any) -> FloatArray:
        fmt = common_format(name, operands)
        with np.errstate(all="ignore"):
            values = function(*(of_format(name, x, fmt) for x in operands))
        return FloatArray._wrap(quantize(values, fmt), fmt)

    return _elementwise(name, compute)


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
        return np.False_
    return x._data & x.format.code_dtype.type((1 << x.format.magnitude_bits) - 1) == 0


def _is_negative(x: FloatArray) -> Array:
    if x._coded and x.format.signed:
        return (x._data & x.format.code_dtype.type(x.format.sign_mask) != 0) & ~_has_no_sign(x)
    return np.signbit(x.values)


def _copysign(a: Any, b: Any) -> FloatArray:
    fmt = common_format("copysign", (a, b))
    x = _as_operand("copysign", a, fmt)
    sign = np.signbit(nearest(b)) if is_number(b) else _is_negative(_as_operand("copysign", b, fmt))
    change = _is_negative(x) != sign
    if not fmt.signed:
        return FloatArray._wrap(quantize(np.where(change, -x.values, x.values), fmt), fmt)
    return x._like(np.where(change, _negate(x)._data, x._data))


def _as_operand(name: str, x: Any, fmt: FloatFormat) -> FloatArray:
    """Return an operand with its codes, where it has any."""
    if isinstance(x, FloatArray):
        return x
    return asarray(x, fmt) if has_own_type(x, fmt) else FloatArray._wrap(of_format(name, x, fmt), fmt)


def hold(name: str, operands: Sequence[Any], fmt: FloatFormat) -> tuple[list[Array], bool]:
    """Return what operands hold, all of them their codes or all their values; and whether it is codes.

    Codes, if any has them: those of NaNs would not outlive the way through values.
    """
    arrays = [_as_operand(name, x, fmt) for x in operands]
    coded = any(x._coded for x in arrays)
    return [x._held_as(coded) for x in arrays], coded


# The larger and the smaller of two. A plain number is compared as it is, and rounded only where it wins.


def _extremum(name: str, function: Any, order: str) -> Callable[..., Any]:
    """Return the stand-in of a maximum or minimum; `function` knows what is done with zeros and NaNs."""

    def compute(a: Any, b: Any) -> FloatArray:
        fmt = common_format(name, (a, b))
        x, y = of_format(name, a, fmt), of_format(name, b, fmt)
        with np.errstate(invalid="ignore"):
            if _is_rounded(a, x) or _is_rounded(
                b, y
            ):  # then it is no value of the format, and there are no ties
                values: Array = np.where(compare(order, a, b), x, y)
                own, bound = (x, y) if isinstance(a, FloatArray) else (y, x)
                values = np.where(own != own, bound if name.startswith("f") else own, values)
            else:
                values = function(x, y)
        return FloatArray._wrap(quantize(values, fmt), fmt)

    return _elementwise(name, compute)


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


for _name in __all__:
    if isinstance(getattr(np, _name, None), np.ufunc):
        UFUNCS[getattr(np, _name)] = _elementwise(_name, globals()[_name])
for _name in COMPARISONS:
    UFUNCS[getattr(np, _name)] = _comparison(_name)
for _name in (
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    *(f"logical_{op}" for op in ("not", "and", "or", "xor")),
):
    UFUNCS[getattr(np, _name)] = _question(_name, getattr(np, _name))
for _name in ("sign", "floor", "ceil", "trunc", "rint"):
    UFUNCS[getattr(np, _name)] = _choice(_name, getattr(np, _name))
_SIGNS: dict[str, Callable[..., Any]] = {
    "negative": _negate,
    "positive": FloatArray.copy,
    "conjugate": FloatArray.copy,
    "absolute": _absolute,
    "fabs": _absolute,
    "copysign": _copysign,
}
for _name, _compute in _SIGNS.items():
    UFUNCS[getattr(np, _name)] = _elementwise(_name, _compute)
for _name, _compute, _order in (
    ("maximum", _larger, "greater"),
    ("minimum", _smaller, "less"),
    ("fmax", _larger_number, "greater"),
    ("fmin", _smaller_number, "less"),
):
    UFUNCS[getattr(np, _name)] = _extremum(_name, _compute, _order)
UFUNCS[np.nextafter] = _elementwise("nextafter", _next_after)
UFUNCS[np.spacing] = _elementwise(
    "spacing", lambda x: FloatArray._wrap(quantize(spacing(x.values, x.format), x.format), x.format)
)
UFUNCS[np.radians], UFUNCS[np.degrees] = UFUNCS[np.deg2rad], UFUNCS[np.rad2deg]
