"""The normalising layers: over the batch, over each example, and over groups of its channels."""

from __future__ import annotations

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import OptionError, ShapeError
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn.arguments import number, positive, switches, whole_shape
from floatlab.nn.module import Module
from floatlab.nn.parameter import Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "RMSNorm"]


class _BatchNorm(Module):
    _axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        positive(num_features=num_features)
        switches(affine=affine, track_running_stats=track_running_stats)
        self.num_features = num_features
        self.eps, self.momentum = number("eps", eps, 0.0), number("momentum", momentum, 0.0)
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", Parameter(np.ones(num_features, np.float32)) if affine else None)
        self.register_parameter("bias", Parameter(np.zeros(num_features, np.float32)) if affine else None)
        if track_running_stats:
            self.register_buffer("running_mean", Tensor(np.zeros(num_features, np.float32)))
            self.register_buffer("running_var", Tensor(np.ones(num_features, np.float32)))
        else:
            self.running_mean = self.running_var = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel."""
        if x.ndim not in self._axes or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__} needs {' or '.join(str(n) for n in self._axes)} axes and "
                f"{self.num_features} channels (axis 1). Got shape {x.shape}. Check num_features."
            )
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L), channel by channel (Ioffe and Szegedy 2015).

    Examples
    --------
    >>> import floatlab as fl
    >>> BatchNorm1d(1)(fl.Tensor([[1.0], [3.0]])).data.round(3).tolist()
    [[-1.0], [1.0]]
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W), channel by channel.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> BatchNorm2d(3)(fl.Tensor(np.ones((2, 3, 4, 4)))).shape
    (2, 3, 4, 4)
    """

    _axes = (4,)


class LayerNorm(Module):
    """Normalises the last axes of each example by their own mean and variance (Ba et al. 2016).

    Examples
    --------
    >>> import floatlab as fl
    >>> LayerNorm(2)(fl.Tensor([[1.0, 3.0]])).data.round(3).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = whole_shape("normalized_shape", normalized_shape)
        switches(elementwise_affine=elementwise_affine, bias=bias)
        self.normalized_shape, self.eps = shape, number("eps", eps, 0.0)
        ones, zeros = np.ones(shape, np.float32), np.zeros(shape, np.float32)
        self.register_parameter("weight", Parameter(ones) if elementwise_affine else None)
        self.register_parameter("bias", Parameter(zeros) if elementwise_affine and bias else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axes."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """Divides the last axes of each example by the root of their mean square (Zhang and Sennrich 2019).

    Examples
    --------
    >>> import floatlab as fl
    >>> RMSNorm(2)(fl.Tensor([[1.0, 7.0]])).data.round(3).tolist()
    [[0.20000000298023224, 1.399999976158142]]
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__()
        shape = whole_shape("normalized_shape", normalized_shape)
        switches(elementwise_affine=elementwise_affine)
        self.normalized_shape, self.eps = shape, None if eps is None else number("eps", eps, 0.0)
        ones = np.ones(shape, np.float32)
        self.register_parameter("weight", Parameter(ones) if elementwise_affine else None)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the last axes."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Normalises groups of channels of each example (N, C, ...) by their own mean and variance (Wu and He 2018).

    Examples
    --------
    >>> import floatlab as fl
    >>> GroupNorm(2, 4)(fl.Tensor([[1.0, 3.0, 5.0, 9.0]])).data.round(3).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        positive(num_groups=num_groups, num_channels=num_channels)
        switches(affine=affine)
        if num_channels % num_groups:
            raise OptionError(
                f"num_groups divides num_channels. Got {num_groups} and {num_channels}. Use a divisor."
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, number("eps", eps, 0.0)
        ones, zeros = np.ones(num_channels, np.float32), np.zeros(num_channels, np.float32)
        self.register_parameter("weight", Parameter(ones) if affine else None)
        self.register_parameter("bias", Parameter(zeros) if affine else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each group."""
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm needs {self.num_channels} channels (axis 1). Got shape {x.shape}. Check num_channels."
            )
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
