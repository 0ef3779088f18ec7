"""What is an array of JAX's, as one of NumPy's? The same memory, to read; results become arrays of JAX's."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from floatlab.errors import AutogradError, DtypeError, FormatError
from floatlab.interchange.library import Array, Library, loaded, refuse_device

__all__ = ["JAX", "array_of"]

_RECIPE = (
    "Round outside of jit, grad and vmap, or by jax.pure_callback, in a thread that was started outside: "
    "docs/other-arrays.md has it in five lines"
)


class JAX(Library):
    """Arrays of JAX's, and its tracers, which are none."""

    name = "JAX"

    def owns(self, kind: type) -> bool:
        """Whether this is a type of arrays, or of tracers."""
        kinds = (loaded("jax", "Array"), loaded("jax.core", "Tracer"))
        return any(known is not None and issubclass(kind, known) for known in kinds)

    def take(self, x: Any, done: str, looking: bool = False) -> Array:
        """Return the memory of an array on the CPU, read-only."""
        jax = sys.modules["jax"]
        if isinstance(x, jax.core.Tracer):
            raise AutogradError(
                f"What is {done} has values, which JAX's tracers have not. Got a {type(x).__name__}. {_RECIPE}."
            )
        if x.is_deleted():
            raise DtypeError(
                f"An array that can be {done} is there. Got one that JAX has deleted, or given away (donate_argnums). "
                "Use the array that the call returned."
            )
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.extended):
            raise DtypeError(
                f"Only real numbers can be {done}. Got an array of {x.dtype}. Use jax.random.key_data(x) for its bits."
            )
        for device in x.devices():
            if device.platform != "cpu":
                refuse_device("JAX array", device)
        return np.asarray(x)

    def give(self, values: Array, like: Any) -> Any:
        """Return an array of JAX's, where `like` is if that was said of it."""
        if like.committed and values.shape == like.shape:
            return array_of(values, like.sharding)
        return array_of(values)


def array_of(values: Array, place: Any = None) -> Any:
    """Return an array as one of JAX's.

    Raises
    ------
    FormatError
        If JAX, as it is configured, would make less of it, or was not imported.
    """
    jax = sys.modules.get("jax")
    if jax is None:
        raise FormatError("Who asks for an array of JAX's has imported it. Got no jax. Write import jax.")
    if (
        jax.dtypes.canonicalize_dtype(values.dtype) != values.dtype
    ):  # it would be cut to 32 bits without a word
        raise FormatError(
            f"JAX keeps 64 bits only where it is told to. Got a result of {values.dtype}. "
            'Use jax.config.update("jax_enable_x64", True), or pass numpy.asarray(x).'
        )
    try:
        return jax.device_put(values, place) if place is not None else jax.numpy.asarray(values)
    except TypeError:
        raise FormatError(
            f"JAX has no type for every format. Got {values.dtype}. Use the values, or the codes."
        ) from None
