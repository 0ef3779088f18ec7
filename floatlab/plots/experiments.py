"""Did each run come out as predicted? One figure for every experiment: a row for each run, its seeds as points."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from floatlab.errors import ExperimentError
from floatlab.plots.colours import THEMES
from floatlab.plots.style import new_figure, tidy

__all__ = ["plot_experiment"]

_GOOD, _BAD = THEMES[False].soft, THEMES[False].alarm


def plot_experiment(
    records: Sequence[Mapping[str, Any]],
    *,
    title: str = "",
    outcome: str = "outcome",
    expected: str = "expected",
    logarithmic: bool = False,
    criterion: str = "",
) -> Figure:
    """Draw the outcome of every run, one point for each seed, beside what was predicted and measured.

    Parameters
    ----------
    records : sequence of mappings
        With ``run``, ``outcome`` (a number, or None for NaN), ``failed``, ``predicted_failure``, ``expected`` and
        ``found`` (shares, predicted and measured).
    title, outcome, expected : str
        A line above the axes, and what the two numbers are.
    logarithmic : bool
        Whether the outcome's axis is logarithmic.
    criterion : str
        What "fails" means, in a sentence; written below the axes.

    Raises
    ------
    ExperimentError
        If there is no record.
    """
    if not records:
        raise ExperimentError(
            "A figure of an experiment needs a finished run. Got none. Run the experiment first."
        )
    names = list(dict.fromkeys(str(r["run"]) for r in records))
    height = 2.4 + 0.5 * len(names)
    figure, (left, right) = new_figure(1, 2, size=(13, height), sharey=True, width_ratios=[2, 3])
    for row, name in enumerate(names):
        mine = [r for r in records if r["run"] == name]
        for k, record in enumerate(
            mine
        ):  # a line for each seed, from what was predicted to what was measured
            y = row + 0.5 * ((k + 0.5) / len(mine) - 0.5)
            wanted, found = float(record["expected"]), record["found"]
            if found is not None:
                left.plot([wanted, found], [y, y], color=_GOOD, lw=1.4, zorder=2)
                left.plot([found], [y], "|", clip_on=False, color=THEMES[False].ink, ms=9, mew=2.4, zorder=4)
            left.plot([wanted], [y], "o", clip_on=False, color=THEMES[False].ink, mfc="none", ms=6, zorder=3)
        for record in mine:
            if record["outcome"] is not None:
                colour, marker = (_BAD, "X") if record["failed"] else (_GOOD, "o")
                right.plot(
                    record["outcome"], row, marker, color=colour, ms=9, alpha=0.85, mec="white", zorder=3
                )
        fails, failed = (sum(bool(r[key]) for r in mine) for key in ("predicted_failure", "failed"))
        text = f"predicted: {_word(fails, len(mine))}   came out: {_word(failed, len(mine))}"
        colour = _BAD if failed else _GOOD
        right.annotate(
            text + _nans(mine),
            xy=(1.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=12,
            color=colour,
            fontweight="normal" if fails == failed else "bold",
            annotation_clip=False,
        )
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.4, -0.6)
    largest = max([1.0, *(float(r[k]) for r in records for k in ("expected", "found") if r[k] is not None)])
    left.set_xlim(0, 1.04 * largest)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    left.set_xticks(ticks, [f"{t:.0%}" for t in ticks])
    left.set_xlabel(f"{_wrapped(expected, 40)}\n(ring: predicted, stroke: measured)")
    marks = "dot: learns, cross: fails"
    right.set_xlabel(f"{outcome}\n({marks})")
    if criterion:
        figure.supxlabel(_wrapped(criterion, 120), fontsize=12, color=_GOOD)
    if logarithmic:
        right.set_xscale("log")
        right.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        right.xaxis.set_minor_formatter(NullFormatter())
    elif all(0 <= r["outcome"] <= 1 for r in records if r["outcome"] is not None):
        right.set_xlim(-0.03, 1.03)
        right.set_xticks(ticks, [f"{t:.0%}" for t in ticks])
    for axis in (left, right):
        tidy(axis, grid="x")
        axis.tick_params(axis="y", length=0)
    if title:
        figure.suptitle(title, fontsize=16, fontweight="bold", x=0.01, ha="left")
    return figure


def _nans(records: Sequence[Mapping[str, Any]]) -> str:
    """Return how many seeds have no number for an outcome."""
    count = sum(r["outcome"] is None for r in records)
    return "" if not count else " (NaN)" if count == len(records) else f" (NaN: {count} of {len(records)})"


def _word(failures: int, seeds: int) -> str:
    return "learns" if failures == 0 else "fails" if failures == seeds else f"fails {failures}/{seeds}"


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
