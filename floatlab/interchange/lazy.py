"""What becomes of a dask array? A function of single elements is applied to its blocks, when somebody asks for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.interchange.library import Array, Library, loaded

__all__ = ["Dask", "common_shape", "map_blocks", "of_places"]


class Dask(Library):
    """Arrays of dask's."""

    name = "dask"
    lazy = True

    def owns(self, kind: type) -> bool:
        """Whether this is a type of lazy arrays."""
        known = loaded("dask.array", "Array")
        return known is not None and issubclass(kind, known)

    def take(self, x: Any, done: str, looking: bool = False) -> Array:
        """Refuse it: nothing is computed unasked."""
        raise DtypeError(
            f"What is {done} here is in memory, and a dask array is computed only where that is asked for. "
            f"Got one of shape {x.shape}. Use x.compute(); functions of single elements take it as it is."
        )

    def give(self, values: Array, like: Any) -> Any:
        """Return what was computed in blocks, which is one of dask's already."""
        return values


def map_blocks(function: Callable[..., Any], operands: Sequence[Any], options: dict[str, Any]) -> Any:
    """Return a function of dask arrays, and of NumPy's beside them, as a dask array: nothing is computed.

    The function is called once, with empty arrays: so that a wrong option is refused here and not by a worker, and to
    learn the type of the result.
    """
    _refuse(function.__name__, options)
    integers = options.get("random_integers")  # one for each element, as blocks are computed in any order
    settings = {key: value for key, value in options.items() if key != "random_integers"}
    places = [i for i, x in enumerate(operands) if _is_array(x)]
    parts = [_as_lazy(operands[i]) for i in places]
    if integers is not None:
        parts.append(_as_lazy(integers))
    if len(parts) > 1:
        shape = _common_shape(function.__name__, parts)
        if integers is not None and parts[-1].shape != shape:
            raise ShapeError(
                f"random_integers of a dask array have the shape of the result. Got {parts[-1].shape} for {shape}. "
                "Draw one for each element."
            )
    others = tuple(None if i in places else x for i, x in enumerate(operands))
    block = partial(_block, function, others, places, settings)
    empty = block(*(np.empty((0,) * part.ndim, part.dtype) for part in parts))
    dask = sys.modules["dask.array"]
    if len(parts) > 1:  # map_blocks itself brings neither shapes nor blocks together
        parts = dask.broadcast_arrays(*parts)
    return dask.map_blocks(block, *parts, dtype=empty.dtype, meta=empty)


def common_shape(name: str, operands: Sequence[Any]) -> tuple[tuple[int, ...], Any]:
    """Return the shape of the result of a function of single elements, and how its blocks lie in it."""
    parts = [_as_lazy(x) for x in operands if _is_array(x)]
    shape = _common_shape(name, parts)
    return shape, sys.modules["dask.array"].broadcast_arrays(*parts)[0].chunks


def of_places(values: Callable[[Sequence[tuple[int, int]]], Array], chunks: Any, dtype: Any) -> Any:
    """Return a dask array whose blocks a function makes of their places: for each axis, from where to where."""
    dask = sys.modules["dask.array"]
    if not chunks:
        return dask.from_array(values([]))
    meta = np.empty((0,) * len(chunks), dtype)
    return dask.map_blocks(partial(_at, values), chunks=chunks, dtype=dtype, meta=meta)


def _at(values: Callable[..., Array], block_info: Any = None) -> Array:
    return values(block_info[None]["array-location"])


def _common_shape(name: str, parts: Sequence[Any]) -> tuple[int, ...]:
    """Return the shape that arrays have together."""
    shapes = [part.shape for part in parts]
    if any(n != n for shape in shapes for n in shape):
        raise ShapeError(
            f"The operands of {name} have shapes that are known. Got {' and '.join(map(str, shapes))}. "
            "Use x.compute_chunk_sizes() first."
        )
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"The operands of {name} have shapes that broadcast. Got {' and '.join(map(str, shapes))}. Reshape one."
        ) from None


def _refuse(name: str, options: dict[str, Any]) -> None:
    """Refuse the options that a result which is computed later cannot obey."""
    for option, way_out in (
        ("return_flags", "Use x.map_blocks with a function that returns what you need of the flags"),
        ("out", "Leave it away"),
    ):
        value = options.get(option)
        if value is not None and not (isinstance(value, int) and not value):
            raise OptionError(f"{name} of a dask array returns a dask array. Got {option}. {way_out}.")


def _block(
    function: Callable[..., Any],
    operands: tuple[Any, ...],
    places: list[int],
    options: dict[str, Any],
    *parts: Any,
) -> Any:
    """Compute one block: the parts are those of the operands in these places, and last the random integers, if any."""
    filled = list(operands)
    for place, part in zip(places, parts, strict=False):
        filled[place] = part
    if len(parts) > len(places):
        options = options | {"random_integers": parts[-1]}
    return function(*filled, **options)


def _is_array(x: Any) -> bool:
    lazy = isinstance(x, sys.modules["dask.array"].Array)
    return lazy or getattr(x, "ndim", 0) > 0 or isinstance(x, list | tuple)


def _as_lazy(x: Any) -> Any:
    dask = sys.modules["dask.array"]
    return x if isinstance(x, dask.Array) else dask.from_array(np.asarray(x))
