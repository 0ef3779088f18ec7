"""An LSTM over 100 steps: do its gates keep the gradient alive?

The task of through-time, with 99 blank steps after the digit, for an LSTM whose forget gates start open (bias 3, so
that a cell keeps 95% of its content a step). Where a tanh RNN loses 28 binades in 40 steps, the cells carry the
gradient through 100 steps and it is at the digit about as large as at the end: fp16 learns without loss scaling. Not
if the loss is one small term of many: with a weight of 10^-6 the same gradients are below fp16's range, and a scale of
2^20 brings them back.

Prediction: the gradient of what enters the cells at the digit's step of the first fp32 pass. A run fails if more than
half of its entries are lost. (Made on the seeds 0 to 2.)
"""

from __future__ import annotations

from dataclasses import dataclass
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
    sequences,
    whole_batches,
)
from floatlab.experiments.harness.loop import fit
from floatlab.experiments.harness.measure import FirstOperations
from floatlab.experiments.harness.prediction import lost_share
from floatlab.optim import Adam

__all__ = ["EXPERIMENT", "LongMemory", "predict", "train"]

Array = NDArray[Any]


@dataclass(frozen=True)
class LongMemory(Run):
    """A run of this experiment."""

    blank_steps: int = 99
    hidden: int = 48
    forget_bias: float = 3.0
    loss_weight: float = 1.0
    epochs: int = 2
    batch_size: int = 64
    learning_rate: float = 1e-3
    epsilon: float = 1e-20


class _Reader(nn.Module):
    """An LSTM that answers after the last step; its forget gates start at a bias of their own, all else at zero."""

    def __init__(self, config: LongMemory) -> None:
        super().__init__()
        rng = np.random.default_rng(config.seed)
        self.lstm = nn.LSTM(64, config.hidden, rng=rng)
        self.out = nn.Linear(config.hidden, 10, bias=False, rng=rng)
        nn.init.zeros_(self.lstm.bias_ih_l0)
        nn.init.zeros_(self.lstm.bias_hh_l0)
        self.lstm.bias_ih_l0.array[config.hidden : 2 * config.hidden] = config.forget_bias
        self.lstm.bias_ih_l0.mark_changed()

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores after the last step."""
        outputs, _ = self.lstm(x)
        answer: Tensor = self.out(outputs[-1])
        return answer


def gradients_by_step(config: LongMemory) -> list[Array]:
    """Return the gradient of the cells' input (tanh of the third gate) of each step, first to last."""
    images, labels = next(iter(whole_batches(digits(seed=config.seed), config.batch_size, config.seed)()))
    network = _Reader(config)
    loss = nn.functional.cross_entropy(network(Tensor(sequences(images, config.blank_steps))), labels)
    with FirstOperations("tanh") as back:
        (loss * config.loss_weight).backward()
    return _of_inputs(back)


def _of_inputs(back: FirstOperations) -> list[Array]:
    """Return the gradients of the cells' inputs, first step to last.

    Of each step two tanh: that of the cell's content, which comes first on the way back, and that of its input.
    """
    return back.found[1::2][::-1]


def predict(config: LongMemory) -> Record:
    """Predict a run from the first fp32 backward pass."""
    share = lost(config.threshold, gradients_by_step(config.twin())[0])
    return {"expected": share, "predicted_failure": share > 0.5}


def train(config: LongMemory) -> Record:
    """Do one run."""
    data, network = digits(seed=config.seed), _Reader(config)
    exact, back = gradients_by_step(config.twin()), FirstOperations("tanh")
    batches = whole_batches(data, config.batch_size, config.seed)
    history = fit(
        network,
        lambda: ((sequences(images, config.blank_steps), labels) for images, labels in batches()),
        nn.functional.cross_entropy,
        Adam(network.parameters(), lr=config.learning_rate, eps=config.epsilon),
        config.precision(),
        epochs=config.epochs,
        loss_weight=config.loss_weight,
        watcher=back,
    )
    measured = _of_inputs(back)
    return record(
        config,
        network,
        history,
        found=lost_share(exact[0], measured[0]),
        lost_by_step=[lost_share(a, b) for a, b in zip(exact, measured, strict=True)],
        outcome=history.epoch_losses[-1],
        test_accuracy=accuracy(
            scores(network, sequences(data.test_images, config.blank_steps)), data.test_labels
        ),
    )


_SMALL = 1e-6
EXPERIMENT = Experiment(
    name="lstm",
    title="An LSTM over 100 steps",
    question="Do the gates of an LSTM keep a gradient alive in fp16?",
    runs=(
        LongMemory("fp32"),
        LongMemory("fp16", "fp16"),
        LongMemory("bf16, w = 1e-6", "bf16", loss_weight=_SMALL),
        LongMemory("fp16, w = 1e-6", "fp16", loss_weight=_SMALL),
        LongMemory(
            "fp16 static, w = 1e-6", "fp16", loss_scaling="static", initial_scale=2.0**20, loss_weight=_SMALL
        ),
    ),
    predict=predict,
    train=train,
    expected="gradients lost at the digit's step",
    outcome="training loss after 2 epochs (chance: 2.303)",
    minutes=2.5,
    vary={
        "blank_steps": 1.5,
        "loss_weight": 30.0,
        "learning_rate": 2.0,
        "initial_scale": 64.0,
        "format": 1,
        "gradient_format": 1,
    },
    notes="A few steps of learning, to see whether there is any: with a forget bias of 1 fp32 shows none in so few.",
)
