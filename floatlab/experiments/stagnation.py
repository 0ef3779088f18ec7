"""Stagnation: what if an update is too small for the weight that it is added to?

The network of the demonstration, trained by plain SGD in batches of 16 with a small learning rate. Weights, gradients
and the update are in one narrow format; or there is an fp32 master copy of the weights; or the new weight is
rounded stochastically. Nothing underflows here, and no loss scale would help: ``w - lr * g`` simply rounds back to w
wherever ``lr * g`` is at most half the distance to w's neighbour. For bf16, with 8 bits of precision, that is an
update smaller than about 1/512 to 1/256 of the weight, and the run stands almost still; fp16 is slowed down.

Prediction: fp32 weights and gradients of the first step, and arithmetic on them: the share of weights that stay where
they are, and what is left of the descent, the sum over the weights of gradient times way. A run fails if that is less
than half. Stochastic rounding leaves most weights where they are in any one step, too, but the way is right on
average; a master copy in fp32 moves with nearly every step. (Made on the seeds 0, 1 and 3. The updates become smaller
as the loss falls, and the rule looks at the first step: fp16, with 0.7 to 0.9 left at first, falls to about 0.6 of
fp32's speed.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    Sweep,
    accuracy,
    record,
    scores,
    whole_batches,
)
from floatlab.experiments.harness.loop import fit
from floatlab.experiments.harness.training import TrainingConfig, build_network
from floatlab.optim import SGD
from floatlab.rounding.quantize import quantize
from floatlab.telemetry import watch

__all__ = ["EXPERIMENT", "InFormat", "Stagnation", "predict", "step_of", "train"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Stagnation(Run):
    """A run of this experiment; `weight_format` is that of weights, activations, gradients and the update."""

    weight_format: str = "float32"
    master_weights: bool = False
    rounding: str = "nearest_even"
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 1e-3

    def reference(self) -> Stagnation:
        """Return the run with weights and updates in fp32."""
        return self.twin(weight_format="float32", master_weights=False, rounding="nearest_even")


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


def _first_step(config: Stagnation) -> Iterator[tuple[Array, Array]]:
    """Yield each weight matrix of the first fp32 step, and its gradient."""
    images, labels = next(iter(whole_batches(digits(seed=config.seed), config.batch_size, config.seed)()))
    network = _build(config, "float32")
    nn.functional.cross_entropy(network(Tensor(images)), labels).backward()
    for p in network.parameters():
        if p.ndim == 2 and p.grad is not None:
            yield p.array.astype(np.float64), p.grad.array.astype(np.float64)


def step_of(weights: Array, wanted: Array, fmt: str, rounding: str) -> tuple[Array, Array]:
    """Return with which probability each weight stays where it is, and where it will be on average.

    Parameters
    ----------
    weights, wanted : ndarray
        Values of the format, and the exact new ones.
    fmt : str
        The format that the sum is rounded to.
    rounding : str
        "nearest_even", or "stochastic": up with a probability of how much of the gap lies below.

    Examples
    --------
    >>> w = np.array([1.0, 1.0])
    >>> step_of(w, w - [2.0**-10, 2.0**-8], "bf16", "nearest_even")
    (array([1., 0.]), array([1.        , 0.99609375]))
    >>> step_of(w, w - [2.0**-10, 2.0**-8], "bf16", "stochastic")
    (array([0.75, 0.  ]), array([0.99902344, 0.99609375]))
    """
    if rounding == "nearest_even":
        new = quantize(wanted, fmt)
        return (new == weights).astype(np.float64), new
    low, high = (quantize(wanted, fmt, rounding=mode) for mode in ("toward_negative", "toward_positive"))
    up = np.where(low == high, 0.0, (wanted - low) / np.where(low == high, 1.0, high - low))
    return np.where(low == weights, 1.0 - up, np.where(high == weights, up, 0.0)), wanted


def predict(config: Stagnation) -> Record:
    """Predict a run from the weights and gradients of the first fp32 step."""
    fmt = "float32" if config.master_weights else config.weight_format
    still = moving = descent = wanted = 0.0
    for weights, gradient in _first_step(config):
        old = quantize(weights, config.weight_format)
        stays, new = step_of(old, old - config.learning_rate * gradient, fmt, config.rounding)
        still += float(stays[gradient != 0].sum())
        moving += np.count_nonzero(gradient)
        descent += float((gradient * (old - new)).sum())
        wanted += float((config.learning_rate * gradient * gradient).sum())
    left = descent / wanted
    return {"expected": still / moving, "predicted_failure": left < 0.5, "predicted_speed": left}


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
    with watch(
        network, optimizer, every=config.epochs * len(data.train_labels)
    ) as log:  # of the first step alone
        history = fit(
            network,
            whole_batches(data, config.batch_size, config.seed),
            nn.functional.cross_entropy,
            optimizer,
            config.precision(),
            epochs=config.epochs,
        )
    matrices = {name for name, p in network.named_parameters() if p.ndim == 2}
    updates = [update for update in log.updates if update.step == 0 and update.parameter in matrices]
    return record(
        config,
        network,
        history,
        found=sum(update.lost for update in updates) / max(sum(update.driven for update in updates), 1),
        train_loss=history.epoch_losses[-1],
        outcome=accuracy(scores(network, data.test_images), data.test_labels),
    )


_LOST = "updates lost at the first step"
_RATES = tuple(1e-3 * 10.0 ** (k / 8) for k in range(-12, 13))


def measured(records: list[Record]) -> list[Record]:
    """Return for each run which share of its first updates was lost, at its learning rate."""
    kept = ("run", "seed", "learning_rate", "failed", "predicted_failure")
    return [{key: r.get(key) for key in kept} | {_LOST: r["found"]} for r in records]


def along(records: list[Record]) -> list[Record]:
    """Return which share is predicted for other learning rates, with the weights and gradients of the first seed."""
    listed = {run.run: run for run in EXPERIMENT.runs}
    names = [name for name in dict.fromkeys(r["run"] for r in records) if name in listed]
    seed = min((int(r["seed"]) for r in records), default=0)
    rows = []
    for name in names:
        for rate in _RATES:
            found = predict(replace(listed[name], learning_rate=rate, seed=seed))
            rows.append({"run": name, "learning_rate": rate, _LOST: found["expected"],
                         "predicted_failure": found["predicted_failure"]})  # fmt: skip
    return rows


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
    expected=_LOST,
    outcome="test accuracy",
    sweep=Sweep("learning_rate", _LOST, by="run", base=10, rows=measured, predicted=along),
    minutes=1.4,
    vary={"learning_rate": 3.0, "batch_size": 2.0, "weight_format": 1},
    notes="A larger learning rate or momentum makes updates larger and hides the effect; it does not remove it.",
)
