"""Normalisation: by the batch's mean and variance, by each example's own, or by groups of its channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd import Tensor, apply
from floatlab.autograd.rounding import is_subset, tree_sum
from floatlab.errors import OptionError, ShapeError
from floatlab.nn.arguments import axis_of, number, positive, whole_shape

__all__ = ["batch_norm", "cosine_similarity", "group_norm", "layer_norm", "normalize", "rms_norm"]


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
    momentum, eps = number("momentum", momentum, 0.0), number("eps", eps, 0.0)
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
        statistics = {"mean": running_mean.array, "var": running_var.array}  # type: ignore[union-attr]
    elif running_mean is not None and running_var is not None:
        mean, variance = _channel_statistics(x.array)
        _move(running_mean, mean, momentum)
        _move(running_var, variance * (count / (count - 1)), momentum)
    if weight is None and bias is not None:
        weight = Tensor(np.ones(bias.shape), format=bias.format)
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
    running.data = (1.0 - momentum) * running.array.astype(np.float64) + momentum * batch


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
    ends = whole_shape("normalized_shape", normalized_shape)
    _need_ends("layer_norm", x, ends)
    if weight is None and bias is not None:
        weight = Tensor(np.ones(ends), format=bias.format)  # operations count their inputs from the left
    return apply("layer_norm", x, weight, bias, axes=len(ends), eps=number("eps", eps, 0.0))


def rms_norm(
    x: Tensor,
    normalized_shape: int | tuple[int, ...],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Divide the last axes by the root of their mean square (Zhang and Sennrich 2019), then scale.

    `eps` is added to the mean square; by default it is the distance from 1 to the next value of the format, as in
    PyTorch.
    """
    ends = whole_shape("normalized_shape", normalized_shape)
    _need_ends("rms_norm", x, ends)
    return apply("rms_norm", x, weight, axes=len(ends), eps=None if eps is None else number("eps", eps, 0.0))


def _need_ends(name: str, x: Tensor, ends: tuple[int, ...]) -> None:
    if x.shape[-len(ends) :] != ends:
        raise ShapeError(
            f"{name} needs x of shape (..., {', '.join(map(str, ends))}). Got {x.shape}. Check normalized_shape."
        )


def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each group of channels of each example (Wu and He 2018), then scale and shift each channel."""
    positive(num_groups=num_groups)
    if weight is None and bias is not None:
        weight = Tensor(np.ones(bias.shape), format=bias.format)
    return apply("group_norm", x, weight, bias, groups=int(num_groups), eps=number("eps", eps, 0.0))


def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Return x divided by its norm of order p (1 or 2) along an axis, or by `eps` if that is larger; rounded once."""
    if p not in (1, 2):
        raise OptionError(
            f"normalize divides by a norm of order 1 or 2. Got p={p!r}. Use x / x.norm(p, dim, True)."
        )
    axis_of("dim", dim, x.ndim)
    return apply("normalize", x, p=float(p), axis=int(dim), eps=number("eps", eps, 0.0))


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return the cosine of the angle between vectors along an axis, each length at least `eps`; rounded once."""
    axis_of("dim", dim, max(x1.ndim, x2.ndim))
    return apply("cosine_similarity", x1, x2, axis=int(dim), eps=number("eps", eps, 0.0))
