"""Through time: does a gradient live to see the beginning of a sequence?

A tanh RNN sees a digit at the first step and nothing for 40 more; then it has to say which it was. Every step back in
time multiplies the gradient by the recurrent weights once more, and it falls by about 0.7 binades a step.
At the digit it has lost 28 of them: it is zero in fp16, the input weights get no gradient, and the loss stays at
ln 10 = 2.303. bf16 has fp32's range and learns; so does fp16 with a loss scale of 2^18.

A second lesson: with Adam's usual epsilon of 1e-8 even fp32 learns nothing: its gradients are smaller than that.

Prediction: the gradient at the digit's step of the first fp32 pass. A run fails if more than half of its
entries are lost, or if the middle one is smaller than epsilon. (So it fails at first; what is lost at the first step
stays lost, for nothing moves.)
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

__all__ = ["EXPERIMENT", "ThroughTime", "predict", "train"]

Array = NDArray[Any]
NO_EPSILON = 1e-20


@dataclass(frozen=True)
class ThroughTime(Run):
    """A run of this experiment; the digit is followed by `blank_steps` steps of zeros."""

    blank_steps: int = 40
    hidden: int = 64
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 3e-4
    epsilon: float = NO_EPSILON

    def reference(self) -> ThroughTime:
        """Return the run in fp32 without an epsilon to speak of: it takes a step however small a gradient is."""
        return self.twin(epsilon=min(self.epsilon, NO_EPSILON))


class _Reader(nn.Module):
    """A recurrent network that answers after the last step. No biases: they would drown so faint a memory."""

    def __init__(self, hidden: int, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.rnn = nn.RNN(64, hidden, bias=False, rng=rng)
        self.out = nn.Linear(hidden, 10, bias=False, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores after the last step."""
        outputs, _ = self.rnn(x)
        answer: Tensor = self.out(outputs[-1])
        return answer


def gradients_by_step(config: ThroughTime) -> list[Array]:
    """Return the gradient of what enters the tanh of each step, first to last, in a first backward pass."""
    images, labels = next(iter(whole_batches(digits(seed=config.seed), config.batch_size, config.seed)()))
    network = _Reader(config.hidden, config.seed)
    loss = nn.functional.cross_entropy(network(Tensor(sequences(images, config.blank_steps))), labels)
    with FirstOperations("tanh") as back:
        loss.backward()
    return back.found[::-1]


def predict(config: ThroughTime) -> Record:
    """Predict a run from the first fp32 backward pass."""
    first = gradients_by_step(config.twin())[0]
    share = lost(config.threshold, first)
    middle = float(np.median(np.abs(first)))
    return {"expected": share, "predicted_failure": share > 0.5 or middle < config.epsilon}


def train(config: ThroughTime) -> Record:
    """Do one run."""
    data, network = digits(seed=config.seed), _Reader(config.hidden, config.seed)
    exact, back = gradients_by_step(config.twin()), FirstOperations("tanh")
    batches = whole_batches(data, config.batch_size, config.seed)
    history = fit(
        network,
        lambda: ((sequences(images, config.blank_steps), labels) for images, labels in batches()),
        nn.functional.cross_entropy,
        Adam(network.parameters(), lr=config.learning_rate, eps=config.epsilon),
        config.precision(),
        epochs=config.epochs,
        watcher=back,
    )
    measured = back.found[::-1]
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


EXPERIMENT = Experiment(
    name="through-time",
    title="Through time",
    question="Does the gradient of a recurrent network reach the first step?",
    runs=(
        ThroughTime("fp32"),
        ThroughTime("fp32, epsilon 1e-8", epsilon=1e-8),
        ThroughTime("bf16", "bf16"),
        ThroughTime("fp16", "fp16"),
        ThroughTime("fp16 static", "fp16", loss_scaling="static", initial_scale=2.0**18),
        ThroughTime("fp16 dynamic", "fp16", loss_scaling="dynamic", initial_scale=2.0**18),
    ),
    predict=predict,
    train=train,
    expected="gradients lost at the digit's step",
    outcome="training loss after 5 epochs (chance: 2.303)",
    minutes=1.0,
    vary={
        "blank_steps": 1.5,
        "learning_rate": 2.0,
        "epsilon": 30.0,
        "initial_scale": 64.0,
        "format": 1,
        "gradient_format": 1,
    },
    notes="No run is good at the task after 5 epochs: a plain RNN forgets. It is about learning at all.",
)
