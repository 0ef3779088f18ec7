"""A small convolutional network in every format: which of them train it, and which do not?

Two convolutions (8 and 16 channels, 3 x 3), pooling, a dense layer of 128, as image tutorials have them; the digits,
SGD with momentum, 6 epochs. Products and their gradients are computed in the format, by autocast; the weights are
fp32.

fp16 needs no loss scaling here, nor does bf16, nor E5M2 with its two bits. What needs it is a format whose smallest
number is large: E4M3 for gradients as well, fp6, fp4. With a scale of 64 E4M3 trains like fp32. No scale helps E3M4: it
ends at 15.5, and the scores of the images outgrow that after three epochs. The first infinity makes every weight NaN.

Prediction: the weights' gradients of the first fp32 step, and how large the products and the gradients become in the
course of the fp32 run. A run fails if more than half of the first gradients are at or below the format's threshold, or
if overflows break it (see `breaks`). (Made on the seed 0, with scales from 1 to 1024 and formats of one to four bits.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.autograd import Tensor
from floatlab.data import digits
from floatlab.experiments.harness.common import (
    Experiment,
    Record,
    Run,
    accuracy,
    lost,
    record,
    scores,
    whole_batches,
)
from floatlab.experiments.harness.loop import History, Watcher, fit
from floatlab.experiments.harness.measure import FirstGradients, Largest, weight_gradients
from floatlab.experiments.harness.prediction import breaks, lost_share
from floatlab.optim import SGD

__all__ = ["EXPERIMENT", "Cnn", "predict", "train"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Cnn(Run):
    """A run of this experiment."""

    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9


def _build(config: Cnn) -> nn.Sequential:
    rng = np.random.default_rng(config.seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, rng=rng),  # (N, 8, 8, 8)
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1, rng=rng),  # (N, 16, 8, 8)
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 16, 4, 4)
        nn.Flatten(),
        nn.Linear(256, 128, rng=rng),
        nn.ReLU(),
        nn.Linear(128, 10, rng=rng),
    )


def _pictures(images: Array) -> Array:
    return images.reshape(-1, 1, 8, 8)


@lru_cache(maxsize=2)  # the fp32 run of a seed is asked for by every other run
def _first_gradients(config: Cnn) -> Array:
    """Return the weights' gradients of a first step."""
    images, labels = next(iter(whole_batches(digits(seed=config.seed), config.batch_size, config.seed)()))
    network = _build(config)
    nn.functional.cross_entropy(network(Tensor(_pictures(images))), labels).backward()
    return weight_gradients(network)


@lru_cache(maxsize=4)
def _course(config: Cnn) -> Largest:
    """Follow the fp32 run, and return the largest magnitudes of its steps."""
    course = Largest()
    _fit(config, _build(config), course)
    return course


def predict(config: Cnn) -> Record:
    """Predict a run from its fp32 run: what is lost of the first step, and where the format's range ends."""
    exact = config.twin()
    share = lost(config.threshold, _first_gradients(exact))
    course = _course(exact)
    back = np.multiply(course.backward, config.initial_scale)
    overflows = breaks(course.forward, back, config.format, config.gradient_format, config.loss_scaling)
    return {
        "expected": share,
        "predicted_failure": share > 0.5 or overflows,
        "predicted_overflow": overflows,
    }


def _fit(config: Cnn, network: nn.Sequential, watcher: Watcher) -> History:
    batches = whole_batches(digits(seed=config.seed), config.batch_size, config.seed)
    return fit(
        network,
        lambda: ((_pictures(images), labels) for images, labels in batches()),
        nn.functional.cross_entropy,
        SGD(network.parameters(), lr=config.learning_rate, momentum=config.momentum),
        config.precision(),
        epochs=config.epochs,
        watcher=watcher,
    )


def train(config: Cnn) -> Record:
    """Do one run."""
    data, network = digits(seed=config.seed), _build(config)
    exact, first = _first_gradients(config.twin()), FirstGradients(network)
    history = _fit(config, network, first)
    found = accuracy(scores(network, _pictures(data.test_images)), data.test_labels)
    return record(config, network, history, found=lost_share(exact, first.found), outcome=found)


EXPERIMENT = Experiment(
    name="cnn",
    title="A small convolutional network in every format",
    question="Which formats train a small image network, and which need loss scaling?",
    runs=(
        Cnn("fp32"),
        Cnn("tf32", "tf32"),
        Cnn("bf16", "bf16"),
        Cnn("fp16", "fp16"),
        Cnn("E4M3, gradients E5M2", "float8_e4m3fn", "float8_e5m2"),
        Cnn("E5M2", "float8_e5m2"),
        Cnn("E4M3", "float8_e4m3fn"),
        Cnn("E4M3, scale 64", "float8_e4m3fn", loss_scaling="static", initial_scale=64.0),
        Cnn("E3M4", "float8_e3m4"),
        Cnn("fp6 E3M2", "float6_e3m2fn"),
        Cnn("fp4 E2M1", "float4_e2m1fn"),
    ),
    predict=predict,
    train=train,
    expected="weight gradients lost at the first step",
    outcome="test accuracy",
    minutes=1.0,
    vary={"learning_rate": 2.0, "batch_size": 2.0, "initial_scale": 64.0, "format": 1, "gradient_format": 1},
    notes="Six epochs: enough to tell formats that learn from those that do not, not to rank those that do.",
)
