"""What must be known of a library, so that its arrays can come in and go back?

A `Library` takes an array (as one of NumPy's, over the same memory where that is possible) and gives a result (as one
of its own). What cannot be taken exactly, or would lose a gradient or a label, is refused in words.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, NoReturn, TypeAlias

import numpy as np

from floatlab.errors import DtypeError

__all__ = ["Array", "Library", "loaded", "refuse_device", "refuse_foreign_memory"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_CPU = 1  # kDLCPU, as `__dlpack_device__` says it


class Library(ABC):
    """How the arrays of one library come in, and go back.

    Attributes
    ----------
    name : str
        What errors call it.
    labelled : bool
        Whether its arrays have labels, which a result of the same elements keeps.
    lazy : bool
        Whether its arrays are computed later.
    """

    name: str
    labelled = False
    lazy = False

    @abstractmethod
    def owns(self, kind: type) -> bool:
        """Whether this is a type of its arrays."""

    @abstractmethod
    def take(self, x: Any, done: str, looking: bool = False) -> Any:
        """Return an array as one of NumPy's, over the same memory where that is possible.

        `done` is what errors say that cannot be done: "rounded". Whoever is only `looking` keeps no gradient waiting.
        """

    @abstractmethod
    def give(self, values: Array, like: Any) -> Any:
        """Return an array of NumPy's as one of its own, on the device of `like`."""

    def take_out(self, out: Any) -> Array:
        """Return the memory of an array that is to be written to."""
        raise DtypeError(
            f"out is an array of NumPy's, or a tensor of PyTorch's. Got one of {self.name}. "
            "Leave out away, and keep the result."
        )

    def written(self, out: Any) -> None:
        """Note that an array has been written to."""
        del out  # nobody else wants to know


def loaded(name: str, attribute: str) -> Any:
    """Return what a library has under a name, or None where it was never imported, or is not yet whole.

    >>> loaded("numpy", "ndarray") is np.ndarray, loaded("a_library_that_nobody_has", "array")
    (True, None)
    """
    module: ModuleType | None = sys.modules.get(name)
    return getattr(module, attribute, None)


def refuse_device(kind: str, device: Any) -> NoReturn:
    """Refuse an array in the memory of a device.

    The one place for it: what could look at such memory (`cupy.from_dlpack`, by the array's ``__dlpack_device__``)
    would be called where this is called now.
    """
    raise DtypeError(
        f"Arrays of other libraries are taken from the memory of the CPU. Got a {kind} on {device}. "
        "Copy it first: x.cpu(), jax.device_get(x), or what your library calls it."
    )


def refuse_foreign_memory(x: Any) -> None:
    """Refuse an array of a library that nobody knows here if it says that it lies on a device.

    >>> refuse_foreign_memory(np.zeros(3))
    """
    where = getattr(x, "__dlpack_device__", None)
    if where is not None:
        kind, number = where()
        if int(kind) != _CPU:
            refuse_device(type(x).__name__, f"device {int(number)} of DLPack's type {int(kind)}")
