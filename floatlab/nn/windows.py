"""Which layers look at images and sequences through a window, and have no weights? Pooling."""

from __future__ import annotations

from typing import Any

from floatlab.errors import OptionError
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn.arguments import alone, is_whole, switches
from floatlab.nn.functional.pooling import plain_windows
from floatlab.nn.functions import CHECKS, FunctionLayer

__all__ = ["AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]


def _switch(name: str, value: Any) -> None:
    switches(**{name: value})


def _divisor(name: str, value: Any) -> None:
    if value is not None and (not is_whole(value) or value == 0):
        raise OptionError(f"{name} is a whole number other than 0. Got {value!r}. Leave it out for means.")


def _plain(name: str, value: Any) -> None:
    plain_windows("A maximum", **{name: value})


_CHECKS = CHECKS | {
    "ceil_mode": _switch,
    "count_include_pad": _switch,
    "divisor_override": _divisor,
    "dilation": _plain,
    "return_indices": _plain,
}


class _MaxPooling(FunctionLayer):
    _checks = _CHECKS

    def __init__(
        self,
        kernel_size: F.Pair,
        stride: F.Pair | None = None,
        padding: F.Pair = 0,
        dilation: F.Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        sizes: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        super().__init__(**sizes, dilation=dilation, return_indices=return_indices, ceil_mode=ceil_mode)


class MaxPool2d(_MaxPooling):
    """The largest value of each window of images (N, C, H, W); options as in `functional.max_pool2d`."""

    _function = staticmethod(F.max_pool2d)


class AvgPool2d(FunctionLayer):
    """The mean of each window of images (N, C, H, W); options as in `functional.avg_pool2d`."""

    _checks = _CHECKS
    _function = staticmethod(F.avg_pool2d)

    def __init__(
        self,
        kernel_size: F.Pair,
        stride: F.Pair | None = None,
        padding: F.Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        sizes: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        means: dict[str, Any] = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
        super().__init__(**sizes, ceil_mode=ceil_mode, **means)


_CHECKS_1D = _CHECKS | {
    name: lambda name, value: CHECKS[name](name, None if value is None else 2 * alone(name, value))
    for name in ("kernel_size", "stride", "padding")
}


class MaxPool1d(_MaxPooling):
    """The largest value of each window of sequences (N, C, L); options as in `functional.max_pool1d`."""

    _checks = _CHECKS_1D
    _function = staticmethod(F.max_pool1d)


class AvgPool1d(FunctionLayer):
    """The mean of each window of sequences (N, C, L); options as in `functional.avg_pool1d`."""

    _checks = _CHECKS_1D
    _function = staticmethod(F.avg_pool1d)

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        sizes: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        super().__init__(**sizes, ceil_mode=ceil_mode, count_include_pad=count_include_pad)


class AdaptiveAvgPool2d(FunctionLayer):
    """The means of areas that cover the image, as many as asked for; with 1 the mean of each channel."""

    _function = staticmethod(F.adaptive_avg_pool2d)

    def __init__(self, output_size: Any) -> None:
        super().__init__(output_size=output_size)
