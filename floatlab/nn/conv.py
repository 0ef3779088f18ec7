"""The convolutions as layers: of images and of sequences, and the transposed one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.autograd import Tensor
from floatlab.autograd.randomness import source
from floatlab.errors import OptionError, check_option
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn import init
from floatlab.nn.arguments import Pair, Rng, is_whole, pair, positive, switches
from floatlab.nn.functional.products import padding_of
from floatlab.nn.module import Module
from floatlab.nn.parameter import Parameter

__all__ = ["Conv1d", "Conv2d", "ConvTranspose2d"]


class _Convolution(Module):
    """What all convolutions are made of: sizes, a weight and a bias."""

    kernel_size: Any
    stride: Any
    padding: Any

    def __init__(
        self,
        channels: tuple[int, int],
        weight_shape: tuple[int, ...],
        groups: int,
        bias: bool,
        rng: Rng,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = channels
        self.groups = int(groups)
        generator = source(rng)
        self.weight = Parameter(np.zeros(weight_shape, np.float32))
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0), rng=generator)
        self.register_parameter("bias", Parameter(np.zeros(channels[1], np.float32)) if bias else None)
        if bias:
            init.fill_bias_(self.bias, math.prod(weight_shape[1:]), rng=generator)

    def _surround(self, mode: str, sides: Any, axes: int = 2) -> None:
        """Note with what an image is surrounded, and by how much: (before, behind) for each axis."""
        self.padding_mode = mode
        both = [(side, side) if is_whole(side) else side for side in sides[-axes:]]
        self._around = tuple(n for side in reversed(both) for n in side)

    def _surrounded(self, x: Tensor) -> tuple[Tensor, Any]:
        """Return the images, surrounded by what is not 0, and the padding that is left to do."""
        if self.padding_mode == "zeros":
            return x, self.padding
        return F.pad(x, self._around, mode=self.padding_mode), 0

    def extra_repr(self) -> str:
        """Return the sizes, and what is not as usual."""
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ]
        parts += [f"padding={self.padding!r}"]
        usual: dict[str, Any] = {
            "padding_mode": ("zeros",),
            "dilation": (1, (1, 1)),
            "groups": (1,),
            "output_padding": ((0, 0),),
        }
        parts += [
            f"{name}={getattr(self, name)!r}"
            for name, values in usual.items()
            if hasattr(self, name) and getattr(self, name) not in values
        ]
        return ", ".join(parts)


_MODES = ("zeros", "reflect", "replicate", "circular")


def _check(
    in_channels: Any,
    out_channels: Any,
    groups: Any,
    bias: Any,
    padding_mode: Any,
    modes: tuple[str, ...] = _MODES,
) -> None:
    positive(in_channels=in_channels, out_channels=out_channels, groups=groups)
    switches(bias=bias)
    check_option("padding_mode", padding_mode, modes)
    if in_channels % groups or out_channels % groups:
        raise OptionError(
            f"groups divides in_channels and out_channels. Got {groups} for {in_channels} and {out_channels}. "
            "Use a divisor of both."
        )


class Conv2d(_Convolution):
    """Slides `out_channels` kernels over images (N, in_channels, H, W).

    The result has the height ``(H + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1``, and the width alike;
    with ``padding="same"`` that of the image. Arguments stand in PyTorch's order.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> layer = Conv2d(1, 8, kernel_size=3, padding=1, rng=0)
    >>> layer(fl.Tensor(np.zeros((2, 1, 8, 8)))).shape
    (2, 8, 8, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rng: Rng = None,
    ) -> None:
        _check(in_channels, out_channels, groups, bias, padding_mode)
        kernel = pair("kernel_size", kernel_size)
        sides = padding_of(padding, kernel, pair("stride", stride), pair("dilation", dilation))
        shape = (out_channels, in_channels // groups, *kernel)
        super().__init__((in_channels, out_channels), shape, groups, bias, rng)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
        self._surround(padding_mode, sides)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved images."""
        x, padding = self._surrounded(x)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Convolution):
    """Slides `out_channels` kernels over sequences (N, in_channels, L).

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> Conv1d(2, 4, 3, padding="same", rng=0)(fl.Tensor(np.zeros((5, 2, 9)))).shape
    (5, 4, 9)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rng: Rng = None,
    ) -> None:
        _check(in_channels, out_channels, groups, bias, padding_mode)
        positive(kernel_size=kernel_size, stride=stride, dilation=dilation)
        if not isinstance(padding, str) and not (is_whole(padding) and padding >= 0):
            raise OptionError(f'padding is an integer of at least 0. Got {padding!r}. Use 0, or "same".')
        sides = padding_of(padding, (1, kernel_size), (1, stride), (1, dilation))
        shape = (out_channels, in_channels // groups, kernel_size)
        super().__init__((in_channels, out_channels), shape, groups, bias, rng)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self._surround(padding_mode, sides, axes=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved sequences."""
        x, padding = self._surrounded(x)
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvTranspose2d(_Convolution):
    """Spreads each pixel of images (N, in_channels, H, W) over a window: what a convolution does to its gradient.

    The weight has the shape (in_channels, out_channels / groups, height, width), as in PyTorch. The result has the
    height ``(H - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1``.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> ConvTranspose2d(8, 1, 2, stride=2, rng=0)(fl.Tensor(np.zeros((2, 8, 4, 4)))).shape
    (2, 1, 8, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        padding_mode: str = "zeros",
        *,
        rng: Rng = None,
    ) -> None:
        _check(in_channels, out_channels, groups, bias, padding_mode, ("zeros",))
        kernel = pair("kernel_size", kernel_size)
        settings = {
            "stride": pair("stride", stride),
            "padding": pair("padding", padding, 0),
            "output_padding": pair("output_padding", output_padding, 0),
            "dilation": pair("dilation", dilation),
        }
        shape = (in_channels, out_channels // groups, *kernel)
        super().__init__((in_channels, out_channels), shape, groups, bias, rng)
        self.kernel_size, self.stride, self.padding = kernel, settings["stride"], settings["padding"]
        self.output_padding, self.dilation = settings["output_padding"], settings["dilation"]

    def forward(self, x: Tensor) -> Tensor:
        """Return the spread images."""
        return F.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )
