"""Training in int8: what may share a scale, and how are gradients rounded?

Two tasks share a layer, as in multi-task learning: logistic regression on one constant input with two outputs. The
first is a coin, positive in half of the examples, with a loss of weight 32; it is believed from the start. The second
is rare: 0.2, 1 or 3%. The gradient of the outputs, 32 (p1 - y1) and p2 - y2 over the batch, becomes int8; everything
else is fp32.

The step between two integers is the largest magnitude over 127. With one scale for the *tensor* that is 32 * 1/2 / 127,
or 12.6%, of whichever gradient: the coin's decides. With one for each *row*, here an output, it is (1 - p2) / 127,
below 0.8%. Rounded to *nearest* all negative examples of the rare task become the same integer k, where p2 lies from
k - 1/2 to k + 1/2 steps; their sum outweighs that of the positive ones if k steps are more than the rate. So p2 comes
down to the half step at which that changes, and stays: at half of the tensor's step, 8/127, whatever is true below
that; with rows at k + 1/2 of 127 steps of (1 - p2), which is 1/255, 3/257 and 7/261 for the three rates. *Stochastic*
rounding is right on average, with either scale: the sum over the batch has the noise of many small errors instead of
one large one. The loss hardly shows it: the coin is most of it.

Prediction: p2 - y2 of the data for each p2, quantized beside the coin's gradient: the first p2, coming down, at which
its sum is no more positive. With stochastic rounding it is the rate. A run fails if the loss there has fallen by less
than the criterion asks for. (Made before any run, and looked at on the seeds 11 and 12.)

Sources: R. Banner et al., "Scalable methods for 8-bit training of neural networks" (2018), and F. Zhu et al., "Towards
unified INT8 training for convolutional neural network" (2020), for gradients as what int8 training fails on, and
stochastic rounding of them; M. Wortsman et al., "Stable and low-precision training for large-scale vision-language
models" (2023), for scales of rows and of tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.amp import Int8, block_autocast
from floatlab.autograd import Tensor
from floatlab.errors import check_option
from floatlab.experiments.harness.common import Claim, Experiment, Inside, Record, Run, Sweep
from floatlab.experiments.harness.criterion import LEAST_PROGRESS
from floatlab.experiments.rare_class import Believed, believe, logit, loss_at
from floatlab.optim import Adam

__all__ = ["EXPERIMENT", "Int8Training", "predict", "train"]

Array = NDArray[Any]
_DECAY = 0.98  # of the learning rate in a step
_CANDIDATES = 1200  # that a prediction tries

RATES = (0.002, 0.01, 0.03)
#: For each rate what rows believe, rounded to nearest: (k + 1/2) (1 - p) / 127.
HALF_STEPS = {0.002: 1 / 255, 0.01: 3 / 257, 0.03: 7 / 261}


@dataclass(frozen=True)
class IntegerGradients(Int8):
    """A recipe that leaves inputs and weights as they are."""

    def quantize(self, values: Array, axis: int, operand: str, rng: np.random.Generator) -> Array:
        """Return what an operand becomes."""
        return super().quantize(values, axis, operand, rng) if operand == "gradient" else values

    def kept(self, shape: tuple[int, int], operand: str) -> tuple[str, int] | None:
        """Return that inputs and weights are kept themselves."""
        return None


RECIPES: dict[str, IntegerGradients | None] = {
    "none": None,
    "tensor, nearest": IntegerGradients("nearest_even", "tensor"),
    "tensor, stochastic": IntegerGradients("stochastic", "tensor"),
    "rows, nearest": IntegerGradients("nearest_even", "row"),
    "rows, stochastic": IntegerGradients("stochastic", "row"),
}


@dataclass(frozen=True)
class Int8Training(Run):
    """A run of this experiment.

    Attributes
    ----------
    recipe : str
        What shares a scale, and how gradients are rounded.
    rate, first : float
        The rate of the rare task's positive examples, and what both tasks believe at first.
    weight : float
        Of the other task's loss.
    """

    recipe: str = "none"
    rate: float = 0.01
    first: float = 0.5
    weight: float = 32.0
    examples: int = 2048
    epochs: int = 250
    learning_rate: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("recipe", self.recipe, RECIPES)

    def reference(self) -> Int8Training:
        """Return the run without a recipe."""
        return self.twin(recipe="none")


def labels_of(config: Int8Training) -> Array:
    """Return the labels, (examples, 2), each task in a random order of its own."""
    rng = np.random.default_rng(config.seed)
    labels = np.zeros((config.examples, 2), np.float32)
    for task, rate in enumerate((0.5, config.rate)):
        labels[: round(rate * config.examples), task] = 1.0
    return rng.permuted(labels, axis=0)


def weights_of(config: Int8Training) -> Array:
    """Return what the losses of the two tasks are multiplied by."""
    return np.array([config.weight, 1.0], np.float32)


def resting_point(config: Int8Training) -> float:
    """Return the first p of the rare task, coming down, at which its quantized p - y has no positive sum."""
    labels, recipe = labels_of(config), RECIPES[config.recipe]
    rate = float(labels[:, 1].mean())
    if recipe is None or recipe.gradient_rounding == "stochastic":
        return rate
    candidates = np.geomspace(config.first, rate / 4, _CANDIDATES)
    kinds, counts = np.unique(labels, axis=0, return_counts=True)  # of examples: four, each as many times
    gradients = [(p - kinds[:, task]) * weight for task, (p, weight) in enumerate(
        ((np.full((_CANDIDATES, 1), 0.5), config.weight), (candidates[:, None], 1.0))
    )]  # fmt: skip
    # For each candidate a row: what shares a scale.
    shared = np.concatenate(gradients, axis=1) if recipe.granularity == "tensor" else gradients[1]
    of_rows = IntegerGradients(recipe.gradient_rounding, "row")
    rows = of_rows.quantize(shared, 1, "gradient", np.random.default_rng(0))[:, -len(counts) :]
    silent = rows @ counts <= 0
    return float(candidates[np.argmax(silent)]) if silent.any() else rate / 4


def _loss(config: Int8Training) -> Callable[[Tensor, Any], Tensor]:
    """Return the loss of a step."""
    return lambda out, labels: nn.functional.binary_cross_entropy_with_logits(out, labels, weights_of(config))


def _loss_at(config: Int8Training, coin: float, rare: float) -> float:
    """Return the loss of believing two numbers, the mean over tasks too."""
    return (config.weight * loss_at(coin, 0.5) + loss_at(rare, config.rate)) / 2


def predict(config: Int8Training) -> Record:
    """Predict a run from the labels and the step of an int8, and its first loss from an fp32 step."""
    labels = labels_of(config)
    rate, p = float(labels[:, 1].mean()), resting_point(config)
    believed = Tensor(np.full(labels.shape, logit(config.first), np.float32))
    start = _loss(config)(believed, Tensor(labels)).item()
    fallen = (start - _loss_at(config, 0.5, p)) / (start - _loss_at(config, 0.5, rate))
    return {"expected": p, "predicted_failure": fallen < LEAST_PROGRESS}


def train(config: Int8Training) -> Record:
    """Do one run."""
    labels, recipe = labels_of(config), RECIPES[config.recipe]
    layer = nn.Linear(1, 2, bias=False, rng=0)
    layer.load_state_dict({"weight": [[logit(config.first)]] * 2})
    block = block_autocast(recipe or IntegerGradients(), enabled=recipe is not None)
    block.load_state_dict({"products": config.seed * config.epochs})  # each seed draws numbers of its own
    network = Inside(layer, lambda: block)
    # A short memory: the gradient falls a hundredfold on the way, and the first ones shall not be remembered.
    optimizer = Adam(network.parameters(), lr=config.learning_rate, betas=(0.5, 0.9))
    believed = Believed(layer.weight, optimizer, _DECAY)
    return believe(config, network, labels, _loss(config), optimizer, believed, config.epochs)


_OFF = "believed over true, as a power of two"


def _point(config: Int8Training, believed: float, **more: Any) -> Record:
    """Return a point of the figure."""
    name = "fp32" if config.recipe == "none" else config.recipe
    true = round(config.rate * config.examples) / config.examples
    return {"run": name, "recipe": name, "rate": config.rate, _OFF: math.log2(believed / true)} | more


def _config(record: Record) -> Int8Training:
    return Int8Training(recipe=record["recipe"], rate=record["rate"], examples=record["examples"])


def measured(records: list[Record]) -> list[Record]:
    """Return for each run how far what is believed is from the true rate."""
    kept = ("seed", "failed", "predicted_failure")
    return [_point(_config(r), r["found"], **{key: r.get(key) for key in kept}) for r in records]


def along(records: list[Record]) -> list[Record]:
    """Return the same as it is predicted, for rates between those of the records."""
    rates = sorted({r["rate"] for r in records})
    configs = (
        Int8Training(recipe=name, rate=float(rate))
        for name in dict.fromkeys(r["recipe"] for r in records)
        for rate in np.geomspace(rates[0], rates[-1], 90)
    )
    return [_point(config, resting_point(config), predicted_failure=False) for config in configs]


def claims(records: list[Record]) -> list[Claim]:
    """Return what the rare task must believe, and that the loss hides it."""
    rules = (
        ("a tensor's scale, nearest: 8/127, whatever is true", "tensor, nearest", 0.03, lambda r: 8 / 127),
        ("rows, nearest: 1/255, 3/257, 7/261", "rows, nearest", 0.03, HALF_STEPS.__getitem__),
        ("a tensor's scale, stochastic: the rate", "tensor, stochastic", 0.05, lambda r: r),
        ("rows, stochastic: the rate", "rows, stochastic", 0.05, lambda r: r),
    )
    seeds = list(dict.fromkeys(r["seed"] for r in records))
    found = []
    for text, recipe, within, expected in rules:
        mine = [r for r in records if r["recipe"] == recipe]
        off = {seed: max(abs(_off(r, expected)) for r in mine if r["seed"] == seed) for seed in seeds}
        believed = ", ".join(f"{r['rate']:.1%}: {r['found']:.2%}" for r in mine if r["seed"] == seeds[0])
        found.append(
            Claim(
                text,
                f"within {within:.0%}",
                f"{believed} ...",
                tuple(value <= within for value in off.values()),
            )
        )
    apart = {seed: _loss_apart([r for r in records if r["seed"] == seed]) for seed in seeds}
    found.append(
        Claim(
            "the loss hides it: no run's last loss is 1% above that of fp32",
            "below 1%",
            ", ".join(f"{value:.2%}" for value in apart.values()),
            tuple(value < 0.01 for value in apart.values()),
        )
    )
    return found


def _off(run: Record, expected: Callable[[float], float]) -> float:
    """Return how far what is believed is from a number, or from the rate of the labels, which is a whole count."""
    wanted = expected(run["rate"])
    if wanted == run["rate"]:
        wanted = round(wanted * run["examples"]) / run["examples"]
    return float(run["found"]) / wanted - 1


def _loss_apart(records: list[Record]) -> float:
    """Return how far the last loss of a run lies above that of the fp32 run with its rate, at most."""
    plain = {r["rate"]: r["epoch_losses"][-1] for r in records if r["recipe"] == "none"}
    return max(r["epoch_losses"][-1] / plain[r["rate"]] - 1 for r in records)


EXPERIMENT = Experiment(
    name="int8-training",
    title="Training in int8",
    question="What may share a scale in int8, and how are gradients rounded?",
    runs=tuple(
        Int8Training(f"{name if name != 'none' else 'fp32'}, {rate:.1%}", recipe=name, rate=rate)
        for rate in RATES
        for name in RECIPES
    ),
    predict=predict,
    train=train,
    expected="rate that is believed of the rare task in the end",
    outcome="rate that is believed of the rare task in the end",
    sweep=Sweep("rate", _OFF, by="recipe", base=10, rows=measured, predicted=along),
    minutes=0.5,
    claims=claims,
    vary={"learning_rate": 1.5, "weight": 1.2, "rate": 1.5},
    notes="A scale for each row is no cure for rounding to nearest: it moves the numbers that can be believed closer "
    "together. And a tensor's scale is none where a gradient is rounded stochastically: its noise averages out.",
)
