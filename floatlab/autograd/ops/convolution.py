"""Convolution and pooling: a window slides over images of shape (batch, channels, height, width).

A convolution is a matrix product of unrolled windows (im2col), so that it has the same accumulators as every
other product, and so are both its derivatives.
"""

from __future__ import annotations

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, moved, rounded, wide
from floatlab.autograd.ops.reductions import product, rows_of
from floatlab.autograd.rounding import tree_sum
from floatlab.errors import ShapeError

Pair = int | tuple[int, int]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int | np.integer) else (int(value[0]), int(value[1]))


def _windows(
    node: Node, x: Array, size: tuple[int, int], stride: Pair, padding: Pair, fill: float = 0.0
) -> Array:
    """Return a view of every window: (batch, channels, rows, columns, window height, window width)."""
    step, pad = _pair(stride), _pair(padding)
    if (
        x.ndim != 4
        or min(step) < 1
        or min(pad) < 0
        or any(n + 2 * p < k for n, p, k in zip(x.shape[2:], pad, size, strict=True))
    ):
        raise ShapeError(
            f"{node.op.name} slides a window of {size} over images of shape (batch, channels, height, "
            f"width), padding included. Got {x.shape} with stride {step} and padding {pad}. "
            "Use a smaller window or more padding."
        )
    if any(pad):
        x = np.pad(x, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1])), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))
    return view[:, :, :: step[0], :: step[1]]


def _put_back(windows: Array, shape: tuple[int, ...], stride: Pair, padding: Pair) -> Array:
    """Add windows up where they came from, one place in the window at a time, always in the same order."""
    (down, across), (top, left) = _pair(stride), _pair(padding)
    n, channels, rows, columns, height, width = windows.shape
    out = np.zeros((n, channels, shape[2] + 2 * top, shape[3] + 2 * left))
    for i in range(height):
        for j in range(width):
            place = (slice(i, i + down * rows, down), slice(j, j + across * columns, across))
            out[:, :, place[0], place[1]] += windows[..., i, j]
    return out[:, :, top : top + shape[2], left : left + shape[3]]


# -- convolution -------------------------------------------------------------------------------------


def _conv2d(
    node: Node, x: Array, weight: Array, bias: Array | None = None, *, stride: Pair = 1, padding: Pair = 0
) -> Array:
    if weight.ndim != 4 or x.ndim != 4 or x.shape[1] != weight.shape[1] or not weight.size:
        raise ShapeError(
            "conv2d needs images (batch, in, height, width) and a weight (out, in, height, width). "
            f"Got {x.shape} and {weight.shape}. Check the layer's in_channels."
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"conv2d needs one bias for each output channel. Got {bias.shape} with weight {weight.shape}. "
            "Check the bias."
        )
    windows = _windows(node, x, weight.shape[2:], stride, padding)
    n, _, rows, columns = windows.shape[:4]
    # (positions, in * kh * kw)
    unrolled = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * rows * columns, weight[0].size)
    node.saved = unrolled
    out = product(
        node, unrolled, weight.reshape(len(weight), weight[0].size).T, bias=bias
    )  # (positions, out)
    return np.ascontiguousarray(out.reshape(n, rows, columns, len(weight)).transpose(0, 3, 1, 2))


def _conv2d_image(node: Node, g: Array) -> Array:
    # A pixel's gradient is the sum over all windows that hold it: once more a convolution, of the gradients
    # spread out by the stride, with the weight turned round. One sum, and so one rounding.
    weight = node.b
    (down, across), (top, left) = _pair(node.params.get("stride", 1)), _pair(node.params.get("padding", 0))
    n, _, height, width = node.inputs[0].shape
    kh, kw = weight.shape[2:]
    spread = np.zeros((n, len(weight), height + 2 * top + kh - 1, width + 2 * left + kw - 1), g.dtype)
    rows = slice(kh - 1, kh + down * (g.shape[2] - 1), down)
    columns = slice(kw - 1, kw + across * (g.shape[3] - 1), across)
    spread[:, :, rows, columns] = g
    spread = spread[:, :, top : top + height + kh - 1, left : left + width + kw - 1]  # without the padding
    windows = _windows(node, spread, (kh, kw), 1, 0)
    unrolled = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, weight[:, 0].size)
    turned = weight[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(weight[:, 0].size, weight.shape[1])
    back = product(node, unrolled, turned, gradient=0)  # (pixels, out * kh * kw) times that, by in
    return back.reshape(n, height, width, weight.shape[1]).transpose(0, 3, 1, 2)


def _conv2d_weight(node: Node, g: Array) -> Array:
    positions = rows_of(g.transpose(0, 2, 3, 1))
    return product(node, positions.T, node.saved, gradient=0).reshape(node.inputs[1].shape)


# -- pooling -----------------------------------------------------------------------------------------


def _max_pool2d(
    node: Node, x: Array, *, kernel: Pair, stride: Pair | None = None, padding: Pair = 0
) -> Array:
    size = _pair(kernel)
    if any(2 * p > k for p, k in zip(_pair(padding), size, strict=True)):
        raise ShapeError(
            f"max_pool2d pads by at most half a window. Got padding {padding} for windows of {size}. "
            "Use less padding."
        )
    windows = _windows(node, x, size, size if stride is None else stride, padding, -np.inf)
    flat = windows.reshape(*windows.shape[:4], size[0] * size[1])
    chosen = flat.argmax(axis=-1)[..., None]  # the first of equal ones, and a NaN before all else
    node.saved = chosen
    return np.take_along_axis(flat, chosen, -1)[..., 0]


def _max_pool2d_derivative(node: Node, g: Array) -> Array:
    size = _pair(node.params["kernel"])
    windows = np.zeros((*g.shape, size[0] * size[1]))
    np.put_along_axis(windows, node.saved, g[..., None], -1)
    return _put_back(windows.reshape(*g.shape, *size), node.inputs[0].shape, *_slide(node, size))


def _slide(node: Node, size: tuple[int, int]) -> tuple[Pair, Pair]:
    stride = node.params.get("stride")
    return (size if stride is None else stride), node.params.get("padding", 0)


def _avg_pool2d(
    node: Node, x: Array, *, kernel: Pair, stride: Pair | None = None, padding: Pair = 0
) -> Array:
    size = _pair(kernel)
    windows = _windows(node, x, size, size if stride is None else stride, padding)
    return tree_sum(node.wide(windows), (4, 5), keepdims=False) / (size[0] * size[1])


def _avg_pool2d_derivative(node: Node, g: Array) -> Array:
    size = _pair(node.params["kernel"])
    windows = np.broadcast_to(node.wide(g)[..., None, None] / (size[0] * size[1]), (*g.shape, *size))
    return _put_back(windows, node.inputs[0].shape, *_slide(node, size))


OPS = (
    Op(
        "conv2d",
        rounded(_conv2d),
        (rounded(_conv2d_image), rounded(_conv2d_weight), moved(lambda n, g: g.transpose(0, 2, 3, 1))),
        "the cross-correlation with a set of windows, plus a bias, rounded once",
        keeps=(0, 1),
    ),
    Op("max_pool2d", moved(_max_pool2d), (wide(_max_pool2d_derivative),), "the largest value of each window"),
    Op(
        "avg_pool2d",
        wide(_avg_pool2d),
        (wide(_avg_pool2d_derivative),),
        "the mean of each window, padding included",
    ),
)
