"""Did each run come out as predicted? One figure for every experiment: a row for each run, its seeds as points."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from floatlab.errors import ExperimentError
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import title_of_answers
from floatlab.plots.style import Canvas, Size, canvas, tidy

__all__ = ["plot_experiment"]

Records = Sequence[Mapping[str, Any]]
_TICKS = [0, 0.25, 0.5, 0.75, 1]


def plot_experiment(
    records: Records,
    *,
    outcome: str = "outcome",
    expected: str = "expected",
    logarithmic: bool = False,
    criterion: str = "",
    size: Size = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw the outcome of every run, one point for each seed, beside what was predicted and measured.

    Parameters
    ----------
    records : sequence of mappings
        With ``run``, ``outcome`` (a number, or None for NaN), ``failed``, ``predicted_failure``, ``expected`` and
        ``found`` (shares, predicted and measured).
    outcome, expected : str
        What the two numbers are.
    logarithmic : bool
        Whether the outcome's axis is logarithmic.
    criterion : str
        What "fails" means, in a sentence; written below the axes.
    size, dark, title
        As in `plot_ranges`; a `size` of None is as large as the rows need. The title says how many runs came out as
        predicted.

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
    natural = (13, 2.4 + 0.5 * len(names))
    with canvas(1, 2, size=size, natural=natural, dark=dark, sharey=True, width_ratios=[2, 3]) as made:
        left, right = made.axes
        for row, name in enumerate(names):
            mine = [r for r in records if r["run"] == name]
            _draw_shares(made, left, mine, row)
            _draw_outcomes(made, right, mine, row)
        left.set_yticks(range(len(names)), names)
        left.set_ylim(len(names) - 0.4, -0.6)
        largest = max(
            [1.0, *(float(r[k]) for r in records for k in ("expected", "found") if r[k] is not None)]
        )
        left.set_xlim(0, 1.04 * largest)
        left.set_xticks(_TICKS, [f"{t:.0%}" for t in _TICKS])
        left.set_xlabel(f"{_wrapped(expected, 40)}\n(ring: predicted, stroke: measured)")
        right.set_xlabel(f"{outcome}\n(dot: learns, cross: fails)")
        if criterion:
            made.figure.supxlabel(made.note(criterion), fontsize=0.92 * made.font, color=made.theme.soft)
        _number_outcomes(right, [r["outcome"] for r in records if r["outcome"] is not None], logarithmic)
        for axis in (left, right):
            tidy(axis, grid="x")
            axis.tick_params(axis="y", length=0)
        return made.finish(title, title_of_answers(records, _title))


def _draw_shares(made: Canvas, axis: Axes, records: Records, row: int) -> None:
    """Draw a line for each seed, from what was predicted to what was measured."""
    ink, soft, font = made.theme.ink, made.theme.soft, made.font
    for k, record in enumerate(records):
        y = row + 0.5 * ((k + 0.5) / len(records) - 0.5)
        wanted, found = float(record["expected"]), record["found"]
        if found is not None:
            axis.plot([wanted, found], [y, y], color=soft, lw=0.1 * font, marker="", zorder=2)
            axis.plot([found], [y], "|", clip_on=False, color=ink, ms=0.7 * font, mew=0.18 * font, zorder=4)
        axis.plot([wanted], [y], "o", clip_on=False, color=ink, mfc="none", ms=0.46 * font, zorder=3)


def _draw_outcomes(made: Canvas, axis: Axes, records: Records, row: int) -> None:
    """Draw a point for each seed, and say beside them what was predicted and what came out."""
    good, bad = made.theme.soft, made.theme.alarm
    for record in records:
        if record["outcome"] is not None:
            colour, marker = (bad, "X") if record["failed"] else (good, "o")
            look: dict[str, Any] = {"color": colour, "ms": 0.7 * made.font, "mec": made.theme.paper}
            if record["failed"] is None:  # a ring: no answer
                look |= {"mfc": "none", "mec": good}
            axis.plot(record["outcome"], row, marker, **look, alpha=0.85, zorder=3)
    answers = [r for r in records if r["failed"] is not None]
    fails, failed = (sum(bool(r[key]) for r in answers) for key in ("predicted_failure", "failed"))
    total = len(answers)
    words = f"predicted: {_word(fails, total)}   came out: {_word(failed, total)}" if answers else "no answer"
    axis.annotate(
        f"{words}{_nans(records)}",
        xy=(1.02, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=0.92 * made.font,
        color=bad if failed else good,
        fontweight="normal" if fails == failed else "bold",
        annotation_clip=False,
    )


def _number_outcomes(axis: Axes, outcomes: Sequence[float], logarithmic: bool) -> None:
    """Number the axis of the outcomes: on a logarithmic axis, in per cent, or as Matplotlib does."""
    if logarithmic:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    elif all(0 <= outcome <= 1 for outcome in outcomes):
        axis.set_xlim(-0.03, 1.03)
        axis.set_xticks(_TICKS, [f"{t:.0%}" for t in _TICKS])


def _title(records: Records) -> str:
    right = sum(bool(r["failed"]) == bool(r["predicted_failure"]) for r in records)
    return f"{right} of {len(records)} runs came out as predicted"


def _nans(records: Records) -> str:
    """Return how many seeds have no number for an outcome."""
    count = sum(r["outcome"] is None for r in records)
    return "" if not count else " (NaN)" if count == len(records) else f" (NaN: {count} of {len(records)})"


def _word(failures: int, seeds: int) -> str:
    return "learns" if failures == 0 else "fails" if failures == seeds else f"fails {failures}/{seeds}"


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
