"""How far does a run come whose steps are shorter than fp32's? Along fp32's own way, at the speed left to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from floatlab.amp import PrecisionSchedule
from floatlab.experiments.harness.loop import History

__all__ = ["Journey", "journey"]


@dataclass(frozen=True)
class Journey:
    """How a slower run is expected to go.

    Attributes
    ----------
    epoch_losses : list of float
        The mean loss of each epoch.
    places : list of (int, float)
        Of each step the stage of the schedule, and the step of the fp32 run that it stands at.
    switches : list of int
        After how many epochs the schedule went on to another format.
    """

    epoch_losses: list[float]
    places: list[tuple[int, float]]
    switches: list[int]


def journey(
    fp32: History,
    schedule: PrecisionSchedule,
    looked: Sequence[int],
    speeds: Sequence[Sequence[float]],
) -> Journey:
    """Go fp32's way at the speed that the format in force leaves there.

    Parameters
    ----------
    fp32 : History
        Of the fp32 run, as long as the other one shall be.
    schedule : PrecisionSchedule
        A new one; its steps are epochs.
    looked : sequence of int
        The steps of the fp32 run at which speeds are known. In between they go straight, and after the last one stay.
    speeds : sequence of sequence of float
        For each stage of the schedule, and each step in `looked`: the share of fp32's speed.

    Examples
    --------
    >>> fp32 = History(first_loss=4.0, epoch_losses=[3.0, 1.0, 0.0], steps=6)
    >>> going = journey(fp32, PrecisionSchedule(["e4m3", "fp16"], milestones=2), [0], [[0.5], [1.0]])
    >>> going.epoch_losses, [place for _, place in going.places], going.switches
    ([3.75, 2.75, 1.5], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0], [2])
    """
    epochs = len(fp32.epoch_losses)
    steps = fp32.steps // epochs
    known, curve = _curve(fp32, epochs, steps)
    place = 0.0
    going = Journey([], [], [])
    for epoch in range(epochs):
        losses, stage = [], schedule.stage
        for _ in range(steps):
            losses.append(float(np.interp(place, known, curve)))
            going.places.append((stage, place))
            place += float(np.interp(place, looked, speeds[stage]))
        going.epoch_losses.append(float(np.mean(losses)))
        if schedule.step(going.epoch_losses[-1]):
            going.switches.append(epoch + 1)
    return going


def _curve(fp32: History, epochs: int, steps: int) -> tuple[list[float], list[float]]:
    """Return steps and the losses there: an epoch's mean stands in its middle, and the last one goes on as it comes."""
    places = [0.0, *((epoch + 0.5) * steps for epoch in range(epochs)), float(epochs * steps)]
    losses = [fp32.first_loss, *fp32.epoch_losses]
    slope = (losses[-1] - losses[-2]) / (places[-2] - places[-3])
    return places, [*losses, losses[-1] + slope * steps / 2]
