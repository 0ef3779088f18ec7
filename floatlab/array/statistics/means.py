"""What is the mean with weights, and what are sums, products and means of what is not NaN?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import Call, reduction, resolve
from floatlab.array.core import FloatArray
from floatlab.array.ratios import Pair, ratio
from floatlab.array.reductions import cumprod, cumsum, mean, prod, sum
from floatlab.array.stand_ins import with_values
from floatlab.array.statistics.estimates import (
    Interval,
    estimated_average,
    estimated_mean,
    interval_around,
    settle,
)
from floatlab.array.statistics.exact_sums import dot_products, integer_sums, moments, zero_of_sums
from floatlab.array.statistics.rows import FLOAT64, Rows, deliver, is_exact, of_operation, rows_of
from floatlab.backend import Array, asnumpy
from floatlab.errors import OptionError, ShapeError
from floatlab.operations.operate import operate
from floatlab.rounding.inputs import as_source
from floatlab.sums import matmul as accumulate
from floatlab.sums.operands import axes_of
from floatlab.sums.signatures import ReductionOptions, of_axes

__all__ = ["average", "nancumprod", "nancumsum", "nanmean", "nanprod", "nansum"]


@of_axes
def nansum(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the sum of what is not NaN; parameters as in `floatlab.sum`.

    >>> import floatlab as fl
    >>> fl.nansum(fl.array([1.0, np.nan, 2.5], "e4m3"))
    FloatArray(3.5, format=float8_e4m3fn)
    """
    return _without_nan("sum", sum, 0.0, x, fmt, options)


def nanprod(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the product of what is not NaN; see `floatlab.prod`."""
    return _without_nan("prod", prod, 1.0, x, fmt, options)


def nancumsum(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the partial sums of what is not NaN; see `floatlab.cumsum`."""
    return _without_nan("cumsum", cumsum, 0.0, x, fmt, options)


def nancumprod(x: Any, fmt: Any = None, **options: Any) -> Any:
    """Return the partial products of what is not NaN; see `floatlab.cumprod`."""
    return _without_nan("cumprod", cumprod, 1.0, x, fmt, options)


def _without_nan(
    name: str, function: Callable[..., Any], neutral: float, x: Any, fmt: Any, options: dict[str, Any]
) -> Any:
    """Compute with a neutral number in the place of NaN, which need not be a value of the format."""
    target, (values,), _, wrap = resolve(f"nan{name}", (x,), fmt)
    values = as_source(values, FLOAT64).astype(np.float64)
    axes_of(options.get("axis"), values.shape)  # refuses what is none
    result = function(np.where(np.isnan(values), neutral, values), target, **options)
    return with_values(result, lambda values: FloatArray._wrap(values, target)) if wrap else result


@of_axes
def nanmean(
    x: Any, fmt: Any = None, *, axis: Any = None, keepdims: bool = False, **options: Unpack[ReductionOptions]
) -> Any:
    """Return the mean of what is not NaN, the exact one rounded once; of nothing, NaN. Parameters as in `floatlab.sum`.

    >>> import floatlab as fl
    >>> fl.nanmean(fl.array([1.0, np.nan, 2.5], "e4m3"))
    FloatArray(1.75, format=float8_e4m3fn)
    """
    call = reduction("nanmean", (x,), fmt, options)
    rows = rows_of(call.values[0], axis, keepdims)
    if not is_exact(call):
        nan = np.isnan(rows.values)
        total = accumulate.sum(np.where(nan, 0.0, rows.values), call.fmt, axis=1, **call.options)
        counts = np.sum(~nan, axis=1, dtype=np.float64)
        result = operate("divide", (total, counts), call.fmt, **of_operation(call.options))
        return call.finish(result.reshape(rows.shape))
    present = ~np.isnan(rows.values)
    numbers, counts = np.where(np.isfinite(rows.values), rows.values, 0.0), present.sum(axis=1)
    whole = np.all(np.isfinite(rows.values) | ~present, axis=1)

    def interval() -> Interval:
        return interval_around(*estimated_mean(numbers, counts))

    settled, estimate = settle(interval, [numbers], whole, call)
    sums = moments(rows.values, True, ~settled)
    total = np.where(sums.special == 0, zero_of_sums(rows.values, call.options["rounding"]), sums.special)
    total = np.where(settled, estimate, total)
    exceptions: dict[int, Pair] = {}
    for i in np.flatnonzero((sums.special == 0) & ~settled).tolist():
        if sums.counts[i] == 0:
            total[i] = np.nan
        elif sums.totals[i]:
            exceptions[i] = ratio(int(sums.totals[i]), sums.counts[i], sums.exponent)
    return deliver(call, total, exceptions, rows, sums.has_nan)


def average(
    x: Any,
    fmt: Any = None,
    *,
    axis: Any = None,
    weights: Any = None,
    keepdims: bool = False,
    returned: bool = False,
    **options: Unpack[ReductionOptions],
) -> Any:
    """Return the weighted mean: the exact quotient of the exact sums, rounded once.

    Parameters
    ----------
    x, fmt, axis, keepdims, **options
        As in `var`.
    weights : FloatArray or array_like, optional
        Of the shape of `x`, or of its length along one axis; taken exactly. Without, this is `floatlab.mean`.
    returned : bool
        Whether to return the sum of the weights as well, rounded to the format.

    Raises
    ------
    ShapeError
        If the weights do not fit.
    OptionError
        If they add up to zero.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.average(fl.array([1.0, 2.0, 4.0], "e4m3"), weights=[3, 2, 1])  # 11 / 6
    FloatArray(1.875, format=float8_e4m3fn)
    """
    asked: Any = dict(options)
    call = reduction("average", (x,), fmt, options, "weights", "returned")
    values = as_source(call.values[0], FLOAT64)
    shape = tuple(values.shape)
    numbers = np.ones(shape) if weights is None else _weights(weights, shape, axis)
    rows, factors = rows_of(values, axis, keepdims), rows_of(numbers, axis, keepdims)
    exact = weights is None or is_exact(call)
    scale = None
    if returned or not exact:
        scale = accumulate.sum(factors.values, call.fmt, axis=1, **call.options)
    if weights is None:
        made = mean(x, fmt, axis=axis, keepdims=keepdims, **asked)
    elif exact:
        made = _exact_average(rows, factors, call)
    else:
        kept = of_operation(call.options)
        products = operate("multiply", (rows.values, factors.values), call.fmt, **kept)
        total = accumulate.sum(products, call.fmt, axis=1, **call.options)
        made = call.finish(operate("divide", (total, scale), call.fmt, **kept).reshape(rows.shape))
    if scale is None or not returned:
        return made
    scale = scale.reshape(rows.shape)
    return made, (FloatArray._wrap(scale, call.fmt) if call.wrap else scale)


def _weights(weights: Any, shape: tuple[int, ...], axis: Any) -> Array:
    numbers = weights.values if isinstance(weights, FloatArray) else weights
    numbers = asnumpy(as_source(numbers, FLOAT64)).astype(np.float64)
    if numbers.shape == shape:
        return numbers
    along = axes_of(axis, shape)
    if axis is None or numbers.shape != tuple(shape[i] for i in along):
        raise ShapeError(
            f"Weights have the shape of x, or its lengths along axis. Got {numbers.shape} for {shape} and axis={axis}. "
            "Reshape them, or name the axis."
        )
    spread = numbers.reshape([shape[i] if i in along else 1 for i in range(len(shape))])
    return np.broadcast_to(spread, shape)


def _exact_average(rows: Rows, factors: Rows, call: Call) -> Any:
    x, w = rows.values, factors.values
    finite = np.isfinite(x) & np.isfinite(w)
    with np.errstate(all="ignore"):
        special = np.sum(np.where(finite, 0.0, x * w + np.where(np.isinf(w), np.nan, 0.0)), axis=1)
    x, w = np.where(finite, x, 0.0), np.where(np.isfinite(w), w, 0.0)
    settled, total = settle(lambda: estimated_average(x, w), [x, w], finite.all(axis=1), call)
    open_ = np.flatnonzero(~settled)
    products, e = dot_products(x[open_], w[open_])
    scales, _, f = integer_sums(w[open_])
    exceptions: dict[int, Pair] = {}
    for k, i in enumerate(open_.tolist()):
        n, d = int(products[k]), int(scales[k])
        if np.isnan(special[i]) or x.shape[1] == 0:
            total[i] = np.nan
        elif d == 0:
            raise OptionError("The weights of average add up to another number than 0. Got 0. Change them.")
        elif special[i]:
            total[i] = np.copysign(special[i], special[i] * d)
        elif n:
            exceptions[i] = ratio(n if d > 0 else -n, abs(d), e - f)
        else:
            signed = np.copysign(1.0, x[i : i + 1]) * w[i : i + 1]
            total[i] = zero_of_sums(signed, call.options["rounding"])[0]
    has_nan = (np.isnan(rows.values) | np.isnan(factors.values)).any(axis=1)
    return deliver(call, total, exceptions, rows, has_nan)
