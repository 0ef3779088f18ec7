"""fp8, with and without scaling: when do eight bits need a scale for each tensor?

The network of the demonstration; the products of its layers are computed by an fp8 recipe
(`floatlab.amp.fp8`): inputs and weights in E4M3, gradients in E5M2, everything else in fp32. With a loss
weight of 1, and of 0.01, no scale is needed at all: E5M2 reaches down to 2^-17, and the gradients lie above that.
With 0.001 and less they do not. Current scaling and delayed scaling, which take each tensor to the format's maximum
first, learn at every loss weight.

Prediction: the first fp32 step. Unscaled, an entry of a layer's output gradient is lost at or below 2^-17. With
current scaling, at or below 2^-17 times amax / 57344 of its tensor: practically never. With delayed scaling the first
step has a scale of 1 like the unscaled one, but each step that follows has a scale for one layer more, so that
after as many steps as there are layers it is as good as current scaling. Whether a run fails depends on the last
layer's gradient, as in the demonstration.
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
    FAILED_BELOW,
    Experiment,
    Inside,
    Record,
    Run,
    accuracy,
    record,
    scores,
    whole_batches,
)
from floatlab.experiments.harness.loop import fit
from floatlab.experiments.harness.prediction import zero_threshold
from floatlab.experiments.harness.training import TrainingConfig, build_network, first_step
from floatlab.formats import get_format
from floatlab.optim import SGD

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


def predict(config: Fp8) -> Record:
    """Predict a run from the first fp32 step."""
    layers = first_step(TrainingConfig(seed=config.seed, loss_weight=config.loss_weight))
    source = np.abs(list(layers.values())[-1].output_gradient.astype(np.float64))
    largest = get_format("e5m2").max
    thresholds = {
        "none": 0.0,
        "unscaled": zero_threshold("e5m2"),
        "current": zero_threshold("e5m2", largest / float(source.max())),
        "delayed": zero_threshold("e5m2"),
    }
    alive = source[source > 0]
    share = float((alive <= thresholds[config.recipe]).mean())
    return {"expected": share, "predicted_failure": share > 0.5 and config.recipe != "delayed"}


def train(config: Fp8) -> Record:
    """Do one run."""
    data = digits(seed=config.seed)
    recipe = RECIPES[config.recipe]
    block = fp8_autocast(recipe if recipe is not None else Unscaled(), enabled=recipe is not None)
    network = Inside(build_network(TrainingConfig(seed=config.seed)), lambda: block)
    seen: list[float] = []
    last_weight = list(network.parameters())[-2]

    class _Watched(SGD):
        """Notes how much of the last layer's weight gradient is zero, step by step."""

        def step(self, closure: Any = None) -> Any:
            assert last_weight.grad is not None
            seen.append(float((last_weight.grad.data == 0).mean()))
            return super().step(closure)

    optimizer = _Watched(
        network.parameters(), lr=config.learning_rate / config.loss_weight, momentum=config.momentum
    )
    history = fit(
        network,
        whole_batches(data, config.batch_size, config.seed),
        nn.functional.cross_entropy,
        optimizer,
        config.precision(),
        epochs=config.epochs,
        loss_weight=config.loss_weight,
    )
    found = accuracy(scores(network, data.test_images), data.test_labels)
    scales = (
        {name: slot.scale for name, slot in block.slots(last_weight).items()} if recipe is not None else {}
    )
    return record(
        config,
        network,
        history,
        found=_first_share(config),
        outcome=found,
        failed=found < FAILED_BELOW,
        last_layer_zero_share=seen[:10],
        last_layer_scales=scales,
    )


def _first_share(config: Fp8) -> float:
    """Return the share of the last layer's output gradient that the recipe's cast makes zero in the first step."""
    recipe = RECIPES[config.recipe]
    if recipe is None:
        return 0.0
    layers = first_step(TrainingConfig(seed=config.seed, loss_weight=config.loss_weight))
    source = list(layers.values())[-1].output_gradient
    narrow, _ = recipe.quantize(source, get_format(recipe.backward), Slot())
    return float((narrow[source != 0] == 0).mean())


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
    notes="Unscaled fp8 is as good as fp32 for ordinary losses: the digits are exact in E4M3, and E5M2 is wide.",
)
