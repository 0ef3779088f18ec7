"""What do the other functions of NumPy do with a FloatArray? Move elements, choose among them, or say that they cannot.

Three kinds are served: functions that rearrange elements, whatever these mean (reshape, concatenate, sort ...);
functions whose result is no number of the format (argmax, isclose, any ...); and a few that compute by operations of
the format (clip, outer, trace ...). All others raise an error that names `.values`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from floatlab.array.calls import as_python, hold, is_number
from floatlab.array.core import FloatArray, array
from floatlab.array.elementwise import multiply, subtract
from floatlab.array.exactly import first_place, split
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.reductions import sum
from floatlab.array.storage import common_format, zero_of
from floatlab.errors import DtypeError

__all__: list[str] = []


# -- which functions -----------------------------------------------------------------------------------------

# Elements stay what they are: the function works on the codes or the values, whichever are held.
_MOVING = (
    *("reshape", "ravel", "transpose", "swapaxes", "moveaxis", "rollaxis", "squeeze", "expand_dims", "copy"),
    *("broadcast_to", "flip", "fliplr", "flipud", "rot90", "roll", "repeat", "tile"),
    *("matrix_transpose", "take", "take_along_axis", "delete", "diagonal"),
)
_MOVING_SECOND = ("compress", "extract")  # after a condition
_AT_LEAST = ("atleast_1d", "atleast_2d", "atleast_3d")
_JOINING = ("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack")
_SPLITTING = ("split", "array_split", "hsplit", "vsplit", "dsplit")
_PLAIN = (  # the result is no number of the format
    *("argsort", "argmax", "argmin", "nanargmax", "nanargmin", "argpartition", "lexsort"),
    *("nonzero", "argwhere", "flatnonzero", "count_nonzero", "any", "all", "isneginf", "isposinf"),
    *("shape", "ndim", "size", "iscomplexobj", "isrealobj", "iscomplex", "isreal"),
    *("array2string", "array_repr", "array_str"),
)
_COMPARING = ("isclose", "allclose", "array_equal", "array_equiv", "isin", "digitize")


# -- how they are served -------------------------------------------------------------------------------------


def _moving(name: str, place: int = 0) -> Callable[..., Any]:
    """Return a stand-in for a function that moves the elements of the argument at a place."""
    function = getattr(np, name)

    def stand_in(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        x = args[place]
        if out is not None:
            common_format(name, (x, out))
        others = [_values(arg) for arg in args]
        if not isinstance(x, FloatArray):
            return function(*others, **kwargs)
        moved = x._like(np.asarray(function(*others[:place], x._data, *others[place + 1 :], **kwargs)))
        if out is None:
            return moved
        out[...] = moved
        return out

    return stand_in


def _at_least(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(*arrays: Any) -> Any:
        made = tuple(x._like(function(x._data)) if isinstance(x, FloatArray) else function(x) for x in arrays)
        return made[0] if len(made) == 1 else made

    return stand_in


def _joining(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(arrays: Sequence[Any], *args: Any, out: Any = None, **kwargs: Any) -> FloatArray:
        _no_options(name, out=out, dtype=kwargs.pop("dtype", None), casting=kwargs.pop("casting", None))
        held, wrap = hold(name, list(arrays))
        return wrap(function(held, *args, **kwargs))

    return stand_in


def _splitting(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(x: FloatArray, *args: Any, **kwargs: Any) -> list[FloatArray]:
        return [x._like(part) for part in function(x._data, *args, **kwargs)]

    return stand_in


def _plain(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_values, args), **{k: _values(v) for k, v in kwargs.items()})

    return stand_in


def _comparing(name: str) -> Callable[..., Any]:
    """Return a stand-in for a function that compares its first two arguments: as float64, which holds them exactly."""
    function = getattr(np, name)

    def stand_in(first: Any, second: Any, *args: Any, **kwargs: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return function(_float64(name, first), _float64(name, second), *args, **kwargs)

    return stand_in


def _float64(name: str, x: Any) -> Any:
    values, rest = split(x, strangers=name in ("array_equal", "array_equiv", "isin"))
    if rest is not None:
        raise DtypeError(
            f"numpy.{name} compares float64 numbers. Got some that are none, such as integers beyond 2**53. "
            "Use the operators, == or <, which take them exactly."
        )
    return values


def _searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    return first_place(a, v, side, sorter)


def _values(x: Any) -> Any:
    if isinstance(x, FloatArray):
        return x.values
    return type(x)(map(_values, x)) if isinstance(x, list | tuple) else x


def _sort(
    x: FloatArray, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> FloatArray:
    _no_options("sort", order=order)
    options = {"kind": kind} if stable is None else {"stable": stable}
    return _in_order_of(np.sort, np.argsort, x, axis, options)


def _partition(
    x: FloatArray, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None
) -> FloatArray:
    _no_options("partition", order=order)
    return _in_order_of(np.partition, np.argpartition, x, axis, {"kth": kth, "kind": kind})


def _in_order_of(
    function: Any, places_of: Any, x: FloatArray, axis: Any, options: dict[str, Any]
) -> FloatArray:
    """Put elements in order; NaNs, which are last, keep their codes."""
    if axis is None:
        x, axis = x.ravel(), -1
    if not x._coded or not np.isnan(x.values).any():
        return FloatArray._wrap(function(x.values, axis=axis, **options), x.format)
    return x._like(np.take_along_axis(x._data, places_of(x.values, axis=axis, **options), axis))


def _unique(
    x: FloatArray,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    **kwargs: Any,
) -> Any:
    unique: Any = np.unique
    found, places, *rest = unique(x.values, True, return_inverse, return_counts, axis, **kwargs)
    if x._coded:
        kept = x.ravel()[places] if axis is None else np.take(x, places, axis)
    else:
        kept = FloatArray._wrap(found, x.format)
    results = (kept, *([places] if return_index else []), *rest)
    return results if len(results) > 1 else kept


_NO_FILL = "np.where, with a value to fill in"


def _diag(x: FloatArray, k: int = 0) -> FloatArray:
    if x.ndim == 1 and (x.size > 1 or k):
        zero_of("diag", x.format, _NO_FILL)
    return x._like(np.diag(x._data, k))


def _resize(x: FloatArray, shape: Any) -> FloatArray:
    if x.size == 0 and np.prod(shape):
        zero_of("resize", x.format, "np.full_like(x, value, shape=shape)")
    return x._like(np.resize(x._data, shape))


def _no_options(name: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise DtypeError(
                f"numpy.{name} of FloatArrays takes no {option}. Got {value!r}. Use astype for another format."
            )


def _filled(
    x: FloatArray,
    value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: Any = True,
    shape: Any = None,
    **_: Any,
) -> FloatArray:
    _no_options("full_like", dtype=dtype)
    (held,), wrap = hold("full_like", (value,), common_format("full_like", (x, value)))
    return wrap(np.full(x.shape if shape is None else shape, held))


def _like(name: str, value: float) -> Callable[..., Any]:
    def stand_in(x: FloatArray, *args: Any, **kwargs: Any) -> FloatArray:
        fill = value
        if value == 0 and name != "empty_like":
            fill = zero_of(name, x.format, "np.full_like(x, value)")
        elif value == 0:  # anything will do
            fill = x.format.magnitude(0)
        return _filled(x, fill, *args, **kwargs)

    return stand_in


def _where(condition: Any, *choices: Any) -> Any:
    condition = np.asarray(_values(condition), bool)
    if not choices:
        return np.nonzero(condition)
    held, wrap = hold("where", choices)
    return wrap(np.where(condition, *held))


def _clip(
    x: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None
) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    result = x if isinstance(x, FloatArray) or is_number(x) else array(x, common_format("clip", (low, high)))
    if is_number(low) and is_number(high) and as_python(low) > as_python(high):
        low = high  # bounds that cross: the upper one wins
    if is_number(x) and high is not None:  # it is not rounded unless it wins against both
        result = np.minimum(result, high)
    if low is not None:
        result = np.maximum(result, low)
    if high is not None:
        result = np.minimum(result, high)
    result = result.copy() if result is x else result
    if out is None:
        return result
    out[...] = result
    return out


def _outer(a: Any, b: Any, out: Any = None) -> Any:
    _no_options("outer", out=out)
    x, y = (x if is_number(x) else x.ravel() for x in (a, b))
    return multiply(x if is_number(x) else x.reshape(-1, 1), y)


def _inner(a: Any, b: Any) -> Any:
    if is_number(a) or is_number(b) or a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return np.matmul(a, np.moveaxis(b, -1, -2) if b.ndim > 1 else b)


def _nan_to_num(
    x: FloatArray, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    values, fmt = x.values, x.format
    nans = np.isnan(values)
    if nan == 0 and nans.any():
        zero_of("nan_to_num", fmt, "nan=1.0, or another number")
    result = x.copy() if copy else x
    result[nans] = array(nan, fmt, rounding="nearest_even")
    result[values == np.inf] = array(fmt.max if posinf is None else posinf, fmt, rounding="nearest_even")
    result[values == -np.inf] = array(fmt.lowest if neginf is None else neginf, fmt, rounding="nearest_even")
    return result


def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    if not isinstance(dst, FloatArray):
        np.copyto(dst, _values(src), casting=casting, where=where)  # type: ignore[arg-type]
        return
    np.copyto(dst._data, dst._held("copyto", src), where=where)


def _trace(
    x: FloatArray, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    _no_options("trace", dtype=dtype, out=out)
    return sum(np.diagonal(x, offset, axis1, axis2), axis=-1)


def _ptp(x: FloatArray, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    _no_options("ptp", out=out)
    return subtract(
        np.max(x, axis=axis, keepdims=bool(keepdims)), np.min(x, axis=axis, keepdims=bool(keepdims))
    )


def _broadcast_arrays(*arrays: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*(np.shape(x) for x in arrays))
    return tuple(np.broadcast_to(x, shape) for x in arrays)


for _names, _make in (
    (_MOVING, _moving),
    (_MOVING_SECOND, partial(_moving, place=1)),
    (_AT_LEAST, _at_least),
    (_JOINING, _joining),
    (_SPLITTING, _splitting),
    (_PLAIN, _plain),
    (_COMPARING, _comparing),
):
    FUNCTIONS.fill(_names, _make)
_COMPUTED: dict[str, Callable[..., Any]] = {
    "zeros_like": _like("zeros_like", 0.0),
    "empty_like": _like("empty_like", 0.0),
    "ones_like": _like("ones_like", 1.0),
    "full_like": _filled,
    "where": _where,
    "sort": _sort,
    "partition": _partition,
    "unique": _unique,
    "diag": _diag,
    "resize": _resize,
    "searchsorted": _searchsorted,
    "clip": _clip,
    "outer": _outer,
    "inner": _inner,
    "nan_to_num": _nan_to_num,
    "copyto": _copyto,
    "trace": _trace,
    "ptp": _ptp,
    "broadcast_arrays": _broadcast_arrays,
    "real": lambda x: x,
}
FUNCTIONS.fill(_COMPUTED, _COMPUTED.__getitem__)
