"""The losses that compare element by element: two tensors of one shape. Each is taken in float64 and rounded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, wide
from floatlab.autograd.ops.losses import reduced, weight_of
from floatlab.errors import DataError, ShapeError
from floatlab.functions.float64 import exp64, log1p64, log64, sigmoid64, softplus64

#: A loss of an element: (the node, x and its target in float64) to a float64.
Formula = Callable[[Node, Array, Array], Array]


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


def _count(node: Node, x: Array) -> int:
    """Return by what a mean divides: the number of elements, or of examples for "batchmean"."""
    return len(x) if node.params.get("reduction") == "batchmean" and x.ndim else x.size


def _loss(name: str, value: Formula, by_input: Formula, by_target: Formula, doc: str) -> Op:
    """Return the operation of a loss, made of the formulas for one element and for its two derivatives."""

    def forward(node: Node, x: Array, target: Array, **options: Any) -> Array:
        _check_targets(node, x, target)
        rows = np.asarray(value(node, node.wide(x), node.wide(target)))
        reduction = options.get("reduction", "mean")
        return reduced(rows, "mean" if reduction == "batchmean" else reduction, _count(node, x))

    def derivative(formula: Formula) -> Callable[[Node, Array], Array]:
        return lambda node, g: np.asarray(
            formula(node, node.wide(node.a), node.wide(node.b)) * weight_of(node, g, _count(node, node.a))
        )

    kernels = (wide(derivative(by_input)), wide(derivative(by_target)))
    return Op(name, wide(forward), kernels, doc, keeps=(0, 1))


# -- squares and magnitudes --------------------------------------------------------------------------


def _knee(node: Node) -> float:
    return float(node.params.get("beta", 1.0))


def _smooth_l1(node: Node, x: Array, target: Array) -> Array:
    size, knee = np.abs(x - target), _knee(node)
    if knee == 0.0:
        return np.asarray(size)
    return np.where(size < knee, 0.5 * size * size / knee, size - 0.5 * knee)


def _smooth_l1_slope(node: Node, x: Array, target: Array) -> Array:
    difference, knee = x - target, _knee(node)
    if knee == 0.0:
        return np.sign(difference)
    return np.where(np.abs(difference) < knee, difference / knee, np.sign(difference))


def _huber(node: Node, x: Array, target: Array) -> Array:
    size, knee = np.abs(x - target), float(node.params.get("delta", 1.0))
    return np.where(size < knee, 0.5 * size * size, knee * (size - 0.5 * knee))


def _huber_slope(node: Node, x: Array, target: Array) -> Array:
    knee = float(node.params.get("delta", 1.0))
    return np.clip(x - target, -knee, knee)


# -- binary cross entropy ----------------------------------------------------------------------------


def _times(share: Array, cost: Array) -> Array:
    """Return a share of a cost; 0 of it is 0, even of an infinite one."""
    return np.where(share == 0.0, 0.0, share * cost)


def _logits(node: Node, x: Array, target: Array) -> Array:
    # Two costs that are never negative: there is nothing that cancels, as there would be in softplus(x) - x * target.
    positive = node.params.get("pos_weight", 1.0) * target
    return node.params.get("weight", 1.0) * (
        _times(1.0 - target, softplus64(x)) + _times(positive, softplus64(np.negative(x)))
    )


def _logits_slope(node: Node, x: Array, target: Array) -> Array:
    positive = node.params.get("pos_weight", 1.0) * target
    return node.params.get("weight", 1.0) * (
        (1.0 - target) * sigmoid64(x) - positive * sigmoid64(np.negative(x))
    )


def _logits_target_slope(node: Node, x: Array, target: Array) -> Array:
    weight = node.params.get("weight", 1.0)
    if "pos_weight" not in node.params:
        return np.asarray(weight * -x)
    return np.asarray(weight * (node.params["pos_weight"] * softplus64(np.negative(x)) - softplus64(x)))


def _probabilities(node: Node, p: Array, target: Array) -> Array:
    outside = ~((p >= 0.0) & (p <= 1.0)) & ~np.isnan(p)
    if outside.any():
        raise DataError(
            f"binary_cross_entropy needs probabilities from 0 to 1. Got {p[outside].reshape(-1)[0]!r}. "
            "Put a sigmoid before it, or use binary_cross_entropy_with_logits."
        )
    # As in PyTorch, a logarithm is at least -100.
    yes, no = np.maximum(log64(p), -100.0), np.maximum(log1p64(np.negative(p)), -100.0)
    return np.asarray(-node.params.get("weight", 1.0) * (target * yes + (1.0 - target) * no))


def _probabilities_slope(node: Node, p: Array, target: Array) -> Array:
    # As in PyTorch, which bounds the divisor where it bounds the logarithms.
    return np.asarray(node.params.get("weight", 1.0) * (p - target) / np.maximum(p * (1.0 - p), 1e-12))


def _probabilities_target_slope(node: Node, p: Array, target: Array) -> Array:
    yes, no = np.maximum(log64(p), -100.0), np.maximum(log1p64(np.negative(p)), -100.0)
    return np.asarray(node.params.get("weight", 1.0) * (no - yes))


# -- Kullback-Leibler divergence ---------------------------------------------------------------------


def _kl(node: Node, x: Array, target: Array) -> Array:
    if node.params.get("log_target", False):
        return np.asarray(exp64(target) * (target - x))
    return _times(target, log64(np.where(target == 0.0, 1.0, target)) - x)


def _kl_slope(node: Node, x: Array, target: Array) -> Array:
    return -(exp64(target) if node.params.get("log_target", False) else target)


def _kl_target_slope(node: Node, x: Array, target: Array) -> Array:
    if node.params.get("log_target", False):
        return np.asarray(exp64(target) * (target - x + 1.0))
    return np.asarray(log64(target) + 1.0 - x)


OPS = (
    _loss(
        "mse",
        lambda n, x, t: np.square(x - t),
        lambda n, x, t: 2.0 * (x - t),
        lambda n, x, t: 2.0 * (t - x),
        "the squared difference",
    ),
    _loss(
        "l1",
        lambda n, x, t: np.abs(x - t),
        lambda n, x, t: np.sign(x - t),
        lambda n, x, t: np.sign(t - x),
        "the magnitude of the difference",
    ),
    _loss(
        "smooth_l1",
        _smooth_l1,
        _smooth_l1_slope,
        lambda n, x, t: -_smooth_l1_slope(n, x, t),
        "the magnitude of the difference, a parabola near 0",
    ),
    _loss(
        "huber",
        _huber,
        _huber_slope,
        lambda n, x, t: -_huber_slope(n, x, t),
        "half the squared difference, a straight line far from 0",
    ),
    _loss(
        "bce_with_logits",
        _logits,
        _logits_slope,
        _logits_target_slope,
        "the binary cross entropy of sigmoid(a) against a target",
    ),
    _loss(
        "bce",
        _probabilities,
        _probabilities_slope,
        _probabilities_target_slope,
        "the binary cross entropy of probabilities against a target",
    ),
    _loss(
        "kl_div",
        _kl,
        _kl_slope,
        _kl_target_slope,
        "the Kullback-Leibler divergence of a target from log-probabilities",
    ),
)
