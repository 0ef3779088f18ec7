"""The layers as functions: PyTorch's torch.nn.functional, each a line or two onto the table of operations.

Images have the shape (batch, channels, height, width). `dim` counts axes as in PyTorch. Labels are
integer arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from floatlab.autograd import Tensor, apply, cast_policy
from floatlab.autograd.rounding import is_subset, tree_sum
from floatlab.errors import DataError, OptionError, ShapeError

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "flatten",
    "gelu",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]

Pair = int | tuple[int, int]
Product = Callable[..., Tensor]

#: Asked before `linear` and `conv2d` compute, with the operation's name, its tensors and its parameters: a room above
#: can put another product in their place (amp.fp8 does). None: they compute as the table says.
product_rule: ContextVar[Product | None] = ContextVar("floatlab_product_rule", default=None)


def _product(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, **params: Any) -> Tensor:
    rule = product_rule.get()
    return apply(name, x, weight, bias, **params) if rule is None else rule(name, x, weight, bias, **params)


# -- products ----------------------------------------------------------------------------------------


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, rounded once; x is (..., in), weight (out, in), bias (out,)."""
    return _product("linear", x, weight, bias)


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Pair = 1, padding: Pair = 0
) -> Tensor:
    """Return the cross-correlation of images (N, C, H, W) with kernels (out, C, height, width)."""
    return _product("conv2d", x, weight, bias, stride=_pair(stride), padding=_pair(padding))


def embedding(indices: Any, weight: Tensor) -> Tensor:
    """Return the rows of `weight` with these indices; an index outside it is an error."""
    return apply("embedding", weight, indices=np.asarray(indices))


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


# -- pooling and shape -------------------------------------------------------------------------------


def max_pool2d(x: Tensor, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Tensor:
    """Return the largest value of each window; `stride` is the window's size if not given."""
    step = None if stride is None else _pair(stride)
    return apply("max_pool2d", x, kernel=_pair(kernel_size), stride=step, padding=_pair(padding))


def avg_pool2d(x: Tensor, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Tensor:
    """Return the mean of each window, padding counted in; `stride` is the window's size if not given."""
    step = None if stride is None else _pair(stride)
    return apply("avg_pool2d", x, kernel=_pair(kernel_size), stride=step, padding=_pair(padding))


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return the values with the axes from `start_dim` to `end_dim` made one."""
    first, last = start_dim % max(x.ndim, 1), end_dim % max(x.ndim, 1)
    middle = int(np.prod(x.shape[first : last + 1], dtype=np.int64))
    return x.reshape(*x.shape[:first], middle, *x.shape[last + 1 :])


def pad(x: Tensor, padding: tuple[int, ...], value: float = 0.0) -> Tensor:
    """Surround the last axes with a constant; `padding` is (left, right, top, bottom, ...)."""
    if len(padding) % 2 or len(padding) > 2 * x.ndim:
        raise ShapeError(
            f"padding has two numbers an axis, from the last one. Got {padding} for shape {x.shape}. Give "
            "2 or 4."
        )
    widths = [(0, 0)] * (x.ndim - len(padding) // 2)
    widths += [(padding[i], padding[i + 1]) for i in range(len(padding) - 2, -1, -2)]
    return apply("pad", x, widths=tuple(widths), value=value)


def one_hot(labels: Any, classes: int) -> np.ndarray[Any, Any]:
    """Return a float32 array with a 1 at each label and 0 elsewhere."""
    numbers = _labels(labels)
    if numbers.dtype.kind not in "iu" or (numbers.size and not 0 <= numbers.min() <= numbers.max() < classes):
        raise DataError(
            f"Labels are integers from 0 to {classes - 1}. Got {numbers.dtype} labels from {numbers.min()} to "
            f"{numbers.max()}. Check the labels, or the number of classes."
        )
    rows: np.ndarray[Any, Any] = np.eye(classes, dtype=np.float32)[numbers]
    return rows


# -- activations -------------------------------------------------------------------------------------


def relu(x: Tensor) -> Tensor:
    """Return max(x, 0), which never rounds."""
    return apply("relu", x)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Return x where it is positive, negative_slope * x elsewhere."""
    return apply("leaky_relu", x, slope=negative_slope)


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return apply("tanh", x)


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + e^-x)."""
    return apply("sigmoid", x)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """Return x times the normal distribution function of x; `approximate="tanh"` is the usual short cut."""
    return apply("gelu", x, approximate=approximate)


def softplus(x: Tensor, beta: float = 1.0) -> Tensor:
    """Return log(1 + e^(beta x)) / beta."""
    return apply("softplus", x, beta=beta)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Return e^x divided by its sum along an axis."""
    return apply("softmax", x, axis=dim)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Return the logarithm of softmax."""
    return apply("log_softmax", x, axis=dim)


def dropout(
    x: Tensor, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None
) -> Tensor:
    """Set each element to zero with probability `p` and divide the rest by 1 - p, if training."""
    if not 0.0 <= p <= 1.0:
        raise OptionError(f"p is a probability. Got {p!r}. Give a number from 0 to 1.")
    if not training or p == 0.0:
        return x
    # 24 random bits an element: the same on every machine, and exact in float32.
    draws = np.random.default_rng(rng).random(x.shape, dtype=np.float32)
    return apply("dropout", x, mask=draws >= p, p=p)


# -- normalisation -----------------------------------------------------------------------------------


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel (axis 1) by its mean and variance over all other axes, then scale and shift.

    In training the statistics are the batch's, and the running ones move towards them by `momentum` (in
    place, the variance as its unbiased estimate); otherwise they are the running ones. Computed in the
    format of the weights and rounded to that of `x`, as PyTorch does under autocast.
    """
    if x.ndim < 2:
        raise ShapeError(
            f"batch_norm needs x of shape (N, C, ...). Got {x.shape}. Add an axis for the batch."
        )
    count = x.size // x.shape[1] if x.shape[1] else 0
    if training and count < 2:
        raise ShapeError(
            f"Batch statistics need more than one value a channel. Got shape {x.shape}. Use a larger "
            "batch, or eval()."
        )
    if not training and (running_mean is None or running_var is None):
        raise OptionError("Evaluation needs running statistics. Got none. Use track_running_stats=True.")
    statistics = {}
    if not training:
        statistics = {"mean": running_mean.data, "var": running_var.data}  # type: ignore[union-attr]
    elif running_mean is not None and running_var is not None:
        mean, variance = _channel_statistics(x.data)
        _move(running_mean, mean, momentum)
        _move(running_var, variance * (count / (count - 1)), momentum)
    if weight is None or x.format.same_as(weight.format) or not is_subset(x.format, weight.format):
        return apply("batch_norm", x, weight, bias, eps=eps, **statistics)
    wide = x.to(weight.format, weight.gradient_format)
    return apply("batch_norm", wide, weight, bias, eps=eps, **statistics).to(x.format, x.gradient_format)


def _channel_statistics(x: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return mean and variance of each channel, added up in float64 in a fixed order."""
    rows = np.moveaxis(x.astype(np.float64), 1, -1).reshape(-1, x.shape[1])
    mean = tree_sum(rows, 0, keepdims=False) / len(rows)
    return mean, tree_sum(np.square(rows - mean), 0, keepdims=False) / len(rows)


def _move(running: Tensor, batch: np.ndarray[Any, Any], momentum: float) -> None:
    momentum = float(momentum)
    running.data = (1.0 - momentum) * running.data.astype(np.float64) + momentum * batch


def layer_norm(
    x: Tensor,
    normalized_shape: int | tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise the last axes by their own mean and variance, then scale and shift.

    `normalized_shape` is the shape of these axes, and of `weight` and `bias`.
    """
    ends = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if x.shape[-len(ends) :] != ends:
        raise ShapeError(f"layer_norm needs x of shape (..., {ends}). Got {x.shape}. Check normalized_shape.")
    return apply("layer_norm", x, weight, bias, axes=len(ends), eps=eps)


# -- losses ------------------------------------------------------------------------------------------


def cross_entropy(
    scores: Tensor, labels: Any, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:
    """Return minus the log of softmax of `scores` (..., classes) at the integer `labels` (...)."""
    return apply(
        "cross_entropy", scores, labels=_labels(labels), reduction=reduction, label_smoothing=label_smoothing
    )


def nll_loss(log_probabilities: Tensor, labels: Any, reduction: str = "mean") -> Tensor:
    """Return minus the log-probabilities (..., classes) at the integer `labels` (...)."""
    return apply("nll", log_probabilities, labels=_labels(labels), reduction=reduction)


def mse_loss(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """Return the squared difference; `target` is a tensor or an array of the same shape."""
    return apply("mse", x, _target(target, x), reduction=reduction)


def binary_cross_entropy_with_logits(x: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """Return the cross entropy of sigmoid(x) against targets from 0 to 1, without computing the sigmoid."""
    return apply("bce_with_logits", x, _target(target, x), reduction=reduction)


def _labels(labels: Any) -> np.ndarray[Any, Any]:
    if not isinstance(labels, Tensor):
        return np.asarray(labels)
    numbers = labels.data.astype(np.int64)
    return numbers if np.array_equal(numbers, labels.data) else labels.data  # the operation refuses fractions


def _target(target: Any, like: Tensor) -> Tensor:
    """Return an array of targets as a tensor: of the format of `like`, or exact where autocast widens `like`."""
    if isinstance(target, Tensor):
        return target
    narrow = cast_policy.get() is not None and like.format.value_dtype == np.float32
    return Tensor(target, format="float32" if narrow else like.format)
