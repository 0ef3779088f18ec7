"""Where do the blocks of an array lie? Cut along one axis, or as tiles of the last two.

Whatever the axis, an array is seen as ``(outer, rows, columns)`` and its blocks as rectangles of ``r x c`` in the last
two, so that one walk serves all: along the last axis r is 1, along another one c is. What does not fill a block at the
end of an axis is a shorter block of its own, as if zeros stood behind it.

The walk hands out *chunks*: some thousand numbers as ``(blocks, numbers of a block)``, small enough for the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from floatlab.backend import Array
from floatlab.errors import ShapeError, check_option

__all__ = ["Chunk", "Layout", "layout"]


@dataclass(frozen=True)
class Chunk:
    """Some blocks of one size: where they lie.

    Attributes
    ----------
    outer, rows, columns : slice
        The rectangle of numbers.
    block : tuple of int
        Rows and columns of each of its blocks.
    scales : tuple of slice
        The rectangle of their scales.
    """

    outer: slice
    rows: slice
    columns: slice
    block: tuple[int, int]
    scales: tuple[slice, slice, slice]

    def take(self, x: Array) -> Array:
        """Return the numbers of an array (outer, rows, columns) as (blocks, numbers); a view where they lie so."""
        r, c = self.block
        part = x[self.outer, self.rows, self.columns]
        o, rows, columns = part.shape
        if r == 1:
            return part.reshape(-1, c)
        split = part.reshape(o, rows // r, r, columns // c, c)
        return split.transpose(0, 1, 3, 2, 4).reshape(-1, r * c)

    def put(self, x: Array, blocks: Array) -> None:
        """Put the numbers of blocks back where `take` has them from."""
        r, c = self.block
        part = x[self.outer, self.rows, self.columns]
        o, rows, columns = part.shape
        split = blocks.reshape(o, rows // r, columns // c, r, c).transpose(0, 1, 3, 2, 4)
        part[...] = split.reshape(part.shape)


@dataclass(frozen=True)
class Layout:
    """How an array is cut into blocks.

    Attributes
    ----------
    shape : tuple of int
        The shape of the array.
    axes : tuple of int
        The axis, or the two, that blocks extend along.
    block : tuple of int
        Their lengths along those.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    block: tuple[int, ...]

    @cached_property
    def scale_shape(self) -> tuple[int, ...]:
        """The shape of the scales: one for each block."""
        sides = list(self.shape)
        for axis, length in zip(self.axes, self.block, strict=True):
            sides[axis] = -(-sides[axis] // length)
        return tuple(sides)

    @cached_property
    def in_order(self) -> bool:
        """Whether the blocks lie one after the other in memory, all of one length: chunks are views, in C order."""
        return self.axes == (len(self.shape) - 1,) and self.shape[-1] % self.block[0] == 0

    @cached_property
    def rectangle(self) -> tuple[int, int]:
        """Rows and columns of a block, in the view of `three`."""
        if len(self.axes) == 2:
            return self.block[0], self.block[1]
        return (1, self.block[0]) if self.axes[0] == len(self.shape) - 1 else (self.block[0], 1)

    @cached_property
    def three(self) -> tuple[int, int, int]:
        """The shape (outer, rows, columns) of a contiguous array of this shape."""
        return self._three(self.shape)

    @cached_property
    def three_of_scales(self) -> tuple[int, int, int]:
        """The same of the scales."""
        return self._three(self.scale_shape)

    def _three(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        if self.in_order:
            return 1, 1, math.prod(shape)
        if len(self.axes) == 2:
            return math.prod(shape[:-2]), shape[-2], shape[-1]
        axis = self.axes[0]
        if axis == len(shape) - 1:
            return 1, math.prod(shape[:-1]), shape[-1]
        return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])

    def chunks(self, limit: int) -> Iterator[Chunk]:
        """Yield the blocks, about `limit` numbers at a time, and at least one block."""
        if 0 in self.shape:
            return
        outer, rows, columns = self.three
        r, c = self.rectangle
        for row_part in _parts(rows, r):
            for column_part in _parts(columns, c):
                yield from _walk(outer, row_part, column_part, (r, c), limit)

    def spread(self, scales: Array) -> Array:
        """Return for each number of the array the scale of its block."""
        for axis, length in zip(self.axes, self.block, strict=True):
            scales = np.repeat(scales, length, axis)
            scales = scales[(slice(None),) * axis + (slice(self.shape[axis]),)]
        return scales


def _parts(side: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, blocks, length) of the whole blocks of a side, and of the shorter one at its end."""
    whole, rest = divmod(side, length)
    if whole:
        yield 0, whole, length
    if rest:
        yield whole * length, 1, rest


def _walk(
    outer: int, rows: tuple[int, int, int], columns: tuple[int, int, int], block: tuple[int, int], limit: int
) -> Iterator[Chunk]:
    (top, high, r), (left, wide, c) = rows, columns
    across = min(wide, max(1, limit // (r * c)))
    down = min(high, max(1, limit // (r * c * across))) if across == wide else 1
    deep = min(outer, max(1, limit // (r * c * across * down))) if down == high else 1
    first_row, first_column = top // block[0], left // block[1]
    for o in range(0, outer, deep):
        o_end = min(o + deep, outer)
        for i in range(0, high, down):
            i_end = min(i + down, high)
            for j in range(0, wide, across):
                j_end = min(j + across, wide)
                yield Chunk(
                    slice(o, o_end),
                    slice(top + i * r, top + i_end * r),
                    slice(left + j * c, left + j_end * c),
                    (r, c),
                    (
                        slice(o, o_end),
                        slice(first_row + i, first_row + i_end),
                        slice(first_column + j, first_column + j_end),
                    ),
                )


def layout(
    shape: tuple[int, ...], block: tuple[int, ...], axis: int | tuple[int, int] | None, tail: str
) -> Layout:
    """Return where the blocks of an array lie; check the axis, and that they fill it where they must.

    Parameters
    ----------
    shape : tuple of int
        The shape of the array.
    block : tuple of int
        The length of a block, or rows and columns of a tile.
    axis : int or None
        Which axis blocks extend along; None: the last. Tiles lie in the last two.
    tail : {"short", "error"}
        What a rest is that fills no block.

    Raises
    ------
    ShapeError
        If there is no such axis, or a rest where there must be none.

    Examples
    --------
    >>> layout((4, 100), (32,), -1, "short").scale_shape
    (4, 4)
    """
    dimensions = len(shape)
    check_option("tail", tail, ("short", "error"))
    if len(block) == 2:
        if dimensions < 2:
            raise ShapeError(
                f"A tile of {block[0]} x {block[1]} lies in the last two axes. Got shape {shape}. "
                "Use a format whose blocks lie along one axis, such as mxfp8_e4m3."
            )
        if axis is not None and (
            not isinstance(axis, tuple)
            or tuple(a % dimensions for a in axis) != (dimensions - 2, dimensions - 1)
        ):
            raise ShapeError(
                f"A tile of {block[0]} x {block[1]} lies in the last two axes. Got axis={axis!r}. Leave axis out."
            )
        axes: tuple[int, ...] = (dimensions - 2, dimensions - 1)
    else:
        if axis is None:
            axis = -1
        if (
            isinstance(axis, bool)
            or not isinstance(axis, int | np.integer)
            or not -dimensions <= axis < dimensions
        ):
            if dimensions == 0:
                raise ShapeError(
                    f"Blocks lie along an axis, and one number has none. Got shape {shape}. "
                    "Pass an array of one dimension or more, such as [x]."
                )
            raise ShapeError(
                f"Blocks lie along one axis, from {-dimensions} to {dimensions - 1} for shape {shape}. "
                f"Got axis={axis!r}. Use -1 for the last."
            )
        axes = (int(axis) % dimensions,)
    for a, length in zip(axes, block, strict=True):
        if tail == "error" and shape[a] % length:
            raise ShapeError(
                f'With tail="error" blocks of {length} fill their axis. Got {shape[a]} numbers along axis {a} of '
                f'shape {shape}. Pad them with zeros, or use tail="short", which takes a shorter last block.'
            )
    return Layout(shape, axes, block)
