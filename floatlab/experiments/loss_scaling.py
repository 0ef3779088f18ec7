"""Underflow, and the loss-scale ladder: how large must a loss scale be, and how large may it be?

Both train the network of the demonstration (see `training`).

*Underflow* is the demonstration itself, as an entry of the registry: seven ways to train, with a loss weight of 1,
where nothing goes wrong, and of 10^-6, where fp16 and fp8 need loss scaling.

*The ladder* takes fp16, a loss weight of 10^-6, and loss scales from 1 up in steps of 2^6. If the scale is too small,
gradients are zero, and nothing is learned. If it is too large, gradients are infinite, every step is skipped, and
nothing is learned either. In between there is a window, and a dynamic scale that starts above it comes down into it.

Prediction: the window begins where half of the last layer's output gradient survives the first fp32 step (see
`prediction`), and ends where in more than half of the fp32 run's steps the largest gradient, times the scale, exceeds
the largest fp16 number (see `breaks`). For a dynamic scale the upper bound does not count: coming down takes it one
step a halving. (Made on the seeds 0 to 3.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from floatlab.experiments.harness.common import Experiment, Record, Sweep
from floatlab.experiments.harness.prediction import breaks
from floatlab.experiments.harness.prediction import predict as predict_losses
from floatlab.experiments.harness.training import TrainingConfig, first_step, fp32_twin, largest_magnitudes
from floatlab.experiments.harness.training import train as train_digits
from floatlab.experiments.underflow import DEMO_WEIGHTS, RUNS
from floatlab.rounding.quantize import quantize

__all__ = ["LADDER", "UNDERFLOW", "Ladder", "predict", "train"]


@dataclass(frozen=True)
class Ladder(TrainingConfig):
    """A run of the ladder: the demonstration's, with the ladder's format and loss weight."""

    run: str = "fp16"
    format: str = "float16"
    gradient_format: str = "float16"
    growth_interval: int = 20
    loss_weight: float = 1e-6
    epochs: int = 10


def predict(config: TrainingConfig) -> Record:
    """Predict a run from its fp32 run: what is lost of the first step, and where the format's range ends."""
    exact = fp32_twin(config)
    losses = predict_losses(first_step(exact), config.gradient_format, scale=config.initial_scale)
    course = largest_magnitudes(exact)
    back = np.multiply(course.backward, config.initial_scale)
    overflows = not np.isfinite(quantize(back[0], config.gradient_format))
    broken = breaks(course.forward, back, config.format, config.gradient_format, config.loss_scaling)
    shares = list(losses.weight_gradients.values())
    return {
        "expected": 1.0 if overflows else sum(shares) / len(shares),
        "predicted_failure": losses.fails or broken,
        "predicted_overflow": overflows,
    }


def train(config: TrainingConfig) -> Record:
    """Do one run."""
    found = train_digits(config)
    shares = list(found["zero_gradient_share"].values())
    return {
        **found,
        "found": 1.0 if found["first_step_overflows"] else sum(shares) / len(shares),
        "outcome": found["test_accuracy"],
    }


_VARY = {
    "loss_weight": 30.0,
    "learning_rate": 2.0,
    "batch_size": 2.0,
    "initial_scale": 64.0,
    "format": 1,
    "gradient_format": 1,
}
_EXPECTED = "weight gradients lost at the first step (all, if it overflows)"

UNDERFLOW = Experiment(
    name="underflow",
    title="Underflow and recovery",
    question="Does fp16 lose the gradients, and does loss scaling bring them back?",
    runs=tuple(
        replace(run, run=f"{run.run}, w = {weight:g}", loss_weight=weight)
        for weight in DEMO_WEIGHTS
        for run in RUNS
    ),
    predict=predict,
    train=train,
    expected=_EXPECTED,
    outcome="test accuracy",
    minutes=1.0,
    vary=_VARY,
    notes="With a loss weight of 1 every format learns, fp8 too, without any scaling.",
)

LADDER = Experiment(
    name="loss-scale-ladder",
    title="The loss-scale ladder",
    question="Between which bounds must a loss scale lie?",
    runs=(
        *(
            Ladder(f"scale 2^{k}", loss_scaling="static", initial_scale=2.0**k)
            for k in (0, 6, 12, 18, 24, 30, 36, 42, 48)
        ),
        Ladder("dynamic from 2^16", loss_scaling="dynamic", initial_scale=2.0**16),
        Ladder("dynamic from 2^60", loss_scaling="dynamic", initial_scale=2.0**60),
    ),
    predict=predict,
    train=train,
    expected=_EXPECTED,
    outcome="test accuracy",
    # A dynamic scale leaves its setting at once.
    sweep=Sweep("initial_scale", rows=lambda records: [r for r in records if r["loss_scaling"] != "dynamic"]),
    minutes=0.5,
    vary=_VARY,
    notes="A dynamic scale that starts below the window has to grow through scales at which only the gradients of the "
    "right classes survive. Whether a run gets over that is a matter of luck, and not predicted here.",
)
