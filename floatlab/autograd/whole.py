"""What does PyTorch's code ask of labels and truth values? Its methods, on a NumPy array of them.

Where the two libraries give one name two meanings, the call tells them apart: ``y.max(1)`` and ``y.max(dim=1)`` are
PyTorch's, values and places, and ``y.max(axis=1)`` is NumPy's. NumPy's own functions (``np.repeat(y, 2)``) stay as
they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from floatlab.autograd.comparisons import Comparisons
from floatlab.autograd.operation import Array
from floatlab.autograd.ops.movement import exchanged, several, squeezed
from floatlab.errors import DtypeError, ShapeError

__all__ = ["WholeNames"]


class WholeExtreme(NamedTuple):
    """The extremes along an axis, and where each is."""

    values: Any
    indices: Any


class WholeNames(Comparisons):
    """The methods of PyTorch that take an array of whole numbers or truth values to another one."""

    shape: Any
    ndim: Any

    def _plain(self) -> Array:
        return self.view(np.ndarray)

    def _like(self, array: Any) -> Any:
        """Return an array as one of this class, of the same memory."""
        return np.asarray(array).view(type(self))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Keep `numpy.nonzero` what it is: it would ask the method below."""
        if function is np.nonzero:
            return np.nonzero(self._plain())
        return super().__array_function__(function, types, args, kwargs)  # type: ignore[misc]

    # -- shapes

    def view(self, *shape: Any, **options: Any) -> Any:
        """Return the same memory in another shape; of a type or a class, NumPy's view of it."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        if sizes and not options and all(isinstance(n, int | np.integer) for n in sizes):
            return self.reshape(*sizes)  # type: ignore[attr-defined]
        return super().view(*shape, **options)  # type: ignore[misc]

    def view_as(self, other: Any) -> Any:
        """Return the numbers in the shape of another array or tensor."""
        return self.view(tuple(other.shape))

    def flatten(self, start_dim: Any = 0, end_dim: int = -1) -> Any:
        """Return the numbers with the axes from `start_dim` to `end_dim` in one; NumPy's orders stay."""
        if isinstance(start_dim, str):
            return super().flatten(start_dim)  # type: ignore[misc]
        axes = range(max(self.ndim, 1))
        first, last = axes[start_dim], axes[end_dim]
        return self.view((*self.shape[:first], -1, *self.shape[last + 1 :]))

    def t(self) -> Any:
        """Return a matrix transposed; a vector stays as it is."""
        if self.ndim > 2:
            raise ShapeError(
                f"t() transposes a matrix. Got shape {self.shape}. Use transpose(-2, -1), or .T."
            )
        return self._like(self._plain().T)

    def permute(self, *axes: Any) -> Any:
        """Return the axes in another order."""
        return self._like(self._plain().transpose(several(axes)))

    def transpose(self, *axes: Any) -> Any:
        """Return two axes exchanged; of none, or of a tuple, NumPy's transpose."""
        if len(axes) == 2:
            return self.permute(*exchanged(self.shape, *axes))
        return super().transpose(*axes)  # type: ignore[misc]

    def squeeze(self, dim: Any = None, axis: Any = None) -> Any:
        """Return the numbers without the axes of length 1, or without the one that is named, if its length is 1."""
        if axis is not None:
            return super().squeeze(axis)  # type: ignore[misc]
        return self.view(squeezed(self.shape, dim)) if dim is not None else super().squeeze()  # type: ignore[misc]

    def expand(self, *shape: Any) -> Any:
        """Return the numbers broadcast to a shape, read only; -1 keeps an axis as it is."""
        sizes, own = several(shape), (1,) * (len(several(shape)) - self.ndim) + tuple(self.shape)
        wanted = tuple(own[i] if n == -1 and i < len(own) else n for i, n in enumerate(sizes))
        try:
            return self._like(np.broadcast_to(self._plain(), wanted))
        except ValueError:
            raise ShapeError(
                f"expand repeats axes of length 1. Got {sizes} for shape {self.shape}. Use repeat for others."
            ) from None

    def expand_as(self, other: Any) -> Any:
        """Return the numbers broadcast to the shape of another array or tensor."""
        return self.expand(*other.shape)

    def repeat(self, *repeats: Any, **numpys: Any) -> Any:
        """Return the numbers that many times along each axis; with ``axis=``, `numpy.repeat`."""
        if numpys:
            return super().repeat(*repeats, **numpys)  # type: ignore[misc]
        times = several(repeats)
        if len(times) < self.ndim:
            raise ShapeError(
                f"repeat says for every axis how often. Got {times} for shape {self.shape}. "
                "Use 1 where nothing is repeated, or np.repeat for repeated elements."
            )
        return self._like(np.tile(self._plain(), times))

    def split(self, size: int, dim: int = 0) -> tuple[Any, ...]:
        """Return parts of a size along an axis, of which the last may be smaller."""
        if not isinstance(size, int | np.integer) or size < 1:
            raise ShapeError(f"A part has at least one element. Got size={size!r}. Use a larger one.")
        places = range(size, self.shape[dim], size)
        return tuple(self._like(part) for part in np.split(self._plain(), list(places), dim))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Any, ...]:
        """Return at most that many parts along an axis, all of one size but the last."""
        return self.split(max(-(-self.shape[dim] // chunks), 1), dim)

    # -- reductions

    def sum(self, dim: Any = None, *numpys: Any, keepdim: bool = False, **named: Any) -> Any:
        """Return the sum, along an axis if one is named."""
        return self._reduced("sum", dim, keepdim, numpys, named)

    def all(self, dim: Any = None, *numpys: Any, keepdim: bool = False, **named: Any) -> Any:
        """Return whether all are true, along an axis if one is named."""
        return self._reduced("all", dim, keepdim, numpys, named)

    def any(self, dim: Any = None, *numpys: Any, keepdim: bool = False, **named: Any) -> Any:
        """Return whether any is true, along an axis if one is named."""
        return self._reduced("any", dim, keepdim, numpys, named)

    def argmax(self, dim: Any = None, *numpys: Any, keepdim: bool = False, **named: Any) -> Any:
        """Return where the maximum is, the first of several."""
        return self._reduced("argmax", dim, keepdim, numpys, named)

    def argmin(self, dim: Any = None, *numpys: Any, keepdim: bool = False, **named: Any) -> Any:
        """Return where the minimum is, the first of several."""
        return self._reduced("argmin", dim, keepdim, numpys, named)

    def max(self, dim: Any = None, *numpys: Any, keepdim: bool = False, **named: Any) -> Any:
        """Return the maximum; along an axis, the maxima and where they are."""
        found = self._reduced("max", dim, keepdim, numpys, named)
        return (
            found
            if dim is None or numpys or named
            else WholeExtreme(found, self.argmax(dim, keepdim=keepdim))
        )

    def min(self, dim: Any = None, *numpys: Any, keepdim: bool = False, **named: Any) -> Any:
        """Return the minimum; along an axis, the minima and where they are."""
        found = self._reduced("min", dim, keepdim, numpys, named)
        return (
            found
            if dim is None or numpys or named
            else WholeExtreme(found, self.argmin(dim, keepdim=keepdim))
        )

    def _reduced(self, name: str, dim: Any, keepdim: bool, numpys: Any, named: dict[str, Any]) -> Any:
        if dim is not None:
            named = {"axis": dim, **named}
        if keepdim is not False:
            named = {"keepdims": bool(keepdim), **named}
        method: Any = getattr(super(), name)
        if numpys:  # NumPy's functions pass axis, dtype and out by place
            return method(named.pop("axis", None), *numpys, **named)
        return method(**named)

    # -- elements

    def clamp(self, min: Any = None, max: Any = None) -> Any:
        """Return the numbers, kept between two bounds."""
        return self._like(np.clip(self._plain(), min, max))

    def masked_fill(self, mask: Any, value: Any) -> Any:
        """Return the numbers, and `value` where the mask holds."""
        filled = np.asarray(value, self._plain().dtype)
        if filled != value:
            raise DtypeError(
                f"A whole number fills whole numbers. Got {value!r}. Use .float() first for another one."
            )
        return self._like(np.where(np.asarray(mask, bool), filled, self._plain()))

    def gather(self, dim: int, index: Any) -> Any:
        """Return the numbers at given places along an axis."""
        plain, places = self._plain(), np.asarray(index)
        cut = tuple(
            slice(None) if axis == dim % plain.ndim else slice(n) for axis, n in enumerate(places.shape)
        )
        return self._like(np.take_along_axis(plain[cut], places, dim))

    def nonzero(self, as_tuple: bool = False) -> Any:
        """Return the places of what is not 0, a row each; or, `as_tuple`, an array for each axis."""
        places = np.nonzero(self._plain())
        if as_tuple:
            return tuple(self._like(place) for place in places)
        return self._like(np.stack(places, 1))

    # -- the same, as PyTorch's users ask for it

    @property
    def requires_grad(self) -> bool:
        """False: whole numbers have no gradient."""
        return False

    def contiguous(self) -> Self:
        """Return the array itself: how values lie in memory makes no difference here."""
        return self

    def clone(self) -> Any:
        """Return a copy."""
        return self._like(self._plain().copy())

    def nelement(self) -> Any:
        """Return the number of elements."""
        return self._plain().size

    def abs(self) -> Any:
        """Return the absolute values."""
        return abs(self)  # type: ignore[arg-type]
