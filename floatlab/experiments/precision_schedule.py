"""Precision schedules: coarse early and fine late, fine early and coarse late, or by the value of the loss?

A tanh autoencoder, 64-32-64, learns to repeat the digits (less their mean picture) by SGD with momentum. The gradient
of an output is its error times 2 w / (images x pixels), w being the loss weight, so that gradients shrink as the loss
falls: what a format can still tell from zero at first, it cannot later. E4M3 loses an error of at most 0.4 at w = 5.

Prediction, from the fp32 run and the formats' smallest numbers: at points along that run, what is left of the descent
if whatever is at most half of the format's smallest number is lost at each rounding on the way back. A run in a format
goes fp32's way at the share of fp32's speed that is left there; where it is then, its schedule decides on the format
for the next epoch. A run fails if the loss that it comes to so misses the goal of the one rule. (Made on the seeds 0 to
2. The way is not quite fp32's: coarse early is faster than predicted at first, since what is just above the threshold
is rounded up, and slower later, when all errors are just below it; fine then makes up more than fp32 would, so that a
run with a short fine end may learn where it should fail.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.amp import PrecisionSchedule, autocast
from floatlab.autograd import Tensor
from floatlab.data import digits
from floatlab.errors import OptionError
from floatlab.experiments.harness.common import (
    Claim,
    Experiment,
    Record,
    Run,
    lost,
    record,
    scores,
    whole_batches,
)
from floatlab.experiments.harness.criterion import fails
from floatlab.experiments.harness.loop import History, Precision, Watcher, fit, format_name
from floatlab.experiments.harness.pace import journey
from floatlab.experiments.harness.prediction import lost_share, zero_threshold
from floatlab.formats import get_format
from floatlab.optim import SGD

__all__ = ["EXPERIMENT", "Scheduled", "descent_left", "predict", "train"]

Array = NDArray[Any]
_EVERY = 11  # steps between two points of the fp32 run at which a prediction looks: twice an epoch, as listed


@dataclass(frozen=True)
class Scheduled(Run):
    """A run of this experiment.

    It begins in `format`, and goes on in `later` after a share `switch` of its epochs, or with the first epoch that
    follows a mean loss below `below`. Without `later` it stays in one format.
    """

    later: str = ""
    switch: float = 1.0
    below: float = 0.0
    loss_weight: float = 5.0
    hidden: int = 32
    epochs: int = 16
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.later:
            object.__setattr__(self, "later", format_name(self.later))
        if not 0.0 < self.switch <= 1.0:
            raise OptionError(f"switch is a share of the epochs, above 0. Got {self.switch!r}. Use 0.5.")
        self.schedule()

    def reference(self) -> Scheduled:
        """Return the run in fp32 from beginning to end."""
        return self.twin(later="", switch=1.0, below=0.0)

    def schedule(self) -> PrecisionSchedule:
        """Return a new schedule, whose steps are epochs."""
        if not self.later:
            return PrecisionSchedule([self.format])
        if self.below:
            return PrecisionSchedule([self.format, self.later], below=self.below)
        return PrecisionSchedule(
            [self.format, self.later], milestones=max(1, round(self.switch * self.epochs))
        )

    def threshold_at(self, stage: int) -> float:
        """Return the largest magnitude of an unscaled gradient that becomes zero in the first or the later format."""
        return zero_threshold(self.later, self.initial_scale) if stage else self.threshold


@dataclass(frozen=True)
class _Precision(Precision):
    """Formats that a schedule names, and loss scaling."""

    schedule: PrecisionSchedule = field(
        default_factory=lambda: PrecisionSchedule(["fp32"])
    )  # one that moves on

    def context(self) -> autocast:
        """Return the context of the next forward pass."""
        return autocast(self.schedule.format) if self.schedule.stage else super().context()


def _build(config: Scheduled) -> nn.Sequential:
    rng = np.random.default_rng(config.seed)
    return nn.Sequential(
        nn.Linear(64, config.hidden, rng=rng), nn.Tanh(), nn.Linear(config.hidden, 64, rng=rng)
    )


def _pictures(config: Scheduled) -> tuple[Array, Array, Callable[[], Iterable[tuple[Array, Array]]]]:
    """Return training and test images, less the mean of the former, and what gives an epoch's batches, twice each."""
    data = digits(seed=config.seed)
    mean = data.train_images.mean(axis=0)
    batches = whole_batches(data, config.batch_size, config.seed)
    return data.train_images - mean, data.test_images - mean, lambda: (2 * (x - mean,) for x, _ in batches())


# -- what is predicted -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Point:
    """Where the fp32 run is before a step: some images, what becomes of them, and the gradient of the outputs."""

    images: Array
    hidden: Array
    output_gradient: Array
    weight: Array  # of the second layer, which the gradient goes back through


class _Points(Watcher):
    """Looks at a batch of images, always the same, as the run goes on."""

    def __init__(self, config: Scheduled, network: nn.Sequential, images: Array) -> None:
        self.config, self.network = config, network
        self.images = images[: config.batch_size]
        self.found: list[Point] = []

    def before_step(self, step: int) -> None:
        """Note a point."""
        if step % _EVERY:
            return
        hidden = scores(self.network[:2], self.images)
        outputs = scores(self.network[2], hidden)
        gradient = (outputs.astype(np.float64) - self.images) * (2.0 * self.config.loss_weight / outputs.size)
        weight = self.network[2].weight.array.astype(np.float64)
        self.found.append(Point(self.images.astype(np.float64), hidden.astype(np.float64), gradient, weight))


@lru_cache(maxsize=4)  # the fp32 run is the same for many runs
def _followed(config: Scheduled) -> tuple[History, list[Point]]:
    """Return what the fp32 run did, and its points."""
    network = _build(config)
    images, _, batches = _pictures(config)
    points = _Points(config, network, images)
    return _fit(config, network, batches, config.precision(), _mean_square, points), points.found


def descent_left(point: Point, threshold: float, limit: float = np.inf) -> float:
    """Return which part of fp32's descent is left in a format: the weights' gradients times what is left of them.

    Whatever is at most `threshold` is lost on its way back: from outputs to the hidden layer, through tanh, and in both
    weights. Above `limit` there is an overflow, and nothing is left of the step.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> point = Point(images=one, hidden=one / 2, output_gradient=one, weight=one / 4)
    >>> [round(descent_left(point, threshold), 3) for threshold in (0.0, 0.2, 0.4, 1.0)]  # 1/2 and 1/4 * 3/4
    [1.0, 0.877, 0.877, 0.0]
    """
    left, whole = (_back(point, t) for t in (threshold, 0.0))
    if max(float(np.abs(gradient).max()) for gradient in whole) > limit:
        return 0.0
    products = [
        sum(float((a * b).sum()) for a, b in zip(whole, other, strict=True)) for other in (left, whole)
    ]
    return products[0] / products[1] if products[1] else 0.0


def _back(point: Point, threshold: float) -> tuple[Array, Array]:
    """Return the gradients of both weights, without what is lost on the way."""

    def kept(x: Array) -> Array:
        return np.where(np.abs(x) > threshold, x, 0.0)

    # einsum without BLAS: the same sums on every machine
    outputs = kept(point.output_gradient)
    hidden = kept(kept(np.einsum("no,oh->nh", outputs, point.weight)) * (1.0 - point.hidden**2))
    return (
        kept(np.einsum("no,nh->oh", outputs, point.hidden)),
        kept(np.einsum("nh,ni->hi", hidden, point.images)),
    )


def predict(config: Scheduled) -> Record:
    """Predict a run from the fp32 run and from the formats' ranges: how far it comes on fp32's way."""
    history, points = _followed(config.reference())
    looked = [k * _EVERY for k in range(len(points))]
    stages = [(config.threshold_at(k), _limit(config, k)) for k in range(len(config.schedule().formats))]
    speeds = [[descent_left(point, *ends) for point in points] for ends in stages]
    shares = [[lost(threshold, point.output_gradient) for point in points] for threshold, _ in stages]
    going = journey(history, config.schedule(), looked, speeds)
    fp32 = {"first_loss": history.first_loss, "epoch_losses": history.epoch_losses}
    return {
        "expected": float(
            np.mean([np.interp(place, looked, shares[stage]) for stage, place in going.places])
        ),
        "predicted_failure": bool(fails({"epoch_losses": going.epoch_losses}, fp32)),
        "predicted_loss": going.epoch_losses[-1],
        "predicted_switch": going.switches[0] if going.switches else None,
    }


def _limit(config: Scheduled, stage: int) -> float:
    """Return the largest gradient that a format holds, the loss scale on it."""
    fmt = get_format(config.later if stage else config.gradient_format)
    return float(fmt.max) / config.initial_scale


# -- what is done ------------------------------------------------------------------------------------


class _Course(Watcher):
    """Moves the schedule on by epochs, and notes in each step what the output's rounding has lost."""

    def __init__(self, schedule: PrecisionSchedule) -> None:
        self.schedule = schedule
        self.lost: list[float] = []
        self.switched: int | None = None
        self.epoch = 0
        self._losses: list[float] = []
        self._last: tuple[Tensor, Tensor] | None = None

    def loss(self, outputs: Tensor, targets: Array) -> Tensor:
        """Return the loss, and keep the outputs in their own format and in fp32: their gradients are to be compared."""
        wide = outputs.to("float32")
        for tensor in (outputs, wide):
            tensor.retain_grad()
        self._last = (outputs, wide)
        loss = _mean_square(wide, targets)
        self._losses.append(loss.item())
        return loss

    def after_backward(self, step: int) -> None:
        """Compare the gradient before and after it was rounded."""
        assert self._last is not None
        rounded, exact = (tensor.grad for tensor in self._last)
        assert rounded is not None and exact is not None
        self.lost.append(lost_share(exact.array, rounded.array))

    def epochs(self, batches: Callable[[], Iterable[Any]]) -> Callable[[], Iterator[Any]]:
        """Return the batches of one epoch after the other; at the end of each the schedule hears its mean loss."""

        def one() -> Iterator[Any]:
            yield from batches()
            self.epoch += 1
            if self.schedule.step(float(np.mean(self._losses))):
                self.switched = self.epoch
            self._losses.clear()

        return one


def _mean_square(outputs: Tensor, targets: Array) -> Tensor:
    return nn.functional.mse_loss(outputs, Tensor(targets))


def _fit(
    config: Scheduled,
    network: nn.Module,
    batches: Callable[[], Iterable[Any]],
    precision: Precision,
    loss_of: Callable[[Tensor, Any], Tensor],
    watcher: Watcher,
) -> History:
    rate = config.learning_rate / config.loss_weight
    return fit(
        network,
        batches,
        loss_of,
        SGD(network.parameters(), lr=rate, momentum=config.momentum),
        precision,
        epochs=config.epochs,
        loss_weight=config.loss_weight,
        watcher=watcher,
    )


def train(config: Scheduled) -> Record:
    """Do one run."""
    network, schedule = _build(config), config.schedule()
    _, images, batches = _pictures(config)
    course = _Course(schedule)
    history = _fit(
        config,
        network,
        course.epochs(batches),
        _Precision(**vars(config.precision()), schedule=schedule),
        course.loss,
        course,
    )
    error = float(((scores(network, images).astype(np.float64) - images) ** 2).mean())
    return record(
        config,
        network,
        history,
        found=float(np.mean(course.lost)),
        switched=course.switched,
        train_loss=history.epoch_losses[-1],
        outcome=error,
    )


# -- what is claimed ---------------------------------------------------------------------------------


def _claims(records: list[Record]) -> list[Claim]:
    """Return what must come out beside each run failing or not as predicted."""
    named = {
        name: [r for r in records if r["run"] == name] for name in dict.fromkeys(r["run"] for r in records)
    }
    claims = []
    if pairs := list(zip(named.get(_COARSE_FIRST, []), named.get(_FINE_FIRST, []), strict=False)):
        claims.append(
            Claim(
                "with half of the epochs in each format, coarse early ends lower than coarse late",
                _losses(pairs, "predicted_loss"),
                _losses(pairs, "train_loss"),
                tuple(a["train_loss"] < b["train_loss"] for a, b in pairs),
            )
        )
    for name in _BY_LOSS:
        if found := named.get(name):
            claims.append(
                Claim(
                    f"{name}: the loss is reached where that is predicted, and nowhere else",
                    _epochs(found, "predicted_switch"),
                    _epochs(found, "switched"),
                    tuple((r["predicted_switch"] is None) == (r["switched"] is None) for r in found),
                )
            )
    return claims


def _losses(pairs: list[tuple[Record, Record]], key: str) -> str:
    early, late = (np.mean([pair[k][key] for pair in pairs]) for k in (0, 1))
    return f"{early:.4f} and {late:.4f}"


def _epochs(records: list[Record], key: str) -> str:
    return "after epochs " + ", ".join("never" if r[key] is None else str(r[key]) for r in records)


_COARSE_FIRST, _FINE_FIRST = "E4M3, from 1/2 on fp16", "fp16, from 1/2 on E4M3"
_BY_LOSS = ("E4M3 until 0.07, then fp16", "E4M3 until 0.03, then fp16")
EXPERIMENT = Experiment(
    name="precision-schedule",
    title="Precision schedules",
    question="Coarse early and fine late, or the other way round, or by the value of the loss?",
    runs=(
        Scheduled("fp32"),
        Scheduled("fp16", "fp16"),
        Scheduled("E4M3", "e4m3"),
        Scheduled(_COARSE_FIRST, "e4m3", later="fp16", switch=0.5),
        Scheduled(_FINE_FIRST, "fp16", later="e4m3", switch=0.5),
        Scheduled("fp16, from 1/8 on E4M3", "fp16", later="e4m3", switch=0.125),
        Scheduled("E4M3, from 1/2 on E5M2", "e4m3", later="e5m2", switch=0.5),
        Scheduled("E3M4, from 3/4 on fp16", "e3m4", later="fp16", switch=0.75),
        Scheduled(_BY_LOSS[0], "e4m3", later="fp16", below=0.07),
        Scheduled(_BY_LOSS[1], "e4m3", later="fp16", below=0.03),
        Scheduled("E4M3 static", "e4m3", loss_scaling="static", initial_scale=64.0),
    ),
    predict=predict,
    train=train,
    expected="output gradients lost over the run",
    outcome="mean square error on the test images",
    minutes=0.5,
    claims=_claims,
    vary={
        "learning_rate": 1.5,
        "loss_weight": 1.5,
        "format": 1,
        "gradient_format": 1,
        "later": 1,
        "initial_scale": 16.0,
    },
    notes="Fine means a small smallest number here, not many bits: E5M2 serves late as fp16 does. With a loss scale, "
    "E4M3 needs no schedule.",
)
