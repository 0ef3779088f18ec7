"""Which parameters stand still, and when? A heat map: a row for each parameter, a column for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from floatlab.errors import ExperimentError
from floatlab.plots.colours import THEMES
from floatlab.plots.style import new_figure
from floatlab.plots.telemetry import shares_over_steps

__all__ = ["plot_lost_updates"]

_THEME = THEMES[False]


def plot_lost_updates(records: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Draw for each parameter and step which share of its updates is lost: ``w + dw == w``.

    Beside each row stands the share over all steps. Where no weight of a parameter had a reason to move, there is no
    share: those steps are hatched.

    Parameters
    ----------
    records : sequence of mappings
        A log's update records; others are passed over.
    title : str
        A line above the axes.

    Raises
    ------
    ExperimentError
        If there is no such record.
    """
    updates = [r for r in records if "driven" in r]
    if not updates:
        raise ExperimentError(
            "A figure over the steps needs records. Got none that fit. Record some with telemetry.watch()."
        )
    lines = shares_over_steps(updates, "parameter", "lost", "driven")
    steps = sorted({int(r["step"]) for r in updates})
    place = {step: k for k, step in enumerate(steps)}
    shares = np.full((len(lines), len(steps)), np.nan)
    driven = {(r["parameter"], r["step"]) for r in updates if r["driven"]}
    for row, (name, (when, share)) in enumerate(lines.items()):
        for step, value in zip(when, share, strict=True):
            if (name, step) in driven:
                shares[row, place[int(step)]] = 100 * value
    figure, axis = new_figure(size=(12, max(3.2, 1.9 + 0.42 * len(lines))))
    axis.set_facecolor("none")
    axis.patch.set(hatch="///", edgecolor=_THEME.soft)
    edges = np.arange(len(steps) + 1) - 0.5
    picture = axis.pcolormesh(
        edges, np.arange(len(lines) + 1) - 0.5, np.ma.masked_invalid(shares), cmap=mpl.colormaps["cividis_r"], vmin=0,
        vmax=100, edgecolors="none",
    )  # fmt: skip
    for row, name in enumerate(lines):
        mine = [r for r in updates if r["parameter"] == name]
        whole = sum(r["driven"] for r in mine)
        text = f"{100 * sum(r['lost'] for r in mine) / whole:.3g}%" if whole else "none driven"
        axis.text(1.01, row, text, transform=axis.get_yaxis_transform(), va="center", fontsize=13)
    axis.set_yticks(range(len(lines)), list(lines))
    axis.set_ylim(len(lines) - 0.5, -0.5)
    every = max(1, -(-len(steps) // 10))
    axis.set_xticks(range(0, len(steps), every), [str(step) for step in steps[::every]])
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("step", fontsize=14)
    bar = figure.colorbar(picture, ax=axis, location="top", fraction=0.05, aspect=50, pad=0.02)
    bar.set_label("updates lost against their weight [%]   (beside each row: over all steps)", fontsize=13)
    if title:
        figure.suptitle(title, fontsize=16, fontweight="bold", x=0.01, ha="left")
    return figure
