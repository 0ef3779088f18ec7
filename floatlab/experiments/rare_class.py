"""A rare class in four bits: what does a network believe that sees one example in thirty?

Logistic regression on one constant input: a single weight w, and p = sigmoid(w) shall become the rate of the positive
examples. Its gradient is the sum of p - y over the batch, so p - y is quantized along the batch, a scale for each
block; everything else is fp32. The true rates are 3, 5 and 10%, and the first p is 20%.

In a block that holds a positive example the largest number is 1 - p, near 1, and all others are p. Rounded to
nearest, p is lost where it is at most half of the smallest element times the scale, a quarter of the scale in E2M1:
MXFP4's scale is then 1/4, and p is lost up to 1/16. NVFP4's is (1 - p) / 6, and p is lost up to (1 - p) / 24, or
1/25. Just above it counts as double. So the negative examples push p down from above to that number and then fall
silent, while the positive ones go on to push it up: there it stays, wherever the true rate lies. A loss does not show
it everywhere: with a rate of 5%, to believe 6.2% costs next to nothing.

Prediction: p - y of the data for each p, quantized: the first p, coming down, at which its sum is no more positive.
With stochastic rounding it is right on average, and so p becomes the rate. A run fails if the loss at that p has
fallen by less than the criterion asks for. (Made before any run, and looked at on the seeds 11 to 13.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.amp import BlockScaling, block_autocast
from floatlab.autograd import Tensor
from floatlab.errors import check_option
from floatlab.experiments.harness.common import Claim, Experiment, Inside, Record, Run, Sweep, record
from floatlab.experiments.harness.criterion import LEAST_PROGRESS
from floatlab.experiments.harness.loop import Watcher, fit
from floatlab.optim import SGD, Optimizer
from floatlab.optim.lr_scheduler import ExponentialLR

__all__ = ["EXPERIMENT", "Believed", "RareClass", "believe", "logit", "loss_at", "predict", "train"]

Array = NDArray[Any]
_LAST = 20  # steps over which the learned p is taken
_CANDIDATES = 600  # that a prediction tries


@dataclass(frozen=True)
class GradientsAlone(BlockScaling):
    """A recipe that leaves inputs and weights as they are."""

    def quantize(self, values: Array, axis: int, operand: str, rng: np.random.Generator) -> Array:
        """Return what an operand becomes."""
        return super().quantize(values, axis, operand, rng) if operand == "gradient" else values

    def kept(self, shape: tuple[int, int], operand: str) -> tuple[str, int] | None:
        """Return that inputs and weights are kept themselves."""
        return None


RECIPES: dict[str, GradientsAlone | None] = {
    "none": None,
    "mxfp8": GradientsAlone("mxfp8_e4m3", rule="rceil"),
    "mxfp4": GradientsAlone("mxfp4", rule="rceil"),
    "mxfp4 stochastic": GradientsAlone("mxfp4", rule="rceil", stochastic=True),
    "nvfp4": GradientsAlone("nvfp4"),
    "nvfp4 stochastic": GradientsAlone("nvfp4", stochastic=True),
}


@dataclass(frozen=True)
class RareClass(Run):
    """A run of this experiment; `rate` is that of the positive examples, `first` what is believed at first."""

    recipe: str = "none"
    rate: float = 0.03
    first: float = 0.2
    examples: int = 1024
    epochs: int = 120
    learning_rate: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("recipe", self.recipe, RECIPES)

    def reference(self) -> RareClass:
        """Return the run without a recipe."""
        return self.twin(recipe="none")


def labels_of(config: RareClass) -> Array:
    """Return the labels, (examples, 1), in random order."""
    labels = np.zeros((config.examples, 1), np.float32)
    labels[: round(config.rate * config.examples)] = 1.0
    return np.random.default_rng(config.seed).permuted(labels, axis=0)


def logit(p: float) -> float:
    """Return the weight that believes p.

    >>> logit(0.5)
    0.0
    """
    return math.log(p / (1.0 - p))


def loss_at(p: float, rate: float) -> float:
    """Return the cross entropy of believing p.

    >>> round(loss_at(0.5, 0.03), 4)
    0.6931
    """
    return -rate * math.log(p) - (1.0 - rate) * math.log(1.0 - p)


def resting_point(config: RareClass) -> float:
    """Return the first p, from the first one down, at which the quantized p - y has no positive sum."""
    labels, recipe = labels_of(config), RECIPES[config.recipe]
    rate = float(labels.mean())
    if recipe is None or recipe.stochastic:
        return rate
    rng = np.random.default_rng(0)  # nothing is drawn
    for p in np.geomspace(config.first, rate / 4, _CANDIDATES):
        gradient = ((p - labels) / config.examples).T
        if recipe.quantize(gradient, 1, "gradient", rng).sum() <= 0:
            return float(p)
    return rate / 4


def predict(config: RareClass) -> Record:
    """Predict a run from the labels, and its first loss from an fp32 step."""
    labels = labels_of(config)
    start = nn.functional.binary_cross_entropy_with_logits(
        Tensor(np.full(labels.shape, logit(config.first), np.float32)), Tensor(labels)
    ).item()
    rate, p = float(labels.mean()), resting_point(config)
    fallen = (start - loss_at(p, rate)) / (start - loss_at(rate, rate))
    return {"expected": p, "predicted_failure": fallen < LEAST_PROGRESS}


class Believed(Watcher):
    """Notes after each step what the last output believes, and lets the learning rate fall.

    Parameters
    ----------
    weight : Tensor
        Of a layer with one constant input.
    optimizer : Optimizer
        Whose learning rate falls.
    decay : float
        To what part of it, in each step: near its end p shall not jump to and fro.
    """

    def __init__(self, weight: Tensor, optimizer: Optimizer, decay: float = 0.97) -> None:
        self.weight, self.schedule = weight, ExponentialLR(optimizer, decay)
        self._found: list[float] = []

    def after_step(self, step: int) -> None:
        """Note it."""
        self._found.append(1.0 / (1.0 + math.exp(-float(self.weight.array[-1, 0]))))
        self.schedule.step()

    @property
    def in_the_end(self) -> float:
        """The mean of the last steps."""
        return float(np.mean(self._found[-_LAST:]))


def believe(
    config: Run,
    network: nn.Module,
    labels: Array,
    loss: Callable[[Tensor, Any], Tensor],
    optimizer: Optimizer,
    believed: Believed,
    epochs: int,
) -> Record:
    """Train on one constant input; return the record, with what is believed in the end of the last task's labels."""
    ones = np.ones((len(labels), 1), np.float32)
    history = fit(
        network,
        lambda: [(ones, Tensor(labels))],
        loss,
        optimizer,
        config.precision(),
        epochs=epochs,
        watcher=believed,
    )
    found = believed.in_the_end
    relative = found / float(labels[:, -1].mean()) - 1.0
    return record(config, network, history, found=found, outcome=found, relative=relative)


def train(config: RareClass) -> Record:
    """Do one run."""
    labels, recipe = labels_of(config), RECIPES[config.recipe]
    layer = nn.Linear(1, 1, bias=False, rng=0)
    layer.load_state_dict({"weight": [[logit(config.first)]]})
    block = block_autocast(recipe or GradientsAlone(), enabled=recipe is not None)
    block.load_state_dict({"products": config.seed * config.epochs})  # each seed draws numbers of its own
    network = Inside(layer, lambda: block)
    optimizer = SGD(network.parameters(), lr=config.learning_rate)
    believed = Believed(layer.weight, optimizer)
    loss = nn.functional.binary_cross_entropy_with_logits
    return believe(config, network, labels, loss, optimizer, believed, config.epochs)


def claims(records: list[Record]) -> list[Claim]:
    """Return what the learned rates must be, beside the runs' failing or not."""
    rules = (
        ("MXFP4 believes 1/16, whatever is true from 3 to 10%", "mxfp4", (0.03, 0.05, 0.1), 0.05, lambda r: 1 / 16),
        ("NVFP4 believes 1/25 at 3 and 5%", "nvfp4", (0.03, 0.05), 0.05, lambda r: 1 / 25),
        ("MXFP4 is right with stochastic rounding", "mxfp4 stochastic", (0.03, 0.05, 0.1), 0.04, lambda r: r),
        ("NVFP4 is right with stochastic rounding", "nvfp4 stochastic", (0.03, 0.05, 0.1), 0.04, lambda r: r),
        ("MXFP8 is nearly right", "mxfp8", (0.03, 0.05, 0.1), 0.06, lambda r: r),
    )  # fmt: skip
    found = []
    for text, recipe, rates, within, expected in rules:
        mine = [r for r in records if r["recipe"] == recipe and r["rate"] in rates]
        if mine:
            found.append(
                Claim(
                    text,
                    f"within {within:.0%}",
                    ", ".join(f"{r['rate']:.0%}: {r['found']:.2%}" for r in mine),
                    tuple(
                        all(
                            abs(r["found"] / expected(r["rate"]) - 1) <= within
                            for r in mine
                            if r["seed"] == seed
                        )
                        for seed in dict.fromkeys(r["seed"] for r in mine)
                    ),
                )
            )
    return found


EXPERIMENT = Experiment(
    name="fp4-rare-class",
    title="A rare class in four bits",
    question="What does a network believe of a class that is one example in thirty?",
    runs=tuple(
        RareClass(f"{name if name != 'none' else 'fp32'}, {rate:.0%}", recipe=name, rate=rate)
        for rate in (0.03, 0.05, 0.1)
        for name in RECIPES
    ),
    predict=predict,
    train=train,
    expected="rate that is believed in the end",
    outcome="rate that is believed in the end",
    sweep=Sweep("rate", "found", by="recipe", base=10),
    minutes=0.3,
    claims=claims,
    vary={"learning_rate": 1.5, "first": 1.2},
    notes="The loss hides it: at 5% the run that believes 6.2% has learned by every rule that looks at losses.",
)
