"""The operations that end a classifier: softmax, and the losses over classes. Each is taken in float64, rounded once.

Labels are arrays of class numbers. The classes lie on axis 1 of the scores (N, classes, d1, ...), as in PyTorch, or on
the only axis of scores without a batch. A loss's `reduction` is "mean", "sum" or "none".

The largest score of a row has a share near 1 as soon as the others are far below, and 1 minus that share would keep no
digit of it. So what is left is never a difference: the others are added up by themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, wide
from floatlab.autograd.rounding import tree_sum
from floatlab.errors import DataError, OptionError, ShapeError, check_option
from floatlab.functions.float64 import exp64, expm1_64, log1p64

REDUCTIONS = ("mean", "sum", "none")


# -- softmax -----------------------------------------------------------------------------------------


def _shifted(x: Array, axis: int) -> Array:
    """Return x less its maximum, so that no power overflows."""
    return np.asarray(x - (x.max(axis=axis, keepdims=True) + 0.0))  # + 0: never -0, on any processor


def _need_axis(node: Node, x: Array, axis: Any) -> None:
    if not isinstance(axis, int | np.integer) or not -x.ndim <= axis < x.ndim or x.shape[axis] == 0:
        raise ShapeError(
            f"{node.op.name} needs an axis with at least one element. Got axis {axis!r} of shape {x.shape}. "
            "Check the tensor's shape."
        )


def _softmax(node: Node, x: Array, *, axis: int = -1, mask: Any = None) -> Array:
    _need_axis(node, x, axis)
    if mask is None:
        powers = exp64(_shifted(node.wide(x), axis))
        return np.asarray(powers / tree_sum(powers, axis))
    # What the mask leaves out takes no part: no infinity is needed, which the format may not have. Where it leaves
    # nothing, the shares are 0, as those of PyTorch's scaled_dot_product_attention.
    try:
        mask = np.broadcast_to(mask, x.shape)
    except ValueError:
        raise ShapeError(
            f"{node.op.name} needs a mask that broadcasts to x. Got {np.shape(mask)} for {x.shape}. Reshape it."
        ) from None
    x = node.wide(x)
    largest = x.max(axis=axis, keepdims=True, initial=-np.inf, where=mask)
    shifted = np.subtract(x, largest, where=mask, out=np.zeros(x.shape))
    powers = exp64(shifted, shifted)
    powers *= mask
    powers /= tree_sum(powers, axis) + ~mask.any(axis=axis, keepdims=True)
    return powers


def _softmax_derivative(node: Node, g: Array) -> Array:
    y, g = node.wide(node.out), node.wide(g)
    return np.asarray(y * (g - tree_sum(g * y, node.params.get("axis", -1))))


class _Shares(NamedTuple):
    """What is known of the scores along an axis: the powers' sum is 1 + `rest`, 1 the power of the largest score."""

    shifted: Array
    top: Array  # where the largest score is
    rest: Array  # the sum of the other powers
    powers: Array

    @property
    def log_total(self) -> Array:
        return log1p64(self.rest)

    @property
    def shares(self) -> Array:
        return np.asarray(self.powers / (1.0 + self.rest))


def _without(x: Array, place: Array, axis: int) -> Array:
    """Return a sum along an axis that leaves out the one element at `place`."""
    others = np.array(x)
    np.put_along_axis(others, place, 0.0, axis)
    return tree_sum(others, axis)


def _shares(x: Array, axis: int) -> _Shares:
    shifted = _shifted(x, axis)
    powers = exp64(shifted)
    top = np.expand_dims(powers.argmax(axis=axis), axis)
    rest = _without(powers, top, axis) + (np.take_along_axis(powers, top, axis) - 1.0)  # + 0, or NaN
    return _Shares(shifted, top, rest, powers)


def _log_softmax(node: Node, x: Array, *, axis: int = -1) -> Array:
    _need_axis(node, x, axis)
    found = _shares(node.wide(x), axis)
    return np.asarray(found.shifted - found.log_total)


def _log_softmax_derivative(node: Node, g: Array) -> Array:
    """Return g - e^y * sum(g); at the largest y that is -g expm1(y) - e^y * (the other g's sum)."""
    axis, g, y = node.params.get("axis", -1), node.wide(g), node.wide(node.out)
    shares = exp64(y)
    slope = np.asarray(g - shares * tree_sum(g, axis))
    top = np.expand_dims(y.argmax(axis=axis), axis)
    at = [np.take_along_axis(array, top, axis) for array in (g, y, shares)]
    np.put_along_axis(slope, top, -at[0] * expm1_64(at[1]) - at[2] * _without(g, top, axis), axis)
    return slope


# -- what a loss is given ----------------------------------------------------------------------------


def class_axis(ndim: int) -> int:
    """Return the axis of the classes: 1, or 0 of scores without a batch."""
    return min(1, ndim - 1)


def _check_labels(node: Node, x: Array, given: Any, ignored: int) -> Array:
    """Return the labels as an array of class numbers, one for each example; ignored ones may be any number."""
    labels: Array = np.asarray(given)
    name, axis = node.op.name, class_axis(x.ndim)
    if x.ndim < 1 or labels.shape != (*x.shape[:axis], *x.shape[axis + 1 :]):
        raise ShapeError(
            f"{name} needs scores of shape (N, classes, ...) and labels of shape (N, ...). "
            f"Got {x.shape} and {labels.shape}. Give one class number for each example; classes are axis 1."
        )
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"{name} needs class numbers. Got labels of dtype {labels.dtype}. Use an integer array."
        )
    if labels.size == 0:
        raise ShapeError(f"{name} needs at least one row. Got shape {x.shape}. Skip an empty batch.")
    wrong = (labels != ignored) & ((labels < 0) | (labels >= x.shape[axis]))
    if wrong.any():
        raise DataError(
            f"{name} has labels 0 to {x.shape[axis] - 1} for scores of shape {x.shape}. "
            f"Got label {labels[wrong].reshape(-1)[0]}. Check the labels, or the size of the last layer."
        )
    return labels


class _Counted(NamedTuple):
    """Which labels count, and how much."""

    kept: Array  # the labels, and 0 in place of those that do not count
    counts: Array  # whether they do
    weights: Array  # of the classes
    each: Array  # of the examples
    total: Any  # the sum of those, by which a mean divides


def _counted(node: Node, classes: int, labels: Array) -> _Counted:
    counts = np.asarray(labels != node.params.get("ignore_index", -100))
    kept, weights = np.where(counts, labels, 0), _class_weights(node, classes)
    each = np.asarray(weights[kept] * counts)
    total = tree_sum(each, range(each.ndim), keepdims=False) if each.ndim else each
    return _Counted(kept, counts, weights, each, np.float64(total))


def _class_weights(node: Node, classes: int) -> Array:
    """Return one weight for each class."""
    weight = node.params.get("weight")
    weights = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    if weights.shape != (classes,):
        raise ShapeError(
            f"{node.op.name} needs one weight for each of {classes} classes. Got shape {weights.shape}. "
            "Check weight."
        )
    return weights


def reduced(rows: Array, reduction: str, divisor: float | None = None) -> Array:
    """Return the losses of all rows as they are, their sum, or that divided by their number (or another divisor)."""
    check_option("reduction", reduction, REDUCTIONS)
    if reduction == "none":
        return rows
    total = tree_sum(rows, range(rows.ndim), keepdims=False) if rows.ndim else rows
    return np.asarray(total / (rows.size if divisor is None else divisor) if reduction == "mean" else total)


def weight_of(node: Node, g: Array, count: float) -> Array:
    """Return the gradient that each row or element of a loss receives."""
    is_mean = node.params.get("reduction", "mean") in ("mean", "batchmean")
    return node.wide(g) / count if is_mean else node.wide(g)


# -- losses over classes -----------------------------------------------------------------------------


def smoothing_of(value: Any) -> float:
    """Return how much of the target is spread over all classes, a number from 0 to 1."""
    if not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise OptionError(
            f"label_smoothing is a share of the target, from 0 to 1. Got {value!r}. Use a value such as 0.1."
        )
    return float(value)


def _cross_entropy(
    node: Node,
    x: Array,
    *,
    labels: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    labels = _check_labels(node, x, labels, ignore_index)
    count, smoothing = _counted(node, x.shape[class_axis(x.ndim)], labels), smoothing_of(label_smoothing)
    found = _shares(np.moveaxis(node.wide(x), class_axis(x.ndim), -1), -1)
    node.saved = (found.shares, labels)
    chosen = np.take_along_axis(found.shifted, count.kept[..., None], -1)[..., 0]
    rows = np.where(count.counts, count.weights[count.kept] * (found.log_total[..., 0] - chosen), 0.0)
    if smoothing:
        weights = count.weights
        even = tree_sum(weights * (found.log_total - found.shifted), -1, keepdims=False) / len(weights)
        rows = np.where(count.counts, (1.0 - smoothing) * rows + smoothing * even, 0.0)
    return reduced(np.asarray(rows), reduction, count.total)


def _cross_entropy_derivative(node: Node, g: Array) -> Array:
    shares, labels = node.saved
    classes, smoothing = shares.shape[-1], float(node.params.get("label_smoothing", 0.0))
    count = _counted(node, classes, labels)
    target = np.zeros(shares.shape) + smoothing / classes * count.weights
    own = (1.0 - smoothing + smoothing / classes) * count.weights[count.kept]
    np.put_along_axis(target, count.kept[..., None], own[..., None], -1)
    slope = _pull(shares, target) * np.asarray(weight_of(node, g, count.total))[..., None]
    return np.moveaxis(np.where(count.counts[..., None], slope, 0.0), -1, class_axis(slope.ndim))


def _pull(shares: Array, target: Array) -> Array:
    """Return share * (sum of targets) - target for each class, without a difference at the largest share."""
    total, top = tree_sum(target, -1), shares.argmax(axis=-1)[..., None]
    slope = np.asarray(shares * total - target)
    np.put_along_axis(slope, top, _without(target, top, -1) - _without(shares, top, -1) * total, -1)
    return slope


def _soft_target(node: Node, target: Array) -> tuple[Array, Array]:
    """Return what each class counts, smoothed and weighed, and by how much it grows with the target."""
    weights = _class_weights(node, target.shape[class_axis(target.ndim)])
    smoothing = smoothing_of(node.params.get("label_smoothing", 0.0))
    given = np.moveaxis(node.wide(target), class_axis(target.ndim), -1)
    return ((1.0 - smoothing) * given + smoothing / len(weights)) * weights, (1.0 - smoothing) * weights


def _soft_cross_entropy(
    node: Node,
    x: Array,
    target: Array,
    *,
    weight: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    if x.shape != target.shape or x.ndim < 1 or not x.size:
        raise ShapeError(
            f"cross_entropy needs a share of the target for each score. Got {x.shape} and {target.shape}. "
            "Give targets of the shape of the scores, or class numbers."
        )
    axis = class_axis(x.ndim)
    found = _shares(np.moveaxis(node.wide(x), axis, -1), -1)
    node.saved = surprise = found.log_total - found.shifted
    counted, _ = _soft_target(node, target)
    # A share of 0 counts nothing, however small the probability is.
    rows = tree_sum(np.where(counted == 0.0, 0.0, counted * surprise), -1, keepdims=False)
    return reduced(rows, reduction)


def _soft_derivative(node: Node, g: Array, index: int) -> Array:
    surprise = node.saved
    target, growth = _soft_target(node, node.b)
    slope = growth * surprise if index else _pull(exp64(-surprise), target)
    count = surprise.size // surprise.shape[-1]
    return np.moveaxis(slope * weight_of(node, g, count)[..., None], -1, class_axis(slope.ndim))


def _nll(
    node: Node,
    x: Array,
    *,
    labels: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Array:
    node.saved = labels = _check_labels(node, x, labels, ignore_index)
    axis = class_axis(x.ndim)
    count = _counted(node, x.shape[axis], labels)
    chosen = np.take_along_axis(node.wide(x), np.expand_dims(count.kept, axis), axis).squeeze(axis)
    return reduced(np.where(count.counts, -count.each * chosen, 0.0), reduction, count.total)


def _nll_derivative(node: Node, g: Array) -> Array:
    out = np.zeros(node.inputs[0].shape)
    axis = class_axis(out.ndim)
    count = _counted(node, out.shape[axis], node.saved)
    slope = np.where(count.counts, -count.each * weight_of(node, g, count.total), 0.0)
    np.put_along_axis(out, np.expand_dims(count.kept, axis), np.expand_dims(slope, axis), axis)
    return out


OPS = (
    Op(
        "softmax",
        wide(_softmax),
        (wide(_softmax_derivative),),
        "e ** a, divided by its sum along an axis",
        keeps_output=True,
    ),
    Op(
        "log_softmax",
        wide(_log_softmax),
        (wide(_log_softmax_derivative),),
        "the logarithm of softmax",
        keeps_output=True,
    ),
    Op(
        "cross_entropy",
        wide(_cross_entropy),
        (wide(_cross_entropy_derivative),),
        "-log softmax at the labels",
    ),
    Op(
        "soft_cross_entropy",
        wide(_soft_cross_entropy),
        (wide(lambda n, g: _soft_derivative(n, g, 0)), wide(lambda n, g: _soft_derivative(n, g, 1))),
        "-log softmax, weighed by the targets",
        keeps=(1,),
    ),
    Op("nll", wide(_nll), (wide(_nll_derivative),), "minus the log-probability at the labels"),
)
