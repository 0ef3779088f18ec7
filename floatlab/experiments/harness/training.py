"""What happens in one run? The digits, a small ReLU network, SGD with momentum; formats and scaling as asked for.

The regime: 64-64-64-64-10, He initialisation, batches of 64 (whole ones only: a smaller last batch would have larger
gradients), 20 epochs, momentum 0.9. The loss is multiplied by a *loss weight* w, as a term of a larger loss would
be, and the learning rate is divided by it, so that in exact arithmetic w changes nothing at all. In float
formats it decides where the gradients lie.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.autograd import Tensor, no_grad
from floatlab.data import Dataset, digits
from floatlab.errors import OptionError, check_option
from floatlab.experiments.harness.loop import LOSS_SCALINGS, History, Precision, Watcher, fit, format_name
from floatlab.experiments.harness.measure import Largest, Layers
from floatlab.experiments.harness.prediction import LayerGradients, lost_share, predict
from floatlab.optim import SGD

__all__ = [
    "TrainingConfig",
    "build_network",
    "first_step",
    "largest_magnitudes",
    "train",
    "weights_sha256",
    "whole_batches",
]


@dataclass(frozen=True)
class TrainingConfig:
    """One run.

    Attributes
    ----------
    run : str
        What the run is called in tables and figures.
    format, gradient_format : str
        The formats of activations and weights, and of their gradients, in matrix products. Master weights are fp32.
    loss_scaling : str
        "none", "static" or "dynamic".
    initial_scale : float
        The first loss scale, and the only one if it is static.
    growth_interval : int
        Good steps until a dynamic scale doubles. Frameworks use 2000; a run here has 440.
    loss_weight : float
        The factor of the loss; the learning rate is ``learning_rate / loss_weight``.
    seed : int
        Of the split, the initial weights and the order of the batches.
    """

    run: str = "fp32"
    format: str = "float32"
    gradient_format: str = "float32"
    loss_scaling: str = "none"
    initial_scale: float = 1.0
    growth_interval: int = 50
    loss_weight: float = 1.0
    seed: int = 0
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    widths: tuple[int, ...] = (64, 64, 64, 64, 64, 10)

    def __post_init__(self) -> None:
        for field in ("format", "gradient_format"):
            object.__setattr__(self, field, format_name(getattr(self, field)))
        object.__setattr__(self, "widths", tuple(self.widths))
        check_option("loss_scaling", self.loss_scaling, LOSS_SCALINGS)
        if not (self.loss_weight > 0 and math.isfinite(self.loss_weight)):
            raise OptionError(f"loss_weight is a number above 0. Got {self.loss_weight!r}. Use 1.0.")
        if self.epochs < 1:
            raise OptionError(f"A run has at least one epoch. Got epochs={self.epochs!r}. Use 20.")

    @property
    def steps(self) -> int:
        """How many steps the run takes on the digits."""
        return self.epochs * (len(digits(seed=self.seed).train_labels) // self.batch_size)

    def reference(self) -> TrainingConfig:
        """Return the fp32 run that this one is judged by: it has the same data, weights and loss weight."""
        return fp32_twin(self)

    @property
    def precision(self) -> Precision:
        """The formats and the loss scaling."""
        return Precision(
            self.format, self.gradient_format, self.loss_scaling, self.initial_scale, self.growth_interval
        )


def build_network(config: TrainingConfig) -> nn.Sequential:
    """Return the network with its initial fp32 weights: He normal, biases zero."""
    rng = np.random.default_rng(config.seed)
    modules: list[nn.Module] = []
    for inputs, outputs in zip(config.widths, config.widths[1:], strict=False):
        linear = nn.Linear(inputs, outputs, rng=rng)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", rng=rng)
        nn.init.zeros_(linear.bias)
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def first_step(config: TrainingConfig, data: Dataset | None = None) -> dict[str, LayerGradients]:
    """Return what a first backward pass leaves at each layer, the loss scale still on it."""
    data = digits(seed=config.seed) if data is None else data
    images, labels = next(data.batches(config.batch_size, np.random.default_rng(config.seed)))
    network = Layers(build_network(config))
    with config.precision.context():
        loss = nn.functional.cross_entropy(network(Tensor(images)), labels) * config.loss_weight
    (loss * config.initial_scale).backward()
    return network.gradients()


class _FirstStep(Watcher):
    """Notes what the first backward pass of the run itself leaves at each layer."""

    def __init__(self, network: Layers) -> None:
        self.network = network
        self.found: dict[str, LayerGradients] = {}

    def after_backward(self, step: int) -> None:
        if step == 0:
            self.found = self.network.gradients()


def whole_batches(
    data: Dataset, size: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Go once through the training part in batches of exactly `size`; what is left over waits for another epoch."""
    return (batch for batch in data.batches(size, rng) if len(batch[1]) == size)


def fp32_twin(config: TrainingConfig) -> TrainingConfig:
    """Return the fp32 run with the same data, weights and loss weight."""
    values = asdict(config) | {"run": "fp32", "format": "float32", "gradient_format": "float32"}
    return TrainingConfig(**(values | {"loss_scaling": "none", "initial_scale": 1.0}))


@lru_cache(maxsize=4)  # the fp32 run is the same for many runs
def largest_magnitudes(config: TrainingConfig) -> Largest:
    """Follow a run, and return the largest magnitudes of its steps."""
    course = Largest()
    _fit(config, build_network(config), digits(seed=config.seed), course)
    return course


def _fit(config: TrainingConfig, network: nn.Module, data: Dataset, watcher: Watcher) -> History:
    rate = config.learning_rate / config.loss_weight
    rng = np.random.default_rng(config.seed)
    return fit(
        network,
        lambda: whole_batches(data, config.batch_size, rng),
        nn.functional.cross_entropy,
        SGD(network.parameters(), lr=rate, momentum=config.momentum),
        config.precision,
        epochs=config.epochs,
        loss_weight=config.loss_weight,
        watcher=watcher,
    )


def train(config: TrainingConfig) -> dict[str, Any]:
    """Do one run and return its record: plain numbers, strings, lists and dicts, the same on every machine.

    Shares of zeros are those of the first step, where all runs still have the same weights. They count the
    gradients that are zero in this run's first step and not in fp32's: lost by the format, that is, not zero to begin
    with. Whether the run has failed is said by `criterion`, beside its fp32 run.
    """
    data = digits(seed=config.seed)
    exact = first_step(fp32_twin(config), data)
    prediction = predict(exact, config.gradient_format, scale=config.initial_scale)
    network = Layers(build_network(config))
    first = _FirstStep(network)
    history = _fit(config, network, data, first)
    accuracy = _accuracy(network, data.test_images, data.test_labels)
    return {
        "run": config.run,
        "format": config.format,
        "gradient_format": config.gradient_format,
        "loss_scaling": config.loss_scaling,
        "loss_weight": config.loss_weight,
        "seed": config.seed,
        "test_accuracy": accuracy,
        "predicted_failure": prediction.fails,
        "train_loss": history.epoch_losses[-1],
        "zero_gradient_share": {
            name: lost_share(exact[name].weight_gradient, layer.weight_gradient)
            for name, layer in first.found.items()
        },
        "predicted_zero_share": prediction.weight_gradients,
        "zero_output_gradient_share": {
            name: lost_share(exact[name].output_gradient, layer.output_gradient)
            for name, layer in first.found.items()
        },
        "predicted_zero_output_share": prediction.output_gradients,
        "first_step_overflows": not all(
            np.isfinite(layer.weight_gradient).all() for layer in first.found.values()
        ),
        "zero_share_by_epoch": history.zero_shares,
        "skipped_steps": len(history.skipped),
        "overflow_steps": history.skipped,
        "initial_scale": config.initial_scale,
        "final_scale": history.final_scale,
        "scale_changes": history.scale_changes,
        "first_loss": history.first_loss,
        "epoch_losses": history.epoch_losses,
        "steps": history.steps,
        "steps_per_epoch": config.steps // config.epochs,
        "scale_collapsed": history.collapsed,
        "weights_sha256": weights_sha256(network),
    }


def _accuracy(network: nn.Module, images: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the share of images that the master weights classify rightly, in fp32."""
    with no_grad():
        scores = network(Tensor(images)).array
    guesses = np.where(np.isnan(scores).any(axis=1), -1, scores.argmax(axis=1))
    return float((guesses == labels).mean())


def weights_sha256(network: nn.Module) -> str:
    """Return the SHA-256 of all weights in order: little-endian float32, sign and NaN bits included."""
    digest = hashlib.sha256()
    for parameter in network.parameters():
        digest.update(np.ascontiguousarray(parameter.array, dtype="<f4").tobytes())
    return digest.hexdigest()
