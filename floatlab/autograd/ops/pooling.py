"""Pooling and resizing: what becomes of a picture's windows, or of the picture in another size.

Images have the shape (batch, channels, height, width). A maximum only chooses; means and interpolations are taken in
float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, moved, wide
from floatlab.autograd.ops.convolution import Pair, Slide, pair_of, slide_of, windows_of
from floatlab.autograd.rounding import tree_sum
from floatlab.errors import ShapeError

# -- windows -----------------------------------------------------------------------------------------


def _put_back(windows: Array, shape: tuple[int, ...], slide: Slide) -> Array:
    """Add windows up where they came from, one place in the window at a time, always in the same order."""
    (down, across), (top, left), (bottom, right), _ = slide
    n, channels, rows, columns, height, width = windows.shape
    out = np.zeros((n, channels, shape[2] + top + bottom, shape[3] + left + right))
    for i in range(height):
        for j in range(width):
            place = (slice(i, i + down * rows, down), slice(j, j + across * columns, across))
            out[:, :, place[0], place[1]] += windows[..., i, j]
    return out[:, :, top : top + shape[2], left : left + shape[3]]


def half_a_window(name: str, padding: Pair, size: Pair) -> None:
    """Raise ShapeError where padding is more than half a window, and a window could lie in nothing but padding."""
    if any(2 * p > k for p, k in zip(pair_of(padding), pair_of(size), strict=True)):
        raise ShapeError(
            f"{name} pads by at most half a window. Got padding {padding} for windows of {size}. Use less padding."
        )


def _slide(
    shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil: bool = False,
    **_: Any,
) -> Slide:
    """Return how a window moves over images of a shape; with `ceil` as long as it begins on an image."""
    slide = slide_of(kernel if stride is None else stride, padding)
    if not ceil or len(shape) != 4:
        return slide
    behind = list(slide.behind)
    for i, (n, size, step, before) in enumerate(
        zip(shape[2:], pair_of(kernel), slide.stride, slide.before, strict=True)
    ):
        left_over = n + 2 * before - size
        if left_over > 0 and step > 0 and (steps := -(-left_over // step)) * step < n + before:
            behind[i] += max(steps * step - left_over, 0)
    return slide._replace(behind=(behind[0], behind[1]))


def _max_pool2d(
    node: Node, x: Array, *, kernel: Pair, stride: Pair | None = None, padding: Pair = 0, ceil: bool = False
) -> Array:
    size = pair_of(kernel)
    half_a_window(node.op.name, padding, size)
    windows = windows_of(node, x, size, _slide(x.shape, kernel, stride, padding, ceil), -np.inf)
    flat = windows.reshape(*windows.shape[:4], size[0] * size[1])
    chosen = flat.argmax(axis=-1)[..., None]  # the first of equal ones, and a NaN before all else
    node.saved = chosen
    return np.take_along_axis(flat, chosen, -1)[..., 0]


def _max_pool2d_derivative(node: Node, g: Array) -> Array:
    size, shape = pair_of(node.params["kernel"]), node.inputs[0].shape
    windows = np.zeros((*g.shape, size[0] * size[1]))
    np.put_along_axis(windows, node.saved, g[..., None], -1)
    return _put_back(windows.reshape(*g.shape, *size), shape, _slide(shape, **node.params))


def _avg_pool2d(
    node: Node,
    x: Array,
    *,
    kernel: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil: bool = False,
    counts_padding: bool = True,
    divisor: int | None = None,
) -> Array:
    size = pair_of(kernel)
    half_a_window(node.op.name, padding, size)
    slide = _slide(x.shape, kernel, stride, padding, ceil)
    windows = windows_of(node, x, size, slide)
    node.saved = _divisors(node, x.shape, slide, counts_padding, divisor)
    return tree_sum(node.wide(windows), (4, 5), keepdims=False) / node.saved


def _divisors(
    node: Node, shape: tuple[int, ...], slide: Slide, counts_padding: bool, divisor: int | None
) -> Array:
    """Return what each window's sum is divided by: how many places it has, those beyond the padding left out."""
    size = pair_of(node.params["kernel"])
    if divisor is not None or (counts_padding and slide.before == slide.behind):
        return np.array(size[0] * size[1] if divisor is None else divisor, np.float64)
    counts = []
    for n, k, step, before, behind in zip(
        shape[2:], size, slide.stride, slide.before, slide.behind, strict=True
    ):
        counted = np.zeros(n + before + behind)
        counted[: n + 2 * before] = 1.0 if counts_padding else 0.0
        counted[before : before + n] = 1.0
        counts.append(np.lib.stride_tricks.sliding_window_view(counted, k)[::step].sum(axis=1))
    return np.asarray(np.multiply.outer(*counts))


def _avg_pool2d_derivative(node: Node, g: Array) -> Array:
    size, shape = pair_of(node.params["kernel"]), node.inputs[0].shape
    windows = np.broadcast_to((node.wide(g) / node.saved)[..., None, None], (*g.shape, *size))
    return _put_back(windows, shape, _slide(shape, **node.params))


# -- a result of a given size ------------------------------------------------------------------------


def _need_pixels(node: Node, x: Array) -> None:
    if x.ndim != 4 or not x.size:
        raise ShapeError(
            f"{node.op.name} needs images of shape (batch, channels, height, width), with a pixel at least. "
            f"Got {x.shape}. Reshape x."
        )


def _parts(length: int, count: int) -> list[slice]:
    """Return `count` stretches that cover an axis; they overlap where the length is no multiple."""
    return [slice(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _areas(node: Node, shape: tuple[int, ...]) -> Iterator[tuple[int, int, slice, slice]]:
    height, width = node.params["size"]
    for i, rows in enumerate(_parts(shape[2], height)):
        for j, columns in enumerate(_parts(shape[3], width)):
            yield i, j, rows, columns


def _adaptive_avg_pool2d(node: Node, x: Array, *, size: tuple[int, int]) -> Array:
    _need_pixels(node, x)
    out = np.empty((*x.shape[:2], *size))
    for i, j, rows, columns in _areas(node, x.shape):
        area = node.wide(x[:, :, rows, columns])
        out[:, :, i, j] = tree_sum(area, (2, 3), keepdims=False) / (area.shape[2] * area.shape[3])
    return out


def _adaptive_avg_pool2d_derivative(node: Node, g: Array) -> Array:
    out = np.zeros(node.inputs[0].shape)
    for i, j, rows, columns in _areas(node, out.shape):
        area = out[:, :, rows, columns]
        area += (node.wide(g[:, :, i, j]) / (area.shape[2] * area.shape[3]))[..., None, None]
    return out


def _neighbours(length: int, count: int, scale: float | None, mode: str, corners: bool) -> tuple[Array, ...]:
    """Return for each of `count` places the two neighbours on an axis and the second one's share."""
    places = np.arange(count, dtype=np.float64)
    step = length / count if scale is None else 1.0 / scale
    if mode == "nearest":
        low = np.minimum((places * step).astype(int), length - 1)
        return low, low, np.zeros(count)
    if corners:
        at = places * ((length - 1) / (count - 1) if count > 1 else 0.0)
    else:
        at = np.maximum((places + 0.5) * step - 0.5, 0.0)
    low = np.minimum(at.astype(int), length - 1)
    return low, np.minimum(low + 1, length - 1), at - low


def _corners(node: Node, shape: tuple[int, ...]) -> Iterator[tuple[Any, Any, Array]]:
    """Yield rows, columns and shares of the four neighbours of each pixel of the result."""
    params = node.params
    sizes, scales = params["size"], params["scales"]
    axes = [
        _neighbours(shape[2 + k], sizes[k], scales[k], params["mode"], params["align_corners"])
        for k in (0, 1)
    ]
    (top, bottom, down), (left, right, across) = axes
    for rows, share in ((top, 1.0 - down), (bottom, down)):
        for columns, other in ((left, 1.0 - across), (right, across)):
            yield rows[:, None], columns[None, :], share[:, None] * other[None, :]


def _interpolate(
    node: Node,
    x: Array,
    *,
    size: tuple[int, int],
    scales: tuple[float | None, float | None],
    mode: str,
    align_corners: bool,
) -> Array:
    _need_pixels(node, x)
    out = np.zeros((*x.shape[:2], *size))
    for rows, columns, share in _corners(node, x.shape):
        # A neighbour without a share counts nothing, even if it is infinite.
        out += np.where(share == 0.0, 0.0, node.wide(x[:, :, rows, columns]) * share)
    return out


def _interpolate_derivative(node: Node, g: Array) -> Array:
    out = np.zeros(node.inputs[0].shape)
    for rows, columns, share in _corners(node, out.shape):
        place: Any = (slice(None), slice(None), rows, columns)
        np.add.at(out, place, node.wide(g) * share)
    return out


OPS = (
    Op("max_pool2d", moved(_max_pool2d), (wide(_max_pool2d_derivative),), "the largest value of each window"),
    Op(
        "avg_pool2d",
        wide(_avg_pool2d),
        (wide(_avg_pool2d_derivative),),
        "the mean of each window",
    ),
    Op(
        "adaptive_avg_pool2d",
        wide(_adaptive_avg_pool2d),
        (wide(_adaptive_avg_pool2d_derivative),),
        "the means of as many areas as asked for",
    ),
    Op(
        "interpolate",
        wide(_interpolate),
        (wide(_interpolate_derivative),),
        "the picture in another size",
    ),
)
