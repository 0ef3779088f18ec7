"""What is a training loop in mixed precision? The same few lines for every experiment here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from floatlab import nn
from floatlab.amp import GradScaler, autocast
from floatlab.autograd import Tensor
from floatlab.errors import check_option
from floatlab.formats import FloatFormat, formats, get_format
from floatlab.optim import Optimizer

__all__ = ["LOSS_SCALINGS", "History", "Precision", "Watcher", "fit", "format_name"]

LOSS_SCALINGS = ("none", "static", "dynamic")


def format_name(fmt: str | FloatFormat) -> str:
    """Return what a record keeps of a format: the catalogue's name for it, or else its `FloatFormat.spec`.

    >>> format_name("fp16"), format_name(FloatFormat("mine", 5, 10)), format_name(FloatFormat("mine", 5, 6))
    ('float16', 'float16', 'mine=e5m6b15')
    """
    found = get_format(fmt)
    return next((known for known in formats() if known.same_as(found)), found).spec


@dataclass(frozen=True)
class Precision:
    """In which formats a run computes, and how it scales its loss.

    Attributes
    ----------
    format, gradient_format : str
        The formats of activations and weights, and of their gradients, in matrix products. fp32 switches autocast off.
    loss_scaling : str
        "none", "static" or "dynamic".
    initial_scale : float
        The first loss scale, and the only one if it is static.
    growth_interval : int
        Good steps until a dynamic scale doubles. Frameworks use 2000; a run here has a few hundred steps.
    """

    format: str = "float32"
    gradient_format: str = "float32"
    loss_scaling: str = "none"
    initial_scale: float = 1.0
    growth_interval: int = 50

    def __post_init__(self) -> None:
        for name in ("format", "gradient_format"):
            object.__setattr__(self, name, format_name(getattr(self, name)))
        check_option("loss_scaling", self.loss_scaling, LOSS_SCALINGS)

    def context(self) -> autocast:
        """Return the context in which the forward pass runs; in fp32 it changes nothing."""
        return autocast(self.format, enabled=self.format != "float32", gradient_format=self.gradient_format)

    def scaler(self) -> GradScaler:
        """Return a new scaler; without loss scaling one that does nothing, not even skip a step."""
        if self.loss_scaling == "static":
            return GradScaler.static(self.initial_scale)
        dynamic = self.loss_scaling == "dynamic"
        return GradScaler(self.initial_scale, growth_interval=self.growth_interval, enabled=dynamic)


@dataclass
class History:
    """What happened on the way.

    Attributes
    ----------
    first_loss : float
        The loss of the first batch, before anything has been learned, and before its weight.
    epoch_losses : list of float
        The mean loss of each epoch, before its weight; NaN for an epoch that was not run.
    zero_shares : list of float
        The share of the weights' gradients (matrices, not biases) that were zero in each epoch, for any reason.
    scale_changes : list of (int, float)
        A step and the loss scale from there on.
    skipped : list of int
        The steps that were skipped because a gradient was not finite.
    final_scale : float
        The loss scale after the last step.
    collapsed : bool
        Whether the loss scale fell below the normal numbers of fp32, and the run was ended.
    """

    first_loss: float = math.nan
    epoch_losses: list[float] = field(default_factory=list)
    zero_shares: list[float] = field(default_factory=list)
    scale_changes: list[tuple[int, float]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    steps: int = 0
    final_scale: float = 1.0
    collapsed: bool = False


class Watcher:
    """Is told of the steps of a run as they happen, and notes what an experiment measures; this one notes nothing."""

    def before_step(self, step: int) -> None:
        """Before the forward pass of a step, from 0."""

    def after_backward(self, step: int) -> None:
        """When gradients are there, the loss scale still on them."""

    def after_step(self, step: int) -> None:
        """When the weights have been updated, or the step has been skipped."""


def fit(
    network: nn.Module,
    batches: Callable[[], Iterable[tuple[Any, Any]]],
    loss_of: Callable[[Tensor, Any], Tensor],
    optimizer: Optimizer,
    precision: Precision,
    *,
    epochs: int,
    loss_weight: float = 1.0,
    watcher: Watcher | None = None,
) -> History:
    """Train, and return what happened.

    Parameters
    ----------
    network : Module
        Called with a Tensor of the inputs of a batch.
    batches : callable
        Called once an epoch; gives pairs of inputs and targets, both arrays.
    loss_of : callable
        Takes the network's output and the targets, and returns the loss.
    optimizer : Optimizer
        Of the network's parameters.
    precision : Precision
        Formats and loss scaling.
    epochs : int
        How often to go through the batches.
    loss_weight : float
        What the loss is multiplied by.
    watcher : Watcher, optional
        Is told of every step.
    """
    scaler, history, watcher = precision.scaler(), History(), watcher or Watcher()
    for _ in range(epochs):
        losses: list[float] = []
        zeros = entries = 0
        for inputs, targets in batches():
            if history.collapsed:
                break
            watcher.before_step(history.steps)
            optimizer.zero_grad()
            with precision.context():
                loss = loss_of(network(Tensor(inputs)), targets)
                weighted = loss * loss_weight
            scaler.scale(weighted).backward()
            watcher.after_backward(history.steps)
            if not history.scale_changes or history.scale_changes[-1][1] != scaler.get_scale():
                history.scale_changes.append((history.steps, scaler.get_scale()))
            for parameter in network.parameters():
                if parameter.ndim >= 2 and parameter.grad is not None:
                    zeros += parameter.size - int(np.count_nonzero(parameter.grad.array))
                    entries += parameter.size
            scaler.step(optimizer)  # a disabled scaler steps and does nothing else
            scaler.update()
            watcher.after_step(history.steps)
            if precision.loss_scaling != "none" and scaler.last_step_was_skipped:
                history.skipped.append(history.steps)
            # Weights so large that the forward pass overflows: every step is skipped, and the scale halves until
            # fp32 has no such number left. Nothing can be learned any more.
            history.final_scale = scaler.get_scale()
            history.collapsed = history.final_scale < get_format("float32").smallest_normal
            losses.append(loss.item())
            if not history.steps:
                history.first_loss = losses[0]
            history.steps += 1
        history.epoch_losses.append(float(np.mean(losses)) if losses else math.nan)
        history.zero_shares.append(zeros / entries if entries else math.nan)
    return history
