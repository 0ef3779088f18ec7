"""The operations that take values from places that are given, and put values there."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, moved, rounded, wide
from floatlab.autograd.ops.movement import OPS as MOVEMENT
from floatlab.autograd.rounding import round_to
from floatlab.errors import ShapeError

View = tuple[str, dict[str, Any]]

_VIEWS = {op.name: op.forward.function for op in MOVEMENT}


def _region(node: Node, shape: tuple[int, ...]) -> Array:
    """Return the places, counted through the whole tensor, that a view of it looks at, in the view's shape."""
    name, params = node.params["view"]
    places = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    region: Array = _VIEWS[name](node, places, **params)
    return region


def _put(node: Node, x: Array, values: Array, *, view: View) -> Array:
    region = _region(node, x.shape)
    out = np.array(x, order="C")  # so that reshape gives a view
    try:
        out.reshape(-1)[region] = values
    except ValueError as error:
        raise ShapeError(
            f"put writes values that fit the places. Got shape {values.shape} for {region.shape}. Reshape them. "
            f"({error})"
        ) from None
    return out


def _put_around(node: Node, g: Array) -> Array:
    around = np.array(g, order="C")
    around.reshape(-1)[_region(node, g.shape)] = 0.0
    return around


def _put_values(node: Node, g: Array) -> Array:
    region = _region(node, g.shape)
    last = np.zeros(g.size, np.int64)
    last[region.ravel()] = np.arange(region.size)  # of a place that was written to twice
    stays = last[region] == np.arange(region.size).reshape(region.shape)
    taken = np.where(stays, g.reshape(-1)[region], 0.0).astype(g.dtype)
    shape = node.inputs[1].shape
    return taken.reshape(
        (1,) * (len(shape) - taken.ndim) + taken.shape
    )  # NumPy lets values have more axes of 1


def _gather(node: Node, x: Array, *, indices: Any, axis: int = 0) -> Array:
    """Take x[i][indices[i][j]][k] along axis 1, and so on: PyTorch's gather."""
    check_places(x, indices, axis)
    cut = tuple(slice(None) if a == axis % x.ndim else slice(n) for a, n in enumerate(indices.shape))
    return np.take_along_axis(x[cut], indices, axis)


def check_places(x: Array, indices: Array, axis: int) -> None:
    """Raise ShapeError unless the indices name places of a tensor along an axis."""
    if indices.dtype.kind not in "iu":
        raise ShapeError(
            f"gather and scatter take places by integers. Got indices of dtype {indices.dtype}. Use an integer array."
        )
    if x.ndim == 0 or indices.ndim != x.ndim or not -x.ndim <= axis < x.ndim:
        raise ShapeError(
            "gather and scatter take indices with as many axes as the tensor, along one of them. "
            f"Got shapes {x.shape} and {indices.shape}, axis {axis}. Use unsqueeze, or expand."
        )
    too_long = [a for a in range(x.ndim) if a != axis % x.ndim and indices.shape[a] > x.shape[a]]
    if too_long:
        raise ShapeError(
            "gather and scatter take indices that are no longer than the tensor along its other axes. "
            f"Got {indices.shape} for {x.shape}. Cut them."
        )
    length = x.shape[axis]
    if indices.size and not (indices.min() >= 0 and indices.max() < length):
        raise ShapeError(
            f"gather and scatter find places 0 to {length - 1} along axis {axis} here. "
            f"Got {indices.min()} to {indices.max()}. Check the indices."
        )


def _gather_derivative(node: Node, g: Array) -> Array:
    indices, axis = node.params["indices"], node.params.get("axis", 0)
    shape = node.inputs[0].shape
    total = np.zeros(shape, np.float64)
    np.add.at(
        total, places_of(indices, axis), g
    )  # an element that was taken twice gets the sum, rounded once
    return round_to(total, node.target, node.arithmetic)


def places_of(indices: Array, axis: int) -> tuple[Array, ...]:
    """Return the index of the element that each of the indices along an axis stands for, as in gather."""
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    return tuple(places)


def _scatter_add(
    node: Node, x: Array, source: Array, *, indices: Any, axis: int, alpha: float = 1.0
) -> Array:
    check_places(x, indices, axis)
    if source.ndim != x.ndim or any(n > m for n, m in zip(indices.shape, source.shape, strict=True)):
        raise ShapeError(
            f"scatter_add adds a value for each index. Got values of shape {source.shape} for indices {indices.shape}. "
            "Give more of them, or cut the indices."
        )
    total = np.array(node.wide(x))
    np.add.at(total, places_of(indices, axis), alpha * node.wide(source[_cut(indices)]))
    return total


def _scatter_add_source(node: Node, g: Array) -> Array:
    indices, alpha = node.params["indices"], node.params.get("alpha", 1.0)
    out = np.zeros(node.inputs[1].shape)
    out[_cut(indices)] = alpha * node.wide(g[places_of(indices, node.params["axis"])])
    return out


def _cut(indices: Array) -> tuple[slice, ...]:
    return tuple(slice(n) for n in indices.shape)


OPS = (
    Op(
        "scatter_add",
        wide(_scatter_add),
        (moved(lambda n, g: g), wide(_scatter_add_source)),
        "a, with each value of b added at its place along an axis",
    ),
    Op(
        "put",
        moved(_put),
        (moved(_put_around), moved(_put_values)),
        "a, with b in the places that a view of it looks at",
    ),
    Op(
        "gather",
        moved(_gather),
        (rounded(_gather_derivative),),
        "the elements at the given places along an axis",
    ),
)
