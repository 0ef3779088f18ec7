"""Layer, group, batch and RMS normalization: taken in float64 as a whole, each output and gradient rounded once.

    y = (x - mean) / sqrt(variance + eps) * weight + bias

Layer norm takes mean and variance over the last axes of each row; group norm over groups of channels of each example;
batch norm over all axes but the second (the channels), or is given both, as in evaluation. RMS norm takes no mean off:
y = x / sqrt(mean of x ** 2 + eps) * weight.
"""

from __future__ import annotations

import math

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, wide
from floatlab.autograd.rounding import tree_sum
from floatlab.errors import ShapeError


def _normalize(
    node: Node,
    x: Array,
    axes: tuple[int, ...],
    eps: float,
    mean: Array | None = None,
    var: Array | None = None,
) -> Array:
    """Return the normalized values, and save them, 1 / sqrt(var + eps) and the axes."""
    x = node.wide(x)
    if mean is None or var is None:
        count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
        if count == 0:
            raise ShapeError(
                f"{node.op.name} needs elements to take a mean of. Got shape {x.shape}. Skip an empty batch."
            )
        mean = tree_sum(x, axes) / count
        centred = x - mean
        var = tree_sum(centred * centred, axes) / count
        fixed = False
    else:
        centred, fixed = x - mean, True
    inverse = 1.0 / np.sqrt(var + eps)
    normal = centred * inverse
    node.saved = (normal, inverse, axes, fixed)
    return normal


def _by_input(node: Node, g: Array, weight: Array | None) -> Array:
    normal, inverse, axes, fixed = node.saved
    g = node.wide(g) if weight is None else node.wide(g) * weight
    if fixed:  # mean and variance do not depend on x
        return np.asarray(g * inverse)
    count = int(np.prod([g.shape[a] for a in axes], dtype=np.int64))
    mean_g = tree_sum(g, axes) / count
    mean_gn = tree_sum(g * normal, axes) / count
    return np.asarray((g - mean_g - normal * mean_gn) * inverse)


def _layer_norm(
    node: Node,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    axes: int = 1,
    eps: float = 1e-5,
) -> Array:
    y = _normalize(node, x, _last_axes(node, x, axes, weight=weight, bias=bias), eps)
    return _affine(y, weight, bias)


def _last_axes(node: Node, x: Array, axes: int, **vectors: Array | None) -> tuple[int, ...]:
    """Return the last axes, whose shape the vectors must have."""
    for name, vector in vectors.items():
        if vector is not None and vector.shape != x.shape[x.ndim - axes :]:
            raise ShapeError(
                f"{node.op.name} needs a {name} of the shape of the last {axes} axes. "
                f"Got {vector.shape} for {x.shape}. Check the layer's normalized_shape."
            )
    if not 1 <= axes <= x.ndim:
        raise ShapeError(
            f"{node.op.name} works on the last axes. Got {axes} of shape {x.shape}. Check the shape."
        )
    return tuple(range(x.ndim - axes, x.ndim))


def _affine(normal: Array, weight: Array | None, bias: Array | None) -> Array:
    y = np.array(normal) if weight is None else normal * weight  # fresh: it is rounded in place
    return y if bias is None else y + bias


def _channels(vector: Array | None, ndim: int) -> Array | None:
    """Return one number for each channel in a shape that broadcasts over (batch, channels, ...)."""
    return None if vector is None else vector.reshape(-1, *(1,) * (ndim - 2))


def _batch_norm(
    node: Node,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    mean: Array | None = None,
    var: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    for name, vector in (("weight", weight), ("bias", bias), ("mean", mean), ("var", var)):
        if vector is not None and (x.ndim < 2 or vector.shape != (x.shape[1],)):
            raise ShapeError(
                f"batch_norm needs x of shape (batch, channels, ...) and a {name} of shape (channels,). "
                f"Got {x.shape} and {vector.shape}. Check the layer's num_features."
            )
    axes = tuple(a for a in range(x.ndim) if a != 1)
    y = _normalize(node, x, axes, eps, _channels(mean, x.ndim), _channels(var, x.ndim))
    return _affine(y, _channels(weight, x.ndim), _channels(bias, x.ndim))


def _batch_weight(node: Node) -> Array | None:
    return _channels(node.b, len(node.shape)) if len(node.inputs) > 1 else None


def _per_channel(g: Array) -> Array:
    return tree_sum(g, tuple(a for a in range(g.ndim) if a != 1), keepdims=False)


# -- groups of channels ------------------------------------------------------------------------------


def _group_norm(
    node: Node,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    groups: int,
    eps: float = 1e-5,
) -> Array:
    if x.ndim < 2 or not x.shape[1] or x.shape[1] % groups:
        raise ShapeError(
            f"group_norm needs x of shape (batch, channels, ...), with channels that {groups} groups divide. "
            f"Got {x.shape}. Check num_groups."
        )
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != (x.shape[1],):
            raise ShapeError(
                f"group_norm needs a {name} of shape (channels,). Got {vector.shape} for {x.shape}. "
                "Check the layer's num_channels."
            )
    y = _normalize(node, _grouped(x, groups), (2,), eps).reshape(x.shape)
    return _affine(y, _channels(weight, x.ndim), _channels(bias, x.ndim))


def _grouped(x: Array, groups: int) -> Array:
    """Return an array of shape (batch, groups, all that is normalized together)."""
    return x.reshape(len(x), groups, x[:1, : x.shape[1] // groups].size)


def _group_input(node: Node, g: Array) -> Array:
    weight, groups = _batch_weight(node), node.params["groups"]
    scaled = node.wide(g) if weight is None else node.wide(g) * weight
    return _by_input(node, _grouped(scaled, groups), None).reshape(g.shape)


# -- without a mean ----------------------------------------------------------------------------------


def _rms_norm(
    node: Node, x: Array, weight: Array | None = None, *, axes: int = 1, eps: float | None = None
) -> Array:
    last = _last_axes(node, x, axes, weight=weight)
    count = math.prod(x.shape[a] for a in last)
    if count == 0:
        raise ShapeError(
            f"rms_norm needs elements to take a mean of. Got shape {x.shape}. Skip an empty batch."
        )
    x = node.wide(x)
    least = 2.0 ** (1 - node.format.precision) if eps is None else eps
    inverse = 1.0 / np.sqrt(tree_sum(x * x, last) / count + least)
    normal = x * inverse
    node.saved = (normal, inverse, last)
    return _affine(normal, weight, None)


def _rms_input(node: Node, g: Array) -> Array:
    normal, inverse, last = node.saved
    g = node.wide(g) * node.b if len(node.inputs) > 1 else node.wide(g)
    count = math.prod(g.shape[a] for a in last)
    return np.asarray((g - normal * (tree_sum(g * normal, last) / count)) * inverse)


OPS = (
    Op(
        "layer_norm",
        wide(_layer_norm),
        (
            wide(lambda n, g: _by_input(n, g, n.b if len(n.inputs) > 1 else None)),
            wide(lambda n, g: n.wide(g) * n.saved[0]),
            wide(lambda n, g: np.array(g, dtype=np.float64)),
        ),
        "each row shifted and scaled to mean 0 and variance 1, then * weight + bias",
        keeps=(1,),
    ),
    Op(
        "batch_norm",
        wide(_batch_norm),
        (
            wide(lambda n, g: _by_input(n, g, _batch_weight(n))),
            wide(lambda n, g: _per_channel(n.wide(g) * n.saved[0])),
            wide(lambda n, g: _per_channel(n.wide(g))),
        ),
        "each channel shifted and scaled to mean 0 and variance 1, then * weight + bias",
        keeps=(1,),
    ),
    Op(
        "group_norm",
        wide(_group_norm),
        (
            wide(_group_input),
            wide(lambda n, g: _per_channel(n.wide(g) * n.saved[0].reshape(g.shape))),
            wide(lambda n, g: _per_channel(n.wide(g))),
        ),
        "groups of channels shifted and scaled to mean 0 and variance 1, then * weight + bias",
        keeps=(1,),
    ),
    Op(
        "rms_norm",
        wide(_rms_norm),
        (wide(_rms_input), wide(lambda n, g: n.wide(g) * n.saved[0])),
        "each row scaled to a mean square of 1, then * weight",
        keeps=(1,),
    ),
)
