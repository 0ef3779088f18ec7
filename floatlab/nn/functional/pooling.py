"""Pooling and shapes: windows of pictures, pictures in another size, padding, flattening."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.autograd import Tensor, apply
from floatlab.autograd.discrete import DiscreteArray
from floatlab.autograd.ops.pooling import half_a_window
from floatlab.errors import DataError, OptionError, ShapeError, check_option
from floatlab.nn.arguments import Pair, alone, axis_of, is_whole, number, pair, positive, switches
from floatlab.nn.functional.inputs import numbers_of

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "flatten",
    "interpolate",
    "max_pool1d",
    "max_pool2d",
    "one_hot",
    "pad",
]


def _window(kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any) -> dict[str, Any]:
    switches(ceil_mode=ceil_mode)
    step = None if stride is None else pair("stride", stride)
    return {
        "kernel": pair("kernel_size", kernel_size),
        "stride": step,
        "padding": pair("padding", padding, 0),
        "ceil": ceil_mode,
    }


def plain_windows(name: str, dilation: Any = 1, return_indices: Any = False) -> None:
    """Raise OptionError where a maximum is asked of windows with gaps, or for its places."""
    if dilation not in (1, (1,), (1, 1)) or return_indices is not False:
        raise OptionError(
            f"{name} takes windows without gaps, and returns values. Got dilation={dilation!r} and "
            f"return_indices={return_indices!r}. Leave both out."
        )


def max_pool2d(
    x: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """Return the largest value of each window; `stride` is the window's size if not given.

    With `ceil_mode` a last window that lies partly beyond the image counts as well, if it begins on it. `dilation` and
    `return_indices` keep PyTorch's places and have one value.
    """
    plain_windows("max_pool2d", dilation, return_indices)
    return apply("max_pool2d", x, **_window(kernel_size, stride, padding, ceil_mode))


def avg_pool2d(
    x: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean of each window; `stride` is the window's size if not given.

    With `ceil_mode` a last window that lies partly beyond the image counts as well, if it begins on it. A sum is
    divided by the places of its window: those in the padding with `count_include_pad`, those that `ceil_mode` adds
    never; or by `divisor_override`.
    """
    means = _means(count_include_pad, divisor_override)
    return apply("avg_pool2d", x, **_window(kernel_size, stride, padding, ceil_mode), **means)


def _means(count_include_pad: Any, divisor: Any) -> dict[str, Any]:
    switches(count_include_pad=count_include_pad)
    if divisor is not None and (not is_whole(divisor) or divisor == 0):
        raise OptionError(
            f"divisor_override is a whole number other than 0. Got {divisor!r}. Leave it out for means."
        )
    return {"counts_padding": count_include_pad, "divisor": divisor}


def max_pool1d(
    x: Tensor,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """Return the largest value of each window of sequences (N, C, L): `max_pool2d` of images of height 1."""
    plain_windows("max_pool1d", dilation, return_indices)
    return _pool1d("max_pool", x, kernel_size, stride, padding, ceil_mode)


def avg_pool1d(
    x: Tensor,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Return the mean of each window of sequences (N, C, L): `avg_pool2d` of images of height 1."""
    means = _means(count_include_pad, None)
    return _pool1d("avg_pool", x, kernel_size, stride, padding, ceil_mode, **means)


def _pool1d(
    name: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any, **means: Any
) -> Tensor:
    (length,), (before,) = alone("kernel_size", kernel_size), alone("padding", padding)
    step = length if stride is None else alone("stride", stride)[0]
    options = _window((1, length), (1, step), (0, before), ceil_mode)
    if x.ndim != 3 or x.shape[2] + 2 * before < length:
        raise ShapeError(
            f"{name}1d needs sequences of shape (batch, channels, length), as long as a window, padding included. "
            f"Got {x.shape} for windows of {length} and padding {before}. Reshape x, or use smaller windows."
        )
    half_a_window(f"{name}1d", before, length)
    return apply(f"{name}2d", x.unsqueeze(2), **options, **means).squeeze(2)


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """Return the means of areas that cover the picture, as many as asked for; None keeps an axis as it is."""
    given = (output_size, output_size) if output_size is None or is_whole(output_size) else output_size
    if isinstance(given, tuple | list) and len(given) == 2 and x.ndim == 4:
        given = tuple(n if size is None else size for size, n in zip(given, x.shape[2:], strict=True))
    return apply("adaptive_avg_pool2d", x, size=pair("output_size", given))


def interpolate(
    x: Tensor,
    size: Pair | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Return pictures (N, C, H, W) in another size: that given, or the old one times `scale_factor`, rounded down.

    `mode` is "nearest" or "bilinear". With `align_corners` the centres of the corner pixels lie on each other,
    otherwise their outer edges do, as in PyTorch.
    """
    check_option("mode", mode, ("nearest", "bilinear"))
    if (size is None) == (scale_factor is None):
        raise OptionError(
            "A size or a scale_factor says how large the result is. Got both or none. Give one."
        )
    if align_corners is not None:
        switches(align_corners=align_corners)
        if mode == "nearest":
            raise OptionError(
                f'align_corners belongs to "bilinear". Got {align_corners!r} with "nearest". Leave it out.'
            )
    if x.ndim != 4:
        raise ShapeError(f"interpolate needs pictures (N, C, H, W). Got {x.shape}. Reshape x.")
    scales: tuple[float | None, float | None] = (None, None)
    if scale_factor is not None:
        both = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
        if len(both) != 2:
            raise OptionError(f"scale_factor is a number, or two. Got {scale_factor!r}. Use 2.0.")
        down, across = (number("scale_factor", factor, 0.0, beyond=True) for factor in both)
        scales = (down, across)
        size = (math.floor(x.shape[2] * down), math.floor(x.shape[3] * across))
    return apply(
        "interpolate", x, size=pair("size", size), scales=scales, mode=mode, align_corners=bool(align_corners)
    )


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return the values with the axes from `start_dim` to `end_dim` made one."""
    first, last = (
        axis_of(name, d, max(x.ndim, 1)) for name, d in (("start_dim", start_dim), ("end_dim", end_dim))
    )
    if first > last:
        raise ShapeError(
            f"flatten needs a start_dim before its end_dim. Got {start_dim} and {end_dim} for {x.shape}. "
            "Exchange them."
        )
    return x.reshape(*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])


_EDGES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(x: Tensor, pad: tuple[int, ...], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Surround the last axes; `pad` is (left, right, top, bottom, ...), counted from the last axis.

    `mode` is "constant" (of this `value`), "reflect", "replicate" or "circular".
    """
    check_option("mode", mode, ("constant", *_EDGES))
    widths = tuple(pad) if isinstance(pad, tuple | list) else (pad,)
    if len(widths) % 2 or len(widths) > 2 * x.ndim or not all(is_whole(n) and n >= 0 for n in widths):
        raise ShapeError(
            f"padding has two numbers an axis, from the last one. Got {pad} for shape {x.shape}. Give 2 or 4."
        )
    sides = [(0, 0)] * (x.ndim - len(widths) // 2)
    sides += [(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)]
    if mode == "constant":
        return apply("pad", x, widths=tuple(sides), value=value)
    if mode == "reflect" and any(max(side) >= n for side, n in zip(sides, x.shape, strict=True) if any(side)):
        raise ShapeError(
            f"reflect pads by less than an axis is long. Got {pad} for shape {x.shape}. Pad less."
        )
    places = [np.pad(np.arange(n), side, mode=_EDGES[mode]) for n, side in zip(x.shape, sides, strict=True)]
    return x[np.ix_(*places)]


def one_hot(labels: Any, classes: int | None = None, *, num_classes: int | None = None) -> Any:
    """Return an array with a 1 at each label and 0 elsewhere: float32 numbers for targets, or a tensor by ``.float()``.

    `num_classes` is PyTorch's name; without either, there are as many classes as the largest label says.

    >>> one_hot([0, 2], num_classes=3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    numbers = numbers_of("labels", labels)
    count: Any = num_classes if classes is None else classes
    if count in (None, -1) and numbers.size and numbers.dtype.kind in "iu":
        count = int(numbers.max()) + 1
    positive(classes=count)
    if numbers.dtype.kind not in "iu" or (numbers.size and not 0 <= numbers.min() <= numbers.max() < count):
        span = f"from {numbers.min()} to {numbers.max()}" if numbers.size else "of which there is none"
        raise DataError(
            f"Labels are integers from 0 to {count - 1}. Got {numbers.dtype} labels {span}. "
            "Check the labels, or the number of classes."
        )
    return np.eye(count, dtype=np.float32)[numbers].view(DiscreteArray)
