"""How are FloatArrays taken apart, put together and made? ``pad append insert block tril put unique linspace``.

What moves keeps its code, payloads of NaNs included, as long as one of the arrays holds codes. What is filled in is
rounded as the operands of an operation are: to nearest. A zero that a format does not have is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import wraps
from typing import Any

import numpy as np

from floatlab.array.calls import of_format, operation
from floatlab.array.core import FloatArray, array
from floatlab.array.elementwise import subtract
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.ratios import Pair, ratio, round_once
from floatlab.array.reductions import cumprod, cumsum
from floatlab.array.storage import common_format, zero_of
from floatlab.backend import Array
from floatlab.context import current
from floatlab.errors import DtypeError, FloatlabError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.inputs import as_source
from floatlab.rounding.quantize import quantize

__all__ = ["linspace"]

_FLOAT64 = get_format("float64")


# -- codes or values -----------------------------------------------------------------------------------------


def _raw(name: str, parts: Sequence[Any]) -> tuple[list[Any], FloatArray]:
    """Return the parts as codes, if any of them holds codes, else as values; and a FloatArray of that kind."""
    fmt = common_format(name, tuple(parts))
    coded = any(isinstance(x, FloatArray) and x._coded for x in parts)
    arrays = [
        x if isinstance(x, FloatArray) else FloatArray._wrap(of_format(name, x, fmt), fmt) for x in parts
    ]
    kind = FloatArray._wrap(np.zeros(0, fmt.code_dtype if coded else fmt.value_dtype), fmt, coded)
    return [x.codes if coded else x.values for x in arrays], kind


def _assigned(target: FloatArray, x: Any) -> Array:
    """Return what is written to an array: numbers are rounded, as in an assignment."""
    if isinstance(x, FloatArray):
        common_format("assignment", (target, x))
        rounded = x
    else:
        rounded = array(x, target.format)
    return rounded.codes if target._coded else rounded.values


def _no_zero_needed(name: str, fmt: FloatFormat) -> None:
    zero_of(name, fmt, "np.where with a number of the format")


# -- joining ---------------------------------------------------------------------------------------------------


def _append(arr: Any, values: Any, axis: Any = None) -> FloatArray:
    (a, b), kind = _raw("append", (arr, values))
    return kind._like(np.append(a, b, axis))


def _insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> FloatArray:
    (a, b), kind = _raw("insert", (arr, values))
    return kind._like(np.insert(a, obj, b, axis))


def _leaves(nested: Any) -> list[Any]:
    return [leaf for part in nested for leaf in _leaves(part)] if isinstance(nested, list) else [nested]


def _block(arrays: Any) -> FloatArray:
    raw, kind = _raw("block", _leaves(arrays))
    left = iter(raw)

    def put_back(nested: Any) -> Any:
        return [put_back(part) for part in nested] if isinstance(nested, list) else next(left)

    return kind._like(np.block(put_back(arrays)))


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> FloatArray:
    conditions = [x.values != 0 if isinstance(x, FloatArray) else np.asarray(x) for x in condlist]
    if not isinstance(default, FloatArray) and np.all(np.asarray(default) == 0):
        zero_of("select", common_format("select", tuple(choicelist)), "default=1.0, or another number")
    parts, kind = _raw("select", [*choicelist, default])
    return kind._like(np.select(conditions, parts[:-1], parts[-1]))


def _choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> FloatArray:
    if isinstance(a, FloatArray) or out is not None:
        raise DtypeError(
            f"numpy.choose takes indices that are integers, and no out. Got a {type(a).__name__} and out={out!r}. "
            "Use .values.astype(int), or np.where."
        )
    parts, kind = _raw("choose", list(choices))
    return kind._like(np.choose(a, parts, mode=mode))  # type: ignore[call-overload]


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


# -- padding and zeros -------------------------------------------------------------------------------------------

_MOVED = ("edge", "reflect", "symmetric", "wrap")
_CHOSEN = ("maximum", "minimum")


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


# -- writing -------------------------------------------------------------------------------------------------------


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
            function(target._data, places, _assigned(target, values), *rest, **options)
        else:
            function(target, places, values.values, *rest, **options)

    return write


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if isinstance(a, FloatArray):
        np.fill_diagonal(a._data, _assigned(a, val), wrap)
    else:
        np.fill_diagonal(a, val.values, wrap)


# -- sets --------------------------------------------------------------------------------------------------------


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


# -- numbers in a row --------------------------------------------------------------------------------------------


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


def _ediff1d(ary: FloatArray, to_end: Any = None, to_begin: Any = None) -> FloatArray:
    flat = ary.ravel()
    steps: Any = subtract(flat[1:], flat[:-1])
    around = [to_begin, steps, to_end]
    parts, kind = _raw("ediff1d", [x for x in around if x is not None])
    return kind._like(np.concatenate([np.ravel(x) for x in parts]))


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
        parts, kind = _raw(name, [array(start, x.format), made])
        return kind._like(np.concatenate(parts, axis=at))

    return stand_in


# -- counts ------------------------------------------------------------------------------------------------------


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


# -- questions about memory and places -------------------------------------------------------------------------


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


def _guarded(name: str, stand_in: Callable[..., Any]) -> Callable[..., Any]:
    """Say which function it was whose indices, axes or shapes NumPy has refused."""

    @wraps(stand_in)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return stand_in(*args, **kwargs)
        except FloatlabError:
            raise
        except (TypeError, IndexError, ValueError, OverflowError) as error:
            kind = DtypeError if isinstance(error, TypeError) else ShapeError
            raise kind(
                f"numpy.{name} takes indices, axes and shapes that fit its arrays. Got some that do not: {error}. "
                "Use others."
            ) from None

    return guarded


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
    **{name: _writing(name) for name in ("put", "put_along_axis", "place", "putmask")},
    "fill_diagonal": _fill_diagonal,
    "linspace": _linspace,
    "ediff1d": _ediff1d,
    "cumulative_sum": _running("cumulative_sum", cumsum, 0.0),
    "cumulative_prod": _running("cumulative_prod", cumprod, 1.0),
    "astype": _astype,
}
for _name, _function in _STRUCTURE.items():
    if hasattr(np, _name):  # some came with NumPy 2.1
        FUNCTIONS[getattr(np, _name)] = _guarded(_name, _function)
for _name in ("unique_values", "unique_counts", "unique_inverse", "unique_all"):
    FUNCTIONS[getattr(np, _name)] = _guarded(_name, _unique_parts(_name))
for _name in ("union1d", "intersect1d", "setdiff1d", "setxor1d"):
    FUNCTIONS[getattr(np, _name)] = _guarded(_name, _set_operation(_name))
for _name in ("shares_memory", "may_share_memory"):
    FUNCTIONS[getattr(np, _name)] = _guarded(_name, _on_memory(_name))
for _name in ("tril_indices_from", "triu_indices_from", "diag_indices_from"):
    FUNCTIONS[getattr(np, _name)] = _guarded(_name, _on_shape(_name))
for _name in ("histogram", "histogram_bin_edges"):
    FUNCTIONS[getattr(np, _name)] = _guarded(_name, _in_bins(_name))
