"""What fills the memory? Stacked bars: one for each configuration, a piece for each kind of tensor or each format.

This figure draws reports (floatlab.memory), or their rows, as `Report.rows` returns them: plain dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from floatlab.block_formats.catalogue import block_format, is_block_format
from floatlab.errors import ExperimentError, FormatError, check_option
from floatlab.formats import FloatFormat, get_format
from floatlab.plots.colours import Theme, format_styles
from floatlab.plots.figure import Figure
from floatlab.plots.style import Canvas, Size, canvas, tidy

__all__ = ["plot_memory"]

# Fills, on white and on dark paper, and hatch of each kind of tensor; so that numbers stand on them.
_KINDS = {
    "weights": ("#9FB8D0", "#2F4C68", ""),
    "buffers": ("#D9D9D9", "#4A4A4A", "..."),
    "casts": ("#D3E5F2", "#1E3A4C", "///"),
    "master": ("#CDBBDC", "#4D3A5E", "\\\\\\"),
    "gradients": ("#EBBE9F", "#6B3E1E", "xxx"),
    "state": ("#F0D891", "#5E4B0E", "|||"),
    "activations": ("#B2D2BC", "#2A5138", "---"),
}
_PLAIN = ("#ECECEC", "#35393E")  # what is no float format: masks and indices
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def plot_memory(
    reports: Mapping[str, Any],
    *,
    by: str = "kind",
    ax: Axes | None = None,
    size: Size = None,
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw one bar for each report, in pieces by kind or by format, with its total.

    Parameters
    ----------
    reports : mapping of label to Report
        For each bar its label, and a report of `floatlab.memory`, or what its `rows` returned.
    by : str
        "kind" (weights, gradients, state ...) or "format".
    ax, size, dark, title
        As in `plot_ranges`; a `size` of None is as large as the bars need. The title compares the largest with the
        smallest.

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
        for name, number in pieces.items():
            sizes[name] = sizes.get(name, 0) + number
    names = sorted(sizes, key=lambda name: -sizes[name])
    power = min((int(largest).bit_length() - 1) // 10, len(_UNITS) - 1)
    with canvas(ax=ax, size=size, natural=(12, 1.9 + 0.85 * len(bars)), dark=dark) as made:
        axis, theme = made.axes, made.theme
        if by == "kind":
            looks = {
                name: (pair[theme.is_dark], hatch) for name, (*pair, hatch) in _KINDS.items() if name in names
            }
        else:
            looks = _looks_of_formats(names, theme)
        for row, pieces in enumerate(bars.values()):
            _bar(made, row, pieces, looks, 1024.0**power, largest)
        axis.set_ylim(len(bars) - 0.5, -0.5)
        axis.set_xlim(0, 1.1 * largest / 1024.0**power)
        axis.set_yticks(range(len(bars)), list(bars))
        tidy(axis, grid="x")
        axis.tick_params(axis="y", length=0, labelsize=1.08 * made.font, labelcolor=theme.ink)
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(_UNITS[power], fontsize=1.08 * made.font)
        axis.legend(
            handles=[
                Patch(facecolor=fill, edgecolor=theme.paper, lw=0, hatch=hatch, label=name)
                for name, (fill, hatch) in looks.items()
            ],
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(len(looks), max(2, int(5.3 * made.figure.get_figwidth() / made.font))),
            frameon=False,
            fontsize=made.font,
            handlelength=1.0,
            handleheight=1.0,
            columnspacing=1.2,
            borderaxespad=0.2,
            borderpad=0.0,
        )
        return made.finish(title, _title(bars), above=True)


def _title(bars: Mapping[str, Mapping[str, int]]) -> str:
    """Compare the largest with the smallest, where there are several."""
    totals = {label: sum(pieces.values()) for label, pieces in bars.items()}
    most, least = max(totals, key=lambda label: totals[label]), min(totals, key=lambda label: totals[label])
    if totals[most] == totals[least]:
        return ""
    return f"{least} occupies {100 * totals[least] / totals[most]:.3g}% of what {most} does"


def _rows(report: Any) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a report, whether it is a `Report`, or they are its rows already."""
    rows: Sequence[Mapping[str, Any]] = report.rows() if hasattr(report, "rows") else report
    return rows


def _pieces(rows: Sequence[Mapping[str, Any]], by: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row[by]] = sums.get(row[by], 0) + int(row["bytes"])
    return {name: size for name, size in sums.items() if size}


def _looks_of_formats(names: Sequence[str], theme: Theme) -> dict[str, tuple[str, str]]:
    """Return fill and hatch of each format: blocks are hatched; masks and indices are no formats, and plain."""
    looks = {}
    for name in names:
        try:
            style = format_styles([name])[get_format(name)]
            looks[name] = (style.colour(theme), "")
        except FormatError:
            looks[name] = (
                _look_of_blocks(name, theme) if is_block_format(name) else (_PLAIN[theme.is_dark], "...")
            )
    return looks


def _look_of_blocks(name: str, theme: Theme) -> tuple[str, str]:
    """Return the fill of the element's format, hatched."""
    element = block_format(name).element
    if not isinstance(element, FloatFormat):
        return _PLAIN[theme.is_dark], "///"
    return format_styles([element])[element].colour(theme), "///"


def _bar(
    made: Canvas,
    row: int,
    pieces: Mapping[str, int],
    looks: Mapping[str, tuple[str, str]],
    unit: float,
    largest: int,
) -> None:
    axis, theme, left = made.axes, made.theme, 0.0
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
        room = 72 * made.figure.get_figwidth() * 0.75 * size * unit / largest
        if room > 0.75 * made.font * len(_number(size)):
            axis.text(
                left + size / 2, row, _number(size), ha="center", va="center", color=ink, fontsize=made.font, zorder=4,
                bbox={"facecolor": fill, "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
        left += size
    axis.text(
        left + 0.01 * largest / unit, row, _number(left), va="center", fontsize=made.font, fontweight="bold"
    )


def _number(size: float) -> str:
    return f"{size:.3g}" if size < 1000 else f"{size:.0f}"
