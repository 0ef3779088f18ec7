"""What do the other functions of NumPy do with a FloatArray? Move elements, choose among them, or say that they cannot.

Three kinds are served: functions that rearrange elements, whatever these mean (reshape, concatenate, sort ...);
functions whose result is no number of the format (argmax, isclose, any ...); and a few that compute by operations of
the format (clip, diff, outer ...). All others raise an error that names `.values`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from floatlab.array.core import FUNCTIONS, FloatArray, array, common_format, zero_of
from floatlab.array.elementwise import is_number, multiply, of_format, subtract
from floatlab.array.exactly import compare, first_place, split
from floatlab.array.reductions import sum
from floatlab.errors import DtypeError

__all__: list[str] = []


def _register(name: str, function: Callable[..., Any]) -> None:
    FUNCTIONS[getattr(np, name)] = function


# -- which functions -----------------------------------------------------------------------------------------

# Elements stay what they are: the function works on the codes or the values, whichever are held.
_MOVING = (
    *("reshape", "ravel", "transpose", "swapaxes", "moveaxis", "rollaxis", "squeeze", "expand_dims", "copy"),
    *(
        "broadcast_to",
        "flip",
        "fliplr",
        "flipud",
        "rot90",
        "roll",
        "repeat",
        "tile",
        "resize",
        "matrix_transpose",
    ),
    *("take", "take_along_axis", "compress", "delete", "diag", "diagonal", "extract"),
    *("atleast_1d", "atleast_2d", "atleast_3d"),
)
_JOINING = ("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack")
_SPLITTING = ("split", "array_split", "hsplit", "vsplit", "dsplit")
_CHOOSING = ("sort", "unique", "partition")  # values in, some of these values out
_PLAIN = (  # the result is no number of the format
    *("argsort", "argmax", "argmin", "nanargmax", "nanargmin", "argpartition", "lexsort"),
    *("nonzero", "argwhere", "flatnonzero", "count_nonzero", "any", "all", "isneginf", "isposinf"),
    *("shape", "ndim", "size", "iscomplexobj", "isrealobj", "iscomplex", "isreal"),
    *("histogram", "histogram_bin_edges", "array2string", "array_repr", "array_str"),
)
_COMPARING = ("isclose", "allclose", "array_equal", "array_equiv", "isin", "digitize")


# -- how they are served -------------------------------------------------------------------------------------


def _moving(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        first = next(x for x in args if isinstance(x, FloatArray))
        moved = function(*(x._data if x is first else x for x in args), **kwargs)
        return first._like(np.asarray(moved))

    return stand_in


def _joining(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(arrays: Sequence[Any], *args: Any, out: Any = None, **kwargs: Any) -> FloatArray:
        _no_options(name, out=out, dtype=kwargs.pop("dtype", None), casting=kwargs.pop("casting", None))
        fmt = common_format(name, tuple(arrays))
        return FloatArray._wrap(function([of_format(name, x, fmt) for x in arrays], *args, **kwargs), fmt)

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


def _on_values(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(x: FloatArray, *args: Any, **kwargs: Any) -> Any:
        result = function(x.values, *args, **kwargs)
        if isinstance(result, tuple):
            return (FloatArray._wrap(result[0], x.format), *result[1:])
        return FloatArray._wrap(result, x.format)

    return stand_in


def _no_options(name: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise DtypeError(
                f"numpy.{name} of FloatArrays takes no {option}. Got {value!r}. Use astype for another format."
            )


def _filled(name: str, default: float | None) -> Callable[..., Any]:
    def stand_in(
        x: FloatArray, fill_value: Any = default, dtype: Any = None, shape: Any = None, **rest: Any
    ) -> Any:
        _no_options(name, dtype=dtype)
        size = x.shape if shape is None else shape
        return FloatArray._wrap(np.full(size, of_format(name, fill_value, x.format)), x.format)

    return stand_in


def _like(name: str, value: float) -> Callable[..., Any]:
    filled = _filled(name, value)

    def stand_in(
        x: FloatArray, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, **_: Any
    ) -> Any:
        return filled(x, value, dtype=dtype, shape=shape)

    return stand_in


def _where(condition: Any, *choices: Any) -> Any:
    condition = np.asarray(_values(condition), bool)
    if not choices:
        return np.nonzero(condition)
    fmt = common_format("where", choices)
    return FloatArray._wrap(np.where(condition, *(of_format("where", x, fmt) for x in choices)), fmt)


def _clip(
    x: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None
) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    result = x if isinstance(x, FloatArray) or is_number(x) else array(x, common_format("clip", (low, high)))
    if is_number(low) and is_number(high) and compare("greater", low, high):
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


def _diff(x: FloatArray, n: int = 1, axis: int = -1) -> Any:
    result: Any = x
    for _ in range(n):
        ahead, behind = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        result = subtract(result[tuple(ahead)], result[tuple(behind)])
    return result


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
    source = src if isinstance(src, FloatArray) else array(src, dst.format)
    common_format("copyto", (dst, source))
    np.copyto(dst._data, source.codes if dst._coded else source.values, where=where)


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


for _name in _MOVING:
    _register(_name, _moving(_name))
for _name in _JOINING:
    _register(_name, _joining(_name))
for _name in _SPLITTING:
    _register(_name, _splitting(_name))
for _name in _PLAIN:
    _register(_name, _plain(_name))
for _name in _COMPARING:
    _register(_name, _comparing(_name))
for _name in _CHOOSING:
    _register(_name, _on_values(_name))
for _name, _value in (("zeros_like", 0.0), ("empty_like", 0.0), ("ones_like", 1.0)):
    _register(_name, _like(_name, _value))
_register("full_like", _filled("full_like", None))
_COMPUTED: dict[str, Callable[..., Any]] = {
    "where": _where,
    "searchsorted": _searchsorted,
    "clip": _clip,
    "diff": _diff,
    "outer": _outer,
    "inner": _inner,
    "nan_to_num": _nan_to_num,
    "copyto": _copyto,
    "trace": _trace,
    "ptp": _ptp,
    "broadcast_arrays": _broadcast_arrays,
    "real": lambda x: x,
}
for _name, _function in _COMPUTED.items():
    _register(_name, _function)
