"""One seed on three GPUs: is it the same network?

A network on the digits, in fp16 with fp32 weights, with the same images, initial weights and order of batches; its
products of matrices, forward and backward, are those of a V100, an A100 and an H100. Each GPU repeats itself bit for
bit. But each cuts its sums at another place: the results differ in the last bits of fp32, and where such a difference
crosses the middle of two fp16 numbers, one of them becomes another. From the first such number on the runs are apart.

Prediction: three different SHA-256 of the weights, far apart by bits and near by value, so that no digit of the test
set is classified in another way. (Looked at on the seeds 0 to 2.)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.autograd import arithmetic
from floatlab.data import digits
from floatlab.experiments.harness.common import accuracy, scores, whole_batches
from floatlab.experiments.harness.loop import Watcher, fit
from floatlab.experiments.harness.training import TrainingConfig, build_network, weights_sha256
from floatlab.optim import SGD

__all__ = ["UNITS", "Trained", "compared", "trained"]

UNITS = ("v100", "a100", "h100")
CONFIG = TrainingConfig("fp16", "fp16", "fp16", widths=(64, 64, 10), epochs=10)


@dataclass(frozen=True)
class Trained:
    """What a run has left.

    Attributes
    ----------
    unit : str
        Whose products it had.
    weights_sha256 : str
        Of all weights.
    weights : numpy.ndarray
        All weights, one after the other.
    guesses : numpy.ndarray
        What each image of the test set is taken for, in fp32.
    accuracy : float
        How many of them are right.
    course : numpy.ndarray
        The weights after each step, (steps, weights).
    """

    unit: str
    weights_sha256: str
    weights: NDArray[Any]
    guesses: NDArray[Any]
    accuracy: float
    course: NDArray[Any]


class _Course(Watcher):
    """Keeps the weights after each step."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.found: list[NDArray[Any]] = []

    def after_step(self, step: int) -> None:
        """Keep them."""
        self.found.append(_weights(self.network))


def _weights(network: nn.Module) -> NDArray[Any]:
    return np.concatenate([weight.array.ravel() for weight in network.parameters()])


def trained(unit: str | None, seed: int, epochs: int = CONFIG.epochs) -> Trained:
    """Train a network of a seed with the products of a unit; None: in wide precision."""
    data = digits(seed=seed)
    config = TrainingConfig(**(vars(CONFIG) | {"seed": seed, "epochs": epochs}))
    network = build_network(config)
    course = _Course(network)
    with arithmetic(unit=unit):
        fit(
            network,
            whole_batches(data, config.batch_size, seed),
            nn.functional.cross_entropy,
            SGD(network.parameters(), lr=config.learning_rate, momentum=config.momentum),
            config.precision,
            epochs=epochs,
            watcher=course,
        )
    found = scores(network, data.test_images)
    return Trained(
        str(unit),
        weights_sha256(network),
        _weights(network),
        found.argmax(axis=1),
        accuracy(found, data.test_labels),
        np.stack(course.found),
    )


def compared(seed: int, units: tuple[str, ...] = UNITS, epochs: int = CONFIG.epochs) -> dict[str, Any]:
    """Train on each unit, and return how far the networks are apart.

    Returns
    -------
    dict
        ``weights_sha256`` and ``accuracy`` of each unit; and of the two networks that are farthest apart ``distance``,
        the norm of the difference of their weights over the norm of the weights, ``differing``, the share of weights
        that are not the same, and ``changed``, how many images of the test set are taken for something else.
    """
    runs = [trained(unit, seed, epochs) for unit in units]
    pairs = list(combinations(runs, 2))
    return {
        "weights_sha256": {run.unit: run.weights_sha256 for run in runs},
        "accuracy": {run.unit: run.accuracy for run in runs},
        "distance": max(float(np.linalg.norm(x.weights - y.weights) / np.linalg.norm(x.weights)) for x, y in pairs),
        "differing": max(float((x.weights != y.weights).mean()) for x, y in pairs),
        "changed": max(int((x.guesses != y.guesses).sum()) for x, y in pairs),
    }  # fmt: skip
