"""How is a tensor reshaped, cut and joined, by PyTorch's names? Nothing here computes or rounds.

`Made` is what an operation makes: a `Tensor`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

import numpy as np

from floatlab.autograd.graph import apply as apply_to_values
from floatlab.autograd.ops.movement import exchanged, in_two_steps, plain_index, several, squeezed
from floatlab.autograd.scattering import Scattering
from floatlab.autograd.value import Value
from floatlab.errors import ShapeError

__all__ = ["Shapes"]

Made = TypeVar("Made", bound=Value)
apply = cast("Callable[..., Any]", apply_to_values)


class Shapes(Scattering, Generic[Made]):
    """The methods that move values about, or choose among them."""

    __slots__ = ()

    # -- shapes

    @property
    def T(self) -> Made:  # noqa: N802
        """The axes in reverse order."""
        return self.permute(*reversed(range(self.ndim)))

    def t(self) -> Made:
        """Return a matrix transposed; a vector stays as it is."""
        if self.ndim > 2:
            raise ShapeError(
                f"t() transposes a matrix. Got shape {self.shape}. Use transpose(-2, -1), or .T."
            )
        return self.T

    def reshape(self, *shape: Any) -> Made:
        """Return the same values in another shape."""
        return apply("reshape", self, shape=several(shape))

    view = reshape

    def view_as(self, other: Any) -> Made:
        """Return the same values in the shape of another tensor."""
        return self.reshape(other.shape)

    def reshape_as(self, other: Any) -> Made:
        """Return the same values in the shape of another tensor."""
        return self.reshape(other.shape)

    def ravel(self) -> Made:
        """Return the values in one axis."""
        return self.reshape(-1)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Made:
        """Return the values with the axes from `start_dim` to `end_dim` in one."""
        axes = max(self.ndim, 1)
        if not (-axes <= start_dim < axes and -axes <= end_dim < axes and start_dim % axes <= end_dim % axes):
            raise ShapeError(
                f"flatten joins neighbouring axes. Got {start_dim} to {end_dim} for shape {self.shape}. "
                "Use numbers of axes, in order."
            )
        first, last = start_dim % axes, end_dim % axes
        joined = int(np.prod(self.shape[first : last + 1], dtype=np.int64))
        return self.reshape(*self.shape[:first], joined, *self.shape[last + 1 :])

    def permute(self, *axes: Any) -> Made:
        """Return the axes in another order."""
        return apply("permute", self, axes=several(axes))

    def transpose(self, first: int, second: int) -> Made:
        """Return two axes exchanged."""
        return self.permute(*exchanged(self.shape, first, second))

    swapaxes = transpose

    def squeeze(self, dim: int | None = None, *, axis: int | None = None) -> Made:
        """Return the values without the axes (or the one axis) of length 1."""
        return self.reshape(squeezed(self.shape, axis if dim is None else dim))

    def unsqueeze(self, dim: int) -> Made:
        """Return the values with a new axis of length 1."""
        if not isinstance(dim, int | np.integer) or not -self.ndim - 1 <= dim <= self.ndim:
            raise ShapeError(
                f"unsqueeze takes a place from {-self.ndim - 1} to {self.ndim} here. Got {dim!r} for shape "
                f"{self.shape}. Use one of them."
            )
        place = dim + self.ndim + 1 if dim < 0 else dim
        return self.reshape((*self.shape[:place], 1, *self.shape[place:]))

    def expand(self, *shape: Any) -> Made:
        """Return the values broadcast to a shape; -1 keeps an axis as it is."""
        return apply("expand", self, shape=several(shape))

    def expand_as(self, other: Any) -> Made:
        """Return the values broadcast to the shape of another tensor."""
        return self.expand(other.shape)

    def repeat(self, *repeats: Any) -> Made:
        """Return the values that many times along each axis, as `numpy.tile`; new axes come first."""
        times = several(repeats)
        if len(times) < self.ndim or min(times, default=1) < 0:
            raise ShapeError(
                f"repeat says for every axis how often. Got {times} for shape {self.shape}. "
                "Use 1 where nothing is repeated."
            )
        shape = (1,) * (len(times) - self.ndim) + self.shape
        apart = self.reshape(tuple(n for size in shape for n in (1, size)))
        wide = apart.expand(tuple(n for pair in zip(times, shape, strict=True) for n in pair))  # type: ignore[attr-defined]
        return wide.reshape(tuple(n * size for n, size in zip(times, shape, strict=True)))

    def flip(self, *dims: Any) -> Made:
        """Return the values in reverse order along axes."""
        axes = {a % max(self.ndim, 1) for a in several(dims)}
        return apply(
            "index", self, key=tuple(slice(None, None, -1 if a in axes else 1) for a in range(self.ndim))
        )

    def roll(self, shifts: int, dims: int | None = None) -> Made:
        """Return the values moved along an axis, those that leave it coming in at its other end.

        Without an axis they are moved along all of the flattened tensor.
        """
        if not isinstance(shifts, int | np.integer):
            raise ShapeError(
                f"Values are moved by a whole number of places. Got {shifts!r}. Call roll for each axis."
            )
        if dims is None:
            return self.flatten().roll(shifts, 0).reshape(self.shape)  # type: ignore[attr-defined]
        self._along("roll", dims, 0)
        return self.index_select(dims, np.roll(np.arange(self.shape[dims]), shifts))

    def repeat_interleave(self, repeats: Any, dim: int | None = None) -> Made:
        """Return each part along an axis that many times, as `numpy.repeat`; without an axis, each element."""
        if dim is None:
            return self.flatten().repeat_interleave(repeats, 0)  # type: ignore[attr-defined]
        self._along("repeat_interleave", dim, 0)
        times = np.asarray(repeats)
        if (
            times.dtype.kind not in "iu"
            or times.shape not in ((), (1,), (self.shape[dim],))
            or (times < 0).any()
        ):
            raise ShapeError(
                f"repeat_interleave says how often, once or for each part. Got {repeats!r} for axis {dim} of shape "
                f"{self.shape}. Use whole numbers."
            )
        return self.index_select(dim, np.repeat(np.arange(self.shape[dim]), times))

    def masked_select(self, mask: Any) -> Made:
        """Return, in one axis, the values where the boolean mask holds, which is broadcast to the shape."""
        try:
            return self[np.broadcast_to(np.asarray(mask, bool), self.shape)]
        except ValueError:
            raise ShapeError(
                f"A mask has the shape of the tensor, or fits it. Got {np.shape(mask)} for shape {self.shape}. "
                "Reshape one of them."
            ) from None

    # -- the same, as PyTorch's users ask for it

    def nelement(self) -> int:
        """Return the number of elements."""
        return self.numel()

    def type(self, dtype: Any) -> Any:
        """Return the values in another format, or as an array of whole numbers, as ``to(dtype)`` does."""
        return self.to(dtype)  # type: ignore[attr-defined]

    def type_as(self, other: Any) -> Any:
        """Return the values in the format of another tensor, or as whole numbers where `other` holds such."""
        return self.to(other.dtype)  # type: ignore[attr-defined]

    def contiguous(self) -> Made:
        """Return the tensor itself: how values lie in memory makes no difference here."""
        return cast("Made", self)

    def cpu(self) -> Made:
        """Return the tensor itself: there is no other device."""
        return cast("Made", self)

    def cuda(self, device: Any = None) -> Made:
        """Return the tensor itself: floatlab emulates formats with NumPy, and there is no device to move to."""
        return cast("Made", self)

    def clone(self) -> Made:
        """Return a copy, through which gradients flow back."""
        return apply("cast", self, format=self.format, gradient_format=self.gradient_format)

    # -- parts

    def __iter__(self) -> Iterator[Made]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Made:
        key = plain_index(key)
        if type(key) is tuple and (steps := in_two_steps(key)) is not None:
            return apply("index", self, key=steps[0])[steps[1]]
        return apply("index", self, key=key)

    def select(self, dim: int, index: int) -> Made:
        """Return the part at one place of an axis, without that axis."""
        return self[self._along("select", dim, index)]

    def narrow(self, dim: int, start: int, length: int) -> Made:
        """Return the part of a length from a place on along an axis."""
        return self[self._along("narrow", dim, slice(start, start + length))]

    def index_select(self, dim: int, index: Any) -> Made:
        """Return the parts at the places of an array of integers along an axis."""
        return self[self._along("index_select", dim, np.asarray(index))]

    def unbind(self, dim: int = 0) -> tuple[Made, ...]:
        """Return the parts at all places of an axis."""
        self._along("unbind", dim, 0)
        return tuple(self.select(dim, i) for i in range(self.shape[dim]))

    def split(self, size: Any, dim: int = 0) -> tuple[Made, ...]:
        """Return parts of a size along an axis, of which the last may be smaller; or of the sizes in a list."""
        self._along("split", dim, 0)
        length = self.shape[dim]
        if isinstance(size, int | np.integer):
            if size < 1:
                raise ShapeError(f"A part has at least one element. Got size={size}. Use a larger one.")
            sizes = [min(int(size), length - start) for start in range(0, length, int(size))] or [0]
        else:
            sizes = list(several(tuple(size)))
            if sum(sizes) != length or min(sizes, default=0) < 0:
                raise ShapeError(
                    f"The sizes of all parts add up to the length. Got {sizes} for axis {dim} of shape {self.shape}. "
                    "Change one of them."
                )
        ends = np.cumsum([0, *sizes]).tolist()
        return tuple(self.narrow(dim, start, n) for start, n in zip(ends, sizes, strict=False))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Made, ...]:
        """Return at most that many parts along an axis, all of one size but the last."""
        self._along("chunk", dim, 0)
        if not isinstance(chunks, int | np.integer) or chunks < 1:
            raise ShapeError(f"A tensor is cut into at least one part. Got chunks={chunks!r}. Use 1 or more.")
        return self.split(max(-(-self.shape[dim] // int(chunks)), 1), dim)

    def gather(self, dim: int, index: Any) -> Made:
        """Return, for ``dim=1``, ``x[i, index[i, j]]`` at place (i, j): the elements at given places along an axis."""
        return apply("gather", self, indices=np.asarray(plain_index(index)), axis=dim)

    def masked_fill(self, mask: Any, value: float) -> Made:
        """Return the values, and `value` where the boolean mask holds.

        A number that the format would make NaN is refused: -infinity in a format without infinity, or -1e9 in
        float8_e4m3fn. Use ``x.format.lowest`` there.
        """
        return apply("masked_fill", self, mask=np.asarray(mask, bool), value=value)

    def where(self, condition: Any, other: Any) -> Made:
        """Return the values where the condition holds, and `other` elsewhere."""
        return apply("where", self, other, condition=np.asarray(condition, bool))

    def tril(self, diagonal: int = 0) -> Made:
        """Return matrices with 0 above a diagonal."""
        return self._triangle("tril", np.tri, diagonal)

    def triu(self, diagonal: int = 0) -> Made:
        """Return matrices with 0 below a diagonal."""
        return self._triangle("triu", lambda n, m, k: ~np.tri(n, m, k - 1, dtype=bool), diagonal)

    def _triangle(self, name: str, triangle: Callable[..., Any], diagonal: int) -> Made:
        if self.ndim < 2:
            raise ShapeError(f"{name} takes matrices. Got shape {self.shape}. Give it two axes or more.")
        kept = np.asarray(triangle(self.shape[-2], self.shape[-1], diagonal), bool)
        return apply("masked_fill", self, mask=np.broadcast_to(~kept, self.shape), value=0.0)

    def _along(self, name: str, dim: int, part: Any) -> tuple[Any, ...]:
        """Return the index that takes a part of one axis."""
        if not isinstance(dim, int | np.integer) or not -self.ndim <= dim < self.ndim:
            raise ShapeError(
                f"{name} goes along an axis from {-self.ndim} to {self.ndim - 1} here. Got {dim!r} for shape "
                f"{self.shape}. Check the shape."
            )
        return (slice(None),) * (dim % self.ndim) + (part,)
