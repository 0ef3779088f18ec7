"""Where along a setting do runs begin to fail? Outcomes against a scale, a width or a learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from floatlab.errors import ExperimentError, OptionError, nearest_name
from floatlab.plots.colours import REGIONS, Style
from floatlab.plots.figure import Figure
from floatlab.plots.inputs import title_of_answers
from floatlab.plots.style import Canvas, Size, canvas, label_lines, plain_number, series_styles, tidy

__all__ = ["plot_sweep"]

Records = Sequence[Mapping[str, Any]]


def plot_sweep(
    records: Records,
    x: str,
    *,
    y: str = "outcome",
    by: str = "",
    predicted: Records = (),
    base: int = 2,
    criterion: str = "",
    ax: Axes | None = None,
    size: Size = "full",
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw a number of every run against a setting on a logarithmic axis, with the regions shaded where runs fail.

    The line goes through the means of the seeds, which are drawn as points; a cross is a run that has failed. A region
    is shaded where most seeds have failed, and ends in the middle of two settings; dots stand above it where failure
    was predicted. A NaN is marked below the axis, and is in no mean. With several lines nothing is shaded: each has its
    own crosses, and a broad band behind it where it is predicted to fail.

    Parameters
    ----------
    records : sequence of mappings
        One for each run, with the fields `x` (a number above 0) and `y` (a number, or None for NaN); and, where they
        are there, ``failed`` and ``predicted_failure``.
    x, y : str
        Which fields to draw: "initial_scale", "learning_rate" ...; "outcome", "found" ...
    by : str
        A field whose values are lines of their own, each in the colour of the format that its name begins with.
    predicted : sequence of mappings
        The same fields, of what is predicted along the setting: lines without points, in the place of those through
        the means.
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
    places, heights = _settings(records, x), np.array([_number(record, y) for record in records])
    lines = _settings(predicted, x), np.array([_number(record, y) for record in predicted])
    names = list(dict.fromkeys(_name(record, by) for record in (*predicted, *records)))
    settings = np.unique(places)
    failed, foreseen = (_majority(records, places, settings, key) for key in ("failed", "predicted_failure"))
    edges = _edges(np.unique(np.concatenate([places, lines[0]])))
    with canvas(ax=ax, size=size, dark=dark) as made:
        axes = made.axes
        axes.set_xscale("log", base=base)
        labels = []
        for name, style in series_styles(names).items():
            mine, along = (
                np.array([_name(r, by) == name for r in rows], bool) for rows in (records, predicted)
            )
            bad = np.array([bool(record.get("failed")) for record in records])
            if along.any():
                lost = np.array([bool(record.get("predicted_failure")) for record in predicted])[along]
                end = _draw_line(made, lines[0][along], lines[1][along], style, lost)
            else:
                end = _draw_line(made, places[mine], heights[mine], style)
            _draw_points(made, places[mine], heights[mine], bad[mine], style)
            labels.append((name, end, style.colour(made.theme)))
        if not by:
            _shade(made, edges, failed)
        for at, word in ((places[np.isnan(heights)], "NaN"), (settings[foreseen & (not by)], "predicted")):
            if at.size:
                height = 0.02 if word == "NaN" else 0.985
                marker, ink = ("x", made.theme.alarm) if word == "NaN" else (".", made.theme.ink)
                axes.plot(at, np.full(at.size, height), marker, color=ink, ls="", transform=axes.get_xaxis_transform(),
                          mew=2, gid=word, zorder=5)  # fmt: skip
        axes.set_xlim(edges[0], edges[-1])
        _number_axes(axes, settings, np.concatenate([heights, lines[1]]))
        _name_axes(made, x, y, _marks(records, predicted, heights, by), criterion)
        if by:
            label_lines(axes, labels, float(edges[-1]), gap=0.06, size=0.9 * made.font)
        fallback = title_of_answers(
            records,
            lambda answers: _title_of_lines(answers, names, by) if by else _title(settings, failed, x),
        )
        return made.finish(title, fallback)


def _name(record: Mapping[str, Any], by: str) -> str:
    if by and by not in record:
        raise OptionError(f"A field that is drawn is in every record. Got {by!r}. Use another.")
    return str(record[by]) if by else ""


def _draw_line(
    made: Canvas,
    places: NDArray[np.float64],
    heights: NDArray[np.float64],
    style: Style,
    lost: NDArray[np.bool_] | None = None,
) -> float:
    """Draw a line through the means at each setting, and a band where it is predicted to fail; return where it ends."""
    settings = np.unique(places)
    means = np.array([_mean(heights[places == s]) for s in settings])
    look = style.line(made.theme) | {"ms": 0.4 * made.font, "markevery": max(1, len(settings) // 5)}
    if lost is None:
        look["marker"] = ""  # the points are its marks
    made.axes.plot(settings, means, **look, zorder=3, gid="line")
    if lost is not None and lost.any():
        failing = np.array([2 * int(lost[places == s].sum()) > int((places == s).sum()) for s in settings])
        made.axes.plot(
            settings, np.where(failing, means, np.nan), color=made.theme.alarm, lw=0.8 * made.font, alpha=0.25,
            solid_capstyle="butt", zorder=2, gid="band",
        )  # fmt: skip
    there = means[np.isfinite(means)]
    return float(there[-1]) if there.size else 0.0


def _draw_points(
    made: Canvas,
    places: NDArray[np.float64],
    heights: NDArray[np.float64],
    bad: NDArray[np.bool_],
    style: Style,
) -> None:
    """Draw the seeds: as the line's own marker, or a cross where a run has failed."""
    for chosen, marker, ink in ((~bad, style.marker, style.colour(made.theme)), (bad, "X", made.theme.alarm)):
        made.axes.plot(
            places[chosen], heights[chosen], marker=marker, color=ink, ls="", ms=0.6 * made.font,
            mec=made.theme.paper, zorder=4,
        )  # fmt: skip


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


def _number_axes(axes: Axes, settings: NDArray[np.float64], heights: NDArray[np.float64]) -> None:
    """Number the axes: shares in per cent, and a few settings that are integers by themselves."""
    there = heights[np.isfinite(heights)]
    if there.size and there.min() >= 0 and there.max() <= 1:
        axes.set_ylim(-0.06, 1.06)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    if 1 < len(settings) < 9 and settings[-1] < 100 and (settings == np.round(settings)).all():
        axes.set_xticks(settings, [plain_number(float(s)) for s in settings])
        axes.set_xticks([], minor=True)


def _marks(records: Records, predicted: Records, heights: NDArray[np.float64], by: str) -> str:
    """Return what the marks of the figure mean, as far as there are any."""
    marks = ["line: predicted, point: measured"] if predicted else []
    if any(r.get("failed") for r in records):
        marks.append("cross: fails" if by else "dot: learns, cross: fails, shaded: most seeds fail")
    if any(r.get("predicted_failure") for r in predicted):
        marks.append("band: predicted to fail")
    if not by and any(r.get("predicted_failure") for r in records):
        marks.append("point at the top: predicted to fail")
    return "; ".join(marks + (["x at the bottom: NaN"] if np.isnan(heights).any() else []))


def _name_axes(made: Canvas, x: str, y: str, marks: str, criterion: str) -> None:
    notes = [made.note(text) for text in (marks and f"({marks})", criterion) if text]
    made.axes.set_xlabel("\n".join([x.replace("_", " "), *notes]))
    made.axes.set_ylabel(y.replace("_", " "))
    tidy(made.axes)


def _title_of_lines(records: Records, names: list[str], by: str) -> str:
    """Say which lines have a setting at which most runs fail."""
    failed = []
    for name in names:
        bad: dict[str, list[bool]] = {}
        for r in records:
            if _name(r, by) == name:
                bad.setdefault(str(r.get("run", "")), []).append(bool(r.get("failed")))
        if any(2 * sum(runs) > len(runs) for runs in bad.values()):
            failed.append(name)
    if not failed:
        return f"Every run learns, of {len(names)} kinds"
    return f"{len(failed)} of {len(names)} kinds of run fail somewhere: {'; '.join(failed)}"


def _title(settings: NDArray[np.float64], failed: NDArray[np.bool_], x: str) -> str:
    word = x.replace("_", " ")
    if not failed.any():
        return f"No setting of {word} fails, of {len(settings)}"
    low, high = plain_number(float(settings[failed][0])), plain_number(float(settings[failed][-1]))
    together = int(failed.sum()) == int(np.flatnonzero(failed)[-1] - np.flatnonzero(failed)[0] + 1)
    where = (f": {low}" if low == high else f": {low} to {high}") if together else ""
    return f"{int(failed.sum())} of {len(settings)} settings of {word} fail{where}"
