"""What are numbers in a row? ``linspace``, differences of neighbours, and running sums."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.array.calls import hold, operation
from floatlab.array.core import FloatArray, array
from floatlab.array.elementwise import subtract
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.ratios import Pair, ratio, round_once
from floatlab.array.reductions import cumprod, cumsum
from floatlab.array.stand_ins import guarded
from floatlab.backend import Array
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import get_format
from floatlab.rounding.inputs import as_source

__all__ = ["linspace"]

_FLOAT64 = get_format("float64")


def linspace(
    start: Any, stop: Any, num: int = 50, fmt: Any = None, *, endpoint: bool = True, axis: int = 0
) -> Any:
    """Return numbers at equal distances: each the exact one, rounded once.

    Parameters
    ----------
    start, stop : FloatArray, number or array_like
        Taken exactly where `fmt` is named; else FloatArrays of one format, and numbers, which are rounded to it first.
    num : int
        How many numbers.
    fmt : str, FloatFormat or dtype, optional
        The format of the result.
    endpoint : bool
        Whether `stop` is the last of them.
    axis : int
        Where the new dimension is put.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.linspace(0, 1, 4, "fp16").tolist()
    [0.0, 0.333251953125, 0.66650390625, 1.0]
    """
    call = operation("linspace", (start, stop), fmt, {})
    if isinstance(num, bool) or not isinstance(num, int | np.integer) or num < 0:
        raise OptionError(f"num is a whole number of values. Got {num!r}. Use 50.")
    first, last = np.broadcast_arrays(*(as_source(x, _FLOAT64).astype(np.float64) for x in call.values))
    parts = max(int(num) - 1 if endpoint else int(num), 1)
    total = np.zeros((int(num), *first.shape))
    exceptions: dict[int, Pair] = {}
    for place in np.ndindex(*first.shape):
        _fill(total, place, float(first[place]), float(last[place]), parts, exceptions)
    values, flags = round_once(total, call.fmt, call.options, call.wanted, exceptions)
    return call.finish(np.moveaxis(values, 0, axis), flags)


def _fill(
    total: Array, place: tuple[int, ...], first: float, last: float, parts: int, exceptions: dict[int, Pair]
) -> None:
    """Put the numbers from first to last into total[:, place]; those between as exact pairs."""
    for i in range(len(total)):
        at = (i, *place)
        if i == 0 or i == parts:
            total[at] = first if i == 0 else last
        elif not (np.isfinite(first) and np.isfinite(last)):
            with np.errstate(all="ignore"):
                total[at] = first + last
        else:
            exact = Fraction(first) + (Fraction(last) - Fraction(first)) * Fraction(i, parts)
            if exact:
                flat = int(np.ravel_multi_index(at, total.shape))
                exceptions[flat] = ratio(exact.numerator, exact.denominator)


def _linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    if dtype is not None:
        raise DtypeError(
            f"numpy.linspace of FloatArrays takes no dtype. Got {dtype!r}. Use fl.linspace with a format."
        )
    made = linspace(start, stop, num, endpoint=endpoint, axis=axis)
    if not retstep:
        return made
    parts = num - 1 if endpoint else num
    return made, subtract(stop, start) / parts if parts > 0 else np.nan


# -- differences and running sums ------------------------------------------------------------------------


def _diff(x: FloatArray, n: int = 1, axis: int = -1) -> Any:
    result: Any = x
    for _ in range(n):
        ahead, behind = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        result = subtract(result[tuple(ahead)], result[tuple(behind)])
    return result


def _ediff1d(ary: FloatArray, to_end: Any = None, to_begin: Any = None) -> FloatArray:
    flat = ary.ravel()
    steps: Any = subtract(flat[1:], flat[:-1])
    around = [to_begin, steps, to_end]
    parts, wrap = hold("ediff1d", [x for x in around if x is not None])
    return wrap(np.concatenate([np.ravel(x) for x in parts]))


def _running(name: str, function: Callable[..., Any], first: float) -> Callable[..., Any]:
    def stand_in(
        x: FloatArray,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        if dtype is not None or out is not None:
            raise DtypeError(
                f"numpy.{name} of a FloatArray takes no dtype and no out. Got {dtype!r} and {out!r}. Leave them out."
            )
        if axis is None and x.ndim != 1:
            raise ShapeError(
                f"numpy.{name} needs an axis for more than one dimension. Got shape {x.shape}. Name it."
            )
        at = 0 if axis is None else axis
        made = function(x, axis=at)
        if not include_initial:
            return made
        start = np.full_like(np.take(made.values, [0], at) if made.shape[at] else np.empty(0), first)
        parts, wrap = hold(name, [array(start, x.format), made])
        return wrap(np.concatenate(parts, axis=at))

    return stand_in


_SEQUENCES: dict[str, Callable[..., Any]] = {
    "linspace": _linspace,
    "ediff1d": _ediff1d,
    "cumulative_sum": _running("cumulative_sum", cumsum, 0.0),  # which came with NumPy 2.1, as the next one
    "cumulative_prod": _running("cumulative_prod", cumprod, 1.0),
}
FUNCTIONS.fill(_SEQUENCES, lambda name: guarded(name, _SEQUENCES[name]))
FUNCTIONS[np.diff] = _diff
