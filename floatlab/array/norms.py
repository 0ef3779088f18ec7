"""What is the norm of a vector, or of a matrix? The root of an exact sum of squares, a sum, or an extremum."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import Call, data_of, reduction, resolve
from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.ratios import Pair, root
from floatlab.array.reductions import sum
from floatlab.array.stand_ins import with_values
from floatlab.array.statistics.estimates import interval_around, interval_of_roots, settle, unit_bound
from floatlab.array.statistics.exact_sums import moments
from floatlab.array.statistics.rows import deliver, is_exact, of_operation, rows_of
from floatlab.backend import Array
from floatlab.errors import OptionError, ShapeError
from floatlab.operations.operate import operate
from floatlab.sums import matmul as accumulate
from floatlab.sums.operands import axes_of
from floatlab.sums.signatures import ReductionOptions

__all__ = ["norm"]


def norm(
    x: Any,
    fmt: Any = None,
    *,
    ord: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    **options: Unpack[ReductionOptions],
) -> Any:
    """Return a norm of vectors or matrices.

    Parameters
    ----------
    x : FloatArray or array_like
        A FloatArray gives a FloatArray; plain numbers need `fmt` and give plain values.
    fmt : str, FloatFormat or dtype, optional
        The format of the result; by default that of `x`.
    ord : {None, 2, 1, inf, -inf, 0, "fro"}
        None and 2, and "fro" of matrices: the root of the exact sum of squares, rounded once. 1: the sum of the
        magnitudes, inf and -inf the largest and the smallest of them, 0 the number of elements other than zero. Of
        matrices, 1 and inf are those of columns and rows, and 2 is not had here.
    axis : int or pair of int, optional
        One for vectors, two for matrices. By default all elements together if `ord` is None, else those that `x` has.
    keepdims, **options
        As in `floatlab.var`. With an accumulator that has an order, every square and partial sum is rounded.

    Raises
    ------
    OptionError
        For any other norm.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.norm(fl.array([300.0, 400.0], "fp16"))  # the squares would overflow
    FloatArray(500., format=float16)
    """
    axes = _axes_of_norm(data_of(x).shape, ord, axis)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return _euclidean(x, fmt, axes, keepdims, options)
    if len(axes) == 1 and ord in (1, 0, np.inf, -np.inf):
        return _norm_of_vectors(x, fmt, ord, axes[0], keepdims, options)
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        return _norm_of_matrices(x, fmt, ord, axes, keepdims, options)
    known = "None, 2, 1, 0, inf and -inf" if len(axes) == 1 else 'None, "fro", 1, -1, inf and -inf'
    raise OptionError(
        f"A norm of {'vectors' if len(axes) == 1 else 'matrices'} is one of: {known}. Got ord={ord!r}. "
        f"Use numpy.linalg.norm(x.values, {ord!r}) for plain numbers."
    )


def _axes_of_norm(shape: tuple[int, ...], ord: Any, axis: Any) -> tuple[int, ...]:
    if not (ord is None or isinstance(ord, str | int | float | np.integer | np.floating)):
        raise OptionError(f'A norm is named by a number, "fro" or None. Got ord={ord!r}. Use 2.')
    axes = axes_of(axis, shape)
    if len(axes) == 2 and axis is not None and axis[0] % len(shape) > axis[1] % len(shape):
        axes = axes[::-1]
    if len(axes) not in (1, 2) and ord is not None:
        raise ShapeError(
            f"A norm is one of vectors or of matrices. Got shape {shape} and axis={axis!r}. Name one or two axes."
        )
    return axes


def _euclidean(x: Any, fmt: Any, axes: tuple[int, ...], keepdims: bool, options: Any) -> Any:
    call = reduction("norm", (x,), fmt, options, "ord")
    rows = rows_of(call.values[0], axes, keepdims)
    if not is_exact(call):
        return call.finish(_composed_root(rows.values, call).reshape(rows.shape))
    numbers = np.where(np.isfinite(rows.values), rows.values, 0.0)

    def interval() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        total = (numbers * numbers).sum(axis=1)
        return interval_of_roots(*interval_around(total, total * unit_bound(numbers.shape[1])))

    settled, estimate = settle(interval, [numbers], np.isfinite(rows.values).all(axis=1), call)
    sums = moments(rows.values, False, ~settled)
    special = np.where(np.isnan(rows.values).any(axis=1), np.nan, np.abs(sums.special))
    special = np.where(np.isnan(special) & ~sums.has_nan, np.inf, special)  # inf and -inf, but no NaN
    total = np.where(settled, estimate, special)
    exceptions: dict[int, Pair] = {}
    for i in np.flatnonzero((special == 0) & ~settled).tolist():
        if sums.squares[i]:
            exceptions[i] = root(int(sums.squares[i]), 1, 2 * sums.exponent)
    return deliver(call, total, exceptions, rows, sums.has_nan)


def _composed_root(rows: Array, call: Call) -> Array:
    """Return the root of the sum of squares of each row, as a program in the format computes it."""
    kept = of_operation(call.options)
    squares = operate("multiply", (rows, rows), call.fmt, **kept)
    total = accumulate.sum(squares, call.fmt, axis=1, **call.options)
    found: Array = operate("sqrt", (total,), call.fmt, **kept)
    return found


def _norm_of_vectors(x: Any, fmt: Any, ord: float, axis: int, keepdims: bool, options: Any) -> Any:
    target, (values,), _, wrap = resolve("norm", (x,), fmt)
    sizes = np.abs(data_of(values))
    if ord == 0:
        sizes = np.sum(sizes != 0, axis=axis, keepdims=True)
    elif ord != 1:
        sizes = _chosen(sizes, ord, axis)
    return _wrapped(sum(sizes, target, axis=axis, keepdims=keepdims, **options), target, wrap)


def _norm_of_matrices(
    x: Any, fmt: Any, ord: float, axes: tuple[int, ...], keepdims: bool, options: Any
) -> Any:
    """Return the largest (the smallest) of the sums; rounding keeps their order, so it may come first."""
    target, (values,), _, wrap = resolve("norm", (x,), fmt)
    if options.get("return_flags"):
        raise OptionError(
            f"A norm of matrices that is the largest of sums has no flags. Got ord={ord!r}. Leave return_flags out."
        )
    ndim = np.ndim(values)
    rows, columns = (i % ndim for i in axes)
    summed, chosen = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = sum(np.abs(data_of(values)), target, axis=summed, keepdims=True, **options)
    result = _chosen(sums, ord, chosen)
    return _wrapped(result if keepdims else result.squeeze((rows, columns)), target, wrap)


def _chosen(x: Array, ord: float, axis: int) -> Array:
    if x.shape[axis] == 0:
        raise ShapeError(
            f"No element is the largest of none. Got shape {x.shape} and ord={ord!r}. Use ord=2."
        )
    found: Array = (np.max if ord > 0 else np.min)(x, axis=axis, keepdims=True)
    return found


def _wrapped(made: Any, fmt: Any, wrap: bool) -> Any:
    return with_values(made, lambda values: FloatArray._wrap(np.asarray(values), fmt)) if wrap else made


# -- NumPy's names -------------------------------------------------------------------------------------------------


def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Return a norm of vectors: of all elements without an axis, or of several axes taken as one."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if ord in (None, 2):
        return norm(x, axis=axes, keepdims=keepdims)
    axes = tuple(i % max(x.ndim, 1) for i in axes)
    rest = [i for i in range(x.ndim) if i not in axes]
    count = math.prod(x.shape[i] for i in axes)
    shape = (*(x.shape[i] for i in rest), count)
    made = norm(x.transpose([*rest, *axes]).reshape(shape), ord=ord, axis=-1)
    return made.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else made


FUNCTIONS[np.linalg.norm] = lambda x, ord=None, axis=None, keepdims=False: norm(
    x, ord=ord, axis=axis, keepdims=keepdims
)
FUNCTIONS[np.linalg.vector_norm] = _vector_norm
FUNCTIONS[np.linalg.matrix_norm] = lambda x, /, *, keepdims=False, ord="fro": norm(
    x, ord=ord, axis=(-2, -1), keepdims=keepdims
)
