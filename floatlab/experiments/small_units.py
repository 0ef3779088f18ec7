"""Small units: what if the data are given in kilometres instead of metres?

A tanh autoencoder, 64-48-64 without biases, learns to repeat the digits, with pixels from 0 to 1 and with pixels from
0 to `unit`. A gradient of a weight is a product of a residual and an activation, both as small as the data: with a
unit of 0.001 it lies a factor of 10^6 lower. Adam divides by the gradient's size, so that in exact arithmetic
(and a tiny epsilon) the runs are alike but for tanh, which is straight near zero. In fp16 they are not: what is at
most 2^-25 is zero, and Adam moves nothing.

Prediction: the share of weight gradients of the first fp32 step that lie at or below the threshold of the format.
If more than half of them are lost, the run fails. (Made on the seeds 0 to 3.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.autograd import Tensor
from floatlab.data import digits
from floatlab.experiments.harness.common import Experiment, Record, Run, lost, record, scores, whole_batches
from floatlab.experiments.harness.loop import fit
from floatlab.experiments.harness.measure import FirstGradients, weight_gradients
from floatlab.experiments.harness.prediction import lost_share
from floatlab.optim import Adam

__all__ = ["EXPERIMENT", "SmallUnits", "predict", "train"]

Array = NDArray[Any]


@dataclass(frozen=True)
class SmallUnits(Run):
    """A run of this experiment; `unit` is the largest value of a pixel."""

    unit: float = 1e-3
    hidden: int = 48
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    epsilon: float = 1e-20


def _build(config: SmallUnits) -> nn.Sequential:
    rng = np.random.default_rng(config.seed)
    return nn.Sequential(
        nn.Linear(64, config.hidden, bias=False, rng=rng),
        nn.Tanh(),
        nn.Linear(config.hidden, 64, bias=False, rng=rng),
    )


def _first_gradients(config: SmallUnits) -> Array:
    """Return the weights' gradients of a first step."""
    images, _ = next(iter(whole_batches(digits(seed=config.seed), config.batch_size, config.seed)()))
    network = _build(config)
    x = Tensor(images * np.float32(config.unit))
    nn.functional.mse_loss(network(x), x).backward()
    return weight_gradients(network)


def predict(config: SmallUnits) -> Record:
    """Predict a run from the first fp32 step."""
    share = lost(config.threshold, _first_gradients(config.twin()))
    return {"expected": share, "predicted_failure": share > 0.5}


def train(config: SmallUnits) -> Record:
    """Do one run."""
    data, network, unit = digits(seed=config.seed), _build(config), np.float32(config.unit)
    exact, first = _first_gradients(config.twin()), FirstGradients(network)
    batches = whole_batches(data, config.batch_size, config.seed)
    history = fit(
        network,
        lambda: ((images * unit, images * unit) for images, _ in batches()),
        lambda out, target: nn.functional.mse_loss(out, Tensor(target)),
        Adam(network.parameters(), lr=config.learning_rate, eps=config.epsilon),
        config.precision(),
        epochs=config.epochs,
        watcher=first,
    )
    target = (data.test_images * unit).astype(np.float64)
    error = float(
        np.sqrt(((scores(network, data.test_images * unit) - target) ** 2).sum() / (target**2).sum())
    )
    return record(config, network, history, found=lost_share(exact, first.found), outcome=error)


EXPERIMENT = Experiment(
    name="small-units",
    title="Small units",
    question="Does the unit in which the data are given decide whether a network learns?",
    runs=(
        SmallUnits("fp32, unit 1", unit=1.0),
        SmallUnits("fp16, unit 1", "fp16", unit=1.0),
        SmallUnits("fp32"),
        SmallUnits("bf16", "bf16"),
        SmallUnits("fp16", "fp16"),
        SmallUnits("fp16 static", "fp16", loss_scaling="static", initial_scale=2.0**16),
        SmallUnits("fp16 dynamic", "fp16", loss_scaling="dynamic", initial_scale=2.0**16),
    ),
    predict=predict,
    train=train,
    expected="weight gradients lost at the first step",
    outcome="relative error on the test images",
    minutes=0.3,
    vary={
        "unit": 30.0,
        "learning_rate": 2.0,
        "batch_size": 2.0,
        "initial_scale": 64.0,
        "format": 1,
        "gradient_format": 1,
    },
    logarithmic=True,
    notes="In metres or kilometres alike: what matters is that fp16's range is absolute, and Adam's steps are not.",
)
