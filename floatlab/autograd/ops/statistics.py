"""The operations that describe many values by few: deviations, norms, running sums.

A deviation and a norm are taken in float64 and rounded once. A running sum is, at each place, the sum of all up to
there with the chosen accumulator.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, rounded, wide
from floatlab.autograd.ops.elementwise import power64
from floatlab.autograd.ops.reductions import Axis, axes_of, need_elements, spread
from floatlab.autograd.rounding import running_sums, tree_sum
from floatlab.errors import DtypeError


def _std(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False, correction: int = 1) -> Array:
    count = need_elements(node, "standard deviation")
    axes = axes_of(axis, x.ndim)
    centred = node.wide(x) - tree_sum(node.wide(x), axes) / count
    deviation = np.sqrt(tree_sum(centred * centred, axes) / np.float64(count - correction))
    node.saved = centred, deviation, np.float64(count - correction)
    # a copy: what is returned is rounded in place, and the derivative needs what it was
    return np.array(deviation if keepdims else np.squeeze(deviation, axes))


def _std_derivative(node: Node, g: Array) -> Array:
    centred, deviation, divisor = node.saved
    slope = centred / (divisor * deviation)
    return np.asarray(node.wide(spread(node, g)) * np.where(deviation == 0, 0.0, slope))  # 0, as in PyTorch


def _norm(node: Node, x: Array, *, p: float = 2.0, axis: Axis = None, keepdims: bool = False) -> Array:
    size, axes = np.abs(node.wide(x)), axes_of(axis, x.ndim)
    if math.isinf(p):
        need_elements(node, "norm of infinite order")
        length = (np.max if p > 0 else np.min)(size, axis=axes, keepdims=True)
    elif p == 0:
        length = tree_sum((size != 0).astype(np.float64), axes)
    elif p == 1:
        length = tree_sum(size, axes)
    elif p == 2:
        length = np.sqrt(tree_sum(size * size, axes))
    else:
        length = power64(tree_sum(power64(size, np.array(p)), axes), np.array(1.0 / p))
    node.saved = length
    return np.array(length if keepdims else np.squeeze(length, axes))


def _norm_derivative(node: Node, g: Array) -> Array:
    x, length, p = node.wide(node.a), node.saved, node.params.get("p", 2.0)
    share = np.abs(x) / length
    if math.isinf(p):  # equal extremes share, as in PyTorch
        chosen = np.abs(x) == length
        slope = (
            np.sign(x)
            * chosen
            / tree_sum(chosen.astype(np.float64), axes_of(node.params.get("axis"), x.ndim))
        )
    elif p == 0:
        slope = np.zeros(x.shape)
    else:
        slope = (
            np.sign(x) if p == 1 else np.sign(x) * (share if p == 2 else power64(share, np.array(p - 1.0)))
        )
    return np.asarray(node.wide(spread(node, g)) * np.where((length == 0) | (x == 0), 0.0, slope))


def _cumsum(node: Node, x: Array, *, axis: int) -> Array:
    (along,) = axes_of(axis, x.ndim)
    node.arithmetic.check_sums()
    return running_sums(x, along, node.inputs[0].format, node.target, node.arithmetic)


def _cumsum_derivative(node: Node, g: Array) -> Array:
    (along,) = axes_of(node.params["axis"], g.ndim)
    backwards = np.ascontiguousarray(np.flip(g, along))
    sums = running_sums(backwards, along, node.gradient_format, node.target, node.arithmetic)
    return np.ascontiguousarray(np.flip(sums, along))


def check_order(p: Any) -> float:
    """Return the order of a norm as a number; "fro" is 2."""
    if p in ("fro", None):
        return 2.0
    if isinstance(p, int | float) and p == p:
        return float(p)
    raise DtypeError(f'The order of a norm is a number, or "fro". Got {p!r}. Use 2, 1 or float("inf").')


OPS = (
    Op("std", wide(_std), (wide(_std_derivative),), "the standard deviation over axes"),
    Op("norm", wide(_norm), (wide(_norm_derivative),), "the norm over axes, of order p", keeps=(0,)),
    Op("cumsum", rounded(_cumsum), (rounded(_cumsum_derivative),), "the sums up to each place along an axis"),
)
