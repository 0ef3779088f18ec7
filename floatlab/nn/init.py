"""Which numbers does a weight start from? Initialisation, the same bits on every machine for one seed.

The random numbers are those of `floatlab.autograd.randomness`.

Names and formulas are PyTorch's (torch.nn.init). Kaiming (also "He") is He et al. 2015, Xavier (also
"Glorot") is Glorot and Bengio 2010. Every function fills a tensor in place, rounded once to its format,
and returns it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from floatlab.autograd import Tensor
from floatlab.autograd.data_array import DataArray
from floatlab.autograd.randomness import Rng, source, standard_normal
from floatlab.errors import ShapeError, check_option
from floatlab.rounding.quantize import quantize

__all__ = [
    "calculate_gain",
    "constant_",
    "fill_bias_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "standard_normal",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Array = NDArray[np.float64]


def _fill(tensor: Tensor, values: Array) -> Tensor:
    if isinstance(tensor, DataArray):  # of `normal_(layer.weight.data)`
        tensor = tensor.as_tensor()
    tensor.array[...] = quantize(values, tensor.format)
    tensor.mark_changed()
    return tensor


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill `tensor` with numbers spread evenly over [low, high).

    >>> from floatlab import Tensor
    >>> uniform_(Tensor([0.0, 0.0]), -1.0, 1.0, rng=0).data
    array([ 0.27392337, -0.46042657], dtype=float32)
    """
    values = source(rng).random(tensor.shape)
    low, high = float(low), float(high)
    values = np.asarray(values * (high - low))
    return _fill(tensor, values + low)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill `tensor` with normal numbers of this mean and standard deviation."""
    values = np.asarray(standard_normal(tensor.shape, rng) * std)
    return _fill(tensor, values + mean)


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Fill `tensor` with one number, rounded to its format."""
    return _fill(tensor, np.full(tensor.shape, value))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with ones."""
    return constant_(tensor, 1.0)


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return how many inputs an output has, and how many outputs an input has.

    A weight has the shape (outputs, inputs, *kernel); a kernel multiplies both.
    """
    if tensor.ndim < 2:
        raise ShapeError(
            "A weight needs two axes, outputs and inputs, to be scaled by their number. Got shape "
            f"{tensor.shape}. "
            "Use uniform_, normal_ or zeros_."
        )
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def calculate_gain(nonlinearity: str, a: float = 0.0) -> float:
    """Return by how much to widen the weights before an activation that makes its input smaller.

    >>> calculate_gain("relu"), calculate_gain("tanh")
    (1.4142135623730951, 1.6666666666666667)
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1.0 + float(a) * float(a))),
    }
    check_option("nonlinearity", nonlinearity, gains)
    return gains[nonlinearity]


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    check_option("mode", mode, ("fan_in", "fan_out"))
    fan_in, fan_out = fans(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: Rng = None,
) -> Tensor:
    """Fill `tensor` uniformly within gain * sqrt(3 / fan): layers then keep the signal's variance."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: Rng = None,
) -> Tensor:
    """Fill `tensor` with normal numbers of standard deviation gain / sqrt(fan) ("He initialisation")."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), rng=rng)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return float(gain) * math.sqrt(2.0 / sum(fans(tensor)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill `tensor` uniformly within gain * sqrt(6 / (fan_in + fan_out)) ("Glorot initialisation")."""
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Fill `tensor` with normal numbers of standard deviation gain * sqrt(2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), rng=rng)


def fill_bias_(tensor: Tensor, fan_in: int, *, rng: Rng = None) -> Tensor:
    """Fill a bias uniformly within 1 / sqrt(fan_in), PyTorch's choice for linear layers and convolutions."""
    bound = 1.0 / math.sqrt(fan_in)
    return uniform_(tensor, -bound, bound, rng=rng)
