"""A rare class on a Hopper's fp8 unit: what does a network believe whose gradient is a sum over 65,536 examples?

Logistic regression on one constant input, as in `floatlab.experiments.rare_class`: a single weight w, and p =
sigmoid(w) shall become the rate of the positive examples. Its gradient is the sum of p - y over the batch. Here it is
the sum that is narrow: p - y is in E4M3, with a power of two as its scale, and is multiplied with ones, in E4M3 too, by
a matrix unit; all else is fp32.

Sorted by class, the negative examples come first. Each adds p, until the sum has reached 2^14 times the power of two
below p: a Hopper keeps 13 bits below the exponent of the sum, and all further examples are cut to nothing. Some 10,000
of 65,000 negative examples count, and so do all positive ones, which are larger. It rests where these are as many:
p / (1 - p) is several times what it should be. Promoted every 128 products, on a Blackwell, whose fp8 unit keeps 25
bits, and in random order, where the sum stays small, nothing is lost.

Prediction: the sum of two kinds of numbers in blocks of 32, on paper: the p at which it changes its sign. A run fails
if the loss at that p has fallen by less than the criterion asks for. (Looked at on seed 0.)

It takes such a batch: networks of some layers on the digits, with their 1437 examples, learn on this unit as in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.autograd import Function, Tensor
from floatlab.errors import check_option
from floatlab.experiments.harness.common import Claim, Experiment, Record, Run
from floatlab.experiments.harness.criterion import LEAST_PROGRESS
from floatlab.experiments.rare_class import Believed, believe, logit, loss_at
from floatlab.formats import get_format
from floatlab.matrix_units import get_unit
from floatlab.optim import SGD
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import matmul

__all__ = ["EXPERIMENT", "RareClassFp8", "predict", "resting_point", "train"]

Array = NDArray[Any]
_E4M3 = get_format("e4m3")
_DECAY = 0.975  # of the learning rate in a step
_WITHIN = 1e-4  # how near to the resting point a prediction comes, relative to it
#: How p - y is summed: in fp32 without E4M3, exactly, or by a unit.
SUMS = ("fp32", "exact", "h100", "h100:promote=128", "b200")
ORDERS = ("by class", "shuffled")


@dataclass(frozen=True)
class RareClassFp8(Run):
    """A run of this experiment; `rate` is that of the positive examples, `first` what is believed at first."""

    sums: str = "fp32"
    order: str = "by class"
    rate: float = 0.01
    first: float = 0.3
    examples: int = 65536
    epochs: int = 80
    learning_rate: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_option("sums", self.sums, SUMS)
        check_option("order", self.order, ORDERS)

    def reference(self) -> RareClassFp8:
        """Return the run in fp32, in which the order is nothing."""
        return self.twin(sums="fp32", order="by class")


def labels_of(config: RareClassFp8) -> Array:
    """Return the labels, (examples, 1): sorted, the negative ones first, or in random order."""
    labels = np.zeros((config.examples, 1), np.float32)
    labels[config.examples - round(config.rate * config.examples) :] = 1.0
    return (
        labels if config.order == "by class" else np.random.default_rng(config.seed).permuted(labels, axis=0)
    )


def _first_weight(config: RareClassFp8) -> float:
    return logit(config.first) + 0.1 * float(np.random.default_rng(config.seed).standard_normal())


def _scale(largest: float) -> float:
    """Return the largest power of two by which a number can be multiplied and stay in E4M3.

    >>> _scale(0.9), _scale(0.8)
    (256.0, 512.0)
    """
    return 2.0 ** math.floor(math.log2(_E4M3.max / largest))


# -- on paper ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def resting_point(config: RareClassFp8) -> float:
    """Return the p at which the sum of p - y is zero, as far as its unit says: above it is positive, below negative."""
    labels = labels_of(config)
    if config.sums == "fp32":
        return float(labels.mean())
    low, high = math.log(float(labels.mean()) / 4), math.log(config.first * 1.5)
    while high - low > _WITHIN:
        middle = (low + high) / 2
        low, high = (low, middle) if _sum_on_paper(config, labels, math.exp(middle)) > 0 else (middle, high)
    return math.exp(low)


def _sum_on_paper(config: RareClassFp8, labels: Array, p: float) -> float:
    scale = _scale(max(p, 1.0 - p))
    values = float(quantize(p * scale, _E4M3)), float(quantize((p - 1.0) * scale, _E4M3))
    if config.sums == "exact":
        positive = int(labels.sum())
        return (len(labels) - positive) * values[0] + positive * values[1]
    unit = get_unit(config.sums)
    one = unit.instruction(_E4M3, _E4M3)
    bits, parts = int(getattr(one, "fraction_bits", 25)), (unit.promote or len(labels)) // one.block
    counts = labels.reshape(-1, one.block).sum(axis=1).astype(np.int64).tolist()
    total = 0.0
    for start in range(0, len(counts), parts):
        part = 0.0
        for positive in counts[start : start + parts]:
            part = _block(part, ((values[0], one.block - positive), (values[1], positive)), bits)
        total = float(np.float32(total + part))
    return total


def _block(total: float, terms: tuple[tuple[float, int], ...], bits: int) -> float:
    """Return a sum and so many equal terms of each kind, cut so many bits below the exponent of the largest."""
    largest = max(math.frexp(x)[1] - 1 for x in _there(total, terms))
    place = 2.0 ** (largest - bits)
    made = place * (math.trunc(total / place) + sum(n * math.trunc(x / place) for x, n in terms))
    kept = 2.0 ** (math.frexp(made)[1] - 1 - min(bits, 23))
    return math.trunc(made / kept) * kept


def _there(total: float, terms: tuple[tuple[float, int], ...]) -> Iterator[float]:
    yield from (x for x, n in ((total, 1), *terms) if x and n)


def predict(config: RareClassFp8) -> Record:
    """Predict a run from the labels and their order, and its first loss from an fp32 step."""
    labels = labels_of(config)
    start = nn.functional.binary_cross_entropy_with_logits(
        Tensor(np.full(labels.shape, _first_weight(config), np.float32)), Tensor(labels)
    ).item()
    rate, p = float(labels.mean()), resting_point(config)
    fallen = (start - loss_at(p, rate)) / (start - loss_at(rate, rate))
    return {"expected": p, "predicted_failure": fallen < LEAST_PROGRESS}


# -- the run -------------------------------------------------------------------------------------------------


class _Product(Function):
    """The product of ones (n, 1) and a weight (1, 1), whose gradient is summed as asked for."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ones: Tensor, sums: str) -> Tensor:
        """Return the scores, (n, 1)."""
        ctx.sums, ctx.ones = sums, ones.array
        return ones @ weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the weight: the ones times that of the scores."""
        g = gradient.array
        if ctx.sums == "fp32":
            return Tensor(matmul(ctx.ones.T, g, "fp32")), None, None
        scale = _scale(float(np.abs(g).max()))
        how = "wide" if ctx.sums == "exact" else get_unit(ctx.sums)
        narrow = quantize(g.astype(np.float64) * scale, _E4M3)
        total = matmul(ctx.ones.T, narrow, "fp32", accumulator=how, formats=(_E4M3, _E4M3))
        return Tensor(total / np.float32(scale)), None, None


class _Layer(nn.Module):
    def __init__(self, config: RareClassFp8) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.array([[_first_weight(config)]], np.float32))
        self.sums = config.sums

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(self.weight, x, self.sums)


def train(config: RareClassFp8) -> Record:
    """Do one run."""
    labels = labels_of(config)
    network = _Layer(config)
    optimizer = SGD(network.parameters(), lr=config.learning_rate)
    believed = Believed(network.weight, optimizer, _DECAY)
    loss = nn.functional.binary_cross_entropy_with_logits
    return believe(config, network, labels, loss, optimizer, believed, config.epochs)


#: What must come out: the runs, how far from the true rate at most, and the rate that is expected of which.
RULES: tuple[tuple[str, str, str, float, dict[float, float]], ...] = (
    (
        "An H100 believes 6% of a class of 1%, and 24% of one of 5%",
        "h100",
        "by class",
        0.05,
        {0.01: 0.06, 0.05: 0.24},
    ),
    ("Promoted every 128 products it is right", "h100:promote=128", "by class", 0.03, {}),
    ("A B200 is right", "b200", "by class", 0.03, {}),
    ("E4M3 with exact sums is right", "exact", "by class", 0.03, {}),
    ("In random order an H100 is nearly right", "h100", "shuffled", 0.08, {}),
)


def claims(records: list[Record]) -> list[Claim]:
    """Return what the learned rates must be, beside the runs' failing or not."""
    found = []
    for text, sums, order, within, expected in RULES:
        mine = [r for r in records if (r["sums"], r["order"]) == (sums, order)]
        if mine:
            near = {id(r): abs(r["found"] / expected.get(r["rate"], r["rate"]) - 1) <= within for r in mine}
            seeds = dict.fromkeys(r["seed"] for r in mine)
            found.append(
                Claim(
                    text,
                    f"within {within:.0%}",
                    ", ".join(f"{r['rate']:.0%}: {r['found']:.2%}" for r in mine),
                    tuple(all(near[id(r)] for r in mine if r["seed"] == seed) for seed in seeds),
                )
            )
    return found


_KINDS = (
    ("fp32", "fp32", "by class"),
    ("E4M3, exact sums", "exact", "by class"),
    ("h100", "h100", "by class"),
    ("h100 promoted", "h100:promote=128", "by class"),
    ("b200", "b200", "by class"),
    ("h100 shuffled", "h100", "shuffled"),
)
EXPERIMENT = Experiment(
    name="rare-class-in-fp8",
    title="A rare class on a matrix unit",
    question="What does a network believe of a class whose examples are the last of 65,536?",
    runs=tuple(
        RareClassFp8(f"{name}, {rate:.0%}", sums=sums, order=order, rate=rate)
        for rate in (0.01, 0.05)
        for name, sums, order in _KINDS
    ),
    predict=predict,
    train=train,
    expected="rate that is believed in the end",
    outcome="rate that is believed in the end",
    minutes=4,
    claims=claims,
    vary={"learning_rate": 1.3, "first": 1.2, "rate": 1.5},
    notes="Shuffled, nothing fails, and neither do small networks on the digits: it takes a long sum of one sign.",
)
