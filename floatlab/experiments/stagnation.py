"""Stagnation: what if an update is too small for the weight that it is added to?

The network of the demonstration, trained by plain SGD in batches of 16 with a small learning rate. Weights, gradients
and the update are in one narrow format; or there is an fp32 master copy of the weights; or the new weight is
rounded stochastically. Nothing underflows here, and no loss scale would help: ``w - lr * g`` simply rounds back to w
wherever ``lr * g`` is at most half the distance to w's neighbour. For bf16, with 8 bits of precision, that is an
update smaller than about 1/512 to 1/256 of the weight.

Prediction: fp32 weights and gradients of the first step, and arithmetic on them: the share of weights whose update
would be lost. A run stalls if more than half are: its last loss is then at least 20% above the fp32 run's.
With a master copy or stochastic rounding none is lost for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab import nn
from floatlab.autograd import Tensor
from floatlab.data import digits
from floatlab.experiments.harness.common import (
    Experiment,
    Record,
    Run,
    accuracy,
    below,
    record,
    scores,
    whole_batches,
)
from floatlab.experiments.harness.loop import fit
from floatlab.experiments.harness.training import TrainingConfig, build_network
from floatlab.optim import SGD
from floatlab.rounding.quantize import quantize

__all__ = ["EXPERIMENT", "InFormat", "Stagnation", "predict", "train"]


@dataclass(frozen=True)
class Stagnation(Run):
    """A run of this experiment; `weight_format` is that of weights, activations, gradients and the update."""

    weight_format: str = "float32"
    master_weights: bool = False
    rounding: str = "nearest_even"
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 1e-3


class InFormat(nn.Module):
    """A network in one format, from inputs rounded to it to scores in fp32."""

    def __init__(self, network: nn.Module, fmt: str) -> None:
        super().__init__()
        self.network, self.format_name = network.to(fmt), fmt

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores."""
        found: Tensor = self.network(x.to(self.format_name)).to("float32")
        return found


def _build(config: Stagnation, fmt: str) -> InFormat:
    return InFormat(build_network(TrainingConfig(seed=config.seed)), fmt)


def _lost_updates(config: Stagnation, fmt: str) -> float:
    """Return the share of the first step's updates, computed in `fmt`, that round away in the weight format."""
    images, labels = next(iter(whole_batches(digits(seed=config.seed), config.batch_size, config.seed)()))
    network = _build(config, fmt)
    nn.functional.cross_entropy(network(Tensor(images)), labels).backward()
    gone = wanted = 0
    for p in network.parameters():
        if p.ndim == 2 and p.grad is not None:
            old = quantize(p.data.astype(np.float64), config.weight_format)
            new = quantize(old - config.learning_rate * p.grad.data.astype(np.float64), config.weight_format)
            moving = p.grad.data != 0
            gone += int(((new == old) & moving).sum())
            wanted += int(moving.sum())
    return gone / wanted


def _keeps_small_updates(config: Stagnation) -> bool:
    return config.master_weights or config.rounding != "nearest_even"


def predict(config: Stagnation) -> Record:
    """Predict a run from the weights and gradients of the first fp32 step."""
    share = 0.0 if _keeps_small_updates(config) else _lost_updates(config, "float32")
    return {"expected": share, "predicted_failure": share > 0.5}


def train(config: Stagnation) -> Record:
    """Do one run."""
    data, network = digits(seed=config.seed), _build(config, config.weight_format)
    optimizer = SGD(
        network.parameters(),
        lr=config.learning_rate,
        master_weights=config.master_weights,
        rounding=config.rounding,
        rng=config.seed,
    )
    history = fit(
        network,
        whole_batches(data, config.batch_size, config.seed),
        nn.functional.cross_entropy,
        optimizer,
        config.precision(),
        epochs=config.epochs,
    )
    findings: dict[str, Any] = {
        "found": 0.0 if _keeps_small_updates(config) else _lost_updates(config, config.weight_format),
        "train_loss": history.epoch_losses[-1],
        "outcome": accuracy(scores(network, data.test_images), data.test_labels),
    }
    return record(config, network, history, **findings)


def judge(own: Record, reference: Record) -> bool:
    """Return whether a run stalled: its loss stayed well above that of fp32."""
    return not below(own["train_loss"], 1.2 * reference["train_loss"])


EXPERIMENT = Experiment(
    name="stagnation",
    title="Stagnation and master weights",
    question="What becomes of an update that is too small for its weight?",
    runs=(
        Stagnation("fp32"),
        Stagnation("fp16, fp32 master", weight_format="float16", master_weights=True),
        Stagnation("bf16, fp32 master", weight_format="bfloat16", master_weights=True),
        Stagnation("fp16", weight_format="float16"),
        Stagnation("bf16", weight_format="bfloat16"),
        Stagnation("fp16 stochastic", weight_format="float16", rounding="stochastic"),
        Stagnation("bf16 stochastic", weight_format="bfloat16", rounding="stochastic"),
    ),
    predict=predict,
    train=train,
    expected="updates lost at the first step",
    outcome="test accuracy",
    judge=judge,
    minutes=1.4,
    notes="A larger learning rate or momentum makes updates larger and hides the effect; it does not remove it.",
)
