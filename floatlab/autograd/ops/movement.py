"""The operations that move values about: shapes, indices, joining. None of them rounds forward."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Each, Node, Op, moved, rounded
from floatlab.autograd.rounding import fill, round_to
from floatlab.errors import ShapeError

# -- what the arguments of a tensor's methods mean


def several(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the numbers of a shape, or axes, given one by one, or as one tuple."""
    if len(given) == 1 and isinstance(given[0], tuple | list):
        given = tuple(given[0])
    for n in given:
        if not isinstance(n, int | np.integer):
            raise ShapeError(f"Shapes and axes are whole numbers. Got {n!r}. Use an int.")
    return tuple(int(n) for n in given)


def exchanged(shape: tuple[int, ...], first: int, second: int) -> list[int]:
    """Return the axes of a shape with two of them exchanged."""
    axes = list(range(len(shape)))
    try:
        axes[first], axes[second] = axes[second], axes[first]
    except (IndexError, TypeError):
        raise ShapeError(
            f"transpose exchanges two axes. Got {first} and {second} for shape {shape}. Check the shape."
        ) from None
    return axes


def squeezed(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """Return a shape without its axes of length 1, or without the one named if it is of length 1."""
    if axis is None:
        return tuple(n for n in shape if n != 1)
    if not isinstance(axis, int | np.integer) or not -len(shape) <= axis < len(shape):
        raise ShapeError(f"squeeze takes away one axis. Got {axis} for shape {shape}. Check the shape.")
    axis %= len(shape)
    return tuple(n for i, n in enumerate(shape) if i != axis or n != 1)


def plain_index(key: Any) -> Any:
    """Return an index as NumPy takes it; values of a float format are none."""
    if type(key) is int or type(key) is slice:
        return key
    for part in key if isinstance(key, tuple) else (key,):
        if hasattr(part, "gradient_format"):
            raise ShapeError(
                f"An index is made of whole numbers, slices and masks. Got a tensor of format {part.format.spec}. "
                "Use x.long(), or a mask such as x > 0."
            )
    return key


def in_two_steps(key: Any) -> tuple[Any, Any] | None:
    """Return an index that has whole numbers beside arrays as two, one after the other; None for any other index.

    NumPy takes a whole number for one more array there, and where a slice stands between the two it puts the axis of
    the arrays first. PyTorch takes the numbers first, which leaves the other axes in their order.

    >>> in_two_steps((0, slice(None), [1, 2]))
    ((0, slice(None, None, None), slice(None, None, None)), (slice(None, None, None), [1, 2]))
    """
    if type(key) is not tuple or all(k is None or k is Ellipsis or isinstance(k, int | slice) for k in key):
        return None
    kinds = [_kind(k) for k in key]
    if not ("number" in kinds and "array" in kinds):
        return None
    first: list[Any] = []
    second: list[Any] = []
    for part, kind in zip(key, kinds, strict=True):
        if kind == "number":
            first.append(int(part))
        elif kind == "array":
            axes = np.ndim(part) if np.asarray(part).dtype == bool else 1  # of a mask as many as it has
            first.extend([slice(None)] * axes)
            second.append(part)
        elif kind == "truth":
            second.append(part)
        else:
            first.append(part)
            second.append(... if part is ... else slice(None))
    return tuple(first), tuple(second)


def _kind(part: Any) -> str:
    if part is None or part is ... or isinstance(part, slice):
        return "cut"
    if isinstance(part, bool | np.bool_):
        return "truth"
    if isinstance(part, int | np.integer):
        return "number"
    array = np.asarray(part)
    return "array" if array.ndim else "number" if array.dtype.kind in "iu" else "truth"


# -- the kernels


def _reshape(node: Node, x: Array, *, shape: tuple[int, ...]) -> Array:
    try:
        return x.reshape(shape)
    except ValueError:
        raise ShapeError(
            f"reshape keeps the number of elements. Got {x.shape} to {shape}. "
            "Use -1 for one size that follows."
        ) from None


def _permute(node: Node, x: Array, *, axes: tuple[int, ...]) -> Array:
    if sorted(a % max(x.ndim, 1) for a in axes) != list(range(x.ndim)):
        raise ShapeError(
            f"permute names every axis once. Got {axes} for shape {x.shape}. Use each of 0 to {x.ndim - 1}."
        )
    return x.transpose(axes)


def _expand(node: Node, x: Array, *, shape: tuple[int, ...]) -> Array:
    lead = len(shape) - x.ndim
    shape = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape))
    try:
        return np.broadcast_to(x, shape)
    except ValueError:
        raise ShapeError(
            f"expand stretches axes of length 1. Got {x.shape} to {shape}. Leave the other axes as they are."
        ) from None


def is_basic(key: Any) -> bool:
    """Whether an index only cuts and steps, so that no element can be taken twice."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(k is None or k is Ellipsis or isinstance(k, slice | int | np.integer) for k in parts)


def _index(node: Node, x: Array, *, key: Any) -> Array:
    taken = x[key]
    if isinstance(taken, np.ndarray):
        return taken
    return np.asarray(
        x[(*key, ...) if isinstance(key, tuple) else (key, ...)]
    )  # one element, as a view as well


def _scatter(node: Node, g: Array) -> Array:
    key, shape = node.params["key"], node.inputs[0].shape
    if is_basic(key):
        out = np.zeros(shape, g.dtype)
        out[key] = g
        return out if node.gradient_format is node.target else round_to(out, node.target, node.arithmetic)
    total = np.zeros(shape, np.float64)
    np.add.at(total, key, g)  # an element that was taken twice gets the sum, rounded once
    return round_to(total, node.target, node.arithmetic)


def _embedding(node: Node, weight: Array, *, indices: Array) -> Array:
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise ShapeError(
            f"embedding looks rows up by integers. Got indices of dtype {indices.dtype}. "
            "Use an integer array."
        )
    if weight.ndim == 0:
        raise ShapeError("embedding takes rows of a table. Got a table of shape (). Give it (rows, columns).")
    if indices.size and not (indices.min() >= 0 and indices.max() < len(weight)):
        raise ShapeError(
            f"embedding has rows 0 to {len(weight) - 1}. "
            f"Got indices from {indices.min()} to {indices.max()}. Use a larger table, or check the indices."
        )
    return np.asarray(weight[indices])


def _scatter_rows(node: Node, g: Array) -> Array:
    total = np.zeros(node.inputs[0].shape, np.float64)
    np.add.at(total, node.params["indices"], g)
    return round_to(total, node.target, node.arithmetic)


def _cat_derivative(node: Node, g: Array, index: int) -> Array:
    axis = node.params["axis"]
    start = sum(x.shape[axis] for x in node.inputs[:index])
    cut = [slice(None)] * g.ndim
    cut[axis] = slice(start, start + node.inputs[index].shape[axis])
    return g[tuple(cut)]


def _pad(node: Node, x: Array, *, widths: Any, value: float = 0.0) -> Array:
    return np.pad(x, widths, constant_values=fill(value, node))


def _pad_derivative(node: Node, g: Array) -> Array:
    widths = np.broadcast_to(node.params["widths"], (g.ndim, 2))
    return g[tuple(slice(before, n - after) for (before, after), n in zip(widths, g.shape, strict=True))]


OPS = (
    Op(
        "reshape",
        moved(_reshape),
        (moved(lambda n, g: g.reshape(n.inputs[0].shape)),),
        "the same values in another shape",
    ),
    Op(
        "permute",
        moved(_permute),
        (moved(lambda n, g: g.transpose(np.argsort([a % g.ndim for a in n.params["axes"]]))),),
        "the axes in another order",
    ),
    Op(
        "expand",
        moved(_expand),
        (moved(lambda n, g: g),),
        "broadcast to a shape",
    ),
    Op(
        "index",
        moved(_index),
        (rounded(_scatter),),
        "the elements that a NumPy index takes",
    ),
    Op(
        "embedding",
        moved(_embedding),
        (rounded(_scatter_rows),),
        "the rows of a table with the given indices",
    ),
    Op(
        "cat",
        moved(lambda n, *xs, axis=0: np.concatenate(xs, axis)),
        Each(_cat_derivative),
        "joined along an axis",
    ),
    Op(
        "stack",
        moved(lambda n, *xs, axis=0: np.stack(xs, axis)),
        Each(lambda n, g, i: np.take(g, i, n.params.get("axis", 0))),
        "joined along a new axis",
    ),
    Op("pad", moved(_pad), (moved(_pad_derivative),), "surrounded by a constant"),
)
