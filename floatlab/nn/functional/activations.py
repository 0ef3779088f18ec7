"""Activations, softmax and dropout: what stands between the products."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd import Tensor, apply
from floatlab.autograd.randomness import source
from floatlab.errors import OptionError, ShapeError, check_switch
from floatlab.nn.arguments import Rng, number, probability

__all__ = [
    "dropout",
    "dropout2d",
    "elu",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """Return max(x, 0), which never rounds; `inplace` writes it to `x`, as ``x.relu_()`` does."""
    if inplace is not False and check_switch("inplace", inplace):
        return x.relu_()
    return apply("relu", x)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Return x where it is positive, negative_slope * x elsewhere."""
    return apply("leaky_relu", x, slope=number("negative_slope", negative_slope))


def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """Return x where it is positive, weight * x elsewhere: one slope, or one for each channel (axis 1)."""
    if weight.ndim != 1 or weight.size not in (1, x.shape[1] if x.ndim > 1 else 1):
        raise ShapeError(
            f"prelu has one slope, or one for each channel. Got {weight.shape} for x of shape {x.shape}. "
            "Check num_parameters."
        )
    if weight.size > 1 and x.ndim > 2:
        weight = weight.reshape(-1, *(1,) * (x.ndim - 2))
    return apply("prelu", x, weight)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return x where it is positive, alpha * (e^x - 1) elsewhere (Clevert et al. 2015)."""
    return apply("elu", x, alpha=number("alpha", alpha))


def selu(x: Tensor) -> Tensor:
    """Return `elu` with the two constants that keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return apply("elu", x, alpha=1.6732632423543772848170429916717, scale=1.0507009873554804934193349852946)


def silu(x: Tensor) -> Tensor:
    """Return x * sigmoid(x), also called swish."""
    return apply("silu", x)


def mish(x: Tensor) -> Tensor:
    """Return x * tanh(softplus(x)) (Misra 2019)."""
    return apply("mish", x)


def hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Return x, kept between two bounds; at a bound there is no gradient."""
    low, high = number("min_val", min_val), number("max_val", max_val)
    if not low < high:
        raise OptionError(f"min_val is below max_val. Got {min_val!r} and {max_val!r}. Exchange them.")
    return apply("hardtanh", x, low=low, high=high)


def relu6(x: Tensor) -> Tensor:
    """Return x, kept between 0 and 6."""
    return apply("hardtanh", x, low=0.0, high=6.0)


def hardsigmoid(x: Tensor) -> Tensor:
    """Return (x + 3) / 6, kept between 0 and 1."""
    return apply("hardsigmoid", x)


def hardswish(x: Tensor) -> Tensor:
    """Return x times `hardsigmoid` of x (Howard et al. 2019)."""
    return apply("hardswish", x)


def softsign(x: Tensor) -> Tensor:
    """Return ``x / (1 + |x|)``."""
    return apply("softsign", x)


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return apply("tanh", x)


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + e^-x)."""
    return apply("sigmoid", x)


def logsigmoid(x: Tensor) -> Tensor:
    """Return the logarithm of sigmoid, which stays accurate where sigmoid is 1 or 0."""
    return apply("logsigmoid", x)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """Return x times the normal distribution function of x; `approximate="tanh"` is the usual short cut."""
    return apply("gelu", x, approximate=approximate)


def softplus(x: Tensor, beta: float = 1.0) -> Tensor:
    """Return log(1 + e^(beta x)) / beta."""
    return apply("softplus", x, beta=number("beta", beta, 0.0, beyond=True))


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Return e^x divided by its sum along an axis."""
    return apply("softmax", x, axis=dim)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Return the logarithm of softmax."""
    return apply("log_softmax", x, axis=dim)


def dropout(x: Tensor, p: float = 0.5, training: bool = True, *, rng: Rng = None) -> Tensor:
    """Set each element to zero with probability `p` and divide the rest by 1 - p, if training."""
    return _drop(x, probability("p", p), training, x.shape, rng)


def dropout2d(x: Tensor, p: float = 0.5, training: bool = True, *, rng: Rng = None) -> Tensor:
    """Set each whole channel of each example to zero with probability `p` and divide the rest by 1 - p."""
    if x.ndim < 2:
        raise ShapeError(f"dropout2d needs x of shape (N, C, ...). Got {x.shape}. Add an axis for the batch.")
    return _drop(x, probability("p", p), training, (*x.shape[:2], *(1,) * (x.ndim - 2)), rng)


def _drop(x: Tensor, p: float, training: bool, shape: tuple[int, ...], rng: Any) -> Tensor:
    """Drop what falls below `p` in draws of a shape that broadcasts to that of x."""
    if not training or p == 0.0:
        return x
    # 24 random bits an element: the same on every machine, and exact in float32.
    draws = source(rng).random(shape, dtype=np.float32)
    return apply("dropout", x, mask=np.broadcast_to(draws >= p, x.shape), p=p)
