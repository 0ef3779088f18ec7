"""What do all experiments share? The frame of a configuration, of a prediction and of a record.

A configuration is a frozen dataclass derived from `Run`. Of each one a prediction is made first, from fp32 alone, and
then a record of the run itself. Both are plain dictionaries, the same on every machine, with these entries:

    prediction   expected (a number: the share of gradients that will be lost, say), predicted_failure (a bool)
    record       found (what became of that number, in the run), outcome (an accuracy, an error), first_loss,
                 epoch_losses, and more

Whether a run has failed is said by `criterion`, the same for all; it is in the records that the registry returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.amp import autocast
from floatlab.autograd import Tensor, no_grad
from floatlab.data import Dataset
from floatlab.errors import OptionError
from floatlab.experiments.harness.loop import History, Precision, format_name
from floatlab.experiments.harness.prediction import zero_threshold
from floatlab.experiments.harness.training import weights_sha256

__all__ = [
    "Claim",
    "Experiment",
    "Inside",
    "Run",
    "Sweep",
    "accuracy",
    "lost",
    "record",
    "scores",
    "sequences",
    "whole_batches",
]

Array = NDArray[Any]
Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run: what the configuration of every experiment has. Each experiment adds fields of its own.

    Attributes
    ----------
    run : str
        What the run is called in tables and figures.
    format, gradient_format : str
        The formats of matrix products, and of the gradients in them ("": the same).
    loss_scaling : str
        "none", "static" or "dynamic".
    initial_scale : float
        The first loss scale, and the only one if it is static.
    growth_interval : int
        Good steps until a dynamic scale doubles.
    seed : int
        Of the split, the initial weights and the order of the batches.
    """

    run: str = "fp32"
    format: str = "float32"
    gradient_format: str = ""
    loss_scaling: str = "none"
    initial_scale: float = 1.0
    growth_interval: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", format_name(self.format))
        object.__setattr__(self, "gradient_format", format_name(self.gradient_format or self.format))
        for name in ("epochs", "steps"):
            if getattr(self, name, 1) < 1:
                raise OptionError(
                    f"A run has at least one of its {name}. Got {getattr(self, name)!r}. Use 1 or more."
                )
        self.precision()

    def precision(self) -> Precision:
        """Return formats and loss scaling, as the training loop takes them."""
        return Precision(
            self.format, self.gradient_format, self.loss_scaling, self.initial_scale, self.growth_interval
        )

    def autocast(self) -> autocast:
        """Return the context of a forward pass; in fp32 it changes nothing."""
        return autocast(self.format, enabled=self.format != "float32", gradient_format=self.gradient_format)

    def twin(self, **changes: Any) -> Self:
        """Return the fp32 run with the same data, weights and settings: what predictions are made from."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = Run(seed=self.seed)
        values |= {f.name: getattr(plain, f.name) for f in fields(Run)}
        return type(self)(**(values | changes))

    def reference(self) -> Self:
        """Return the fp32 run that this one is judged by; an experiment that adds something narrow undoes it here."""
        return self.twin()

    @property
    def threshold(self) -> float:
        """The largest magnitude of an unscaled gradient that becomes zero in this run's first step."""
        return zero_threshold(self.gradient_format, self.initial_scale)


@dataclass(frozen=True)
class Claim:
    """Something that must come out, in every seed.

    Attributes
    ----------
    text : str
        What is claimed.
    predicted, measured : str
        The two, in words and figures, as a reader finds them side by side.
    holds : tuple of bool
        For each seed whether it came out; a seed without an answer is left out.
    """

    text: str
    predicted: str
    measured: str
    holds: tuple[bool, ...]


@dataclass(frozen=True)
class Sweep:
    """One number of every run against one of its settings: the figure that an experiment has beside the general one.

    Attributes
    ----------
    x, y : str
        The fields of the rows that are drawn: a setting above 0, and a number.
    by : str
        A field whose values are lines of their own; "" for one line.
    base : int
        Of the logarithmic axis: 2 or 10.
    rows : callable
        Takes the records, gives the rows that are drawn.
    predicted : callable
        Takes the records, gives rows that are drawn as lines: what is predicted along the setting, without a run.
    """

    x: str
    y: str = "outcome"
    by: str = ""
    base: int = 2
    rows: Callable[[list[Record]], list[Record]] = lambda records: records
    predicted: Callable[[list[Record]], list[Record]] = lambda records: []


@dataclass(frozen=True)
class Experiment:
    """One experiment, as data.

    Attributes
    ----------
    name, title, question : str
        What it is called, and what it asks.
    runs : tuple of Run
        Its configurations, of seed 0.
    predict : callable
        Takes a configuration and returns a prediction, from fp32 and from constants of formats alone.
    train : callable
        Takes a configuration and returns a record.
    expected, outcome : str
        What the numbers `expected` (and `found`) and `outcome` are.
    sweep : Sweep, optional
        A figure of its own, where one number against one setting says more than a row for each run.
    minutes : float
        About how long three seeds take on two cores.
    claims : callable, optional
        What must come out beside each run failing or not as predicted: takes all records, gives claims.
    vary : mapping of str to number
        Which settings may change, and how far, where the rule shall hold: see `neighbours`.
    notes : str
        What the experiment does not show, or shows and surprises.
    logarithmic : bool
        Whether the outcome is drawn on a logarithmic axis.
    """

    name: str
    title: str
    question: str
    runs: tuple[Any, ...]
    predict: Callable[[Any], Record]
    train: Callable[[Any], Record]
    expected: str
    outcome: str
    sweep: Sweep | None = None
    minutes: float = 1.0
    claims: Callable[[list[Record]], list[Claim]] = field(default=lambda records: [])
    vary: Mapping[str, float | int] = field(default_factory=dict)
    notes: str = ""
    logarithmic: bool = False


class Inside(nn.Module):
    """A network that is called inside a context: an accumulator, an fp8 recipe."""

    def __init__(self, network: nn.Module, context: Callable[[], AbstractContextManager[Any]]) -> None:
        super().__init__()
        self.network, self.context = network, context

    def forward(self, x: Tensor) -> Tensor:
        """Call the network inside the context; its backward pass follows the arithmetic of its forward pass."""
        with self.context():
            found: Tensor = self.network(x)
        return found


# -- pieces of runs ----------------------------------------------------------------------------------


def whole_batches(data: Dataset, size: int, seed: int) -> Callable[[], Iterable[tuple[Array, Array]]]:
    """Return what gives the batches of one epoch after the other; a smaller last batch is left out."""
    rng = np.random.default_rng(seed)
    return lambda: (batch for batch in data.batches(size, rng) if len(batch[1]) == size)


def sequences(images: Array, blank_steps: int) -> Array:
    """Return sequences (steps, images, pixels): the image at the first step, and blank ones after it."""
    found = np.zeros((blank_steps + 1, *images.shape), np.float32)
    found[0] = images
    return found


def scores(network: nn.Module, inputs: Array) -> Array:
    """Return what a network says to its inputs, in the format of its weights and without a graph."""
    with no_grad():
        found: Array = network(Tensor(inputs)).array
    return found


def accuracy(found: Array, labels: Array) -> float:
    """Return the share of rows whose largest entry is at the label; a row with a NaN is wrong.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2], [np.nan, 1.0]]), np.array([1, 1, 1]))
    0.3333333333333333
    """
    guesses = np.where(np.isnan(found).any(axis=1), -1, found.argmax(axis=1))
    return float((guesses == labels).mean())


def lost(threshold: float, *gradients: Array) -> float:
    """Return the share of the entries that are not zero and are at most `threshold` in magnitude.

    >>> lost(2.0**-25, np.array([0.0, 2.0**-26, 2.0**-25, 2.0**-24]))
    0.6666666666666666
    """
    magnitudes = np.abs(np.concatenate([np.asarray(g, np.float64).ravel() for g in gradients]))
    alive = magnitudes > 0
    return float((magnitudes[alive] <= threshold).mean()) if alive.any() else 0.0


def record(config: Run, network: nn.Module, history: History, **findings: Any) -> Record:
    """Return the record of a run: its configuration, what it noted on the way, and its findings."""
    return {
        **{f.name: getattr(config, f.name) for f in fields(config)},
        "first_loss": history.first_loss,
        "epoch_losses": history.epoch_losses,
        "zero_share_by_epoch": history.zero_shares,
        "scale_changes": history.scale_changes,
        "final_scale": history.final_scale,
        "overflow_steps": history.skipped,
        "skipped_steps": len(history.skipped),
        "steps_taken": history.steps,
        "weights_sha256": weights_sha256(network),
        **findings,
    }
