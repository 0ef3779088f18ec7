"""Whose array is this? One of NumPy's and floatlab's own, or a guest's; what a guest brings is taken in one place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import is_gpu_array
from floatlab.interchange.jax_arrays import JAX
from floatlab.interchange.labelled import Pandas, Xarray
from floatlab.interchange.lazy import Dask
from floatlab.interchange.library import Library, refuse_foreign_memory
from floatlab.interchange.pytorch import PyTorch

__all__ = ["OWN", "is_guest", "library_of", "taken"]

_LIBRARIES: tuple[Library, ...] = (PyTorch(), JAX(), Pandas(), Xarray(), Dask())

#: Types that are certainly no guest's: to look here first costs an array of NumPy's nothing.
OWN = frozenset({np.ndarray, float, int, bool, str, list, tuple, type(None)})


def library_of(x: object) -> Library | None:
    """Return the library that an array belongs to; None for one of NumPy's, and for whatever is no array.

    >>> library_of(np.zeros(3)) is None
    True
    """
    kind: type = type(x)
    return _library(kind)


@lru_cache(maxsize=256)
def _library(kind: type) -> Library | None:
    return next((library for library in _LIBRARIES if library.owns(kind)), None)


@lru_cache(maxsize=256)
def is_guest(kind: type) -> bool:
    """Whether this is a type of another library's arrays: one that is known, or that may lie on a device.

    >>> is_guest(np.float32)
    False
    """
    if _library(kind) is not None:
        return True
    return hasattr(kind, "__dlpack_device__") and not issubclass(kind, np.ndarray | np.generic)


def taken(x: Any, done: str = "rounded", looking: bool = False) -> Any:
    """Return what a guest brings as an array of NumPy's, also from lists; all else as it is.

    Parameters
    ----------
    x : object
        Anything.
    done : str
        What errors say that cannot be done.
    looking : bool
        Whether it is only looked at, so that no gradient is lost.

    Raises
    ------
    DtypeError, AutogradError
        If its values cannot be had, or only at the price of a gradient.

    Examples
    --------
    >>> taken([1.0, 2.0])
    [1.0, 2.0]
    """
    kind: type = type(x)
    if kind is list or kind is tuple:
        return [taken(item, done, looking) for item in x]
    if kind in OWN or not is_guest(kind) or is_gpu_array(x):
        return x
    library = library_of(x)
    if library is not None:
        return taken(library.take(x, done, looking), done, looking)
    refuse_foreign_memory(x)
    return x
