"""From which loss weight down does each format stop learning? Accuracy against the loss weight, in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from floatlab.errors import ExperimentError
from floatlab.plots.colours import Style
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import title_of_answers
from floatlab.plots.style import Canvas, Size, canvas, label_lines, power_of_ten, run_style, tidy

__all__ = ["plot_cliff"]

_NAN = -7.0  # where a NaN is marked, below an accuracy of 0

Records = Sequence[Mapping[str, Any]]


def plot_cliff(
    records: Records,
    *,
    predicted: Mapping[str, float] | None = None,
    criterion: str = "",
    ax: Axes | None = None,
    size: Size = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the final accuracy of every run against its loss weight, with the predicted cliffs as lines.

    Parameters
    ----------
    records : sequence of mappings
        One for each run, with ``run``, ``loss_weight`` and ``test_accuracy`` (0 to 1, or None for NaN). Runs of one
        name and loss weight are seeds of the same run: the steps go through their means, the band is their range. One
        whose ``test_accuracy`` or last of ``epoch_losses`` is NaN has no accuracy, and is marked below the axis. Where
        most seeds of a run have ``failed``, its marker is open.
    predicted : mapping of run name to loss weight, optional
        Where each run is predicted to fail; a vertical line in the run's colour. One that lies outside of the
        weights that were run is left out.
    criterion : str
        What "fails" means, in a sentence; written below the axes.
    ax, size, dark, title
        As in `plot_ranges`; a `size` of None is that of this chart alone. The title says which runs fail from where on.

    Raises
    ------
    ExperimentError
        If there is no record.
    """
    if not records:
        raise ExperimentError("A figure of cliffs needs a finished run. Got none. Run the experiment first.")
    names = list(dict.fromkeys(str(r["run"]) for r in records))
    styles = {name: run_style(name, index) for index, name in enumerate(names)}
    smallest = min(float(r["loss_weight"]) for r in records)
    largest = max(float(r["loss_weight"]) for r in records)
    with canvas(ax=ax, size=size, natural=(13, 7.4), dark=dark) as made:
        axis = made.axes
        axis.set_xscale("log")
        axis.set_xlim(largest * 1.6, smallest / 1.6)  # large weights to the left: down the cliff to the right
        labels, any_nan = [], False
        for index, (name, style) in enumerate(styles.items()):
            end, nan = _steps(made, [r for r in records if r["run"] == name], style, index)
            any_nan = any_nan or nan
            labels.append((name, end, style.colour(made.theme)))
        _draw_cliffs(
            made,
            [
                (cliff, name, style.colour(made.theme))
                for name, style in styles.items()
                if (cliff := (predicted or {}).get(name)) is not None
                and smallest / 1.6 < cliff < largest * 1.6
            ],
        )
        ticks = {float(t): f"{t}%" for t in range(0, 101, 20)} | ({_NAN: "NaN"} if any_nan else {})
        axis.set_ylim(_NAN - 4 if any_nan else 0, 104)
        axis.set_yticks(list(ticks), list(ticks.values()))
        open_ones = "   (open: fails)" if any(r.get("failed") for r in records) else ""
        note = f"\n{made.note(criterion)}" if criterion else ""
        axis.set_xlabel(f"loss weight (the learning rate is divided by it){open_ones}{note}")
        axis.set_ylabel("test accuracy")
        tidy(axis)
        label_lines(axis, labels, smallest / 1.6, gap=0.06, size=made.font)
        return made.finish(title, title_of_answers(records, lambda answers: _title(answers, names)))


def _title(records: Records, names: Sequence[str]) -> str:
    """Say from which loss weight down each run fails, as most of its seeds do; nothing where no record says so."""
    if not any("failed" in r for r in records):
        return ""
    first = {}
    for name in names:
        for weight in sorted({float(r["loss_weight"]) for r in records}, reverse=True):
            mine = [bool(r.get("failed")) for r in records if (r["run"], r["loss_weight"]) == (name, weight)]
            if 2 * sum(mine) > len(mine):
                first[name] = weight
                break
    if not first:
        return "Every run learns with every loss weight"
    weights = sorted(set(first.values()), reverse=True)
    parts = [f"{', '.join(n for n in first if first[n] == w)} at {power_of_ten(w)}" for w in weights]
    return "First fails: " + "; ".join(parts)


def _steps(made: Canvas, records: Records, style: Style, index: int) -> tuple[float, bool]:
    """Draw a run; return where its line ends, and whether a seed has become NaN."""
    axis, look, width = made.axes, style.line(made.theme), made.font / 13
    weights = sorted({float(r["loss_weight"]) for r in records}, reverse=True)
    by_weight = [[r for r in records if float(r["loss_weight"]) == w] for w in weights]
    accuracies = [[a for r in mine if not np.isnan(a := _accuracy(r))] for mine in by_weight]
    mean = np.array([float(np.mean(a)) if a else np.nan for a in accuracies])
    low, high = (np.array([f(a) if a else np.nan for a in accuracies]) for f in (min, max))
    # A step goes up or down in the middle of two weights, on the logarithmic axis.
    middles = np.sqrt(np.array(weights[1:]) * np.array(weights[:-1]))
    x = np.concatenate([weights[:1], np.repeat(middles, 2), weights[-1:]])
    steps, bottom, top = (np.repeat(y, 2) for y in (mean, low, high))
    axis.plot(x, steps, **look | {"marker": ""}, zorder=3, gid=str(records[0]["run"]))
    axis.fill_between(x, bottom, top, color=look["color"], alpha=0.13, lw=0)
    for weight, mine, y in zip(weights, by_weight, mean, strict=True):
        failed = 2 * sum(bool(r.get("failed")) for r in mine) > len(mine)
        mark = look | {"linestyle": ""}
        fill = made.theme.paper if failed else look["color"]
        axis.plot([weight], [y], **mark, ms=9 * width, mfc=fill, zorder=4)
        if any(np.isnan(_accuracy(r)) for r in mine):  # beside the others, so that none hides another
            place = weight * 1.09 ** (index - 3)
            axis.plot([place], [_NAN], **mark, ms=8 * width, zorder=4)
    ends = mean[~np.isnan(mean)]
    there = float(mean[-1]) if not np.isnan(mean[-1]) else _NAN
    return there, bool(
        len(ends) < len(mean) or any(len(a) < len(m) for a, m in zip(accuracies, by_weight, strict=True))
    )


def _accuracy(record: Mapping[str, Any]) -> float:
    """Return an accuracy in per cent; NaN where the run has no number for a loss any more."""
    accuracy, losses = record["test_accuracy"], record.get("epoch_losses") or [0.0]
    if accuracy is None or losses[-1] is None or not np.isfinite(losses[-1]):
        return float("nan")
    return 100 * float(accuracy)


def _draw_cliffs(made: Canvas, cliffs: list[tuple[float, str, str]]) -> None:
    for k, (cliff, name, colour) in enumerate(sorted(cliffs, reverse=True)):
        made.axes.axvline(cliff, color=colour, linewidth=2, linestyle=(0, (1.5, 2)), zorder=2)
        made.axes.annotate(
            f"predicted\nfor {name}",
            xy=(cliff, 72 - 14 * (k % 4)),  # one below the other, so that near lines do not collide
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=made.font,
            bbox={"facecolor": made.theme.paper, "edgecolor": "none", "pad": 1.5, "alpha": 0.85},
            zorder=5,
        )
