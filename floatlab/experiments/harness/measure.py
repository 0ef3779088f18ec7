"""What did the run itself do? Its first step, noted while it happens, so that a prediction meets a measurement.

A watcher is handed to `fit`, and listens there. Nothing here computes a step of its own, and nothing here knows what
was predicted: what is measured is the run that was trained. (`floatlab.telemetry.watch` is the third way, for updates
and casts.)
"""

from __future__ import annotations

from contextvars import Token
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.autograd import Event, Observer, Tensor, observers
from floatlab.experiments.harness.loop import Watcher
from floatlab.experiments.harness.prediction import LayerGradients
from floatlab.telemetry import Counts

__all__ = ["FirstGradients", "FirstOperations", "Largest", "Layers", "lost_in", "weight_gradients"]

Array = NDArray[Any]


def weight_gradients(network: nn.Module) -> Array:
    """Return the gradients of all weights (matrices and more, no biases) that have one, in one row."""
    found = [p.grad.array.ravel() for p in network.parameters() if p.ndim > 1 and p.grad is not None]
    return np.concatenate([*found, np.zeros(0, np.float32)])


def lost_in(counts: Counts) -> float:
    """Return which share of the numbers that were not zero a rounding has made zero; 0 where nothing was rounded.

    >>> lost_in(Counts(values=8, zeros=4, underflows=2)), lost_in(Counts())
    (0.3333333333333333, 0.0)
    """
    alive = counts.values - counts.zeros + counts.underflows
    return counts.underflows / alive if alive else 0.0


class FirstGradients(Watcher):
    """Notes `weight_gradients` of the first step, the loss scale still on them."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.found = network, np.zeros(0, np.float32)

    def after_backward(self, step: int) -> None:
        """Take them before the optimizer sees them."""
        if step == 0:
            self.found = weight_gradients(self.network).copy()


class FirstOperations(Watcher):
    """Notes the results of one operation's derivative in the first step, in the order in which they are computed.

    Of an operation with several inputs it is the gradient of the first one. A ``with`` block is such a step, too.
    """

    def __init__(self, op: str) -> None:
        self.op = op
        self.found: list[Array] = []
        self._token: Token[tuple[Observer, ...]] | None = None

    def before_step(self, step: int) -> None:
        """Begin to listen."""
        if step == 0:
            self._token = observers.set((*observers.get(), self._hear))

    def after_backward(self, step: int) -> None:
        """Listen no more."""
        if self._token is not None:
            observers.reset(self._token)
            self._token = None

    def __enter__(self) -> Self:
        self.before_step(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.after_backward(0)

    def _hear(self, event: Event) -> None:
        if event.phase == "backward" and event.op == self.op and event.position == 0:
            self.found.append(np.array(event.after))


class Largest(Watcher):
    """Notes the largest magnitude of each step: of the products' results on the way ahead, of their gradients back.

    Products are what autocast computes in the narrow format; a loss, for example, is not, nor is its gradient.
    """

    _PRODUCTS = ("linear", "conv2d", "matmul")

    def __init__(self) -> None:
        self.forward: list[float] = []
        self.backward: list[float] = []
        self._token: Token[tuple[Observer, ...]] | None = None

    def before_step(self, step: int) -> None:
        """Begin with nothing."""
        self.forward.append(0.0)
        self.backward.append(0.0)
        self._token = observers.set((*observers.get(), self._hear))

    def after_backward(self, step: int) -> None:
        """Listen no more: what the optimizer does is another matter."""
        if self._token is not None:
            observers.reset(self._token)
            self._token = None

    def _hear(self, event: Event) -> None:
        if event.after.size and event.op in self._PRODUCTS:
            noted = self.forward if event.phase == "forward" else self.backward
            noted[-1] = max(noted[-1], float(np.abs(event.after).max()))


class Layers(nn.Module):
    """A sequence of modules whose first pass keeps what the linear layers take in, and their outputs' gradients."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.network = network
        self._seen: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        """Call one module after the other, as the sequence does."""
        if self._seen:
            found: Tensor = self.network(x)
            return found
        for module in self.network:
            out: Tensor = module(x)
            if isinstance(module, nn.Linear):
                out.retain_grad()
                self._seen.append((module, x, out))
            x = out
        return x

    def gradients(self) -> dict[str, LayerGradients]:
        """Return what the backward pass of the first pass has left at each layer: before the next one begins."""
        return {f"layer{k}": _left(*layer) for k, layer in enumerate(self._seen, 1)}


def _left(module: nn.Linear, x: Tensor, out: Tensor) -> LayerGradients:
    assert out.grad is not None and module.weight.grad is not None
    return LayerGradients(x.array, out.grad.array, module.weight.grad.array.copy())
