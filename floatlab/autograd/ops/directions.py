"""The operations of vectors along one axis: their sum in the exponent, their product, their direction.

All are taken in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np

from floatlab.autograd.operation import Array, Kernel, Node, Op, wide
from floatlab.autograd.ops.reductions import Axis, axes_of, need_elements, spread
from floatlab.autograd.rounding import tree_sum
from floatlab.functions.float64 import exp64, log64


def _logsumexp(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    need_elements(node, "logsumexp")
    axes, values = axes_of(axis, x.ndim), node.wide(x)
    largest = values.max(axis=axes, keepdims=True) + 0.0
    shift = np.where(np.isfinite(largest), largest, 0.0)
    total = np.asarray(log64(tree_sum(exp64(values - shift), axes)) + shift)
    node.saved = total
    return np.array(total if keepdims else np.squeeze(total, axes))


def _logsumexp_derivative(node: Node, g: Array) -> Array:
    finite = np.isfinite(node.saved)
    shares = exp64(node.wide(node.a) - np.where(finite, node.saved, 0.0))
    return np.asarray(
        node.wide(spread(node, g)) * np.where(finite, shares, np.nan)
    )  # NaN there, as in PyTorch


def _prod(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    axes = axes_of(axis, x.ndim)
    product = np.ones(tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
    for factor in _along(node.wide(x), axes):
        product = product * factor.reshape(product.shape)
    return np.array(product if keepdims else np.squeeze(product, axes))


def _along(x: Array, axes: tuple[int, ...]) -> Array:
    """Return the elements along some axes as the first axis, in their order."""
    rest = [a for a in range(x.ndim) if a not in axes]
    return x.transpose([*axes, *rest]).reshape(-1, *(x.shape[a] for a in rest))


def _prod_derivative(node: Node, g: Array) -> Array:
    """Return g times the product of all others, which is there even where a factor is 0."""
    axes = axes_of(node.params.get("axis"), node.a.ndim)
    factors = _along(node.wide(node.a), axes)
    others = np.ones(factors.shape)
    others[1:] = np.multiply.accumulate(factors[:-1], axis=0)
    others[:-1] *= np.multiply.accumulate(factors[:0:-1], axis=0)[::-1]
    rest = [a for a in range(node.a.ndim) if a not in axes]
    order = [*axes, *rest]
    back = others.reshape([node.a.shape[a] for a in order]).transpose(np.argsort(order))
    return np.asarray(node.wide(spread(node, g)) * back)


# -- directions --------------------------------------------------------------------------------------


def _length(x: Array, p: float, axis: int) -> Array:
    return tree_sum(np.abs(x), axis) if p == 1 else np.sqrt(tree_sum(x * x, axis))


def _normalize(node: Node, x: Array, *, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Array:
    values = node.wide(x)
    return np.asarray(values / np.maximum(_length(values, p, axis), eps))


def _normalize_derivative(node: Node, g: Array) -> Array:
    p, axis, eps = (node.params.get(name, usual) for name, usual in (("p", 2.0), ("axis", 1), ("eps", 1e-12)))
    x, slope = node.wide(node.a), node.wide(g)
    length = _length(x, p, axis)
    divisor = np.maximum(length, eps)
    inner = np.where(length > eps, tree_sum(slope * x, axis) / (divisor * divisor), 0.0)
    return np.asarray(slope / divisor - inner * (np.sign(x) if p == 1 else x / divisor))


def _cosine(node: Node, a: Array, b: Array, *, axis: int = 1, eps: float = 1e-8) -> Array:
    x, y = np.broadcast_arrays(node.wide(a), node.wide(b))
    lengths = np.maximum(_length(x, 2.0, axis), eps), np.maximum(_length(y, 2.0, axis), eps)
    return np.asarray(np.squeeze(tree_sum(x * y, axis) / (lengths[0] * lengths[1]), axis))


def _cosine_derivative(own: int) -> Kernel:
    def kernel(node: Node, g: Array) -> Array:
        axis, eps = node.params.get("axis", 1), node.params.get("eps", 1e-8)
        both = np.broadcast_arrays(node.wide(node.a), node.wide(node.b))
        x, y = both[own], both[1 - own]
        length = _length(x, 2.0, axis)
        mine, other = np.maximum(length, eps), np.maximum(_length(y, 2.0, axis), eps)
        cosine = tree_sum(x * y, axis) / (mine * other)
        turned = y / (mine * other) - np.where(length > eps, cosine, 0.0) * x / (mine * mine)
        return np.asarray(np.expand_dims(node.wide(g), axis) * turned)

    return wide(kernel)


OPS = (
    Op(
        "logsumexp",
        wide(_logsumexp),
        (wide(_logsumexp_derivative),),
        "the logarithm of the sum of e**a",
        keeps=(0,),
    ),
    Op("prod", wide(_prod), (wide(_prod_derivative),), "the product over axes", keeps=(0,)),
    Op(
        "normalize",
        wide(_normalize),
        (wide(_normalize_derivative),),
        "a divided by its norm along an axis",
        keeps=(0,),
    ),
    Op(
        "cosine_similarity",
        wide(_cosine),
        (_cosine_derivative(0), _cosine_derivative(1)),
        "the cosine of the angle between two vectors along an axis",
        keeps=(0, 1),
    ),
)
