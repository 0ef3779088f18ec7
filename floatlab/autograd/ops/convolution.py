"""Convolution: a window slides over images of shape (batch, channels, height, width).

A convolution is a matrix product of unrolled windows (im2col), so that it has the same accumulators as every
other product, and so are both its derivatives. A transposed convolution is the derivative by the image, run forward.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, moved, rounded
from floatlab.autograd.ops.reductions import BY_INPUT, BY_WEIGHT, FORWARD, product, rows_of
from floatlab.errors import ShapeError

Pair = int | tuple[int, int]


def pair_of(value: Pair) -> tuple[int, int]:
    """Return one number twice, or two as they are."""
    return (value, value) if isinstance(value, int | np.integer) else (int(value[0]), int(value[1]))


class Slide(NamedTuple):
    """How a window moves: its step, the zeros before and behind the image, and the gaps inside the window."""

    stride: tuple[int, int]
    before: tuple[int, int]
    behind: tuple[int, int]
    dilation: tuple[int, int]


def slide_of(stride: Pair = 1, padding: Any = 0, dilation: Pair = 1) -> Slide:
    """Return how a window moves; padding is a number, one for each axis, or (before, behind) for each axis."""
    sides: Any = (padding, padding) if isinstance(padding, int | np.integer) else padding
    (top, bottom), (left, right) = (pair_of(side) for side in sides)
    return Slide(pair_of(stride), (top, left), (bottom, right), pair_of(dilation))


def windows_of(node: Node, x: Array, size: tuple[int, int], slide: Slide, fill: float = 0.0) -> Array:
    """Return a view of every window: (batch, channels, rows, columns, window height, window width)."""
    stride, before, behind, dilation = slide
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True))
    if (
        x.ndim != 4
        or min(*stride, *dilation, *size) < 1
        or min(*before, *behind) < 0
        or any(n + p + q < r for n, p, q, r in zip(x.shape[2:], before, behind, reach, strict=True))
    ):
        raise ShapeError(
            f"{node.op.name} slides a window of {reach} over images of shape (batch, channels, height, "
            f"width), padding included. Got {x.shape} with stride {stride} and padding {before}. "
            "Use a smaller window or more padding."
        )
    if any(before + behind):
        sides = tuple(zip(before, behind, strict=True))
        x = np.pad(x, ((0, 0), (0, 0), *sides), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _rows_of_windows(windows: Array) -> Array:
    """Return the windows as rows of a matrix: (positions, channels * height * width)."""
    n, channels, rows, columns, height, width = windows.shape
    order = windows.transpose(0, 2, 3, 1, 4, 5)
    return order.reshape(n * rows * columns, channels * height * width)


def _positions(g: Array) -> Array:
    """Return images as rows of a matrix: (positions, channels)."""
    return rows_of(g.transpose(0, 2, 3, 1))


def _images(rows: list[Array], shape: tuple[int, int, int]) -> Array:
    """Return matrices (positions, channels), one a group, as images with all their channels."""
    together = rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1)
    return np.ascontiguousarray(together.reshape(*shape, together.shape[1]).transpose(0, 3, 1, 2))


def _slide_of(node: Node) -> Slide:
    params = node.params
    return slide_of(params.get("stride", 1), params.get("padding", 0), params.get("dilation", 1))


def _split(x: Array, groups: int, axis: int) -> list[Array]:
    """Return the parts of an array along an axis, one a group."""
    return [x] if groups == 1 else np.split(x, groups, axis)


# -- the three products ------------------------------------------------------------------------------


def _by_weight(
    node: Node, x: Array, weight: Array, bias: Array | None, groups: int, roles: tuple[str, str] = FORWARD
) -> tuple[Array, list[Array]]:
    """Return the convolution of images with a weight (out, in / groups, kh, kw), and the unrolled windows."""
    windows = windows_of(node, x, weight.shape[2:], _slide_of(node))
    unrolled = [_rows_of_windows(part) for part in _split(windows, groups, 1)]
    biases = [None] * groups if bias is None else _split(bias, groups, 0)
    results = [
        product(node, rows, part.reshape(len(part), part[0].size).T, bias=own, roles=roles)
        for rows, part, own in zip(unrolled, _split(weight, groups, 0), biases, strict=True)
    ]
    return _images(results, (windows.shape[0], windows.shape[2], windows.shape[3])), unrolled


def _by_image(
    node: Node,
    g: Array,
    weight: Array,
    image: tuple[int, int],
    groups: int,
    bias: Array | None = None,
    roles: tuple[str, str] = BY_INPUT,
) -> Array:
    """Return what images of this height and width get back from g, (batch, out, rows, columns).

    A pixel's share is the sum over all windows that hold it: once more a convolution, of g spread out by the stride,
    with the weight turned round. One sum, and so one rounding.
    """
    (down, across), (top, left), (bottom, right), dilation = _slide_of(node)
    n, (height, width), (kh, kw) = len(g), image, weight.shape[2:]
    reach = dilation[0] * (kh - 1), dilation[1] * (kw - 1)
    full = height + top + bottom + reach[0], width + left + right + reach[1]
    spread = np.zeros((n, g.shape[1], *full), g.dtype)
    rows = slice(reach[0], reach[0] + down * (g.shape[2] - 1) + 1, down)
    columns = slice(reach[1], reach[1] + across * (g.shape[3] - 1) + 1, across)
    spread[:, :, rows, columns] = g
    spread = spread[
        :, :, top : top + height + reach[0], left : left + width + reach[1]
    ]  # without the padding
    windows = windows_of(node, spread, (kh, kw), slide_of(dilation=dilation))
    biases = [None] * groups if bias is None else _split(bias, groups, 0)
    results = []
    for part, kernel, own in zip(_split(windows, groups, 1), _split(weight, groups, 0), biases, strict=True):
        turned = kernel[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(-1, kernel.shape[1])
        results.append(product(node, _rows_of_windows(part), turned, bias=own, roles=roles))
    return _images(results, (n, height, width))


def _by_kernel(
    node: Node, g: Array, unrolled: list[Array], shape: tuple[int, ...], roles: tuple[str, str] = BY_WEIGHT
) -> Array:
    """Return what a weight of this shape gets: for each group the sum over positions of g times the windows."""
    parts = [
        product(node, _positions(part).T, rows, roles=roles)
        for part, rows in zip(_split(g, len(unrolled), 1), unrolled, strict=True)
    ]
    return np.concatenate(parts).reshape(shape)


# -- convolution -------------------------------------------------------------------------------------


def _check_channels(node: Node, x: Array, weight: Array, bias: Array | None, axis: int, groups: int) -> None:
    """Raise ShapeError unless the images' channels fit the weight, whose inputs are on `axis`, and the bias."""
    transposed = axis == 0
    fits = weight.ndim == x.ndim == 4 and weight.size > 0 and groups >= 1 and len(weight) % groups == 0
    if not fits or x.shape[1] != (len(weight) if transposed else weight.shape[1] * groups):
        order = "(in, out / groups, height, width)" if transposed else "(out, in / groups, height, width)"
        raise ShapeError(
            f"{node.op.name} needs images (batch, in, height, width) and a weight {order}, with channels that "
            f"{groups} groups divide. Got {x.shape} and {weight.shape}. Check the layer's in_channels."
        )
    outputs = weight.shape[1] * groups if transposed else len(weight)
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(
            f"{node.op.name} needs one bias for each output channel. Got {bias.shape} with weight {weight.shape}. "
            "Check the bias."
        )


def _conv2d(
    node: Node,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Any = 0,
    dilation: Pair = 1,
    groups: int = 1,
    operands: Any = None,
) -> Array:
    _check_channels(node, x, weight, bias, 1, groups)
    out, node.saved = _by_weight(node, x, weight, bias, groups)
    return out


def _conv2d_image(node: Node, g: Array) -> Array:
    height, width = node.inputs[0].shape[2:]
    return _by_image(node, g, node.b, (height, width), node.params.get("groups", 1))


def _conv2d_weight(node: Node, g: Array) -> Array:
    return _by_kernel(node, g, node.saved, node.inputs[1].shape)


def _conv_transpose2d(
    node: Node,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    operands: Any = None,
) -> Array:
    _check_channels(node, x, weight, bias, 0, groups)
    slide, more = _slide_of(node), pair_of(output_padding)
    if any(m >= max(s, d) for m, s, d in zip(more, slide.stride, slide.dilation, strict=True)):
        raise ShapeError(
            f"output_padding is smaller than the stride or the dilation. Got {more} with stride {slide.stride}. "
            "Use a smaller one."
        )
    height, width = _transposed_size(x, weight, slide, more)
    if min(height, width) < 1 or not x.size:
        raise ShapeError(
            f"{node.op.name} needs a result with a pixel at least. Got {(height, width)} for images {x.shape}. "
            "Use less padding."
        )
    return _by_image(node, x, weight, (height, width), groups, bias, FORWARD)


def _transposed_size(x: Array, weight: Array, slide: Slide, more: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of a transposed convolution's result."""
    height, width = (
        (x.shape[2 + i] - 1) * slide.stride[i]
        - slide.before[i]
        - slide.behind[i]
        + slide.dilation[i] * (weight.shape[2 + i] - 1)
        + more[i]
        + 1
        for i in (0, 1)
    )
    return height, width


def _transpose_image(node: Node, g: Array) -> Array:
    # With output_padding the windows may be more than x has positions: the last ones saw no x.
    out, _ = _by_weight(node, g, node.b, None, node.params.get("groups", 1), BY_INPUT)
    height, width = node.inputs[0].shape[2:]
    return out[:, :, :height, :width]


def _transpose_weight(node: Node, g: Array) -> Array:
    x, weight, groups = node.a, node.b, node.params.get("groups", 1)
    windows = windows_of(node, g, weight.shape[2:], _slide_of(node))[:, :, : x.shape[2], : x.shape[3]]
    unrolled = [_rows_of_windows(part) for part in _split(windows, groups, 1)]
    return _by_kernel(node, x, unrolled, weight.shape, BY_WEIGHT[::-1])


def _by_bias(node: Node, g: Array) -> Array:
    return g.transpose(0, 2, 3, 1)  # the engine sums over the positions


OPS = (
    Op(
        "conv2d",
        rounded(_conv2d),
        (rounded(_conv2d_image), rounded(_conv2d_weight), moved(_by_bias)),
        "the cross-correlation with a set of windows, plus a bias, rounded once",
        keeps=(0, 1),
    ),
    Op(
        "conv_transpose2d",
        rounded(_conv_transpose2d),
        (rounded(_transpose_image), rounded(_transpose_weight), moved(_by_bias)),
        "what a convolution's image gets back from its result, plus a bias, rounded once",
        keeps=(0, 1),
    ),
)
