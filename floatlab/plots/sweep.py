"""Where along a setting do runs begin to fail? Outcomes against a scale, a width or a learning rate."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from floatlab.errors import ExperimentError, OptionError, nearest_name
from floatlab.plots.colours import REGIONS
from floatlab.plots.figure import Figure
from floatlab.plots.style import LINES, Canvas, canvas, plain_number, tidy

__all__ = ["plot_sweep"]

Records = Sequence[Mapping[str, Any]]


def plot_sweep(
    records: Records,
    x: str,
    *,
    y: str = "outcome",
    base: int = 2,
    criterion: str = "",
    ax: Axes | None = None,
    size: str | tuple[float, float] = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw a number of every run against a setting on a logarithmic axis, with the regions shaded where runs fail.

    The line goes through the means of the seeds, which are drawn as points; a cross is a run that has failed. A region
    is shaded where most seeds have failed, and ends in the middle of two settings; dots stand above it where failure
    was predicted. A NaN is marked below the axis, and is in no mean.

    Parameters
    ----------
    records : sequence of mappings
        One for each run, with the fields `x` (a number above 0) and `y` (a number, or None for NaN); and, where they
        are there, ``failed`` and ``predicted_failure``.
    x, y : str
        Which fields to draw: "initial_scale", "learning_rate" ...; "outcome", "found" ...
    base : int
        Of the logarithmic axis, and of the powers that number it: 2 or 10.
    criterion : str
        What "fails" means, in a sentence; written below the axes.
    ax, size, dark, title
        As in `plot_ranges`.

    Raises
    ------
    ExperimentError
        If there is no record.
    OptionError
        If a record has no such field, or it is no number above 0; or if the base is not 2 or 10.

    Examples
    --------
    >>> from floatlab import plots
    >>> records = [{"scale": 2.0**k, "outcome": 0.1 if k < 4 else 0.9, "failed": k < 4} for k in range(8)]
    >>> figure = plots.plot_sweep(records, "scale")
    >>> figure.axes[0].get_title(loc="left")
    '4 of 8 settings of scale fail: 1 to 8'
    """
    if not records:
        raise ExperimentError("A figure of a sweep needs a finished run. Got none. Run the experiment first.")
    if base not in (2, 10):
        raise OptionError(f"The base of a logarithmic axis is 2 or 10. Got {base!r}. Use 2.")
    places = _settings(records, x)
    heights = np.array([_number(record, y) for record in records])
    settings = np.unique(places)
    failed, predicted = (_majority(records, places, settings, key) for key in ("failed", "predicted_failure"))
    with canvas(ax=ax, size=size, dark=dark) as made:
        axes = made.axes
        axes.set_xscale("log", base=base)
        edges = _edges(settings)
        _shade(made, edges, failed)
        means = np.array([_mean(heights[places == s]) for s in settings])
        colour = LINES[0].colour(made.theme)
        axes.plot(settings, means, color=colour, zorder=3)
        bad = np.array([bool(record.get("failed")) for record in records])
        for chosen, marker, ink in ((~bad, "o", colour), (bad, "X", made.theme.alarm)):
            axes.plot(
                places[chosen], heights[chosen], marker, color=ink, ls="", mec=made.theme.paper, zorder=4
            )
        for share, word in ((np.isnan(heights), "NaN"), (None, "predicted")):
            at = places[share] if share is not None else settings[predicted]
            if at.size:
                height = 0.02 if word == "NaN" else 0.985
                marker, ink = ("x", made.theme.alarm) if word == "NaN" else (".", made.theme.ink)
                axes.plot(at, np.full(at.size, height), marker, color=ink, ls="", transform=axes.get_xaxis_transform(),
                          mew=2, gid=word, zorder=5)  # fmt: skip
        axes.set_xlim(edges[0], edges[-1])
        _name_axes(made, records, x, y, heights, criterion)
        return made.finish(title, _title(settings, failed, x))


def _settings(records: Records, x: str) -> NDArray[np.float64]:
    """Return the setting of each run."""
    values = np.array([_number(record, x) for record in records])
    there = np.isfinite(values) & (values > 0)
    if not there.all():
        raise OptionError(
            f"A setting on a logarithmic axis is a number above 0. Got {x}={records[int(np.argmin(there))][x]!r}. "
            "Leave out the runs without one."
        )
    return values


def _number(record: Mapping[str, Any], key: str) -> float:
    if key not in record:
        guess = nearest_name(key, [str(name) for name in record])
        raise OptionError(
            f"A field that is drawn is in every record. Got {key!r}. "
            + (f'Use "{guess}".' if guess else f"Use one of: {', '.join(map(str, record))}.")
        )
    value = record[key]
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise OptionError(f"A field that is drawn holds numbers. Got {key}={value!r}. Use another.")
    return float(value)


def _mean(values: NDArray[np.float64]) -> float:
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")


def _majority(
    records: Records, places: NDArray[np.float64], settings: NDArray[np.float64], key: str
) -> NDArray[np.bool_]:
    """Return for each setting whether most of its runs say so."""
    flags = np.array([bool(record.get(key)) for record in records])
    return np.array([2 * int(flags[places == s].sum()) > int((places == s).sum()) for s in settings])


def _edges(settings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of the region of each setting: the middles, on the logarithmic axis, of neighbours."""
    if len(settings) == 1:
        return np.array([settings[0] / 2, settings[0] * 2])
    middles = np.sqrt(settings[1:] * settings[:-1])
    return np.concatenate([[settings[0] ** 2 / middles[0]], middles, [settings[-1] ** 2 / middles[-1]]])


def _shade(made: Canvas, edges: NDArray[np.float64], failed: NDArray[np.bool_]) -> None:
    """Shade where runs fail, neighbouring settings as one."""
    starts = np.flatnonzero(np.diff(np.concatenate([[0], failed.astype(int), [0]])))
    for start, stop in zip(starts[::2], starts[1::2], strict=True):
        made.axes.axvspan(edges[start], edges[stop], facecolor=made.theme.region("lost"), hatch=REGIONS["lost"][2],
                          edgecolor=made.theme.paper, lw=0, alpha=0.6, zorder=0, gid="fails")  # fmt: skip


def _name_axes(
    made: Canvas, records: Records, x: str, y: str, heights: NDArray[np.float64], criterion: str
) -> None:
    axes, there = made.axes, heights[np.isfinite(heights)]
    if there.size and there.min() >= 0 and there.max() <= 1:
        axes.set_ylim(-0.06, 1.06)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    marks = (
        ["dot: learns, cross: fails, shaded: most seeds fail"]
        if any(r.get("failed") for r in records)
        else []
    )
    marks += (
        ["point at the top: predicted to fail"] if any(r.get("predicted_failure") for r in records) else []
    )
    marks += ["x at the bottom: NaN"] if np.isnan(heights).any() else []
    note = "".join(f"\n{line}" for line in textwrap.wrap(criterion, 100)) if criterion else ""
    axes.set_xlabel(x.replace("_", " ") + (f"   ({'; '.join(marks)})" if marks else "") + note)
    axes.set_ylabel(y.replace("_", " "))
    tidy(axes)


def _title(settings: NDArray[np.float64], failed: NDArray[np.bool_], x: str) -> str:
    word = x.replace("_", " ")
    if not failed.any():
        return f"No setting of {word} fails, of {len(settings)}"
    low, high = plain_number(float(settings[failed][0])), plain_number(float(settings[failed][-1]))
    together = int(failed.sum()) == int(np.flatnonzero(failed)[-1] - np.flatnonzero(failed)[0] + 1)
    where = (f": {low}" if low == high else f": {low} to {high}") if together else ""
    return f"{int(failed.sum())} of {len(settings)} settings of {word} fail{where}"
