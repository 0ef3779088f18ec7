"""Which rectifiers are smooth, or leak? gelu, softplus and leaky_relu: formulas of several steps in float64."""

from __future__ import annotations

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, rounded, wide
from floatlab.autograd.ops.elementwise import evaluated
from floatlab.autograd.rounding import combine, round_to
from floatlab.errors import check_option
from floatlab.functions.float64 import erf64, exp64, gelu64, sigmoid64, softplus64

_SQRT_HALF = 0.7071067811865476
_SQRT_2_OVER_PI = 0.7978845608028654
_1_OVER_SQRT_2PI = 0.3989422804014327


def _gelu(node: Node, x: Array, *, approximate: str = "none") -> Array:
    check_option("approximate", approximate, ("none", "tanh"))
    if approximate == "none":
        return evaluated("gelu", node, x)
    x = node.wide(x)
    half = _half(x)
    share = np.where(half == 0, 0.0, half)  # (1 + tanh t) / 2, and not -infinity times 0 far below
    return round_to(np.where(half == 0, -0.0, x) * share, node.target, node.arithmetic)


def _half(x: Array) -> Array:
    """Return (1 + tanh t) / 2 = sigmoid(2t) of the approximation of gelu."""
    return sigmoid64(np.asarray(2.0 * _SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)))


def _gelu_derivative(node: Node, g: Array) -> Array:
    """Return g times the slope, which is 1 far above, 0 far below, and at infinity what it tends to."""
    x = node.wide(node.a)
    if node.params.get("approximate") == "tanh":
        half = _half(x)
        bend = half * (1.0 - half)  # falls faster than anything that it is multiplied with
        slope = 2.0 * _SQRT_2_OVER_PI * (1.0 + 3 * 0.044715 * x * x)
        return np.asarray(g * (half + np.where(bend == 0, 0.0, x * bend * slope)))
    density = exp64(np.asarray(-0.5 * x * x)) * _1_OVER_SQRT_2PI
    below = gelu64(np.minimum(x, -0.5)) / np.minimum(
        x, -0.5
    )  # the distribution function without cancellation
    share = np.where(x < -0.5, below, 0.5 * (1.0 + erf64(np.asarray(x * _SQRT_HALF))))
    return np.asarray(g * (np.where(x == -np.inf, 0.0, share) + np.where(density == 0, 0.0, x * density)))


def _softplus(node: Node, x: Array, *, beta: float = 1.0) -> Array:
    if beta == 1:
        return evaluated("softplus", node, x)
    return round_to(softplus64(node.wide(x) * beta) / beta, node.target, node.arithmetic)


def _softplus_derivative(node: Node, g: Array) -> Array:
    return np.asarray(g * sigmoid64(np.asarray(node.wide(node.a) * node.params.get("beta", 1.0))))


def _leaky_relu(node: Node, x: Array, *, slope: float = 0.01) -> Array:
    return np.where(x > 0, x, combine(node, np.multiply, x, np.array(float(slope)), np.float64))


def _leaky_relu_derivative(node: Node, g: Array) -> Array:
    slope = np.array(float(node.params.get("slope", 0.01)))
    return np.where(node.a > 0, g, combine(node, np.multiply, g, slope, np.float64))


OPS = (
    Op(
        "leaky_relu",
        wide(_leaky_relu),
        (wide(_leaky_relu_derivative),),
        "a where positive, slope * a elsewhere",
        keeps=(0,),
    ),
    Op(
        "gelu",
        rounded(_gelu),
        (wide(_gelu_derivative),),
        "a times the normal distribution function of a",
        keeps=(0,),
    ),
    Op(
        "softplus",
        rounded(_softplus),
        (wide(_softplus_derivative),),
        "log(1 + e ** (beta a)) / beta",
        keeps=(0,),
    ),
)
