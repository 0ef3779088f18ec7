"""How are values put to places that are given? scatter, scatter_add and index_add, also in place, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, cast

import numpy as np

from floatlab.autograd.graph import apply as apply_to_values
from floatlab.autograd.in_place import Changing
from floatlab.autograd.ops.movement import plain_index
from floatlab.autograd.ops.places import check_places, places_of
from floatlab.autograd.value import Value
from floatlab.errors import ShapeError

__all__ = ["Scattering"]

apply = cast("Callable[..., Any]", apply_to_values)


class Scattering(Changing):
    """The methods that write to, or add at, places along an axis; indices as in `gather`."""

    __slots__ = ()

    def scatter_(self, dim: int, index: Any, src: Any) -> Self:
        """Write values, or one number, to places along an axis: ``x[index[i, j], j] = src[i, j]`` for ``dim=0``.

        Of several values for one place the last one stays, and it alone gets the gradient.
        """
        indices = np.asarray(plain_index(index))
        check_places(self._data, indices, dim)
        if isinstance(src, Value):
            if src.ndim != indices.ndim or any(n > m for n, m in zip(indices.shape, src.shape, strict=True)):
                raise ShapeError(
                    f"scatter writes a value for each index. Got values of shape {src.shape} for indices "
                    f"{indices.shape}. Give more of them, or cut the indices."
                )
            src = src[tuple(slice(n) for n in indices.shape)]  # type: ignore[index]
        self[places_of(indices, dim)] = src
        return self

    def scatter(self, dim: int, index: Any, src: Any) -> Self:
        """Return the values, with others at places along an axis; see `scatter_`."""
        return self._copied().scatter_(dim, index, src)

    def scatter_add_(self, dim: int, index: Any, src: Any) -> Self:
        """Add values at places along an axis, each sum rounded once."""
        return self._change("scatter_add", src, indices=np.asarray(plain_index(index)), axis=dim)

    def scatter_add(self, dim: int, index: Any, src: Any) -> Self:
        """Return the values, with others added at places along an axis, each sum rounded once."""
        made: Self = apply("scatter_add", self, src, indices=np.asarray(plain_index(index)), axis=dim)
        return made

    def index_add_(self, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Self:
        """Add ``alpha`` times the parts of `source` to the parts at places along an axis, each sum rounded once."""
        return self._change("scatter_add", source, **self._parts(dim, index, source), alpha=alpha)

    def index_add(self, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Self:
        """Return the values, with ``alpha`` times the parts of `source` added; see `index_add_`."""
        made: Self = apply("scatter_add", self, source, **self._parts(dim, index, source), alpha=alpha)
        return made

    def _parts(self, dim: int, index: Any, source: Any) -> dict[str, Any]:
        """Return the place of each element of `source`, whose parts along an axis have their places in `index`."""
        places = np.asarray(plain_index(index))
        shape = tuple(source.shape)
        fits = isinstance(dim, int | np.integer) and -self.ndim <= dim < self.ndim and len(shape) == self.ndim
        if (
            not fits
            or places.ndim != 1
            or shape != (*self.shape[: dim % self.ndim], len(places), *self.shape[dim % self.ndim + 1 :])
        ):
            raise ShapeError(
                "index_add adds as many parts as there are indices, each of the tensor's shape without the axis. "
                f"Got {shape} and indices of shape {places.shape} along axis {dim!r} of {self.shape}. Check them."
            )
        axis = dim % self.ndim
        along = places.reshape([-1 if a == axis else 1 for a in range(self.ndim)])
        return {"indices": np.broadcast_to(along, shape), "axis": axis}

    def _copied(self) -> Self:
        made: Self = apply("cast", self, format=self.format, gradient_format=self.gradient_format)
        return made
