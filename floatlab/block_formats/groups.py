"""Which elements share a scale? All of them, those of one index along an axis, or so many in a row.

An array of scales has the dimensions of what it scales, or none at all: it broadcasts against it, once the axis that is
cut into blocks has become two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.errors import OptionError, ShapeError, nearest_name

__all__ = ["Groups", "groups_of", "in_small_parts"]

GRANULARITIES = ("tensor", "channel")
_OTHER_WORDS = {"row": "channel", "column": "channel", "axis": "channel", "layer": "tensor"}


@dataclass(frozen=True)
class Groups:
    """How an array of one shape is cut into groups.

    Attributes
    ----------
    shape : tuple of int
        The shape of the array.
    kind : str
        "tensor", "channel" or "block".
    axis : int or None
        Along which axis the scales differ, counted from the first; None for "tensor".
    block : int or None
        How many neighbours along the axis make a block; the last one may be shorter.
    """

    shape: tuple[int, ...]
    kind: str = "tensor"
    axis: int | None = None
    block: int | None = None

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """The shape of the scales.

        >>> Groups((4, 10), "channel", 0).scale_shape, Groups((4, 10), "block", 1, 4).scale_shape
        ((4, 1), (4, 3))
        """
        if self.axis is None:
            return ()
        if self.block is None:
            return tuple(n if axis == self.axis else 1 for axis, n in enumerate(self.shape))
        return tuple(-(-n // self.block) if axis == self.axis else n for axis, n in enumerate(self.shape))

    def parts(self, array: Array, *of_groups: Array) -> Iterator[list[Array]]:
        """Yield an array, and arrays with a number for each group, as views that broadcast against each other.

        >>> [[view.shape for view in part] for part in Groups((10,), "block", 0, 4).parts(np.zeros(10), np.ones(3))]
        [[(2, 4), (2, 1)], [(1, 2), (1, 1)]]
        """
        if self.axis is None:
            yield [array.reshape(-1), *of_groups]
        elif self.block is None:
            yield [array, *of_groups]
        else:
            at: tuple[slice, ...] = (slice(None),) * self.axis
            whole = self.shape[self.axis] // self.block
            for start, count, length in (
                (0, whole, self.block),
                (whole, 1, self.shape[self.axis] % self.block),
            ):
                if count and length:
                    piece = array[(*at, slice(start * self.block, start * self.block + count * length))]
                    split = (*self.shape[: self.axis], count, length, *self.shape[self.axis + 1 :])
                    places = (*at, slice(start, start + count))
                    beside = [np.expand_dims(g[places] if g.ndim else g, self.axis + 1) for g in of_groups]
                    yield [piece.reshape(split), *beside]

    def extremes(self, array: Array) -> tuple[Array, Array]:
        """Return the least and the largest number of each group, shape `scale_shape`; of no elements, 0.

        >>> Groups((2, 3), "channel", 1).extremes(np.array([[1.0, 5.0, 2.0], [4.0, -1.0, 0.0]]))
        (array([[ 1., -1.,  0.]]), array([[4., 5., 2.]]))
        """
        if not array.size:
            return np.zeros(self.scale_shape, array.dtype), np.zeros(self.scale_shape, array.dtype)
        found: list[tuple[Array, Array]] = []
        for (part,) in self.parts(array):
            if self.axis is None:
                over: Any = None
            elif self.block is None:
                over = tuple(a for a in range(part.ndim) if a != self.axis)
            else:
                over = self.axis + 1
            keep = self.block is None and self.axis is not None
            found.append((part.min(axis=over, keepdims=keep), part.max(axis=over, keepdims=keep)))
        if self.block is None:
            return np.asarray(found[0][0]), np.asarray(found[0][1])
        low, high = zip(*found, strict=True)
        assert self.axis is not None
        return np.concatenate(low, self.axis), np.concatenate(high, self.axis)

    def spread(self, of_groups: Array) -> Array:
        """Return what each element has of its group, in an array of the shape, or one that broadcasts to it.

        >>> Groups((5,), "block", 0, 2).spread(np.array([1.0, 2.0, 3.0]))
        array([1., 1., 2., 2., 3.])
        """
        if self.block is None or not of_groups.ndim:
            return of_groups
        assert self.axis is not None
        at = (slice(None),) * self.axis
        return np.repeat(of_groups, self.block, self.axis)[(*at, slice(self.shape[self.axis]))]

    def moved(self, order: tuple[int, ...]) -> Groups:
        """Return the groups of the array with its axes in another order."""
        axis = None if self.axis is None else order.index(self.axis)
        return Groups(tuple(self.shape[i] for i in order), self.kind, axis, self.block)


def groups_of(shape: tuple[int, ...], granularity: Any, axis: Any) -> Groups:
    """Return what ``granularity`` and ``axis`` say of an array of a shape.

    Raises
    ------
    OptionError, ShapeError
        If there is no such granularity, or no such axis.

    Examples
    --------
    >>> groups_of((4, 64), 32, None)
    Groups(shape=(4, 64), kind='block', axis=1, block=32)
    """
    whole = isinstance(granularity, int | np.integer) and not isinstance(granularity, bool)
    named = isinstance(granularity, str) and granularity in GRANULARITIES
    if not named and not (whole and granularity >= 1):
        guess = isinstance(granularity, str) and (
            _OTHER_WORDS.get(granularity.lower()) or nearest_name(granularity, GRANULARITIES)
        )
        raise OptionError(
            'granularity is "tensor", "channel", or the length of a block, a positive integer. '
            f"Got {granularity!r}. " + (f'Use "{guess}".' if guess else "Use one of these.")
        )
    if named and granularity == "tensor":
        if axis is not None:
            raise OptionError(
                'An axis belongs to the granularity "channel", or to blocks. '
                f'Got axis={axis!r} with "tensor". Leave it out, or pass granularity="channel".'
            )
        return Groups(shape)
    if axis is None:
        axis = -1 if whole else 0
    if (
        isinstance(axis, bool)
        or not isinstance(axis, int | np.integer)
        or not -len(shape) <= axis < len(shape)
    ):
        usable = f"-{len(shape)} to {len(shape) - 1}" if shape else 'granularity="tensor"'
        raise ShapeError(
            f"axis is one of the {len(shape)} of the array. Got {axis!r} for shape {shape}. Use {usable}."
        )
    at = int(axis) % len(shape)
    return Groups(shape, "block" if whole else "channel", at, int(granularity) if whole else None)


def in_small_parts(views: list[Array], limit: int) -> Iterator[list[Array]]:
    """Yield arrays that broadcast against the first, cut alike, so that no part has many more elements than `limit`.

    The parts follow one another in C order.

    >>> [a.shape for a, _ in in_small_parts([np.zeros((3, 4)), np.ones((3, 1))], 8)]
    [(2, 4), (1, 4)]
    """
    first = views[0]
    if first.size <= limit:
        if first.size:
            yield views
        return
    axis = next(a for a, n in enumerate(first.shape) if n > 1)
    step = max(1, limit * first.shape[axis] // first.size)
    for start in range(0, first.shape[axis], step):
        at = (*(slice(None),) * axis, slice(start, start + step))
        yield from in_small_parts([v if not v.ndim or v.shape[axis] == 1 else v[at] for v in views], limit)
