"""Which runs learn? A panel for each run, with the fp32 run in grey behind it, and its loss scale below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from floatlab.errors import ExperimentError
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import title_of_answers
from floatlab.plots.style import Canvas, Size, canvas, heading, power_of_ten, run_style, tidy

__all__ = ["plot_training"]

Records = Sequence[Mapping[str, Any]]


def plot_training(
    records: Records, *, size: Size = None, dark: bool = False, title: str | None = None
) -> Figure:
    """Draw the loss curve of each run beside that of fp32, and its loss scale: a column each, two rows a loss weight.

    Parameters
    ----------
    records : sequence of mappings
        One for each run, with ``run`` (its name), ``loss_weight``, ``seed``, ``epoch_losses`` (the mean loss of
        each epoch, before its weight; None for a NaN), ``loss_scaling``, ``steps``, ``steps_per_epoch``,
        ``scale_changes`` (pairs of a step and the scale from there on) and ``overflow_steps``. Runs of one name and
        loss weight are the same run with other seeds: the line is their geometric mean, the band their range; where a
        seed has become NaN, a mark says of how many. The scale is that of the first seed, which the figure names.
    size, dark, title
        As in `plot_ranges`; a `size` of None is as large as the panels need. The title says which runs fail.

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
    with canvas(
        2 * len(weights),
        len(own),
        size=size,
        natural=(max(6.5, 2.6 * len(own)), 4.6 * len(weights) + 0.6),
        dark=dark,
        sharex=True,
        squeeze=False,
        height_ratios=[3, 2] * len(weights),
    ) as made:
        axes = made.axes
        for k, weight in enumerate(weights):
            mine = [r for r in records if float(r["loss_weight"]) == weight]
            for column, name in enumerate(own):
                _losses(made, axes[2 * k][column], mine, name, names.index(name))
                _scale(made, axes[2 * k + 1][column], mine, name, names.index(name))
                heading(axes[2 * k][column], _fitting(made, name, len(own)), size=1.08 * made.font)
            _align(axes[2 * k])
            _align(axes[2 * k + 1])
            low = made.figure.get_figheight() < 2.4 * len(weights)  # too low for more than a word
            axes[2 * k][0].set_ylabel(f"weight {power_of_ten(weight)}" if low else
                                      f"loss weight {power_of_ten(weight)}\ntraining loss")  # fmt: skip
            axes[2 * k + 1][0].set_ylabel("scale" if low else "loss scale")
        length = max((len(r["epoch_losses"]) for r in records), default=1)
        for axis in axes[-1]:
            axis.set_xlim(0, max(length, 1))
            axis.set_xticks(np.arange(0, length + 1e-9, max(1, round(length / 4))))
        made.figure.supxlabel(
            f"epoch\n{made.note(_legend(records, names, own))}".rstrip(), fontsize=made.font
        )
        return made.finish(title, title_of_answers(records, lambda answers: _title(answers, weights, names)))


def _title(records: Records, weights: Sequence[float], names: Sequence[str]) -> str:
    """Say which runs fail with which loss weight, as most of their seeds do; nothing where no record says so."""
    if not any("failed" in r for r in records):
        return ""
    parts = []
    for weight in weights:
        failed = []
        for name in names:
            mine = [r for r in records if r["run"] == name and float(r["loss_weight"]) == weight]
            if 2 * sum(bool(r.get("failed")) for r in mine) > len(mine):
                failed.append(name)
        fail = "fails" if len(failed) == 1 else "fail"
        word = f"{', '.join(failed)} {fail}" if failed else "every run learns"
        parts.append(f"Loss weight {power_of_ten(weight)}: {word}")
    return "; ".join(parts).replace("; Loss", "; loss")


def _legend(records: Records, names: Sequence[str], own: Sequence[str]) -> str:
    """Return what the figure says of its lines."""
    parts = ["grey: fp32"] if "fp32" in names and "fp32" not in own else []
    seeds = {int(r["seed"]) for r in records}
    if len(seeds) > 1:
        parts.append(f"line: geometric mean of {len(seeds)} seeds, band: their range")
    if any(r["loss_scaling"] != "none" for r in records):
        parts.append(f"scale: seed {min(seeds)}; ×: gradients overflowed, step skipped")
    return "; ".join(parts)


def _fitting(made: Canvas, name: str, columns: int) -> str:
    """Return a name, over two lines where a column is too narrow for one."""
    room = 72 * made.figure.get_figwidth() / (columns + 0.7) / (0.7 * 1.08 * made.font)
    return name if len(name) <= room else name.replace(" ", "\n", 1)


def _block(records: Records, name: str) -> NDArray[np.float64]:
    """Return the losses of a run, a row for each seed; NaN where there is none to draw."""
    curves = [np.asarray(r["epoch_losses"], dtype=np.float64) for r in records if r["run"] == name]
    length = min((len(curve) for curve in curves), default=0)
    block = np.array([curve[:length] for curve in curves]).reshape(len(curves), length)
    return np.where(np.isfinite(block) & (block > 0), block, np.nan)


def _losses(made: Canvas, axis: Axes, records: Records, name: str, index: int) -> None:
    axis.set_yscale("log")
    look = run_style(name, index).line(made.theme) | {"marker": ""}
    block = _block(records, name)
    usable = ~np.isnan(block).any(axis=0)
    epochs = np.arange(1, block.shape[1] + 1)[usable]
    if len(epochs):
        mean = np.exp(np.log(block[:, usable]).mean(axis=0))  # the middle of a band on a log axis
        axis.plot(epochs, mean, **look, zorder=3)
        low, high = block[:, usable].min(axis=0), block[:, usable].max(axis=0)
        axis.fill_between(epochs, low, high, color=look["color"], alpha=0.15, lw=0)
    behind = _block(records, "fp32") if name != "fp32" else np.empty((0, 0))
    if behind.size and not np.isnan(behind).any():
        mean = np.exp(np.log(behind).mean(axis=0))
        behind_all: dict[str, Any] = {
            "color": made.theme.behind,
            "linestyle": "-",
            "linewidth": 0.12 * made.font,
        }
        axis.plot(np.arange(1, len(mean) + 1), mean, **behind_all, zorder=2)
    lost = np.isnan(block[:, -1]).sum() if block.size else 0
    if lost:
        text = "NaN" if len(block) == 1 else f"NaN: {lost} of {len(block)} seeds"
        axis.text(0.97, 0.95, text, transform=axis.transAxes, ha="right", va="top", color=made.theme.alarm)
    tidy(axis)


def _scale(made: Canvas, axis: Axes, records: Records, name: str, index: int) -> None:
    found = [r for r in records if r["run"] == name and r["loss_scaling"] != "none"]
    if not found:
        axis.text(
            0.5, 0.5, "no loss scaling", transform=axis.transAxes, ha="center", color=made.theme.soft,
            fontsize=0.92 * made.font,
        )  # fmt: skip
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
    axis.plot(when, scales, **run_style(name, index).line(made.theme) | {"marker": ""}, zorder=3)
    overflows = np.asarray(record["overflow_steps"], dtype=np.int64)
    if len(overflows):
        mark: dict[str, Any] = {"color": made.theme.alarm, "ms": 0.7 * made.font, "mew": 0.17 * made.font}
        axis.plot(when[overflows], scales[overflows], "x", **mark, zorder=4)
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
