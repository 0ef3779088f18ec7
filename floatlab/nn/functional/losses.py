"""Losses, each taken in float64 and rounded once.

`reduction` is "mean", "sum" or "none". Options are given by name, but for PyTorch's `weight`, which comes third there,
too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd import Tensor, apply
from floatlab.autograd.ops.losses import REDUCTIONS
from floatlab.errors import OptionError, ShapeError, check_option
from floatlab.nn.arguments import is_whole, number
from floatlab.nn.functional.inputs import array_of, numbers_of, target_of, weights_of

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]


def cross_entropy(
    input: Tensor,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return minus the log of softmax of scores (N, classes, d1, ...) at integer labels (N, d1, ...).

    Parameters
    ----------
    input : Tensor
        Scores. The classes are on axis 1, as in PyTorch, or the only axis.
    target : array of integers, or Tensor
        Class numbers; or a share of each class, of the shape of `input`.
    weight : array, optional
        What each class counts. A mean is divided by the sum of what the labels count.
    ignore_index : int
        A label that does not count.
    reduction : str
        "mean", "sum" or "none".
    label_smoothing : float
        The part of the target that is spread over all classes evenly (Szegedy et al. 2015).

    Examples
    --------
    >>> cross_entropy(Tensor([[2.0, 0.0], [0.0, 0.0]]), [0, 1], reduction="none").tolist()
    [0.12692801654338837, 0.6931471824645996]
    """
    check_option("reduction", reduction, REDUCTIONS)
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": label_smoothing}
    options |= weights_of(weight=weight)
    given = array_of("target", target)
    if (
        given.dtype.kind == "f" and given.shape == input.shape
    ):  # class numbers are integers, or of another shape
        return apply("soft_cross_entropy", input, target_of(target, input), **options)
    return apply(
        "cross_entropy", input, labels=numbers_of("labels", target), **options, **_ignored(ignore_index)
    )


def _ignored(ignore_index: Any) -> dict[str, int]:
    if not is_whole(ignore_index):
        raise OptionError(f"ignore_index is an integer. Got {ignore_index!r}. Use a label that is no class.")
    return {"ignore_index": int(ignore_index)}


def nll_loss(
    input: Tensor, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Return minus the log-probabilities (N, classes, d1, ...) at integer labels (N, d1, ...)."""
    return apply(
        "nll",
        input,
        labels=numbers_of("labels", target),
        reduction=reduction,
        **weights_of(weight=weight),
        **_ignored(ignore_index),
    )


def mse_loss(input: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """Return the squared difference; `target` is a tensor or an array of the same shape."""
    return apply("mse", input, target_of(target, input), reduction=reduction)


def l1_loss(input: Tensor, target: Any, *, reduction: str = "mean") -> Tensor:
    """Return the magnitude of the difference."""
    return apply("l1", input, target_of(target, input), reduction=reduction)


def smooth_l1_loss(input: Tensor, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Return the magnitude of the difference less beta / 2; below beta a parabola (Girshick 2015)."""
    knee = number("beta", beta, 0.0)
    return apply("smooth_l1", input, target_of(target, input), reduction=reduction, beta=knee)


def huber_loss(input: Tensor, target: Any, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Return half the squared difference; beyond delta a straight line (Huber 1964)."""
    knee = number("delta", delta, 0.0, beyond=True)
    return apply("huber", input, target_of(target, input), reduction=reduction, delta=knee)


def kl_div(input: Tensor, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Return target * (log target - input): how far log-probabilities are from target probabilities.

    "batchmean" divides the sum by the number of examples, which is what the divergence is; "mean" divides by the
    number of elements. With `log_target` the target holds logarithms, too.
    """
    check_option("reduction", reduction, (*REDUCTIONS, "batchmean"))
    return apply("kl_div", input, target_of(target, input), reduction=reduction, log_target=bool(log_target))


def binary_cross_entropy(
    input: Tensor, target: Any, weight: Any = None, *, reduction: str = "mean"
) -> Tensor:
    """Return the cross entropy of probabilities from 0 to 1 against targets from 0 to 1.

    A logarithm is at least -100, as in PyTorch. Autocast refuses it: use `binary_cross_entropy_with_logits`.
    """
    options = _fitting(input, weight=weight)
    return apply("bce", input, target_of(target, input), reduction=reduction, **options)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Any, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """Return the cross entropy of sigmoid(input) against targets from 0 to 1, without computing the sigmoid.

    `weight` multiplies each loss, `pos_weight` the part of the positive answers.
    """
    options = _fitting(input, weight=weight, pos_weight=pos_weight)
    return apply("bce_with_logits", input, target_of(target, input), reduction=reduction, **options)


def _fitting(x: Tensor, **given: Any) -> dict[str, Any]:
    """Return the weights that are there; each must broadcast to the shape of x."""
    options = weights_of(**given)
    for name, array in options.items():
        try:
            fits = np.broadcast_shapes(array.shape, x.shape) == x.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{name} broadcasts to x. Got {array.shape} for {x.shape}. Reshape it.")
    return options
