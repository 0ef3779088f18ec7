"""Which layers have weights or random numbers? Linear, Embedding, PReLU, Dropout.

The formulas are in `functional`; a layer holds the parameters and calls it. Weights start as in PyTorch,
from `rng`: a `numpy.random.Generator`, which layers can share, or a seed. Without one they differ from
run to run.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.autograd import Tensor
from floatlab.autograd.randomness import source
from floatlab.errors import OptionError
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn import init
from floatlab.nn.arguments import Rng, is_whole, number, positive, probability, switches
from floatlab.nn.module import Module
from floatlab.nn.parameter import Parameter

__all__ = ["Dropout", "Dropout2d", "Embedding", "Linear", "PReLU"]


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
        switches(bias=bias)
        self.in_features, self.out_features = in_features, out_features
        generator = source(rng)
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

    The row `padding_idx` starts at zero and gets no gradient.

    Examples
    --------
    >>> Embedding(10, 4, rng=0)([[1, 2], [3, 9]]).shape
    (2, 2, 4)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, rng: Rng = None
    ) -> None:
        super().__init__()
        positive(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not (
            is_whole(padding_idx) and -num_embeddings <= padding_idx < num_embeddings
        ):
            raise OptionError(
                f"padding_idx is a row of the table, 0 to {num_embeddings - 1}. Got {padding_idx!r}. Use one of them."
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else int(padding_idx) % num_embeddings
        self.weight = Parameter(np.zeros((num_embeddings, embedding_dim), np.float32))
        init.normal_(self.weight, rng=rng)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0.0

    def forward(self, indices: Any) -> Tensor:
        """Return the rows with these indices."""
        return F.embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


class PReLU(Module):
    """x where it is positive, weight * x elsewhere; the weight, one or one a channel, is trained (He et al. 2015).

    Examples
    --------
    >>> import floatlab as fl
    >>> PReLU()(fl.Tensor([-4.0, 4.0])).tolist()
    [-1.0, 4.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        positive(num_parameters=num_parameters)
        self.num_parameters = num_parameters
        self.weight = Parameter(np.full(num_parameters, number("init", init), np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return x, its negative values times the weight."""
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """Return the number of weights."""
        return f"num_parameters={self.num_parameters}"


class Dropout(Module):
    """Sets each element to zero with probability `p` while training, and divides the rest by 1 - p.

    `inplace` is accepted and changes nothing: a new tensor is returned.

    Examples
    --------
    >>> import floatlab as fl
    >>> Dropout(0.5, rng=0)(fl.Tensor([1.0, 1.0, 1.0, 1.0])).data
    array([2., 2., 2., 0.], dtype=float32)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: Rng = None) -> None:
        super().__init__()
        switches(inplace=inplace)
        self.p, self.inplace = probability("p", p), bool(inplace)
        self.rng = source(rng)

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training; return `x` itself otherwise."""
        return F.dropout(x, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"p={self.p}"


class Dropout2d(Dropout):
    """Sets each channel of each image to zero with probability `p` while training, and divides the rest by 1 - p.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> Dropout2d(0.5, rng=0)(fl.Tensor(np.ones((1, 4, 1, 2)))).tolist()
    [[[[2.0, 2.0]], [[2.0, 2.0]], [[2.0, 2.0]], [[0.0, 0.0]]]]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop channels while training; return `x` itself otherwise."""
        return F.dropout2d(x, self.p, self.training, rng=self.rng)
