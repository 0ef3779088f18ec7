"""Which layers have weights or random numbers? Linear, Embedding, Dropout; and those that are a function.

The formulas are in functional.py; a layer holds the parameters and calls it. Weights start as in PyTorch,
from `rng`: a `numpy.random.Generator`, which layers can share, or a seed. Without one they differ from
run to run.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np

from floatlab.autograd import Tensor
from floatlab.autograd.ops.losses import REDUCTIONS
from floatlab.errors import OptionError, check_option
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn import init
from floatlab.nn.module import Module, Parameter

__all__ = [
    "GELU",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "NLLLoss",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]

Rng = np.random.Generator | int | None


def positive(**sizes: int) -> None:
    """Raise OptionError if one of the sizes is not an integer of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            raise OptionError(f"{name} is an integer of at least 1. Got {size!r}. Give the layer a size.")


class Linear(Module):
    """``y = x @ weight.T + bias``: x of shape (..., in_features) gives (..., out_features).

    Examples
    --------
    >>> import floatlab as fl
    >>> layer = Linear(3, 2, rng=0)
    >>> layer(fl.Tensor([[1.0, 2.0, 3.0]])).shape
    (1, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Rng = None) -> None:
        super().__init__()
        positive(in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        generator = np.random.default_rng(rng)
        self.weight = Parameter(np.zeros((out_features, in_features), np.float32))
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0), rng=generator)
        self.register_parameter("bias", Parameter(np.zeros(out_features, np.float32)) if bias else None)
        if bias:
            init.fill_bias_(self.bias, in_features, rng=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x @ weight.T + bias``."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Embedding(Module):
    """A table of `num_embeddings` rows of length `embedding_dim`, looked up by an array of integers.

    Examples
    --------
    >>> Embedding(10, 4, rng=0)([[1, 2], [3, 9]]).shape
    (2, 2, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, *, rng: Rng = None) -> None:
        super().__init__()
        positive(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(np.zeros((num_embeddings, embedding_dim), np.float32))
        init.normal_(self.weight, rng=rng)

    def forward(self, indices: Any) -> Tensor:
        """Return the rows with these indices."""
        return F.embedding(indices, self.weight)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


class Dropout(Module):
    """Sets each element to zero with probability `p` while training, and divides the rest by 1 - p.

    Examples
    --------
    >>> import floatlab as fl
    >>> Dropout(0.5, rng=0)(fl.Tensor([1.0, 1.0, 1.0, 1.0])).data
    array([2., 2., 2., 0.], dtype=float32)
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise OptionError(f"p is a probability. Got {p!r}. Give a number from 0 to 1.")
        self.p = p
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training; return `x` itself otherwise."""
        return F.dropout(x, self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"p={self.p}"


_CHOICES = {"approximate": ("none", "tanh"), "reduction": REDUCTIONS}


class _Function(Module):
    """A layer without weights: a function of `functional` and its options, which become attributes."""

    _function: Any

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options
        known = list(inspect.signature(self._function).parameters)[1:]
        for name, value in options.items():
            if name not in known:
                raise OptionError(
                    f"{type(self).__name__} takes {', '.join(known) or 'no options'}. Got {name!r}. Leave it out."
                )
            if name in _CHOICES:  # an unknown one is an error now, not in the first batch
                check_option(name, value, _CHOICES[name])
            setattr(self, name, value)

    def forward(self, *inputs: Any) -> Tensor:
        """Call the function."""
        result: Tensor = type(self)._function(*inputs, **self._options)
        return result

    def extra_repr(self) -> str:
        """Return the options."""
        return ", ".join(f"{name}={value!r}" for name, value in self._options.items())


class Identity(_Function):
    """Returns its input."""

    _function = staticmethod(lambda x: x)


class ReLU(_Function):
    """max(x, 0)."""

    _function = staticmethod(F.relu)


class Tanh(_Function):
    """The hyperbolic tangent."""

    _function = staticmethod(F.tanh)


class Sigmoid(_Function):
    """1 / (1 + e^-x)."""

    _function = staticmethod(F.sigmoid)


class LeakyReLU(_Function):
    """x where it is positive, negative_slope * x elsewhere."""

    _function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(negative_slope=negative_slope)


class GELU(_Function):
    """x times the normal distribution function of x (Hendrycks and Gimpel 2016)."""

    _function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class Softplus(_Function):
    """log(1 + e^(beta x)) / beta."""

    _function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__(beta=beta)


class Softmax(_Function):
    """e^x divided by its sum along an axis."""

    _function = staticmethod(F.softmax)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class LogSoftmax(_Function):
    """The logarithm of softmax."""

    _function = staticmethod(F.log_softmax)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Flatten(_Function):
    """Makes the axes from `start_dim` to `end_dim` one; the batch axis stays."""

    _function = staticmethod(F.flatten)

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__(start_dim=start_dim, end_dim=end_dim)


class MaxPool2d(_Function):
    """The largest value of each window of images (N, C, H, W)."""

    _function = staticmethod(F.max_pool2d)

    def __init__(self, kernel_size: F.Pair, stride: F.Pair | None = None, padding: F.Pair = 0) -> None:
        super().__init__(kernel_size=kernel_size, stride=stride, padding=padding)


class AvgPool2d(_Function):
    """The mean of each window of images (N, C, H, W)."""

    _function = staticmethod(F.avg_pool2d)

    def __init__(self, kernel_size: F.Pair, stride: F.Pair | None = None, padding: F.Pair = 0) -> None:
        super().__init__(kernel_size=kernel_size, stride=stride, padding=padding)


class CrossEntropyLoss(_Function):
    """Minus the log of the softmax of scores (N, classes) at integer labels (N,)."""

    _function = staticmethod(F.cross_entropy)

    def __init__(self, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(reduction=reduction, label_smoothing=label_smoothing)


class NLLLoss(_Function):
    """Minus the log-probabilities (N, classes) at integer labels (N,)."""

    _function = staticmethod(F.nll_loss)

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class MSELoss(_Function):
    """The squared difference of two tensors of one shape."""

    _function = staticmethod(F.mse_loss)

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class BCEWithLogitsLoss(_Function):
    """The cross entropy of sigmoid(x) against targets from 0 to 1."""

    _function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
