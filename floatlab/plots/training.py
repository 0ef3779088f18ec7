"""Which runs learn? A panel for each run, with the fp32 run in grey behind it, and its loss scale below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from floatlab.errors import ExperimentError
from floatlab.plots.colours import THEMES
from floatlab.plots.style import heading, new_figure, power_of_ten, run_style, tidy

__all__ = ["plot_training"]

_THEME = THEMES[False]
_BEHIND = "#9A9A9A"  # the fp32 run, in every panel of another

Records = Sequence[Mapping[str, Any]]


def plot_training(records: Records, *, title: str = "") -> Figure:
    """Draw the loss curve of each run beside that of fp32, and its loss scale: a column each, two rows a loss weight.

    Parameters
    ----------
    records : sequence of mappings
        One for each run, with ``run`` (its name), ``loss_weight``, ``seed``, ``epoch_losses`` (the mean loss of
        each epoch, before its weight; None for a NaN), ``loss_scaling``, ``steps``, ``steps_per_epoch``,
        ``scale_changes`` (pairs of a step and the scale from there on) and ``overflow_steps``. Runs of one name and
        loss weight are the same run with other seeds: the line is their geometric mean, the band their range; where a
        seed has become NaN, a mark says of how many. The scale is that of the first seed, which the figure names.
    title : str
        A line above everything.

    Raises
    ------
    ExperimentError
        If there is no record.
    """
    if not records:
        raise ExperimentError(
            "A figure of training needs a finished run. Got none. Run the experiment first."
        )
    weights = sorted({float(r["loss_weight"]) for r in records}, reverse=True)
    names = list(dict.fromkeys(str(r["run"]) for r in records))
    own = [name for name in names if name != "fp32"] or names
    figure, axes = new_figure(
        2 * len(weights),
        len(own),
        size=(max(6.5, 2.6 * len(own)), 4.6 * len(weights) + 0.6),
        sharex=True,
        squeeze=False,
        height_ratios=[3, 2] * len(weights),
    )
    for k, weight in enumerate(weights):
        mine = [r for r in records if float(r["loss_weight"]) == weight]
        for column, name in enumerate(own):
            _losses(axes[2 * k][column], mine, name, names.index(name))
            _scale(axes[2 * k + 1][column], mine, name, names.index(name))
            heading(axes[2 * k][column], name, size=14)
        _align(axes[2 * k])
        _align(axes[2 * k + 1])
        axes[2 * k][0].set_ylabel(f"loss weight {power_of_ten(weight)}\ntraining loss")
        axes[2 * k + 1][0].set_ylabel("loss scale")
    length = max((len(r["epoch_losses"]) for r in records), default=1)
    for axis in axes[-1]:
        axis.set_xlim(0, max(length, 1))
        axis.set_xticks(np.arange(0, length + 1e-9, max(1, round(length / 4))))
    figure.supxlabel("epoch" + _legend(records, names, own), fontsize=13)
    if title:
        figure.suptitle(title, fontsize=17, fontweight="bold", x=0.01, ha="left")
    return figure


def _legend(records: Records, names: Sequence[str], own: Sequence[str]) -> str:
    """Return what the figure says of its lines."""
    parts = ["grey: fp32"] if "fp32" in names and "fp32" not in own else []
    seeds = {int(r["seed"]) for r in records}
    if len(seeds) > 1:
        parts.append(f"line: geometric mean of {len(seeds)} seeds, band: their range")
    if any(r["loss_scaling"] != "none" for r in records):
        parts.append(f"scale: seed {min(seeds)}; ×: gradients overflowed, step skipped")
    return f"\n{';   '.join(parts)}" if parts else ""


def _block(records: Records, name: str) -> NDArray[np.float64]:
    """Return the losses of a run, a row for each seed; NaN where there is none to draw."""
    curves = [np.asarray(r["epoch_losses"], dtype=np.float64) for r in records if r["run"] == name]
    length = min((len(curve) for curve in curves), default=0)
    block = np.array([curve[:length] for curve in curves]).reshape(len(curves), length)
    return np.where(np.isfinite(block) & (block > 0), block, np.nan)


def _losses(axis: Axes, records: Records, name: str, index: int) -> None:
    axis.set_yscale("log")
    style = run_style(name, index)
    block = _block(records, name)
    usable = ~np.isnan(block).any(axis=0)
    epochs = np.arange(1, block.shape[1] + 1)[usable]
    if len(epochs):
        mean = np.exp(np.log(block[:, usable]).mean(axis=0))  # the middle of a band on a log axis
        axis.plot(epochs, mean, color=style["color"], linestyle=style["linestyle"], zorder=3)
        low, high = block[:, usable].min(axis=0), block[:, usable].max(axis=0)
        axis.fill_between(epochs, low, high, color=style["color"], alpha=0.15, lw=0)
    behind = _block(records, "fp32") if name != "fp32" else np.empty((0, 0))
    if behind.size and not np.isnan(behind).any():
        mean = np.exp(np.log(behind).mean(axis=0))
        axis.plot(np.arange(1, len(mean) + 1), mean, color=_BEHIND, linestyle="-", linewidth=1.6, zorder=2)
    lost = np.isnan(block[:, -1]).sum() if block.size else 0
    if lost:
        text = "NaN" if len(block) == 1 else f"NaN: {lost} of {len(block)} seeds"
        axis.text(
            0.97, 0.95, text, transform=axis.transAxes, ha="right", va="top", color=_THEME.alarm, fontsize=13
        )
    tidy(axis)


def _scale(axis: Axes, records: Records, name: str, index: int) -> None:
    found = [r for r in records if r["run"] == name and r["loss_scaling"] != "none"]
    if not found:
        axis.text(
            0.5, 0.5, "no loss scaling", transform=axis.transAxes, ha="center", color=_THEME.soft, fontsize=12
        )
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        return
    axis.set_yscale("log", base=2)
    record = min(found, key=lambda r: int(r["seed"]))
    total, epoch = int(record["steps"]), int(record["steps_per_epoch"])
    starts, values = (np.asarray(part) for part in zip(*record["scale_changes"], strict=True))
    steps = np.arange(total)
    scales = values.astype(np.float64)[np.searchsorted(starts, steps, side="right") - 1]
    scales = np.where(scales > 0, scales, np.nan)
    when = (steps + 0.5) / epoch
    style = run_style(name, index)
    axis.plot(when, scales, color=style["color"], linestyle=style["linestyle"], zorder=3)
    overflows = np.asarray(record["overflow_steps"], dtype=np.int64)
    if len(overflows):
        axis.plot(when[overflows], scales[overflows], "x", color=_THEME.alarm, ms=9, mew=2.2, zorder=4)
    tidy(axis)


def _align(row: Sequence[Axes]) -> None:
    """Give the panels of a row, those that draw something, the same limits, and numbers to the first alone."""
    drawn = [axis for axis in row if axis.lines]
    if not drawn:
        return
    limits = [axis.get_ylim() for axis in drawn]
    low, high = min(a for a, _ in limits), max(b for _, b in limits)
    for axis in drawn:
        axis.set_ylim(low, high)
        if axis is not drawn[0]:
            axis.tick_params(labelleft=False, which="both")
