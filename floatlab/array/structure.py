"""How are FloatArrays taken apart and put together? ``pad append insert block tril put unique``.

What moves keeps its code, payloads of NaNs included, as long as one of the arrays holds codes. What is filled in is
rounded as the operands of an operation are: to nearest. A zero that a format does not have is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.array.calls import hold, of_format
from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.stand_ins import guarded
from floatlab.array.storage import common_format, zero_of
from floatlab.context import current
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.quantize import quantize

__all__: list[str] = []

# -- joining ---------------------------------------------------------------------------------------------


def _append(arr: Any, values: Any, axis: Any = None) -> FloatArray:
    (a, b), wrap = hold("append", (arr, values))
    return wrap(np.append(a, b, axis))


def _insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> FloatArray:
    (a, b), wrap = hold("insert", (arr, values))
    return wrap(np.insert(a, obj, b, axis))


def _leaves(nested: Any) -> list[Any]:
    return [leaf for part in nested for leaf in _leaves(part)] if isinstance(nested, list) else [nested]


def _block(arrays: Any) -> FloatArray:
    raw, wrap = hold("block", _leaves(arrays))
    left = iter(raw)

    def put_back(nested: Any) -> Any:
        return [put_back(part) for part in nested] if isinstance(nested, list) else next(left)

    return wrap(np.block(put_back(arrays)))


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> FloatArray:
    conditions = [x.values != 0 if isinstance(x, FloatArray) else np.asarray(x) for x in condlist]
    if not isinstance(default, FloatArray) and np.all(np.asarray(default) == 0):
        zero_of("select", common_format("select", tuple(choicelist)), "default=1.0, or another number")
    parts, wrap = hold("select", [*choicelist, default])
    return wrap(np.select(conditions, parts[:-1], parts[-1]))


def _choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> FloatArray:
    if isinstance(a, FloatArray) or out is not None:
        raise DtypeError(
            f"numpy.choose takes indices that are integers, and no out. Got a {type(a).__name__} and out={out!r}. "
            "Use .values.astype(int), or np.where."
        )
    parts, wrap = hold("choose", list(choices))
    return wrap(np.choose(a, parts, mode=mode))  # type: ignore[call-overload]


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> tuple[Any, ...]:
    grids = np.meshgrid(
        *(x._data if isinstance(x, FloatArray) else x for x in xi),
        copy=copy,
        sparse=sparse,
        indexing=indexing,
    )
    pairs = zip(xi, grids, strict=True)
    return tuple(x._like(grid) if isinstance(x, FloatArray) else grid for x, grid in pairs)


def _unstack(x: FloatArray, /, *, axis: int = 0) -> tuple[FloatArray, ...]:
    return tuple(x._like(part) for part in np.moveaxis(x._data, axis, 0))


# -- padding and zeros -----------------------------------------------------------------------------------


_MOVED = ("edge", "reflect", "symmetric", "wrap")
_CHOSEN = ("maximum", "minimum")


def _no_zero_needed(name: str, fmt: FloatFormat) -> None:
    zero_of(name, fmt, "np.where with a number of the format")


def _pad(array: FloatArray, pad_width: Any, mode: Any = "constant", **options: Any) -> FloatArray:
    if mode == "empty":
        mode, options = "constant", {}
    if mode == "constant":
        filler = options.pop("constant_values", 0)
        numbers = filler.values if isinstance(filler, FloatArray) else filler
        if np.any(np.asarray(numbers) == 0):
            zero_of("pad", array.format, "constant_values=1.0, or another number")
        rounded = quantize(numbers, array.format, overflow=current().overflow)
        made = FloatArray._wrap(rounded.astype(array.format.value_dtype), array.format)
        fill = made.codes if array._coded else made.values
        return array._like(np.pad(array._data, pad_width, mode, constant_values=fill, **options))
    if mode in _MOVED and options.get("reflect_type", "even") == "even":
        return array._like(np.pad(array._data, pad_width, mode, **options))
    if mode in _CHOSEN:
        return FloatArray._wrap(np.pad(array.values, pad_width, mode, **options), array.format)
    raise OptionError(
        f"numpy.pad of a FloatArray pads with {', '.join(('constant', 'empty', *_MOVED, *_CHOSEN))}. "
        f"Got mode={mode!r} and {options}. Compute the values, and use np.concatenate."
    )


def _triangle(name: str) -> Callable[..., Any]:
    keep = getattr(np, name)

    def stand_in(m: FloatArray, k: int = 0) -> FloatArray:
        _no_zero_needed(name, m.format)
        kept = keep(np.ones(m.shape[-2:], bool), operator.index(k))
        return m._like(np.where(kept, m._data, m._data.dtype.type(0)))

    return stand_in


def _diagflat(v: FloatArray, k: int = 0) -> FloatArray:
    _no_zero_needed("diagflat", v.format)
    return v._like(np.diagflat(v._data, k))


def _imag(val: FloatArray) -> FloatArray:
    _no_zero_needed("imag", val.format)
    return val._like(np.zeros_like(val._data))


def _trim_zeros(filt: FloatArray, trim: str = "fb", axis: Any = None) -> FloatArray:
    if filt.ndim != 1:
        raise ShapeError(
            f"numpy.trim_zeros of a FloatArray takes one dimension. Got shape {filt.shape}. Use slices."
        )
    places = np.flatnonzero(filt.values != 0)
    if not places.size:
        return filt[:0]
    first = int(places[0]) if "f" in trim.lower() else 0
    return filt[first : int(places[-1]) + 1 if "b" in trim.lower() else None]


# -- writing ---------------------------------------------------------------------------------------------


def _writing(name: str) -> Callable[..., Any]:
    """Return the stand-in of a function that writes its last array into its first one, by indices or a mask."""
    function = getattr(np, name)

    def write(target: Any, places: Any, values: Any, *rest: Any, **options: Any) -> None:
        if isinstance(places, FloatArray):
            raise DtypeError(
                f"The places of numpy.{name} are integers or booleans. Got a FloatArray of {places.format}. "
                "Use .values, or a comparison."
            )
        if isinstance(target, FloatArray):
            function(target._data, places, target._held("assignment", values), *rest, **options)
        else:
            function(target, places, values.values, *rest, **options)

    return write


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if isinstance(a, FloatArray):
        np.fill_diagonal(a._data, a._held("assignment", val), wrap)
    else:
        np.fill_diagonal(a, val.values, wrap)


# -- sets ------------------------------------------------------------------------------------------------


def _unique_parts(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(x: FloatArray) -> Any:
        found = function(x.values)
        if isinstance(found, np.ndarray):
            return FloatArray._wrap(found, x.format)
        return found._replace(values=FloatArray._wrap(found.values, x.format))

    return stand_in


def _set_operation(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(ar1: Any, ar2: Any, *args: Any, **kwargs: Any) -> Any:
        fmt = common_format(name, (ar1, ar2))
        found = function(of_format(name, ar1, fmt), of_format(name, ar2, fmt), *args, **kwargs)
        if isinstance(found, tuple):
            return (FloatArray._wrap(found[0], fmt), *found[1:])
        return FloatArray._wrap(found, fmt)

    return stand_in


# -- counts ----------------------------------------------------------------------------------------------


def _in_bins(name: str) -> Callable[..., Any]:
    """Return the stand-in of a function that counts elements: in float64, which holds the edges of bins better."""
    function = getattr(np, name)

    def stand_in(a: Any, bins: Any = 10, *args: Any, **kwargs: Any) -> Any:
        return function(
            _plain(a), _plain(bins), *map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()}
        )

    return stand_in


def _plain(x: Any) -> Any:
    return x.values.astype(np.float64) if isinstance(x, FloatArray) else x


# -- memory and places -----------------------------------------------------------------------------------


def _on_memory(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        a, b = (x._data if isinstance(x, FloatArray) else x for x in (a, b))
        return function(a, b, *args, **kwargs)

    return stand_in


def _astype(x: FloatArray, dtype: Any, /, *, copy: bool = True, device: Any = None) -> FloatArray:
    return x.astype(dtype) if copy or not get_format(dtype).same_as(x.format) else x


def _on_shape(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def stand_in(arr: Any, *args: Any, **kwargs: Any) -> Any:
        return function(arr._data, *args, **kwargs)

    return stand_in


_STRUCTURE: dict[str, Callable[..., Any]] = {
    "append": _append,
    "insert": _insert,
    "block": _block,
    "select": _select,
    "choose": _choose,
    "meshgrid": _meshgrid,
    "unstack": _unstack,
    "pad": _pad,
    "tril": _triangle("tril"),
    "triu": _triangle("triu"),
    "diagflat": _diagflat,
    "imag": _imag,
    "real_if_close": lambda a, tol=100: a,
    "trim_zeros": _trim_zeros,
    "fill_diagonal": _fill_diagonal,
    "astype": _astype,
    **{name: _writing(name) for name in ("put", "put_along_axis", "place", "putmask")},
    **{
        name: _unique_parts(name)
        for name in ("unique_values", "unique_counts", "unique_inverse", "unique_all")
    },
    **{name: _set_operation(name) for name in ("union1d", "intersect1d", "setdiff1d", "setxor1d")},
    **{name: _on_memory(name) for name in ("shares_memory", "may_share_memory")},
    **{name: _on_shape(name) for name in ("tril_indices_from", "triu_indices_from", "diag_indices_from")},
    **{name: _in_bins(name) for name in ("histogram", "histogram_bin_edges")},
}
FUNCTIONS.fill(_STRUCTURE, lambda name: guarded(name, _STRUCTURE[name]))
