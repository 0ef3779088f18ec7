"""The operations that end a network: softmax and the losses. Each is taken in float64 and rounded once.

Labels are arrays of class numbers. A loss's `reduction` is "mean", "sum" or "none", as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, wide
from floatlab.autograd.rounding import tree_sum
from floatlab.errors import DataError, ShapeError, check_option
from floatlab.functions.float64 import exp64, log64, sigmoid64, softplus64

REDUCTIONS = ("mean", "sum", "none")


def _shifted(x: Array, axis: int) -> Array:
    """Return x less its maximum, so that no power overflows."""
    return np.asarray(x - (x.max(axis=axis, keepdims=True) + 0.0))  # + 0: never -0, on any processor


def _softmax64(x: Array, axis: int) -> Array:
    powers = exp64(_shifted(x, axis))
    return np.asarray(powers / tree_sum(powers, axis))


def _log_softmax64(x: Array, axis: int) -> Array:
    shifted = _shifted(x, axis)
    return np.asarray(shifted - log64(tree_sum(exp64(shifted), axis)))


def _need_axis(node: Node, x: Array, axis: int) -> None:
    if not -x.ndim <= axis < x.ndim or x.shape[axis] == 0:
        raise ShapeError(
            f"{node.op.name} needs an axis with at least one element. Got axis {axis} of shape {x.shape}. "
            "Check the tensor's shape."
        )


def _softmax(node: Node, x: Array, *, axis: int = -1) -> Array:
    _need_axis(node, x, axis)
    return _softmax64(node.wide(x), axis)


def _softmax_derivative(node: Node, g: Array) -> Array:
    y, g = node.wide(node.out), node.wide(g)
    return np.asarray(y * (g - tree_sum(g * y, node.params.get("axis", -1))))


def _log_softmax(node: Node, x: Array, *, axis: int = -1) -> Array:
    _need_axis(node, x, axis)
    return _log_softmax64(node.wide(x), axis)


def _log_softmax_derivative(node: Node, g: Array) -> Array:
    axis = node.params.get("axis", -1)
    g = node.wide(g)
    return np.asarray(g - exp64(node.wide(node.out)) * tree_sum(g, axis))


# -- losses over classes -----------------------------------------------------------------------------


def _check_labels(node: Node, x: Array, given: Any) -> Array:
    labels: Array = np.asarray(given)
    name = node.op.name
    if x.ndim < 1 or labels.shape != x.shape[:-1]:
        raise ShapeError(
            f"{name} needs scores of shape (..., classes) and labels of shape (...). "
            f"Got {x.shape} and {labels.shape}. Give one class number for each row of scores."
        )
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"{name} needs class numbers. Got labels of dtype {labels.dtype}. Use an integer array."
        )
    if labels.size == 0:
        raise ShapeError(f"{name} needs at least one row. Got shape {x.shape}. Skip an empty batch.")
    if labels.min() < 0 or labels.max() >= x.shape[-1]:
        bad = labels[(labels < 0) | (labels >= x.shape[-1])].reshape(-1)[0]
        raise DataError(
            f"{name} has labels 0 to {x.shape[-1] - 1} for scores of shape {x.shape}. Got label {bad}. "
            "Check the labels, or the size of the last layer."
        )
    return labels


def _reduce(rows: Array, reduction: str) -> Array:
    check_option("reduction", reduction, REDUCTIONS)
    if reduction == "none":
        return rows
    total = tree_sum(rows, range(rows.ndim), keepdims=False) if rows.ndim else rows
    return np.asarray(total / rows.size if reduction == "mean" else total)


def _weight(node: Node, g: Array, count: int) -> Array:
    """Return the gradient that each row or element of a loss receives."""
    reduction = node.params.get("reduction", "mean")
    return node.wide(g) / count if reduction == "mean" else node.wide(g)


def _cross_entropy(
    node: Node, x: Array, *, labels: Any, reduction: str = "mean", label_smoothing: float = 0.0
) -> Array:
    labels = _check_labels(node, x, labels)
    if not 0 <= label_smoothing <= 1:
        raise ShapeError(
            f"label_smoothing is a share of the target, from 0 to 1. Got {label_smoothing}. "
            "Use a value such as 0.1."
        )
    x = node.wide(x)
    shifted = _shifted(x, -1)
    powers = exp64(shifted)
    total = tree_sum(powers, -1)
    node.saved = (powers / total, labels)
    log_total = log64(total[..., 0])
    chosen = np.take_along_axis(shifted, labels[..., None], -1)[..., 0]
    rows = np.asarray(log_total - chosen)
    if label_smoothing:
        even = log_total - tree_sum(shifted, -1, keepdims=False) / x.shape[-1]
        rows = (1.0 - label_smoothing) * rows + label_smoothing * even
    return _reduce(np.asarray(rows), reduction)


def _cross_entropy_derivative(node: Node, g: Array) -> Array:
    shares, labels = node.saved
    classes = shares.shape[-1]
    smoothing = node.params.get("label_smoothing", 0.0)
    target = np.full(shares.shape, smoothing / classes)
    np.put_along_axis(target, labels[..., None], 1.0 - smoothing + smoothing / classes, -1)
    return np.asarray((shares - target) * _weight(node, g, labels.size)[..., None])


def _nll(node: Node, x: Array, *, labels: Any, reduction: str = "mean") -> Array:
    labels = _check_labels(node, x, labels)
    node.saved = labels
    return _reduce(-np.take_along_axis(node.wide(x), labels[..., None], -1)[..., 0], reduction)


def _nll_derivative(node: Node, g: Array) -> Array:
    labels: Array = node.saved
    out = np.zeros(node.inputs[0].shape)
    weight = np.broadcast_to(-_weight(node, g, labels.size), labels.shape)
    np.put_along_axis(out, labels[..., None], weight[..., None], -1)
    return out


# -- losses over elements ----------------------------------------------------------------------------


def _check_targets(node: Node, x: Array, target: Array) -> None:
    if x.shape != target.shape:
        raise ShapeError(
            f"{node.op.name} compares two tensors of one shape. Got {x.shape} and {target.shape}. "
            "Reshape one of them."
        )
    if x.size == 0:
        raise ShapeError(
            f"{node.op.name} needs at least one element. Got shape {x.shape}. Skip an empty batch."
        )


def _mse(node: Node, x: Array, target: Array, *, reduction: str = "mean") -> Array:
    _check_targets(node, x, target)
    return _reduce(np.square(node.wide(x) - target), reduction)


def _mse_derivative(node: Node, g: Array) -> Array:
    return 2.0 * (node.wide(node.a) - node.b) * _weight(node, g, node.a.size)


def _bce_with_logits(node: Node, x: Array, target: Array, *, reduction: str = "mean") -> Array:
    _check_targets(node, x, target)
    x = node.wide(x)
    # -log of the probability of the target, without taking the logarithm of a rounded probability
    rows = softplus64(x) - x * target
    return _reduce(np.asarray(rows), reduction)


OPS = (
    Op(
        "softmax",
        wide(_softmax),
        (wide(_softmax_derivative),),
        "e ** a, divided by its sum along an axis",
        keeps_output=True,
    ),
    Op(
        "log_softmax",
        wide(_log_softmax),
        (wide(_log_softmax_derivative),),
        "the logarithm of softmax",
        keeps_output=True,
    ),
    Op(
        "cross_entropy",
        wide(_cross_entropy),
        (wide(_cross_entropy_derivative),),
        "-log softmax at the labels",
    ),
    Op("nll", wide(_nll), (wide(_nll_derivative),), "minus the log-probability at the labels"),
    Op(
        "mse",
        wide(_mse),
        (wide(_mse_derivative), wide(lambda n, g: -_mse_derivative(n, g))),
        "the squared difference",
        keeps=(0, 1),
    ),
    Op(
        "bce_with_logits",
        wide(_bce_with_logits),
        (
            wide(lambda n, g: (sigmoid64(n.wide(n.a)) - n.b) * _weight(n, g, n.a.size)),
            wide(lambda n, g: -n.wide(n.a) * _weight(n, g, n.a.size)),
        ),
        "the binary cross entropy of sigmoid(a) against a target",
        keeps=(0, 1),
    ),
)
