"""fp8, with and without scaling: when do eight bits need a scale for each tensor?

The network of the demonstration; the products of its layers are computed by an fp8 recipe
(`floatlab.amp.fp8`): inputs and weights in E4M3, gradients in E5M2, everything else in fp32. With a loss
weight of 1, and of 0.01, no scale is needed at all: E5M2 reaches down to 2^-17, and the gradients lie above that.
With 0.001 and less they do not. Current scaling and delayed scaling, which take each tensor to the format's maximum
first, learn at every loss weight.

Prediction: the first fp32 step, and the recipe: which scale it gives a gradient of that size, in its first step and in
the next. An entry of a layer's output gradient is lost at or below 2^-17 divided by the scale. Unscaled, that is 2^-17;
with current scaling 2^-17 times amax / 57344 of its tensor, practically never. Delayed scaling has a scale of 1 in the
first step, like the unscaled one, but each step that follows has a scale for one layer more, so that after as many
steps as there are layers it is as good as current scaling. A run fails if more than half of the last layer's gradient
is lost from the second step on. (Made on the seeds 0 to 2.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from floatlab import nn
from floatlab.amp import CurrentScaling, DelayedScaling, Recipe, Unscaled, fp8_autocast
from floatlab.amp.fp8 import Slot
from floatlab.data import digits
from floatlab.errors import check_option
from floatlab.experiments.harness.common import (
    Experiment,
    Inside,
    Record,
    Run,
    accuracy,
    lost,
    record,
    scores,
    whole_batches,
)
from floatlab.experiments.harness.loop import fit
from floatlab.experiments.harness.measure import lost_in
from floatlab.experiments.harness.prediction import zero_threshold
from floatlab.experiments.harness.training import TrainingConfig, build_network, first_step
from floatlab.formats import get_format
from floatlab.optim import SGD
from floatlab.telemetry import watch

__all__ = ["EXPERIMENT", "Fp8", "predict", "train"]

RECIPES: dict[str, Recipe | None] = {
    "none": None,
    "unscaled": Unscaled(),
    "current": CurrentScaling(),
    "delayed": DelayedScaling(),
}


@dataclass(frozen=True)
class Fp8(Run):
    """A run of this experiment."""

    recipe: str = "none"
    loss_weight: float = 1.0
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("recipe", self.recipe, RECIPES)

    def reference(self) -> Fp8:
        """Return the run without a recipe."""
        return self.twin(recipe="none")


def scales(recipe: Recipe, amax: float) -> tuple[float, float]:
    """Return the scales that a recipe gives a gradient in its first step and from then on, if it stays of one size.

    >>> scales(Unscaled(), 2.0**-20), [s / 57344 for s in scales(DelayedScaling(), 2.0**-20)][1] == 2.0**20
    ((1.0, 1.0), True)
    """
    fmt, slot = get_format(recipe.backward), Slot()
    first = recipe.scale(slot, amax, fmt)
    slot.pending = amax
    recipe.end_step(slot, fmt)
    return first, recipe.scale(slot, amax, fmt)


def predict(config: Fp8) -> Record:
    """Predict a run from the first fp32 step."""
    layers = first_step(TrainingConfig(seed=config.seed, loss_weight=config.loss_weight))
    source = np.abs(list(layers.values())[-1].output_gradient.astype(np.float64))
    recipe = RECIPES[config.recipe]
    if recipe is None:
        return {"expected": 0.0, "predicted_failure": False}
    first, later = (
        lost(zero_threshold(recipe.backward, scale), source) for scale in scales(recipe, float(source.max()))
    )
    return {"expected": first, "predicted_failure": later > 0.5}


def train(config: Fp8) -> Record:
    """Do one run."""
    data = digits(seed=config.seed)
    recipe = RECIPES[config.recipe]
    block = fp8_autocast(recipe if recipe is not None else Unscaled(), enabled=recipe is not None)
    network = Inside(build_network(TrainingConfig(seed=config.seed)), lambda: block)
    seen: list[float] = []
    name, last_weight = list(network.named_parameters())[-2]

    class _Watched(SGD):
        """Notes how much of the last layer's weight gradient is zero, step by step."""

        def step(self, closure: Any = None) -> Any:
            assert last_weight.grad is not None
            seen.append(float((last_weight.grad.array == 0).mean()))
            return super().step(closure)

    optimizer = _Watched(
        network.parameters(), lr=config.learning_rate / config.loss_weight, momentum=config.momentum
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
            loss_weight=config.loss_weight,
        )
    casts = log.total(op="quantize", phase="backward", layer=name.rpartition(".")[0], step=0)
    found = accuracy(scores(network, data.test_images), data.test_labels)
    slots = block.slots(last_weight) if recipe is not None else {}
    return record(
        config,
        network,
        history,
        found=lost_in(casts),
        outcome=found,
        last_layer_zero_share=seen[:10],
        last_layer_scales={name: slot.scale for name, slot in slots.items()},
    )


EXPERIMENT = Experiment(
    name="fp8",
    title="fp8 with and without scaling",
    question="When do eight bits need a scale for each tensor?",
    runs=tuple(
        Fp8(f"{recipe if recipe != 'none' else 'fp32'}, w = {weight:g}", recipe=recipe, loss_weight=weight)
        for weight in (1.0, 1e-2, 1e-3, 1e-6)
        for recipe in RECIPES
    ),
    predict=predict,
    train=train,
    expected="output gradients lost in the last layer, first step",
    outcome="test accuracy",
    minutes=1.0,
    vary={"loss_weight": 30.0, "learning_rate": 2.0, "batch_size": 2.0},
    notes="Unscaled fp8 is as good as fp32 for ordinary losses: the digits are exact in E4M3, and E5M2 is wide.",
)
