"""What is the sum of a FloatArray? ``sum mean prod dot matmul cumsum cumprod max min``, in the format.

Sums and products of matrices are those of `floatlab.sums.matmul`, with the accumulator that is named, or that the
context has. `prod`, `cumsum` and `cumprod` go one element at a time and round after each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import Call, of_format, operation, reduction
from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS, UFUNCS
from floatlab.array.stand_ins import REDUCERS, UNSET, into, refuse
from floatlab.backend import Array, widened
from floatlab.errors import OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.operate import operate
from floatlab.rounding.inputs import as_source
from floatlab.rounding.options import RoundingOptions, check_names
from floatlab.rounding.quantize import quantize
from floatlab.sums import matmul as accumulate
from floatlab.sums.names import get_accumulator
from floatlab.sums.operands import axes_of, check_formats
from floatlab.sums.signatures import ProductOptions, ReductionOptions, of_axes, of_matrices

__all__ = ["cumprod", "cumsum", "dot", "matmul", "mean", "prod", "sum"]


# -- sums and products ---------------------------------------------------------------------------------------


@of_axes
def sum(
    x: Any, fmt: Any = None, *, axis: Any = None, keepdims: bool = False, **options: Unpack[ReductionOptions]
) -> Any:
    """Return the sum over one, several or all axes, with a named accumulator.

    Parameters
    ----------
    x : FloatArray or array_like
        A FloatArray gives a FloatArray; plain numbers need `fmt` and give plain values.
    fmt : str, FloatFormat or dtype, optional
        The format of the result; by default that of `x`.
    axis, keepdims
        As in `numpy.sum`.
    **options
        accumulator ("wide", "exact", a format name for sequential accumulation, or another of
        `floatlab.sums.accumulators`), rounding, overflow, subnormals, rng, random_bits. What is not given is taken
        from the context (`floatlab.arithmetic`). return_flags says whether to return the `Flags` as well; only with
        the accumulators "wide" and "exact", which round once.

    Examples
    --------
    >>> import floatlab as fl
    >>> ones = fl.array(np.ones(64), "e4m3")
    >>> fl.sum(ones), fl.sum(ones, accumulator="e4m3")
    (FloatArray(64., format=float8_e4m3fn), FloatArray(16., format=float8_e4m3fn))
    """
    return _over_axes("sum", accumulate.sum, x, fmt, axis, keepdims, options)


@of_matrices
def matmul(a: Any, b: Any, fmt: Any = None, **options: Unpack[ProductOptions]) -> Any:
    """Return the matrix product, with a named accumulator.

    Parameters
    ----------
    a, b : FloatArray or array_like
        Shapes as in `numpy.matmul`. Without `fmt` they have one format.
    fmt : str, FloatFormat or dtype, optional
        The format of the result; with it, the operands may have any formats.
    **options
        Those of `sum`, return_flags among them; also bias and product_format, as in `floatlab.sums.matmul.matmul`;
        unit, a matrix unit that forms the product, as "h100" (`floatlab.units` lists them), and bias_first. The
        operands of a unit are FloatArrays, or plain numbers with their `formats`.

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.array([[1.5, 2.0]], "e4m3")
    >>> fl.matmul(a, a.T), fl.matmul(a, a.T, "fp16")
    (FloatArray([[6.]], format=float8_e4m3fn), FloatArray([[6.25]], format=float16))
    """
    return _product("matmul", accumulate.matmul, a, b, fmt, options)


@of_matrices
def dot(a: Any, b: Any, fmt: Any = None, **options: Unpack[ProductOptions]) -> Any:
    """Return the dot product of two vectors, or the product of two matrices; see `matmul`.

    >>> import floatlab as fl
    >>> fl.dot([1e8, 1.0, -1e8], [1e8, 1.0, 1e8], "fp16").item()
    1.0
    """
    return _product("dot", accumulate.dot, a, b, fmt, options)


def _product(name: str, function: Callable[..., Array], a: Any, b: Any, fmt: Any, options: Any) -> Any:
    bias, product_format = options.pop("bias", None), options.pop("product_format", None)
    call = reduction(name, (a, b), fmt, options, "bias", "product_format", "unit", "bias_first")
    more: dict[str, Any] = {}
    if product_format is not None:
        more["product_format"] = product_format
    if bias is not None:
        more["bias"] = of_format(name, bias, call.fmt) if fmt is None else _plain(bias)
        call.formats.append(_format_of(bias) if fmt is not None else call.fmt)
    said = call.options.pop("formats", ())
    check_formats(said)
    if bias is not None and get_accumulator(call.options["accumulator"]).forms_products:
        call.formats.pop()  # which chooses no instruction of a matrix unit
        said = said[:2] if len(said) == 3 else said
    known = _known(call.formats, said)
    return call.run(function, *call.values, call.fmt, formats=known, **more)


def _over_axes(
    name: str,
    function: Callable[..., Any],
    x: Any,
    fmt: Any,
    axis: Any,
    keepdims: bool,
    options: ReductionOptions,
) -> Any:
    call = reduction(name, (x,), fmt, options)
    known = _known(call.formats, call.options.pop("formats", ()))
    return call.run(function, *call.values, call.fmt, axis=axis, keepdims=keepdims, formats=known)


def _plain(x: Any) -> Any:
    return x.values if isinstance(x, FloatArray) else x


def _format_of(x: Any) -> FloatFormat | None:
    return x.format if isinstance(x, FloatArray) else None


def _known(found: Sequence[FloatFormat | None], said: Sequence[Any]) -> Sequence[Any]:
    """Return the formats of the operands, if all are known: their own, or else what the caller says."""
    check_formats(said)
    if len(said) and len(said) != len(found):
        return said  # which `accumulate` refuses, with their number
    formats: list[FloatFormat | None] = [get_format(fmt) for fmt in said] or list(found)
    for own, other in zip(found, formats, strict=True):
        if own is not None and other is not None and not own.same_as(other):
            raise OptionError(
                f"formats names the format that an operand has. Got {other.spec} for an array of {own.spec}. "
                "Leave it out."
            )
    return formats if None not in formats else []


@of_axes
def mean(
    x: Any, fmt: Any = None, *, axis: Any = None, keepdims: bool = False, **options: Unpack[ReductionOptions]
) -> Any:
    """Return the mean: with the accumulators "wide" and "exact" the exact one, rounded once; else sum / n.

    Parameters as in `sum`. The exact sum is divided before anything is rounded, so that neither an overflow of the sum
    nor what a partial sum would lose can be seen. The mean of no numbers is 0 / 0.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.mean(fl.array([448.0, 448.0, 416.0], "e4m3"))
    FloatArray(448., format=float8_e4m3fn)
    """
    return _over_axes("mean", accumulate.mean, x, fmt, axis, keepdims, options)


# -- one after the other -----------------------------------------------------------------------------------


def _one_by_one(step: str, values: np.ndarray, call: Call) -> np.ndarray:
    """Return all partial results along the first axis."""
    partial = np.empty(values.shape, call.fmt.value_dtype)
    for i in range(len(values)):
        if i == 0:
            partial[0] = quantize(values[0], call.fmt, **call.options)
        else:
            partial[i] = operate(step, (partial[i - 1], values[i]), call.fmt, **call.options)
    return partial


def _asked(name: str, x: Any, fmt: Any, options: RoundingOptions) -> tuple[Call, Array]:
    """Return what was asked for, and the numbers in float64."""
    check_names(name, options, ("axis", "keepdims", *RoundingOptions.__annotations__))
    call = operation(name, (x,), fmt, options)
    return call, widened(as_source(call.values[0], get_format("float64")))


def _cumulate(name: str, step: str, x: Any, fmt: Any, axis: Any, options: RoundingOptions) -> Any:
    call, values = _asked(name, x, fmt, options)
    if axis is None:
        values, axis = values.reshape(-1), 0
    if not isinstance(axis, int | np.integer) or not -values.ndim <= axis < values.ndim:
        raise ShapeError(
            f"axis names a dimension of x. Got {axis!r} for shape {values.shape}. Use another axis."
        )
    partial = _one_by_one(step, np.moveaxis(values, axis, 0), call)
    return call.finish(np.ascontiguousarray(np.moveaxis(partial, 0, axis)))


def cumsum(x: Any, fmt: Any = None, *, axis: int | None = None, **options: Unpack[RoundingOptions]) -> Any:
    """Return the partial sums along an axis, each rounded to the format; options as in `add`.

    >>> import floatlab as fl
    >>> fl.cumsum(fl.array([16.0, 1.0, 1.0], "e4m3"))
    FloatArray([16., 16., 16.], format=float8_e4m3fn)
    """
    return _cumulate("cumsum", "add", x, fmt, axis, options)


def cumprod(x: Any, fmt: Any = None, *, axis: int | None = None, **options: Unpack[RoundingOptions]) -> Any:
    """Return the partial products along an axis, each rounded to the format; options as in `add`."""
    return _cumulate("cumprod", "multiply", x, fmt, axis, options)


def prod(
    x: Any, fmt: Any = None, *, axis: Any = None, keepdims: bool = False, **options: Unpack[RoundingOptions]
) -> Any:
    """Return the product over one, several or all axes, rounded to the format after every factor.

    Several axes are multiplied in the order of the flattened index. The product of nothing is 1.

    >>> import floatlab as fl
    >>> fl.prod(fl.array([1.125, 1.125, 1.125], "e4m3"))
    FloatArray(1.375, format=float8_e4m3fn)
    """
    call, values = _asked("prod", x, fmt, options)
    axes = axes_of(axis, values.shape)
    rest = tuple(i for i in range(values.ndim) if i not in axes)
    kept = tuple(values.shape[i] for i in rest)
    count = math.prod(values.shape[i] for i in axes)
    factors = values.transpose(*axes, *rest).reshape(count, *kept)
    partial = _one_by_one("multiply", factors, call)
    result = partial[-1] if len(partial) else quantize(np.ones(kept), call.fmt)
    if keepdims:
        kept = tuple(1 if i in axes else n for i, n in enumerate(values.shape))
    return call.finish(np.asarray(result, call.fmt.value_dtype).reshape(kept))


# -- NumPy's names ---------------------------------------------------------------------------------------------

_WAY_OUT = "Use .astype for another format, or .values for plain numbers."


def _extreme(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def stand_in(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **rest: Any) -> FloatArray:
        refuse(name, {"out": out, **rest}, _WAY_OUT)
        return FloatArray._wrap(function(x.values, axis=axis, keepdims=_flag(keepdims)), x.format)

    return stand_in


def _flag(keepdims: Any) -> bool:
    return bool(keepdims) if keepdims is not UNSET else False


def _reduction(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a reduction of NumPy."""

    def stand_in(
        x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **rest: Any
    ) -> Any:
        numpys: dict[str, Any] = {k: rest.pop(k) for k in ("initial", "where") if k in rest}
        refuse(name, {"dtype": dtype, "out": out, **numpys}, _WAY_OUT)
        return function(x, axis=axis, keepdims=_flag(keepdims), **rest)

    return stand_in


def _cumulative(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def stand_in(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any) -> Any:
        refuse(name, {"dtype": dtype, "out": out}, _WAY_OUT)
        return function(x, axis=axis, **options)

    return stand_in


def _on_first_axis(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = 0, **options: Any) -> Any:
        return function(x, axis=axis, **options)

    return reduce


def _matmul(method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    refuse("matmul", {k: v for k, v in kwargs.items() if k != "out"}, _WAY_OUT)
    result = matmul(*inputs)
    return into("matmul", kwargs["out"][0], result) if "out" in kwargs else result


def _dot(a: Any, b: Any, out: Any = None, **options: Any) -> Any:
    result = dot(a, b, **options)
    return result if out is None else into("dot", out, result)


FUNCTIONS[np.sum] = _reduction("sum", sum)
FUNCTIONS[np.mean] = _reduction("mean", mean)
FUNCTIONS[np.prod] = _reduction("prod", prod)
FUNCTIONS[np.cumsum] = _cumulative("cumsum", cumsum)
FUNCTIONS[np.cumprod] = _cumulative("cumprod", cumprod)
FUNCTIONS[np.dot] = _dot
FUNCTIONS[np.vdot] = lambda a, b: dot(a.ravel(), b.ravel())
UFUNCS[np.matmul] = _matmul
_EXTREMA = ("max", "min", "amax", "amin", "nanmax", "nanmin")
FUNCTIONS.fill(_EXTREMA, lambda name: _extreme(name, getattr(np, name)))
for _name, _whole, _partial in (("add", sum, cumsum), ("multiply", prod, cumprod)):
    REDUCERS[_name, "reduce"] = _on_first_axis(_reduction(_name, _whole))
    REDUCERS[_name, "accumulate"] = _on_first_axis(_cumulative(_name, _partial))
for _name, _function in (("maximum", np.max), ("minimum", np.min), ("fmax", np.nanmax), ("fmin", np.nanmin)):
    REDUCERS[_name, "reduce"] = _on_first_axis(_extreme(_name, _function))
