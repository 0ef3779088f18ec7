"""Which activations are there beside those of `elementwise`? Each a formula in float64, and its derivative.

Where a formula multiplies an infinity by 0, its argument is kept within what float64 can tell apart, so that an
infinity gives the limit: silu(-inf) is 0. A NaN stays one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, wide
from floatlab.errors import ShapeError
from floatlab.functions.float64 import exp64, expm1_64, sigmoid64, softplus64, tanh64

#: A function of x in float64, and of the operation's parameters.
Formula = Callable[..., Array]

_FAR = 800.0  # e ** -800 is 0 in float64


def _activation(name: str, value: Formula, slope: Formula, doc: str) -> Op:
    """Return the operation of an activation, made of its formula and its derivative's."""

    def forward(node: Node, x: Array, **params: Any) -> Array:
        return np.asarray(value(node.wide(x), **params), np.float64)

    def derivative(node: Node, g: Array) -> Array:
        return np.asarray(node.wide(g) * slope(node.wide(node.a), **node.params))

    return Op(name, wide(forward), (wide(derivative),), doc, keeps=(0,))


# -- smooth ------------------------------------------------------------------------------------------


def _silu(x: Array) -> Array:
    x = np.maximum(x, -_FAR)
    return np.asarray(x * sigmoid64(x))


def _silu_slope(x: Array) -> Array:
    x = np.clip(x, -_FAR, _FAR)
    return np.asarray(sigmoid64(x) * (1.0 + x * sigmoid64(-x)))


def _mish(x: Array) -> Array:
    x = np.maximum(x, -_FAR)
    return np.asarray(x * tanh64(softplus64(x)))


def _mish_slope(x: Array) -> Array:
    x = np.clip(x, -_FAR, _FAR)
    t = tanh64(softplus64(x))
    return np.asarray(t + x * sigmoid64(x) * (1.0 - t * t))


def _softsign(x: Array) -> Array:
    size = np.abs(x)
    return np.where(np.isinf(x), np.sign(x), x / (1.0 + size))


def _softsign_slope(x: Array) -> Array:
    return np.asarray(1.0 / np.square(1.0 + np.abs(x)))


def _logsigmoid(x: Array) -> Array:
    return -softplus64(np.negative(x))


def _logsigmoid_slope(x: Array) -> Array:
    return sigmoid64(np.negative(x))


# -- exponential below 0 -----------------------------------------------------------------------------


def _elu(x: Array, *, alpha: float = 1.0, scale: float = 1.0) -> Array:
    # The branch that is not taken must not overflow.
    return scale * np.where(x > 0.0, x, alpha * expm1_64(np.minimum(x, 0.0)))


def _elu_slope(x: Array, *, alpha: float = 1.0, scale: float = 1.0) -> Array:
    return scale * np.where(x > 0.0, 1.0, alpha * exp64(np.minimum(x, 0.0)))


# -- made of straight lines --------------------------------------------------------------------------


def _hardtanh(x: Array, *, low: float = -1.0, high: float = 1.0) -> Array:
    return np.clip(x, low, high)


def _hardtanh_slope(x: Array, *, low: float = -1.0, high: float = 1.0) -> Array:
    # At a bound it is 0, as in PyTorch.
    return np.where((x > low) & (x < high) | np.isnan(x), 1.0, 0.0)


def _hardsigmoid(x: Array) -> Array:
    return np.asarray(np.clip(x + 3.0, 0.0, 6.0) / 6.0)


def _hardsigmoid_slope(x: Array) -> Array:
    return np.where((x > -3.0) & (x < 3.0) | np.isnan(x), 1.0 / 6.0, 0.0)


def _hardswish(x: Array) -> Array:
    return np.asarray(np.maximum(x, -3.0) * np.clip(x + 3.0, 0.0, 6.0) / 6.0)


def _hardswish_slope(x: Array) -> Array:
    return np.where(x <= -3.0, 0.0, np.where(x >= 3.0, 1.0, x / 3.0 + 0.5))


# -- with a weight of its own ------------------------------------------------------------------------


def _prelu(node: Node, x: Array, weight: Array) -> Array:
    try:
        fits = np.broadcast_shapes(x.shape, weight.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"prelu has one slope, or one for each channel. Got {weight.shape} for x of shape {x.shape}. "
            "Check num_parameters."
        )
    return np.where(x > 0, x, node.wide(x) * weight)


def _prelu_input(node: Node, g: Array) -> Array:
    return np.where(node.a > 0, g, node.wide(g) * node.b)


def _prelu_weight(node: Node, g: Array) -> Array:
    return np.where(node.a > 0, 0.0, node.wide(g) * node.a)


OPS = (
    _activation("silu", _silu, _silu_slope, "a times sigmoid(a)"),
    _activation("mish", _mish, _mish_slope, "a times tanh(softplus(a))"),
    _activation("softsign", _softsign, _softsign_slope, "a / (1 + |a|)"),
    _activation("logsigmoid", _logsigmoid, _logsigmoid_slope, "the logarithm of sigmoid(a)"),
    _activation("elu", _elu, _elu_slope, "a where positive, alpha (e ** a - 1) elsewhere, times scale"),
    _activation("hardtanh", _hardtanh, _hardtanh_slope, "a, kept between low and high"),
    _activation("hardsigmoid", _hardsigmoid, _hardsigmoid_slope, "(a + 3) / 6, kept between 0 and 1"),
    _activation("hardswish", _hardswish, _hardswish_slope, "a times hardsigmoid(a)"),
    Op(
        "prelu",
        wide(_prelu),
        (wide(_prelu_input), wide(_prelu_weight)),
        "a where positive, weight * a elsewhere",
        keeps=(0, 1),
    ),
)
