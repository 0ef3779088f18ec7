"""How does what computes in a format stand in for a function of NumPy? With its options, ``out`` and ``outer``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from floatlab.array.calls import is_number
from floatlab.array.core import FloatArray, asarray
from floatlab.array.storage import has_own_type
from floatlab.errors import DtypeError, FloatlabError, ShapeError

__all__ = ["REDUCERS", "UNSET", "elementwise", "guarded", "into", "refuse", "refuse_others", "with_values"]

UNSET = np._NoValue  # what NumPy takes for an option that was not given


def elementwise(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a ufunc: `compute` on its inputs, with ``out`` and ``outer``."""

    def stand_in(method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kwargs = dict(kwargs)
        out = kwargs.pop("out", None)
        if method == "outer" and len(inputs) == 2:
            a, b = (x if isinstance(x, FloatArray) or is_number(x) else np.asarray(x) for x in inputs)
            inputs = (a[(..., *[None] * np.ndim(b))] if np.ndim(a) else a, b)
        elif method != "__call__":
            return _reduced(name, method, inputs, kwargs, out)
        if kwargs.get("where", True) is True:
            kwargs.pop("where", None)
        for unwanted in ("order", "subok", "casting"):
            kwargs.pop(unwanted, None)
        if kwargs:
            raise DtypeError(
                f"numpy.{name} of FloatArrays takes no {', '.join(kwargs)}. Got {kwargs}. "
                "Use np.where for a choice of elements, and astype for another format."
            )
        try:
            result = compute(*inputs)
        except FloatlabError:
            raise
        except ValueError as error:
            raise _misfit(name, inputs, error) from None
        return result if out is None else into(name, out[0], result)

    return stand_in


def _misfit(name: str, operands: tuple[Any, ...], error: ValueError) -> ValueError:
    """Return what to raise for shapes that do not broadcast; another error is returned as it is."""
    shapes = [np.shape(x) for x in operands]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return ShapeError(
            f"The operands of {name} have shapes that broadcast. Got {' and '.join(map(str, shapes))}. "
            "Reshape one of them."
        )
    return error


REDUCERS: dict[tuple[str, str], Callable[..., Any]] = {}  # ("add", "reduce"): sum; filled by reductions.py


def _reduced(name: str, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
    if (name, method) not in REDUCERS:
        raise DtypeError(
            f"numpy.{name}.{method} has no meaning of its own in a float format. Got a FloatArray. "
            "Use .values for plain numbers."
        )
    result = REDUCERS[name, method](*inputs, **kwargs)
    return result if out is None else into(name, out[0], result)


def into(name: str, out: Any, result: Any) -> Any:
    """Write a result to `out`, and return that."""
    if isinstance(result, FloatArray) and has_own_type(out, result.format) and out.dtype.isnative:
        into(name, asarray(out, result.format), result)
        return out
    if isinstance(out, FloatArray) != isinstance(result, FloatArray):
        raise DtypeError(
            f"out is of the kind of the result. Got a {type(out).__name__} for the {type(result).__name__} of {name}. "
            "Leave out away."
        )
    if out.shape != result.shape:
        raise ShapeError(
            f"out has the shape of the result. Got {out.shape} for {result.shape}. Allocate it anew."
        )
    out[...] = result
    return out


def with_values(made: Any, change: Callable[[Any], Any]) -> Any:
    """Return a result with other values; the flags, if there are any, stay."""
    return (change(made[0]), made[1]) if isinstance(made, tuple) else change(made)


def refuse(name: str, options: dict[str, Any], way_out: str) -> None:
    """Raise an error for options of a function of NumPy that were given, and have no meaning in a format."""
    for option, value in options.items():
        if value is not None and value is not UNSET and not (option == "where" and value is True):
            raise DtypeError(f"numpy.{name} of a FloatArray takes no {option}. Got {value!r}. {way_out}")


def refuse_others(name: str, options: dict[str, Any]) -> None:
    """Raise an error for options of a product, but for those that only say how it is computed."""
    wanted = {k: v for k, v in options.items() if v is not None and k not in ("order", "casting", "optimize")}
    if wanted:
        raise DtypeError(
            f"numpy.{name} of FloatArrays takes no {', '.join(wanted)}. Got {wanted}. Use fl.{name} with a format."
        )


def guarded(name: str, stand_in: Callable[..., Any]) -> Callable[..., Any]:
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
