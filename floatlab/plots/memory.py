"""What fills the memory? Stacked bars: one for each configuration, a piece for each kind of tensor or each format.

This figure draws reports (floatlab.memory), or their rows, as `Report.rows` returns them: plain dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from floatlab.errors import ExperimentError, FormatError, check_option
from floatlab.formats import get_format
from floatlab.plots.colours import THEMES, format_styles
from floatlab.plots.style import new_figure, tidy

__all__ = ["plot_memory"]

# Fill and hatch of each kind of tensor; pale, so that numbers stand on them.
_KINDS = {
    "weights": ("#9FB8D0", ""),
    "buffers": ("#D9D9D9", "..."),
    "casts": ("#D3E5F2", "///"),
    "master": ("#CDBBDC", "\\\\\\"),
    "gradients": ("#EBBE9F", "xxx"),
    "state": ("#F0D891", "|||"),
    "activations": ("#B2D2BC", "---"),
}
_PLAIN = "#ECECEC"  # what is no float format: masks and indices
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def plot_memory(reports: Mapping[str, Any], *, by: str = "kind", title: str = "") -> Figure:
    """Draw one bar for each report, in pieces by kind or by format, with its total.

    Parameters
    ----------
    reports : mapping of label to Report
        For each bar its label, and a report of `floatlab.memory`, or what its `rows` returned.
    by : str
        "kind" (weights, gradients, state ...) or "format".
    title : str
        A line above everything.

    Raises
    ------
    ExperimentError
        If there is nothing to draw.
    """
    check_option("by", by, ("kind", "format"))
    bars = {label: _pieces(_rows(report), by) for label, report in reports.items()}
    largest = max((sum(pieces.values()) for pieces in bars.values()), default=0)
    if not largest:
        raise ExperimentError("A figure of memory needs a report. Got none. Make one with memory.measure().")
    sizes: dict[str, int] = {}
    for pieces in bars.values():
        for name, size in pieces.items():
            sizes[name] = sizes.get(name, 0) + size
    names = sorted(sizes, key=lambda name: -sizes[name])
    if by == "kind":
        looks = {name: look for name, look in _KINDS.items() if name in names}
    else:
        looks = _looks_of_formats(names)
    power = min((int(largest).bit_length() - 1) // 10, len(_UNITS) - 1)
    figure, axis = new_figure(size=(12, 1.9 + 0.85 * len(bars)))
    for row, pieces in enumerate(bars.values()):
        _bar(axis, row, pieces, looks, 1024.0**power, largest)
    axis.set_ylim(len(bars) - 0.5, -0.5)
    axis.set_xlim(0, 1.1 * largest / 1024.0**power)
    axis.set_yticks(range(len(bars)), list(bars))
    tidy(axis, grid="x")
    axis.tick_params(axis="y", length=0, labelsize=14)
    axis.spines["left"].set_visible(False)
    axis.set_xlabel(_UNITS[power], fontsize=14)
    axis.legend(
        handles=[
            Patch(facecolor=fill, edgecolor=THEMES[False].ink, lw=0, hatch=hatch, label=name)
            for name, (fill, hatch) in looks.items()
        ],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(len(looks), 7),
        frameon=False,
        fontsize=13,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.2,
        borderaxespad=0.2,
        borderpad=0.0,
    )
    if title:
        figure.suptitle(title, fontsize=16, fontweight="bold", x=0.01, ha="left")
    return figure


def _rows(report: Any) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a report, whether it is a `Report`, or they are its rows already."""
    rows: Sequence[Mapping[str, Any]] = report.rows() if hasattr(report, "rows") else report
    return rows


def _pieces(rows: Sequence[Mapping[str, Any]], by: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row[by]] = sums.get(row[by], 0) + int(row["bytes"])
    return {name: size for name, size in sums.items() if size}


def _looks_of_formats(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return fill and hatch of each format; masks and indices are no formats, and plain."""
    looks = {}
    for name in names:
        try:
            style = format_styles([name])[get_format(name)]
            looks[name] = (style.light, "")
        except FormatError:
            looks[name] = (_PLAIN, "...")
    return looks


def _bar(
    axis: Axes,
    row: int,
    pieces: Mapping[str, int],
    looks: Mapping[str, tuple[str, str]],
    unit: float,
    largest: int,
) -> None:
    left, theme = 0.0, THEMES[False]
    for name, (fill, hatch) in looks.items():
        size = pieces.get(name, 0) / unit
        ink = theme.ink_on(fill)
        axis.barh(
            row,
            size,
            left=left,
            height=0.7,
            facecolor=fill,
            hatch=hatch,
            edgecolor=theme.paper,
            linewidth=1.0,
            zorder=3,
        )
        if size > 0.06 * largest / unit:
            axis.text(
                left + size / 2, row, _number(size), ha="center", va="center", color=ink, fontsize=13, zorder=4,
                bbox={"facecolor": fill, "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
        left += size
    axis.text(left + 0.01 * largest / unit, row, _number(left), va="center", fontsize=13, fontweight="bold")


def _number(size: float) -> str:
    return f"{size:.3g}" if size < 1000 else f"{size:.0f}"
