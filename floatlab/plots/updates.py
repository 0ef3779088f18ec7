"""Which parameters stand still, and when? A heat map: a row for each parameter, a column for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from floatlab.errors import ExperimentError
from floatlab.plots.figure import Figure
from floatlab.plots.style import Size, canvas
from floatlab.plots.telemetry import shares_over_steps

__all__ = ["plot_lost_updates"]


def plot_lost_updates(
    records: Sequence[Mapping[str, Any]],
    *,
    ax: Axes | None = None,
    size: Size = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw for each parameter and step which share of its updates is lost: ``w + dw == w``.

    Beside each row stands the share over all steps. Where no weight of a parameter had a reason to move, there is no
    share: those steps are hatched.

    Parameters
    ----------
    records : sequence of mappings
        A log's update records; others are passed over.
    ax, size, dark, title
        As in `plot_ranges`; a `size` of None is as large as the rows need. The title names the parameter that loses
        most.

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
    over_all = {name: _share([r for r in updates if r["parameter"] == name]) for name in lines}
    with canvas(ax=ax, size=size, natural=(12, max(3.2, 1.9 + 0.42 * len(lines))), dark=dark) as made:
        axis, font = made.axes, made.font
        axis.set_facecolor("none")
        axis.patch.set(hatch="///", edgecolor=made.theme.soft)
        edges = np.arange(len(steps) + 1) - 0.5
        picture = axis.pcolormesh(
            edges, np.arange(len(lines) + 1) - 0.5, np.ma.masked_invalid(shares),
            cmap=mpl.colormaps["cividis" if dark else "cividis_r"], vmin=0, vmax=100, edgecolors="none",
        )  # fmt: skip
        for row, lost in enumerate(over_all.values()):
            text = "none driven" if lost is None else f"{lost:.3g}%"
            axis.text(1.01, row, text, transform=axis.get_yaxis_transform(), va="center", fontsize=font)
        axis.set_yticks(range(len(lines)), list(lines))
        axis.set_ylim(len(lines) - 0.5, -0.5)
        every = max(1, -(-len(steps) // 10))
        axis.set_xticks(range(0, len(steps), every), [str(step) for step in steps[::every]])
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel("step", fontsize=1.08 * font)
        bar = made.figure.colorbar(picture, ax=axis, location="top", fraction=0.05, aspect=50, pad=0.02)
        bar.set_label(
            "updates lost against their weight [%]   (beside each row: over all steps)", fontsize=font
        )
        return made.finish(title, _title(over_all), above=True)


def _share(updates: Sequence[Mapping[str, Any]]) -> float | None:
    """Return which share of updates is lost, in per cent; None where there were none."""
    whole = sum(r["driven"] for r in updates)
    return 100 * sum(r["lost"] for r in updates) / whole if whole else None


def _title(shares: Mapping[str, float | None]) -> str:
    known = {name: share for name, share in shares.items() if share is not None}
    if not known:
        return ""
    worst = max(known, key=lambda name: known[name])
    return f"{worst} loses {known[worst]:.3g}% of its updates" if known[worst] else "No update is lost"
