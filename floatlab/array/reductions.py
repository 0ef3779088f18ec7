"""What is the sum of a FloatArray? ``sum mean prod dot matmul cumsum cumprod max min``, in the format.

Sums and products of matrices are those of `floatlab.accumulate`, with the accumulator that is named, or that the
context has. `prod`, `cumsum` and `cumprod` go one element at a time and round after each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab import accumulate
from floatlab.accumulators import get_accumulator
from floatlab.array.contexts import current, is_tracking, note
from floatlab.array.core import FUNCTIONS, UFUNCS, FloatArray
from floatlab.array.elementwise import REDUCERS, of_format, resolve
from floatlab.backend import Array, widened
from floatlab.errors import DtypeError, OptionError, ShapeError, check_switch
from floatlab.flags import Flags
from floatlab.formats import FloatFormat, get_format
from floatlab.operations import operate
from floatlab.rounding import quantize
from floatlab.sources import as_source

__all__ = ["cumprod", "cumsum", "dot", "matmul", "mean", "prod", "sum"]

_FLOAT64 = get_format("float64")
_STICKY = FloatFormat("sticky", 11, 50)  # 51 bits, the last of which says that there was more
_STICKY_LIMIT = 49  # bits of a format that can be rounded from there


# -- sums and products ---------------------------------------------------------------------------------------


def sum(
    x: Any,
    fmt: Any = None,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    return_flags: bool = False,
    **options: Any,
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
    return_flags : bool
        Whether to return the `Flags` as well; only with the accumulators "wide" and "exact".
    **options
        accumulator ("wide", "exact", a format name for sequential accumulation, or another of
        `floatlab.accumulators`), rounding, overflow, subnormals, rng, random_bits. What is not given is taken from the
        context (`floatlab.arithmetic`).

    Examples
    --------
    >>> import floatlab as fl
    >>> ones = fl.array(np.ones(64), "e4m3")
    >>> fl.sum(ones), fl.sum(ones, accumulator="e4m3")
    (FloatArray(64., format=float8_e4m3fn), FloatArray(16., format=float8_e4m3fn))
    """
    target, (values,), formats, wrap = resolve("sum", (x,), fmt)

    def compute(to: FloatFormat, **given: Any) -> Array:
        known = [formats[0]] if formats[0] is not None else []
        return accumulate.sum(values, to, axis=axis, keepdims=keepdims, formats=known, **given)

    return _reduce("sum", compute, target, wrap, return_flags, options)


def matmul(a: Any, b: Any, fmt: Any = None, *, return_flags: bool = False, **options: Any) -> Any:
    """Return the matrix product, with a named accumulator.

    Parameters
    ----------
    a, b : FloatArray or array_like
        Shapes as in `numpy.matmul`. Without `fmt` they have one format.
    fmt : str, FloatFormat or dtype, optional
        The format of the result; with it, the operands may have any formats.
    return_flags : bool
        As in `sum`.
    **options
        Those of `sum`; also bias and product_format, as in `floatlab.accumulate.matmul`.

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.array([[1.5, 2.0]], "e4m3")
    >>> fl.matmul(a, a.T), fl.matmul(a, a.T, "fp16")
    (FloatArray([[6.]], format=float8_e4m3fn), FloatArray([[6.25]], format=float16))
    """
    return _product("matmul", accumulate.matmul, a, b, fmt, return_flags, options)


def dot(a: Any, b: Any, fmt: Any = None, *, return_flags: bool = False, **options: Any) -> Any:
    """Return the dot product of two vectors, or the product of two matrices; see `matmul`.

    >>> import floatlab as fl
    >>> fl.dot([1e8, 1.0, -1e8], [1e8, 1.0, 1e8], "fp16").item()
    1.0
    """
    return _product("dot", accumulate.dot, a, b, fmt, return_flags, options)


def _product(
    name: str,
    function: Callable[..., Array],
    a: Any,
    b: Any,
    fmt: Any,
    return_flags: bool,
    options: dict[str, Any],
) -> Any:
    target, (x, y), formats, wrap = resolve(name, (a, b), fmt)
    known = formats if None not in formats else []
    bias = options.pop("bias", None)
    if bias is not None:
        known, options = (
            [],
            options | {"bias": of_format(name, bias, target) if fmt is None else np.asarray(bias)},
        )

    def compute(to: FloatFormat, **given: Any) -> Array:
        return function(x, y, to, formats=known, **given)

    return _reduce(name, compute, target, wrap, return_flags, options)


def _reduce(
    name: str,
    compute: Callable[..., Array],
    fmt: FloatFormat,
    wrap: bool,
    return_flags: bool,
    options: dict[str, Any],
) -> Any:
    return_flags = return_flags is not False and check_switch("return_flags", return_flags)
    options = current().of_reduction() | options
    result = compute(fmt, **options)
    made = FloatArray._wrap(result, fmt) if wrap else result
    if not return_flags and not is_tracking():
        return made
    flags = _flags_of_sum(compute, fmt, options)
    if flags is None:
        if return_flags:
            raise OptionError(
                'Flags of a sum are known for the accumulators "wide" and "exact", and without stochastic rounding. '
                f"Got {options['accumulator']!r} and {options['rounding']!r}. Leave return_flags out."
            )
        return made
    if is_tracking():
        note(name, flags)
    return (made, flags) if return_flags else made


def _flags_of_sum(compute: Callable[..., Array], fmt: FloatFormat, options: dict[str, Any]) -> Flags | None:
    """Return the flags of the exact sum's one rounding, or None where there are more roundings than one."""
    once = str(get_accumulator(options["accumulator"])) in ("wide", "exact")
    if not once or fmt.precision > _STICKY_LIMIT or options["rounding"].startswith("stochastic"):
        return None
    given = {
        k: v
        for k, v in options.items()
        if k not in ("rounding", "overflow", "subnormals", "rng", "random_bits")
    }
    total = compute(_STICKY, rounding="to_odd", **given)
    kept = {k: options[k] for k in ("rounding", "overflow", "subnormals")}
    return quantize(total, fmt, return_flags=True, **kept)[1]


def mean(
    x: Any,
    fmt: Any = None,
    *,
    axis: Any = None,
    keepdims: bool = False,
    return_flags: bool = False,
    **options: Any,
) -> Any:
    """Return the mean: with the accumulators "wide" and "exact" the exact one, rounded once; else sum / n.

    Parameters as in `sum`.

    >>> import floatlab as fl
    >>> fl.mean(fl.array([448.0, 448.0, 416.0], "e4m3"))
    FloatArray(448., format=float8_e4m3fn)
    """
    target, (values,), formats, wrap = resolve("mean", (x,), fmt)
    given = current().of_reduction() | options
    once = (
        str(get_accumulator(given["accumulator"])) in ("wide", "exact")
        and target.precision <= _STICKY_LIMIT // 2
    )
    rounding = given | {"rounding": "to_odd", "overflow": None} if once else given
    total = accumulate.sum(
        values,
        _STICKY if once else target,
        axis=axis,
        keepdims=keepdims,
        formats=[formats[0]] if formats[0] is not None else [],
        **rounding,
    )
    n = np.size(values) // max(total.size, 1) if total.size else 1
    kept = {k: given[k] for k in ("rounding", "overflow", "subnormals", "rng", "random_bits")}
    return_flags = return_flags is not False and check_switch("return_flags", return_flags)
    wanted = return_flags or is_tracking()
    result = operate("divide", (total, float(n)), target, return_flags=wanted, **kept)
    result, flags = result if wanted else (result, None)
    if flags is not None:
        note("mean", flags)
    made = FloatArray._wrap(result, target) if wrap else result
    return (made, flags) if return_flags else made


# -- one after the other -----------------------------------------------------------------------------------


def _one_by_one(name: str, x: Any, fmt: Any, axis: int | None, options: dict[str, Any]) -> tuple[Any, ...]:
    """Return all partial results along an axis, which is put first; and what is needed to wrap them."""
    target, (values,), _, wrap = resolve(name, (x,), fmt)
    values = widened(as_source(values, _FLOAT64))
    if axis is None:
        values, axis = values.reshape(-1), 0
    if not -values.ndim <= axis < values.ndim:
        raise ShapeError(
            f"axis names a dimension of x. Got {axis} for shape {values.shape}. Use another axis."
        )
    moved = np.moveaxis(values, axis, 0)
    options = current().of_operation() | options
    partial = np.empty(moved.shape, target.value_dtype)
    operation = "add" if "sum" in name else "multiply"
    exact = dict(options)
    for i in range(len(moved)):
        if i == 0:
            partial[0] = quantize(moved[0], target, **exact)
        else:
            partial[i] = operate(operation, (partial[i - 1], moved[i]), target, **exact)
    return partial, axis, target, wrap


def cumsum(x: Any, fmt: Any = None, *, axis: int | None = None, **options: Any) -> Any:
    """Return the partial sums along an axis, each rounded to the format; options as in `add`.

    >>> import floatlab as fl
    >>> fl.cumsum(fl.array([16.0, 1.0, 1.0], "e4m3"))
    FloatArray([16., 16., 16.], format=float8_e4m3fn)
    """
    partial, axis, target, wrap = _one_by_one("cumsum", x, fmt, axis, options)
    result = np.ascontiguousarray(np.moveaxis(partial, 0, axis))
    return FloatArray._wrap(result, target) if wrap else result


def cumprod(x: Any, fmt: Any = None, *, axis: int | None = None, **options: Any) -> Any:
    """Return the partial products along an axis, each rounded to the format; options as in `add`."""
    partial, axis, target, wrap = _one_by_one("cumprod", x, fmt, axis, options)
    result = np.ascontiguousarray(np.moveaxis(partial, 0, axis))
    return FloatArray._wrap(result, target) if wrap else result


def prod(x: Any, fmt: Any = None, *, axis: int | None = None, keepdims: bool = False, **options: Any) -> Any:
    """Return the product along an axis, or of all elements, rounded to the format after every factor.

    >>> import floatlab as fl
    >>> fl.prod(fl.array([1.125, 1.125, 1.125], "e4m3"))
    FloatArray(1.375, format=float8_e4m3fn)
    """
    partial, at, target, wrap = _one_by_one("cumprod", x, fmt, axis, options)
    whole = np.ndim(x)
    result = partial[-1] if len(partial) else np.asarray(quantize(np.ones(partial.shape[1:]), target))
    result = np.asarray(result)
    if keepdims:
        result = result.reshape((1,) * whole) if axis is None else np.expand_dims(result, at)
    return FloatArray._wrap(result, target) if wrap else result


# -- NumPy's names ---------------------------------------------------------------------------------------------

_UNSET = np._NoValue if hasattr(np, "_NoValue") else None


def _extreme(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def stand_in(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **rest: Any) -> FloatArray:
        _refuse(name, out=out, **rest)
        return FloatArray._wrap(function(x.values, axis=axis, keepdims=_flag(keepdims)), x.format)

    return stand_in


def _flag(keepdims: Any) -> bool:
    return bool(keepdims) if keepdims is not _UNSET else False


def _refuse(name: str, **unwanted: Any) -> None:
    for option, value in unwanted.items():
        if value is not None and value is not _UNSET and not (option == "where" and value is True):
            raise DtypeError(
                f"numpy.{name} of a FloatArray takes no {option}. Got {value!r}. "
                f"Use .astype for another format, or .values for plain numbers."
            )


def _reduction(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a reduction of NumPy."""

    def stand_in(
        x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **rest: Any
    ) -> Any:
        ours = {
            k: v for k, v in rest.items() if k in ("accumulator", "rounding", "overflow", "subnormals", "rng")
        }
        _refuse(name, dtype=dtype, out=out, **{k: v for k, v in rest.items() if k not in ours})
        return function(x, axis=axis, keepdims=_flag(keepdims), **ours)

    return stand_in


def _cumulative(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def stand_in(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, **options: Any) -> Any:
        _refuse(name, dtype=dtype, out=out)
        return function(x, axis=axis, **options)

    return stand_in


@lru_cache(maxsize=1)
def _register() -> None:
    FUNCTIONS[np.sum] = _reduction("sum", sum)
    FUNCTIONS[np.mean] = _reduction("mean", mean)
    FUNCTIONS[np.prod] = _reduction("prod", prod)
    FUNCTIONS[np.cumsum] = _cumulative("cumsum", cumsum)
    FUNCTIONS[np.cumprod] = _cumulative("cumprod", cumprod)
    for name in ("max", "min", "amax", "amin", "nanmax", "nanmin"):
        FUNCTIONS[getattr(np, name)] = _extreme(name, getattr(np, name))
    for ufunc, cumulative, whole in (("add", cumsum, sum), ("multiply", cumprod, prod)):
        REDUCERS[ufunc, "accumulate"] = _on_first_axis(_cumulative(ufunc, cumulative))
        REDUCERS[ufunc, "reduce"] = _on_first_axis(_reduction(ufunc, whole))
    for ufunc, function in (
        ("maximum", np.max),
        ("minimum", np.min),
        ("fmax", np.nanmax),
        ("fmin", np.nanmin),
    ):
        REDUCERS[ufunc, "reduce"] = _on_first_axis(_extreme(ufunc, function))
    FUNCTIONS[np.dot] = lambda a, b, out=None, **options: dot(a, b, **options)
    FUNCTIONS[np.vdot] = lambda a, b: dot(a.ravel(), b.ravel())
    UFUNCS[np.matmul] = _matmul


def _on_first_axis(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = 0, **options: Any) -> Any:
        return function(x, axis=axis, **options)

    return reduce


def _matmul(method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = kwargs.get("out")
    _refuse("matmul", **{k: v for k, v in kwargs.items() if k != "out"})
    result = matmul(*inputs)
    if out is None:
        return result
    out[0][...] = result
    return out[0]


_register()
