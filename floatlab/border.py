"""Which arrays does a public function hand back? Those of the library whose arrays it was given.

A tensor of PyTorch's in, a tensor of PyTorch's out; likewise JAX's arrays, Series, DataFrames, DataArrays and dask's.
NumPy's arrays, lists and numbers beside them follow. floatlab's own tensors go to the graph, and a FloatArray among the
operands makes a FloatArray of the result, whatever else there is.

A block format, or an array of blocks or of integers, sends a call to the room `block_formats`, which is loaded then.

Only what users call is wrapped so: `open_to_all`. Everything inside floatlab computes with NumPy's arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from importlib import import_module
from typing import Any, TypeVar, cast

import numpy as np

from floatlab.array import elementwise, integral, pairs
from floatlab.array.core import FloatArray
from floatlab.backend import Array
from floatlab.codes.encode import encode_values
from floatlab.context import current
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.interchange.guests import OWN, is_guest, library_of, taken
from floatlab.interchange.labelled import Labelled
from floatlab.interchange.lazy import common_shape, map_blocks, of_places
from floatlab.interchange.library import Library
from floatlab.interchange.pytorch import opaque
from floatlab.rounding.flags import is_tracking
from floatlab.rounding.modes import MODES, draws
from floatlab.rounding.numbers import NARROW_FLOATS
from floatlab.rounding.random_integers import counted

__all__ = ["open_to_all"]

F = TypeVar("F", bound=Callable[..., Any])

_AT_HOME = OWN | {FloatArray, FloatFormat}

#: Functions that take a block format, and what they are there.
_OF_BLOCKS: dict[str, Callable[[], Callable[..., Any]]] = {
    "array": lambda: import_module("floatlab.block_formats.quantize").encode_blocks,
    "encode": lambda: import_module("floatlab.block_formats.quantize").encode_blocks,
    "get_format": lambda: import_module("floatlab.block_formats.catalogue").block_format,
    "quantize": lambda: import_module("floatlab.block_formats.quantize").quantize_blocks,
}
#: How the texts begin that name one, or are meant to; "int4:32" spells one out.
_BEGINNINGS = ("mx", "nvfp", "fp8_1", "fp8-1")

#: Functions of single elements, whose results have the place, and the labels, of their operands: with the options of
#: the context, and without.
_IN_CONTEXT = frozenset({*elementwise.__all__, *integral.__all__, *pairs.__all__})
_ELEMENTWISE = _IN_CONTEXT | {"decode", "encode", "next_down", "next_up", "quantize", "spacing", "ulp"}


def open_to_all(function: F, tracked: F | None = None) -> F:
    """Return a function of arrays that takes those of other libraries, and hands such back.

    `tracked` is the form of the function that is called where somebody tracks flags, if that is another one.
    """
    at_home, tracked = _AT_HOME, tracked or function
    if function.__name__ in _OF_BLOCKS:
        at_home = at_home - {str}

    @wraps(function)
    def call(*operands: Any, **options: Any) -> Any:
        for x in operands:  # the two loops stand before every call of a user's: nothing is built for them
            if type(x) not in at_home and _is_visitor(x):
                return welcome(operands, options)
        if options:
            for x in options.values():
                if type(x) not in at_home and _is_visitor(x):
                    return welcome(operands, options)
        return tracked(*operands, **options) if is_tracking() else function(*operands, **options)

    def welcome(operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
        form = tracked if is_tracking() else function
        return opaque(_visit)(call, form, operands, options)

    call.__module__ = "floatlab"  # where pickle finds it
    return cast(F, call)


def _is_visitor(x: object) -> bool:
    """Whether this is one of floatlab's tensors, an array of another library's, or a matter of blocks."""
    if type(x) is str:
        return names_blocks(x)
    kind: type = type(x)
    return _visits(kind)


@lru_cache(maxsize=256)
def _visits(kind: type) -> bool:
    marks = ("gradient_format", "answer_floatlab", "block_size")
    return any(hasattr(kind, mark) for mark in marks) or is_guest(kind)


def names_blocks(fmt: object) -> bool:
    """Whether this is a block format, or a text that names one.

    >>> names_blocks("mxfp4"), names_blocks("e4m3")
    (True, False)
    """
    if not isinstance(fmt, str):
        return hasattr(fmt, "block_size")
    if "=" in fmt:  # a format of single numbers with a name of its own
        return False
    return ":" in fmt or fmt.strip().lower().startswith(_BEGINNINGS)


def with_blocks(function: F) -> F:
    """Return a function of formats that takes block formats as well: `floatlab.array` and `floatlab.get_format`.

    >>> with_blocks(get_format)("mxfp4").block
    (32,)
    """
    of_blocks = _OF_BLOCKS[function.__name__]

    @wraps(function)
    def call(*operands: Any, **options: Any) -> Any:
        fmt = operands[-1] if operands else options.get("fmt")
        if (type(fmt) is str or hasattr(fmt, "block_size")) and names_blocks(fmt):
            return of_blocks()(*operands, **options)
        return function(*operands, **options)

    call.__module__ = "floatlab"
    return cast(F, call)


def _visit(
    again: Callable[..., Any],
    function: Callable[..., Any],
    operands: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    """Call a function with guests among its arguments; `again` is the function as users call it."""
    name, everything = function.__name__, (*operands, *options.values())
    for x in everything:
        if hasattr(x, "answer_floatlab"):  # numbers that share scales, which no other room knows
            return x.answer_floatlab(name, operands, options)
    in_blocks = name in _OF_BLOCKS and any(map(names_blocks, (*operands[1:], options.get("fmt"))))
    if in_blocks and any(hasattr(x, "gradient_format") for x in everything):
        raise DtypeError(
            f"Blocks are made of arrays. Got a tensor for {name}. "
            "Use x.detach().numpy(), or train on blocks with floatlab.amp.block_autocast."
        )
    if any(hasattr(x, "gradient_format") for x in operands or options.values()):
        return import_module("floatlab.autograd.functions").on_tensors(name, operands, options)
    if in_blocks:
        return _in_blocks(_OF_BLOCKS[name](), operands, options)
    guests = [x for x in everything if library_of(x) is not None]
    host = _host(name, guests)
    if host is None:  # only what may lie on a device, which is refused, or taken in by NumPy
        return function(*operands, **options)
    if isinstance(host, Labelled):
        return _with_labels(again, host, guests, operands, options)
    if host.lazy and name in _ELEMENTWISE:
        return map_blocks(again, operands, _settled(name, operands, options))
    arrays = [_plain(x) for x in operands]
    settings = {key: x if key == "out" else _plain(x) for key, x in options.items()}
    if options.get("out") is not None:
        return _into(function, arrays, settings)
    result = function(*arrays, **settings)
    if name == "quantize":
        result = _changed(result, lambda values: _as_narrow(values, *_source_and_format(arrays, settings)))
    return _changed(result, lambda values: host.give(values, guests[0]))


def _in_blocks(function: Callable[..., Any], operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call a function with a block format; an array of another library goes back there, what is lazy is computed."""
    if is_tracking():
        raise OptionError(
            "Flags are those of single numbers. Got track_flags around a block format. "
            "Quantize outside of it, or to the format of the elements."
        )
    guests = [x for x in (*operands, *options.values()) if library_of(x) is not None]
    host = _host(function.__name__, guests)
    settings = {key: _plain(x) for key, x in options.items()}
    result = function(*map(_plain, operands), **settings)
    return result if host is None else _changed(result, lambda values: host.give(values, guests[0]))


def _plain(x: object) -> Any:
    """Return what one guest brings; lists are looked into by the function itself."""
    return x if library_of(x) is None else taken(x)


def _host(name: str, guests: list[Any]) -> Library | None:
    """Return the one library of all guests."""
    libraries = {library_of(x): None for x in guests}  # in their order
    if len(libraries) > 1:
        names = " and ".join(library.name for library in libraries if library is not None)
        raise DtypeError(
            f"One call of {name} takes arrays of one library, and NumPy's beside them. Got those of {names}. "
            "Convert one of them, or both to NumPy's."
        )
    return next(iter(libraries), None)


def _changed(result: Any, change: Callable[[Array], Any]) -> Any:
    """Return a result with its values changed; flags, and a FloatArray, stay what they are."""
    if isinstance(result, tuple):
        return (_changed(result[0], change), *result[1:])
    return change(np.asarray(result)) if isinstance(result, np.ndarray | np.generic) else result


# -- labels ------------------------------------------------------------------------------------------------------


def _with_labels(
    again: Callable[..., Any],
    host: Labelled,
    guests: list[Any],
    operands: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    """Call a function with the values of labelled arrays; what has the same elements gets the labels back."""
    name, like = again.__name__, guests[0]
    for other in guests[1:]:
        if name in _ELEMENTWISE and not host.same_labels(like, other):
            raise ShapeError(
                f"The operands of {name} have the same labels in the same order: they are not aligned here. "
                f"Got two of {host.name} that differ. Align them first: a.align(b), or xarray.align and broadcast."
            )
    out = options.get("out")
    if library_of(out) is host:
        host.take_out(out)  # which is refused

    def plain(x: Any) -> Any:
        return host.take(x, "rounded") if library_of(x) is host else x

    result = again(*map(plain, operands), **{key: plain(x) for key, x in options.items()})
    values = result[0] if isinstance(result, tuple) else result
    if name not in _ELEMENTWISE or values is out or getattr(values, "shape", None) != like.shape:
        return result
    if isinstance(values, FloatArray) and host.name == "pandas":  # which would keep no more than its values
        return result
    labelled = host.give(values, like)
    return (labelled, *result[1:]) if isinstance(result, tuple) else labelled


# -- what is computed later --------------------------------------------------------------------------------------


def _settled(name: str, operands: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a call that is computed later, elsewhere: those of the context among them."""
    if is_tracking():
        raise OptionError(
            "The flags of a dask array are raised when it is computed. Got track_flags around one. "
            "Compute it first, with x.compute()."
        )
    if any(isinstance(x, FloatArray) for x in operands):
        raise DtypeError(
            f"{name} of a dask array is computed in blocks. Got a FloatArray beside it. Use its .values, and name the "
            "format of the result."
        )
    given = current().for_operations | options if name in _IN_CONTEXT else dict(options)
    rng, rounding = given.pop("rng", None), given.get("rounding", "nearest_even")
    if name in _IN_CONTEXT:
        given["rng"] = None  # also where the context of the computation has one
    if rounding not in MODES or not draws(rounding) or given.get("random_integers") is not None:
        return given  # nothing is drawn
    shape, chunks = common_shape(name, operands)
    integers = counted(rng, given.get("random_bits"), shape)
    given["random_bits"] = integers.bits
    given["random_integers"] = of_places(integers, chunks, integers.dtype)
    return given


# -- results of a narrow type, and in memory that is there -------------------------------------------------------


def _source_and_format(arrays: list[Any], settings: dict[str, Any]) -> tuple[Any, FloatFormat]:
    """Return the first two arguments of `quantize`, wherever they stand."""
    given = [*arrays, *(settings[key] for key in ("x", "fmt") if key in settings)]
    return given[0], get_format(given[1])


def _as_narrow(values: Array, source: Any, fmt: FloatFormat) -> Array:
    """Return values in the type of the source, if that is bfloat16 or shorter, and holds every value of the format."""
    dtype = getattr(source, "dtype", None)
    if dtype not in NARROW_FLOATS or not _holds(get_format(dtype), fmt):
        return values
    return _narrowed(values, get_format(dtype))


def _narrowed(values: Array, own: FloatFormat) -> Array:
    """Return values of a format as an array of its ml_dtypes type."""
    wide = values.astype(own.value_dtype, copy=False)
    assert own.dtype is not None
    return encode_values(wide, own).reshape(values.shape).view(own.dtype)


def _holds(own: FloatFormat, fmt: FloatFormat) -> bool:
    """Whether every value of `fmt` is one of `own`, infinities, NaNs and signed zeros among them."""
    wide_enough = own.mantissa_bits >= fmt.mantissa_bits and own.etiny <= fmt.etiny
    reaches = own.max >= fmt.max and own.lowest <= fmt.lowest
    kinds = ("has_infinity", "has_nan", "has_zero", "has_negative_zero")
    return wide_enough and reaches and all(getattr(own, kind) or not getattr(fmt, kind) for kind in kinds)


def _into(function: Callable[..., Any], arrays: list[Any], settings: dict[str, Any]) -> Any:
    """Call `quantize` with a place for its result, and return that; it may be a guest's."""
    out = settings["out"]
    library = library_of(out)
    place = out if library is None else library.take_out(out)
    if getattr(place, "dtype", None) not in NARROW_FLOATS or library is None:
        result = function(*arrays, **settings | {"out": place})
    else:
        own, (_, fmt) = get_format(place.dtype), _source_and_format(arrays, settings)
        if not _holds(own, fmt):
            raise DtypeError(
                f"out must hold every value of the format. Got dtype {place.dtype} for {fmt}. "
                f"Use {fmt.value_dtype}."
            )
        result = function(*arrays, **settings | {"out": np.empty(place.shape, fmt.value_dtype)})
        place[...] = _narrowed(result[0] if isinstance(result, tuple) else result, own)
    if library is not None:
        library.written(out)
    return (out, *result[1:]) if isinstance(result, tuple) else out
